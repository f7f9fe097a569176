// Networks of the physical host. Creations of one network may run beside each other (each replaces the peers); its
// destruction waits for them, and none begins after it.
#include <fmt/format.h>

#include <utility>

#include "base/log.hpp"
#include "services/vhc/vhc.hpp"

namespace nuraghe::services::vhc {
Status Controller::create_network(exchange::Turn& turn, const exchange::Message& request,
                                  const api::CreateNetworkRequest& input) {
  const auto& network = input.network;
  TRY_ASSIGN(const auto known, networks_.find(turn.transaction(), network.key));
  NetworkRow row = known.value_or(NetworkRow{});
  if (row.is_destroyed)
    return conflict(fmt::format("the network of segment {} was destroyed on physical host {} before it was made",
                                network.segment, options_.name));
  row.segment = network.segment;
  row.since = turn.now();
  row.links.push_back(request.message_id);
  TRY(networks_.put(turn.transaction(), network.key, row));
  Order order;
  order.verb = "link";
  order.id = fmt::format("{}/{}", network.segment, request.message_id);
  order.request = request.message_id;
  order.network = network;
  return turn.start_job({order.key(), encode_record(order)});
}

Status Controller::destroy_network(exchange::Turn& turn, const exchange::Message& request,
                                   const api::DestroyNetworkRequest& input) {
  TRY_ASSIGN(const auto known, networks_.find(turn.transaction(), input.key));
  NetworkRow row = known.value_or(NetworkRow{});
  row.segment = input.segment;
  row.is_destroyed = true;
  row.since = turn.now();
  row.waiting.push_back(request.message_id);
  TRY(networks_.put(turn.transaction(), input.key, row));
  return row.links.empty() ? start_unlink(turn, input.key, row) : Status();
}

Status Controller::leave_networks(exchange::Turn& turn, const std::vector<std::string>& keys) {
  for (const auto& key : keys) {
    TRY_ASSIGN(auto row, networks_.find(turn.transaction(), key));
    if (!row || row->is_destroyed) continue;
    log_warning("vhc", "a network in which this physical host has no part is left", {{"key", key}});
    row->is_destroyed = true;
    row->is_left = true;
    row->since = turn.now();
    TRY(networks_.put(turn.transaction(), key, *row));
    if (row->links.empty()) TRY(start_unlink(turn, key, *row));
  }
  return {};
}

Status Controller::start_unlink(exchange::Turn& turn, const std::string& key, const NetworkRow& row) {
  Order order;
  order.verb = "unlink";
  order.id = key;
  order.network.segment = row.segment;
  order.network.key = key;
  const auto started = turn.start_job({order.key(), encode_record(order)});
  // It is at work already, and answers all who wait.
  if (!started && started.error().code() != ErrorCode::kConflict) return started;
  return {};
}

Status Controller::network_ended(exchange::Turn& turn, const Order& order, const Result<Outcome>& outcome) {
  const auto& key = order.network.key;
  TRY_ASSIGN(const auto known, networks_.find(turn.transaction(), key));
  NetworkRow row = known.value_or(NetworkRow{});
  const auto where = "the network on physical host " + options_.name;
  if (order.verb == "link") {
    std::erase(row.links, order.request);
    TRY(networks_.put(turn.transaction(), key, row));
    if (row.is_destroyed && row.links.empty()) TRY(start_unlink(turn, key, row));
    if (!outcome) return fail(turn, order.request, outcome.error().with(where));
    return answer(turn, order.request, api::CreateNetworkResponse{});
  }
  const auto waiting = std::exchange(row.waiting, {});
  // Who asked for its destruction meanwhile wants it to be remembered.
  if (row.is_left && waiting.empty() && outcome)
    TRY(networks_.erase(turn.transaction(), key));
  else
    TRY(networks_.put(turn.transaction(), key, row));
  for (const auto& request : waiting) {
    if (outcome)
      TRY(answer(turn, request, api::DestroyNetworkResponse{}));
    else
      TRY(fail(turn, request, outcome.error().with(where)));
  }
  return {};
}

Status Controller::forget_networks(exchange::Turn& turn) {
  TRY_ASSIGN(const auto rows, networks_.scan(turn.transaction(), ""));
  for (const auto& [key, row] : rows) {
    if (row.is_destroyed && row.links.empty() && row.waiting.empty() &&
        turn.now() - row.since > options_.tombstone_retention)
      TRY(networks_.erase(turn.transaction(), key));
  }
  return {};
}

}  // namespace nuraghe::services::vhc
