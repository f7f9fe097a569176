#include "exchange/syncer.hpp"

#include <utility>

#include "base/check.hpp"

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
  for (;;) {
    wanted_changed_.wait(lock, [this] { return wanted_ || stopping_; });
    if (!std::exchange(wanted_, false)) return;
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
