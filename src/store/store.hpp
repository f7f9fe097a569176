// The transaction contract: ordered tables of byte rows, one writer at a time, atomic durable commits, fenced by epoch.
//
// A Store holds named tables; a table maps keys to values, both byte strings, keys ordered bytewise. All SQL of Nuraghe
// stands in this room. Implementations: sqlite (store/sqlite.hpp; the embedded form), postgres (store/postgres.hpp; a
// database server), memory (store/memory.hpp; tests and simulation, with faults). One contract suite runs over all
// (store_contract_test.cpp).
//
// Invariants: a committed transaction survives a kill at any instruction; one that did not commit leaves no trace; a
// transaction that a newer owner's epoch fences out cannot commit.
// Threading: a Store and its transactions are used by one thread at a time (its exchange's), but for sync(); Snapshot
// reads may come from another thread through a second Store opened read-only on the same path.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.hpp"
#include "base/units.hpp"

namespace nuraghe::store {

// A table's number within its store: made by Store::table once, at start, and used by every access.
struct Table {
  int index = -1;
};

struct Row {
  std::string key;
  std::string value;
};

class Transaction {
 public:
  // Rolls back when it was not committed.
  virtual ~Transaction() = default;
  virtual Result<std::optional<std::string>> get(Table table, std::string_view key) = 0;
  // Inserts or replaces.
  virtual Status put(Table table, std::string_view key, std::string_view value) = 0;
  // As put, by a caller who knows that there is no such row: it costs less when the row is erased again soon. He must
  // be right: in a store that believes him, an old row comes back when the new one is erased. CHECKs what is at hand:
  // each store its own transaction's rows, sqlite those that are still in memory, memory all (at the commit).
  virtual Status insert(Table table, std::string_view key, std::string_view value) { return put(table, key, value); }
  // No error when there is no such row.
  virtual Status erase(Table table, std::string_view key) = 0;
  // Erases every row whose key begins with the prefix (not empty).
  virtual Status erase_prefix(Table table, std::string_view prefix) = 0;
  // Rows with prefix <= key, beginning with the prefix, and key > after (when not empty), in key order, at most limit.
  virtual Result<std::vector<Row>> scan(Table table, std::string_view prefix, std::string_view after = {},
                                        std::size_t limit = 1000) = 0;
  // Sets a mark; rollback_to_mark undoes every change since the last mark. One mark at a time: a new one replaces it.
  virtual Status mark() = 0;
  virtual Status rollback_to_mark() = 0;
  // Makes it durable (fsync). Nothing was written: no effect on disk. kConflict when fenced out by a newer epoch,
  // kExhausted when the disk is full, kUnavailable when another writer was first or holds the lock too long (repeat the
  // transaction); the transaction is rolled back then. After any other error nobody knows whether it was done: the
  // store can only be closed, and the next one finds out. It cannot be used afterwards.
  virtual Status commit() = 0;
  // As commit, but what is seen by later transactions at once is durable, or refused, only by the next Store::sync().
  virtual Status commit_ahead() { return commit(); }
  // True when there are changes that were not undone: commit will write.
  virtual bool has_writes() const = 0;
};

struct Statistics {
  std::int64_t commits = 0;  // with at least one write
  std::int64_t rows_written = 0;
  std::int64_t bytes_written = 0;  // keys + values
  std::int64_t journal_bytes = 0;  // bytes handed to the write-ahead log; to a database server: sent to it
};

class Store {
 public:
  virtual ~Store() = default;
  // The table of that name ([a-z_]+), made when it is not there. Before begin: kConflict within a transaction.
  virtual Result<Table> table(std::string_view name) = 0;
  // Takes ownership for `owner`: raises its epoch by one, durably. Later transactions of an older owner of the same
  // name fail at commit with kConflict. Returns the new epoch.
  virtual Result<std::int64_t> acquire(std::string_view owner) = 0;
  // One transaction at a time. kConflict when this store's owner is fenced out.
  virtual Result<std::unique_ptr<Transaction>> begin() = 0;
  // Makes durable what was committed ahead before the call; any threads, several at once, beside the store's own;
  // blocks. After an error (as of commit) nothing of it is: recover() says what becomes of it.
  virtual Status sync() { return {}; }
  // After a sync() that failed, by the store's own thread, without a transaction: tries again, in ways that take
  // longer. An error: what was committed ahead did not happen, and later transactions do not see it.
  virtual Status recover() { return {}; }
  // Whether that is worth a thread: commit_ahead() waits for no disk.
  virtual bool can_commit_ahead() const { return false; }
  // Whether commit() waits for nothing at all: there is no disk.
  virtual bool commits_at_once() const { return false; }
  // What can be done beside everything else, by any thread that syncs, and may take a tenth of a second now and then.
  virtual void tend() {}
  // What can wait until nothing else is to be done, and may take a tenth of a second then. Not within a transaction.
  virtual void tidy() {}
  virtual Statistics statistics() const = 0;
};

}  // namespace nuraghe::store
