// GET ?wsdl and ?xsd=FILE: descriptions as they stand in their files, with the addresses of this very process.
#include <fmt/format.h>

#include <algorithm>

#include "api/doors.hpp"

namespace nuraghe::api {

namespace {

constexpr std::string_view kWsdl = "http://schemas.xmlsoap.org/wsdl/";
constexpr std::string_view kSoapBinding = "http://schemas.xmlsoap.org/wsdl/soap/";
constexpr std::string_view kSchema = "http://www.w3.org/2001/XMLSchema";

// A location that is to be asked from this server: no scheme, no absolute path, no way up.
bool is_relative_file(std::string_view location) {
  if (location.empty() || location.front() == '/' || location.find(':') != std::string_view::npos) return false;
  return location.find("..") == std::string_view::npos && location.find('?') == std::string_view::npos;
}

void relocate(xml::Node element, std::string_view attribute, const std::string& address) {
  const auto location = element.attribute(attribute);
  if (!location || !is_relative_file(*location)) return;
  const char* kind = location->ends_with(".wsdl") ? "wsdl" : "xsd";
  element.set_attribute(attribute, fmt::format("{}?{}={}", address, kind, net::percent_encode(*location)));
}

void make_live(xml::Node element, const std::string& address) {
  if (element.is(kSoapBinding, "address")) element.set_attribute("location", address);
  if (element.is(kWsdl, "import")) relocate(element, "location", address);
  if (element.is(kSchema, "import") || element.is(kSchema, "include")) relocate(element, "schemaLocation", address);
  for (const xml::Node child : element.children()) make_live(child, address);
}

// Host is the client's word; it only ever goes back to that client, and only when it looks like a host.
bool is_host(std::string_view host) {
  return !host.empty() && host.size() < 256 && std::all_of(host.begin(), host.end(), [](char c) {
    return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '.' || c == '-' ||
           c == ':' || c == '[' || c == ']';
  });
}

}  // namespace

Result<std::string> live_description(std::string_view text, const std::string& address) {
  TRY_ASSIGN(xml::Document document, xml::Document::parse(text));
  make_live(document.root(), address);
  return "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n" + document.to_string();
}

HttpResponse serve_description(const GatewayOptions& options, const HttpRequest& request) {
  const auto path = service_path(request.path());
  std::string file = request.query("wsdl").value_or("");
  if (file.empty()) file = request.query("xsd").value_or("");
  if (!file.empty() && !is_relative_file(file)) return net::text_response(400, "that is no name of a file");
  if (!options.description) return net::text_response(404, "no descriptions are served here");
  const auto text = options.description(path->service, file);
  if (!text) return error_response(text.error());
  const std::string_view host = request.header("Host");
  const bool over_tcp = request.peer != "unix" && is_host(host);
  const std::string base = over_tcp ? fmt::format("http://{}", host) : options.public_base;
  auto live = live_description(*text, base + std::string(request.path()));
  if (!live) return error_response(std::move(live).error().with("reading the description of " + path->service));
  HttpResponse response;
  response.content_type = "text/xml; charset=utf-8";
  response.body = std::move(*live);
  return response;
}

}  // namespace nuraghe::api
