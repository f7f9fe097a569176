// Operators on sets of nodes that XPath expressions apply each with each.
//
// libxml2 compares two sets node by node, and joins them so: minutes for some 100,000 nodes, which no limit of it
// counts. with_set_functions() writes such operators as calls of functions (kCompareSets, kJoinSets) that need as much
// time as there are nodes and text, and are charged for it.
#pragma once

#include <string>
#include <string_view>

namespace nuraghe::xml {

// kCompareSets('=', A, B) is A = B of two sets of nodes; !=, <, <=, > and >= likewise (XPath 1.0 §3.4).
constexpr std::string_view kCompareSets = "nuraghe-compare-sets";
// kJoinSets(A, B, ...) is A | B | ... (XPath 1.0 §3.3).
constexpr std::string_view kJoinSets = "nuraghe-join-sets";

// The expression, which compiles, with those operators written as calls whose operands may both be many nodes: paths
// with a step that is no attribute, self or parent. Of a chain, as a = b = c, that is the operator which compares
// first: the others compare its Boolean.
std::string with_set_functions(std::string_view text);

}  // namespace nuraghe::xml
