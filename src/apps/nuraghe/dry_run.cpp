#include "apps/nuraghe/dry_run.hpp"

#include <fmt/format.h>

#include <map>

#include "client/blueprint_files.hpp"
#include "contracts/vhir.hpp"
#include "model/plan.hpp"
#include "services/vhir/match.hpp"

namespace nuraghe::cli {
namespace {

// "mini:1", as the repository would answer now.
Result<std::string> image_of(const std::vector<contracts::vhir::Image>& images, const model::ImageRequirement& wanted) {
  contracts::vhir::Requirement requirement;
  const auto set = [](std::optional<std::string>& field, const std::string& value) {
    if (!value.empty()) field = value;
  };
  set(requirement.name, wanted.name);
  set(requirement.type, wanted.type);
  set(requirement.system, wanted.system);
  set(requirement.version, wanted.version);
  set(requirement.architecture, wanted.architecture);
  TRY_ASSIGN(const auto* image, services::vhir::best_match(images, requirement));
  return image->name + ":" + image->version;
}

std::string networks_of(const model::Node& node) {
  std::string names;
  for (const auto& nic : node.nics) names += (names.empty() ? "" : ", ") + nic.network;
  return names.empty() ? "no network" : names;
}

}  // namespace

Result<std::vector<PlannedStep>> steps_of_create(Context& context, const std::string& file,
                                                 const contracts::vhf::Grant& grant) {
  TRY_ASSIGN(const auto parsed, client::read_blueprint(file));
  TRY(parsed.status());
  std::vector<PlannedStep> steps;
  std::map<std::string, std::string> place_of;
  for (const auto& place : grant.placement) {
    place_of[place.node] = place.physical_host;
    steps.push_back({"reserved", place.node, fmt::format("{} is reserved on {}", place.node, place.physical_host)});
  }
  for (const auto& network : parsed.blueprint.networks)
    steps.push_back({"network", network.name, fmt::format("network {} is made", network.name)});
  TRY_ASSIGN(auto* connection, context.connection());
  contracts::vhir::Client repository(connection->caller(), connection->service("vhir"));
  TRY_ASSIGN(const auto listed, repository.list_images({}));
  std::map<std::string, std::string> images;  // many nodes ask for the same
  for (const auto& planned : model::expand(parsed.blueprint)) {
    const auto& node = planned.node;
    const std::string wanted = node.image.to_string();
    if (!images.contains(wanted)) {
      TRY_ASSIGN(images[wanted], image_of(listed.catalogue.image, node.image));
    }
    steps.push_back({"referenced", node.name, fmt::format("image {} is referenced for {}", images[wanted], node.name)});
    steps.push_back({"created", node.name, fmt::format("{} is created on {}", node.name, place_of[node.name])});
    steps.push_back({"booted", node.name, node.name + " boots"});
    steps.push_back({"joined", node.name, fmt::format("{} joins {}", node.name, networks_of(node))});
  }
  return steps;
}

}  // namespace nuraghe::cli
