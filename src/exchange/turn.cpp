#include "exchange/turn.hpp"

#include <fmt/format.h>

#include <algorithm>

#include "base/check.hpp"
#include "base/record.hpp"
#include "exchange/spans.hpp"

namespace nuraghe::exchange {

// ---- the actor's view of the transaction ----

Result<std::optional<std::string>> ActorTurn::GuardedTransaction::get(store::Table table, std::string_view key) {
  return inner_.get(table, key);
}
Status ActorTurn::GuardedTransaction::put(store::Table table, std::string_view key, std::string_view value) {
  turn_.note_write();
  return inner_.put(table, key, value);
}
Status ActorTurn::GuardedTransaction::insert(store::Table table, std::string_view key, std::string_view value) {
  turn_.note_write();
  return inner_.insert(table, key, value);
}
Status ActorTurn::GuardedTransaction::erase(store::Table table, std::string_view key) {
  turn_.note_write();
  return inner_.erase(table, key);
}
Status ActorTurn::GuardedTransaction::erase_prefix(store::Table table, std::string_view prefix) {
  turn_.note_write();
  return inner_.erase_prefix(table, prefix);
}
Result<std::vector<store::Row>> ActorTurn::GuardedTransaction::scan(store::Table table, std::string_view prefix,
                                                                    std::string_view after, std::size_t limit) {
  return inner_.scan(table, prefix, after, limit);
}
Status ActorTurn::GuardedTransaction::mark() { return internal("a turn must not set marks: the exchange does"); }
Status ActorTurn::GuardedTransaction::rollback_to_mark() { return mark(); }
Status ActorTurn::GuardedTransaction::commit() { return internal("a turn must not commit: the exchange does"); }

// ---- the turn ----

ActorTurn::ActorTurn(State& state, Batch& batch, std::string_view actor, std::string_view request)
    : state_(state),
      batch_(batch),
      actor_(actor),
      request_(request),
      now_(state.clock->now()),
      guarded_(*batch.transaction, *this),
      effects_before_(batch.effects.size()),
      answered_before_(batch.answered.size()),
      spans_before_(batch.spans.size()),
      published_before_(batch.published),
      jobs_before_(batch.jobs_started) {}

void ActorTurn::note_write() {
  if (std::exchange(wrote_, true)) return;
  if (std::ranges::find(batch_.writers, actor_) == batch_.writers.end()) batch_.writers.push_back(actor_);
}

const Message* ActorTurn::own_answer() const {
  return own_answer_ ? &std::get<ReplyEffect>(batch_.effects[*own_answer_]).reply : nullptr;
}

std::optional<Message> ActorTurn::kept_answer() const {
  if (!own_answer_) return std::nullopt;
  Message kept = *own_answer();
  if (kept_answer_) kept.body = kept_answer_;
  return kept;
}

bool ActorTurn::is_clean_answer() const {
  const auto contains = [this](const auto& writers) { return std::ranges::find(writers, actor_) != writers.end(); };
  return !wrote_ && own_answer_ && !contains(batch_.writers) && !contains(state_.unsynced_writers);
}

Status ActorTurn::undo() {
  TRY(batch_.transaction->rollback_to_mark());
  batch_.effects.resize(effects_before_, CallEffect{});
  for (std::size_t i = answered_before_; i < batch_.answered.size(); ++i) {
    if (const auto at = state_.pending.find(batch_.answered[i]); at != state_.pending.end()) {
      at->second.answered = false;
    }
  }
  batch_.answered.resize(answered_before_);
  batch_.spans.resize(spans_before_);
  batch_.published = published_before_;
  batch_.jobs_started = jobs_before_;
  own_answer_.reset();
  kept_answer_.reset();
  wrote_ = false;
  return {};
}

Status ActorTurn::send(Message request, std::string token, TimePoint deadline, Duration patience) {
  if (request.message_id.empty()) return internal("a request is sent without message_id");
  if (request.to.empty()) return invalid(fmt::format("request {} is sent to no address", request.operation));
  note_write();
  if (span_ != nullptr && request.traceparent.empty()) {
    request.traceparent = span_->traceparent;
    request.tracestate = span_->tracestate;
  }
  OutboxRow row;
  row.actor = std::string(actor_);
  row.token = std::move(token);
  row.deadline = deadline;
  row.patience = patience;
  row.one_way = request.one_way;
  row.wants_receipt = request.wants_receipt;
  row.order = ++state_.last_number;
  row.message = encode_message(request);
  TRY(rows().insert(state_.tables.outbox, request.message_id, encode_record(row)));
  request.is_first_try = !request.is_passed_on;
  request.is_from_outside = false;
  batch_.effects.emplace_back(SendEffect{std::move(request), {deadline, patience}});
  return {};
}

Status ActorTurn::forget(std::string_view message_id) {
  TRY_ASSIGN(const auto row, rows().get(state_.tables.outbox, message_id));
  if (!row) return {};
  note_write();
  return rows().erase(state_.tables.outbox, message_id);
}

Status ActorTurn::reply(std::string_view request_id, xml::DocumentPtr body) {
  return answer(request_id, std::move(body), std::nullopt);
}

Status Turn::reply_once(std::string_view request_id, xml::DocumentPtr, xml::DocumentPtr kept) {
  return reply(request_id, std::move(kept));
}

Status ActorTurn::reply_once(std::string_view request_id, xml::DocumentPtr body, xml::DocumentPtr kept) {
  if (request_id != request_) return internal("what must not be kept is answered in the turn of its request alone");
  TRY(answer(request_id, std::move(body), std::nullopt));
  kept_answer_ = std::move(kept);
  return {};
}

Status ActorTurn::reply_fault(std::string_view request_id, Fault fault) {
  return answer(request_id, nullptr, std::move(fault));
}

Result<std::optional<RequestContext>> ActorTurn::unanswered(std::string_view request_id) {
  if (const auto at = state_.pending.find(request_id); at != state_.pending.end()) {
    if (at->second.answered) return std::optional<RequestContext>();
    return std::optional<RequestContext>(at->second.context);
  }
  TRY_ASSIGN(const auto stored, rows().get(state_.tables.inbox, request_id));
  if (!stored) return std::optional<RequestContext>();
  TRY_ASSIGN(InboxRow row, decode_record<InboxRow>(*stored));
  if (!row.reply.empty()) return std::optional<RequestContext>();
  if (row.span) row.traceparent = row.span->traceparent;
  return std::optional<RequestContext>(RequestContext{std::move(row.actor), std::move(row.operation), std::move(row.vo),
                                                      std::move(row.conversation), std::move(row.traceparent),
                                                      std::move(row.fingerprint), std::move(row.span)});
}

Status ActorTurn::answer(std::string_view request_id, xml::DocumentPtr body, std::optional<Fault> fault) {
  TRY_ASSIGN(const auto context, unanswered(request_id));
  if (!context) return {};
  Message reply;
  reply.message_id = env::make_uuid_urn(*state_.random);
  reply.relates_to = std::string(request_id);
  reply.operation = context->operation;
  reply.vo = context->vo;
  reply.conversation = context->conversation;
  reply.traceparent = context->traceparent;
  reply.body = std::move(body);
  reply.fault = std::move(fault);
  end_request(state_, batch_, *context, reply);
  if (const auto at = state_.pending.find(request_id); at != state_.pending.end()) {
    at->second.answered = true;
    batch_.answered.emplace_back(request_id);
  }
  if (request_id == request_) {
    // Whether it needs a row is known at the turn's end.
    own_answer_ = batch_.effects.size();
  } else {
    note_write();
    TRY(write_answer_row(request_id, *context, reply));
    if (state_.recorder != nullptr) TRY(state_.recorder->on_answered(rows(), now_, request_id, reply));
  }
  batch_.effects.emplace_back(ReplyEffect{std::string(request_id), std::move(reply)});
  return {};
}

Status ActorTurn::write_answer_row(std::string_view request_id, const RequestContext& context, const Message& reply) {
  return write_inbox_row(request_id, context, encode_message(reply));
}

Status ActorTurn::write_inbox_row(std::string_view request_id, const RequestContext& context, std::string reply) {
  InboxRow row;
  row.actor = context.actor;
  row.time = now_;
  // A reply that stands here has its own copies of the rest.
  row.conversation = context.conversation;
  row.fingerprint = context.fingerprint;
  if (reply.empty()) {
    row.operation = context.operation;
    row.vo = context.vo;
    row.span = context.span;
    if (!row.span) row.traceparent = context.traceparent;
  }
  row.reply = std::move(reply);
  return rows().put(state_.tables.inbox, request_id, encode_record(row));
}

Status ActorTurn::write_request_row(bool one_way) {
  CHECK(!request_.empty());
  if (one_way && !own_answer_) TRY(answer(request_, nullptr, std::nullopt));
  if (!wrote_) return {};
  const Pending& pending = state_.pending.find(request_)->second;
  if (!own_answer_) return write_inbox_row(request_, pending.context, "");
  if (!kept_answer_) return write_answer_row(request_, pending.context, *own_answer());
  return write_answer_row(request_, pending.context, *kept_answer());
}

Status ActorTurn::start_job(Job job) {
  const std::string key = owned_key(actor_, job.key);
  TRY_ASSIGN(const auto there, rows().get(state_.tables.jobs, key));
  if (there) return conflict(fmt::format("job {} of {} is there already", job.key, actor_));
  if (state_.jobs_waiting + batch_.jobs_started >= state_.job_limit) {
    return exhausted(fmt::format("{} jobs wait already; try again later", state_.job_limit));
  }
  note_write();
  ++batch_.jobs_started;
  const std::int64_t generation = ++state_.last_number;
  const JobRow row{job.payload, generation, false, begin_job(state_, span_, actor_)};
  TRY(rows().insert(state_.tables.jobs, key, encode_record(row)));
  batch_.effects.emplace_back(StartJobEffect{std::string(actor_), std::move(job), generation});
  return {};
}

Status ActorTurn::cancel_job(std::string_view key) {
  const std::string owned = owned_key(actor_, key);
  TRY_ASSIGN(const auto stored, rows().get(state_.tables.jobs, owned));
  if (!stored) return {};
  TRY_ASSIGN(JobRow row, decode_record<JobRow>(*stored));
  if (row.cancelled) return {};
  note_write();
  row.cancelled = true;
  TRY(rows().put(state_.tables.jobs, owned, encode_record(row)));
  batch_.effects.emplace_back(CancelJobEffect{std::string(actor_), std::string(key)});
  return {};
}

// Removes both rows of a timer, if it is there.
Status ActorTurn::erase_timer(std::string_view owned) {
  TRY_ASSIGN(const auto stored, rows().get(state_.tables.timer_index, owned));
  if (!stored) return {};
  TRY_ASSIGN(const TimerRow row, decode_record<TimerRow>(*stored));
  note_write();
  batch_.timers_changed = true;
  TRY(rows().erase(state_.tables.timers, due_key(row.due, owned)));
  return rows().erase(state_.tables.timer_index, owned);
}

Status ActorTurn::set_timer(std::string_view key, TimePoint due) {
  const std::string owned = owned_key(actor_, key);
  TRY(erase_timer(owned));
  note_write();
  batch_.timers_changed = true;
  TRY(rows().insert(state_.tables.timer_index, owned, encode_record(TimerRow{due})));
  return rows().insert(state_.tables.timers, due_key(due, owned), "");
}

Status ActorTurn::cancel_timer(std::string_view key) { return erase_timer(owned_key(actor_, key)); }

Status ActorTurn::publish(Event event) {
  note_write();
  event.sequence = state_.last_sequence + batch_.published + 1;
  event.time = now_;
  if (span_ != nullptr) event.attributes.try_emplace("traceparent", span_->traceparent);
  ++batch_.published;
  return rows().insert(state_.tables.events, ordered_number(event.sequence), encode_record(event));
}

}  // namespace nuraghe::exchange
