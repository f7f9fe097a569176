// Which names an XPath expression mentions, found by a scan of its tokens (XPath 1.0 §3.7).
#pragma once

#include <string>
#include <string_view>
#include <vector>

namespace nuraghe::xml {

// A predicate "[number($v)]": the position $v.
struct PositionByVariable {
  std::size_t begin = 0, end = 0;  // of what stands between the brackets
  std::string variable;            // without a prefix
};

struct XPathNames {
  std::vector<std::string> variables;           // as written, without '$'
  std::vector<std::string> prefixed_functions;  // as written
  std::vector<std::string> prefixes;            // every prefix used
  std::vector<PositionByVariable> positions;    // in the order of appearance
  int wide_steps = 0;    // "//" and axes that go through much of a tree: ancestor, descendant, following, preceding
  bool balanced = true;  // every ( and [ has its ) and ]: libxml2 takes "f(1" for a call
};
// Each list without duplicates, in the order of appearance. Accepts any text, well-formed or not.
XPathNames scan_xpath_names(std::string_view text);

}  // namespace nuraghe::xml
