#include "store/log_vfs.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <atomic>
#include <new>
#include <utility>
#include <vector>

#include "base/check.hpp"

namespace nuraghe::store {
namespace {

// Of appended bytes that have not gone to the file. SQLite's VFS for UNIX takes less than 128 KiB at once.
constexpr std::size_t kMostBuffered = std::size_t{96} << 10;
// The log grows by its own size, at least and at most by so much.
constexpr sqlite3_int64 kLeastLogGrowth = sqlite3_int64{64} << 10;
constexpr sqlite3_int64 kMostLogGrowth = sqlite3_int64{1} << 20;

// In a frame's place: its checksum is wrong.
constexpr std::array<char, 24> kNoFrame{};

struct LogFile;

}  // namespace

struct LogVfs::Implementation {
  std::string name;
  sqlite3_vfs vfs{};
  sqlite3_vfs* base = nullptr;
  LogFile* log = nullptr;  // while it is open
  bool collects = false;
  bool defers = false;
  // A sync failed. The file system may have forgotten what it could not write: a later one would promise too much.
  std::atomic<bool> sync_failed = false;
};

namespace {

using Owner = LogVfs::Implementation;

// What SQLite allocates for the log; the file of the VFS below stands behind it.
struct LogFile : sqlite3_file {
  Owner* owner;
  sqlite3_file* below;
  std::string buffer;   // appended, not yet in the file
  sqlite3_int64 begin;  // the buffer's place in the file
  sqlite3_int64 size;   // of the file, as far as it is known
  bool begins_anew;     // its header was written and not synced

  int flush() {
    if (buffer.empty()) return SQLITE_OK;
    const int code = below->pMethods->xWrite(below, buffer.data(), static_cast<int>(buffer.size()), begin);
    const sqlite3_int64 end = begin + static_cast<sqlite3_int64>(buffer.size());
    buffer.clear();
    if (code == SQLITE_OK && end > size) grow(end);
    // A commit in what was written nevertheless would be found after a kill.
    if (code != SQLITE_OK) below->pMethods->xWrite(below, kNoFrame.data(), static_cast<int>(kNoFrame.size()), begin);
    return code;
  }

  // A sync of a file that grew writes its inode and its map as well, which takes longer than the data: so the log grows
  // rarely, by zeros, which end it as its old frames do. A disk without room for them tells so when frames come.
  void grow(sqlite3_int64 end) {
    size = end;
    const sqlite3_int64 growth = std::clamp(end, kLeastLogGrowth, kMostLogGrowth);
    const std::vector<char> zeros(static_cast<std::size_t>(kLeastLogGrowth));
    while (size < end + growth) {
      const auto count = std::min(kLeastLogGrowth, end + growth - size);
      if (below->pMethods->xWrite(below, zeros.data(), static_cast<int>(count), size) != SQLITE_OK) return;
      size += count;
    }
  }
};

// Any thread.
int sync_below(Owner& owner, sqlite3_file* below, int flags) {
  if (owner.sync_failed) return SQLITE_IOERR_FSYNC;
  const int code = below->pMethods->xSync(below, flags);
  if (code != SQLITE_OK) owner.sync_failed = true;
  return code;
}

Owner& of(sqlite3_vfs* vfs) { return *static_cast<Owner*>(vfs->pAppData); }
LogFile& of(sqlite3_file* file) { return *static_cast<LogFile*>(file); }

int close_log(sqlite3_file* file) {
  LogFile& log = of(file);
  const int flushed = log.flush();
  const int closed = log.below->pMethods->xClose(log.below);
  log.owner->log = nullptr;
  log.buffer.~basic_string();
  return flushed == SQLITE_OK ? closed : flushed;
}

int read_log(sqlite3_file* file, void* to, int size, sqlite3_int64 offset) {
  LogFile& log = of(file);
  if (const int code = log.flush(); code != SQLITE_OK) return code;
  return log.below->pMethods->xRead(log.below, to, size, offset);
}

int write_log(sqlite3_file* file, const void* data, int size, sqlite3_int64 offset) {
  LogFile& log = of(file);
  // Behind a sync only what fills the sector up is written: readers must find it.
  if (!log.owner->collects) {
    if (const int code = log.flush(); code != SQLITE_OK) return code;
    log.begins_anew = log.begins_anew || offset == 0;
    return log.below->pMethods->xWrite(log.below, data, size, offset);
  }
  const auto count = static_cast<std::size_t>(size);
  const bool follows = offset == log.begin + static_cast<sqlite3_int64>(log.buffer.size());
  if (!follows || log.buffer.size() + count > kMostBuffered) {
    if (const int code = log.flush(); code != SQLITE_OK) return code;
  }
  if (log.buffer.empty()) log.begin = offset;
  log.buffer.append(static_cast<const char*>(data), count);
  log.begins_anew = log.begins_anew || offset == 0;
  return SQLITE_OK;
}

int truncate_log(sqlite3_file* file, sqlite3_int64 size) {
  LogFile& log = of(file);
  if (const int code = log.flush(); code != SQLITE_OK) return code;
  log.size = size;
  return log.below->pMethods->xTruncate(log.below, size);
}

int sync_log(sqlite3_file* file, int flags) {
  LogFile& log = of(file);
  if (const int code = log.flush(); code != SQLITE_OK) return code;
  // An old header before new frames would bring old frames behind them back.
  if (!std::exchange(log.begins_anew, false)) {
    log.owner->collects = false;
    if (log.owner->defers) return SQLITE_OK;
  }
  return sync_below(*log.owner, log.below, flags);
}

int size_of_log(sqlite3_file* file, sqlite3_int64* size) {
  LogFile& log = of(file);
  if (const int code = log.flush(); code != SQLITE_OK) return code;
  return log.below->pMethods->xFileSize(log.below, size);
}

int lock_log(sqlite3_file* file, int level) { return of(file).below->pMethods->xLock(of(file).below, level); }
int unlock_log(sqlite3_file* file, int level) { return of(file).below->pMethods->xUnlock(of(file).below, level); }
int check_lock(sqlite3_file* file, int* out) {
  return of(file).below->pMethods->xCheckReservedLock(of(file).below, out);
}
int control_log(sqlite3_file* file, int operation, void* argument) {
  return of(file).below->pMethods->xFileControl(of(file).below, operation, argument);
}
int sector_size(sqlite3_file* file) { return of(file).below->pMethods->xSectorSize(of(file).below); }
int characteristics(sqlite3_file* file) { return of(file).below->pMethods->xDeviceCharacteristics(of(file).below); }

const sqlite3_io_methods kMethods = {1,           close_log,   read_log,        write_log,  truncate_log,
                                     sync_log,    size_of_log, lock_log,        unlock_log, check_lock,
                                     control_log, sector_size, characteristics, nullptr,    nullptr,
                                     nullptr,     nullptr,     nullptr,         nullptr};

int open_file(sqlite3_vfs* vfs, const char* name, sqlite3_file* file, int flags, int* out_flags) {
  Owner& owner = of(vfs);
  if ((flags & SQLITE_OPEN_WAL) == 0) return owner.base->xOpen(owner.base, name, file, flags, out_flags);
  file->pMethods = nullptr;
  auto* below = reinterpret_cast<sqlite3_file*>(reinterpret_cast<char*>(file) + sizeof(LogFile));
  if (const int code = owner.base->xOpen(owner.base, name, below, flags, out_flags); code != SQLITE_OK) {
    if (below->pMethods != nullptr) below->pMethods->xClose(below);
    return code;
  }
  // SQLite's memory is raw: the members are made in it.
  LogFile& log = of(file);
  log.owner = &owner;
  log.below = below;
  new (&log.buffer) std::string();
  log.begin = 0;
  if (const int code = below->pMethods->xFileSize(below, &log.size); code != SQLITE_OK) log.size = 0;
  log.begins_anew = false;
  log.pMethods = &kMethods;
  owner.log = &log;
  return SQLITE_OK;
}

int delete_file(sqlite3_vfs* vfs, const char* name, int sync_directory) {
  return of(vfs).base->xDelete(of(vfs).base, name, sync_directory);
}
int access_file(sqlite3_vfs* vfs, const char* name, int flags, int* out) {
  return of(vfs).base->xAccess(of(vfs).base, name, flags, out);
}
int full_path(sqlite3_vfs* vfs, const char* name, int size, char* out) {
  return of(vfs).base->xFullPathname(of(vfs).base, name, size, out);
}
int randomness(sqlite3_vfs* vfs, int size, char* out) { return of(vfs).base->xRandomness(of(vfs).base, size, out); }
int pass_time(sqlite3_vfs* vfs, int micros) { return of(vfs).base->xSleep(of(vfs).base, micros); }
int current_time(sqlite3_vfs* vfs, double* out) { return of(vfs).base->xCurrentTime(of(vfs).base, out); }
int last_error(sqlite3_vfs* vfs, int size, char* out) { return of(vfs).base->xGetLastError(of(vfs).base, size, out); }

}  // namespace

LogVfs::LogVfs() : implementation_(std::make_unique<Implementation>()) {}

Result<std::unique_ptr<LogVfs>> LogVfs::make(const std::string& base) {
  static std::atomic<int> count = 0;
  std::unique_ptr<LogVfs> made(new LogVfs);
  Implementation& self = *made->implementation_;
  self.base = sqlite3_vfs_find(base.empty() ? nullptr : base.c_str());
  if (self.base == nullptr) return not_found(fmt::format("SQLite knows no VFS '{}'", base));
  self.name = fmt::format("nuraghe-log-{}", ++count);
  self.vfs.iVersion = 1;
  self.vfs.szOsFile = static_cast<int>(sizeof(LogFile)) + self.base->szOsFile;
  self.vfs.mxPathname = self.base->mxPathname;
  self.vfs.zName = self.name.c_str();
  self.vfs.pAppData = &self;
  self.vfs.xOpen = open_file;
  self.vfs.xDelete = delete_file;
  self.vfs.xAccess = access_file;
  self.vfs.xFullPathname = full_path;
  self.vfs.xRandomness = randomness;
  self.vfs.xSleep = pass_time;
  self.vfs.xCurrentTime = current_time;
  self.vfs.xGetLastError = last_error;
  CHECK(sqlite3_vfs_register(&self.vfs, 0) == SQLITE_OK);
  return made;
}

LogVfs::~LogVfs() {
  CHECK(implementation_->log == nullptr);
  if (implementation_->vfs.zName != nullptr) sqlite3_vfs_unregister(&implementation_->vfs);
}

const std::string& LogVfs::name() const { return implementation_->name; }

void LogVfs::begin_commit() { implementation_->collects = implementation_->defers = true; }

void LogVfs::end_commit() { implementation_->collects = implementation_->defers = false; }

Status LogVfs::sync() {
  // What is written went to the file before the commit's end.
  sqlite3_file* const below = implementation_->log == nullptr ? nullptr : implementation_->log->below;
  if (below == nullptr) return {};
  const int code = sync_below(*implementation_, below, SQLITE_SYNC_NORMAL | SQLITE_SYNC_DATAONLY);
  if (code == SQLITE_OK) return {};
  return internal(fmt::format("the write-ahead log could not be synced: {}", sqlite3_errstr(code)));
}

}  // namespace nuraghe::store
