#include "deploy/escalation.hpp"

#include <fmt/format.h>

#include <algorithm>

#include "hypervisor/wait.hpp"

namespace nuraghe::deploy {
namespace {

using hypervisor::Deadline;

Control within(const Control& control, Duration limit) {
  Control shorter = control;
  shorter.timeout = std::min(control.timeout, limit);
  return shorter;
}

// Controllers do not tell when a machine's power changed: they are asked, with pauses. The state counts once `was_off`.
Status await(PowerDriver& driver, const Target& target, PowerState wanted, bool was_off, const PowerLimits& limits,
             const Control& control, const Deadline& deadline) {
  for (;;) {
    const auto state = driver.status(target, within(control, limits.question));
    was_off = was_off || (state && *state == PowerState::kOff);
    if (state && *state == wanted && was_off) return {};
    if (!state && !state.error().is_transient()) return state.error();
    const auto over = deadline.check(fmt::format("change of {}'s power to {}", target.name, name_of(wanted)));
    if (!over && !was_off && state && *state == wanted && over.error().code() == ErrorCode::kTimeout)
      return unavailable(fmt::format("machine {} was never seen off: its power was not cycled", target.name));
    TRY(over);
    const auto paused = deadline.at_most(limits.pause).wait({}, "pause");
    if (!paused && paused.error().code() != ErrorCode::kTimeout) return paused;
  }
}

Status carry_out(PowerDriver& driver, const Target& target, const StageRule& rule, bool was_off,
                 const PowerLimits& limits, const Control& control) {
  const auto found = limits.commands.find(rule.command);
  const Control limited = within(control, found == limits.commands.end() ? limits.question : found->second);
  const Deadline deadline(limited);
  TRY(driver.command(target, rule.command, limited));
  return await(driver, target, rule.wanted, was_off || driver.sees_cycles(), limits, limited, deadline);
}

}  // namespace

std::string_view name_of(PowerState state) {
  switch (state) {
    case PowerState::kUnknown:
      return "unknown";
    case PowerState::kOn:
      return "on";
    case PowerState::kOff:
      return "off";
  }
  return "unknown";
}

std::string_view name_of(BootDevice device) { return device == BootDevice::kDisk ? "disk" : "network"; }

std::string_view name_of(PowerCommand command) {
  switch (command) {
    case PowerCommand::kOn:
      return "on";
    case PowerCommand::kSoftOff:
      return "soft-off";
    case PowerCommand::kHardOff:
      return "hard-off";
    case PowerCommand::kCycle:
      return "cycle";
  }
  return "unknown";
}

std::string_view name_of(Goal goal) {
  switch (goal) {
    case Goal::kOn:
      return "on";
    case Goal::kOff:
      return "off";
    case Goal::kForceOff:
      return "force-off";
    case Goal::kCycle:
      return "cycle";
  }
  return "unknown";
}

Stage first_stage(Goal goal, PowerState now) {
  switch (goal) {
    case Goal::kOn:
      return now == PowerState::kOn ? Stage::kDone : Stage::kStart;
    case Goal::kOff:
      return now == PowerState::kOff ? Stage::kDone : Stage::kSoft;
    case Goal::kForceOff:
      return now == PowerState::kOff ? Stage::kDone : Stage::kHard;
    case Goal::kCycle:
      return now == PowerState::kOff ? Stage::kStart : Stage::kSoft;
  }
  return Stage::kGaveUp;
}

const StageRule* rule_of(Goal goal, Stage stage) {
  const auto found =
      std::ranges::find_if(kStages, [&](const StageRule& rule) { return rule.goal == goal && rule.stage == stage; });
  return found == kStages.end() ? nullptr : &*found;
}

Result<PowerState> reach(PowerDriver& driver, const Target& target, Goal goal, const PowerLimits& limits,
                         const Control& control, std::string& log) {
  const Deadline whole(control);
  const auto now = driver.status(target, within(control, limits.question));
  if (!now && !now.error().is_transient()) return now.error();
  log += now ? fmt::format("power is {}\n", name_of(*now)) : now.error().to_string() + "\n";
  PowerState reached = now.value_or(PowerState::kUnknown);
  // Every other goal is reached when the machine is as wished, whatever it was before.
  bool was_off = goal != Goal::kCycle || reached == PowerState::kOff;
  Status last;
  for (Stage stage = first_stage(goal, reached); stage != Stage::kDone;) {
    const StageRule* rule = rule_of(goal, stage);
    if (rule == nullptr)  // gave up
      return std::move(last).error().with(
          fmt::format("machine {} does not obey: power {}", target.name, name_of(goal)));
    TRY(whole.check(fmt::format("power {} of {}", name_of(goal), target.name)));
    last = carry_out(driver, target, *rule, was_off || rule->wanted == PowerState::kOff, limits, control);
    log += fmt::format("{}: {}\n", name_of(rule->command), last ? "done" : last.error().to_string());
    if (!last && !last.error().is_transient()) return last.error();
    if (last) reached = rule->wanted;
    was_off = was_off || reached == PowerState::kOff;
    stage = last ? rule->on_success : rule->on_failure;
  }
  return reached;
}

}  // namespace nuraghe::deploy
