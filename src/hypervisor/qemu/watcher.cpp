#include "hypervisor/qemu/watcher.hpp"

#include <sys/epoll.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <utility>

#include "base/check.hpp"

namespace nuraghe::hypervisor::qemu {

Watcher::Watcher(Callback on_end, Callback on_stop, Callback on_announce)
    : on_end_(std::move(on_end)),
      on_stop_(std::move(on_stop)),
      on_announce_(std::move(on_announce)),
      epoll_(::epoll_create1(EPOLL_CLOEXEC)) {
  CHECK(epoll_.valid());
  CHECK(add(wake_.fd()));
  thread_ = std::thread([this] { run(); });
}

Watcher::~Watcher() {
  {
    const std::lock_guard lock(mutex_);
    stop_ = true;
  }
  wake_.raise();
  thread_.join();
}

Status Watcher::add(int fd) {
  epoll_event event{};
  event.events = EPOLLIN;
  event.data.fd = fd;
  if (::epoll_ctl(epoll_.get(), EPOLL_CTL_ADD, fd, &event) != 0) return system_error("watch a virtual host", errno);
  return {};
}

Status Watcher::watch(const std::string& id, env::UniqueFd pidfd) {
  const std::lock_guard lock(mutex_);
  TRY(add(pidfd.get()));
  if (const auto old = watched_.find(id); old != watched_.end()) ids_.erase(old->second.get());
  ids_[pidfd.get()] = id;
  watched_[id] = std::move(pidfd);  // closing the old descriptor takes it out of the epoll set
  return {};
}

Status Watcher::watch_events(const std::string& id, env::UniqueFd monitor) {
  const std::lock_guard lock(mutex_);
  TRY(add(monitor.get()));
  drop_events(id);
  link_ids_[monitor.get()] = id;
  links_.emplace(id, EventLink(std::move(monitor)));
  return {};
}

void Watcher::drop_events(const std::string& id) {
  const auto link = links_.find(id);
  if (link == links_.end()) return;
  link_ids_.erase(link->second.fd());
  links_.erase(link);
}

void Watcher::unwatch(const std::string& id) {
  const std::lock_guard lock(mutex_);
  drop_events(id);
  const auto it = watched_.find(id);
  if (it == watched_.end()) return;
  ids_.erase(it->second.get());
  watched_.erase(it);
}

void Watcher::ask(std::set<std::string>& ids, const std::string& id) {
  {
    const std::lock_guard lock(mutex_);
    ids.insert(id);
  }
  wake_.raise();
}

void Watcher::check(const std::string& id) { ask(to_check_, id); }
void Watcher::check_stop(const std::string& id) { ask(to_check_stop_, id); }
void Watcher::check_stop_later(const std::string& id, Duration pause) {
  {
    const std::lock_guard lock(mutex_);
    later_.emplace(std::chrono::steady_clock::now() + pause, id);
  }
  wake_.raise();
}

int Watcher::time_to_wait() {
  const std::lock_guard lock(mutex_);
  if (later_.empty()) return -1;
  const auto left = later_.begin()->first - std::chrono::steady_clock::now();
  const auto milliseconds = std::chrono::ceil<std::chrono::milliseconds>(left).count();
  return static_cast<int>(std::clamp<std::int64_t>(milliseconds, 0, 60'000));
}

void Watcher::announce(const std::string& id) { ask(to_announce_, id); }

bool Watcher::run_requests() {
  std::set<std::string> check, check_stop, announce;
  {
    const std::lock_guard lock(mutex_);
    wake_.lower();
    if (stop_) return false;
    check.swap(to_check_);
    check_stop.swap(to_check_stop_);
    while (!later_.empty() && later_.begin()->first <= std::chrono::steady_clock::now()) {
      check_stop.insert(std::move(later_.begin()->second));
      later_.erase(later_.begin());
    }
    announce.swap(to_announce_);
  }
  for (const auto& id : check) on_end_(id);
  for (const auto& id : check_stop) on_stop_(id);
  for (const auto& id : announce) on_announce_(id);
  return true;
}

void Watcher::read_events(int fd, std::set<std::string>& stopped) {
  const auto known = link_ids_.find(fd);
  if (known == link_ids_.end()) return;
  const std::string id = known->second;
  const auto said = links_.at(id).read();
  if (said == EventLink::Said::kStopped) stopped.insert(id);
  if (said == EventLink::Said::kEnded) drop_events(id);
}

void Watcher::run() {
  for (;;) {
    std::array<epoll_event, 16> events{};
    const int count = ::epoll_wait(epoll_.get(), events.data(), static_cast<int>(events.size()), time_to_wait());
    if (count < 0) {
      CHECK(errno == EINTR);
      continue;
    }
    std::set<std::string> ended, stopped;
    {
      const std::lock_guard lock(mutex_);
      for (int i = 0; i < count; ++i) {
        const int fd = events.at(static_cast<std::size_t>(i)).data.fd;
        const auto it = ids_.find(fd);
        if (it == ids_.end()) {
          read_events(fd, stopped);
          continue;
        }
        ended.insert(it->second);
        watched_.erase(it->second);
        ids_.erase(it);
      }
    }
    for (const auto& id : ended) on_end_(id);
    for (const auto& id : stopped) on_stop_(id);
    if (!run_requests()) return;
  }
}

}  // namespace nuraghe::hypervisor::qemu
