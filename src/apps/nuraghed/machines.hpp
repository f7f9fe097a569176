// Machines: HaDeS with the drivers that it has in this process.
//
//   STATE/machines/sim/     simulated machines (deploy/sim/machines.hpp)
//   STATE/machines/qemu/    bare machines in QEMU (deploy/qemu/machines.hpp)
#pragma once

#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "base/result.hpp"
#include "exchange/exchange.hpp"
#include "services/past.hpp"
#include "store/store.hpp"

namespace nuraghe::daemon {

struct MachineSettings {
  std::vector<std::string> power_limits;  // "COMMAND=DURATION"
  std::vector<std::string> step_limits;   // "STEP=DURATION"
  std::vector<std::string> sim_failures;  // deploy::parse_sim_machine_failure
  std::vector<std::string> sim_delays;    // "VERB=DURATION"
};

// As services::hades::ServiceOptions'.
struct MachineHooks {
  std::function<Status(store::Transaction& tx, const std::string& name)> on_removed;
  std::function<Result<bool>(store::Transaction& tx, const std::string& vo)> has_vo;
};

class Machines {
 public:
  // kInvalid names the option that is wrong.
  static Result<std::unique_ptr<Machines>> open(const MachineSettings& settings, const std::string& folder,
                                                bool sim_persisted, const services::PastLimits& past,
                                                MachineHooks hooks);
  virtual ~Machines() = default;
  virtual exchange::Actor& actor() = 0;
  // As services::hades::Service::machines_of.
  virtual Result<std::vector<std::string>> machines_of(store::Transaction& tx, const std::string& vo) const = 0;
};

}  // namespace nuraghe::daemon
