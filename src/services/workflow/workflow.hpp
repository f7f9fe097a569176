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
  // What a run that was resumed or ended here has sent, and the timers that it has set, are answered to this actor:
  // they are the engine's.
  Status on_reply(exchange::Turn& turn, const exchange::Message& reply, std::string_view token) override {
    return engine_.on_reply(turn, reply, token);
  }
  Status on_timer(exchange::Turn& turn, std::string_view key) override { return engine_.on_timer(turn, key); }
  void on_rollback() override { engine_.on_rollback(); }

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
  Status suspend_site_instance(exchange::Turn& turn, const exchange::Message& request,
                               const api::SuspendSiteInstanceRequest& input) override;
  Status terminate_site_instance(exchange::Turn& turn, const exchange::Message& request,
                                 const api::TerminateSiteInstanceRequest& input) override;
  Status replay_instance(exchange::Turn& turn, const exchange::Message& request,
                         const api::ReplayInstanceRequest& input) override;

 private:
  // kDenied for a run of the site's: `operation` is what an administrator may call instead.
  Status check_not_of_site(exchange::Turn& turn, const exchange::Message& request, const std::string& id,
                           std::string_view operation) const;

  bpel::Engine& engine_;
};

}  // namespace nuraghe::services::workflow
