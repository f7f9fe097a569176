// GET ?wsdl and ?xsd=FILE: descriptions as they stand in their files, with the addresses of this very process.
#include <fmt/format.h>

#include "api/doors.hpp"
#include "api/reached.hpp"
#include "soap/wsdl.hpp"

namespace nuraghe::api {

namespace {

constexpr std::string_view kWsdl = "http://schemas.xmlsoap.org/wsdl/";
constexpr std::string_view kSoapBinding = "http://schemas.xmlsoap.org/wsdl/soap/";
constexpr std::string_view kSoap12Binding = "http://schemas.xmlsoap.org/wsdl/soap12/";
constexpr std::string_view kSchema = "http://www.w3.org/2001/XMLSchema";

// A location that is to be asked from this server: no scheme, no absolute path, no way up.
bool is_relative_file(std::string_view location) {
  if (location.empty() || location.front() == '/' || location.find(':') != std::string_view::npos) return false;
  return location.find("..") == std::string_view::npos && location.find('?') == std::string_view::npos;
}

// What a text that is served as `file` refers to: files beside it are asked for at the same address.
struct Live {
  const std::string& address;
  std::string_view file;
};

void relocate(xml::Node element, std::string_view attribute, const Live& live) {
  const auto location = element.attribute(attribute);
  if (!location) return;
  const std::string file = wsdl::resolve_location(live.file, *location);
  if (!is_relative_file(file)) return;
  const char* kind = file.ends_with(".wsdl") ? "wsdl" : "xsd";
  element.set_attribute(attribute, fmt::format("{}?{}={}", live.address, kind, net::percent_encode(file)));
}

void make_live(xml::Node element, const Live& live) {
  if (element.is(kSoapBinding, "address") || element.is(kSoap12Binding, "address"))
    element.set_attribute("location", live.address);
  if (element.is(kWsdl, "import")) relocate(element, "location", live);
  if (element.is(kSchema, "import") || element.is(kSchema, "include")) relocate(element, "schemaLocation", live);
  for (const xml::Node child : element.children()) make_live(child, live);
}

}  // namespace

Result<std::string> live_description(std::string_view text, const std::string& address, std::string_view file) {
  TRY_ASSIGN(xml::Document document, xml::Document::parse(text));
  make_live(document.root(), {address, file});
  return "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n" + document.to_string();
}

HttpResponse serve_description(const GatewayOptions& options, const HttpRequest& request) {
  const auto path = service_path(request.path());
  std::string file = request.query("wsdl").value_or("");
  if (file.empty()) file = request.query("xsd").value_or("");
  if (!file.empty() && !is_relative_file(file)) return net::text_response(400, "that is no name of a file");
  if (!options.description) return net::text_response(404, "no descriptions are served here");
  const auto text = options.description(path->service + path->rest, file);
  if (!text) return error_response(text.error());
  auto live = live_description(*text, base_for(options, request) + std::string(request.path()), file);
  if (!live) return error_response(std::move(live).error().with("reading the description of " + path->service));
  HttpResponse response;
  response.content_type = "text/xml; charset=utf-8";
  response.body = std::move(*live);
  return response;
}

}  // namespace nuraghe::api
