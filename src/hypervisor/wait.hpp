// Waiting that always ends: a deadline on the monotonic clock and the descriptors whose readability cancels. Every
// blocking call of the drivers waits through one of these.
// Immutable after construction, so safe to share between threads. It does not own its descriptors.
#pragma once

#include <poll.h>

#include <array>
#include <chrono>
#include <span>
#include <string_view>

#include "base/result.hpp"
#include "base/units.hpp"
#include "env/posix.hpp"
#include "hypervisor/driver.hpp"

namespace nuraghe::hypervisor {

class Deadline {
 public:
  using Clock = std::chrono::steady_clock;

  // Descriptors below 0 never cancel. `abort_fd` is the host's own: somebody wants to destroy it.
  explicit Deadline(Duration timeout, int cancel_fd = -1, int abort_fd = -1)
      : end_(Clock::now() + timeout), timeout_(timeout), cancel_fds_{cancel_fd, abort_fd} {}
  explicit Deadline(const Control& control, int abort_fd = -1)
      : Deadline(control.timeout, control.cancel_fd, abort_fd) {}

  // The same cancellation, ending after `limit` when that is earlier.
  Deadline at_most(Duration limit) const;

  // Waits until at least one of the descriptors has an event (revents is set, error and hang-up included). `what` says
  // in errors what was waited for: "the guest agent of vh-1". kTimeout or kCancelled.
  Status wait(std::span<pollfd> fds, std::string_view what) const;
  Status wait_readable(int fd, std::string_view what) const;
  // Does not block: kTimeout or kCancelled when it is over.
  Status check(std::string_view what) const;

 private:
  Clock::time_point end_;
  Duration timeout_;
  std::array<int, 2> cancel_fds_;
};

// A lock whose waiting can end: one holder at a time, acquired under a deadline. Not recursive; first come is not
// guaranteed to be first served. Thread safe; may be released by another thread than acquired it.
class EventLock {
 public:
  EventLock();
  Status acquire(const Deadline& deadline, std::string_view what);
  bool try_acquire();
  void release();

 private:
  env::UniqueFd event_;
};

// A flag that can be waited for. Thread safe.
class EventFlag {
 public:
  EventFlag();
  int fd() const { return event_.get(); }  // readable while raised
  void raise();
  void lower();
  bool raised() const;

 private:
  env::UniqueFd event_;
};

}  // namespace nuraghe::hypervisor
