// Tells a connection that is busy alone from many that are: for speed only, so what threads do at the same instant may
// be seen in either order. Thread safe.
#pragma once

#include <atomic>
#include <chrono>
#include <cstdint>
#include <limits>

namespace nuraghe::net {

class Crowd {
 public:
  using Time = std::chrono::steady_clock::time_point;
  static constexpr std::chrono::milliseconds kMoment{1};

  // A request of this connection has come: whether, within a moment, two came one after the other of different ones.
  bool joins(const void* connection, Time now) {
    const std::int64_t now_ns = std::chrono::nanoseconds(now.time_since_epoch()).count();
    const void* last = last_.exchange(connection, std::memory_order_relaxed);
    const std::int64_t last_ns = last_ns_.exchange(now_ns, std::memory_order_relaxed);
    if (last != connection && now_ns - last_ns < kMomentNs) changed_ns_.store(now_ns, std::memory_order_relaxed);
    return now_ns - changed_ns_.load(std::memory_order_relaxed) < kMomentNs;
  }

 private:
  static constexpr std::int64_t kMomentNs = std::chrono::nanoseconds(kMoment).count();
  static constexpr std::int64_t kNever = std::numeric_limits<std::int64_t>::min() / 2;
  std::atomic<const void*> last_{nullptr};
  std::atomic<std::int64_t> last_ns_{kNever};
  std::atomic<std::int64_t> changed_ns_{kNever};  // when two were of different connections
};

}  // namespace nuraghe::net
