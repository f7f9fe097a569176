// Which addresses a connection may be made to because somebody outside named them: a consumer of notifications, an
// address for replies. Pure.
//
// Never: the unspecified, link-local (where clouds keep their metadata), multicast and broadcast addresses. Loopback
// only where `loopback` says so. With `networks`, only those, and then also loopback and link-local ones among them. An
// IPv4 address within an IPv6 one (RFC 4291 §2.5.5, RFC 6052) is looked at as what it is.
#pragma once

#include <array>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.hpp"

namespace nuraghe::net {

// Sixteen bytes; an IPv4 address as ::ffff:a.b.c.d.
using IpAddress = std::array<std::uint8_t, 16>;

struct IpNetwork {
  IpAddress address{};
  int prefix = 0;  // bits of the sixteen bytes
  bool holds(const IpAddress& other) const;
};
// "10.1.0.0/16", "fd00::/8", or one address. kInvalid with the reason.
Result<IpNetwork> parse_network(std::string_view text);
// kInvalid when it is no numeric address.
Result<IpAddress> parse_address(std::string_view text);

struct AddressRules {
  bool loopback = false;
  std::vector<IpNetwork> networks;  // empty: all but those that are never allowed
  // A numeric address, as of a socket; false for what is none.
  bool allow(std::string_view address) const;
};

// Whether a URL may be one that a stranger names: http or https, with a host that is allowed as far as it is an
// address. (What a name stands for is looked at when it is connected to: HttpClientOptions::may_connect.) kInvalid,
// kDenied.
Status check_url(const AddressRules& rules, std::string_view url);

}  // namespace nuraghe::net
