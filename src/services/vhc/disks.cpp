#include "services/vhc/disks.hpp"

#include <fcntl.h>
#include <fmt/format.h>
#include <unistd.h>

#include <cerrno>

#include "env/posix.hpp"
#include "services/partition_label.hpp"

namespace nuraghe::services::vhc {
namespace {

constexpr std::int64_t kMiB = 1 << 20;
constexpr std::int64_t kSectorsPerMiB = 2048;

}  // namespace

Status make_partitioned_disk(const std::string& path, const model::Disk& disk, Duration timeout) {
  TRY(env::remove_tree(path));
  {
    const env::UniqueFd fd(::open(path.c_str(), O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0600));
    if (!fd.valid()) return system_error(fmt::format("create {}", path), errno);
    if (::ftruncate(fd.get(), disk.size.count) != 0) return system_error(fmt::format("size {}", path), errno);
  }
  // The first MiB holds the partition table, the last one its copy.
  const std::int64_t usable = disk.size.count / kMiB - 1;
  std::int64_t next = 1;
  std::string script = "label: gpt\n";
  struct Extent {
    std::int64_t begin, length;  // MiB
  };
  std::vector<Extent> extents;
  for (const auto& partition : disk.partitions) {
    const std::int64_t length = partition.size.count == 0 ? usable - next : (partition.size.count + kMiB - 1) / kMiB;
    if (length < 1 || next + length > usable)
      return invalid(fmt::format("the partitions of disk {} do not fit in {}", disk.name, disk.size.to_string()));
    script += fmt::format("start={}, size={}, type=linux\n", next * kSectorsPerMiB, length * kSectorsPerMiB);
    extents.push_back({next, length});
    next += length;
  }
  env::CommandOptions options;
  options.input = script;
  options.timeout = timeout;
  TRY(env::run_command_ok({"sfdisk", "--quiet", "--no-reread", "--no-tell-kernel", path}, options));
  options.input.clear();
  for (std::size_t i = 0; i < extents.size(); ++i) {
    const auto& filesystem = disk.partitions[i].filesystem;
    if (filesystem.empty()) continue;
    TRY(env::run_command_ok(
        {"mke2fs", "-q", "-F", "-t", filesystem, "-L", partition_label(disk.name, i + 1), "-E",
         fmt::format("offset={}", extents[i].begin * kMiB), path, fmt::format("{}k", extents[i].length * 1024)},
        options));
  }
  return {};
}

}  // namespace nuraghe::services::vhc
