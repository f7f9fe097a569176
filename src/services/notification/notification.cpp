#include "services/notification/notification.hpp"

#include <fmt/format.h>

#include "services/notification/names.hpp"

namespace nuraghe::services::notification {

Notification::Notification(Producers producers, NotificationOptions options)
    : Skeleton("notification"), producers_(std::move(producers)), options_(std::move(options)) {}

const std::map<std::string, Notification::Handler, std::less<>>& Notification::handlers() {
  static const std::map<std::string, Handler, std::less<>> table = {
      {"GetResourcePropertyDocument", &Notification::get_properties},
      {"GetResourceProperty", &Notification::get_property},
      {"Subscribe", &Notification::subscribe},
      {"GetCurrentMessage", &Notification::get_current_message},
      {"Renew", &Notification::renew},
      {"Unsubscribe", &Notification::unsubscribe},
      {"PauseSubscription", &Notification::pause},
      {"ResumeSubscription", &Notification::resume},
      {"CreatePullPoint", &Notification::create_pull_point},
      {"GetMessages", &Notification::get_messages},
      {"DestroyPullPoint", &Notification::destroy_asked},
      {"Notify", &Notification::notify},
  };
  return table;
}

const std::vector<std::string>& Notification::standard_operations() {
  static const std::vector<std::string> names = [] {
    std::vector<std::string> all;
    for (const auto& [name, handler] : handlers()) all.push_back(name);
    return all;
  }();
  return names;
}

Status Notification::open(store::Store& store) {
  TRY(subscriptions_.open(store, "notification_subscription"));
  TRY(pull_points_.open(store, "notification_pull_point"));
  TRY(queue_.open(store, "notification_queue"));
  TRY(cursor_.open(store, "notification_cursor"));
  TRY(watches_.open(store, "notification_watch"));
  TRY_ASSIGN(events_, store.table("exchange_events"));
  return {};
}

Status Notification::on_start(exchange::Turn& turn) {
  TRY(load(turn));
  for (auto& [vo, of_vo] : active_) {
    for (auto& [id, active] : of_vo) touch(active);
  }
  TRY(flush(turn));
  // What was published before the process ended.
  return pump(turn);
}

Status Notification::on_request(exchange::Turn& turn, const exchange::Message& request) {
  if (request.vo.empty()) return denied("notifications are told to members of a virtual organisation");
  TRY(load(turn));
  const auto handler = handlers().find(request.operation);
  if (handler == handlers().end()) {
    TRY(Skeleton::on_request(turn, request));
    return flush(turn);
  }
  const std::string_view ns =
      request.operation.starts_with("GetResourceProperty") ? kResourceProperties : kNotification;
  if (!request.body || !request.body->root().is(ns, request.operation))
    return invalid(fmt::format("{} is no message of WS-BaseNotification 1.3", request.operation));
  const auto reply = (this->*handler->second)(turn, request);
  if (!reply) {
    if (reply.error().fault.empty()) return reply.error().error;
    // A handler refuses before it changes anything.
    return turn.reply_fault(request.message_id, fault_of(reply.error(), turn.now(), options_.base + request.to));
  }
  TRY(flush(turn));
  return *reply ? turn.reply(request.message_id, *reply) : Status();
}

Status Notification::on_reply(exchange::Turn& turn, const exchange::Message& reply, std::string_view token) {
  TRY(load(turn));
  const std::size_t slash = token.find('/');
  if (token.starts_with("seen/")) {
    TRY(on_seen(turn, reply, std::string(token.substr(slash + 1))));
    return flush(turn);
  }
  Active* active = find(std::string(token.substr(slash + 1)));
  if (active == nullptr) return {};  // ended meanwhile
  if (token.starts_with("look-up/"))
    TRY(on_looked_up(turn, reply, *active));
  else
    TRY(on_told(turn, reply, *active));
  return flush(turn);
}

Status Notification::on_timer(exchange::Turn& turn, std::string_view key) {
  TRY(load(turn));
  const std::string id(key.substr(key.find('/') + 1));
  if (key == "pump") {
    TRY(pump(turn));
  } else if (key.starts_with("watch/")) {
    TRY(watch_again(turn, id));
  } else if (key.starts_with("idle/")) {
    TRY_ASSIGN(const auto point, pull_points_.find(turn.transaction(), id));
    if (!point) return {};
    const TimePoint due = point->used + options_.pull_point_patience;
    if (turn.now() < due) return turn.set_timer(key, due);
    TRY(announce(turn, point->vo, "pull_point.lost", id, "nobody asked the pull point for messages; it is destroyed"));
    TRY(end_pull_point(turn, *point));
  } else if (Active* active = find(id); active != nullptr && key.starts_with("end/")) {
    TRY(end(turn, id));
  } else if (active != nullptr && key.starts_with("retry/")) {
    TRY(try_again(turn, *active));
  }
  return flush(turn);
}

bool Notification::note_published() { return has_subscriptions_ && !pump_is_due_.exchange(true); }

bool is_for_producer(const exchange::Message& request) {
  if (!request.body) return false;
  const std::string_view ns = request.body->root().namespace_uri();
  if (ns == kNotification) return true;
  constexpr std::string_view kServices = "/services/";
  const auto at = std::string_view(request.to).find(kServices);
  const bool is_service =
      at != std::string_view::npos && request.to.find('/', at + kServices.size()) == std::string::npos;
  return is_service && ns == kResourceProperties;
}

void follow_events(exchange::Exchange& exchange, Notification& notification) {
  exchange.on_published([&exchange, &notification](std::int64_t) {
    if (!notification.note_published()) return;
    exchange.post(
        "notification", [&notification](exchange::Turn& turn) { return notification.pump(turn); },
        [](const Status&) {});
  });
}

}  // namespace nuraghe::services::notification
