#include "hypervisor/wait.hpp"

#include <fmt/format.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstdint>
#include <vector>

#include "base/check.hpp"

namespace nuraghe::hypervisor {

namespace {

int open_eventfd(unsigned initial, int flags) {
  const int fd = ::eventfd(initial, EFD_CLOEXEC | EFD_NONBLOCK | flags);
  CHECK(fd >= 0);  // only out of descriptors, which the limits on hosts prevent
  return fd;
}
void add_one(int fd) {
  const std::uint64_t one = 1;
  CHECK(::write(fd, &one, sizeof one) == sizeof one || errno == EAGAIN);
}
bool take(int fd) {
  std::uint64_t value = 0;
  return ::read(fd, &value, sizeof value) == sizeof value;
}

}  // namespace

Deadline Deadline::at_most(Duration limit) const {
  Deadline shorter = *this;
  const auto end = Clock::now() + limit;
  if (end < end_) {
    shorter.end_ = end;
    shorter.timeout_ = limit;
  }
  return shorter;
}

Status Deadline::wait(std::span<pollfd> fds, std::string_view what) const {
  std::vector<pollfd> all(fds.begin(), fds.end());
  for (const int fd : cancel_fds_) all.push_back({fd, POLLIN, 0});
  for (;;) {
    const auto left = std::chrono::ceil<std::chrono::milliseconds>(end_ - Clock::now()).count();
    const int ready =
        ::poll(all.data(), all.size(), static_cast<int>(std::clamp<std::int64_t>(left, 0, 1'000'000'000)));
    if (ready < 0 && errno != EINTR) return system_error("poll", errno);
    if (ready > 0) {
      for (std::size_t i = fds.size(); i < all.size(); ++i) {
        if ((all[i].revents & (POLLIN | POLLHUP)) != 0)
          return Error(ErrorCode::kCancelled, fmt::format("cancelled while waiting for {}", what));
      }
      std::copy_n(all.begin(), fds.size(), fds.begin());
      return {};
    }
    if (ready == 0 && left <= 0) return timed_out(fmt::format("no {} within {}", what, format_duration(timeout_)));
  }
}

Status Deadline::wait_readable(int fd, std::string_view what) const {
  pollfd one{fd, POLLIN, 0};
  return wait({&one, 1}, what);
}

Status Deadline::check(std::string_view what) const {
  for (const int fd : cancel_fds_) {
    pollfd one{fd, POLLIN, 0};
    if (fd >= 0 && ::poll(&one, 1, 0) > 0)
      return Error(ErrorCode::kCancelled, fmt::format("cancelled during {}", what));
  }
  if (Clock::now() >= end_) return timed_out(fmt::format("no {} within {}", what, format_duration(timeout_)));
  return {};
}

EventLock::EventLock() : event_(open_eventfd(1, EFD_SEMAPHORE)) {}
bool EventLock::try_acquire() { return take(event_.get()); }
void EventLock::release() { add_one(event_.get()); }
Status EventLock::acquire(const Deadline& deadline, std::string_view what) {
  while (!try_acquire()) TRY(deadline.wait_readable(event_.get(), what));
  return {};
}

EventFlag::EventFlag() : event_(open_eventfd(0, 0)) {}
void EventFlag::raise() { add_one(event_.get()); }
void EventFlag::lower() { take(event_.get()); }
bool EventFlag::raised() const {
  pollfd one{event_.get(), POLLIN, 0};
  return ::poll(&one, 1, 0) > 0;
}

}  // namespace nuraghe::hypervisor
