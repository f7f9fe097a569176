#include "bpel/runtime/machine.hpp"

#include <fmt/format.h>

#include "base/check.hpp"
#include "base/log.hpp"

namespace nuraghe::bpel::runtime {
namespace {

FaultRow terminated_fault(const std::string& reason) {
  FaultRow fault;
  fault.ns = "urn:nuraghe:bpel:1";
  fault.local = "terminated";
  fault.text = reason;
  fault.code = error_code_name(ErrorCode::kCancelled);
  return fault;
}

}  // namespace

Machine::Machine(const MachineContext& context)
    : tables_(context.tables),
      program_(context.program),
      definition_(*context.program.definition),
      instance_(context.instance),
      turn_(context.turn),
      limits_(context.limits),
      own_base_(context.own_base),
      observer_(context.observer) {
  for (auto& task : instance_.header.tasks) tasks_.push_back({std::move(task.path), task.frame});
  instance_.header.tasks.clear();
}

Machine::~Machine() = default;

void Machine::fail(Error error) {
  if (!error_) error_ = std::move(error);
}

bool Machine::check(Status status) {
  if (status) return !error_;
  store_failed_ = true;
  fail(std::move(status).error());
  return false;
}

void Machine::settle() {
  if (!error_ || store_failed_) return;
  FaultRow fault;
  fault.ns = "urn:nuraghe:bpel:1";
  fault.local = "engineFailure";
  fault.text = error_->to_string();
  fault.code = error_code_name(error_->code());
  log_error("bpel", "an instance is ended", {{"instance", instance_.header.id}, {"error", fault.text}});
  error_.reset();
  end_process(InstanceState::kFaulted, fault);
  // Rows that cannot be read are nobody's any more.
  if (!store_failed_) error_.reset();
}

void Machine::touch(Region& region) {
  if (region.dropped) return;
  region.dirty = true;
  dirty_.emplace(region.path, &region);
}

void Machine::observe(NodeIndex node, std::string_view what) {
  if (observer_) observer_({instance_.header.id, instance_.header.process, node, what});
}

// ---- events ----

void Machine::start_process(const exchange::Message* message) {
  start_message_ = message;
  Path path;
  append_number(path, next_number());
  RegionRow row;
  row.node = definition_.process().index;
  Region* root = adopt(std::move(path), std::move(row));
  root->variables.resize(definition_.process().variables.size());
  root->partner_links.resize(definition_.process().partner_links.size());
  for (auto& slot : root->variables) slot.loaded = true;
  for (auto& slot : root->partner_links) slot.loaded = true;
  observe(root->row.node, "started");
  if (!initialise(*root, definition_.process())) return;
  start_body(*root, definition_.process());
}

void Machine::take_message(const Token& target, const exchange::Message& message) {
  Region* owner = region(target.path);
  if (error_) return;
  if (owner == nullptr) {
    fail(internal("a subscription leads to a region that is not there"));
    return;
  }
  if (target.frame == 0) {
    deliver_event(*owner, target.alternative, message);
    return;
  }
  Frame* frame = owner->frame(target.frame);
  if (frame == nullptr || frame->state != FrameState::kWaiting) {
    fail(internal("a subscription leads to an activity that does not wait"));
    return;
  }
  deliver(*owner, *frame, target.alternative, message);
}

void Machine::take_reply(const Token& target, const exchange::Message& reply) {
  Region* owner = region(target.path);
  if (error_ || owner == nullptr) return;
  Frame* frame = owner->frame(target.frame);
  if (frame == nullptr || frame->state != FrameState::kWaiting || frame->text != reply.relates_to) return;
  invoke_done(*owner, *frame, reply);
}

void Machine::take_timer(const Token& target) {
  Region* owner = region(target.path);
  if (error_ || owner == nullptr) return;
  if (target.frame == 0) {
    arm_alarm(*owner, target.alternative, false);
    return;
  }
  Frame* frame = owner->frame(target.frame);
  if (frame == nullptr || frame->state != FrameState::kWaiting) return;
  const auto& node = program_.node(frame->node);
  frame->timers = 0;
  if (node.kind == NodeKind::kWait) {
    complete(*owner, frame->number);
    return;
  }
  const auto& pick = as<Pick>(node);
  if (target.alternative >= pick.alarms.size()) return;
  const auto& alarm = *pick.alarms[target.alternative];
  frame->timers = static_cast<std::int64_t>(pick.alarms.size());
  pick_done(*owner, *frame, *alarm.activity, alarm.index);
}

void Machine::take_ambiguous(const Token& target, const exchange::Message& message) {
  Region* owner = region(target.path);
  if (error_ || owner == nullptr) return;
  const Frame* frame = owner->frame(target.frame);
  if (!message.one_way) {
    FaultRow refusal;
    refusal.ns = kBpelNamespace;
    refusal.local = faults::kAmbiguousReceive;
    refusal.text = fmt::format("more than one receive waits for this {} message", message.operation);
    refusal.code = error_code_name(ErrorCode::kConflict);
    OpenRequestRow row;
    row.request_id = message.message_id;
    send_fault(row, refusal);
  }
  throw_standard(*owner, faults::kAmbiguousReceive,
                 fmt::format("more than one receive waits for this {} message", message.operation),
                 frame == nullptr ? owner->row.node : frame->node);
}

void Machine::terminate(const std::string& reason) {
  end_process(InstanceState::kTerminated, terminated_fault(reason));
}

void Machine::end_by_force(const std::string& reason) {
  Region* root = process_region();
  if (error_ || root == nullptr || root->row.state != RegionState::kRunning) return;
  // Kept where the end finds it: a termination handler may wait for its partners.
  root->row.fault = terminated_fault(reason);
  touch(*root);
  terminate_region(*root);
}

// ---- running ----

void Machine::run() {
  for (std::int64_t count = 0; !tasks_.empty() && !error_ && !ended(); ++count) {
    if (count >= limits_.activities_per_turn) return;
    const Task task = std::move(tasks_.front());
    tasks_.pop_front();
    Region* owner = region(task.path);
    if (owner == nullptr) continue;
    if (task.frame == 0) {
      continue_isolated(*owner);
      continue;
    }
    if (Frame* frame = owner->frame(task.frame)) execute(*owner, *frame);
  }
}

Frame& Machine::start(Region& region, std::uint32_t parent, const Activity& activity) {
  Frame frame;
  frame.number = next_number();
  frame.node = activity.index;
  frame.parent = parent;
  auto& placed = region.frames.emplace(frame.number, std::move(frame)).first->second;
  touch(region);
  push(region, placed);
  return placed;
}

void Machine::execute(Region& region, Frame& frame) {
  if (frame.state == FrameState::kRunning || frame.state == FrameState::kClosing) {
    resume_frame(region, frame);
    return;
  }
  if (frame.state == FrameState::kWaiting) return;
  if (frame.node != kNone) {
    const auto& activity = as<Activity>(program_.node(frame.node));
    if (!activity.targets.empty()) {
      if (!links_ready(region, frame, activity)) return;
      if (!join(region, frame, activity)) return;
    }
  }
  frame.state = FrameState::kRunning;
  touch(region);
  observe(frame.node, "started");
  begin(region, frame);
}

void Machine::begin(Region& region, Frame& frame) {
  if (frame.node == kNone) return begin_compensate(region, frame);
  const auto& node = program_.node(frame.node);
  switch (node.kind) {
    case NodeKind::kReceive:
      return begin_receive(region, frame);
    case NodeKind::kReply:
      return begin_reply(region, frame);
    case NodeKind::kInvoke:
      return begin_invoke(region, frame);
    case NodeKind::kAssign:
      return begin_assign(region, frame);
    case NodeKind::kThrow:
      return begin_throw(region, frame);
    case NodeKind::kRethrow:
      return begin_rethrow(region, frame);
    case NodeKind::kWait:
      return begin_wait(region, frame);
    case NodeKind::kEmpty:
    case NodeKind::kExtension:
      return complete(region, frame.number);
    case NodeKind::kExit:
      return end_process(InstanceState::kTerminated, std::nullopt);
    case NodeKind::kValidate:
      return begin_validate(region, frame);
    case NodeKind::kCompensate:
    case NodeKind::kCompensateScope:
      return begin_compensate(region, frame);
    case NodeKind::kSequence:
      return begin_sequence(region, frame);
    case NodeKind::kIf:
      return begin_if(region, frame);
    case NodeKind::kWhile:
      return continue_while(region, frame);
    case NodeKind::kRepeatUntil:
      start(region, frame.number, *as<RepeatUntil>(node).body);
      return;
    case NodeKind::kForEach:
      return begin_for_each(region, frame);
    case NodeKind::kFlow:
      return begin_flow(region, frame);
    case NodeKind::kPick:
      return begin_pick(region, frame);
    case NodeKind::kScope:
      open_scope(region, frame.number, as<Scope>(node));
      return;
    default:
      fail(internal("a handler stands where an activity should"));
      return;
  }
}

void Machine::resume_frame(Region& region, Frame& frame) {
  if (frame.node == kNone) return begin_compensate(region, frame);
  switch (program_.node(frame.node).kind) {
    case NodeKind::kForEach:
      return spawn_branch(region, frame);
    case NodeKind::kCompensate:
    case NodeKind::kCompensateScope:
      return begin_compensate(region, frame);
    default:
      return;
  }
}

void Machine::complete(Region& region, std::uint32_t number) {
  Frame* frame = region.frame(number);
  CHECK(frame != nullptr);
  const NodeIndex node = frame->node;
  const std::uint32_t parent = frame->parent;
  region.frames.erase(number);
  touch(region);
  if (node != kNone) {
    observe(node, "completed");
    const auto& activity = as<Activity>(program_.node(node));
    if (!definition_.links().empty()) {
      set_links_below_false(region, node, false);
      if (!activity.sources.empty()) set_source_links(region, activity);
      // A transition condition may have raised a fault: then the region ends what runs in it, this activity's parents
      // too.
      if (ended() || region.row.state != RegionState::kRunning) return;
    }
  }
  child_done(region, parent);
}

void Machine::child_done(Region& region, std::uint32_t parent) {
  if (parent == 0) return body_done(region);
  Frame* frame = region.frame(parent);
  if (frame == nullptr) return;
  const auto& node = program_.node(frame->node);
  switch (node.kind) {
    case NodeKind::kSequence: {
      const auto& sequence = as<Sequence>(node);
      touch(region);
      if (static_cast<std::size_t>(++frame->a) < sequence.activities.size()) {
        start(region, parent, *sequence.activities[static_cast<std::size_t>(frame->a)]);
        return;
      }
      return complete(region, parent);
    }
    case NodeKind::kWhile:
      return continue_while(region, *frame);
    case NodeKind::kRepeatUntil:
      return repeat_until(region, *frame);
    case NodeKind::kFlow:
      touch(region);
      if (--frame->a > 0) return;
      std::erase_if(region.row.links,
                    [&](const LinkState& state) { return definition_.link(state.link).flow == node.index; });
      return complete(region, parent);
    default:
      return complete(region, parent);
  }
}

bool Machine::is_start_inside(NodeIndex node) const {
  const NodeIndex start = instance_.header.start_node;
  return start != kNone && start >= node && start < program_.subtree_end[node];
}

}  // namespace nuraghe::bpel::runtime
