// Scopes: how they begin and end, event handlers, faults and termination (WS-BPEL 2.0 §12).
#include <fmt/format.h>

#include "base/check.hpp"
#include "bpel/runtime/machine.hpp"

namespace nuraghe::bpel::runtime {

// ---- beginning ----

Region* Machine::make_scope(Region& parent, std::uint32_t frame, const Scope& scope) {
  Path path = parent.path;
  append_number(path, next_number());
  RegionRow row;
  row.scope = scope.self;
  row.node = scope.index;
  row.parent_frame = frame;
  Region* made = adopt(std::move(path), std::move(row));
  if (made == nullptr) return nullptr;
  made->children_loaded = made->completed_loaded = true;
  for (auto& slot : made->variables) slot.loaded = true;
  for (auto& slot : made->partner_links) slot.loaded = true;
  ++parent.row.running_children;
  touch(parent);
  touch(*made);
  return made;
}

Region* Machine::open_scope(Region& parent, std::uint32_t frame, const Scope& scope) {
  Region* made = make_scope(parent, frame, scope);
  if (made == nullptr) return nullptr;
  const Frame* above = parent.frame(frame);
  if (above != nullptr && above->node != kNone && program_.node(above->node).kind == NodeKind::kForEach) {
    const auto& counter = as<ForEach>(program_.node(above->node)).counter;
    auto& slot = made->variables.at(counter.slot);
    slot.value = simple_value(std::to_string(above->f));
    slot.dirty = true;
  }
  if (scope.isolated && !enter_isolation(*made)) return made;
  if (!initialise(*made, scope)) return nullptr;
  start_body(*made, scope);
  return ended() ? nullptr : made;
}

// Gives the scope's variables their first values. A fault here is scopeInitializationFailure in the scope around
// (§12.1).
bool Machine::initialise(Region& region, const Scope& scope) {
  for (std::uint32_t slot = 0; slot < scope.variables.size(); ++slot) {
    if (!scope.variables[slot].initial) continue;
    current_ = &region;
    auto value = initial_value(scope.variables[slot], *this);
    if (value) {
      auto stored = store_variable({scope.self, slot}, std::move(*value));
      if (stored) continue;
      fail(internal(stored.error().message));
      return false;
    }
    if (value.error().engine_error) {
      fail(*value.error().engine_error);
      return false;
    }
    FaultRow fault;
    fault.ns = kBpelNamespace;
    fault.local = faults::kScopeInitializationFailure;
    fault.where = program_.where(scope.index);
    fault.text =
        fmt::format("the variable {} cannot be initialised: {}", scope.variables[slot].name, value.error().message);
    region.row.fault = std::move(fault);
    region.row.state = RegionState::kFaulting;
    fault_escapes(region);
    return false;
  }
  return true;
}

void Machine::start_body(Region& region, const Scope& scope) {
  enable_events(region);
  if (ended() || region.row.state != RegionState::kRunning) return;
  touch(region);
  start(region, 0, *scope.body);
}

// ---- event handlers (§12.7) ----

void Machine::enable_events(Region& region) {
  const auto& scope = definition_.scope(region.row.scope);
  if (scope.on_events.empty() && scope.on_alarms.empty()) return;
  // A scope that the creating message is still on its way into has its event handlers only when that message was taken.
  if (!instance_.header.start_message.empty() && is_start_inside(scope.index)) return;
  region.row.events_enabled = true;
  touch(region);
  for (std::uint32_t i = 0; i < scope.on_events.size(); ++i) {
    region.row.events.emplace_back();
    if (lacks_values(region, scope.on_events[i]->event)) continue;  // subscribed when they are there
    auto key = subscribe(region, scope.on_events[i]->event, 0, i, scope.on_events[i]->index);
    if (key.empty()) return;
    region.row.events[i].key = std::move(key);
  }
  for (std::uint32_t i = 0; i < scope.on_alarms.size(); ++i) region.row.events.emplace_back();
  const auto events = static_cast<std::uint32_t>(scope.on_events.size());
  for (std::uint32_t i = 0; i < scope.on_alarms.size(); ++i) {
    arm_alarm(region, events + i, true);
    if (ended() || region.row.state != RegionState::kRunning) return;
  }
  for (std::uint32_t i = 0; i < events; ++i) {
    while (region.row.events_enabled && !region.row.events[i].key.empty() &&
           event_takes_early(region, i, region.row.events[i].key)) {
    }
  }
}

void Machine::enable_deferred_events(Region& from) {
  for (Region* at = &from; at != nullptr; at = at->parent) {
    const bool waits = at->row.kind == RegionKind::kScope && at->row.state == RegionState::kRunning;
    if (waits && !at->row.events_enabled && !at->row.body_done) enable_events(*at);
    if (ended()) return;
  }
}

void Machine::disable_events(Region& region) {
  if (!region.row.events_enabled) return;
  for (std::uint32_t i = 0; i < region.row.events.size(); ++i) {
    const auto& event = region.row.events[i];
    if (!event.key.empty()) unsubscribe(region, event.key, 0, i);
    if (event.armed) cancel_timer({instance_.header.id, region.path, 0, i});
  }
  region.row.events.clear();
  region.row.events_enabled = false;
  touch(region);
}

// The first time: computes when the alarm is due. Later: it is due now.
void Machine::arm_alarm(Region& region, std::uint32_t handler, bool first) {
  const auto& scope = definition_.scope(region.row.scope);
  if (!region.row.events_enabled || handler >= region.row.events.size() || handler < scope.on_events.size()) return;
  const auto& alarm = *scope.on_alarms[handler - scope.on_events.size()];
  auto& state = region.row.events[handler];
  const Token token{instance_.header.id, region.path, 0, handler};
  if (!first) {
    if (!state.armed) return;
    state.armed = state.every > 0;
    if (state.armed) {
      state.due = std::max(state.due + Duration(state.every), turn_.now());
      set_timer(token, state.due);
    }
    touch(region);
    open_scope(region, 0, as<Scope>(*alarm.activity));
    return;
  }
  current_ = &region;
  if (alarm.repeat_every) {
    auto next = evaluate_for(*alarm.repeat_every, *this, turn_.now());
    if (!next) return throw_fault(region, next.error(), alarm.index);
    state.every = (*next - turn_.now()).count();
    state.due = *next;
    if (state.every <= 0) {
      return throw_standard(region, faults::kInvalidExpressionValue, "repeatEvery must be longer than zero",
                            alarm.index);
    }
  }
  if (alarm.for_duration || alarm.until) {
    auto due = alarm.for_duration ? evaluate_for(*alarm.for_duration, *this, turn_.now())
                                  : evaluate_until(*alarm.until, *this);
    if (!due) return throw_fault(region, due.error(), alarm.index);
    state.due = std::max(*due, turn_.now());  // one that is over is due now, and repeats from now on
  }
  state.armed = true;
  set_timer(token, state.due);
}

// ---- completing ----

void Machine::body_done(Region& region) {
  if (region.row.kind != RegionKind::kScope) return handler_finished(region);
  region.row.body_done = true;
  touch(region);
  disable_events(region);
  try_complete(region);
}

void Machine::try_complete(Region& region) {
  if (!region.row.body_done || region.row.running_children > 0 || region.row.state != RegionState::kRunning) return;
  if (region.row.open_requests > 0 && throw_missing_reply(region)) return;
  complete_scope(region);
}

bool Machine::throw_missing_reply(Region& region) {
  if (region.row.reply_missed) return false;
  region.row.reply_missed = true;
  throw_standard(region, faults::kMissingReply, "the scope ends and a request that it received has no reply",
                 region.row.node);
  return true;
}

void Machine::complete_scope(Region& region) {
  observe(region.row.node, "completed");
  leave_isolation(region);
  if (region.parent == nullptr) return end_process(InstanceState::kCompleted, std::nullopt);
  Region& parent = *region.parent;
  const auto frame = region.row.parent_frame;
  const auto& scope = definition_.scope(region.row.scope);
  if (scope.compensation_handler != nullptr || region.row.completed_children > 0) {
    if (parent.row.completed_children >= limits_.completed) {
      return fail(exhausted(fmt::format("{} keeps more than {} completed scopes for a compensation",
                                        instance_.header.id, limits_.completed)));
    }
    region.row.state = RegionState::kCompleted;
    region.row.completion = next_number();
    touch(region);
    const Completed entry{region.row.completion, {region.row.node, region.number()}};
    if (parent.completed_loaded) parent.completed.push_back(entry);
    insert(tables_.scope, key_of(parent.path) + '\0' + big_endian(static_cast<std::uint64_t>(entry.completion)),
           encode_record(entry.row));
    parent.stored = true;
    ++parent.row.completed_children;
    touch(parent);
  } else {
    drop(region);
  }
  child_ended(parent, frame, Outcome::kCompleted);
}

void Machine::child_ended(Region& parent, std::uint32_t number, Outcome outcome) {
  if (ended()) return;
  CHECK(parent.row.running_children > 0);
  --parent.row.running_children;
  touch(parent);
  if (parent.row.state != RegionState::kRunning) {
    if (parent.row.running_children == 0) contents_gone(parent);
    return;
  }
  if (number == 0) return try_complete(parent);
  Frame* frame = parent.frame(number);
  if (frame == nullptr) return;
  if (program_.node(frame->node).kind == NodeKind::kForEach) return branch_done(parent, *frame, outcome);
  complete(parent, number);
}

// ---- ending by force (§12.6) ----

void Machine::release(Region& region, Frame& frame, bool with_handlers) {
  for (std::uint32_t i = 0; i < frame.keys.size(); ++i) unsubscribe(region, frame.keys[i], frame.number, i);
  frame.keys.clear();
  for (std::uint32_t i = 0; i < frame.timers; ++i) cancel_timer({instance_.header.id, region.path, frame.number, i});
  frame.timers = 0;
  if (frame.text.empty()) return;
  if (frame.node != kNone && program_.node(frame.node).kind == NodeKind::kInvoke) {
    check(turn_.forget(frame.text));
    abandoned_.push_back({std::move(frame.text), with_handlers, true});
    frame.text.clear();
    return;
  }
  Region* completed = this->region(frame.text);  // a compensation at work
  if (completed == nullptr) return;
  load_children(*completed);
  for (auto& [number, child] : completed->children) {
    if (child->row.kind == RegionKind::kCompensationHandler) return terminate_region(*child);
  }
}

// Ends all that runs in the region; what goes on for a while (termination handlers) is counted in running_children.
void Machine::terminate_contents(Region& region) {
  ++region.row.running_children;  // holds the end back until all were told
  disable_events(region);
  std::vector<std::uint32_t> frames;
  for (const auto& [number, frame] : region.frames) frames.push_back(number);
  for (const auto number : frames) {
    if (Frame* frame = region.frame(number)) {
      if (frame->node != kNone) observe(frame->node, "terminated");
      release(region, *frame, true);
    }
  }
  region.frames.clear();
  region.row.links.clear();
  region.row.waiters.clear();
  load_children(region);
  std::vector<Path> running;
  for (const auto& [number, child] : region.children) {
    if (child->row.kind == RegionKind::kScope && child->row.state == RegionState::kRunning)
      running.push_back(child->path);
  }
  for (const auto& path : running) {
    if (Region* child = this->region(path)) terminate_region(*child);
  }
  --region.row.running_children;
  touch(region);
}

void Machine::terminate_region(Region& region) {
  // A scope whose fault handler is at work is left alone (§12.6).
  if (region.row.state != RegionState::kRunning) return;
  if (region.row.kind == RegionKind::kScope && waits_for_isolation(region)) {
    // It has not begun: there is nothing that its termination handler could end.
    Region& parent = *region.parent;
    const auto frame = region.row.parent_frame;
    leave_isolation(region);
    drop(region);
    return child_ended(parent, frame, Outcome::kTerminated);
  }
  region.row.state = RegionState::kTerminating;
  terminate_contents(region);
  if (!ended() && region.row.running_children == 0) contents_gone(region);
}

void Machine::contents_gone(Region& region) {
  if (region.row.state == RegionState::kFaulting) {
    if (region.row.kind == RegionKind::kScope) return handle_fault(region);
    return handler_finished(region);
  }
  if (region.row.state != RegionState::kTerminating) return;
  if (region.row.kind == RegionKind::kScope) return run_termination_handler(region);
  handler_finished(region);
}

void Machine::run_termination_handler(Region& region) {
  const auto& scope = definition_.scope(region.row.scope);
  if (scope.termination_handler != nullptr) {
    open_handler(region, RegionKind::kTerminationHandler, scope.termination_handler->index,
                 scope.termination_handler->activity);
    return;
  }
  if (region.row.completed_children > 0) {
    open_handler(region, RegionKind::kTerminationHandler, kNone, nullptr);
    return;
  }
  if (region.parent == nullptr) return end_process(InstanceState::kTerminated, region.row.fault);
  Region& parent = *region.parent;
  const auto frame = region.row.parent_frame;
  FaultRow fault;
  fault.ns = kBpelNamespace;
  fault.local = faults::kMissingReply;
  fault.text = "the scope that received the request was terminated";
  answer_open(&region, fault);
  leave_isolation(region);
  drop(region);
  child_ended(parent, frame, Outcome::kTerminated);
}

// ---- the end of the process ----

void Machine::end_process(InstanceState state, const std::optional<FaultRow>& fault) {
  if (ended()) return;
  auto& header = instance_.header;
  Region* root = process_region();
  const bool clean = state == InstanceState::kCompleted && program_.indexed_sets.empty();
  if (root != nullptr && !clean) load_children(*root);
  for (auto& [path, region] : instance_.regions) {
    disable_events(*region);
    for (auto& [number, frame] : region->frames) {
      // What a compensation runs stands in this list itself.
      if (frame.node == kNone || program_.node(frame.node).kind == NodeKind::kCompensate ||
          program_.node(frame.node).kind == NodeKind::kCompensateScope) {
        continue;
      }
      release(*region, frame, false);
    }
  }
  FaultRow answer;
  if (fault) {
    answer = *fault;
  } else {
    answer.ns = kBpelNamespace;
    answer.local = faults::kMissingReply;
    answer.text = fmt::format("the process {} ended without a reply", header.process);
  }
  answer_start(answer);
  answer_open(nullptr, answer);
  answer_early();
  header.state = state;
  header.ended = turn_.now();
  if (fault) header.fault = fault->where.empty() ? fault->text : fault->where + ": " + fault->text;
  auto& transaction = turn_.transaction();
  for (const auto table : {tables_.scope, tables_.open, tables_.early}) {
    check(transaction.erase_prefix(table, header.id));
  }
  if (!program_.isolated.empty()) check(transaction.erase_prefix(tables_.isolation, header.id));
  all_rows_dropped_ = true;
  if (root != nullptr) drop_memory(*root);
  tasks_.clear();
  header.isolation.clear();
  if (state != InstanceState::kCompleted && fault) {
    exchange::Event event;
    event.vo = header.vo;
    event.kind = state == InstanceState::kFaulted ? "workflow.fault" : "workflow.terminated";
    event.severity = "error";
    event.text = fmt::format("{}: {}", header.process, header.fault);
    event.attributes = {{"instance", header.id}, {"process", header.process}, {"fault", fault->name().to_string()}};
    check(turn_.publish(std::move(event)));
  }
}

}  // namespace nuraghe::bpel::runtime
