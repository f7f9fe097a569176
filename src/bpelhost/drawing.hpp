// A process as an SVG picture: structured activities as nested boxes, links as arrows, handlers in boxes of their own
// beside what they belong to; the states of an instance as colours, with a legend. Plain SVG 1.1 without scripts and
// external references. Pure functions.
#pragma once

#include <string>
#include <vector>

#include "bpelhost/host.hpp"

namespace nuraghe::bpelhost {

// `nodes`: the states by index of node, or null.
std::string draw(const bpel::ProcessDefinition& definition, const std::vector<NodeState>* nodes = nullptr);

}  // namespace nuraghe::bpelhost
