#include "network/data_plane.hpp"

#include <sys/epoll.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <chrono>
#include <set>

#include "base/check.hpp"

namespace nuraghe::network {

namespace {

constexpr std::size_t kPortQueue = 128;
constexpr int kBurst = 32;  // datagrams of one socket before the others have their turn

Duration monotonic_now() {
  return std::chrono::duration_cast<Duration>(std::chrono::steady_clock::now().time_since_epoch());
}

SwitchLink port_link(std::uint32_t number) { return {SwitchLink::Kind::kPort, number}; }
SwitchLink tunnel_link(std::uint32_t number) { return {SwitchLink::Kind::kTunnel, number}; }

}  // namespace

Result<std::unique_ptr<DataPlane>> DataPlane::open(Poller& poller, const SwitchFiles& files,
                                                   const TunnelAddress& listen) {
  std::unique_ptr<DataPlane> plane(new DataPlane(poller, files));
  TRY_ASSIGN(plane->tunnel_, open_tunnel(poller, plane->budget_, listen));
  TRY_ASSIGN(plane->tunnel_token_,
             poller.add(plane->tunnel_->fd(), EPOLLIN, [raw = plane.get()] { raw->receive_from_tunnel(); }));
  return plane;
}

DataPlane::~DataPlane() {
  for (auto& [number, port] : ports_) poller_.remove(port->token);
  if (tunnel_token_ != 0) poller_.remove(tunnel_token_);
}

Status DataPlane::apply(const Configuration& configuration) {
  const Status peers = apply_peers(configuration);
  apply_segments(configuration);
  const Status ports = apply_ports(configuration);
  drop_empty_segments(configuration);
  TRY(peers);
  return ports;
}

Status DataPlane::apply_peers(const Configuration& configuration) {
  std::set<std::string> wanted;
  for (const auto& segment : configuration.segments) wanted.insert(segment.peers.begin(), segment.peers.end());
  for (auto known = peer_numbers_.begin(); known != peer_numbers_.end();) {
    if (wanted.contains(known->first)) {
      ++known;
      continue;
    }
    const std::uint32_t number = known->second;
    for (auto& [unused, segment] : segments_) segment.forwarding.remove_link(tunnel_link(number));
    tunnel_->remove_peer(number);
    peers_.erase(number);
    known = peer_numbers_.erase(known);
  }
  Status result;
  for (const auto& text : wanted) {
    if (peer_numbers_.contains(text)) continue;
    auto address = parse_tunnel_address(text);
    const Status added = address ? tunnel_->add_peer(next_peer_, *address) : Status(address.error());
    if (!added) {
      result = added;
      continue;
    }
    peers_[next_peer_] = {std::move(*address), 0};
    peer_numbers_[text] = next_peer_++;
  }
  return result;
}

void DataPlane::apply_segments(const Configuration& configuration) {
  std::set<std::uint32_t> configured;
  for (const auto& wanted : configuration.segments) {
    const auto number = static_cast<std::uint32_t>(wanted.number);
    configured.insert(number);
    Segment& segment = segments_[number];
    if (tunnel_->sealed() && (segment.seal == nullptr || segment.secret != wanted.secret)) {
      segment.seal = std::make_unique<FrameSeal>(wanted.secret);
      segment.secret = wanted.secret;
    }
    std::set<SwitchLink> tunnels;
    for (const auto& peer : wanted.peers) {
      if (const auto known = peer_numbers_.find(peer); known != peer_numbers_.end()) {
        tunnels.insert(tunnel_link(known->second));
      }
    }
    const std::set<SwitchLink> before = segment.forwarding.links();
    for (const SwitchLink& link : before) {
      if (link.kind == SwitchLink::Kind::kTunnel && !tunnels.contains(link)) segment.forwarding.remove_link(link);
    }
    for (const SwitchLink& link : tunnels) segment.forwarding.add_link(link);
  }
  for (auto& [number, segment] : segments_) {
    if (configured.contains(number)) continue;
    const std::set<SwitchLink> before = segment.forwarding.links();
    for (const SwitchLink& link : before) {
      if (link.kind == SwitchLink::Kind::kTunnel) segment.forwarding.remove_link(link);
    }
    segment.seal.reset();
    segment.secret.clear();
  }
}

Status DataPlane::apply_ports(const Configuration& configuration) {
  std::set<std::uint32_t> wanted;
  for (const auto& port : configuration.ports) wanted.insert(static_cast<std::uint32_t>(port.number));
  for (auto port = ports_.begin(); port != ports_.end();) {
    const std::uint32_t number = port->first;
    ++port;
    if (!wanted.contains(number)) close_port(number);
  }
  Status result;
  for (const auto& port : configuration.ports) {
    if (ports_.contains(static_cast<std::uint32_t>(port.number))) continue;
    if (const Status opened = open_port(port); !opened) result = opened;
  }
  return result;
}

Status DataPlane::open_port(const PortConfiguration& wanted) {
  const PortSockets sockets = files_.port(wanted.number);
  auto port = std::make_unique<Port>();
  port->id = wanted.id;
  port->number = static_cast<std::uint32_t>(wanted.number);
  port->segment = static_cast<std::uint32_t>(wanted.segment);
  TRY_ASSIGN(port->socket, bind_datagram(sockets.fabric));
  TRY_ASSIGN(port->token,
             poller_.add(port->socket.get(), EPOLLIN, [this, raw = port.get()] { receive_from_port(*raw); }));
  port->outlet = std::make_unique<Outlet>(poller_, budget_, sockets.hypervisor, "", kPortQueue);
  segments_[port->segment].forwarding.add_link(port_link(port->number));
  ports_.emplace(port->number, std::move(port));
  return {};
}

void DataPlane::close_port(std::uint32_t number) {
  const auto port = ports_.find(number);
  segments_.at(port->second->segment).forwarding.remove_link(port_link(number));
  poller_.remove(port->second->token);
  ports_.erase(port);
  const PortSockets sockets = files_.port(number);
  // The hypervisor's end too: it is gone or about to go, and does not remove its socket.
  ::unlink(sockets.fabric.c_str());
  ::unlink(sockets.hypervisor.c_str());
}

void DataPlane::drop_empty_segments(const Configuration& configuration) {
  std::erase_if(segments_, [&](const auto& entry) {
    return entry.second.forwarding.links().empty() &&
           std::none_of(configuration.segments.begin(), configuration.segments.end(),
                        [&](const auto& wanted) { return wanted.number == entry.first; });
  });
}

void DataPlane::receive_from_port(Port& port) {
  const auto room = std::span(buffer_).subspan(kTunnelHeader, kFrameMax + 1);
  for (int i = 0; i < kBurst; ++i) {
    const ssize_t size = ::recv(port.socket.get(), room.data(), room.size(), MSG_DONTWAIT | MSG_TRUNC);
    if (size < 0) return;  // nothing there now; a UNIX datagram socket that is bound knows no other error
    ++port.received;
    port.received_bytes += size;
    if (static_cast<std::size_t>(size) > kFrameMax) {
      ++dropped_.oversize;
      continue;
    }
    relay(segments_.at(port.segment), port.segment, port_link(port.number),
          room.subspan(0, static_cast<std::size_t>(size)));
  }
}

void DataPlane::receive_from_tunnel() {
  for (int i = 0; i < kBurst; ++i) {
    const auto received = tunnel_->receive(buffer_);
    if (!received) return;
    if (!received->peer) {
      ++dropped_.unknown_sender;
      continue;
    }
    take_datagram(*received->peer, received->size);
  }
}

void DataPlane::take_datagram(std::uint32_t number, std::size_t size) {
  Peer& peer = peers_.at(number);
  ++peer.received;
  const std::size_t tag_size = tunnel_->sealed() ? kTunnelTag : 0;
  if (size > kTunnelHeader + kFrameMax + tag_size) {
    ++dropped_.oversize;
    return;
  }
  const auto datagram = std::span<const std::uint8_t>(buffer_).subspan(0, size);
  const auto segment_number = read_tunnel_header(datagram);
  if (!segment_number || size < kTunnelHeader + tag_size) {
    ++dropped_.invalid;
    return;
  }
  const auto segment = segments_.find(*segment_number);
  if (segment == segments_.end() || !segment->second.forwarding.links().contains(tunnel_link(number))) {
    ++dropped_.unknown_segment;
    return;
  }
  const auto body = datagram.subspan(0, size - tag_size);
  if (tag_size != 0) {
    CHECK(segment->second.seal != nullptr);  // it has tunnels, so it is configured
    if (!segment->second.seal->verify(peer.address.text, body, datagram.subspan(body.size()))) {
      ++dropped_.forged;
      return;
    }
  }
  relay(segment->second, *segment_number, tunnel_link(number), body.subspan(kTunnelHeader));
}

std::span<const std::uint8_t> DataPlane::wrap(Segment& segment, std::uint32_t number, std::size_t frame_size) {
  const auto datagram = std::span(buffer_);
  const std::size_t size = kTunnelHeader + frame_size;
  write_tunnel_header(datagram.first<kTunnelHeader>(), number);
  if (!tunnel_->sealed()) return datagram.subspan(0, size);
  const auto tag = segment.seal->tag(tunnel_->address(), datagram.subspan(0, size));
  std::copy(tag.begin(), tag.end(), buffer_.begin() + static_cast<std::ptrdiff_t>(size));
  return datagram.subspan(0, size + kTunnelTag);
}

void DataPlane::relay(Segment& segment, std::uint32_t number, SwitchLink from, std::span<const std::uint8_t> frame) {
  if (segment.forwarding.decide(from, frame, monotonic_now(), targets_) == Verdict::kInvalid) ++dropped_.invalid;
  std::span<const std::uint8_t> datagram;
  for (const SwitchLink& to : targets_) {
    if (to.kind == SwitchLink::Kind::kPort) {
      ports_.at(to.number)->outlet->send(frame);
      continue;
    }
    if (datagram.empty()) datagram = wrap(segment, number, frame.size());
    tunnel_->send(to.number, datagram);
  }
}

SwitchCounters DataPlane::counters() const {
  SwitchCounters counters;
  counters.dropped = dropped_;
  for (const auto& [number, port] : ports_) {
    counters.ports.push_back({port->id, port->segment, port->received, port->received_bytes, port->outlet->counters()});
  }
  for (const auto& [number, peer] : peers_) {
    counters.peers.push_back({peer.address.text, peer.received, tunnel_->counters(number)});
  }
  for (const auto& [number, segment] : segments_) counters.segments.push_back({number, segment.forwarding.stations()});
  return counters;
}

}  // namespace nuraghe::network
