// Physical machines that take time and fail when told, but are nowhere: power driver and agent in one, for the control
// plane's tests, its benchmarks and its simulation.
//
// A machine starts from the network into the deployment system, or from its disk into what was deployed there; from a
// disk without a system it starts nothing, and then, as real ones do, it does not listen to a soft power-off. What it
// has is made of its name and the seed, or stands in its address: "cpus=8,memory=16GiB,disk=100GiB,disk=1TiB,
// firmware=uefi,device=infiniband".
//
//   ROOT/NAME    SimMachine: power, what it runs, what its disk holds
//
// Failures permitted: verbs that are refused, that are not answered (until the time-out), or that are taken and
// ignored. Which ones depends on seed, machine, verb and attempt alone. Thread safe.
#pragma once

#include <array>
#include <cstdint>
#include <map>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.hpp"
#include "deploy/agent.hpp"
#include "deploy/power.hpp"

namespace nuraghe::deploy {

// Every verb of both contracts, by name: status, on, soft-off, hard-off, cycle, set-boot-device, read-sensors,
// inventory; start-system and boot (the waiting for either system); partition, make-filesystems, populate, configure,
// wipe.
inline constexpr std::array<std::string_view, 15> kSimVerbs = {
    "status",       "on",   "soft-off",  "hard-off",         "cycle",    "set-boot-device", "read-sensors", "inventory",
    "start-system", "boot", "partition", "make-filesystems", "populate", "configure",       "wipe"};

struct SimMachineFailure {
  enum class Kind {
    kRefused,     // kUnavailable, nothing changed
    kUnanswered,  // kTimeout after the time that was given
    kIgnored,     // success, nothing changed
  };
  std::string verb;           // of kSimVerbs
  std::string machine = "*";  // fnmatch pattern of names
  int every = 1;              // of the matching calls, each every-th
  double probability = 1;     // and of those, this part, drawn from the seed
  Kind kind = Kind::kRefused;
};

struct SimMachinesOptions {
  std::string root;                        // needed when persisted
  bool persisted = true;                   // false: in memory only
  std::map<std::string, Duration> delays;  // how long a verb takes; none: no time
  std::vector<SimMachineFailure> failures;
  std::uint64_t seed = 1;
};

class SimMachines : public PowerDriver, public Agent {
 public:
  // From now on its inventory says this: somebody changed the machine.
  virtual Status replace_hardware(const Target& target, Hardware hardware) = 0;
  // Whether no block of its disks holds anything of anybody; a quick wipe leaves the blocks.
  virtual Result<bool> is_blank(const Target& target) = 0;
};

// kInvalid for a verb that does not exist.
Result<std::unique_ptr<SimMachines>> open_sim_machines(SimMachinesOptions options);

// "VERB:PATTERN[:every=N][:chance=PERCENT][:refused|unanswered|ignored]"
Result<SimMachineFailure> parse_sim_machine_failure(std::string_view text);

}  // namespace nuraghe::deploy
