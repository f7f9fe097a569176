#include "model/subnet.hpp"

#include <fmt/format.h>

#include <charconv>

#include "base/check.hpp"

namespace nuraghe::model {

namespace {

constexpr int kWidest = 16;
constexpr int kNarrowest = 29;

std::uint32_t mask(int prefix) { return prefix == 0 ? 0 : ~std::uint32_t{0} << (32 - prefix); }

}  // namespace

std::string Ipv4::to_string() const {
  return fmt::format("{}.{}.{}.{}", value >> 24, (value >> 16) & 255, (value >> 8) & 255, value & 255);
}

Result<Ipv4> parse_ipv4(std::string_view text) {
  const auto fail = [&] { return invalid(fmt::format("'{}' is not an IPv4 address such as 10.1.0.5", text)); };
  Ipv4 address;
  const char* at = text.data();
  const char* const end = at + text.size();
  for (int part = 0; part < 4; ++part) {
    unsigned value = 0;
    const auto [rest, error] = std::from_chars(at, end, value);
    const bool leading_zero = rest - at > 1 && *at == '0';
    if (error != std::errc() || value > 255 || leading_zero) return fail();
    address.value = (address.value << 8) | value;
    at = rest;
    if (part == 3) break;
    if (at == end || *at != '.') return fail();
    ++at;
  }
  if (at != end) return fail();
  return address;
}

std::string Subnet::to_string() const { return fmt::format("{}/{}", network.to_string(), prefix); }
// All but the network's own address, the gateway's and the broadcast address.
std::int64_t Subnet::host_capacity() const { return (std::int64_t{1} << (32 - prefix)) - 3; }
Ipv4 Subnet::host(std::int64_t number) const {
  CHECK(number >= 0 && number < host_capacity());
  return {network.value + 2 + static_cast<std::uint32_t>(number)};
}
bool Subnet::contains(Ipv4 address) const { return (address.value & mask(prefix)) == network.value; }
bool Subnet::is_host(Ipv4 address) const {
  return contains(address) && address.value >= host(0).value && address.value <= host(host_capacity() - 1).value;
}
bool Subnet::overlaps(const Subnet& other) const { return contains(other.network) || other.contains(network); }

Result<Subnet> parse_subnet(std::string_view text) {
  const std::size_t slash = text.find('/');
  int prefix = -1;
  if (slash != std::string_view::npos) {
    const char* const end = text.data() + text.size();
    const auto [rest, error] = std::from_chars(text.data() + slash + 1, end, prefix);
    if (error != std::errc() || rest != end) prefix = -1;
  }
  const auto network = parse_ipv4(text.substr(0, slash));
  if (!network || prefix < 0 || prefix > 32)
    return invalid(fmt::format("'{}' is not an IPv4 network such as 10.1.0.0/24", text));
  if (prefix < kWidest || prefix > kNarrowest)
    return invalid(fmt::format("the prefix of '{}' must be between {} and {}", text, kWidest, kNarrowest));
  const Subnet subnet{{network->value & mask(prefix)}, prefix};
  if (subnet.network != *network)
    return invalid(fmt::format("'{}' is an address within a network; write {}", text, subnet.to_string()));
  const std::uint32_t first = network->value >> 24;
  if (first == 0 || first == 127 || first >= 224)
    return invalid(fmt::format("'{}' is not for hosts; take a private network such as 10.1.0.0/24", text));
  return subnet;
}

}  // namespace nuraghe::model
