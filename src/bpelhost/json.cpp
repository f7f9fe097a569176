#include "bpelhost/json.hpp"

#include <boost/json.hpp>

#include <set>

namespace nuraghe::bpelhost {
namespace {

namespace json = boost::json;

json::object endpoint(const Service& service, const std::string& path, const std::string& base, bool shared) {
  json::array operations;
  for (const auto& served : service.operations) operations.emplace_back(served.operation->name);
  json::array versions;
  if (service.soap_11) versions.emplace_back("1.1");
  if (service.soap_12) versions.emplace_back("1.2");
  return {{"process", service.definition().name().local},
          {"partnerLink", service.link->name},
          {"portType", service.link->my_port_type->name.to_string()},
          {"path", path},
          {"address", base + path},
          {"wsdl", base + path + "?wsdl"},
          {"shared", shared},
          {"soap", std::move(versions)},
          {"operations", std::move(operations)}};
}

json::object diagnostic(const bpel::Diagnostic& one) {
  return {{"rule", one.rule},           {"file", one.file},         {"line", one.where.line},
          {"column", one.where.column}, {"sentence", one.sentence}, {"severity", one.warning ? "warning" : "error"}};
}

json::array diagnostics_array(const std::vector<bpel::Diagnostic>& diagnostics) {
  json::array all;
  for (const auto& one : diagnostics) all.push_back(diagnostic(one));
  return all;
}

json::object package_object(const DeployedPackage& package, const std::string& base) {
  json::array processes, endpoints;
  for (const auto& program : package.programs) {
    const auto& definition = *program->definition;
    processes.push_back(json::object{{"name", definition.name().local},
                                     {"namespace", definition.name().ns},
                                     {"file", definition.file()},
                                     {"id", program->id}});
  }
  for (const auto& service : package.services) {
    endpoints.push_back(endpoint(*service, service->own_path, base, false));
    if (service->shared_path != service->own_path)
      endpoints.push_back(endpoint(*service, service->shared_path, base, true));
  }
  return {{"id", package.id},
          {"name", package.name},
          {"version", package.version},
          {"state", package.active ? "active" : "retired"},
          {"process", package.programs.empty() ? "" : package.programs.front()->definition->name().local},
          {"processes", std::move(processes)},
          {"endpoints", std::move(endpoints)}};
}

json::object summary_object(const bpel::InstanceSummary& summary) {
  json::object object{{"id", summary.id},
                      {"process", summary.process},
                      {"version", summary.program},
                      {"state", summary.state},
                      {"started", summary.started.to_string()}};
  if (summary.ended.micros != 0) object["ended"] = summary.ended.to_string();
  if (!summary.fault.empty()) object["fault"] = summary.fault;
  if (!summary.parent.empty()) object["parent"] = summary.parent;
  return object;
}

// The activities below a node, as deep as the definition: at most 256 levels.
json::object tree(const InstanceView& view, const std::vector<std::vector<bpel::NodeIndex>>& children,
                  bpel::NodeIndex index) {
  const auto& node = view.definition->node(index);
  const auto& state = view.nodes[index];
  json::object object{{"node", index},
                      {"kind", index == 0 ? "process" : bpel::node_kind_name(node.kind)},
                      {"state", state.state},
                      {"times", state.times},
                      {"line", node.where.line}};
  if (!node.name.empty()) object["name"] = node.name;
  json::array below;
  for (const auto child : children[index]) below.push_back(tree(view, children, child));
  if (!below.empty()) object["children"] = std::move(below);
  return object;
}

json::array variables(const bpel::InstanceDetails& details) {
  json::array all;
  for (const auto& one : details.variables) {
    json::object object{{"scope", one.scope}, {"region", one.region}, {"name", one.name}, {"value", one.text}};
    if (!one.part.empty()) object["part"] = one.part;
    all.push_back(std::move(object));
  }
  return all;
}

}  // namespace

std::string package_json(const DeployedPackage& package, const std::string& base,
                         const std::vector<bpel::Diagnostic>& warnings) {
  auto object = package_object(package, base);
  if (!warnings.empty()) object["diagnostics"] = diagnostics_array(warnings);
  return json::serialize(object);
}

std::string packages_json(const Catalogue& catalogue, const std::string& base) {
  json::array all;
  for (const auto& [id, package] : catalogue.packages()) all.push_back(package_object(package, base));
  return json::serialize(json::object{{"deployments", std::move(all)}});
}

std::string diagnostics_json(const std::vector<bpel::Diagnostic>& diagnostics) {
  return json::serialize(
      json::object{{"error", "the package is not accepted"}, {"diagnostics", diagnostics_array(diagnostics)}});
}

std::string instances_json(const std::vector<bpel::InstanceSummary>& instances, bool more) {
  json::array all;
  for (const auto& one : instances) all.push_back(summary_object(one));
  json::object object{{"instances", std::move(all)}};
  if (more && !instances.empty()) object["next"] = instances.back().id;
  return json::serialize(object);
}

std::string instance_json(const InstanceView& view) {
  auto object = summary_object(view.details.summary);
  json::array active, history, below;
  for (const auto& one : view.details.activities) {
    active.push_back(json::object{{"node", one.node},
                                  {"kind", one.kind},
                                  {"name", one.name},
                                  {"path", one.path},
                                  {"region", one.region},
                                  {"state", one.state},
                                  {"file", one.file},
                                  {"line", one.line}});
  }
  for (const auto& one : view.details.history) {
    json::object entry{{"sequence", one.sequence}, {"time", one.time.to_string()}, {"kind", one.kind}};
    if (!one.operation.empty()) entry["operation"] = one.operation;
    history.push_back(std::move(entry));
  }
  for (const auto& one : view.children) below.push_back(summary_object(one));
  object["active"] = std::move(active);
  object["variables"] = variables(view.details);
  object["history"] = std::move(history);
  object["children"] = std::move(below);
  if (view.definition) {
    object["file"] = view.definition->file();
    std::vector<std::vector<bpel::NodeIndex>> children(view.nodes.size());
    for (const auto& node : view.definition->nodes()) {
      if (node->parent != bpel::kNone) children[node->parent].push_back(node->index);
    }
    if (!view.nodes.empty()) object["activities"] = tree(view, children, 0);
  }
  return json::serialize(object);
}

std::string replay_json(const bpel::journal::Replay& replay) {
  json::object object{{"same", replay.same}, {"steps", replay.steps}};
  if (!replay.same) {
    object["different"] = replay.different;
    object["explanation"] = replay.explanation;
  }
  return json::serialize(object);
}

std::string error_json(const Error& error) {
  return json::serialize(json::object{{"error", error.to_string()}, {"code", error_code_name(error.code())}});
}

}  // namespace nuraghe::bpelhost
