// What becomes of a machine as a whole: proposal, deployment, release.
#include <fmt/format.h>

#include <algorithm>
#include <limits>
#include <utility>

#include "env/env.hpp"
#include "model/node.hpp"
#include "services/hades/disks.hpp"
#include "services/hades/hades.hpp"
#include "services/hades/logs.hpp"
#include "services/hades/proposal.hpp"

namespace nuraghe::services::hades {
namespace {

constexpr std::size_t kEndLimit = 16;  // ends that wait for one step
constexpr std::int32_t kUsuallyListed = 1000;
constexpr std::int32_t kMostListed = 10'000;

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
                                 const api::ListDeploymentsRequest& input) {
  const std::int32_t limit = input.limit.value_or(kUsuallyListed);
  if (limit < 1) return invalid(fmt::format("limit must be a number from 1 to {}", kMostListed));
  TRY_ASSIGN(auto rows, deployments_.scan(turn.transaction(), ""));
  api::ListDeploymentsResponse response;
  for (auto& [id, row] : rows) {
    if (row.deployment.vo != request.vo || id <= input.after.value_or("")) continue;
    if (response.deployment.size() >= static_cast<std::size_t>(std::min(limit, kMostListed))) break;
    shorten(row.deployment);
    response.deployment.push_back(std::move(row.deployment));
  }
  return answer(turn, request.message_id, response);
}

Status Service::get_deployment(exchange::Turn& turn, const exchange::Message& request,
                               const api::GetDeploymentRequest& input) {
  constexpr std::int32_t kEvery = std::numeric_limits<std::int32_t>::max();
  const std::int32_t lines = input.log_lines.value_or(kEvery);
  const std::int32_t skip = input.log_skip.value_or(0);
  if (lines < 0 || skip < 0) return invalid("log_lines and log_skip count lines: they cannot be less than 0");
  const auto show = [&](api::Deployment shown) {
    keep_lines(shown, static_cast<std::size_t>(lines), static_cast<std::size_t>(skip));
    return answer(turn, request.message_id, api::GetDeploymentResponse{std::move(shown)});
  };
  auto found = deployment(turn, request.vo, input.deployment);
  if (found) return show(std::move(found->deployment));
  TRY_ASSIGN(auto past, past_.find(turn.transaction(), request.vo, input.deployment));
  return past ? show(std::move(*past)) : Status(found.error());
}

// A VO that was deleted would get what nobody but it can give back.
Status Service::check_vo(exchange::Turn& turn, const std::string& vo) const {
  if (!options_.has_vo) return {};
  TRY_ASSIGN(const bool is_there, options_.has_vo(turn.transaction(), vo));
  if (is_there) return {};
  return not_found(fmt::format("there is no VO {}; 'nuraghe vo ls' lists what there is", vo));
}

Status Service::begin_deployment(exchange::Turn& turn, const exchange::Message& request,
                                 const api::BeginDeploymentRequest& input) {
  TRY_ASSIGN(auto row, machine(turn, input.machine));
  TRY_ASSIGN(const auto node, node_of(input.fragment));
  TRY_ASSIGN(const Duration timeout, timeout_of(input.timeout, options_.deployment_timeout));
  TRY(check_vo(turn, request.vo));
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
  begun.boot_before = machine.boot_device;
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
  auto found = deployment(turn, request.vo, input.deployment);
  if (!found && found.error().code() == ErrorCode::kNotFound) {
    // Ended before: by its workflow's first call, or by an administrator.
    TRY_ASSIGN(const auto past, past_.find(turn.transaction(), request.vo, input.deployment));
    if (past) return answer(turn, request.message_id, api::EndDeploymentResponse{});
  }
  TRY_ASSIGN(auto row, std::move(found));
  const auto reason = input.reason.value_or("unknown");
  if (row.deployment.state == api::DeploymentState::kDeploying) {
    if (row.is_at_work()) return end_later(turn, std::move(row), input.succeeded, {request.message_id, reason, false});
    TRY(close_deployment(turn, std::move(row), input.succeeded, reason));
  }
  return answer(turn, request.message_id, api::EndDeploymentResponse{});
}

Status Service::end_later(exchange::Turn& turn, DeploymentRow row, bool is_success, WaitingEnd end) {
  const auto word = api::to_string(row.deployment.step.back().step);
  if (is_success || row.ends.size() >= kEndLimit)
    return unavailable(
        fmt::format("machine {}: {} is at work; end it again when that is done", row.deployment.machine, word));
  row.is_stopping = true;
  row.ends.push_back(std::move(end));
  TRY(turn.cancel_job(step_key(row.deployment.id)));
  return put(turn, row);
}

Status Service::close_waiting(exchange::Turn& turn, const std::string& id) {
  TRY_ASSIGN(auto row, deployments_.find(turn.transaction(), id));
  if (!row || row->ends.empty()) return {};
  const auto waiting = std::exchange(row->ends, {});
  const bool is_release = row->deployment.state == api::DeploymentState::kReleasing;
  const std::string name = row->deployment.machine;
  const auto device = row->boot_before.value_or(api::BootDevice::kDisk);
  TRY(close_failed(turn, std::move(*row), waiting.front().reason));
  std::string abandons;
  for (const auto& one : waiting) {
    if (one.abandons && abandons.empty())
      abandons = one.request;
    else if (one.abandons)
      TRY(fail(turn, one.request, conflict(fmt::format("machine {} is being abandoned already", name))));
    else if (is_release)
      TRY(answer(turn, one.request, api::EndReleaseResponse{}));
    else
      TRY(answer(turn, one.request, api::EndDeploymentResponse{}));
  }
  return abandons.empty() ? Status() : begin_abandoned(turn, abandons, name, device);
}

Status Service::close_failed(exchange::Turn& turn, DeploymentRow row, const std::string& reason) {
  if (row.deployment.state == api::DeploymentState::kReleasing)
    return close_release(turn, std::move(row), false, reason);
  return close_deployment(turn, std::move(row), false, reason);
}

Status Service::abandon_deployment(exchange::Turn& turn, const exchange::Message& request,
                                   const api::AbandonDeploymentRequest& input) {
  TRY_ASSIGN(const auto held, machine(turn, input.name));
  const auto& name = held.machine.name;
  if (!model::is_in_transit(static_cast<model::MachineState>(held.machine.state)))
    return conflict(fmt::format("nothing is being deployed on machine {} or released: it is {}", name,
                                api::to_string(held.machine.state)));
  TRY_ASSIGN(auto row, deployments_.find(turn.transaction(), held.machine.deployment));
  if (!row) return internal(fmt::format("machine {} has no deployment {}", name, held.machine.deployment));
  const auto& why = input.reason.value_or("");
  const std::string reason = fmt::format("abandoned by an administrator{}{}", why.empty() ? "" : ": ", why);
  TRY(announce(turn, held.machine, "machine.abandoned", "warning",
               fmt::format("machine {}, {}, is {}", name, api::to_string(held.machine.state), reason)));
  if (row->is_at_work()) return end_later(turn, std::move(*row), false, {request.message_id, reason, true});
  const auto device = row->boot_before.value_or(api::BootDevice::kDisk);
  TRY(close_failed(turn, std::move(*row), reason));
  return begin_abandoned(turn, request.message_id, name, device);
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
  if (!row.power_failure.empty())
    deployment.condition += fmt::format("; the machine could not be switched off: {}", row.power_failure);
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
    // Nobody releases it, so nobody would switch it off before the next deployment begins.
    if (!row.power_failure.empty()) {
      held.machine.condition = deployment.condition;
      TRY(cordon(turn, held, deployment.condition));
    }
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
  row.power_failure.clear();
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
    if (row.is_at_work()) return end_later(turn, std::move(row), input.succeeded, {request.message_id, reason, false});
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
