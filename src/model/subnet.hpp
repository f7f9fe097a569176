// IPv4 addresses and subnets of clusters' private networks. Values; no I/O.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include "base/result.hpp"

namespace nuraghe::model {

struct Ipv4 {
  std::uint32_t value = 0;  // host byte order
  auto operator<=>(const Ipv4&) const = default;
  std::string to_string() const;
};
// Four decimal numbers, 0 to 255, without leading zeros; kInvalid otherwise.
Result<Ipv4> parse_ipv4(std::string_view text);

// A network of 2^(32-prefix) addresses. The first address of use (network + 1) is kept for a gateway: hosts have the
// others, without the broadcast address.
struct Subnet {
  Ipv4 network;
  int prefix = 24;
  auto operator<=>(const Subnet&) const = default;
  std::string to_string() const;  // "10.1.0.0/24"
  Ipv4 gateway() const { return {network.value + 1}; }
  std::int64_t host_capacity() const;    // how many hosts it can hold
  Ipv4 host(std::int64_t number) const;  // the number-th host's address, from 0; below host_capacity()
  bool contains(Ipv4 address) const;
  bool is_host(Ipv4 address) const;  // one that a host may have
  bool overlaps(const Subnet& other) const;
};
// "10.1.0.0/24" with a prefix of 16 to 29, no bits beyond it, of unicast addresses; kInvalid says what would be right.
Result<Subnet> parse_subnet(std::string_view text);

}  // namespace nuraghe::model
