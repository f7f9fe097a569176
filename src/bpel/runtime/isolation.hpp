// What isolated scopes use of the scopes around them (WS-BPEL 2.0 §12.8).
#pragma once

#include <map>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "bpel/definition.hpp"
#include "bpel/runtime/state.hpp"

namespace nuraghe::bpel::runtime {

// 'v': a variable, 'p': a partner link, 'c': a correlation set; declared outside of the isolated scope.
using SharedThing = std::pair<char, SlotRef>;
struct SharedAccess {
  std::set<SharedThing> reads, writes;  // what is written is not among the reads
};
// For each isolated scope what its activities, handlers and initialisations may use.
std::map<ScopeIndex, SharedAccess> isolated_accesses(const ProcessDefinition& definition,
                                                     const std::vector<NodeIndex>& subtree_end);

}  // namespace nuraghe::bpel::runtime
