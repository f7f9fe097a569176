// What a store's SQLite database is made of (docs/formats/store.md): made, verified and brought up to date when opened.
#pragma once

#include <algorithm>

#include "store/journal.hpp"
#include "store/sqlite_connection.hpp"

namespace nuraghe::store {

// SQLite would make the file readable for all; its -wal and -shm inherit the mode.
Status create_private_file(const std::string& path);

// Makes the database when it is empty, upgrades an older format. kCorrupt when it is not one of ours, kConflict when a
// newer Nuraghe wrote it, or an older one and `read_only`; kNotFound when it is empty and `read_only`.
Status prepare_format(Connection& connection, bool read_only);

// The number of the last commit all of which is in the tables.
Result<std::int64_t> applied_of(Connection& connection);
// Whether format 2's table of the journal is still there.
Result<bool> has_old_journal(Connection& connection);

// The commits behind the number `applied`: calls take(number, changes) in the order of the numbers and returns the last
// one. kUnavailable: the journal was changed meanwhile.
template <class Take>
Result<std::int64_t> read_pieces(Connection& connection, Journal& journal, std::int64_t applied, const Take& take) {
  TRY_ASSIGN(const bool has_old, has_old_journal(connection));
  if (has_old) {
    TRY_ASSIGN(Statement pieces, connection.prepare("SELECT number, changes FROM journal ORDER BY number"));
    for (;;) {
      TRY_ASSIGN(const bool row, pieces.step());
      if (!row) break;
      applied = pieces.number(0);
      if (Status taken = take(applied, pieces.blob(1)); !taken) {
        return std::move(taken).error().with("reading " + connection.path());
      }
    }
  }
  auto whole = journal.read(applied, take);
  if (!whole) return std::move(whole).error().with("reading the journal of " + connection.path());
  if (!*whole) return unavailable(connection.path() + ": its journal was changed while it was read");
  return std::max(applied, journal.last());
}

// The number of a prepared `PRAGMA data_version`: another one than before when another connection has written since.
Result<std::int64_t> version_of(Statement& data_version);

}  // namespace nuraghe::store
