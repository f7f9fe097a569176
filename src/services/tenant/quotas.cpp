#include "services/tenant/quotas.hpp"

#include <fmt/format.h>

namespace nuraghe::services::tenant {

Holding& Holding::operator+=(const Holding& other) {
  hosts += other.hosts;
  cpus += other.cpus;
  clusters += other.clusters;
  memory.count += other.memory.count;
  disk.count += other.disk.count;
  frozen.count += other.frozen.count;
  return *this;
}

Holding Holding::operator-() const {
  Holding result;
  result.hosts = -hosts;
  result.cpus = -cpus;
  result.clusters = -clusters;
  result.memory.count = -memory.count;
  result.disk.count = -disk.count;
  result.frozen.count = -frozen.count;
  return result;
}

api::Holding contract_of(const Holding& holding) {
  api::Holding result;
  result.hosts = static_cast<std::int32_t>(holding.hosts);
  result.cpus = static_cast<std::int32_t>(holding.cpus);
  result.memory = holding.memory;
  result.disk = holding.disk;
  result.frozen = holding.frozen;
  result.clusters = static_cast<std::int32_t>(holding.clusters);
  return result;
}

Status check_quota(const api::Quota& quota, std::string_view vo, const Holding& used, const Holding& asked) {
  std::string passed;
  const auto judge = [&](std::string_view what, const auto& limit, const auto& is_used, const auto& is_asked,
                         const auto& text) {
    using Number = std::remove_cvref_t<decltype(is_used)>;
    if (!limit || is_asked <= Number{}) return;
    if (is_used <= Number{*limit} && is_asked <= Number{*limit} - is_used) return;
    passed += fmt::format("{}{}: the limit is {}, {} are used, {} more are asked for", passed.empty() ? "" : "; ", what,
                          text(Number{*limit}), text(is_used), text(is_asked));
  };
  const auto count = [](std::int64_t number) { return std::to_string(number); };
  const auto size = [](const Bytes& bytes) { return bytes.to_string(); };
  judge("hosts", quota.hosts, used.hosts, asked.hosts, count);
  judge("cpus", quota.cpus, used.cpus, asked.cpus, count);
  judge("memory", quota.memory, used.memory, asked.memory, size);
  judge("disk", quota.disk, used.disk, asked.disk, size);
  judge("frozen state", quota.frozen, used.frozen, asked.frozen, size);
  judge("leases (clusters and single hosts)", quota.clusters, used.clusters, asked.clusters, count);
  if (passed.empty()) return {};
  return exhausted(
      fmt::format("the quota of the VO {} does not allow it: {}; give something back, or ask an "
                  "administrator of the site for more",
                  vo, passed));
}

Status Quotas::open(store::Store& store) {
  TRY(quota_.open(store, "tenant_quota"));
  return holding_.open(store, "tenant_holding");
}

Result<api::Quota> Quotas::quota(store::Transaction& tx, std::string_view vo) const {
  TRY_ASSIGN(auto row, quota_.find(tx, vo));
  return row.value_or(api::Quota{});
}

Status Quotas::set_quota(store::Transaction& tx, std::string_view vo, const api::Quota& quota) const {
  return quota_.put(tx, vo, quota);
}

Result<Holding> Quotas::holding(store::Transaction& tx, std::string_view vo) const {
  TRY_ASSIGN(auto row, holding_.find(tx, vo));
  return row.value_or(Holding{});
}

Status Quotas::check(store::Transaction& tx, std::string_view vo, const Holding& asked) const {
  TRY_ASSIGN(const auto limits, quota(tx, vo));
  TRY_ASSIGN(const auto used, holding(tx, vo));
  return check_quota(limits, vo, used, asked);
}

Status Quotas::book(store::Transaction& tx, std::string_view vo, const Holding& difference) const {
  if (difference.is_nothing()) return {};
  TRY_ASSIGN(auto used, holding(tx, vo));
  used += difference;
  if (used.is_nothing()) return holding_.erase(tx, vo);
  return holding_.put(tx, vo, used);
}

Status Quotas::check_lease(store::Transaction& tx, std::string_view vo, Duration lease) const {
  TRY_ASSIGN(const auto limits, quota(tx, vo));
  if (!limits.longest_lease || (lease.count() > 0 && lease <= *limits.longest_lease)) return {};
  return exhausted(fmt::format(
      "the quota of the VO {} allows leases of at most {}; {}", vo, format_duration(*limits.longest_lease),
      lease.count() > 0 ? format_duration(lease) + " are asked for" : std::string("one without an end is asked for")));
}

Result<int> Quotas::correct(store::Transaction& tx, const std::map<std::string, Holding>& right) const {
  int wrong = 0;
  TRY_ASSIGN(const auto rows, holding_.scan(tx, ""));
  for (const auto& [vo, row] : rows) {
    if (right.contains(vo)) continue;
    ++wrong;
    TRY(holding_.erase(tx, vo));
  }
  for (const auto& [vo, should] : right) {
    TRY_ASSIGN(const auto is, holding(tx, vo));
    if (is == should) continue;
    ++wrong;
    TRY(holding_.put(tx, vo, should));
  }
  return wrong;
}

Status Quotas::forget(store::Transaction& tx, std::string_view vo) const { return quota_.erase(tx, vo); }

}  // namespace nuraghe::services::tenant
