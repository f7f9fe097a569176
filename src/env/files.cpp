#include <dirent.h>
#include <fcntl.h>
#include <fmt/format.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstdlib>
#include <filesystem>

#include "base/check.hpp"
#include "env/posix.hpp"

namespace nuraghe::env {
namespace {

std::string parent_of(const std::string& path) {
  const auto slash = path.find_last_of('/');
  if (slash == std::string::npos) return ".";
  return slash == 0 ? "/" : path.substr(0, slash);
}

Status write_all(int fd, std::string_view content, const std::string& path) {
  while (!content.empty()) {
    const ssize_t count = ::write(fd, content.data(), content.size());
    if (count < 0) {
      if (errno == EINTR) continue;
      return system_error("write " + path, errno);
    }
    content.remove_prefix(static_cast<std::size_t>(count));
  }
  return {};
}

}  // namespace

Result<std::string> read_file(const std::string& path, Bytes limit) {
  const UniqueFd fd(::open(path.c_str(), O_RDONLY | O_CLOEXEC));
  if (!fd.valid()) return system_error("open " + path, errno);
  struct stat info {};
  if (::fstat(fd.get(), &info) != 0) return system_error("stat " + path, errno);
  const auto too_large = [&] {
    return exhausted(fmt::format("{} is larger than the {} that may be read", path, limit.to_string()));
  };
  if (info.st_size > limit.count) return too_large();
  std::string content;
  std::size_t used = 0;
  // One byte more than its size finds the end of an ordinary file by the first read; files of /proc say size 0.
  content.resize(static_cast<std::size_t>(std::max<std::int64_t>(info.st_size + 1, 4096)));
  for (;;) {
    if (used == content.size()) content.resize(content.size() * 2);
    const ssize_t count = ::read(fd.get(), content.data() + used, content.size() - used);
    if (count < 0) {
      if (errno == EINTR) continue;
      return system_error("read " + path, errno);
    }
    if (count == 0) break;
    used += static_cast<std::size_t>(count);
    if (static_cast<std::int64_t>(used) > limit.count) return too_large();
  }
  content.resize(used);
  return content;
}

Status write_file_durably(const std::string& path, std::string_view content, mode_t mode) {
  std::string temporary = path + ".new-XXXXXX";
  UniqueFd fd(::mkostemp(temporary.data(), O_CLOEXEC));
  if (!fd.valid()) return system_error("create " + temporary, errno);
  const Status written = [&]() -> Status {
    TRY(write_all(fd.get(), content, temporary));
    if (::fchmod(fd.get(), mode) != 0) return system_error("chmod " + temporary, errno);
    if (::fsync(fd.get()) != 0) return system_error("fsync " + temporary, errno);
    if (::rename(temporary.c_str(), path.c_str()) != 0) return system_error("rename to " + path, errno);
    return {};
  }();
  if (!written) {
    ::unlink(temporary.c_str());
    return written;
  }
  return fsync_path(parent_of(path));
}

Status make_directories(const std::string& path, mode_t mode) {
  if (::mkdir(path.c_str(), mode) == 0) return {};
  const int error = errno;
  if (error == EEXIST) {
    struct stat info {};
    if (::stat(path.c_str(), &info) == 0 && S_ISDIR(info.st_mode)) return {};
    return conflict(fmt::format("{} exists and is not a directory", path));
  }
  const std::string parent = parent_of(path);
  if (error != ENOENT || parent == path || parent == ".") return system_error("create directory " + path, error);
  TRY(make_directories(parent, mode));
  if (::mkdir(path.c_str(), mode) != 0 && errno != EEXIST) return system_error("create directory " + path, errno);
  return {};
}

Status remove_tree(const std::string& path) {
  CHECK(!path.empty() && path != "/");
  std::error_code error;
  std::filesystem::remove_all(path, error);  // does not follow symbolic links
  if (error) return system_error("remove " + path, error.value());
  return {};
}

bool path_exists(const std::string& path) {
  struct stat info {};
  return ::lstat(path.c_str(), &info) == 0;
}

Result<std::vector<std::string>> list_directory(const std::string& path) {
  const std::unique_ptr<DIR, int (*)(DIR*)> directory(::opendir(path.c_str()), &::closedir);
  if (!directory) return system_error("open directory " + path, errno);
  std::vector<std::string> names;
  for (;;) {
    errno = 0;
    const dirent* entry = ::readdir(directory.get());  // NOLINT(concurrency-mt-unsafe): one stream, one thread
    if (entry == nullptr) {
      if (errno != 0) return system_error("read directory " + path, errno);
      break;
    }
    std::string name = entry->d_name;
    if (name != "." && name != "..") names.push_back(std::move(name));
  }
  std::sort(names.begin(), names.end());
  return names;
}

Result<Bytes> free_space(const std::string& path) {
  struct statvfs info {};
  if (::statvfs(path.c_str(), &info) != 0) return system_error("free space of " + path, errno);
  return Bytes{static_cast<std::int64_t>(info.f_bavail) * static_cast<std::int64_t>(info.f_frsize)};
}

Status fsync_path(const std::string& path) {
  const UniqueFd fd(::open(path.c_str(), O_RDONLY | O_CLOEXEC));
  if (!fd.valid()) return system_error("open " + path, errno);
  if (::fsync(fd.get()) != 0) return system_error("fsync " + path, errno);
  return {};
}

}  // namespace nuraghe::env
