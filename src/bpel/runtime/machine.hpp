// Machine: runs one instance for one event, until nothing can run without a new event.
//
// A step is a pure function of the instance's rows, the event and `now`: it reads and writes rows through the turn's
// transaction and has effects through the turn, all of which commit together. What it did is summed up in a digest, by
// which a replay of the history is compared with the original.
//
// Activities that can go on stand in a queue, first in first out; each entry names a frame, and an entry whose frame is
// gone (terminated meanwhile) means nothing. After limits.activities_per_turn of them the rest is kept in the header
// row and the instance goes on in a later turn, so that no process starves the others.
//
// Faults and termination follow WS-BPEL 2.0 §12: a fault in a region first ends all that runs inside (inner scopes by
// their termination handlers), then the handler runs as a region below, then the region ends. Links: §11.6.
//
// Errors: a failure of the store or of the engine is kept in error() and ends the run; the turn must be given up then.
// Faults of the process are no errors.
// Threading: made, used and dropped within one turn.
#pragma once

#include <deque>
#include <functional>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <string_view>
#include <vector>

#include "bpel/expression/assign.hpp"
#include "bpel/runtime/isolation_queue.hpp"
#include "bpel/runtime/names.hpp"
#include "bpel/runtime/program.hpp"
#include "bpel/runtime/state.hpp"
#include "exchange/exchange.hpp"

namespace nuraghe::bpel::runtime {

struct Limits {
  std::int64_t activities_per_turn = 10'000;
  std::int64_t regions = 100'000;       // living regions of an instance
  std::int64_t completed = 100'000;     // completed scopes that one scope keeps, to be compensated
  Bytes variable = mib(16);             // one variable's text
  std::int64_t early_messages = 1'000;  // that wait in an instance for their receive
  std::int64_t held_events = 10'000;    // that wait for a suspended instance
};

// What happens to an activity, for observers; not durable.
struct Progress {
  std::string instance;
  std::string process;
  NodeIndex node = kNone;
  std::string_view what;  // "started", "completed", "faulted", "terminated"
};

struct MachineContext {
  const Tables& tables;
  const Program& program;
  Instance& instance;
  exchange::Turn& turn;
  const Limits& limits;
  const std::string& own_base;  // what a path is prefixed with in endpoint references; may be empty
  const std::function<void(const Progress&)>& observer;
};

// An early message or subscription is found by this key: of the path, the operation and the values of correlation sets.
struct SetKey {
  std::string properties;  // the names, joined by a space
  std::vector<std::string> values;
  auto operator<=>(const SetKey&) const = default;
};
// `link`: Program::keys of the partner link.
std::string subscription_key(std::string_view link, std::string_view operation, std::vector<SetKey> sets);
std::string correlation_key(const SetKey& set);
std::string property_names(const CorrelationSet& set);

// How a message stands in an envelope (WSDL 1.1 §3.5, §3.7).
struct BodyForm {
  xml::QName wrapper;                          // rpc; empty: document
  std::set<std::string> headers;               // parts that are header blocks
  std::optional<std::set<std::string>> parts;  // those of the body; absent: all others
};
// `binding` null: as the description says that the engine makes of an abstract port type.
BodyForm body_form(const wsdl::Binding* binding, const Endpoint& endpoint, const wsdl::Message& message, bool response);
// The elements that a body or a fault's detail holds; they belong to it.
std::vector<xml::Node> body_elements(const xml::DocumentPtr& body);
// The parts of what an envelope held (soap::kParts where it is not one element) that stands for a WSDL message, and
// back: document/literal and rpc/literal. Null: nothing stands in the envelope.
VariableValue parts_of_body(const wsdl::Message& message, const xml::DocumentPtr& body);
xml::DocumentPtr body_of_parts(const wsdl::Message& message, const VariableValue& value, const BodyForm& form);
// The first part of the message that the body does not hold; empty: it holds all.
std::string lacking_part(const wsdl::Message& message, const xml::DocumentPtr& body);
// The document with another name of its root: itself when it has that name already.
xml::DocumentPtr named_as(xml::DocumentPtr document, const xml::QName& name);
// A fault as an answer to a caller: what an invoked service said stays as it was.
// `now`: when a fault of Nuraghe that the process made happened, for it cannot tell.
exchange::Fault answer_of(const FaultRow& fault, const std::string& originator, TimePoint now);

class Machine : public AssignContext {
 public:
  explicit Machine(const MachineContext& context);
  ~Machine() override;

  // ---- events; each is followed by run() and flush() ----
  // A new instance (its header is set): starts the process. The start activity finds its message in the header;
  // `message`: the same as a tree when it is at hand, else null. It outlives the step.
  void start_process(const exchange::Message* message);
  // A message for a waiting receive, pick (frame) or event handler (frame 0).
  void take_message(const Token& target, const exchange::Message& message);
  void take_reply(const Token& target, const exchange::Message& reply);
  void take_timer(const Token& target);
  // Keeps a message until a receive with this subscription key waits for it.
  void take_early(const std::string& key, const exchange::Message& message);
  // Two receives of the instance wait for the message (§10.4): ambiguousReceive.
  void take_ambiguous(const Token& target, const exchange::Message& message);
  void terminate(const std::string& reason);
  // Forced termination of the process as if it were a scope (§12.6): its scopes' termination handlers run, then its
  // completed scopes are compensated. One that handles a fault or is being ended already is left alone.
  void end_by_force(const std::string& reason);

  void run();
  // Writes what changed. After it error() tells whether the step stands.
  void flush();
  const std::optional<Error>& error() const { return error_; }
  std::uint64_t digest() const { return digest_.value(); }
  bool has_tasks() const { return !tasks_.empty(); }
  bool ended() const { return instance_.header.state != InstanceState::kRunning; }
  // Requests of this step's ended activities whose answers nobody awaits any more, with what becomes of who works on
  // them.
  struct Abandoned {
    std::string message_id;
    bool with_handlers = true;  // false: the process ended without any, as exit does (§10.10)
    bool may_arrive = true;     // false: nothing of the request is on its way any more
  };
  const std::vector<Abandoned>& abandoned() const { return abandoned_; }
  // Whether this step answered the request that created the instance.
  bool answered_creator() const { return answered_creator_; }
  // The region at a path, loaded when it is not yet in memory; null when there is none.
  Region* region(const Path& path);
  // The process's; null when it has none yet, or the store failed.
  Region* process_region();
  void load_children(Region& parent);

  // ---- AssignContext ----
  Evaluated<const VariableValue*> variable(const VariableRef& ref) override;
  Evaluated<bool> link_status(LinkIndex link) override;
  Evaluated<std::shared_ptr<const xml::Stylesheet>> stylesheet(std::string_view location) override;
  Evaluated<void> store_variable(const VariableRef& ref, VariableValue value) override;
  Evaluated<xml::DocumentPtr> endpoint_reference(const PartnerLinkRef& ref, bool my_role) override;
  Evaluated<void> store_endpoint_reference(const PartnerLinkRef& ref, xml::DocumentPtr reference) override;
  bool substitutes(const xml::QName& element, const xml::QName& head) override;
  Evaluated<void> validate(const Variable& declaration, const VariableValue& value) override;

 private:
  struct Task {
    Path path;
    std::uint32_t frame = 0;
  };
  enum class Outcome { kCompleted, kHandled, kTerminated, kFaulted };

  // ---- core (machine.cpp) ----
  void fail(Error error);
  // An error of the engine that is not the store's must not leave the instance hanging: it ends the process.
  void settle();
  bool check(Status status);
  std::uint32_t next_number() { return instance_.header.next_number++; }
  void touch(Region& region);
  void push(const Region& region, const Frame& frame) { tasks_.push_back({region.path, frame.number}); }
  Frame& start(Region& region, std::uint32_t parent, const Activity& activity);
  void execute(Region& region, Frame& frame);
  void begin(Region& region, Frame& frame);
  void resume_frame(Region& region, Frame& frame);
  void complete(Region& region, std::uint32_t frame);
  void child_done(Region& region, std::uint32_t parent);
  void observe(NodeIndex node, std::string_view what);
  bool is_start_inside(NodeIndex node) const;

  // ---- storage (machine_rows.cpp) ----
  std::string key_of(const Path& path) const { return instance_.header.id + path; }
  Region* adopt(Path path, RegionRow row);
  Region* scope_region(Region& from, ScopeIndex scope);
  VariableSlot* variable_slot(const VariableRef& ref);
  VariableSlot* partner_link_slot(const PartnerLinkRef& ref);
  bool load_slot(Region& owner, VariableSlot& slot, std::uint32_t number);
  void load_completed(Region& region);
  void drop(Region& region);
  void drop_rows(const Region& region);
  void drop_memory(Region& region);
  void account(Region& region, std::size_t bytes);
  void write_region(Region& region);
  void write_slots(Region& region, std::vector<VariableSlot>& slots, std::uint32_t base);
  void put(store::Table table, const std::string& key, const std::string& value);
  void insert(store::Table table, const std::string& key, const std::string& value);
  void write_row(const std::string& key, const std::string& value, bool& stored);
  void erase(store::Table table, const std::string& key);
  void set_timer(const Token& token, TimePoint due);
  void cancel_timer(const Token& token);
  void write_header();
  void keep_tasks();

  // ---- links (links.cpp) ----
  bool links_ready(Region& region, Frame& frame, const Activity& activity);
  bool join(Region& region, Frame& frame, const Activity& activity);
  void set_source_links(Region& region, const Activity& activity);
  void set_links_below_false(Region& region, NodeIndex node, bool itself);
  void set_link(Region& region, LinkIndex link, bool status);
  void wake_target(Region& owner, LinkIndex link);
  std::pair<Region*, LinkState*> find_link(Region& region, LinkIndex link);

  // ---- basic activities (basic.cpp) ----
  void begin_assign(Region& region, Frame& frame);
  void begin_throw(Region& region, Frame& frame);
  void begin_rethrow(Region& region, Frame& frame);
  void begin_wait(Region& region, Frame& frame);
  void begin_validate(Region& region, Frame& frame);

  // ---- structured activities (structured.cpp) ----
  void begin_sequence(Region& region, Frame& frame);
  void begin_if(Region& region, Frame& frame);
  void continue_while(Region& region, Frame& frame);
  void repeat_until(Region& region, Frame& frame);
  void begin_flow(Region& region, Frame& frame);
  void begin_for_each(Region& region, Frame& frame);
  void spawn_branch(Region& region, Frame& frame);
  void branch_done(Region& region, Frame& frame, Outcome outcome);
  bool check_completion(Region& region, Frame& frame);
  void begin_pick(Region& region, Frame& frame);
  void pick_done(Region& region, Frame& frame, const Activity& activity, NodeIndex chosen);

  // ---- scopes and handlers (scope.cpp, compensation.cpp) ----
  // Null when the scope's initialisation raised a fault (thrown in `parent` then) or the engine failed.
  Region* open_scope(Region& parent, std::uint32_t frame, const Scope& scope);
  Region* make_scope(Region& parent, std::uint32_t frame, const Scope& scope);
  bool initialise(Region& region, const Scope& scope);
  void start_body(Region& region, const Scope& scope);
  void enable_events(Region& region);
  void disable_events(Region& region);
  void enable_deferred_events(Region& region);
  void arm_alarm(Region& region, std::uint32_t handler, bool first);
  void body_done(Region& region);
  void try_complete(Region& region);
  void complete_scope(Region& region);
  void child_ended(Region& parent, std::uint32_t frame, Outcome outcome);
  void throw_fault(Region& region, FaultRow fault);
  void throw_fault(Region& region, const EvaluationFault& fault, NodeIndex node);
  void throw_standard(Region& region, std::string_view local, std::string text, NodeIndex node);
  void terminate_contents(Region& region);
  void terminate_region(Region& region);
  void contents_gone(Region& region);
  void release(Region& region, Frame& frame, bool with_handlers);
  const Catch* find_catch(const Scope& scope, const FaultRow& fault) const;
  bool catch_fits(const Catch& handler, const FaultRow& fault, int rank) const;
  void handle_fault(Region& region);
  void fault_escapes(Region& region);
  Region* open_handler(Region& owner, RegionKind kind, NodeIndex node, const Activity* activity);
  void start_handler(Region& handler, const Activity* activity);
  void set_fault_variable(Region& owner, const Catch& handler, const FaultRow& fault);
  void handler_finished(Region& handler);
  void run_termination_handler(Region& region);
  void end_process(InstanceState state, const std::optional<FaultRow>& fault);
  void begin_compensate(Region& region, Frame& frame);
  bool has_dependents(const Region& target, const Completed& entry) const;
  void compensate_scope(Region& region, Frame& frame, Region& completed);
  Region* compensation_target(Region& region, const Frame& frame);
  void compensation_finished(Region& completed, const std::optional<FaultRow>& fault);

  // ---- isolated scopes (isolation.cpp) ----
  bool enter_isolation(Region& region);
  void leave_isolation(Region& region);
  bool waits_for_isolation(const Region& region);
  IsolationQueue isolation_queue();
  void continue_isolated(Region& region);
  bool is_hidden(Region& from, LinkIndex link) const;
  void show_links(Region& isolated);

  // ---- messages (messaging.cpp, inbound.cpp) ----
  void begin_receive(Region& region, Frame& frame);
  bool take_start_message(Region& region, Frame& frame);
  // The key, or an empty string after a fault was thrown.
  std::string subscribe(Region& region, const MessageEvent& event, std::uint32_t frame, std::uint32_t alternative,
                        NodeIndex node);
  // The receive, branch of a pick or event handler that a row of this instance belongs to; null: none.
  const MessageEvent* waiting_event(const std::string& row);
  void unsubscribe(Region& region, const std::string& key, std::uint32_t frame, std::uint32_t alternative);
  // The set has got its values: what waits and may join it is found by them from now on.
  void renew_subscriptions(Region& owner, const CorrelationSetRef& set);
  // Whether a set that the event does not initiate has no values yet: no message can be for it.
  bool lacks_values(Region& region, const MessageEvent& event);
  void subscribe_event(Region& region, std::uint32_t handler);
  void renew_subscription(Region& region, const MessageEvent& event, const CorrelationSetRef& set, std::uint32_t frame,
                          std::uint32_t alternative, NodeIndex node, std::string& key);
  bool take_early_message(Region& region, Frame& frame, std::uint32_t alternative, const std::string& key);
  bool event_takes_early(Region& region, std::uint32_t handler, const std::string& key);
  std::optional<exchange::Message> pop_early(const std::string& key);
  void deliver(Region& region, Frame& frame, std::uint32_t alternative, const exchange::Message& message);
  void deliver_event(Region& region, std::uint32_t handler, const exchange::Message& message);
  // False after a fault was thrown.
  bool accept(Region& region, const MessageEvent& event, const exchange::Message& message, NodeIndex node);
  static VariableValue copy_of_part(const Variable& declaration, const xml::DocumentPtr& part);
  bool bind(Region& region, const MessageBinding& binding, const VariableValue& value, NodeIndex node);
  Evaluated<VariableValue> collect(Region& region, const MessageBinding& binding, const wsdl::Message* declared);
  bool open_request(Region& region, const MessageEvent& event, const exchange::Message& message, NodeIndex node);
  std::string open_key(Region& region, const Endpoint& endpoint, const MessageExchangeRef& exchange,
                       OpenRequestRow* places);
  bool correlate(Region& region, const std::vector<Correlation>& correlations, const wsdl::Message* message,
                 const VariableValue& value, bool request, NodeIndex node);
  void begin_reply(Region& region, Frame& frame);
  void begin_invoke(Region& region, Frame& frame);
  struct Partner {
    std::string address;
    xml::DocumentPtr blocks;  // header blocks that its reference asks for; null: none
    bool addressing_2004 = false;
  };
  Evaluated<Partner> partner_of(const Endpoint& endpoint);
  void take_callback(Region& region, const MessageEvent& event, const exchange::Message& message);
  void invoke_done(Region& region, Frame& frame, const exchange::Message& reply);
  bool is_declared_fault(const Invoke& invoke, const wsdl::OperationFault& declared, xml::Node entry,
                         FaultRow& fault) const;
  FaultRow fault_of_reply(const Invoke& invoke, const exchange::Message& reply) const;
  void close_request(const std::string& key, const OpenRequestRow& row);
  // Answers the requests that are bound to this region (or all, for null) with the fault.
  void answer_open(const Region* region, const FaultRow& fault);
  void answer_early();  // messages that nobody took
  // The request that made the instance, when its start activity never took it.
  void answer_start(const FaultRow& fault);
  void send_fault(const OpenRequestRow& row, const FaultRow& fault);
  bool throw_missing_reply(Region& region);

  const Tables& tables_;
  const Program& program_;
  const ProcessDefinition& definition_;
  Instance& instance_;
  exchange::Turn& turn_;
  const Limits& limits_;
  const std::string& own_base_;
  const std::function<void(const Progress&)>& observer_;

  Region* current_ = nullptr;  // where an evaluation looks its names up
  std::deque<Task> tasks_;
  std::map<Path, Region*> dirty_;
  std::vector<std::unique_ptr<Region>> graveyard_;  // dropped in this step; references to them stay good
  const exchange::Message* start_message_ = nullptr;
  std::optional<Error> error_;
  bool store_failed_ = false;
  Digest digest_;
  std::vector<Abandoned> abandoned_;
  bool answered_creator_ = false;
  bool all_rows_dropped_ = false;
};

}  // namespace nuraghe::bpel::runtime
