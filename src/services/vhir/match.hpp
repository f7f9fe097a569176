// Which image meets a requirement best. Pure.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "contracts/vhir.hpp"

namespace nuraghe::services::vhir {

namespace api = contracts::vhir;

// Compares dotted versions number by number ("12.10" > "12.9"); parts that are no numbers compare as text.
int compare_versions(std::string_view a, std::string_view b);
// True when `version` meets `wanted`: equal, or a bound such as ">=12", ">12", "<=12", "<13", or several with commas.
bool version_meets(std::string_view version, std::string_view wanted);

// The image that fits; of several the one with the newest system, then the newest image version. kNotFound names the
// nearest and says in what it does not fit. A name may carry a version: "mini:1". Points into `images`.
Result<const api::Image*> best_match(const std::vector<api::Image>& images, const api::Requirement& requirement);

}  // namespace nuraghe::services::vhir
