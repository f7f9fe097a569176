#include "store/journal_file.hpp"

#include <fmt/format.h>

#include <algorithm>

namespace nuraghe::store {
namespace {

// SQLite's VFS for UNIX takes less than 128 KiB at once.
constexpr std::size_t kMostAtOnce = std::size_t{96} << 10;
// It grows by its own size, at least and at most by so much.
constexpr std::int64_t kLeastGrowth = std::int64_t{64} << 10;
constexpr std::int64_t kMostGrowth = std::int64_t{1} << 20;

}  // namespace

JournalFile::~JournalFile() {
  if (is_open()) file()->pMethods->xClose(file());
}

Error JournalFile::error(std::string_view what, int code) const {
  const ErrorCode kind = (code & 0xff) == SQLITE_FULL ? ErrorCode::kExhausted : ErrorCode::kInternal;
  return {kind, fmt::format("{}: the journal could not be {}: {}", name_.c_str(), what, sqlite3_errstr(code))};
}

Status JournalFile::open(const std::string& path, const std::string& vfs, bool read_only) {
  sqlite3_vfs* const found = sqlite3_vfs_find(vfs.empty() ? nullptr : vfs.c_str());
  if (found == nullptr) return not_found(fmt::format("SQLite knows no VFS '{}'", vfs));
  // SQLite looks for parameters behind a name's end.
  name_ = path + std::string(2, '\0');
  memory_ = std::make_unique<char[]>(static_cast<std::size_t>(found->szOsFile));
  const int mode = read_only ? SQLITE_OPEN_READONLY : SQLITE_OPEN_READWRITE | SQLITE_OPEN_CREATE;
  const int code = found->xOpen(found, name_.c_str(), file(), mode | SQLITE_OPEN_WAL, nullptr);
  if (code != SQLITE_OK) {
    if (is_open()) file()->pMethods->xClose(file());
    memory_.reset();
    if (read_only && (code & 0xff) == SQLITE_CANTOPEN) return not_found(path + " is not there");
    return error("opened", code);
  }
  return measure();
}

Status JournalFile::measure() {
  sqlite3_int64 size = 0;
  if (const int code = file()->pMethods->xFileSize(file(), &size); code != SQLITE_OK) return error("measured", code);
  size_ = size;
  return {};
}

Status JournalFile::read(char* to, std::size_t size, std::int64_t offset) {
  for (std::size_t done = 0; done < size;) {
    const std::size_t count = std::min(kMostAtOnce, size - done);
    const int code =
        file()->pMethods->xRead(file(), to + done, static_cast<int>(count), offset + static_cast<std::int64_t>(done));
    if (code != SQLITE_OK && code != SQLITE_IOERR_SHORT_READ) return error("read", code);
    done += count;
  }
  return {};
}

int JournalFile::write_all(std::string_view data, std::int64_t offset) {
  while (!data.empty()) {
    const std::size_t count = std::min(kMostAtOnce, data.size());
    const int code = file()->pMethods->xWrite(file(), data.data(), static_cast<int>(count), offset);
    if (code != SQLITE_OK) return code;
    data.remove_prefix(count);
    offset += static_cast<std::int64_t>(count);
  }
  return SQLITE_OK;
}

Status JournalFile::write(std::string_view data, std::int64_t offset) {
  if (const int code = write_all(data, offset); code != SQLITE_OK) return error("written", code);
  return {};
}

Status JournalFile::reserve(std::int64_t size) {
  const std::int64_t wanted = size + std::clamp(size, kLeastGrowth, kMostGrowth);
  const std::string zeros(static_cast<std::size_t>(size > size_ ? kLeastGrowth : 0), '\0');
  for (const bool grows = size > size_; grows && size_ < wanted;) {
    const std::int64_t count = std::min(kLeastGrowth, wanted - size_);
    const int code = write_all(std::string_view(zeros).substr(0, static_cast<std::size_t>(count)), size_);
    // What is more than needed may be missing.
    if (code != SQLITE_OK && size_ < size) return error("made longer", code);
    if (code != SQLITE_OK) return {};
    size_ += count;
  }
  return {};
}

Status JournalFile::truncate(std::int64_t size) {
  if (const int code = file()->pMethods->xTruncate(file(), size); code != SQLITE_OK) return error("cut", code);
  size_ = size;
  return {};
}

Status JournalFile::sync() {
  const int code = file()->pMethods->xSync(file(), SQLITE_SYNC_NORMAL | SQLITE_SYNC_DATAONLY);
  if (code != SQLITE_OK)
    return internal(fmt::format("{}: the journal could not be synced: {}", name_.c_str(), sqlite3_errstr(code)));
  return {};
}

}  // namespace nuraghe::store
