// UsageBook: who used what for how long. Every time in which a virtual host was in one state becomes an entry of the
// audit log when it ends, and is added, in the same transaction, to the sums of its months: the sums are those of the
// entries, always.
//
// Threading: as a store's transaction.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "services/tenant/ledger.hpp"

namespace nuraghe::services::tenant {

// How a virtual host is now.
struct HostUse {
  std::string vo, host, cluster;
  std::string who;    // who had it created
  std::string state;  // running, paused, frozen; empty: it uses nothing (any more)
  std::int32_t cpus = 0;
  Bytes memory, frozen;
  bool operator==(const HostUse&) const = default;
};

struct OpenUse {
  std::string who;
  api::UsageInterval interval;  // its end is not known yet
  template <class V>
  void fields(V& v) {
    v(1, who), v(2, interval);
  }
};

// In thousandths of seconds, so that sums are exact; sizes in MiB, begun ones count.
struct UsageSum {
  std::int64_t host_ms = 0, cpu_ms = 0, memory_mib_ms = 0, frozen_mib_ms = 0;
  bool operator==(const UsageSum&) const = default;
  UsageSum& operator+=(const UsageSum& other);
  template <class V>
  void fields(V& v) {
    v(1, host_ms), v(2, cpu_ms), v(3, memory_mib_ms), v(4, frozen_mib_ms);
  }
};
// The part of an interval of each month (UTC, "2026-11") that it touches. Pure.
std::vector<std::pair<std::string, UsageSum>> sums_of(const api::UsageInterval& interval);

class UsageBook {
 public:
  Status open(store::Store& store);
  // The host is so from now on. Nothing happens when it was so before.
  Status change(store::Transaction& tx, const Ledger& ledger, const HostUse& use, TimePoint now) const;
  // Of one month (empty: all), with what is in use now counted until `now`.
  Result<std::vector<api::UsageLine>> lines(store::Transaction& tx, std::string_view vo, std::string_view month,
                                            TimePoint now) const;
  // The exact sums of what is over: MONTH/WHO/CLUSTER/STATE → sum.
  Result<std::vector<std::pair<std::string, UsageSum>>> sums(store::Transaction& tx, std::string_view vo) const;

 private:
  RowTable<OpenUse> open_;
  RowTable<UsageSum> sums_;
};

// RFC 4180, with a line of headings.
std::string csv_of(const std::vector<api::UsageLine>& lines);

}  // namespace nuraghe::services::tenant
