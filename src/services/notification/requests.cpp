// Subscriptions: how they are made and managed (WS-BaseNotification 1.3 §4 and §6).
#include <fmt/format.h>

#include <algorithm>

#include "services/notification/names.hpp"
#include "services/notification/notification.hpp"
#include "services/notification/subscriber.hpp"
#include "services/tenant/rows.hpp"

namespace nuraghe::services::notification {

namespace {

// How far back a current message is looked for, and how many events are read at once.
constexpr std::int64_t kMostLookedAt = 10'000;
constexpr std::int64_t kWindow = 500;

Refusal unacceptable(std::string_view fault, std::string reason, TimePoint now, TimePoint latest) {
  Refusal refusal = refuse(fault, std::move(reason));
  refusal.minimum = now;
  refusal.maximum = latest;
  return refusal;
}

// The time asked for, within its bounds.
Answer<std::optional<TimePoint>> termination_of(const std::string& text, TimePoint now, Duration longest,
                                                std::string_view fault) {
  const TimePoint latest = now + longest;
  const auto time = read_termination(text, now);
  if (!time) return unacceptable(fault, time.error().to_string(), now, latest);
  if (*time && **time <= now)
    return unacceptable(fault, fmt::format("the termination time {} is not in the future", text), now, latest);
  if (*time && **time > latest)
    return unacceptable(fault,
                        fmt::format("the termination time {} is too far away: at most {}", text, latest.to_string()),
                        now, latest);
  return *time;
}

Refusal no_subscription(const std::string& address) {
  return {"ResourceUnknownFault", not_found(fmt::format("there is no subscription {}; it may have ended", address))};
}

}  // namespace

Duration Notification::longest_of(std::string_view caller) const {
  return tenant::is_name_by_rule(caller) ? std::min(options_.longest_lifetime, options_.longest_lifetime_by_rule)
                                         : options_.longest_lifetime;
}

Answer<std::optional<TimePoint>> Notification::initial_termination(const std::optional<std::string>& text,
                                                                   const std::string& caller, TimePoint now) const {
  const Duration longest = longest_of(caller);
  if (!text) return std::optional<TimePoint>(now + std::min(options_.usual_lifetime, longest));
  return termination_of(*text, now, longest, "UnacceptableInitialTerminationTimeFault");
}

// The id of this service's own pull point that the address means; "" when it is none. This process has several
// addresses; the id says whose it is.
Answer<std::string> Notification::pull_point_at(exchange::Turn& turn, const std::string& address,
                                                const std::string& vo) {
  const auto id = id_at(address, kPullPoints);
  if (!id) return std::string();
  TRY_ASSIGN(const auto point, pull_points_.find(turn.transaction(), *id));
  if (point && point->vo == vo) return *id;
  const bool is_own = soap::path_below(options_.base, address).has_value();
  if (is_own) return refuse("SubscribeCreationFailedFault", fmt::format("there is no pull point {}", address));
  return std::string();
}

Answer<SubscriptionRow> Notification::new_subscription(exchange::Turn& turn, const exchange::Message& request) {
  TRY_ASSIGN(SubscribeRequest asked, read_subscribe(request.body->root()));
  TRY_ASSIGN(const Producer producer, producers_.find(request.to));
  SubscriptionRow row;
  row.vo = request.vo;
  row.caller = request.caller;
  row.base = request.reached_at;
  row.administrator = request.administrator;
  row.service = producer.service;
  row.resource = producer.resource;
  row.key = producer.key;
  TRY_ASSIGN(row.pull_point, pull_point_at(turn, asked.consumer, request.vo));
  if (row.pull_point.empty()) {
    if (const Status may = options_.check_consumer(asked.consumer); !may)
      return Refusal("SubscribeCreationFailedFault", may.error());
  }
  row.consumer = std::move(asked.consumer);
  row.reference = std::move(asked.reference);
  row.filter = std::move(asked.filter);
  row.use_raw = asked.use_raw;
  row.soap_12 = request.soap_12;
  row.created = turn.now();
  TRY_ASSIGN(row.termination, initial_termination(asked.termination, request.caller, turn.now()));
  const auto of_vo = active_.find(request.vo);
  if (of_vo != active_.end() && of_vo->second.size() >= options_.most_of_vo)
    return Refusal("SubscribeCreationFailedFault",
                   exhausted(fmt::format("the VO {} has {} subscriptions already; end one that is not needed",
                                         request.vo, options_.most_of_vo)));
  return row;
}

Status Notification::check_topics(const Producer& producer, const Filter& filter) const {
  const auto topics = producers_.topics(producer);
  for (const TopicExpression& expression : filter.topics()) {
    const bool is_known =
        std::any_of(topics.begin(), topics.end(), [&](const xml::QName& topic) { return expression.matches(topic); });
    if (!is_known)
      return invalid(
          fmt::format("{} has no topic that a topic expression of the filter means; "
                      "docs/reference lists them",
                      producer.path()));
  }
  return {};
}

Notification::Reply Notification::subscribe(exchange::Turn& turn, const exchange::Message& request) {
  TRY_ASSIGN(SubscriptionRow row, new_subscription(turn, request));
  Active active;
  if (const xml::Node filter = request.body->root().child(kNotification, "Filter")) {
    TRY_ASSIGN(active.filter, Filter::read(filter));
  }
  if (const Status known = check_topics(row.producer(), active.filter); !known)
    return Refusal("TopicNotSupportedFault", known.error());
  row.id = env::make_id(turn.random(), "sub");
  active.row = std::move(row);
  if (vo_of_.empty()) TRY(cursor_.put(turn.transaction(), "events", CursorRow{turn.newest_event()}));
  if (active.row.resource.empty()) {
    TRY_ASSIGN(auto response, begin_subscription(turn, std::move(active)));
    return response;
  }
  // Whether the resource is there, and the caller's, is its service's to say.
  active.row.request = request.message_id;
  TRY(look_up(turn, active));
  TRY(begin_subscription(turn, std::move(active)));
  return xml::DocumentPtr();
}

Result<xml::DocumentPtr> Notification::begin_subscription(exchange::Turn& turn, Active active) {
  SubscriptionRow& row = active.row;
  row.since = turn.newest_event();
  if (row.termination) TRY(turn.set_timer("end/" + row.id, *row.termination));
  TRY(subscriptions_.put(turn.transaction(), row.id, row));
  const auto response = write_subscribe_response(fmt::format("{}{}{}", options_.base, kSubscriptions, row.id),
                                                 turn.now(), row.termination);
  keep(std::move(active));
  has_subscriptions_ = true;
  return response;
}

Status Notification::look_up(exchange::Turn& turn, const Active& active) {
  const SubscriptionRow& row = active.row;
  exchange::Message message;
  TRY_ASSIGN(message.body, get_request(row.producer()));
  message.message_id = env::make_uuid_urn(turn.random());
  message.to = "/services/" + row.service;
  message.operation = message.body->root().local_name();
  message.vo = row.vo;
  message.caller = row.caller;
  return turn.send(std::move(message), "look-up/" + row.id, turn.now() + std::chrono::minutes(1));
}

Status Notification::on_looked_up(exchange::Turn& turn, const exchange::Message& reply, Active& active) {
  if (active.row.request.empty()) return {};
  const std::string request = std::exchange(active.row.request, std::string());
  if (!reply.fault) {
    const std::string vo = active.row.vo;
    const Producer producer = active.row.producer();
    const bool is_watched = watches(active);
    TRY_ASSIGN(const auto begun, begin_subscription(turn, std::move(active)));
    // From here on changes are told.
    if (is_watched) TRY(take_properties(turn, vo, producer, reply.body->root()));
    return turn.reply(request, begun);
  }
  const Producer producer = active.row.producer();
  TRY(end(turn, std::string(active.row.id)));
  Refusal refusal = exchange::error_of(*reply.fault);
  if (refusal.error.code() == ErrorCode::kNotFound) refusal.fault = "ResourceUnknownFault";
  if (refusal.fault.empty()) refusal.fault = "SubscribeCreationFailedFault";
  return turn.reply_fault(request, fault_of(refusal, turn.now(), options_.base + producer.path()));
}

Answer<Notification::Active*> Notification::subscription_at(exchange::Turn&, const exchange::Message& request) {
  const auto id = id_at(request.to, kSubscriptions);
  if (!id) return no_subscription(request.to);
  Active* active = find(request.vo, *id);
  if (active == nullptr || !active->row.request.empty()) return no_subscription(request.to);
  return active;
}

Notification::Reply Notification::get_properties(exchange::Turn&, const exchange::Message& request) {
  TRY_ASSIGN(const Producer producer, producers_.find(request.to));
  xml::Document response =
      xml::Document::create({std::string(kResourceProperties), "GetResourcePropertyDocumentResponse"}, "wsrf-rp");
  response.root().append_copy(producer_properties(producers_, producer)->root());
  return std::move(response).share();
}

Notification::Reply Notification::get_property(exchange::Turn&, const exchange::Message& request) {
  TRY_ASSIGN(const Producer producer, producers_.find(request.to));
  const xml::Node asked = request.body->root();
  const auto name = asked.resolve_qname(asked.text());
  const auto properties = producer_properties(producers_, producer);
  xml::Document response =
      xml::Document::create({std::string(kResourceProperties), "GetResourcePropertyResponse"}, "wsrf-rp");
  const auto values = name ? properties->root().children(name->ns, name->local) : std::vector<xml::Node>();
  if (values.empty())
    return Refusal("InvalidResourcePropertyQNameFault",
                   invalid(fmt::format("{} has no property {}", producer.path(), asked.text())));
  for (const xml::Node value : values) response.root().append_copy(value);
  return std::move(response).share();
}

Notification::Reply Notification::renew(exchange::Turn& turn, const exchange::Message& request) {
  TRY_ASSIGN(Active * active, subscription_at(turn, request));
  const xml::Node time = request.body->root().child(kNotification, "TerminationTime");
  if (!time) return Error(invalid("wsnt:Renew has no wsnt:TerminationTime"));
  TRY_ASSIGN(const auto end, termination_of(termination_text(time), turn.now(), longest_of(active->row.caller),
                                            "UnacceptableTerminationTimeFault"));
  TRY(set_end(turn, *active, end));
  return write_renew_response(turn.now(), end);
}

Status Notification::set_end(exchange::Turn& turn, Active& active, std::optional<TimePoint> end) {
  active.row.termination = end;
  const std::string timer = "end/" + active.row.id;
  touch(active);
  return end ? turn.set_timer(timer, *end) : turn.cancel_timer(timer);
}

Notification::Reply Notification::unsubscribe(exchange::Turn& turn, const exchange::Message& request) {
  TRY_ASSIGN(const Active* active, subscription_at(turn, request));
  TRY(end(turn, std::string(active->row.id)));
  return write_empty("UnsubscribeResponse");
}

Notification::Reply Notification::pause(exchange::Turn& turn, const exchange::Message& request) {
  TRY_ASSIGN(Active * active, subscription_at(turn, request));
  active->row.paused = true;
  touch(*active);
  return write_empty("PauseSubscriptionResponse");
}

Notification::Reply Notification::resume(exchange::Turn& turn, const exchange::Message& request) {
  TRY_ASSIGN(Active * active, subscription_at(turn, request));
  active->row.paused = false;
  touch(*active);
  if (active->row.waits) TRY(try_again(turn, *active));
  return write_empty("ResumeSubscriptionResponse");
}

Notification::Reply Notification::get_current_message(exchange::Turn& turn, const exchange::Message& request) {
  TRY_ASSIGN(const Producer producer, producers_.find(request.to));
  const xml::Node element = request.body->root().child(kNotification, "Topic");
  if (!element) return Error(invalid("wsnt:GetCurrentMessage has no wsnt:Topic"));
  TRY_ASSIGN(const TopicExpression topic, TopicExpression::read(element));
  const auto topics = producers_.topics(producer);
  const auto meant = std::count_if(topics.begin(), topics.end(), [&](const auto& one) { return topic.matches(one); });
  if (meant == 0) return refuse("TopicNotSupportedFault", fmt::format("{} has no such topic", producer.path()));
  if (meant > 1)
    return refuse("MultipleTopicsSpecifiedFault",
                  fmt::format("the expression means {} topics of {}; name one", meant, producer.path()));
  TRY_ASSIGN(const auto content, current_message(turn, request, producer, topic));
  if (!content)
    return Refusal("NoCurrentMessageOnTopicFault",
                   not_found(fmt::format("among the newest {} events there is none of this topic", kMostLookedAt)));
  TRY_ASSIGN(auto response, write_current_message(*content));
  return response;
}

// From the newest event backwards, a window at a time.
Result<std::optional<std::string>> Notification::current_message(exchange::Turn& turn, const exchange::Message& request,
                                                                 const Producer& producer,
                                                                 const TopicExpression& topic) {
  const std::int64_t newest = turn.newest_event();
  for (std::int64_t end = newest; end > 0 && newest - end < kMostLookedAt; end -= kWindow) {
    const std::int64_t begin = std::max<std::int64_t>(end - kWindow, 0);
    TRY_ASSIGN(const auto rows, turn.transaction().scan(events_, "", exchange::ordered_number(begin),
                                                        static_cast<std::size_t>(end - begin)));
    for (auto row = rows.rbegin(); row != rows.rend(); ++row) {
      TRY_ASSIGN(const auto event, decode_record<exchange::Event>(row->value));
      const TellingService* of = producers_.declaring(event.kind);
      const bool is_it = event.sequence <= end && of != nullptr &&
                         producers_.is_for(request.vo, request.administrator, producer, event, *of) &&
                         producer.tells(event, of->name) && topic.matches(xml::QName{of->name_space, event.kind});
      if (is_it) return std::optional<std::string>(event_xml(event));
    }
  }
  return std::optional<std::string>();
}

}  // namespace nuraghe::services::notification
