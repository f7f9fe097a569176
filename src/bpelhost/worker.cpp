#include "bpelhost/worker.hpp"

namespace nuraghe::bpelhost {

Worker::Worker(std::size_t limit) : limit_(limit), thread_([this] { run(); }) {}

bool Worker::post(std::function<void()> work) {
  const std::lock_guard lock(mutex_);
  if (stopping_ || waiting_.size() >= limit_) return false;
  waiting_.push_back(std::move(work));
  changed_.notify_one();
  return true;
}

void Worker::stop() {
  {
    const std::lock_guard lock(mutex_);
    stopping_ = true;
    changed_.notify_one();
  }
  if (thread_.joinable()) thread_.join();
}

void Worker::run() {
  for (;;) {
    std::function<void()> work;
    {
      std::unique_lock lock(mutex_);
      changed_.wait(lock, [this] { return stopping_ || !waiting_.empty(); });
      if (stopping_) return;
      work = std::move(waiting_.front());
      waiting_.pop_front();
    }
    work();
  }
}

}  // namespace nuraghe::bpelhost
