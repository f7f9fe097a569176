// LogCopier: copies a database's write-ahead log into it beside the connection that writes. That one goes on meanwhile,
// so what it appends is left for a second, short copy, after which the log begins anew.
//
// Source: sqlite.org/c3ref/wal_checkpoint_v2.html (PASSIVE). Threading: one thread at a time.
#pragma once

#include <string>

#include "store/sqlite_connection.hpp"

namespace nuraghe::store {

class LogCopier {
 public:
  LogCopier(std::string path, std::string vfs) : path_(std::move(path)), vfs_(std::move(vfs)) {}
  // Copies what is in the log now; durable. The first call opens a connection of its own.
  Status copy();

 private:
  const std::string path_, vfs_;
  Connection connection_;
};

}  // namespace nuraghe::store
