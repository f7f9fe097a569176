#include "exchange/trace.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <array>

namespace nuraghe::exchange {
namespace {

constexpr std::size_t kLength = 55;  // of version 00
constexpr std::size_t kLongestState = 512;

int digit_of(char c) {
  if (c >= '0' && c <= '9') return c - '0';
  return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

// Lower-case hexadecimal digits alone.
std::optional<std::uint64_t> hex_number(std::string_view digits) {
  std::uint64_t value = 0;
  for (const char c : digits) {
    const int digit = digit_of(c);
    if (digit < 0) return std::nullopt;
    value = value << 4 | static_cast<std::uint64_t>(digit);
  }
  return value;
}

std::uint64_t random_number(env::Random& random) {
  std::array<std::uint8_t, 8> bytes{};
  random.fill(bytes);
  std::uint64_t value = 0;
  for (const auto byte : bytes) value = value << 8 | byte;
  return std::max<std::uint64_t>(value, 1);
}

}  // namespace

std::string TraceId::to_string() const { return fmt::format("{:016x}{:016x}", high, low); }

std::optional<TraceId> parse_trace_id(std::string_view text) {
  if (text.size() != 32) return std::nullopt;
  const auto high = hex_number(text.substr(0, 16));
  const auto low = hex_number(text.substr(16));
  if (!high || !low || (*high == 0 && *low == 0)) return std::nullopt;
  return TraceId{*high, *low};
}

std::string span_id_text(std::uint64_t span) { return fmt::format("{:016x}", span); }

std::optional<TraceParent> parse_traceparent(std::string_view text) {
  if (text.size() < kLength || text[2] != '-' || text[35] != '-' || text[52] != '-') return std::nullopt;
  const auto version = hex_number(text.substr(0, 2));
  if (!version || *version == 0xff || (*version == 0 && text.size() != kLength)) return std::nullopt;
  if (text.size() > kLength && text[kLength] != '-') return std::nullopt;
  const auto trace = parse_trace_id(text.substr(3, 32));
  const auto span = hex_number(text.substr(36, 16));
  const auto flags = hex_number(text.substr(53, 2));
  if (!trace || !span || *span == 0 || !flags) return std::nullopt;
  return TraceParent{*trace, *span, (*flags & 1U) != 0};
}

std::string to_string(const TraceParent& parent) {
  return fmt::format("00-{:016x}{:016x}-{:016x}-{}", parent.trace.high, parent.trace.low, parent.span,
                     parent.is_sampled ? "01" : "00");
}

TraceParent begin_trace(env::Random& random) {
  return {{random_number(random), random_number(random)}, random_number(random), true};
}

std::string_view checked_tracestate(std::string_view text) {
  const bool is_sound = text.size() <= kLongestState &&
                        std::ranges::all_of(text, [](char c) { return c == '\t' || (c >= ' ' && c <= '~'); });
  return is_sound ? text : std::string_view();
}

std::optional<Span> end_span(const OpenSpan& open, TimePoint now) {
  const auto own = parse_traceparent(open.traceparent);
  if (!own || !own->is_sampled) return std::nullopt;
  Span span;
  span.trace = own->trace;
  span.id = own->span;
  span.parent = open.parent;
  span.vo = open.vo;
  span.service = open.service;
  span.start = open.start;
  // The clock may have been set back.
  span.took = std::max(Duration(0), now - open.start);
  return span;
}

}  // namespace nuraghe::exchange
