// EventFeed: lets any number of followers wait for an exchange's events with one read of the store per commit, and no
// polling.
//
// A follower reads until it has caught up, then waits; wait() answers once, as soon as there is something after its
// cursor. Callbacks run on the exchange's thread unless `run` of the options moves them; they must not block.
// Thread safe. The exchange must outlive the feed's use, not the feed itself.
#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <vector>

#include "exchange/exchange.hpp"

namespace nuraghe::api {

class EventFeed : public std::enable_shared_from_this<EventFeed> {
 public:
  using Events = std::vector<exchange::Event>;
  using Callback = std::function<void(std::shared_ptr<const Events>)>;
  // Moves a callback to another thread; empty: it is called where it is.
  using Runner = std::function<void(std::function<void()>)>;

  // Observes the exchange from now on.
  static std::shared_ptr<EventFeed> make(exchange::Exchange& exchange, Runner run);

  // What there is after the sequence number now, at most `limit`, perhaps nothing.
  void read(std::int64_t after, std::size_t limit, Callback done);
  // The sequence of the newest event.
  std::int64_t newest() const { return exchange_.statistics().newest_event; }
  // Calls back once when there are events after the number: at once when there are already, else after the commit that
  // brings them. Some of them may be left out at the end: read on. The returned ticket is for cancel().
  std::uint64_t wait(std::int64_t after, Callback done);
  // The callback is dropped, or has begun already.
  void cancel(std::uint64_t ticket);
  std::size_t waiting() const;

 private:
  struct Waiter {
    std::int64_t after = 0;
    Callback done;
  };
  EventFeed(exchange::Exchange& exchange, Runner run) : exchange_(exchange), run_(std::move(run)) {}
  void published(std::int64_t newest);
  void fetch();
  void distribute(std::map<std::uint64_t, Waiter> waiters, Events events);
  void call(Callback done, std::shared_ptr<const Events> events) const;

  exchange::Exchange& exchange_;
  const Runner run_;
  mutable std::mutex mutex_;  // guards all below; never held while somebody is called
  std::int64_t newest_ = 0;   // of the events published since the feed was made
  bool fetching_ = false;
  std::uint64_t next_ticket_ = 1;
  std::map<std::uint64_t, Waiter> waiters_;
};

}  // namespace nuraghe::api
