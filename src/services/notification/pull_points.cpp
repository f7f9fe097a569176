// Pull points: what is told waits until it is fetched (WS-BaseNotification 1.3 §5).
#include <fmt/format.h>

#include <algorithm>

#include "services/notification/names.hpp"
#include "services/notification/notification.hpp"
#include "services/notification/subscriber.hpp"

namespace nuraghe::services::notification {

namespace {

constexpr std::int64_t kUsualNumber = 100;  // messages in an answer
constexpr std::int64_t kMostNumber = 1'000;
constexpr std::size_t kMostBytes = std::size_t{4} << 20U;
constexpr Bytes kLongestMessage = kib(64);  // that somebody else tells

}  // namespace

Result<PullPointRow> Notification::visible_pull_point(exchange::Turn& turn, const std::string& vo,
                                                      const std::string& id) {
  TRY_ASSIGN(auto point, pull_points_.find(turn.transaction(), id));
  if (!point || point->vo != vo) return not_found(fmt::format("there is no pull point {}", id));
  return std::move(*point);
}

Answer<PullPointRow> Notification::pull_point_of(exchange::Turn& turn, const exchange::Message& request) {
  const auto id = id_at(request.to, kPullPoints);
  if (!id) return Refusal("ResourceUnknownFault", not_found(fmt::format("{} is no pull point", request.to)));
  auto point = visible_pull_point(turn, request.vo, *id);
  if (!point) return Refusal("ResourceUnknownFault", point.error());
  return std::move(*point);
}

Notification::Reply Notification::create_pull_point(exchange::Turn& turn, const exchange::Message& request) {
  TRY_ASSIGN(const auto points, pull_points_.scan(turn.transaction(), ""));
  const auto of_vo =
      std::count_if(points.begin(), points.end(), [&](const auto& point) { return point.second.vo == request.vo; });
  if (static_cast<std::size_t>(of_vo) >= options_.most_of_vo)
    return Refusal("UnableToCreatePullPointFault",
                   exhausted(fmt::format("the VO {} has {} pull points already; destroy one that is not needed",
                                         request.vo, of_vo)));
  PullPointRow point;
  point.id = env::make_id(turn.random(), "pull");
  point.vo = request.vo;
  point.caller = request.caller;
  point.created = point.used = turn.now();
  TRY(pull_points_.put(turn.transaction(), point.id, point));
  TRY(turn.set_timer("idle/" + point.id, turn.now() + options_.pull_point_patience));
  return write_create_pull_point_response(fmt::format("{}{}{}", options_.base, kPullPoints, point.id));
}

Notification::Reply Notification::get_messages(exchange::Turn& turn, const exchange::Message& request) {
  TRY_ASSIGN(PullPointRow point, pull_point_of(turn, request));
  const auto maximum = read_maximum(request.body->root());
  if (!maximum) return Refusal("UnableToGetMessagesFault", maximum.error());
  const std::int64_t number = std::min(maximum->value_or(kUsualNumber), kMostNumber);
  std::vector<std::string> messages;
  std::size_t bytes = 0;
  if (number > 0) {
    TRY_ASSIGN(const auto rows, queue_.page(turn.transaction(), point.id + "/", static_cast<std::size_t>(number)));
    for (const auto& [key, row] : rows) {
      messages.push_back(notification_message(row, options_.base));
      bytes += messages.back().size();
      TRY(queue_.erase(turn.transaction(), key));
      --point.queued;
      if (bytes > kMostBytes) break;
    }
  }
  point.used = turn.now();
  point.dropped = 0;
  TRY(pull_points_.put(turn.transaction(), point.id, point));
  TRY_ASSIGN(auto response, write_messages("GetMessagesResponse", messages));
  return response;
}

Notification::Reply Notification::destroy_asked(exchange::Turn& turn, const exchange::Message& request) {
  TRY_ASSIGN(const PullPointRow point, pull_point_of(turn, request));
  TRY(end_pull_point(turn, point));
  return write_empty("DestroyPullPointResponse");
}

// Somebody else's notification, told to a pull point.
Notification::Reply Notification::notify(exchange::Turn& turn, const exchange::Message& request) {
  TRY_ASSIGN(PullPointRow point, pull_point_of(turn, request));
  const auto messages = request.body->root().children(kNotification, "NotificationMessage");
  if (messages.empty()) return Error(invalid("wsnt:Notify has no wsnt:NotificationMessage"));
  std::vector<QueueRow> rows;
  for (const xml::Node message : messages) {
    const xml::Node told = message.child(kNotification, "Message");
    if (!told || !told.first_child()) return Error(invalid("a wsnt:NotificationMessage has no wsnt:Message"));
    QueueRow row;
    row.content = self_contained(message)->to_string();
    if (row.content.size() > static_cast<std::size_t>(kLongestMessage.count))
      return Error(exhausted(fmt::format("a notification is over the limit of {}", kLongestMessage.to_string())));
    rows.push_back(std::move(row));
  }
  for (const QueueRow& row : rows) TRY(append(turn, point, row));
  TRY(pull_points_.put(turn.transaction(), point.id, point));
  // One-way by its WSDL: an empty answer for who waits for one.
  TRY(turn.reply(request.message_id, nullptr));
  return xml::DocumentPtr();
}

}  // namespace nuraghe::services::notification
