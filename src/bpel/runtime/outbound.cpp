// Messages that go out: replies, invokes, and the answers that the engine gives for a process that ended
// (WS-BPEL 2.0 §10.3, §10.4).
#include <fmt/format.h>

#include <utility>

#include "base/check.hpp"
#include "bpel/runtime/machine.hpp"
#include "soap/references.hpp"

namespace nuraghe::bpel::runtime {
namespace {

constexpr std::string_view kEngineNamespace = "urn:nuraghe:bpel:1";

std::string_view text_of_body(const xml::DocumentPtr& body) {
  return body ? std::string_view(body->shared_text()) : std::string_view();
}

// The first part that has no value (§8.1: it may not be sent); empty: all have one.
std::string missing_part(const wsdl::Message& message, const VariableValue& value) {
  for (const auto& part : message.parts) {
    if (!value.part(part.name)) return part.name;
  }
  return {};
}

// The location of the first soap:address in the element or below it; empty: there is none.
std::string soap_address_in(xml::Node node) {
  if (node.is(wsdl::kSoapBindingNamespace, "address") || node.is(wsdl::kSoap12BindingNamespace, "address"))
    return node.attribute_or("location", "");
  for (const auto child : node.children()) {
    if (auto location = soap_address_in(child); !location.empty()) return location;
  }
  return {};
}

// The wsa:EndpointReference that the root is or holds; the root itself when it is an address alone.
xml::Node reference_in(xml::Node root) {
  const std::string_view ns = root.namespace_uri();
  if (soap::is_addressing(ns)) return root;
  for (const xml::Node child : root.children()) {
    if (soap::is_addressing(child.namespace_uri()) && child.local_name() == "EndpointReference") return child;
  }
  return {};
}

std::string address_in(const xml::DocumentPtr& document) {
  const auto root = document->root();
  if (root.is(wsdl::kWsdlNamespace, "service") || root.local_name() == "address") {
    if (auto location = soap_address_in(root); !location.empty()) return location;
  }
  if (const xml::Node reference = reference_in(root)) {
    const std::string_view ns = reference.namespace_uri();
    if (reference.local_name() == "Address") return reference.text();
    if (const auto address = reference.child(ns, "Address")) return address.text();
    if (const auto inner = reference.child(ns, "EndpointReference")) {
      if (const auto address = inner.child(ns, "Address")) return address.text();
    }
  }
  return root.has_element_children() ? std::string() : root.text();
}

std::string trimmed(const std::string& text) {
  const auto first = text.find_first_not_of(" \t\r\n");
  if (first == std::string::npos) return {};
  return text.substr(first, text.find_last_not_of(" \t\r\n") - first + 1);
}

}  // namespace

xml::DocumentPtr named_as(xml::DocumentPtr document, const xml::QName& name) {
  if (document->root().name() == name) return document;
  auto copy = document->clone();
  copy.root().rename(name);
  return std::move(copy).share();
}

// What a reply or invoke sends, by parts.
Evaluated<VariableValue> Machine::collect(Region& region, const MessageBinding& binding,
                                          const wsdl::Message* declared) {
  current_ = &region;
  if (binding.variable) {
    TRY_ASSIGN(const VariableValue* value, variable(binding.variable));
    if (value != nullptr) return *value;
    // A message without parts has nothing that could be given a value.
    if (binding.declaration->message != nullptr && binding.declaration->message->parts.empty()) {
      VariableValue empty;
      empty.initialised = true;
      return empty;
    }
    return standard_fault(faults::kUninitializedVariable,
                          fmt::format("the variable {} has no value", binding.declaration->name));
  }
  VariableValue message;
  message.initialised = true;
  for (const auto& source : binding.parts) {
    TRY_ASSIGN(const VariableValue* value, variable(source.variable));
    auto document = value == nullptr ? nullptr : value->part();
    if (!document) {
      return standard_fault(faults::kUninitializedVariable,
                            fmt::format("the variable {} has no value", source.declaration->name));
    }
    // As a copy to the part does (§8.4.2): the part's own name stays.
    const wsdl::Part* part = declared == nullptr ? nullptr : declared->part(source.part);
    const auto name = part == nullptr || part->element.empty() ? xml::QName{"", source.part} : part->element;
    message.parts.emplace(source.part, named_as(std::move(document), name));
  }
  return message;
}

// ---- reply ----

void Machine::begin_reply(Region& region, Frame& frame) {
  const auto& reply = as<Reply>(program_.node(frame.node));
  const NodeIndex node = frame.node;
  const auto key = open_key(region, reply.endpoint, reply.exchange, nullptr);
  if (key.empty()) return;
  auto row = turn_.transaction().get(tables_.open, key);
  if (!row) return void(check(std::move(row).error()));
  if (!*row) {
    return throw_standard(region, faults::kMissingRequest,
                          fmt::format("there is no open {} request to reply to", reply.endpoint.operation->name), node);
  }
  auto open = decode_record<OpenRequestRow>(**row);
  if (!open) return fail(std::move(open).error());
  const wsdl::Message* message = reply.fault_name ? reply.fault_message : reply.endpoint.output;
  auto value = collect(region, reply.from, message);
  if (!value) return throw_fault(region, value.error(), node);
  if (message != nullptr && !correlate(region, reply.correlations, message, *value, true, node)) return;
  digest_.add(open->request_id);
  answered_creator_ = answered_creator_ || open->request_id == instance_.header.created_by;
  if (reply.fault_name) {
    FaultRow fault;
    fault.ns = reply.fault_name->ns;
    fault.local = reply.fault_name->local;
    fault.text = fmt::format("{} answered {}", instance_.header.process, fault.local);
    fault.data = to_row(*value).parts;
    if (fault.data.empty()) {
      fault.data.push_back({"", xml::Document::create(*reply.fault_name).root().to_string()});
    }
    send_fault(*open, fault);
  } else {
    const auto missing = message == nullptr ? std::string() : missing_part(*message, *value);
    if (!missing.empty()) {
      return throw_standard(region, faults::kUninitializedVariable,
                            fmt::format("the part {} of the reply has no value", missing), node);
    }
    const wsdl::Binding* binding = nullptr;
    if (open->binding_local)
      binding = definition_.wsdl().binding({open->binding_ns.value_or(""), *open->binding_local});
    if (binding == nullptr) binding = definition_.wsdl().binding_of_port_type(reply.endpoint.port_type->name);
    const auto body = message == nullptr
                          ? nullptr
                          : body_of_parts(*message, *value, body_form(binding, reply.endpoint, *message, true));
    digest_.add(text_of_body(body));
    if (!check(turn_.reply(open->request_id, body))) return;
  }
  close_request(key, *open);
  complete(region, frame.number);
}

void Machine::send_fault(const OpenRequestRow& row, const FaultRow& fault) {
  auto answer = answer_of(fault, instance_.header.process, turn_.now());
  digest_.add(row.request_id);
  answered_creator_ = answered_creator_ || row.request_id == instance_.header.created_by;
  digest_.add(answer.reason);
  digest_.add(text_of_body(answer.detail));
  check(turn_.reply_fault(row.request_id, std::move(answer)));
}

void Machine::answer_open(const Region* region, const FaultRow& fault) {
  if (region != nullptr && region->row.open_requests == 0) return;
  auto rows = turn_.transaction().scan(tables_.open, instance_.header.id);
  for (; rows && !rows->empty(); rows = turn_.transaction().scan(tables_.open, instance_.header.id, rows->back().key)) {
    for (const auto& row : *rows) {
      auto open = decode_record<OpenRequestRow>(row.value);
      if (!open) return fail(std::move(open).error());
      if (region != nullptr && open->link_path != region->path && open->exchange_path != region->path) continue;
      send_fault(*open, fault);
      close_request(row.key, *open);
    }
  }
  if (!rows) check(std::move(rows).error());
}

void Machine::answer_start(const FaultRow& fault) {
  auto& header = instance_.header;
  if (header.start_message.empty()) return;
  const auto message = exchange::decode_message(header.start_message);
  header.start_message.clear();
  if (!message) return fail(message.error());
  if (message->one_way) return;
  OpenRequestRow open;
  open.request_id = message->message_id;
  send_fault(open, fault);
}

void Machine::answer_early() {
  if (instance_.header.early == 0) return;
  FaultRow fault;
  fault.ns = kBpelNamespace;
  fault.local = faults::kMissingReply;
  fault.code = error_code_name(ErrorCode::kConflict);
  std::string after;
  for (;;) {
    auto rows = turn_.transaction().scan(tables_.early, instance_.header.id, after);
    if (!rows) return void(check(std::move(rows).error()));
    if (rows->empty()) break;
    after = rows->back().key;
    for (const auto& row : *rows) {
      auto message = exchange::decode_message(row.value);
      if (!message) return fail(std::move(message).error());
      if (message->one_way) continue;
      OpenRequestRow open;
      open.request_id = message->message_id;
      fault.text = fmt::format("the process {} ended before it took the request {}: nothing is at work any more",
                               instance_.header.process, message->operation);
      send_fault(open, fault);
    }
  }
  instance_.header.early = 0;
}

// ---- invoke ----

Evaluated<Machine::Partner> Machine::partner_of(const Endpoint& endpoint) {
  TRY_ASSIGN(const auto document, endpoint_reference(endpoint.partner_link, false));
  Partner partner;
  if (document) partner.address = trimmed(address_in(document));
  if (partner.address.empty()) {
    return standard_fault(faults::kUninitializedPartnerRole,
                          fmt::format("the address of the partner of {} is not known", endpoint.link->name));
  }
  if (const xml::Node reference = reference_in(document->root())) {
    partner.blocks = soap::header_blocks_of(reference);
    partner.addressing_2004 = reference.namespace_uri() == soap::kAddressing2004;
  }
  return partner;
}

void Machine::begin_invoke(Region& region, Frame& frame) {
  const auto& invoke = as<Invoke>(program_.node(frame.node));
  const NodeIndex node = frame.node;
  const auto& endpoint = invoke.endpoint;
  auto value = collect(region, invoke.input, endpoint.input);
  if (!value) return throw_fault(region, value.error(), node);
  CHECK(endpoint.input != nullptr);
  if (!correlate(region, invoke.correlations, endpoint.input, *value, true, node)) return;
  current_ = &region;
  auto partner = partner_of(endpoint);
  if (!partner) return throw_fault(region, partner.error(), node);
  exchange::Message message;
  const auto* binding = definition_.wsdl().binding_at(endpoint.port_type->name, partner->address);
  if (const auto missing = missing_part(*endpoint.input, *value); !missing.empty()) {
    return throw_standard(region, faults::kUninitializedVariable,
                          fmt::format("the part {} of the request has no value", missing), node);
  }
  message.body = soap::with_header_blocks(
      partner->blocks, body_of_parts(*endpoint.input, *value, body_form(binding, endpoint, *endpoint.input, false)));
  const auto& header = instance_.header;
  message.message_id = name_uuid(turn_.now(), {header.id, std::to_string(frame.number)});
  message.to = std::move(partner->address);
  message.addressing_2004 = partner->addressing_2004;
  message.operation = endpoint.operation->name;
  message.one_way = endpoint.operation->one_way();
  message.soap_12 = binding != nullptr && binding->soap_version == 12;
  if (binding != nullptr) {
    if (const auto* operation = binding->operation(message.operation)) message.action = operation->soap_action;
  }
  message.vo = header.vo;
  message.caller = header.caller;
  message.traceparent = header.traceparent;
  message.tracestate = header.tracestate;
  message.conversation = header.id;
  message.starts_conversation = header.next_history == 1;  // in the turn that makes the instance
  digest_.add(message.message_id);
  digest_.add(message.to);
  digest_.add(message.operation);
  digest_.add(text_of_body(message.body));
  const bool one_way = message.one_way;
  if (!one_way) {
    frame.state = FrameState::kWaiting;
    frame.text = message.message_id;
    touch(region);
  }
  const auto token = to_text({header.id, region.path, frame.number, 0});
  if (!check(
          turn_.send(std::move(message), token, turn_.now() + program_.invoke_deadline, program_.unreachable_deadline)))
    return;
  if (one_way) complete(region, frame.number);
}

void Machine::invoke_done(Region& region, Frame& frame, const exchange::Message& reply) {
  const auto& invoke = as<Invoke>(program_.node(frame.node));
  const NodeIndex node = frame.node;
  const auto number = frame.number;
  frame.state = FrameState::kRunning;
  auto asked = std::exchange(frame.text, {});
  touch(region);
  if (reply.fault) {
    // When the exchange gave up rather than the partner answered, a process of this engine may be at work for nobody.
    abandoned_.push_back({std::move(asked), true, reply.fault->code == ErrorCode::kUnavailable});
    return throw_fault(region, fault_of_reply(invoke, reply));
  }
  if (const auto* output = invoke.endpoint.output) {
    const auto value = parts_of_body(*output, reply.body);
    if (!correlate(region, invoke.correlations, output, value, false, node)) return;
    if (!bind(region, invoke.output, value, node)) return;
  }
  complete(region, number);
}

FaultRow Machine::fault_of_reply(const Invoke& invoke, const exchange::Message& reply) const {
  exchange::Fault answer = *reply.fault;
  if (!answer.detail) {
    const auto code = answer.code;
    const auto from_sender = answer.from_sender;
    answer = exchange::fault_of(Error(code, answer.reason), invoke.endpoint.link->name, turn_.now());
    answer.from_sender = from_sender;
  }
  FaultRow fault;
  fault.remote = true;
  fault.reason = answer.reason;
  fault.code = error_code_name(answer.code);
  fault.from_sender = answer.from_sender;
  fault.detail = text_of_body(answer.detail);
  fault.text = answer.reason;
  fault.where = program_.where(invoke.index);
  fault.ns = kEngineNamespace;
  fault.local = "remoteFault";
  if (!answer.detail) return fault;
  const auto entries = body_elements(answer.detail);
  for (const auto& declared : invoke.endpoint.operation->faults) {
    for (const xml::Node entry : entries) {
      if (is_declared_fault(invoke, declared, entry, fault)) return fault;
    }
  }
  if (entries.empty()) return fault;
  fault.element_ns = entries.front().name().ns;
  fault.element_local = entries.front().name().local;
  fault.data.push_back({"", entries.size() == 1 ? fault.detail : entries.front().to_string()});
  return fault;
}

// Whether the entry of a fault's detail is of the message that the operation declares; then `fault` is that one.
bool Machine::is_declared_fault(const Invoke& invoke, const wsdl::OperationFault& declared, xml::Node entry,
                                FaultRow& fault) const {
  const auto* message = definition_.wsdl().message(declared.message);
  if (message == nullptr || message->parts.size() != 1) return false;
  const auto& part = message->parts.front();
  const bool by_type = part.element.empty() && entry.local_name() == part.name;
  if (!by_type && part.element != entry.name()) return false;
  fault.ns = invoke.endpoint.port_type->name.ns;
  fault.local = declared.name;
  fault.message_ns = message->name.ns;
  fault.message_local = message->name.local;
  auto content = xml::Document::copy_of(entry);
  if (by_type) content.root().rename({"", part.name});
  fault.data.push_back({part.name, content.root().to_string()});
  return true;
}

}  // namespace nuraghe::bpel::runtime
