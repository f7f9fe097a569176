#include <fmt/format.h>

#include <algorithm>

#include "base/log.hpp"
#include "base/record.hpp"
#include "exchange/exchange_impl.hpp"
#include "exchange/question.hpp"
#include "exchange/spans.hpp"

namespace nuraghe::exchange {
namespace {

constexpr Duration kFirstPause = std::chrono::milliseconds(100);
constexpr Duration kLongestPause = std::chrono::seconds(5);
// Events that are handled before it is looked whether a sync is done.
constexpr std::size_t kRound = 8;
// Requests of one turn that are handled in its batch: others wait for it.
constexpr std::size_t kMostWithin = 16;

// Whether another try may succeed.
bool may_retry(ErrorCode code) {
  return code == ErrorCode::kUnavailable || code == ErrorCode::kTimeout || code == ErrorCode::kExhausted;
}

// Doubled with each try, then spread over 75 to 125 %, so that those who failed together do not return together.
Duration pause_before(int attempt, env::Random& random) {
  Duration pause = kFirstPause;
  for (int i = 0; i < attempt && pause < kLongestPause; ++i) pause *= 2;
  pause = std::min(pause, kLongestPause);
  std::uint8_t chance = 0;
  random.fill({&chance, 1});
  return pause * (192 + chance / 2) / 256;
}

}  // namespace

Message fault_reply(const RequestContext& context, const std::string& request_id, const Error& error,
                    std::string_view originator, TimePoint at) {
  Message reply;
  reply.relates_to = request_id;
  reply.operation = context.operation;
  reply.vo = context.vo;
  reply.conversation = context.conversation;
  reply.traceparent = context.traceparent;
  reply.fault = fault_of(error, originator, at);
  return reply;
}

bool ExchangeImpl::advance() {
  const bool took = take_turns();
  if (!open_ || failed_) return took;
  commit_or_go_on();
  return took || !open_;
}

bool ExchangeImpl::take_turns() {
  const std::size_t taken = open_ ? open_->events.size() : 0;
  if (taken >= options_.batch_limit) return false;
  if (!is_anything_due()) return false;
  Status status;
  if (!open_) status = begin_work();
  collect(open_->events, std::min(taken + (overlaps() ? kRound : options_.batch_limit), options_.batch_limit));
  ++open_->rounds;
  if (status) status = handle_from(taken, *open_);
  if (!status) undo_open(status.error());
  return true;
}

Status ExchangeImpl::begin_work() {
  open_ = std::make_unique<Work>();
  state_.jobs_waiting = static_cast<std::int64_t>(jobs_waiting());
  if (unsynced_) state_.jobs_waiting += unsynced_->batch.jobs_started;
  TRY_ASSIGN(open_->batch.transaction, store_->begin());
  return {};
}

Status ExchangeImpl::handle_from(std::size_t first, Work& work) {
  // An actor sees on_start before any timer: timers that became due meanwhile wait.
  const auto is_start = [](const Incoming& event) { return std::holds_alternative<StartEvent>(event); };
  const bool starting =
      std::any_of(work.events.begin() + static_cast<std::ptrdiff_t>(first), work.events.end(), is_start);
  if (!starting && !work.timers_run && timers_are_due()) {
    work.timers_run = true;
    TRY(handle_due_timers(work.batch));
  }
  for (std::size_t i = first; i < work.events.size(); ++i) {
    TRY(std::visit([&](auto& event) { return handle(work.batch, event); }, work.events[i]));
  }
  return {};
}

Status ExchangeImpl::undo(ActorTurn& turn, Actor& actor, std::string_view what, const Error& error) {
  // Who asks for what is not there is told so; that is nothing to look after. So is a look of the process itself
  // (post).
  const auto level = error.code() == ErrorCode::kNotFound && (what.starts_with("request ") || what == "post")
                         ? LogLevel::kDebug
                         : LogLevel::kWarning;
  log_line(level, "exchange", "a turn was undone",
           {{"exchange", options_.name},
            {"actor", std::string(actor.name())},
            {"event", std::string(what)},
            {"error", error.to_string()}});
  TRY(turn.undo());
  actor.on_rollback();
  return {};
}

Actor* ExchangeImpl::find_actor(std::string_view name) const {
  for (Actor* actor : actors_) {
    if (actor->name() == name) return actor;
  }
  return nullptr;
}

Status ExchangeImpl::handle_due_timers(Batch& batch) {
  const TimePoint now = state_.clock->now();
  store::Transaction& rows = *batch.transaction;
  TRY_ASSIGN(const auto due, rows.scan(state_.tables.timers, "", "", options_.batch_limit));
  batch.timers_changed = true;
  for (const store::Row& row : due) {
    if (number_of(row.key) > now.micros) break;
    // A turn of this batch may have cancelled it.
    TRY_ASSIGN(const auto there, rows.get(state_.tables.timers, row.key));
    if (!there) continue;
    const std::string owned = row.key.substr(8);
    TRY(rows.erase(state_.tables.timers, row.key));
    TRY(rows.erase(state_.tables.timer_index, owned));
    const OwnedKey key = split_owned_key(owned);
    Actor* actor = find_actor(key.actor);
    if (actor == nullptr) {
      log_warning("exchange", "a timer of an actor that is no more", {{"actor", key.actor}, {"timer", key.key}});
      continue;
    }
    ActorTurn turn(state_, batch, actor->name());
    TRY(turn.begin());
    if (Status status = actor->on_timer(turn, key.key); !status) {
      TRY(undo(turn, *actor, "timer " + key.key, status.error()));
    }
  }
  return {};
}

Status ExchangeImpl::handle(Batch& batch, StartEvent& event) {
  Actor& actor = *actors_[event.actor];
  ActorTurn turn(state_, batch, actor.name());
  TRY(turn.begin());
  if (Status status = actor.on_start(turn); !status) TRY(undo(turn, actor, "start", status.error()));
  return {};
}

void ExchangeImpl::attach(Pending& pending, DeliveryHandler handler) {
  // Each repeat is a sender that gave up the try before it.
  constexpr std::size_t kMostWaiters = 16;
  if (pending.waiters.size() >= kMostWaiters) {
    DeliveryHandler oldest = std::move(pending.waiters.front());
    pending.waiters.erase(pending.waiters.begin());
    oldest(unavailable("later repeats of this request wait for its answer"));
  }
  pending.waiters.push_back(std::move(handler));
}

void ExchangeImpl::stage_reply(Batch& batch, const std::string& request_id, Message reply) {
  reply.message_id = reply.message_id.empty() ? env::make_uuid_urn(*state_.random) : reply.message_id;
  if (const auto at = state_.pending.find(request_id); at != state_.pending.end()) {
    at->second.answered = true;
    batch.answered.push_back(request_id);
  }
  batch.effects.emplace_back(ReplyEffect{request_id, std::move(reply)});
}

namespace {

// A message id tells a repeat only to who sent the request: nobody else joins it or gets its answer.
bool is_same_request(const RequestEvent& event, std::string_view actor, std::string_view operation, std::string_view vo,
                     std::string_view fingerprint) {
  return event.actor == actor && event.message.operation == operation && event.message.vo == vo &&
         event.message.fingerprint == fingerprint;
}

Status refuse_id(RequestEvent& event) {
  const DeliveryHandler handler = std::exchange(event.handler, nullptr);
  handler(conflict(
      fmt::format("the message id {} belongs to another request: each request has its own", event.message.message_id)));
  return {};
}

}  // namespace

Status ExchangeImpl::handle(Batch& batch, RequestEvent& event) {
  Message& request = event.message;
  // Without an id there are no repeats: every such request is a new one.
  if (request.message_id.empty()) request.message_id = env::make_uuid_urn(*state_.random);
  const std::string& id = request.message_id;
  if (const auto known = state_.pending.find(id); known != state_.pending.end()) {
    // It is being worked on, or answered within this batch.
    const RequestContext& context = known->second.context;
    if (!is_same_request(event, context.actor, context.operation, context.vo, context.fingerprint))
      return refuse_id(event);
    attach(known->second, std::exchange(event.handler, nullptr));
    return {};
  }
  std::optional<InboxRow> row;
  std::optional<Result<Message>> answer;
  if (!request.is_first_try) {
    TRY_ASSIGN(const auto stored, batch.transaction->get(state_.tables.inbox, id));
    if (stored) {
      TRY_ASSIGN(row, decode_record<InboxRow>(*stored));
      if (!row->reply.empty()) answer = decode_message(row->reply);
      const bool told = answer && *answer;
      const std::string& operation = told ? (*answer)->operation : row->operation;
      const std::string& vo = told ? (*answer)->vo : row->vo;
      if ((told || !answer) && !is_same_request(event, row->actor, operation, vo, row->fingerprint))
        return refuse_id(event);
    }
  }
  // Until here who asks is told by the event itself when the batch is undone; from here on by what arrived.
  const auto at = state_.pending.try_emplace(id).first;
  at->second.context = {event.actor,          request.operation,   request.vo,
                        request.conversation, request.traceparent, request.fingerprint};
  batch.arrived.push_back({id, false});
  attach(at->second, std::exchange(event.handler, nullptr));
  if (row && !answer) return {};  // being worked on since before a restart
  if (row) return stage_stored_answer(batch, id, *row, std::move(*answer));
  batch.arrived.back().ran = true;
  const bool is_from_outside = request.is_from_outside;
  const std::size_t effects_before = batch.effects.size();
  Actor* actor = find_actor(event.actor);
  if (actor == nullptr) {
    const Error error = not_found(fmt::format("there is no service {} here", event.actor));
    stage_reply(batch, id, fault_reply(at->second.context, id, error, event.actor, state_.clock->now()));
    return {};
  }
  TRY(run_request(batch, event, *actor));
  return is_from_outside ? go_on_within(batch, effects_before) : Status();
}

Status ExchangeImpl::go_on_within(Batch& batch, std::size_t effects_before) {
  std::vector<RequestEvent> requests;
  for (std::size_t i = effects_before; i < batch.effects.size() && requests.size() < kMostWithin;) {
    auto* const sent = std::get_if<SendEffect>(&batch.effects[i]);
    const bool overtakes_nothing = sent != nullptr && sent->message.starts_conversation;
    auto within = overtakes_nothing ? router_.within(sent->message, *mailbox_) : std::nullopt;
    if (!within) {
      ++i;
      continue;
    }
    sent->message.to = std::move(within->to);
    const std::string id = sent->message.message_id;
    requests.push_back({std::move(within->actor), std::move(sent->message),
                        [mailbox = mailbox_, id, tries = sent->tries](Result<Message> outcome) {
                          mailbox->put(OutcomeEvent{id, tries, std::move(outcome)});
                        }});
    batch.effects.erase(batch.effects.begin() + static_cast<std::ptrdiff_t>(i));
  }
  for (RequestEvent& request : requests) TRY(handle(batch, request));
  const std::lock_guard lock(mutex_);
  statistics_.messages_sent += static_cast<std::int64_t>(requests.size());
  return {};
}

Status ExchangeImpl::check(ActorTurn& turn, const Message& request) {
  const Precondition& precondition = *request.precondition;
  Message question = precondition.question;
  question.message_id = request.message_id;
  Actor* asked = find_actor(precondition.actor);
  if (asked == nullptr) return internal(fmt::format("there is no service {} to ask first", precondition.actor));
  return precondition.check(answer_within(turn, *asked, question));
}

Status ExchangeImpl::run_request(Batch& batch, RequestEvent& event, Actor& actor) {
  RequestContext& context = state_.pending.find(event.message.message_id)->second.context;
  context.span = begin_request(state_, event.message);
  if (context.span) context.traceparent = context.span->traceparent;
  const Message& request = event.message;
  ActorTurn turn(state_, batch, actor.name(), request.message_id);
  turn.set_span(context.span ? &*context.span : nullptr);
  TRY(turn.begin());
  Status status = request.precondition ? check(turn, request) : Status();
  if (status) status = actor.on_request(turn, request);
  Recorder* const recorder = request.origin.empty() ? nullptr : state_.recorder;
  const bool records = recorder != nullptr && recorder->records(request);
  if (status) {
    TRY(turn.write_request_row(request.one_way));
    if (records) {
      const auto answer = turn.kept_answer();
      return recorder->on_handled(*batch.transaction, turn.now(), request, answer ? &*answer : nullptr);
    }
    // Nothing hangs on the commit: the answer need not wait for it.
    if (turn.is_clean_answer()) answer_at_once(batch);
    return {};
  }
  TRY(undo(turn, actor, "request " + request.operation, status.error()));
  // Where it came to says which one of several it is.
  const std::string_view originator = request.to.starts_with('/') ? std::string_view(request.to) : actor.name();
  Message reply = fault_reply(context, request.message_id, status.error(), originator, turn.now());
  end_request(state_, batch, context, reply);
  if (records) TRY(recorder->on_handled(*batch.transaction, turn.now(), request, &reply));
  stage_reply(batch, request.message_id, std::move(reply));
  return {};
}

// The batch's last effect, of its last arrival, is the answer.
void ExchangeImpl::answer_at_once(Batch& batch) {
  ReplyEffect answer = std::get<ReplyEffect>(std::move(batch.effects.back()));
  batch.effects.pop_back();
  batch.answered.pop_back();
  batch.arrived.pop_back();
  release(answer);
}

bool ExchangeImpl::retry_later(Batch& batch, const OutcomeEvent& event) {
  if (!may_retry(event.outcome.error().code())) return false;
  Tries tries = event.tries;
  const TimePoint now = state_.clock->now();
  if (!tries.failing_since) tries.failing_since = now;
  const TimePoint due = now + pause_before(tries.failed, *state_.random);
  if (due > tries.deadline || due - *tries.failing_since > tries.patience) return false;
  ++tries.failed;
  batch.effects.emplace_back(
      CallEffect{[this, due, resend = ResendEvent{event.message_id, tries}] { delayed_.emplace(due, resend); }});
  return true;
}

Status ExchangeImpl::handle(Batch& batch, OutcomeEvent& event) {
  if (event.outcome) return handle_reply(batch, event.message_id, *event.outcome);
  if (retry_later(batch, event)) return {};
  Error error = event.outcome.error();
  if (may_retry(error.code())) {
    error = unavailable(fmt::format("gave up after {} tries: {}", event.tries.failed + 1, error.to_string()));
  }
  return handle_reply(batch, event.message_id, fault_reply({}, event.message_id, error, "", state_.clock->now()));
}

Status ExchangeImpl::handle_reply(Batch& batch, const std::string& message_id, const Message& reply) {
  TRY_ASSIGN(const auto stored, batch.transaction->get(state_.tables.outbox, message_id));
  if (!stored) return {};  // forgotten, or answered before
  TRY_ASSIGN(const OutboxRow row, decode_record<OutboxRow>(*stored));
  TRY(batch.transaction->erase(state_.tables.outbox, message_id));
  if (row.one_way && !row.wants_receipt) {
    if (reply.fault) {
      log_warning("exchange", "a one-way message was refused",
                  {{"actor", row.actor}, {"message", message_id}, {"fault", reply.fault->reason}});
    }
    return {};
  }
  Actor* actor = find_actor(row.actor);
  if (actor == nullptr) {
    log_warning("exchange", "a reply to an actor that is no more", {{"actor", row.actor}, {"message", message_id}});
    return {};
  }
  ActorTurn turn(state_, batch, actor->name());
  TRY(turn.begin());
  if (Status status = actor->on_reply(turn, reply, row.token); !status) {
    TRY(undo(turn, *actor, "reply to " + message_id, status.error()));
  }
  return {};
}

Status ExchangeImpl::handle(Batch& batch, ResendEvent& event) {
  TRY_ASSIGN(const auto stored, batch.transaction->get(state_.tables.outbox, event.message_id));
  if (!stored) return {};
  TRY_ASSIGN(const OutboxRow row, decode_record<OutboxRow>(*stored));
  auto message = decode_message(row.message);
  if (!message) {
    return handle_reply(batch, event.message_id,
                        fault_reply({}, event.message_id, message.error(), "", state_.clock->now()));
  }
  Tries tries = event.tries;
  tries.deadline = row.deadline;
  tries.patience = row.patience;
  batch.effects.emplace_back(SendEffect{std::move(*message), tries});
  return {};
}

Status ExchangeImpl::handle(Batch& batch, JobEvent& event) {
  const std::string owned = owned_key(event.actor, event.key);
  TRY_ASSIGN(const auto stored, batch.transaction->get(state_.tables.jobs, owned));
  if (!stored) return {};
  TRY_ASSIGN(JobRow row, decode_record<JobRow>(*stored));
  if (row.generation != event.generation) return {};
  TRY(batch.transaction->erase(state_.tables.jobs, owned));
  Actor* actor = find_actor(event.actor);
  if (actor == nullptr) {
    log_warning("exchange", "a job of an actor that is no more", {{"actor", event.actor}, {"job", event.key}});
    return {};
  }
  end_job(state_, batch, row.span, event.key, event.result);
  ActorTurn turn(state_, batch, actor->name());
  turn.set_span(row.span ? &*row.span : nullptr);
  TRY(turn.begin());
  const Job job{event.key, std::move(row.payload)};
  if (Status status = actor->on_job(turn, job, event.result); !status) {
    TRY(undo(turn, *actor, "job " + event.key, status.error()));
  }
  return {};
}

Status ExchangeImpl::handle(Batch& batch, RestartJobEvent& event) {
  TRY_ASSIGN(const auto stored, batch.transaction->get(state_.tables.jobs, event.owned_key));
  if (!stored) return {};
  TRY_ASSIGN(JobRow row, decode_record<JobRow>(*stored));
  OwnedKey key = split_owned_key(event.owned_key);
  // Whose actor is no more, or which was to be cancelled, is finished without being run.
  if (row.cancelled || find_actor(key.actor) == nullptr) {
    JobEvent finished{std::move(key.actor), std::move(key.key), row.generation,
                      Error(ErrorCode::kCancelled, "the job was cancelled before a restart")};
    return handle(batch, finished);
  }
  batch.effects.emplace_back(
      StartJobEffect{std::move(key.actor), {std::move(key.key), std::move(row.payload)}, row.generation});
  return {};
}

Status ExchangeImpl::handle(Batch& batch, PostEvent& event) {
  Status status = not_found(fmt::format("there is no service {} here", event.actor));
  if (Actor* actor = find_actor(event.actor); actor != nullptr) {
    ActorTurn turn(state_, batch, actor->name());
    TRY(turn.begin());
    status = event.work(turn);
    if (!status) TRY(undo(turn, *actor, "post", status.error()));
  }
  if (event.done) {
    batch.effects.emplace_back(CallEffect{[done = event.done, status = std::move(status)] { done(status); }});
  }
  return {};
}

Status ExchangeImpl::handle(Batch& batch, ReadEventsEvent& event) {
  TRY_ASSIGN(const auto rows,
             batch.transaction->scan(state_.tables.events, "", ordered_number(event.after), event.limit));
  std::vector<Event> found;
  found.reserve(rows.size());
  for (const store::Row& row : rows) {
    TRY_ASSIGN(Event decoded, decode_record<Event>(row.value));
    found.push_back(std::move(decoded));
  }
  batch.effects.emplace_back(
      CallEffect{[done = event.done, found = std::move(found)]() mutable { done(std::move(found)); }});
  return {};
}

}  // namespace nuraghe::exchange
