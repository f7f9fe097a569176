// One direction to one UNIX datagram socket of another process: a virtual host's NIC, or another switch.
//
// Never blocks: what the receiver does not take now waits in a short queue; what does not fit there is dropped and
// counted. A receiver that is not there, or comes back with a new socket on the same path, is found again by itself.
// The sockets are two per pair, one to receive and one to send: a connected socket tells when a full receiver has room
// again, but accepts datagrams of that one peer's socket only, which would lock out its successor.
// Threading: none; belongs to the switch's loop.
#pragma once

#include <cstdint>
#include <deque>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "network/address.hpp"
#include "network/poller.hpp"

namespace nuraghe::network {

// What all outlets of a switch may hold together.
struct QueueBudget {
  std::size_t bytes_left = std::size_t{64} << 20U;
};

struct OutletCounters {
  std::int64_t sent = 0;
  std::int64_t dropped_slow = 0;    // the receiver did not take it and the queue was full
  std::int64_t dropped_absent = 0;  // nobody was at the path
  std::int64_t dropped_failed = 0;  // the system refused it
};

class Outlet {
 public:
  // `own_path`: what the receiver sees as the sender; empty: nothing. `queue_limit`: in datagrams.
  Outlet(Poller& poller, QueueBudget& budget, std::string path, std::string own_path, std::size_t queue_limit)
      : poller_(poller), budget_(budget), path_(std::move(path)), own_path_(std::move(own_path)), limit_(queue_limit) {}
  Outlet(const Outlet&) = delete;
  Outlet& operator=(const Outlet&) = delete;
  ~Outlet();

  void send(std::span<const std::uint8_t> datagram);
  const OutletCounters& counters() const { return counters_; }

 private:
  enum class Attempt { kDone, kFull };
  Attempt attempt(std::span<const std::uint8_t> datagram);
  int try_send(std::span<const std::uint8_t> datagram);  // 0, or errno
  int connect();                                         // 0, or errno
  void flush();
  void drop_front();

  Poller& poller_;
  QueueBudget& budget_;
  const std::string path_, own_path_;
  const std::size_t limit_;
  env::UniqueFd fd_;
  bool connected_ = false;
  std::optional<Poller::Token> token_;  // while something waits
  std::deque<std::vector<std::uint8_t>> queue_;
  OutletCounters counters_;
};

}  // namespace nuraghe::network
