// What moves the frames: the sockets of the ports, the tunnel, and each segment's forwarding between them.
//
// Invariants: a frame leaves only in the segment in which it came; a frame from a tunnel is taken only when its sender
// is a peer of that segment and, over udp, its tag verifies; nothing here blocks.
// Threading: none; belongs to the switch's loop.
#pragma once

#include <array>
#include <cstdint>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "network/configuration.hpp"
#include "network/forwarding.hpp"
#include "network/outlet.hpp"
#include "network/poller.hpp"
#include "network/tunnel.hpp"
#include "network/tunnel_frame.hpp"

namespace nuraghe::network {

// Ethernet header, one VLAN tag and 1500 bytes; larger frames are dropped.
constexpr std::size_t kFrameMax = 1518;

struct SwitchCounters {
  struct Port {
    std::string id;
    std::int64_t segment = 0, received = 0, received_bytes = 0;
    OutletCounters out;
  };
  struct TunnelPeer {
    std::string address;
    std::int64_t received = 0;
    OutletCounters out;
  };
  struct Segment {
    std::int64_t number = 0;
    std::size_t stations = 0;
  };
  struct Dropped {
    std::int64_t oversize = 0;         // larger than kFrameMax
    std::int64_t invalid = 0;          // not to be relayed: see Verdict
    std::int64_t unknown_sender = 0;   // a datagram of no peer
    std::int64_t unknown_segment = 0;  // a peer's, of a segment that this switch has not, or not with that peer
    std::int64_t forged = 0;           // its tag does not verify
  } dropped;
  std::vector<Port> ports;
  std::vector<TunnelPeer> peers;
  std::vector<Segment> segments;
};

class DataPlane {
 public:
  // `listen`: the tunnel's address; tunnel() then has the one that came of it. `poller` outlives this.
  static Result<std::unique_ptr<DataPlane>> open(Poller& poller, const SwitchFiles& files, const TunnelAddress& listen);
  DataPlane(const DataPlane&) = delete;
  DataPlane& operator=(const DataPlane&) = delete;
  ~DataPlane();

  const std::string& tunnel() const { return tunnel_->address(); }
  // Makes the sockets what the configuration says; what does not change goes on undisturbed. After an error the rest
  // has been done, and a repeat tries again.
  Status apply(const Configuration& configuration);
  SwitchCounters counters() const;

 private:
  struct Port {
    std::string id;
    std::uint32_t number = 0, segment = 0;
    env::UniqueFd socket;
    Poller::Token token = 0;
    std::unique_ptr<Outlet> outlet;
    std::int64_t received = 0, received_bytes = 0;
  };
  struct Peer {
    TunnelAddress address;
    std::int64_t received = 0;
  };
  struct Segment {
    Forwarding forwarding;
    std::string secret;
    std::unique_ptr<FrameSeal> seal;  // only when the tunnel is sealed and the segment configured
  };

  DataPlane(Poller& poller, SwitchFiles files) : poller_(poller), files_(std::move(files)) {}
  Status apply_peers(const Configuration& configuration);
  void apply_segments(const Configuration& configuration);
  Status apply_ports(const Configuration& configuration);
  Status open_port(const PortConfiguration& wanted);
  void close_port(std::uint32_t number);
  void drop_empty_segments(const Configuration& configuration);
  void receive_from_port(Port& port);
  void receive_from_tunnel();
  void take_datagram(std::uint32_t peer, std::size_t size);
  void relay(Segment& segment, std::uint32_t number, SwitchLink from, std::span<const std::uint8_t> frame);
  // Completes the datagram around the frame that lies in buffer_.
  std::span<const std::uint8_t> wrap(Segment& segment, std::uint32_t number, std::size_t frame_size);

  Poller& poller_;
  const SwitchFiles files_;
  QueueBudget budget_;
  std::unique_ptr<Tunnel> tunnel_;
  Poller::Token tunnel_token_ = 0;
  std::map<std::uint32_t, std::unique_ptr<Port>> ports_;
  std::map<std::uint32_t, Segment> segments_;
  std::map<std::uint32_t, Peer> peers_;
  std::map<std::string, std::uint32_t> peer_numbers_;  // by canonical address
  std::uint32_t next_peer_ = 1;
  SwitchCounters::Dropped dropped_;
  std::vector<SwitchLink> targets_;
  // Header, frame, tag; one byte more than fits tells that a datagram is too long.
  std::array<std::uint8_t, kTunnelHeader + kFrameMax + kTunnelTag + 1> buffer_{};
};

}  // namespace nuraghe::network
