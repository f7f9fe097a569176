#include "base/units.hpp"

#include <fmt/format.h>

#include <array>
#include <charconv>
#include <cmath>
#include <cstdio>
#include <ctime>

namespace nuraghe {
namespace {

constexpr std::int64_t kMicrosPerSecond = 1'000'000;

// The next number of an xsd:duration such as "P1DT2H30.5S": value and the designator letter that follows it.
struct DurationField {
  double value;
  char unit;
};

Result<DurationField> next_field(std::string_view& rest, std::string_view whole) {
  double value = 0;
  const auto [end, error] = std::from_chars(rest.data(), rest.data() + rest.size(), value);
  const auto used = static_cast<std::size_t>(end - rest.data());
  if (error != std::errc() || used >= rest.size() || value < 0)
    return invalid(fmt::format("'{}' is not a duration; write for example PT90S, 90s or 5m", whole));
  DurationField field{value, rest[used]};
  rest.remove_prefix(used + 1);
  return field;
}

Result<Duration> parse_xsd_duration(std::string_view text) {
  std::string_view rest = text;
  const bool negative = rest.starts_with('-');
  rest.remove_prefix(negative ? 2 : 1);
  bool in_time = false;
  bool any = false;
  double seconds = 0;
  while (!rest.empty()) {
    if (rest.front() == 'T' && !in_time) {
      in_time = true;
      rest.remove_prefix(1);
      continue;
    }
    TRY_ASSIGN(const auto field, next_field(rest, text));
    double factor = -1;
    switch (field.unit) {
      case 'Y':
        factor = in_time ? -1 : 365.0 * 86400;
        break;
      case 'M':
        factor = in_time ? 60 : 30.0 * 86400;
        break;
      case 'D':
        factor = in_time ? -1 : 86400;
        break;
      case 'H':
        factor = in_time ? 3600 : -1;
        break;
      case 'S':
        factor = in_time ? 1 : -1;
        break;
      default:
        break;
    }
    if (factor < 0) return invalid(fmt::format("'{}' is not a duration; write for example PT90S, 90s or 5m", text));
    any = true;
    seconds += field.value * factor;
  }
  if (!any || seconds > 1e11) return invalid(fmt::format("'{}' is not a duration within 3000 years", text));
  const auto micros = static_cast<std::int64_t>(std::llround(seconds * kMicrosPerSecond));
  return Duration(negative ? -micros : micros);
}

}  // namespace

std::string TimePoint::to_string() const {
  std::int64_t seconds = micros / kMicrosPerSecond;
  std::int64_t rest = micros % kMicrosPerSecond;
  if (rest < 0) {
    rest += kMicrosPerSecond;
    --seconds;
  }
  const auto time = static_cast<std::time_t>(seconds);
  std::tm parts{};
  gmtime_r(&time, &parts);
  return fmt::format("{:04}-{:02}-{:02}T{:02}:{:02}:{:02}.{:06}Z", parts.tm_year + 1900, parts.tm_mon + 1,
                     parts.tm_mday, parts.tm_hour, parts.tm_min, parts.tm_sec, rest);
}

Result<TimePoint> parse_time(std::string_view text) {
  const auto fail = [&] {
    return invalid(fmt::format("'{}' is not a date and time; write for example 2030-01-31T12:00:00Z", text));
  };
  const std::string copy(text);
  std::tm parts{};
  double seconds = 0;
  int used = 0;
  if (std::sscanf(copy.c_str(), "%d-%d-%dT%d:%d:%lf%n", &parts.tm_year, &parts.tm_mon, &parts.tm_mday,  // NOLINT
                  &parts.tm_hour, &parts.tm_min, &seconds, &used) != 6)
    return fail();
  const bool in_range = parts.tm_mon >= 1 && parts.tm_mon <= 12 && parts.tm_mday >= 1 && parts.tm_mday <= 31 &&
                        parts.tm_hour >= 0 && parts.tm_hour <= 24 && parts.tm_min >= 0 && parts.tm_min <= 59 &&
                        seconds >= 0 && seconds < 61 && (parts.tm_hour < 24 || (parts.tm_min == 0 && seconds == 0));
  if (!in_range) return fail();
  const std::chrono::year_month_day day(std::chrono::year(parts.tm_year),
                                        std::chrono::month(static_cast<unsigned>(parts.tm_mon)),
                                        std::chrono::day(static_cast<unsigned>(parts.tm_mday)));
  if (!day.ok()) return fail();
  std::int64_t offset_minutes = 0;
  const std::string_view zone = std::string_view(copy).substr(static_cast<std::size_t>(used));
  if (zone.size() == 6 && (zone[0] == '+' || zone[0] == '-') && zone[3] == ':') {
    const auto two = [&](std::size_t at) { return (zone[at] - '0') * 10 + (zone[at + 1] - '0'); };
    if (zone.find_first_not_of("0123456789", 1) != 3 || zone.find_first_not_of("0123456789", 4) != zone.npos)
      return fail();
    offset_minutes = (zone[0] == '-' ? -1 : 1) * (two(1) * 60 + two(4));
  } else if (!zone.empty() && zone != "Z") {
    return fail();
  }
  parts.tm_year -= 1900;
  parts.tm_mon -= 1;
  const std::int64_t whole = timegm(&parts) - offset_minutes * 60;
  return TimePoint{whole * kMicrosPerSecond + static_cast<std::int64_t>(std::llround(seconds * kMicrosPerSecond))};
}

Result<Duration> parse_duration(std::string_view text) {
  if (text.starts_with('P') || text.starts_with("-P")) return parse_xsd_duration(text);
  double value = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  const std::string_view unit(end, static_cast<std::size_t>(text.data() + text.size() - end));
  constexpr std::array<std::pair<std::string_view, double>, 6> kUnits{
      {{"us", 1}, {"ms", 1e3}, {"s", 1e6}, {"m", 60e6}, {"h", 3600e6}, {"d", 86400e6}}};
  for (const auto& [name, factor] : kUnits) {
    if (error == std::errc() && name == unit && value >= 0 && value * factor < 1e17)
      return Duration(static_cast<std::int64_t>(std::llround(value * factor)));
  }
  return invalid(fmt::format("'{}' is not a duration; write for example PT90S, 90s or 5m", text));
}

std::string format_duration(Duration span) {
  const auto micros = span.count();
  if (micros < 0) return "-" + format_duration(-span);
  if (micros < 1000) return fmt::format("{} us", micros);
  if (micros < kMicrosPerSecond) return fmt::format("{} ms", micros / 1000);
  if (micros < 60 * kMicrosPerSecond) return fmt::format("{:.1f} s", static_cast<double>(micros) / 1e6);
  const auto seconds = micros / kMicrosPerSecond;
  if (seconds < 3600) return fmt::format("{} min {:02} s", seconds / 60, seconds % 60);
  return fmt::format("{} h {:02} min", seconds / 3600, seconds / 60 % 60);
}

std::string Bytes::to_string() const {
  constexpr std::array<std::pair<int, const char*>, 4> kUnits{{{40, "TiB"}, {30, "GiB"}, {20, "MiB"}, {10, "KiB"}}};
  for (const auto& [shift, name] : kUnits) {
    const std::int64_t unit = std::int64_t{1} << shift;
    if (count != 0 && count % unit == 0) return fmt::format("{}{}", count / unit, name);
  }
  return fmt::format("{}B", count);
}

Result<Bytes> parse_bytes(std::string_view text) {
  std::int64_t value = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  const std::string_view unit(end, static_cast<std::size_t>(text.data() + text.size() - end));
  constexpr std::array<std::pair<std::string_view, std::int64_t>, 10> kUnits{{{"", 1},
                                                                              {"B", 1},
                                                                              {"KiB", 1LL << 10},
                                                                              {"MiB", 1LL << 20},
                                                                              {"GiB", 1LL << 30},
                                                                              {"TiB", 1LL << 40},
                                                                              {"kB", 1000},
                                                                              {"MB", 1000'000},
                                                                              {"GB", 1000'000'000},
                                                                              {"TB", 1000'000'000'000}}};
  for (const auto& [name, factor] : kUnits) {
    if (error == std::errc() && name == unit && value >= 0 && value <= (std::int64_t{1} << 62) / factor)
      return Bytes{value * factor};
  }
  return invalid(fmt::format("'{}' is not a size; write for example 512MiB or 4GiB", text));
}

}  // namespace nuraghe
