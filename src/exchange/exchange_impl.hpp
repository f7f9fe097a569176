// The exchange: takes batches of events off its mailbox, hands them to the actors within one transaction, commits,
// releases the effects.
//
// exchange.cpp: its life (open, threads, drain). batch.cpp: one batch, event by event. commit.cpp: its commit, or its
// end without one. release.cpp: what follows. retention.cpp: how long first answers are kept; trimming.cpp: events.
//
// Threading: everything but the mailbox, the lanes and what the mutex guards belongs to the exchange's thread; while
// that waits in Mailbox::wait, to the one that runs help() in its place.
#pragma once

#include <atomic>
#include <deque>
#include <map>
#include <mutex>
#include <thread>

#include "exchange/lanes.hpp"
#include "exchange/mailbox.hpp"
#include "exchange/state.hpp"
#include "exchange/syncer.hpp"
#include "exchange/turn.hpp"

namespace nuraghe::exchange {

class ExchangeImpl : public Exchange {
 public:
  ExchangeImpl(std::unique_ptr<store::Store> store, Router& router, ExchangeOptions options);
  ~ExchangeImpl() override;

  void add_actor(Actor& actor) override;
  Status open() override;
  void start() override;
  void stop() override;
  Result<std::optional<TimePoint>> drain() override;
  void submit(std::string actor, Message request, ReplyHandler handler) override;
  void post(std::string actor, std::function<Status(Turn&)> work, std::function<void(Status)> done) override;
  void read_events(std::int64_t after, std::size_t limit, std::function<void(std::vector<Event>)> done) override;
  void on_published(std::function<void(std::int64_t)> observer) override;
  void set_conversation_probe(ConversationProbe probe) override { probe_ = std::move(probe); }
  void collect_answers(std::function<void(std::int64_t)> done) override;
  std::shared_ptr<Inbox> inbox() override { return mailbox_; }
  ExchangeStatistics statistics() const override;
  bool failed() const override { return failed_.load(); }

 private:
  // ---- life: exchange.cpp ----
  void run();
  // In place of the exchange's thread, which waits: turns, and their commit when no disk is waited for. True: that
  // thread has something to do.
  bool help();
  // After a second without work.
  void rest();
  bool is_anything_due() const;
  // Appends what can be handled now, until there are `limit` events.
  void collect(std::deque<Incoming>& events, std::size_t limit);
  bool timers_are_due() const;
  Duration time_to_wait() const;
  std::optional<TimePoint> next_due() const;
  Status find_last_sequence(store::Transaction& transaction);
  Status queue_what_is_left();
  void fail(const Error& error);
  void close();

  // ---- a batch: batch.cpp ----
  // Takes in what has come and commits what can be. False: there is nothing to be done until something comes or a sync
  // is done.
  bool advance();
  bool take_turns();
  Status begin_work();
  Status handle_from(std::size_t first, Work& work);
  Status handle_due_timers(Batch& batch);
  Status handle(Batch& batch, StartEvent& event);
  Status handle(Batch& batch, RequestEvent& event);
  Status handle(Batch& batch, OutcomeEvent& event);
  Status handle(Batch& batch, ResendEvent& event);
  Status handle(Batch& batch, JobEvent& event);
  Status handle(Batch& batch, RestartJobEvent& event);
  Status handle(Batch& batch, PostEvent& event);
  Status handle(Batch& batch, ReadEventsEvent& event);
  Status handle(Batch& batch, CollectEvent& event);
  Status handle(Batch& batch, TrimEvent& event);
  // What the request's precondition says of the answer that its question gets in the same turn.
  Status check(ActorTurn& turn, const Message& request);
  Status run_request(Batch& batch, RequestEvent& event, Actor& actor);
  // Handles what the batch's effects from there on send to actors of this exchange.
  Status go_on_within(Batch& batch, std::size_t effects_before);
  void answer_at_once(Batch& batch);
  Status handle_reply(Batch& batch, const std::string& message_id, const Message& reply);
  // True when the delivery will be tried again.
  bool retry_later(Batch& batch, const OutcomeEvent& event);
  // Undoes a turn that failed, tells its actor and logs; an error when even that fails.
  Status undo(ActorTurn& turn, Actor& actor, std::string_view what, const Error& error);
  // Stages the answer of a request outside of any turn.
  void stage_reply(Batch& batch, const std::string& request_id, Message reply);
  Actor* find_actor(std::string_view name) const;
  void attach(Pending& pending, DeliveryHandler handler);

  // ---- the commit: commit.cpp ----
  // Commits the open work when nothing else is to come into it.
  void commit_or_go_on();
  // `ahead`: the disk is waited for by another thread, or later.
  void commit(bool ahead);
  Status find_next_timer(Batch& batch);
  // The sync is done, or to be made here.
  void land();
  void finish_unsynced();
  // After a sync that failed and may be tried again.
  void recover(const Error& error);
  void count(const Work& work);
  void undo_open(const Error& error);
  void undo_work(Work& work, const Error& error);
  static void refuse_events(Work& work, const Error& refusal);
  void refuse_arrivals(const Batch& batch, const Error& error);

  // ---- what follows it: release.cpp ----
  void release(Work& work);
  void pass_spans(std::vector<Span> spans);
  void release(SendEffect& effect);
  void release(ReplyEffect& effect);
  void release(StartJobEffect& effect);
  void release(CancelJobEffect& effect);
  void release(CallEffect& effect) { effect.call(); }
  // Passes a crash point; true when a simulated crash happened here or before.
  bool dies(CrashPoint point);

  // ---- lanes ----
  // Of the actor's jobs.
  Lanes& lanes_of(std::string_view actor);
  void job_ended(LaneJob job, Result<std::string> result);
  // Runs one job that waits; false: none does.
  bool run_one_job();
  std::size_t jobs_waiting() const;

  // ---- first answers: retention.cpp ----
  // `reply`: the row's.
  Status stage_stored_answer(Batch& batch, const std::string& request_id, const InboxRow& row, Result<Message> reply);
  Result<bool> may_be_erased(Batch& batch, const InboxRow& row, TimePoint now);
  Status collect_conversations(Batch& batch, TimePoint now);

  // ---- old events: trimming.cpp ----
  Result<bool> may_have_surplus(Batch& batch) const;
  Status count_page(Batch& batch, const TrimEvent& event);
  Status erase_page(Batch& batch, const TrimEvent& event);

  const ExchangeOptions options_;
  Router& router_;
  const std::shared_ptr<Mailbox> mailbox_;
  std::unique_ptr<store::Store> store_;
  std::vector<Actor*> actors_;
  State state_;
  Lanes lanes_;
  std::map<std::string, Lanes, std::less<>> own_lanes_;  // by actor
  ConversationProbe probe_;

  // Whether the next turns can run while the disk syncs.
  bool overlaps() const { return has_thread_ && store_->can_commit_ahead(); }

  std::unique_ptr<Work> open_;      // takes in events
  std::unique_ptr<Work> unsynced_;  // committed; what follows from it waits for the disk
  Syncer syncer_;

  // What waits for its time: tries of a delivery, events of a batch that could not commit.
  std::multimap<TimePoint, Incoming> delayed_;
  std::optional<TimePoint> next_timer_;
  TimePoint timers_paused_until_;
  TimePoint next_collection_;
  std::optional<TimePoint> spans_due_;  // some were passed on since they were last said to have waited
  TimePoint waits_until_;               // when the exchange's thread goes on by itself
  TimePoint no_help_until_;
  bool helped_ = false;  // since it looked last
  bool opened_ = false;
  bool has_thread_ = false;
  bool dead_ = false;

  std::thread thread_;
  std::atomic<bool> stopping_{false};
  std::atomic<bool> failed_{false};
  mutable std::mutex mutex_;  // guards what follows
  ExchangeStatistics statistics_;
  std::vector<std::function<void(std::int64_t)>> observers_;
};

// An Error as the answer to a request.
Message fault_reply(const RequestContext& context, const std::string& request_id, const Error& error,
                    std::string_view originator, TimePoint at);

}  // namespace nuraghe::exchange
