// Between WSDL messages and SOAP bodies, faults and answers; the keys by which messages find their instances.
#include <algorithm>

#include "bpel/runtime/machine.hpp"

namespace nuraghe::bpel::runtime {
namespace {

constexpr std::string_view kFaultNamespace = "urn:nuraghe:fault:1";

bool is_bare(const wsdl::Message& message) {
  return message.parts.size() == 1 && !message.parts.front().element.empty();
}

xml::DocumentPtr renamed(xml::Node element, const xml::QName& name) {
  auto copy = xml::Document::copy_of(element);
  copy.root().rename(name);
  return std::move(copy).share();
}

}  // namespace

VariableValue parts_of_body(const wsdl::Message& message, const xml::DocumentPtr& body) {
  VariableValue value;
  value.initialised = true;
  if (!body) return value;
  if (is_bare(message)) {
    value.parts.emplace(message.parts.front().name, body);
    return value;
  }
  for (const auto& part : message.parts) {
    if (!part.element.empty()) {
      if (auto child = body->root().child(part.element.ns, part.element.local)) {
        value.parts.emplace(part.name, xml::Document::copy_of(child).share());
        continue;
      }
    }
    if (auto accessor = body->root().child("", part.name)) {
      value.parts.emplace(part.name, renamed(accessor, {"", part.name}));
    }
  }
  return value;
}

xml::DocumentPtr body_of_parts(const wsdl::Message& message, const VariableValue& value, const xml::QName& wrapper) {
  if (is_bare(message)) return value.part(message.parts.front().name);
  if (message.parts.empty() && wrapper.empty()) return nullptr;
  auto document = xml::Document::create(wrapper.empty() ? xml::QName{"", message.name.local} : wrapper);
  for (const auto& part : message.parts) {
    if (const auto content = value.part(part.name)) document.root().append_copy(content->root());
  }
  return std::move(document).share();
}

exchange::Fault answer_of(const FaultRow& fault, const std::string& originator) {
  exchange::Fault answer;
  answer.code = fault.code.empty() ? ErrorCode::kInternal : error_code_from_name(fault.code);
  if (fault.remote) {
    answer.reason = fault.reason;
    answer.from_sender = fault.from_sender;
    if (!fault.detail.empty()) {
      if (auto detail = xml::Document::parse(fault.detail, {.source = "fault"}))
        answer.detail = std::move(*detail).share();
    }
    return answer;
  }
  if (fault.data.size() == 1) {
    auto detail = xml::Document::parse(fault.data.front().xml, {.source = "fault"});
    if (detail && !detail->root().namespace_uri().empty()) {
      answer.reason = fault.text;
      if (detail->root().is(kFaultNamespace, "fault")) {
        answer.code = error_code_from_name(detail->root().attribute_or("code", "internal"));
        answer.from_sender = exchange::is_of_sender(answer.code);
        if (auto said = detail->root().child(kFaultNamespace, "message")) answer.reason = said.text();
      }
      answer.detail = std::move(*detail).share();
      return answer;
    }
  }
  const std::string name = fault.ns == kBpelNamespace ? "bpel:" + fault.local : fault.name().to_string();
  return exchange::fault_of(
      Error(answer.code, fault.where.empty() ? fault.text : fault.where + ": " + name + ": " + fault.text), originator);
}

std::string property_names(const CorrelationSet& set) {
  std::string names;
  for (const auto& property : set.properties) {
    if (!names.empty()) names.push_back(' ');
    names += property.to_string();
  }
  return names;
}

std::string subscription_key(std::string_view link, std::string_view operation, std::vector<SetKey> sets) {
  std::sort(sets.begin(), sets.end());
  std::string joined;
  const auto add = [&](std::string_view field) {
    joined += std::to_string(field.size());
    joined.push_back(':');
    joined += field;
  };
  for (const auto& set : sets) {
    add(set.properties);
    for (const auto& value : set.values) add(value);
  }
  return key16({link, operation, joined});
}

std::string correlation_key(const SetKey& set) { return subscription_key("", "", {set}); }

}  // namespace nuraghe::bpel::runtime
