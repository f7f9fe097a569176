#include "api/event_feed.hpp"

#include <algorithm>

namespace nuraghe::api {

namespace {

constexpr std::size_t kPage = 1000;

}  // namespace

std::shared_ptr<EventFeed> EventFeed::make(exchange::Exchange& exchange, Runner run) {
  std::shared_ptr<EventFeed> feed(new EventFeed(exchange, std::move(run)));
  exchange.on_published([weak = std::weak_ptr(feed)](std::int64_t newest) {
    if (const auto self = weak.lock()) self->published(newest);
  });
  return feed;
}

void EventFeed::read(std::int64_t after, std::size_t limit, Callback done) {
  exchange_.read_events(after, limit, [self = shared_from_this(), done = std::move(done)](Events events) {
    self->call(done, std::make_shared<const Events>(std::move(events)));
  });
}

std::uint64_t EventFeed::wait(std::int64_t after, Callback done) {
  std::uint64_t ticket = 0;
  bool due = false;
  {
    const std::lock_guard lock(mutex_);
    ticket = next_ticket_++;
    waiters_.emplace(ticket, Waiter{after, std::move(done)});
    // Published between the caller's read and now: nobody would wake it.
    due = newest_ > after && !fetching_;
    if (due) fetching_ = true;
  }
  if (due) fetch();
  return ticket;
}

void EventFeed::cancel(std::uint64_t ticket) {
  Waiter dropped;
  const std::lock_guard lock(mutex_);
  const auto at = waiters_.find(ticket);
  if (at == waiters_.end()) return;
  dropped = std::move(at->second);
  waiters_.erase(at);
}

std::size_t EventFeed::waiting() const {
  const std::lock_guard lock(mutex_);
  return waiters_.size();
}

void EventFeed::published(std::int64_t newest) {
  {
    const std::lock_guard lock(mutex_);
    newest_ = std::max(newest_, newest);
    if (fetching_ || waiters_.empty()) return;
    fetching_ = true;
  }
  fetch();
}

// One read for all who wait: they stand close together, since a waiter has caught up before it waits.
void EventFeed::fetch() {
  std::int64_t from = 0;
  {
    const std::lock_guard lock(mutex_);
    from = newest_;
    for (const auto& [ticket, waiter] : waiters_) from = std::min(from, waiter.after);
  }
  exchange_.read_events(from, kPage, [self = shared_from_this()](Events events) {
    std::map<std::uint64_t, Waiter> served;
    const std::int64_t last = events.empty() ? 0 : events.back().sequence;
    bool again = false;
    {
      const std::lock_guard lock(self->mutex_);
      for (auto at = self->waiters_.begin(); at != self->waiters_.end();) {
        const auto here = at++;
        if (here->second.after < last) served.insert(self->waiters_.extract(here));
      }
      // Published meanwhile, and somebody waits who did not get it. Nothing read: nothing more will be either.
      again = !events.empty() && std::any_of(self->waiters_.begin(), self->waiters_.end(),
                                             [&self](const auto& entry) { return entry.second.after < self->newest_; });
      self->fetching_ = again;
    }
    self->distribute(std::move(served), std::move(events));
    if (again) self->fetch();
  });
}

void EventFeed::distribute(std::map<std::uint64_t, Waiter> waiters, Events events) {
  const auto all = std::make_shared<const Events>(std::move(events));
  for (auto& [ticket, waiter] : waiters) {
    if (waiter.after < all->front().sequence) {
      call(std::move(waiter.done), all);
      continue;
    }
    Events later;
    for (const exchange::Event& event : *all) {
      if (event.sequence > waiter.after) later.push_back(event);
    }
    call(std::move(waiter.done), std::make_shared<const Events>(std::move(later)));
  }
}

void EventFeed::call(Callback done, std::shared_ptr<const Events> events) const {
  if (!run_) return done(std::move(events));
  run_([done = std::move(done), events = std::move(events)] { done(events); });
}

}  // namespace nuraghe::api
