#include "store/log_copier.hpp"

namespace nuraghe::store {

Status LogCopier::copy() {
  if (connection_.handle() == nullptr) {
    TRY(connection_.open(path_, SQLITE_OPEN_READWRITE, vfs_));
    // The log is opened by the first read.
    TRY(connection_.execute("PRAGMA synchronous = FULL; SELECT count(*) FROM meta"));
  }
  const int code =
      sqlite3_wal_checkpoint_v2(connection_.handle(), nullptr, SQLITE_CHECKPOINT_PASSIVE, nullptr, nullptr);
  // Busy: the writer copies it by itself.
  return code == SQLITE_OK || code == SQLITE_BUSY ? Status() : connection_.error(code);
}

}  // namespace nuraghe::store
