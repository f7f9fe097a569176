#include "services/tenant/shut_out.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <set>

namespace nuraghe::services::tenant {
namespace {

constexpr std::size_t kMostOfVo = 1000;
// For hosts that are paused, or whose controller is away: the sessions in one that runs are over within a minute.
constexpr Duration kKept = std::chrono::hours(24 * 30);

}  // namespace

Status ShutOut::add(store::Transaction& tx, std::string_view vo, std::string_view name, TimePoint now) const {
  TRY(rows_.put(tx, member_key(vo, name), {now}));
  TRY_ASSIGN(const auto all, rows_.scan(tx, member_key(vo, "")));
  if (all.size() <= kMostOfVo) return {};
  const auto oldest = std::ranges::min_element(all, {}, [](const auto& row) { return row.second.since; });
  return rows_.erase(tx, oldest->first);
}

Status ShutOut::forget_vo(store::Transaction& tx, std::string_view vo) const {
  TRY_ASSIGN(const auto all, rows_.scan(tx, member_key(vo, "")));
  for (const auto& [key, row] : all) TRY(rows_.erase(tx, key));
  return {};
}

Result<std::vector<ShutOut::Entry>> ShutOut::of_vo(store::Transaction& tx, std::string_view vo, TimePoint now) const {
  std::vector<Entry> entries;
  for (const auto& [where, kind] : {std::pair(vo, "member"), std::pair(kSite, "administrator")}) {
    const std::string prefix = member_key(where, "");
    TRY_ASSIGN(const auto all, rows_.scan(tx, prefix));
    for (const auto& [key, row] : all) {
      if (now - row.since > kKept) {
        TRY(rows_.erase(tx, key));
      } else {
        entries.push_back({fmt::format("{}:{}@{}", kind, key.substr(prefix.size()), vo), row.since});
      }
    }
  }
  return entries;
}

}  // namespace nuraghe::services::tenant
