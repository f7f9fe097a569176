// Links of flows: join conditions, transition conditions, dead-path elimination (WS-BPEL 2.0 §11.6).
#include <algorithm>

#include "bpel/runtime/machine.hpp"

namespace nuraghe::bpel::runtime {

std::pair<Region*, LinkState*> Machine::find_link(Region& from, LinkIndex link) {
  for (Region* at = &from; at != nullptr; at = at->parent) {
    for (auto& state : at->row.links) {
      if (state.link == link) return {at, &state};
    }
  }
  return {nullptr, nullptr};
}

Evaluated<bool> Machine::link_status(LinkIndex link) {
  const auto [owner, state] = find_link(*current_, link);
  return state != nullptr && state->status == 1;
}

// False, with the frame waiting, while an incoming link is not determined. Links of several flows may be kept in
// several regions: it waits where the first one is that is missing.
bool Machine::links_ready(Region& region, Frame& frame, const Activity& activity) {
  const auto is_this = [&](const LinkWaiter& waiter) { return waiter.frame == frame.number; };
  for (const LinkIndex link : activity.targets) {
    const auto [owner, state] = find_link(region, link);
    if (state == nullptr || (state->status >= 0 && state->status < kHiddenStatus)) continue;
    auto& waiters = owner->row.waiters;
    if (frame.state != FrameState::kLinks || std::none_of(waiters.begin(), waiters.end(), is_this)) {
      frame.state = FrameState::kLinks;
      waiters.push_back({frame.node, region.path, frame.number});
      touch(*owner);
      touch(region);
    }
    return false;
  }
  if (frame.state != FrameState::kLinks) return true;
  for (const LinkIndex link : activity.targets) {
    const auto [owner, state] = find_link(region, link);
    if (owner != nullptr && std::erase_if(owner->row.waiters, is_this) > 0) touch(*owner);
  }
  return true;
}

// False when the activity is not to be performed; then it is done away with.
bool Machine::join(Region& region, Frame& frame, const Activity& activity) {
  current_ = &region;
  bool perform = false;
  if (activity.join_condition) {
    auto value = evaluate_boolean(*activity.join_condition, *this);
    if (!value) {
      throw_fault(region, value.error(), frame.node);
      return false;
    }
    perform = *value;
  } else {
    for (const LinkIndex link : activity.targets) {
      const auto [owner, state] = find_link(region, link);
      perform = perform || (state != nullptr && state->status == 1);
    }
  }
  if (perform) return true;
  if (!activity.suppress_join_failure) {
    throw_standard(region, faults::kJoinFailure, "the join condition is false", frame.node);
    return false;
  }
  const std::uint32_t parent = frame.parent;
  region.frames.erase(frame.number);
  touch(region);
  set_links_below_false(region, activity.index, true);
  child_done(region, parent);
  return false;
}

void Machine::set_source_links(Region& region, const Activity& activity) {
  for (std::size_t i = 0; i < activity.sources.size(); ++i) {
    const auto& source = activity.sources[i];
    bool status = true;
    if (source.transition_condition) {
      current_ = &region;
      auto value = evaluate_boolean(*source.transition_condition, *this);
      if (!value) {
        // The links that are left are false where their targets live on (§11.6.2), then the fault is thrown.
        for (std::size_t left = i; left < activity.sources.size(); ++left) {
          set_link(region, activity.sources[left].link, false);
        }
        return throw_fault(region, value.error(), activity.index);
      }
      status = *value;
    }
    set_link(region, source.link, status);
  }
}

void Machine::set_links_below_false(Region& region, NodeIndex node, bool itself) {
  const auto& links = program_.links_by_source;
  const NodeIndex first = itself ? node : node + 1;
  auto at = std::lower_bound(links.begin(), links.end(), first,
                             [&](LinkIndex link, NodeIndex wanted) { return definition_.link(link).source < wanted; });
  for (; at != links.end() && definition_.link(*at).source < program_.subtree_end[node]; ++at) {
    set_link(region, *at, false);
  }
}

void Machine::set_link(Region& from, LinkIndex link, bool status) {
  const auto [owner, state] = find_link(from, link);
  if (state == nullptr || state->status >= 0) return;
  state->status = status ? 1 : 0;
  touch(*owner);
  if (is_hidden(from, link))
    state->status += kHiddenStatus;
  else
    wake_target(*owner, link);
}

void Machine::wake_target(Region& owner, LinkIndex link) {
  for (const auto& waiter : owner.row.waiters) {
    if (waiter.target == definition_.link(link).target) tasks_.push_back({waiter.path, waiter.frame});
  }
}

}  // namespace nuraghe::bpel::runtime
