#include "base/log.hpp"
#include "exchange/exchange_impl.hpp"

namespace nuraghe::exchange {
namespace {

// Until events that could not be committed are tried again.
constexpr Duration kPauseAfterFailure = std::chrono::milliseconds(500);

}  // namespace

bool ExchangeImpl::dies(CrashPoint point) {
  if (dead_) return true;
  // The store passes the points of its commits itself.
  if (point == CrashPoint::kBeforeSend) pass_crash_point(point);
  if (!options_.crash_hook || !options_.crash_hook(point)) return false;
  dead_ = true;
  failed_ = true;
  mailbox_->kill();
  return true;
}

void ExchangeImpl::finish(std::vector<Incoming>& events, Batch& batch) {
  std::optional<TimePoint> next_timer = next_timer_;
  if (batch.timers_changed) {
    const auto first = batch.transaction->scan(state_.tables.timers, "", "", 1);
    if (!first) return undo_batch(events, batch, first.error());
    next_timer = first->empty() ? std::nullopt : std::optional(TimePoint{number_of(first->front().key)});
  }
  const bool writes = batch.transaction->has_writes();
  if (writes && dies(CrashPoint::kBeforeCommit)) return;
  if (Status committed = batch.transaction->commit(); !committed) return undo_batch(events, batch, committed.error());
  if (writes && dies(CrashPoint::kAfterCommit)) return;
  batch.transaction.reset();
  next_timer_ = next_timer;
  state_.last_sequence += batch.published;
  {
    const std::lock_guard lock(mutex_);
    statistics_.events += static_cast<std::int64_t>(events.size());
    if (batch.timers_changed && events.empty()) ++statistics_.events;
    ++statistics_.batches;
    statistics_.newest_event = state_.last_sequence;
    statistics_.store = store_->statistics();
  }
  release(batch);
}

// The batch did not happen. Its requests are refused; what the exchange owes to its actors is tried again later.
void ExchangeImpl::undo_batch(std::vector<Incoming>& events, Batch& batch, const Error& error) {
  if (dead_) return;
  batch.transaction.reset();
  for (Actor* actor : actors_) actor->on_rollback();
  for (const std::string& id : batch.answered) {
    if (const auto at = state_.pending.find(id); at != state_.pending.end()) at->second.answered = false;
  }
  const bool fatal = !error.is_transient() && error.code() != ErrorCode::kExhausted;
  if (!fatal) {
    log_warning("exchange", "a batch could not be committed; its events are tried again",
                {{"exchange", options_.name}, {"error", error.to_string()}});
    refuse_arrivals(batch, error);
  }
  const TimePoint due = state_.clock->now() + kPauseAfterFailure;
  timers_paused_until_ = due;
  const Error refusal = fatal ? unavailable("the service has stopped") : error;
  for (Incoming& incoming : events) {
    if (auto* request = std::get_if<RequestEvent>(&incoming)) {
      if (request->handler) request->handler(refusal);
    } else if (auto* post = std::get_if<PostEvent>(&incoming)) {
      if (post->done) post->done(refusal);
    } else {
      delayed_.emplace(due, std::move(incoming));
    }
  }
  if (fatal) fail(error);
}

// Answers those who came with a batch that did not happen.
void ExchangeImpl::refuse_arrivals(const Batch& batch, const Error& error) {
  for (const Arrival& arrival : batch.arrived) {
    auto node = state_.pending.extract(arrival.request_id);
    if (node.empty()) continue;
    for (DeliveryHandler& waiter : node.mapped().waiters) {
      if (arrival.ran && error.code() == ErrorCode::kExhausted) {
        waiter(fault_reply(node.mapped().context, arrival.request_id, error, options_.name));
      } else {
        waiter(unavailable(error.to_string()));
      }
    }
  }
}

void ExchangeImpl::release(Batch& batch) {
  for (Effect& effect : batch.effects) {
    if (dead_) return;
    std::visit([this](auto& one) { release(one); }, effect);
  }
  if (dead_ || batch.published == 0) return;
  std::vector<std::function<void(std::int64_t)>> observers;
  {
    const std::lock_guard lock(mutex_);
    observers = observers_;
  }
  for (const auto& observer : observers) observer(state_.last_sequence);
}

void ExchangeImpl::release(SendEffect& effect) {
  if (dies(CrashPoint::kBeforeSend)) return;
  {
    const std::lock_guard lock(mutex_);
    ++statistics_.messages_sent;
  }
  std::string id = effect.message.message_id;
  router_.attempt(std::move(effect.message), [mailbox = mailbox_, id = std::move(id), deadline = effect.deadline,
                                              attempt = effect.attempt](Result<Message> outcome) {
    mailbox->put(OutcomeEvent{id, deadline, attempt, std::move(outcome)});
  });
}

void ExchangeImpl::release(ReplyEffect& effect) {
  auto node = state_.pending.extract(effect.request_id);
  if (node.empty()) return;  // nobody waits since a restart: a repeat gets the row
  std::vector<DeliveryHandler>& waiters = node.mapped().waiters;
  for (std::size_t i = 0; i < waiters.size(); ++i) {
    if (dies(CrashPoint::kBeforeSend)) return;
    {
      const std::lock_guard lock(mutex_);
      ++statistics_.replies_sent;
    }
    if (i + 1 < waiters.size())
      waiters[i](Message(effect.reply));
    else
      waiters[i](std::move(effect.reply));
  }
}

void ExchangeImpl::release(StartJobEffect& effect) {
  Actor* actor = find_actor(effect.actor);
  lanes_.submit({actor, std::move(effect.job), effect.generation});
}

void ExchangeImpl::release(CancelJobEffect& effect) { lanes_.cancel(find_actor(effect.actor), effect.key); }

}  // namespace nuraghe::exchange
