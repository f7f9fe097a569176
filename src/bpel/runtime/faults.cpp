// Faults on their way: throwing, choosing a handler, handlers as regions, compensation (WS-BPEL 2.0 §12.3 to §12.5).
#include <fmt/format.h>

#include <algorithm>

#include "base/check.hpp"
#include "base/log.hpp"
#include "bpel/runtime/machine.hpp"

namespace nuraghe::bpel::runtime {
namespace {

constexpr int kCatchRanks = 8;

// The element that the data is, when it is one: of an element variable, or of a message with one part.
xml::QName data_element(const FaultRow& fault) {
  if (!fault.element_local.empty()) return {fault.element_ns, fault.element_local};
  if (fault.data.size() != 1) return {};
  auto document = xml::Document::parse(fault.data.front().xml, {.source = "fault"});
  if (!document) return {};
  return document->root().name();
}

}  // namespace

void Machine::throw_fault(Region& region, const EvaluationFault& fault, NodeIndex node) {
  if (fault.engine_error) return fail(*fault.engine_error);
  FaultRow row;
  row.ns = fault.name.ns;
  row.local = fault.name.local;
  row.text = fault.message;
  row.where = program_.where(node);
  throw_fault(region, std::move(row));
}

void Machine::throw_standard(Region& region, std::string_view local, std::string text, NodeIndex node) {
  throw_fault(region, standard_fault(local, std::move(text)), node);
}

void Machine::throw_fault(Region& region, FaultRow fault) {
  if (error_ || ended() || region.dropped) return;
  // A scope that is ending already has its fault; a later one is lost (§12.5).
  if (region.row.state != RegionState::kRunning) return;
  if (definition_.scope(region.row.scope).exit_on_standard_fault && ends_process_where_asked(fault.name())) {
    return end_process(InstanceState::kFaulted, fault);
  }
  observe(region.row.node, "faulted");
  region.row.fault = std::move(fault);
  region.row.state = RegionState::kFaulting;
  terminate_contents(region);
  if (!ended() && region.row.running_children == 0) contents_gone(region);
}

// ---- choosing a handler (§12.5) ----

bool Machine::catch_fits(const Catch& handler, const FaultRow& fault, int rank) const {
  if (handler.all) return rank == kCatchRanks;
  const bool named = handler.fault_name.has_value();
  if (named && *handler.fault_name != fault.name()) return false;
  const bool data = !fault.data.empty();
  const bool wants = static_cast<bool>(handler.variable);
  if (!wants) return named && (data ? rank == 4 : rank == 1);
  if (!data) return false;
  const bool same_type =
      (!handler.fault_message_type.empty() &&
       handler.fault_message_type == xml::QName{fault.message_ns, fault.message_local}) ||
      (!handler.fault_element.empty() && handler.fault_element == xml::QName{fault.element_ns, fault.element_local});
  if (rank == (named ? 1 : 5)) return same_type;
  if (handler.fault_element.empty()) return false;
  if (rank == (named ? 2 : 6)) return handler.fault_element == data_element(fault);
  // An element stands for the head of its substitution group where no handler is for itself.
  return rank == (named ? 3 : 7) && definition_.wsdl().substitutes(data_element(fault), handler.fault_element);
}

const Catch* Machine::find_catch(const Scope& scope, const FaultRow& fault) const {
  for (int rank = 1; rank <= kCatchRanks; ++rank) {
    for (const auto* handler : scope.catches) {
      if (catch_fits(*handler, fault, rank)) return handler;
    }
  }
  return nullptr;
}

void Machine::handle_fault(Region& region) {
  CHECK(region.row.fault.has_value());
  const FaultRow fault = *region.row.fault;
  if (const Catch* handler = find_catch(definition_.scope(region.row.scope), fault)) {
    if (handler->variable) set_fault_variable(region, *handler, fault);
    open_handler(region, RegionKind::kFaultHandler, handler->index, handler->activity);
    return;
  }
  if (region.row.completed_children > 0) {
    open_handler(region, RegionKind::kFaultHandler, kNone, nullptr);
    return;
  }
  fault_escapes(region);
}

void Machine::set_fault_variable(Region& owner, const Catch& handler, const FaultRow& fault) {
  auto value = from_row({fault.data});
  if (!value) return fail(std::move(value).error());
  if (!handler.fault_element.empty() && !value->parts.empty()) {
    *value = VariableValue::of(value->parts.begin()->second);
  }
  current_ = &owner;
  auto stored = store_variable(handler.variable, std::move(*value));
  if (!stored) fail(internal(stored.error().message));
}

// The scope ends with its fault, which goes on in the scope around.
void Machine::fault_escapes(Region& region) {
  CHECK(region.row.fault.has_value());
  FaultRow fault = *region.row.fault;
  if (region.parent == nullptr) return end_process(InstanceState::kFaulted, fault);
  Region& parent = *region.parent;
  const auto frame = region.row.parent_frame;
  answer_open(&region, fault);
  leave_isolation(region);
  drop(region);
  CHECK(parent.row.running_children > 0);
  --parent.row.running_children;
  touch(parent);
  if (parent.row.state != RegionState::kRunning) {
    if (parent.row.running_children == 0) contents_gone(parent);
    return;
  }
  // A branch that faults after its forEach has enough is one of those that are ended: its fault ends with it.
  if (Frame* above = frame == 0 ? nullptr : parent.frame(frame)) {
    if (above->state == FrameState::kClosing) {
      return branch_done(parent, *above, Outcome::kFaulted);
    }
  }
  throw_fault(parent, std::move(fault));
}

// ---- handlers ----

// A compensation handler is only made: its caller starts it.
Region* Machine::open_handler(Region& owner, RegionKind kind, NodeIndex node, const Activity* activity) {
  Path path = owner.path;
  append_number(path, next_number());
  RegionRow row;
  row.kind = kind;
  row.scope = owner.row.scope;
  row.node = node;
  Region* made = adopt(std::move(path), std::move(row));
  if (made == nullptr) return nullptr;
  made->children_loaded = made->completed_loaded = true;
  owner.row.state = kind == RegionKind::kCompensationHandler ? RegionState::kCompensating : RegionState::kHandling;
  touch(owner);
  touch(*made);
  if (node != kNone) observe(node, "started");
  if (kind != RegionKind::kCompensationHandler) start_handler(*made, activity);
  return made;
}

void Machine::start_handler(Region& handler, const Activity* activity) {
  if (activity != nullptr) {
    start(handler, 0, *activity);
    return;
  }
  Frame frame;
  frame.number = next_number();
  auto& placed = handler.frames.emplace(frame.number, std::move(frame)).first->second;
  touch(handler);
  push(handler, placed);
}

// A handler has ended: with the fault in its row, by force (kTerminating), or well.
void Machine::handler_finished(Region& handler) {
  Region& owner = *handler.parent;
  std::optional<FaultRow> fault;
  if (handler.row.state == RegionState::kFaulting) fault = handler.row.fault;
  const auto kind = handler.row.kind;
  const bool by_default = handler.row.node == kNone;
  leave_isolation(kind == RegionKind::kCompensationHandler ? handler : owner);
  if (kind == RegionKind::kCompensationHandler) return compensation_finished(handler, fault);
  drop(handler);
  touch(owner);
  if (kind == RegionKind::kTerminationHandler) {
    if (owner.parent == nullptr) return end_process(InstanceState::kTerminated, owner.row.fault);
    Region& parent = *owner.parent;
    const auto frame = owner.row.parent_frame;
    FaultRow missing;
    missing.ns = kBpelNamespace;
    missing.local = faults::kMissingReply;
    missing.text = "the scope that received the request was terminated";
    answer_open(&owner, fault ? *fault : missing);
    drop(owner);
    return child_ended(parent, frame, Outcome::kTerminated);
  }
  if (fault)
    owner.row.fault = std::move(fault);
  else if (!by_default && owner.row.open_requests > 0) {
    FaultRow missing;
    missing.ns = kBpelNamespace;
    missing.local = faults::kMissingReply;
    missing.text = "the scope ended and a request that it received has no reply";
    missing.where = program_.where(owner.row.node);
    owner.row.fault = std::move(missing);
  } else if (!by_default) {
    if (owner.parent == nullptr) return end_process(InstanceState::kCompleted, std::nullopt);
    Region& parent = *owner.parent;
    const auto frame = owner.row.parent_frame;
    drop(owner);
    return child_ended(parent, frame, Outcome::kHandled);
  }
  fault_escapes(owner);
}

// ---- compensation (§12.4) ----

Region* Machine::compensation_target(Region& region, const Frame& frame) {
  const Node* node = frame.node == kNone ? nullptr : &program_.node(frame.node);
  const NodeIndex wanted =
      node != nullptr && node->kind == NodeKind::kCompensate ? as<Compensate>(*node).scope_to_compensate : kNone;
  Region* at = &region;
  for (; at != nullptr; at = at->parent) {
    if (wanted != kNone && at->row.kind == RegionKind::kScope && at->row.node == wanted) return at;
    if (wanted == kNone && at->row.kind != RegionKind::kScope) return at->parent;
  }
  fail(internal("compensate stands outside a handler: " + program_.where(frame.node)));
  return nullptr;
}

// Whether a peer that began before this scope ended depends on it and is not compensated yet. Numbers of regions and
// completions come from one counter.
bool Machine::has_dependents(const Region& target, const Completed& entry) const {
  const auto found = program_.dependents.find(entry.row.node);
  if (found == program_.dependents.end()) return false;
  return std::any_of(target.completed.begin(), target.completed.end(), [&](const Completed& other) {
    return found->second.contains(other.row.node) && other.completion > entry.row.number &&
           other.row.number < entry.completion;
  });
}

// Compensates the newest completed scope that is meant; comes back here when that is done, until there is none.
void Machine::begin_compensate(Region& region, Frame& frame) {
  if (!frame.text.empty()) return;  // one is at work
  frame.state = FrameState::kRunning;
  Region* target = compensation_target(region, frame);
  if (target == nullptr) return;
  load_completed(*target);
  const Node* node = frame.node == kNone ? nullptr : &program_.node(frame.node);
  const bool one = node != nullptr && node->kind == NodeKind::kCompensateScope;
  const NodeIndex wanted = one ? as<CompensateScope>(*node).target : kNone;
  for (std::size_t i = target->completed.size(); i-- > 0;) {
    const Completed entry = target->completed[i];
    if (one ? entry.row.node != wanted : has_dependents(*target, entry)) continue;
    target->completed.erase(target->completed.begin() + static_cast<std::ptrdiff_t>(i));
    erase(tables_.scope, key_of(target->path) + '\0' + big_endian(static_cast<std::uint64_t>(entry.completion)));
    --target->row.completed_children;
    touch(*target);
    Path path = target->path;
    append_number(path, entry.row.number);
    Region* completed = this->region(path);
    if (completed == nullptr) return fail(corrupt("a completed scope is not there"));
    return compensate_scope(region, frame, *completed);
  }
  complete(region, frame.number);
}

void Machine::compensate_scope(Region& region, Frame& frame, Region& completed) {
  const auto& scope = definition_.scope(completed.row.scope);
  frame.text = completed.path;
  ++region.row.running_children;
  touch(region);
  const auto* handler = scope.compensation_handler;
  const auto* activity = handler == nullptr ? nullptr : handler->activity;
  Region* made =
      open_handler(completed, RegionKind::kCompensationHandler, handler == nullptr ? kNone : handler->index, activity);
  if (made == nullptr) return;
  made->row.requester_path = region.path;
  made->row.requester_frame = frame.number;
  if (enter_isolation(*made)) start_handler(*made, activity);
}

void Machine::compensation_finished(Region& handler, const std::optional<FaultRow>& fault) {
  Region* requester = region(handler.row.requester_path);
  const auto number = handler.row.requester_frame;
  drop(*handler.parent);
  if (requester == nullptr) return fail(internal("nobody awaits a compensation"));
  CHECK(requester->row.running_children > 0);
  --requester->row.running_children;
  touch(*requester);
  if (requester->row.state != RegionState::kRunning) {
    if (requester->row.running_children == 0) contents_gone(*requester);
    return;
  }
  if (fault) return throw_fault(*requester, *fault);
  Frame* frame = requester->frame(number);
  if (frame == nullptr) return;
  frame->text.clear();
  push(*requester, *frame);
}

}  // namespace nuraghe::bpel::runtime
