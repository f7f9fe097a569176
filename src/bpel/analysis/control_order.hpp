// Control order (WS-BPEL 2.0 §11.6.1, §12.5.2) as a graph over two events per node, its start and its end: a structured
// activity starts before and ends after what is in it, a sequence orders its members, a link leads from its source's
// end to its target's start.
//
// Peers are the scopes immediately enclosed in one scope. A peer depends on another when a path leads from something
// in that one to something in it, directly or through further peers.
#pragma once

#include <map>
#include <set>
#include <utility>
#include <vector>

#include "bpel/definition.hpp"

namespace nuraghe::bpel {

using OrderVertex = std::uint32_t;
inline OrderVertex start_of(NodeIndex node) { return 2 * node; }
inline OrderVertex end_of(NodeIndex node) { return 2 * node + 1; }

// Vertex → what comes right after it. Links without source or target are left out.
std::vector<std::vector<OrderVertex>> control_order(const ProcessDefinition& definition);

// Two peers that depend on each other, for each enclosing scope that has such (SA00082). The control order has no
// cycle.
std::vector<std::pair<NodeIndex, NodeIndex>> mutual_peers(const ProcessDefinition& definition);

// Scope → the peers that depend on it and may have begun before it ends (links lead out of it); others are ordered by
// their completion already. Where this would be too much work for one enclosing scope, its peers are left out.
std::map<NodeIndex, std::set<NodeIndex>> overlapping_dependents(const ProcessDefinition& definition);

}  // namespace nuraghe::bpel
