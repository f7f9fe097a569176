// What becomes of a machine as a whole: proposal, deployment, release.
#include <fmt/format.h>

#include <utility>

#include "env/env.hpp"
#include "model/node.hpp"
#include "services/hades/disks.hpp"
#include "services/hades/hades.hpp"
#include "services/hades/proposal.hpp"

namespace nuraghe::services::hades {
namespace {

constexpr std::size_t kEndLimit = 16;  // ends that wait for one step

Result<model::Node> node_of(const xml::DocumentPtr& fragment) {
  if (!fragment) return invalid("the request lacks the node: an element of urn:nuraghe:node:1");
  return model::parse_node_fragment(fragment->root());
}

Result<Duration> timeout_of(const std::optional<Duration>& wish, Duration otherwise) {
  const Duration timeout = wish.value_or(otherwise);
  if (timeout.count() <= 0) return invalid("the time-out must be longer than nothing");
  return timeout;
}

}  // namespace

Status Service::propose(exchange::Turn& turn, const exchange::Message& request, const api::ProposeRequest& input) {
  TRY_ASSIGN(const auto row, machine(turn, input.machine));
  TRY_ASSIGN(const auto node, node_of(input.fragment));
  api::ProposeResponse response;
  response.proposal = hades::propose(row.machine.hardware, node);
  auto& proposal = response.proposal;
  if (!worker_.can_deploy(row.machine.driver)) {
    proposal.feasible = false;
    proposal.reason.push_back(fmt::format("its driver {} has no agent for deployments so far", row.machine.driver));
  }
  for (const auto& reason : proposal.reason) proposal.summary += (proposal.summary.empty() ? "" : "; ") + reason;
  proposal.summary =
      proposal.feasible
          ? fmt::format("machine {} can become {}, on disk {}", row.machine.name, node.name, proposal.disk->serial)
          : fmt::format("machine {} cannot become {}: {}", row.machine.name, node.name, proposal.summary);
  proposal.estimate = row.last_deployment.value_or(worker_.estimate(row.machine.driver));
  return answer(turn, request.message_id, response);
}

Status Service::list_deployments(exchange::Turn& turn, const exchange::Message& request,
                                 const api::ListDeploymentsRequest&) {
  TRY_ASSIGN(auto rows, deployments_.scan(turn.transaction(), ""));
  api::ListDeploymentsResponse response;
  for (auto& [id, row] : rows) {
    if (row.deployment.vo == request.vo) response.deployment.push_back(std::move(row.deployment));
  }
  return answer(turn, request.message_id, response);
}

Status Service::get_deployment(exchange::Turn& turn, const exchange::Message& request,
                               const api::GetDeploymentRequest& input) {
  auto found = deployment(turn, request.vo, input.deployment);
  if (found) return answer(turn, request.message_id, api::GetDeploymentResponse{std::move(found->deployment)});
  TRY_ASSIGN(auto past, past_.find(turn.transaction(), request.vo, input.deployment));
  if (!past) return found.error();
  return answer(turn, request.message_id, api::GetDeploymentResponse{std::move(*past)});
}

Status Service::begin_deployment(exchange::Turn& turn, const exchange::Message& request,
                                 const api::BeginDeploymentRequest& input) {
  TRY_ASSIGN(auto row, machine(turn, input.machine));
  TRY_ASSIGN(const auto node, node_of(input.fragment));
  TRY_ASSIGN(const Duration timeout, timeout_of(input.timeout, options_.deployment_timeout));
  auto& machine = row.machine;
  TRY(check_free(row));
  TRY(enter(turn, row, model::MachineEvent::kDeploymentBegun));
  if (machine.cordoned)
    return conflict(fmt::format("machine {} takes no deployments{}{}; 'nuraghe machine uncordon {}' lets it",
                                machine.name, machine.cordon_reason.empty() ? "" : ": ", machine.cordon_reason,
                                machine.name));
  if (!machine.unwiped.empty() && machine.unwiped != request.vo)
    return conflict(fmt::format(
        "machine {} was released without a full wipe and may hold data of another VO on its disks ({}); that "
        "VO has to deploy on it again and release it with wipe full ('nuraghe machine release {} --wipe "
        "full')",
        machine.name, serials_of(row), machine.name));
  DeploymentRow begun;
  auto& deployment = begun.deployment;
  deployment.id = env::make_id(turn.random(), "dep");
  deployment.machine = machine.name;
  deployment.name = node.name;
  deployment.vo = request.vo;
  deployment.created = deployment.since = turn.now();
  begun.fragment = input.fragment->to_string();
  begun.timeout = timeout;
  machine.vo = request.vo;
  machine.deployment = deployment.id;
  machine.condition.clear();
  TRY(put(turn, row));
  TRY(put(turn, begun));
  TRY(announce(turn, deployment, "deployment.begun", "info",
               fmt::format("machine {} becomes {}", machine.name, deployment.name), request.traceparent));
  return answer(turn, request.message_id, api::BeginDeploymentResponse{deployment.id, timeout});
}

Status Service::end_deployment(exchange::Turn& turn, const exchange::Message& request,
                               const api::EndDeploymentRequest& input) {
  TRY_ASSIGN(auto row, deployment(turn, request.vo, input.deployment));
  const auto reason = input.reason.value_or("unknown");
  if (row.deployment.state == api::DeploymentState::kDeploying) {
    if (row.is_at_work()) return end_later(turn, request, std::move(row), input.succeeded, reason);
    TRY(close_deployment(turn, std::move(row), input.succeeded, reason));
  }
  return answer(turn, request.message_id, api::EndDeploymentResponse{});
}

Status Service::end_later(exchange::Turn& turn, const exchange::Message& request, DeploymentRow row, bool is_success,
                          const std::string& reason) {
  const auto word = api::to_string(row.deployment.step.back().step);
  if (is_success || row.ends.size() >= kEndLimit)
    return unavailable(
        fmt::format("machine {}: {} is at work; end it again when that is done", row.deployment.machine, word));
  row.is_stopping = true;
  row.ends.push_back({request.message_id, reason});
  TRY(turn.cancel_job(step_key(row.deployment.id)));
  return put(turn, row);
}

Status Service::close_waiting(exchange::Turn& turn, const std::string& id) {
  TRY_ASSIGN(auto row, deployments_.find(turn.transaction(), id));
  if (!row || row->ends.empty()) return {};
  const auto waiting = std::exchange(row->ends, {});
  const auto& reason = waiting.front().reason;
  if (row->deployment.state == api::DeploymentState::kReleasing) {
    TRY(close_release(turn, std::move(*row), false, reason));
    for (const auto& one : waiting) TRY(answer(turn, one.request, api::EndReleaseResponse{}));
    return {};
  }
  TRY(close_deployment(turn, std::move(*row), false, reason));
  for (const auto& one : waiting) TRY(answer(turn, one.request, api::EndDeploymentResponse{}));
  return {};
}

Status Service::close_deployment(exchange::Turn& turn, DeploymentRow row, bool is_success, const std::string& reason) {
  auto& deployment = row.deployment;
  TRY_ASSIGN(auto held, machine(turn, deployment.machine));
  const Duration took = turn.now() - deployment.created;
  deployment.since = turn.now();
  row.is_stopping = false;
  if (is_success) {
    deployment.state = api::DeploymentState::kDeployed;
    held.last_deployment = took;
    TRY(enter(turn, held, model::MachineEvent::kDeployed));
    TRY(put(turn, held));
    TRY(put(turn, row));
    TRY(announce(
        turn, deployment, "deployment.deployed", "info",
        fmt::format("{} is up on machine {} after {}", deployment.name, deployment.machine, format_duration(took))));
    return {};
  }
  deployment.condition = reason;
  const bool is_touched = !row.disk.serial.empty();
  const std::string text =
      fmt::format("deployment of {} on machine {} failed after {}{}: {}", deployment.name, deployment.machine,
                  format_duration(took), is_touched ? "" : ", before anything was written", deployment.condition);
  if (is_touched) {
    deployment.state = api::DeploymentState::kFailed;
    held.machine.condition = deployment.condition;
    TRY(enter(turn, held, model::MachineEvent::kDeploymentFailed));
    TRY(put(turn, row));
  } else {
    deployment.state = api::DeploymentState::kUndone;
    TRY(enter(turn, held, model::MachineEvent::kDeploymentUndone));
    held.machine.vo.clear();
    held.machine.deployment.clear();
    TRY(end(turn, row));
  }
  TRY(put(turn, held));
  return announce(turn, deployment, is_touched ? "deployment.failed" : "deployment.undone", "error", text);
}

Status Service::begin_release(exchange::Turn& turn, const exchange::Message& request,
                              const api::BeginReleaseRequest& input) {
  TRY_ASSIGN(auto row, this->deployment(turn, request.vo, input.deployment));
  TRY_ASSIGN(auto held, machine(turn, row.deployment.machine));
  TRY_ASSIGN(const Duration timeout, timeout_of(input.timeout, options_.deployment_timeout));
  TRY(check_free(held));
  TRY(enter(turn, held, model::MachineEvent::kReleaseBegun));
  row.deployment.state = api::DeploymentState::kReleasing;
  row.deployment.since = turn.now();
  // What an earlier end left behind is not of this release.
  row.deployment.condition.clear();
  row.is_stopping = false;
  row.wipe = input.wipe.value_or(api::WipePolicy::kQuick);
  TRY(put(turn, held));
  TRY(put(turn, row));
  api::BeginReleaseResponse response;
  response.deployment = row.deployment.id;
  response.timeout = timeout;
  response.wipe = row.wipe;
  response.needs_wipe = !to_wipe(held, row.wipe).empty();
  return answer(turn, request.message_id, response);
}

Status Service::end_release(exchange::Turn& turn, const exchange::Message& request,
                            const api::EndReleaseRequest& input) {
  auto found = deployment(turn, request.vo, input.deployment);
  if (!found && found.error().code() == ErrorCode::kNotFound)
    return answer(turn, request.message_id, api::EndReleaseResponse{});
  TRY_ASSIGN(auto row, std::move(found));
  const auto reason = input.reason.value_or("unknown");
  if (row.deployment.state == api::DeploymentState::kReleasing) {
    if (row.is_at_work()) return end_later(turn, request, std::move(row), input.succeeded, reason);
    TRY(close_release(turn, std::move(row), input.succeeded, reason));
  }
  return answer(turn, request.message_id, api::EndReleaseResponse{});
}

Status Service::close_release(exchange::Turn& turn, DeploymentRow row, bool is_success, const std::string& reason) {
  auto& deployment = row.deployment;
  TRY_ASSIGN(auto held, machine(turn, deployment.machine));
  deployment.since = turn.now();
  row.is_stopping = false;
  if (is_success) {
    deployment.state = api::DeploymentState::kReleased;
    TRY(enter(turn, held, model::MachineEvent::kReleased));
    held.machine.vo.clear();
    held.machine.deployment.clear();
    held.machine.condition.clear();
    TRY(put(turn, held));
    TRY(end(turn, row));
    TRY(announce(turn, deployment, "deployment.released", "info",
                 fmt::format("machine {} is {} again{}", deployment.machine, api::to_string(held.machine.state),
                             held.machine.unwiped.empty() ? "" : ", for the same VO alone: it was not wiped in full")));
    return {};
  }
  deployment.state = api::DeploymentState::kFailed;
  deployment.condition = fmt::format("release failed: {}", reason);
  held.machine.condition = deployment.condition;
  TRY(enter(turn, held, model::MachineEvent::kReleaseFailed));
  TRY(put(turn, held));
  TRY(put(turn, row));
  TRY(announce(turn, deployment, "deployment.failed", "error",
               fmt::format("release of machine {} failed: {}", deployment.machine, reason)));
  return {};
}

}  // namespace nuraghe::services::hades
