// The syntax of an XPath 1.0 expression as a tree: what static analysis must see (rules SA00027 to SA00031, SA00033,
// SA00039 to SA00041, SA00073). Evaluation is src/xml's business; this tree is thrown away after parsing a process.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "base/result.hpp"

namespace nuraghe::bpel {

enum class SyntaxKind {
  kOr,
  kAnd,
  kEquality,
  kRelational,
  kAdditive,
  kMultiplicative,
  kUnion,         // two operands
  kNegate,        // one operand
  kLocationPath,  // begins at the context node or the root; predicates are children
  kFilterPath,    // first child: the primary expression; then predicates and steps' predicates
  kVariable,      // text: the name without '$'
  kLiteral,       // text: the string
  kNumber,
  kFunction,  // text: the name as written; children: arguments
};

struct XPathSyntax {
  SyntaxKind kind = SyntaxKind::kNumber;
  std::string text;
  std::vector<XPathSyntax> children;
  bool in_predicate = false;  // a child that stands in [ ]
};

// kInvalid for a text that is no XPath 1.0 expression; at most 64 levels deep.
Result<XPathSyntax> parse_xpath_syntax(std::string_view text);

}  // namespace nuraghe::bpel
