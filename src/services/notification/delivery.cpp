// What is told: from the exchange's events into queues, and from those to consumers.
#include <fmt/format.h>

#include <algorithm>
#include <utility>

#include "base/log.hpp"
#include "exchange/rows.hpp"
#include "services/notification/names.hpp"
#include "services/notification/notification.hpp"

namespace nuraghe::services::notification {

namespace {

constexpr std::size_t kEventPage = 256;
constexpr std::size_t kMostInOne = 32;  // notification messages of a wsnt:Notify
constexpr Duration kFirstPause = std::chrono::seconds(2);
constexpr Duration kLongestPause = std::chrono::minutes(1);

Duration pause_before(std::int64_t tries) {
  return std::min(kLongestPause, kFirstPause * (std::int64_t{1} << std::min<std::int64_t>(tries, 10)));
}

}  // namespace

Status Notification::load(exchange::Turn& turn) {
  if (loaded_) return {};
  active_.clear();
  vo_of_.clear();
  for_site_.clear();
  touched_.clear();
  looking_.clear();
  TRY_ASSIGN(auto rows, subscriptions_.scan(turn.transaction(), ""));
  for (auto& [id, row] : rows) {
    Active active;
    if (!row.filter.empty()) {
      TRY_ASSIGN(const xml::Document filter, xml::Document::parse(row.filter));
      auto compiled = Filter::read(filter.root());
      if (!compiled)
        return corrupt(fmt::format("the filter of subscription {}: {}", id, compiled.error().error.message()));
      active.filter = std::move(*compiled);
    }
    active.row = std::move(row);
    keep(std::move(active));
  }
  has_subscriptions_ = !vo_of_.empty();
  loaded_ = true;
  return {};
}

void Notification::keep(Active active) {
  const std::string vo = active.row.vo, id = active.row.id;
  vo_of_[id] = vo;
  if (active.row.administrator == exchange::Administrator::kForSite) ++for_site_[vo];
  active_[vo].insert_or_assign(id, std::move(active));
}

Notification::Active* Notification::find(const std::string& vo, const std::string& id) {
  const auto of_vo = active_.find(vo);
  if (of_vo == active_.end()) return nullptr;
  const auto at = of_vo->second.find(id);
  return at == of_vo->second.end() ? nullptr : &at->second;
}

Notification::Active* Notification::find(const std::string& id) {
  const auto vo = vo_of_.find(id);
  return vo == vo_of_.end() ? nullptr : find(vo->second, id);
}

// ---- events into queues ----

Status Notification::pump(exchange::Turn& turn) {
  pump_is_due_ = false;
  TRY(load(turn));
  if (vo_of_.empty()) return {};
  TRY_ASSIGN(const auto cursor, cursor_.find(turn.transaction(), "events"));
  const std::int64_t after = cursor ? cursor->sequence : turn.newest_event();
  TRY_ASSIGN(const auto rows, turn.transaction().scan(events_, "", exchange::ordered_number(after), kEventPage));
  if (rows.empty()) return {};
  std::int64_t last = after;
  for (const store::Row& row : rows) {
    TRY_ASSIGN(const auto event, decode_record<exchange::Event>(row.value));
    last = event.sequence;
    if (const TellingService* of = producers_.declaring(event.kind)) TRY(take_event(turn, event, *of));
  }
  TRY(cursor_.put(turn.transaction(), "events", CursorRow{last}));
  if (rows.size() == kEventPage) TRY(turn.set_timer("pump", turn.now()));
  return flush(turn);
}

Status Notification::take_event(exchange::Turn& turn, const exchange::Event& event, const TellingService& of) {
  std::vector<std::string> vos;
  if (event.vo.empty()) {
    for (const auto& [vo, of_vo] : active_) vos.push_back(vo);
  } else {
    vos.push_back(event.vo);
    for (const auto& [vo, count] : for_site_) {
      if (vo != event.vo) vos.push_back(vo);
    }
  }
  for (const std::string& vo : vos) TRY(take_event(turn, vo, event, of));
  return {};
}

Status Notification::take_event(exchange::Turn& turn, const std::string& vo, const exchange::Event& event,
                                const TellingService& of) {
  const auto of_vo = active_.find(vo);
  if (of_vo == active_.end()) return {};
  const xml::QName topic{of.name_space, event.kind};
  std::string content;
  std::optional<xml::Document> tree;
  std::vector<std::pair<std::string, std::string>> failed;
  std::map<std::string, Producer> watched;
  const auto happened_to_watched = [&](const Active& active) {
    return active.row.request.empty() && watches(active) && active.row.producer().tells(event, of.name);
  };
  for (auto& [id, active] : of_vo->second) {
    const Producer producer = active.row.producer();
    if (!producers_.is_for(vo, active.row.administrator, producer, event, of)) continue;
    const bool is_asked = active.row.request.empty() && event.sequence > active.row.since &&
                          producer.tells(event, of.name) && active.filter.matches_topic(topic);
    if (happened_to_watched(active)) watched.emplace(active.row.producer().path(), active.row.producer());
    if (!is_asked) continue;
    if (!tree) {
      content = event_xml(event);
      TRY_ASSIGN(tree, xml::Document::parse(content));
    }
    auto passes = active.filter.matches_content(tree->root());
    const bool asks = passes && *passes && active.filter.asks_properties();
    if (asks && active.row.resource.empty())
      passes = active.filter.matches_properties(producer_properties(producers_, active.row.producer())->root());
    if (!passes)
      failed.emplace_back(id, passes.error().to_string());
    else if (*passes)
      TRY(enqueue(turn, active, topic, content, asks && !active.row.resource.empty()));
    if (!active.row.producer().ends_with(event)) continue;
    active.row.ends = true;
    touch(active);
  }
  for (const auto& [path, producer] : watched) TRY(look_at(turn, vo, producer));
  for (const auto& [id, why] : failed) {
    TRY(lose(turn, *find(id), fmt::format("its condition on messages cannot be evaluated: {}", why)));
  }
  return {};
}

Status Notification::enqueue(exchange::Turn& turn, Active& active, const xml::QName& topic, std::string content,
                             bool asks) {
  SubscriptionRow& row = active.row;
  const QueueRow message{row.id, row.producer().path(), topic.ns, topic.local, std::move(content), asks};
  if (row.queued >= options_.queue_limit) {
    TRY(drop_oldest(turn, row.id, row.queued));
    if (row.dropped++ == 0)
      TRY(announce(
          turn, row.vo, "subscription.dropped", row.id,
          fmt::format("more than {} messages wait for the consumer: the oldest are dropped", options_.queue_limit)));
  }
  TRY(queue_.put(turn.transaction(), queue_key(row.id, row.next), message));
  ++row.next;
  ++row.queued;
  touch(active);
  return {};
}

// The rows of a message that is on its way stay until it was taken: what follows them goes.
Status Notification::drop_oldest(exchange::Turn& turn, const std::string& owner, std::int64_t& queued) {
  std::int64_t kept = 0;
  if (const Active* active = find(owner); active != nullptr && !active->row.in_flight.empty())
    kept = active->row.in_flight_last;
  TRY_ASSIGN(const auto oldest,
             queue_.page(turn.transaction(), owner + "/", 1, kept == 0 ? std::string() : queue_key(owner, kept)));
  if (oldest.empty()) return {};
  --queued;
  return queue_.erase(turn.transaction(), oldest.front().first);
}

Status Notification::append(exchange::Turn& turn, PullPointRow& point, const QueueRow& row) {
  if (point.queued >= options_.queue_limit) {
    TRY(drop_oldest(turn, point.id, point.queued));
    if (point.dropped++ == 0)
      TRY(announce(
          turn, point.vo, "subscription.dropped", point.id,
          fmt::format("more than {} messages wait in the pull point: the oldest are dropped", options_.queue_limit)));
  }
  TRY(queue_.put(turn.transaction(), queue_key(point.id, point.next), row));
  ++point.next;
  ++point.queued;
  return {};
}

// ---- queues to consumers ----

void Notification::touch(Active& active) {
  if (std::exchange(active.is_touched, true)) return;
  touched_.push_back(active.row.id);
}

// Sends what can be sent and writes every row that the turn changed.
Status Notification::flush(exchange::Turn& turn) {
  for (std::size_t i = 0; i < touched_.size(); ++i) {
    const std::string id = touched_[i];
    Active* active = find(id);
    if (active == nullptr) continue;
    TRY(kick(turn, *active));
    active = find(id);
    if (active == nullptr) continue;
    active->is_touched = false;
    TRY(subscriptions_.put(turn.transaction(), id, active->row));
  }
  touched_.clear();
  return {};
}

Status Notification::kick(exchange::Turn& turn, Active& active) {
  SubscriptionRow& row = active.row;
  if (row.paused || !row.request.empty()) return {};
  if (!may_hear(row)) return lose(turn, active, "who subscribed may no longer see what it tells");
  if (!row.pull_point.empty()) TRY(hand_over(turn, active));
  if (row.pull_point.empty() && row.in_flight.empty() && row.queued > 0) TRY(send_next(turn, active));
  const bool is_seen = !looking_.contains(watch_key(row.vo, row.producer().path()));
  if (row.ends && row.queued == 0 && row.in_flight.empty() && is_seen) return end(turn, std::string(row.id));
  return {};
}

bool Notification::may_hear(const SubscriptionRow& row) const {
  if (!options_.may_hear) return true;
  const bool is_administrator = row.administrator != exchange::Administrator::kNo;
  return options_.may_hear({row.caller, row.vo, row.producer().path(), is_administrator, row.created});
}

Status Notification::hand_over(exchange::Turn& turn, Active& active) {
  if (active.row.queued == 0) return {};
  TRY_ASSIGN(auto point, pull_points_.find(turn.transaction(), active.row.pull_point));
  if (!point) return internal(fmt::format("the pull point of subscription {} is not there", active.row.id));
  TRY_ASSIGN(const auto rows, queue_.scan(turn.transaction(), active.row.id + "/"));
  for (const auto& [key, row] : rows) {
    if (row.asks) break;
    TRY(append(turn, *point, row));
    TRY(queue_.erase(turn.transaction(), key));
    --active.row.queued;
  }
  return pull_points_.put(turn.transaction(), point->id, *point);
}

Status Notification::send_next(exchange::Turn& turn, Active& active) {
  SubscriptionRow& row = active.row;
  TRY_ASSIGN(const auto page, queue_.page(turn.transaction(), row.id + "/", row.use_raw ? std::size_t{1} : kMostInOne));
  if (page.empty()) return internal(fmt::format("the queue of subscription {} is empty and should not be", row.id));
  std::vector<QueueRow> rows;
  for (const auto& [key, queued] : page) {
    // Whether it is told is not known yet, nor what comes after it.
    if (queued.asks) break;
    rows.push_back(queued);
  }
  if (rows.empty()) return {};
  row.in_flight = env::make_uuid_urn(turn.random());
  row.in_flight_last = exchange::number_of(std::string_view(page[rows.size() - 1].first).substr(row.id.size() + 1));
  return send_rows(turn, active, rows, false);
}

// How the consumer reaches this process, as far as that is known: as the subscriber did.
std::string Notification::base_for(const SubscriptionRow& row) const {
  if (!options_.public_url.empty()) return options_.public_url;
  return row.base.empty() ? options_.base : row.base;
}

Status Notification::send_rows(exchange::Turn& turn, Active& active, const std::vector<QueueRow>& rows, bool again) {
  const SubscriptionRow& row = active.row;
  const std::string base = base_for(row);
  exchange::Message message;
  xml::DocumentPtr body;
  if (row.use_raw) {
    TRY_ASSIGN(xml::Document content, xml::Document::parse(rows.front().content));
    message.operation = content.root().local_name();
    message.action = fmt::format("{}:{}", kEvent, message.operation);
    body = std::move(content).share();
  } else {
    std::vector<std::string> told;
    for (const QueueRow& queued : rows) told.push_back(notification_message(queued, base));
    TRY_ASSIGN(body, write_messages("Notify", told));
    message.operation = "Notify";
    message.action = kNotifyAction;
  }
  TRY_ASSIGN(message.body, for_consumer(soap::told_with(body, options_.own_paths, base), row.reference));
  message.message_id = row.in_flight;
  message.to = row.consumer;
  message.soap_12 = row.soap_12;
  message.one_way = message.wants_receipt = true;
  message.to_stranger = true;
  message.is_passed_on = again;
  touch(active);
  return turn.send(std::move(message), "told/" + row.id, turn.now() + options_.patience, options_.patience);
}

Status Notification::on_told(exchange::Turn& turn, const exchange::Message& reply, Active& active) {
  SubscriptionRow& row = active.row;
  if (row.in_flight.empty() || reply.relates_to != row.in_flight) return {};
  touch(active);
  if (!reply.fault) {
    TRY_ASSIGN(const auto rows, queue_.page(turn.transaction(), row.id + "/", kMostInOne));
    const std::string last = queue_key(row.id, row.in_flight_last);
    for (const auto& [key, queued] : rows) {
      if (key > last) break;
      TRY(queue_.erase(turn.transaction(), key));
      --row.queued;
    }
    row.in_flight.clear();
    row.in_flight_last = row.tries = row.dropped = 0;
    row.failing_since.reset();
    return {};
  }
  const ErrorCode code = reply.fault->code;
  // What the consumer answered stays here: who subscribed must not read what stands at an address.
  log_info("notification", "a consumer did not take a message",
           {{"subscription", row.id}, {"code", std::string(error_code_name(code))}});
  if (code == ErrorCode::kUnavailable || code == ErrorCode::kTimeout)
    return lose(turn, active, fmt::format("its consumer was not reached for {}", format_duration(options_.patience)));
  if (!row.failing_since) row.failing_since = turn.now();
  if (turn.now() - *row.failing_since >= options_.patience)
    return lose(turn, active, fmt::format("its consumer refused a message for {}", format_duration(options_.patience)));
  row.waits = true;
  return turn.set_timer("retry/" + row.id, turn.now() + pause_before(row.tries++));
}

// The same message under the same id.
Status Notification::try_again(exchange::Turn& turn, Active& active) {
  SubscriptionRow& row = active.row;
  if (!row.waits || row.paused) return {};
  if (!may_hear(row)) return lose(turn, active, "who subscribed may no longer see what it tells");
  row.waits = false;
  std::vector<QueueRow> rows;
  TRY_ASSIGN(const auto page, queue_.page(turn.transaction(), row.id + "/", kMostInOne));
  const std::string last = queue_key(row.id, row.in_flight_last);
  for (const auto& [key, queued] : page) {
    if (key <= last) rows.push_back(queued);
  }
  return send_rows(turn, active, rows, true);
}

// ---- ends ----

Status Notification::end(exchange::Turn& turn, const std::string& id) {
  Active* active = find(id);
  if (active == nullptr) return {};
  if (!active->row.in_flight.empty()) TRY(turn.forget(active->row.in_flight));
  TRY(turn.cancel_timer("end/" + id));
  TRY(turn.cancel_timer("retry/" + id));
  TRY(queue_.erase_prefix(turn.transaction(), id + "/"));
  TRY(subscriptions_.erase(turn.transaction(), id));
  const std::string vo = active->row.vo;
  const auto site = for_site_.find(vo);
  const bool is_of_site = active->row.administrator == exchange::Administrator::kForSite;
  if (is_of_site && site != for_site_.end() && --site->second == 0) for_site_.erase(site);
  active_[vo].erase(id);
  if (active_[vo].empty()) active_.erase(vo);
  vo_of_.erase(id);
  // The next subscription begins with the newest event.
  if (vo_of_.empty()) TRY(cursor_.erase(turn.transaction(), "events"));
  has_subscriptions_ = !vo_of_.empty();
  return {};
}

Status Notification::lose(exchange::Turn& turn, Active& active, const std::string& why) {
  const std::string id = active.row.id;
  TRY(announce(turn, active.row.vo, "subscription.lost", id, fmt::format("the subscription ended: {}", why)));
  return end(turn, id);
}

Status Notification::end_pull_point(exchange::Turn& turn, const PullPointRow& point) {
  std::vector<std::string> fed;
  if (const auto of_vo = active_.find(point.vo); of_vo != active_.end()) {
    for (const auto& [id, active] : of_vo->second) {
      if (active.row.pull_point == point.id) fed.push_back(id);
    }
  }
  for (const std::string& id : fed) TRY(end(turn, id));
  TRY(turn.cancel_timer("idle/" + point.id));
  TRY(queue_.erase_prefix(turn.transaction(), point.id + "/"));
  return pull_points_.erase(turn.transaction(), point.id);
}

Status Notification::announce(exchange::Turn& turn, const std::string& vo, std::string kind, std::string id,
                              std::string text) {
  exchange::Event event;
  event.vo = vo;
  event.kind = std::move(kind);
  event.severity = "warning";
  event.text = std::move(text);
  event.attributes["id"] = std::move(id);
  return turn.publish(std::move(event));
}

}  // namespace nuraghe::services::notification
