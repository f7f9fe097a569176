// GET ?wsdl: a process's WSDL as it stands in its package, with the address at which it is asked for; one that has no
// service is given a binding and a service.
#include <fmt/format.h>

#include <algorithm>

#include "bpelhost/doors.hpp"

namespace nuraghe::bpelhost {
namespace {

using net::HttpResponse;

constexpr std::string_view kWsdl = wsdl::kWsdlNamespace;

bool is_soap_address(xml::Node node) {
  return node.is(wsdl::kSoapBindingNamespace, "address") || node.is(wsdl::kSoap12BindingNamespace, "address");
}

class Live {
 public:
  Live(const Service& service, std::string file, const std::string& address)
      : service_(service), file_(std::move(file)), address_(address) {}

  void apply(xml::Node node) {
    if (node.is(kWsdl, "port")) return port(node);
    if (node.is(kWsdl, "import")) relocate(node, "location");
    const bool schema = node.namespace_uri() == wsdl::kSchemaNamespace;
    const std::string_view local = node.local_name();
    if (schema && (local == "import" || local == "include" || local == "redefine")) relocate(node, "schemaLocation");
    for (const xml::Node child : node.children()) apply(child);
  }

 private:
  // Ports of this port type are here; partners' stay where they are.
  void port(xml::Node node) {
    const auto binding_name = node.resolve_qname(node.attribute_or("binding", ""));
    const auto* binding = binding_name ? service_.definition().wsdl().binding(*binding_name) : nullptr;
    if (binding == nullptr || binding->port_type != service_.link->my_port_type->name) return;
    for (xml::Node child : node.children()) {
      if (is_soap_address(child)) child.set_attribute("location", address_);
    }
  }

  void relocate(xml::Node node, std::string_view attribute) {
    const auto location = node.attribute(attribute);
    if (!location) return;
    const std::string path = wsdl::find_file(service_.definition().files(), file_, *location);
    if (path.empty()) return;
    const char* kind = path.ends_with(".wsdl") ? "wsdl" : "xsd";
    node.set_attribute(attribute, fmt::format("{}?{}={}", address_, kind, net::percent_encode(path)));
  }

  const Service& service_;
  const std::string file_;
  const std::string& address_;
};

// The file with a wsdl:service for the port type; empty when there is none.
std::string service_file(const Service& service) {
  const auto& wsdl = service.definition().wsdl();
  for (const auto& [name, one] : wsdl.services()) {
    for (const auto& port : one.ports) {
      const auto* binding = wsdl.binding(port.binding);
      if (binding != nullptr && binding->port_type == service.link->my_port_type->name) return one.where.file;
    }
  }
  return {};
}

bool is_rpc(const Service& service) {
  for (const auto& served : service.operations) {
    if (served.input == nullptr) continue;
    for (const auto& part : served.input->parts) {
      if (part.element.empty()) return true;
    }
  }
  return false;
}

void add_message(std::string& out, const char* element, const std::string& name, const std::string& body) {
  const std::string attribute = name.empty() ? std::string() : fmt::format(" name=\"{}\"", xml::escape_text(name));
  out += fmt::format("<wsdl:{}{}>{}</wsdl:{}>", element, attribute, body, element);
}

// A binding and a service for a port type that has none, beside its definition.
std::string generated(const Service& service) {
  const auto& port_type = *service.link->my_port_type;
  const bool rpc = is_rpc(service);
  const std::string body =
      rpc ? fmt::format("<soap:body use=\"literal\" namespace=\"{}\"/>", xml::escape_text(port_type.name.ns))
          : "<soap:body use=\"literal\"/>";
  std::string operations;
  for (const auto& served : service.operations) {
    std::string inside = "<soap:operation soapAction=\"\"/>";
    if (served.operation->has_input) add_message(inside, "input", "", body);
    if (served.operation->has_output) add_message(inside, "output", "", body);
    for (const auto& fault : served.operation->faults) {
      add_message(inside, "fault", fault.name, fmt::format("<soap:fault name=\"{}\" use=\"literal\"/>", fault.name));
    }
    operations += fmt::format("<wsdl:operation name=\"{}\">{}</wsdl:operation>", served.operation->name, inside);
  }
  return fmt::format(
      "<wsdl:definitions xmlns:wsdl=\"{0}\" xmlns:soap=\"{1}\" xmlns:tns=\"{2}\" targetNamespace=\"{2}\">"
      "<wsdl:import namespace=\"{2}\" location=\"{3}\"/>"
      "<wsdl:binding name=\"{4}Soap\" type=\"tns:{4}\">"
      "<soap:binding style=\"{5}\" transport=\"http://schemas.xmlsoap.org/soap/http\"/>{6}</wsdl:binding>"
      "<wsdl:service name=\"{7}\"><wsdl:port name=\"{8}\" binding=\"tns:{4}Soap\"><soap:address location=\"\"/>"
      "</wsdl:port></wsdl:service></wsdl:definitions>",
      kWsdl, wsdl::kSoapBindingNamespace, xml::escape_text(port_type.name.ns), xml::escape_text(port_type.where.file),
      port_type.name.local, rpc ? "rpc" : "document", operations, service.definition().name().local,
      service.link->name);
}

}  // namespace

Result<std::string> live_wsdl(const Service& service, const std::string& file, const std::string& address) {
  const auto& files = service.definition().files();
  std::string path = file.empty() ? service_file(service) : file;
  const bool made = path.empty();
  if (!made && (!files.contains(path) || !(path.ends_with(".wsdl") || path.ends_with(".xsd"))))
    return not_found("there is no such description");
  TRY_ASSIGN(xml::Document document,
             xml::Document::parse(made ? generated(service) : files.at(path), {.source = path}));
  Live live(service, made ? "" : path, address);
  live.apply(document.root());
  if (made) {
    // The binding is not one of the package's: its port is known to be here.
    const auto port = document.root().child(kWsdl, "service").child(kWsdl, "port");
    port.child(wsdl::kSoapBindingNamespace, "address").set_attribute("location", address);
  }
  return "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n" + document.to_string();
}

HttpResponse serve_description(const Service& service, const net::HttpRequest& request) {
  std::string file = request.query("wsdl").value_or("");
  if (file.empty()) file = request.query("xsd").value_or("");
  auto text = live_wsdl(service, file, base_of(request) + std::string(request.path()));
  if (!text) return json_error(text.error());
  HttpResponse response;
  response.content_type = "text/xml; charset=utf-8";
  response.body = std::move(*text);
  return response;
}

}  // namespace nuraghe::bpelhost
