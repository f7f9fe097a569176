// What scopes declare: variables, partner links, correlation sets, message exchanges.
#include <fmt/format.h>

#include <algorithm>

#include "bpel/parse/parser.hpp"

namespace nuraghe::bpel {

namespace {

template <class Items>
bool has_named(const Items& items, const std::string& name) {
  return std::any_of(items.begin(), items.end(), [&](const auto& item) { return item.name == name; });
}

// Names in an attribute, separated by blanks.
std::vector<std::string> words(const std::string& text) {
  std::vector<std::string> result;
  std::size_t at = text.find_first_not_of(" \t\r\n");
  while (at != std::string::npos) {
    const std::size_t end = std::min(text.find_first_of(" \t\r\n", at), text.size());
    result.push_back(text.substr(at, end - at));
    at = text.find_first_not_of(" \t\r\n", end);
  }
  return result;
}

// Whether a start activity stands below the element.
bool starts_inside(xml::Node element) {
  for (const xml::Node node : element.children()) {
    const bool start = node.is(kBpelNamespace, "receive") || node.is(kBpelNamespace, "pick");
    if ((start && node.attribute_or("createInstance", "no") == "yes") || starts_inside(node)) return true;
  }
  return false;
}

bool is_simple_property(const wsdl::Definitions& wsdl, const wsdl::Property& property) {
  if (!property.element.empty()) {
    const wsdl::SchemaElement* const element = wsdl.schema_element(property.element);
    return element != nullptr && element->type_class != wsdl::TypeClass::kComplex;
  }
  return wsdl.type_class(property.type).value_or(wsdl::TypeClass::kComplex) != wsdl::TypeClass::kComplex;
}

}  // namespace

VariableRef Parser::add_variable(Scope& scope, Variable variable) {
  const VariableRef ref{scope.self, static_cast<std::uint32_t>(scope.variables.size())};
  scope.variables.push_back(std::move(variable));
  return ref;
}

void Parser::read_declarations(xml::Node node, Scope& scope) {
  if (const xml::Node links = child(node, "partnerLinks")) {
    for (const xml::Node link : children(links, "partnerLink")) read_partner_link(link, scope);
  }
  if (const xml::Node exchanges = child(node, "messageExchanges")) {
    for (const xml::Node exchange : children(exchanges, "messageExchange")) read_message_exchange(exchange, scope);
  }
  if (const xml::Node variables = child(node, "variables")) {
    for (const xml::Node variable : children(variables, "variable")) read_variable(variable, scope);
  }
  if (const xml::Node sets = child(node, "correlationSets")) {
    for (const xml::Node set : children(sets, "correlationSet")) read_correlation_set(set, scope);
  }
}

std::optional<wsdl::TypeClass> Parser::known_type(xml::Node node, const xml::QName& type) {
  const auto known = definition_->wsdl().type_class(type);
  if (!known) report(node, "SA00010", fmt::format("the schema type {} is not imported", type.to_string()));
  return known;
}

void Parser::check_element(xml::Node node, const xml::QName& element) {
  // The standard's own element for endpoint references need not be imported.
  if (element == xml::QName{"http://docs.oasis-open.org/wsbpel/2.0/serviceref", "service-ref"}) return;
  if (definition_->wsdl().schema_element(element) == nullptr)
    report(node, "SA00010", fmt::format("the schema element {} is not imported", element.to_string()));
}

void Parser::resolve_variable_type(xml::Node node, Variable& variable) {
  const xml::QName message = qname(node, "messageType");
  const xml::QName type = qname(node, "type");
  const xml::QName element = qname(node, "element");
  if ((message.empty() ? 0 : 1) + (type.empty() ? 0 : 1) + (element.empty() ? 0 : 1) != 1) {
    report(node, "SA00025",
           fmt::format("the variable '{}' must have one of messageType, type and element", variable.name));
  }
  if (!message.empty()) {
    variable.kind = VariableKind::kMessage;
    variable.type = message;
    variable.message = definition_->wsdl().message(message);
    if (variable.message == nullptr)
      report(node, "SA00010", fmt::format("the message {} is not imported", message.to_string()));
  } else if (!element.empty()) {
    variable.kind = VariableKind::kElement;
    variable.type = element;
    check_element(node, element);
    const wsdl::SchemaElement* known = definition_->wsdl().schema_element(element);
    if (known != nullptr) variable.type_class = known->type_class;
  } else {
    variable.type = type;
    if (!type.empty()) variable.type_class = known_type(node, type).value_or(wsdl::TypeClass::kComplex);
  }
}

void Parser::refuse_second_variable(xml::Node node, const Scope& scope, const Variable& variable) {
  for (const Variable& other : scope.variables) {
    if (other.name != variable.name || other.hidden) continue;
    if (!other.implicit) {
      report(node, "SA00023", fmt::format("the scope has two variables named '{}'", variable.name));
    } else if (definition_->nodes_[scope.parent]->kind == NodeKind::kForEach) {
      report(node, "SA00076",
             fmt::format("'{}' is the forEach's counter; its scope may not declare it", variable.name));
    } else {
      report(node, "SA00086", fmt::format("'{}' is the event's variable; its scope may not declare it", variable.name));
    }
  }
}

// SA00026: when the scope holds a start activity, its variables are initialised once for each message that may start
// the process. Functions of XPath and WS-BPEL are idempotent; of others nothing is known.
void Parser::check_idempotent(xml::Node variable, const Variable& declared) {
  const xml::Node from = child(variable, "from");
  if (declared.initial->expression || declared.initial->kind != FromKind::kExpression) return;
  const auto compiled = xml::XPath::compile(own_text(from), from);
  if (!compiled || !starts_inside(variable.parent().parent())) return;
  for (const std::string& function : compiled->prefixed_functions()) {
    const auto ns = from.namespace_of_prefix(function.substr(0, function.find(':')));
    if (ns.value_or("") == kBpelNamespace) continue;
    report(from, "SA00026",
           fmt::format("{}() is not known to be idempotent, and the scope of '{}' holds a start activity", function,
                       declared.name));
    return;
  }
}

void Parser::read_variable(xml::Node node, Scope& scope) {
  Variable variable;
  variable.name = attribute(node, "name");
  variable.where = node.position();
  if (variable.name.find('.') != std::string::npos)
    report(node, "SA00024", fmt::format("the variable's name '{}' may not contain a dot", variable.name));
  refuse_second_variable(node, scope, variable);
  resolve_variable_type(node, variable);
  if (const xml::Node from = child(node, "from")) {
    variable.initial = read_from(from);
    check_idempotent(node, variable);
  }
  add_variable(scope, std::move(variable));
}

const wsdl::PortType* Parser::role_port_type(xml::Node node, const wsdl::PartnerLinkType& type,
                                             const std::string& role) {
  if (role.empty()) return nullptr;
  const wsdl::Role* const found = type.role(role);
  if (found == nullptr) {
    report(node, "", fmt::format("the partner link type {} has no role '{}'", type.name.to_string(), role));
    return nullptr;
  }
  const wsdl::PortType* const port_type = definition_->wsdl().port_type(found->port_type);
  if (port_type == nullptr)
    report(node, "SA00010", fmt::format("the port type {} is not imported", found->port_type.to_string()));
  if (port_type == nullptr) return nullptr;
  for (const wsdl::Operation& operation : port_type->operations) {
    if (operation.one_way() || operation.request_response()) continue;
    report(node, "SA00001",
           fmt::format("the operation '{}' of the port type {} is a solicit-response or notification", operation.name,
                       port_type->name.to_string()));
  }
  return port_type;
}

void Parser::read_partner_link(xml::Node node, Scope& scope) {
  PartnerLink link;
  link.name = attribute(node, "name");
  link.type = qname(node, "partnerLinkType");
  link.my_role = attribute(node, "myRole");
  link.partner_role = attribute(node, "partnerRole");
  link.where = node.position();
  if (node.attribute("initializePartnerRole")) {
    link.initialize_partner_role = yes_no(node, "initializePartnerRole", false);
    if (link.partner_role.empty())
      report(node, "SA00017", fmt::format("initializePartnerRole needs a partnerRole in '{}'", link.name));
  }
  if (link.my_role.empty() && link.partner_role.empty())
    report(node, "SA00016", fmt::format("the partner link '{}' must have myRole or partnerRole", link.name));
  if (has_named(scope.partner_links, link.name))
    report(node, "SA00018", fmt::format("the scope has two partner links named '{}'", link.name));
  const wsdl::PartnerLinkType* const type = definition_->wsdl().partner_link_type(link.type);
  if (type == nullptr) {
    if (!link.type.empty())
      report(node, "SA00010", fmt::format("the partner link type {} is not imported", link.type.to_string()));
  } else {
    link.my_port_type = role_port_type(node, *type, link.my_role);
    link.partner_port_type = role_port_type(node, *type, link.partner_role);
  }
  scope.partner_links.push_back(std::move(link));
}

void Parser::read_correlation_set(xml::Node node, Scope& scope) {
  CorrelationSet set;
  set.name = attribute(node, "name");
  set.where = node.position();
  if (has_named(scope.correlation_sets, set.name))
    report(node, "SA00044", fmt::format("the scope has two correlation sets named '{}'", set.name));
  for (const std::string& word : words(attribute(node, "properties"))) {
    const auto name = node.resolve_qname(word);
    if (!name) {
      report(node, "", fmt::format("'{}' is no name with a declared prefix", word));
      continue;
    }
    const wsdl::Property* const property = definition_->wsdl().property(*name);
    if (property == nullptr) {
      report(node, "SA00010", fmt::format("the property {} is not imported", name->to_string()));
    } else if (!is_simple_property(definition_->wsdl(), *property)) {
      report(node, "SA00045",
             fmt::format("the property {} must have a simple type to correlate by it", name->to_string()));
    }
    set.properties.push_back(*name);
  }
  if (set.properties.empty()) report(node, "", fmt::format("the correlation set '{}' names no property", set.name));
  scope.correlation_sets.push_back(std::move(set));
}

void Parser::read_message_exchange(xml::Node node, Scope& scope) {
  std::string name = attribute(node, "name");
  if (std::find(scope.message_exchanges.begin() + 1, scope.message_exchanges.end(), name) !=
      scope.message_exchanges.end())
    report(node, "", fmt::format("the scope has two message exchanges named '{}'", name));
  scope.message_exchanges.push_back(std::move(name));
}

}  // namespace nuraghe::bpel
