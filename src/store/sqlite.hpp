// Store over SQLite: WAL, synchronous=FULL, one connection per Store. The file is created when missing (mode 0600).
//
// A commit appends its changes to a journal beside the database; the rows' tables get them later, when many have been
// overwritten or erased again (recent_changes.hpp; docs/formats/store.md). Until then they stand in memory as well, at
// most twice SqliteOptions::recent bytes.
//
// A transaction reads from one snapshot (taken by begin) and takes the write lock only during its commit. When another
// Store of the same file committed in between, commit answers kConflict if that was a newer owner, else kUnavailable
// (repeat the transaction).
#pragma once

#include "store/store.hpp"

namespace nuraghe::store {

struct SqliteOptions {
  bool synchronous_full = true;  // false only in benchmarks that say so
  bool read_only = false;        // every change is kDenied; missing tables are kNotFound
  std::int64_t max_pages = 0;    // the file's size limit in pages of 4 KiB, for tests of a full disk; 0: none
  Bytes recent = mib(16);        // of changes that are collected before they go into the tables
  // SQLite's log is copied into the database when it is so long. A log that is used again from its start needs no
  // metadata to be synced; and what is overwritten often is in the journal's collected rows and not in pages.
  Bytes log = mib(64);
  std::string vfs{};  // a registered SQLite VFS, for tests (volatile_disk.hpp); empty: the usual one
};
// kCorrupt when the file is not one of ours or damaged, kConflict when a newer Nuraghe wrote its format.
Result<std::unique_ptr<Store>> open_sqlite(const std::string& path, const SqliteOptions& options = {});

}  // namespace nuraghe::store
