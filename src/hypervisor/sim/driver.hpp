// The sim driver: virtual hosts that take time and capacity, and fail when told, but run nothing. For the control
// plane's tests, its benchmarks and its simulation.
//
// It keeps the contract whole: states, idempotence, tombstones, hosts that outlive the driver object (with
// `persisted`), a memory that says "memory short". Its guest is the tiny guest in numbers: the console says READY and
// then "beat N" for every second that the host has really run; pause and freeze stop the count, nothing else does.
//
//   ROOT/hosts/ID    SimRecord: specification, state, how long it has run (also the tombstone, until forget)
//
// Failures permitted: verbs that fail before they change anything (by name, by rule, by chance), and lose(), after
// which a host has ended by itself. Which verbs fail depends on seed, host, verb and attempt only, not on the order of
// calls. Thread safe.
#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "base/result.hpp"
#include "env/env.hpp"
#include "hypervisor/driver.hpp"
#include "hypervisor/states.hpp"

namespace nuraghe::hypervisor {

// A verb on the hosts whose name matches fails.
struct SimFailure {
  Verb verb = Verb::kCreate;
  std::string name = "*";  // fnmatch pattern of HostSpec::name (the id when it has no name)
  int every = 1;           // of the matching calls, each every-th fails: 8 = the 8th, the 16th, ...
  double probability = 1;  // and of those, this part, drawn from the seed
  ErrorCode code = ErrorCode::kUnavailable;
};

struct SimOptions {
  std::string root;                 // needed when persisted
  bool persisted = true;            // false: in memory only
  Bytes memory = {};                // capacity for running and paused hosts; 0: unlimited
  std::map<Verb, Duration> delays;  // how long a verb takes; none: no time. kThaw: both ways of thawing
  std::vector<SimFailure> failures;
  std::uint64_t seed = 1;
  Duration beat = std::chrono::seconds(1);
  env::Clock* clock = nullptr;  // nullptr: the system's
  // What the agents of its guests answer to a command; absent: that all went well.
  std::function<Result<std::string>(const std::string& id, const std::string& json)> agent{};
};

class SimDriver : public Driver {
 public:
  // The host ends by itself, as if its hypervisor process had died: on_lost is called in this thread. kConflict when it
  // does not run.
  virtual Status lose(const std::string& id, const std::string& reason) = 0;
  // The hypervisor pauses the host by itself: on_paused is called in this thread. kConflict when it does not run.
  virtual Status stop(const std::string& id, const std::string& reason) = 0;
};

// HostSpec::reserved: "fail" = verbs that fail for this host, separated by '|' ("create|freeze").
Result<std::unique_ptr<SimDriver>> open_sim_driver(SimOptions options);

}  // namespace nuraghe::hypervisor
