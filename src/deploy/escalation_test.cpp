#include "deploy/escalation.hpp"

#include <gtest/gtest.h>

#include <functional>
#include <set>
#include <utility>

namespace nuraghe::deploy {
namespace {

// A machine whose obedience the test decides.
class Machine final : public PowerDriver {
 public:
  explicit Machine(PowerState power) : power_(power) {}
  std::function<Status(PowerCommand)> obeys = [](PowerCommand) { return Status(); };
  std::set<PowerCommand> ignored;
  std::vector<PowerCommand> heard;

  Status check(const Target&) const override { return {}; }
  bool sees_cycle = false;  // itself, so that status does not show it
  bool is_cycle_shown = true;
  bool sees_cycles() const override { return sees_cycle; }
  Result<PowerState> status(const Target&, const Control&) override {
    return std::exchange(is_cycling_, false) ? PowerState::kOff : power_;
  }
  Status command(const Target&, PowerCommand command, const Control&) override {
    heard.push_back(command);
    TRY(obeys(command));
    if (ignored.contains(command)) return {};
    is_cycling_ = command == PowerCommand::kCycle && is_cycle_shown;
    power_ = command == PowerCommand::kOn || command == PowerCommand::kCycle ? PowerState::kOn : PowerState::kOff;
    return {};
  }
  Status set_boot_device(const Target&, BootDevice, const Control&) override { return {}; }
  Result<std::vector<Sensor>> read_sensors(const Target&, const Control&) override { return std::vector<Sensor>{}; }
  Result<Hardware> inventory(const Target&, const Control&) override { return Hardware{}; }

 private:
  PowerState power_;
  bool is_cycling_ = false;  // who looks next sees it off
};

PowerLimits short_limits() {
  PowerLimits limits;
  for (auto& [command, limit] : limits.commands) limit = std::chrono::milliseconds(5);
  limits.pause = std::chrono::milliseconds(1);
  return limits;
}

Result<PowerState> reach(Machine& machine, Goal goal) {
  std::string log;
  return reach(machine, {"m", "", {}}, goal, short_limits(), {}, log);
}

using Commands = std::vector<PowerCommand>;

TEST(Escalation, EveryStageLeadsToAnEnd) {
  for (const Goal goal : kGoals) {
    for (const PowerState now : {PowerState::kUnknown, PowerState::kOn, PowerState::kOff}) {
      // Whatever succeeds and fails, no path is longer than there are stages.
      std::set<Stage> open = {first_stage(goal, now)};
      for (std::size_t steps = 0; !open.empty(); ++steps) {
        ASSERT_LE(steps, kStages.size()) << name_of(goal);
        std::set<Stage> next;
        for (const Stage stage : open) {
          if (stage == Stage::kDone || stage == Stage::kGaveUp) continue;
          const StageRule* rule = rule_of(goal, stage);
          ASSERT_NE(rule, nullptr) << name_of(goal);
          next.insert({rule->on_success, rule->on_failure});
        }
        open = std::move(next);
      }
    }
  }
}

TEST(Escalation, NothingIsDoneWhereItIsSoAlready) {
  Machine off(PowerState::kOff);
  EXPECT_EQ(reach(off, Goal::kOff).value_or(PowerState::kUnknown), PowerState::kOff);
  EXPECT_EQ(reach(off, Goal::kForceOff).value_or(PowerState::kUnknown), PowerState::kOff);
  EXPECT_TRUE(off.heard.empty());
  Machine on(PowerState::kOn);
  EXPECT_EQ(reach(on, Goal::kOn).value_or(PowerState::kUnknown), PowerState::kOn);
  EXPECT_TRUE(on.heard.empty());
}

TEST(Escalation, AMachineThatDoesNotListenIsCutOff) {
  Machine machine(PowerState::kOn);
  machine.ignored = {PowerCommand::kSoftOff};
  EXPECT_EQ(reach(machine, Goal::kOff).value_or(PowerState::kUnknown), PowerState::kOff);
  EXPECT_EQ(machine.heard, (Commands{PowerCommand::kSoftOff, PowerCommand::kHardOff}));
}

TEST(Escalation, ACycleIsTheLastMeans) {
  Machine machine(PowerState::kOn);
  machine.ignored = {PowerCommand::kSoftOff, PowerCommand::kHardOff};
  EXPECT_EQ(reach(machine, Goal::kCycle).value_or(PowerState::kUnknown), PowerState::kOn);
  EXPECT_EQ(machine.heard, (Commands{PowerCommand::kSoftOff, PowerCommand::kHardOff, PowerCommand::kCycle}));
  Machine obedient(PowerState::kOn);
  EXPECT_TRUE(reach(obedient, Goal::kCycle));
  EXPECT_EQ(obedient.heard, (Commands{PowerCommand::kSoftOff, PowerCommand::kOn}));
}

TEST(Escalation, ACycleOfAMachineThatWasNeverOffIsNone) {
  Machine machine(PowerState::kOn);
  machine.ignored = {PowerCommand::kSoftOff, PowerCommand::kHardOff, PowerCommand::kCycle};
  const auto state = reach(machine, Goal::kCycle);
  ASSERT_FALSE(state);
  EXPECT_EQ(state.error().code(), ErrorCode::kUnavailable);
  EXPECT_EQ(state.error().to_string(),
            "machine m does not obey: power cycle: machine m was never seen off: its power was not cycled");
  // A driver that makes the cycle itself need not show it.
  for (const bool sees_cycle : {false, true}) {
    Machine quick(PowerState::kOn);
    quick.ignored = {PowerCommand::kSoftOff, PowerCommand::kHardOff};
    quick.is_cycle_shown = false;
    quick.sees_cycle = sees_cycle;
    EXPECT_EQ(static_cast<bool>(reach(quick, Goal::kCycle)), sees_cycle);
  }
  // One that was off is on by whatever means.
  Machine off(PowerState::kOff);
  off.ignored = {PowerCommand::kOn};
  off.is_cycle_shown = false;
  EXPECT_TRUE(reach(off, Goal::kCycle));
  EXPECT_EQ(off.heard, (Commands{PowerCommand::kOn, PowerCommand::kCycle}));
}

TEST(Escalation, WhatNothingHelpsIsSaidWithItsReason) {
  Machine machine(PowerState::kOn);
  machine.obeys = [](PowerCommand) -> Status { return unavailable("the controller is busy"); };
  const auto state = reach(machine, Goal::kOff);
  ASSERT_FALSE(state);
  EXPECT_EQ(state.error().code(), ErrorCode::kUnavailable);
  EXPECT_EQ(state.error().to_string(), "machine m does not obey: power off: the controller is busy");
  EXPECT_EQ(machine.heard.size(), 2U);
}

TEST(Escalation, WhatARepeatCannotMendIsNotTriedByOtherMeans) {
  Machine machine(PowerState::kOn);
  machine.obeys = [](PowerCommand) -> Status { return denied("wrong password"); };
  EXPECT_EQ(reach(machine, Goal::kOff).error().code(), ErrorCode::kDenied);
  EXPECT_EQ(machine.heard, Commands{PowerCommand::kSoftOff});
}

}  // namespace
}  // namespace nuraghe::deploy
