#include <fmt/format.h>

#include <boost/json.hpp>
#include <cstdio>

#include "apps/nuraghe/commands.hpp"
#include "client/blueprint_files.hpp"
#include "client/traced_caller.hpp"
#include "contracts/vhm.hpp"
#include "env/posix.hpp"
#include "model/lifecycle.hpp"

namespace nuraghe::cli {
namespace {

namespace json = boost::json;
using contracts::vhf::VirtualHost;

json::object host_json(const VirtualHost& host) {
  return {{"id", host.id},
          {"name", host.name},
          {"cluster", host.cluster},
          {"state", contracts::vhc::to_string(host.state)},
          {"operation", host.operation},
          {"condition", host.condition},
          {"physical_host", host.physical_host},
          {"reference", host.reference.address},
          {"image", image_json(host.image)},
          {"cpus", host.cpus},
          {"memory", host.memory.count},
          {"ssh_port", host.ssh_port},
          {"since", host.since.to_string()}};
}

std::vector<std::string> host_row(const VirtualHost& host) {
  return {
      host.name,
      std::string(contracts::vhc::to_string(host.state)) + (host.operation.empty() ? "" : " (" + host.operation + ")"),
      host.physical_host,
      fmt::format("{}", host.cpus),
      short_size(host.memory),
      host.id,
      host.condition};
}

// Nothing is at work on it, and the operation's effect is there: a repeated command says so and succeeds.
bool is_already(const VirtualHost& host, const std::string& verb) {
  const auto state = model::host_state_from_name(contracts::vhc::to_string(host.state));
  const auto operation = model::host_operation_from_name(verb);
  return host.operation.empty() && state && operation && model::start_of(*state, *operation) == model::Start::kAlready;
}

}  // namespace

Result<VirtualHost> find_host(Context& context, const std::string& name) {
  TRY_ASSIGN(auto* connection, context.connection());
  contracts::vhf::Client factory(connection->caller(), connection->service("vhf"));
  TRY_ASSIGN(auto response, factory.get_virtual_host({name}));
  return std::move(response.host);
}

boost::json::object image_json(const std::string& reference) {
  const auto at = reference.find('@');
  const auto colon = reference.substr(0, at).rfind(':');
  if (at == std::string::npos || colon == std::string::npos) return {};
  return {{"name", reference.substr(0, colon)},
          {"version", reference.substr(colon + 1, at - colon - 1)},
          {"digest", reference.substr(at + 1)}};
}

Status create_host(Context& context, const std::string& file, const std::string& name) {
  TRY_ASSIGN(const auto fragment, client::load_node_configuration(file, name));
  TRY_ASSIGN(auto* connection, context.connection());
  TRY_ASSIGN(const auto call, context.call_options());
  contracts::vcf::Client identity(connection->caller(), connection->service("vcf"));
  contracts::vcf::IdentifyHostRequest identify;
  identify.fragment = fragment;
  TRY_ASSIGN(auto identified, identity.identify_host(identify));
  client::TracedCaller caller(connection->caller());
  contracts::vhm::Client manager(caller, connection->service("vhm"));
  contracts::vhm::CreateVhRequest request;
  request.request.fragment = identified.fragment;
  request.request.seed = identified.seed;
  contracts::vhm::CreateVhResponse response;
  TRY(context.with_progress(OwnSteps::of_request(caller.traceparent()), [&]() -> Status {
    auto answer = manager.create_vh(request, call);
    if (!answer) return answer.error();
    response = std::move(*answer);
    return {};
  }));
  if (context.json() && response.host.empty())
    context.print_json(json::object{{"accepted", true}});
  else if (context.json())
    context.print_json(json::object{{"host", response.host}, {"reference", response.reference.address}});
  else if (!response.host.empty())  // empty: not waited for
    context.print_line(fmt::format("virtual host {} runs: {}", response.host, response.reference.address));
  return {};
}

Status list_hosts(Context& context) {
  TRY_ASSIGN(auto* connection, context.connection());
  contracts::vhf::Client factory(connection->caller(), connection->service("vhf"));
  TRY_ASSIGN(const auto response, factory.list_virtual_hosts({}));
  if (context.json()) {
    json::array hosts;
    for (const auto& host : response.host) hosts.push_back(host_json(host));
    context.print_json(hosts);
    return {};
  }
  std::vector<std::vector<std::string>> rows{{"NAME", "STATE", "ON", "CPUS", "MEMORY", "ID", "CONDITION"}};
  for (const auto& host : response.host) rows.push_back(host_row(host));
  context.print_table(rows);
  return {};
}

Status show_host(Context& context, const std::string& name) {
  TRY_ASSIGN(const auto host, find_host(context, name));
  if (context.json()) {
    context.print_json(host_json(host));
    return {};
  }
  context.print_table({{"NAME", "STATE", "ON", "CPUS", "MEMORY", "ID", "CONDITION"}, host_row(host)});
  context.print_line("image " + host.image);
  context.print_line("reference " + host.reference.address);
  TRY_ASSIGN(auto* connection, context.connection());
  TRY_ASSIGN(const auto events, connection->events(0, "", Duration(0)));
  for (const auto& event : events) {
    if (event.host == host.id)
      context.print_line(fmt::format("{}  {:7}  {}", event.time.to_string(), event.severity, event.text));
  }
  return {};
}

Status change_host(Context& context, const std::string& verb, const std::string& name) {
  TRY_ASSIGN(const auto host, find_host(context, name));
  if (is_already(host, verb)) {
    context.print_line(fmt::format("virtual host {} is already {}", host.name, contracts::vhc::to_string(host.state)));
    return show_host(context, host.id);
  }
  if (verb == "abort" && host.operation.empty())
    return conflict(fmt::format("nothing is at work on virtual host {}: it is {}", host.name,
                                contracts::vhc::to_string(host.state)));
  TRY_ASSIGN(auto* connection, context.connection());
  TRY_ASSIGN(const auto call, context.call_options());
  contracts::vhm::Client manager(connection->caller(), connection->service("vhm"));
  TRY(context.with_progress(OwnSteps::of_host(host.id), [&]() -> Status {
    const auto status = [](auto&& response) -> Status {
      if (!response) return response.error();
      return {};
    };
    if (verb == "pause") return status(manager.pause_vh({host.id}, call));
    if (verb == "resume") return status(manager.resume_vh({host.id}, call));
    if (verb == "freeze") return status(manager.freeze_vh({host.id}, call));
    if (verb == "thaw") return status(manager.thaw_vh({host.id, false}, call));
    return status(manager.abort_vh({host.id}, call));
  }));
  return show_host(context, host.id);
}

Status destroy_host(Context& context, const std::string& name) {
  TRY_ASSIGN(const auto host, find_host(context, name));
  TRY_ASSIGN(auto* connection, context.connection());
  TRY_ASSIGN(const auto call, context.call_options());
  if (is_already(host, "destroy")) {
    context.print_line(fmt::format("virtual host {} ({}) is already destroyed", host.name, host.id));
    if (context.json()) context.print_json(json::object{{"host", host.id}, {"state", "destroyed"}});
    return {};
  }
  if (!host.cluster.empty())
    return conflict(fmt::format("virtual host {} belongs to cluster {}: destroy the cluster", host.name, host.cluster));
  context.print_line(fmt::format("destroying virtual host {} ({}), {} on {}, with its disks", host.name, host.id,
                                 contracts::vhc::to_string(host.state), host.physical_host));
  TRY(context.confirm("Destroy it?"));
  contracts::vhm::Client manager(connection->caller(), connection->service("vhm"));
  TRY_ASSIGN(const bool is_done, context.with_progress(OwnSteps::of_host(host.id), [&]() -> Status {
    const auto response = manager.destroy_vh({host.id}, call);
    if (!response) return response.error();
    return {};
  }));
  forget_host_key(context, host.id);
  if (context.json())
    context.print_json(json::object{{"host", host.id}, {"state", is_done ? "destroyed" : "destroying"}});
  return {};
}

Status list_physical_hosts(Context& context) {
  TRY_ASSIGN(auto* connection, context.connection());
  contracts::vhf::Client factory(connection->caller(), connection->service("vhf"));
  TRY_ASSIGN(const auto response, factory.list_physical_hosts({}));
  if (context.json()) {
    json::array hosts;
    for (const auto& host : response.physical_host) {
      const auto capacity = [](const contracts::vhc::Capacity& c) {
        return json::object{{"cpus", c.cpus}, {"memory", c.memory.count}, {"disk", c.disk.count}};
      };
      hosts.push_back(json::object{{"name", host.name},
                                   {"site", host.site},
                                   {"driver", host.driver},
                                   {"accelerator", host.accelerator},
                                   {"alive", host.alive},
                                   {"last_seen", host.last_seen.to_string()},
                                   {"hosts", host.hosts},
                                   {"total", capacity(host.total)},
                                   {"reserved", capacity(host.reserved)}});
    }
    context.print_json(hosts);
    return {};
  }
  std::vector<std::vector<std::string>> rows{{"NAME", "SITE", "ALIVE", "DRIVER", "HOSTS", "CPUS", "MEMORY", "DISK"}};
  for (const auto& host : response.physical_host)
    rows.push_back({host.name, host.site, host.alive ? "yes" : "no, since " + host.last_seen.to_string(),
                    host.driver + "/" + host.accelerator, fmt::format("{}", host.hosts),
                    fmt::format("{} of {}", host.reserved.cpus, host.total.cpus),
                    fmt::format("{} of {}", short_size(host.reserved.memory), short_size(host.total.memory)),
                    fmt::format("{} of {}", short_size(host.reserved.disk), short_size(host.total.disk))});
  context.print_table(rows);
  return {};
}

Status forget_physical_host(Context& context, const std::string& name) {
  TRY_ASSIGN(auto* connection, context.connection());
  contracts::vhf::Client factory(connection->caller(), connection->service("vhf"));
  TRY_ASSIGN(const auto would, factory.forget_physical_host({name, true}));
  context.print_line(fmt::format("forgetting physical host {}; lost with it: {}{}", name,
                                 counted(would.host.size(), "virtual host"), would.host.empty() ? "" : ":"));
  if (!context.json() && !would.host.empty()) {
    std::vector<std::vector<std::string>> rows{{"NAME", "VO", "CLUSTER", "STATE", "ID"}};
    for (const auto& host : would.host)
      rows.push_back({host.name, host.vo, host.cluster.empty() ? "-" : host.cluster,
                      std::string(contracts::vhc::to_string(host.state)), host.id});
    context.print_table(rows);
  }
  TRY(context.confirm("Forget it?"));
  TRY_ASSIGN(const auto lost, factory.forget_physical_host({name, false}));
  if (context.json()) {
    json::array hosts;
    for (const auto& host : lost.host) hosts.push_back(host_json(host));
    context.print_json(json::object{{"physical_host", name}, {"lost", hosts}});
  }
  return {};
}

}  // namespace nuraghe::cli
