#include "services/tenant/usage.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <chrono>
#include <map>
#include <tuple>

namespace nuraghe::services::tenant {
namespace {

constexpr double kHour = 3'600'000;
constexpr double kMibPerGib = 1024;

std::int64_t mebibytes(const Bytes& size) { return (size.count + mib(1).count - 1) / mib(1).count; }

std::chrono::year_month month_at(TimePoint time) {
  const auto days = std::chrono::floor<std::chrono::days>(
      std::chrono::sys_time<std::chrono::microseconds>(std::chrono::microseconds(time.micros)));
  const std::chrono::year_month_day date(days);
  return date.year() / date.month();
}

std::string month_text(std::chrono::year_month month) {
  return fmt::format("{:04}-{:02}", static_cast<int>(month.year()), static_cast<unsigned>(month.month()));
}

TimePoint begin_of(std::chrono::year_month month) {
  const std::chrono::sys_days first = month / std::chrono::day(1);
  return {std::chrono::duration_cast<std::chrono::microseconds>(first.time_since_epoch()).count()};
}

std::string sum_key(const std::string& vo, const std::string& month, const OpenUse& use) {
  // Parts of the key hold no slash, whatever another process calls its callers.
  std::string who = use.who;
  std::replace(who.begin(), who.end(), '/', '.');
  return fmt::format("{}/{}/{}/{}/{}", vo, month, who, use.interval.cluster, use.interval.state);
}

Result<api::UsageLine> line_of(const std::string& key, const UsageSum& sum) {
  api::UsageLine line;
  std::string state;
  std::string* const fields[] = {&line.month, &line.member, &line.cluster, &state};
  std::size_t at = 0;
  for (auto* field : fields) {
    const auto end = std::min(key.find('/', at), key.size());
    *field = key.substr(at, end - at);
    at = std::min(end + 1, key.size());
  }
  TRY(api::from_string(state, line.state));
  line.host_hours = static_cast<double>(sum.host_ms) / kHour;
  line.cpu_hours = static_cast<double>(sum.cpu_ms) / kHour;
  line.memory_gib_hours = static_cast<double>(sum.memory_mib_ms) / kMibPerGib / kHour;
  line.frozen_gib_hours = static_cast<double>(sum.frozen_mib_ms) / kMibPerGib / kHour;
  return line;
}

std::string csv_field(const std::string& text) {
  if (text.find_first_of(",\"\r\n") == std::string::npos) return text;
  std::string quoted = "\"";
  for (const char c : text) quoted += c == '"' ? std::string("\"\"") : std::string(1, c);
  return quoted + "\"";
}

}  // namespace

UsageSum& UsageSum::operator+=(const UsageSum& other) {
  host_ms += other.host_ms;
  cpu_ms += other.cpu_ms;
  memory_mib_ms += other.memory_mib_ms;
  frozen_mib_ms += other.frozen_mib_ms;
  return *this;
}

std::vector<std::pair<std::string, UsageSum>> sums_of(const api::UsageInterval& interval) {
  std::vector<std::pair<std::string, UsageSum>> sums;
  for (TimePoint begin = interval.begin; begin < interval.end;) {
    const auto month = month_at(begin);
    const TimePoint end = std::min(interval.end, begin_of(month + std::chrono::months(1)));
    // Whole thousandths since the epoch: parts that touch lose and count nothing twice.
    const std::int64_t span = end.micros / 1000 - begin.micros / 1000;
    UsageSum sum;
    sum.host_ms = span;
    sum.cpu_ms = span * interval.cpus;
    sum.memory_mib_ms = span * mebibytes(interval.memory);
    sum.frozen_mib_ms = span * mebibytes(interval.frozen);
    sums.emplace_back(month_text(month), sum);
    begin = end;
  }
  return sums;
}

Status UsageBook::open(store::Store& store) {
  TRY(open_.open(store, "tenant_usage_open"));
  return sums_.open(store, "tenant_usage");
}

Status UsageBook::change(store::Transaction& tx, const Ledger& ledger, const HostUse& use, TimePoint now) const {
  const auto key = member_key(use.vo, use.host);
  OpenUse next;
  next.who = use.who;
  next.interval.host = use.host;
  next.interval.cluster = use.cluster;
  next.interval.state = use.state;
  next.interval.begin = next.interval.end = now;
  next.interval.cpus = use.cpus;
  next.interval.memory = use.memory;
  next.interval.frozen = use.frozen;
  TRY_ASSIGN(auto before, open_.find(tx, key));
  if (!before && use.state.empty()) return {};
  if (before) {
    auto same = next.interval;
    same.begin = same.end = before->interval.begin;
    if (before->who == use.who && before->interval == same) return {};
    // A clock that was set back makes no negative time.
    before->interval.end = std::max(now, before->interval.begin);
    for (const auto& [month, sum] : sums_of(before->interval)) {
      const auto at = sum_key(use.vo, month, *before);
      TRY_ASSIGN(const auto stored, sums_.find(tx, at));
      UsageSum total = stored.value_or(UsageSum{});
      total += sum;
      TRY(sums_.put(tx, at, total));
    }
    api::AuditRecord record;
    record.kind = "usage";
    record.who = before->who;
    record.vo = use.vo;
    record.object = use.host;
    record.outcome = "done";
    record.text = fmt::format("{} was {} from {} to {}", use.host, before->interval.state,
                              before->interval.begin.to_string(), before->interval.end.to_string());
    record.usage = before->interval;
    TRY(ledger.append(tx, std::move(record), now));
  }
  if (use.state.empty()) return open_.erase(tx, key);
  return open_.put(tx, key, next);
}

Result<std::vector<api::UsageLine>> UsageBook::lines(store::Transaction& tx, std::string_view vo,
                                                     std::string_view month, TimePoint now) const {
  const auto prefix = member_key(vo, "");
  std::map<std::string, UsageSum> sums;
  TRY_ASSIGN(const auto stored, sums_.scan(tx, month.empty() ? prefix : prefix + std::string(month) + "/"));
  for (const auto& [key, sum] : stored) sums[key.substr(prefix.size())] += sum;
  TRY_ASSIGN(const auto open, open_.scan(tx, prefix));
  for (auto [key, use] : open) {
    use.interval.end = std::max(now, use.interval.begin);
    for (const auto& [of_month, sum] : sums_of(use.interval)) {
      if (!month.empty() && of_month != month) continue;
      sums[sum_key(std::string(vo), of_month, use).substr(prefix.size())] += sum;
    }
  }
  std::vector<api::UsageLine> lines;
  lines.reserve(sums.size());
  for (const auto& [key, sum] : sums) {
    TRY_ASSIGN(auto line, line_of(key, sum));
    lines.push_back(std::move(line));
  }
  return lines;
}

Result<std::vector<std::pair<std::string, UsageSum>>> UsageBook::sums(store::Transaction& tx,
                                                                      std::string_view vo) const {
  const auto prefix = member_key(vo, "");
  TRY_ASSIGN(auto rows, sums_.scan(tx, prefix));
  for (auto& [key, sum] : rows) key.erase(0, prefix.size());
  return rows;
}

std::string csv_of(const std::vector<api::UsageLine>& lines) {
  std::string csv = "month,member,cluster,state,host_hours,cpu_hours,memory_gib_hours,frozen_gib_hours\r\n";
  for (const auto& line : lines)
    csv += fmt::format("{},{},{},{},{:.6f},{:.6f},{:.6f},{:.6f}\r\n", csv_field(line.month), csv_field(line.member),
                       csv_field(line.cluster), api::to_string(line.state), line.host_hours, line.cpu_hours,
                       line.memory_gib_hours, line.frozen_gib_hours);
  return csv;
}

}  // namespace nuraghe::services::tenant
