// The exchange's own rows: their records and keys (docs/formats/exchange.md).
#pragma once

#include <optional>
#include <string>
#include <string_view>

#include "base/units.hpp"
#include "exchange/trace.hpp"
#include "store/store.hpp"

namespace nuraghe::exchange {

// Key: message_id. There while the request is neither answered nor forgotten.
struct OutboxRow {
  std::string actor;
  std::string token;
  TimePoint deadline;
  bool one_way = false;
  std::string message;     // encode_message
  std::int64_t order = 0;  // of sending: after a restart the oldest goes first
  Duration patience = Duration::max();
  bool wants_receipt = false;
  template <class V>
  void fields(V& v) {
    v(1, actor), v(2, token), v(3, deadline), v(4, one_way), v(5, message), v(6, order), v(7, patience),
        v(8, wants_receipt);
  }
};

// Key: the request's message_id. Pending while `reply` is empty, then the first answer.
struct InboxRow {
  std::string actor;
  TimePoint time;  // of the request; once answered: when the answer was last needed
  std::string operation, vo, conversation, traceparent;
  std::string reply;  // encode_message
  std::string fingerprint;
  std::optional<OpenSpan> span;  // while it is not answered
  template <class V>
  void fields(V& v) {
    v(1, actor), v(2, time), v(3, operation), v(4, vo), v(5, conversation), v(6, traceparent), v(7, reply);
    v(8, fingerprint), v(9, span);
  }
};

// Key: owned_key(actor, job key). There until on_job was committed.
struct JobRow {
  std::string payload;
  std::int64_t generation = 0;  // tells this job from an earlier one with its key; ascending
  bool cancelled = false;
  std::optional<OpenSpan> span;
  template <class V>
  void fields(V& v) {
    v(1, payload), v(2, generation), v(3, cancelled), v(4, span);
  }
};

// Table timer_index, key: owned_key(actor, timer key). Table timers, key: due_key, empty value: in order of time.
struct TimerRow {
  TimePoint due;
  template <class V>
  void fields(V& v) {
    v(1, due);
  }
};

// Table conversations, key: conversation. When an answer's old conversation was last seen alive.
struct ConversationRow {
  TimePoint alive;
  template <class V>
  void fields(V& v) {
    v(1, alive);
  }
};

struct Tables {
  store::Table outbox, inbox, jobs, timers, timer_index, events, conversations;
};
Result<Tables> open_tables(store::Store& store);

// How many rows a scan asks for at once.
constexpr std::size_t kRowsAtOnce = 256;

// actor, a zero byte, key. Actors' names hold no zero byte.
std::string owned_key(std::string_view actor, std::string_view key);
struct OwnedKey {
  std::string actor;
  std::string key;
};
OwnedKey split_owned_key(std::string_view stored);

// Eight bytes whose bytewise order is the numbers' order.
std::string ordered_number(std::int64_t number);
std::int64_t number_of(std::string_view ordered);

// ordered_number(due), then owned_key.
std::string due_key(TimePoint due, std::string_view owned);

}  // namespace nuraghe::exchange
