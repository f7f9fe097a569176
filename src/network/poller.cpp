#include "network/poller.hpp"

#include <sys/epoll.h>

#include <array>
#include <cerrno>

#include "base/check.hpp"

namespace nuraghe::network {

Result<std::unique_ptr<Poller>> Poller::open() {
  env::UniqueFd epoll(::epoll_create1(EPOLL_CLOEXEC));
  if (!epoll.valid()) return system_error("epoll_create", errno);
  return std::unique_ptr<Poller>(new Poller(std::move(epoll)));
}

Result<Poller::Token> Poller::add(int fd, std::uint32_t events, Handler handler) {
  epoll_event event{};
  event.events = events;
  event.data.u64 = next_;
  if (::epoll_ctl(epoll_.get(), EPOLL_CTL_ADD, fd, &event) != 0) return system_error("epoll_ctl", errno);
  entries_.emplace(next_, Entry{fd, std::make_shared<Handler>(std::move(handler))});
  return next_++;
}

void Poller::modify(Token token, std::uint32_t events) {
  epoll_event event{};
  event.events = events;
  event.data.u64 = token;
  CHECK(::epoll_ctl(epoll_.get(), EPOLL_CTL_MOD, entries_.at(token).fd, &event) == 0);
}

void Poller::remove(Token token) {
  const auto entry = entries_.find(token);
  if (entry == entries_.end()) return;
  CHECK(::epoll_ctl(epoll_.get(), EPOLL_CTL_DEL, entry->second.fd, nullptr) == 0);
  entries_.erase(entry);
}

Status Poller::run_once() {
  std::array<epoll_event, 64> events{};
  const int count = ::epoll_wait(epoll_.get(), events.data(), static_cast<int>(events.size()), -1);
  if (count < 0) {
    if (errno == EINTR) return {};
    return system_error("epoll_wait", errno);
  }
  for (int i = 0; i < count; ++i) {
    const auto entry = entries_.find(events[static_cast<std::size_t>(i)].data.u64);
    if (entry == entries_.end()) continue;
    const auto handler = entry->second.handler;  // it may remove itself
    (*handler)();
  }
  return {};
}

}  // namespace nuraghe::network
