#include "bpel/expression/compile.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <array>

#include "base/check.hpp"
#include "bpel/expression/xpath_syntax.hpp"
#include "bpel/parse/grammar.hpp"

namespace nuraghe::bpel {

namespace {

std::string trimmed(std::string_view text) {
  const auto from = text.find_first_not_of(" \t\r\n");
  if (from == std::string_view::npos) return {};
  return std::string(text.substr(from, text.find_last_not_of(" \t\r\n") - from + 1));
}

struct CoreFunction {
  std::string_view name;
  std::size_t least, most;
};
constexpr std::size_t kAnyNumber = 1000;
// XPath 1.0 §4.
constexpr std::array<CoreFunction, 27> kCoreFunctions = {{{"last", 0, 0},
                                                          {"position", 0, 0},
                                                          {"count", 1, 1},
                                                          {"id", 1, 1},
                                                          {"local-name", 0, 1},
                                                          {"namespace-uri", 0, 1},
                                                          {"name", 0, 1},
                                                          {"string", 0, 1},
                                                          {"concat", 2, kAnyNumber},
                                                          {"starts-with", 2, 2},
                                                          {"contains", 2, 2},
                                                          {"substring-before", 2, 2},
                                                          {"substring-after", 2, 2},
                                                          {"substring", 2, 3},
                                                          {"string-length", 0, 1},
                                                          {"normalize-space", 0, 1},
                                                          {"translate", 3, 3},
                                                          {"boolean", 1, 1},
                                                          {"not", 1, 1},
                                                          {"true", 0, 0},
                                                          {"false", 0, 0},
                                                          {"lang", 1, 1},
                                                          {"number", 0, 1},
                                                          {"sum", 1, 1},
                                                          {"floor", 1, 1},
                                                          {"ceiling", 1, 1},
                                                          {"round", 1, 1}}};

class Checker {
 public:
  Checker(xml::Node element, ExpressionUse use, const NameScope& names, const wsdl::Definitions& wsdl,
          std::vector<ExpressionFinding>& findings, Expression& into)
      : element_(element), use_(use), names_(names), wsdl_(wsdl), findings_(findings), into_(into) {}

  void run(const XPathSyntax& syntax) {
    if (use_ == ExpressionUse::kJoinCondition) check_join(syntax);
    if (use_ == ExpressionUse::kLValue && !begins_with_variable(syntax))
      add("SA00033", "the expression of <to> must begin with a variable, such as $order/item");
    walk(syntax, use_ == ExpressionUse::kQuery);
  }

  void resolve_variable(const std::string& text);

 private:
  void add(std::string rule, std::string sentence) { findings_.push_back({std::move(rule), std::move(sentence)}); }

  static bool begins_with_variable(const XPathSyntax& syntax) {
    if (syntax.kind == SyntaxKind::kVariable) return true;
    return syntax.kind == SyntaxKind::kFilterPath && begins_with_variable(syntax.children.front());
  }

  // §11.6.2: Boolean operators and the incoming links' statuses, nothing else.
  void check_join(const XPathSyntax& syntax) {
    const bool operators = syntax.kind == SyntaxKind::kOr || syntax.kind == SyntaxKind::kAnd ||
                           syntax.kind == SyntaxKind::kEquality || syntax.kind == SyntaxKind::kVariable;
    const bool boolean_function =
        syntax.kind == SyntaxKind::kFunction &&
        (syntax.text == "not" || syntax.text == "true" || syntax.text == "false" || syntax.text == "boolean");
    if (!operators && !boolean_function) {
      if (syntax.kind == SyntaxKind::kFunction && is_bpel_function(syntax.text))
        return add("SA00028", "a join condition may not call functions of WS-BPEL");
      add("SA00073", "a join condition may use only Boolean operators and the statuses of the incoming links");
      return;
    }
    for (const XPathSyntax& child : syntax.children) check_join(child);
  }

  std::string function_namespace(const std::string& name) const {
    const auto colon = name.find(':');
    if (colon == std::string::npos) return {};
    return element_.namespace_of_prefix(name.substr(0, colon)).value_or("?");
  }
  bool is_bpel_function(const std::string& name) const { return function_namespace(name) == kBpelNamespace; }

  void walk(const XPathSyntax& syntax, bool has_context) {
    if (syntax.kind == SyntaxKind::kLocationPath && !has_context) {
      add("SA00027", "a path must begin with a variable ($name/...): an expression of a process has no context node");
    }
    if (syntax.kind == SyntaxKind::kFunction) check_function(syntax);
    for (const XPathSyntax& child : syntax.children) walk(child, has_context || child.in_predicate);
  }

  void check_function(const XPathSyntax& call) {
    if (call.text.find(':') == std::string::npos) {
      const auto* const known = std::find_if(kCoreFunctions.begin(), kCoreFunctions.end(),
                                             [&](const CoreFunction& core) { return core.name == call.text; });
      if (known == kCoreFunctions.end()) {
        add("", fmt::format("XPath 1.0 has no function {}()", call.text));
      } else if (call.children.size() < known->least || call.children.size() > known->most) {
        add("", fmt::format("{}() does not take {} arguments", call.text, call.children.size()));
      }
      return;
    }
    if (!is_bpel_function(call.text)) {
      add("", fmt::format("the function {}() is unknown here", call.text));
      return;
    }
    const std::string local = call.text.substr(call.text.find(':') + 1);
    if (local == "getVariableProperty") {
      check_get_variable_property(call);
    } else if (local == "doXslTransform") {
      check_transform(call);
    } else {
      add("", fmt::format("WS-BPEL 2.0 has no function {}()", local));
    }
  }

  Result<xml::QName> qname_of(const std::string& text) const {
    if (!is_qname(trimmed(text))) return invalid("a name, or prefix:name, is expected");
    return element_.resolve_qname(text, false);
  }

  void check_get_variable_property(const XPathSyntax& call) {
    const auto& arguments = call.children;
    if (arguments.size() != 2 || arguments[0].kind != SyntaxKind::kLiteral ||
        arguments[1].kind != SyntaxKind::kLiteral) {
      add("SA00030", "bpel:getVariableProperty takes two quoted strings: a variable's name and a property's QName");
      return;
    }
    PropertyUse use;
    use.variable_name = arguments[0].text;
    use.property_text = arguments[1].text;
    auto property = qname_of(use.property_text);
    if (!property) {
      add("SA00031", fmt::format("'{}' is no QName of a property: {}", use.property_text, property.error().message()));
      return;
    }
    use.property = *property;
    std::tie(use.variable, use.declaration) = names_.find_variable(use.variable_name);
    if (use.declaration == nullptr) {
      add("", fmt::format("there is no variable '{}' here", use.variable_name));
      return;
    }
    use.alias = alias_of(wsdl_, use.property, *use.declaration);
    if (wsdl_.property(use.property) == nullptr) {
      add("SA00010", fmt::format("the property {} is not imported", use.property.to_string()));
    } else if (use.alias == nullptr) {
      add("SA00021", fmt::format("no property alias says where {} is in the variable '{}' ({})",
                                 use.property.to_string(), use.variable_name, use.declaration->type.to_string()));
    }
    const wsdl::Property* const declared = wsdl_.property(use.property);
    use.boolean =
        declared != nullptr && !declared->type.empty() && wsdl_.type_class(declared->type) == wsdl::TypeClass::kBoolean;
    into_.properties.push_back(std::move(use));
  }

  void check_transform(const XPathSyntax& call) {
    const auto& arguments = call.children;
    if (arguments.empty() || arguments[0].kind != SyntaxKind::kLiteral)
      add("SA00039", "bpel:doXslTransform's first argument is a quoted string, the style sheet's name");
    if (arguments.size() == 1) add("", "bpel:doXslTransform needs a second argument, the source");
    if (arguments.size() % 2 != 0)
      add("SA00040", "the parameters of bpel:doXslTransform come in pairs of name and value");
    for (std::size_t i = 2; i < arguments.size(); i += 2) {
      auto name = arguments[i].kind == SyntaxKind::kLiteral ? qname_of(arguments[i].text)
                                                            : Result<xml::QName>(invalid("no literal"));
      if (!name || name->local.empty())
        add("SA00041", "a parameter's name of bpel:doXslTransform is a quoted QName");
      else
        into_.parameter_names.emplace(arguments[i].text, std::move(*name));
    }
  }

  xml::Node element_;
  ExpressionUse use_;
  const NameScope& names_;
  const wsdl::Definitions& wsdl_;
  std::vector<ExpressionFinding>& findings_;
  Expression& into_;
};

void Checker::resolve_variable(const std::string& text) {
  VariableUse use;
  use.text = text;
  if (use_ == ExpressionUse::kJoinCondition) {
    use.link = names_.find_incoming_link(text);
    if (use.link == kNone) {
      add("SA00073", fmt::format("'{}' is no incoming link of this activity", text));
    }
    into_.variables.push_back(std::move(use));
    return;
  }
  // A variable's name has no dot (SA00024), a part's may have.
  const auto dot = text.find('.');
  const std::string name = text.substr(0, dot);
  if (dot != std::string::npos) use.part = text.substr(dot + 1);
  std::tie(use.variable, use.declaration) = names_.find_variable(name);
  if (use.declaration == nullptr) {
    add("", fmt::format("there is no variable '{}' here", name));
    return;
  }
  const Variable& variable = *use.declaration;
  if (variable.kind != VariableKind::kMessage && !use.part.empty()) {
    add("", fmt::format("'${}': the variable '{}' has no parts, because it is no message", text, name));
  } else if (variable.kind == VariableKind::kMessage && use.part.empty()) {
    add("", fmt::format("'${}' is a message: say which part, as ${}.PART", name, name));
  } else if (variable.message != nullptr && variable.message->part(use.part) == nullptr) {
    add("", fmt::format("the message {} has no part '{}'", variable.type.to_string(), use.part));
  } else if (variable.message != nullptr && !use.part.empty()) {
    const wsdl::Part& part = *variable.message->part(use.part);
    use.part_is_element = !part.element.empty();
    if (!use.part_is_element) use.part_class = wsdl_.type_class(part.type).value_or(wsdl::TypeClass::kComplex);
  }
  into_.variables.push_back(std::move(use));
}

}  // namespace

std::string own_text(xml::Node element) {
  if (!element.has_element_children()) return element.text();
  static const auto kTexts = xml::XPath::compile("text()", std::map<std::string, std::string>());
  CHECK(kTexts.has_value());
  xml::XPathContext context;
  context.node = element;
  const auto texts = kTexts->evaluate(context);
  std::string text;
  if (!texts) return text;
  for (const xml::Node node : std::get<xml::NodeSet>(*texts)) text += node.text();
  return text;
}

std::optional<Expression> compile_expression(xml::Node element, ExpressionUse use, const NameScope& names,
                                             const wsdl::Definitions& wsdl, std::vector<ExpressionFinding>& findings) {
  const std::string text = trimmed(own_text(element));
  if (text.empty()) {
    findings.push_back({"", "the expression is empty"});
    return std::nullopt;
  }
  auto compiled = xml::XPath::compile(text, element);
  if (!compiled) {
    findings.push_back({"", fmt::format("'{}' is no XPath 1.0 expression: {}", text, compiled.error().message())});
    return std::nullopt;
  }
  auto syntax = parse_xpath_syntax(text);
  if (!syntax) {
    findings.push_back({"", fmt::format("'{}' is no XPath 1.0 expression: {}", text, syntax.error().message())});
    return std::nullopt;
  }
  Expression expression;
  expression.xpath = std::make_shared<const xml::XPath>(std::move(*compiled));
  expression.where = element.position();
  const std::size_t before = findings.size();
  Checker checker(element, use, names, wsdl, findings, expression);
  for (const std::string& variable : expression.xpath->variables()) checker.resolve_variable(variable);
  checker.run(*syntax);
  if (findings.size() != before) return std::nullopt;
  return expression;
}

const wsdl::PropertyAlias* alias_of(const wsdl::Definitions& wsdl, const xml::QName& property,
                                    const Variable& variable) {
  switch (variable.kind) {
    case VariableKind::kMessage:
      return wsdl.alias_for_message(property, variable.type);
    case VariableKind::kElement:
      return wsdl.alias_for_element(property, variable.type);
    case VariableKind::kType:
      return wsdl.alias_for_type(property, variable.type);
  }
  return nullptr;
}

bool is_plain_variable(const Expression& expression) {
  return expression.variables.size() == 1 && expression.text() == "$" + expression.variables.front().text;
}

bool is_text(const Expression& expression) {
  const auto syntax = parse_xpath_syntax(expression.text());
  if (!syntax) return false;
  switch (syntax->kind) {
    case SyntaxKind::kUnion:
      return false;
    case SyntaxKind::kFunction:
      return syntax->text != "id" && syntax->text.find(':') == std::string::npos;
    case SyntaxKind::kVariable: {
      const VariableUse& use = expression.variables.front();
      if (use.declaration == nullptr || use.declaration->kind == VariableKind::kElement) return false;
      if (use.declaration->kind == VariableKind::kMessage)
        return !use.part_is_element && use.part_class != wsdl::TypeClass::kComplex;
      return use.declaration->type_class != wsdl::TypeClass::kComplex;
    }
    case SyntaxKind::kLocationPath:
    case SyntaxKind::kFilterPath: {
      const std::string step = trimmed(expression.text().substr(expression.text().rfind('/') + 1));
      return step == "text()" || (step.starts_with('@') && step.find_first_of("[]()") == std::string::npos);
    }
    default:
      return true;
  }
}

std::optional<std::string> constant_of(const Expression& expression) {
  auto syntax = parse_xpath_syntax(expression.text());
  if (!syntax) return std::nullopt;
  if (syntax->kind == SyntaxKind::kNegate && syntax->children.front().kind == SyntaxKind::kNumber)
    return "-" + syntax->children.front().text;
  if (syntax->kind != SyntaxKind::kLiteral && syntax->kind != SyntaxKind::kNumber) return std::nullopt;
  return syntax->text;
}

}  // namespace nuraghe::bpel
