#include "services/catalogue.hpp"

#include "services/vhir/match.hpp"

namespace nuraghe::services {

contracts::vhir::Requirement requirement_of(const model::ImageRequirement& requirement) {
  contracts::vhir::Requirement result;
  const auto set = [](std::optional<std::string>& target, const std::string& value) {
    if (!value.empty()) target = value;
  };
  set(result.name, requirement.name);
  set(result.type, requirement.type);
  set(result.system, requirement.system);
  set(result.version, requirement.version);
  set(result.architecture, requirement.architecture);
  return result;
}

Result<model::ImageFacts> Catalogue::find(const model::ImageRequirement& requirement) const {
  TRY_ASSIGN(const auto* image, vhir::best_match(images_, requirement_of(requirement)));
  model::ImageFacts facts;
  facts.name = image->name;
  facts.version = image->version;
  facts.minimum_memory = image->minimum_memory;
  facts.disk_size = image->disk_size;
  facts.takes_seed = image->seed != "none";
  return facts;
}

std::set<std::string> Catalogue::names() const {
  std::set<std::string> names;
  for (const auto& image : images_) names.insert(image.name);
  return names;
}

}  // namespace nuraghe::services
