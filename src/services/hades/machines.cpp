// What an administrator asks of single machines.
#include <fmt/format.h>

#include <algorithm>
#include <cctype>
#include <set>

#include "model/node.hpp"
#include "services/hades/hades.hpp"
#include "services/hades/proposal.hpp"
#include "services/hades/values.hpp"

namespace nuraghe::services::hades {
namespace {

constexpr std::size_t kAddressLimit = 1000;
constexpr std::size_t kMacLimit = 16;

std::string machine_key(const std::string& name) { return "machine/" + name; }
std::string sensors_key(const std::string& name) { return "sensors/" + name; }

bool is_mac(std::string_view text) {
  if (text.size() != 17) return false;
  for (std::size_t i = 0; i < text.size(); ++i) {
    const auto c = static_cast<unsigned char>(text[i]);
    if (i % 3 == 2 ? c != ':' : std::isxdigit(c) == 0) return false;
  }
  return true;
}

std::string lower(std::string text) {
  std::ranges::transform(text, text.begin(), [](unsigned char c) { return static_cast<char>(std::tolower(c)); });
  return text;
}

Status check_form(const api::EnrolMachineRequest& input) {
  if (!model::is_host_name(input.name))
    return invalid(fmt::format("'{}' is no name of a machine: {}", input.name.substr(0, 100), model::kNameRule));
  if (input.address.value_or("").size() > kAddressLimit)
    return invalid(fmt::format("the address of machine {} is longer than {} characters", input.name, kAddressLimit));
  if (input.mac.size() > kMacLimit)
    return invalid(
        fmt::format("machine {} has {} MAC addresses, more than {}", input.name, input.mac.size(), kMacLimit));
  std::set<std::string> seen;
  for (const auto& mac : input.mac) {
    if (!is_mac(mac))
      return invalid(fmt::format("'{}' is no MAC address such as 52:54:00:12:34:56", mac.substr(0, 100)));
    if (!seen.insert(lower(mac)).second) return invalid(fmt::format("the MAC address {} stands there twice", mac));
  }
  return {};
}

Error error_of(const Outcome& outcome) { return {error_code_from_name(outcome.error_code), outcome.error}; }

}  // namespace

Status Service::enrol_machine(exchange::Turn& turn, const exchange::Message& request,
                              const api::EnrolMachineRequest& input) {
  TRY(check_form(input));
  MachineRow row;
  auto& machine = row.machine;
  machine.name = input.name;
  machine.driver = input.driver;
  machine.address = input.address.value_or("");
  for (const auto& mac : input.mac) machine.mac.push_back(lower(mac));
  machine.enrolled = machine.since = turn.now();
  TRY(worker_.check(machine.driver, target_of(machine)));
  TRY_ASSIGN(const auto rows, machines_.scan(turn.transaction(), ""));
  for (const auto& [name, other] : rows) {
    const auto& there = other.machine;
    if (name == machine.name) {
      if (there.driver != machine.driver || there.address != machine.address || there.mac != machine.mac)
        return conflict(fmt::format("machine {} is enrolled already, otherwise; remove it first", name));
      return answer(turn, request.message_id, api::EnrolMachineResponse{there});
    }
    for (const auto& mac : machine.mac) {
      if (std::ranges::find(there.mac, mac) != there.mac.end())
        return conflict(fmt::format("the MAC address {} is of machine {} already", mac, name));
    }
  }
  TRY(put(turn, row));
  TRY(announce(turn, machine, "machine.enrolled", "info",
               fmt::format("machine {} is enrolled, with the driver {}", machine.name, machine.driver)));
  return answer(turn, request.message_id, api::EnrolMachineResponse{machine});
}

Status Service::list_machines(exchange::Turn& turn, const exchange::Message& request, const api::ListMachinesRequest&) {
  TRY_ASSIGN(auto rows, machines_.scan(turn.transaction(), ""));
  api::ListMachinesResponse response;
  for (auto& [name, row] : rows) response.machine.push_back(std::move(row.machine));
  return answer(turn, request.message_id, response);
}

Status Service::get_machine(exchange::Turn& turn, const exchange::Message& request,
                            const api::GetMachineRequest& input) {
  TRY_ASSIGN(auto row, machine(turn, input.name));
  return answer(turn, request.message_id, api::GetMachineResponse{std::move(row.machine)});
}

Status Service::start(exchange::Turn& turn, MachineRow row, Order order, std::string operation) {
  TRY(check_free(row));
  row.machine.operation = std::move(operation);
  order.driver = row.machine.driver;
  order.machine = target_of(row.machine);
  TRY(put(turn, row));
  return turn.start_job({machine_key(row.machine.name), encode_record(order)});
}

Status Service::give_order(exchange::Turn& turn, const exchange::Message& request, const std::string& name, Order order,
                           std::string operation) {
  TRY_ASSIGN(auto row, machine(turn, name));
  order.request = request.message_id;
  return start(turn, std::move(row), std::move(order), std::move(operation));
}

Status Service::inspect_machine(exchange::Turn& turn, const exchange::Message& request,
                                const api::InspectMachineRequest& input) {
  Order order;
  order.verb = "inspect";
  return give_order(turn, request, input.name, std::move(order), "inspect");
}

Status Service::power_machine(exchange::Turn& turn, const exchange::Message& request,
                              const api::PowerMachineRequest& input) {
  Order order;
  order.verb = "power";
  order.action = input.action;
  return give_order(turn, request, input.name, std::move(order), fmt::format("power {}", api::to_string(input.action)));
}

Status Service::set_boot_device(exchange::Turn& turn, const exchange::Message& request,
                                const api::SetBootDeviceRequest& input) {
  Order order;
  order.verb = "boot-device";
  order.device = input.boot_device;
  return give_order(turn, request, input.name, std::move(order), "boot-device");
}

Status Service::read_sensors(exchange::Turn& turn, const exchange::Message& request,
                             const api::ReadSensorsRequest& input) {
  TRY_ASSIGN(const auto row, machine(turn, input.name));
  Order order;
  order.verb = "sensors";
  order.request = request.message_id;
  order.driver = row.machine.driver;
  order.machine = target_of(row.machine);
  const auto started = turn.start_job({sensors_key(input.name), encode_record(order)});
  // One question at a time: a controller that hangs must not take all lanes.
  if (!started && started.error().code() == ErrorCode::kConflict)
    return unavailable(fmt::format("the sensors of machine {} are being read already; ask again", input.name));
  return started;
}

Status Service::sensors_ended(exchange::Turn& turn, const Order& order, const Outcome& outcome) {
  if (!outcome.error_code.empty())
    return fail(turn, order.request, error_of(outcome).with("sensors of machine " + order.machine.name));
  return answer(turn, order.request, api::ReadSensorsResponse{outcome.sensors});
}

Status Service::machine_ended(exchange::Turn& turn, const Order& order, const Outcome& outcome) {
  TRY_ASSIGN(auto row, machine(turn, order.machine.name));
  auto& machine = row.machine;
  const std::string operation = std::move(machine.operation);
  machine.operation.clear();
  if (outcome.power) machine.power = *outcome.power;
  if (outcome.boot_device) machine.boot_device = outcome.boot_device;
  if (order.verb == "abandon") return abandoned(turn, row, order, outcome);
  if (!outcome.error_code.empty()) {
    const auto error = error_of(outcome).with(fmt::format("{} of machine {}", operation, machine.name));
    // What a deployment left behind stays to be read.
    if (machine.state != api::MachineState::kFailed) machine.condition = error.to_string();
    TRY(put(turn, row));
    TRY(announce(turn, machine, "machine.failed", "error", error.to_string()));
    return fail(turn, order.request, error);
  }
  if (machine.state != api::MachineState::kFailed) machine.condition.clear();
  if (order.verb == "inspect") {
    TRY(inspected(turn, row, outcome));
    TRY(put(turn, row));
    return answer(turn, order.request, api::InspectMachineResponse{machine});
  }
  if (order.verb == "boot-device") {
    TRY(put(turn, row));
    return answer(turn, order.request, api::SetBootDeviceResponse{});
  }
  TRY(put(turn, row));
  TRY(announce(turn, machine, "machine.powered", "info",
               fmt::format("machine {} is {} after {}", machine.name, api::to_string(machine.power), operation)));
  return answer(turn, order.request, api::PowerMachineResponse{machine.power});
}

Status Service::inspected(exchange::Turn& turn, MachineRow& row, const Outcome& outcome) {
  auto& machine = row.machine;
  machine.difference.clear();
  if (outcome.hardware) {
    if (machine.hardware) machine.difference = differences(*machine.hardware, *outcome.hardware);
    machine.hardware = outcome.hardware;
  }
  TRY(enter(turn, row, model::MachineEvent::kInspected));
  TRY(announce(turn, machine, "machine.inspected", "info",
               fmt::format("machine {} was inspected and is {}", machine.name, api::to_string(machine.power))));
  std::string text;
  for (const auto& difference : machine.difference) text += (text.empty() ? "" : "; ") + difference;
  if (text.empty()) return {};
  return announce(turn, machine, "machine.differs", "warning",
                  fmt::format("machine {} has changed since its last inspection: {}", machine.name, text));
}

Status Service::begin_abandoned(exchange::Turn& turn, const std::string& request, const std::string& name,
                                api::BootDevice device) {
  TRY_ASSIGN(auto row, machine(turn, name));
  Order order;
  order.verb = "abandon";
  order.request = request;
  order.device = device;
  return start(turn, std::move(row), std::move(order), "power off");
}

Status Service::abandoned(exchange::Turn& turn, MachineRow& row, const Order& order, const Outcome& outcome) {
  auto& machine = row.machine;
  if (!outcome.error_code.empty()) {
    const std::string text =
        fmt::format("machine {} was abandoned and could not be switched off: {}", machine.name, outcome.error);
    machine.condition += (machine.condition.empty() ? "" : "; ") + text;
    TRY(cordon(turn, row, text));
    TRY(announce(turn, machine, "machine.failed", "error", text));
  }
  TRY(put(turn, row));
  return answer(turn, order.request, api::AbandonDeploymentResponse{machine});
}

Status Service::cordon(exchange::Turn& turn, MachineRow& row, const std::string& reason) const {
  auto& machine = row.machine;
  if (machine.cordoned) return {};
  machine.cordoned = true;
  machine.cordon_reason = reason;
  return announce(turn, machine, "machine.cordoned", "warning",
                  fmt::format("machine {} takes no deployments any more: {}", machine.name, reason));
}

Result<std::vector<std::string>> Service::machines_of(store::Transaction& tx, const std::string& vo) const {
  std::vector<std::string> found;
  TRY_ASSIGN(const auto rows, machines_.scan(tx, ""));
  for (const auto& [name, row] : rows) {
    if (row.machine.vo == vo)
      found.push_back(fmt::format("{} ({})", name, api::to_string(row.machine.state)));
    else if (row.machine.unwiped == vo)
      found.push_back(fmt::format("{} (its disks may hold data of the VO)", name));
  }
  return found;
}

Status Service::cordon_machine(exchange::Turn& turn, const exchange::Message& request,
                               const api::CordonMachineRequest& input) {
  TRY_ASSIGN(auto row, machine(turn, input.name));
  auto& machine = row.machine;
  const bool is_change = machine.cordoned != input.cordoned;
  machine.cordoned = input.cordoned;
  machine.cordon_reason = input.cordoned ? input.reason.value_or("") : "";
  TRY(put(turn, row));
  if (is_change) {
    const auto& reason = machine.cordon_reason;
    TRY(announce(turn, machine, machine.cordoned ? "machine.cordoned" : "machine.uncordoned", "info",
                 fmt::format("machine {} takes {}{}{}", machine.name,
                             machine.cordoned ? "no deployments any more" : "deployments again",
                             reason.empty() ? "" : ": ", reason)));
  }
  return answer(turn, request.message_id, api::CordonMachineResponse{});
}

Status Service::remove_machine(exchange::Turn& turn, const exchange::Message& request,
                               const api::RemoveMachineRequest& input) {
  TRY_ASSIGN(auto row, machine(turn, input.name));
  TRY(check_free(row));
  const auto& machine = row.machine;
  const bool is_forced = input.force.value_or(false);
  if (!is_forced && machine.state == api::MachineState::kFailed)
    return conflict(fmt::format("machine {} failed; release it first, or remove it by force", machine.name));
  if (!is_forced && !machine.unwiped.empty())
    return conflict(
        fmt::format("the disks of machine {} may still hold data of the VO {}, until that VO deploys on it again and "
                    "releases it with wipe full; or remove the machine by force",
                    machine.name, machine.unwiped));
  TRY(enter(turn, row, model::MachineEvent::kRemoved));
  if (!machine.deployment.empty()) {
    TRY_ASSIGN(auto left, deployments_.find(turn.transaction(), machine.deployment));
    if (left) {
      left->deployment.since = turn.now();
      TRY(end(turn, *left));
    }
  }
  // Nobody waits for what its sensors say.
  TRY(turn.cancel_job(sensors_key(machine.name)));
  TRY(machines_.erase(turn.transaction(), machine.name));
  if (options_.on_removed) TRY(options_.on_removed(turn.transaction(), machine.name));
  TRY(announce(turn, machine, "machine.removed", "info",
               fmt::format("machine {} is not known any more", machine.name)));
  return answer(turn, request.message_id, api::RemoveMachineResponse{});
}

}  // namespace nuraghe::services::hades
