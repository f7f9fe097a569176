#include "hypervisor/qemu/watcher.hpp"

#include <sys/epoll.h>

#include <array>
#include <cerrno>
#include <utility>
#include <vector>

#include "base/check.hpp"

namespace nuraghe::hypervisor::qemu {

Watcher::Watcher(Callback on_end, Callback on_announce)
    : on_end_(std::move(on_end)), on_announce_(std::move(on_announce)), epoll_(::epoll_create1(EPOLL_CLOEXEC)) {
  CHECK(epoll_.valid());
  epoll_event event{};
  event.events = EPOLLIN;
  event.data.fd = wake_.fd();
  CHECK(::epoll_ctl(epoll_.get(), EPOLL_CTL_ADD, wake_.fd(), &event) == 0);
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

Status Watcher::watch(const std::string& id, env::UniqueFd pidfd) {
  const std::lock_guard lock(mutex_);
  epoll_event event{};
  event.events = EPOLLIN;
  event.data.fd = pidfd.get();
  if (::epoll_ctl(epoll_.get(), EPOLL_CTL_ADD, pidfd.get(), &event) != 0) return system_error("watch a shim", errno);
  if (const auto old = watched_.find(id); old != watched_.end()) ids_.erase(old->second.get());
  ids_[pidfd.get()] = id;
  watched_[id] = std::move(pidfd);  // closing the old descriptor takes it out of the epoll set
  return {};
}

void Watcher::unwatch(const std::string& id) {
  const std::lock_guard lock(mutex_);
  const auto it = watched_.find(id);
  if (it == watched_.end()) return;
  ids_.erase(it->second.get());
  watched_.erase(it);
}

void Watcher::check(const std::string& id) {
  {
    const std::lock_guard lock(mutex_);
    to_check_.insert(id);
  }
  wake_.raise();
}

void Watcher::announce(const std::string& id) {
  {
    const std::lock_guard lock(mutex_);
    to_announce_.insert(id);
  }
  wake_.raise();
}

bool Watcher::run_requests() {
  std::set<std::string> check, announce;
  {
    const std::lock_guard lock(mutex_);
    wake_.lower();
    if (stop_) return false;
    check.swap(to_check_);
    announce.swap(to_announce_);
  }
  for (const auto& id : check) on_end_(id);
  for (const auto& id : announce) on_announce_(id);
  return true;
}

void Watcher::run() {
  for (;;) {
    std::array<epoll_event, 16> events{};
    const int count = ::epoll_wait(epoll_.get(), events.data(), static_cast<int>(events.size()), -1);
    if (count < 0) {
      CHECK(errno == EINTR);
      continue;
    }
    std::vector<std::string> ended;
    {
      const std::lock_guard lock(mutex_);
      for (int i = 0; i < count; ++i) {
        const auto it = ids_.find(events.at(static_cast<std::size_t>(i)).data.fd);
        if (it == ids_.end()) continue;
        ended.push_back(it->second);
        watched_.erase(it->second);
        ids_.erase(it);
      }
    }
    for (const auto& id : ended) on_end_(id);
    if (!run_requests()) return;
  }
}

}  // namespace nuraghe::hypervisor::qemu
