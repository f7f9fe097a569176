#include "services/workflow/workflow.hpp"

#include <fmt/format.h>

#include <algorithm>

#include "contracts/operation.hpp"

namespace nuraghe::services::workflow {
namespace {

Result<api::Instance> instance_of(const bpel::InstanceSummary& summary) {
  api::Instance instance;
  instance.id = summary.id;
  instance.process = summary.process;
  instance.program = summary.program;
  instance.vo = summary.vo;
  TRY(api::from_string(summary.state, instance.state));
  instance.started = summary.started;
  instance.ended = summary.ended;
  instance.fault = xml::printable(summary.fault);
  instance.parent = summary.parent;
  return instance;
}

template <class Deployed>
api::Process process_of(const Deployed& process) {
  api::Process item;
  item.id = process.id;
  item.file = process.file;
  item.name = process.name.local;
  item.version = process.version;
  item.active = process.active;
  for (const auto& route : process.routes) item.operation.push_back(route.path + " " + route.operation);
  return item;
}

// Whether it runs a process that serves an operation for which an administrator is needed. Of a version that is not
// deployed any more nothing runs.
bool is_of_site(const std::vector<bpel::DeployedProcess>& processes, const bpel::InstanceSummary& summary) {
  const auto found = std::ranges::find(processes, summary.program, &bpel::DeployedProcess::id);
  if (found == processes.end()) return false;
  return std::ranges::any_of(found->routes, [](const bpel::Route& route) {
    const auto* operation = contracts::operation_at(route.path, route.operation);
    return operation != nullptr && operation->access == contracts::Access::kSite;
  });
}

}  // namespace

Status Administration::list_processes(exchange::Turn& turn, const exchange::Message& request,
                                      const api::ListProcessesRequest&) {
  api::ListProcessesResponse response;
  for (const auto& process : engine_.processes()) response.process.push_back(process_of(process));
  return answer(turn, request.message_id, response);
}

Status Administration::get_process(exchange::Turn& turn, const exchange::Message& request,
                                   const api::GetProcessRequest& input) {
  for (const auto& process : engine_.processes())
    if (process.id == input.id) return answer(turn, request.message_id, api::GetProcessResponse{process_of(process)});
  return not_found(
      fmt::format("there is no process '{}'; 'nuraghe workflow processes' lists what is deployed", input.id));
}

Status Administration::list_instances(exchange::Turn& turn, const exchange::Message& request,
                                      const api::ListInstancesRequest& input) {
  bpel::Engine::Filter filter;
  filter.vo = request.vo;
  filter.running_only = input.running_only.value_or(false);
  filter.after = input.after.value_or("");
  if (input.limit && *input.limit < 1) return invalid("limit must be a number from 1 to 10000");
  constexpr std::int32_t kMostListed = 10'000;
  if (input.limit) filter.limit = static_cast<std::size_t>(std::min(*input.limit, kMostListed));
  TRY_ASSIGN(const auto instances, engine_.list(turn, filter));
  const auto processes = engine_.processes();
  api::ListInstancesResponse response;
  for (const auto& summary : instances) {
    TRY_ASSIGN(auto instance, instance_of(summary));
    instance.of_site = is_of_site(processes, summary);
    response.instance.push_back(std::move(instance));
  }
  return answer(turn, request.message_id, response);
}

Status Administration::show_instance(exchange::Turn& turn, const exchange::Message& request,
                                     const api::ShowInstanceRequest& input) {
  TRY_ASSIGN(const auto details, engine_.show(turn, input.id, request.vo));
  api::ShowInstanceResponse response;
  TRY_ASSIGN(response.instance, instance_of(details.summary));
  response.instance.of_site = is_of_site(engine_.processes(), details.summary);
  for (const auto& activity : details.activities)
    response.activity.push_back(
        {activity.kind, activity.name, activity.path, activity.state, activity.file, activity.line});
  for (const auto& entry : details.history)
    response.step.push_back({entry.sequence, entry.time, entry.kind, entry.operation});
  return answer(turn, request.message_id, response);
}

Status Administration::check_not_of_site(exchange::Turn& turn, const exchange::Message& request, const std::string& id,
                                         std::string_view operation) const {
  TRY_ASSIGN(const auto details, engine_.show(turn, id, request.vo));
  if (!is_of_site(engine_.processes(), details.summary)) return {};
  return denied(fmt::format("{} is a run of the site's process {}: only an administrator may do that, by {}", id,
                            details.summary.process, operation));
}

Status Administration::suspend_instance(exchange::Turn& turn, const exchange::Message& request,
                                        const api::SuspendInstanceRequest& input) {
  TRY(check_not_of_site(turn, request, input.id, "suspend_site_instance"));
  TRY(engine_.suspend(turn, input.id));
  return answer(turn, request.message_id, api::SuspendInstanceResponse{});
}

Status Administration::suspend_site_instance(exchange::Turn& turn, const exchange::Message& request,
                                             const api::SuspendSiteInstanceRequest& input) {
  TRY(engine_.show(turn, input.id, request.vo));
  TRY(engine_.suspend(turn, input.id));
  return answer(turn, request.message_id, api::SuspendSiteInstanceResponse{});
}

Status Administration::resume_instance(exchange::Turn& turn, const exchange::Message& request,
                                       const api::ResumeInstanceRequest& input) {
  TRY(engine_.show(turn, input.id, request.vo));
  TRY(engine_.resume(turn, input.id));
  return answer(turn, request.message_id, api::ResumeInstanceResponse{});
}

Status Administration::terminate_instance(exchange::Turn& turn, const exchange::Message& request,
                                          const api::TerminateInstanceRequest& input) {
  TRY(check_not_of_site(turn, request, input.id, "terminate_site_instance"));
  TRY(engine_.terminate(turn, input.id, input.reason.value_or("by its user")));
  return answer(turn, request.message_id, api::TerminateInstanceResponse{});
}

Status Administration::terminate_site_instance(exchange::Turn& turn, const exchange::Message& request,
                                               const api::TerminateSiteInstanceRequest& input) {
  TRY(engine_.show(turn, input.id, request.vo));
  TRY(engine_.terminate(turn, input.id, input.reason.value_or("by an administrator")));
  return answer(turn, request.message_id, api::TerminateSiteInstanceResponse{});
}

Status Administration::replay_instance(exchange::Turn& turn, const exchange::Message& request,
                                       const api::ReplayInstanceRequest& input) {
  TRY(engine_.show(turn, input.id, request.vo));
  TRY_ASSIGN(const auto replay, engine_.replay(turn, input.id));
  api::ReplayInstanceResponse response;
  response.steps = replay.steps;
  if (!replay.same)
    response.difference = xml::printable(fmt::format("step {}: {}", replay.different, replay.explanation));
  return answer(turn, request.message_id, response);
}

}  // namespace nuraghe::services::workflow
