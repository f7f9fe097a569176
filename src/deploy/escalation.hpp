// How a machine is brought to be on or off although it may not obey: a table of stages, each with its own limit, and a
// pure function over it; and the thin edge that carries them out through a driver.
#pragma once

#include <array>
#include <map>
#include <optional>
#include <string>

#include "base/result.hpp"
#include "deploy/power.hpp"

namespace nuraghe::deploy {

enum class Goal { kOn, kOff, kForceOff, kCycle };
inline constexpr std::array kGoals = {Goal::kOn, Goal::kOff, Goal::kForceOff, Goal::kCycle};
std::string_view name_of(Goal goal);  // "on", "off", "force-off", "cycle"

// One stage: the command is given, then the state awaited. Names of stages are unique within their goal.
enum class Stage { kSoft, kHard, kStart, kCycle, kDone, kGaveUp };
struct StageRule {
  Goal goal;
  Stage stage;
  PowerCommand command;
  PowerState wanted;
  Stage on_success;
  Stage on_failure;  // refused, or not as wanted within the command's limit
};
inline constexpr std::array kStages = {
    StageRule{Goal::kOn, Stage::kStart, PowerCommand::kOn, PowerState::kOn, Stage::kDone, Stage::kCycle},
    StageRule{Goal::kOn, Stage::kCycle, PowerCommand::kCycle, PowerState::kOn, Stage::kDone, Stage::kGaveUp},
    StageRule{Goal::kOff, Stage::kSoft, PowerCommand::kSoftOff, PowerState::kOff, Stage::kDone, Stage::kHard},
    StageRule{Goal::kOff, Stage::kHard, PowerCommand::kHardOff, PowerState::kOff, Stage::kDone, Stage::kGaveUp},
    StageRule{Goal::kForceOff, Stage::kHard, PowerCommand::kHardOff, PowerState::kOff, Stage::kDone, Stage::kGaveUp},
    StageRule{Goal::kCycle, Stage::kSoft, PowerCommand::kSoftOff, PowerState::kOff, Stage::kStart, Stage::kHard},
    StageRule{Goal::kCycle, Stage::kHard, PowerCommand::kHardOff, PowerState::kOff, Stage::kStart, Stage::kCycle},
    StageRule{Goal::kCycle, Stage::kStart, PowerCommand::kOn, PowerState::kOn, Stage::kDone, Stage::kCycle},
    StageRule{Goal::kCycle, Stage::kCycle, PowerCommand::kCycle, PowerState::kOn, Stage::kDone, Stage::kGaveUp},
};
// Where to begin with a machine that is so now; kDone: nothing is to be done.
Stage first_stage(Goal goal, PowerState now);
// Null: the goal has no such stage.
const StageRule* rule_of(Goal goal, Stage stage);

struct PowerLimits {
  // How long each command may take until its effect is there.
  std::map<PowerCommand, Duration> commands = {{PowerCommand::kOn, std::chrono::seconds(30)},
                                               {PowerCommand::kSoftOff, std::chrono::seconds(60)},
                                               {PowerCommand::kHardOff, std::chrono::seconds(20)},
                                               {PowerCommand::kCycle, std::chrono::seconds(30)}};
  Duration question = std::chrono::seconds(10);     // status, boot device, sensors, inventory
  Duration pause = std::chrono::milliseconds(500);  // between two looks at whether it is so
};

// Brings the machine to the goal; the state in which it is then. `log` gets a line for each stage. kCancelled;
// kUnavailable when every stage failed, with what the last one said; any other error that a repeat cannot mend ends it.
// A cycle is none while the machine was never off: that it is on then proves nothing.
Result<PowerState> reach(PowerDriver& driver, const Target& target, Goal goal, const PowerLimits& limits,
                         const Control& control, std::string& log);

}  // namespace nuraghe::deploy
