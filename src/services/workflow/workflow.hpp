// Workflow administration: what the engine runs, as a service beside it. It reads and changes the engine within its own
// turn, so both are actors of one exchange. Threading: as exchange::Actor.
#pragma once

#include "bpel/engine.hpp"
#include "contracts/workflow.hpp"

namespace nuraghe::services::workflow {

namespace api = contracts::workflow;

class Administration final : public api::Skeleton {
 public:
  // The engine outlives this and belongs to the same exchange.
  explicit Administration(bpel::Engine& engine) : Skeleton("workflow"), engine_(engine) {}
  std::string_view name() const override { return "workflow"; }
  Status open(store::Store&) override { return {}; }

 protected:
  Status list_processes(exchange::Turn& turn, const exchange::Message& request,
                        const api::ListProcessesRequest& input) override;
  Status get_process(exchange::Turn& turn, const exchange::Message& request,
                     const api::GetProcessRequest& input) override;
  Status list_instances(exchange::Turn& turn, const exchange::Message& request,
                        const api::ListInstancesRequest& input) override;
  Status show_instance(exchange::Turn& turn, const exchange::Message& request,
                       const api::ShowInstanceRequest& input) override;
  Status suspend_instance(exchange::Turn& turn, const exchange::Message& request,
                          const api::SuspendInstanceRequest& input) override;
  Status resume_instance(exchange::Turn& turn, const exchange::Message& request,
                         const api::ResumeInstanceRequest& input) override;
  Status terminate_instance(exchange::Turn& turn, const exchange::Message& request,
                            const api::TerminateInstanceRequest& input) override;
  Status replay_instance(exchange::Turn& turn, const exchange::Message& request,
                         const api::ReplayInstanceRequest& input) override;

 private:
  bpel::Engine& engine_;
};

}  // namespace nuraghe::services::workflow
