// Between WSDL messages and SOAP bodies, faults and answers; the keys by which messages find their instances.
#include <algorithm>

#include "bpel/runtime/machine.hpp"
#include "soap/envelope.hpp"

namespace nuraghe::bpel::runtime {
namespace {

bool is_bare(const wsdl::Message& message) {
  return message.parts.size() == 1 && !message.parts.front().element.empty();
}

xml::DocumentPtr renamed(xml::Node element, const xml::QName& name) {
  auto copy = xml::Document::copy_of(element);
  copy.root().rename(name);
  return std::move(copy).share();
}

}  // namespace

namespace {

// What an envelope held.
struct Content {
  std::vector<xml::Node> elements, blocks;
};

Content content_of(const xml::DocumentPtr& body) {
  Content content;
  if (!body) return content;
  const xml::Node root = body->root();
  if (!root.is(soap::kParts, "parts")) {
    content.elements.push_back(root);
    return content;
  }
  if (const xml::Node elements = root.child(soap::kParts, "body")) content.elements = elements.children();
  if (const xml::Node blocks = root.child(soap::kParts, "header")) content.blocks = blocks.children();
  return content;
}

xml::DocumentPtr shared_copy(xml::Node element, const xml::DocumentPtr& body) {
  return element == body->root() ? body : xml::Document::copy_of(element).share();
}

// The accessor of a part in an rpc wrapper; some put it into a namespace.
xml::Node accessor_of(xml::Node wrapper, const std::string& part) {
  if (const xml::Node exact = wrapper.child("", part)) return exact;
  for (const xml::Node child : wrapper.children()) {
    if (child.local_name() == part) return child;
  }
  return {};
}

xml::DocumentPtr find_part(const wsdl::Part& part, const Content& content, const xml::DocumentPtr& body) {
  const bool by_element = !part.element.empty();
  for (const xml::Node element : content.elements) {
    if (by_element && element.name() == part.element) return shared_copy(element, body);
  }
  if (content.elements.size() == 1) {
    const xml::Node wrapper = content.elements.front();
    if (const xml::Node child = by_element ? wrapper.child(part.element.ns, part.element.local) : xml::Node())
      return xml::Document::copy_of(child).share();
    if (const xml::Node accessor = accessor_of(wrapper, part.name)) {
      const xml::Node inner = by_element ? accessor.child(part.element.ns, part.element.local) : xml::Node();
      return inner ? xml::Document::copy_of(inner).share() : renamed(accessor, {"", part.name});
    }
  }
  for (const xml::Node element : content.elements) {
    if (!by_element && element.local_name() == part.name) return renamed(element, {"", part.name});
  }
  for (const xml::Node block : content.blocks) {
    if (by_element ? block.name() == part.element : block.local_name() == part.name)
      return by_element ? xml::Document::copy_of(block).share() : renamed(block, {"", part.name});
  }
  return nullptr;
}

}  // namespace

std::vector<xml::Node> body_elements(const xml::DocumentPtr& body) { return content_of(body).elements; }

std::string lacking_part(const wsdl::Message& message, const xml::DocumentPtr& body) {
  const Content content = content_of(body);
  for (const auto& part : message.parts) {
    if (!body || find_part(part, content, body) == nullptr) return part.name;
  }
  return {};
}

VariableValue parts_of_body(const wsdl::Message& message, const xml::DocumentPtr& body) {
  VariableValue value;
  value.initialised = true;
  if (!body) return value;
  const Content content = content_of(body);
  for (const auto& part : message.parts) {
    if (auto found = find_part(part, content, body)) value.parts.emplace(part.name, std::move(found));
  }
  // An answer with another element than declared is handed on as it is.
  if (value.parts.empty() && is_bare(message) && content.elements.size() == 1)
    value.parts.emplace(message.parts.front().name, shared_copy(content.elements.front(), body));
  return value;
}

BodyForm body_form(const wsdl::Binding* binding, const Endpoint& endpoint, const wsdl::Message& message,
                   bool response) {
  BodyForm form;
  const std::string wrapper = endpoint.operation->name + (response ? "Response" : "");
  if (binding == nullptr) {
    const bool rpc = std::any_of(message.parts.begin(), message.parts.end(),
                                 [](const wsdl::Part& part) { return part.element.empty(); });
    if (rpc) form.wrapper = {endpoint.port_type->name.ns, wrapper};
    return form;
  }
  const auto* operation = binding->operation(endpoint.operation->name);
  const auto& style = operation == nullptr || operation->style.empty() ? binding->style : operation->style;
  const wsdl::BoundMessage* bound = operation == nullptr ? nullptr : response ? &operation->output : &operation->input;
  if (style == "rpc") {
    const std::string& ns = bound == nullptr                 ? std::string()
                            : !bound->body_namespace.empty() ? bound->body_namespace
                                                             : operation->body_namespace;
    form.wrapper = {ns, wrapper};
  }
  if (bound == nullptr) return form;
  for (const auto& header : bound->headers) {
    if (header.message == message.name) form.headers.insert(header.part);
  }
  if (bound->parts) form.parts.emplace(bound->parts->begin(), bound->parts->end());
  return form;
}

xml::DocumentPtr body_of_parts(const wsdl::Message& message, const VariableValue& value, const BodyForm& form) {
  std::vector<xml::DocumentPtr> blocks, elements;
  for (const auto& part : message.parts) {
    const auto content = value.part(part.name);
    if (!content) continue;
    if (form.headers.contains(part.name))
      blocks.push_back(content);
    else if (!form.parts || form.parts->contains(part.name))
      elements.push_back(content);
  }
  if (!form.wrapper.empty()) {
    auto wrapper = xml::Document::create(form.wrapper);
    for (const auto& part : message.parts) {
      const auto content = value.part(part.name);
      if (!content || std::find(elements.begin(), elements.end(), content) == elements.end()) continue;
      // WSDL 1.1 §3.5: an element stands in the accessor of its part.
      auto root = wrapper.root();
      if (!part.element.empty()) root = root.append_element("", part.name);
      root.append_copy(content->root());
    }
    elements = {std::move(wrapper).share()};
  }
  if (blocks.empty() && elements.size() <= 1) return elements.empty() ? nullptr : elements.front();
  auto parts = xml::Document::create({std::string(soap::kParts), "parts"});
  auto header = parts.root().append_element(soap::kParts, "header");
  for (const auto& block : blocks) header.append_copy(block->root());
  auto body = parts.root().append_element(soap::kParts, "body");
  for (const auto& element : elements) body.append_copy(element->root());
  return std::move(parts).share();
}

exchange::Fault answer_of(const FaultRow& fault, const std::string& originator, TimePoint now) {
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
  if (fault.data.size() > 1) {
    auto parts = xml::Document::create({std::string(soap::kParts), "parts"});
    auto body = parts.root().append_element(soap::kParts, "body");
    for (const auto& part : fault.data) {
      if (const auto entry = xml::Document::parse(part.xml, {.source = "fault"})) body.append_copy(entry->root());
    }
    answer.reason = fault.text;
    answer.detail = std::move(parts).share();
    return answer;
  }
  if (fault.data.size() == 1) {
    auto detail = xml::Document::parse(fault.data.front().xml, {.source = "fault"});
    if (detail) {
      answer.reason = fault.text;
      if (const auto code = exchange::code_of(detail->root())) {
        answer.code = *code;
        answer.from_sender = exchange::is_of_sender(*code);
        if (auto said = exchange::description_of(detail->root()); !said.empty()) answer.reason = std::move(said);
      }
      answer.detail = exchange::lacks_timestamp(detail->root()) ? exchange::with_timestamp(detail->root(), now)
                                                                : std::move(*detail).share();
      return answer;
    }
  }
  const std::string name = fault.ns == kBpelNamespace ? "bpel:" + fault.local : fault.name().to_string();
  return exchange::fault_of(
      Error(answer.code, fault.where.empty() ? fault.text : fault.where + ": " + name + ": " + fault.text), originator,
      now);
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
