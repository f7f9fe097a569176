// EarlyAnswer: a change that goes on in the background is answered with 202 before its end, if its client prefers that
// (Prefer: respond-async, RFC 7240 §4.1), as soon as it is known where its outcome will be seen.
//
// What is there already is at its own path: the answer leaves after a moment, in which most refusals come. What is to
// be made is at a path that its first event tells: the one that carries the request's trace. Whatever comes
// first, this or the operation's own answer, is the answer. Thread safe.
#pragma once

#include <functional>
#include <memory>
#include <mutex>
#include <optional>
#include <string>

#include "api/event_feed.hpp"
#include "base/units.hpp"
#include "net/http_server.hpp"

namespace nuraghe::api {

struct EarlyAnswerOptions {
  std::string location;             // empty: an event tells it
  std::string vo;                   // of the events that count
  std::string traceparent;          // that they carry
  std::optional<Duration> wait;     // how long the client likes to wait for the operation's own answer
  std::shared_ptr<EventFeed> feed;  // needed without a location
  // Where an event's subject is found; empty: the event does not tell.
  std::function<std::string(const exchange::Event&)> location_of;
  // Called at most once, with the location.
  std::function<void(const std::string& location)> answer;
};

class EarlyAnswer : public std::enable_shared_from_this<EarlyAnswer> {
 public:
  explicit EarlyAnswer(EarlyAnswerOptions options);
  // Before the request is handed over.
  void begin(net::HttpServer& server);
  // The operation's own answer is there, or the client is gone.
  void end();

 private:
  void listen(std::int64_t after);
  void take(std::int64_t after, const EventFeed::Events& events);
  void due();
  void answer_if_known(std::unique_lock<std::mutex> lock);

  const EarlyAnswerOptions options_;
  std::mutex mutex_;  // guards all below; never held while somebody is called
  std::string location_;
  bool waited_ = false;
  bool done_ = false;
  std::uint64_t ticket_ = 0;
  std::shared_ptr<net::Timer> timer_;
};

}  // namespace nuraghe::api
