// Messages that come in: subscriptions, correlation, open requests (WS-BPEL 2.0 §9.2, §10.4, §11.5, §12.7.1).
#include <fmt/format.h>

#include <algorithm>

#include "base/check.hpp"
#include "bpel/expression/assign.hpp"
#include "bpel/runtime/machine.hpp"

namespace nuraghe::bpel::runtime {
namespace {

Region* owner_of_scope(Region& from, ScopeIndex scope) {
  for (Region* at = &from; at != nullptr; at = at->parent) {
    if (at->row.kind == RegionKind::kScope && at->row.scope == scope) return at;
  }
  return nullptr;
}

const SetValues* find_set(const Region* owner, std::uint32_t slot) {
  if (owner == nullptr) return nullptr;
  for (const auto& set : owner->row.sets) {
    if (set.slot == slot) return &set;
  }
  return nullptr;
}

constexpr std::size_t kOthersLookedAt = 16;

bool same_sets(const MessageEvent& left, const MessageEvent& right) {
  const auto sets_of = [](const MessageEvent& event) {
    std::vector<CorrelationSetRef> sets;
    for (const auto& correlation : event.correlations) {
      if (correlation.initiate != Initiate::kYes) sets.push_back(correlation.set);
    }
    std::sort(sets.begin(), sets.end());
    return sets;
  };
  return sets_of(left) == sets_of(right);
}

std::string number_bytes(std::uint32_t number) { return big_endian(number).substr(4); }

std::string subscription_row_key(const std::string& key, const std::string& instance, const Path& path,
                                 std::uint32_t frame, std::uint32_t alternative) {
  return key + instance + path + '\0' + number_bytes(frame) + number_bytes(alternative);
}

}  // namespace

// ---- waiting ----

std::string Machine::subscribe(Region& region, const MessageEvent& event, std::uint32_t frame,
                               std::uint32_t alternative, NodeIndex node) {
  std::vector<SetKey> sets;
  for (const auto& correlation : event.correlations) {
    const Region* owner = owner_of_scope(region, correlation.set.scope);
    if (owner == nullptr) continue;  // declared in the scope that an onEvent makes for each message
    const SetValues* set = find_set(owner, correlation.set.slot);
    if (correlation.initiate == Initiate::kYes) continue;
    if (set != nullptr) {
      sets.push_back({property_names(*correlation.declaration), set->values});
    } else if (correlation.initiate == Initiate::kNo) {
      throw_standard(region, faults::kCorrelationViolation,
                     fmt::format("the correlation set {} has no values yet", correlation.declaration->name), node);
      return {};
    }
  }
  const auto& link = program_.keys.at(event.endpoint.partner_link);
  auto key = subscription_key(link, event.endpoint.operation->name, std::move(sets));
  const auto& id = instance_.header.id;
  auto others = turn_.transaction().scan(tables_.subscription, key + id, {}, kOthersLookedAt);
  if (!others) {
    check(std::move(others).error());
    return {};
  }
  // Waiting for the same values by other correlation sets is no conflict: the message will be ambiguous (§10.4).
  const bool conflict = std::any_of(others->begin(), others->end(), [&](const auto& row) {
    const MessageEvent* other = waiting_event(row.value);
    return other == nullptr || same_sets(*other, event);
  });
  if (conflict) {
    throw_standard(
        region, faults::kConflictingReceive,
        fmt::format("another activity of this instance waits for the same {} message", event.endpoint.operation->name),
        node);
    return {};
  }
  insert(tables_.subscription, subscription_row_key(key, id, region.path, frame, alternative),
         encode_record(SubscriptionRow{id, region.path, frame, alternative}));
  return key;
}

const MessageEvent* Machine::waiting_event(const std::string& row) {
  const auto subscription = decode_record<SubscriptionRow>(row);
  Region* owner = subscription ? region(subscription->path) : nullptr;
  if (owner == nullptr) return nullptr;
  if (subscription->frame == 0) {
    const auto& events = definition_.scope(owner->row.scope).on_events;
    return subscription->alternative < events.size() ? &events[subscription->alternative]->event : nullptr;
  }
  const Frame* frame = owner->frame(subscription->frame);
  if (frame == nullptr) return nullptr;
  const auto& node = program_.node(frame->node);
  if (node.kind == NodeKind::kReceive) return &as<Receive>(node).event;
  const auto& messages = as<Pick>(node).messages;
  return subscription->alternative < messages.size() ? &messages[subscription->alternative]->event : nullptr;
}

void Machine::unsubscribe(Region& region, const std::string& key, std::uint32_t frame, std::uint32_t alternative) {
  erase(tables_.subscription, subscription_row_key(key, instance_.header.id, region.path, frame, alternative));
}

void Machine::begin_receive(Region& region, Frame& frame) {
  frame.state = FrameState::kWaiting;
  touch(region);
  if (take_start_message(region, frame)) return;
  auto key = subscribe(region, as<Receive>(program_.node(frame.node)).event, frame.number, 0, frame.node);
  if (key.empty()) return;
  frame.keys.push_back(key);
  take_early_message(region, frame, 0, key);
}

bool Machine::take_start_message(Region& region, Frame& frame) {
  auto& header = instance_.header;
  if (header.start_message.empty() || header.start_node != frame.node) return false;
  if (start_message_ != nullptr) {
    header.start_message.clear();
    deliver(region, frame, header.start_alternative, *start_message_);
    return true;
  }
  auto message = exchange::decode_message(header.start_message);
  header.start_message.clear();
  if (!message) {
    fail(std::move(message).error());
    return true;
  }
  deliver(region, frame, header.start_alternative, *message);
  return true;
}

// ---- early messages ----

void Machine::take_early(const std::string& key, const exchange::Message& message) {
  auto& header = instance_.header;
  if (header.early >= limits_.early_messages) {
    OpenRequestRow row;
    row.request_id = message.message_id;
    FaultRow refusal;
    refusal.code = error_code_name(ErrorCode::kExhausted);
    refusal.text = fmt::format("{} messages wait for {} already", header.early, header.id);
    if (!message.one_way) send_fault(row, refusal);
    return;
  }
  ++header.early;
  insert(tables_.early, header.id + key + big_endian(next_number()), exchange::encode_message(message));
}

std::optional<exchange::Message> Machine::pop_early(const std::string& key) {
  if (instance_.header.early == 0) return std::nullopt;
  auto rows = turn_.transaction().scan(tables_.early, instance_.header.id + key, {}, 1);
  if (!rows) {
    check(std::move(rows).error());
    return std::nullopt;
  }
  if (rows->empty()) return std::nullopt;
  auto message = exchange::decode_message(rows->front().value);
  if (!message) {
    fail(std::move(message).error());
    return std::nullopt;
  }
  erase(tables_.early, rows->front().key);
  --instance_.header.early;
  return std::move(*message);
}

bool Machine::take_early_message(Region& region, Frame& frame, std::uint32_t alternative, const std::string& key) {
  auto message = pop_early(key);
  if (!message) return error_.has_value();
  deliver(region, frame, alternative, *message);
  return true;
}

bool Machine::event_takes_early(Region& region, std::uint32_t handler, const std::string& key) {
  auto message = pop_early(key);
  if (!message) return false;
  deliver_event(region, handler, *message);
  return true;
}

// ---- taking a message ----

void Machine::deliver(Region& region, Frame& frame, std::uint32_t alternative, const exchange::Message& message) {
  const auto& node = program_.node(frame.node);
  const auto number = frame.number;
  const Activity* next = nullptr;
  NodeIndex taken = node.index;
  const MessageEvent* event = nullptr;
  if (node.kind == NodeKind::kPick) {
    const auto& branch = *as<Pick>(node).messages.at(alternative);
    event = &branch.event;
    next = branch.activity;
    taken = branch.index;
  } else {
    event = &as<Receive>(node).event;
  }
  release(region, frame, true);
  if (!accept(region, *event, message, taken)) return;
  enable_deferred_events(region);
  Frame* still = ended() ? nullptr : region.frame(number);
  if (still == nullptr) return;
  if (next != nullptr) return pick_done(region, *still, *next, taken);
  complete(region, number);
}

void Machine::deliver_event(Region& region, std::uint32_t handler, const exchange::Message& message) {
  const auto& scope = definition_.scope(region.row.scope);
  if (!region.row.events_enabled || handler >= scope.on_events.size()) {
    return fail(internal("a subscription leads to an event handler that does not wait"));
  }
  const auto& on_event = *scope.on_events[handler];
  Region* made = make_scope(region, 0, *on_event.body);
  if (made == nullptr) return;
  observe(on_event.index, "started");
  if (!accept(*made, on_event.event, message, on_event.index)) return;
  if (on_event.body->isolated && !enter_isolation(*made)) return;
  if (initialise(*made, *on_event.body)) start_body(*made, *on_event.body);
}

bool Machine::accept(Region& region, const MessageEvent& event, const exchange::Message& message, NodeIndex node) {
  CHECK(event.endpoint.input != nullptr);
  if (!open_request(region, event, message, node)) return false;
  const auto value = parts_of_body(*event.endpoint.input, message.body);
  if (!correlate(region, event.correlations, event.endpoint.input, value, true, node)) return false;
  take_callback(region, event, message);
  return bind(region, event.into, value, node);
}

// A partner whose address nothing else tells is where the message says that it wants something in return.
void Machine::take_callback(Region& region, const MessageEvent& event, const exchange::Message& message) {
  if (message.reply_to == nullptr || event.endpoint.link->partner_role.empty()) return;
  current_ = &region;
  const auto known = endpoint_reference(event.endpoint.partner_link, false);
  if (!known || *known != nullptr) return;
  const auto stored = store_endpoint_reference(event.endpoint.partner_link, message.reply_to);
  if (!stored) fail(internal(stored.error().message));
}

// What a copy of the part to a variable gives (§8.4.2).
VariableValue Machine::copy_of_part(const Variable& declaration, const xml::DocumentPtr& part) {
  if (declaration.kind == VariableKind::kElement) return VariableValue::of(named_as(part, declaration.type));
  if (declaration.type_class == wsdl::TypeClass::kComplex) return VariableValue::of(named_as(part, {"", "value"}));
  return simple_value(part->root().text());
}

// Puts a message's parts where the activity wants them.
bool Machine::bind(Region& region, const MessageBinding& binding, const VariableValue& value, NodeIndex node) {
  current_ = &region;
  if (binding.variable) {
    auto stored = store_variable(binding.variable, value);
    if (!stored) return throw_fault(region, stored.error(), node), false;
  }
  for (const auto& target : binding.parts) {
    auto part = value.part(target.part);
    if (!part) {
      throw_standard(region, faults::kSelectionFailure, fmt::format("the message has no part {}", target.part), node);
      return false;
    }
    auto copied = copy_of_part(*target.declaration, part);
    auto stored = store_variable(target.variable, std::move(copied));
    if (!stored) return throw_fault(region, stored.error(), node), false;
  }
  return true;
}

// ---- correlation (§9.2) ----

bool Machine::correlate(Region& region, const std::vector<Correlation>& correlations, const wsdl::Message* message,
                        const VariableValue& value, bool request, NodeIndex node) {
  for (const auto& correlation : correlations) {
    if (request ? !correlation.on_request() : !correlation.on_response()) continue;
    const auto& set = *correlation.declaration;
    std::vector<std::string> values;
    for (const auto& property : set.properties) {
      auto found = message_property_value(definition_.wsdl(), property, message->name, value);
      if (!found) return throw_fault(region, found.error(), node), false;
      values.push_back(std::move(*found));
    }
    Region* owner = scope_region(region, correlation.set.scope);
    if (owner == nullptr) return false;
    const SetValues* known = find_set(owner, correlation.set.slot);
    // What the request gave its values is compared with the response of the same invoke.
    const bool response_again = !request && correlation.pattern == CorrelationPattern::kRequestResponse;
    const bool wrong = known != nullptr && response_again ? known->values != values
                       : known == nullptr                 ? correlation.initiate == Initiate::kNo
                                          : correlation.initiate == Initiate::kYes || known->values != values;
    if (wrong) {
      throw_standard(region, faults::kCorrelationViolation,
                     known == nullptr ? fmt::format("the correlation set {} has no values yet", set.name)
                     : correlation.initiate == Initiate::kYes
                         ? fmt::format("the correlation set {} has its values already", set.name)
                         : fmt::format("the message does not fit the correlation set {}", set.name),
                     node);
      return false;
    }
    if (known != nullptr) continue;
    SetValues fresh{correlation.set.slot, std::move(values), {}};
    if (program_.indexed_sets.contains(correlation.set)) {
      fresh.index_key = correlation_key({property_names(set), fresh.values});
      put(tables_.correlation, fresh.index_key + instance_.header.id, instance_.header.id);
    }
    owner->row.sets.push_back(std::move(fresh));
    touch(*owner);
    if (program_.joined_sets.contains(correlation.set)) renew_subscriptions(*owner, correlation.set);
    if (error_ || ended() || region.dropped || region.row.state != RegionState::kRunning) return false;
  }
  return true;
}

void Machine::renew_subscription(Region& region, const MessageEvent& event, const CorrelationSetRef& set,
                                 std::uint32_t frame, std::uint32_t alternative, NodeIndex node, std::string& key) {
  bool joins = false;
  for (const auto& correlation : event.correlations) {
    joins = joins || (correlation.set == set && correlation.initiate == Initiate::kJoin);
  }
  if (!joins) return;
  unsubscribe(region, key, frame, alternative);
  auto renewed = subscribe(region, event, frame, alternative, node);
  if (renewed.empty()) return;  // a fault was thrown: the region is ending
  key = std::move(renewed);
  touch(region);
}

bool Machine::lacks_values(Region& region, const MessageEvent& event) {
  return std::any_of(event.correlations.begin(), event.correlations.end(), [&](const Correlation& correlation) {
    if (correlation.initiate != Initiate::kNo) return false;
    const Region* owner = owner_of_scope(region, correlation.set.scope);
    return owner != nullptr && find_set(owner, correlation.set.slot) == nullptr;
  });
}

// An event handler whose correlation sets had no values when its scope began.
void Machine::subscribe_event(Region& region, std::uint32_t handler) {
  const auto& on_event = *definition_.scope(region.row.scope).on_events[handler];
  if (lacks_values(region, on_event.event)) return;
  const auto key = subscribe(region, on_event.event, 0, handler, on_event.index);
  if (key.empty()) return;  // a fault was thrown: the region is ending
  region.row.events[handler].key = key;
  touch(region);
  while (region.row.events_enabled && event_takes_early(region, handler, key)) {
  }
}

void Machine::renew_subscriptions(Region& owner, const CorrelationSetRef& set) {
  load_children(owner);
  std::vector<Path> below;
  for (auto at = instance_.regions.lower_bound(owner.path);
       at != instance_.regions.end() && at->first.compare(0, owner.path.size(), owner.path) == 0; ++at) {
    below.push_back(at->first);
  }
  for (const auto& path : below) {
    Region* region = this->region(path);
    if (region == nullptr || region->row.state != RegionState::kRunning) continue;
    std::vector<std::uint32_t> waiting;
    for (const auto& [number, frame] : region->frames) {
      if (!frame.keys.empty()) waiting.push_back(number);
    }
    for (const auto number : waiting) {
      Frame* frame = region->frame(number);
      if (frame == nullptr) break;
      const auto& node = program_.node(frame->node);
      if (node.kind == NodeKind::kReceive) {
        renew_subscription(*region, as<Receive>(node).event, set, number, 0, node.index, frame->keys[0]);
        continue;
      }
      const auto& pick = as<Pick>(node);
      for (std::uint32_t i = 0; i < pick.messages.size() && region->frame(number) == frame; ++i) {
        renew_subscription(*region, pick.messages[i]->event, set, number, i, pick.messages[i]->index, frame->keys[i]);
      }
    }
    const auto& scope = definition_.scope(region->row.scope);
    for (std::uint32_t i = 0; region->row.events_enabled && i < scope.on_events.size(); ++i) {
      const auto& on_event = *scope.on_events[i];
      if (i >= region->row.events.size()) break;  // they are just being enabled
      if (region->row.events[i].key.empty()) {
        subscribe_event(*region, i);
        continue;
      }
      renew_subscription(*region, on_event.event, set, 0, i, on_event.index, region->row.events[i].key);
    }
  }
}

// ---- open requests (§10.4) ----

std::string Machine::open_key(Region& region, const Endpoint& endpoint, const MessageExchangeRef& exchange,
                              OpenRequestRow* places) {
  Region* link = scope_region(region, endpoint.partner_link.scope);
  Region* exchanged = exchange ? scope_region(region, exchange.scope) : link;
  if (link == nullptr || exchanged == nullptr) return {};
  if (places != nullptr) places->link_path = link->path, places->exchange_path = exchanged->path;
  return instance_.header.id + key16({link->path, std::to_string(endpoint.partner_link.slot), endpoint.operation->name,
                                      exchanged->path, std::to_string(exchange.slot)});
}

bool Machine::open_request(Region& region, const MessageEvent& event, const exchange::Message& message,
                           NodeIndex node) {
  const auto& endpoint = event.endpoint;
  if (endpoint.operation->one_way()) return true;
  OpenRequestRow row;
  const auto key = open_key(region, endpoint, event.exchange, &row);
  if (key.empty()) return false;
  auto other = turn_.transaction().get(tables_.open, key);
  if (!other) return check(std::move(other).error());
  row.request_id = message.message_id;
  row.operation = endpoint.operation->name;
  row.partner_link = endpoint.link->name;
  row.port_type_ns = endpoint.port_type->name.ns;
  row.port_type_local = endpoint.port_type->name.local;
  row.node = node;
  if (definition_.wsdl().bindings_of_port_type(endpoint.port_type->name) > 1) {
    const auto* binding = definition_.wsdl().binding_at_path(endpoint.port_type->name, path_of_address(message.to));
    if (binding != nullptr) row.binding_ns = binding->name.ns, row.binding_local = binding->name.local;
  }
  if (*other) {
    FaultRow fault;
    fault.ns = kBpelNamespace;
    fault.local = faults::kConflictingRequest;
    fault.text = fmt::format("an earlier {} request of this partner has no reply yet", row.operation);
    fault.where = program_.where(node);
    fault.code = error_code_name(ErrorCode::kConflict);
    send_fault(row, fault);
    throw_fault(region, std::move(fault));
    return false;
  }
  insert(tables_.open, key, encode_record(row));
  for (const auto& path : {row.link_path, row.exchange_path}) {
    Region* place = this->region(path);
    ++place->row.open_requests;
    touch(*place);
    if (row.link_path == row.exchange_path) break;
  }
  return true;
}

void Machine::close_request(const std::string& key, const OpenRequestRow& row) {
  erase(tables_.open, key);
  for (const auto& path : {row.link_path, row.exchange_path}) {
    Region* place = this->region(path);
    if (place != nullptr && place->row.open_requests > 0) {
      --place->row.open_requests;
      touch(*place);
    }
    if (row.link_path == row.exchange_path) break;
  }
}

}  // namespace nuraghe::bpel::runtime
