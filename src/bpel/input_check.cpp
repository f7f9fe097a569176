#include "bpel/input_check.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <vector>

#include "base/log.hpp"
#include "bpel/runtime/machine.hpp"
#include "soap/envelope.hpp"

namespace nuraghe::bpel {
namespace {

constexpr std::size_t kFindingsTold = 5;

bool declares(xml::Node schema, const xml::QName& element) {
  if (schema.attribute_or("targetNamespace", "") != element.ns) return false;
  for (const auto& global : schema.children(wsdl::kSchemaNamespace, "element")) {
    if (global.attribute_or("name", "") == element.local) return true;
  }
  return false;
}

// Where compiling may start for an element, the best first: the schema that declares it, then others of its namespace,
// which may include what declares it.
std::vector<std::string> starts_for(const wsdl::Definitions& wsdl, const xml::QName& element) {
  std::vector<std::string> declaring, others;
  for (const auto& [location, text] : wsdl.schemas()) {
    const auto document = xml::Document::parse(text, {.source = location});
    if (!document) continue;
    if (declares(document->root(), element))
      declaring.push_back(location);
    else if (document->root().attribute_or("targetNamespace", "") == element.ns)
      others.push_back(location);
  }
  declaring.insert(declaring.end(), others.begin(), others.end());
  return declaring;
}

}  // namespace

Status check_element(const wsdl::Message& message, const std::string& operation, const xml::DocumentPtr& body) {
  const auto lacking = runtime::lacking_part(message, body);
  if (lacking.empty()) return {};
  const bool is_bare = message.parts.size() == 1 && !message.parts.front().element.empty();
  const auto got = soap::body_element(body);
  if (!is_bare) {
    return invalid(fmt::format("the request {} lacks the part {} of the message {}", operation, lacking,
                               message.name.to_string()));
  }
  const auto expected = message.parts.front().element.to_string();
  if (!got) return invalid(fmt::format("the request {} has no body; expected {}", operation, expected));
  return invalid(
      fmt::format("the body of the request {} is {}; expected {}", operation, got.name().to_string(), expected));
}

const xml::Schema* InputCheck::schema_of(const std::string& version, const wsdl::Definitions& wsdl,
                                         const xml::QName& element) {
  const auto [found, is_new] = by_element_.try_emplace({version, element});
  if (!is_new) return found->second.get();
  for (const auto& start : starts_for(wsdl, element)) {
    auto& schema = by_start_[{version, start}];
    if (!schema) {
      auto compiled = xml::Schema::compile(start, wsdl.schemas());
      if (!compiled) {
        log_warning("bpel", "requests are not checked by a schema that cannot be compiled",
                    {{"element", element.to_string()}, {"error", compiled.error().to_string()}});
        continue;
      }
      schema = std::make_shared<const xml::Schema>(std::move(*compiled));
    }
    found->second = schema;
    break;
  }
  return found->second.get();
}

Status InputCheck::check_content(const std::string& version, const wsdl::Definitions& wsdl,
                                 const std::string& operation, const xml::DocumentPtr& body) {
  if (!body) return {};
  const auto* schema = schema_of(version, wsdl, body->root().name());
  if (schema == nullptr) return {};
  const auto findings = schema->validate(*body);
  if (findings.empty()) return {};
  std::string text;
  for (std::size_t i = 0; i < std::min(findings.size(), kFindingsTold); ++i) {
    text += fmt::format("{}{}: {}", i == 0 ? "" : "; ", findings[i].element, findings[i].message);
  }
  if (findings.size() > kFindingsTold) text += fmt::format("; and {} more", findings.size() - kFindingsTold);
  return invalid(fmt::format("the body of the request {} is not valid: {}", operation, text));
}

}  // namespace nuraghe::bpel
