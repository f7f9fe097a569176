#include "network/folder.hpp"

#include <fmt/format.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>

#include "network/address.hpp"
#include "network/configuration.hpp"

namespace nuraghe::network {

static_assert(kFolderMax + sizeof("/t.4294967295") - 1 <= kSocketPathMax);

Status check_folder(const std::string& folder) {
  if (folder.size() > kFolderMax) {
    return invalid(
        fmt::format("the switch's folder {} has {} characters; at most {} are possible, for a UNIX socket's "
                    "path has at most {}: choose a state directory with a path {} characters shorter",
                    folder, folder.size(), kFolderMax, kSocketPathMax, folder.size() - kFolderMax));
  }
  struct stat info {};
  if (::lstat(folder.c_str(), &info) != 0) return system_error("the switch's folder " + folder, errno);
  if (!S_ISDIR(info.st_mode)) return conflict(fmt::format("{} is not a directory", folder));
  if (info.st_uid != ::geteuid() || (info.st_mode & 077) != 0) {
    return denied(
        fmt::format("the switch's folder {} must belong to user {} with mode 0700; it belongs to {} with mode "
                    "{:04o}",
                    folder, ::geteuid(), info.st_uid, info.st_mode & 07777U));
  }
  return {};
}

}  // namespace nuraghe::network
