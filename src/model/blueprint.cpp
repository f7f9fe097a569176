#include "model/blueprint.hpp"

#include <fmt/format.h>

#include "model/blueprint_reader.hpp"
#include "model/plan.hpp"
#include "model/read.hpp"

namespace nuraghe::model {

std::vector<std::string> NodeGroup::node_names() const {
  if (!count) return {name};
  std::vector<std::string> names;
  for (std::int64_t number = 1; number <= *count; ++number) names.push_back(fmt::format("{}-{}", name, number));
  return names;
}

Status ParsedBlueprint::status() const { return status_of(findings); }
Status ParsedConfiguration::status() const { return status_of(findings); }

ParsedBlueprint parse_blueprint(std::string_view text, const std::string& source, const ParseContext& context) {
  xml::ParseOptions options;
  options.source = source;
  options.max_size = mib(16);
  const auto document = xml::Document::parse(text, options);
  if (document) return parse_blueprint(*document, context);
  ParsedBlueprint parsed;
  parsed.findings.push_back(finding_of(document.error(), source));
  return parsed;
}

ParsedBlueprint parse_blueprint(const xml::Document& document, const ParseContext& context) {
  ParsedBlueprint parsed;
  Findings findings;
  const xml::Node root = document.root();
  if (!root.is(kClusterNamespace, "cluster")) {
    findings.add(where_of(root, document.source()),
                 fmt::format("a blueprint is expected: <cluster xmlns=\"{}\">", kClusterNamespace));
    parsed.findings = findings.take(document.source());
    return parsed;
  }
  findings.add_all(cluster_schema().validate(document));
  BlueprintReader reader(document, context, findings);
  BlueprintSource source = reader.read();
  check_blueprint(source, context, findings);
  parsed.blueprint = std::move(source.blueprint);
  parsed.findings = findings.take(document.source());
  if (parsed.ok()) {
    parsed.inlined = reader.inlined();
    parsed.places = reader.places();
  }
  return parsed;
}

ParsedConfiguration parse_configuration(const ConfigurationSource& source, const ParseContext& context) {
  ParsedConfiguration parsed;
  Findings findings;
  const auto document = read_configuration_file(source.text, source.source, findings);
  std::optional<NodeGroup> group;
  if (document) group = BlueprintReader(*document, context, findings).read_single(source.chosen);
  if (group) {
    // A name of its own is the schema's to check.
    const bool is_own = !group->name.empty();
    if (!is_own) group->name = source.fallback;
    if (!source.name.empty()) group->name = source.name;
    if ((!is_own || !source.name.empty()) && !is_host_name(group->name))
      findings.add(group->where,
                   fmt::format("the host cannot be named '{}'; a name is {}; choose one", group->name, kNameRule));
    check_configuration(*group, context, findings);
    if (!group->configuration.networks.empty())
      findings.add(group->configuration.networks.front().where,
                   "a single virtual host is in no network, only a cluster has some; remove it");
  }
  parsed.findings = findings.take(source.source);
  if (!parsed.findings.empty()) return parsed;
  Blueprint single;
  single.groups.push_back(std::move(*group));
  parsed.node = std::move(expand(single).front().node);
  return parsed;
}

}  // namespace nuraghe::model
