#include "env/posix.hpp"

#include <pthread.h>
#include <string.h>
#include <sys/random.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <atomic>
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
  // Ids are short and many: they share a call of the kernel.
  void fill(std::span<std::uint8_t> out) override {
    thread_local Store store;
    if (out.size() > store.bytes.size() / 4) return ask_kernel(out);
    if (store.left < out.size() || store.forks != forks()) {
      store.forks = forks();
      ask_kernel(store.bytes);
      store.left = store.bytes.size();
    }
    store.left -= out.size();
    std::copy_n(store.bytes.data() + store.left, out.size(), out.data());
    // What was given out is not kept.
    ::explicit_bzero(store.bytes.data() + store.left, out.size());
  }

 private:
  struct Store {
    std::array<std::uint8_t, 512> bytes{};
    std::size_t left = 0;
    unsigned forks = 0;
  };

  // How often this process is a child that goes on without exec: it must not repeat its parent's bytes.
  static unsigned forks() {
    static std::atomic<unsigned> count = 0;
    static const bool counted = ::pthread_atfork(nullptr, nullptr, [] { ++count; }) == 0;
    CHECK(counted);
    return count.load(std::memory_order_relaxed);
  }

  static void ask_kernel(std::span<std::uint8_t> out) {
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
