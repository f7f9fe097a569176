// Worker: one thread that does one thing after the other: parsing packages, replaying histories. Bounded.
// Threading: thread safe. What waits when it stops is dropped, its promise kept by the caller's own means.
#pragma once

#include <condition_variable>
#include <deque>
#include <functional>
#include <mutex>
#include <thread>

namespace nuraghe::bpelhost {

class Worker {
 public:
  explicit Worker(std::size_t limit);
  ~Worker() { stop(); }
  // False when too much waits already, or after stop(): the function is dropped.
  bool post(std::function<void()> work);
  // Finishes what is at work. Idempotent.
  void stop();

 private:
  void run();
  const std::size_t limit_;
  std::mutex mutex_;
  std::condition_variable changed_;
  std::deque<std::function<void()>> waiting_;
  bool stopping_ = false;
  std::thread thread_;
};

}  // namespace nuraghe::bpelhost
