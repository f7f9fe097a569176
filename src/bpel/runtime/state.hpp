// What an instance consists of, in memory and as rows (docs/formats/instance.md).
//
// An instance is a tree of regions. A region is one running (or completed and kept) scope or one running handler; it
// holds the frames of the activities that are active directly in it, its correlation sets, its links' statuses. A
// region and each of its variables is one row, keyed by the instance and the region's path, so that everything below
// a region has its key as prefix: a branch of a parallel forEach touches its own rows and its parent's.
//
// Invariants: a node has at most one frame in a region. Numbers (of regions, frames, completions, messages) come from
// one counter in the header and are never used again. A region whose state is kCompleted is kept for compensation and
// nobody changes its variables any more: it is its own snapshot.
// Threading: used by the exchange's thread only.
#pragma once

#include <cstdint>
#include <list>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <unordered_map>
#include <vector>

#include "base/record.hpp"
#include "base/result.hpp"
#include "bpel/definition.hpp"
#include "store/store.hpp"

namespace nuraghe::bpel::runtime {

// ---- paths and tokens ----

// A region's place: the numbers of the regions from the process's down to it, each as one length byte and that many
// bytes, most significant first. No path is a prefix of another but of those below it.
using Path = std::string;
void append_number(Path& path, std::uint32_t number);
Path parent_of(const Path& path);         // empty for the process's region
std::string path_text(const Path& path);  // "1.17.4"
std::optional<Path> path_from_text(std::string_view text);

// What a row of the table `scope` is, by its key without the instance's id: regions, their variables and their kept
// scopes stand in one table, side by side, because a step touches them together.
enum class ScopeRowKind : std::uint8_t {
  kRegion,     // the key is its path
  kVariable,   // path, 00, slot in 4 bytes
  kCompleted,  // path, 00, completion number in 8 bytes
};
ScopeRowKind scope_row_kind(std::string_view key);

// Where an answer or a timer belongs: "INSTANCE/1.17/23/0".
struct Token {
  std::string instance;
  Path path;
  std::uint32_t frame = 0;        // 0: an event handler of the region
  std::uint32_t alternative = 0;  // of a pick's alarms, or the event handler's number
};
std::string to_text(const Token& token);
std::optional<Token> parse_token(std::string_view text);

// ---- rows ----

struct DataPart {
  std::string name;
  std::string xml;
  template <class V>
  void fields(V& v) {
    v(1, name), v(2, xml);
  }
};
struct ValueRow {
  std::vector<DataPart> parts;
  template <class V>
  void fields(V& v) {
    v(1, parts);
  }
};

// A fault while it is on its way, with what an invoked service said.
struct FaultRow {
  std::string ns, local;
  std::string text;   // one sentence for people
  std::string where;  // "create.bpel:34"
  std::vector<DataPart> data;
  std::string message_ns, message_local;  // the data is of this WSDL message ...
  std::string element_ns, element_local;  // ... or is this element
  bool remote = false;                    // an invoked service answered it; what follows is its own
  std::string reason;
  std::string code;
  bool from_sender = false;
  std::string detail;
  template <class V>
  void fields(V& v) {
    v(1, ns), v(2, local), v(3, text), v(4, where), v(5, data), v(6, message_ns), v(7, message_local);
    v(8, element_ns), v(9, element_local), v(10, remote), v(11, reason), v(12, code), v(13, from_sender), v(14, detail);
  }
  xml::QName name() const { return {ns, local}; }
};

enum class FrameState : std::uint8_t { kReady, kLinks, kRunning, kWaiting, kClosing };

struct Frame {
  std::uint32_t number = 0;
  NodeIndex node = kNone;    // kNone: the compensation of all inner scopes that a default handler does
  std::uint32_t parent = 0;  // the frame that it completes to; 0: the region
  FrameState state = FrameState::kReady;
  // sequence: a = position; flow: a = activities that run; forEach: a = next counter value, b = last, c = counted
  // completions, d = completions that suffice (-1: all), e = branches that run, f = counter of the newest branch.
  std::int64_t a = 0, b = 0, c = 0, d = 0, e = 0, f = 0;
  std::string text;               // invoke: message id; compensation: path of the scope at work
  std::vector<std::string> keys;  // receive, pick: keys of the subscriptions, in the order of the alternatives
  std::int64_t timers = 0;        // armed timers: alternatives 0 to timers - 1
  template <class V>
  void fields(V& v) {
    v(1, number), v(2, node), v(3, parent), v(4, state), v(5, a), v(6, b), v(7, c), v(8, d), v(9, e), v(10, f);
    v(11, text), v(12, keys), v(13, timers);
  }
};

enum class RegionKind : std::uint8_t { kScope, kFaultHandler, kCompensationHandler, kTerminationHandler };
enum class RegionState : std::uint8_t {
  kRunning,
  kFaulting,      // a fault happened; what ran inside is being ended
  kTerminating,   // ended from outside; what ran inside is being ended
  kHandling,      // the fault or termination handler, a region below, is at work
  kCompleted,     // kept for compensation
  kCompensating,  // its compensation handler, a region below, is at work
};

// Of links out of an isolated scope that is still at work.
inline constexpr std::int32_t kHiddenStatus = 2;
struct LinkState {
  LinkIndex link = kNone;
  std::int32_t status = -1;  // -1 not determined, 0 false, 1 true; 2 and 3: false and true, but not seen yet
  template <class V>
  void fields(V& v) {
    v(1, link), v(2, status);
  }
};
struct LinkWaiter {  // an activity that waits for its incoming links
  NodeIndex target = kNone;
  std::string path;
  std::uint32_t frame = 0;
  template <class V>
  void fields(V& v) {
    v(1, target), v(2, path), v(3, frame);
  }
};
struct SetValues {
  std::uint32_t slot = 0;
  std::vector<std::string> values;
  std::string index_key;  // of its row in bpel_correlation; empty: none
  template <class V>
  void fields(V& v) {
    v(1, slot), v(2, values), v(3, index_key);
  }
};
struct EventHandlerState {
  std::string key;     // onEvent: of the subscription
  bool armed = false;  // onAlarm: the timer
  TimePoint due;       // onAlarm: when it is or was due last
  std::int64_t every = 0;
  template <class V>
  void fields(V& v) {
    v(1, key), v(2, armed), v(3, due), v(4, every);
  }
};

struct RegionRow {
  RegionKind kind = RegionKind::kScope;
  RegionState state = RegionState::kRunning;
  ScopeIndex scope = 0;            // of a handler: the scope that it belongs to
  NodeIndex node = kNone;          // the scope, or the handler (kNone: a default handler)
  std::uint32_t parent_frame = 0;  // in the parent region; 0: an event handler's scope, a handler, the process
  bool body_done = false;
  bool events_enabled = false;
  bool reply_missed = false;  // missingReply was raised here
  std::uint32_t running_children = 0;
  std::uint32_t completed_children = 0;
  std::uint32_t open_requests = 0;  // requests whose partner link or message exchange is declared here
  std::int64_t completion = 0;      // when it completed, as a number
  std::optional<FaultRow> fault;
  std::string requester_path;  // compensation handler: the compensate activity that awaits it
  std::uint32_t requester_frame = 0;
  std::vector<Frame> frames;
  std::vector<LinkState> links;
  std::vector<LinkWaiter> waiters;
  std::vector<SetValues> sets;
  std::vector<EventHandlerState> events;  // onEvents, then onAlarms
  template <class V>
  void fields(V& v) {
    v(1, kind), v(2, state), v(3, scope), v(4, node), v(5, parent_frame), v(6, body_done), v(7, events_enabled);
    v(8, reply_missed), v(9, running_children), v(10, completed_children), v(11, open_requests), v(12, completion);
    v(13, fault), v(14, requester_path), v(15, requester_frame), v(16, frames), v(17, links), v(18, waiters);
    v(19, sets), v(20, events);
  }
};

struct CompletedRow {
  NodeIndex node = kNone;  // the scope
  std::uint32_t number = 0;
  template <class V>
  void fields(V& v) {
    v(1, node), v(2, number);
  }
};

struct OpenRequestRow {
  std::string request_id;
  std::string operation;
  std::string partner_link;
  std::string link_path;  // regions that declare the partner link and the message exchange
  std::string exchange_path;
  std::string port_type_ns, port_type_local;
  NodeIndex node = kNone;  // the activity that received it
  // The name of the binding by which it came, where its port type has several. Absent in rows of before.
  std::optional<std::string> binding_ns, binding_local;
  template <class V>
  void fields(V& v) {
    v(1, request_id), v(2, operation), v(3, partner_link), v(4, link_path), v(5, exchange_path), v(6, port_type_ns);
    v(7, port_type_local), v(8, node), v(9, binding_ns), v(10, binding_local);
  }
};

struct SubscriptionRow {
  std::string instance;
  std::string path;
  std::uint32_t frame = 0;
  std::uint32_t alternative = 0;
  template <class V>
  void fields(V& v) {
    v(1, instance), v(2, path), v(3, frame), v(4, alternative);
  }
};

struct TaskRow {
  std::string path;
  std::uint32_t frame = 0;
  template <class V>
  void fields(V& v) {
    v(1, path), v(2, frame);
  }
};

// An isolated scope, or a compensation handler of one, that holds locks or waits for them.
struct IsolationRow {
  std::string path;  // of the region
  bool granted = false;
  std::vector<std::string> reads, writes;  // shared things
  template <class V>
  void fields(V& v) {
    v(1, path), v(2, granted), v(3, reads), v(4, writes);
  }
};

enum class InstanceState : std::uint8_t { kRunning, kCompleted, kFaulted, kTerminated };

struct HeaderRow {
  std::string id;
  std::string program;  // the deployed version
  std::string process;  // its local name, for people
  std::string vo, caller, traceparent;
  std::string created_by;  // message id
  std::string created_in;  // the conversation of that message: the parent instance, when a process sent it
  InstanceState state = InstanceState::kRunning;
  bool suspended = false;
  TimePoint started, ended;
  std::string fault;  // one sentence, when it ended with one
  std::uint32_t next_number = 1;
  std::int64_t next_history = 1;
  std::int64_t held = 0;   // events that came while it was suspended
  std::int64_t early = 0;  // messages that wait for a receive
  NodeIndex start_node = kNone;
  std::uint32_t start_alternative = 0;
  std::string start_message;            // until the start activity took it
  std::vector<TaskRow> tasks;           // what was left when a turn's step limit was reached
  std::vector<IsolationRow> isolation;  // of an earlier format: they stand in bpel_isolation
  std::int64_t abandoned = 0;           // requests that may still make an instance, which nobody would await
  std::string tracestate;               // goes with the traceparent
  template <class V>
  void fields(V& v) {
    v(1, id), v(2, program), v(3, process), v(4, vo), v(5, caller), v(6, traceparent), v(7, created_by);
    v(8, created_in), v(9, state), v(10, suspended), v(11, started), v(12, ended), v(13, fault), v(14, next_number);
    v(15, next_history), v(16, held), v(17, early), v(18, start_node), v(19, start_alternative);
    v(20, start_message), v(21, tasks), v(22, isolation), v(23, abandoned), v(24, tracestate);
  }
};

// ---- memory ----

struct VariableSlot {
  VariableValue value;
  bool loaded = false;
  bool dirty = false;
  bool stored = false;  // it has a row
};

struct Completed {
  std::int64_t completion = 0;
  CompletedRow row;
};

struct Region {
  Path path;
  Region* parent = nullptr;
  RegionRow row;  // frames stand in `frames` while it is in memory
  std::map<std::uint32_t, Frame> frames;
  std::vector<VariableSlot> variables;  // of the scope; of a handler: none
  std::vector<VariableSlot> partner_links;
  std::map<std::uint32_t, Region*> children;
  bool children_loaded = false;
  std::vector<Completed> completed;  // oldest first
  bool completed_loaded = false;
  bool stored = false;      // it has rows
  bool row_stored = false;  // one of them is its own
  bool dirty = false;
  bool dropped = false;
  std::size_t bytes = 0;  // of the row and the variables, as last seen

  std::uint32_t number() const;  // the last of its path
  Frame* frame(std::uint32_t wanted) {
    const auto found = frames.find(wanted);
    return found == frames.end() ? nullptr : &found->second;
  }
};

struct Instance {
  HeaderRow header;
  std::map<Path, std::unique_ptr<Region>> regions;
  std::size_t bytes = 0;  // about what it takes of memory
};

// The tables of the engine.
struct Tables {
  store::Table instance, scope, subscription, correlation, open, early, held, history, process, running, ended, child,
      isolation;
  static Result<Tables> open_all(store::Store& store);
};

// ---- values as text ----
ValueRow to_row(const VariableValue& value);
Result<VariableValue> from_row(const ValueRow& row);

std::string big_endian(std::uint64_t number);  // 8 bytes

}  // namespace nuraghe::bpel::runtime
