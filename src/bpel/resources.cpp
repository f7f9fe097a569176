#include "bpel/resources.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <set>
#include <vector>

namespace nuraghe::bpel {
namespace {

constexpr std::string_view kMain = "!variables.xsd";
constexpr std::string_view kVariables = "urn:nuraghe:bpel:variables";
constexpr std::size_t kFindingsTold = 5;

// Namespaces that processes use without a schema of their own.
constexpr std::string_view kXmlSchema = R"(<xsd:schema xmlns:xsd="http://www.w3.org/2001/XMLSchema"
    targetNamespace="http://www.w3.org/XML/1998/namespace">
  <xsd:attribute name="lang" type="xsd:string"/><xsd:attribute name="base" type="xsd:anyURI"/>
  <xsd:attribute name="id" type="xsd:ID"/>
  <xsd:attribute name="space"><xsd:simpleType><xsd:restriction base="xsd:NCName"><xsd:enumeration value="default"/>
    <xsd:enumeration value="preserve"/></xsd:restriction></xsd:simpleType></xsd:attribute>
  <xsd:attributeGroup name="specialAttrs"><xsd:attribute ref="xml:base"/><xsd:attribute ref="xml:lang"/>
    <xsd:attribute ref="xml:space"/><xsd:attribute ref="xml:id"/></xsd:attributeGroup>
</xsd:schema>)";
constexpr std::string_view kServiceRefSchema = R"(<xsd:schema xmlns:xsd="http://www.w3.org/2001/XMLSchema"
    targetNamespace="http://docs.oasis-open.org/wsbpel/2.0/serviceref" elementFormDefault="qualified">
  <xsd:element name="service-ref"><xsd:complexType><xsd:sequence>
    <xsd:any namespace="##other" processContents="lax"/></xsd:sequence>
    <xsd:attribute name="reference-scheme" type="xsd:anyURI"/></xsd:complexType></xsd:element>
</xsd:schema>)";

bool is_schema_node(xml::Node node, std::string_view local) { return node.is(wsdl::kSchemaNamespace, local); }

// The texts from which the one schema of a process is compiled.
class Gatherer {
 public:
  explicit Gatherer(const wsdl::Definitions& wsdl) : schemas_(wsdl.schemas()) {
    for (const auto& [location, text] : wsdl.schemas()) add(location, text);
    find_roots();
    add_standard("!xml.xsd", "http://www.w3.org/XML/1998/namespace", kXmlSchema);
    add_standard("!serviceref.xsd", "http://docs.oasis-open.org/wsbpel/2.0/serviceref", kServiceRefSchema);
    int number = 0;
    for (const auto& [ns, locations] : roots_) put_together(fmt::format("!{:04}.xsd", number++), ns, locations);
    for (auto& [location, document] : documents_) {
      for (auto node : document.root().children()) {
        if (is_schema_node(node, "import")) locate(node);
      }
      files[location] = document.to_string();
    }
  }

  void write_main(const std::map<xml::QName, std::string>& types) {
    auto document = xml::Document::create({std::string(wsdl::kSchemaNamespace), "schema"}, "xsd");
    auto root = document.root();
    root.set_attribute("targetNamespace", kVariables);
    for (const auto& [ns, locations] : roots_) {
      auto import = root.append_element(wsdl::kSchemaNamespace, "import");
      if (!ns.empty()) import.set_attribute("namespace", ns);
      locate(import);
    }
    for (const auto& [type, name] : types) {
      auto element = root.append_element(wsdl::kSchemaNamespace, "element");
      element.set_attribute("name", name);
      if (!type.ns.empty()) element.declare_namespace("t", type.ns);
      element.set_attribute("type", (type.ns.empty() ? "" : "t:") + type.local);
    }
    files[std::string(kMain)] = document.to_string();
  }

  std::map<std::string, std::string> files;

 private:
  void add(const std::string& location, const std::string& text) {
    auto document = xml::Document::parse(text, {.source = location});
    if (!document) return;
    auto root = document->root();
    namespaces_[location] = root.attribute_or("targetNamespace", "");
    for (auto node : root.children()) {
      if (!is_schema_node(node, "include") && !is_schema_node(node, "redefine")) continue;
      const auto found = wsdl::find_file(schemas_, location, node.attribute_or("schemaLocation", ""));
      if (found.empty() || found == location) {
        node.remove();
        continue;
      }
      includes_[location].insert(found);
      node.set_attribute("schemaLocation", found);
    }
    documents_.emplace(location, std::move(*document));
  }

  // Files from which the others of their namespace are reached by includes: those that nobody includes, and the first
  // one of files that include each other.
  void find_roots() {
    std::set<std::string> included;
    for (const auto& [location, targets] : includes_) {
      included.insert(targets.begin(), targets.end());
    }
    std::set<std::string> reached;
    const auto take = [&](const std::string& location) {
      roots_[namespaces_[location]].push_back(location);
      reach(location, reached);
    };
    for (const auto& [location, document] : documents_) {
      if (!included.contains(location)) take(location);
    }
    for (const auto& [location, document] : documents_) {
      if (!reached.contains(location)) take(location);
    }
  }

  void reach(const std::string& from, std::set<std::string>& reached) const {
    std::vector<std::string> open = {from};
    while (!open.empty()) {
      const std::string location = std::move(open.back());
      open.pop_back();
      const auto targets = includes_.find(location);
      if (!reached.insert(location).second || targets == includes_.end()) continue;
      open.insert(open.end(), targets->second.begin(), targets->second.end());
    }
  }

  // An import leads to the one file in which its namespace is put together, wherever it says that it is.
  void locate(xml::Node import) const {
    const auto found = locations_.find(import.attribute_or("namespace", ""));
    if (found != locations_.end())
      import.set_attribute("schemaLocation", found->second);
    else
      import.remove_attribute("schemaLocation");
  }

  void add_standard(const std::string& location, const std::string& ns, std::string_view text) {
    if (!roots_.emplace(ns, std::vector<std::string>{location}).second) return;
    files[location] = text;
  }

  void put_together(const std::string& location, const std::string& ns, const std::vector<std::string>& parts) {
    if (parts.size() < 2) {
      locations_[ns] = parts.front();
      return;
    }
    auto document = xml::Document::create({std::string(wsdl::kSchemaNamespace), "schema"}, "xsd");
    if (!ns.empty()) document.root().set_attribute("targetNamespace", ns);
    for (const auto& part : parts)
      document.root().append_element(wsdl::kSchemaNamespace, "include").set_attribute("schemaLocation", part);
    files[location] = document.to_string();
    locations_[ns] = location;
  }

  const std::map<std::string, std::string>& schemas_;
  std::map<std::string, xml::Document> documents_;         // by location
  std::map<std::string, std::string> namespaces_;          // by location
  std::map<std::string, std::set<std::string>> includes_;  // location → locations
  std::map<std::string, std::vector<std::string>> roots_;  // by namespace
  std::map<std::string, std::string> locations_;           // namespace → where it is put together
};

std::map<xml::QName, std::string> types_of(const ProcessDefinition& definition) {
  std::map<xml::QName, std::string> types;
  const auto note = [&](const xml::QName& type) {
    if (!type.empty()) types.try_emplace(type, fmt::format("type{}", types.size()));
  };
  for (const auto* scope : definition.scopes()) {
    for (const auto& variable : scope->variables) {
      if (variable.kind == VariableKind::kType) note(variable.type);
      if (variable.message == nullptr) continue;
      for (const auto& part : variable.message->parts) note(part.type);
    }
  }
  return types;
}

}  // namespace

Evaluated<std::shared_ptr<const xml::Stylesheet>> Resources::stylesheet(std::string_view location) const {
  std::string path = wsdl::find_file(definition_->files(), definition_->file(), location);
  if (path.empty()) path = wsdl::resolve_location(definition_->file(), location);
  const std::lock_guard lock(mutex_);
  const auto known = stylesheets_.find(path);
  if (known != stylesheets_.end()) return known->second;
  auto compiled = xml::Stylesheet::compile(path, definition_->files());
  if (!compiled) {
    return standard_fault(compiled.error().code() == ErrorCode::kNotFound ? faults::kXsltStylesheetNotFound
                                                                          : faults::kSubLanguageExecutionFault,
                          compiled.error().to_string());
  }
  return stylesheets_.emplace(path, std::make_shared<const xml::Stylesheet>(std::move(*compiled))).first->second;
}

const Resources::Schemas& Resources::schemas() const {
  const std::lock_guard lock(mutex_);
  if (schemas_ != nullptr) return *schemas_;
  auto made = std::make_unique<Schemas>();
  made->types = types_of(*definition_);
  Gatherer gatherer(definition_->wsdl());
  gatherer.write_main(made->types);
  auto compiled = xml::Schema::compile(std::string(kMain), gatherer.files);
  if (compiled)
    made->compiled = std::move(*compiled);
  else
    made->problem = compiled.error().to_string();
  schemas_ = std::move(made);
  return *schemas_;
}

// What is wrong with an element that should be `element`, or be of `type`; empty: nothing.
std::string Resources::findings_of(const xml::QName& element, const xml::QName& type,
                                   const xml::DocumentPtr& document) const {
  const Schemas& known = schemas();
  if (!known.compiled) return "the schemas of the package cannot be compiled: " + known.problem;
  std::vector<xml::Finding> findings;
  if (type.empty()) {
    const auto name = document->root().name();
    if (!definition_->wsdl().substitutes(name, element))
      return fmt::format("it is {}, not {}", name.to_string(), element.to_string());
    findings = known.compiled->validate(*document);
  } else {
    const auto name = known.types.find(type);
    if (name == known.types.end()) return fmt::format("the type {} is not known", type.to_string());
    auto copy = document->clone();
    copy.root().rename({std::string(kVariables), name->second});
    findings = known.compiled->validate(copy);
  }
  std::string text;
  for (std::size_t i = 0; i < std::min(findings.size(), kFindingsTold); ++i)
    text += fmt::format("{}{}: {}", i == 0 ? "" : "; ", findings[i].element, findings[i].message);
  return text;
}

Evaluated<void> Resources::validate(const Variable& declaration, const VariableValue& value) const {
  const auto check = [&](const std::string& part, const xml::QName& element,
                         const xml::QName& type) -> Evaluated<void> {
    const auto document = value.initialised ? value.part(part) : nullptr;
    const auto name = part.empty() ? declaration.name : declaration.name + "." + part;
    if (document == nullptr)
      return standard_fault(faults::kUninitializedVariable, fmt::format("the variable {} has no value", name));
    const auto findings = findings_of(element, type, document);
    if (findings.empty()) return {};
    return standard_fault(faults::kInvalidVariables, fmt::format("the variable {} is not valid: {}", name, findings));
  };
  if (declaration.kind == VariableKind::kElement) return check("", declaration.type, {});
  if (declaration.kind == VariableKind::kType) return check("", {}, declaration.type);
  if (declaration.message == nullptr) return {};
  for (const auto& part : declaration.message->parts) TRY(check(part.name, part.element, part.type));
  return {};
}

}  // namespace nuraghe::bpel
