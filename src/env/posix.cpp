#include "env/posix.hpp"

#include <sys/random.h>
#include <unistd.h>

#include <cerrno>
#include <ctime>

#include "base/check.hpp"

namespace nuraghe::env {
namespace {

class SystemClock : public Clock {
 public:
  TimePoint now() const override {
    timespec time{};
    CHECK(::clock_gettime(CLOCK_REALTIME, &time) == 0);
    return {std::int64_t{time.tv_sec} * 1'000'000 + time.tv_nsec / 1000};
  }
};

class SystemRandom : public Random {
 public:
  void fill(std::span<std::uint8_t> out) override {
    while (!out.empty()) {
      const ssize_t count = ::getrandom(out.data(), out.size(), 0);
      if (count < 0 && errno == EINTR) continue;
      CHECK(count > 0);
      out = out.subspan(static_cast<std::size_t>(count));
    }
  }
};

}  // namespace

Clock& system_clock() {
  static SystemClock clock;
  return clock;
}

Random& system_random() {
  static SystemRandom random;
  return random;
}

void UniqueFd::reset(int fd) {
  if (fd_ >= 0) ::close(fd_);
  fd_ = fd;
}

}  // namespace nuraghe::env
