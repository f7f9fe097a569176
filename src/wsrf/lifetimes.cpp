// Scheduled termination (WS-ResourceLifetime 1.2 §5).
#include <fmt/format.h>

#include <algorithm>

#include "base/log.hpp"
#include "net/http.hpp"
#include "wsrf/resources_state.hpp"

namespace nuraghe::wsrf {
namespace {

using exchange::Message;
using exchange::Turn;

constexpr Duration kFirstPause = std::chrono::seconds(5);
constexpr Duration kLongestPause = std::chrono::minutes(10);
constexpr Duration kDestruction = std::chrono::hours(24);

// The last time that xsd:dateTime writes with four digits lies further away.
constexpr Duration kLongestStay = std::chrono::hours(24 * 365 * 1000);

std::string lifetime_key(std::string_view vo, std::string_view path) { return fmt::format("{}\x1f{}", vo, path); }

// The time that a SetTerminationTime asks for; nothing: no end.
Result<std::optional<TimePoint>> requested(xml::Node body, TimePoint now) {
  if (const xml::Node duration = body.child(kLifetime, "RequestedLifetimeDuration")) {
    TRY_ASSIGN(const Duration span, parse_stay(duration.text()));
    return std::optional<TimePoint>(now + span);
  }
  const xml::Node time = body.child(kLifetime, "RequestedTerminationTime");
  if (!time) return invalid("SetTerminationTime says no time");
  const std::string nil = time.attribute_or("nil", "false", kInstance);
  if (nil == "true" || nil == "1") return std::optional<TimePoint>();
  TRY_ASSIGN(const TimePoint end, parse_time(time.text()));
  return std::optional<TimePoint>(end);
}

xml::DocumentPtr response_of(std::optional<TimePoint> end, TimePoint now) {
  xml::Document response = xml::Document::create(name_of(kLifetime, "SetTerminationTimeResponse"));
  xml::Node time = response.root().append_element(kLifetime, "NewTerminationTime");
  if (end)
    time.set_text(end->to_string());
  else
    time.set_attribute("nil", "true", kInstance);
  response.root().append_text_element(kLifetime, "CurrentTime", now.to_string());
  return std::move(response).share();
}

Refusal cannot(Error error) { return {name_of(kLifetime, "UnableToSetTerminationTimeFault"), std::move(error)}; }

}  // namespace

Result<Duration> parse_stay(std::string_view text) {
  TRY_ASSIGN(const Duration span, parse_duration(text));
  if (span > kLongestStay) return invalid(fmt::format("{} is longer than 1000 years", text));
  return span;
}

Status Resources::set_termination(Turn& turn, Work& work) {
  const auto end = requested(work.body(), turn.now());
  if (!end) return finish(turn, work, cannot(end.error()));
  if (*end && **end <= turn.now()) {
    return finish(turn, work,
                  cannot(invalid(fmt::format("{} is over (it is {}); use Destroy to end it now", (*end)->to_string(),
                                             turn.now().to_string()))));
  }
  if (const auto* own = own_termination(work.address)) return schedule(turn, work, *own, *end);
  const std::string path = work.address.path_of(work.row.key);
  const std::string key = lifetime_key(work.request.vo, path);
  if (*end) {
    const LifetimeRow row{**end, work.request.vo, work.request.caller, path};
    TRY(turn.transaction().put(lifetimes_, key, encode_record(row)));
    TRY(turn.set_timer(key, **end));
  } else {
    TRY(forget_termination(turn, work));
  }
  return finish(turn, work, response_of(*end, turn.now()));
}

Status Resources::schedule(Turn& turn, Work& work, const contracts::PropertyInfo& property,
                           std::optional<TimePoint> end) {
  std::vector<std::pair<std::string_view, std::string>> fields{{property.set_key_field, work.row.key}};
  if (end) fields.emplace_back(property.field->name, end->to_string());
  work.row.stage = kScheduling;
  TRY(keep(turn, work));
  return ask(turn, work, property.set_service, property.set, request_body(property.set_service, property.set, fields));
}

Status Resources::have_scheduled(Turn& turn, const Work& work, const Message& reply) {
  if (const Status status = status_of(reply); !status) {
    Refusal refusal = refusal_of(status.error());
    if (refusal.name.ns != kResource) refusal = cannot(status.error());
    return finish(turn, work, refusal);
  }
  const auto* own = own_termination(work.address);
  const xml::Node root = reply.body->root();
  const xml::Node end = own == nullptr ? xml::Node() : root.child(root.namespace_uri(), own->field->name);
  if (!end) return finish(turn, work, response_of(std::nullopt, turn.now()));
  TRY_ASSIGN(const TimePoint time, parse_time(end.text()));
  return finish(turn, work, response_of(time, turn.now()));
}

Result<std::optional<TimePoint>> Resources::termination(Turn& turn, const Work& work, xml::Node value) const {
  if (const auto* own = own_termination(work.address)) {
    const xml::Node end = value.child(work.address.resource->type->name_space, own->field->name);
    if (!end) return std::optional<TimePoint>();
    TRY_ASSIGN(const TimePoint time, parse_time(end.text()));
    return std::optional<TimePoint>(time);
  }
  const std::string key = lifetime_key(work.request.vo, work.address.path_of(work.row.key));
  TRY_ASSIGN(const auto stored, turn.transaction().get(lifetimes_, key));
  if (!stored) return std::optional<TimePoint>();
  TRY_ASSIGN(const auto row, decode_record<LifetimeRow>(*stored));
  return std::optional<TimePoint>(row.end);
}

Status Resources::forget_termination(Turn& turn, const Work& work) const {
  const std::string key = lifetime_key(work.request.vo, work.address.path_of(work.row.key));
  TRY_ASSIGN(const auto stored, turn.transaction().get(lifetimes_, key));
  if (!stored) return {};
  TRY(turn.transaction().erase(lifetimes_, key));
  return turn.cancel_timer(key);
}

// The timers stay and find nothing when they are due. What its termination time destroys is told of when that has its
// answer.
Status Resources::forget(store::Transaction& tx, std::string_view group, std::string_view key,
                         std::string_view vo) const {
  const std::string path = fmt::format("{}/{}", group, net::percent_encode(key));
  const auto forget_row = [&](const std::string& row_key, const std::string& value) -> Status {
    TRY_ASSIGN(const auto lifetime, decode_record<LifetimeRow>(value));
    return lifetime.path == path && !lifetime.is_ending ? tx.erase(lifetimes_, row_key) : Status();
  };
  if (!vo.empty()) {
    const std::string row_key = lifetime_key(vo, path);
    TRY_ASSIGN(const auto stored, tx.get(lifetimes_, row_key));
    return stored ? forget_row(row_key, *stored) : Status();
  }
  std::string after;
  for (;;) {
    TRY_ASSIGN(const auto rows, tx.scan(lifetimes_, {}, after));
    if (rows.empty()) return {};
    after = rows.back().key;
    for (const auto& row : rows) TRY(forget_row(row.key, row.value));
  }
}

Status Resources::on_timer(Turn& turn, std::string_view key) {
  TRY_ASSIGN(const auto stored, turn.transaction().get(lifetimes_, key));
  if (!stored) return {};
  TRY_ASSIGN(auto row, decode_record<LifetimeRow>(*stored));
  if (row.end > turn.now()) return turn.set_timer(key, row.end);
  const auto address = find_address(row.path);
  if (!address || address->resource->destroy.empty() || own_termination(*address) != nullptr)
    return turn.transaction().erase(lifetimes_, key);
  row.is_ending = true;
  TRY(turn.transaction().put(lifetimes_, key, encode_record(row)));
  const auto& resource = *address->resource;
  Message message;
  message.message_id = env::make_uuid_urn(turn.random());
  message.to = fmt::format("/services/{}", resource.destroy_service);
  message.operation = resource.destroy;
  message.body =
      request_body(resource.destroy_service, resource.destroy, {{resource.destroy_input_field, address->key}});
  message.vo = row.vo;
  message.caller = row.caller;
  return turn.send(std::move(message), fmt::format("t{}", key), turn.now() + kDestruction);
}

Status Resources::have_terminated(Turn& turn, const std::string& key, const Message& reply) {
  TRY_ASSIGN(const auto stored, turn.transaction().get(lifetimes_, key));
  if (!stored) return {};
  TRY_ASSIGN(auto row, decode_record<LifetimeRow>(*stored));
  // Its end was put off while it was being tried in vain.
  if (row.end > turn.now()) return {};
  const Status status = status_of(reply);
  exchange::Event event;
  event.vo = row.vo;
  event.attributes["resource"] = row.path;
  if (status || status.error().code() == ErrorCode::kNotFound) {
    TRY(turn.transaction().erase(lifetimes_, key));
    event.kind = "resource.terminated";
    event.text = fmt::format("{} was destroyed at its termination time {}", row.path, row.end.to_string());
    return turn.publish(std::move(event));
  }
  const Duration pause =
      std::min(kLongestPause, kFirstPause * (std::int64_t{1} << std::min<std::int64_t>(row.tries, 10)));
  ++row.tries;
  row.is_ending = false;
  TRY(turn.transaction().put(lifetimes_, key, encode_record(row)));
  TRY(turn.set_timer(key, turn.now() + pause));
  if (row.tries > 1) return {};
  event.kind = "resource.not-terminated";
  event.severity = "warning";
  event.text = fmt::format("{} could not be destroyed at its termination time; it is tried again: {}", row.path,
                           status.error().to_string());
  return turn.publish(std::move(event));
}

Status Resources::read_entry(Turn& turn, Work& work, xml::Node value) {
  const auto until = member_until(work.address, value);
  if (!until) return finish(turn, work, refusal_of(until.error()));
  work.row.key = key_of(work.address, value);
  if (work.request.operation == "Destroy") return renew_member(turn, work, Duration(0));
  if (work.request.operation == "SetTerminationTime") {
    const auto end = requested(work.body(), turn.now());
    if (!end) return finish(turn, work, cannot(end.error()));
    if (!*end)
      return finish(turn, work, cannot(invalid("a member of a group stays as long as it renews, not for ever")));
    const Duration span = **end - turn.now();
    if (span < std::chrono::seconds(1))
      return finish(turn, work,
                    cannot(invalid("a member stays for a second at least; use Destroy to take it out now")));
    return renew_member(turn, work, span);
  }
  const auto answer = read(work.address, entry_document(work.address, value, options_.base, turn.now()), work.body());
  return answer ? finish(turn, work, *answer) : finish(turn, work, answer.error());
}

Status Resources::have_renewed(Turn& turn, const Work& work, const Message& reply) {
  const bool ends = work.request.operation == "Destroy";
  if (const Status status = status_of(reply); !status) {
    Refusal refusal = refusal_of(status.error());
    if (refusal.name.ns != kResource)
      refusal.name = name_of(kLifetime, ends ? "ResourceNotDestroyedFault" : "UnableToSetTerminationTimeFault");
    return finish(turn, work, refusal);
  }
  if (ends) return finish(turn, work, xml::Document::create(name_of(kLifetime, "DestroyResponse")).share());
  return finish(turn, work, response_of(turn.now() + Duration(work.row.step), turn.now()));
}

}  // namespace nuraghe::wsrf
