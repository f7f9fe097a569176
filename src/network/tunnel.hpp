// The switch's one socket towards the other physical hosts: UNIX datagrams on the same machine, or UDP.
// Threading: none; belongs to the switch's loop.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <string>

#include "network/outlet.hpp"

namespace nuraghe::network {

class Tunnel {
 public:
  struct Received {
    std::size_t size = 0;               // of the datagram; more than the buffer when it was cut
    std::optional<std::uint32_t> peer;  // nothing: the sender is no peer
  };

  virtual ~Tunnel() = default;
  // Canonical; where peers send to.
  virtual const std::string& address() const = 0;
  // Datagrams need a tag: anybody on the network may send here.
  virtual bool sealed() const = 0;
  virtual int fd() const = 0;
  // kInvalid when the address is of another kind than this one's.
  virtual Status add_peer(std::uint32_t number, const TunnelAddress& address) = 0;
  virtual void remove_peer(std::uint32_t number) = 0;
  virtual void send(std::uint32_t number, std::span<const std::uint8_t> datagram) = 0;
  // Takes one datagram; nothing when there is none now.
  virtual std::optional<Received> receive(std::span<std::uint8_t> buffer) = 0;
  virtual OutletCounters counters(std::uint32_t number) const = 0;
};

// UNIX tunnels: the socket is `path` itself, and what leaves for the peer of number N comes from `path.N`; the receiver
// knows the sender by that. Only the user whose folder it is can send there.
Result<std::unique_ptr<Tunnel>> open_tunnel(Poller& poller, QueueBudget& budget, const TunnelAddress& listen);

}  // namespace nuraghe::network
