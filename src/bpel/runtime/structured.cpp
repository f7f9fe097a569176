// Structured activities (WS-BPEL 2.0 §11): sequence, if, while, repeatUntil, flow, forEach, pick.
#include <fmt/format.h>

#include "bpel/runtime/machine.hpp"

namespace nuraghe::bpel::runtime {

void Machine::begin_sequence(Region& region, Frame& frame) {
  const auto& sequence = as<Sequence>(program_.node(frame.node));
  if (sequence.activities.empty()) return complete(region, frame.number);
  start(region, frame.number, *sequence.activities.front());
}

void Machine::begin_if(Region& region, Frame& frame) {
  const auto& activity = as<If>(program_.node(frame.node));
  const Activity* chosen = nullptr;
  for (const auto& branch : activity.branches) {
    if (branch.condition) {
      current_ = &region;
      auto holds = evaluate_boolean(*branch.condition, *this);
      if (!holds) return throw_fault(region, holds.error(), frame.node);
      if (!*holds) continue;
    }
    chosen = branch.activity;
    break;
  }
  if (!definition_.links().empty()) {
    for (const auto& branch : activity.branches) {
      if (branch.activity != chosen) set_links_below_false(region, branch.activity->index, true);
    }
  }
  if (chosen == nullptr) return complete(region, frame.number);
  start(region, frame.number, *chosen);
}

void Machine::continue_while(Region& region, Frame& frame) {
  const auto& loop = as<While>(program_.node(frame.node));
  current_ = &region;
  auto holds = evaluate_boolean(loop.condition, *this);
  if (!holds) return throw_fault(region, holds.error(), frame.node);
  if (!*holds) return complete(region, frame.number);
  start(region, frame.number, *loop.body);
}

void Machine::repeat_until(Region& region, Frame& frame) {
  const auto& loop = as<RepeatUntil>(program_.node(frame.node));
  current_ = &region;
  auto holds = evaluate_boolean(loop.condition, *this);
  if (!holds) return throw_fault(region, holds.error(), frame.node);
  if (*holds) return complete(region, frame.number);
  start(region, frame.number, *loop.body);
}

void Machine::begin_flow(Region& region, Frame& frame) {
  const auto& flow = as<Flow>(program_.node(frame.node));
  if (flow.activities.empty()) return complete(region, frame.number);
  frame.a = static_cast<std::int64_t>(flow.activities.size());
  for (const LinkIndex link : flow.links) region.row.links.push_back({link, -1});
  const auto number = frame.number;
  for (const auto* activity : flow.activities) start(region, number, *activity);
}

// ---- forEach (§11.7) ----

void Machine::begin_for_each(Region& region, Frame& frame) {
  const auto& loop = as<ForEach>(program_.node(frame.node));
  current_ = &region;
  auto first = evaluate_unsigned(loop.start, *this);
  if (!first) return throw_fault(region, first.error(), frame.node);
  auto last = evaluate_unsigned(loop.final, *this);
  if (!last) return throw_fault(region, last.error(), frame.node);
  frame.a = *first;
  frame.b = *last;
  frame.d = -1;
  const std::int64_t total = frame.b < frame.a ? 0 : frame.b - frame.a + 1;
  if (loop.completion_branches) {
    auto enough = evaluate_unsigned(*loop.completion_branches, *this);
    if (!enough) return throw_fault(region, enough.error(), frame.node);
    frame.d = *enough;
    if (frame.d > total) {
      return throw_standard(region, faults::kInvalidBranchCondition,
                            fmt::format("{} of {} branches are to complete", frame.d, total), frame.node);
    }
  }
  if (total == 0 || frame.d == 0) return complete(region, frame.number);
  spawn_branch(region, frame);
}

void Machine::spawn_branch(Region& region, Frame& frame) {
  const auto& loop = as<ForEach>(program_.node(frame.node));
  if (frame.state == FrameState::kClosing || frame.a > frame.b || (!loop.parallel && frame.e > 0)) return;
  if (static_cast<std::int64_t>(instance_.regions.size()) >= limits_.regions) {
    return fail(exhausted(fmt::format("{} has more than {} scopes at once", instance_.header.id, limits_.regions)));
  }
  const std::int64_t counter = frame.a++;
  ++frame.e;
  touch(region);
  // The branch's counter is a variable of its scope: it must have its value before the scope is initialised.
  frame.f = counter;
  Region* branch = open_scope(region, frame.number, *loop.body);
  if (branch == nullptr) return;
  if (loop.parallel && frame.a <= frame.b) push(region, frame);
}

bool Machine::check_completion(Region& region, Frame& frame) {
  const auto& loop = as<ForEach>(program_.node(frame.node));
  if (frame.d < 0) return false;
  if (frame.c >= frame.d) {
    frame.state = FrameState::kClosing;
    touch(region);
    load_children(region);
    std::vector<Path> running;
    for (const auto& [number, child] : region.children) {
      if (child->row.parent_frame == frame.number && child->row.kind == RegionKind::kScope)
        running.push_back(child->path);
    }
    const auto number = frame.number;
    for (const auto& path : running) {
      if (Region* child = this->region(path)) terminate_region(*child);
      if (region.frame(number) == nullptr) return true;  // the last of them took the activity with it
    }
    if (Frame* still = region.frame(number); still != nullptr && still->e == 0) complete(region, number);
    return true;
  }
  const std::int64_t left = frame.e + (frame.b - frame.a + 1);
  if (frame.c + left >= frame.d) return false;
  throw_standard(region, faults::kCompletionConditionFailure,
                 fmt::format("{} of {} branches completed and {} are left", frame.c, frame.d, left), loop.index);
  return true;
}

void Machine::branch_done(Region& region, Frame& frame, Outcome outcome) {
  const auto& loop = as<ForEach>(program_.node(frame.node));
  --frame.e;
  touch(region);
  if (frame.state == FrameState::kClosing) {
    if (frame.e == 0) complete(region, frame.number);
    return;
  }
  if (outcome == Outcome::kCompleted || (outcome == Outcome::kHandled && !loop.successful_branches_only)) ++frame.c;
  if (check_completion(region, frame)) return;
  if (frame.a <= frame.b) {
    if (!loop.parallel) push(region, frame);
    return;
  }
  if (frame.e == 0) complete(region, frame.number);
}

// ---- pick (§11.5) ----

void Machine::begin_pick(Region& region, Frame& frame) {
  const auto& pick = as<Pick>(program_.node(frame.node));
  const auto number = frame.number;
  frame.state = FrameState::kWaiting;
  touch(region);
  if (take_start_message(region, frame)) return;
  for (std::uint32_t i = 0; i < pick.messages.size(); ++i) {
    auto key = subscribe(region, pick.messages[i]->event, number, i, pick.messages[i]->index);
    if (key.empty()) return;
    frame.keys.push_back(std::move(key));
  }
  for (std::uint32_t i = 0; i < pick.messages.size(); ++i) {
    if (take_early_message(region, frame, i, frame.keys[i])) return;
  }
  for (std::uint32_t i = 0; i < pick.alarms.size(); ++i) {
    const auto& alarm = *pick.alarms[i];
    current_ = &region;
    auto due = alarm.for_duration ? evaluate_for(*alarm.for_duration, *this, turn_.now())
                                  : evaluate_until(*alarm.until, *this);
    if (!due) return throw_fault(region, due.error(), alarm.index);
    frame.timers = i + 1;
    set_timer({instance_.header.id, region.path, number, i}, *due);
  }
}

void Machine::pick_done(Region& region, Frame& frame, const Activity& activity, NodeIndex chosen) {
  const auto& pick = as<Pick>(program_.node(frame.node));
  release(region, frame, true);
  frame.state = FrameState::kRunning;
  touch(region);
  if (!definition_.links().empty()) {
    for (const auto* message : pick.messages) {
      if (message->index != chosen) set_links_below_false(region, message->index, true);
    }
    for (const auto* alarm : pick.alarms) {
      if (alarm->index != chosen) set_links_below_false(region, alarm->index, true);
    }
  }
  start(region, frame.number, activity);
}

}  // namespace nuraghe::bpel::runtime
