#include "store/volatile_disk.hpp"

#include <fmt/format.h>
#include <sqlite3.h>

#include <algorithm>
#include <atomic>
#include <cstring>
#include <map>
#include <new>
#include <vector>

#include "base/check.hpp"

namespace nuraghe::store {
namespace {

constexpr std::size_t kSector = 512;

// A file as its readers see it, and what of it is safe.
struct File {
  struct Operation {
    bool truncates = false;  // to `offset`; else it writes
    std::size_t offset = 0;
    std::string data;
  };
  std::string content;
  std::string durable;
  std::vector<Operation> unsynced;  // in their order
  int handles = 0;

  static void apply(const Operation& operation, std::string& to) {
    if (operation.truncates) return to.resize(operation.offset);
    if (to.size() < operation.offset + operation.data.size()) to.resize(operation.offset + operation.data.size());
    std::memcpy(to.data() + operation.offset, operation.data.data(), operation.data.size());
  }
  void change(Operation operation) {
    apply(operation, content);
    // Sectors are written one by one.
    if (operation.truncates || operation.data.size() <= kSector) return unsynced.push_back(std::move(operation));
    for (std::size_t at = 0; at < operation.data.size();) {
      const std::size_t size = std::min(kSector - (operation.offset + at) % kSector, operation.data.size() - at);
      unsynced.push_back({false, operation.offset + at, operation.data.substr(at, size)});
      at += size;
    }
  }
  void sync() {
    for (const Operation& operation : unsynced) apply(operation, durable);
    unsynced.clear();
  }
  void forget_to_sync() {
    bool is_there = false;
    for (const Operation& operation : unsynced) {
      is_there = !is_there;
      if (is_there) apply(operation, durable);
    }
    unsynced.clear();
  }
};
using FilePtr = std::shared_ptr<File>;
// The memory that a write-ahead log's index stands in; a power cut takes it all.
using SharedMemory = std::vector<std::unique_ptr<char[]>>;

}  // namespace

struct VolatileDisk::Implementation {
  using Access = VolatileDisk::Access;
  using Answer = VolatileDisk::Answer;
  std::string name;
  sqlite3_vfs vfs{};
  std::map<std::string, FilePtr> files;
  std::map<std::string, std::shared_ptr<SharedMemory>> shared;
  std::function<bool()> fails = [] { return false; };
  std::function<Answer(Access)> answer = [](Access) { return Answer::kDone; };
  bool is_dead = false;
  int open_files = 0;
  std::int64_t syncs = 0;

  // True: an operation may have its effect.
  bool has_power() {
    if (!is_dead && fails()) is_dead = true;
    return !is_dead;
  }
};

namespace {

using Disk = VolatileDisk::Implementation;

// What SQLite allocates for an open file.
struct Handle : sqlite3_file {
  Disk* disk;
  FilePtr file;
  std::shared_ptr<SharedMemory> memory;
  std::string path;
  bool deletes_on_close;
};
Handle& of(sqlite3_file* file) { return *static_cast<Handle*>(file); }
Disk& of(sqlite3_vfs* vfs) { return *static_cast<Disk*>(vfs->pAppData); }

// SQLite's code for what the file system answers.
int try_access(Disk& disk, Disk::Access access, int error) {
  switch (disk.answer(access)) {
    case Disk::Answer::kDone:
      return SQLITE_OK;
    case Disk::Answer::kFull:
      return SQLITE_FULL;
    case Disk::Answer::kError:
      break;
  }
  return error;
}

int close_file(sqlite3_file* file) {
  Handle& handle = of(file);
  if (handle.deletes_on_close) handle.disk->files.erase(handle.path);
  --handle.disk->open_files;
  --handle.file->handles;
  handle.file.~FilePtr();
  handle.memory.~shared_ptr();
  handle.path.~basic_string();
  return SQLITE_OK;
}

int read_file(sqlite3_file* file, void* to, int size, sqlite3_int64 offset) {
  const std::string& content = of(file).file->content;
  const auto from = static_cast<std::size_t>(offset);
  const auto wanted = static_cast<std::size_t>(size);
  const std::size_t there = from >= content.size() ? 0 : std::min(wanted, content.size() - from);
  std::memcpy(to, content.data() + from, there);
  if (there == wanted) return SQLITE_OK;
  std::memset(static_cast<char*>(to) + there, 0, wanted - there);
  return SQLITE_IOERR_SHORT_READ;
}

int write_file(sqlite3_file* file, const void* data, int size, sqlite3_int64 offset) {
  Handle& handle = of(file);
  if (!handle.disk->has_power()) return SQLITE_OK;
  const auto at = static_cast<std::size_t>(offset);
  const bool grows = at + static_cast<std::size_t>(size) > handle.file->content.size();
  const int code = try_access(*handle.disk, grows ? Disk::Access::kGrow : Disk::Access::kWrite, SQLITE_IOERR_WRITE);
  const auto written = static_cast<std::size_t>(code == SQLITE_OK ? size : size / 2);
  const std::string text(static_cast<const char*>(data), written);
  handle.file->change({false, at, text});
  return code;
}

int truncate_file(sqlite3_file* file, sqlite3_int64 size) {
  Handle& handle = of(file);
  if (!handle.disk->has_power()) return SQLITE_OK;
  if (const int code = try_access(*handle.disk, Disk::Access::kTruncate, SQLITE_IOERR_TRUNCATE); code != SQLITE_OK)
    return code;
  handle.file->change({true, static_cast<std::size_t>(size), {}});
  return SQLITE_OK;
}

int sync_file(sqlite3_file* file, int) {
  Handle& handle = of(file);
  if (!handle.disk->has_power()) return SQLITE_OK;
  if (const int code = try_access(*handle.disk, Disk::Access::kSync, SQLITE_IOERR_FSYNC); code != SQLITE_OK) {
    handle.file->forget_to_sync();
    return code;
  }
  ++handle.disk->syncs;
  handle.file->sync();
  return SQLITE_OK;
}

int file_size(sqlite3_file* file, sqlite3_int64* size) {
  *size = static_cast<sqlite3_int64>(of(file).file->content.size());
  return SQLITE_OK;
}

int map_shared(sqlite3_file* file, int region, int size, int extend, void volatile** out) {
  Handle& handle = of(file);
  if (!handle.memory) {
    auto& shared = handle.disk->shared[handle.path];
    if (!shared) shared = std::make_shared<SharedMemory>();
    handle.memory = shared;
  }
  auto& regions = *handle.memory;
  const auto index = static_cast<std::size_t>(region);
  *out = nullptr;
  if (regions.size() <= index && extend == 0) return SQLITE_OK;
  while (regions.size() <= index) regions.push_back(std::make_unique<char[]>(static_cast<std::size_t>(size)));
  *out = regions[index].get();
  return SQLITE_OK;
}

int unmap_shared(sqlite3_file* file, int deletes) {
  Handle& handle = of(file);
  if (deletes != 0) handle.disk->shared.erase(handle.path);
  handle.memory.reset();
  return SQLITE_OK;
}

int control_file(sqlite3_file*, int, void*) { return SQLITE_NOTFOUND; }
// All is one thread's, so nobody waits for a lock. But a connection that closes asks by an exclusive one whether it is
// the last; only then it may delete the log.
int lock_file(sqlite3_file* file, int level) {
  return level == SQLITE_LOCK_EXCLUSIVE && of(file).file->handles > 1 ? SQLITE_BUSY : SQLITE_OK;
}
int unlock_file(sqlite3_file*, int) { return SQLITE_OK; }
int is_reserved(sqlite3_file*, int* out) {
  *out = 0;
  return SQLITE_OK;
}
int sector_size(sqlite3_file*) { return static_cast<int>(kSector); }
// Nothing is promised: as a disk may be at its worst.
int characteristics(sqlite3_file*) { return 0; }
int lock_shared(sqlite3_file*, int, int, int) { return SQLITE_OK; }
void barrier(sqlite3_file*) {}

const sqlite3_io_methods kMethods = {
    2,           close_file,  read_file,    write_file,   truncate_file, sync_file,       file_size,
    lock_file,   unlock_file, is_reserved,  control_file, sector_size,   characteristics, map_shared,
    lock_shared, barrier,     unmap_shared, nullptr,      nullptr};

int open_file(sqlite3_vfs* vfs, const char* name, sqlite3_file* file, int flags, int* out_flags) {
  Disk& disk = of(vfs);
  const std::string path = name == nullptr ? "" : name;
  file->pMethods = nullptr;
  auto found = disk.files.find(path);
  if (found == disk.files.end() && (flags & SQLITE_OPEN_CREATE) == 0) return SQLITE_CANTOPEN;
  if (found == disk.files.end()) found = disk.files.emplace(path, std::make_shared<File>()).first;
  // SQLite's memory is raw: the members are made in it.
  Handle& handle = of(file);
  handle.disk = &disk;
  ++disk.open_files;
  ++found->second->handles;
  new (&handle.file) FilePtr(found->second);
  new (&handle.memory) std::shared_ptr<SharedMemory>();
  new (&handle.path) std::string(path);
  handle.deletes_on_close = (flags & SQLITE_OPEN_DELETEONCLOSE) != 0;
  file->pMethods = &kMethods;
  if (out_flags != nullptr) *out_flags = flags;
  return SQLITE_OK;
}

// Deleting is durable at once: a log that comes back is not what these tests are about.
int delete_file(sqlite3_vfs* vfs, const char* name, int) {
  Disk& disk = of(vfs);
  if (disk.has_power()) disk.files.erase(name);
  return SQLITE_OK;
}

int access_file(sqlite3_vfs* vfs, const char* name, int, int* out) {
  *out = of(vfs).files.contains(name) ? 1 : 0;
  return SQLITE_OK;
}

int full_path(sqlite3_vfs*, const char* name, int size, char* out) {
  sqlite3_snprintf(size, out, "%s", name);
  return SQLITE_OK;
}

sqlite3_vfs& usual() { return *sqlite3_vfs_find(nullptr); }
int randomness(sqlite3_vfs*, int size, char* out) { return usual().xRandomness(&usual(), size, out); }
int pass_time(sqlite3_vfs*, int micros) { return micros; }
int current_time(sqlite3_vfs*, double* out) { return usual().xCurrentTime(&usual(), out); }
int last_error(sqlite3_vfs*, int, char*) { return 0; }

}  // namespace

VolatileDisk::VolatileDisk() : implementation_(std::make_unique<Implementation>()) {
  static std::atomic<int> count = 0;
  Implementation& disk = *implementation_;
  disk.name = fmt::format("volatile-{}", ++count);
  disk.vfs.iVersion = 1;
  disk.vfs.szOsFile = sizeof(Handle);
  disk.vfs.mxPathname = 512;
  disk.vfs.zName = disk.name.c_str();
  disk.vfs.pAppData = &disk;
  disk.vfs.xOpen = open_file;
  disk.vfs.xDelete = delete_file;
  disk.vfs.xAccess = access_file;
  disk.vfs.xFullPathname = full_path;
  disk.vfs.xRandomness = randomness;
  disk.vfs.xSleep = pass_time;
  disk.vfs.xCurrentTime = current_time;
  disk.vfs.xGetLastError = last_error;
  CHECK(sqlite3_vfs_register(&disk.vfs, 0) == SQLITE_OK);
}

VolatileDisk::~VolatileDisk() { sqlite3_vfs_unregister(&implementation_->vfs); }

const std::string& VolatileDisk::name() const { return implementation_->name; }

void VolatileDisk::fail() { implementation_->is_dead = true; }

void VolatileDisk::restore(const std::function<bool()>& keep) {
  Implementation& disk = *implementation_;
  CHECK(disk.open_files == 0);
  for (auto& [path, file] : disk.files) {
    for (const File::Operation& operation : file->unsynced) {
      if (keep()) File::apply(operation, file->durable);
    }
    file->unsynced.clear();
    file->content = file->durable;
  }
  disk.shared.clear();
  disk.is_dead = false;
}

void VolatileDisk::on_operation(std::function<bool()> fails) { implementation_->fails = std::move(fails); }

void VolatileDisk::on_access(std::function<Answer(Access)> answer) { implementation_->answer = std::move(answer); }

std::int64_t VolatileDisk::syncs() const { return implementation_->syncs; }

}  // namespace nuraghe::store
