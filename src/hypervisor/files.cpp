#include "hypervisor/files.hpp"

#include <fcntl.h>
#include <unistd.h>

#include <cerrno>

namespace nuraghe::hypervisor {

Status replace_file(const std::string& path, std::string_view content) {
  const std::string temporary = path + ".new";
  env::UniqueFd fd(::open(temporary.c_str(), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600));
  if (!fd.valid()) return system_error("create " + temporary, errno);
  while (!content.empty()) {
    const ssize_t count = ::write(fd.get(), content.data(), content.size());
    if (count < 0 && errno == EINTR) continue;
    if (count < 0) {
      const int error = errno;
      ::unlink(temporary.c_str());
      return system_error("write " + temporary, error);
    }
    content.remove_prefix(static_cast<std::size_t>(count));
  }
  if (::rename(temporary.c_str(), path.c_str()) != 0) return system_error("rename to " + path, errno);
  return {};
}

}  // namespace nuraghe::hypervisor
