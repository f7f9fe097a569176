// What a store's SQLite database is made of (docs/formats/store.md): made, verified and brought up to date when opened.
#pragma once

#include "store/sqlite_connection.hpp"

namespace nuraghe::store {

// SQLite would make the file readable for all; its -wal and -shm inherit the mode.
Status create_private_file(const std::string& path);

// Makes the database when it is empty, upgrades an older format. kCorrupt when it is not one of ours, kConflict when a
// newer Nuraghe wrote it, or an older one and `read_only`; kNotFound when it is empty and `read_only`.
Status prepare_format(Connection& connection, bool read_only);

// What reads of the journal find; each is called in the order of the numbers.
template <class Take>
Status for_each_piece(Connection& connection, const Take& take) {
  TRY_ASSIGN(Statement pieces, connection.prepare("SELECT number, changes FROM journal ORDER BY number"));
  for (;;) {
    TRY_ASSIGN(const bool row, pieces.step());
    if (!row) return {};
    if (Status taken = take(pieces.number(0), pieces.blob(1)); !taken) {
      return std::move(taken).error().with("reading " + connection.path());
    }
  }
}

// The number of a prepared `PRAGMA data_version`: another one than before when another connection has written since.
Result<std::int64_t> version_of(Statement& data_version);

}  // namespace nuraghe::store
