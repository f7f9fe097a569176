// LogVfs: a VFS between one SQLite connection and another VFS, which looks after the connection's write-ahead log.
//
//  - What a commit appends goes to the file in one piece; SQLite hands it over page by page, each with a header.
//  - A commit leaves the sync of the log to its caller, who may do it on another thread (sync). SQLite itself goes on
//  as
//    after a commit with synchronous=NORMAL: the log is valid up to the first frame that did not reach the disk.
//  - The file grows ahead of what is appended, so that most syncs find nothing but data to be written.
//
// Sources: sqlite.org/vfs.html, sqlite.org/c3ref/io_methods.html, sqlite.org/wal.html.
// Whatever else SQLite syncs is synced at once: the log's header when it begins anew, and both files when the log is
// copied into the database.
//
// Threading: as its connection; but for sync().
#pragma once

#include <sqlite3.h>

#include <memory>
#include <string>

#include "base/result.hpp"

namespace nuraghe::store {

class LogVfs {
 public:
  // `base`: a registered VFS; empty for the usual one. It outlives this, and this its connection, which opens it by
  // name(); synchronous is FULL there.
  static Result<std::unique_ptr<LogVfs>> make(const std::string& base);
  ~LogVfs();
  LogVfs(const LogVfs&) = delete;
  LogVfs& operator=(const LogVfs&) = delete;

  // Unique in the process.
  const std::string& name() const;
  // Before a COMMIT: its writes are collected until it would sync them, and not synced.
  void begin_commit();
  // After it, or before anything else within it: all is as SQLite wants it.
  void end_commit();
  // Makes durable what was committed before the call; on any thread, blocks. After a sync that failed, here or within
  // SQLite, every later one fails.
  Status sync();

  struct Implementation;

 private:
  LogVfs();
  std::unique_ptr<Implementation> implementation_;
};

}  // namespace nuraghe::store
