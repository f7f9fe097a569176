#include "model/lifecycle.hpp"

#include <fmt/format.h>

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
    case ClusterState::kUndone:
      return "undone";
    case ClusterState::kBroken:
      return "broken";
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

std::optional<HostOperation> host_operation_from_name(std::string_view name) {
  for (const HostOperationRule& rule : kHostOperations)
    if (rule.name == name) return rule.operation;
  return std::nullopt;
}

std::optional<ClusterOperation> cluster_operation_from_name(std::string_view name) {
  for (const ClusterOperationRule& rule : kClusterOperations)
    if (rule.name == name) return rule.operation;
  return std::nullopt;
}

Result<ClusterState> cluster_state_from_name(std::string_view name) {
  for (const ClusterState state : kClusterStates)
    if (name_of(state) == name) return state;
  return invalid(fmt::format("'{}' is not a state of a cluster", name));
}

std::string sources_of(ClusterOperation operation) {
  std::string text;
  for (const ClusterSource& entry : kClusterSources)
    if (entry.operation == operation) text += fmt::format("{}{}", text.empty() ? "" : " or ", name_of(entry.source));
  return text;
}

std::string host_lifecycle_diagram() {
  return "stateDiagram-v2\n  [*] --> initial\n" + diagram_of(kHostTransitions) + "  destroyed --> [*]\n";
}

std::string cluster_lifecycle_diagram() {
  const auto line = [](std::string_view from, std::string_view to, std::string_view what) {
    return fmt::format("  {} --> {}: {}\n", from, to, what);
  };
  std::string text = "stateDiagram-v2\n" + line("[*]", name_of(ClusterState::kCreating), "create");
  for (const ClusterSource& entry : kClusterSources)
    text += line(name_of(entry.source), name_of(rule_of(entry.operation).during), name_of(entry.operation));
  for (const ClusterOperationRule& rule : kClusterOperations)
    text += line(name_of(rule.during), name_of(rule.target), "done");
  text += line(name_of(ClusterState::kCreating), name_of(ClusterState::kUndone), "failed");
  text += line(name_of(ClusterState::kCreating), name_of(ClusterState::kBroken), "failed and kept");
  text += line(name_of(ClusterState::kDestroying), name_of(ClusterState::kBroken), "failed");
  return text + "  destroyed --> [*]\n  undone --> [*]\n";
}

}  // namespace nuraghe::model
