#include "apps/nuraghe/machines.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <boost/json.hpp>

#include "apps/nuraghe/machine_list.hpp"
#include "client/blueprint_files.hpp"
#include "client/traced_caller.hpp"
#include "contracts/hades.hpp"
#include "env/posix.hpp"

namespace nuraghe::cli {
namespace {

namespace json = boost::json;
namespace hades = contracts::hades;

Result<hades::Client> service(Context& context) {
  TRY_ASSIGN(auto* connection, context.connection());
  return hades::Client(connection->caller(), connection->service("hades"));
}

Result<hades::Machine> find_machine(Context& context, const std::string& name) {
  TRY_ASSIGN(auto client, service(context));
  TRY_ASSIGN(auto response, client.get_machine({name}));
  return std::move(response.machine);
}

json::array texts(const std::vector<std::string>& list) { return json::array(list.begin(), list.end()); }

json::value hardware_json(const std::optional<hades::Hardware>& hardware) {
  if (!hardware) return nullptr;
  json::array disks, cards;
  for (const auto& disk : hardware->disk)
    disks.push_back(json::object{{"name", disk.name}, {"serial", disk.serial}, {"size", disk.size.count}});
  for (const auto& card : hardware->network_card) cards.push_back(json::object{{"name", card.name}, {"mac", card.mac}});
  return json::object{{"cpus", hardware->cpus},
                      {"memory", hardware->memory.count},
                      {"architecture", hardware->architecture},
                      {"firmware", hardware->firmware},
                      {"disks", disks},
                      {"network_cards", cards},
                      {"devices", texts(hardware->device)}};
}

json::object machine_json(const hades::Machine& machine) {
  return {{"name", machine.name},
          {"driver", machine.driver},
          {"address", machine.address},
          {"macs", texts(machine.mac)},
          {"state", hades::to_string(machine.state)},
          {"operation", machine.operation},
          {"condition", machine.condition},
          {"power", hades::to_string(machine.power)},
          {"boot_device", machine.boot_device ? json::value(hades::to_string(*machine.boot_device)) : json::value()},
          {"cordoned", machine.cordoned},
          {"cordon_reason", machine.cordon_reason},
          {"vo", machine.vo},
          {"deployment", machine.deployment},
          {"unwiped", machine.unwiped},
          {"hardware", hardware_json(machine.hardware)},
          {"difference", texts(machine.difference)},
          {"enrolled", machine.enrolled.to_string()},
          {"since", machine.since.to_string()}};
}

json::object deployment_json(const hades::Deployment& deployment) {
  json::array steps;
  for (const auto& step : deployment.step)
    steps.push_back(json::object{{"step", hades::to_string(step.step)},
                                 {"state", hades::to_string(step.state)},
                                 {"started", step.started.to_string()},
                                 {"ended", step.ended ? json::value(step.ended->to_string()) : json::value()},
                                 {"log", step.log},
                                 {"error", step.error}});
  return {{"id", deployment.id},
          {"machine", deployment.machine},
          {"name", deployment.name},
          {"vo", deployment.vo},
          {"condition", deployment.condition},
          {"state", hades::to_string(deployment.state)},
          {"image", deployment.image},
          {"disk", deployment.disk},
          {"steps", steps},
          {"created", deployment.created.to_string()},
          {"since", deployment.since.to_string()}};
}

std::vector<std::string> machine_row(const hades::Machine& machine) {
  const std::string state(hades::to_string(machine.state));
  return {machine.name,
          state + (machine.operation.empty() ? "" : " (" + machine.operation + ")") +
              (machine.cordoned ? ", cordoned" : ""),
          std::string(hades::to_string(machine.power)),
          machine.driver,
          machine.hardware ? fmt::format("{}", machine.hardware->cpus) : "-",
          machine.hardware ? short_size(machine.hardware->memory) : "-",
          machine.vo.empty() ? "-" : machine.vo,
          machine.condition};
}

const std::vector<std::string> kHeadings = {"NAME", "STATE", "POWER", "DRIVER", "CPUS", "MEMORY", "VO", "CONDITION"};

void print(Context& context, const hades::Machine& machine) {
  if (context.json())
    context.print_json(machine_json(machine));
  else
    context.print_table({kHeadings, machine_row(machine)});
}

// Of the deployment that is on a machine; kConflict when there is none.
Result<std::string> deployment_of(const hades::Machine& machine) {
  if (machine.deployment.empty())
    return conflict(
        fmt::format("nothing is deployed on machine {}: it is {}", machine.name, hades::to_string(machine.state)));
  return machine.deployment;
}

// Somebody who acts for another VO is told for which it would have to be.
Status for_vo(const hades::Machine& machine, Status status) {
  if (status || status.error().code() != ErrorCode::kNotFound || machine.vo.empty()) return status;
  return std::move(status).error().with(
      fmt::format("machine {} is of the VO {} (nuraghe --vo {} machine ...)", machine.name, machine.vo, machine.vo));
}

Status show_deployment(Context& context, const hades::Machine& machine) {
  TRY_ASSIGN(auto client, service(context));
  const auto found = client.get_deployment({machine.deployment});
  if (!found) {
    context.print_line(fmt::format("deployment {}: of the VO {}", machine.deployment, machine.vo));
    return {};
  }
  const auto& deployment = found->deployment;
  context.print_line(
      fmt::format("deployment {} of {}: {}", deployment.id, deployment.name, hades::to_string(deployment.state)));
  if (!deployment.image.empty()) context.print_line("image " + deployment.image);
  if (!deployment.disk.empty()) context.print_line("disk " + deployment.disk);
  for (const auto& step : deployment.step) {
    context.print_line(fmt::format("{}  {:16}  {}{}", step.started.to_string(), hades::to_string(step.step),
                                   hades::to_string(step.state), step.error.empty() ? "" : ": " + step.error));
    // The log of what went well is with -o json.
    if (step.state == hades::StepState::kFailed && !step.log.empty()) context.print_line(step.log);
  }
  return {};
}

void show_hardware(const Context& context, const hades::Machine& machine) {
  if (!machine.hardware) return;
  const auto& hardware = *machine.hardware;
  context.print_line(fmt::format("hardware: {} cpus, {} of memory, {}, {}", hardware.cpus, hardware.memory.to_string(),
                                 hardware.architecture, hardware.firmware));
  for (const auto& disk : hardware.disk)
    context.print_line(fmt::format("disk {}: {}, {}", disk.name, disk.serial, disk.size.to_string()));
  for (const auto& card : hardware.network_card) context.print_line(fmt::format("card {}: {}", card.name, card.mac));
  for (const auto& device : hardware.device) context.print_line("device " + device);
  for (const auto& difference : machine.difference) context.print_line("changed: " + difference);
}

// What became of each line of a list, in its order.
struct Imported {
  json::array values;
  std::vector<std::vector<std::string>> rows{{"LINE", "MACHINE", "RESULT"}};
  std::optional<Error> first_failure;
  std::size_t failures = 0;

  void add(const ListedMachine& listed, const hades::Machine& machine) {
    auto value = machine_json(machine);
    value["line"] = listed.line;
    values.push_back(std::move(value));
    rows.push_back(
        {fmt::format("{}", listed.line), listed.machine.name, fmt::format("{}", hades::to_string(machine.state))});
  }
  void fail(const ListedMachine& listed, const Error& error) {
    if (!first_failure) first_failure = error;
    ++failures;
    values.push_back(json::object{{"line", listed.line}, {"name", listed.machine.name}, {"error", error.to_string()}});
    rows.push_back({fmt::format("{}", listed.line), listed.machine.name, "not added: " + error.to_string()});
  }
};

// Line by line: one that is refused keeps no other from being added. A service that does not answer ends it.
Result<int> add_listed(Context& context, const std::string& file) {
  TRY_ASSIGN(const auto text, env::read_file(file, mib(16)));
  TRY_ASSIGN(const auto list, parse_machine_list(text, file));
  TRY_ASSIGN(auto client, service(context));
  Imported imported;
  bool is_answered = true;
  for (const auto& listed : list) {
    if (!is_answered) {
      imported.fail(listed, unavailable("not tried"));
      continue;
    }
    const auto response = client.enrol_machine(listed.machine);
    if (response)
      imported.add(listed, response->machine);
    else
      imported.fail(listed, response.error());
    is_answered = response || !response.error().is_transient();
  }
  if (context.json())
    context.print_json(imported.values);
  else
    context.print_table(imported.rows);
  if (!imported.first_failure) return kOk;
  const Error error(
      imported.first_failure->code(),
      fmt::format("{} of {} machines of {} were not added; the lines above say why, and the same file can "
                  "be given again",
                  imported.failures, list.size(), file));
  // In JSON the values say it, as one document.
  if (context.json()) return exit_code_of(error);
  return error;
}

}  // namespace

Result<int> add_machines(Context& context, const MachineOptions& options) {
  if (!options.list.empty()) return add_listed(context, options.list);
  hades::EnrolMachineRequest machine;
  machine.name = options.name;
  machine.driver = options.driver;
  if (!options.address.empty()) machine.address = options.address;
  machine.mac = options.macs;
  TRY_ASSIGN(auto client, service(context));
  const auto response = client.enrol_machine(machine);
  if (!response) return Error(response.error()).with("machine " + machine.name);
  if (context.json())
    context.print_json(json::array{machine_json(response->machine)});
  else
    context.print_table({kHeadings, machine_row(response->machine)});
  return kOk;
}

Status list_machines(Context& context) {
  TRY_ASSIGN(auto client, service(context));
  TRY_ASSIGN(const auto response, client.list_machines({}));
  json::array machines;
  std::vector<std::vector<std::string>> rows{kHeadings};
  for (const auto& machine : response.machine) {
    machines.push_back(machine_json(machine));
    rows.push_back(machine_row(machine));
  }
  if (context.json())
    context.print_json(machines);
  else
    context.print_table(rows);
  return {};
}

Status show_machine(Context& context, const std::string& name) {
  TRY_ASSIGN(const auto machine, find_machine(context, name));
  if (context.json()) {
    auto value = machine_json(machine);
    if (!machine.deployment.empty()) {
      TRY_ASSIGN(auto client, service(context));
      const auto found = client.get_deployment({machine.deployment});
      if (found) value["deployed"] = deployment_json(found->deployment);
    }
    context.print_json(value);
    return {};
  }
  print(context, machine);
  show_hardware(context, machine);
  if (!machine.unwiped.empty()) context.print_line("its disks may hold data of the VO " + machine.unwiped);
  if (machine.cordoned) context.print_line("cordoned: " + machine.cordon_reason);
  return machine.deployment.empty() ? Status() : show_deployment(context, machine);
}

Status inspect_machine(Context& context, const std::string& name) {
  TRY_ASSIGN(auto client, service(context));
  TRY_ASSIGN(const auto call, context.call_options());
  TRY_ASSIGN(const auto response, client.inspect_machine({name}, call));
  print(context, response.machine);
  if (!context.json()) show_hardware(context, response.machine);
  return {};
}

Status power_machine(Context& context, const MachineOptions& options) {
  TRY_ASSIGN(auto client, service(context));
  TRY_ASSIGN(const auto call, context.call_options());
  hades::PowerMachineRequest request;
  request.name = options.name;
  TRY(hades::from_string(options.action, request.action));
  TRY_ASSIGN(const auto response, client.power_machine(request, call));
  if (context.json())
    context.print_json(json::object{{"machine", options.name}, {"power", hades::to_string(response.power)}});
  else
    context.print_line(fmt::format("machine {} is {}", options.name, hades::to_string(response.power)));
  return {};
}

Status set_boot_device(Context& context, const MachineOptions& options) {
  TRY_ASSIGN(auto client, service(context));
  TRY_ASSIGN(const auto call, context.call_options());
  hades::SetBootDeviceRequest request;
  request.name = options.name;
  TRY(hades::from_string(options.device, request.boot_device));
  TRY(client.set_boot_device(request, call));
  return show_machine(context, options.name);
}

Status show_sensors(Context& context, const std::string& name) {
  TRY_ASSIGN(auto client, service(context));
  TRY_ASSIGN(const auto call, context.call_options());
  TRY_ASSIGN(const auto response, client.read_sensors({name}, call));
  json::array sensors;
  std::vector<std::vector<std::string>> rows{{"SENSOR", "VALUE", "UNIT"}};
  for (const auto& sensor : response.sensor) {
    sensors.push_back(json::object{{"name", sensor.name}, {"value", sensor.value}, {"unit", sensor.unit}});
    rows.push_back({sensor.name, fmt::format("{:g}", sensor.value), sensor.unit});
  }
  if (context.json())
    context.print_json(sensors);
  else
    context.print_table(rows);
  return {};
}

Status cordon_machine(Context& context, const MachineOptions& options, bool is_cordoned) {
  TRY_ASSIGN(auto client, service(context));
  hades::CordonMachineRequest request;
  request.name = options.name;
  request.cordoned = is_cordoned;
  if (!options.reason.empty()) request.reason = options.reason;
  TRY(client.cordon_machine(request));
  return show_machine(context, options.name);
}

Status propose_machine(Context& context, const MachineOptions& options) {
  TRY_ASSIGN(const auto fragment, client::load_node_configuration(options.node, options.node_name));
  TRY_ASSIGN(auto client, service(context));
  TRY_ASSIGN(const auto response, client.propose({options.name, fragment}));
  const auto& proposal = response.proposal;
  if (context.json()) {
    json::array alternatives;
    for (const auto& other : proposal.alternative)
      alternatives.push_back(json::object{{"disk", other.disk.serial}, {"reason", other.reason}});
    context.print_json(json::object{{"feasible", proposal.feasible},
                                    {"summary", proposal.summary},
                                    {"reasons", texts(proposal.reason)},
                                    {"disk", proposal.disk ? json::value(proposal.disk->serial) : json::value()},
                                    {"alternatives", alternatives},
                                    {"seconds", static_cast<double>(proposal.estimate.count()) / 1e6}});
    return {};
  }
  context.print_line(proposal.summary);
  for (const auto& other : proposal.alternative)
    context.print_line(
        fmt::format("or on disk {} ({}): {}", other.disk.serial, other.disk.size.to_string(), other.reason));
  return {};
}

Status deploy_machine(Context& context, const MachineOptions& options) {
  TRY_ASSIGN(const auto fragment, client::load_node_configuration(options.node, options.node_name));
  TRY_ASSIGN(auto* connection, context.connection());
  TRY_ASSIGN(const auto call, context.call_options());
  client::TracedCaller caller(connection->caller());
  hades::Client client(caller, connection->service("hades"));
  hades::DeployRequest request;
  request.machine = options.name;
  request.fragment = fragment;
  TRY_ASSIGN(const bool is_done, context.with_progress(OwnSteps::of_request(caller.traceparent()), [&]() -> Status {
    const auto response = client.deploy(request, call);
    if (!response) return response.error();
    return {};
  }));
  if (!is_done && context.json()) {
    context.print_json(json::object{{"accepted", true}});
    return {};
  }
  return is_done ? show_machine(context, options.name) : Status();
}

Status abort_machine(Context& context, const std::string& name) {
  TRY_ASSIGN(const auto machine, find_machine(context, name));
  TRY_ASSIGN(const auto deployment, deployment_of(machine));
  if (machine.state != hades::MachineState::kDeploying && machine.state != hades::MachineState::kReleasing)
    return conflict(fmt::format("nothing is at work on machine {}: it is {}", name, hades::to_string(machine.state)));
  TRY_ASSIGN(auto client, service(context));
  TRY_ASSIGN(const auto call, context.call_options());
  const auto response = client.abort({deployment}, call);
  TRY(for_vo(machine, response ? Status() : Status(response.error())));
  return show_machine(context, name);
}

Status abandon_machine(Context& context, const MachineOptions& options) {
  TRY_ASSIGN(const auto machine, find_machine(context, options.name));
  context.print_line(fmt::format(
      "abandoning machine {}, {}, of the VO {}: it is switched off, and nothing that its workflow did is undone",
      machine.name, hades::to_string(machine.state), machine.vo.empty() ? "-" : machine.vo));
  TRY(context.confirm("Abandon it?"));
  TRY_ASSIGN(auto client, service(context));
  TRY_ASSIGN(const auto call, context.call_options());
  hades::AbandonDeploymentRequest request;
  request.name = options.name;
  if (!options.reason.empty()) request.reason = options.reason;
  TRY(client.abandon_deployment(request, call));
  return show_machine(context, options.name);
}

Status release_machine(Context& context, const MachineOptions& options) {
  TRY_ASSIGN(const auto machine, find_machine(context, options.name));
  TRY_ASSIGN(const auto deployment, deployment_of(machine));
  hades::ReleaseRequest request;
  request.deployment = deployment;
  hades::WipePolicy wipe = hades::WipePolicy::kQuick;
  TRY(hades::from_string(options.wipe, wipe));
  request.wipe = wipe;
  context.print_line(fmt::format("releasing machine {}, {}, of the VO {}; wipe: {}", machine.name,
                                 hades::to_string(machine.state), machine.vo, options.wipe));
  TRY(context.confirm("Release it?"));
  TRY_ASSIGN(auto client, service(context));
  TRY_ASSIGN(const auto call, context.call_options());
  TRY_ASSIGN(const bool is_done, context.with_progress(OwnSteps::of_host(deployment), [&]() -> Status {
    const auto response = client.release(request, call);
    return for_vo(machine, response ? Status() : Status(response.error()));
  }));
  if (!is_done && context.json()) {
    context.print_json(json::object{{"accepted", true}});
    return {};
  }
  return is_done ? show_machine(context, options.name) : Status();
}

Status remove_machine(Context& context, const MachineOptions& options) {
  TRY_ASSIGN(const auto machine, find_machine(context, options.name));
  context.print_line(
      fmt::format("removing machine {}, {}{}", machine.name, hades::to_string(machine.state),
                  machine.unwiped.empty() ? "" : "; its disks may hold data of the VO " + machine.unwiped));
  TRY(context.confirm("Remove it?"));
  TRY_ASSIGN(auto client, service(context));
  TRY(client.remove_machine({options.name, options.force}));
  if (context.json()) context.print_json(json::object{{"machine", options.name}, {"state", "removed"}});
  return {};
}

}  // namespace nuraghe::cli
