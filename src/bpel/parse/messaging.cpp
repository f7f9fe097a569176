// Activities and events that carry messages: receive, reply, invoke, pick.
#include <fmt/format.h>

#include <algorithm>

#include "bpel/parse/parser.hpp"

namespace nuraghe::bpel {

Endpoint Parser::read_endpoint(xml::Node node, bool my_role) {
  Endpoint endpoint;
  const std::string link_name = attribute(node, "partnerLink");
  endpoint.partner_link = find_partner_link(link_name);
  if (!endpoint.partner_link) {
    report(node, node.local_name() == "onEvent" ? "SA00084" : "",
           fmt::format("there is no partner link '{}' here", link_name));
    return endpoint;
  }
  endpoint.link = &definition_->partner_link(endpoint.partner_link);
  const std::string& role = my_role ? endpoint.link->my_role : endpoint.link->partner_role;
  if (role.empty()) {
    report(node, node.attribute("portType") ? "SA00005" : "",
           fmt::format("the partner link '{}' has no {}", link_name, my_role ? "myRole" : "partnerRole"));
    return endpoint;
  }
  endpoint.port_type = my_role ? endpoint.link->my_port_type : endpoint.link->partner_port_type;
  if (endpoint.port_type == nullptr) return endpoint;  // reported where the partner link is declared
  const xml::QName named = qname(node, "portType");
  if (!named.empty() && named != endpoint.port_type->name) {
    report(node, "SA00005",
           fmt::format("portType=\"{}\", but the partner link '{}' has {}", named.to_string(), link_name,
                       endpoint.port_type->name.to_string()));
  }
  const std::string name = attribute(node, "operation");
  endpoint.operation = endpoint.port_type->operation(name);
  if (endpoint.operation == nullptr) {
    report(node, "", fmt::format("the port type {} has no operation '{}'", endpoint.port_type->name.to_string(), name));
    return endpoint;
  }
  if (!endpoint.operation->one_way() && !endpoint.operation->request_response()) {
    report(node, "SA00001", fmt::format("the operation '{}' is a solicit-response or notification", name));
    endpoint.operation = nullptr;
    return endpoint;
  }
  endpoint.input = definition_->wsdl().message(endpoint.operation->input);
  if (endpoint.input == nullptr)
    report(node, "SA00010", fmt::format("the message {} is not imported", endpoint.operation->input.to_string()));
  if (endpoint.operation->has_output) {
    endpoint.output = definition_->wsdl().message(endpoint.operation->output);
    if (endpoint.output == nullptr)
      report(node, "SA00010", fmt::format("the message {} is not imported", endpoint.operation->output.to_string()));
  }
  return endpoint;
}

MessageBinding Parser::bind_variable(xml::Node node, const wsdl::Message* message, const std::string& name,
                                     const char* rule) {
  MessageBinding binding;
  const auto [ref, variable] = variable_named(node, name);
  if (variable == nullptr || variable->type.empty()) return binding;  // reported where it is declared
  if (variable->kind == VariableKind::kMessage && (message == nullptr || variable->type == message->name)) {
    binding.variable = ref;
    binding.declaration = variable;
    return binding;
  }
  const bool one_element = message != nullptr && message->parts.size() == 1 && !message->parts.front().element.empty();
  if (variable->kind == VariableKind::kElement && (message == nullptr || one_element) &&
      (message == nullptr || message->parts.front().element == variable->type)) {
    binding.parts.push_back({message == nullptr ? "" : message->parts.front().name, ref, variable});
    return binding;
  }
  if (message == nullptr) {
    report(node, rule, fmt::format("the variable '{}' must be of a message type or an element", name));
  } else if (one_element) {
    report(
        node, rule,
        fmt::format("the variable '{}' is of {}, the message is {} with the element {}", name,
                    variable->type.to_string(), message->name.to_string(), message->parts.front().element.to_string()));
  } else {
    report(node, rule,
           fmt::format("the variable '{}' is of {}, the message is {}", name, variable->type.to_string(),
                       message->name.to_string()));
  }
  return binding;
}

std::vector<PartBinding> Parser::bind_parts(xml::Node node, const wsdl::Message* message, std::string_view item,
                                            std::string_view variable_attribute, const char* rule) {
  std::vector<PartBinding> parts;
  for (const xml::Node element : children(node, item)) {
    PartBinding part;
    part.part = attribute(element, "part");
    if (message != nullptr && message->part(part.part) == nullptr)
      report(element, rule, fmt::format("the message {} has no part '{}'", message->name.to_string(), part.part));
    const auto [ref, variable] = variable_named(element, attribute(element, variable_attribute));
    part.variable = ref;
    part.declaration = variable;
    if (variable != nullptr && variable->kind == VariableKind::kMessage)
      report(element, "", fmt::format("the variable '{}' is a whole message and cannot be a part", variable->name));
    parts.push_back(std::move(part));
  }
  return parts;
}

MessageBinding Parser::read_incoming(xml::Node node, const wsdl::Message* message, std::string_view attribute_name,
                                     const char* exclusive_rule, const char* type_rule) {
  const xml::Node parts = child(node, "fromParts");
  const auto variable = node.attribute(attribute_name);
  if (parts && variable)
    report(node, exclusive_rule,
           fmt::format("<fromParts> and the attribute {} may not stand together", attribute_name));
  if (variable) return bind_variable(node, message, *variable, type_rule);
  MessageBinding binding;
  if (parts) {
    binding.parts = bind_parts(parts, message, "fromPart", "toVariable", "SA00053");
  } else if (message != nullptr && !message->parts.empty()) {
    report(node, "SA00047",
           fmt::format("it must say by {} or <fromParts> where the message {} goes", attribute_name,
                       message->name.to_string()));
  }
  return binding;
}

MessageBinding Parser::read_outgoing(xml::Node node, const wsdl::Message* message, std::string_view attribute_name,
                                     const char* exclusive_rule, const char* type_rule) {
  const xml::Node parts = child(node, "toParts");
  const auto variable = node.attribute(attribute_name);
  if (parts && variable)
    report(node, exclusive_rule, fmt::format("<toParts> and the attribute {} may not stand together", attribute_name));
  if (variable) return bind_variable(node, message, *variable, type_rule);
  MessageBinding binding;
  if (!parts) {
    if (message != nullptr && !message->parts.empty()) {
      report(node, "SA00047",
             fmt::format("it must say by {} or <toParts> where the message {} comes from", attribute_name,
                         message->name.to_string()));
    }
    return binding;
  }
  binding.parts = bind_parts(parts, message, "toPart", "fromVariable", "SA00054");
  if (message == nullptr) return binding;
  for (const wsdl::Part& part : message->parts) {
    const bool given = std::any_of(binding.parts.begin(), binding.parts.end(),
                                   [&](const PartBinding& bound) { return bound.part == part.name; });
    if (!given) report(parts, "SA00050", fmt::format("the message's part '{}' lacks a <toPart>", part.name));
  }
  return binding;
}

std::vector<Correlation> Parser::read_correlations(xml::Node node, const Endpoint& endpoint, bool of_invoke,
                                                   bool of_reply) {
  std::vector<Correlation> correlations;
  const xml::Node list = child(node, "correlations");
  if (!list) return correlations;
  const bool two_way = endpoint.operation != nullptr && endpoint.operation->request_response();
  for (const xml::Node element : children(list, "correlation")) {
    Correlation correlation;
    const std::string name = attribute(element, "set");
    correlation.set = find_correlation_set(name);
    if (!correlation.set) {
      report(element, node.local_name() == "onEvent" ? "SA00088" : "",
             fmt::format("there is no correlation set '{}' here", name));
      continue;
    }
    correlation.declaration = &definition_->correlation_set(correlation.set);
    const std::string initiate = element.attribute_or("initiate", "no");
    if (initiate != "yes" && initiate != "no" && initiate != "join")
      report(element, "", fmt::format("initiate=\"{}\": it must be yes, join or no", initiate));
    correlation.initiate = initiate == "yes" ? Initiate::kYes : initiate == "join" ? Initiate::kJoin : Initiate::kNo;
    const std::string pattern = attribute(element, "pattern");
    if (pattern == "request") correlation.pattern = CorrelationPattern::kRequest;
    if (pattern == "response") correlation.pattern = CorrelationPattern::kResponse;
    if (pattern == "request-response") correlation.pattern = CorrelationPattern::kRequestResponse;
    if (!pattern.empty() && correlation.pattern == CorrelationPattern::kUnspecified)
      report(element, "", fmt::format("pattern=\"{}\": it must be request, response or request-response", pattern));
    if (endpoint.operation != nullptr && pattern.empty() == (of_invoke && two_way)) {
      report(element, "SA00046",
             of_invoke && two_way ? "an invoke that gets an answer must say the pattern of its correlation"
                                  : "only an invoke that gets an answer has a correlation pattern");
    }
    if (correlation.on_request()) check_aliases(element, correlation, of_reply ? endpoint.output : endpoint.input);
    if (correlation.on_response()) check_aliases(element, correlation, endpoint.output);
    correlations.push_back(correlation);
  }
  return correlations;
}

void Parser::check_aliases(xml::Node node, const Correlation& correlation, const wsdl::Message* message) {
  if (message == nullptr) return;
  const wsdl::Definitions& wsdl = definition_->wsdl();
  for (const xml::QName& property : correlation.declaration->properties) {
    if (wsdl.property(property) == nullptr) continue;  // reported where the set is declared
    const bool by_element = message->parts.size() == 1 && !message->parts.front().element.empty() &&
                            wsdl.alias_for_element(property, message->parts.front().element) != nullptr;
    const wsdl::PropertyAlias* const alias = wsdl.alias_for_message(property, message->name);
    if (alias == nullptr && !by_element) {
      report(node, "SA00021",
             fmt::format("no property alias says where {} is in the message {}", property.to_string(),
                         message->name.to_string()));
    } else if (alias != nullptr && message->part(alias->part) == nullptr) {
      report(node, "",
             fmt::format("the alias of {} names the part '{}', which the message {} has not", property.to_string(),
                         alias->part, message->name.to_string()));
    }
  }
}

MessageExchangeRef Parser::read_exchange(xml::Node node) {
  const auto name = node.attribute("messageExchange");
  if (!name) return {default_exchange_scope_, 0};
  const MessageExchangeRef found = find_message_exchange(*name);
  if (!found) {
    report(node, node.local_name() == "onEvent" ? "SA00089" : "SA00061",
           fmt::format("there is no message exchange '{}' here", *name));
  }
  return found;
}

MessageEvent Parser::read_message_event(xml::Node node, const char* exclusive_rule, const char* type_rule) {
  MessageEvent event;
  event.endpoint = read_endpoint(node, true);
  event.into = read_incoming(node, event.endpoint.input, "variable", exclusive_rule, type_rule);
  event.correlations = read_correlations(node, event.endpoint, false, false);
  event.exchange = read_exchange(node);
  return event;
}

const Activity* Parser::read_receive(xml::Node node, NodeIndex parent) {
  Receive* const receive = make<Receive>(node, parent);
  read_standard(node, *receive);
  receive->event = read_message_event(node, "SA00055", "SA00058");
  receive->create_instance = yes_no(node, "createInstance", false);
  if (receive->create_instance) definition_->start_activities_.push_back(receive->index);
  return receive;
}

const Activity* Parser::read_reply(xml::Node node, NodeIndex parent) {
  Reply* const reply = make<Reply>(node, parent);
  read_standard(node, *reply);
  reply->endpoint = read_endpoint(node, true);
  const wsdl::Operation* const operation = reply->endpoint.operation;
  if (operation != nullptr && operation->one_way())
    report(node, "", fmt::format("the operation '{}' is one-way: there is nobody to reply to", operation->name));
  const wsdl::Message* message = reply->endpoint.output;
  if (node.attribute("faultName")) {
    reply->fault_name = qname(node, "faultName");
    if (operation != nullptr && reply->fault_name->ns == reply->endpoint.port_type->name.ns)
      reply->declared_fault = operation->fault(reply->fault_name->local);
    message = reply->declared_fault == nullptr ? nullptr : definition_->wsdl().message(reply->declared_fault->message);
    reply->fault_message = message;
    if (operation != nullptr && reply->declared_fault == nullptr) {
      diagnostics_.push_back(
          {"", path_, node.position(),
           fmt::format("the operation '{}' declares no fault {}", operation->name, reply->fault_name->to_string()),
           true});
    }
  }
  reply->from = read_outgoing(node, message, "variable", "SA00059", "SA00058");
  Endpoint answered = reply->endpoint;
  answered.output = message;
  reply->correlations = read_correlations(node, answered, false, true);
  reply->exchange = read_exchange(node);
  return reply;
}

const Activity* Parser::read_plain_invoke(xml::Node node, NodeIndex parent, bool with_links) {
  Invoke* const invoke = make<Invoke>(node, parent);
  read_standard(node, *invoke, with_links);
  invoke->endpoint = read_endpoint(node, false);
  invoke->input = read_outgoing(node, invoke->endpoint.input, "inputVariable", "SA00051", "SA00048");
  const wsdl::Operation* const operation = invoke->endpoint.operation;
  if (operation != nullptr && operation->one_way()) {
    if (node.attribute("outputVariable") || child(node, "fromParts"))
      report(node, "SA00047", fmt::format("the operation '{}' is one-way and gives no answer", operation->name));
  } else {
    invoke->output = read_incoming(node, invoke->endpoint.output, "outputVariable", "SA00052", "SA00048");
  }
  invoke->correlations = read_correlations(node, invoke->endpoint, true, false);
  return invoke;
}

const Activity* Parser::read_invoke(xml::Node node, NodeIndex parent) {
  const bool handlers = child(node, "catch") || child(node, "catchAll") || child(node, "compensationHandler");
  if (!handlers) return read_plain_invoke(node, parent, true);
  Scope* const scope = make<Scope>(node, parent);
  scope->of_invoke = true;
  read_standard(node, *scope);
  begin_scope(node, *scope);
  for (const xml::Node handler : children(node, "catch")) read_catch(handler, *scope, false);
  for (const xml::Node handler : children(node, "catchAll")) read_catch(handler, *scope, true);
  if (const xml::Node handler = child(node, "compensationHandler"))
    scope->compensation_handler = read_handler(handler, *scope, NodeKind::kCompensationHandler);
  if (room_for_more(node)) scope->body = read_plain_invoke(node, scope->index, false);
  frames_.pop_back();
  return scope;
}

const Activity* Parser::read_pick(xml::Node node, NodeIndex parent) {
  Pick* const pick = make<Pick>(node, parent);
  read_standard(node, *pick);
  pick->create_instance = yes_no(node, "createInstance", false);
  if (pick->create_instance) definition_->start_activities_.push_back(pick->index);
  for (const xml::Node element : children(node, "onMessage")) {
    if (!room_for_more(element)) return pick;
    OnMessage* const message = make<OnMessage>(element, pick->index);
    message->event = read_message_event(element, "SA00063", "SA00058");
    message->activity = read_inner_activity(element, message->index);
    pick->messages.push_back(message);
  }
  for (const xml::Node element : children(node, "onAlarm")) {
    if (!room_for_more(element)) return pick;
    pick->alarms.push_back(read_on_alarm(element, pick->index));
  }
  return pick;
}

const OnAlarm* Parser::read_on_alarm(xml::Node node, NodeIndex parent) {
  OnAlarm* const alarm = make<OnAlarm>(node, parent);
  alarm->for_duration = expression(child(node, "for"));
  alarm->until = expression(child(node, "until"));
  alarm->repeat_every = expression(child(node, "repeatEvery"));
  const xml::Node scope = child(node, "scope");
  if (definition_->nodes_[parent]->kind == NodeKind::kScope) {
    if (scope && room_for_more(scope)) alarm->activity = read_scope(scope, alarm->index, nullptr, false);
  } else {
    alarm->activity = read_inner_activity(node, alarm->index);
  }
  return alarm;
}

}  // namespace nuraghe::bpel
