// The image repository's catalogue as blueprints are checked against it.
#pragma once

#include "contracts/vhir.hpp"
#include "model/blueprint.hpp"

namespace nuraghe::services {

contracts::vhir::Requirement requirement_of(const model::ImageRequirement& requirement);

class Catalogue final : public model::ImageCatalogue {
 public:
  explicit Catalogue(const std::vector<contracts::vhir::Image>& images) : images_(images) {}
  Result<model::ImageFacts> find(const model::ImageRequirement& requirement) const override;
  std::set<std::string> names() const override;

 private:
  const std::vector<contracts::vhir::Image>& images_;
};

}  // namespace nuraghe::services
