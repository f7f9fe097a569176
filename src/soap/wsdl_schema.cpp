// The schema part of reading WSDL: texts for validation, and what stands at the top level of each schema.
#include <fmt/format.h>

#include "soap/wsdl_reader.hpp"

namespace nuraghe::wsdl {

namespace {

constexpr int kMaxDerivations = 64;

// The base type of a simpleType element: the restriction's base, the base of the type inside it, or empty for list and
// union, which are strings to XPath.
QName simple_base(xml::Node simple_type, int depth) {
  const xml::Node restriction = simple_type.child(kSchemaNamespace, "restriction");
  if (!restriction) return {std::string(kSchemaNamespace), "string"};
  if (const auto base = restriction.attribute("base")) {
    auto name = restriction.resolve_qname(*base);
    return name ? *name : QName{std::string(kSchemaNamespace), "string"};
  }
  const xml::Node inner = restriction.child(kSchemaNamespace, "simpleType");
  if (!inner || depth > kMaxDerivations) return {std::string(kSchemaNamespace), "string"};
  return simple_base(inner, depth + 1);
}

}  // namespace

void Reader::read_embedded_schemas(const File& file, xml::Node types) {
  int number = 0;
  for (const xml::Node schema : types.children(kSchemaNamespace, "schema")) {
    const std::string location = fmt::format("{}#schema{}", file.path, ++number);
    // A schema inside a WSDL may use prefixes that the WSDL's root declares, in QName values too.
    xml::Document copy = xml::Document::copy_of(schema);
    for (const auto& [prefix, uri] : schema.namespaces_in_scope()) {
      if (prefix != "xml" && !copy.root().namespace_of_prefix(prefix)) copy.root().declare_namespace(prefix, uri);
    }
    result_->schemas_.emplace(location, copy.to_string());
    read_schema(location, schema, {});
  }
}

void Reader::read_schema(const std::string& location, xml::Node schema, const std::string& chameleon_namespace) {
  const auto own_namespace = schema.attribute("targetNamespace");
  const File file{location, own_namespace.value_or(chameleon_namespace),
                  !own_namespace && !chameleon_namespace.empty()};
  result_->namespaces_.emplace(file.target, 0);
  for (const xml::Node node : schema.children()) {
    if (node.namespace_uri() != kSchemaNamespace) continue;
    const std::string_view local = node.local_name();
    if (local == "import") {
      follow_import(file, node, "schemaLocation");
    } else if (local == "include" || local == "redefine") {
      const std::string written = node.attribute_or("schemaLocation", "");
      const std::string path = find_file(files_, file.path, written);
      if (!path.empty()) {
        read_file(path, file.target);  // a schema without namespace takes that of the schema that includes it
      } else {
        add(file.path, node, fmt::format("the included file '{}' is not in the package", written), true);
      }
    } else {
      read_schema_component(file, node);
    }
  }
}

void Reader::read_schema_component(const File& file, xml::Node node) {
  const QName name{file.target, node.attribute_or("name", "")};
  if (name.local.empty()) return;
  const std::string_view local = node.local_name();
  if (local == "element") static_cast<void>(is_new(file, node, "schema element", name));
  if (local == "complexType" || local == "simpleType") static_cast<void>(is_new(file, node, "schema type", name));
  if (local == "element") {
    SchemaElement element;
    element.name = name;
    element.type = qname(file, node, "type");
    element.substitution_group = qname(file, node, "substitutionGroup");
    if (const xml::Node inline_type = node.child(kSchemaNamespace, "simpleType"))
      anonymous_elements_[name] = simple_base(inline_type, 0);
    result_->elements_.emplace(name, std::move(element));
  } else if (local == "complexType") {
    result_->types_.emplace(name, TypeClass::kComplex);
  } else if (local == "simpleType") {
    simple_bases_[name] = simple_base(node, 0);
  }
}

TypeClass Reader::resolve_type(const QName& name, int depth) {
  if (name.ns == kSchemaNamespace) return builtin_type_class(name.local).value_or(TypeClass::kString);
  const auto base = simple_bases_.find(name);
  if (base != simple_bases_.end() && depth < kMaxDerivations) return resolve_type(base->second, depth + 1);
  const auto known = result_->types_.find(name);
  if (known != result_->types_.end()) return known->second;
  return base == simple_bases_.end() ? TypeClass::kComplex : TypeClass::kString;
}

std::shared_ptr<const Definitions> Reader::finish() {
  for (const auto& [name, base] : simple_bases_) result_->types_[name] = resolve_type(name, 0);
  for (auto& [name, element] : result_->elements_) {
    const auto anonymous = anonymous_elements_.find(name);
    if (anonymous != anonymous_elements_.end()) {
      element.type_class = resolve_type(anonymous->second, 0);
    } else if (!element.type.empty()) {
      element.type_class = resolve_type(element.type, 0);
    }
  }
  return result_;
}

}  // namespace nuraghe::wsdl
