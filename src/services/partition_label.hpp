// The label of a partition's file system: by it the guest finds what its seed has it mount.
#pragma once

#include <fmt/format.h>

#include <cstddef>
#include <string>

namespace nuraghe::services {

// "DISK-NUMBER", at most the 16 characters that ext4 has room for.
inline std::string partition_label(const std::string& disk, std::size_t number) {
  const std::string suffix = fmt::format("-{}", number);
  return disk.substr(0, 16 - suffix.size()) + suffix;
}

}  // namespace nuraghe::services
