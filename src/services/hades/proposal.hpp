// What a machine can do for a node, and how an inspection differs from the one before: decided from values alone. Pure.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "contracts/hades.hpp"
#include "model/node.hpp"

namespace nuraghe::services::hades {

// Says everything that is missing, not only the first. The smallest disk that is large enough is proposed, the other
// ones are alternatives. Without a `hardware` the machine was never inspected, and nothing is feasible. The estimate is
// the caller's to give.
contracts::hades::Proposal propose(const std::optional<contracts::hades::Hardware>& hardware, const model::Node& node);

// One sentence for each thing that is otherwise than before: "8 cpus instead of 16".
std::vector<std::string> differences(const contracts::hades::Hardware& before, const contracts::hades::Hardware& now);

}  // namespace nuraghe::services::hades
