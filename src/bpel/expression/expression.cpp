#include "bpel/expression/expression.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <charconv>

#include "bpel/definition.hpp"
#include "xml/xslt.hpp"

namespace nuraghe::bpel {

namespace {

std::string collapsed(std::string_view text) {
  const auto from = text.find_first_not_of(" \t\r\n");
  if (from == std::string_view::npos) return {};
  return std::string(text.substr(from, text.find_last_not_of(" \t\r\n") - from + 1));
}

// How a document of a declared type shows itself to XPath (§8.2.2): a node, or for simple types a string, Boolean or
// number.
xml::XPathValue as_xpath_value(const xml::Document& document, wsdl::TypeClass type_class, bool is_element) {
  const xml::Node root = document.root();
  if (is_element || type_class == wsdl::TypeClass::kComplex) return xml::NodeSet{root};
  std::string text = root.text();
  if (type_class == wsdl::TypeClass::kString) return text;
  text = collapsed(text);
  if (type_class == wsdl::TypeClass::kBoolean) return text == "true" || text == "1";
  return xml::to_number(text);
}

EvaluationFault uninitialised(std::string_view name) {
  return standard_fault(faults::kUninitializedVariable, fmt::format("${} has no value", name));
}

// One evaluation: answers XPath's questions and keeps the fault that stopped it.
class Evaluation {
 public:
  Evaluation(const Expression& expression, EvaluationContext& context) : expression_(expression), context_(context) {}

  Evaluated<ExpressionValue> run(xml::Node node) {
    xml::XPathContext xpath;
    xpath.node = node;
    xpath.variable = [this](const xml::QName& name) { return hand_over(variable(name)); };
    xpath.function = [this](const xml::QName& name, const std::vector<xml::XPathValue>& arguments) {
      return hand_over(function(name, arguments));
    };
    auto value = expression_.xpath->evaluate(xpath);
    if (fault_) return std::move(*fault_);
    if (!value) {
      return standard_fault(faults::kSubLanguageExecutionFault,
                            fmt::format("'{}': {}", expression_.text(), value.error().message()));
    }
    return ExpressionValue{std::move(*value), std::move(owned_)};
  }

 private:
  Result<xml::XPathValue> hand_over(Evaluated<xml::XPathValue> value) {
    if (value) return std::move(*value);
    if (!fault_) fault_ = std::move(value.error());
    return invalid(fault_->message);
  }

  Evaluated<xml::XPathValue> variable(const xml::QName& name) {
    const auto use = std::find_if(expression_.variables.begin(), expression_.variables.end(),
                                  [&](const VariableUse& candidate) { return candidate.text == name.local; });
    if (!name.ns.empty() || use == expression_.variables.end())
      return standard_fault(faults::kSubLanguageExecutionFault, fmt::format("${} is unknown", name.to_string()));
    if (use->link != kNone) {
      TRY_ASSIGN(const bool status, context_.link_status(use->link));
      return xml::XPathValue(status);
    }
    TRY_ASSIGN(const VariableValue* const value, context_.variable(use->variable));
    if (value == nullptr || !value->initialised) return uninitialised(use->text);
    const xml::DocumentPtr document = value->part(use->part);
    if (document == nullptr) return uninitialised(use->text);
    const Variable& declaration = *use->declaration;
    if (declaration.kind != VariableKind::kMessage)
      return as_xpath_value(*document, declaration.type_class, declaration.kind == VariableKind::kElement);
    return as_xpath_value(*document, use->part_class, use->part_is_element);
  }

  Evaluated<xml::XPathValue> function(const xml::QName& name, const std::vector<xml::XPathValue>& arguments) {
    if (name.ns == kBpelNamespace && name.local == "getVariableProperty" && arguments.size() == 2) {
      const std::string variable_name = xml::to_string(arguments[0]);
      const std::string property_text = xml::to_string(arguments[1]);
      for (const PropertyUse& use : expression_.properties) {
        if (use.variable_name != variable_name || use.property_text != property_text) continue;
        TRY_ASSIGN(const VariableValue* const value, context_.variable(use.variable));
        if (value == nullptr || !value->initialised) return uninitialised(use.variable_name);
        TRY_ASSIGN(auto found, property_node(*use.alias, *value));
        if (!use.boolean) return found;
        // As a variable of that type shows itself (§8.2.2), so that "false" is false in a condition (§15.1.3).
        const std::string text = collapsed(xml::to_string(found));
        return xml::XPathValue(text == "true" || text == "1");
      }
    }
    if (name.ns == kBpelNamespace && name.local == "doXslTransform" && arguments.size() >= 2)
      return transform(arguments);
    return standard_fault(faults::kSubLanguageExecutionFault,
                          fmt::format("the function {} is unknown", name.to_string()));
  }

  Evaluated<xml::XPathValue> transform(const std::vector<xml::XPathValue>& arguments) {
    const std::string location = xml::to_string(arguments[0]);
    const auto* const nodes = std::get_if<xml::NodeSet>(&arguments[1]);
    const bool one_element =
        nodes != nullptr && nodes->size() == 1 &&
        (nodes->front().kind() == xml::NodeKind::kElement || nodes->front().kind() == xml::NodeKind::kDocument);
    if (!one_element) {
      return standard_fault(faults::kXsltInvalidSource,
                            fmt::format("the source of a transformation by '{}' must be one element", location));
    }
    std::vector<xml::XsltParameter> parameters;
    for (std::size_t i = 2; i + 1 < arguments.size(); i += 2) {
      const auto name = expression_.parameter_names.find(xml::to_string(arguments[i]));
      if (name == expression_.parameter_names.end())
        return standard_fault(faults::kSubLanguageExecutionFault, "a parameter of doXslTransform has no name");
      parameters.push_back({name->second, arguments[i + 1]});
    }
    TRY_ASSIGN(const auto sheet, context_.stylesheet(location));
    auto result = sheet->transform(nodes->front(), parameters);
    if (!result) return standard_fault(faults::kSubLanguageExecutionFault, result.error().to_string());
    xml::XPathValue value;
    if (auto* text = std::get_if<std::string>(&*result)) {
      value = std::move(*text);
      return value;
    }
    owned_.push_back(std::get<xml::DocumentPtr>(*result));
    xml::NodeSet made;
    made.push_back(owned_.back()->root());
    value = std::move(made);
    return value;
  }

  const Expression& expression_;
  EvaluationContext& context_;
  std::vector<xml::DocumentPtr> owned_;
  std::optional<EvaluationFault> fault_;
};

}  // namespace

bool is_standard_fault(const xml::QName& name) {
  static constexpr std::array<std::string_view, 20> kStandard = {faults::kAmbiguousReceive,
                                                                 faults::kCompletionConditionFailure,
                                                                 faults::kConflictingReceive,
                                                                 faults::kConflictingRequest,
                                                                 faults::kCorrelationViolation,
                                                                 faults::kInvalidBranchCondition,
                                                                 faults::kInvalidExpressionValue,
                                                                 faults::kInvalidVariables,
                                                                 faults::kJoinFailure,
                                                                 faults::kMismatchedAssignmentFailure,
                                                                 faults::kMissingReply,
                                                                 faults::kMissingRequest,
                                                                 faults::kScopeInitializationFailure,
                                                                 faults::kSelectionFailure,
                                                                 faults::kSubLanguageExecutionFault,
                                                                 faults::kUninitializedPartnerRole,
                                                                 faults::kUninitializedVariable,
                                                                 faults::kUnsupportedReference,
                                                                 faults::kXsltInvalidSource,
                                                                 faults::kXsltStylesheetNotFound};
  return name.ns == kBpelNamespace && std::find(kStandard.begin(), kStandard.end(), name.local) != kStandard.end();
}

bool ends_process_where_asked(const xml::QName& name) {
  return is_standard_fault(name) && name.local != faults::kJoinFailure;
}

Evaluated<ExpressionValue> evaluate(const Expression& expression, EvaluationContext& context) {
  return Evaluation(expression, context).run(xml::Node());
}

Evaluated<ExpressionValue> evaluate_at(const Expression& expression, EvaluationContext& context, xml::Node node) {
  return Evaluation(expression, context).run(node);
}

Evaluated<bool> evaluate_boolean(const Expression& expression, EvaluationContext& context) {
  TRY_ASSIGN(const ExpressionValue result, evaluate(expression, context));
  return xml::to_boolean(result.value);
}

Evaluated<std::string> evaluate_string(const Expression& expression, EvaluationContext& context) {
  TRY_ASSIGN(const ExpressionValue result, evaluate(expression, context));
  return xml::to_string(result.value);
}

Evaluated<std::uint32_t> evaluate_unsigned(const Expression& expression, EvaluationContext& context) {
  TRY_ASSIGN(const std::string text, evaluate_string(expression, context));
  std::string digits = collapsed(text);
  if (digits.starts_with('+')) digits.erase(0, 1);
  // XPath's number of it, where it is written otherwise: "5.0".
  if (digits.find('.') != std::string::npos) digits = xml::to_string(xml::XPathValue(xml::to_number(digits)));
  std::uint32_t number = 0;
  const auto [end, error] = std::from_chars(digits.data(), digits.data() + digits.size(), number);
  if (digits.empty() || error != std::errc() || end != digits.data() + digits.size()) {
    return standard_fault(faults::kInvalidExpressionValue,
                          fmt::format("'{}' gives '{}', which is no xsd:unsignedInt", expression.text(), text));
  }
  return number;
}

Evaluated<TimePoint> evaluate_for(const Expression& expression, EvaluationContext& context, TimePoint now) {
  TRY_ASSIGN(const std::string text, evaluate_string(expression, context));
  const auto due = add_duration(now, collapsed(text));
  if (due) return *due;
  return standard_fault(faults::kInvalidExpressionValue,
                        fmt::format("'{}' gives '{}': {}", expression.text(), text, due.error().message()));
}

Evaluated<TimePoint> evaluate_until(const Expression& expression, EvaluationContext& context) {
  TRY_ASSIGN(const std::string text, evaluate_string(expression, context));
  const auto due = parse_deadline(collapsed(text));
  if (due) return *due;
  return standard_fault(faults::kInvalidExpressionValue,
                        fmt::format("'{}' gives '{}': {}", expression.text(), text, due.error().message()));
}

Evaluated<xml::XPathValue> property_node(const wsdl::PropertyAlias& alias, const VariableValue& value, bool* missing) {
  xml::XPathValue found;
  const xml::DocumentPtr document = value.initialised ? value.part(alias.part) : nullptr;
  if (document == nullptr) {
    return standard_fault(faults::kUninitializedVariable,
                          fmt::format("what holds the property {} has no value", alias.property.to_string()));
  }
  if (alias.query == nullptr) {
    // The root of a value given by type has no name of its own.
    if (document->root().namespace_uri().empty() && !document->root().has_element_children())
      found = document->root().text();
    else
      found = xml::NodeSet(1, document->root());
    return found;
  }
  xml::XPathContext context;
  context.node = document->root();
  auto selected = alias.query->evaluate(context);
  if (!selected) {
    return standard_fault(
        faults::kSubLanguageExecutionFault,
        fmt::format("the query of property {}: {}", alias.property.to_string(), selected.error().message()));
  }
  found = std::move(*selected);
  const auto* const nodes = std::get_if<xml::NodeSet>(&found);
  if (nodes == nullptr || nodes->size() == 1) return found;
  if (nodes->empty() && missing != nullptr) {
    *missing = true;
    return found;
  }
  return standard_fault(faults::kSelectionFailure,
                        fmt::format("the query '{}' of property {} selects {} nodes", alias.query->text(),
                                    alias.property.to_string(), nodes->size()));
}

Evaluated<std::string> property_value(const wsdl::PropertyAlias& alias, const VariableValue& value) {
  TRY_ASSIGN(const xml::XPathValue found, property_node(alias, value));
  return xml::to_string(found);
}

namespace {

// A decimal as every other way to write it: "007.50" is "7.5". What is no decimal stays as it is.
std::string plain_decimal(const std::string& text) {
  std::string digits = text;
  const bool negative = digits.starts_with('-');
  if (negative || digits.starts_with('+')) digits.erase(0, 1);
  const bool plain = digits.find_first_of("0123456789") != std::string::npos &&
                     digits.find_first_not_of("0123456789.") == std::string::npos &&
                     std::count(digits.begin(), digits.end(), '.') <= 1;
  if (!plain) return text;
  if (digits.find('.') != std::string::npos) {
    digits.erase(digits.find_last_not_of('0') + 1);
    if (digits.ends_with('.')) digits.pop_back();
  }
  digits.erase(0, std::min(digits.find_first_not_of('0'), digits.size()));
  const bool below_one = digits.empty() || digits.front() == '.';
  std::string plain_text;
  if (negative && !digits.empty()) plain_text.push_back('-');
  if (below_one) plain_text.push_back('0');
  return plain_text.append(digits);
}

// The value as its type compares it (XML Schema part 2), so that equal ones are equal texts.
std::string comparable(const wsdl::Definitions& wsdl, const xml::QName& property, std::string value) {
  const wsdl::Property* const declared = wsdl.property(property);
  if (declared == nullptr) return value;
  std::optional<wsdl::TypeClass> sort = wsdl.type_class(declared->type);
  if (const auto* element = wsdl.schema_element(declared->element)) sort = element->type_class;
  if (sort == wsdl::TypeClass::kNumber) return plain_decimal(collapsed(value));
  if (sort == wsdl::TypeClass::kBoolean) {
    const std::string text = collapsed(value);
    return text == "1" ? "true" : text == "0" ? "false" : text;
  }
  const bool blanks_count = declared->type.ns != wsdl::kSchemaNamespace || declared->type.local == "string" ||
                            declared->type.local == "normalizedString" || declared->type.local == "anySimpleType";
  return blanks_count ? value : collapsed(value);
}

}  // namespace

Evaluated<std::string> message_property_value(const wsdl::Definitions& wsdl, const xml::QName& property,
                                              const xml::QName& message, const VariableValue& value) {
  const wsdl::PropertyAlias* const alias = wsdl.alias_for_message(property, message);
  if (alias != nullptr) {
    TRY_ASSIGN(auto text, property_value(*alias, value));
    return comparable(wsdl, property, std::move(text));
  }
  // A message of one element part may have the alias of that element.
  const wsdl::Message* const declared = wsdl.message(message);
  if (declared != nullptr && declared->parts.size() == 1) {
    const wsdl::PropertyAlias* const of_element = wsdl.alias_for_element(property, declared->parts.front().element);
    if (of_element != nullptr) {
      const xml::DocumentPtr part = value.part(declared->parts.front().name);
      TRY_ASSIGN(auto text, property_value(*of_element, part == nullptr ? VariableValue() : VariableValue::of(part)));
      return comparable(wsdl, property, std::move(text));
    }
  }
  return standard_fault(faults::kSelectionFailure, fmt::format("no property alias says where {} is in the message {}",
                                                               property.to_string(), message.to_string()));
}

}  // namespace nuraghe::bpel
