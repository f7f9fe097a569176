// Exchange: runs actors over one store. State, history and outgoing messages of a step commit in one transaction;
// effects run after the commit, at least once, and carry an id by which the receiver answers a repeat with its first
// answer.
//
// An Actor is the pure core of a service, or of the workflow engine: synchronous code that turns (state, event, now)
// into new state and effects. An Exchange takes events off its mailbox, hands a batch of them to its actors within ONE
// write transaction (group commit), commits, and only then releases the effects: messages, replies, jobs.
//
//   event  = a request, a reply to one of our requests, a timer that is due, a finished job, the start of the process
//   effect = send (outbox row), reply (first-answer row), job (job row: blocking work on a lane, such as a driver
//   call),
//            timer (timer row), published event (event row)
//
// Every effect is a row until it is done: a process killed at any instruction goes on after a restart, where the
// exchange sends its outbox again, starts its jobs again and arms its timers. So each job and each request may run
// twice and must be idempotent by its key or message_id; the exchange itself answers a repeated request with its first
// answer (kept while the conversation lives and 24 hours more) or, when it is still being worked on, attaches the
// repeat's sender to it. A request that was answered at once by a turn that wrote nothing leaves no row: repeating it
// is harmless. Such an answer does not wait for the batch's commit either, unless its actor wrote in the same batch.
//
// What the turn of a request from outside sends to actors of the same exchange is handled at once, in the same batch,
// so that they share its commit, when it begins a conversation (Message::starts_conversation) and so overtakes nothing;
// what those send goes after it, as everything else that leaves a turn.
//
// With threads, the next turns run while the disk syncs a commit. They see what it changed; no effect of theirs is
// released before their own commit is synced, which the disk does later.
//
// Threading: one thread at a time calls an exchange's actors: its own, or, while that has nothing to do, one that
// brings a request from outside (Inbox::request_here) and runs its turn in its place. Another one waits for the disk.
// submit and post are thread safe. Without start(), drain() does all work in the calling thread, jobs inline: the
// deterministic form of simulation and crash tests. Bounds: mailbox 100,000 events (submit answers kExhausted), jobs
// waiting 100,000, job lanes as given.
#pragma once

#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "base/crash_point.hpp"
#include "base/result.hpp"
#include "base/units.hpp"
#include "env/env.hpp"
#include "exchange/message.hpp"
#include "exchange/trace.hpp"
#include "store/store.hpp"

namespace nuraghe::exchange {

class Exchange;

// Something that happened, for people and for `nuraghe events`. Kept in the store in order of `sequence`.
struct Event {
  std::int64_t sequence = 0;  // given by the exchange
  TimePoint time{};           // given by the exchange
  std::string vo{};
  std::string cluster{};  // id; may be empty
  std::string host{};     // virtual host id; may be empty
  std::string kind{};     // a stable word: "host.placed", "host.booted", "cluster.frozen", "workflow.fault", ...
  std::string severity = "info";                    // info, warning, error
  std::string text{};                               // one sentence
  std::map<std::string, std::string> attributes{};  // such as {"name","head"},{"seconds","1.2"}
  template <class V>
  void fields(V& v) {
    v(1, sequence), v(2, time), v(3, vo), v(4, cluster), v(5, host), v(6, kind), v(7, severity), v(8, text),
        v(9, attributes);
  }
};

// Blocking work outside the transaction: a driver call, a file copy. Identified by its key within the actor.
struct Job {
  std::string key;      // "create/vh-1": a second start_job with a key that is still there is kConflict
  std::string payload;  // whatever run_job needs (a record); stands in the job row
};
// What run_job may ask while it runs.
class JobContext {
 public:
  virtual ~JobContext() = default;
  virtual bool cancelled() const = 0;  // cancel_job was called or the exchange stops
  // A file descriptor that becomes readable when cancelled() turns true: to be polled beside what the job waits for.
  virtual int cancel_fd() const = 0;
  virtual env::Clock& clock() = 0;
  virtual env::Random& random() = 0;
};

// What an actor sees of one turn: the transaction, the time, and the means of having effects.
class Turn {
 public:
  virtual ~Turn() = default;
  virtual store::Transaction& transaction() = 0;
  virtual TimePoint now() const = 0;  // the same for the whole turn
  // The sequence of the newest event; of this turn's too. 0: there was none.
  virtual std::int64_t newest_event() const = 0;
  virtual env::Random& random() = 0;

  // Sends a request, after the commit or as a part of it. message_id must be set (deterministic in an engine;
  // env::make_uuid_urn in a service). Its reply arrives at this actor's on_reply with `token`; an undeliverable message
  // is retried with growing pauses until `deadline`, or until tries have failed for as long as `patience`, and then
  // answered by a fault kUnavailable. One-way messages get no reply but a receipt, if they want one.
  virtual Status send(Message request, std::string token, TimePoint deadline, Duration patience) = 0;
  Status send(Message request, std::string token, TimePoint deadline) {
    return send(std::move(request), std::move(token), deadline, Duration::max());
  }
  // Forgets a request: its reply will be dropped. Nothing happens when it is not there.
  virtual Status forget(std::string_view message_id) = 0;
  // Answers a request that on_request got (in this or an earlier turn). The first answer stands; a second is dropped.
  virtual Status reply(std::string_view request_id, xml::DocumentPtr body) = 0;
  virtual Status reply_fault(std::string_view request_id, Fault fault) = 0;
  // Answers the request that this very turn handles by something that must not be kept, such as a secret: whoever
  // repeats the request, and whoever reads the rows, finds `kept`.
  virtual Status reply_once(std::string_view request_id, xml::DocumentPtr body, xml::DocumentPtr kept);

  virtual Status start_job(Job job) = 0;
  // Asks a running job to stop (its on_job still comes, with kCancelled or its result); a waiting one is dropped with
  // kCancelled, and so is, after a restart, one that had been running: on_job with kCancelled must not assume that
  // run_job cleaned up. Nothing happens when it is not there.
  virtual Status cancel_job(std::string_view key) = 0;

  // Arms (or re-arms) a timer of this actor.
  virtual Status set_timer(std::string_view key, TimePoint due) = 0;
  virtual Status cancel_timer(std::string_view key) = 0;

  virtual Status publish(Event event) = 0;
};

class Actor {
 public:
  virtual ~Actor() = default;
  // Unique within its exchange; part of stored keys, so it never changes.
  virtual std::string_view name() const = 0;
  // Opens its tables. Called once, before any event.
  virtual Status open(store::Store& store) = 0;
  // First event after every start of the process.
  virtual Status on_start(Turn& turn) = 0;
  // An error undoes the turn's changes and effects and answers the request with a fault of that error.
  // Returning success without reply() defers the answer to a later turn.
  virtual Status on_request(Turn& turn, const Message& request) = 0;
  // An error here or below undoes the turn, is logged, and the event counts as handled.
  virtual Status on_reply(Turn& turn, const Message& reply, std::string_view token) = 0;
  virtual Status on_timer(Turn& turn, std::string_view key) = 0;
  virtual Status on_job(Turn& turn, const Job& job, const Result<std::string>& result) = 0;
  // Runs on a lane, in another thread, outside every transaction; must touch nothing of the actor's state but what is
  // thread safe (its drivers).
  virtual Result<std::string> run_job(const Job& job, JobContext& context) = 0;
  // The transaction of the turns since the last commit was rolled back, or this actor's last turn was undone because of
  // its error: caches that mirror rows must be dropped.
  virtual void on_rollback() {}
  // There has been nothing to do for a second: memory that only saves reading may be given back.
  virtual void on_quiet() {}
};

// Writes down what came in from outside and how it ended, in the very transactions in which both happen: the audit. It
// is asked by the exchange, on its thread, for requests with an `origin`; what it returns as an error undoes the batch.
class Recorder {
 public:
  virtual ~Recorder() = default;
  virtual bool records(const Message& request) const = 0;
  // The request was handled: `reply` is its answer or fault; null: the answer comes in a later turn.
  virtual Status on_handled(store::Transaction& tx, TimePoint now, const Message& request, const Message* reply) = 0;
  // A request that was handled in an earlier turn is answered; it may be one that is not recorded.
  virtual Status on_answered(store::Transaction& tx, TimePoint now, std::string_view request_id,
                             const Message& reply) = 0;
};

using ReplyHandler = std::function<void(Message reply)>;
// The outcome of one try to deliver: the reply (perhaps a fault), or an Error when nobody answers this try. After a
// transient error or kExhausted the same message may be tried again: nothing was done, or a repeat gets the first
// answer.
using DeliveryHandler = std::function<void(Result<Message>)>;

// Where an exchange takes requests in. Outlives its exchange: then each request is answered by kUnavailable at once.
class Inbox {
 public:
  virtual ~Inbox() = default;
  // Thread safe, never blocks. The handler is called exactly once, unless a simulated crash swallows it.
  virtual void request(std::string actor, Message request, DeliveryHandler handler) = 0;
  // As request; when the exchange has nothing to do, the calling thread runs the turn, so that no thread has to be
  // woken for it, and the handler may be called before this returns. The caller holds no lock that a handler takes. It
  // never waits for a disk, but for as long as a turn takes; after a long one, others run on the exchange's thread for
  // a while.
  virtual void request_here(std::string actor, Message request, DeliveryHandler handler) {
    this->request(std::move(actor), std::move(request), std::move(handler));
  }
};

// Where messages go. Thread safe; outlives every exchange that was given it. A route's path is the address without
// scheme and authority, or its prefix up to a '/'.
class Router {
 public:
  virtual ~Router() = default;
  // Requests to `path` (or below it) with this operation go to the actor; operation "*" = all that have no own route.
  // The longest path wins, then the named operation over "*".
  virtual void add_route(std::string path, std::string operation, Exchange& exchange, std::string actor) = 0;
  virtual void remove_route(std::string_view path, std::string_view operation) = 0;
  // Addresses that begin so ("http://127.0.0.1:8470") are this process's own.
  virtual void add_own_base(std::string base) = 0;
  // Delivers a request: to a local exchange or, when the address is another's (or force_remote is on), by the remote
  // transport. The handler is called exactly once, on any thread, with the reply or a fault; for a one-way message with
  // an empty reply when it was accepted. As Inbox::request_here.
  virtual void deliver(Message request, ReplyHandler handler) = 0;
  // As deliver, but tells a fault of the receiver from a failed try: what an exchange uses, which tries again.
  virtual void attempt(Message request, DeliveryHandler handler) = 0;
  // As attempt, for a request that came in from outside: local routes only, also when force_remote is on, and as
  // Inbox::request_here unless the request is one among many. kNotFound when nothing is served at its path,
  // kUnsupported when the path has no such operation.
  virtual void accept(Message request, DeliveryHandler handler) = 0;

  // Where attempt() would hand a request to the exchange of this inbox, without anything on the way that has to see it.
  struct Within {
    std::string actor;
    std::string to;  // the request's address then
  };
  // nullopt: it goes another way. An exchange may then handle its own actor's request itself.
  virtual std::optional<Within> within(const Message& /*request*/, const Inbox& /*inbox*/) const {
    return std::nullopt;
  }
};

// Sends a message to another process; `done` is called exactly once on any thread. A transport error (connection
// refused, time-out) is an Error; a SOAP fault is a Message with fault. kUnavailable, kTimeout and kExhausted are tried
// again by the sending exchange until the message's deadline, every other error is final.
class RemoteTransport {
 public:
  virtual ~RemoteTransport() = default;
  virtual void send(const Message& request, std::function<void(Result<Message>)> done) = 0;
};

struct RouterOptions {
  RemoteTransport* remote = nullptr;  // not owned; null: foreign addresses are kUnavailable
  bool force_remote = false;          // own addresses too go through the remote transport (needs own_base for paths)
  std::string own_base{};             // what a path-only address is prefixed with when it goes remote
  env::Clock* clock = nullptr;        // not owned; of the faults that it makes itself; null: the system's
};
std::unique_ptr<Router> make_router(RouterOptions options);

struct ExchangeOptions {
  std::string name;        // "control", "vhc-1"; the epoch's owner name
  std::size_t lanes = 32;  // threads for jobs, started as needed
  // Actors whose jobs have lanes of their own, by name, so that slow ones keep nobody else's waiting: how many.
  std::map<std::string, std::size_t, std::less<>> own_lanes{};
  std::size_t batch_limit = 512;  // events per transaction at most
  env::Clock* clock = nullptr;    // required
  env::Random* random = nullptr;  // required
  Duration answer_retention = std::chrono::hours(24);
  Duration event_retention = std::chrono::hours(24 * 90);
  std::int64_t event_limit = 100'000;   // events of one virtual organisation that are kept; the oldest go first
  std::size_t mailbox_limit = 100'000;  // requests waiting
  std::size_t job_limit = 100'000;      // jobs waiting
  Recorder* recorder = nullptr;         // not owned; one of the exchange's actors, as which it opens its tables
  // Takes the spans of what ended, after its commit and before its answers leave; and none at all after a second
  // without work, or when some have waited for a second. Called on the exchange's thread: must not block. Empty: no
  // spans are kept, and a traceparent is passed on as it came.
  std::function<void(std::vector<Span>)> on_spans;
  // Without threads: a commit is synced after the turns of the next events, as it may be with threads.
  bool late_syncs = false;
  // Test seam: called at each crash point of this exchange; true = from now on behave as if the process had been killed
  // there (nothing is committed, sent or answered any more, failed() is true).
  std::function<bool(CrashPoint)> crash_hook;
};

struct ExchangeStatistics {
  std::int64_t newest_event = 0;  // its sequence; of those that are committed
  std::int64_t events = 0, batches = 0, messages_sent = 0, replies_sent = 0, jobs_run = 0;
  store::Statistics store;
};

// Answers whether a conversation (workflow instance) of this process still lives: first answers are kept for it. Called
// on the exchange's thread, so it must be thread safe and must not block.
using ConversationProbe = std::function<bool(std::string_view conversation)>;

class Exchange {
 public:
  virtual ~Exchange() = default;  // stops first
  // Before open(): actors, not owned, called in the order of their adding.
  virtual void add_actor(Actor& actor) = 0;
  // Opens tables, takes the epoch, queues on_start and what the rows say is still to be done.
  virtual Status open() = 0;
  // Threads: the loop and lanes. stop() lets the batch in hand finish, cancels and joins running jobs; rows keep the
  // rest.
  virtual void start() = 0;
  virtual void stop() = 0;
  // Without threads: works until nothing is to be done now (jobs inline); returns the time of the next timer, if any.
  virtual Result<std::optional<TimePoint>> drain() = 0;
  // Before start(). Without one, and for conversations that it does not know, answers are kept for answer_retention
  // after they were last asked for.
  virtual void set_conversation_probe(ConversationProbe probe) = 0;
  // Deletes the answers that nobody can ask for any more, and events beyond their retention and limit; runs by itself
  // ten minutes after the start and every hour, in pages of a turn each. `done` gets the number of answers, before the
  // events are looked at.
  virtual void collect_answers(std::function<void(std::int64_t)> done) = 0;
  virtual std::shared_ptr<Inbox> inbox() = 0;
  // A request for one of the actors. The handler is called after the commit, on the exchange's thread: it must not
  // block.
  virtual void submit(std::string actor, Message request, ReplyHandler handler) = 0;
  // Runs a function in the exchange's thread within a turn of the actor (administration, tests).
  virtual void post(std::string actor, std::function<Status(Turn&)> work, std::function<void(Status)> done) = 0;
  // Events after a sequence number, oldest first, at most limit; thread safe (runs as a turn). Old ones may be gone.
  virtual void read_events(std::int64_t after, std::size_t limit, std::function<void(std::vector<Event>)> done) = 0;
  // Called after each commit that published events, on the exchange's thread, with the newest sequence. Must not block.
  virtual void on_published(std::function<void(std::int64_t)> observer) = 0;
  virtual ExchangeStatistics statistics() const = 0;
  // True when it gave up because its store failed or a newer owner fenced it out; the process should end.
  virtual bool failed() const = 0;
};
std::unique_ptr<Exchange> make_exchange(std::unique_ptr<store::Store> store, Router& router, ExchangeOptions options);

// drain() of several exchanges that talk to each other, in the given order, until none has anything to do now; the time
// of the earliest timer of all.
Result<std::optional<TimePoint>> drain_all(std::span<Exchange* const> exchanges);

// A blocking call for clients and tests: delivers through the router and waits at most `timeout`.
Result<Message> call(Router& router, Message request, Duration timeout);

}  // namespace nuraghe::exchange
