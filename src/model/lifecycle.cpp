#include "model/lifecycle.hpp"

#include <fmt/format.h>

#include <algorithm>

#include "base/check.hpp"

namespace nuraghe::model {

std::string_view name_of(HostState state) {
  switch (state) {
    case HostState::kInitial:
      return "initial";
    case HostState::kRunning:
      return "running";
    case HostState::kPaused:
      return "paused";
    case HostState::kFrozen:
      return "frozen";
    case HostState::kMigrating:
      return "migrating";
    case HostState::kDestroyed:
      return "destroyed";
  }
  return "unknown";
}

std::string_view name_of(HostEvent event) {
  switch (event) {
    case HostEvent::kStarted:
      return "started";
    case HostEvent::kPaused:
      return "paused";
    case HostEvent::kResumed:
      return "resumed";
    case HostEvent::kFrozen:
      return "frozen";
    case HostEvent::kThawed:
      return "thawed";
    case HostEvent::kThawedPaused:
      return "thawed-paused";
    case HostEvent::kDeparting:
      return "departing";
    case HostEvent::kArrived:
      return "arrived";
    case HostEvent::kStayed:
      return "stayed";
    case HostEvent::kDestroyed:
      return "destroyed";
  }
  return "unknown";
}

std::string_view name_of(ClusterState state) {
  switch (state) {
    case ClusterState::kCreating:
      return "creating";
    case ClusterState::kRunning:
      return "running";
    case ClusterState::kPausing:
      return "pausing";
    case ClusterState::kPaused:
      return "paused";
    case ClusterState::kResuming:
      return "resuming";
    case ClusterState::kFreezing:
      return "freezing";
    case ClusterState::kFrozen:
      return "frozen";
    case ClusterState::kThawing:
      return "thawing";
    case ClusterState::kDestroying:
      return "destroying";
    case ClusterState::kDestroyed:
      return "destroyed";
    case ClusterState::kBroken:
      return "broken";
  }
  return "unknown";
}

std::string_view name_of(ClusterOperation operation) {
  switch (operation) {
    case ClusterOperation::kNone:
      return "none";
    case ClusterOperation::kCreate:
      return "create";
    case ClusterOperation::kPause:
      return "pause";
    case ClusterOperation::kResume:
      return "resume";
    case ClusterOperation::kFreeze:
      return "freeze";
    case ClusterOperation::kThaw:
      return "thaw";
    case ClusterOperation::kDestroy:
      return "destroy";
  }
  return "unknown";
}

Result<HostState> host_state_from_name(std::string_view name) {
  for (const HostState state : kHostStates)
    if (name_of(state) == name) return state;
  return invalid(fmt::format("'{}' is not a state of a virtual host", name));
}

Result<HostState> apply(HostState state, HostEvent event) {
  if (const auto next = next_state(state, event)) return *next;
  return conflict(fmt::format("a virtual host that is {} cannot become {}", name_of(state), name_of(event)));
}

ClusterState derive_cluster_state(ClusterOperation operation, const std::vector<HostState>& hosts) {
  for (const OperationState& entry : kOperationStates)
    if (entry.operation == operation) return entry.state;
  CHECK(operation == ClusterOperation::kNone);
  const auto all = [&](auto... states) {
    return std::all_of(hosts.begin(), hosts.end(), [&](HostState host) { return ((host == states) || ...); });
  };
  if (all(HostState::kDestroyed)) return ClusterState::kDestroyed;  // also without hosts
  if (all(HostState::kRunning, HostState::kMigrating)) return ClusterState::kRunning;
  if (all(HostState::kPaused)) return ClusterState::kPaused;
  if (all(HostState::kFrozen)) return ClusterState::kFrozen;
  return ClusterState::kBroken;
}

std::string host_lifecycle_diagram() {
  std::string text = "stateDiagram-v2\n  [*] --> initial\n";
  for (const HostTransition& transition : kHostTransitions)
    text += fmt::format("  {} --> {}: {}\n", name_of(transition.source), name_of(transition.destination),
                        name_of(transition.event));
  return text + "  destroyed --> [*]\n";
}

}  // namespace nuraghe::model
