// For tests of this room and of those above: a raw client connection that sends any bytes, and a latch with a time-out.
#pragma once

#include <condition_variable>
#include <mutex>
#include <string>
#include <string_view>

#include "base/units.hpp"
#include "env/posix.hpp"

namespace nuraghe::net::testing {

constexpr Duration kPatience = std::chrono::seconds(30);  // long enough for a busy machine

// A TCP connection to 127.0.0.1:port, blocking, without any HTTP of its own.
class RawClient {
 public:
  explicit RawClient(int port);
  bool connected() const { return fd_.valid(); }
  bool send(std::string_view bytes) const;
  // Reads until `mark` stands in what was received, the connection ends or kPatience is over; returns all since the
  // last call.
  std::string read_until(std::string_view mark);
  // Reads until the other side closes; nullopt-like "timeout" when it does not within kPatience.
  std::string read_to_end();
  void close() { fd_.reset(); }
  int fd() const { return fd_.get(); }

 private:
  env::UniqueFd fd_;
};

class Latch {
 public:
  explicit Latch(int count = 1) : count_(count) {}
  void count_down();
  bool wait(Duration patience = kPatience);  // false when it took too long

 private:
  std::mutex mutex_;
  std::condition_variable changed_;
  int count_;
};

}  // namespace nuraghe::net::testing
