// What the turns of one exchange share: its tables, the requests that wait for their answer, and the batch in hand.
// Only the exchange's thread touches it.
#pragma once

#include <deque>
#include <functional>
#include <memory>
#include <string>
#include <string_view>
#include <unordered_map>
#include <variant>
#include <vector>

#include "exchange/exchange.hpp"
#include "exchange/mailbox.hpp"
#include "exchange/rows.hpp"

namespace nuraghe::exchange {

struct StringHash {
  using is_transparent = void;
  std::size_t operator()(std::string_view text) const { return std::hash<std::string_view>()(text); }
};

// What a reply takes over from its request.
struct RequestContext {
  std::string actor, operation, vo, conversation, traceparent, fingerprint{};
  std::optional<OpenSpan> span{};
};

// A request that somebody waits for.
struct Pending {
  RequestContext context;
  std::vector<DeliveryHandler> waiters;
  bool answered = false;  // by a turn of the batch in hand: the effect will answer the waiters
};

struct SendEffect {
  Message message;
  Tries tries;
};
struct ReplyEffect {
  std::string request_id;
  Message reply;
};
struct StartJobEffect {
  std::string actor;
  Job job;
  std::int64_t generation = 0;
};
struct CancelJobEffect {
  std::string actor;
  std::string key;
};
struct CallEffect {
  std::function<void()> call;
};
using Effect = std::variant<SendEffect, ReplyEffect, StartJobEffect, CancelJobEffect, CallEffect>;

// A request that came into State::pending by this batch and is answered by it, if it commits.
struct Arrival {
  std::string request_id;
  bool ran = false;  // a turn was run; else its first answer was found
};

// One group commit: the transaction and what is to be done after it. Vectors only grow while a turn runs, so it is
// undone by cutting them back to their sizes before it.
struct Batch {
  std::unique_ptr<store::Transaction> transaction;
  std::vector<Effect> effects;
  std::vector<Arrival> arrived;
  std::vector<std::string> answered;      // requests whose Pending::answered this batch set
  std::vector<std::string_view> writers;  // actors with a turn that wrote
  std::vector<Span> spans;                // that ended
  std::int64_t published = 0;
  std::int64_t jobs_started = 0;
  bool timers_changed = false;
};

// Events whose turns have been run, and what is to be done when they are committed.
struct Work {
  std::deque<Incoming> events;
  Batch batch;
  std::int64_t newest_event = 0;  // the last sequence, after its commit
  int rounds = 0;                 // how often events were taken in
  bool timers_run = false;        // those that were due
};

struct State {
  Tables tables;
  env::Clock* clock = nullptr;
  env::Random* random = nullptr;
  std::unordered_map<std::string, Pending, StringHash, std::equal_to<>> pending;
  Recorder* recorder = nullptr;    // may be null
  std::string name;                // of the exchange
  bool keeps_spans = false;        // somebody takes them
  std::uint64_t span_seed = 0;     // of the next span's id; 0: none was drawn yet
  std::int64_t last_sequence = 0;  // of the committed events
  std::int64_t last_number = 0;    // of jobs and requests sent; unique for ever: the epoch is its upper half
  std::int64_t jobs_waiting = 0;   // on the lanes and unsynced, as of the batch's begin
  std::int64_t job_limit = 0;
  std::vector<std::string_view> unsynced_writers;  // actors with a turn whose commit is not synced
};

}  // namespace nuraghe::exchange
