#include "services/trace/trace.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <charconv>
#include <map>

#include "base/log.hpp"
#include "env/env.hpp"

namespace nuraghe::services::trace {
namespace {

constexpr std::string_view kSweepTimer = "sweep";
constexpr Duration kSweepInterval = std::chrono::hours(1);
constexpr std::size_t kMostTaken = 4096;   // of the buffer in one turn
constexpr std::size_t kMostTrimmed = 256;  // pieces in one turn
constexpr std::size_t kMostRecorded = 1000;
constexpr std::size_t kLongestText = 200;  // of what a controller tells

std::string number_key(std::uint64_t number) { return fmt::format("{:016x}", number); }

std::uint64_t number_of(std::string_view digits) {
  std::uint64_t value = 0;
  std::from_chars(digits.data(), digits.data() + digits.size(), value, 16);
  return value;
}

bool begins_before(const exchange::Span& a, const exchange::Span& b) {
  return a.start != b.start ? a.start < b.start : a.id < b.id;
}

std::string cut(const std::string& text) { return text.substr(0, kLongestText); }

}  // namespace

api::Span to_wire(const exchange::Span& span) {
  api::Span wire;
  wire.id = exchange::span_id_text(span.id);
  wire.parent = exchange::span_id_text(span.parent);
  wire.kind = span.kind == exchange::Span::Kind::kJob ? api::SpanKind::kJob : api::SpanKind::kRequest;
  wire.service = span.service;
  wire.operation = span.operation;
  wire.where = span.where;
  wire.start = span.start;
  wire.took = span.took;
  if (!span.fault.empty()) wire.fault = span.fault;
  return wire;
}

Result<exchange::Span> from_wire(const api::Recorded& recorded) {
  const auto& wire = recorded.span;
  const auto ids = exchange::parse_traceparent(fmt::format("00-{}-{}-01", recorded.trace, wire.id));
  const auto parent = exchange::parse_traceparent(fmt::format("00-{}-{}-01", recorded.trace, wire.parent));
  if (!ids || !parent)
    return invalid(fmt::format("the span {} of the trace {} is not named as W3C Trace Context asks", cut(wire.id),
                               cut(recorded.trace)));
  exchange::Span span;
  span.trace = ids->trace;
  span.id = ids->span;
  span.parent = parent->span;
  span.kind = wire.kind == api::SpanKind::kJob ? exchange::Span::Kind::kJob : exchange::Span::Kind::kRequest;
  span.vo = cut(recorded.vo);
  span.service = cut(wire.service);
  span.operation = cut(wire.operation);
  span.where = cut(wire.where);
  span.start = wire.start;
  span.took = std::max(Duration(0), wire.took);
  span.fault = cut(wire.fault.value_or(""));
  return span;
}

exchange::Message make_record(const std::string& address, const std::vector<exchange::Span>& spans) {
  api::RecordSpansRequest input;
  for (const auto& span : spans) input.recorded.push_back({span.trace.to_string(), span.vo, to_wire(span)});
  auto message = contracts::trace::make_record_spans(address, input);
  message.one_way = true;
  return message;
}

Status Traces::open(store::Store& store) {
  TRY(spans_.open(store, "trace_span"));
  return order_.open(store, "trace_order");
}

Status Traces::on_start(exchange::Turn& turn) { return turn.set_timer(kSweepTimer, turn.now() + kSweepInterval); }

Status Traces::on_timer(exchange::Turn& turn, std::string_view key) {
  if (key != kSweepTimer) return Skeleton::on_timer(turn, key);
  TRY_ASSIGN(const bool is_more, trim(turn));
  return turn.set_timer(kSweepTimer, is_more ? turn.now() : turn.now() + kSweepInterval);
}

Result<Traces::Stock*> Traces::stock(exchange::Turn& turn) {
  if (stock_) return &*stock_;
  Stock counted;
  TRY_ASSIGN(const auto rows, order_.scan(turn.transaction(), ""));
  for (const auto& [key, row] : rows) counted.spans += row.count;
  if (!rows.empty()) counted.next = number_of(rows.back().first) + 1;
  stock_ = counted;
  return &*stock_;
}

Status Traces::put(exchange::Turn& turn, std::vector<exchange::Span> spans) {
  if (spans.empty()) return {};
  TRY_ASSIGN(auto* const stock, this->stock(turn));
  std::map<exchange::TraceId, SpansRow> pieces;
  for (auto& span : spans) pieces[span.trace].spans.push_back(std::move(span));
  for (const auto& [trace, piece] : pieces) {
    const std::string number = number_key(stock->next++);
    const auto count = static_cast<std::int64_t>(piece.spans.size());
    stock->spans += count;
    TRY(spans_.put(turn.transaction(), trace.to_string() + "/" + number, piece));
    TRY(order_.put(turn.transaction(), number, {trace.to_string(), count, turn.now()}));
  }
  return trim(turn).map([](bool) {});
}

Result<bool> Traces::trim(exchange::Turn& turn) {
  TRY_ASSIGN(auto* const stock, this->stock(turn));
  TRY_ASSIGN(const auto oldest, order_.page(turn.transaction(), "", stock->spans > options_.limit ? kMostTrimmed : 1));
  for (const auto& [number, row] : oldest) {
    if (stock->spans <= options_.limit && turn.now() - row.time <= options_.age) return false;
    TRY(spans_.erase(turn.transaction(), row.trace + "/" + number));
    TRY(order_.erase(turn.transaction(), number));
    stock->spans -= row.count;
  }
  return !oldest.empty();
}

Result<bool> Traces::store_waiting(exchange::Turn& turn) {
  TRY(put(turn, buffer_.take(kMostTaken)));
  return !buffer_.empty();
}

Status Traces::get_trace(exchange::Turn& turn, const exchange::Message& request, const api::GetTraceRequest& input) {
  const auto trace = exchange::parse_trace_id(input.trace);
  if (!trace)
    return invalid(fmt::format("'{}' is not the id of a trace: 32 hexadecimal digits in lower case, not all zero",
                               cut(input.trace)));
  api::GetTraceResponse response;
  std::vector<exchange::Span> found;
  const auto take = [&](std::vector<exchange::Span>& spans) {
    for (auto& span : spans) {
      if (span.vo != request.vo) continue;
      response.more = response.more || found.size() == options_.told;
      if (!response.more) found.push_back(std::move(span));
    }
  };
  std::string after;
  while (!response.more) {
    TRY_ASSIGN(auto page, spans_.page(turn.transaction(), trace->to_string() + "/", kMostTrimmed, after));
    for (auto& [key, piece] : page) take(piece.spans);
    if (page.size() < kMostTrimmed) break;
    after = page.back().first;
  }
  auto waiting = buffer_.of(*trace);
  take(waiting);
  if (found.empty())
    return not_found(
        fmt::format("there is no trace {}; traces are kept for {} days, and only requests that have a "
                    "traceparent or change something make one",
                    input.trace, options_.age / std::chrono::hours(24)));
  std::ranges::sort(found, begins_before);
  for (const auto& span : found) response.span.push_back(to_wire(span));
  return answer(turn, request.message_id, response);
}

Status Traces::record_spans(exchange::Turn& turn, const exchange::Message&, const api::RecordSpansRequest& input) {
  if (input.recorded.size() > kMostRecorded)
    return invalid(fmt::format("{} spans at once are too many; at most {}", input.recorded.size(), kMostRecorded));
  std::vector<exchange::Span> spans;
  for (const auto& recorded : input.recorded) {
    TRY_ASSIGN(auto span, from_wire(recorded));
    spans.push_back(std::move(span));
  }
  return put(turn, std::move(spans));
}

}  // namespace nuraghe::services::trace
