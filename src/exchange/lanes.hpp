// Lanes: the threads on which an exchange's blocking jobs run, made when needed, at most `limit`, kept when idle.
//
// Without start() there are no threads: run_one() runs the oldest waiting job in the calling thread.
// Threading: every method is thread safe; `finished` is called on the lane's thread.
#pragma once

#include <condition_variable>
#include <deque>
#include <functional>
#include <memory>
#include <mutex>
#include <string>
#include <thread>
#include <vector>

#include "exchange/exchange.hpp"

namespace nuraghe::exchange {

struct LaneJob {
  Actor* actor = nullptr;
  Job job;
  std::int64_t generation = 0;
};

class Lanes {
 public:
  using Finished = std::function<void(LaneJob, Result<std::string>)>;
  Lanes(std::size_t limit, env::Clock& clock, env::Random& random, Finished finished);
  ~Lanes();
  Lanes(const Lanes&) = delete;
  Lanes& operator=(const Lanes&) = delete;

  void start();
  void submit(LaneJob job);
  // A waiting job is dropped and finished with kCancelled; a running one is told.
  void cancel(const Actor* actor, std::string_view key);
  // False when none waits.
  bool run_one();
  std::size_t waiting() const;
  // Drops what waits without finishing it, cancels what runs and waits until it has ended.
  void stop();

 private:
  class Context;
  void work();
  void run(std::unique_lock<std::mutex>& lock);

  const std::size_t limit_;
  env::Clock& clock_;
  env::Random& random_;
  const Finished finished_;
  mutable std::mutex mutex_;
  std::condition_variable changed_;
  std::deque<LaneJob> waiting_;
  struct Running {
    const Actor* actor;
    std::string key;
    Context* context;
  };
  std::vector<Running> running_;
  std::vector<std::thread> threads_;
  std::size_t idle_ = 0;
  bool threaded_ = false;
  bool stopping_ = false;
};

}  // namespace nuraghe::exchange
