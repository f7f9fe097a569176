#include "services/hades/hades.hpp"

#include <fmt/format.h>

#include "services/hades/disks.hpp"

namespace nuraghe::services::hades {
namespace {

constexpr std::string_view kSweepTimer = "sweep";
constexpr Duration kSweepInterval = std::chrono::hours(1);

static_assert(static_cast<int>(api::MachineState::kEnrolled) == static_cast<int>(model::MachineState::kEnrolled));
static_assert(static_cast<int>(api::MachineState::kAvailable) == static_cast<int>(model::MachineState::kAvailable));
static_assert(static_cast<int>(api::MachineState::kDeploying) == static_cast<int>(model::MachineState::kDeploying));
static_assert(static_cast<int>(api::MachineState::kDeployed) == static_cast<int>(model::MachineState::kDeployed));
static_assert(static_cast<int>(api::MachineState::kReleasing) == static_cast<int>(model::MachineState::kReleasing));
static_assert(static_cast<int>(api::MachineState::kFailed) == static_cast<int>(model::MachineState::kFailed));
static_assert(static_cast<int>(api::MachineState::kRemoved) == static_cast<int>(model::MachineState::kRemoved));

}  // namespace

Status Service::open(store::Store& store) {
  TRY(machines_.open(store, "hades_machine"));
  TRY(deployments_.open(store, "hades_deployment"));
  return past_.open(store, "hades_past");
}

Status Service::on_start(exchange::Turn& turn) { return turn.set_timer(kSweepTimer, turn.now() + kSweepInterval); }

Status Service::on_timer(exchange::Turn& turn, std::string_view key) {
  if (key != kSweepTimer) return Skeleton::on_timer(turn, key);
  TRY_ASSIGN(const bool is_more, past_.sweep(turn.transaction(), turn.now(), options_.past));
  return turn.set_timer(kSweepTimer, is_more ? turn.now() : turn.now() + kSweepInterval);
}

Result<std::string> Service::run_job(const exchange::Job& job, exchange::JobContext& context) {
  TRY_ASSIGN(const auto order, decode_record<Order>(job.payload));
  return encode_record(worker_.run(order, context));
}

Status Service::on_job(exchange::Turn& turn, const exchange::Job& job, const Result<std::string>& result) {
  TRY_ASSIGN(const auto order, decode_record<Order>(job.payload));
  Outcome outcome;
  if (result) {
    TRY_ASSIGN(outcome, decode_record<Outcome>(*result));
  } else {
    outcome.error_code = error_code_name(result.error().code());
    outcome.error = result.error().to_string();
  }
  if (order.verb == "step") return step_ended(turn, order, outcome);
  if (order.verb == "sensors") return sensors_ended(turn, order, outcome);
  return machine_ended(turn, order, outcome);
}

Result<MachineRow> Service::machine(exchange::Turn& turn, const std::string& name) const {
  TRY_ASSIGN(auto row, machines_.find(turn.transaction(), name));
  if (!row) return not_found(fmt::format("there is no machine '{}'; 'nuraghe machine ls' lists what there is", name));
  recall_touched(*row);
  return std::move(*row);
}

Status Service::put(exchange::Turn& turn, const MachineRow& row) const {
  return machines_.put(turn.transaction(), row.machine.name, row);
}

Status Service::enter(exchange::Turn& turn, MachineRow& row, model::MachineEvent event) const {
  auto& machine = row.machine;
  const auto next = model::next_state(static_cast<model::MachineState>(machine.state), event);
  if (!next)
    return conflict(fmt::format("machine {} is {}; it would have to be {}", machine.name, api::to_string(machine.state),
                                model::sources_of(event)));
  const auto state = static_cast<api::MachineState>(*next);
  if (state != machine.state) machine.since = turn.now();
  machine.state = state;
  return {};
}

Status Service::check_free(const MachineRow& row) const {
  const auto& machine = row.machine;
  if (!machine.operation.empty())
    return conflict(
        fmt::format("{} is at work on machine {}; wait until that is done", machine.operation, machine.name));
  if (model::is_in_transit(static_cast<model::MachineState>(machine.state)))
    return conflict(fmt::format("machine {} is {}; wait until that is done, or end it with 'nuraghe machine abort {}'",
                                machine.name, api::to_string(machine.state), machine.name));
  return {};
}

Result<DeploymentRow> Service::deployment(exchange::Turn& turn, const std::string& vo, const std::string& id) const {
  TRY_ASSIGN(auto row, deployments_.find(turn.transaction(), id));
  if (!row || row->deployment.vo != vo) return not_found(fmt::format("there is no deployment '{}'", id));
  return std::move(*row);
}

Status Service::put(exchange::Turn& turn, const DeploymentRow& row) const {
  return deployments_.put(turn.transaction(), row.deployment.id, row);
}

Status Service::end(exchange::Turn& turn, const DeploymentRow& row) const {
  const auto& over = row.deployment;
  auto& tx = turn.transaction();
  TRY(past_.add(tx, over.vo, over.id, over.name, over, turn.now(), options_.past));
  return deployments_.erase(tx, over.id);
}

Status Service::announce(exchange::Turn& turn, const api::Machine& machine, std::string kind, std::string severity,
                         std::string text) const {
  exchange::Event event;
  event.vo = machine.vo;
  event.kind = std::move(kind);
  event.severity = std::move(severity);
  event.text = std::move(text);
  event.attributes["machine"] = machine.name;
  return turn.publish(std::move(event));
}

Status Service::announce(exchange::Turn& turn, const api::Deployment& deployment, std::string kind,
                         std::string severity, std::string text, const std::string& traceparent) const {
  exchange::Event event;
  event.vo = deployment.vo;
  event.host = deployment.id;
  event.kind = std::move(kind);
  event.severity = std::move(severity);
  event.text = std::move(text);
  event.attributes["machine"] = deployment.machine;
  event.attributes["name"] = deployment.name;
  if (!traceparent.empty()) event.attributes["traceparent"] = traceparent;
  return turn.publish(std::move(event));
}

}  // namespace nuraghe::services::hades
