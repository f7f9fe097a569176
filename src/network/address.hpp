// Socket addresses of the switch: paths of UNIX sockets and the text form of tunnel addresses.
// Threading: none; values.
#pragma once

#include <netinet/in.h>
#include <sys/socket.h>
#include <sys/un.h>

#include <cstdint>
#include <string>
#include <string_view>

#include "base/result.hpp"
#include "env/posix.hpp"

namespace nuraghe::network {

constexpr std::size_t kSocketPathMax = sizeof(sockaddr_un{}.sun_path) - 1;  // unix(7): 107 characters and a zero

// kInvalid, with the excess and the remedy, when the path is too long for a socket.
Result<sockaddr_un> unix_address(const std::string& path);

// "unix:/path", "udp:192.0.2.1:4789", "udp:[2001:db8::1]:4789", or as udp with "vxlan".
struct TunnelAddress {
  enum class Kind { kUnix, kUdp, kVxlan } kind = Kind::kUnix;
  std::string path;           // kUnix
  sockaddr_storage socket{};  // kUdp, kVxlan
  socklen_t socket_size = 0;
  std::string host() const;  // the IP address in binary, 4 or 16 bytes; empty for kUnix
  std::uint16_t port() const;
  std::string text;  // the one way of writing it: equal addresses have equal texts
};
// The text form of IPv4's 4 or IPv6's 16 bytes; empty for any other number of them.
std::string host_text(const std::string& host);
// kInvalid when it is none of these, or names no single place: a relative path, a host name, 0.0.0.0, ::.
// Port 0 is allowed only for what is listened on.
Result<TunnelAddress> parse_tunnel_address(std::string_view text, bool port_zero_allowed = false);
// Whether what was asked for is what is there; port 0 fits every port.
bool address_fits(const TunnelAddress& asked, const TunnelAddress& actual);
// The canonical text of a UDP socket's address.
std::string udp_text(const sockaddr_storage& socket);

// A UNIX datagram socket, not blocking, bound to the path; a socket that lies there already is replaced.
Result<env::UniqueFd> bind_datagram(const std::string& path);

}  // namespace nuraghe::network
