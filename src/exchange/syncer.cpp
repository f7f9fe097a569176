#include "exchange/syncer.hpp"

#include <utility>

#include "base/check.hpp"

namespace nuraghe::exchange {

void Syncer::start(store::Store& store, const std::function<void()>& on_done) {
  if (!thread_.joinable()) {
    store_ = &store;
    on_done_ = on_done;
    thread_ = std::thread([this] { run(); });
  }
  {
    const std::lock_guard lock(mutex_);
    CHECK(!wanted_);
    wanted_ = true;
    done_.store(false, std::memory_order_relaxed);
  }
  changed_.notify_all();
}

Status Syncer::take() {
  std::unique_lock lock(mutex_);
  changed_.wait(lock, [this] { return done(); });
  return std::exchange(result_, Status());
}

void Syncer::stop() {
  if (!thread_.joinable()) return;
  {
    const std::lock_guard lock(mutex_);
    stopping_ = true;
  }
  changed_.notify_all();
  thread_.join();
}

void Syncer::run() {
  std::unique_lock lock(mutex_);
  for (;;) {
    changed_.wait(lock, [this] { return wanted_ || stopping_; });
    if (!wanted_) return;
    lock.unlock();
    Status result = store_->sync();
    lock.lock();
    result_ = std::move(result);
    wanted_ = false;
    done_.store(true, std::memory_order_release);
    changed_.notify_all();
    on_done_();
  }
}

}  // namespace nuraghe::exchange
