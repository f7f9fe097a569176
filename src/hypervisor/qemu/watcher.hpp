// One thread that learns of the end of every shim (a pidfd each) and of every guest that stands still (an EventLink
// each), by epoll, and calls back. Nothing else runs in it.
#pragma once

#include <sys/types.h>

#include <chrono>
#include <functional>
#include <map>
#include <mutex>
#include <set>
#include <string>
#include <thread>

#include "env/posix.hpp"
#include "hypervisor/qemu/event_link.hpp"
#include "hypervisor/wait.hpp"

namespace nuraghe::hypervisor::qemu {

class Watcher {
 public:
  using Callback = std::function<void(const std::string& id)>;
  // `on_end`: the process ended, or check() asked; `on_stop`: the guest stood still a moment ago, or check_stop()
  // asked; `on_announce`: announce() asked. All run in the watcher's thread.
  Watcher(Callback on_end, Callback on_stop, Callback on_announce);
  ~Watcher();  // waits for a callback that runs
  Watcher(const Watcher&) = delete;
  Watcher& operator=(const Watcher&) = delete;

  // Thread safe, from callbacks too. watch() and watch_events() replace what was watched under the id.
  Status watch(const std::string& id, env::UniqueFd pidfd);
  Status watch_events(const std::string& id, env::UniqueFd monitor);
  void unwatch(const std::string& id);
  void check(const std::string& id);
  void check_stop(const std::string& id);
  void check_stop_later(const std::string& id, Duration pause);
  void announce(const std::string& id);

 private:
  void run();
  bool run_requests();  // false: stop
  int time_to_wait();   // milliseconds, as epoll_wait takes them
  Status add(int fd);
  void ask(std::set<std::string>& ids, const std::string& id);
  // Requires the mutex.
  void read_events(int fd, std::set<std::string>& stopped);
  void drop_events(const std::string& id);

  Callback on_end_, on_stop_, on_announce_;
  env::UniqueFd epoll_;
  EventFlag wake_;
  std::mutex mutex_;
  std::map<std::string, env::UniqueFd> watched_;
  std::map<int, std::string> ids_;
  std::map<std::string, EventLink> links_;
  std::map<int, std::string> link_ids_;
  std::set<std::string> to_check_, to_check_stop_, to_announce_;
  std::multimap<std::chrono::steady_clock::time_point, std::string> later_;  // of to_check_stop_
  bool stop_ = false;
  std::thread thread_;  // last: it uses the others
};

}  // namespace nuraghe::hypervisor::qemu
