#include "env/sparse.hpp"

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>

#include "env/posix.hpp"

namespace nuraghe::env {
namespace {

constexpr std::int64_t kStep = std::int64_t{8} << 20;  // bytes between two looks at whether to go on

// One extent by read and write, for file systems between which the kernel does not copy.
Status copy_by_hand(int from, int to, Extent extent, const std::string& path) {
  std::string buffer(std::size_t{1} << 20, '\0');
  while (extent.length > 0) {
    const auto wanted = std::min<std::int64_t>(extent.length, static_cast<std::int64_t>(buffer.size()));
    const auto count = ::pread(from, buffer.data(), static_cast<std::size_t>(wanted), extent.offset);
    if (count < 0 && errno == EINTR) continue;
    if (count < 0) return system_error("read for " + path, errno);
    if (count == 0) return corrupt(path + ": the file that is copied became shorter");
    for (std::int64_t done = 0; done < count;) {
      const auto written =
          ::pwrite(to, buffer.data() + done, static_cast<std::size_t>(count - done), extent.offset + done);
      if (written < 0 && errno == EINTR) continue;
      if (written < 0) return system_error("write " + path, errno);
      done += written;
    }
    extent.offset += count;
    extent.length -= count;
  }
  return {};
}

Status copy_extent(int from, int to, Extent extent, const std::string& path) {
  while (extent.length > 0) {
    off_t source = extent.offset;
    off_t target = extent.offset;
    const auto count = ::copy_file_range(from, &source, to, &target, static_cast<std::size_t>(extent.length), 0);
    if (count < 0 && errno == EINTR) continue;
    if (count < 0 && errno != ENOSPC && errno != EIO) return copy_by_hand(from, to, extent, path);
    if (count < 0) return system_error("write " + path, errno);
    if (count == 0) return corrupt(path + ": the file that is copied became shorter");
    extent.offset += count;
    extent.length -= count;
  }
  return {};
}

Status copy_into(int from, int to, const std::string& path, std::int64_t size, const std::function<Status()>& go_on) {
  TRY_ASSIGN(const auto extents, data_extents(from, path));
  for (const auto& extent : extents) {
    for (std::int64_t done = 0; done < extent.length; done += kStep) {
      TRY(go_on());
      TRY(copy_extent(from, to, {extent.offset + done, std::min(kStep, extent.length - done)}, path));
    }
  }
  if (::ftruncate(to, size) != 0) return system_error("write " + path, errno);
  if (::fsync(to) != 0) return system_error("fsync " + path, errno);
  return {};
}

}  // namespace

Result<std::vector<Extent>> data_extents(int fd, const std::string& path) {
  struct stat info {};
  if (::fstat(fd, &info) != 0) return system_error("stat " + path, errno);
  std::vector<Extent> extents;
  for (off_t end = 0; end < info.st_size;) {
    const off_t begin = ::lseek(fd, end, SEEK_DATA);
    if (begin < 0 && errno == ENXIO) break;
    if (begin < 0) return system_error("seek in " + path, errno);
    end = ::lseek(fd, begin, SEEK_HOLE);
    if (end < 0) return system_error("seek in " + path, errno);
    extents.push_back({begin, end - begin});
  }
  return extents;
}

Status copy_sparse(const std::string& from, const std::string& to, const std::function<Status()>& go_on) {
  const UniqueFd source(::open(from.c_str(), O_RDONLY | O_CLOEXEC | O_NOFOLLOW));
  struct stat info {};
  if (!source.valid() || ::fstat(source.get(), &info) != 0) return system_error("open " + from, errno);
  if (!S_ISREG(info.st_mode)) return invalid(from + " is no plain file");
  const UniqueFd target(::open(to.c_str(), O_RDWR | O_CREAT | O_TRUNC | O_CLOEXEC | O_NOFOLLOW, 0600));
  if (!target.valid()) return system_error("create " + to, errno);
  Status copied = copy_into(source.get(), target.get(), to, info.st_size, go_on);
  if (!copied) ::unlink(to.c_str());
  return copied;
}

}  // namespace nuraghe::env
