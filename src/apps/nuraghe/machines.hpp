// The commands of `nuraghe machine`: physical machines (docs/hades.md).
#pragma once

#include <string>
#include <vector>

#include "apps/nuraghe/context.hpp"

namespace nuraghe::cli {

struct MachineOptions {
  std::string name;
  std::string driver = "sim";
  std::string address;
  std::vector<std::string> macs;
  std::string list;    // file (CSV) with machines, instead of one
  std::string action;  // power: on, off, force-off, cycle
  std::string device;  // boot-device: disk, network
  std::string reason;  // cordon, abandon
  std::string node;    // deploy: file with a node configuration
  std::string node_name;
  std::string wipe = "quick";
  bool force = false;
};

// The exit code; of a list, that of the first machine that was refused.
Result<int> add_machines(Context& context, const MachineOptions& options);
Status list_machines(Context& context);
Status show_machine(Context& context, const std::string& name);
Status inspect_machine(Context& context, const std::string& name);
Status power_machine(Context& context, const MachineOptions& options);
Status set_boot_device(Context& context, const MachineOptions& options);
Status show_sensors(Context& context, const std::string& name);
Status cordon_machine(Context& context, const MachineOptions& options, bool is_cordoned);
// What the machine can do for the node, without doing it.
Status propose_machine(Context& context, const MachineOptions& options);
Status deploy_machine(Context& context, const MachineOptions& options);
Status abort_machine(Context& context, const std::string& name);
// Without its workflow.
Status abandon_machine(Context& context, const MachineOptions& options);
Status release_machine(Context& context, const MachineOptions& options);
Status remove_machine(Context& context, const MachineOptions& options);

}  // namespace nuraghe::cli
