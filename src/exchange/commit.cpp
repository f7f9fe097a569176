#include "base/log.hpp"
#include "exchange/exchange_impl.hpp"

namespace nuraghe::exchange {
namespace {

// Until events that could not be committed are tried again.
constexpr Duration kPauseAfterFailure = std::chrono::milliseconds(500);
// How often a batch takes in what came while it was handled, when nothing is committed meanwhile.
constexpr int kMostRounds = 8;
// To commit in another thread is worth it for so many events.
constexpr std::size_t kWorthThread = 12;

// Whether trying again is of no use.
bool is_fatal(const Error& error) { return !error.is_transient() && error.code() != ErrorCode::kExhausted; }

}  // namespace

void ExchangeImpl::commit_or_go_on() {
  // One sync at a time. Without writes there is nothing to commit, but what was read may not be synced.
  if (unsynced_) return;
  const std::size_t handled = open_->events.size();
  const std::size_t waiting = mailbox_->size();
  if (waiting == 0) return commit(options_.late_syncs);
  if (handled >= options_.batch_limit) return commit(options_.late_syncs || overlaps());
  // A part of what is there goes first, so that the turns of the rest run beside it.
  if (overlaps()) {
    if (handled >= std::max(waiting / 2, kWorthThread)) commit(true);
    return;
  }
  // What came meanwhile, such as the answers of services that had nothing to write, shares the commit.
  if (open_->rounds > kMostRounds) commit(options_.late_syncs);
}

void ExchangeImpl::commit(bool ahead) {
  if (Status found = find_next_timer(open_->batch); !found) return undo_open(found.error());
  store::Transaction& transaction = *open_->batch.transaction;
  const bool writes = transaction.has_writes();
  if (writes && dies(CrashPoint::kBeforeCommit)) return;
  if (Status committed = ahead ? transaction.commit_ahead() : transaction.commit(); !committed) {
    return undo_open(committed.error());
  }
  std::unique_ptr<Work> work = std::move(open_);
  work->batch.transaction.reset();
  state_.last_sequence += work->batch.published;
  work->newest_event = state_.last_sequence;
  if (ahead && writes) {
    state_.unsynced_writers = work->batch.writers;
    unsynced_ = std::move(work);
    if (!options_.late_syncs) syncer_.start(*store_, [this] { mailbox_->wake(); });
    return;
  }
  count(*work);
  if (!writes || !dies(CrashPoint::kAfterCommit)) release(*work);
}

Status ExchangeImpl::find_next_timer(Batch& batch) {
  if (!batch.timers_changed) return {};
  TRY_ASSIGN(const auto first, batch.transaction->scan(state_.tables.timers, "", "", 1));
  next_timer_ = first.empty() ? std::nullopt : std::optional(TimePoint{number_of(first.front().key)});
  return {};
}

void ExchangeImpl::land() {
  // What is committed may still be lost here.
  if (options_.late_syncs && dies(CrashPoint::kBeforeCommit)) return;
  Status synced = options_.late_syncs ? store_->sync() : syncer_.take();
  if (!synced && !is_fatal(synced.error())) return recover(synced.error());
  if (!synced) return fail(synced.error());
  finish_unsynced();
}

void ExchangeImpl::finish_unsynced() {
  if (dies(CrashPoint::kAfterCommit)) return;
  const std::unique_ptr<Work> work = std::move(unsynced_);
  state_.unsynced_writers.clear();
  count(*work);
  release(*work);
}

// What is open has read what may not have happened: it happens again in any case.
void ExchangeImpl::recover(const Error& error) {
  const std::unique_ptr<Work> open = std::move(open_);
  if (open) open->batch.transaction.reset();
  Status recovered = store_->recover();
  if (recovered) {
    finish_unsynced();
  } else {
    const std::unique_ptr<Work> work = std::move(unsynced_);
    state_.unsynced_writers.clear();
    state_.last_sequence -= work->batch.published;
    undo_work(*work, recovered.error());
  }
  if (dead_) return;
  for (Actor* actor : actors_) actor->on_rollback();
  if (open) undo_work(*open, recovered ? error : recovered.error());
  if (!recovered && is_fatal(recovered.error())) fail(recovered.error());
}

void ExchangeImpl::count(const Work& work) {
  const std::lock_guard lock(mutex_);
  statistics_.events += static_cast<std::int64_t>(work.events.size());
  if (work.batch.timers_changed && work.events.empty()) ++statistics_.events;
  ++statistics_.batches;
  statistics_.newest_event = work.newest_event;
  statistics_.store = store_->statistics();
}

void ExchangeImpl::undo_open(const Error& error) {
  if (dead_) return;
  const std::unique_ptr<Work> work = std::move(open_);
  work->batch.transaction.reset();
  for (Actor* actor : actors_) actor->on_rollback();
  undo_work(*work, error);
  if (is_fatal(error)) fail(error);
}

// The work did not happen. Its requests are refused; what the exchange owes to its actors is tried again later.
void ExchangeImpl::undo_work(Work& work, const Error& error) {
  Batch& batch = work.batch;
  // Which timer is the first, the rows will tell.
  if (batch.timers_changed) next_timer_ = TimePoint{};
  for (const std::string& id : batch.answered) {
    if (const auto at = state_.pending.find(id); at != state_.pending.end()) at->second.answered = false;
  }
  const bool fatal = is_fatal(error);
  if (!fatal) {
    log_warning("exchange", "a batch could not be committed; its events are tried again",
                {{"exchange", options_.name}, {"error", error.to_string()}});
    refuse_arrivals(batch, error);
  }
  const TimePoint due = state_.clock->now() + kPauseAfterFailure;
  timers_paused_until_ = due;
  refuse_events(work, fatal ? unavailable("the service has stopped") : error);
  for (Incoming& incoming : work.events) {
    if (!std::holds_alternative<RequestEvent>(incoming) && !std::holds_alternative<PostEvent>(incoming)) {
      delayed_.emplace(due, std::move(incoming));
    }
  }
}

// Those whose callers can try again.
void ExchangeImpl::refuse_events(Work& work, const Error& refusal) {
  for (Incoming& incoming : work.events) {
    if (auto* request = std::get_if<RequestEvent>(&incoming)) {
      if (request->handler) request->handler(refusal);
    } else if (auto* post = std::get_if<PostEvent>(&incoming)) {
      if (post->done) post->done(refusal);
    }
  }
}

// Answers those who came with a batch that did not happen.
void ExchangeImpl::refuse_arrivals(const Batch& batch, const Error& error) {
  for (const Arrival& arrival : batch.arrived) {
    auto node = state_.pending.extract(arrival.request_id);
    if (node.empty()) continue;
    for (DeliveryHandler& waiter : node.mapped().waiters) {
      if (arrival.ran && error.code() == ErrorCode::kExhausted) {
        waiter(fault_reply(node.mapped().context, arrival.request_id, error, node.mapped().context.actor,
                           state_.clock->now()));
      } else {
        waiter(unavailable(error.to_string()));
      }
    }
  }
}

}  // namespace nuraghe::exchange
