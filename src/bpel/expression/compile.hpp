// Compiling an expression of a process: names resolved to slots, the rules of WS-BPEL 2.0 §8.2, §8.3, §8.4 and §11.6.2
// that can be seen in its syntax checked. Used by the parser.
#pragma once

#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "bpel/definition.hpp"

namespace nuraghe::bpel {

enum class ExpressionUse {
  kValue,          // no context node; variables
  kQuery,          // of from-spec and to-spec: a context node, variables
  kLValue,         // of to-spec: begins with a variable
  kJoinCondition,  // only the statuses of incoming links
};

// What the place of an expression lets it name.
class NameScope {
 public:
  virtual ~NameScope() = default;
  virtual std::pair<VariableRef, const Variable*> find_variable(std::string_view name) const = 0;  // null: unknown
  virtual LinkIndex find_incoming_link(std::string_view name) const = 0;                           // kNone: unknown
};

struct ExpressionFinding {
  std::string rule;  // "SA00027" or empty
  std::string sentence;
};

// The text that stands directly in an element, without that of its children (such as <documentation>).
std::string own_text(xml::Node element);

// The expression that is the own text of `element`, whose prefixes it uses. Nullopt when it does not compile; then, and
// whenever a rule is broken, there are findings.
std::optional<Expression> compile_expression(xml::Node element, ExpressionUse use, const NameScope& names,
                                             const wsdl::Definitions& wsdl, std::vector<ExpressionFinding>& findings);

// The alias by which a variable's property is found; null when there is none (SA00021).
const wsdl::PropertyAlias* alias_of(const wsdl::Definitions& wsdl, const xml::QName& property,
                                    const Variable& variable);

// For an L-value that is just $name or $name.part.
bool is_plain_variable(const Expression& expression);

// True when the expression can be seen to give a text (a string, number, Boolean, attribute or text node) and never an
// element.
bool is_text(const Expression& expression);

// True when the expression is a number or a string and nothing else; for rules on constants.
std::optional<std::string> constant_of(const Expression& expression);

}  // namespace nuraghe::bpel
