#include "services/vcf/vcf.hpp"

#include <fmt/format.h>

#include <map>

#include "model/lifecycle.hpp"
#include "services/vcf/lease.hpp"

namespace nuraghe::services::vcf {
namespace {

constexpr std::string_view kSweepTimer = "sweep";
constexpr Duration kSweepInterval = std::chrono::hours(1);

std::string name_key(const ClusterRow& row) { return fmt::format("{}/{}", row.vo, row.name); }

// Of a cluster that is gone: rows of before the states had an enumeration say none.
api::ClusterState ended(api::ClusterState state) {
  return state == api::ClusterState::kCreating ? api::ClusterState::kDestroyed : state;
}

}  // namespace

Status Factory::open(store::Store& store) {
  TRY(clusters_.open(store, "vcf_cluster"));
  TRY(members_.open(store, "vcf_member"));
  TRY(names_.open(store, "vcf_name"));
  TRY(keys_.open(store, "vcf_idempotency"));
  TRY(seeds_.open(store, "vcf_seed"));
  TRY(identities_.open(store, "vcf_identity"));
  TRY(identity_of_.open(store, "vcf_identity_of"));
  TRY(new_identities_.open(store, "vcf_identity_new"));
  TRY(leases_.open(store, "vcf_lease"));
  TRY(quotas_.open(store));
  TRY(authorities_.open(store, "vcf_login"));
  if (options_.members != nullptr) TRY(options_.members->open(store));
  return past_.open(store, "vcf_past");
}

Status Factory::on_start(exchange::Turn& turn) { return turn.set_timer(kSweepTimer, turn.now() + kSweepInterval); }

Status Factory::on_timer(exchange::Turn& turn, std::string_view key) {
  if (const auto cluster = lease_of_key(key); !cluster.empty()) return lease_due(turn, std::string(cluster));
  if (key != kSweepTimer) return Skeleton::on_timer(turn, key);
  TRY_ASSIGN(const bool is_more_past, past_.sweep(turn.transaction(), turn.now(), options_.past));
  TRY_ASSIGN(const bool is_more_identities, sweep_identities(turn));
  return turn.set_timer(kSweepTimer, is_more_past || is_more_identities ? turn.now() : turn.now() + kSweepInterval);
}

Result<std::string> Factory::seed(exchange::Turn& turn, const std::string& path) const {
  TRY_ASSIGN(auto row, seeds_.find(turn.transaction(), path));
  if (!row) return not_found("there is no such seed");
  return std::move(row->bytes);
}

Status Factory::announce(exchange::Turn& turn, const ClusterRow& row, std::string kind, std::string severity,
                         std::string text, const std::string& traceparent) {
  exchange::Event event;
  event.vo = row.vo;
  event.cluster = row.id;
  event.kind = std::move(kind);
  event.severity = std::move(severity);
  event.text = std::move(text);
  event.attributes["name"] = row.name;
  if (!traceparent.empty()) event.attributes["traceparent"] = traceparent;
  return turn.publish(std::move(event));
}

Result<ClusterRow> Factory::visible_cluster(exchange::Turn& turn, const std::string& vo,
                                            const std::string& id_or_name) const {
  TRY_ASSIGN(auto row, clusters_.find(turn.transaction(), id_or_name));
  if (!row) {
    TRY_ASSIGN(const auto mark, names_.find(turn.transaction(), fmt::format("{}/{}", vo, id_or_name)));
    if (mark) {
      TRY_ASSIGN(row, clusters_.find(turn.transaction(), mark->value));
    }
  }
  if (!row || row->vo != vo)
    return not_found(fmt::format("there is no cluster '{}'; 'nuraghe ls' lists what there is", id_or_name));
  return std::move(*row);
}

Result<std::vector<api::Member>> Factory::members(exchange::Turn& turn, const std::string& cluster) const {
  TRY_ASSIGN(auto rows, members_.scan(turn.transaction(), cluster + "/"));
  std::vector<api::Member> result;
  result.reserve(rows.size());
  for (auto& [key, member] : rows) result.push_back(std::move(member));
  return result;
}

Result<api::Cluster> Factory::describe(exchange::Turn& turn, const ClusterRow& row) const {
  api::Cluster cluster;
  cluster.id = row.id;
  cluster.name = row.name;
  cluster.vo = row.vo;
  TRY(api::from_string(row.state, cluster.state));
  cluster.condition = row.condition;
  cluster.operation = row.operation;
  cluster.on_failure = row.on_failure;
  cluster.created = row.created;
  cluster.since = row.since;
  cluster.network = row.networks;
  TRY_ASSIGN(cluster.member, members(turn, row.id));
  TRY_ASSIGN(const auto lease, leases_.find(turn.transaction(), row.id));
  if (lease) {
    cluster.lease_end = lease->end;
    cluster.lease_ending = lease->destroys ? api::LeaseEnding::kDestroy : api::LeaseEnding::kFreeze;
  }
  return cluster;
}

Status Factory::put(exchange::Turn& turn, const ClusterRow& row) const {
  return clusters_.put(turn.transaction(), row.id, row);
}

Status Factory::remove(exchange::Turn& turn, ClusterRow row) const {
  auto& tx = turn.transaction();
  TRY_ASSIGN(auto last, describe(turn, row));
  TRY(past_.add(tx, row.vo, row.id, row.name, last, turn.now(), options_.past));
  TRY(members_.erase_prefix(tx, row.id + "/"));
  TRY(seeds_.erase_prefix(tx, row.id + "/"));
  TRY(leases_.erase(tx, row.id));
  TRY(turn.cancel_timer(lease_key(row.id)));
  TRY(names_.erase(tx, name_key(row)));
  if (!row.idempotency_key.empty()) TRY(keys_.erase(tx, fmt::format("{}/{}", row.vo, row.idempotency_key)));
  return clusters_.erase(tx, row.id);
}

Status Factory::begin(exchange::Turn& turn, const exchange::Message& request, const api::BeginRequest& input) {
  const auto operation = model::cluster_operation_from_name(input.operation);
  if (!operation || *operation == model::ClusterOperation::kCreate)
    return invalid(fmt::format("'{}' is not an operation on a cluster that is there", input.operation));
  api::BeginResponse response;
  auto found = visible_cluster(turn, request.vo, input.cluster);
  if (!found) {
    TRY_ASSIGN(const auto past, past_.find(turn.transaction(), request.vo, input.cluster));
    if (!past) return found.error();
    if (*operation != model::ClusterOperation::kDestroy)
      return not_found(fmt::format("cluster {} is {} since {}; 'nuraghe ls' lists what there is", past->name,
                                   api::to_string(ended(past->state)), past->since.to_string()));
    // Destroyed already: nothing is to be done.
    response.cluster = past->id;
    response.before = ended(past->state);
    response.timeout = options_.timeout;
    return answer(turn, request.message_id, response);
  }
  auto row = std::move(*found);
  if (!row.operation.empty())
    return conflict(fmt::format("cluster {} is {}: wait until that is done, or end it with 'nuraghe abort {}'",
                                row.name, row.state, row.name));
  response.cluster = row.id;
  TRY(api::from_string(row.state, response.before));
  response.timeout = row.timeout;
  TRY_ASSIGN(const auto state, model::cluster_state_from_name(row.state));
  const auto start = model::start_of(state, *operation);
  if (start == model::Start::kRefused)
    return conflict(fmt::format("cluster {} is {}; {} needs it {}", row.name, row.state, input.operation,
                                model::sources_of(*operation)));
  if (*operation == model::ClusterOperation::kThaw && start == model::Start::kBegins) TRY(check_lease(turn, row));
  row.operation = input.operation;
  row.before = row.state;
  if (start == model::Start::kBegins) {
    TRY_ASSIGN(const auto hosts, members(turn, row.id));
    for (const auto& member : hosts) response.host.push_back(member.host);
    row.condition.clear();
    row.state = model::name_of(model::rule_of(*operation).during);
  }
  row.since = turn.now();
  TRY(put(turn, row));
  return answer(turn, request.message_id, response);
}

Status Factory::follow_places(exchange::Turn& turn, const ClusterRow& row, const contracts::vhf::Grant& grant) const {
  std::map<std::string, std::string> places;  // by host
  for (const auto& place : grant.placement) places[place.host] = place.physical_host;
  TRY_ASSIGN(auto rows, members_.scan(turn.transaction(), row.id + "/"));
  for (auto& [key, member] : rows) {
    const auto place = places.find(member.host);
    if (place == places.end() || place->second == member.physical_host) continue;
    member.physical_host = place->second;
    TRY(members_.put(turn.transaction(), key, member));
  }
  return {};
}

Status Factory::end(exchange::Turn& turn, const exchange::Message& request, const api::EndRequest& input) {
  auto found = visible_cluster(turn, request.vo, input.cluster);
  if (!found && found.error().code() == ErrorCode::kNotFound)
    return answer(turn, request.message_id, api::EndResponse{});
  TRY_ASSIGN(auto row, std::move(found));
  const auto operation = model::cluster_operation_from_name(input.operation);
  if (!operation || row.operation != input.operation) return answer(turn, request.message_id, api::EndResponse{});
  const Duration took = turn.now() - row.since;
  row.operation.clear();
  row.since = turn.now();
  if (input.succeeded) {
    const auto target = model::rule_of(*operation).target;
    row.state = model::name_of(target);
    row.condition.clear();
    if (input.grant) TRY(follow_places(turn, row, *input.grant));
    TRY(answer_waiting(turn, row));
    TRY(announce(turn, row, "cluster." + row.state, "info",
                 fmt::format("cluster {} is {} after {}", row.name, row.state, format_duration(took))));
    if (model::is_gone(target)) {
      TRY(remove(turn, std::move(row)));
    } else {
      TRY(put(turn, row));
      TRY(lease_at_rest(turn, row, *operation == model::ClusterOperation::kCreate));
    }
    return answer(turn, request.message_id, api::EndResponse{});
  }
  row.condition = fmt::format("{} failed: {}", input.operation, input.reason.value_or("unknown"));
  const auto before = model::cluster_state_from_name(row.before).value_or(model::ClusterState::kBroken);
  const auto left = model::after_failure(*operation, before, row.on_failure == "keep");
  row.state = model::name_of(left);
  if (*operation == model::ClusterOperation::kCreate) {
    const auto fault =
        input.fault.value_or(exchange::fault_of(internal(row.condition), originator(), turn.now()).detail);
    row.failure = fault->root().to_string();
    TRY(answer_waiting(turn, row));
  }
  TRY(announce(
      turn, row, "cluster.failed", "error",
      fmt::format("{} of cluster {} failed after {}{}: {}", input.operation, row.name, format_duration(took),
                  left == model::ClusterState::kBroken ? "" : " and was undone", input.reason.value_or("unknown"))));
  if (model::is_gone(left)) {
    TRY(remove(turn, std::move(row)));
  } else {
    TRY(put(turn, row));
    TRY(lease_at_rest(turn, row, *operation == model::ClusterOperation::kCreate));
  }
  return answer(turn, request.message_id, api::EndResponse{});
}

Status Factory::list_clusters(exchange::Turn& turn, const exchange::Message& request, const api::ListClustersRequest&) {
  TRY_ASSIGN(const auto rows, clusters_.scan(turn.transaction(), ""));
  api::ListClustersResponse response;
  for (const auto& [id, row] : rows) {
    if (row.vo != request.vo) continue;
    TRY_ASSIGN(auto cluster, describe(turn, row));
    response.cluster.push_back(std::move(cluster));
  }
  return answer(turn, request.message_id, response);
}

Status Factory::get_cluster(exchange::Turn& turn, const exchange::Message& request,
                            const api::GetClusterRequest& input) {
  api::GetClusterResponse response;
  auto found = visible_cluster(turn, request.vo, input.cluster);
  if (found) {
    TRY_ASSIGN(response.cluster, describe(turn, *found));
    return answer(turn, request.message_id, response);
  }
  // One that is gone can still be looked at: the newest of that id or name.
  TRY_ASSIGN(auto past, past_.find(turn.transaction(), request.vo, input.cluster));
  if (!past) return found.error();
  response.cluster = std::move(*past);
  response.cluster.state = ended(response.cluster.state);
  return answer(turn, request.message_id, response);
}

}  // namespace nuraghe::services::vcf
