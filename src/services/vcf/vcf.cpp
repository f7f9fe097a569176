#include "services/vcf/vcf.hpp"

#include <fmt/format.h>

namespace nuraghe::services::vcf {
namespace {

std::string name_key(const ClusterRow& row) { return fmt::format("{}/{}", row.vo, row.name); }

}  // namespace

Status Factory::open(store::Store& store) {
  TRY(clusters_.open(store, "vcf_cluster"));
  TRY(members_.open(store, "vcf_member"));
  TRY(names_.open(store, "vcf_name"));
  TRY(keys_.open(store, "vcf_idempotency"));
  TRY(seeds_.open(store, "vcf_seed"));
  return past_.open(store, "vcf_past");
}

Result<std::string> Factory::seed(exchange::Turn& turn, const std::string& path) const {
  TRY_ASSIGN(auto row, seeds_.find(turn.transaction(), path));
  if (!row) return not_found("there is no such seed");
  return std::move(row->bytes);
}

Status Factory::announce(exchange::Turn& turn, const ClusterRow& row, std::string kind, std::string severity,
                         std::string text) {
  exchange::Event event;
  event.vo = row.vo;
  event.cluster = row.id;
  event.kind = std::move(kind);
  event.severity = std::move(severity);
  event.text = std::move(text);
  event.attributes["name"] = row.name;
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
  cluster.state = row.state;
  cluster.condition = row.condition;
  cluster.operation = row.operation;
  cluster.on_failure = row.on_failure;
  cluster.created = row.created;
  cluster.since = row.since;
  cluster.network = row.networks;
  TRY_ASSIGN(cluster.member, members(turn, row.id));
  return cluster;
}

Status Factory::put(exchange::Turn& turn, const ClusterRow& row) const {
  return clusters_.put(turn.transaction(), row.id, row);
}

Status Factory::remove(exchange::Turn& turn, ClusterRow row) const {
  auto& tx = turn.transaction();
  TRY_ASSIGN(auto last, describe(turn, row));
  TRY(past_.put(tx, fmt::format("{}/{}", row.vo, row.id), last));
  TRY(members_.erase_prefix(tx, row.id + "/"));
  TRY(seeds_.erase_prefix(tx, row.id + "/"));
  TRY(names_.erase(tx, name_key(row)));
  if (!row.idempotency_key.empty()) TRY(keys_.erase(tx, fmt::format("{}/{}", row.vo, row.idempotency_key)));
  return clusters_.erase(tx, row.id);
}

Status Factory::begin(exchange::Turn& turn, const exchange::Message& request, const api::BeginRequest& input) {
  const auto* operation = find_cluster_operation(input.operation);
  if (operation == nullptr || operation->name == "create")
    return invalid(fmt::format("'{}' is not an operation on a cluster", input.operation));
  TRY_ASSIGN(auto row, visible_cluster(turn, request.vo, input.cluster));
  if (!row.operation.empty())
    return conflict(fmt::format("cluster {} is {}: wait until that is done, or end it with 'nuraghe abort {}'",
                                row.name, row.state, row.name));
  api::BeginResponse response;
  response.cluster = row.id;
  response.timeout = row.timeout;
  const bool is_done = !operation->target.empty() && row.state == operation->target;
  if (!is_done) {
    if (!operation->source.empty() && row.state != operation->source && row.state != operation->other_source)
      return conflict(
          fmt::format("cluster {} is {}; {} needs it {}", row.name, row.state, operation->name, operation->source));
    TRY_ASSIGN(const auto hosts, members(turn, row.id));
    for (const auto& member : hosts) response.host.push_back(member.host);
  }
  row.operation = operation->name;
  row.condition.clear();
  if (!is_done) row.state = operation->during;
  row.since = turn.now();
  TRY(put(turn, row));
  return answer(turn, request.message_id, response);
}

Status Factory::end(exchange::Turn& turn, const exchange::Message& request, const api::EndRequest& input) {
  auto found = visible_cluster(turn, request.vo, input.cluster);
  if (!found && found.error().code() == ErrorCode::kNotFound)
    return answer(turn, request.message_id, api::EndResponse{});
  TRY_ASSIGN(auto row, std::move(found));
  const auto* operation = find_cluster_operation(input.operation);
  if (operation == nullptr || row.operation != input.operation)
    return answer(turn, request.message_id, api::EndResponse{});
  const Duration took = turn.now() - row.since;
  row.operation.clear();
  row.since = turn.now();
  if (input.succeeded) {
    row.state = operation->target.empty() ? "destroyed" : std::string(operation->target);
    row.condition.clear();
    TRY(announce(turn, row, "cluster." + row.state, "info",
                 fmt::format("cluster {} is {} after {}", row.name, row.state, format_duration(took))));
    if (operation->target.empty())
      TRY(remove(turn, std::move(row)));
    else
      TRY(put(turn, row));
    return answer(turn, request.message_id, api::EndResponse{});
  }
  row.condition = fmt::format("{} failed: {}", operation->name, input.reason.value_or("unknown"));
  const bool is_undone = operation->name == "create" && row.on_failure != "keep";
  TRY(announce(turn, row, "cluster.failed", "error",
               fmt::format("{} of cluster {} failed after {}{}: {}", operation->name, row.name, format_duration(took),
                           is_undone ? " and was undone" : "", input.reason.value_or("unknown"))));
  if (is_undone) {
    row.state = "undone";
    TRY(remove(turn, std::move(row)));
    return answer(turn, request.message_id, api::EndResponse{});
  }
  // What was undone is as before; a creation that is kept, or a destruction that stopped half way, is broken.
  const bool is_broken = operation->name == "create" || operation->name == "destroy";
  row.state = is_broken ? "broken" : std::string(operation->source);
  TRY(put(turn, row));
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
  TRY_ASSIGN(const auto past, past_.scan(turn.transaction(), request.vo + "/"));
  const api::Cluster* last = nullptr;
  for (const auto& [key, cluster] : past) {
    const bool is_meant = cluster.id == input.cluster || cluster.name == input.cluster;
    if (is_meant && (last == nullptr || cluster.since > last->since)) last = &cluster;
  }
  if (last == nullptr) return found.error();
  response.cluster = *last;
  return answer(turn, request.message_id, response);
}

}  // namespace nuraghe::services::vcf
