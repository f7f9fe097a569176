// Ledger: the audit log: append-only rows, each with a hash over itself and the hash before it, written within the
// transaction of whoever appends. Entries leave at its old end alone, when they are older than their retention.
//
// Threading: as a store's transaction.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "services/tenant/rows.hpp"

namespace nuraghe::services::tenant {

struct LedgerHead {
  std::int64_t sequence = 0;
  std::string hash;  // of the last entry; empty: there was none
  template <class V>
  void fields(V& v) {
    v(1, sequence), v(2, hash);
  }
};

struct LedgerRow {
  std::string record;  // an api::AuditRecord without its hash, as it was encoded when it was written
  std::string before;  // the hash of the entry before it; the first has none
  std::string hash;    // SHA-256 of `before`, a line feed and `record`
  template <class V>
  void fields(V& v) {
    v(1, record), v(2, before), v(3, hash);
  }
};

class Ledger {
 public:
  Status open(store::Store& store);
  // Gives the record its sequence, time and hash, and writes it. Answers its sequence.
  Result<std::int64_t> append(store::Transaction& tx, api::AuditRecord record, TimePoint now) const;
  Result<std::optional<api::AuditRecord>> find(store::Transaction& tx, std::int64_t sequence) const;
  // Entries of a VO (empty: of all, and of none) after a sequence number, oldest first.
  Result<std::vector<api::AuditRecord>> page(store::Transaction& tx, std::string_view vo, std::int64_t after,
                                             std::size_t limit) const;
  struct Verified {
    std::int64_t last = 0;
    bool more = false;
    std::optional<std::int64_t> broken;  // the first entry that is not as it was written, or that is missing before it
  };
  Result<Verified> verify(store::Transaction& tx, std::int64_t after, std::size_t limit) const;
  // Removes entries from before `oldest`, a bounded number; true when there are more.
  Result<bool> sweep(store::Transaction& tx, TimePoint oldest) const;

 private:
  RowTable<LedgerRow> rows_;
  RowTable<LedgerHead> of_vo_, head_;
};

}  // namespace nuraghe::services::tenant
