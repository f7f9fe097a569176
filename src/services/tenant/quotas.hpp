// Quotas: the most that a VO may hold, and what it holds, in rows that change within the transaction of the reservation
// itself: of two requests at once the second one sees what the first one took.
//
// Threading: as a store's transaction.
#pragma once

#include <cstdint>
#include <map>
#include <string>
#include <string_view>

#include "services/tenant/rows.hpp"

namespace nuraghe::services::tenant {

// What is held, taken or given back: a sum.
struct Holding {
  std::int64_t hosts = 0, cpus = 0, clusters = 0;
  Bytes memory, disk, frozen;
  bool operator==(const Holding&) const = default;
  Holding& operator+=(const Holding& other);
  Holding operator-() const;
  bool is_nothing() const { return *this == Holding{}; }
  template <class V>
  void fields(V& v) {
    v(1, hosts), v(2, cpus), v(3, memory), v(4, disk), v(5, frozen), v(6, clusters);
  }
};
api::Holding contract_of(const Holding& holding);

// kExhausted when `used` with `asked` on top is more than the quota: names every limit that is passed, how much of it
// is used and how much was asked. What is not asked for is not judged. Pure.
Status check_quota(const api::Quota& quota, std::string_view vo, const Holding& used, const Holding& asked);

class Quotas {
 public:
  Status open(store::Store& store);
  Result<api::Quota> quota(store::Transaction& tx, std::string_view vo) const;
  Status set_quota(store::Transaction& tx, std::string_view vo, const api::Quota& quota) const;
  Result<Holding> holding(store::Transaction& tx, std::string_view vo) const;
  // As check_quota, with what the VO holds now.
  Status check(store::Transaction& tx, std::string_view vo, const Holding& asked) const;
  // Books a difference without a judgement: whoever takes more asks check() first, in the same transaction.
  Status book(store::Transaction& tx, std::string_view vo, const Holding& difference) const;
  // kExhausted for a lease that is longer than the VO's quota allows; `lease` 0: without end.
  Status check_lease(store::Transaction& tx, std::string_view vo, Duration lease) const;
  // Makes the holdings what they should be; answers how many were not.
  Result<int> correct(store::Transaction& tx, const std::map<std::string, Holding>& right) const;
  // Of a VO that is deleted.
  Status forget(store::Transaction& tx, std::string_view vo) const;

 private:
  RowTable<api::Quota> quota_;
  RowTable<Holding> holding_;
};

}  // namespace nuraghe::services::tenant
