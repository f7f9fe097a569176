// WSDL 1.1: the abstract and concrete parts of service descriptions, with what WS-BPEL 2.0 puts beside them: partner
// link types (§5), variable properties and property aliases (§7).
//
// Definitions is the merged model of one or more WSDL documents and of everything that they import, found among the
// files handed in: an import's location is resolved relative to the importing file and never fetched from anywhere.
// It is immutable once read and may be shared by threads.
#pragma once

#include <map>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "xml/schema.hpp"
#include "xml/xml.hpp"
#include "xml/xpath.hpp"

namespace nuraghe::wsdl {

using xml::QName;

inline constexpr std::string_view kWsdlNamespace = "http://schemas.xmlsoap.org/wsdl/";
inline constexpr std::string_view kSoapBindingNamespace = "http://schemas.xmlsoap.org/wsdl/soap/";
inline constexpr std::string_view kSoap12BindingNamespace = "http://schemas.xmlsoap.org/wsdl/soap12/";
inline constexpr std::string_view kPartnerLinkTypeNamespace = "http://docs.oasis-open.org/wsbpel/2.0/plnktype";
inline constexpr std::string_view kPropertyNamespace = "http://docs.oasis-open.org/wsbpel/2.0/varprop";
inline constexpr std::string_view kSchemaNamespace = "http://www.w3.org/2001/XMLSchema";

// Path → text: the files among which imports are resolved. Paths use '/', without "./" or "..".
using Files = std::map<std::string, std::string>;
// `location` as written in the file `base`: the path that it names ("a/b.wsdl" + "../c.xsd" = "c.xsd"). A location with
// a scheme (http:, urn:) is returned as it is.
std::string resolve_location(std::string_view base, std::string_view location);
// The file that a location means which stands in the file `base`: the one that it names, as it is or with its percent
// escapes and backslashes undone, else the only one that differs in capital letters alone; for one with a scheme
// (http:, project:) the file whose path ends like it, when there is only one. Empty: none.
std::string find_file(const Files& files, std::string_view base, std::string_view location);

struct Where {
  std::string file;
  xml::Position position;
};

struct Part {
  std::string name;
  QName element;  // exactly one of element and type is set
  QName type;
};
struct Message {
  QName name;
  std::vector<Part> parts;
  Where where;
  const Part* part(std::string_view part_name) const;  // null: no such part
};

struct OperationFault {
  std::string name;  // the fault's QName is {port type's namespace}name
  QName message;
};
struct Operation {
  std::string name;
  bool has_input = false, has_output = false;
  bool input_first = true;  // false: solicit-response or notification, which WS-BPEL does not use
  QName input;              // message names; empty when absent
  QName output;
  std::vector<OperationFault> faults;
  Where where;
  bool one_way() const { return has_input && !has_output; }
  bool request_response() const { return has_input && has_output && input_first; }
  const OperationFault* fault(std::string_view fault_name) const;
};
struct PortType {
  QName name;
  std::vector<Operation> operations;
  Where where;
  const Operation* operation(std::string_view operation_name) const;  // the first of that name; null: none
  std::size_t count(std::string_view operation_name) const;           // > 1: overloaded
};

// How a message stands in an envelope: soap:body and soap:header of an input or output.
struct BoundMessage {
  std::string body_namespace;                     // rpc
  std::optional<std::vector<std::string>> parts;  // soap:body parts; absent: all that are no headers
  struct Header {
    QName message;
    std::string part;
  };
  std::vector<Header> headers;
};
struct BindingOperation {
  std::string name;
  std::string soap_action;
  std::string style;            // "document" or "rpc": of the operation, else of the binding
  std::string use = "literal";  // of the input's soap:body
  std::string body_namespace;   // soap:body namespace (rpc) of the input
  BoundMessage input, output;
};
struct Binding {
  QName name;
  QName port_type;
  int soap_version = 11;  // 11, 12; 0: not a SOAP binding
  std::string style = "document";
  std::string transport;
  std::vector<BindingOperation> operations;
  const BindingOperation* operation(std::string_view operation_name) const;
};
struct Port {
  std::string name;
  QName binding;
  std::string address;  // soap:address location; empty when absent
};
struct Service {
  QName name;
  std::vector<Port> ports;
  Where where;
  bool imported = true;                                // false: from ReadOptions::deployment_files
  const Port* port(std::string_view port_name) const;  // the first when the name is empty; null: none
};

struct Role {
  std::string name;
  QName port_type;
};
struct PartnerLinkType {
  QName name;
  std::vector<Role> roles;
  Where where;
  const Role* role(std::string_view role_name) const;
};

struct Property {
  QName name;
  QName type;  // one of both is set
  QName element;
  Where where;
};
// How to find a property in a message part, an element or a value of a type. Exactly one of message_type, element,
// type is set.
struct PropertyAlias {
  QName property;
  QName message_type;
  std::string part;  // with message_type
  QName element;
  QName type;
  std::string query_language;               // empty: the default, XPath 1.0
  std::shared_ptr<const xml::XPath> query;  // null: the part or element itself. Context node: the value's element
  Where where;
};

// What the rooms above need to know of a schema type without validating: is it simple, and what it is as an XPath
// value.
enum class TypeClass {
  kComplex,  // element content or attributes
  kString,   // simple, an XPath string
  kBoolean,  // xsd:boolean or derived from it
  kNumber,   // xsd:decimal, float, double and what is derived from them
};
// The class of a built-in type of XML Schema; nullopt when the name is none.
std::optional<TypeClass> builtin_type_class(std::string_view local);

struct SchemaElement {
  QName name;
  QName type;  // empty: anonymous or absent
  TypeClass type_class = TypeClass::kComplex;
  QName substitution_group;  // its head; empty: none
};

struct ReadOptions {
  std::vector<std::string> extra_schemas;  // paths of XSD files to read besides those that WSDL imports
  // Paths of WSDL files of which bindings and services are taken, and nothing else: how the port types are reached
  // where what is imported does not say it. Nothing in them is a finding.
  std::vector<std::string> deployment_files = {};
  // Files that were parsed already, by path; what is parsed now is added. Several readings of one set of files share
  // it.
  std::map<std::string, xml::DocumentPtr>* parsed = nullptr;
};

class Definitions {
 public:
  // Reads the WSDL documents at `paths` and all that they import or include. Everything wrong is collected in
  // `findings` (rule numbers of WS-BPEL stand in front of the message in brackets: "[SA00022] ..."); what is right is
  // in the model all the same.
  static std::shared_ptr<const Definitions> read(const std::vector<std::string>& paths, const Files& files,
                                                 std::vector<xml::Finding>& findings, const ReadOptions& options = {});

  // Null when there is none of that name.
  const Message* message(const QName& name) const;
  const PortType* port_type(const QName& name) const;
  const Binding* binding(const QName& name) const;
  const Service* service(const QName& name) const;
  const PartnerLinkType* partner_link_type(const QName& name) const;
  const Property* property(const QName& name) const;
  const PropertyAlias* alias_for_message(const QName& property, const QName& message) const;
  const PropertyAlias* alias_for_element(const QName& property, const QName& element) const;
  const PropertyAlias* alias_for_type(const QName& property, const QName& type) const;

  const std::map<QName, Message>& messages() const { return messages_; }
  const std::map<QName, PortType>& port_types() const { return port_types_; }
  const std::map<QName, Binding>& bindings() const { return bindings_; }
  const std::map<QName, Service>& services() const { return services_; }
  const std::map<QName, PartnerLinkType>& partner_link_types() const { return partner_link_types_; }
  const std::map<QName, Property>& properties() const { return properties_; }
  const std::vector<PropertyAlias>& aliases() const { return aliases_; }

  // The address of the first SOAP port whose binding is of this port type; empty when there is none.
  std::string address_of_port_type(const QName& port_type) const;
  // Those of all such ports, without repetition: imported services first, in the order of their names.
  std::vector<std::string> addresses_of_port_type(const QName& port_type) const;
  // The binding of the first SOAP port of this port type, else the first binding of it; null when there is none.
  const Binding* binding_of_port_type(const QName& port_type) const;

  // The binding of the SOAP port of this port type at that address, else as binding_of_port_type. Null: none.
  const Binding* binding_at(const QName& port_type, std::string_view address) const;

  // The binding of the SOAP port of this port type whose address has that path ("/services/x"); null: none.
  const Binding* binding_at_path(const QName& port_type, std::string_view path) const;
  std::size_t bindings_of_port_type(const QName& port_type) const;  // how many SOAP bindings

  // Schemas by location ("a.xsd", or "a.wsdl#schema1" for one inside a WSDL), each a stand-alone text with the
  // namespaces it needs: input of xml::Schema::compile.
  const std::map<std::string, std::string>& schemas() const { return schemas_; }
  // Global schema components. is_known_namespace: some schema text of that target namespace was read.
  const SchemaElement* schema_element(const QName& name) const;
  // Whether `element` is `head` or stands, directly or through others, in its substitution group.
  bool substitutes(const QName& element, const QName& head) const;
  std::optional<TypeClass> type_class(const QName& type) const;  // built-in types too; nullopt: unknown
  bool is_known_namespace(std::string_view ns) const;

 private:
  friend class Reader;
  std::map<QName, Message> messages_;
  std::map<QName, PortType> port_types_;
  std::map<QName, Binding> bindings_;
  std::map<QName, Service> services_;
  std::map<QName, PartnerLinkType> partner_link_types_;
  std::map<QName, Property> properties_;
  std::vector<PropertyAlias> aliases_;
  std::map<std::string, std::string> schemas_;
  std::map<QName, SchemaElement> elements_;
  std::map<QName, TypeClass> types_;
  std::map<std::string, int, std::less<>> namespaces_;
};

}  // namespace nuraghe::wsdl
