#include "model/machine_lifecycle.hpp"

#include <fmt/format.h>

namespace nuraghe::model {

std::string_view name_of(MachineState state) {
  switch (state) {
    case MachineState::kEnrolled:
      return "enrolled";
    case MachineState::kAvailable:
      return "available";
    case MachineState::kDeploying:
      return "deploying";
    case MachineState::kDeployed:
      return "deployed";
    case MachineState::kReleasing:
      return "releasing";
    case MachineState::kFailed:
      return "failed";
    case MachineState::kRemoved:
      return "removed";
  }
  return "unknown";
}

std::string_view name_of(MachineEvent event) {
  switch (event) {
    case MachineEvent::kInspected:
      return "inspected";
    case MachineEvent::kDeploymentBegun:
      return "deployment-begun";
    case MachineEvent::kDeployed:
      return "deployed";
    case MachineEvent::kDeploymentUndone:
      return "deployment-undone";
    case MachineEvent::kDeploymentFailed:
      return "deployment-failed";
    case MachineEvent::kReleaseBegun:
      return "release-begun";
    case MachineEvent::kReleased:
      return "released";
    case MachineEvent::kReleaseFailed:
      return "release-failed";
    case MachineEvent::kRemoved:
      return "removed";
  }
  return "unknown";
}

std::string sources_of(MachineEvent event) {
  std::string text;
  for (const MachineTransition& transition : kMachineTransitions)
    if (transition.event == event) text += fmt::format("{}{}", text.empty() ? "" : " or ", name_of(transition.source));
  return text;
}

std::string machine_lifecycle_diagram() {
  return "stateDiagram-v2\n  [*] --> enrolled\n" + diagram_of(kMachineTransitions) + "  removed --> [*]\n";
}

}  // namespace nuraghe::model
