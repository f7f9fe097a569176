// The lifecycle of a virtual host and that of a cluster: one table each. Every service that decides whether an
// operation may begin, what it is called meanwhile and where it leads asks here. A failure is not a state but a
// condition beside it. docs/lifecycle.md shows the tables. Pure.
#pragma once

#include <array>
#include <cstddef>
#include <optional>
#include <string>
#include <string_view>

#include "base/result.hpp"
#include "model/transitions.hpp"

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

using HostTransition = Transition<HostState, HostEvent>;
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
  return next_in(kHostTransitions, state, event);
}
// kConflict when the event is not legal in the state.
Result<HostState> apply(HostState state, HostEvent event);

std::string_view name_of(HostState state);  // "initial", "running", ...
std::string_view name_of(HostEvent event);  // "started", "thawed-paused", ...
Result<HostState> host_state_from_name(std::string_view name);

// How an operation stands to a state.
enum class Start {
  kBegins,   // it has something to do
  kAlready,  // its effect is there: repeating it is no error
  kRefused,  // not in this state
};

// An operation on one host, and what has happened when it succeeded.
enum class HostOperation { kCreate, kPause, kResume, kFreeze, kThaw, kThawPaused, kDestroy };
struct HostOperationRule {
  HostOperation operation;
  std::string_view name;  // both ways of thawing are one word
  HostEvent event;
  HostState target;
};
inline constexpr std::array kHostOperations = {
    HostOperationRule{HostOperation::kCreate, "create", HostEvent::kStarted, HostState::kRunning},
    HostOperationRule{HostOperation::kPause, "pause", HostEvent::kPaused, HostState::kPaused},
    HostOperationRule{HostOperation::kResume, "resume", HostEvent::kResumed, HostState::kRunning},
    HostOperationRule{HostOperation::kFreeze, "freeze", HostEvent::kFrozen, HostState::kFrozen},
    HostOperationRule{HostOperation::kThaw, "thaw", HostEvent::kThawed, HostState::kRunning},
    HostOperationRule{HostOperation::kThawPaused, "thaw", HostEvent::kThawedPaused, HostState::kPaused},
    HostOperationRule{HostOperation::kDestroy, "destroy", HostEvent::kDestroyed, HostState::kDestroyed},
};
constexpr const HostOperationRule& rule_of(HostOperation operation) {
  return kHostOperations[static_cast<std::size_t>(operation)];
}
constexpr std::string_view name_of(HostOperation operation) { return rule_of(operation).name; }
// "thaw" is kThaw.
std::optional<HostOperation> host_operation_from_name(std::string_view name);
constexpr Start start_of(HostState state, HostOperation operation) {
  const HostOperationRule& rule = rule_of(operation);
  if (next_state(state, rule.event)) return Start::kBegins;
  return state == rule.target ? Start::kAlready : Start::kRefused;
}

// ---- clusters ----

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
  kDestroyed,  // gone
  kUndone,     // gone: its creation failed
  kBroken,     // its creation failed and is kept to be looked at, or its destruction stopped half way
};
inline constexpr std::array kClusterStates = {
    ClusterState::kCreating,   ClusterState::kRunning,   ClusterState::kPausing, ClusterState::kPaused,
    ClusterState::kResuming,   ClusterState::kFreezing,  ClusterState::kFrozen,  ClusterState::kThawing,
    ClusterState::kDestroying, ClusterState::kDestroyed, ClusterState::kUndone,  ClusterState::kBroken};

// An operation on a whole cluster: what the cluster is called while it is at work, and after its success.
enum class ClusterOperation { kCreate, kPause, kResume, kFreeze, kThaw, kDestroy };
struct ClusterOperationRule {
  ClusterOperation operation;
  std::string_view name;
  ClusterState during;
  ClusterState target;
};
inline constexpr std::array kClusterOperations = {
    ClusterOperationRule{ClusterOperation::kCreate, "create", ClusterState::kCreating, ClusterState::kRunning},
    ClusterOperationRule{ClusterOperation::kPause, "pause", ClusterState::kPausing, ClusterState::kPaused},
    ClusterOperationRule{ClusterOperation::kResume, "resume", ClusterState::kResuming, ClusterState::kRunning},
    ClusterOperationRule{ClusterOperation::kFreeze, "freeze", ClusterState::kFreezing, ClusterState::kFrozen},
    ClusterOperationRule{ClusterOperation::kThaw, "thaw", ClusterState::kThawing, ClusterState::kRunning},
    ClusterOperationRule{ClusterOperation::kDestroy, "destroy", ClusterState::kDestroying, ClusterState::kDestroyed},
};
// The states of rest in which an operation begins. A creation begins without any.
struct ClusterSource {
  ClusterState source;
  ClusterOperation operation;
};
inline constexpr std::array kClusterSources = {
    ClusterSource{ClusterState::kRunning, ClusterOperation::kPause},
    ClusterSource{ClusterState::kPaused, ClusterOperation::kResume},
    ClusterSource{ClusterState::kRunning, ClusterOperation::kResume},  // those that their hypervisor stopped
    ClusterSource{ClusterState::kRunning, ClusterOperation::kFreeze},
    ClusterSource{ClusterState::kPaused, ClusterOperation::kFreeze},
    ClusterSource{ClusterState::kFrozen, ClusterOperation::kThaw},
    ClusterSource{ClusterState::kRunning, ClusterOperation::kDestroy},
    ClusterSource{ClusterState::kPaused, ClusterOperation::kDestroy},
    ClusterSource{ClusterState::kFrozen, ClusterOperation::kDestroy},
    ClusterSource{ClusterState::kBroken, ClusterOperation::kDestroy},
};
constexpr const ClusterOperationRule& rule_of(ClusterOperation operation) {
  return kClusterOperations[static_cast<std::size_t>(operation)];
}
constexpr std::string_view name_of(ClusterOperation operation) { return rule_of(operation).name; }
std::optional<ClusterOperation> cluster_operation_from_name(std::string_view name);
std::string_view name_of(ClusterState state);  // "creating", "running", ...
Result<ClusterState> cluster_state_from_name(std::string_view name);
// Nothing is left of it but what is remembered.
constexpr bool is_gone(ClusterState state) {
  return state == ClusterState::kDestroyed || state == ClusterState::kUndone;
}

// How an operation stands to a state of rest. Of what is gone a destruction is done already.
constexpr Start start_of(ClusterState state, ClusterOperation operation) {
  for (const ClusterSource& entry : kClusterSources)
    if (entry.source == state && entry.operation == operation) return Start::kBegins;
  if (operation == ClusterOperation::kDestroy && is_gone(state)) return Start::kAlready;
  return state == rule_of(operation).target && operation != ClusterOperation::kCreate ? Start::kAlready
                                                                                      : Start::kRefused;
}
// What a cluster is after an operation failed that began in `before`: what failed was undone, so it is as before. A
// creation that is kept, and a destruction that stopped half way, leave it broken.
constexpr ClusterState after_failure(ClusterOperation operation, ClusterState before, bool is_kept) {
  if (operation == ClusterOperation::kCreate) return is_kept ? ClusterState::kBroken : ClusterState::kUndone;
  return operation == ClusterOperation::kDestroy ? ClusterState::kBroken : before;
}
// "paused or running": where an operation begins, for messages.
std::string sources_of(ClusterOperation operation);

// The host table as a Mermaid state diagram: docs/lifecycle.md holds exactly this.
std::string host_lifecycle_diagram();
// The cluster table as one: operations at work are states of their own.
std::string cluster_lifecycle_diagram();

}  // namespace nuraghe::model
