#include "hypervisor/qemu/memory.hpp"

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <charconv>
#include <cstring>
#include <utility>

#include "env/posix.hpp"

namespace nuraghe::hypervisor::qemu {

namespace {

constexpr std::int64_t kPage = 4096;
constexpr std::int64_t kStep = 4 * 1024 * 1024;  // bytes between two looks at the deadline

std::string parent_of(const std::string& path) { return path.substr(0, path.find_last_of('/')); }

// Rounded down, for people.
Bytes in_mib(Bytes size) { return size < mib(1) ? size : mib(size.count / mib(1).count); }

// MemAvailable of /proc/meminfo; 2^62 when it cannot be read.
Bytes available_memory() {
  const Bytes unknown{std::int64_t{1} << 62};
  const auto text = env::read_file("/proc/meminfo");
  if (!text) return unknown;
  const auto at = text->find("MemAvailable:");
  if (at == std::string::npos) return unknown;
  const auto digits = text->find_first_of("0123456789", at);
  if (digits == std::string::npos) return unknown;
  std::int64_t kilobytes = 0;
  std::from_chars(text->data() + digits, text->data() + text->size(), kilobytes);
  return kib(kilobytes);
}

Error memory_short(const std::string& folder, Bytes size) {
  const auto on_tmpfs = env::free_space(folder);
  const Bytes available = available_memory();
  const Bytes free = on_tmpfs ? std::min(*on_tmpfs, available) : available;
  return exhausted(
      fmt::format("memory short: needs {}, has {} in {}", size.to_string(), in_mib(free).to_string(), folder));
}

// A read-only view of a whole file on tmpfs.
class Mapping {
 public:
  static Result<Mapping> open(const std::string& path) {
    const env::UniqueFd fd(::open(path.c_str(), O_RDONLY | O_CLOEXEC));
    struct stat info {};
    if (!fd.valid() || ::fstat(fd.get(), &info) != 0) return system_error("open " + path, errno);
    Mapping mapping;
    mapping.size_ = info.st_size;
    if (mapping.size_ == 0) return mapping;
    mapping.data_ = ::mmap(nullptr, static_cast<std::size_t>(mapping.size_), PROT_READ, MAP_SHARED, fd.get(), 0);
    if (mapping.data_ == MAP_FAILED) {
      mapping.data_ = nullptr;
      return system_error("map " + path, errno);
    }
    return mapping;
  }
  Mapping() = default;
  Mapping(Mapping&& other) noexcept : data_(std::exchange(other.data_, nullptr)), size_(other.size_) {}
  Mapping& operator=(Mapping&&) = delete;
  ~Mapping() {
    if (data_ != nullptr) ::munmap(data_, static_cast<std::size_t>(size_));
  }
  const char* at(std::int64_t offset) const { return static_cast<const char*>(data_) + offset; }
  std::int64_t size() const { return size_; }

 private:
  void* data_ = nullptr;
  std::int64_t size_ = 0;
};

bool is_zero(const char* data, std::int64_t size) {
  // Compares the block with itself shifted by a word: memcmp's vector code does the work.
  std::uint64_t first = 0;
  std::memcpy(&first, data, sizeof first);
  return first == 0 && std::memcmp(data, data + sizeof first, static_cast<std::size_t>(size) - sizeof first) == 0;
}

// Calls visit(offset, length) for each run of pages that the file holds (holes left out), at most kStep long.
template <class Visit>
Status for_each_extent(const std::string& path, const Deadline& deadline, Visit visit) {
  const env::UniqueFd fd(::open(path.c_str(), O_RDONLY | O_CLOEXEC));
  struct stat info {};
  if (!fd.valid() || ::fstat(fd.get(), &info) != 0) return system_error("open " + path, errno);
  for (off_t end = 0; end < info.st_size;) {
    const off_t begin = ::lseek(fd.get(), end, SEEK_DATA);
    if (begin < 0 && errno == ENXIO) return {};
    if (begin < 0) return system_error("seek in " + path, errno);
    end = ::lseek(fd.get(), begin, SEEK_HOLE);
    if (end < 0) return system_error("seek in " + path, errno);
    for (std::int64_t offset = begin; offset < end; offset += kStep) {
      TRY(deadline.check("copying memory"));
      TRY(visit(offset, std::min<std::int64_t>(kStep, end - offset)));
    }
  }
  return {};
}

Status write_at(int fd, const char* data, std::int64_t size, std::int64_t offset, const std::string& path) {
  while (size > 0) {
    const ssize_t count = ::pwrite(fd, data, static_cast<std::size_t>(size), offset);
    if (count < 0 && errno == EINTR) continue;
    if (count < 0) return system_error("write " + path, errno);
    data += count;
    size -= count;
    offset += count;
  }
  return {};
}

// Writes the non-zero pages of one extent as few writes; returns the bytes written.
Result<Bytes> write_extent(int fd, const Mapping& memory, std::int64_t offset, std::int64_t length,
                           const std::string& path) {
  Bytes written;
  std::int64_t run = -1;  // beginning of the run of non-zero pages
  const std::int64_t end = offset + length;
  for (std::int64_t at = offset; at <= end; at += kPage) {
    const bool data = at < end && !is_zero(memory.at(at), std::min(kPage, memory.size() - at));
    if (data && run < 0) run = at;
    if (data || run < 0) continue;
    const std::int64_t size = std::min(at, end) - run;
    TRY(write_at(fd, memory.at(run), size, run, path));
    written.count += size;
    run = -1;
  }
  return written;
}

void report(const ReportProgress& progress, std::int64_t done, std::int64_t total) {
  if (progress) progress(total == 0 ? 1.0 : static_cast<double>(done) / static_cast<double>(total));
}

}  // namespace

Error disk_full(Bytes needed, const std::string& folder) {
  const auto free = env::free_space(folder);
  return exhausted(fmt::format("disk full: needs {}, has {} in {}", (in_mib(needed) + mib(1)).to_string(),
                               free ? in_mib(*free).to_string() : std::string("an unknown amount"), folder));
}

Status reserve_memory(const std::string& path, Bytes size) {
  const std::string folder = parent_of(path);
  env::UniqueFd fd;
  // The last host's release may remove the empty folders at any time: made again as often as that happens.
  for (int attempt = 0; !fd.valid(); ++attempt) {
    TRY(env::make_directories(folder, 0700));
    fd = env::UniqueFd(::open(path.c_str(), O_RDWR | O_CREAT | O_TRUNC | O_CLOEXEC, 0600));
    if (!fd.valid() && (errno != ENOENT || attempt > 100)) return system_error("create " + path, errno);
  }
  Status reserved;
  // tmpfs hands out memory that is not there until the system kills somebody: asked for before it is taken.
  if (available_memory() < size) {
    reserved = memory_short(folder, size);
  } else if (const int error = ::posix_fallocate(fd.get(), 0, size.count); error != 0) {
    reserved = error == ENOSPC || error == ENOMEM ? memory_short(folder, size)
                                                  : system_error("reserve memory in " + folder, error);
  }
  if (!reserved) TRY(release_memory(path));
  return reserved;
}

Status release_memory(const std::string& path) {
  if (::unlink(path.c_str()) != 0 && errno != ENOENT) return system_error("remove " + path, errno);
  const std::string instance = parent_of(path);
  if (::rmdir(instance.c_str()) == 0) ::rmdir(parent_of(instance).c_str());  // both stay while anything is in them
  return {};
}

Result<Bytes> memory_in_use(const std::string& path, Bytes enough, const Deadline& deadline) {
  Bytes touched;
  TRY(for_each_extent(path, deadline, [&](std::int64_t, std::int64_t length) -> Status {
    touched.count += length;
    return {};
  }));
  if (touched <= enough) return touched;
  TRY_ASSIGN(const Mapping memory, Mapping::open(path));
  Bytes used;
  TRY(for_each_extent(path, deadline, [&](std::int64_t offset, std::int64_t length) -> Status {
    for (std::int64_t at = offset; at < offset + length; at += kPage) {
      if (!is_zero(memory.at(at), std::min(kPage, memory.size() - at))) used.count += kPage;
    }
    return {};
  }));
  return used;
}

Result<Bytes> save_memory(const std::string& path, const std::string& copy, const Deadline& deadline,
                          const ReportProgress& progress) {
  TRY_ASSIGN(const Mapping memory, Mapping::open(path));
  env::UniqueFd fd(::open(copy.c_str(), O_RDWR | O_CREAT | O_TRUNC | O_CLOEXEC, 0600));
  if (!fd.valid()) return system_error("create " + copy, errno);
  Bytes saved;
  Status status = for_each_extent(path, deadline, [&](std::int64_t offset, std::int64_t length) -> Status {
    TRY_ASSIGN(const Bytes written, write_extent(fd.get(), memory, offset, length, copy));
    saved.count += written.count;
    report(progress, offset + length, memory.size());
    return {};
  });
  if (status && (::ftruncate(fd.get(), memory.size()) != 0 || ::fsync(fd.get()) != 0)) {
    status = system_error("fsync " + copy, errno);
  }
  if (status) return saved;
  ::unlink(copy.c_str());
  return std::move(status).error();
}

Status restore_memory(const std::string& copy, const std::string& path, const Deadline& deadline,
                      const ReportProgress& progress) {
  const env::UniqueFd saved(::open(copy.c_str(), O_RDONLY | O_CLOEXEC));
  const env::UniqueFd fd(::open(path.c_str(), O_RDWR | O_CLOEXEC));
  struct stat from {};
  struct stat to {};
  if (!saved.valid() || ::fstat(saved.get(), &from) != 0) return system_error("open " + copy, errno);
  if (!fd.valid() || ::fstat(fd.get(), &to) != 0) return system_error("open " + path, errno);
  if (from.st_size != to.st_size) {
    return corrupt(fmt::format("{} has {} bytes, the host's memory has {}", copy, from.st_size, to.st_size));
  }
  // Read, not mapped: an unreadable block of the disk is an error here and would be a signal there.
  std::string buffer(static_cast<std::size_t>(std::min<std::int64_t>(kStep, from.st_size)), '\0');
  return for_each_extent(copy, deadline, [&](std::int64_t offset, std::int64_t length) -> Status {
    for (std::int64_t done = 0; done < length;) {
      const ssize_t count = ::pread(saved.get(), buffer.data(), static_cast<std::size_t>(length - done), offset + done);
      if (count < 0 && errno == EINTR) continue;
      if (count < 0) return system_error("read " + copy, errno);
      if (count == 0) return corrupt(copy + " ends too early");
      TRY(write_at(fd.get(), buffer.data(), count, offset + done, path));
      done += count;
    }
    report(progress, offset + length, from.st_size);
    return {};
  });
}

}  // namespace nuraghe::hypervisor::qemu
