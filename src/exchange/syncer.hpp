// Syncer: threads that make durable what was committed ahead while the exchange's thread goes on with the next turns,
// and tend the store meanwhile.
//
// Bounds: one sync at a time. Threading: all by the exchange's thread; done by any.
#pragma once

#include <array>
#include <atomic>
#include <condition_variable>
#include <functional>
#include <mutex>
#include <thread>

#include "store/store.hpp"

namespace nuraghe::exchange {

class Syncer {
 public:
  ~Syncer() { stop(); }
  // Begins store.sync() and returns at once; the one before is done. `on_done` is called by a thread afterwards; it
  // must not block. Store and on_done are the same each time.
  void start(store::Store& store, const std::function<void()>& on_done);
  // Nothing is in hand.
  bool done() const { return done_.load(std::memory_order_acquire); }
  // Blocks until done(): the last sync's result.
  Status take();
  // The threads give back the memory that they had, one after the other; returns at once.
  void rest();
  // Finishes the sync in hand first. Idempotent.
  void stop();

 private:
  void run();
  store::Store* store_ = nullptr;
  std::function<void()> on_done_;
  std::array<std::thread, 2> threads_;  // one tends the store, the other one syncs
  std::mutex mutex_;
  std::condition_variable wanted_changed_;
  std::condition_variable finished_;
  Status result_;
  bool wanted_ = false;  // and not begun
  int rests_ = 0;        // calls of rest()
  std::atomic<bool> done_{true};
  bool stopping_ = false;
};

}  // namespace nuraghe::exchange
