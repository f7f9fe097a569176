// Mailbox: the events that an exchange has not handled yet, put in by any thread, taken out by the exchange's own.
//
// Bound: requests and posts are refused when `limit` events wait. Replies, job results and what the exchange puts in
// itself are always taken: their number is bounded by the outbox and the jobs.
#pragma once

#include <condition_variable>
#include <deque>
#include <functional>
#include <map>
#include <mutex>
#include <string>
#include <variant>
#include <vector>

#include "exchange/exchange.hpp"

namespace nuraghe::exchange {

struct StartEvent {
  std::size_t actor = 0;
};
struct RequestEvent {
  std::string actor;
  Message message;
  DeliveryHandler handler;
};
// The tries to deliver one of our requests.
struct Tries {
  TimePoint deadline;
  Duration patience = Duration::max();  // how long they may fail one after the other
  int failed = 0;                       // before this one
  std::optional<TimePoint> failing_since{};
};
// What one of them came to.
struct OutcomeEvent {
  std::string message_id;
  Tries tries;
  Result<Message> outcome;
};
struct ResendEvent {
  std::string message_id;
  Tries tries;  // its deadline and patience stand in the row
};
struct JobEvent {
  std::string actor;
  std::string key;
  std::int64_t generation = 0;
  Result<std::string> result;
};
// A job row that an earlier process left.
struct RestartJobEvent {
  std::string owned_key;
};
struct PostEvent {
  std::string actor;
  std::function<Status(Turn&)> work;
  std::function<void(Status)> done;
};
struct ReadEventsEvent {
  std::int64_t after = 0;
  std::size_t limit = 0;
  std::function<void(std::vector<Event>)> done;
};
struct CollectEvent {
  std::string after;  // the last key that was looked at
  std::int64_t erased = 0;
  std::function<void(std::int64_t)> done;
};
// One page of looking for events that go.
struct TrimEvent {
  bool erases = false;                          // else it counts
  std::string after;                            // the last key that was looked at
  std::map<std::string, std::int64_t> surplus;  // VO → how many there are; when erasing: how many have to go
};
using Incoming = std::variant<StartEvent, RequestEvent, OutcomeEvent, ResendEvent, JobEvent, RestartJobEvent, PostEvent,
                              ReadEventsEvent, CollectEvent, TrimEvent>;

class Mailbox : public Inbox {
 public:
  explicit Mailbox(std::size_t limit) : limit_(limit) {}

  void request(std::string actor, Message request, DeliveryHandler handler) override;
  void request_here(std::string actor, Message request, DeliveryHandler handler) override;
  // What request_here runs in place of a thread that waits; true: that one is to be woken. An empty one: nothing.
  void set_helper(std::function<bool()> helper);
  // Of an Incoming that is bounded: kExhausted when full. kUnavailable when closed. Not taken then.
  Status post(PostEvent event);
  // Never refused but by a closed mailbox, which drops it.
  void put(Incoming event);

  // Appends at most `limit` events in the order of their coming.
  void take(std::deque<Incoming>& out, std::size_t limit);
  std::size_t size() const;
  // Until something is there, wake() is called (both: true), or the span is over. `helped`: meanwhile another thread
  // may run the helper, which has ended when this returns.
  bool wait(Duration span, bool helped);
  void wake();
  // Returns what is left; from now on everything is refused.
  std::deque<Incoming> close();
  // As a process that is killed: drops what is left and everything that comes, and answers nobody.
  void kill();

 private:
  Status admit() const;
  void notify() {
    if (waiting_ && !helping_) changed_.notify_one();
  }

  const std::size_t limit_;
  mutable std::mutex mutex_;
  std::condition_variable changed_;
  std::deque<Incoming> events_;
  bool woken_ = false;
  std::function<bool()> helper_;
  bool waiting_ = false;
  bool takes_help_ = false;  // while it waits
  bool helping_ = false;     // the helper runs
  bool overslept_ = false;   // the span is over, but the helper still runs
  bool closed_ = false;
  bool killed_ = false;
};

}  // namespace nuraghe::exchange
