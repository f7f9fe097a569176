#include "apps/controller/door.hpp"

#include <arpa/inet.h>
#include <fmt/format.h>
#include <ifaddrs.h>
#include <netinet/in.h>

#include <array>
#include <charconv>

#include "net/http.hpp"

namespace nuraghe::controller {
namespace {

constexpr std::string_view kUnix = "unix:";
constexpr std::string_view kTls = "tls:";
constexpr std::string_view kPlain = "plain:";

bool is_loopback(const std::string& address) {
  in_addr four{};
  in6_addr six{};
  if (::inet_pton(AF_INET, address.c_str(), &four) == 1) return (ntohl(four.s_addr) >> 24) == 127;
  return ::inet_pton(AF_INET6, address.c_str(), &six) == 1 && IN6_IS_ADDR_LOOPBACK(&six) != 0;
}

std::string without_brackets(const std::string& host) {
  return host.starts_with('[') && host.ends_with(']') ? host.substr(1, host.size() - 2) : host;
}

}  // namespace

std::string DoorAddress::authority() const {
  return address.find(':') == std::string::npos ? fmt::format("{}:{}", address, port)
                                                : fmt::format("[{}]:{}", address, port);
}

Result<DoorAddress> parse_door(const std::string& text) {
  DoorAddress door;
  if (text.starts_with(kUnix)) {
    door.kind = DoorAddress::Kind::kUnix;
    door.address = text.substr(kUnix.size());
    return door;
  }
  const bool is_tls = text.starts_with(kTls);
  const bool is_plain = text.starts_with(kPlain);
  const std::string rest = text.substr(is_tls ? kTls.size() : is_plain ? kPlain.size() : 0);
  const auto colon = rest.rfind(':');
  int port = -1;
  if (colon != std::string::npos) {
    const char* end = rest.data() + rest.size();
    const auto read = std::from_chars(rest.data() + colon + 1, end, port);
    if (read.ec != std::errc() || read.ptr != end || port > 65535) port = -1;
  }
  door.address = without_brackets(rest.substr(0, colon));
  if (door.address == "localhost") door.address = "127.0.0.1";
  if (door.address.empty() || port < 0)
    return invalid(
        fmt::format("--listen {}: write ADDRESS:PORT, as 10.0.0.1:8470, tls:127.0.0.1:0 or unix:PATH", text));
  door.port = port;
  door.is_loopback = is_loopback(door.address);
  const bool wants_tls = is_tls || (!is_plain && !door.is_loopback);
  door.kind = wants_tls ? DoorAddress::Kind::kTls : DoorAddress::Kind::kPlain;
  return door;
}

Status check_door(const DoorAddress& door, bool allow_plain) {
  if (door.kind != DoorAddress::Kind::kPlain || door.is_loopback || allow_plain) return {};
  return denied(
      fmt::format("--listen plain:{}: without TLS whoever is on the network reads tokens and orders; leave "
                  "'plain:' out, or say --insecure-plain-http as well",
                  door.authority()));
}

std::vector<std::string> addresses_of(const DoorAddress& door) {
  if (door.kind == DoorAddress::Kind::kUnix) return {};
  if (door.address != "0.0.0.0" && door.address != "::") return {door.address};
  std::vector<std::string> out;
  ifaddrs* all = nullptr;
  if (::getifaddrs(&all) != 0) return out;
  for (const ifaddrs* one = all; one != nullptr; one = one->ifa_next) {
    if (one->ifa_addr == nullptr) continue;
    std::array<char, INET6_ADDRSTRLEN> text{};
    const int family = one->ifa_addr->sa_family;
    const void* address = nullptr;
    if (family == AF_INET) address = &reinterpret_cast<const sockaddr_in*>(one->ifa_addr)->sin_addr;
    if (family == AF_INET6) address = &reinterpret_cast<const sockaddr_in6*>(one->ifa_addr)->sin6_addr;
    if (address != nullptr && ::inet_ntop(family, address, text.data(), text.size()) != nullptr)
      out.emplace_back(text.data());
  }
  ::freeifaddrs(all);
  return out;
}

bool is_local_base(std::string_view base) {
  const auto url = net::parse_url(base);
  if (!url) return false;
  if (url->scheme == "http+unix") return true;
  return url->scheme == "http" && is_loopback(without_brackets(url->authority.substr(0, url->authority.rfind(':'))));
}

}  // namespace nuraghe::controller
