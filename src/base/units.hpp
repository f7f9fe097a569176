// Value types with their units: sizes in bytes, spans and points of time in microseconds.
#pragma once

#include <chrono>
#include <compare>
#include <cstdint>
#include <string>
#include <string_view>

#include "base/result.hpp"

namespace nuraghe {

// A span of time. Microseconds are the resolution of everything that is stored.
using Duration = std::chrono::microseconds;

// A point of time: microseconds since 1970-01-01T00:00:00Z. Comes from env::Clock, never from the system in a core.
struct TimePoint {
  std::int64_t micros = 0;
  auto operator<=>(const TimePoint&) const = default;
  TimePoint operator+(Duration span) const { return {micros + span.count()}; }
  TimePoint operator-(Duration span) const { return {micros - span.count()}; }
  Duration operator-(TimePoint other) const { return Duration(micros - other.micros); }
  // "2026-01-31T12:00:00.000000Z" (xsd:dateTime, UTC).
  std::string to_string() const;
};
// Parses xsd:dateTime (with zone, or UTC when it has none); kInvalid otherwise.
Result<TimePoint> parse_time(std::string_view text);
// Parses xsd:duration (years and months counted as 365 and 30 days) or a short form: "90s", "5m", "2h", "1d", "250ms".
Result<Duration> parse_duration(std::string_view text);
// "1.234 s", "12 ms", "2 min 03 s": for people.
std::string format_duration(Duration span);

// A size in bytes.
struct Bytes {
  std::int64_t count = 0;
  auto operator<=>(const Bytes&) const = default;
  Bytes operator+(Bytes other) const { return {count + other.count}; }
  Bytes operator-(Bytes other) const { return {count - other.count}; }
  // The shortest exact form with a binary unit: "128MiB", "1GiB", "1000B".
  std::string to_string() const;
};
constexpr Bytes kib(std::int64_t n) { return {n * 1024}; }
constexpr Bytes mib(std::int64_t n) { return {n * 1024 * 1024}; }
constexpr Bytes gib(std::int64_t n) { return {n * 1024 * 1024 * 1024}; }
// Parses "512MiB", "1GiB", "10GB" (decimal), "1048576" (bytes); kInvalid for anything else, negative or over 2^62.
Result<Bytes> parse_bytes(std::string_view text);

}  // namespace nuraghe
