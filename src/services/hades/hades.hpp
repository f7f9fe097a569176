// HaDeS, the Hardware Deployment Service: the service half, which knows the machines and carries out single steps. The
// order of the steps stands in workflows/hades/.
//
// Machines are the site's; while one is deployed it is of one virtual organisation. At most one thing is at work on a
// machine: an order of an administrator (a job "machine/NAME") or a step of its deployment (a job "step/ID"). Whatever
// decides whether something may begin does so in the turn that begins it, so of two at once one is refused. Jobs are
// idempotent: a process that was killed runs them again.
// Threading: as exchange::Actor; run_job touches only Worker, which is thread safe.
#pragma once

#include <functional>
#include <string>
#include <string_view>
#include <vector>

#include "model/machine_lifecycle.hpp"
#include "services/hades/rows.hpp"
#include "services/hades/work.hpp"
#include "services/past.hpp"
#include "services/rows.hpp"

namespace nuraghe::services::hades {

struct ServiceOptions {
  PastLimits past;
  Duration deployment_timeout = std::chrono::hours(2);
  // Called in the turn in which the machine is gone: whoever keeps something about it by its name forgets it. Must not
  // block.
  std::function<Status(store::Transaction& tx, const std::string& name)> on_removed;
  // Whether there is a VO of that name (any more), by the transaction; empty: there is. Must not block.
  std::function<Result<bool>(store::Transaction& tx, const std::string& vo)> has_vo;
};

class Service final : public api::Skeleton {
 public:
  // The worker outlives the service.
  Service(ServiceOptions options, Worker& worker) : Skeleton("hades"), options_(std::move(options)), worker_(worker) {}

  std::string_view name() const override { return "hades"; }
  Status open(store::Store& store) override;
  Status on_start(exchange::Turn& turn) override;
  Status on_timer(exchange::Turn& turn, std::string_view key) override;
  Status on_job(exchange::Turn& turn, const exchange::Job& job, const Result<std::string>& result) override;
  Result<std::string> run_job(const exchange::Job& job, exchange::JobContext& context) override;

  // The machines that the VO has, or whose disks may hold its data: "m1 (deployed)". To be called in a turn of any
  // actor of the same exchange; not before this service was opened.
  Result<std::vector<std::string>> machines_of(store::Transaction& tx, const std::string& vo) const;

 protected:
  // ---- machines (machines.cpp) ----
  Status enrol_machine(exchange::Turn& turn, const exchange::Message& request,
                       const api::EnrolMachineRequest& input) override;
  Status list_machines(exchange::Turn& turn, const exchange::Message& request,
                       const api::ListMachinesRequest& input) override;
  Status get_machine(exchange::Turn& turn, const exchange::Message& request,
                     const api::GetMachineRequest& input) override;
  Status inspect_machine(exchange::Turn& turn, const exchange::Message& request,
                         const api::InspectMachineRequest& input) override;
  Status power_machine(exchange::Turn& turn, const exchange::Message& request,
                       const api::PowerMachineRequest& input) override;
  Status set_boot_device(exchange::Turn& turn, const exchange::Message& request,
                         const api::SetBootDeviceRequest& input) override;
  Status read_sensors(exchange::Turn& turn, const exchange::Message& request,
                      const api::ReadSensorsRequest& input) override;
  Status cordon_machine(exchange::Turn& turn, const exchange::Message& request,
                        const api::CordonMachineRequest& input) override;
  Status remove_machine(exchange::Turn& turn, const exchange::Message& request,
                        const api::RemoveMachineRequest& input) override;

  Status abandon_deployment(exchange::Turn& turn, const exchange::Message& request,
                            const api::AbandonDeploymentRequest& input) override;

  // ---- deployments (deployments.cpp) ----
  Status check_vo(exchange::Turn& turn, const std::string& vo) const;
  Status propose(exchange::Turn& turn, const exchange::Message& request, const api::ProposeRequest& input) override;
  Status list_deployments(exchange::Turn& turn, const exchange::Message& request,
                          const api::ListDeploymentsRequest& input) override;
  Status get_deployment(exchange::Turn& turn, const exchange::Message& request,
                        const api::GetDeploymentRequest& input) override;
  Status begin_deployment(exchange::Turn& turn, const exchange::Message& request,
                          const api::BeginDeploymentRequest& input) override;
  Status end_deployment(exchange::Turn& turn, const exchange::Message& request,
                        const api::EndDeploymentRequest& input) override;
  Status begin_release(exchange::Turn& turn, const exchange::Message& request,
                       const api::BeginReleaseRequest& input) override;
  Status end_release(exchange::Turn& turn, const exchange::Message& request,
                     const api::EndReleaseRequest& input) override;

  // ---- steps (steps.cpp) ----
  Status start_system(exchange::Turn& turn, const exchange::Message& request,
                      const api::StartSystemRequest& input) override;
  Status partition(exchange::Turn& turn, const exchange::Message& request, const api::PartitionRequest& input) override;
  Status make_filesystems(exchange::Turn& turn, const exchange::Message& request,
                          const api::MakeFilesystemsRequest& input) override;
  Status populate(exchange::Turn& turn, const exchange::Message& request, const api::PopulateRequest& input) override;
  Status configure(exchange::Turn& turn, const exchange::Message& request, const api::ConfigureRequest& input) override;
  Status boot(exchange::Turn& turn, const exchange::Message& request, const api::BootRequest& input) override;
  Status wipe(exchange::Turn& turn, const exchange::Message& request, const api::WipeRequest& input) override;
  Status power_off(exchange::Turn& turn, const exchange::Message& request, const api::PowerOffRequest& input) override;
  Status stop_step(exchange::Turn& turn, const exchange::Message& request, const api::StopStepRequest& input) override;

 private:
  Result<MachineRow> machine(exchange::Turn& turn, const std::string& name) const;
  Status put(exchange::Turn& turn, const MachineRow& row) const;
  // The machine is now in the state to which the event leads; kConflict when it is not legal.
  Status enter(exchange::Turn& turn, MachineRow& row, model::MachineEvent event) const;
  // Nothing else is at work on the machine, and the event would be legal.
  Status check_free(const MachineRow& row) const;
  Status start(exchange::Turn& turn, MachineRow row, Order order, std::string operation);
  // The order of an administrator, to be answered when it is carried out.
  Status give_order(exchange::Turn& turn, const exchange::Message& request, const std::string& name, Order order,
                    std::string operation);
  // Its deployment or release was ended without the workflow: it is switched off if that is possible.
  Status begin_abandoned(exchange::Turn& turn, const std::string& request, const std::string& name,
                         api::BootDevice device);
  Status abandoned(exchange::Turn& turn, MachineRow& row, const Order& order, const Outcome& outcome);
  // Nothing new is deployed on it, with the reason; one that is cordoned already keeps its own.
  Status cordon(exchange::Turn& turn, MachineRow& row, const std::string& reason) const;
  Status machine_ended(exchange::Turn& turn, const Order& order, const Outcome& outcome);
  Status inspected(exchange::Turn& turn, MachineRow& row, const Outcome& outcome);
  Status sensors_ended(exchange::Turn& turn, const Order& order, const Outcome& outcome);

  // A deployment of the VO that is not over.
  Result<DeploymentRow> deployment(exchange::Turn& turn, const std::string& vo, const std::string& id) const;
  Status put(exchange::Turn& turn, const DeploymentRow& row) const;
  // It is over and only remembered.
  Status end(exchange::Turn& turn, const DeploymentRow& row) const;
  // The deployment or release is over, as it went; nothing when it was before. No step is at work.
  Status close_deployment(exchange::Turn& turn, DeploymentRow row, bool is_success, const std::string& reason);
  Status close_release(exchange::Turn& turn, DeploymentRow row, bool is_success, const std::string& reason);
  Status close_failed(exchange::Turn& turn, DeploymentRow row, const std::string& reason);
  // Ends the step at work; the failure is recorded and answered when it is over. kUnavailable for a success, which
  // cannot be while a step is at work.
  Status end_later(exchange::Turn& turn, DeploymentRow row, bool is_success, WaitingEnd end);
  Status close_waiting(exchange::Turn& turn, const std::string& deployment);
  Status start_step(exchange::Turn& turn, const exchange::Message& request, DeploymentRow row, api::Step step,
                    Order order);
  Status begin_step(exchange::Turn& turn, const exchange::Message& request, const std::string& deployment,
                    api::Step step);
  Status step_ended(exchange::Turn& turn, const Order& order, const Outcome& outcome);
  Status answer_step(exchange::Turn& turn, const Order& order);

  Status announce(exchange::Turn& turn, const api::Machine& machine, std::string kind, std::string severity,
                  std::string text) const;
  Status announce(exchange::Turn& turn, const api::Deployment& deployment, std::string kind, std::string severity,
                  std::string text, const std::string& traceparent = {}) const;

  ServiceOptions options_;
  Worker& worker_;
  RowTable<MachineRow> machines_;
  RowTable<DeploymentRow> deployments_;
  PastTable<api::Deployment> past_;
};

}  // namespace nuraghe::services::hades
