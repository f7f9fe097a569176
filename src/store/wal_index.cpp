#include "store/wal_index.hpp"

#include <algorithm>

namespace nuraghe::store {
namespace {

constexpr int kRegionBytes = 32 * 1024;  // in which SQLite maps the index
constexpr int kWriteLock = 0;            // WAL_WRITE_LOCK's number
constexpr std::ptrdiff_t kCopyWords = 12;

}  // namespace

void WalIndex::open(Connection& connection) {
  file_ = nullptr;
  sqlite3_file* file = nullptr;
  const int code = sqlite3_file_control(connection.handle(), "main", SQLITE_FCNTL_FILE_POINTER, &file);
  if (code != SQLITE_OK || file == nullptr || file->pMethods == nullptr || file->pMethods->iVersion < 2) return;
  if (file->pMethods->xShmMap == nullptr || file->pMethods->xShmLock == nullptr) return;
  file_ = file;
}

std::optional<WalIndex::Header> WalIndex::header() {
  if (file_ == nullptr) return std::nullopt;
  // Asked each time: the connection maps it anew when it has opened the log again.
  void volatile* region = nullptr;
  if (file_->pMethods->xShmMap(file_, 0, kRegionBytes, 0, &region) != SQLITE_OK || region == nullptr)
    return std::nullopt;
  const auto* words = static_cast<const volatile std::uint32_t*>(region);
  Header header;
  for (std::size_t i = 0; i < header.size(); ++i) header[i] = words[i];
  if (!std::equal(header.begin(), header.begin() + kCopyWords, header.begin() + kCopyWords)) return std::nullopt;
  return header;
}

std::optional<WalIndex::Lock> WalIndex::try_lock() {
  // Without the memory there is nothing to lock yet.
  if (!header()) return std::nullopt;
  const int code = file_->pMethods->xShmLock(file_, kWriteLock, 1, SQLITE_SHM_LOCK | SQLITE_SHM_EXCLUSIVE);
  if (code != SQLITE_OK) return std::nullopt;
  return std::optional<Lock>(std::in_place, file_);
}

WalIndex::Lock::~Lock() {
  if (file_ != nullptr) file_->pMethods->xShmLock(file_, kWriteLock, 1, SQLITE_SHM_UNLOCK | SQLITE_SHM_EXCLUSIVE);
}

}  // namespace nuraghe::store
