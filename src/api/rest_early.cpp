#include "api/rest_early.hpp"

#include <algorithm>
#include <utility>

#include "exchange/trace.hpp"

namespace nuraghe::api {

namespace {

bool is_of_one_trace(std::string_view one, std::string_view other) {
  const auto first = exchange::parse_traceparent(one);
  const auto second = exchange::parse_traceparent(other);
  return first && second && first->trace == second->trace;
}

// Most operations that are refused are refused within it.
constexpr Duration kMoment = std::chrono::milliseconds(200);

}  // namespace

EarlyAnswer::EarlyAnswer(EarlyAnswerOptions options) : options_(std::move(options)), location_(options_.location) {}

void EarlyAnswer::begin(net::HttpServer& server) {
  const bool must_listen = location_.empty();
  const Duration wait = options_.wait.value_or(must_listen ? Duration(0) : kMoment);
  if (must_listen && options_.feed) listen(options_.feed->newest());
  if (wait.count() == 0) return due();
  auto timer = server.run_after(wait, [self = shared_from_this()] { self->due(); });
  const std::lock_guard lock(mutex_);
  if (done_) return timer->cancel();
  timer_ = std::move(timer);
}

void EarlyAnswer::end() {
  std::uint64_t ticket = 0;
  std::shared_ptr<net::Timer> timer;
  {
    const std::lock_guard lock(mutex_);
    done_ = true;
    ticket = std::exchange(ticket_, 0);
    timer = std::move(timer_);
  }
  if (ticket != 0) options_.feed->cancel(ticket);
  if (timer) timer->cancel();
}

void EarlyAnswer::listen(std::int64_t after) {
  {
    const std::lock_guard lock(mutex_);
    if (done_ || !location_.empty()) return;
  }
  const std::uint64_t ticket = options_.feed->wait(
      after, [self = shared_from_this(), after](const auto& events) { self->take(after, *events); });
  bool late = false;
  {
    const std::lock_guard lock(mutex_);
    late = done_;
    // The callback may have come first, and listened again.
    if (!late) ticket_ = std::max(ticket_, ticket);
  }
  if (late) options_.feed->cancel(ticket);
}

void EarlyAnswer::take(std::int64_t after, const EventFeed::Events& events) {
  for (const exchange::Event& event : events) {
    after = event.sequence;
    const auto trace = event.attributes.find("traceparent");
    if (event.vo != options_.vo || trace == event.attributes.end() ||
        !is_of_one_trace(trace->second, options_.traceparent))
      continue;
    std::string location = options_.location_of(event);
    if (location.empty()) continue;
    std::unique_lock lock(mutex_);
    location_ = std::move(location);
    return answer_if_known(std::move(lock));
  }
  listen(after);
}

void EarlyAnswer::due() {
  std::unique_lock lock(mutex_);
  waited_ = true;
  answer_if_known(std::move(lock));
}

void EarlyAnswer::answer_if_known(std::unique_lock<std::mutex> lock) {
  if (done_ || !waited_ || location_.empty()) return;
  done_ = true;
  lock.unlock();
  options_.answer(location_);
}

}  // namespace nuraghe::api
