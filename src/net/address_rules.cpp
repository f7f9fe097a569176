#include "net/address_rules.hpp"

#include <arpa/inet.h>
#include <fmt/format.h>

#include <algorithm>
#include <charconv>
#include <cstring>

namespace nuraghe::net {

namespace {

constexpr IpAddress kMapped = {0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff};
constexpr IpAddress kTranslated = {0, 0x64, 0xff, 0x9b};  // 64:ff9b::/96

bool begins_as(const IpAddress& address, const IpAddress& prefix, std::size_t bytes) {
  return std::equal(prefix.begin(), prefix.begin() + static_cast<std::ptrdiff_t>(bytes), address.begin());
}

bool is_in(const IpAddress& address, std::string_view network) {
  const auto parsed = parse_network(network);
  return parsed && parsed->holds(address);
}

bool is_loopback(const IpAddress& address) { return is_in(address, "127.0.0.0/8") || is_in(address, "::1"); }

bool is_never_a_peer(const IpAddress& address) {
  constexpr std::array<std::string_view, 8> kNever = {
      "0.0.0.0/8", "169.254.0.0/16", "224.0.0.0/4", "::", "255.255.255.255/32", "fe80::/10", "ff00::/8", "fec0::/10"};
  return std::any_of(kNever.begin(), kNever.end(), [&](std::string_view network) { return is_in(address, network); });
}

// The host of "host:port" or "[v6]:port"; empty when the port is no port.
std::string_view host_of(std::string_view authority) {
  std::string_view host = authority, port;
  if (authority.starts_with('[')) {
    const std::size_t end = authority.find(']');
    if (end == std::string_view::npos) return {};
    host = authority.substr(1, end - 1);
    port = authority.substr(end + 1);
  } else if (const std::size_t colon = authority.find(':'); colon != std::string_view::npos) {
    host = authority.substr(0, colon);
    port = authority.substr(colon);
  }
  if (port.empty()) return host;
  int number = 0;
  const auto parsed = std::from_chars(port.data() + 1, port.data() + port.size(), number);
  const bool is_port = port.front() == ':' && parsed.ec == std::errc() && parsed.ptr == port.data() + port.size() &&
                       number > 0 && number < 65536;
  return is_port ? host : std::string_view();
}

}  // namespace

Result<IpAddress> parse_address(std::string_view text) {
  const std::string copy(text);
  IpAddress address{};
  in6_addr six{};
  if (inet_pton(AF_INET6, copy.c_str(), &six) == 1) {
    std::memcpy(address.data(), &six, address.size());
    // What stands for an IPv4 address is one.
    if (begins_as(address, kTranslated, 12)) std::copy_n(kMapped.begin(), 12, address.begin());
    return address;
  }
  in_addr four{};
  if (inet_pton(AF_INET, copy.c_str(), &four) != 1) return invalid(fmt::format("'{}' is no numeric address", text));
  address = kMapped;
  std::memcpy(address.data() + 12, &four, 4);
  return address;
}

Result<IpNetwork> parse_network(std::string_view text) {
  const std::size_t slash = text.find('/');
  IpNetwork network;
  TRY_ASSIGN(network.address, parse_address(text.substr(0, slash)));
  network.prefix = 128;
  if (slash == std::string_view::npos) return network;
  const bool is_four = text.find(':') == std::string_view::npos;
  const std::string_view bits = text.substr(slash + 1);
  const auto parsed = std::from_chars(bits.data(), bits.data() + bits.size(), network.prefix);
  if (parsed.ec != std::errc() || parsed.ptr != bits.data() + bits.size() || network.prefix < 0 ||
      network.prefix > (is_four ? 32 : 128))
    return invalid(fmt::format("'{}' is no network, such as 10.1.0.0/16", text));
  if (is_four) network.prefix += 96;
  return network;
}

bool IpNetwork::holds(const IpAddress& other) const {
  const auto whole = static_cast<std::size_t>(prefix) / 8;
  if (!begins_as(other, address, whole)) return false;
  const unsigned rest = static_cast<unsigned>(prefix) % 8;
  if (rest == 0) return true;
  const unsigned mask = 0xffU << (8 - rest);
  return ((address.at(whole) ^ other.at(whole)) & mask) == 0;
}

bool AddressRules::allow(std::string_view text) const {
  const auto address = parse_address(text);
  if (!address) return false;
  if (!networks.empty())
    return std::any_of(networks.begin(), networks.end(), [&](const auto& one) { return one.holds(*address); });
  if (is_loopback(*address)) return loopback;
  return !is_never_a_peer(*address);
}

Status check_url(const AddressRules& rules, std::string_view url) {
  const auto refuse = [url](std::string_view why) { return denied(fmt::format("the address '{}' {}", url, why)); };
  const std::size_t colon = url.find("://");
  const std::string_view scheme = url.substr(0, colon);
  if (colon == std::string_view::npos || (scheme != "http" && scheme != "https"))
    return refuse("is neither http:// nor https://");
  const bool is_clean =
      std::none_of(url.begin(), url.end(), [](char c) { return static_cast<unsigned char>(c) <= ' ' || c == 0x7f; });
  const std::string_view rest = url.substr(colon + 3);
  const std::string_view authority = rest.substr(0, rest.find_first_of("/?#\\"));
  if (!is_clean || authority.find('@') != std::string_view::npos)
    return refuse("holds a space, a control character or a user");
  const std::string_view host = host_of(authority);
  if (host.empty()) return refuse("names no host, or no port");
  if (host == "localhost" && !rules.allow("127.0.0.1")) return refuse("is this machine's own");
  if (parse_address(host) && !rules.allow(host)) return refuse("lies where messages to strangers are not sent");
  return {};
}

}  // namespace nuraghe::net
