// Reader: builds Definitions from texts. Used by wsdl_reader.cpp (WSDL) and wsdl_schema.cpp (the schemas in it) only.
#pragma once

#include <map>
#include <set>
#include <string>
#include <vector>

#include "soap/wsdl.hpp"

namespace nuraghe::wsdl {

class Reader {
 public:
  Reader(const Files& files, std::vector<xml::Finding>& findings, const ReadOptions& options)
      : files_(files),
        findings_(findings),
        parsed_(options.parsed == nullptr ? own_parsed_ : *options.parsed),
        result_(std::make_shared<Definitions>()) {}
  // Reads a WSDL or XSD file, once.
  void read_file(const std::string& path, const std::string& chameleon_namespace = {});
  // Reads the schema files of namespaces that are imported without a location and not read yet.
  void find_awaited_schemas();
  // Takes bindings and services of a WSDL file that was not read; what is wrong with it is nobody's business.
  void read_deployment_file(const std::string& path);
  std::shared_ptr<const Definitions> finish();

 private:
  struct File {
    std::string path;
    std::string target;
    bool chameleon = false;  // a schema without namespace, included by one that has one
  };
  xml::DocumentPtr parse(const std::string& path);  // null and a finding when it is not well-formed
  void add(const std::string& source, xml::Node node, std::string message, bool warning = false);
  QName qname(const File& file, xml::Node node, std::string_view attribute);
  // True when `name` is new; a second, different definition of the same name is a finding (SA00014).
  bool is_new(const File& file, xml::Node node, const char* sort, const QName& name);
  std::string required(const File& file, xml::Node node, std::string_view attribute);
  void follow_import(const File& file, xml::Node node, std::string_view location_attribute);

  void read_definitions(const File& file, xml::Node root);
  void read_message(const File& file, xml::Node node);
  void read_port_type(const File& file, xml::Node node);
  Operation read_operation(const File& file, xml::Node node);
  void read_binding(const File& file, xml::Node node);
  BoundMessage read_bound_message(const File& file, xml::Node node);
  void read_service(const File& file, xml::Node node, bool imported = true);
  void read_partner_link_type(const File& file, xml::Node node);
  void read_property(const File& file, xml::Node node);
  void read_alias(const File& file, xml::Node node);
  void read_alias_query(const File& file, xml::Node node, PropertyAlias& alias);

  void read_embedded_schemas(const File& file, xml::Node types);
  void read_schema(const std::string& location, xml::Node schema, const std::string& chameleon_namespace);
  void read_schema_component(const File& file, xml::Node node);
  TypeClass resolve_type(const QName& name, int depth);

  const Files& files_;
  std::vector<xml::Finding>& findings_;
  std::map<std::string, xml::DocumentPtr> own_parsed_;
  std::map<std::string, xml::DocumentPtr>& parsed_;  // kept until finish(): positions and nodes are used
  std::shared_ptr<Definitions> result_;
  std::set<std::string> read_;
  std::set<std::string> awaited_;              // namespaces that schemas import without a location
  std::map<std::string, xml::Node> defined_;   // "sort name" → where first, to tell repetition from conflict
  std::map<QName, QName> simple_bases_;        // a simple type → its base
  std::map<QName, QName> anonymous_elements_;  // an element with an inline simple type → the base
};

}  // namespace nuraghe::wsdl
