// Store over SQLite: WAL, synchronous=FULL, one connection per Store. The file is created when missing (mode 0600).
#pragma once

#include "store/store.hpp"

namespace nuraghe::store {

struct SqliteOptions {
  bool synchronous_full = true;  // false only in benchmarks that say so
  bool read_only = false;
};
// kCorrupt when the file is not one of ours or damaged, kConflict when a newer Nuraghe wrote its format.
Result<std::unique_ptr<Store>> open_sqlite(const std::string& path, const SqliteOptions& options = {});

}  // namespace nuraghe::store
