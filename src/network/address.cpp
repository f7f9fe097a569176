#include "network/address.hpp"

#include <arpa/inet.h>
#include <fmt/format.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <charconv>
#include <cstring>

namespace nuraghe::network {

namespace {

Error bad_address(std::string_view text, std::string_view why) {
  return invalid(
      fmt::format("the tunnel address '{}' {}; 'unix:/PATH', 'udp:ADDRESS:PORT' or 'vxlan:ADDRESS:PORT' is expected, "
                  "ADDRESS being a number, of IPv6 in brackets",
                  text, why));
}

bool fill_ipv4(const std::string& host, in_port_t port, TunnelAddress& address) {
  sockaddr_in inet{};
  inet.sin_family = AF_INET;
  inet.sin_port = htons(port);
  if (::inet_pton(AF_INET, host.c_str(), &inet.sin_addr) != 1) return false;
  std::memcpy(&address.socket, &inet, sizeof inet);
  address.socket_size = sizeof inet;
  return inet.sin_addr.s_addr != htonl(INADDR_ANY);
}

bool fill_ipv6(const std::string& host, in_port_t port, TunnelAddress& address) {
  sockaddr_in6 inet{};
  inet.sin6_family = AF_INET6;
  inet.sin6_port = htons(port);
  if (::inet_pton(AF_INET6, host.c_str(), &inet.sin6_addr) != 1) return false;
  std::memcpy(&address.socket, &inet, sizeof inet);
  address.socket_size = sizeof inet;
  return !IN6_IS_ADDR_UNSPECIFIED(&inet.sin6_addr);
}

// What stands behind "udp:" or "vxlan:".
Result<TunnelAddress> parse_socket(std::string_view text, std::string_view rest, bool port_zero_allowed) {
  const auto colon = rest.rfind(':');
  if (colon == std::string_view::npos) return bad_address(text, "has no port");
  const std::string_view digits = rest.substr(colon + 1);
  in_port_t port = 0;
  const auto parsed = std::from_chars(digits.data(), digits.data() + digits.size(), port);
  if (parsed.ec != std::errc() || parsed.ptr != digits.data() + digits.size()) {
    return bad_address(text, "has a port that is no number up to 65535");
  }
  if (port == 0 && !port_zero_allowed) return bad_address(text, "has port 0");
  std::string host(rest.substr(0, colon));
  TunnelAddress address;
  address.kind = TunnelAddress::Kind::kUdp;
  const bool bracketed = host.size() > 2 && host.front() == '[' && host.back() == ']';
  const bool known =
      bracketed ? fill_ipv6(host.substr(1, host.size() - 2), port, address) : fill_ipv4(host, port, address);
  if (!known) return bad_address(text, "names no single address");
  address.text = udp_text(address.socket);
  return address;
}

}  // namespace

Result<sockaddr_un> unix_address(const std::string& path) {
  if (path.size() > kSocketPathMax) {
    return invalid(
        fmt::format("the socket path {} is {} characters too long (a UNIX socket's path has at most {}): "
                    "choose a state directory with a shorter path",
                    path, path.size() - kSocketPathMax, kSocketPathMax));
  }
  sockaddr_un address{};
  address.sun_family = AF_UNIX;
  std::memcpy(address.sun_path, path.data(), path.size());
  return address;
}

std::string TunnelAddress::host() const {
  if (kind == Kind::kUnix) return {};
  if (socket.ss_family == AF_INET6) {
    sockaddr_in6 inet{};
    std::memcpy(&inet, &socket, sizeof inet);
    std::string bytes(sizeof inet.sin6_addr, '\0');
    std::memcpy(bytes.data(), &inet.sin6_addr, bytes.size());
    return bytes;
  }
  sockaddr_in inet{};
  std::memcpy(&inet, &socket, sizeof inet);
  std::string bytes(sizeof inet.sin_addr, '\0');
  std::memcpy(bytes.data(), &inet.sin_addr, bytes.size());
  return bytes;
}

std::uint16_t TunnelAddress::port() const {
  if (kind == Kind::kUnix) return 0;
  // The port stands at the same place for both families.
  sockaddr_in inet{};
  std::memcpy(&inet, &socket, sizeof inet);
  return ntohs(inet.sin_port);
}

std::string host_text(const std::string& host) {
  std::array<char, INET6_ADDRSTRLEN> text{};
  if (host.size() != sizeof(in_addr) && host.size() != sizeof(in6_addr)) return {};
  ::inet_ntop(host.size() == sizeof(in_addr) ? AF_INET : AF_INET6, host.data(), text.data(), text.size());
  return text.data();
}

std::string udp_text(const sockaddr_storage& socket) {
  std::array<char, INET6_ADDRSTRLEN> host{};
  if (socket.ss_family == AF_INET6) {
    sockaddr_in6 inet{};
    std::memcpy(&inet, &socket, sizeof inet);
    ::inet_ntop(AF_INET6, &inet.sin6_addr, host.data(), host.size());
    return fmt::format("udp:[{}]:{}", host.data(), ntohs(inet.sin6_port));
  }
  sockaddr_in inet{};
  std::memcpy(&inet, &socket, sizeof inet);
  ::inet_ntop(AF_INET, &inet.sin_addr, host.data(), host.size());
  return fmt::format("udp:{}:{}", host.data(), ntohs(inet.sin_port));
}

Result<TunnelAddress> parse_tunnel_address(std::string_view text, bool port_zero_allowed) {
  if (text.starts_with("udp:")) return parse_socket(text, text.substr(4), port_zero_allowed);
  if (text.starts_with("vxlan:")) {
    TRY_ASSIGN(TunnelAddress address, parse_socket(text, text.substr(6), port_zero_allowed));
    address.kind = TunnelAddress::Kind::kVxlan;
    address.text = "vxlan" + address.text.substr(3);
    return address;
  }
  if (!text.starts_with("unix:/")) return bad_address(text, "is of no known kind");
  TunnelAddress address;
  address.path = text.substr(5);
  address.text = text;
  TRY(unix_address(address.path));
  return address;
}

bool address_fits(const TunnelAddress& asked, const TunnelAddress& actual) {
  if (asked.text == actual.text) return true;
  const auto host = [](const TunnelAddress& address) {
    return std::string_view(address.text).substr(0, address.text.rfind(':'));
  };
  return asked.kind == TunnelAddress::Kind::kUdp && asked.text.ends_with(":0") && host(asked) == host(actual);
}

Result<env::UniqueFd> bind_datagram(const std::string& path) {
  TRY_ASSIGN(const sockaddr_un address, unix_address(path));
  env::UniqueFd fd(::socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0));
  if (!fd.valid()) return system_error("socket", errno);
  if (::unlink(path.c_str()) != 0 && errno != ENOENT) return system_error("remove " + path, errno);
  if (::bind(fd.get(), reinterpret_cast<const sockaddr*>(&address), sizeof address) != 0) {
    return system_error("bind " + path, errno);
  }
  return fd;
}

}  // namespace nuraghe::network
