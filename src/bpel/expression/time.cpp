// Deadlines and durations: xsd:duration, xsd:dateTime and xsd:date.
#include <fmt/format.h>
#include <charconv>
#include <chrono>

#include "bpel/expression/expression.hpp"

namespace nuraghe::bpel {

namespace {

constexpr std::int64_t kMicrosPerSecond = 1'000'000;
constexpr int kMaxYear = 30'000;

// A duration's two independent parts (XML Schema part 2, §3.2.6).
struct XsdDuration {
  bool negative = false;
  std::int64_t months = 0;
  std::int64_t micros = 0;
};

class DurationParser {
 public:
  explicit DurationParser(std::string_view text) : whole_(text), rest_(text) {}

  Result<XsdDuration> run() {
    result_.negative = accept('-');
    if (!accept('P') || rest_.empty()) return wrong();
    TRY(fields("YMD", false));
    if (accept('T')) {
      if (rest_.empty()) return wrong();
      TRY(fields("HMS", true));
    }
    if (!rest_.empty()) return wrong();
    return result_;
  }

 private:
  bool accept(char c) {
    if (!rest_.starts_with(c)) return false;
    rest_.remove_prefix(1);
    return true;
  }
  Error wrong() const { return invalid(fmt::format("'{}' is no xsd:duration such as PT30S or P1DT12H", whole_)); }

  Status fields(std::string_view letters, bool time) {
    while (!rest_.empty() && rest_.front() != 'T') {
      std::int64_t number = 0, fraction = 0;
      TRY(digits(number, fraction));
      if (rest_.empty()) return wrong();
      const auto at = letters.find(rest_.front());
      if (at == std::string_view::npos) return wrong();
      if (fraction_seen_ && rest_.front() != 'S') return wrong();
      TRY(add(rest_.front(), time, number, fraction));
      letters.remove_prefix(at + 1);  // each at most once, in order
      rest_.remove_prefix(1);
    }
    return {};
  }

  Status digits(std::int64_t& number, std::int64_t& fraction) {
    const auto [end, error] = std::from_chars(rest_.data(), rest_.data() + rest_.size(), number);
    if (error != std::errc() || number < 0 || rest_.front() == '-') return wrong();
    rest_.remove_prefix(static_cast<std::size_t>(end - rest_.data()));
    fraction_seen_ = accept('.');
    if (!fraction_seen_) return {};
    std::int64_t unit = kMicrosPerSecond / 10;
    bool any = false;
    while (!rest_.empty() && rest_.front() >= '0' && rest_.front() <= '9') {
      fraction += unit * (rest_.front() - '0');
      unit /= 10;
      any = true;
      rest_.remove_prefix(1);
    }
    return any ? Status() : Status(wrong());
  }

  Status add(char letter, bool time, std::int64_t number, std::int64_t fraction) {
    const bool months = !time && letter != 'D';
    std::int64_t factor = 0;
    if (months) {
      factor = letter == 'Y' ? 12 : 1;
    } else if (!time) {
      factor = 86'400 * kMicrosPerSecond;
    } else {
      factor = (letter == 'H' ? 3'600 : letter == 'M' ? 60 : 1) * kMicrosPerSecond;
    }
    std::int64_t product = 0;
    std::int64_t& sum = months ? result_.months : result_.micros;
    if (__builtin_mul_overflow(number, factor, &product) || __builtin_add_overflow(product, fraction, &product) ||
        __builtin_add_overflow(sum, product, &sum))
      return invalid(fmt::format("the duration '{}' is too long", whole_));
    return {};
  }

  std::string_view whole_, rest_;
  XsdDuration result_;
  bool fraction_seen_ = false;
};

}  // namespace

Result<TimePoint> add_duration(TimePoint start, std::string_view duration) {
  TRY_ASSIGN(const XsdDuration span, DurationParser(duration).run());
  const Error too_far = invalid(fmt::format("the duration '{}' is too long", duration));
  std::int64_t micros = start.micros;
  if (span.months != 0) {
    if (span.months > 12LL * kMaxYear) return too_far;
    const auto time = std::chrono::sys_time<std::chrono::microseconds>(std::chrono::microseconds(micros));
    const auto day = std::chrono::floor<std::chrono::days>(time);
    const std::chrono::year_month_day date(day);
    const int months = static_cast<int>(span.months) * (span.negative ? -1 : 1);
    const int total =
        static_cast<int>(date.year()) * 12 + static_cast<int>(static_cast<unsigned>(date.month())) - 1 + months;
    const int year = total >= 0 ? total / 12 : -((11 - total) / 12);
    if (year > kMaxYear || year < -kMaxYear) return too_far;
    const auto month = std::chrono::year(year) / std::chrono::month(static_cast<unsigned>(total - year * 12 + 1));
    // A day that the month lacks becomes its last (appendix E).
    const auto last = (month / std::chrono::last).day();
    const auto target = std::chrono::sys_days(month / std::min(date.day(), last));
    micros = (std::chrono::microseconds(target.time_since_epoch()) + (time - day)).count();
  }
  const std::int64_t rest = span.negative ? -span.micros : span.micros;
  if (__builtin_add_overflow(micros, rest, &micros)) return too_far;
  return TimePoint{micros};
}

Result<TimePoint> parse_deadline(std::string_view text) {
  if (text.find('T') != std::string_view::npos) return parse_time(text);
  // xsd:date: "2026-01-31", with an optional zone behind.
  constexpr std::size_t kDateLength = 10;
  if (text.size() < kDateLength || text[4] != '-' || text[7] != '-')
    return invalid(fmt::format("'{}' is no xsd:dateTime or xsd:date", text));
  const std::string_view zone = text.substr(kDateLength);
  return parse_time(fmt::format("{}T00:00:00{}", text.substr(0, kDateLength), zone.empty() ? "Z" : zone));
}

}  // namespace nuraghe::bpel
