#include "exchange/mailbox.hpp"

#include <fmt/format.h>

namespace nuraghe::exchange {

Status Mailbox::admit(std::unique_lock<std::mutex>& lock) const {
  static_cast<void>(lock);
  if (closed_) return unavailable("the service has stopped");
  if (events_.size() >= limit_) return exhausted(fmt::format("{} requests wait already; try again later", limit_));
  return {};
}

void Mailbox::request(std::string actor, Message request, DeliveryHandler handler) {
  std::unique_lock lock(mutex_);
  if (killed_) return;
  if (Status admitted = admit(lock); !admitted) {
    lock.unlock();
    handler(std::move(admitted).error());
    return;
  }
  events_.emplace_back(RequestEvent{std::move(actor), std::move(request), std::move(handler)});
  if (waiting_) changed_.notify_one();
}

Status Mailbox::post(PostEvent event) {
  std::unique_lock lock(mutex_);
  if (killed_) return {};
  TRY(admit(lock));
  events_.emplace_back(std::move(event));
  if (waiting_) changed_.notify_one();
  return {};
}

void Mailbox::put(Incoming event) {
  const std::lock_guard lock(mutex_);
  if (closed_ || killed_) return;
  events_.push_back(std::move(event));
  if (waiting_) changed_.notify_one();
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

bool Mailbox::wait(Duration span) {
  std::unique_lock lock(mutex_);
  waiting_ = true;
  const bool came = changed_.wait_for(lock, span, [this] { return woken_ || !events_.empty(); });
  waiting_ = false;
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
