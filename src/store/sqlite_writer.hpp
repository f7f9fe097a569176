// SqliteWriter: the connection by which a store writes. One transaction appends what was committed to the journal and
// carries some of the ripe changes into their tables; it is durable after the next sync().
//
// Threading: one thread at a time, any; but for sync(), copy_log() and log_bytes().
#pragma once

#include <atomic>
#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "store/log_copier.hpp"
#include "store/log_vfs.hpp"
#include "store/recent_changes.hpp"
#include "store/sqlite.hpp"
#include "store/sqlite_connection.hpp"

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

  // Whether another connection has written since this one last wrote or follow() was called.
  Result<bool> is_behind();
  // What is there now is known. kConflict when a newer owner is there.
  Status follow();

  struct Piece {
    std::int64_t number = 0;
    std::string changes;  // encode_changes
  };
  // Appends the pieces and stores about so many bytes of the ripe changes from a place on, which nobody changes
  // meanwhile; returns the place behind what was stored. Nothing is done after an error: kConflict, kUnavailable,
  // kExhausted as Transaction::commit.
  Result<RecentChanges::Stored> write(const std::vector<Piece>& pieces, const RecentChanges& recent,
                                      const RecentChanges::Stored& from, std::size_t ripe_bytes);
  // Without the journal, which needs room of its own: empties it and stores all of `recent`, which is ripe. Errors as
  // of write().
  Result<RecentChanges::Stored> write_directly(const RecentChanges& recent, std::int64_t last_number);
  // Makes durable what was written before the call; blocks. kInternal: nobody knows what the disk has.
  Status sync() { return log_vfs_ ? log_vfs_->sync() : Status(); }
  // Gives memory back, and copies the log into the database when that is worth it.
  void tidy();

  // Copies the log into the database beside the writing when it is long, by any thread, one at a time. A call says that
  // there will be others: write() leaves most of the copying to them.
  void copy_log();

  Connection& connection() { return connection_; }
  // Handed to the log so far; any thread.
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
  Status verify_epoch();
  // Within one transaction; kUnavailable when another connection was first.
  template <class Work>
  Result<RecentChanges::Stored> transact(const Work& work);
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
  Statement append_;
  Statement cut_journal_;
  Statement data_version_;
  std::vector<Table> tables_;
  std::int64_t known_version_ = -1;
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
