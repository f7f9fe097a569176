#include "hypervisor/qemu/host_files.hpp"

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>

namespace nuraghe::hypervisor::qemu {

namespace {

std::string_view last_line(std::string_view text) {
  const auto end = text.find_last_not_of(" \r\n\t");
  if (end == std::string_view::npos) return {};
  text = text.substr(0, end + 1);
  const auto begin = text.find_last_of('\n');
  return begin == std::string_view::npos ? text : text.substr(begin + 1);
}

}  // namespace

std::string exit_reason(const ShimRecord& record) {
  if (!record.ended) return "QEMU ended and its shim could not say how";
  std::string how;
  if (WIFSIGNALED(record.exit_status)) {
    const int number = WTERMSIG(record.exit_status);
    how = fmt::format("QEMU was killed by signal {} ({})", number, ::strsignal(number));
  } else {
    how = fmt::format("QEMU exited with status {}", WEXITSTATUS(record.exit_status));
    if (record.exit_status == 0 && record.stderr_tail.empty()) how += ": the guest switched itself off";
  }
  const auto words = last_line(record.stderr_tail);
  return words.empty() ? how : fmt::format("{}: {}", how, words);
}

std::string HostFiles::overlay(std::string_view disk) const { return fmt::format("{}/disk-{}.qcow2", folder, disk); }

Result<std::string> read_tail(const std::string& path, Bytes limit) {
  env::UniqueFd fd(::open(path.c_str(), O_RDONLY | O_CLOEXEC));
  if (!fd.valid()) return errno == ENOENT ? Result<std::string>(std::string()) : system_error("open " + path, errno);
  struct stat info {};
  if (::fstat(fd.get(), &info) != 0) return system_error("stat " + path, errno);
  std::string tail(
      static_cast<std::size_t>(std::clamp<std::int64_t>(info.st_size, 0, std::max<std::int64_t>(0, limit.count))),
      '\0');
  const ssize_t count = ::pread(fd.get(), tail.data(), tail.size(), info.st_size - static_cast<off_t>(tail.size()));
  if (count < 0) return system_error("read " + path, errno);
  tail.resize(static_cast<std::size_t>(count));
  // The part that the shim freed reads as zeros.
  const auto begin = tail.find_first_not_of('\0');
  return begin == std::string::npos ? std::string() : tail.substr(begin);
}

void free_old_part(const std::string& path, Bytes kept) {
  const env::UniqueFd fd(::open(path.c_str(), O_RDWR | O_CLOEXEC));
  struct stat info {};
  if (!fd.valid() || ::fstat(fd.get(), &info) != 0) return;
  const off_t old_part = (info.st_size - kept.count) / 4096 * 4096;
  if (std::int64_t{info.st_blocks} * 512 <= 2 * kept.count || old_part <= 0) return;
  if (::fallocate(fd.get(), FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, 0, old_part) != 0) return;
}

Bytes allocated_size(const std::string& path) {
  struct stat info {};
  if (::stat(path.c_str(), &info) != 0) return {};
  return {std::int64_t{info.st_blocks} * 512};
}

Result<env::UniqueFd> connect_in(const std::string& folder, const char* name) {
  const env::UniqueFd directory(::open(folder.c_str(), O_PATH | O_DIRECTORY | O_CLOEXEC));
  if (!directory.valid()) return system_error("open " + folder, errno);
  env::UniqueFd fd(::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0));
  if (!fd.valid()) return system_error("socket", errno);
  sockaddr_un address{};
  address.sun_family = AF_UNIX;
  const std::string path = fmt::format("/proc/self/fd/{}/{}", directory.get(), name);
  std::memcpy(address.sun_path, path.c_str(), path.size() + 1);
  if (::connect(fd.get(), reinterpret_cast<const sockaddr*>(&address), sizeof address) != 0) {
    const int error = errno;
    if (error == EAGAIN) return unavailable(fmt::format("{}/{} is in use by others", folder, name));
    if (error == ECONNREFUSED || error == ENOENT)
      return unavailable(fmt::format("nobody listens on {}/{}", folder, name));
    return system_error(fmt::format("connect to {}/{}", folder, name), error);
  }
  return fd;
}

std::string new_generation_id() {
  const std::string urn = env::make_uuid_urn(env::system_random());
  return urn.substr(urn.find_last_of(':') + 1);
}

std::string current_boot_id() {
  static const std::string id = [] {
    auto text = env::read_file("/proc/sys/kernel/random/boot_id");
    return text ? text->substr(0, text->find('\n')) : std::string("unknown");
  }();
  return id;
}

}  // namespace nuraghe::hypervisor::qemu
