// The steps that a create would take.
#pragma once

#include <string>
#include <vector>

#include "apps/nuraghe/context.hpp"

namespace nuraghe::cli {

struct PlannedStep {
  std::string word;  // reserved, network, referenced, created, booted, joined
  std::string of;    // the node's name; a network's for `network`
  std::string text;  // one sentence
};

// Those of the blueprint in `file` with the places of `grant`, each node's in their order; reservations come first.
Result<std::vector<PlannedStep>> steps_of_create(Context& context, const std::string& file,
                                                 const contracts::vhf::Grant& grant);

}  // namespace nuraghe::cli
