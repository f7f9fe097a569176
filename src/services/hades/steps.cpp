// The single steps of a deployment and of a release: each a request of a workflow, and a job.
#include <fmt/format.h>

#include "services/hades/disks.hpp"
#include "services/hades/hades.hpp"
#include "services/hades/logs.hpp"
#include "services/hades/values.hpp"

namespace nuraghe::services::hades {
namespace {

constexpr std::size_t kLogLimit = 8192;  // bytes of a step's log that are kept: the last ones (StepRecord.log_lines)
constexpr std::size_t kStepLimit = 100;  // steps of one deployment that are remembered

// Whether the state of the deployment is one in which a workflow may order this.
bool is_step_of(api::DeploymentState state, api::Step step) {
  const bool is_of_both = step == api::Step::kStartSystem || step == api::Step::kPowerOff;
  if (state == api::DeploymentState::kDeploying) return is_of_both || step != api::Step::kWipe;
  if (state == api::DeploymentState::kReleasing) return is_of_both || step == api::Step::kWipe;
  return false;
}

}  // namespace

Status Service::start_step(exchange::Turn& turn, const exchange::Message& request, DeploymentRow row, api::Step step,
                           Order order) {
  auto& deployment = row.deployment;
  const auto word = api::to_string(step);
  if (row.is_at_work())
    return conflict(fmt::format("machine {}: {} is at work; {} has to wait", deployment.machine,
                                api::to_string(deployment.step.back().step), word));
  if (!is_step_of(deployment.state, step) || (row.is_stopping && step != api::Step::kPowerOff))
    return conflict(fmt::format("deployment of machine {} is {}{}: {} is not possible now", deployment.machine,
                                api::to_string(deployment.state), row.is_stopping ? " and being ended" : "", word));
  if (deployment.step.size() >= kStepLimit) deployment.step.erase(deployment.step.begin());
  api::StepRecord record;
  record.step = step;
  record.state = api::StepState::kRunning;
  record.started = turn.now();
  deployment.step.push_back(std::move(record));
  TRY_ASSIGN(const auto held, machine(turn, deployment.machine));
  order.verb = "step";
  order.request = request.message_id;
  order.driver = held.machine.driver;
  order.machine = target_of(held.machine);
  order.deployment = deployment.id;
  order.step = step;
  order.fragment = row.fragment;
  order.disk = row.disk;
  order.device = row.boot_before.value_or(api::BootDevice::kDisk);
  TRY(put(turn, row));
  return turn.start_job({step_key(deployment.id), encode_record(order)});
}

Status Service::begin_step(exchange::Turn& turn, const exchange::Message& request, const std::string& id,
                           api::Step step) {
  TRY_ASSIGN(auto row, deployment(turn, request.vo, id));
  return start_step(turn, request, std::move(row), step, {});
}

Status Service::start_system(exchange::Turn& turn, const exchange::Message& request,
                             const api::StartSystemRequest& input) {
  return begin_step(turn, request, input.deployment, api::Step::kStartSystem);
}

Status Service::partition(exchange::Turn& turn, const exchange::Message& request, const api::PartitionRequest& input) {
  TRY_ASSIGN(auto row, deployment(turn, request.vo, input.deployment));
  TRY_ASSIGN(auto held, machine(turn, row.deployment.machine));
  TRY_ASSIGN(row.disk, disk_of(held.machine, input.disk));
  row.deployment.disk = row.disk.serial;
  // From this commit on the disk may hold the VO's data, whatever becomes of the job.
  note_touched(held, row.disk);
  TRY(put(turn, held));
  return start_step(turn, request, std::move(row), api::Step::kPartition, {});
}

Status Service::make_filesystems(exchange::Turn& turn, const exchange::Message& request,
                                 const api::MakeFilesystemsRequest& input) {
  return begin_step(turn, request, input.deployment, api::Step::kMakeFilesystems);
}

Status Service::populate(exchange::Turn& turn, const exchange::Message& request, const api::PopulateRequest& input) {
  TRY_ASSIGN(auto row, deployment(turn, request.vo, input.deployment));
  row.deployment.image = fmt::format("{}:{}@{}", input.image.name, input.image.version, input.image.digest);
  Order order;
  order.image = input.image;
  return start_step(turn, request, std::move(row), api::Step::kPopulate, std::move(order));
}

Status Service::configure(exchange::Turn& turn, const exchange::Message& request, const api::ConfigureRequest& input) {
  return begin_step(turn, request, input.deployment, api::Step::kConfigure);
}

Status Service::boot(exchange::Turn& turn, const exchange::Message& request, const api::BootRequest& input) {
  return begin_step(turn, request, input.deployment, api::Step::kBoot);
}

Status Service::wipe(exchange::Turn& turn, const exchange::Message& request, const api::WipeRequest& input) {
  TRY_ASSIGN(auto row, deployment(turn, request.vo, input.deployment));
  if (input.policy == api::WipePolicy::kNone) return invalid("'none' wipes nothing; there are quick and full");
  TRY_ASSIGN(const auto held, machine(turn, row.deployment.machine));
  Order order;
  order.disks = to_wipe(held, input.policy);
  if (order.disks.empty()) return answer(turn, request.message_id, api::WipeResponse{});
  order.wipes_all = input.policy == api::WipePolicy::kFull;
  return start_step(turn, request, std::move(row), api::Step::kWipe, std::move(order));
}

Status Service::power_off(exchange::Turn& turn, const exchange::Message& request, const api::PowerOffRequest& input) {
  return begin_step(turn, request, input.deployment, api::Step::kPowerOff);
}

Status Service::stop_step(exchange::Turn& turn, const exchange::Message& request, const api::StopStepRequest& input) {
  TRY_ASSIGN(auto row, deployment(turn, request.vo, input.deployment));
  row.is_stopping = true;
  if (!row.is_at_work()) {
    TRY(put(turn, row));
    return answer(turn, request.message_id, api::StopStepResponse{});
  }
  row.stop_requests.push_back(request.message_id);
  TRY(turn.cancel_job(step_key(row.deployment.id)));
  return put(turn, row);
}

Status Service::answer_step(exchange::Turn& turn, const Order& order) {
  switch (order.step) {
    case api::Step::kStartSystem:
      return answer(turn, order.request, api::StartSystemResponse{});
    case api::Step::kPartition:
      return answer(turn, order.request, api::PartitionResponse{});
    case api::Step::kMakeFilesystems:
      return answer(turn, order.request, api::MakeFilesystemsResponse{});
    case api::Step::kPopulate:
      return answer(turn, order.request, api::PopulateResponse{});
    case api::Step::kConfigure:
      return answer(turn, order.request, api::ConfigureResponse{});
    case api::Step::kBoot:
      return answer(turn, order.request, api::BootResponse{});
    case api::Step::kWipe:
      return answer(turn, order.request, api::WipeResponse{});
    case api::Step::kPowerOff:
      return answer(turn, order.request, api::PowerOffResponse{});
  }
  return internal("a step without an answer");
}

Status Service::step_ended(exchange::Turn& turn, const Order& order, const Outcome& outcome) {
  const auto word = api::to_string(order.step);
  TRY_ASSIGN(auto row, deployments_.find(turn.transaction(), order.deployment));
  if (!row)
    return fail(turn, order.request,
                not_found(fmt::format("the deployment of machine {} is over", order.machine.name)));
  auto& deployment = row->deployment;
  TRY_ASSIGN(auto held, machine(turn, deployment.machine));
  const bool is_done = outcome.error_code.empty();
  if (row->is_at_work()) {
    auto& record = deployment.step.back();
    record.state = is_done ? api::StepState::kDone : api::StepState::kFailed;
    record.ended = turn.now();
    record.log = xml::printable(last_bytes(outcome.log, kLogLimit));
    record.log_lines = static_cast<std::int32_t>(lines_of(record.log).size());
    record.error = outcome.error;
  }
  if (outcome.power) held.machine.power = *outcome.power;
  if (order.step == api::Step::kStartSystem || order.step == api::Step::kBoot) {
    held.machine.boot_device = order.step == api::Step::kBoot ? api::BootDevice::kDisk : api::BootDevice::kNetwork;
    // What failed may have been said to it, or not.
    if (!is_done) held.machine.boot_device.reset();
  }
  if (order.step == api::Step::kPowerOff) {
    held.machine.boot_device = outcome.boot_device;
    row->power_failure = outcome.error;
  }
  // Also what was done before the step failed.
  for (const auto& serial : outcome.wiped)
    note_wiped(held, serial, order.wipes_all ? api::WipePolicy::kFull : api::WipePolicy::kQuick);
  for (const auto& waiting : row->stop_requests) TRY(answer(turn, waiting, api::StopStepResponse{}));
  row->stop_requests.clear();
  TRY(put(turn, held));
  TRY(put(turn, *row));
  if (is_done) {
    TRY(announce(turn, deployment, "deployment.step", "info",
                 fmt::format("{}: {} is done on machine {}", deployment.name, word, deployment.machine)));
    TRY(answer_step(turn, order));
  } else {
    TRY(fail(turn, order.request,
             Error(error_code_from_name(outcome.error_code), outcome.error)
                 .with(fmt::format("{} of machine {}", word, order.machine.name))));
  }
  return close_waiting(turn, deployment.id);
}

}  // namespace nuraghe::services::hades
