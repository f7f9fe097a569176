#include "contracts/texts.hpp"

#include "contracts/operation.hpp"

#include <algorithm>

#include "contracts/embedded.hpp"
#include "xml/xml.hpp"

namespace nuraghe::contracts {
namespace {

constexpr std::string_view kWsdlSuffix = ".wsdl";
constexpr std::string_view kOpenApi = "openapi.json";

std::string_view find_text(std::string_view path) {
  const auto files = detail::embedded_files();
  const auto found = std::ranges::lower_bound(files, path, {}, &detail::EmbeddedFile::path);
  return found != files.end() && found->path == path ? found->text : std::string_view();
}

void set_addresses(xml::Node element, std::string_view address) {
  if (element.is("http://schemas.xmlsoap.org/wsdl/soap/", "address") ||
      element.is("http://schemas.xmlsoap.org/wsdl/soap12/", "address"))
    element.set_attribute("location", address);
  for (xml::Node child = element.first_child(); child; child = child.next_sibling()) set_addresses(child, address);
}

}  // namespace

std::string_view wsdl_text(std::string_view service) { return find_text(std::string(service).append(kWsdlSuffix)); }

std::string_view xsd_text(std::string_view path) {
  return path.ends_with(".xsd") ? find_text(path) : std::string_view();
}

std::string_view openapi_text() { return find_text(kOpenApi); }

std::vector<std::string> service_names() {
  std::vector<std::string> names;
  for (const auto& service : all_services()) names.emplace_back(service.name);
  return names;
}

const std::map<std::string, std::string>& all_texts() {
  static const auto* const kTexts = [] {
    auto* texts = new std::map<std::string, std::string>;  // never freed: used until the process ends
    for (const auto& file : detail::embedded_files())
      if (file.path != kOpenApi) texts->emplace(file.path, file.text);
    return texts;
  }();
  return *kTexts;
}

std::string with_address(std::string_view wsdl, std::string_view address) {
  auto document = xml::Document::parse(wsdl);
  if (!document) return std::string(wsdl);
  set_addresses(document->root(), address);
  return document->to_string();
}

}  // namespace nuraghe::contracts
