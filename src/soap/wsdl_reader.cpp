#include "soap/wsdl_reader.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <sstream>

namespace nuraghe::wsdl {

namespace {

constexpr std::string_view kBpelNamespace = "http://docs.oasis-open.org/wsbpel/2.0/process/executable";
constexpr std::string_view kXPathUri = "http://www.w3.org/TR/1999/REC-xpath-19991116";
constexpr std::string_view kXPathLanguage = "urn:oasis:names:tc:wsbpel:2.0:sublang:xpath1.0";

// WSDL files that were made for drafts of the standard say the same in other namespaces.
bool is_extension(xml::Node node, std::string_view ns, std::string_view local) {
  static constexpr std::string_view kDraftLinks[] = {"http://schemas.xmlsoap.org/ws/2003/05/partner-link/",
                                                     "http://schemas.xmlsoap.org/ws/2004/03/partner-link/"};
  static constexpr std::string_view kDraftProperties[] = {"http://schemas.xmlsoap.org/ws/2003/03/business-process/",
                                                          "http://schemas.xmlsoap.org/ws/2004/03/business-process/"};
  if (node.local_name() != local) return false;
  const auto& drafts = ns == kPartnerLinkTypeNamespace ? kDraftLinks : kDraftProperties;
  const std::string_view own = node.namespace_uri();
  return own == ns || std::find(std::begin(drafts), std::end(drafts), own) != std::end(drafts);
}

Where where_of(const std::string& file, xml::Node node) { return {file, node.position()}; }

// The first child with this local name in one of the SOAP binding namespaces, and which SOAP version it is of.
std::pair<xml::Node, int> soap_child(xml::Node node, std::string_view local) {
  if (xml::Node found = node.child(kSoapBindingNamespace, local)) return {found, 11};
  if (xml::Node found = node.child(kSoap12BindingNamespace, local)) return {found, 12};
  return {xml::Node(), 0};
}

// Without documentation, and names in place of prefixes.
void normalise(xml::Node node) {
  for (const char* attribute : {"type", "base", "ref", "itemType", "substitutionGroup", "element", "message"}) {
    const auto text = node.attribute(attribute);
    const auto name = text ? node.resolve_qname(*text) : Result<QName>(QName());
    if (text && name) node.set_attribute(attribute, name->to_string());
  }
  for (xml::Node child : node.children()) {
    if (child.is(kSchemaNamespace, "annotation") || child.is(kWsdlNamespace, "documentation"))
      child.remove();
    else
      normalise(child);
  }
}

// Two definitions that say the same, whatever their layout and documentation.
bool is_same(xml::Node left, xml::Node right) {
  if (left == right || left.to_string() == right.to_string()) return true;
  xml::Document one = xml::Document::copy_of(left);
  xml::Document other = xml::Document::copy_of(right);
  normalise(one.root());
  normalise(other.root());
  return xml::equivalent(one.root(), other.root());
}

}  // namespace

std::shared_ptr<const Definitions> Definitions::read(const std::vector<std::string>& paths, const Files& files,
                                                     std::vector<xml::Finding>& findings, const ReadOptions& options) {
  Reader reader(files, findings, options);
  for (const std::string& path : paths) reader.read_file(path);
  for (const std::string& path : options.extra_schemas) reader.read_file(path);
  reader.find_awaited_schemas();
  for (const std::string& path : options.deployment_files) reader.read_deployment_file(path);
  return reader.finish();
}

void Reader::add(const std::string& source, xml::Node node, std::string message, bool warning) {
  xml::Finding finding;
  finding.warning = warning;
  finding.source = source;
  if (node) {
    finding.position = node.position();
    finding.element = node.local_name();
  }
  finding.message = std::move(message);
  findings_.push_back(std::move(finding));
}

xml::DocumentPtr Reader::parse(const std::string& path) {
  xml::DocumentPtr& document = parsed_[path];
  if (document != nullptr) return document;
  xml::ParseOptions options;
  options.source = path;
  auto parsed = xml::Document::parse(files_.at(path), options);
  if (parsed) {
    document = std::move(*parsed).share();
  } else {
    add(path, xml::Node(), parsed.error().message());
  }
  return document;
}

void Reader::read_file(const std::string& path, const std::string& chameleon_namespace) {
  if (!read_.insert(path + "|" + chameleon_namespace).second) return;
  const auto found = files_.find(path);
  if (found == files_.end()) {
    add(path, xml::Node(), "the file is not in the package");
    return;
  }
  const xml::DocumentPtr document = parse(path);
  if (document == nullptr) return;
  const xml::Node root = document->root();
  if (root.is(kWsdlNamespace, "definitions")) {
    read_definitions({path, root.attribute_or("targetNamespace", "")}, root);
  } else if (root.is(kSchemaNamespace, "schema")) {
    result_->schemas_.emplace(path, found->second);
    read_schema(path, root, chameleon_namespace);
  } else {
    add(path, root, "this is neither a WSDL 1.1 nor an XML Schema document");
  }
}

QName Reader::qname(const File& file, xml::Node node, std::string_view attribute) {
  const auto text = node.attribute(attribute);
  if (!text) return {};
  auto name = node.resolve_qname(*text);
  if (name) {
    if (file.chameleon && name->ns.empty()) name->ns = file.target;
    return *name;
  }
  add(file.path, node, fmt::format("attribute {}: {}", attribute, name.error().message()));
  return {};
}

std::string Reader::required(const File& file, xml::Node node, std::string_view attribute) {
  auto text = node.attribute(attribute);
  if (text && !text->empty()) return *text;
  add(file.path, node, fmt::format("the attribute {} is missing", attribute));
  return {};
}

bool Reader::is_new(const File& file, xml::Node node, const char* sort, const QName& name) {
  if (name.local.empty()) return false;
  const auto [entry, inserted] = defined_.emplace(fmt::format("{} {}", sort, name.to_string()), node);
  if (!inserted && !is_same(entry->second, node))
    add(file.path, node, fmt::format("[SA00014] the {} {} is defined twice, differently", sort, name.to_string()));
  return inserted;
}

void Reader::follow_import(const File& file, xml::Node node, std::string_view location_attribute) {
  const auto location = node.attribute(location_attribute);
  if (!location || location->empty()) {  // by namespace
    if (node.namespace_uri() == kSchemaNamespace) awaited_.insert(node.attribute_or("namespace", ""));
    return;
  }
  const std::string path = find_file(files_, file.path, *location);
  if (!path.empty()) return read_file(path);
  // What is used of it will be missed where it is used.
  if (location->find(':') == std::string::npos)
    add(file.path, node, fmt::format("the imported file '{}' is not in the package", *location), true);
}

// A schema that is imported by its namespace alone may be a file that nothing else leads to.
void Reader::find_awaited_schemas() {
  for (const auto& [path, text] : files_) {
    if (!path.ends_with(".xsd") || awaited_.empty() || read_.contains(path + "|")) continue;
    const auto before = findings_.size();
    const xml::DocumentPtr document = parse(path);
    findings_.resize(before);
    if (document == nullptr || !document->root().is(kSchemaNamespace, "schema")) continue;
    const std::string target = document->root().attribute_or("targetNamespace", "");
    if (awaited_.contains(target) && !result_->namespaces_.contains(target)) read_file(path);
  }
}

void Reader::read_deployment_file(const std::string& path) {
  if (read_.contains(path + "|")) return;
  const auto before = findings_.size();
  const xml::DocumentPtr document = parse(path);
  if (document != nullptr && document->root().is(kWsdlNamespace, "definitions")) {
    const File file{path, document->root().attribute_or("targetNamespace", "")};
    for (const xml::Node node : document->root().children()) {
      if (node.is(kWsdlNamespace, "binding")) read_binding(file, node);
      if (node.is(kWsdlNamespace, "service")) read_service(file, node, false);
    }
  }
  findings_.resize(before);
}

void Reader::read_definitions(const File& file, xml::Node root) {
  for (const xml::Node node : root.children()) {
    if (node.namespace_uri() == kWsdlNamespace) {
      const std::string_view local = node.local_name();
      if (local == "import") follow_import(file, node, "location");
      if (local == "types") read_embedded_schemas(file, node);
      if (local == "message") read_message(file, node);
      if (local == "portType") read_port_type(file, node);
      if (local == "binding") read_binding(file, node);
      if (local == "service") read_service(file, node);
    } else if (is_extension(node, kPartnerLinkTypeNamespace, "partnerLinkType")) {
      read_partner_link_type(file, node);
    } else if (is_extension(node, kPropertyNamespace, "property")) {
      read_property(file, node);
    } else if (is_extension(node, kPropertyNamespace, "propertyAlias")) {
      read_alias(file, node);
    }
  }
}

void Reader::read_message(const File& file, xml::Node node) {
  Message message;
  message.name = {file.target, required(file, node, "name")};
  message.where = where_of(file.path, node);
  for (const xml::Node child : node.children(kWsdlNamespace, "part")) {
    Part part;
    part.name = required(file, child, "name");
    part.element = qname(file, child, "element");
    part.type = qname(file, child, "type");
    if (part.element.empty() == part.type.empty())
      add(file.path, child, fmt::format("the part '{}' must have an element or a type, not both", part.name));
    if (message.part(part.name) != nullptr)
      add(file.path, child, fmt::format("the message has two parts named '{}'", part.name));
    message.parts.push_back(std::move(part));
  }
  if (is_new(file, node, "message", message.name)) result_->messages_.emplace(message.name, std::move(message));
}

void Reader::read_port_type(const File& file, xml::Node node) {
  PortType port_type;
  port_type.name = {file.target, required(file, node, "name")};
  port_type.where = where_of(file.path, node);
  for (const xml::Node child : node.children(kWsdlNamespace, "operation")) {
    Operation operation = read_operation(file, child);
    if (port_type.operation(operation.name) != nullptr) {
      add(file.path, child,
          fmt::format("[SA00002] the port type {} has more than one operation '{}'", port_type.name.local,
                      operation.name));
    }
    port_type.operations.push_back(std::move(operation));
  }
  if (is_new(file, node, "portType", port_type.name))
    result_->port_types_.emplace(port_type.name, std::move(port_type));
}

Operation Reader::read_operation(const File& file, xml::Node node) {
  Operation operation;
  operation.name = required(file, node, "name");
  operation.where = where_of(file.path, node);
  for (const xml::Node child : node.children()) {
    if (child.is(kWsdlNamespace, "input")) {
      operation.has_input = true;
      operation.input_first = !operation.has_output;
      operation.input = qname(file, child, "message");
    } else if (child.is(kWsdlNamespace, "output")) {
      operation.has_output = true;
      if (!operation.has_input) operation.input_first = false;
      operation.output = qname(file, child, "message");
    } else if (child.is(kWsdlNamespace, "fault")) {
      operation.faults.push_back({required(file, child, "name"), qname(file, child, "message")});
    }
  }
  return operation;
}

BoundMessage Reader::read_bound_message(const File& file, xml::Node node) {
  BoundMessage bound;
  for (const xml::Node child : node.children()) {
    const bool of_soap =
        child.namespace_uri() == kSoapBindingNamespace || child.namespace_uri() == kSoap12BindingNamespace;
    if (of_soap && child.local_name() == "header") {
      bound.headers.push_back({qname(file, child, "message"), child.attribute_or("part", "")});
    } else if (of_soap && child.local_name() == "body") {
      bound.body_namespace = child.attribute_or("namespace", "");
      const auto parts = child.attribute("parts");
      if (!parts) continue;
      bound.parts.emplace();
      std::istringstream words(*parts);
      for (std::string word; words >> word;) bound.parts->push_back(std::move(word));
    }
  }
  return bound;
}

void Reader::read_binding(const File& file, xml::Node node) {
  Binding binding;
  binding.name = {file.target, required(file, node, "name")};
  binding.port_type = qname(file, node, "type");
  const auto [soap, version] = soap_child(node, "binding");
  binding.soap_version = version;
  if (soap) {
    binding.style = soap.attribute_or("style", "document");
    binding.transport = soap.attribute_or("transport", "");
  }
  for (const xml::Node child : node.children(kWsdlNamespace, "operation")) {
    BindingOperation operation;
    operation.name = required(file, child, "name");
    operation.style = binding.style;
    if (const xml::Node soap_operation = soap_child(child, "operation").first) {
      operation.soap_action = soap_operation.attribute_or("soapAction", "");
      operation.style = soap_operation.attribute_or("style", binding.style);
    }
    if (const xml::Node input = child.child(kWsdlNamespace, "input")) {
      if (const xml::Node body = soap_child(input, "body").first) operation.use = body.attribute_or("use", "literal");
      operation.input = read_bound_message(file, input);
      operation.body_namespace = operation.input.body_namespace;
    }
    if (const xml::Node output = child.child(kWsdlNamespace, "output"))
      operation.output = read_bound_message(file, output);
    binding.operations.push_back(std::move(operation));
  }
  if (is_new(file, node, "binding", binding.name)) result_->bindings_.emplace(binding.name, std::move(binding));
}

void Reader::read_service(const File& file, xml::Node node, bool imported) {
  Service service;
  service.imported = imported;
  service.name = {file.target, required(file, node, "name")};
  service.where = where_of(file.path, node);
  for (const xml::Node child : node.children(kWsdlNamespace, "port")) {
    Port port;
    port.name = required(file, child, "name");
    port.binding = qname(file, child, "binding");
    if (const xml::Node address = soap_child(child, "address").first)
      port.address = address.attribute_or("location", "");
    service.ports.push_back(std::move(port));
  }
  if (is_new(file, node, "service", service.name)) result_->services_.emplace(service.name, std::move(service));
}

void Reader::read_partner_link_type(const File& file, xml::Node node) {
  PartnerLinkType type;
  type.name = {file.target, required(file, node, "name")};
  type.where = where_of(file.path, node);
  for (const xml::Node child : node.children()) {
    if (!is_extension(child, kPartnerLinkTypeNamespace, "role")) continue;
    Role role;
    role.name = required(file, child, "name");
    role.port_type = qname(file, child, "portType");
    const xml::Node inner = child.first_child();  // where drafts have it
    if (role.port_type.empty() && inner && is_extension(inner, kPartnerLinkTypeNamespace, "portType"))
      role.port_type = qname(file, inner, "name");
    if (role.port_type.empty()) add(file.path, child, fmt::format("the role '{}' has no portType", role.name));
    if (type.role(role.name) != nullptr)
      add(file.path, child, fmt::format("the partner link type has two roles named '{}'", role.name));
    type.roles.push_back(std::move(role));
  }
  if (type.roles.empty() || type.roles.size() > 2) add(file.path, node, "a partner link type has one or two roles");
  if (is_new(file, node, "partnerLinkType", type.name))
    result_->partner_link_types_.emplace(type.name, std::move(type));
}

void Reader::read_property(const File& file, xml::Node node) {
  Property property;
  property.name = {file.target, required(file, node, "name")};
  property.type = qname(file, node, "type");
  property.element = qname(file, node, "element");
  property.where = where_of(file.path, node);
  if (property.type.empty() == property.element.empty())
    add(file.path, node,
        fmt::format("[SA00019] the property '{}' must have a type or an element, not both", property.name.local));
  if (is_new(file, node, "property", property.name)) result_->properties_.emplace(property.name, std::move(property));
}

void Reader::read_alias(const File& file, xml::Node node) {
  PropertyAlias alias;
  required(file, node, "propertyName");
  alias.property = qname(file, node, "propertyName");
  alias.message_type = qname(file, node, "messageType");
  alias.part = node.attribute_or("part", "");
  alias.element = qname(file, node, "element");
  alias.type = qname(file, node, "type");
  alias.where = where_of(file.path, node);
  const int sorts =
      (alias.message_type.empty() ? 0 : 1) + (alias.element.empty() ? 0 : 1) + (alias.type.empty() ? 0 : 1);
  if (sorts != 1 || alias.message_type.empty() != alias.part.empty()) {
    add(file.path, node, "[SA00020] a property alias has messageType and part, or type, or element");
    return;
  }
  read_alias_query(file, node, alias);
  const bool doubled = std::any_of(result_->aliases_.begin(), result_->aliases_.end(), [&](const PropertyAlias& other) {
    return other.property == alias.property && other.message_type == alias.message_type &&
           other.element == alias.element && other.type == alias.type;
  });
  if (doubled) {
    add(file.path, node,
        fmt::format("[SA00022] there are two aliases of the property {} for {}", alias.property.to_string(),
                    (sorts == 1 && !alias.message_type.empty() ? alias.message_type
                     : !alias.element.empty()                  ? alias.element
                                                               : alias.type)
                        .to_string()));
    return;
  }
  result_->aliases_.push_back(std::move(alias));
}

void Reader::read_alias_query(const File& file, xml::Node node, PropertyAlias& alias) {
  xml::Node query = node.child(kPropertyNamespace, "query");
  const auto attribute = node.attribute("query");  // where drafts have it
  const bool draft = !query && attribute && node.namespace_uri() != kPropertyNamespace;
  if (!query && !draft) return;
  if (draft) query = node;
  alias.query_language = query.attribute_or("queryLanguage", kXPathLanguage);
  if (alias.query_language != kXPathLanguage && alias.query_language != kXPathUri) {
    add(file.path, query, fmt::format("[SA00004] the query language '{}' is not supported", alias.query_language));
    return;
  }
  std::string text = draft ? *attribute : query.text();
  text.erase(0, text.find_first_not_of(" \t\r\n"));
  if (text.empty()) return;
  auto compiled = xml::XPath::compile(text, query);
  if (!compiled) {
    add(file.path, query, "query: " + compiled.error().message());
    return;
  }
  const auto& functions = compiled->prefixed_functions();
  const bool calls_bpel = std::any_of(functions.begin(), functions.end(), [&](const std::string& name) {
    return query.namespace_of_prefix(name.substr(0, name.find(':'))).value_or("") == kBpelNamespace;
  });
  if (calls_bpel || !compiled->variables().empty())
    add(file.path, query, "[SA00029] a property alias' query may use neither variables nor functions of WS-BPEL");
  alias.query = std::make_shared<const xml::XPath>(std::move(*compiled));
}

}  // namespace nuraghe::wsdl
