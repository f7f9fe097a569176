#include "services/vhf/vhf.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <iterator>
#include <map>
#include <set>

#include "base/log.hpp"
#include "contracts/ca.hpp"
#include "model/node.hpp"
#include "services/catalogue.hpp"
#include "services/entered.hpp"
#include "services/lifecycle.hpp"

namespace nuraghe::services::vhf {
namespace {

constexpr std::string_view kSweepTimer = "sweep";
constexpr Duration kSweepInterval = std::chrono::hours(1);
constexpr const char* kRevocation = "revocation";  // token of a request to the certificate authority
constexpr Duration kRevocationTime = std::chrono::hours(1);

// In the words of placement: what not every hypervisor has.
std::string machine_word(const std::string& name) { return "machine " + name; }
std::string firmware_word(const std::string& name) { return "firmware " + name; }
std::set<std::string> offers_of(const api::PhysicalHost& host) {
  std::set<std::string> offers;
  for (const auto& machine : host.machine) offers.insert(machine_word(machine));
  for (const auto& firmware : host.firmware) offers.insert(firmware_word(firmware));
  if (!host.frozen_format.empty()) offers.insert(frozen_word(host.frozen_format));
  return offers;
}
std::set<std::string> asks_of(const api::NodeRequest& node) {
  std::set<std::string> asks;
  if (!node.machine.empty()) asks.insert(machine_word(node.machine));
  if (!node.firmware.empty()) asks.insert(firmware_word(node.firmware));
  return asks;
}

// Its state is what operations made it, but for a host that its hypervisor paused, or that went on without one.
void follow_reported_state(HostRow& row) {
  if (!row.host.operation.empty()) return;
  if (row.reported_stopped && row.reported == HostState::kPaused && row.host.state == HostState::kRunning) {
    row.host.state = HostState::kPaused;
    row.stopped = true;
  } else if (row.stopped && !row.reported_stopped && row.reported == HostState::kRunning) {
    row.host.state = HostState::kRunning;
    row.stopped = false;
  }
}

// What a controller says of a host.
void follow(HostRow& row, const contracts::vhc::Host& reported) {
  row.reported = reported.state;
  row.reported_stopped = reported.stopped;
  row.host.condition = reported.condition;
  row.host.ssh_port = reported.ssh_port;
  follow_reported_state(row);
}

// Of its physical host: a frozen one holds only its disks.
bool holds_cpu_and_memory(model::HostState state) {
  return state != model::HostState::kFrozen && state != model::HostState::kDestroyed;
}
bool holds_disk(model::HostState state) { return state != model::HostState::kDestroyed; }

// A host is created once: its creation has an id that nobody else uses. Thawing may lead to running or to paused: only
// the controller is told which.
bool may_begin(model::HostState state, model::HostOperation operation) {
  using model::HostOperation;
  using model::Start;
  const auto start = model::start_of(state, operation);
  if (operation == HostOperation::kCreate) return start == Start::kBegins;
  return start != Start::kRefused ||
         (operation == HostOperation::kThaw && model::start_of(state, HostOperation::kThawPaused) != Start::kRefused);
}

// Only a controller speaks for its physical host: whoever else could, would get hosts and their seeds.
Status check_is_controller(const exchange::Message& request, const std::string& physical_host) {
  if (request.caller == "vhc:" + physical_host) return {};
  return denied(fmt::format("{} is not the controller of physical host {}",
                            request.caller.empty() ? "the caller" : request.caller, physical_host));
}

Error no_such_host(std::string_view id) { return not_found(fmt::format("there is no virtual host {}", id)); }

}  // namespace

exchange::Event host_event(const HostRow& row, std::string kind, std::string text) {
  exchange::Event event;
  event.vo = row.host.vo;
  event.cluster = row.host.cluster;
  event.host = row.host.id;
  event.kind = std::move(kind);
  event.text = std::move(text);
  event.attributes["name"] = row.host.name;
  event.attributes["physical_host"] = row.host.physical_host;
  return event;
}

std::string frozen_word(const std::string& format) { return "frozen state of " + format; }

Status Factory::on_start(exchange::Turn& turn) {
  started_ = turn.now();
  TRY(correct_accounts(turn));
  TRY(watch_presence(turn));
  if (options_.on_controller) {
    TRY_ASSIGN(auto rows, book_.physical_hosts(turn.transaction()));
    // As they came: of several at one address the latest is there.
    std::ranges::stable_sort(rows, {}, [](const PhysicalRow& row) { return row.host.last_seen; });
    for (const auto& row : rows) options_.on_controller(row.host.name, row.host.address, is_by_certificate(row));
  }
  return turn.set_timer(kSweepTimer, turn.now() + kSweepInterval);
}

Status Factory::on_timer(exchange::Turn& turn, std::string_view key) {
  if (key.starts_with(kPresenceTimer)) return check_presence(turn, key.substr(kPresenceTimer.size()));
  if (key != kSweepTimer) return Skeleton::on_timer(turn, key);
  TRY(forget_physical_hosts(turn));
  TRY_ASSIGN(const bool is_more, book_.sweep_past(turn.transaction(), turn.now(), options_.past));
  return turn.set_timer(kSweepTimer, is_more ? turn.now() : turn.now() + kSweepInterval);
}

Status Factory::on_reply(exchange::Turn& turn, const exchange::Message& reply, std::string_view token) {
  if (token != kRevocation) return Skeleton::on_reply(turn, reply, token);
  if (reply.fault)
    log_error("vhf", "the certificates of a forgotten physical host could not be withdrawn: nuraghe host revoke NAME",
              {{"error", exchange::error_of(*reply.fault).to_string()}});
  return {};
}

Status Factory::forget_physical_hosts(exchange::Turn& turn) const {
  TRY_ASSIGN(const auto rows, book_.physical_hosts(turn.transaction()));
  for (const auto& row : rows) {
    if (row.host.hosts > 0 || turn.now() - std::max(row.host.last_seen, started_) < options_.past.age) continue;
    TRY(remove_physical(turn, row.host.name));
    exchange::Event event;
    event.kind = "physical_host.forgotten";
    event.attributes["physical_host"] = row.host.name;
    event.text = fmt::format("physical host {} is forgotten: it was last seen at {}", row.host.name,
                             row.host.last_seen.to_string());
    TRY(turn.publish(std::move(event)));
  }
  return {};
}

Status Factory::remove_physical(exchange::Turn& turn, const std::string& name) const {
  TRY(book_.remove_physical(turn.transaction(), name));
  TRY(turn.cancel_timer(fmt::format("{}{}", kPresenceTimer, name)));
  if (options_.on_removed) TRY(options_.on_removed(turn.transaction(), name));
  if (options_.on_controller) options_.on_controller(name, "", false);
  if (options_.authority.empty()) return {};
  auto message = contracts::ca::make_revoke_host(options_.authority, {.name = name});
  message.message_id = env::make_uuid_urn(turn.random());
  return turn.send(std::move(message), kRevocation, turn.now() + kRevocationTime);
}

Result<HostRow> Factory::visible_host(exchange::Turn& turn, const std::string& vo, const std::string& id_or_name) {
  TRY_ASSIGN(auto row, book_.host(turn.transaction(), id_or_name));
  if (!row) {
    TRY_ASSIGN(const auto id, book_.single_host_id(turn.transaction(), vo, id_or_name));
    if (id) {
      TRY_ASSIGN(row, book_.host(turn.transaction(), *id));
    }
  }
  if (!row || row->host.vo != vo) return no_such_host(id_or_name);
  return std::move(*row);
}

Status Factory::compare_with_reported(exchange::Turn& turn, const api::RegisterPhysicalHostRequest& input,
                                      std::vector<std::string>& unknown) {
  std::set<std::string> reported;
  for (const auto& host : input.host) {
    reported.insert(host.id);
    TRY_ASSIGN(auto row, book_.host(turn.transaction(), host.id));
    if (!row || row->host.physical_host != input.name || row->is_lost) {
      unknown.push_back(host.id);
      continue;
    }
    const HostRow before = *row;
    follow(*row, host);
    row->is_absent = false;
    const bool is_at_rest = host.operation.empty() && row->host.operation.empty();
    if (is_at_rest && host.state == HostState::kFrozen) row->is_uncertain = false;
    if (row->reported == before.reported && row->reported_stopped == before.reported_stopped &&
        row->is_absent == before.is_absent && row->is_uncertain == before.is_uncertain && row->host == before.host)
      continue;
    TRY(put(turn, *row));
  }
  TRY_ASSIGN(auto rows, book_.hosts(turn.transaction(), ""));
  for (auto& row : rows) {
    const bool should_be_there =
        row.host.physical_host == input.name && row.host.operation.empty() && row.host.state != HostState::kInitial;
    if (!should_be_there || reported.contains(row.host.id)) continue;
    if (is_stored(row)) {  // it goes on from the repository
      const bool is_new = !row.is_absent || row.is_uncertain;
      row.is_absent = true;
      row.is_uncertain = false;
      if (is_new) TRY(put(turn, row));
      continue;
    }
    if (!row.host.condition.empty()) continue;
    row.host.condition = fmt::format("lost: physical host {} does not have it any more", input.name);
    TRY(put(turn, row));
    auto event =
        host_event(row, "host.lost", fmt::format("virtual host {} is lost: {}", row.host.name, row.host.condition));
    event.severity = "error";
    TRY(turn.publish(std::move(event)));
  }
  return {};
}

Status Factory::register_physical_host(exchange::Turn& turn, const exchange::Message& request,
                                       const api::RegisterPhysicalHostRequest& input) {
  TRY(check_is_controller(request, input.name));
  TRY(check_registration(request, input));
  TRY(check_address(turn, request, input));
  TRY_ASSIGN(auto found, book_.physical_host(turn.transaction(), input.name));
  const bool is_new = !found;
  PhysicalRow row = found.value_or(PhysicalRow{});
  const bool has_moved = found && row.host.address != input.address;
  if (has_moved)
    log_warning("vhf", "a controller has another address now: if two run under one name, stop one",
                {{"controller", input.name}, {"before", row.host.address}, {"now", input.address}});
  row.host.name = input.name;
  row.host.site = input.site;
  row.host.address = input.address;
  row.host.tunnel = input.tunnel;
  row.host.driver = input.driver;
  row.host.accelerator = input.accelerator;
  row.host.total = input.total;
  row.host.machine = input.machine;
  row.host.firmware = input.firmware;
  row.host.frozen_format = input.frozen_format.value_or("");
  row.by_certificate = came_by_certificate(request);
  // Withdrawn after the door let this request in.
  if (is_revoked(row)) return denied(fmt::format("the certificates of {} were withdrawn: join anew", input.name));
  TRY(note_present(turn, row, input.interval));
  TRY(book_.put_physical(turn.transaction(), row));
  if (options_.on_controller) options_.on_controller(row.host.name, row.host.address, is_by_certificate(row));
  if (is_new) {
    exchange::Event event;
    event.kind = "physical_host.registered";
    event.text = fmt::format("physical host {} offers {} cpus and {} of memory", input.name, input.total.cpus,
                             input.total.memory.to_string());
    event.attributes["physical_host"] = input.name;
    TRY(turn.publish(std::move(event)));
  }
  api::RegisterPhysicalHostResponse response;
  TRY(compare_with_reported(turn, input, response.unknown));
  if (!input.network.empty()) {
    TRY_ASSIGN(const auto keys, book_.network_keys(turn.transaction(), input.name));
    std::copy_if(input.network.begin(), input.network.end(), std::back_inserter(response.unknown_network),
                 [&](const std::string& key) { return !keys.contains(key); });
  }
  TRY_ASSIGN(response.shut_out, shut_out_of(turn, input.host, response.unknown));
  response.now = turn.now();
  return answer(turn, request.message_id, response);
}

Status Factory::renew_physical_host(exchange::Turn& turn, const exchange::Message& request,
                                    const api::RenewPhysicalHostRequest& input) {
  TRY(check_is_controller(request, input.name));
  TRY_ASSIGN(auto row, book_.physical_host(turn.transaction(), input.name));
  if (!row) return not_found(fmt::format("the controller {} is not registered: it has to register first", input.name));
  if (input.interval < Duration(0)) return invalid("an interval is not negative");
  if (is_revoked(*row)) return denied(fmt::format("the certificates of {} were withdrawn: join anew", input.name));
  TRY(note_present(turn, *row, input.interval));
  TRY(book_.put_physical(turn.transaction(), *row));
  return answer(turn, request.message_id, api::RenewPhysicalHostResponse{alive_until(*row)});
}

Status Factory::report(exchange::Turn& turn, const exchange::Message& request, const api::ReportRequest& input) {
  TRY(check_is_controller(request, input.physical_host));
  TRY_ASSIGN(auto row, book_.host(turn.transaction(), input.host.id));
  const bool is_known = row && row->host.physical_host == input.physical_host && !row->is_lost;
  if (!is_known) return {};  // destroyed meanwhile
  follow(*row, input.host);
  TRY(put(turn, *row));
  auto event = host_event(*row, input.kind, input.text);
  event.severity = input.severity;
  if (input.seconds) event.attributes["seconds"] = fmt::format("{:.3f}", *input.seconds);
  return turn.publish(std::move(event));
}

Status Factory::list_physical_hosts(exchange::Turn& turn, const exchange::Message& request,
                                    const api::ListPhysicalHostsRequest&) {
  TRY_ASSIGN(const auto rows, book_.physical_hosts(turn.transaction()));
  api::ListPhysicalHostsResponse response;
  for (const auto& row : rows) {
    response.physical_host.push_back(seen(row, turn.now()));
  }
  return answer(turn, request.message_id, response);
}

Status Factory::get_physical_host(exchange::Turn& turn, const exchange::Message& request,
                                  const api::GetPhysicalHostRequest& input) {
  TRY_ASSIGN(const auto row, book_.physical_host(turn.transaction(), input.name));
  if (!row)
    return not_found(fmt::format("there is no physical host '{}'; 'nuraghe host ls' lists what there is", input.name));
  return answer(turn, request.message_id, api::GetPhysicalHostResponse{seen(*row, turn.now())});
}

Status Factory::forget_physical_host(exchange::Turn& turn, const exchange::Message& request,
                                     const api::ForgetPhysicalHostRequest& input) {
  auto& tx = turn.transaction();
  TRY_ASSIGN(const auto physical, book_.physical_host(tx, input.name));
  if (!physical)
    return not_found(fmt::format("there is no physical host '{}'; 'nuraghe host ls' lists what there is", input.name));
  if (alive(*physical, turn.now()))
    return conflict(fmt::format("physical host {} is alive; it can be forgotten {} after its controller is gone",
                                input.name, format_duration(physical->interval * kMissedRenewals)));
  const bool dry_run = input.dry_run.value_or(false);
  api::ForgetPhysicalHostResponse response;
  TRY_ASSIGN(auto rows, book_.hosts(tx, ""));
  for (auto& row : rows) {
    if (row.host.physical_host != input.name || row.is_lost) continue;
    if (is_stored(row)) {
      if (!dry_run) TRY(leave(turn, std::move(row)));
      continue;
    }
    response.host.push_back(row.host);
    if (!dry_run) TRY(lose(turn, std::move(row)));
  }
  if (dry_run) return answer(turn, request.message_id, response);
  TRY(remove_physical(turn, input.name));
  exchange::Event event;
  event.kind = "physical_host.forgotten";
  event.attributes["physical_host"] = input.name;
  event.severity = "warning";
  event.text =
      fmt::format("physical host {} is forgotten; virtual hosts lost with it: {}", input.name, response.host.size());
  TRY(turn.publish(std::move(event)));
  return answer(turn, request.message_id, response);
}

Status Factory::lose(exchange::Turn& turn, HostRow row) const {
  TRY(book_.hold(turn.transaction(), row, false, false));
  row.is_lost = true;
  row.host.operation.clear();
  row.host.since = turn.now();
  row.host.condition = fmt::format("lost: physical host {} was forgotten", row.host.physical_host);
  TRY(put(turn, row));
  auto event = host_event(row, "host.lost", fmt::format("virtual host {} is {}", row.host.name, row.host.condition));
  event.severity = "error";
  return turn.publish(std::move(event));
}

Result<placement::Decision> Factory::choose(exchange::Turn& turn, const api::Demand& demand, StateRow& state,
                                            const std::set<std::string>& besides) const {
  TRY_ASSIGN(const auto physical, book_.physical_hosts(turn.transaction()));
  std::vector<placement::PhysicalHost> hosts;
  for (const auto& row : physical) {
    if (!alive(row, turn.now())) continue;
    hosts.push_back({row.host.name, row.host.site, resources_of(row.host.total), resources_of(row.host.reserved),
                     std::set<std::string>(row.images.begin(), row.images.end()), offers_of(row.host)});
  }
  if (hosts.empty())
    return unavailable("no physical host is alive: no Virtual Host Controller has registered or renewed lately");
  std::vector<placement::NodeDemand> nodes;
  nodes.reserve(demand.node.size());
  for (const auto& node : demand.node) {
    auto asks = asks_of(node);
    asks.insert(besides.begin(), besides.end());
    if (const std::string from = node.from.value_or(""); !from.empty()) {
      TRY_ASSIGN(const auto source, book_.host(turn.transaction(), from));
      if (!source || !is_stored(*source))
        return conflict(fmt::format("virtual host {}, of which {} is to be a copy, is not frozen in the repository",
                                    source ? source->host.name : from, node.name));
      asks.insert(frozen_word(source->state_format));
    }
    nodes.push_back({node.name, {node.cpus, node.memory, node.disk}, node.site, node.pin, node.image, std::move(asks)});
  }
  std::vector<placement::Wish> wishes;
  for (const auto& wish : demand.wish)
    wishes.push_back(
        {wish.kind == "apart" ? placement::Wish::Kind::kApart : placement::Wish::Kind::kTogether, wish.node});
  placement::Options options;
  TRY_ASSIGN(options.policy, placement::policy_from_name(to_string(demand.policy)));
  options.weights = options_.weights;
  options.explain = demand.explain;
  options.last_used = state.last_used;
  std::uint64_t seed = 0;
  turn.random().fill({reinterpret_cast<std::uint8_t*>(&seed), sizeof seed});
  options.seed = seed;
  TRY_ASSIGN(auto decision, placement::place(hosts, nodes, wishes, options));
  state.last_used = decision.last_used;
  return decision;
}

Status Factory::reserve(exchange::Turn& turn, const exchange::Message& request, const api::ReserveRequest& input) {
  const auto& demand = input.demand;
  auto& tx = turn.transaction();
  TRY_ASSIGN(const auto existing, book_.hosts(tx, demand.cluster));
  if (!demand.cluster.empty() && !existing.empty())
    return conflict(fmt::format("hosts are reserved for cluster {} already", demand.cluster));
  for (const auto& node : demand.node) {
    // Another's is not there for whoever asks.
    if (node.from && !node.from->empty()) TRY(visible_host(turn, request.vo, *node.from));
  }
  TRY(check_quota(turn, request.vo, demand.node));
  TRY_ASSIGN(auto state, book_.state(tx));
  TRY_ASSIGN(const auto decision, choose(turn, demand, state));
  api::ReserveResponse response;
  if (demand.dry_run) {
    for (const auto& place : decision.placements)
      response.grant.placement.push_back({place.node, "", place.host, place.explanation});
    return answer(turn, request.message_id, response);
  }
  TRY(book_.put_state(tx, state));
  TRY_ASSIGN(response.grant.placement,
             book_.add_hosts(tx, {demand.cluster, request.vo, &demand.node, &decision, turn.now(), request.caller},
                             turn.random()));
  TRY(book_new(turn, request.vo, demand.node));
  std::set<std::string> physical_hosts;
  for (const auto& place : response.grant.placement) physical_hosts.insert(place.physical_host);
  for (const auto& network : demand.network) {
    TRY_ASSIGN(auto granted, book_.add_network(tx, demand.cluster, request.vo, network, physical_hosts, turn.random()));
    response.grant.network.push_back(std::move(granted));
  }
  for (const auto& place : response.grant.placement) {
    exchange::Event event;
    event.vo = request.vo;
    event.cluster = demand.cluster;
    event.host = place.host;
    event.kind = "host.placed";
    event.text = fmt::format("{} is placed on {}", place.node, place.physical_host);
    event.attributes = {{"name", place.node}, {"physical_host", place.physical_host}};
    if (!place.explanation.empty()) event.attributes["explanation"] = place.explanation;
    TRY(turn.publish(std::move(event)));
  }
  return answer(turn, request.message_id, response);
}

Status Factory::reserve_host(exchange::Turn& turn, const exchange::Message& request,
                             const api::ReserveHostRequest& input) {
  if (!input.request.fragment) return invalid("the request lacks a node configuration");
  TRY_ASSIGN(const auto node, model::parse_node_fragment(input.request.fragment->root()));
  TRY_ASSIGN(const auto taken, book_.single_host_id(turn.transaction(), request.vo, node.name));
  if (taken)
    return conflict(
        fmt::format("there is a virtual host named {} already; destroy it, or choose another name", node.name));
  api::Demand demand;
  demand.policy = api::Policy::kSpread;
  demand.node.push_back({node.name, node.cpus, node.memory, model::disk_demand(node), "", "", node.image.name,
                         node.boot.machine, node.boot.firmware, input.request.from});
  if (input.request.from && !input.request.from->empty()) TRY(visible_host(turn, request.vo, *input.request.from));
  TRY(check_quota(turn, request.vo, demand.node));
  TRY_ASSIGN(auto state, book_.state(turn.transaction()));
  TRY_ASSIGN(const auto decision, choose(turn, demand, state));
  TRY(book_.put_state(turn.transaction(), state));
  TRY_ASSIGN(const auto placements,
             book_.add_hosts(turn.transaction(), {"", request.vo, &demand.node, &decision, turn.now(), request.caller},
                             turn.random()));
  TRY(book_new(turn, request.vo, demand.node));
  api::ReserveHostResponse response;
  response.request = input.request;
  response.request.host = placements.front().host;
  response.request.requirement = requirement_of(node.image);
  TRY_ASSIGN(const auto row, book_.host(turn.transaction(), placements.front().host));
  auto placed = host_event(*row, "host.placed", fmt::format("{} is placed on {}", node.name, row->host.physical_host));
  if (!request.traceparent.empty()) placed.attributes["traceparent"] = request.traceparent;
  TRY(turn.publish(std::move(placed)));
  return answer(turn, request.message_id, response);
}

Status Factory::release(exchange::Turn& turn, const exchange::Message& request, const api::ReleaseRequest& input) {
  auto& tx = turn.transaction();
  // Single hosts belong to no cluster, and to no release.
  if (input.cluster.empty()) return answer(turn, request.message_id, api::ReleaseResponse{});
  TRY_ASSIGN(auto rows, book_.hosts(tx, input.cluster));
  TRY_ASSIGN(const auto networks, book_.networks(tx, input.cluster));
  // A segment that is given back may be given to another cluster at once: nobody gives back what is another's.
  const bool is_foreign =
      std::any_of(rows.begin(), rows.end(), [&](const HostRow& row) { return row.host.vo != request.vo; }) ||
      std::any_of(networks.begin(), networks.end(), [&](const NetworkRow& row) { return row.vo != request.vo; });
  if (is_foreign) return not_found(fmt::format("there is no cluster {}", input.cluster));
  for (auto& row : rows) TRY(remove(turn, std::move(row)));
  TRY(book_.remove_networks(tx, input.cluster));
  return answer(turn, request.message_id, api::ReleaseResponse{});
}

Status Factory::begin_host(exchange::Turn& turn, const exchange::Message& request, const api::BeginHostRequest& input) {
  const auto operation = model::host_operation_from_name(input.operation);
  if (!operation) return invalid(fmt::format("'{}' is not an operation on a virtual host", input.operation));
  const bool destroys = *operation == model::HostOperation::kDestroy;
  api::BeginHostResponse response;
  auto found = visible_host(turn, request.vo, input.host);
  if (!found && found.error().code() == ErrorCode::kNotFound) {
    if (destroys) return answer(turn, request.message_id, response);
    TRY_ASSIGN(const auto past, book_.past_host(turn.transaction(), request.vo, input.host));
    if (past)
      return not_found(fmt::format("virtual host {} is destroyed since {}; 'nuraghe vh ls' lists what there is",
                                   past->name, past->since.to_string()));
  }
  TRY_ASSIGN(auto row, std::move(found));
  if (!row.host.operation.empty() && !destroys)
    return conflict(
        fmt::format("virtual host {}: {} is at work; wait for it or abort it", row.host.name, row.host.operation));
  if (row.is_lost && !destroys)
    return conflict(
        fmt::format("virtual host {} is {}; all that can be done is to destroy it", row.host.name, row.host.condition));
  if (!may_begin(model_state(row.host.state), *operation))
    return conflict(fmt::format("virtual host {} is {}: {} is not possible now", row.host.name,
                                contracts::vhc::to_string(row.host.state), input.operation));
  TRY(check_quota(turn, row, *operation));
  if (*operation == model::HostOperation::kThaw) TRY(choose_place(turn, row, response));
  row.host.operation = input.operation;
  row.host.since = turn.now();
  row.work = request.conversation;
  TRY(put(turn, row));
  response.known = true;
  TRY_ASSIGN(const bool is_left, has_left(turn, row));
  const bool has_nothing_there = destroys && is_left && !row.is_uncertain;
  if (!row.is_lost && !has_nothing_there) {
    TRY_ASSIGN(const auto physical, book_.physical_host(turn.transaction(), row.host.physical_host));
    if (!physical) return not_found(fmt::format("the physical host {} is not registered", row.host.physical_host));
    response.controller.address = physical->host.address;
  }
  response.physical_host = row.host.physical_host;
  response.cluster = row.host.cluster;
  return answer(turn, request.message_id, response);
}

Status Factory::record_host(exchange::Turn& turn, const exchange::Message& request,
                            const api::RecordHostRequest& input) {
  TRY_ASSIGN(auto row, visible_host(turn, request.vo, input.host));
  row.host.reference = input.reference;
  row.host.image = fmt::format("{}:{}@{}", input.image.name, input.image.version, input.image.digest);
  TRY(put(turn, row));
  return answer(turn, request.message_id, api::RecordHostResponse{});
}

Status Factory::end_host(exchange::Turn& turn, const exchange::Message& request, const api::EndHostRequest& input) {
  TRY_ASSIGN(auto row, book_.host(turn.transaction(), input.host));
  if (!row || row->host.vo != request.vo) return answer(turn, request.message_id, api::EndHostResponse{});
  // What is destroyed is gone, also when an abort has ended the record of its destruction.
  const bool is_destroyed = input.succeeded && input.operation == "destroy";
  if (is_destroyed) row->host.operation = input.operation;
  // One that was aborted may have been followed by another of its name.
  const bool is_own =
      input.operation == row->host.operation && (row->work.empty() || row->work == request.conversation);
  const bool is_meant = !row->host.operation.empty() && (is_destroyed || is_own || input.operation == "any");
  // An operation that another one (destroy) took over: nothing is left to be recorded.
  if (!is_meant) return answer(turn, request.message_id, api::EndHostResponse{});
  const auto operation = model::host_operation_from_name(row->host.operation);
  if (!operation) return internal(fmt::format("the row of host {} holds an unknown operation", input.host));
  row->host.operation.clear();
  row->host.since = turn.now();
  // Aborted when its controller had frozen it already: that cannot be undone by ending the rest.
  const bool is_frozen = *operation == model::HostOperation::kFreeze && row->reported == HostState::kFrozen;
  const bool succeeded = input.succeeded || is_frozen;
  if (succeeded) row->stopped = false;
  if (!succeeded) {
    if (*operation == model::HostOperation::kCreate) row->host.condition = "its creation failed";
    if (row->host.state == HostState::kFrozen && !row->is_lost) TRY(stay_frozen(turn, *row));
    TRY(put(turn, *row));
    return answer(turn, request.message_id, api::EndHostResponse{});
  }
  if (*operation == model::HostOperation::kDestroy) {
    TRY(turn.publish(host_event(*row, "host.destroyed", fmt::format("virtual host {} is destroyed", row->host.name))));
    TRY(remove(turn, std::move(*row)));
    return answer(turn, request.message_id, api::EndHostResponse{});
  }
  if (*operation == model::HostOperation::kFreeze) {
    Bytes saved;
    for (const Bytes& part : input.saved) saved.count += part.count;
    // A controller that had frozen it before has written nothing.
    if (saved > Bytes{}) row->frozen = saved;
    TRY(note_stored(turn, *row, input));
  }
  if (*operation == model::HostOperation::kThaw) TRY(note_thawed(turn, *row, input));
  // What its controller reports of it may come later.
  const bool thawed_paused = *operation == model::HostOperation::kThaw && input.paused.value_or(false);
  const auto target = model::rule_of(thawed_paused ? model::HostOperation::kThawPaused : *operation).target;
  TRY(book_.hold(turn.transaction(), *row, holds_cpu_and_memory(target), holds_disk(target)));
  row->host.state = contract_state(target);
  follow_reported_state(*row);  // it may have been paused again before its operation was over
  TRY(put(turn, *row));
  return answer(turn, request.message_id, api::EndHostResponse{});
}

}  // namespace nuraghe::services::vhf
