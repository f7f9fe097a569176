#include "exchange/mailbox.hpp"

#include <fmt/format.h>

namespace nuraghe::exchange {

Status Mailbox::admit() const {
  if (closed_) return unavailable("the service has stopped");
  if (events_.size() >= limit_) return exhausted(fmt::format("{} requests wait already; try again later", limit_));
  return {};
}

void Mailbox::request(std::string actor, Message request, DeliveryHandler handler) {
  std::unique_lock lock(mutex_);
  if (killed_) return;
  if (Status admitted = admit(); !admitted) {
    lock.unlock();
    handler(std::move(admitted).error());
    return;
  }
  events_.emplace_back(RequestEvent{std::move(actor), std::move(request), std::move(handler)});
  notify();
}

void Mailbox::request_here(std::string actor, Message request, DeliveryHandler handler) {
  std::unique_lock lock(mutex_);
  const bool helps = waiting_ && takes_help_ && !helping_ && !woken_ && events_.empty() && helper_ && !closed_;
  if (!helps) {
    lock.unlock();
    return this->request(std::move(actor), std::move(request), std::move(handler));
  }
  events_.emplace_back(RequestEvent{std::move(actor), std::move(request), std::move(handler)});
  // From here on the thread that waits does not go on until this one has ended.
  helping_ = true;
  lock.unlock();
  const bool is_to_wake = helper_();
  lock.lock();
  helping_ = false;
  woken_ = woken_ || is_to_wake;
  if (woken_ || overslept_ || !events_.empty()) changed_.notify_one();
}

void Mailbox::set_helper(std::function<bool()> helper) {
  const std::lock_guard lock(mutex_);
  helper_ = std::move(helper);
}

Status Mailbox::post(PostEvent event) {
  const std::lock_guard lock(mutex_);
  if (killed_) return {};
  TRY(admit());
  events_.emplace_back(std::move(event));
  notify();
  return {};
}

void Mailbox::put(Incoming event) {
  const std::lock_guard lock(mutex_);
  if (closed_ || killed_) return;
  events_.push_back(std::move(event));
  notify();
}

void Mailbox::take(std::deque<Incoming>& out, std::size_t limit) {
  const std::lock_guard lock(mutex_);
  for (; limit > 0 && !events_.empty(); --limit) {
    out.push_back(std::move(events_.front()));
    events_.pop_front();
  }
}

std::size_t Mailbox::size() const {
  const std::lock_guard lock(mutex_);
  return events_.size();
}

bool Mailbox::wait(Duration span, bool helped) {
  std::unique_lock lock(mutex_);
  waiting_ = true;
  takes_help_ = helped;
  const auto has_come = [this] { return woken_ || !events_.empty(); };
  changed_.wait_for(lock, span, [&] { return !helping_ && has_come(); });
  overslept_ = helping_;
  changed_.wait(lock, [this] { return !helping_; });
  overslept_ = false;
  waiting_ = false;
  const bool came = has_come();
  woken_ = false;
  return came;
}

void Mailbox::wake() {
  const std::lock_guard lock(mutex_);
  woken_ = true;
  changed_.notify_one();
}

std::deque<Incoming> Mailbox::close() {
  const std::lock_guard lock(mutex_);
  closed_ = true;
  return std::exchange(events_, {});
}

void Mailbox::kill() {
  const std::lock_guard lock(mutex_);
  killed_ = closed_ = true;
  events_.clear();
}

}  // namespace nuraghe::exchange
