#include "network/tunnel.hpp"

#include <fmt/format.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <map>
#include <unordered_map>

namespace nuraghe::network {

namespace {

constexpr std::size_t kPeerQueue = 512;
constexpr int kUdpBuffer = 4 << 20;

Error other_kind(const TunnelAddress& peer, const std::string& own) {
  return invalid(fmt::format("the peer {} cannot be reached from {}: both must be 'unix' on one machine, or both 'udp'",
                             peer.text, own));
}

std::optional<std::size_t> take(int fd, std::span<std::uint8_t> buffer, sockaddr* from, socklen_t* from_size) {
  const socklen_t room = *from_size;
  for (;;) {
    *from_size = room;
    const ssize_t size = ::recvfrom(fd, buffer.data(), buffer.size(), MSG_DONTWAIT | MSG_TRUNC, from, from_size);
    if (size >= 0) return static_cast<std::size_t>(size);
    // A UDP socket reports here that some peer's port was closed when it was sent to (ICMP).
    if (errno != EINTR && errno != ECONNREFUSED && errno != EHOSTUNREACH && errno != ENETUNREACH) return std::nullopt;
  }
}

class UnixTunnel : public Tunnel {
 public:
  UnixTunnel(Poller& poller, QueueBudget& budget, TunnelAddress own, env::UniqueFd fd)
      : poller_(poller), budget_(budget), own_(std::move(own)), fd_(std::move(fd)) {}
  ~UnixTunnel() override { ::unlink(own_.path.c_str()); }

  const std::string& address() const override { return own_.text; }
  bool sealed() const override { return false; }
  int fd() const override { return fd_.get(); }

  Status add_peer(std::uint32_t number, const TunnelAddress& address) override {
    if (address.kind != TunnelAddress::Kind::kUnix) return other_kind(address, own_.text);
    peers_[number] =
        std::make_unique<Outlet>(poller_, budget_, address.path, fmt::format("{}.{}", own_.path, number), kPeerQueue);
    numbers_[address.path] = number;
    return {};
  }
  void remove_peer(std::uint32_t number) override {
    peers_.erase(number);
    std::erase_if(numbers_, [&](const auto& entry) { return entry.second == number; });
  }
  void send(std::uint32_t number, std::span<const std::uint8_t> datagram) override {
    peers_.at(number)->send(datagram);
  }

  std::optional<Received> receive(std::span<std::uint8_t> buffer) override {
    sockaddr_un from{};
    socklen_t from_size = sizeof from;
    const auto size = take(fd_.get(), buffer, reinterpret_cast<sockaddr*>(&from), &from_size);
    if (!size) return std::nullopt;
    std::string sender(from.sun_path, ::strnlen(from.sun_path, sizeof from.sun_path));
    if (const auto dot = sender.rfind('.'); dot != std::string::npos) sender.resize(dot);
    const auto known = numbers_.find(sender);
    return Received{*size, known == numbers_.end() ? std::nullopt : std::optional(known->second)};
  }
  OutletCounters counters(std::uint32_t number) const override { return peers_.at(number)->counters(); }

 private:
  Poller& poller_;
  QueueBudget& budget_;
  const TunnelAddress own_;
  env::UniqueFd fd_;
  std::map<std::uint32_t, std::unique_ptr<Outlet>> peers_;
  std::unordered_map<std::string, std::uint32_t> numbers_;  // by path
};

class UdpTunnel : public Tunnel {
 public:
  UdpTunnel(std::string own, env::UniqueFd fd) : own_(std::move(own)), fd_(std::move(fd)) {}

  const std::string& address() const override { return own_; }
  bool sealed() const override { return true; }
  int fd() const override { return fd_.get(); }

  Status add_peer(std::uint32_t number, const TunnelAddress& address) override {
    if (address.kind != TunnelAddress::Kind::kUdp) return other_kind(address, own_);
    peers_[number] = {address, {}};
    numbers_[address.text] = number;
    return {};
  }
  void remove_peer(std::uint32_t number) override {
    const auto peer = peers_.find(number);
    if (peer == peers_.end()) return;
    numbers_.erase(peer->second.address.text);
    peers_.erase(peer);
  }
  void send(std::uint32_t number, std::span<const std::uint8_t> datagram) override {
    Peer& peer = peers_.at(number);
    const auto* to = reinterpret_cast<const sockaddr*>(&peer.address.socket);
    for (;;) {
      if (::sendto(fd_.get(), datagram.data(), datagram.size(), MSG_DONTWAIT | MSG_NOSIGNAL, to,
                   peer.address.socket_size) >= 0) {
        ++peer.counters.sent;
        return;
      }
      if (errno == EINTR) continue;
      ++(errno == EAGAIN         ? peer.counters.dropped_slow
         : errno == ECONNREFUSED ? peer.counters.dropped_absent
                                 : peer.counters.dropped_failed);
      return;
    }
  }
  std::optional<Received> receive(std::span<std::uint8_t> buffer) override {
    sockaddr_storage from{};
    socklen_t from_size = sizeof from;
    const auto size = take(fd_.get(), buffer, reinterpret_cast<sockaddr*>(&from), &from_size);
    if (!size) return std::nullopt;
    const auto known = numbers_.find(udp_text(from));
    return Received{*size, known == numbers_.end() ? std::nullopt : std::optional(known->second)};
  }
  OutletCounters counters(std::uint32_t number) const override { return peers_.at(number).counters; }

 private:
  struct Peer {
    TunnelAddress address;
    OutletCounters counters;
  };
  const std::string own_;
  env::UniqueFd fd_;
  std::map<std::uint32_t, Peer> peers_;
  std::unordered_map<std::string, std::uint32_t> numbers_;  // by canonical address
};

Result<std::unique_ptr<Tunnel>> open_udp(const TunnelAddress& listen) {
  env::UniqueFd fd(::socket(listen.socket.ss_family, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0));
  if (!fd.valid()) return system_error("socket", errno);
  // The system may grant less: then bursts are lost earlier.
  ::setsockopt(fd.get(), SOL_SOCKET, SO_RCVBUF, &kUdpBuffer, sizeof kUdpBuffer);
  ::setsockopt(fd.get(), SOL_SOCKET, SO_SNDBUF, &kUdpBuffer, sizeof kUdpBuffer);
  sockaddr_storage own{};
  socklen_t own_size = sizeof own;
  if (::bind(fd.get(), reinterpret_cast<const sockaddr*>(&listen.socket), listen.socket_size) != 0 ||
      ::getsockname(fd.get(), reinterpret_cast<sockaddr*>(&own), &own_size) != 0) {
    return system_error("listen on " + listen.text, errno);
  }
  return std::unique_ptr<Tunnel>(std::make_unique<UdpTunnel>(udp_text(own), std::move(fd)));
}

}  // namespace

Result<std::unique_ptr<Tunnel>> open_tunnel(Poller& poller, QueueBudget& budget, const TunnelAddress& listen) {
  if (listen.kind == TunnelAddress::Kind::kVxlan) return invalid("a switch has no VXLAN tunnels");
  if (listen.kind == TunnelAddress::Kind::kUdp) return open_udp(listen);
  TRY_ASSIGN(env::UniqueFd fd, bind_datagram(listen.path));
  return std::unique_ptr<Tunnel>(std::make_unique<UnixTunnel>(poller, budget, listen, std::move(fd)));
}

}  // namespace nuraghe::network
