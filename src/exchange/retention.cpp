#include "base/record.hpp"
#include "exchange/exchange_impl.hpp"

namespace nuraghe::exchange {
namespace {

// A conversation was last seen alive by a collection, which may have been up to a period before its end.
constexpr Duration kSlack = std::chrono::hours(2);

}  // namespace

Status ExchangeImpl::stage_stored_answer(Batch& batch, const std::string& request_id, const InboxRow& row,
                                         Result<Message> reply) {
  if (!reply) {
    stage_reply(batch, request_id, fault_reply({}, request_id, reply.error(), row.actor, state_.clock->now()));
    return {};
  }
  const TimePoint now = state_.clock->now();
  if (now - row.time > options_.answer_retention / 2) {
    InboxRow asked = row;
    asked.time = now;
    TRY(batch.transaction->put(state_.tables.inbox, request_id, encode_record(asked)));
  }
  stage_reply(batch, request_id, std::move(*reply));
  return {};
}

Result<bool> ExchangeImpl::may_be_erased(Batch& batch, const InboxRow& row, TimePoint now) {
  if (row.reply.empty() || now - row.time < options_.answer_retention) return false;
  if (row.conversation.empty()) return true;
  if (probe_ && probe_(row.conversation)) {
    TRY(batch.transaction->put(state_.tables.conversations, row.conversation, encode_record(ConversationRow{now})));
    return false;
  }
  TRY_ASSIGN(const auto stored, batch.transaction->get(state_.tables.conversations, row.conversation));
  if (!stored) return true;
  TRY_ASSIGN(const ConversationRow seen, decode_record<ConversationRow>(*stored));
  return now - seen.alive >= options_.answer_retention + kSlack;
}

// One page; the next one follows as an event of its own, so that others get their turn in between.
Status ExchangeImpl::handle(Batch& batch, CollectEvent& event) {
  const TimePoint now = state_.clock->now();
  TRY_ASSIGN(const auto rows, batch.transaction->scan(state_.tables.inbox, "", event.after, kRowsAtOnce));
  std::int64_t erased = event.erased;
  for (const store::Row& stored : rows) {
    TRY_ASSIGN(const InboxRow row, decode_record<InboxRow>(stored.value));
    TRY_ASSIGN(const bool erasable, may_be_erased(batch, row, now));
    if (!erasable) continue;
    TRY(batch.transaction->erase(state_.tables.inbox, stored.key));
    ++erased;
  }
  if (rows.size() == kRowsAtOnce) {
    batch.effects.emplace_back(
        CallEffect{[this, next = CollectEvent{rows.back().key, erased, event.done}] { mailbox_->put(next); }});
    return {};
  }
  TRY(collect_conversations(batch, now));
  batch.effects.emplace_back(CallEffect{[this] { mailbox_->put(TrimEvent{}); }});
  if (event.done) batch.effects.emplace_back(CallEffect{[done = event.done, erased] { done(erased); }});
  return {};
}

Status ExchangeImpl::collect_conversations(Batch& batch, TimePoint now) {
  std::string after;
  for (;;) {
    TRY_ASSIGN(const auto rows, batch.transaction->scan(state_.tables.conversations, "", after, kRowsAtOnce));
    for (const store::Row& stored : rows) {
      TRY_ASSIGN(const ConversationRow row, decode_record<ConversationRow>(stored.value));
      if (now - row.alive < options_.answer_retention + kSlack) continue;
      TRY(batch.transaction->erase(state_.tables.conversations, stored.key));
    }
    if (rows.size() < kRowsAtOnce) return {};
    after = rows.back().key;
  }
}

}  // namespace nuraghe::exchange
