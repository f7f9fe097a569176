// The planning half of the Virtual Cluster Factory: from a blueprint to a demand, from a grant to fragments and seeds.
#include <fmt/format.h>

#include <algorithm>
#include <map>

#include "env/env.hpp"
#include "images/digest.hpp"
#include "model/blueprint.hpp"
#include "model/lifecycle.hpp"
#include "model/plan.hpp"
#include "services/catalogue.hpp"
#include "services/vcf/seed.hpp"
#include "services/vcf/vcf.hpp"
#include "services/vhc/agent_addresses.hpp"

namespace nuraghe::services::vcf {
namespace {

constexpr const char* kDefaultPolicy = "spread";
constexpr std::size_t kWaitingLimit = 1000;

Result<contracts::vhf::Policy> policy_of(const api::ClusterRequest& request, const model::Blueprint& blueprint) {
  if (request.policy) return *request.policy;
  contracts::vhf::Policy policy{};
  TRY(contracts::vhf::from_string(blueprint.policy.empty() ? kDefaultPolicy : blueprint.policy, policy));
  return policy;
}

std::string policy_text(const api::ClusterRequest& request) {
  return request.policy ? std::string(contracts::vhf::to_string(*request.policy)) : std::string();
}

// Whether a request asks for the cluster of the row: what decides what is made is the same.
Result<bool> is_same_request(const api::ClusterRequest& request, const ClusterRow& row) {
  TRY_ASSIGN(const auto blueprint, xml::Document::parse(row.blueprint));
  const std::string from = request.from.value_or("");
  if (!from.empty() || !row.source.empty())
    return (from == row.source || from == row.source_name) && request.name.value_or("") == row.name &&
           policy_text(request) == row.policy;
  if (!request.blueprint || !*request.blueprint) return false;
  auto wanted = (*request.blueprint)->clone();
  model::take_places(wanted.root());
  return request.authorized_key == row.authorized_keys && policy_text(request) == row.policy &&
         xml::equivalent(wanted.root(), blueprint.root());
}

// Findings name the file and the place that the blueprint's author knows, as far as the request tells them.
Result<model::Blueprint> read_blueprint(const xml::Document& document, const model::Places& places,
                                        const model::ParseContext& context) {
  auto parsed = model::parse_blueprint(document, context);
  if (parsed.ok()) return std::move(parsed.blueprint);
  // Its elements have the positions of a message, if any; those of its own text tell them apart.
  xml::ParseOptions options;
  options.source = "blueprint";
  TRY_ASSIGN(const auto text, xml::Document::parse(document.to_string(), options));
  parsed = model::parse_blueprint(text, context);
  model::place_findings(text, places, parsed.findings);
  TRY(parsed.status());
  return std::move(parsed.blueprint);
}

// A fault as its detail element tells it.
exchange::Fault fault_of_detail(xml::DocumentPtr detail) {
  exchange::Fault fault;
  fault.detail = std::move(detail);
  const Error error = exchange::error_of(fault);
  fault.reason = error.to_string();
  fault.code = error.code();
  fault.from_sender = exchange::is_of_sender(error.code());
  return fault;
}

void fill_demand(const model::Blueprint& blueprint, const std::vector<model::PlannedNode>& nodes,
                 contracts::vhf::Demand& demand) {
  for (const auto& planned : nodes) {
    contracts::vhf::NodeRequest node;
    node.name = planned.node.name;
    node.cpus = planned.node.cpus;
    node.memory = planned.node.memory;
    node.disk = model::disk_demand(planned.node);
    node.site = planned.site;
    node.pin = planned.pin;
    node.image = planned.node.image.name;
    node.machine = planned.node.boot.machine;
    node.firmware = planned.node.boot.firmware;
    demand.node.push_back(std::move(node));
  }
  for (const auto& wish : blueprint.wishes)
    demand.wish.push_back({wish.kind == model::PlacementWish::Kind::kApart ? "apart" : "together", wish.nodes});
  const auto sizes = model::network_sizes(blueprint);
  for (const auto& network : blueprint.networks) {
    contracts::vhf::NetworkRequest request;
    request.name = network.name;
    request.subnet = network.subnet ? network.subnet->to_string() : "";
    request.uplink = network.uplink ? "nat" : "none";
    const auto size = sizes.find(network.name);
    request.addresses = size == sizes.end() ? 0 : static_cast<std::int32_t>(size->second);
    demand.network.push_back(std::move(request));
  }
}

// The seed's view of a node: its NICs in order, the management network last, as its controller plugs them.
SeedHost seed_host(const model::PlannedNode& planned, const std::string& id) {
  SeedHost host;
  host.id = id;
  host.name = planned.node.name;
  host.role = planned.role;
  bool has_uplink = false;
  for (const auto& nic : planned.node.nics) {
    SeedAddress address;
    address.network = nic.network;
    address.mac = nic.mac;
    if (!nic.address.empty()) address.address = fmt::format("{}/{}", nic.address, nic.prefix);
    address.mtu = nic.mtu;
    has_uplink = has_uplink || nic.uplink;
    host.addresses.push_back(std::move(address));
  }
  SeedAddress management;
  management.mac = vhc::management_mac(id);
  management.is_uplink = has_uplink;
  host.addresses.push_back(std::move(management));
  for (const auto& disk : planned.node.disks) {
    for (std::size_t i = 0; i < disk.partitions.size(); ++i)
      host.disks.push_back(
          {disk.name, static_cast<int>(i) + 1, disk.partitions[i].filesystem, disk.partitions[i].mount});
  }
  return host;
}

}  // namespace

Status Factory::plan(exchange::Turn& turn, const exchange::Message& request, const api::PlanRequest& input) {
  auto& tx = turn.transaction();
  const auto& wanted = input.request;
  const bool dry_run = wanted.dry_run.value_or(false);
  // A dry run makes nothing that a repeat could find.
  const std::string key = dry_run ? "" : wanted.idempotency_key.value_or("");
  api::PlanResponse response;
  if (!key.empty()) {
    TRY_ASSIGN(const auto mark, keys_.find(tx, fmt::format("{}/{}", request.vo, key)));
    if (mark) return join(turn, request, wanted, mark->value);
  }
  const Catalogue catalogue(input.catalogue.image);
  model::ParseContext context;
  context.images = &catalogue;
  context.capabilities = options_.capabilities;
  context.node_limit = options_.node_limit;
  if (wanted.from && !wanted.from->empty()) return plan_copy(turn, request, input);
  if (!wanted.blueprint || !*wanted.blueprint) return invalid("the request lacks a blueprint");
  auto document = (*wanted.blueprint)->clone();
  const auto places = model::take_places(document.root());
  TRY_ASSIGN(const auto blueprint, read_blueprint(document, places, context));
  if (!blueprint.vo.empty() && blueprint.vo != request.vo)
    return denied(
        fmt::format("the blueprint is for the VO {}, and the request is made for {}; write vo=\"{}\", leave it "
                    "out, or act for the other with --vo {}",
                    blueprint.vo, request.vo, request.vo, blueprint.vo));
  TRY(check_named_keys(turn, request, wanted.authorized_key));
  const auto nodes = model::expand(blueprint, &catalogue);
  ClusterRow row;
  row.blueprint = document.to_string();
  row.authorized_keys = wanted.authorized_key;
  row.idempotency_key = key;
  TRY_ASSIGN(response.demand.policy, policy_of(wanted, blueprint));
  fill_demand(blueprint, nodes, response.demand);
  return plan_new(turn, request, wanted, std::move(row), blueprint, nodes, std::move(response));
}

Status Factory::plan_new(exchange::Turn& turn, const exchange::Message& request, const api::ClusterRequest& wanted,
                         ClusterRow row, const model::Blueprint& blueprint,
                         const std::vector<model::PlannedNode>& nodes, api::PlanResponse response) {
  auto& tx = turn.transaction();
  row.id = env::make_id(turn.random(), "vc");
  row.name = blueprint.name;
  row.vo = request.vo;
  row.state = row.before = model::name_of(model::ClusterState::kCreating);
  row.operation = model::name_of(model::ClusterOperation::kCreate);
  row.on_failure = blueprint.keep_on_failure ? "keep" : "undo";
  row.policy = policy_text(wanted);
  row.created = row.since = turn.now();
  row.timeout = options_.timeout;
  response.timeout = options_.timeout;
  response.cluster = row.id;
  response.dry_run = wanted.dry_run.value_or(false);
  response.on_failure = row.on_failure;
  response.demand.cluster = row.id;
  response.demand.explain = wanted.explain.value_or(false);
  response.demand.dry_run = response.dry_run;
  if (response.dry_run) return answer(turn, request.message_id, response);
  const std::string name_key = fmt::format("{}/{}", row.vo, row.name);
  TRY_ASSIGN(const auto named, names_.find(tx, name_key));
  if (named)
    return conflict(
        fmt::format("there is a cluster named {} already; destroy it, or choose another name with --name", row.name));
  TRY(names_.put(tx, name_key, {row.id}));
  if (!row.idempotency_key.empty()) TRY(keys_.put(tx, fmt::format("{}/{}", row.vo, row.idempotency_key), {row.id}));
  TRY(put(turn, row));
  TRY(quotas_.check_lease(tx, row.vo, blueprint.lease ? blueprint.lease->duration : Duration(0)));
  if (blueprint.lease) TRY(plan_lease(turn, row, *blueprint.lease));
  const std::string of = row.source.empty() ? "" : fmt::format(", copies of those of {}", row.source_name);
  TRY(announce(turn, row, "cluster.planned", "info",
               fmt::format("cluster {} is planned: {} hosts{}", row.name, nodes.size(), of), request.traceparent));
  return answer(turn, request.message_id, response);
}

Status Factory::join(exchange::Turn& turn, const exchange::Message& request, const api::ClusterRequest& wanted,
                     const std::string& cluster) {
  TRY_ASSIGN(auto row, visible_cluster(turn, request.vo, cluster));
  TRY_ASSIGN(const bool is_same, is_same_request(wanted, row));
  if (!is_same)
    return conflict(
        fmt::format("the idempotency key {} was used for another request, which made cluster {}; choose another key",
                    row.idempotency_key, row.name));
  if (row.operation == model::name_of(model::ClusterOperation::kDestroy))
    return conflict(fmt::format("cluster {}, which the idempotency key {} made, is being destroyed", row.name,
                                row.idempotency_key));
  if (row.operation == model::name_of(model::ClusterOperation::kCreate)) {
    if (row.waiting.size() >= kWaitingLimit)
      return exhausted(fmt::format("{} requests wait for the creation of cluster {} already", kWaitingLimit, row.name));
    row.waiting.push_back(request.message_id);
    return put(turn, row);
  }
  if (!row.failure.empty()) {
    TRY_ASSIGN(auto detail, xml::Document::parse(row.failure));
    return turn.reply_fault(request.message_id, fault_of_detail(std::move(detail).share()));
  }
  TRY_ASSIGN(const auto response, existing_plan(turn, row));
  return answer(turn, request.message_id, response);
}

Result<api::PlanResponse> Factory::existing_plan(exchange::Turn& turn, const ClusterRow& row) const {
  api::PlanResponse response;
  response.cluster = row.id;
  response.existing = true;
  response.on_failure = row.on_failure;
  response.timeout = row.timeout;
  auto& grant = response.grant.emplace();
  TRY_ASSIGN(const auto hosts, members(turn, row.id));
  for (const auto& member : hosts) grant.placement.push_back({member.name, member.host, member.physical_host, ""});
  grant.network = row.networks;
  return response;
}

Status Factory::answer_waiting(exchange::Turn& turn, ClusterRow& row) const {
  if (row.waiting.empty()) return {};
  if (row.failure.empty()) {
    TRY_ASSIGN(const auto response, existing_plan(turn, row));
    for (const auto& id : row.waiting) TRY(answer(turn, id, response));
  } else {
    TRY_ASSIGN(auto detail, xml::Document::parse(row.failure));
    const auto fault = fault_of_detail(std::move(detail).share());
    for (const auto& id : row.waiting) TRY(turn.reply_fault(id, fault));
  }
  row.waiting.clear();
  return {};
}

Status Factory::prepare(exchange::Turn& turn, const exchange::Message& request, const api::PrepareRequest& input) {
  TRY_ASSIGN(auto row, visible_cluster(turn, request.vo, input.cluster));
  TRY_ASSIGN(const auto document, xml::Document::parse(row.blueprint));
  model::ParseContext context;
  context.capabilities = options_.capabilities;
  context.node_limit = options_.node_limit;
  auto parsed = model::parse_blueprint(document, context);
  TRY(parsed.status());
  auto nodes = model::expand(parsed.blueprint);
  std::map<std::string, model::NetworkGrant> grants;
  for (const auto& network : input.grant.network) {
    model::NetworkGrant grant;
    grant.segment = network.segment;
    TRY_ASSIGN(grant.subnet, model::parse_subnet(network.subnet));
    grants.emplace(network.name, grant);
  }
  TRY(model::assign_addresses(nodes, grants));
  row.networks = input.grant.network;
  row.member_count = static_cast<std::int64_t>(nodes.size());
  std::map<std::string, const contracts::vhf::Placement*> places;
  for (const auto& place : input.grant.placement) places.emplace(place.node, &place);
  for (const auto& planned : nodes) {
    if (!places.contains(planned.node.name)) return internal(fmt::format("node {} got no place", planned.node.name));
  }
  TRY_ASSIGN(const auto seeds,
             row.source.empty() ? make_seeds(turn, row, nodes, places) : copy_seeds(turn, row, nodes));
  api::PrepareResponse response;
  for (std::size_t i = 0; i < nodes.size(); ++i) {
    auto& node = nodes[i].node;
    const auto& place = *places.at(node.name);
    node.seed_digest = seeds[i].digest;
    api::Node prepared;
    prepared.name = node.name;
    prepared.host = place.host;
    prepared.physical_host = place.physical_host;
    prepared.request.host = place.host;
    prepared.request.fragment = model::node_fragment(node).share();
    prepared.request.requirement = requirement_of(node.image);
    prepared.request.seed = {seeds[i].digest, fmt::format("{}/{}", options_.seed_base, row.id)};
    prepared.request.keep = row.on_failure == "keep";
    if (!seeds[i].source.empty()) prepared.request.from = seeds[i].source;
    response.node.push_back(std::move(prepared));
    api::Member member;
    member.name = node.name;
    member.host = place.host;
    member.role = nodes[i].role;
    member.physical_host = place.physical_host;
    for (const auto& nic : node.nics)
      if (!nic.address.empty()) member.address.push_back(fmt::format("{}={}/{}", nic.network, nic.address, nic.prefix));
    member.cpus = node.cpus;
    member.memory = node.memory;
    member.image = requirement_of(node.image);
    member.host_key = seeds[i].host_key;
    TRY(members_.put(turn.transaction(), fmt::format("{}/{:06}", row.id, i), member));
  }
  TRY(put(turn, row));
  return answer(turn, request.message_id, response);
}

Result<std::vector<Factory::StoredSeed>> Factory::make_seeds(
    exchange::Turn& turn, const ClusterRow& row, const std::vector<model::PlannedNode>& nodes,
    const std::map<std::string, const contracts::vhf::Placement*>& places) {
  std::vector<SeedHost> hosts;
  std::vector<HostSeed> seeds;
  std::vector<std::string> host_keys;
  for (const auto& planned : nodes) {
    hosts.push_back(seed_host(planned, places.at(planned.node.name)->host));
    TRY_ASSIGN(auto seed, make_host_seed(row.name, hosts.back(), turn.random()));
    host_keys.push_back(seed.host_key);
    seeds.push_back(std::move(seed));
  }
  TRY_ASSIGN(const auto keys, seed_keys(turn, row.vo, row.authorized_keys));
  TRY_ASSIGN(const auto shared, make_shared_seed(row.name, hosts, host_keys, keys, turn.random()));
  TRY(seeds_.put(turn.transaction(), row.id + "/" + shared.digest, {shared.vendor_data}));
  std::vector<StoredSeed> stored;
  for (auto& seed : seeds) {
    seed.bundle.shared["vendor-data"] = shared.digest;
    const std::string bytes = encode_record(seed.bundle);
    stored.push_back({images::digest_of(bytes), std::move(seed.host_key), {}});
    TRY(seeds_.put(turn.transaction(), row.id + "/" + stored.back().digest, {bytes}));
  }
  return stored;
}

// ---- copies of frozen clusters ----

Result<ClusterRow> Factory::frozen_source(exchange::Turn& turn, const std::string& vo,
                                          const std::string& id_or_name) const {
  TRY_ASSIGN(auto source, visible_cluster(turn, vo, id_or_name));
  if (source.state == model::name_of(model::ClusterState::kFrozen) && source.operation.empty()) return source;
  return conflict(fmt::format("cluster {} is {}: copies are made of a frozen one (nuraghe freeze {})", source.name,
                              source.state, source.name));
}

Status Factory::plan_copy(exchange::Turn& turn, const exchange::Message& request, const api::PlanRequest& input) {
  const auto& wanted = input.request;
  if (wanted.blueprint && *wanted.blueprint)
    return invalid("a copy of a cluster has that one's blueprint: the request must not have another");
  TRY_ASSIGN(const auto source, frozen_source(turn, request.vo, *wanted.from));
  const std::string name = wanted.name.value_or("");
  if (!model::is_host_name(name))
    return invalid(fmt::format("'{}' is no name of a cluster: {}", name, model::kNameRule));
  TRY_ASSIGN(auto document, xml::Document::parse(source.blueprint));
  document.root().set_attribute("name", name);
  model::ParseContext context;
  context.capabilities = options_.capabilities;
  context.node_limit = options_.node_limit;
  auto parsed = model::parse_blueprint(document, context);
  TRY(parsed.status());
  const Catalogue catalogue(input.catalogue.image);
  const auto nodes = model::expand(parsed.blueprint, &catalogue);
  ClusterRow row;
  row.blueprint = document.to_string();
  row.authorized_keys = source.authorized_keys;
  row.idempotency_key = wanted.dry_run.value_or(false) ? "" : wanted.idempotency_key.value_or("");
  row.source = source.id;
  row.source_name = *wanted.from;
  api::PlanResponse response;
  auto& demand = response.demand;
  TRY_ASSIGN(demand.policy, policy_of(wanted, parsed.blueprint));
  fill_demand(parsed.blueprint, nodes, demand);
  TRY_ASSIGN(const auto hosts, members(turn, source.id));
  for (auto& node : demand.node) {
    const auto member = std::ranges::find(hosts, node.name, &api::Member::name);
    if (member == hosts.end()) return internal(fmt::format("cluster {} has no host {}", source.name, node.name));
    node.from = member->host;
  }
  // What the guests know of their networks stays as it is.
  for (auto& network : demand.network) {
    const auto before = std::ranges::find(source.networks, network.name, &contracts::vhf::Network::name);
    if (before != source.networks.end()) network.subnet = before->subnet;
  }
  return plan_new(turn, request, wanted, std::move(row), parsed.blueprint, nodes, std::move(response));
}

Result<std::vector<Factory::StoredSeed>> Factory::copy_seeds(exchange::Turn& turn, const ClusterRow& row,
                                                             const std::vector<model::PlannedNode>& nodes) const {
  auto& tx = turn.transaction();
  TRY_ASSIGN(const auto source, frozen_source(turn, row.vo, row.source));
  TRY_ASSIGN(const auto hosts, members(turn, source.id));
  std::vector<StoredSeed> stored;
  for (const auto& planned : nodes) {
    const auto member = std::ranges::find(hosts, planned.node.name, &api::Member::name);
    if (member == hosts.end())
      return conflict(fmt::format("cluster {} has no host {} any more", source.name, planned.node.name));
    stored.push_back({"", member->host_key, member->host});
  }
  TRY_ASSIGN(const auto seeds, seeds_.scan(tx, source.id + "/"));
  for (const auto& [key, seed] : seeds) TRY(seeds_.put(tx, row.id + key.substr(source.id.size()), seed));
  return stored;
}

}  // namespace nuraghe::services::vcf
