#include "exchange/syncer.hpp"

#include <utility>

#include "base/check.hpp"
#include "base/memory.hpp"

namespace nuraghe::exchange {

void Syncer::start(store::Store& store, const std::function<void()>& on_done) {
  CHECK(done());
  if (store_ == nullptr) {
    store_ = &store;
    on_done_ = on_done;
    for (std::thread& thread : threads_) thread = std::thread([this] { run(); });
  }
  {
    const std::lock_guard lock(mutex_);
    wanted_ = true;
    done_.store(false, std::memory_order_relaxed);
  }
  wanted_changed_.notify_one();
}

Status Syncer::take() {
  std::unique_lock lock(mutex_);
  finished_.wait(lock, [this] { return done(); });
  return std::exchange(result_, Status());
}

void Syncer::rest() {
  {
    const std::lock_guard lock(mutex_);
    ++rests_;
  }
  wanted_changed_.notify_all();
}

void Syncer::stop() {
  {
    const std::lock_guard lock(mutex_);
    stopping_ = true;
  }
  wanted_changed_.notify_all();
  for (std::thread& thread : threads_) {
    if (thread.joinable()) thread.join();
  }
}

void Syncer::run() {
  std::unique_lock lock(mutex_);
  for (int rested = 0;;) {
    wanted_changed_.wait(lock, [&] { return wanted_ || stopping_ || rested != rests_; });
    if (!std::exchange(wanted_, false)) {
      if (stopping_) return;
      rested = rests_;
      // Under the lock: one at a time.
      const MemoryRelease release;
      continue;
    }
    lock.unlock();
    Status result = store_->sync();
    lock.lock();
    result_ = std::move(result);
    done_.store(true, std::memory_order_release);
    finished_.notify_all();
    on_done_();
    lock.unlock();
    store_->tend();
    lock.lock();
  }
}

}  // namespace nuraghe::exchange
