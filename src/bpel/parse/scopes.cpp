// Scopes and their handlers.
#include <fmt/format.h>

#include <algorithm>

#include "bpel/parse/parser.hpp"

namespace nuraghe::bpel {

void Parser::begin_scope(xml::Node node, Scope& scope) {
  scope.self = static_cast<ScopeIndex>(definition_->scopes_.size());
  definition_->scopes_.push_back(&scope);
  scope.message_exchanges.emplace_back();
  const bool inherited = scope.scope != kNone && definition_->scopes_[scope.scope]->exit_on_standard_fault;
  if (scope.of_invoke) {
    scope.exit_on_standard_fault = inherited;
  } else {
    scope.isolated = yes_no(node, "isolated", false);
    scope.exit_on_standard_fault = yes_no(node, "exitOnStandardFault", inherited);
  }
  frames_.push_back({&scope, {}});
}

const Scope* Parser::read_scope(xml::Node node, NodeIndex parent, Variable* implicit, bool own_default_exchange) {
  Scope* const scope = make<Scope>(node, parent);
  const bool suppress = suppress_join_failure_;
  const ScopeIndex exchange_scope = default_exchange_scope_;
  read_standard(node, *scope);
  begin_scope(node, *scope);
  if (own_default_exchange) default_exchange_scope_ = scope->self;
  if (implicit != nullptr) add_variable(*scope, std::move(*implicit));
  read_declarations(node, *scope);
  read_handlers_and_body(node, *scope);
  frames_.pop_back();
  default_exchange_scope_ = exchange_scope;
  suppress_join_failure_ = suppress;
  return scope;
}

void Parser::read_handlers_and_body(xml::Node node, Scope& scope) {
  read_fault_handlers(node, scope);
  if (const xml::Node handler = child(node, "compensationHandler"))
    scope.compensation_handler = read_handler(handler, scope, NodeKind::kCompensationHandler);
  if (const xml::Node handler = child(node, "terminationHandler"))
    scope.termination_handler = read_handler(handler, scope, NodeKind::kTerminationHandler);
  read_event_handlers(node, scope);
  scope.body = read_inner_activity(node, scope.index);
}

void Parser::read_fault_handlers(xml::Node node, Scope& scope) {
  const xml::Node handlers = child(node, "faultHandlers");
  if (!handlers) return;
  for (const xml::Node handler : children(handlers, "catch")) read_catch(handler, scope, false);
  for (const xml::Node handler : children(handlers, "catchAll")) read_catch(handler, scope, true);
  if (!child(handlers, "catch") && !child(handlers, "catchAll"))
    report(handlers, "SA00080", "<faultHandlers> must hold at least one <catch> or <catchAll>");
}

void Parser::read_catch(xml::Node node, Scope& scope, bool all) {
  if (!room_for_more(node)) return;
  Catch* const handler = make<Catch>(node, scope.index);
  handler->all = all;
  if (node.attribute("faultName")) handler->fault_name = qname(node, "faultName");
  handler->variable = read_catch_variable(node, scope, *handler);
  Scope* const outer_scope = handler_scope_;
  const bool outer_in_catch = in_catch_;
  handler_scope_ = &scope;
  in_catch_ = true;
  if (handler->variable) frames_.push_back({nullptr, handler->variable});
  handler->activity = read_inner_activity(node, handler->index);
  if (handler->variable) frames_.pop_back();
  handler_scope_ = outer_scope;
  in_catch_ = outer_in_catch;
  scope.catches.push_back(handler);
}

VariableRef Parser::read_catch_variable(xml::Node node, Scope& scope, Catch& handler) {
  handler.fault_message_type = qname(node, "faultMessageType");
  handler.fault_element = qname(node, "faultElement");
  const auto name = node.attribute("faultVariable");
  const int types = (handler.fault_message_type.empty() ? 0 : 1) + (handler.fault_element.empty() ? 0 : 1);
  if ((name && types != 1) || (!name && types != 0)) {
    report(node, "SA00081",
           name ? "a fault variable needs one of faultMessageType and faultElement"
                : "faultMessageType and faultElement need a faultVariable");
  }
  if (!name || types == 0) return {};
  Variable variable;
  variable.name = *name;
  variable.hidden = true;
  variable.where = node.position();
  if (name->find('.') != std::string::npos)
    report(node, "SA00024", fmt::format("the variable's name '{}' may not contain a dot", *name));
  if (!handler.fault_element.empty()) {
    variable.kind = VariableKind::kElement;
    variable.type = handler.fault_element;
    check_element(node, variable.type);
    const wsdl::SchemaElement* known = definition_->wsdl().schema_element(variable.type);
    if (known != nullptr) variable.type_class = known->type_class;
  } else {
    variable.kind = VariableKind::kMessage;
    variable.type = handler.fault_message_type;
    variable.message = definition_->wsdl().message(variable.type);
    if (variable.message == nullptr)
      report(node, "SA00010", fmt::format("the message {} is not imported", variable.type.to_string()));
  }
  return add_variable(scope, std::move(variable));
}

const Handler* Parser::read_handler(xml::Node node, Scope& scope, NodeKind kind) {
  if (!room_for_more(node)) return nullptr;
  auto made = std::make_unique<Handler>(kind);
  Handler* const handler = made.get();
  handler->index = static_cast<NodeIndex>(definition_->nodes_.size());
  handler->parent = scope.index;
  handler->scope = scope.self;
  handler->where = node.position();
  definition_->nodes_.push_back(std::move(made));
  Scope* const outer_scope = handler_scope_;
  handler_scope_ = &scope;
  handler->activity = read_inner_activity(node, handler->index);
  handler_scope_ = outer_scope;
  return handler;
}

void Parser::read_event_handlers(xml::Node node, Scope& scope) {
  const xml::Node handlers = child(node, "eventHandlers");
  if (!handlers) return;
  if (!child(handlers, "onEvent") && !child(handlers, "onAlarm"))
    report(handlers, "SA00083", "<eventHandlers> must hold at least one <onEvent> or <onAlarm>");
  for (const xml::Node handler : children(handlers, "onEvent")) {
    if (room_for_more(handler)) read_on_event(handler, scope);
  }
  for (const xml::Node handler : children(handlers, "onAlarm")) {
    if (room_for_more(handler)) scope.on_alarms.push_back(read_on_alarm(handler, scope.index));
  }
}

void Parser::read_on_event(xml::Node node, Scope& scope) {
  OnEvent* const event = make<OnEvent>(node, scope.index);
  scope.on_events.push_back(event);
  const xml::Node inner = child(node, "scope");
  if (!inner || !room_for_more(inner)) return;
  Scope* const associated = make<Scope>(inner, event->index);
  event->body = associated;
  const bool suppress = suppress_join_failure_;
  const ScopeIndex exchange_scope = default_exchange_scope_;
  read_standard(inner, *associated);
  begin_scope(inner, *associated);
  default_exchange_scope_ = associated->self;
  // Names in the onEvent mean the associated scope's before those around it (§12.7.1); its own variables come first.
  declare_event_variables(node, *associated);
  if (const xml::Node parts = child(node, "fromParts")) {
    const PartnerLinkRef link = find_partner_link(attribute(node, "partnerLink"));
    const wsdl::PortType* const port_type = link ? definition_->partner_link(link).my_port_type : nullptr;
    const wsdl::Operation* const operation =
        port_type == nullptr ? nullptr : port_type->operation(attribute(node, "operation"));
    declare_event_parts(parts, *associated,
                        operation == nullptr ? nullptr : definition_->wsdl().message(operation->input));
  }
  read_declarations(inner, *associated);
  event->event = read_message_event(node, "SA00085", "SA00087");
  read_handlers_and_body(inner, *associated);
  frames_.pop_back();
  default_exchange_scope_ = exchange_scope;
  suppress_join_failure_ = suppress;
}

void Parser::declare_event_variables(xml::Node node, Scope& associated) {
  const auto name = node.attribute("variable");
  const bool typed = node.attribute("messageType") || node.attribute("element");
  if (!name) {
    if (typed) {
      report(node, child(node, "fromParts") ? "SA00085" : "SA00090",
             "messageType and element need the attribute variable, which may not stand beside <fromParts>");
    }
    return;
  }
  if (name->find('.') != std::string::npos)
    report(node, "SA00024", fmt::format("the variable's name '{}' may not contain a dot", *name));
  Variable variable;
  variable.name = *name;
  variable.implicit = true;
  variable.where = node.position();
  if (!typed && child(node, "fromParts")) {
    // SA00085 is reported where the message is read.
  } else if (!typed) {
    report(node, "SA00090", fmt::format("the event's variable '{}' needs a messageType or an element", *name));
    if (find_variable(*name).second != nullptr)
      report(node, "SA00095",
             fmt::format("an event has a variable of its own; it cannot use the '{}' around it", *name));
  } else if (node.attribute("messageType") && node.attribute("element")) {
    report(node, "SA00090",
           fmt::format("the event's variable '{}' needs a messageType or an element, not both", *name));
  } else {
    resolve_variable_type(node, variable);
  }
  add_variable(associated, std::move(variable));
}

void Parser::declare_event_parts(xml::Node from_parts, Scope& associated, const wsdl::Message* message) {
  for (const xml::Node element : children(from_parts, "fromPart")) {
    Variable variable;
    variable.name = attribute(element, "toVariable");
    variable.implicit = true;
    variable.where = element.position();
    if (variable.name.find('.') != std::string::npos)
      report(element, "SA00024", fmt::format("the variable's name '{}' may not contain a dot", variable.name));
    const wsdl::Part* const part = message == nullptr ? nullptr : message->part(attribute(element, "part"));
    if (part != nullptr && !part->element.empty()) {
      variable.kind = VariableKind::kElement;
      variable.type = part->element;
      const wsdl::SchemaElement* const known = definition_->wsdl().schema_element(part->element);
      if (known != nullptr) variable.type_class = known->type_class;
    } else if (part != nullptr) {
      variable.type = part->type;
      variable.type_class = definition_->wsdl().type_class(part->type).value_or(wsdl::TypeClass::kComplex);
    }
    refuse_second_variable(element, associated, variable);
    add_variable(associated, std::move(variable));
  }
}

void Parser::resolve_compensate_scopes() {
  for (const PendingTarget& pending : pending_targets_) {
    const Scope* found = nullptr;
    for (const Scope* candidate : definition_->scopes_) {
      if (candidate->scope == pending.scope->self && candidate->name == pending.name && candidate != pending.scope &&
          definition_->fct_handler_of(candidate->index, pending.scope->index) == kNone)
        found = candidate;
    }
    const auto complain = [&](const char* rule, std::string sentence) {
      diagnostics_.push_back({rule, path_, pending.activity->where, std::move(sentence), false});
    };
    if (found != nullptr) {
      pending.activity->target = found->index;
      continue;
    }
    const bool plain_invoke =
        std::any_of(definition_->nodes_.begin(), definition_->nodes_.end(), [&](const auto& node) {
          return node->kind == NodeKind::kInvoke && node->name == pending.name && node->scope == pending.scope->self;
        });
    if (plain_invoke) {
      complain("SA00078",
               fmt::format("the invoke '{}' has neither a compensation handler nor fault handlers", pending.name));
    } else {
      complain("SA00077",
               fmt::format("there is no scope '{}' immediately inside the scope that this handler belongs to",
                           pending.name));
    }
  }
}

}  // namespace nuraghe::bpel
