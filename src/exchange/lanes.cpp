#include "exchange/lanes.hpp"

#include <fmt/format.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <exception>

#include "base/check.hpp"
#include "env/posix.hpp"

namespace nuraghe::exchange {

class Lanes::Context : public JobContext {
 public:
  Context(env::Clock& clock, env::Random& random) : clock_(clock), random_(random) {}
  bool cancelled() const override { return cancelled_.load(); }
  int cancel_fd() const override {
    const std::lock_guard lock(mutex_);
    if (!event_.valid()) {
      event_.reset(::eventfd(cancelled_ ? 1 : 0, EFD_CLOEXEC | EFD_NONBLOCK));
      CHECK(event_.valid());
    }
    return event_.get();
  }
  env::Clock& clock() override { return clock_; }
  env::Random& random() override { return random_; }

  void cancel() {
    const std::lock_guard lock(mutex_);
    cancelled_ = true;
    if (event_.valid()) CHECK(::eventfd_write(event_.get(), 1) == 0);
  }

 private:
  env::Clock& clock_;
  env::Random& random_;
  std::atomic<bool> cancelled_{false};
  mutable std::mutex mutex_;
  mutable env::UniqueFd event_;  // made when first asked for: most jobs never do
};

namespace {

Result<std::string> run_guarded(const LaneJob& job, JobContext& context) {
  try {
    return job.actor->run_job(job.job, context);
  } catch (const std::exception& exception) {
    return internal(fmt::format("job {} of {} threw: {}", job.job.key, job.actor->name(), exception.what()));
  }
}

}  // namespace

Lanes::Lanes(std::size_t limit, env::Clock& clock, env::Random& random, Finished finished)
    : limit_(std::max<std::size_t>(limit, 1)), clock_(clock), random_(random), finished_(std::move(finished)) {}

Lanes::~Lanes() { stop(); }

void Lanes::start() {
  const std::lock_guard lock(mutex_);
  threaded_ = true;
  const std::size_t wanted = std::min(waiting_.size(), limit_);
  while (threads_.size() < wanted) threads_.emplace_back([this] { work(); });
}

void Lanes::submit(LaneJob job) {
  const std::lock_guard lock(mutex_);
  if (stopping_) return;
  waiting_.push_back(std::move(job));
  if (!threaded_) return;
  if (idle_ < waiting_.size() && threads_.size() < limit_) {
    threads_.emplace_back([this] { work(); });
  } else {
    changed_.notify_one();
  }
}

void Lanes::cancel(const Actor* actor, std::string_view key) {
  std::unique_lock lock(mutex_);
  for (const Running& running : running_) {
    if (running.actor == actor && running.key == key) running.context->cancel();
  }
  const auto at = std::find_if(waiting_.begin(), waiting_.end(),
                               [&](const LaneJob& job) { return job.actor == actor && job.job.key == key; });
  if (at == waiting_.end()) return;
  LaneJob job = std::move(*at);
  waiting_.erase(at);
  lock.unlock();
  finished_(std::move(job), Error(ErrorCode::kCancelled, "the job was cancelled before it began"));
}

bool Lanes::run_one() {
  std::unique_lock lock(mutex_);
  CHECK(!threaded_);
  if (waiting_.empty() || stopping_) return false;
  run(lock);
  return true;
}

std::size_t Lanes::waiting() const {
  const std::lock_guard lock(mutex_);
  return waiting_.size();
}

void Lanes::stop() {
  std::vector<std::thread> threads;
  {
    const std::lock_guard lock(mutex_);
    stopping_ = true;
    waiting_.clear();
    for (const Running& running : running_) running.context->cancel();
    changed_.notify_all();
    threads = std::exchange(threads_, {});
  }
  for (std::thread& thread : threads) thread.join();
}

void Lanes::work() {
  std::unique_lock lock(mutex_);
  while (!stopping_) {
    if (waiting_.empty()) {
      ++idle_;
      changed_.wait(lock, [this] { return stopping_ || !waiting_.empty(); });
      --idle_;
    } else {
      run(lock);
    }
  }
}

// Takes the oldest waiting job and runs it unlocked.
void Lanes::run(std::unique_lock<std::mutex>& lock) {
  LaneJob job = std::move(waiting_.front());
  waiting_.pop_front();
  Context context(clock_, random_);
  running_.push_back({job.actor, job.job.key, &context});
  lock.unlock();
  Result<std::string> result = run_guarded(job, context);
  lock.lock();
  std::erase_if(running_, [&](const Running& running) { return running.context == &context; });
  lock.unlock();
  finished_(std::move(job), std::move(result));
  lock.lock();
}

}  // namespace nuraghe::exchange
