#include "exchange/exchange.hpp"

#include <fmt/format.h>

#include <algorithm>

#include "base/check.hpp"
#include "base/log.hpp"
#include "base/memory.hpp"
#include "base/record.hpp"
#include "exchange/exchange_impl.hpp"

namespace nuraghe::exchange {
namespace {

// How often answers that nobody can ask for any more are looked for.
constexpr Duration kCollectionPeriod = std::chrono::hours(1);
// Soon after a start, so that a process that is started often collects as well.
constexpr Duration kFirstCollection = std::chrono::minutes(10);
// After so long without an event the store may tidy up.
constexpr Duration kQuiet = std::chrono::seconds(1);
// The longest wait: the clock on the wall may be set.
constexpr Duration kLongestWait = std::chrono::seconds(5);
// How often who brings a request takes in what follows from it before the exchange's own thread goes on.
constexpr int kMostHelp = 8;
// Who brings requests has other callers too: after he was kept so long he is left alone for a while.
constexpr Duration kLongHelp = std::chrono::milliseconds(5);
constexpr Duration kPauseOfHelp = std::chrono::seconds(1);

}  // namespace

ExchangeImpl::ExchangeImpl(std::unique_ptr<store::Store> store, Router& router, ExchangeOptions options)
    : options_(std::move(options)),
      router_(router),
      mailbox_(std::make_shared<Mailbox>(options_.mailbox_limit)),
      store_(std::move(store)),
      lanes_(options_.lanes, *options_.clock, *options_.random,
             [this](LaneJob job, Result<std::string> result) { job_ended(std::move(job), std::move(result)); }) {
  CHECK(options_.batch_limit > 0);
  for (const auto& [actor, limit] : options_.own_lanes)
    own_lanes_.try_emplace(
        actor, limit, *options_.clock, *options_.random,
        [this](LaneJob job, Result<std::string> result) { job_ended(std::move(job), std::move(result)); });
  state_.clock = options_.clock;
  state_.random = options_.random;
  state_.recorder = options_.recorder;
  state_.name = options_.name;
  state_.keeps_spans = static_cast<bool>(options_.on_spans);
  state_.job_limit = static_cast<std::int64_t>(options_.job_limit);
}

ExchangeImpl::~ExchangeImpl() { stop(); }

void ExchangeImpl::job_ended(LaneJob job, Result<std::string> result) {
  {
    const std::lock_guard lock(mutex_);
    ++statistics_.jobs_run;
  }
  mailbox_->put(JobEvent{std::string(job.actor->name()), std::move(job.job.key), job.generation, std::move(result)});
}

Lanes& ExchangeImpl::lanes_of(std::string_view actor) {
  const auto own = own_lanes_.find(actor);
  return own == own_lanes_.end() ? lanes_ : own->second;
}

bool ExchangeImpl::run_one_job() {
  if (lanes_.run_one()) return true;
  return std::ranges::any_of(own_lanes_, [](auto& own) { return own.second.run_one(); });
}

std::size_t ExchangeImpl::jobs_waiting() const {
  std::size_t waiting = lanes_.waiting();
  for (const auto& [actor, lanes] : own_lanes_) waiting += lanes.waiting();
  return waiting;
}

void ExchangeImpl::add_actor(Actor& actor) {
  CHECK(!opened_);
  CHECK(find_actor(actor.name()) == nullptr);
  CHECK(!actor.name().empty() && actor.name().find('\0') == std::string_view::npos);
  actors_.push_back(&actor);
}

Status ExchangeImpl::open() {
  CHECK(!opened_);
  opened_ = true;
  TRY_ASSIGN(const std::int64_t epoch, store_->acquire(options_.name));
  state_.last_number = epoch << 32;
  TRY_ASSIGN(state_.tables, open_tables(*store_));
  for (Actor* actor : actors_) TRY(actor->open(*store_));
  for (std::size_t i = 0; i < actors_.size(); ++i) mailbox_->put(StartEvent{i});
  next_collection_ = state_.clock->now() + kFirstCollection;
  return queue_what_is_left();
}

Status ExchangeImpl::queue_what_is_left() {
  TRY_ASSIGN(const auto transaction, store_->begin());
  TRY(find_last_sequence(*transaction));
  TRY_ASSIGN(const auto first_timer, transaction->scan(state_.tables.timers, "", "", 1));
  if (!first_timer.empty()) next_timer_ = TimePoint{number_of(first_timer.front().key)};
  // Only keys are kept: each row is read again when its turn comes, perhaps after on_start changed it.
  std::vector<std::pair<std::int64_t, std::string>> jobs;
  std::vector<std::pair<std::int64_t, std::string>> requests;
  std::string after;
  for (bool more = true; more;) {
    TRY_ASSIGN(const auto rows, transaction->scan(state_.tables.jobs, "", after, kRowsAtOnce));
    for (const store::Row& row : rows) {
      TRY_ASSIGN(const JobRow job, decode_record<JobRow>(row.value));
      jobs.emplace_back(job.generation, row.key);
    }
    more = rows.size() == kRowsAtOnce;
    if (more) after = rows.back().key;
  }
  after.clear();
  for (bool more = true; more;) {
    TRY_ASSIGN(const auto rows, transaction->scan(state_.tables.outbox, "", after, kRowsAtOnce));
    for (const store::Row& row : rows) {
      TRY_ASSIGN(const OutboxRow request, decode_record<OutboxRow>(row.value));
      requests.emplace_back(request.order, row.key);
    }
    more = rows.size() == kRowsAtOnce;
    if (more) after = rows.back().key;
  }
  std::sort(jobs.begin(), jobs.end());
  std::sort(requests.begin(), requests.end());
  for (auto& [order, key] : requests) mailbox_->put(ResendEvent{std::move(key), {}});
  for (auto& [order, key] : jobs) mailbox_->put(RestartJobEvent{std::move(key)});
  return {};
}

// Sequences have no gaps at their end, so the last one is found by bisection; no row has to hold it.
Status ExchangeImpl::find_last_sequence(store::Transaction& transaction) {
  const auto any_after = [&](std::int64_t sequence) -> Result<bool> {
    TRY_ASSIGN(const auto rows, transaction.scan(state_.tables.events, "", ordered_number(sequence), 1));
    return !rows.empty();
  };
  std::int64_t low = -1;  // there is one after it, or it is -1
  std::int64_t high = 0;  // perhaps one after it
  for (;;) {
    TRY_ASSIGN(const bool more, any_after(high));
    if (!more) break;
    low = high;
    high = high * 2 + 1;
  }
  while (high - low > 1) {
    const std::int64_t middle = low + (high - low) / 2;
    TRY_ASSIGN(const bool more, any_after(middle));
    (more ? low : high) = middle;
  }
  state_.last_sequence = high;
  const std::lock_guard lock(mutex_);
  statistics_.newest_event = high;
  return {};
}

void ExchangeImpl::start() {
  CHECK(opened_ && !thread_.joinable() && !stopping_);
  lanes_.start();
  for (auto& [actor, lanes] : own_lanes_) lanes.start();
  has_thread_ = true;
  // A database server would be waited for.
  if (store_->commits_at_once() || store_->can_commit_ahead()) mailbox_->set_helper([this] { return help(); });
  thread_ = std::thread([this] { run(); });
}

void ExchangeImpl::run() {
  bool rests = false;
  while (!stopping_ && !failed_) {
    if (unsynced_ && syncer_.done()) {
      land();
      // What is open goes at once: the disk has nothing to do.
      if (open_ && !failed_) commit_or_go_on();
    }
    if (advance()) {
      rests = false;
      continue;
    }
    if (unsynced_ && open_ && open_->events.size() >= options_.batch_limit) {
      land();
      continue;
    }
    const Duration span = time_to_wait();
    waits_until_ = state_.clock->now() + span;
    helped_ = false;
    const bool takes_help = !unsynced_ && !open_ && state_.clock->now() >= no_help_until_;
    const bool came = mailbox_->wait(std::min(span, kQuiet), takes_help);
    if (helped_) rests = false;
    if (!came && !helped_ && span >= kQuiet && !failed_ && !unsynced_ && !std::exchange(rests, true)) rest();
  }
  // What is in hand is finished.
  if (!failed_ && unsynced_) land();
  if (!failed_ && open_) commit(false);
  if (!failed_ && unsynced_) land();
}

bool ExchangeImpl::help() {
  helped_ = true;
  const TimePoint begin = state_.clock->now();
  bool has_to_wait = false;
  for (int rounds = 0; rounds < kMostHelp && !has_to_wait && take_turns(); ++rounds) {
    if (!open_ || failed_) continue;  // it was undone
    has_to_wait = open_->batch.transaction->has_writes() && !store_->commits_at_once();
    if (!has_to_wait) commit_or_go_on();
  }
  const TimePoint end = state_.clock->now();
  const bool was_long = end - begin > kLongHelp;
  if (was_long) no_help_until_ = end + kPauseOfHelp;
  if (has_to_wait || was_long || failed_ || open_ || unsynced_ || mailbox_->size() > 0) return true;
  const auto due = next_due();
  return due && *due < waits_until_;
}

void ExchangeImpl::rest() {
  {
    const MemoryRelease release;
    store_->tidy();
    for (Actor* actor : actors_) actor->on_quiet();
    if (options_.on_spans) options_.on_spans({});
    spans_due_.reset();
  }
  // What they allocated, and this thread freed, they alone can give back.
  syncer_.rest();
}

void ExchangeImpl::stop() {
  stopping_ = true;
  mailbox_->wake();
  if (thread_.joinable()) {
    CHECK(thread_.get_id() != std::this_thread::get_id());
    thread_.join();
  }
  mailbox_->set_helper({});
  syncer_.stop();
  lanes_.stop();
  for (auto& [actor, lanes] : own_lanes_) lanes.stop();
  close();
}

Result<std::optional<TimePoint>> ExchangeImpl::drain() {
  CHECK(opened_ && !thread_.joinable());
  while (!failed_) {
    const bool worked = advance();
    if (failed_) break;
    if (unsynced_ && (open_ || !worked))
      land();
    else if (!worked && !run_one_job())
      return next_due();
  }
  return internal(fmt::format("exchange {} has failed", options_.name));
}

bool ExchangeImpl::is_anything_due() const {
  const TimePoint now = state_.clock->now();
  return mailbox_->size() > 0 || (!delayed_.empty() && delayed_.begin()->first <= now) || next_collection_ <= now ||
         (timers_are_due() && !(open_ && open_->timers_run));
}

void ExchangeImpl::collect(std::deque<Incoming>& events, std::size_t limit) {
  const TimePoint now = state_.clock->now();
  while (!delayed_.empty() && delayed_.begin()->first <= now && events.size() < limit) {
    events.push_back(std::move(delayed_.begin()->second));
    delayed_.erase(delayed_.begin());
  }
  if (next_collection_ <= now) {
    next_collection_ = now + kCollectionPeriod;
    events.emplace_back(CollectEvent{});
  }
  if (events.size() < limit) mailbox_->take(events, limit - events.size());
}

bool ExchangeImpl::timers_are_due() const {
  const TimePoint now = state_.clock->now();
  return next_timer_ && *next_timer_ <= now && timers_paused_until_ <= now;
}

std::optional<TimePoint> ExchangeImpl::next_due() const {
  std::optional<TimePoint> due;
  if (next_timer_ && !(open_ && open_->timers_run)) due = std::max(*next_timer_, timers_paused_until_);
  if (!delayed_.empty() && (!due || delayed_.begin()->first < *due)) due = delayed_.begin()->first;
  return due;
}

Duration ExchangeImpl::time_to_wait() const {
  const TimePoint now = state_.clock->now();
  const TimePoint due = std::min(next_due().value_or(next_collection_), next_collection_);
  return std::clamp(due - now, Duration(0), kLongestWait);
}

void ExchangeImpl::fail(const Error& error) {
  log_error("exchange", "the exchange gives up", {{"exchange", options_.name}, {"error", error.to_string()}});
  failed_ = true;
  for (const std::unique_ptr<Work>* work : {&unsynced_, &open_}) {
    if (*work) refuse_events(**work, unavailable("the service has stopped"));
  }
  close();
}

// Everybody who waits learns that this exchange does not answer him; the rows keep what is still to be done.
void ExchangeImpl::close() {
  std::deque<Incoming> left = mailbox_->close();
  if (dead_) return;
  const Error stopped = unavailable("the service has stopped");
  for (Incoming& incoming : left) {
    if (auto* request = std::get_if<RequestEvent>(&incoming))
      request->handler(stopped);
    else if (auto* post = std::get_if<PostEvent>(&incoming); post != nullptr && post->done)
      post->done(stopped);
    else if (auto* read = std::get_if<ReadEventsEvent>(&incoming))
      read->done({});
    else if (auto* collect = std::get_if<CollectEvent>(&incoming); collect != nullptr && collect->done)
      collect->done(0);
  }
  auto pending = std::exchange(state_.pending, {});
  for (auto& [id, request] : pending) {
    for (DeliveryHandler& waiter : request.waiters) waiter(stopped);
  }
}

void ExchangeImpl::submit(std::string actor, Message request, ReplyHandler handler) {
  RequestContext context{actor, request.operation, request.vo, request.conversation, request.traceparent};
  std::string id = request.message_id;
  mailbox_->request(
      std::move(actor), std::move(request),
      [context = std::move(context), id = std::move(id), clock = options_.clock,
       handler = std::move(handler)](Result<Message> outcome) {
        handler(outcome ? std::move(*outcome) : fault_reply(context, id, outcome.error(), context.actor, clock->now()));
      });
}

void ExchangeImpl::post(std::string actor, std::function<Status(Turn&)> work, std::function<void(Status)> done) {
  auto refused = done;
  if (Status posted = mailbox_->post({std::move(actor), std::move(work), std::move(done)}); !posted && refused) {
    refused(std::move(posted));
  }
}

void ExchangeImpl::read_events(std::int64_t after, std::size_t limit, std::function<void(std::vector<Event>)> done) {
  mailbox_->put(ReadEventsEvent{after, limit, std::move(done)});
}

void ExchangeImpl::collect_answers(std::function<void(std::int64_t)> done) {
  mailbox_->put(CollectEvent{"", 0, std::move(done)});
}

void ExchangeImpl::on_published(std::function<void(std::int64_t)> observer) {
  const std::lock_guard lock(mutex_);
  observers_.push_back(std::move(observer));
}

ExchangeStatistics ExchangeImpl::statistics() const {
  const std::lock_guard lock(mutex_);
  return statistics_;
}

std::unique_ptr<Exchange> make_exchange(std::unique_ptr<store::Store> store, Router& router, ExchangeOptions options) {
  CHECK(options.clock != nullptr && options.random != nullptr);
  return std::make_unique<ExchangeImpl>(std::move(store), router, std::move(options));
}

}  // namespace nuraghe::exchange
