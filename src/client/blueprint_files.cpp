#include "client/blueprint_files.hpp"

#include <fmt/format.h>

#include "env/posix.hpp"
#include "model/plan.hpp"

namespace nuraghe::client {
namespace {

constexpr Bytes kFileLimit = {4 << 20};

std::string folder_of(const std::string& file) {
  const auto slash = file.rfind('/');
  return slash == std::string::npos ? std::string(".") : file.substr(0, slash);
}

std::function<Result<std::string>(const std::string&)> files_beside(const std::string& folder) {
  return [folder](const std::string& reference) -> Result<std::string> {
    const bool leaves = reference.starts_with('/') || ("/" + reference + "/").find("/../") != std::string::npos;
    if (leaves) return denied(fmt::format("'{}' is not below the blueprint's folder", reference));
    return env::read_file(folder + "/" + reference, kFileLimit);
  };
}

}  // namespace

Result<model::ParsedBlueprint> read_blueprint(const std::string& file, model::ParseContext context) {
  TRY_ASSIGN(const auto text, env::read_file(file, kFileLimit));
  context.files = files_beside(folder_of(file));
  return model::parse_blueprint(text, file, context);
}

Result<xml::DocumentPtr> load_blueprint(const std::string& file, const std::string& name) {
  TRY_ASSIGN(auto parsed, read_blueprint(file));
  TRY(parsed.status());
  if (!parsed.inlined) return internal("a blueprint without findings was not made self-contained");
  if (!name.empty()) parsed.inlined->root().set_attribute("name", name);
  return std::move(*parsed.inlined).share();
}

Result<xml::DocumentPtr> load_node_configuration(const std::string& file, const std::string& name) {
  const auto slash = file.rfind('/');
  const std::string base = slash == std::string::npos ? file : file.substr(slash + 1);
  // One node of a cluster of its own: the same reading and the same checks as a blueprint's.
  xml::Document cluster = xml::Document::create({model::kClusterNamespace, "cluster"});
  cluster.root().set_attribute("name", "single");
  // A cluster needs a network; the host does not get it.
  cluster.root().append_element(model::kClusterNamespace, "network").set_attribute("name", "none");
  xml::Node node = cluster.root().append_element(model::kClusterNamespace, "node");
  node.set_attribute("name", name.empty() ? base.substr(0, base.find('.')) : name);
  node.append_element(model::kNodeNamespace, "configuration").set_attribute("href", base);
  model::ParseContext context;
  context.files = files_beside(folder_of(file));
  const auto parsed = model::parse_blueprint(cluster.to_string(), file, context);
  TRY(parsed.status());
  if (!parsed.blueprint.groups.front().configuration.networks.empty())
    return unsupported(
        fmt::format("{}: <network>: a single virtual host is in no network; only a cluster has some", file));
  auto nodes = model::expand(parsed.blueprint);
  nodes.front().node.nics.clear();
  return model::node_fragment(nodes.front().node).share();
}

}  // namespace nuraghe::client
