#include "services/registry/herald.hpp"

#include <fmt/format.h>

#include <charconv>

#include "base/log.hpp"
#include "exchange/rows.hpp"

namespace nuraghe::services::registry {
namespace {

constexpr const char* kCursor = "told";  // key of the one row
constexpr const char* kAgain = "again";
constexpr std::size_t kPage = 100;
constexpr Duration kPatience = std::chrono::minutes(1);

api::Event told(const exchange::Event& event) {
  api::Event out;
  out.sequence = event.sequence;
  out.vo = event.vo;
  out.kind = event.kind;
  out.severity = event.severity;
  out.text = event.text;
  for (const auto& [name, value] : event.attributes) out.attribute.push_back({name, value});
  return out;
}

}  // namespace

Status Herald::open(store::Store& store) {
  TRY(cursor_.open(store, "registry_herald"));
  TRY(programs_.open(store, ProgramRow::kTable));
  TRY_ASSIGN(events_, store.table("exchange_events"));
  return {};
}

Status Herald::pump(exchange::Turn& turn) {
  pump_is_due_ = false;
  if (is_telling_) return {};
  TRY_ASSIGN(const auto cursor, cursor_.find(turn.transaction(), kCursor));
  const std::int64_t after = cursor ? cursor->sequence : 0;
  TRY_ASSIGN(const auto rows, turn.transaction().scan(events_, "", exchange::ordered_number(after), kPage));
  if (rows.empty()) return {};
  api::PublishEventsRequest input;
  input.name = options_.service;
  std::int64_t last = after;
  for (const store::Row& row : rows) {
    TRY_ASSIGN(const auto event, decode_record<exchange::Event>(row.value));
    const bool is_told = options_.topics.contains(event.kind);
    if (is_told && !input.event.empty() && after < alone_until_) break;
    last = event.sequence;
    if (is_told) input.event.push_back(told(event));
  }
  if (input.event.empty()) return have_told(turn, last);
  TRY_ASSIGN(const auto program, programs_.find(turn.transaction(), ProgramRow::kSelf));
  if (!program) return turn.set_timer(kAgain, turn.now() + options_.retry);
  input.program = program->id;
  auto message = contracts::registry::make_publish_events(options_.registry, input);
  message.message_id = env::make_uuid_urn(turn.random());
  message.caller = "service:" + options_.service;
  is_telling_ = true;
  return turn.send(std::move(message), std::to_string(last), turn.now() + kPatience);
}

Status Herald::have_told(exchange::Turn& turn, std::int64_t last) {
  TRY_ASSIGN(const auto cursor, cursor_.find(turn.transaction(), kCursor));
  if (!cursor || cursor->sequence < last) TRY(cursor_.put(turn.transaction(), kCursor, {last}));
  return turn.set_timer(kAgain, turn.now());
}

Status Herald::on_reply(exchange::Turn& turn, const exchange::Message& reply, std::string_view token) {
  is_telling_ = false;
  std::int64_t last = 0;
  std::from_chars(token.data(), token.data() + token.size(), last);
  if (!reply.fault) return have_told(turn, last);
  const Error error = exchange::error_of(*reply.fault);
  // One event will never be taken: those beside it are told, and who comes after it must not wait.
  if (error.code() == ErrorCode::kInvalid) {
    if (last > alone_until_) {
      alone_until_ = last;
      return turn.set_timer(kAgain, turn.now());
    }
    log_error("herald", "nuraghed does not take an event; it is told nobody",
              {{"sequence", std::to_string(last)}, {"error", error.to_string()}});
    return have_told(turn, last);
  }
  return turn.set_timer(kAgain, turn.now() + options_.retry);
}

Status Herald::on_timer(exchange::Turn& turn, std::string_view key) { return key == kAgain ? pump(turn) : Status(); }

Status Herald::on_request(exchange::Turn& /*turn*/, const exchange::Message& request) {
  return unsupported(fmt::format("{} is nothing that can be asked here", request.operation));
}

Status Herald::on_job(exchange::Turn& /*turn*/, const exchange::Job& /*job*/, const Result<std::string>& /*result*/) {
  return {};
}

Result<std::string> Herald::run_job(const exchange::Job& /*job*/, exchange::JobContext& /*context*/) {
  return internal("there are no jobs here");
}

void follow_events(exchange::Exchange& exchange, Herald& herald) {
  exchange.on_published([&exchange, &herald](std::int64_t) {
    if (!herald.note_published()) return;
    exchange.post(
        std::string(herald.name()), [&herald](exchange::Turn& turn) { return herald.pump(turn); },
        [](const Status&) {});
  });
}

}  // namespace nuraghe::services::registry
