// The lifecycle of a virtual host: six states, one table; and the state of a cluster, derived from its hosts' and from
// the operation at work on it. A failure is not a state but a condition beside it. docs/lifecycle.md shows the table.
#pragma once

#include <array>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.hpp"

namespace nuraghe::model {

enum class HostState { kInitial, kRunning, kPaused, kFrozen, kMigrating, kDestroyed };
inline constexpr std::array kHostStates = {HostState::kInitial, HostState::kRunning,   HostState::kPaused,
                                           HostState::kFrozen,  HostState::kMigrating, HostState::kDestroyed};

// What happened to a host.
enum class HostEvent {
  kStarted,       // created from its image
  kPaused,        // its processors stand still
  kResumed,       // they go on
  kFrozen,        // its state is in files, everything else released
  kThawed,        // it runs again from them
  kThawedPaused,  // it is back, standing still
  kDeparting,     // it is on its way to another physical host
  kArrived,       // it runs there
  kStayed,        // it did not get away and runs where it was
  kDestroyed,     // nothing of it is left
};
inline constexpr std::array kHostEvents = {
    HostEvent::kStarted,      HostEvent::kPaused,    HostEvent::kResumed, HostEvent::kFrozen, HostEvent::kThawed,
    HostEvent::kThawedPaused, HostEvent::kDeparting, HostEvent::kArrived, HostEvent::kStayed, HostEvent::kDestroyed};

struct HostTransition {
  HostState source;
  HostEvent event;
  HostState destination;
};
inline constexpr std::array kHostTransitions = {
    HostTransition{HostState::kInitial, HostEvent::kStarted, HostState::kRunning},
    HostTransition{HostState::kRunning, HostEvent::kPaused, HostState::kPaused},
    HostTransition{HostState::kPaused, HostEvent::kResumed, HostState::kRunning},
    HostTransition{HostState::kRunning, HostEvent::kFrozen, HostState::kFrozen},
    HostTransition{HostState::kPaused, HostEvent::kFrozen, HostState::kFrozen},
    HostTransition{HostState::kFrozen, HostEvent::kThawed, HostState::kRunning},
    HostTransition{HostState::kFrozen, HostEvent::kThawedPaused, HostState::kPaused},
    HostTransition{HostState::kRunning, HostEvent::kDeparting, HostState::kMigrating},
    HostTransition{HostState::kMigrating, HostEvent::kArrived, HostState::kRunning},
    HostTransition{HostState::kMigrating, HostEvent::kStayed, HostState::kRunning},
    HostTransition{HostState::kInitial, HostEvent::kDestroyed, HostState::kDestroyed},
    HostTransition{HostState::kRunning, HostEvent::kDestroyed, HostState::kDestroyed},
    HostTransition{HostState::kPaused, HostEvent::kDestroyed, HostState::kDestroyed},
    HostTransition{HostState::kFrozen, HostEvent::kDestroyed, HostState::kDestroyed},
    HostTransition{HostState::kMigrating, HostEvent::kDestroyed, HostState::kDestroyed},
};

constexpr std::optional<HostState> next_state(HostState state, HostEvent event) {
  for (const HostTransition& transition : kHostTransitions)
    if (transition.source == state && transition.event == event) return transition.destination;
  return std::nullopt;
}
// kConflict when the event is not legal in the state.
Result<HostState> apply(HostState state, HostEvent event);

std::string_view name_of(HostState state);  // "initial", "running", ...
std::string_view name_of(HostEvent event);  // "started", "thawed-paused", ...
Result<HostState> host_state_from_name(std::string_view name);

// An operation on a whole cluster.
enum class ClusterOperation { kNone, kCreate, kPause, kResume, kFreeze, kThaw, kDestroy };
inline constexpr std::array kClusterOperations = {
    ClusterOperation::kNone,   ClusterOperation::kCreate, ClusterOperation::kPause,  ClusterOperation::kResume,
    ClusterOperation::kFreeze, ClusterOperation::kThaw,   ClusterOperation::kDestroy};

enum class ClusterState {
  kCreating,
  kRunning,
  kPausing,
  kPaused,
  kResuming,
  kFreezing,
  kFrozen,
  kThawing,
  kDestroying,
  kDestroyed,
  kBroken,  // nothing is at work and its hosts are not all in one state of rest
};
inline constexpr std::array kClusterStates = {
    ClusterState::kCreating,   ClusterState::kRunning,   ClusterState::kPausing, ClusterState::kPaused,
    ClusterState::kResuming,   ClusterState::kFreezing,  ClusterState::kFrozen,  ClusterState::kThawing,
    ClusterState::kDestroying, ClusterState::kDestroyed, ClusterState::kBroken};

// What a cluster is called while an operation is at work on it; kNone at rest (then its hosts say).
struct OperationState {
  ClusterOperation operation;
  ClusterState state;
};
inline constexpr std::array kOperationStates = {
    OperationState{ClusterOperation::kCreate, ClusterState::kCreating},
    OperationState{ClusterOperation::kPause, ClusterState::kPausing},
    OperationState{ClusterOperation::kResume, ClusterState::kResuming},
    OperationState{ClusterOperation::kFreeze, ClusterState::kFreezing},
    OperationState{ClusterOperation::kThaw, ClusterState::kThawing},
    OperationState{ClusterOperation::kDestroy, ClusterState::kDestroying},
};
// The states of rest in which an operation may begin.
struct OperationSource {
  ClusterState source;
  ClusterOperation operation;
};
inline constexpr std::array kOperationSources = {
    OperationSource{ClusterState::kRunning, ClusterOperation::kPause},
    OperationSource{ClusterState::kPaused, ClusterOperation::kResume},
    OperationSource{ClusterState::kRunning, ClusterOperation::kFreeze},
    OperationSource{ClusterState::kPaused, ClusterOperation::kFreeze},
    OperationSource{ClusterState::kFrozen, ClusterOperation::kThaw},
    OperationSource{ClusterState::kRunning, ClusterOperation::kDestroy},
    OperationSource{ClusterState::kPaused, ClusterOperation::kDestroy},
    OperationSource{ClusterState::kFrozen, ClusterOperation::kDestroy},
    OperationSource{ClusterState::kBroken, ClusterOperation::kDestroy},
};
constexpr bool may_begin(ClusterState state, ClusterOperation operation) {
  for (const OperationSource& entry : kOperationSources)
    if (entry.source == state && entry.operation == operation) return true;
  return false;
}

// A migrating host counts as running, as it does for its guest. No hosts at all: destroyed.
ClusterState derive_cluster_state(ClusterOperation operation, const std::vector<HostState>& hosts);
std::string_view name_of(ClusterState state);
std::string_view name_of(ClusterOperation operation);  // "none", "create", ...

// The host table as a Mermaid state diagram: docs/lifecycle.md holds exactly this.
std::string host_lifecycle_diagram();

}  // namespace nuraghe::model
