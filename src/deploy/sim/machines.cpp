#include "deploy/sim/machines.hpp"

#include <fmt/format.h>
#include <fmt/ranges.h>
#include <fnmatch.h>

#include <algorithm>
#include <mutex>
#include <optional>
#include <utility>

#include "deploy/description.hpp"
#include "env/posix.hpp"
#include "hypervisor/files.hpp"
#include "hypervisor/states.hpp"
#include "hypervisor/wait.hpp"

namespace nuraghe::deploy {
namespace {

using hypervisor::Deadline;

enum class Runs { kNothing, kDeploymentSystem, kOwnSystem };

struct SimMachine {
  Hardware hardware;
  PowerState power = PowerState::kOff;
  BootDevice boot_device = BootDevice::kDisk;
  Runs runs = Runs::kNothing;
  std::string serial;       // of the disk that was written to; empty: none, all are blank
  std::string partitioned;  // by this deployment; empty: no partition table
  std::string formatted, populated, configured;
  std::string image;
  std::string address;                // that the hardware was described by
  std::vector<std::string> leftover;  // serial numbers of other disks, whose blocks still hold what was on them
  bool is_cycling = false;            // whoever looks next sees it off
  template <class V>
  void fields(V& v) {
    v(1, hardware), v(2, power), v(3, boot_device), v(4, runs), v(5, serial), v(6, partitioned), v(7, formatted),
        v(8, populated), v(9, configured), v(10, image), v(11, address), v(12, leftover), v(13, is_cycling);
  }
  bool can_boot() const { return !configured.empty() && configured == populated; }
};

class SimulatedMachines final : public SimMachines {
 public:
  explicit SimulatedMachines(SimMachinesOptions options) : options_(std::move(options)) {}
  Status open();

  Status check(const Target& target) const override;
  Result<PowerState> status(const Target& target, const Control& control) override;
  Status command(const Target& target, PowerCommand command, const Control& control) override;
  Status set_boot_device(const Target& target, BootDevice device, const Control& control) override;
  Result<std::vector<Sensor>> read_sensors(const Target& target, const Control& control) override;
  Result<Hardware> inventory(const Target& target, const Control& control) override;
  Status wait_system(const Target& target, System system, const Control& control) override;
  Status run(const Target& target, const AgentOrder& order, const Control& control, std::string& log) override;
  Duration estimate() const override;
  Status replace_hardware(const Target& target, Hardware hardware) override;
  Result<bool> is_blank(const Target& target) override;

 private:
  // Lets the verb's time pass; then false: it is to be ignored.
  Result<bool> begin(std::string_view verb, const Target& target, const Control& control);
  std::optional<SimMachineFailure::Kind> failure_of(std::string_view verb, const Target& target);
  // The machine as it is; made when it is seen for the first time. Requires the mutex, as put.
  Result<SimMachine> find(const Target& target);
  Status put(const std::string& name, const SimMachine& machine);
  std::string path(const std::string& name) const { return options_.root + "/" + name; }

  SimMachinesOptions options_;
  mutable std::mutex mutex_;
  std::map<std::string, SimMachine> machines_;
  std::map<std::pair<std::string, std::string>, int> attempts_;
  std::vector<int> matches_;  // per failure: calls that matched it
};

Result<Hardware> describe(const Target& target, std::uint64_t seed) {
  TRY_ASSIGN(auto hardware, parse_description(target));
  const std::uint64_t hash = hash_of(seed, target.name);
  if (hardware.cpus == 0) hardware.cpus = 4 << (hash & 3U);
  if (hardware.memory.count == 0) hardware.memory = gib(std::int64_t{8} << ((hash >> 2) & 3U));
  if (hardware.disks.empty()) hardware.disks.push_back({"", "", gib(std::int64_t{64} << ((hash >> 4) & 3U))});
  if (hardware.firmware.empty()) hardware.firmware = "uefi";
  hardware.architecture = "x86_64";
  name_parts(hardware, target, hash, "SIM");
  return hardware;
}

Status check_verb(std::string_view verb) {
  if (std::ranges::find(kSimVerbs, verb) != kSimVerbs.end()) return {};
  return invalid(fmt::format("'{}' is no verb of a simulated machine; there are {}", verb, fmt::join(kSimVerbs, ", ")));
}

Status SimulatedMachines::open() {
  matches_.resize(options_.failures.size());
  for (const auto& failure : options_.failures) TRY(check_verb(failure.verb));
  for (const auto& [verb, delay] : options_.delays) TRY(check_verb(verb));
  if (!options_.persisted) return {};
  if (options_.root.empty()) return invalid("simulated machines that are kept need a root folder");
  TRY(env::make_directories(options_.root, 0700));
  TRY_ASSIGN(const auto names, env::list_directory(options_.root));
  for (const auto& name : names) {
    if (name.ends_with(".new")) {  // killed while it wrote
      TRY(env::remove_tree(path(name)));
      continue;
    }
    TRY_ASSIGN(machines_[name], hypervisor::read_record<SimMachine>(path(name)));
  }
  return {};
}

Status SimulatedMachines::check(const Target& target) const {
  TRY(hypervisor::check_host_id(target.name));
  TRY(describe(target, options_.seed));
  return {};
}

Result<SimMachine> SimulatedMachines::find(const Target& target) {
  const auto found = machines_.find(target.name);
  if (found != machines_.end() && found->second.address == target.address) return found->second;
  TRY(hypervisor::check_host_id(target.name));
  SimMachine machine = found == machines_.end() ? SimMachine{} : found->second;
  machine.address = target.address;
  TRY_ASSIGN(machine.hardware, describe(target, options_.seed));
  return machine;
}

// On disk before it is in memory: a failure to write changes nothing.
Status SimulatedMachines::put(const std::string& name, const SimMachine& machine) {
  SimMachine next = machine;
  if (options_.persisted) TRY(hypervisor::replace_file(path(name), encode_record(next)));
  machines_[name] = std::move(next);
  return {};
}

std::optional<SimMachineFailure::Kind> SimulatedMachines::failure_of(std::string_view verb, const Target& target) {
  if (options_.failures.empty()) return std::nullopt;
  const std::lock_guard lock(mutex_);
  const int attempt = ++attempts_[{target.name, std::string(verb)}];
  for (std::size_t i = 0; i < options_.failures.size(); ++i) {
    const auto& failure = options_.failures[i];
    if (failure.verb != verb || ::fnmatch(failure.machine.c_str(), target.name.c_str(), 0) != 0) continue;
    if (++matches_[i] % std::max(1, failure.every) != 0) continue;
    if (sim_chance(options_.seed, fmt::format("{}/{}/{}", target.name, verb, attempt)) >= failure.probability) continue;
    return failure.kind;
  }
  return std::nullopt;
}

Result<bool> SimulatedMachines::begin(std::string_view verb, const Target& target, const Control& control) {
  const std::string what = fmt::format("{} of machine {}", verb, target.name);
  const Deadline deadline(control);
  const auto failure = failure_of(verb, target);
  if (failure == SimMachineFailure::Kind::kUnanswered) {
    TRY(deadline.wait({}, what));
    return timed_out("no " + what);
  }
  const auto delay = options_.delays.find(std::string(verb));
  if (delay != options_.delays.end() && delay->second.count() > 0) {
    const Status waited = deadline.at_most(delay->second).wait({}, what);
    if (!waited && waited.error().code() != ErrorCode::kTimeout) return waited.error();
  }
  TRY(deadline.check(what));
  if (failure == SimMachineFailure::Kind::kRefused) return unavailable("simulated failure: " + what);
  return failure != SimMachineFailure::Kind::kIgnored;
}

Result<PowerState> SimulatedMachines::status(const Target& target, const Control& control) {
  TRY_ASSIGN(const bool is_known, begin("status", target, control));
  if (!is_known) return PowerState::kUnknown;
  const std::lock_guard lock(mutex_);
  TRY_ASSIGN(auto machine, find(target));
  if (!machine.is_cycling) return machine.power;
  machine.is_cycling = false;
  TRY(put(target.name, machine));
  return PowerState::kOff;
}

Status SimulatedMachines::command(const Target& target, PowerCommand command, const Control& control) {
  TRY_ASSIGN(const bool is_obeyed, begin(name_of(command), target, control));
  if (!is_obeyed) return {};
  const std::lock_guard lock(mutex_);
  TRY_ASSIGN(auto machine, find(target));
  const bool is_on = machine.power == PowerState::kOn;
  // Nobody hears it where no system runs.
  if (command == PowerCommand::kSoftOff && (!is_on || machine.runs == Runs::kNothing)) return {};
  if (command == PowerCommand::kOn && is_on) return {};
  if (command == PowerCommand::kOn || command == PowerCommand::kCycle) {
    machine.power = PowerState::kOn;
    machine.is_cycling = command == PowerCommand::kCycle;
    machine.runs = machine.boot_device == BootDevice::kNetwork ? Runs::kDeploymentSystem
                   : machine.can_boot()                        ? Runs::kOwnSystem
                                                               : Runs::kNothing;
  } else {
    machine.power = PowerState::kOff;
    machine.is_cycling = false;
    machine.runs = Runs::kNothing;
  }
  return put(target.name, machine);
}

Status SimulatedMachines::set_boot_device(const Target& target, BootDevice device, const Control& control) {
  TRY_ASSIGN(const bool is_obeyed, begin("set-boot-device", target, control));
  if (!is_obeyed) return {};
  const std::lock_guard lock(mutex_);
  TRY_ASSIGN(auto machine, find(target));
  machine.boot_device = device;
  return put(target.name, machine);
}

Result<std::vector<Sensor>> SimulatedMachines::read_sensors(const Target& target, const Control& control) {
  TRY_ASSIGN(const bool is_obeyed, begin("read-sensors", target, control));
  if (!is_obeyed) return std::vector<Sensor>{};
  const std::lock_guard lock(mutex_);
  TRY_ASSIGN(const auto machine, find(target));
  const bool is_on = machine.power == PowerState::kOn;
  return std::vector<Sensor>{{"inlet", 22, "degrees C"},
                             {"processor", is_on ? 54.0 : 22.0, "degrees C"},
                             {"fan", is_on ? 4800.0 : 0.0, "RPM"}};
}

Result<Hardware> SimulatedMachines::inventory(const Target& target, const Control& control) {
  TRY(begin("inventory", target, control));
  const std::lock_guard lock(mutex_);
  TRY_ASSIGN(auto machine, find(target));
  return std::move(machine.hardware);
}

Status SimulatedMachines::wait_system(const Target& target, System system, const Control& control) {
  TRY(begin(system == System::kDeployment ? "start-system" : "boot", target, control));
  const std::lock_guard lock(mutex_);
  TRY_ASSIGN(const auto machine, find(target));
  const Runs wanted = system == System::kDeployment ? Runs::kDeploymentSystem : Runs::kOwnSystem;
  if (machine.power == PowerState::kOn && machine.runs == wanted) return {};
  return unavailable(fmt::format("machine {} {}, not {}", target.name,
                                 machine.power != PowerState::kOn          ? "is off"
                                 : machine.runs == Runs::kDeploymentSystem ? "started the deployment system"
                                 : machine.runs == Runs::kOwnSystem        ? "started the system on its disk"
                                                                           : "found nothing to start on its disk",
                                 system == System::kDeployment ? "in the deployment system" : "in its new system"));
}

// The disk that is worked on is wiped: of every block, or of what makes it look used.
void forget(SimMachine& machine) {
  machine.serial.clear();
  machine.partitioned.clear();
  machine.formatted.clear();
  machine.populated.clear();
  machine.configured.clear();
  machine.image.clear();
}

// What the order builds on must be there; then its effect is.
Status apply(SimMachine& machine, const AgentOrder& order) {
  const auto& id = order.deployment;
  const auto needs = [&](const std::string& done_by, std::string_view what) -> Status {
    if (done_by == id) return {};
    return conflict(fmt::format("disk {} has no {} of this deployment", order.disk.serial, what));
  };
  switch (order.work) {
    case Work::kPartition:
      if (!machine.serial.empty()) machine.leftover.push_back(machine.serial);
      forget(machine);
      std::erase(machine.leftover, order.disk.serial);
      machine.serial = order.disk.serial;
      machine.partitioned = id;
      return {};
    case Work::kMakeFilesystems:
      TRY(needs(machine.partitioned, "partitions"));
      machine.formatted = id;
      return {};
    case Work::kPopulate:
      TRY(needs(machine.formatted, "file systems"));
      if (order.image_digest.empty()) return invalid("an order to populate lacks the image");
      machine.populated = id;
      machine.image = order.image_digest;
      return {};
    case Work::kConfigure:
      TRY(needs(machine.populated, "system"));
      machine.configured = id;
      return {};
    case Work::kWipe:
      if (machine.serial == order.disk.serial) {
        forget(machine);
        machine.leftover.push_back(order.disk.serial);
      }
      if (order.wipes_all) std::erase(machine.leftover, order.disk.serial);
      return {};
  }
  return internal("an order without work");
}

Status SimulatedMachines::run(const Target& target, const AgentOrder& order, const Control& control, std::string& log) {
  const std::string what =
      fmt::format("{} disk {} ({})", name_of(order.work), order.disk.serial, order.disk.size.to_string());
  log += "simulated agent: " + what + "\n";
  TRY_ASSIGN(const bool is_obeyed, begin(name_of(order.work), target, control));
  const std::lock_guard lock(mutex_);
  TRY_ASSIGN(auto machine, find(target));
  if (machine.power != PowerState::kOn || machine.runs != Runs::kDeploymentSystem)
    return unavailable(
        fmt::format("no agent answers on machine {}: it does not run the deployment system", target.name));
  const auto disk = std::ranges::find(machine.hardware.disks, order.disk.serial, &Disk::serial);
  if (disk == machine.hardware.disks.end())
    return invalid(fmt::format("machine {} has no disk with the serial number '{}'", target.name, order.disk.serial));
  if (disk->size != order.disk.size)
    return invalid(fmt::format("disk {} of machine {} has {}, not {}: nothing was written", disk->serial, target.name,
                               disk->size.to_string(), order.disk.size.to_string()));
  if (is_obeyed) {
    TRY(apply(machine, order));
    TRY(put(target.name, machine));
  }
  log += "done\n";
  return {};
}

Duration SimulatedMachines::estimate() const {
  Duration sum{0};
  for (const auto* verb : {"on", "start-system", "partition", "make-filesystems", "populate", "configure", "boot"}) {
    const auto delay = options_.delays.find(verb);
    if (delay != options_.delays.end()) sum += delay->second;
  }
  return sum;
}

Status SimulatedMachines::replace_hardware(const Target& target, Hardware hardware) {
  const std::lock_guard lock(mutex_);
  TRY_ASSIGN(auto machine, find(target));
  machine.hardware = std::move(hardware);
  return put(target.name, machine);
}

Result<bool> SimulatedMachines::is_blank(const Target& target) {
  const std::lock_guard lock(mutex_);
  TRY_ASSIGN(const auto machine, find(target));
  return machine.serial.empty() && machine.leftover.empty();
}

}  // namespace

std::string_view name_of(Work work) {
  switch (work) {
    case Work::kPartition:
      return "partition";
    case Work::kMakeFilesystems:
      return "make-filesystems";
    case Work::kPopulate:
      return "populate";
    case Work::kConfigure:
      return "configure";
    case Work::kWipe:
      return "wipe";
  }
  return "unknown";
}

Result<std::unique_ptr<SimMachines>> open_sim_machines(SimMachinesOptions options) {
  auto machines = std::make_unique<SimulatedMachines>(std::move(options));
  TRY(machines->open());
  return std::unique_ptr<SimMachines>(std::move(machines));
}

Result<SimMachineFailure> parse_sim_machine_failure(std::string_view text) {
  SimMachineFailure failure;
  const auto parts = split_words(text, ':');
  failure.verb = parts[0];
  TRY(check_verb(failure.verb));
  if (parts.size() > 1) failure.machine = parts[1];
  for (std::size_t i = 2; i < parts.size(); ++i) {
    const auto& word = parts[i];
    if (word == "refused") {
      failure.kind = SimMachineFailure::Kind::kRefused;
    } else if (word == "unanswered") {
      failure.kind = SimMachineFailure::Kind::kUnanswered;
    } else if (word == "ignored") {
      failure.kind = SimMachineFailure::Kind::kIgnored;
    } else if (word.starts_with("every=")) {
      TRY_ASSIGN(failure.every, whole_number(word.substr(6)));
    } else if (word.starts_with("chance=")) {
      TRY_ASSIGN(const int percent, whole_number(word.substr(7)));
      failure.probability = percent / 100.0;
    } else {
      return invalid(fmt::format("'{}' is none of every=N, chance=PERCENT, refused, unanswered, ignored", word));
    }
  }
  return failure;
}

}  // namespace nuraghe::deploy
