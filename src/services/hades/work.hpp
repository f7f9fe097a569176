// Worker: the blocking half of HaDeS: power drivers and agents. Runs on job lanes.
// Threading: every function is thread safe.
#pragma once

#include <map>
#include <string>

#include "deploy/agent.hpp"
#include "deploy/escalation.hpp"
#include "deploy/power.hpp"
#include "exchange/exchange.hpp"
#include "services/hades/rows.hpp"

namespace nuraghe::services::hades {

// What drives the machines of one kind. Not owned; both outlive the worker.
struct MachineDriver {
  deploy::PowerDriver* power = nullptr;
  deploy::Agent* agent = nullptr;  // null: nothing can be deployed on them
};

struct WorkerOptions {
  std::map<std::string, MachineDriver> drivers;  // by the name that machines are enrolled with
  deploy::PowerLimits limits;
  Duration order_timeout = std::chrono::minutes(5);  // of what an administrator orders
  // Of each step of a deployment or a release. The deadlines of workflows/hades/deploy.xml are longer.
  std::map<api::Step, Duration> step_limits = {{api::Step::kStartSystem, std::chrono::minutes(20)},
                                               {api::Step::kPartition, std::chrono::minutes(10)},
                                               {api::Step::kMakeFilesystems, std::chrono::minutes(20)},
                                               {api::Step::kPopulate, std::chrono::minutes(50)},
                                               {api::Step::kConfigure, std::chrono::minutes(10)},
                                               {api::Step::kBoot, std::chrono::minutes(20)},
                                               {api::Step::kWipe, std::chrono::hours(24)},
                                               {api::Step::kPowerOff, std::chrono::minutes(5)}};
};

class Worker {
 public:
  explicit Worker(WorkerOptions options) : options_(std::move(options)) {}

  // kUnsupported, naming those that there are, for a driver that is not here; kInvalid for an address that is none of
  // its.
  Status check(const std::string& driver, const deploy::Target& target) const;
  // False: its machines can be switched, but there is no agent for them.
  bool can_deploy(const std::string& driver) const;
  // How long a deployment takes at least; nothing is known of a driver that is not here.
  Duration estimate(const std::string& driver) const;
  Outcome run(const Order& order, exchange::JobContext& context);

 private:
  Result<MachineDriver> driver(const std::string& name) const;
  Status carry_out(const Order& order, exchange::JobContext& context, Outcome& outcome);
  Status inspect(const Order& order, const MachineDriver& driver, const deploy::Control& control, Outcome& outcome);
  // The step, within its limit: kTimeout names both when it is over.
  Status limited_step(const Order& order, const MachineDriver& driver, deploy::Control control, Outcome& outcome);
  Status step(const Order& order, const MachineDriver& driver, const deploy::Control& control, Outcome& outcome);
  // Starts the machine from there and waits until it runs this.
  Status restart(const Order& order, const MachineDriver& driver, deploy::BootDevice from, deploy::System into,
                 const deploy::Control& control, Outcome& outcome);
  Status agent_work(const Order& order, const MachineDriver& driver, const deploy::Control& control, Outcome& outcome);
  // Off, and from now on starting from order.device. Both are tried, whether or not the other can be.
  Status switch_off(const Order& order, const MachineDriver& driver, const deploy::Control& control, Outcome& outcome);
  Status reach(const Order& order, const MachineDriver& driver, deploy::Goal goal, const deploy::Control& control,
               Outcome& outcome);

  WorkerOptions options_;
};

}  // namespace nuraghe::services::hades
