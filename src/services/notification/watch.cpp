// The properties of watched resources: their changes are told (WS-ResourceProperties 1.2 §7), and filters ask for them.
//
// A resource is read when something happened to it, and now and then, for what makes no event. What was seen last is a
// row; the difference is what is told.
#include <fmt/format.h>

#include <algorithm>

#include "services/notification/names.hpp"
#include "services/notification/notification.hpp"

namespace nuraghe::services::notification {

namespace {

constexpr Duration kWatchInterval = std::chrono::seconds(30);
constexpr std::string_view kInstance = "http://www.w3.org/2001/XMLSchema-instance";

// The values of one property, one after the other, as XML text.
std::string values_of(xml::Node properties, const xml::QName& name) {
  std::string all;
  if (!properties) return all;
  for (const xml::Node value : properties.children(name.ns, name.local)) all += value.to_string();
  return all;
}

std::string half(std::string_view local, const std::string& values) {
  if (values.empty()) return fmt::format("<wsrf-rp:{} xmlns:xsi=\"{}\" xsi:nil=\"true\"/>", local, kInstance);
  return fmt::format("<wsrf-rp:{0}>{1}</wsrf-rp:{0}>", local, values);
}

std::string change_xml(const std::string& before, const std::string& now) {
  return fmt::format(
      "<wsrf-rp:ResourcePropertyValueChangeNotification xmlns:wsrf-rp=\"{}\">{}{}"
      "</wsrf-rp:ResourcePropertyValueChangeNotification>",
      kResourceProperties, half("OldValues", before), half("NewValues", now));
}

// {namespace}ClusterProperties of the value that a get method answered.
xml::Document properties_of(const TellingService& service, const ResourceKind& kind, xml::Node value) {
  xml::Document document = xml::Document::create({service.name_space, kind.name + "Properties"});
  for (const ResourceKind::Property& property : kind.properties) {
    for (const xml::Node field : value.children(service.name_space, property.field))
      document.root().append_copy(field).rename({service.name_space, property.name});
  }
  return document;
}

}  // namespace

bool Notification::watches(const Active& active) const {
  const ResourceKind* kind = producers_.kind_of(active.row.producer());
  if (kind == nullptr) return false;
  if (active.filter.asks_properties()) return true;
  const std::string& ns = producers_.service(active.row.service)->name_space;
  return std::any_of(kind->properties.begin(), kind->properties.end(), [&](const auto& property) {
    return active.filter.matches_topic(xml::QName{ns, property.name});
  });
}

Result<xml::DocumentPtr> Notification::get_request(const Producer& producer) const {
  const ResourceKind* kind = producers_.kind_of(producer);
  const TellingService* service = producers_.service(producer.service);
  if (kind == nullptr || service == nullptr) return internal(fmt::format("{} is no resource", producer.path()));
  xml::Document body = xml::Document::create({service->name_space, kind->get});
  body.root().append_text_element(service->name_space, kind->get_input, producer.key);
  return std::move(body).share();
}

Status Notification::look_at(exchange::Turn& turn, const std::string& vo, const Producer& producer) {
  const std::string key = watch_key(vo, producer.path());
  const auto [at, is_new] = looking_.emplace(key, false);
  if (!is_new) {
    at->second = true;
    return {};
  }
  exchange::Message message;
  TRY_ASSIGN(message.body, get_request(producer));
  message.message_id = env::make_uuid_urn(turn.random());
  message.to = "/services/" + producer.service;
  message.operation = message.body->root().local_name();
  message.vo = vo;
  message.caller = "notification";
  return turn.send(std::move(message), "seen/" + key, turn.now() + std::chrono::minutes(1));
}

Status Notification::on_seen(exchange::Turn& turn, const exchange::Message& reply, const std::string& key) {
  const std::string vo = key.substr(0, key.find('\0'));
  const auto producer = producers_.find(std::string_view(key).substr(vo.size() + 1));
  if (!producer) return {};  // its service is gone
  bool is_old = false;
  if (const auto looking = looking_.find(key); looking != looking_.end()) {
    is_old = looking->second;
    looking_.erase(looking);
  }
  // What happened meanwhile may be missing in it.
  if (is_old) return look_at(turn, vo, *producer);
  if (!reply.fault) TRY(take_properties(turn, vo, *producer, reply.body->root()));
  if (const auto of_vo = active_.find(vo); of_vo != active_.end()) {
    // Some may have waited for this to end.
    for (auto& [id, active] : of_vo->second) {
      if (active.row.producer().path() == producer->path()) touch(active);
    }
  }
  return {};
}

// `value`: the answer of the method that shows the resource.
Status Notification::take_properties(exchange::Turn& turn, const std::string& vo, const Producer& producer,
                                     xml::Node answer) {
  const ResourceKind* kind = producers_.kind_of(producer);
  const TellingService* service = producers_.service(producer.service);
  if (kind == nullptr || service == nullptr) return internal(fmt::format("{} is no resource", producer.path()));
  const xml::Node value = answer.child(service->name_space, kind->get_output);
  if (!value) return internal(fmt::format("{} answered without {}", kind->get, kind->get_output));
  const std::string key = watch_key(vo, producer.path());
  const xml::Document now = properties_of(*service, *kind, value);
  TRY_ASSIGN(const auto row, watches_.find(turn.transaction(), key));
  const std::string text = now.to_string();
  if (row && row->properties != text) {
    TRY_ASSIGN(const xml::Document before, xml::Document::parse(row->properties));
    TRY(tell_changes(turn, vo, producer, before.root(), now.root()));
  }
  if (!row || row->properties != text) TRY(watches_.put(turn.transaction(), key, WatchRow{text}));
  if (!row) TRY(turn.set_timer("watch/" + key, turn.now() + kWatchInterval));
  const auto of_vo = active_.find(vo);
  if (of_vo == active_.end()) return {};
  std::vector<std::string> asking;
  for (const auto& [id, active] : of_vo->second) {
    if (active.filter.asks_properties() && active.row.producer().path() == producer.path()) asking.push_back(id);
  }
  for (const std::string& id : asking) TRY(decide_waiting(turn, *find(vo, id), now.root()));
  return {};
}

Status Notification::tell_changes(exchange::Turn& turn, const std::string& vo, const Producer& producer,
                                  xml::Node before, xml::Node now) {
  const ResourceKind* kind = producers_.kind_of(producer);
  const std::string& ns = producers_.service(producer.service)->name_space;
  const auto of_vo = active_.find(vo);
  if (of_vo == active_.end()) return {};
  for (const ResourceKind::Property& property : kind->properties) {
    const xml::QName topic{ns, property.name};
    const std::string old_values = values_of(before, topic), new_values = values_of(now, topic);
    if (old_values == new_values) continue;
    const std::string content = change_xml(old_values, new_values);
    TRY_ASSIGN(const xml::Document tree, xml::Document::parse(content));
    for (auto& [id, active] : of_vo->second) {
      const bool is_asked = active.row.request.empty() && active.row.producer().path() == producer.path() &&
                            active.filter.matches_topic(topic);
      if (!is_asked) continue;
      auto passes = active.filter.matches_content(tree.root());
      if (passes && *passes) passes = active.filter.matches_properties(now);
      // A condition that cannot be evaluated is not true; events end the subscription for it.
      if (passes && *passes) TRY(enqueue(turn, active, topic, content, false));
    }
  }
  return {};
}

// What waits in the queue until the producer's properties are known is told now, or not at all.
Status Notification::decide_waiting(exchange::Turn& turn, Active& active, xml::Node properties) {
  const auto passes = active.filter.matches_properties(properties);
  if (!passes)
    return lose(turn, active,
                fmt::format("its condition on properties cannot be evaluated: {}", passes.error().to_string()));
  TRY_ASSIGN(const auto rows, queue_.scan(turn.transaction(), active.row.id + "/"));
  for (auto [key, row] : rows) {
    if (!row.asks) continue;
    touch(active);
    row.asks = false;
    if (*passes) {
      TRY(queue_.put(turn.transaction(), key, row));
      continue;
    }
    TRY(queue_.erase(turn.transaction(), key));
    --active.row.queued;
  }
  return {};
}

// Now and then: some properties change without an event.
Status Notification::watch_again(exchange::Turn& turn, const std::string& key) {
  const std::string vo = key.substr(0, key.find('\0'));
  const std::string path = key.substr(vo.size() + 1);
  const auto of_vo = active_.find(vo);
  const bool is_wanted =
      of_vo != active_.end() && std::any_of(of_vo->second.begin(), of_vo->second.end(), [&](const auto& one) {
        return one.second.row.producer().path() == path && watches(one.second);
      });
  if (!is_wanted) return watches_.erase(turn.transaction(), key);
  const auto producer = producers_.find(path);
  if (!producer) return watches_.erase(turn.transaction(), key);
  TRY(turn.set_timer("watch/" + key, turn.now() + kWatchInterval));
  return look_at(turn, vo, *producer);
}

}  // namespace nuraghe::services::notification
