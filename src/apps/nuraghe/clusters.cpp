#include <fmt/format.h>

#include <algorithm>
#include <boost/json.hpp>
#include <cstdio>

#include "apps/nuraghe/commands.hpp"
#include "apps/nuraghe/dry_run.hpp"
#include "client/blueprint_files.hpp"
#include "client/traced_caller.hpp"
#include "contracts/vcm.hpp"
#include "env/posix.hpp"
#include "model/lifecycle.hpp"

namespace nuraghe::cli {
namespace {

namespace json = boost::json;
using contracts::vcf::Cluster;

std::string state_word(const Cluster& cluster) { return std::string(contracts::vcf::to_string(cluster.state)); }

json::object requirement_json(const contracts::vhir::Requirement& wanted) {
  json::object value;
  const auto add = [&](const char* name, const std::optional<std::string>& field) {
    if (field && !field->empty()) value[name] = *field;
  };
  add("name", wanted.name);
  add("type", wanted.type);
  add("system", wanted.system);
  add("version", wanted.version);
  add("architecture", wanted.architecture);
  return value;
}

json::object member_json(const contracts::vcf::Member& member) {
  json::array addresses;
  for (const auto& address : member.address) addresses.emplace_back(address);
  return {{"name", member.name},           {"host", member.host},
          {"role", member.role},           {"physical_host", member.physical_host},
          {"addresses", addresses},        {"cpus", member.cpus},
          {"memory", member.memory.count}, {"image", json::object{{"wanted", requirement_json(member.image)}}}};
}

json::object cluster_json(const Cluster& cluster) {
  json::array members;
  for (const auto& member : cluster.member) members.push_back(member_json(member));
  json::array networks;
  for (const auto& network : cluster.network)
    networks.push_back(json::object{{"name", network.name}, {"segment", network.segment}, {"subnet", network.subnet}});
  return {{"id", cluster.id},
          {"name", cluster.name},
          {"vo", cluster.vo},
          {"state", state_word(cluster)},
          {"condition", cluster.condition},
          {"operation", cluster.operation},
          {"created", cluster.created.to_string()},
          {"since", cluster.since.to_string()},
          {"lease_end", cluster.lease_end ? json::value(cluster.lease_end->to_string()) : json::value()},
          {"lease_ending",
           cluster.lease_ending ? json::value(contracts::vcf::to_string(*cluster.lease_ending)) : json::value()},
          {"members", members},
          {"networks", networks}};
}

json::object event_json(const exchange::Event& event) {
  json::object attributes;
  for (const auto& [key, value] : event.attributes) attributes[key] = value;
  return {{"sequence", event.sequence},
          {"time", event.time.to_string()},
          {"vo", event.vo},
          {"cluster", event.cluster},
          {"host", event.host},
          {"kind", event.kind},
          {"severity", event.severity},
          {"text", event.text},
          {"attributes", attributes}};
}

void print_event(Context& context, const exchange::Event& event) {
  if (context.json())
    context.print_json(event_json(event));
  else
    context.print_line(fmt::format("{}  {:7}  {}", event.time.to_string(), event.severity, event.text));
}

// True: it is done; false: it was accepted and goes on.
template <class Request, class Call>
Result<bool> run_operation(Context& context, const Cluster& cluster, Call&& call) {
  TRY_ASSIGN(const auto options, context.call_options());
  Request request;
  request.cluster = cluster.id;
  return context.with_progress(OwnSteps::of_cluster(cluster.id), [&]() -> Status {
    const auto response = call(request, options);
    if (!response) return response.error();
    return {};
  });
}

// Whether a host of it stands still: by its hypervisor when the cluster is running.
Result<bool> has_paused_host(Context& context, const Cluster& cluster) {
  TRY_ASSIGN(auto* connection, context.connection());
  contracts::vhf::Client hosts(connection->caller(), connection->service("vhf"));
  contracts::vhf::ListVirtualHostsRequest of_cluster;
  of_cluster.cluster = cluster.id;
  TRY_ASSIGN(const auto known, hosts.list_virtual_hosts(of_cluster));
  return std::any_of(known.host.begin(), known.host.end(),
                     [](const auto& host) { return host.state == contracts::vhc::HostState::kPaused; });
}

// Nothing is at work on it, and the operation's effect is there: a repeated command says so and succeeds.
Result<bool> is_already(Context& context, const Cluster& cluster, const std::string& verb) {
  const auto state = model::cluster_state_from_name(state_word(cluster));
  const auto operation = model::cluster_operation_from_name(verb);
  if (!cluster.operation.empty() || !state || !operation) return false;
  if (*operation == model::ClusterOperation::kResume && *state == model::ClusterState::kRunning) {
    TRY_ASSIGN(const bool is_needed, has_paused_host(context, cluster));
    return !is_needed;
  }
  return model::start_of(*state, *operation) == model::Start::kAlready;
}

json::array placements_json(const contracts::vhf::Grant& grant) {
  json::array placements;
  for (const auto& place : grant.placement)
    placements.push_back(json::object{{"node", place.node},
                                      {"host", place.host},
                                      {"physical_host", place.physical_host},
                                      {"explanation", place.explanation}});
  return placements;
}

void print_grant(Context& context, const contracts::vhf::Grant& grant, bool is_explained) {
  std::vector<std::vector<std::string>> rows{{"NODE", "PHYSICAL HOST"}};
  for (const auto& place : grant.placement) rows.push_back({place.node, place.physical_host});
  if (is_explained) {
    rows.front().emplace_back("WHY");
    for (std::size_t i = 0; i < grant.placement.size(); ++i) rows[i + 1].push_back(grant.placement[i].explanation);
  }
  context.print_table(rows);
}

Status show_dry_run(Context& context, const CreateOptions& options, const std::string& cluster,
                    const contracts::vhf::Grant& grant) {
  TRY_ASSIGN(const auto steps, steps_of_create(context, options.file, grant));
  if (context.json()) {
    json::array list;
    for (const auto& step : steps)
      list.push_back(json::object{{"step", step.word}, {"of", step.of}, {"text", step.text}});
    context.print_json(
        json::object{{"cluster", cluster}, {"dry_run", true}, {"placements", placements_json(grant)}, {"steps", list}});
    return {};
  }
  print_grant(context, grant, options.explain);
  context.print_line("steps, those of different hosts and of the networks at the same time:");
  for (const auto& step : steps) context.print_line("  " + step.text);
  return {};
}

}  // namespace

Result<Cluster> find_cluster(Context& context, const std::string& cluster) {
  TRY_ASSIGN(auto* connection, context.connection());
  contracts::vcf::Client factory(connection->caller(), connection->service("vcf"));
  TRY_ASSIGN(auto response, factory.get_cluster({cluster}));
  return std::move(response.cluster);
}

// Asks for the cluster of that name, shows the steps and what came of it.
Status make_cluster(Context& context, const CreateOptions& options, const std::string& name,
                    contracts::vcm::CreateVcRequest request) {
  TRY_ASSIGN(auto* connection, context.connection());
  if (!options.idempotency_key.empty()) request.request.idempotency_key = options.idempotency_key;
  if (!options.policy.empty()) {
    contracts::vhf::Policy policy{};
    TRY(contracts::vhf::from_string(options.policy, policy));
    request.request.policy = policy;
  }
  if (options.explain) request.request.explain = true;
  if (options.dry_run) request.request.dry_run = true;
  client::TracedCaller caller(connection->caller());
  contracts::vcm::Client manager(caller, connection->service("vcm"));
  TRY_ASSIGN(const auto call, context.call_options());
  contracts::vcm::CreateVcResponse response;
  // With a key this may join a creation that is at work: then all of its steps are shown.
  auto steps = OwnSteps::of_request(caller.traceparent());
  if (!options.idempotency_key.empty() && !options.dry_run) {
    const auto known = find_cluster(context, name);
    if (known && known->operation == model::name_of(model::ClusterOperation::kCreate))
      steps = OwnSteps::of_cluster(known->id).from_start();
  }
  TRY(context.with_progress(std::move(steps), [&]() -> Status {
    auto answer = manager.create_vc(request, call);
    if (!answer) return answer.error();
    response = std::move(*answer);
    return {};
  }));
  if (response.cluster.empty()) {  // not waited for
    if (context.json()) context.print_json(json::object{{"name", name}, {"accepted", true}});
    return {};
  }
  const auto grant = response.grant.value_or(contracts::vhf::Grant{});
  if (options.dry_run) return show_dry_run(context, options, response.cluster, grant);
  if (context.json()) {
    context.print_json(
        json::object{{"cluster", response.cluster}, {"dry_run", false}, {"placements", placements_json(grant)}});
    return {};
  }
  if (options.explain) print_grant(context, grant, true);
  return show_cluster(context, response.cluster);
}

Status create(Context& context, const CreateOptions& options) {
  // Files that the blueprint refers to are put in here: nuraghed reads none of the user's files.
  TRY_ASSIGN(const auto blueprint, client::load_blueprint(options.file, options.name));
  contracts::vcm::CreateVcRequest request;
  request.request.blueprint = blueprint;
  return make_cluster(context, options, blueprint->root().attribute_or("name", ""), std::move(request));
}

Status fork_cluster(Context& context, const CreateOptions& options) {
  contracts::vcm::CreateVcRequest request;
  request.request.from = options.source;
  request.request.name = options.name;
  return make_cluster(context, options, options.name, std::move(request));
}

Status list_clusters(Context& context) {
  TRY_ASSIGN(auto* connection, context.connection());
  contracts::vcf::Client factory(connection->caller(), connection->service("vcf"));
  TRY_ASSIGN(const auto response, factory.list_clusters({}));
  if (context.json()) {
    json::array clusters;
    for (const auto& cluster : response.cluster) clusters.push_back(cluster_json(cluster));
    context.print_json(clusters);
    return {};
  }
  std::vector<std::vector<std::string>> rows{{"NAME", "STATE", "HOSTS", "AGE", "LEASE", "ID", "CONDITION"}};
  for (const auto& cluster : response.cluster)
    rows.push_back({cluster.name, state_word(cluster), fmt::format("{}", cluster.member.size()), age(cluster.created),
                    lease_left(cluster), cluster.id, cluster.condition});
  context.print_table(rows);
  return {};
}

Status show_cluster(Context& context, const std::string& name) {
  TRY_ASSIGN(const auto cluster, find_cluster(context, name));
  TRY_ASSIGN(auto* connection, context.connection());
  contracts::vhf::Client hosts(connection->caller(), connection->service("vhf"));
  contracts::vhf::ListVirtualHostsRequest of_cluster;
  of_cluster.cluster = cluster.id;
  TRY_ASSIGN(const auto states, hosts.list_virtual_hosts(of_cluster));
  const auto state_of = [&](const std::string& id) {
    for (const auto& host : states.host) {
      if (host.id == id) return host;
    }
    return contracts::vhf::VirtualHost{};
  };
  if (context.json()) {
    auto value = cluster_json(cluster);
    for (auto& member : value["members"].as_array()) {
      const auto host = state_of(std::string(member.as_object()["host"].as_string()));
      member.as_object()["state"] = contracts::vhc::to_string(host.state);
      member.as_object()["condition"] = host.condition;
      member.as_object()["ssh_port"] = host.ssh_port;
      for (auto& [part, text] : image_json(host.image)) member.as_object()["image"].as_object()[part] = text;
    }
    context.print_json(value);
    return {};
  }
  context.print_line(
      fmt::format("cluster {} ({}), {} since {}", cluster.name, cluster.id, state_word(cluster), age(cluster.since)));
  if (!cluster.condition.empty()) context.print_line("condition: " + cluster.condition);
  if (const auto line = lease_line(cluster); !line.empty()) context.print_line(line);
  for (const auto& network : cluster.network)
    context.print_line(fmt::format("network {}: {}, segment {}", network.name, network.subnet, network.segment));
  std::vector<std::vector<std::string>> rows{{"HOST", "STATE", "ON", "CPUS", "MEMORY", "ADDRESSES", "CONDITION"}};
  for (const auto& member : cluster.member) {
    const auto host = state_of(member.host);
    rows.push_back({member.name, host.id.empty() ? "gone" : std::string(contracts::vhc::to_string(host.state)),
                    member.physical_host, fmt::format("{}", member.cpus), short_size(member.memory),
                    fmt::format("{}", fmt::join(member.address, " ")), host.condition});
  }
  context.print_table(rows);
  // What went wrong stays readable: the failures among its events, with the last console lines.
  TRY_ASSIGN(const auto events, connection->events(0, cluster.id, Duration(0)));
  for (const auto& event : events) {
    if (event.severity == "error") context.print_line(fmt::format("{}  {}", event.time.to_string(), event.text));
  }
  return {};
}

Status show_events(Context& context, const std::string& name, bool follow) {
  std::string id;
  std::string host;  // a single virtual host: its events are of no cluster
  if (!name.empty()) {
    const auto cluster = find_cluster(context, name);
    const auto single =
        cluster ? Result<contracts::vhf::VirtualHost>(Error(ErrorCode::kNotFound, "")) : find_host(context, name);
    if (!cluster && !single) return cluster.error();
    if (cluster)
      id = cluster->id;
    else
      host = single->id;
  }
  TRY_ASSIGN(auto* connection, context.connection());
  std::int64_t sequence = 0;
  while (true) {
    TRY_ASSIGN(const auto events,
               connection->events(sequence, id, follow ? Duration(std::chrono::seconds(30)) : Duration(0)));
    for (const auto& event : events) {
      sequence = event.sequence;
      if (host.empty() || event.host == host) print_event(context, event);
    }
    std::fflush(stdout);
    if (events.empty() && !follow) return {};
  }
}

Status change_cluster(Context& context, const std::string& verb, const std::string& name) {
  TRY_ASSIGN(const auto cluster, find_cluster(context, name));
  TRY_ASSIGN(const bool is_done, is_already(context, cluster, verb));
  if (is_done) {
    context.print_line(fmt::format("cluster {} is already {}", cluster.name, state_word(cluster)));
    return show_cluster(context, cluster.id);
  }
  TRY_ASSIGN(auto* connection, context.connection());
  contracts::vcm::Client manager(connection->caller(), connection->service("vcm"));
  if (verb == "pause") {
    TRY(run_operation<contracts::vcm::PauseVcRequest>(
        context, cluster, [&](const auto& r, const auto& o) { return manager.pause_vc(r, o); }));
  } else if (verb == "resume") {
    TRY(run_operation<contracts::vcm::ResumeVcRequest>(
        context, cluster, [&](const auto& r, const auto& o) { return manager.resume_vc(r, o); }));
  } else if (verb == "freeze") {
    TRY(run_operation<contracts::vcm::FreezeVcRequest>(
        context, cluster, [&](const auto& r, const auto& o) { return manager.freeze_vc(r, o); }));
  } else {
    TRY(run_operation<contracts::vcm::ThawVcRequest>(
        context, cluster, [&](const auto& r, const auto& o) { return manager.thaw_vc(r, o); }));
  }
  return show_cluster(context, cluster.id);
}

Status abort_cluster(Context& context, const std::string& name) {
  TRY_ASSIGN(const auto cluster, find_cluster(context, name));
  TRY_ASSIGN(auto* connection, context.connection());
  if (cluster.operation.empty())
    return conflict(fmt::format("nothing is at work on cluster {}: it is {}", cluster.name, state_word(cluster)));
  contracts::vcm::Client manager(connection->caller(), connection->service("vcm"));
  TRY_ASSIGN(const auto options, context.call_options());
  TRY(context.with_progress(OwnSteps::of_cluster(cluster.id), [&]() -> Status {
    const auto response = manager.abort_vc({cluster.id}, options);
    if (!response) return response.error();
    return {};
  }));
  context.print_line(fmt::format("{} of cluster {} is being aborted", cluster.operation, cluster.name));
  if (context.json()) context.print_json(json::object{{"cluster", cluster.id}, {"aborted", cluster.operation}});
  return {};
}

Status destroy_cluster(Context& context, const std::string& name) {
  TRY_ASSIGN(const auto cluster, find_cluster(context, name));
  TRY_ASSIGN(const bool is_gone, is_already(context, cluster, "destroy"));
  if (is_gone) {
    context.print_line(fmt::format("cluster {} ({}) is already {}", cluster.name, cluster.id, state_word(cluster)));
    if (context.json()) context.print_json(json::object{{"cluster", cluster.id}, {"state", state_word(cluster)}});
    return {};
  }
  TRY_ASSIGN(auto* connection, context.connection());
  std::string names;
  for (const auto& member : cluster.member) names += (names.empty() ? "" : ", ") + member.name;
  context.print_line(fmt::format("destroying cluster {} ({}): {} with their disks ({}), {}", cluster.name, cluster.id,
                                 counted(cluster.member.size(), "virtual host"), names,
                                 counted(cluster.network.size(), "network")));
  TRY(context.confirm("Destroy it?"));
  contracts::vcm::Client manager(connection->caller(), connection->service("vcm"));
  TRY_ASSIGN(const bool is_done,
             run_operation<contracts::vcm::DestroyVcRequest>(
                 context, cluster, [&](const auto& r, const auto& o) { return manager.destroy_vc(r, o); }));
  for (const auto& member : cluster.member) forget_host_key(context, member.host);
  if (context.json())
    context.print_json(json::object{{"cluster", cluster.id}, {"state", is_done ? "destroyed" : "destroying"}});
  return {};
}

}  // namespace nuraghe::cli
