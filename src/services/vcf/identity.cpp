// Identities of single hosts: made before there is a host, assigned to it, gone with it.
#include <fmt/format.h>

#include "env/env.hpp"
#include "model/node.hpp"
#include "model/plan.hpp"
#include "services/vcf/vcf.hpp"
#include "services/vhc/agent_addresses.hpp"

namespace nuraghe::services::vcf {
namespace {

constexpr std::string_view kIdPrefix = "identity";
constexpr std::size_t kSweepBatch = 100;

// The identity that a seed's address names; empty when it is none of ours.
std::string identity_of_seed(const contracts::vhc::Seed& seed) {
  const std::string id = seed.address.substr(seed.address.rfind('/') + 1);
  return id.starts_with(std::string(kIdPrefix) + "-") ? id : std::string();
}

std::string order_key(const std::string& id, const IdentityRow& row) {
  return fmt::format("{:016x}/{}", static_cast<std::uint64_t>(row.made.micros), id);
}

}  // namespace

Status Factory::identify_host(exchange::Turn& turn, const exchange::Message& request,
                              const api::IdentifyHostRequest& input) {
  if (!input.fragment) return invalid("the request lacks a node configuration");
  TRY_ASSIGN(auto node, model::parse_node_fragment(input.fragment->root()));
  if (!node.nics.empty())
    return unsupported(
        fmt::format("the node configuration of {} names networks; only a cluster has networks", node.name));
  TRY(check_named_keys(turn, request, input.authorized_key));
  model::PlannedNode planned;
  planned.node = node;
  ClusterRow owner;
  owner.id = env::make_id(turn.random(), kIdPrefix);
  owner.name = "single";
  owner.vo = request.vo;
  owner.authorized_keys = input.authorized_key;
  const IdentityRow row{request.vo, "", turn.now()};
  TRY(identities_.put(turn.transaction(), owner.id, row));
  TRY(new_identities_.put(turn.transaction(), order_key(owner.id, row), {owner.id}));
  contracts::vhf::Placement place;
  place.node = node.name;
  place.host = env::make_id(turn.random(), "instance");
  TRY_ASSIGN(const auto seeds, make_seeds(turn, owner, {planned}, {{node.name, &place}}));
  node.seed_digest = seeds.front().digest;
  // Its controller gives it an id of its own: the seed knows the network by this one's.
  node.management_mac = vhc::management_mac(place.host);
  api::IdentifyHostResponse response;
  response.fragment = model::node_fragment(node).share();
  response.seed = {seeds.front().digest, fmt::format("{}/{}", options_.seed_base, owner.id)};
  return answer(turn, request.message_id, response);
}

Status Factory::assign_identity(exchange::Turn& turn, const exchange::Message& request,
                                const api::AssignIdentityRequest& input) {
  auto& tx = turn.transaction();
  const auto id = identity_of_seed(input.seed);
  if (id.empty()) return answer(turn, request.message_id, api::AssignIdentityResponse{});
  TRY_ASSIGN(auto row, identities_.find(tx, id));
  if (!row || row->vo != request.vo)
    return not_found("the identity in the seed is not there any more; have the host identified again");
  if (!row->host.empty() && row->host != input.host)
    return conflict(fmt::format("the identity in the seed belongs to virtual host {}", row->host));
  TRY(new_identities_.erase(tx, order_key(id, *row)));
  row->host = input.host;
  TRY(identities_.put(tx, id, *row));
  TRY(identity_of_.put(tx, input.host, {id}));
  return answer(turn, request.message_id, api::AssignIdentityResponse{});
}

Status Factory::release_identity(exchange::Turn& turn, const exchange::Message& request,
                                 const api::ReleaseIdentityRequest& input) {
  const std::string host = input.host.value_or("");
  std::vector<std::string> ids;
  if (!host.empty()) {
    TRY_ASSIGN(const auto mark, identity_of_.find(turn.transaction(), host));
    if (mark) ids.push_back(mark->value);
  }
  if (input.seed) ids.push_back(identity_of_seed(*input.seed));
  for (const auto& id : ids) {
    TRY_ASSIGN(const auto row, identities_.find(turn.transaction(), id));
    if (row && row->vo == request.vo && (row->host.empty() || row->host == host)) TRY(remove_identity(turn, id, *row));
  }
  return answer(turn, request.message_id, api::ReleaseIdentityResponse{});
}

Status Factory::remove_identity(exchange::Turn& turn, const std::string& id, const IdentityRow& row) const {
  auto& tx = turn.transaction();
  TRY(seeds_.erase_prefix(tx, id + "/"));
  TRY(new_identities_.erase(tx, order_key(id, row)));
  if (!row.host.empty()) TRY(identity_of_.erase(tx, row.host));
  return identities_.erase(tx, id);
}

Result<bool> Factory::sweep_identities(exchange::Turn& turn) const {
  TRY_ASSIGN(const auto oldest, new_identities_.page(turn.transaction(), "", kSweepBatch));
  for (const auto& [key, mark] : oldest) {
    TRY_ASSIGN(const auto row, identities_.find(turn.transaction(), mark.value));
    if (!row) continue;
    if (turn.now() - row->made < options_.identity_lease) return false;
    TRY(remove_identity(turn, mark.value, *row));
  }
  return oldest.size() == kSweepBatch;
}

}  // namespace nuraghe::services::vcf
