// The lifecycle of a physical machine as one table: what may happen to it in which state, and where that leads. HaDeS
// (services/hades) asks here; docs/hades.md shows the diagram that is made from it. What goes wrong beside it is a
// condition. Pure.
#pragma once

#include <array>
#include <optional>
#include <string>
#include <string_view>

#include "base/result.hpp"
#include "model/transitions.hpp"

namespace nuraghe::model {

enum class MachineState {
  kEnrolled,   // known, never inspected
  kAvailable,  // inspected, nobody's
  kDeploying,  // a VO's, its system on the way
  kDeployed,   // a VO's, with its system
  kReleasing,  // on its way back
  kFailed,     // half deployed or half released: it has to be released
  kRemoved,    // not known any more
};
inline constexpr std::array kMachineStates = {
    MachineState::kEnrolled,  MachineState::kAvailable, MachineState::kDeploying, MachineState::kDeployed,
    MachineState::kReleasing, MachineState::kFailed,    MachineState::kRemoved};

// What happened to a machine.
enum class MachineEvent {
  kInspected,         // what it has was looked at
  kDeploymentBegun,   // it was given to a VO
  kDeployed,          // the system is up
  kDeploymentUndone,  // it ended before anything was written
  kDeploymentFailed,  // it ended later
  kReleaseBegun,
  kReleased,  // wiped as wished, and off
  kReleaseFailed,
  kRemoved,
};
inline constexpr std::array kMachineEvents = {
    MachineEvent::kInspected,        MachineEvent::kDeploymentBegun,  MachineEvent::kDeployed,
    MachineEvent::kDeploymentUndone, MachineEvent::kDeploymentFailed, MachineEvent::kReleaseBegun,
    MachineEvent::kReleased,         MachineEvent::kReleaseFailed,    MachineEvent::kRemoved};

using MachineTransition = Transition<MachineState, MachineEvent>;
inline constexpr std::array kMachineTransitions = {
    MachineTransition{MachineState::kEnrolled, MachineEvent::kInspected, MachineState::kAvailable},
    MachineTransition{MachineState::kAvailable, MachineEvent::kInspected, MachineState::kAvailable},
    MachineTransition{MachineState::kDeployed, MachineEvent::kInspected, MachineState::kDeployed},
    MachineTransition{MachineState::kFailed, MachineEvent::kInspected, MachineState::kFailed},
    MachineTransition{MachineState::kAvailable, MachineEvent::kDeploymentBegun, MachineState::kDeploying},
    MachineTransition{MachineState::kDeploying, MachineEvent::kDeployed, MachineState::kDeployed},
    MachineTransition{MachineState::kDeploying, MachineEvent::kDeploymentUndone, MachineState::kAvailable},
    MachineTransition{MachineState::kDeploying, MachineEvent::kDeploymentFailed, MachineState::kFailed},
    MachineTransition{MachineState::kDeployed, MachineEvent::kReleaseBegun, MachineState::kReleasing},
    MachineTransition{MachineState::kFailed, MachineEvent::kReleaseBegun, MachineState::kReleasing},
    MachineTransition{MachineState::kReleasing, MachineEvent::kReleased, MachineState::kAvailable},
    MachineTransition{MachineState::kReleasing, MachineEvent::kReleaseFailed, MachineState::kFailed},
    MachineTransition{MachineState::kEnrolled, MachineEvent::kRemoved, MachineState::kRemoved},
    MachineTransition{MachineState::kAvailable, MachineEvent::kRemoved, MachineState::kRemoved},
    MachineTransition{MachineState::kFailed, MachineEvent::kRemoved, MachineState::kRemoved},
};
// nullopt: not legal in this state.
constexpr std::optional<MachineState> next_state(MachineState state, MachineEvent event) {
  return next_in(kMachineTransitions, state, event);
}
// A workflow's steps are at work on it: nobody else gives it orders.
constexpr bool is_in_transit(MachineState state) {
  return state == MachineState::kDeploying || state == MachineState::kReleasing;
}

std::string_view name_of(MachineState state);  // "enrolled", ...
std::string_view name_of(MachineEvent event);  // "inspected", "deployment-begun", ...
// "available or failed": the states in which the event is legal, for a refusal.
std::string sources_of(MachineEvent event);
// docs/hades.md
std::string machine_lifecycle_diagram();

}  // namespace nuraghe::model
