// assign, and from-specs wherever they stand (§8.4).
#include <fmt/format.h>

#include <algorithm>

#include "bpel/parse/grammar.hpp"
#include "bpel/parse/parser.hpp"

namespace nuraghe::bpel {

namespace {

// All attribute values and texts of an element: where prefixes of QName values may hide.
void gather_content(xml::Node element, std::string& into) {
  for (const auto& attribute : element.attributes()) into += attribute.value + " ";
  if (!element.has_element_children()) into += element.text() + " ";
  for (const xml::Node child : element.children()) gather_content(child, into);
}

// The element of an element variable or of a part given by element; empty for others.
xml::QName element_of(const Variable* declaration, const std::string& part) {
  if (declaration == nullptr) return {};
  if (declaration->kind == VariableKind::kElement) return declaration->type;
  const wsdl::Part* const found = declaration->message == nullptr ? nullptr : declaration->message->part(part);
  return found == nullptr ? xml::QName() : found->element;
}

// The element that a from-spec gives as a whole, where that can be seen.
xml::QName element_given(const FromSpec& from) {
  if (from.kind == FromKind::kVariable && !from.query) return element_of(from.declaration, from.part);
  if (from.kind == FromKind::kLiteral && from.literal->root().first_child())
    return from.literal->root().first_child().name();
  return {};
}

bool is_whole_message(const Variable* declaration, const std::string& part) {
  return declaration != nullptr && declaration->kind == VariableKind::kMessage && part.empty();
}

}  // namespace

const Activity* Parser::read_assign(xml::Node node, NodeIndex parent) {
  Assign* const assign = make<Assign>(node, parent);
  read_standard(node, *assign);
  assign->validate = yes_no(node, "validate", false);
  for (const xml::Node copy : children(node, "copy")) assign->copies.push_back(read_copy(copy));
  return assign;
}

Copy Parser::read_copy(xml::Node node) {
  Copy copy;
  copy.where = node.position();
  copy.keep_source_element_name = yes_no(node, "keepSrcElementName", false);
  copy.ignore_missing_from_data = yes_no(node, "ignoreMissingFromData", false);
  if (const xml::Node from = child(node, "from")) copy.from = read_from(from);
  if (const xml::Node to = child(node, "to")) copy.to = read_to(to);
  check_types(node, copy);
  return copy;
}

FromSpec Parser::read_from(xml::Node node) {
  FromSpec from;
  from.where = node.position();
  const bool text = !is_blank(own_text(node));
  if (!text) check_language(node, "expressionLanguage");  // of a text the expression's reader does
  const bool variable = node.attribute("variable").has_value();
  const bool part = node.attribute("part").has_value();
  const bool property = node.attribute("property").has_value();
  const bool partner_link = node.attribute("partnerLink").has_value();
  const bool role = node.attribute("endpointReference").has_value();
  const xml::Node literal = child(node, "literal");
  const xml::Node query = child(node, "query");
  const bool plain = !part && !property && !role && !query;
  if (variable && !partner_link && !literal && !text && !role && !property) {
    read_variable_from(node, from);
  } else if (variable && property && !partner_link && !part && !role && !literal && !query && !text) {
    read_property_from(node, from);
  } else if (partner_link && role && !variable && !part && !property && !literal && !query && !text) {
    read_partner_link_from(node, from);
  } else if (literal && !variable && !partner_link && plain && !text) {
    read_literal(literal, from);
  } else if (text && !variable && !partner_link && !literal && plain) {
    from.kind = FromKind::kExpression;
    from.expression = expression(node);
    if (from.expression && is_plain_variable(*from.expression)) refer_to_variable(from);
  } else if (variable || partner_link || literal || text || !plain) {
    report(node, "SA00032", "this <from> is none of the forms of WS-BPEL 2.0 §8.4");
  }
  return from;
}

// <from>$variable</from> is a reference to the variable (§8.2.1): its value as it stands, not what XPath makes of it.
void Parser::refer_to_variable(FromSpec& from) {
  const VariableUse use = from.expression->variables.front();
  from.kind = FromKind::kVariable;
  from.variable = use.variable;
  from.declaration = use.declaration;
  from.part = use.part;
  from.simple = is_simple(use.declaration, use.part);
  from.expression.reset();
}

void Parser::check_part(xml::Node node, const Variable& variable, const std::string& part) {
  if (variable.kind != VariableKind::kMessage && node.attribute("part")) {
    report(node, "SA00034", fmt::format("the variable '{}' has no parts, because it is no message", variable.name));
  } else if (variable.message != nullptr && !part.empty() && variable.message->part(part) == nullptr) {
    report(node, "", fmt::format("the message {} has no part '{}'", variable.type.to_string(), part));
  } else if (is_whole_message(&variable, part) && child(node, "query")) {
    report(node, "", fmt::format("'{}' is a message: a query needs the part that it is asked of", variable.name));
  }
}

bool Parser::is_simple(const Variable* declaration, const std::string& part) const {
  if (declaration == nullptr || declaration->kind == VariableKind::kElement) return false;
  if (declaration->kind == VariableKind::kType) return declaration->type_class != wsdl::TypeClass::kComplex;
  const wsdl::Part* const found = declaration->message == nullptr ? nullptr : declaration->message->part(part);
  if (found == nullptr || found->type.empty()) return false;
  return definition_->wsdl().type_class(found->type).value_or(wsdl::TypeClass::kComplex) != wsdl::TypeClass::kComplex;
}

void Parser::read_variable_from(xml::Node node, FromSpec& from) {
  from.kind = FromKind::kVariable;
  from.part = attribute(node, "part");
  std::tie(from.variable, from.declaration) = variable_named(node, attribute(node, "variable"));
  if (from.declaration != nullptr) check_part(node, *from.declaration, from.part);
  from.simple = is_simple(from.declaration, from.part);
  from.query = expression(child(node, "query"), ExpressionUse::kQuery);
}

const wsdl::PropertyAlias* Parser::find_alias(xml::Node node, const Variable& variable, const xml::QName& property) {
  const wsdl::PropertyAlias* const alias = alias_of(definition_->wsdl(), property, variable);
  if (!property.empty() && definition_->wsdl().property(property) == nullptr) {
    report(node, "SA00010", fmt::format("the property {} is not imported", property.to_string()));
  } else if (alias == nullptr && !property.empty()) {
    report(node, "SA00021",
           fmt::format("no property alias says where {} is in the variable '{}' ({})", property.to_string(),
                       variable.name, variable.type.to_string()));
  }
  return alias;
}

void Parser::read_property_from(xml::Node node, FromSpec& from) {
  from.kind = FromKind::kProperty;
  from.property = qname(node, "property");
  std::tie(from.variable, from.declaration) = variable_named(node, attribute(node, "variable"));
  if (from.declaration != nullptr) from.alias = find_alias(node, *from.declaration, from.property);
}

void Parser::read_partner_link_from(xml::Node node, FromSpec& from) {
  from.kind = FromKind::kPartnerLink;
  const std::string role = attribute(node, "endpointReference");
  from.my_role = role == "myRole";
  if (!from.my_role && role != "partnerRole")
    report(node, "", fmt::format("endpointReference=\"{}\": it must be myRole or partnerRole", role));
  const std::string name = attribute(node, "partnerLink");
  from.partner_link = find_partner_link(name);
  if (!from.partner_link) {
    report(node, "", fmt::format("there is no partner link '{}' here", name));
    return;
  }
  const PartnerLink& link = definition_->partner_link(from.partner_link);
  if (from.my_role && link.my_role.empty()) {
    report(node, "SA00035", fmt::format("the partner link '{}' has no myRole", name));
  } else if (!from.my_role && link.partner_role.empty()) {
    report(node, "SA00036", fmt::format("the partner link '{}' has no partnerRole", name));
  }
}

void Parser::read_literal(xml::Node node, FromSpec& from) {
  from.kind = FromKind::kLiteral;
  const auto elements = node.children();
  if (elements.size() > 1 || (elements.size() == 1 && !is_blank(own_text(node)))) {
    report(node, "SA00038", "a <literal> holds one element or a text, not more");
    return;
  }
  xml::Document literal = xml::Document::copy_of(node);
  if (!elements.empty()) {
    // Prefixes in QName values must keep their meaning when the element is copied out of the process.
    std::string content;
    gather_content(elements.front(), content);
    xml::Node element = literal.root().first_child();
    for (const auto& [prefix, uri] : node.namespaces_in_scope()) {
      const bool used = !prefix.empty() && prefix != "xml" && content.find(prefix + ":") != std::string::npos;
      if (used && element.namespace_of_prefix(prefix).value_or("") != uri) element.declare_namespace(prefix, uri);
    }
  }
  from.literal = std::move(literal).share();
}

ToSpec Parser::read_to(xml::Node node) {
  ToSpec to;
  to.where = node.position();
  const bool variable = node.attribute("variable").has_value();
  const bool part = node.attribute("part").has_value();
  const bool property = node.attribute("property").has_value();
  const bool partner_link = node.attribute("partnerLink").has_value();
  const xml::Node query = child(node, "query");
  const bool text = !is_blank(own_text(node));
  if (!text) check_language(node, "expressionLanguage");
  if (variable && !property && !partner_link && !text) {
    read_variable_to(node, to);
  } else if (variable && property && !partner_link && !part && !query && !text) {
    to.kind = ToKind::kProperty;
    to.property = qname(node, "property");
    std::tie(to.variable, to.declaration) = variable_named(node, attribute(node, "variable"));
    if (to.declaration != nullptr) to.alias = find_alias(node, *to.declaration, to.property);
    if (to.alias != nullptr && to.alias->query == nullptr) {
      // The whole part or variable: it may be written before it has a value.
      to.part = to.alias->part;
      to.simple = is_simple(to.declaration, to.part);
      to.whole = true;
    }
  } else if (partner_link && !variable && !part && !property && !query && !text) {
    to.kind = ToKind::kPartnerLink;
    const std::string name = attribute(node, "partnerLink");
    to.partner_link = find_partner_link(name);
    if (!to.partner_link) {
      report(node, "", fmt::format("there is no partner link '{}' here", name));
    } else if (definition_->partner_link(to.partner_link).partner_role.empty()) {
      report(node, "SA00037", fmt::format("the partner link '{}' has no partnerRole", name));
    }
  } else if (text && !variable && !partner_link && !part && !property && !query) {
    read_expression_to(node, to);
  } else if (variable || partner_link || part || property || query || text) {
    report(node, "SA00032", "this <to> is none of the forms of WS-BPEL 2.0 §8.4");
  }
  return to;
}

void Parser::read_variable_to(xml::Node node, ToSpec& to) {
  to.kind = ToKind::kVariable;
  to.part = attribute(node, "part");
  std::tie(to.variable, to.declaration) = variable_named(node, attribute(node, "variable"));
  if (to.declaration != nullptr) check_part(node, *to.declaration, to.part);
  to.simple = is_simple(to.declaration, to.part);
  to.query = expression(child(node, "query"), ExpressionUse::kQuery);
  to.whole = !to.query.has_value();
}

void Parser::read_expression_to(xml::Node node, ToSpec& to) {
  to.kind = ToKind::kExpression;
  to.expression = expression(node, ExpressionUse::kLValue);
  if (!to.expression) return;
  // The L-value's variable is the one that the expression begins with; others may stand in its predicates.
  const std::string& text = to.expression->text();
  const std::size_t from = text.find('$') + 1;
  const VariableUse* leading = nullptr;
  for (const VariableUse& use : to.expression->variables) {
    const bool fits = text.compare(from, use.text.size(), use.text) == 0;
    if (fits && (leading == nullptr || use.text.size() > leading->text.size())) leading = &use;
  }
  if (leading == nullptr) return;
  to.variable = leading->variable;
  to.declaration = leading->declaration;
  to.part = leading->part;
  to.whole = is_plain_variable(*to.expression);
  to.simple = is_simple(to.declaration, to.part);
}

void Parser::check_types(xml::Node node, const Copy& copy) {
  const bool from_message =
      copy.from.kind == FromKind::kVariable && is_whole_message(copy.from.declaration, copy.from.part);
  const bool to_message = copy.to.kind == ToKind::kVariable && is_whole_message(copy.to.declaration, copy.to.part);
  if (from_message && to_message) {
    if (copy.from.declaration->type != copy.to.declaration->type) {
      report(node, "SA00043",
             fmt::format("a message {} cannot be copied to a message {}", copy.from.declaration->type.to_string(),
                         copy.to.declaration->type.to_string()));
    }
  } else if ((from_message && copy.to.kind != ToKind::kEmpty) || (to_message && copy.from.kind != FromKind::kEmpty)) {
    report(node, "SA00043", "a whole message can only be copied to or from a message; name its part");
  }
  check_kept_name(node, copy, from_message || to_message);
}

// SA00042 speaks of the attribute, whatever its value; SA00094 of what it does.
void Parser::check_kept_name(xml::Node node, const Copy& copy, bool of_message) {
  if (!node.attribute("keepSrcElementName")) return;
  const bool text_literal = copy.from.literal != nullptr && !copy.from.literal->root().has_element_children();
  const bool from_text = (copy.from.expression && is_text(*copy.from.expression)) ||
                         (copy.from.query && is_text(*copy.from.query)) || (copy.from.simple && !copy.from.query);
  const bool to_text = (copy.to.expression && is_text(*copy.to.expression)) ||
                       (copy.to.query && is_text(*copy.to.query)) || (copy.to.simple && copy.to.whole);
  if (text_literal || from_text || to_text || of_message)
    report(node, "SA00042", "keepSrcElementName may be set only for copies from an element to an element");
  if (!copy.keep_source_element_name) return;
  const xml::QName given = element_given(copy.from);
  const xml::QName taken = copy.to.whole ? element_of(copy.to.declaration, copy.to.part) : xml::QName();
  if (!given.empty() && !taken.empty() && !definition_->wsdl().substitutes(given, taken)) {
    report(
        node, "SA00094",
        fmt::format("with keepSrcElementName the element {} would take the place of {}, but is not in its substitution "
                    "group",
                    given.to_string(), taken.to_string()));
  }
}

}  // namespace nuraghe::bpel
