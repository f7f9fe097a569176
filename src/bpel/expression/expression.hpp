// Expressions of a process: XPath 1.0 with the rules of WS-BPEL 2.0 §8.2 and §8.3.
//
// An expression is compiled once, when the process is parsed, with its variables resolved to slots. It reads the
// process only through an EvaluationContext, which the runtime implements. Compiled expressions are immutable and
// may be used by several threads at once.
#pragma once

#include <map>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "base/units.hpp"
#include "bpel/expression/value.hpp"
#include "soap/wsdl.hpp"
#include "xml/xpath.hpp"

namespace nuraghe::xml {
class Stylesheet;
}

namespace nuraghe::bpel {

struct Variable;          // definition.hpp
class ProcessDefinition;  // definition.hpp

// What expressions may ask of the instance. The runtime implements it; one thread at a time.
class EvaluationContext {
 public:
  virtual ~EvaluationContext() = default;
  // The variable's present value, or null when it has none (an expression that needs one then raises
  // uninitializedVariable). Only an engine failure is an error. The value stays valid until the context changes it.
  virtual Evaluated<const VariableValue*> variable(const VariableRef& ref) = 0;
  // The status of a link; asked only by join conditions, when all links of the activity are determined.
  virtual Evaluated<bool> link_status(LinkIndex link) = 0;
  // The package's style sheet of that location, relative to the process's file. xsltStylesheetNotFound when there is
  // none, subLanguageExecutionFault for one that is no XSLT.
  virtual Evaluated<std::shared_ptr<const xml::Stylesheet>> stylesheet(std::string_view location) = 0;
};

// One variable that an expression mentions: $name or $name.part.
struct VariableUse {
  std::string text;                                        // as written, without '$'
  VariableRef variable;                                    // unset for a link
  std::string part;                                        // of a message variable; empty: none
  wsdl::TypeClass part_class = wsdl::TypeClass::kComplex;  // of a part given by type
  bool part_is_element = true;
  LinkIndex link = kNone;                 // a link's status, in join conditions
  const Variable* declaration = nullptr;  // owned by the definition
};

// A property read by bpel:getVariableProperty('variable', 'property'), both literals.
struct PropertyUse {
  std::string variable_name;
  std::string property_text;  // as written
  VariableRef variable;
  xml::QName property;
  const wsdl::PropertyAlias* alias = nullptr;  // for the variable's type
  const Variable* declaration = nullptr;
  bool boolean = false;  // the property is of a Boolean type
};

struct Expression {
  std::shared_ptr<const xml::XPath> xpath;  // never null in a definition that parsed without findings
  std::vector<VariableUse> variables;
  std::vector<PropertyUse> properties;
  std::map<std::string, xml::QName, std::less<>> parameter_names;  // of doXslTransform, as written
  xml::Position where;
  const std::string& text() const { return xpath->text(); }
};

// The result of an evaluation. Its nodes live in documents of the context's variables or in `owned`.
struct ExpressionValue {
  xml::XPathValue value;
  std::vector<xml::DocumentPtr> owned;
};

// All of these raise: uninitializedVariable for a variable or part without value; subLanguageExecutionFault for
// an error of XPath or XSLT itself or of their limits; selectionFailure where a property's query selects not one node;
// xsltInvalidSource and xsltStylesheetNotFound by bpel:doXslTransform (§8.3.7).
Evaluated<ExpressionValue> evaluate(const Expression& expression, EvaluationContext& context);
// With a context node (queries of from-spec, to-spec and alias); null: none.
Evaluated<ExpressionValue> evaluate_at(const Expression& expression, EvaluationContext& context, xml::Node node);
// Conditions of if, while, repeatUntil, joins and transitions: XPath's boolean(). (§8.3.1)
Evaluated<bool> evaluate_boolean(const Expression& expression, EvaluationContext& context);
// XPath's string().
Evaluated<std::string> evaluate_string(const Expression& expression, EvaluationContext& context);
// An xsd:unsignedInt (forEach counters, branches; §8.3.4, §11.7); invalidExpressionValue for anything else.
Evaluated<std::uint32_t> evaluate_unsigned(const Expression& expression, EvaluationContext& context);
// When a <for> that starts at `now` is over: now + xsd:duration, calendar months counted as such (§8.3.3);
// invalidExpressionValue for anything else. A negative or zero duration gives a time that is not after now.
Evaluated<TimePoint> evaluate_for(const Expression& expression, EvaluationContext& context, TimePoint now);
// The time of an <until>: xsd:dateTime or xsd:date (§8.3.2); invalidExpressionValue for anything else.
Evaluated<TimePoint> evaluate_until(const Expression& expression, EvaluationContext& context);

// Adds an xsd:duration to a time by the rules of XML Schema part 2, appendix E; kInvalid when it is not one.
Result<TimePoint> add_duration(TimePoint start, std::string_view duration);
// xsd:dateTime or xsd:date (midnight UTC when it has no zone); kInvalid for anything else.
Result<TimePoint> parse_deadline(std::string_view text);

// The value of a property in a value (§7.3), found by an alias for the value's message type, element or type: the
// selected node's text. selectionFailure when the query does not select exactly one node, uninitializedVariable when
// the value or that part of it is missing.
Evaluated<std::string> property_value(const wsdl::PropertyAlias& alias, const VariableValue& value);
// The same as XPath sees it: the node in the value, or the string of a simple value. `missing`, when given, is set and
// nothing raised where the query selects no node.
Evaluated<xml::XPathValue> property_node(const wsdl::PropertyAlias& alias, const VariableValue& value,
                                         bool* missing = nullptr);
// The same in a message on its way (correlation): `message` names its WSDL message; selectionFailure when there is no
// alias.
Evaluated<std::string> message_property_value(const wsdl::Definitions& wsdl, const xml::QName& property,
                                              const xml::QName& message, const VariableValue& value);

}  // namespace nuraghe::bpel
