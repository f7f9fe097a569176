#include "wsrf/properties.hpp"

#include <fmt/format.h>

#include <algorithm>

#include "wsrf/producer.hpp"
#include "xml/xpath.hpp"

namespace nuraghe::wsrf {
namespace {

void append_reference(xml::Node parent, std::string_view ns, std::string_view name, const std::string& address) {
  parent.append_element(ns, name).append_text_element(kAddressing, "Address", address);
}

void append_time(xml::Node parent, std::string_view name, std::optional<TimePoint> time) {
  xml::Node element = parent.append_element(kLifetime, name);
  if (time)
    element.set_text(time->to_string());
  else
    element.set_attribute("nil", "true", kInstance);
}

void append_lifetime(xml::Node parent, const Lifetime& lifetime) {
  append_time(parent, "CurrentTime", lifetime.now);
  append_time(parent, "TerminationTime", lifetime.end);
}

void append_properties(const Address& address, xml::Node value, xml::Node parent) {
  const auto& type = *address.resource->type;
  for (const auto& property : address.resource->properties) {
    const xml::QName name = name_of(address.service->name_space, property.name);
    for (const xml::Node field : value.children(type.name_space, property.field->name))
      xml::Node(parent.append_copy(field)).rename(name);
  }
}

// What a member says of itself when it makes itself known, as far as its value tells it.
void append_content(const Address& address, xml::Node value, xml::Node entry) {
  xml::Node content = entry.append_element(kServiceGroup, "Content");
  if (address.membership == nullptr) {
    append_properties(address, value, content.append_element(document_name(address)));
    return;
  }
  const auto* add = contracts::find_operation(*address.service, address.membership->add);
  xml::Node said = content.append_element(address.service->name_space, add->request->name);
  for (const auto& field : add->request->fields) {
    if (field.name == address.membership->interval) {
      const auto until = member_until(address, value);
      const xml::Node seen = value.child(address.resource->type->name_space, "last_seen");
      const auto since = seen ? parse_time(seen.text()) : Result<TimePoint>(TimePoint{});
      const Duration span = until && since ? (*until - *since) / address.membership->intervals : Duration(0);
      said.append_text_element(address.service->name_space, field.name,
                               fmt::format("PT{}.{:06}S", span.count() / 1'000'000, span.count() % 1'000'000));
    }
    for (const xml::Node same : value.children(address.resource->type->name_space, field.name)) said.append_copy(same);
  }
}

std::string qualified(xml::Node scope, std::string_view ns, std::string_view local) {
  scope.declare_namespace("m", ns);
  return fmt::format("m:{}", local);
}

// ---- reading ----

// A query must not answer more than this, however often it finds the same.
constexpr std::size_t kMostElements = 200'000;

std::size_t count_elements(xml::Node node, std::size_t most) {
  std::size_t count = 1;
  for (xml::Node child = node.first_child(); child && count < most; child = child.next_sibling())
    count += count_elements(child, most - count);
  return count;
}

std::string trimmed(std::string text) {
  const auto first = text.find_first_not_of(" \t\r\n");
  if (first == std::string::npos) return {};
  return text.substr(first, text.find_last_not_of(" \t\r\n") - first + 1);
}

Answer<xml::QName> property_name(const Address& address, xml::Node element) {
  const std::string written = trimmed(element.text());
  const auto name = element.resolve_qname(written);
  if (name && is_property(address, *name)) return *name;
  std::string known;
  for (const auto& property : address.resource->properties) known += fmt::format(" {}", property.name);
  return refuse(kProperties, "InvalidResourcePropertyQNameFault",
                invalid(fmt::format("{} has no resource property {}; of {} it has{}", address.path(),
                                    name ? name->to_string() : written, address.service->name_space, known)));
}

void append_value(xml::Node response, std::string_view type, std::string_view text) {
  xml::Node value = response.append_text_element(kOwn, "value", text);
  value.set_attribute("type", type);
}

Answer<xml::DocumentPtr> query(const xml::Document& document, xml::Node request) {
  const xml::Node expression = request.child(kProperties, "QueryExpression");
  const std::string dialect = expression.attribute_or("Dialect", kXPath);
  if (dialect != kXPath) {
    return refuse(kProperties, "UnknownQueryExpressionDialectFault",
                  unsupported(fmt::format("queries are in XPath 1.0 ({}), not in {}", kXPath, dialect)));
  }
  const auto xpath = xml::XPath::compile(expression.text(), expression);
  if (!xpath) return refuse(kProperties, "InvalidQueryExpressionFault", xpath.error());
  xml::XPathContext context;
  context.node = document.root();
  context.max_operations = 1'000'000;
  context.max_wide_operations = 100'000;
  const auto result = xpath->evaluate(context);
  if (!result) return refuse(kProperties, "QueryEvaluationErrorFault", result.error());
  xml::Document response = xml::Document::create(name_of(kProperties, "QueryResourcePropertiesResponse"));
  if (const auto* nodes = std::get_if<xml::NodeSet>(&*result)) {
    std::size_t left = kMostElements;
    for (const xml::Node node : *nodes) {
      const bool is_element = node.kind() == xml::NodeKind::kElement;
      const std::size_t size = is_element ? count_elements(node, left + 1) : 1;
      if (size > left) {
        return refuse(kProperties, "QueryEvaluationErrorFault",
                      exhausted(fmt::format("the query finds more than {} elements; ask for less", kMostElements)));
      }
      left -= size;
      if (is_element)
        response.root().append_copy(node);
      else
        append_value(response.root(), "text", node.text());
    }
    // The schema wants an element.
    if (nodes->empty()) append_value(response.root(), "nothing", "");
  } else if (std::holds_alternative<bool>(*result)) {
    append_value(response.root(), "boolean", xml::to_string(*result));
  } else {
    append_value(response.root(), std::holds_alternative<double>(*result) ? "number" : "text", xml::to_string(*result));
  }
  return std::move(response).share();
}

}  // namespace

xml::QName document_name(const Address& address) {
  return name_of(address.service->name_space, fmt::format("{}Properties", address.resource->name));
}

xml::Document resource_document(const Address& address, xml::Node value, const Lifetime& lifetime) {
  xml::Document document = xml::Document::create(document_name(address));
  append_properties(address, value, document.root());
  if (!address.resource->destroy.empty()) append_lifetime(document.root(), lifetime);
  append_producer(address, document.root());
  return document;
}

xml::Document group_document(const Address& address, const std::vector<xml::Node>& values, std::string_view base) {
  xml::Document document = xml::Document::create(name_of(kServiceGroup, "ServiceGroupRP"));
  xml::Node rule = document.root().append_element(kServiceGroup, "MembershipContentRule");
  const std::string content =
      address.membership == nullptr ? document_name(address).local : std::string(address.membership->add);
  rule.set_attribute("ContentElements", qualified(rule, address.service->name_space, content));
  for (const xml::Node value : values) {
    if (address.membership != nullptr && !member_until(address, value)) continue;
    const std::string key = key_of(address, value);
    xml::Node entry = document.root().append_element(kServiceGroup, "Entry");
    if (address.membership != nullptr)
      append_reference(entry, kServiceGroup, "ServiceGroupEntryEPR", fmt::format("{}{}", base, address.entry_of(key)));
    else
      entry.append_element(kServiceGroup, "ServiceGroupEntryEPR").set_attribute("nil", "true", kInstance);
    append_reference(entry, kServiceGroup, "MemberServiceEPR", fmt::format("{}{}", base, address.path_of(key)));
    append_content(address, value, entry);
  }
  return document;
}

xml::Document entry_document(const Address& address, xml::Node value, std::string_view base, TimePoint now) {
  xml::Document document = xml::Document::create(name_of(kOwn, "EntryProperties"));
  xml::Node root = document.root();
  append_reference(root, kServiceGroup, "ServiceGroupEPR", fmt::format("{}{}", base, address.group_path()));
  append_reference(root, kServiceGroup, "MemberEPR",
                   fmt::format("{}{}", base, address.path_of(key_of(address, value))));
  append_content(address, value, root);
  const auto until = member_until(address, value);
  append_lifetime(root, {now, until ? std::optional<TimePoint>(*until) : std::nullopt});
  return document;
}

Result<TimePoint> member_until(const Address& address, xml::Node value) {
  const std::string_view ns = address.resource->type->name_space;
  const xml::Node alive = value.child(ns, address.membership->alive);
  const xml::Node until = value.child(ns, address.membership->until);
  const bool is_member = alive && until && (alive.text() == "true" || alive.text() == "1");
  if (!is_member) return not_found(fmt::format("{} is no member of {}", key_of(address, value), address.group_path()));
  return parse_time(until.text());
}

std::string key_of(const Address& address, xml::Node value) {
  const xml::Node key = value.child(address.resource->type->name_space, address.resource->key_field);
  return key ? key.text() : std::string();
}

std::vector<xml::Node> values_of(const Address& address, xml::Node output, std::string_view path) {
  std::vector<xml::Node> found{output};
  while (!path.empty()) {
    const auto slash = path.find('/');
    std::vector<xml::Node> next;
    for (const xml::Node node : found) {
      for (const xml::Node child : node.children(address.service->name_space, path.substr(0, slash)))
        next.push_back(child);
    }
    found = std::move(next);
    path = slash == std::string_view::npos ? std::string_view() : path.substr(slash + 1);
  }
  return found;
}

bool is_property(const Address& address, const xml::QName& name) {
  const bool is_lifetime = name.ns == kLifetime && (name.local == "CurrentTime" || name.local == "TerminationTime");
  if (address.part == Part::kGroup)
    return name.ns == kServiceGroup && (name.local == "MembershipContentRule" || name.local == "Entry");
  if (address.part == Part::kEntry) {
    const bool is_entry = name.local == "ServiceGroupEPR" || name.local == "MemberEPR" || name.local == "Content";
    return is_lifetime || (name.ns == kServiceGroup && is_entry);
  }
  if (is_lifetime) return !address.resource->destroy.empty();
  if (is_of_producer(name)) return true;
  return name.ns == address.service->name_space &&
         std::ranges::any_of(address.resource->properties, [&](const auto& one) { return one.name == name.local; });
}

Answer<xml::DocumentPtr> read(const Address& address, const xml::Document& document, xml::Node request) {
  if (request.local_name() == "QueryResourceProperties") return query(document, request);
  xml::Document response = xml::Document::create(name_of(kProperties, fmt::format("{}Response", request.local_name())));
  if (request.local_name() == "GetResourcePropertyDocument") {
    response.root().append_copy(document.root());
    return std::move(response).share();
  }
  std::vector<xml::Node> named{request};
  if (request.local_name() == "GetMultipleResourceProperties")
    named = request.children(kProperties, "ResourceProperty");
  if (named.empty()) {
    return refuse(kProperties, "InvalidResourcePropertyQNameFault",
                  invalid("GetMultipleResourceProperties names no property"));
  }
  for (const xml::Node element : named) {
    const auto name = property_name(address, element);
    if (!name) return tl::unexpected(name.error());
    for (const xml::Node property : document.root().children(name->ns, name->local))
      response.root().append_copy(property);
  }
  return std::move(response).share();
}

}  // namespace nuraghe::wsrf
