// What the factory answers without changing anything: where hosts, controllers and segments are.
#include <map>

#include <fmt/format.h>

#include "services/vhf/vhf.hpp"

namespace nuraghe::services::vhf {

Status Factory::get_controller(exchange::Turn& turn, const exchange::Message& request,
                               const api::GetControllerRequest& input) {
  TRY_ASSIGN(const auto row, visible_host(turn, request.vo, input.host));
  TRY_ASSIGN(const auto physical, book_.physical_host(turn.transaction(), row.host.physical_host));
  if (!physical) return not_found(fmt::format("the physical host {} is not registered", row.host.physical_host));
  api::GetControllerResponse response;
  response.controller.address = physical->host.address;
  response.work = row.work;
  return answer(turn, request.message_id, response);
}

Status Factory::get_segments(exchange::Turn& turn, const exchange::Message& request,
                             const api::GetSegmentsRequest& input) {
  TRY_ASSIGN(const auto networks, book_.networks(turn.transaction(), input.cluster));
  std::map<std::string, PhysicalRow> taking_part;
  for (const auto& network : networks) {
    if (network.vo != request.vo) return not_found(fmt::format("there is no cluster {}", input.cluster));
    for (const auto& name : network.physical_hosts) {
      TRY_ASSIGN(auto physical, book_.physical_host(turn.transaction(), name));
      const bool is_asked = physical && (!input.present.value_or(false) || alive(*physical, turn.now()));
      if (is_asked) taking_part.emplace(name, std::move(*physical));
    }
  }
  api::GetSegmentsResponse response;
  TRY_ASSIGN(const auto hosts, book_.hosts(turn.transaction(), input.cluster));
  for (const auto& row : hosts) {
    if (row.host.vo == request.vo)
      response.grant.placement.push_back({row.host.name, row.host.id, row.host.physical_host, ""});
  }
  for (const auto& network : networks) {
    response.grant.network.push_back(network.network);
    for (const auto& [name, physical] : taking_part) {
      api::SegmentEnd end;
      end.segment = network.network.segment;
      end.controller.address = physical.host.address;
      end.physical_host = name;
      end.network.segment = network.network.segment;
      end.network.key = network.key;
      for (const auto& [other, peer] : taking_part) {
        if (other != name) end.network.peer.push_back({other, peer.host.tunnel});
      }
      response.segment.push_back(std::move(end));
    }
  }
  return answer(turn, request.message_id, response);
}

Status Factory::list_virtual_hosts(exchange::Turn& turn, const exchange::Message& request,
                                   const api::ListVirtualHostsRequest& input) {
  TRY_ASSIGN(auto rows, book_.hosts(turn.transaction(), input.cluster.value_or("")));
  api::ListVirtualHostsResponse response;
  for (auto& row : rows) {
    if (row.host.vo == request.vo) response.host.push_back(std::move(row.host));
  }
  return answer(turn, request.message_id, response);
}

Status Factory::get_virtual_host(exchange::Turn& turn, const exchange::Message& request,
                                 const api::GetVirtualHostRequest& input) {
  api::GetVirtualHostResponse response;
  auto found = visible_host(turn, request.vo, input.host);
  if (found) {
    response.host = std::move(found->host);
    return answer(turn, request.message_id, response);
  }
  // A single host that is gone can still be looked at.
  TRY_ASSIGN(auto past, book_.past_host(turn.transaction(), request.vo, input.host));
  if (!past) return found.error();
  response.host = std::move(*past);
  return answer(turn, request.message_id, response);
}

}  // namespace nuraghe::services::vhf
