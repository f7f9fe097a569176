// An exchange without threads of its own: one thread, the drainer's, does the work of all of them in a fixed order,
// jobs inline. For tests that count and repeat what a whole nuraghed does (--deterministic): a batch is what one
// request led to, not what happened to come together.
//
// Between two requests from outside nothing is left to be done but what waits for a timer. Replies of another process
// that come later do not wake the drainer: it serves a nuraghed whose services call one another directly.
// Threading: as Exchange; Drainer's functions are called by the thread that owns it.
#pragma once

#include <condition_variable>
#include <memory>
#include <mutex>
#include <thread>
#include <vector>

#include "exchange/exchange.hpp"

namespace nuraghe::controller {

class Drainer {
 public:
  ~Drainer() { stop(); }
  // Before start(). The exchange outlives the drainer's work.
  void add(exchange::Exchange& exchange) { exchanges_.push_back(&exchange); }
  void start();
  // Finishes what can be done now; then nothing is worked on any more. Idempotent.
  void stop();
  // Something came in. Any thread, never blocks for long.
  void wake();

 private:
  void run();
  std::vector<exchange::Exchange*> exchanges_;
  std::thread thread_;
  std::mutex mutex_;
  std::condition_variable changed_;
  bool woken_ = true;
  bool stopping_ = false;
};

// The drainer outlives it.
std::unique_ptr<exchange::Exchange> make_drained(std::unique_ptr<exchange::Exchange> exchange, Drainer& drainer);

}  // namespace nuraghe::controller
