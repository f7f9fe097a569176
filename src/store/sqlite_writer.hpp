// SqliteWriter: how a store writes: what was committed to the journal, durable after the next sync(), and ripe changes
// by a connection into their tables. Both under the database's write lock, so that writers come one after the other.
//
// The number `applied` in the table meta says up to which commit everything is in the tables. It is durable before the
// journal's records up to it are overwritten; until then a power cut may take it and rows with it back.
//
// Threading: one thread at a time, any; but for sync(), copy_log() and log_bytes().
#pragma once

#include <atomic>
#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "store/journal.hpp"
#include "store/log_copier.hpp"
#include "store/log_vfs.hpp"
#include "store/recent_changes.hpp"
#include "store/sqlite.hpp"
#include "store/sqlite_connection.hpp"
#include "store/wal_index.hpp"

namespace nuraghe::store {

class SqliteWriter {
 public:
  explicit SqliteWriter(const SqliteOptions& options) : options_(options) {}
  // Makes the file and its format when they are missing.
  Status open(const std::string& path);
  // Makes the table when it is missing. Tables are numbered in the order of their adding.
  Status add_table(std::string_view name);
  // As Store::acquire.
  Result<std::int64_t> acquire(std::string_view owner);

  // Whether another connection has written since this one last wrote or follow() was called. Mostly a look at memory
  // that SQLite shares, and one at the journal.
  Result<bool> is_behind();
  // What is there now is known. kConflict when a newer owner is there.
  Status follow();

  // What the journal and, of an older format, the table `journal` have and the tables do not: calls
  // take(number, changes) for each in their order; returns the last number. After follow().
  template <class Take>
  Result<std::int64_t> read_journal(const Take& take) {
    return read_pieces(connection_, journal_, applied_, take);
  }

  using Piece = Journal::Piece;
  // Appends the pieces to the journal. Nothing is done after an error: kConflict, kUnavailable, kExhausted as
  // Transaction::commit.
  Status append(const std::vector<Piece>& pieces);
  // Stores about so many bytes of the ripe changes from a place on, which nobody changes meanwhile; returns the place
  // behind what was stored. Nothing is done after an error, and nothing is lost: the journal has it.
  Result<RecentChanges::Stored> store(const RecentChanges& recent, const RecentChanges::Stored& from,
                                      std::size_t ripe_bytes);
  // Without the journal, which needs room of its own: stores all of `recent`, which is ripe, durably. Errors as of
  // append().
  Result<RecentChanges::Stored> write_directly(const RecentChanges& recent, std::int64_t last_number);
  // Makes durable what was appended before the call; blocks. kInternal: nobody knows what the disk has.
  Status sync() { return journal_.sync(); }
  // The last number that is durable in the journal.
  std::int64_t synced() const { return journal_.synced(); }
  // The same for what was stored.
  Status sync_tables() { return log_vfs_ ? log_vfs_->sync() : Status(); }
  // Gives memory back, and copies the log into the database when that is worth it.
  void tidy();

  // Copies the log into the database beside the writing when it is long, by any thread, one at a time. A call says that
  // there will be others: write() leaves most of the copying to them.
  void copy_log();

  Connection& connection() { return connection_; }
  // Handed to the journal and to the database's log so far; any thread.
  std::int64_t log_bytes() const { return log_bytes_; }

 private:
  // The statements of one table, prepared when first used.
  struct Table {
    std::string name;
    Statement put;
    Statement erase;
    Statement next;  // the first key from one on
  };
  Status copy_old_log();
  Status open_journal(const std::string& path);
  Status verify_epoch();
  Status begin_part();
  // Under the write lock: kUnavailable when another connection was first, kConflict when it was a newer owner.
  Status verify_newest();
  // Without a transaction. False: it takes one, because somebody writes or may have written.
  Result<bool> try_append(const std::vector<Piece>& pieces);
  Result<bool> is_database_behind();
  // Within a transaction: everything up to there is in the tables.
  Status note_applied(std::int64_t number);
  // Within one transaction; kUnavailable when another connection was first.
  template <class Done, class Work>
  Result<Done> transact(const Work& work);
  Status prepare(Table& table);
  Result<RecentChanges::Stored> store_ripe(const RecentChanges& recent, const RecentChanges::Stored& from,
                                           std::size_t bytes);
  static int on_wal(void* self, sqlite3* connection, const char* database, int pages);

  const SqliteOptions options_;
  std::unique_ptr<LogVfs> log_vfs_;  // of a store whose commits are synced
  Connection connection_;
  Statement begin_;
  Statement commit_;
  Statement rollback_;
  Statement epoch_of_owner_;
  Statement set_applied_;
  Statement count_parts_;
  Statement data_version_;
  Journal journal_;
  std::int64_t applied_ = 0;      // what `meta` says
  bool applied_durable_ = false;  // on the disk too
  std::vector<Table> tables_;
  std::int64_t known_version_ = -1;
  WalIndex wal_index_;
  std::optional<WalIndex::Header> known_header_;  // of a time at which the known version was the newest
  std::string owner_;
  std::int64_t epoch_ = 0;
  std::int64_t page_size_ = 4096;
  std::int64_t log_pages_ = 0;
  bool log_copied_ = false;  // all of it, since the last commit
  std::unique_ptr<LogCopier> copier_;
  std::atomic<bool> has_copier_ = false;    // copy_log() is called now and then
  std::atomic<bool> copied_ahead_ = false;  // most of the log is copied
  std::atomic<std::int64_t> log_size_ = 0;  // in bytes
  std::atomic<std::int64_t> log_bytes_ = 0;
};

}  // namespace nuraghe::store
