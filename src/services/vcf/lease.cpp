#include "services/vcf/lease.hpp"

#include <fmt/format.h>

#include <algorithm>

#include "contracts/vcm.hpp"
#include "env/env.hpp"
#include "model/lifecycle.hpp"
#include "services/vcf/vcf.hpp"

namespace nuraghe::services::vcf {
namespace {

constexpr std::string_view kLeasePrefix = "lease/";
// An order to the manager ends by itself when its operation times out; undoing takes as long again.
constexpr Duration kOrderPatience = std::chrono::hours(2);

api::LeaseEnding ending_of(const LeaseRow& lease) {
  return lease.destroys ? api::LeaseEnding::kDestroy : api::LeaseEnding::kFreeze;
}
std::string_view participle(const LeaseRow& lease) { return lease.destroys ? "destroyed" : "frozen"; }
bool is_ended(const LeaseRow& lease, TimePoint now) { return lease.end && *lease.end <= now; }

// A cluster in this state is as the end of its lease wants it.
bool is_as_wanted(model::ClusterState state, const LeaseRow& lease) {
  return state == model::ClusterState::kFrozen && !lease.destroys;
}

}  // namespace

std::string lease_key(const std::string& cluster) { return std::string(kLeasePrefix) + cluster; }

std::string_view lease_of_key(std::string_view key) {
  return key.starts_with(kLeasePrefix) ? key.substr(kLeasePrefix.size()) : std::string_view();
}

Duration pause_after(std::int64_t failures) {
  Duration pause = kFirstLeasePause;
  for (std::int64_t i = 1; i < failures && pause < kLongestLeasePause; ++i) pause *= 2;
  return std::min(pause, kLongestLeasePause);
}

// ---- what users ask for ----

Status Factory::set_lease(exchange::Turn& turn, const exchange::Message& request, const api::SetLeaseRequest& input) {
  TRY_ASSIGN(const auto row, visible_cluster(turn, request.vo, input.cluster));
  TRY_ASSIGN(auto lease, leases_.find(turn.transaction(), row.id));
  if (!lease) lease.emplace();
  if (input.lease_ending) lease->destroys = *input.lease_ending == api::LeaseEnding::kDestroy;
  TRY(change_lease(turn, row, *lease, input.lease_end));
  return answer(turn, request.message_id, api::SetLeaseResponse{input.lease_end, ending_of(*lease)});
}

Status Factory::extend_lease(exchange::Turn& turn, const exchange::Message& request,
                             const api::ExtendLeaseRequest& input) {
  TRY_ASSIGN(const auto row, visible_cluster(turn, request.vo, input.cluster));
  TRY_ASSIGN(auto lease, leases_.find(turn.transaction(), row.id));
  if (!lease) lease.emplace();
  const Duration by = input.by.value_or(lease->duration);
  if (!input.by && by == Duration(0))
    return invalid(
        fmt::format("the blueprint of cluster {} has no lease whose length could be taken: say by how much, "
                    "as in 'nuraghe extend {} --by 2d'",
                    row.name, row.name));
  if (by <= Duration(0) || by > model::Lease::kLongest)
    return invalid("a lease is extended by more than nothing and by ten years at most");
  if (!lease->is_begun && lease->duration > Duration(0) && row.state == model::name_of(model::ClusterState::kCreating))
    return conflict(
        fmt::format("the lease of cluster {} begins when it runs; extend it then, or set its end now with "
                    "'nuraghe extend {} --until TIME'",
                    row.name, row.name));
  const TimePoint end = std::max(lease->end.value_or(turn.now()), turn.now()) + by;
  TRY(change_lease(turn, row, *lease, end));
  return answer(turn, request.message_id, api::ExtendLeaseResponse{end, ending_of(*lease)});
}

Status Factory::change_lease(exchange::Turn& turn, const ClusterRow& row, LeaseRow lease,
                             std::optional<TimePoint> end) const {
  if (end && *end <= turn.now())
    return invalid(
        fmt::format("{} is not to come: it is {} now; 'nuraghe freeze' and 'nuraghe destroy' end a cluster "
                    "at once",
                    end->to_string(), turn.now().to_string()));
  if (end && *end - turn.now() > model::Lease::kLongest)
    return invalid(fmt::format("{} is more than ten years away; leave the time out when nothing shall end cluster {}",
                               end->to_string(), row.name));
  if (row.operation == model::name_of(model::ClusterOperation::kDestroy))
    return conflict(fmt::format("cluster {} is being destroyed", row.name));
  TRY(quotas_.check_lease(turn.transaction(), row.vo, end ? *end - turn.now() : Duration(0)));
  lease.end = end;
  lease.is_announced = lease.is_over = false;
  lease.failures = 0;
  lease.next_try.reset();
  lease.is_begun = true;
  TRY(leases_.put(turn.transaction(), row.id, lease));
  TRY(arm_lease(turn, row.id, lease));
  return lease_event(turn, row, lease, "cluster.lease-set", "info",
                     end ? fmt::format("the lease of cluster {} ends at {}; then it is {}", row.name, end->to_string(),
                                       participle(lease))
                         : fmt::format("the lease of cluster {} has no end", row.name));
}

Status Factory::check_lease(exchange::Turn& turn, const ClusterRow& row) const {
  TRY_ASSIGN(const auto lease, leases_.find(turn.transaction(), row.id));
  if (!lease || !is_ended(*lease, turn.now())) return {};
  return conflict(
      fmt::format("the lease of cluster {} ended at {}; extend it first, as with 'nuraghe extend {} --by 2d'", row.name,
                  lease->end->to_string(), row.name));
}

// ---- its course ----

Status Factory::plan_lease(exchange::Turn& turn, const ClusterRow& row, const model::Lease& wanted) const {
  LeaseRow lease;
  lease.destroys = wanted.destroys;
  lease.duration = wanted.duration;
  lease.notice = wanted.notice;
  return leases_.put(turn.transaction(), row.id, lease);
}

Status Factory::lease_at_rest(exchange::Turn& turn, const ClusterRow& row, bool is_created) const {
  TRY_ASSIGN(auto lease, leases_.find(turn.transaction(), row.id));
  if (!lease) return {};
  if (is_created && !lease->is_begun) {
    lease->is_begun = true;
    lease->end = turn.now() + lease->duration;
    TRY(leases_.put(turn.transaction(), row.id, *lease));
  }
  return arm_lease(turn, row.id, *lease);
}

Status Factory::arm_lease(exchange::Turn& turn, const std::string& cluster, const LeaseRow& lease) const {
  const std::string key = lease_key(cluster);
  if (!lease.end || lease.is_over || !lease.trying.empty()) return turn.cancel_timer(key);
  const bool has_notice = !lease.is_announced && lease.notice > Duration(0);
  TimePoint due = has_notice ? *lease.end - lease.notice : *lease.end;
  if (lease.next_try) due = std::max(due, *lease.next_try);
  return turn.set_timer(key, due);
}

Status Factory::lease_due(exchange::Turn& turn, const std::string& cluster) const {
  TRY_ASSIGN(const auto row, clusters_.find(turn.transaction(), cluster));
  TRY_ASSIGN(const auto lease, leases_.find(turn.transaction(), cluster));
  if (!row || !lease || !lease->end || lease->is_over || !lease->trying.empty()) return {};
  if (is_ended(*lease, turn.now())) {
    // What is at work ends first, and looks here then.
    if (!row->operation.empty()) return {};
    return end_lease(turn, *row, *lease);
  }
  if (!lease->is_announced && turn.now() + lease->notice >= *lease->end) return announce_lease_end(turn, *row, *lease);
  return arm_lease(turn, cluster, *lease);
}

Status Factory::announce_lease_end(exchange::Turn& turn, const ClusterRow& row, LeaseRow lease) const {
  lease.is_announced = true;
  TRY(leases_.put(turn.transaction(), row.id, lease));
  TRY(arm_lease(turn, row.id, lease));
  return lease_event(turn, row, lease, "cluster.lease-ending", "warning",
                     fmt::format("the lease of cluster {} ends in {}, at {}; then it is {}: 'nuraghe extend {}' moves "
                                 "the end",
                                 row.name, format_duration(*lease.end - turn.now()), lease.end->to_string(),
                                 participle(lease), row.name));
}

Status Factory::end_lease(exchange::Turn& turn, const ClusterRow& row, LeaseRow lease) const {
  TRY_ASSIGN(const auto state, model::cluster_state_from_name(row.state));
  if (is_as_wanted(state, lease))
    return lease_over(turn, row, lease, "info",
                      fmt::format("the lease of cluster {} ended; it was {} already", row.name, row.state));
  const auto operation = lease.destroys ? model::ClusterOperation::kDestroy : model::ClusterOperation::kFreeze;
  if (model::start_of(state, operation) == model::Start::kRefused)
    return lease_over(turn, row, lease, "warning",
                      fmt::format("the lease of cluster {} ended; it is {} and cannot be {}: look at it with 'nuraghe "
                                  "show {}', then destroy it",
                                  row.name, row.state, participle(lease), row.name));
  auto message = contracts::vcm::make_end_lease(options_.manager, {row.id, ending_of(lease)});
  message.message_id = env::make_uuid_urn(turn.random());
  message.vo = row.vo;
  message.caller = "vcf:lease";
  message.traceparent = exchange::to_string(exchange::begin_trace(turn.random()));
  lease.trying = message.message_id;
  lease.next_try.reset();
  TRY(leases_.put(turn.transaction(), row.id, lease));
  return turn.send(std::move(message), lease_key(row.id), turn.now() + row.timeout + kOrderPatience);
}

Status Factory::on_reply(exchange::Turn& turn, const exchange::Message& reply, std::string_view token) {
  const std::string cluster(lease_of_key(token));
  if (cluster.empty()) return Skeleton::on_reply(turn, reply, token);
  TRY_ASSIGN(const auto row, clusters_.find(turn.transaction(), cluster));
  TRY_ASSIGN(auto lease, leases_.find(turn.transaction(), cluster));
  if (!row || !lease || lease->trying != reply.relates_to) return {};
  lease->trying.clear();
  const auto response = contracts::vcm::parse_end_lease_response(reply);
  // Extended meanwhile: what was begun is done, and the new end is still to come.
  if (!is_ended(*lease, turn.now())) {
    TRY(leases_.put(turn.transaction(), cluster, *lease));
    return arm_lease(turn, cluster, *lease);
  }
  if (!response) return lease_failed(turn, *row, *lease, response.error().to_string());
  return lease_over(turn, *row, *lease, "info",
                    fmt::format("the lease of cluster {} ended; it is {}", row->name, row->state));
}

Status Factory::lease_over(exchange::Turn& turn, const ClusterRow& row, LeaseRow lease, std::string severity,
                           std::string text) const {
  lease.is_over = true;
  lease.failures = 0;
  TRY(leases_.put(turn.transaction(), row.id, lease));
  TRY(arm_lease(turn, row.id, lease));
  return lease_event(turn, row, lease, "cluster.lease-ended", std::move(severity), std::move(text));
}

Status Factory::lease_failed(exchange::Turn& turn, const ClusterRow& row, LeaseRow lease,
                             const std::string& reason) const {
  // Somebody began another operation first: when that ends, it is this one's turn.
  if (!row.operation.empty()) return leases_.put(turn.transaction(), row.id, lease);
  ++lease.failures;
  const Duration pause = pause_after(lease.failures);
  lease.next_try = turn.now() + pause;
  TRY(leases_.put(turn.transaction(), row.id, lease));
  TRY(arm_lease(turn, row.id, lease));
  return lease_event(turn, row, lease, "cluster.lease-failed", "error",
                     fmt::format("the lease of cluster {} ended, but it could not be {}: {}; it is tried again in {}",
                                 row.name, participle(lease), reason, format_duration(pause)));
}

Status Factory::lease_event(exchange::Turn& turn, const ClusterRow& row, const LeaseRow& lease, std::string kind,
                            std::string severity, std::string text) const {
  exchange::Event event;
  event.vo = row.vo;
  event.cluster = row.id;
  event.kind = std::move(kind);
  event.severity = std::move(severity);
  event.text = std::move(text);
  event.attributes["name"] = row.name;
  if (lease.end) event.attributes["lease_end"] = lease.end->to_string();
  event.attributes["lease_ending"] = std::string(contracts::vcf::to_string(ending_of(lease)));
  return turn.publish(std::move(event));
}

}  // namespace nuraghe::services::vcf
