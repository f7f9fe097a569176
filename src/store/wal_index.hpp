// WalIndex: SQLite's write-ahead log seen past SQLite: whether anybody has written to the database, and the lock that
// keeps other writers off, without the price of a transaction. What a store appends beside the database needs no more.
//
// The header of the log's index changes with every commit of any connection. The lock is SQLite's own: whoever begins
// to write waits for it as for another transaction. Source: sqlite.org/walformat.html §2.1 (the index's header), §2.3.1
// (WAL_WRITE_LOCK). Threading: of one connection, as that: one thread at a time, and none of its statements may be
// writing. While the lock is held the connection runs no statement: one that repairs the index would take the lock as
// its own.
#pragma once

#include <array>
#include <cstdint>
#include <optional>
#include <utility>

#include "store/sqlite_connection.hpp"

namespace nuraghe::store {

class WalIndex {
 public:
  using Header = std::array<std::uint32_t, 24>;  // its two copies

  // `connection` is open in WAL mode, has read something, and outlives this. Where its VFS shares no memory, header()
  // is never there and try_lock() never succeeds.
  void open(Connection& connection);

  // As it stands now. nullopt: it cannot be seen, or its copies differ, because somebody is writing it or was killed at
  // that.
  std::optional<Header> header();

  // Releases the lock at its end.
  class Lock {
   public:
    explicit Lock(sqlite3_file* file) : file_(file) {}
    Lock(Lock&& other) noexcept : file_(std::exchange(other.file_, nullptr)) {}
    Lock& operator=(Lock&&) = delete;
    ~Lock();

   private:
    sqlite3_file* file_;
  };
  // nullopt: somebody else writes, or it cannot be had this way.
  std::optional<Lock> try_lock();

 private:
  sqlite3_file* file_ = nullptr;  // the connection's database
};

}  // namespace nuraghe::store
