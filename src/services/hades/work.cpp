#include "services/hades/work.hpp"

#include <fmt/format.h>

#include <algorithm>

#include "hypervisor/wait.hpp"
#include "model/node.hpp"
#include "services/hades/disks.hpp"
#include "services/hades/values.hpp"

namespace nuraghe::services::hades {
namespace {

deploy::Control within(deploy::Control control, Duration limit) {
  control.timeout = std::min(control.timeout, limit);
  return control;
}

deploy::Goal goal_of(api::PowerAction action) {
  switch (action) {
    case api::PowerAction::kOn:
      return deploy::Goal::kOn;
    case api::PowerAction::kOff:
      return deploy::Goal::kOff;
    case api::PowerAction::kForceOff:
      return deploy::Goal::kForceOff;
    case api::PowerAction::kCycle:
      return deploy::Goal::kCycle;
  }
  return deploy::Goal::kOn;
}

}  // namespace

Result<MachineDriver> Worker::driver(const std::string& name) const {
  const auto found = options_.drivers.find(name);
  if (found != options_.drivers.end()) return found->second;
  std::string known;
  for (const auto& [other, driver] : options_.drivers) known += (known.empty() ? "" : ", ") + other;
  return unsupported(fmt::format("there is no driver '{}' for machines here; there is {}", name, known));
}

Status Worker::check(const std::string& name, const deploy::Target& target) const {
  TRY_ASSIGN(const auto driver, this->driver(name));
  return driver.power->check(target);
}

Duration Worker::estimate(const std::string& name) const {
  const auto driver = this->driver(name);
  return driver && driver->agent != nullptr ? driver->agent->estimate() : Duration(0);
}

bool Worker::can_deploy(const std::string& name) const {
  const auto driver = this->driver(name);
  return driver && driver->agent != nullptr;
}

Outcome Worker::run(const Order& order, exchange::JobContext& context) {
  Outcome outcome;
  const auto done = carry_out(order, context, outcome);
  if (!done) {
    outcome.error_code = error_code_name(done.error().code());
    outcome.error = done.error().to_string();
  }
  return outcome;
}

Status Worker::carry_out(const Order& order, exchange::JobContext& context, Outcome& outcome) {
  TRY_ASSIGN(const auto driver, this->driver(order.driver));
  deploy::Control control;
  control.timeout = options_.order_timeout;
  control.cancel_fd = context.cancel_fd();
  if (order.verb == "step") return limited_step(order, driver, control, outcome);
  if (order.verb == "abandon") return switch_off(order, driver, control, outcome);
  if (order.verb == "inspect") return inspect(order, driver, control, outcome);
  if (order.verb == "power") return reach(order, driver, goal_of(order.action), control, outcome);
  const auto short_control = within(control, options_.limits.question);
  if (order.verb == "boot-device") {
    TRY(driver.power->set_boot_device(order.machine, driver_value(order.device), short_control));
    outcome.boot_device = order.device;
    return {};
  }
  TRY_ASSIGN(const auto sensors, driver.power->read_sensors(order.machine, short_control));
  for (const auto& sensor : sensors) outcome.sensors.push_back({sensor.name, sensor.value, sensor.unit});
  return {};
}

Status Worker::inspect(const Order& order, const MachineDriver& driver, const deploy::Control& control,
                       Outcome& outcome) {
  const auto short_control = within(control, options_.limits.question);
  TRY_ASSIGN(const auto power, driver.power->status(order.machine, short_control));
  outcome.power = contract_value(power);
  TRY_ASSIGN(const auto hardware, driver.power->inventory(order.machine, short_control));
  auto found = contract_value(hardware);
  if (const auto serial = double_serial(found.disk); !serial.empty())
    return invalid(
        fmt::format("it has several disks with the serial number '{}', which no order could tell apart; give each its "
                    "own, or take all but one out, and inspect it again",
                    serial));
  outcome.hardware = std::move(found);
  return {};
}

Status Worker::reach(const Order& order, const MachineDriver& driver, deploy::Goal goal, const deploy::Control& control,
                     Outcome& outcome) {
  TRY_ASSIGN(const auto power,
             deploy::reach(*driver.power, order.machine, goal, options_.limits, control, outcome.log));
  outcome.power = contract_value(power);
  return {};
}

Status Worker::restart(const Order& order, const MachineDriver& driver, deploy::BootDevice from, deploy::System into,
                       const deploy::Control& control, Outcome& outcome) {
  TRY(driver.power->set_boot_device(order.machine, from, within(control, options_.limits.question)));
  outcome.log += fmt::format("starts from {} next\n", deploy::name_of(from));
  TRY(reach(order, driver, deploy::Goal::kCycle, control, outcome));
  TRY(driver.agent->wait_system(order.machine, into, control));
  outcome.log += into == deploy::System::kDeployment ? "the deployment system answers\n" : "the new system is up\n";
  return {};
}

Status Worker::switch_off(const Order& order, const MachineDriver& driver, const deploy::Control& control,
                          Outcome& outcome) {
  const auto device = driver_value(order.device);
  auto restored = driver.power->set_boot_device(order.machine, device, within(control, options_.limits.question));
  if (restored) outcome.boot_device = order.device;
  outcome.log += restored ? fmt::format("starts from {} next\n", deploy::name_of(device))
                          : fmt::format("boot device: {}\n", restored.error().to_string());
  TRY(reach(order, driver, deploy::Goal::kOff, control, outcome));
  if (restored) return {};
  return std::move(restored).error().with(
      fmt::format("it is off, but it does not start from {} again: boot device", deploy::name_of(device)));
}

Status Worker::limited_step(const Order& order, const MachineDriver& driver, deploy::Control control,
                            Outcome& outcome) {
  const auto limit = options_.step_limits.find(order.step);
  if (limit == options_.step_limits.end()) return internal("a step without a limit");
  control.timeout = limit->second;
  const hypervisor::Deadline deadline(control);
  auto done = step(order, driver, control, outcome);
  if (done) return done;
  const auto over = deadline.check("step");
  if (over || over.error().code() != ErrorCode::kTimeout) return done;
  return timed_out(fmt::format("it took longer than its limit of {}; what it was at: {}",
                               format_duration(limit->second), done.error().to_string()));
}

Status Worker::step(const Order& order, const MachineDriver& driver, const deploy::Control& control, Outcome& outcome) {
  if (order.step != api::Step::kPowerOff && driver.agent == nullptr)
    return unsupported(
        fmt::format("the driver {} has no agent: nothing can be deployed on its machines", order.driver));
  switch (order.step) {
    case api::Step::kStartSystem:
      return restart(order, driver, deploy::BootDevice::kNetwork, deploy::System::kDeployment, control, outcome);
    case api::Step::kBoot:
      return restart(order, driver, deploy::BootDevice::kDisk, deploy::System::kOwn, control, outcome);
    case api::Step::kPowerOff:
      return switch_off(order, driver, control, outcome);
    case api::Step::kPartition:
    case api::Step::kMakeFilesystems:
    case api::Step::kPopulate:
    case api::Step::kConfigure:
    case api::Step::kWipe:
      return agent_work(order, driver, control, outcome);
  }
  return internal("a step without work");
}

Status Worker::agent_work(const Order& order, const MachineDriver& driver, const deploy::Control& control,
                          Outcome& outcome) {
  TRY_ASSIGN(const auto document, xml::Document::parse(order.fragment));
  TRY_ASSIGN(const auto node, model::parse_node_fragment(document.root()));
  deploy::AgentOrder work;
  work.work = order.step == api::Step::kPartition         ? deploy::Work::kPartition
              : order.step == api::Step::kMakeFilesystems ? deploy::Work::kMakeFilesystems
              : order.step == api::Step::kPopulate        ? deploy::Work::kPopulate
              : order.step == api::Step::kConfigure       ? deploy::Work::kConfigure
                                                          : deploy::Work::kWipe;
  work.deployment = order.deployment;
  work.node = node.name;
  work.disk = driver_value(order.disk);
  for (const auto& disk : node.disks) {
    if (disk.name != model::kRootDisk) continue;
    for (const auto& partition : disk.partitions)
      work.partitions.push_back({partition.size, partition.filesystem, partition.mount});
  }
  work.image_digest = order.image.digest;
  work.image_location = order.image.location;
  if (order.step != api::Step::kWipe) return driver.agent->run(order.machine, work, control, outcome.log);
  work.wipes_all = order.wipes_all;
  for (const auto& disk : order.disks) {
    work.disk = driver_value(disk);
    TRY(driver.agent->run(order.machine, work, control, outcome.log));
    outcome.wiped.push_back(disk.serial);
  }
  return {};
}

}  // namespace nuraghe::services::hades
