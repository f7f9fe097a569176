// Disks with partitions: made as sparse raw files on the physical host before the guest starts, so that every guest
// finds them whatever its system can do. The hypervisor's overlay stands on the file.
#pragma once

#include <string>

#include "base/result.hpp"
#include "base/units.hpp"
#include "model/node.hpp"

namespace nuraghe::services::vhc {

// Replaces what was at `path` by a disk with a GPT and the partitions of `disk`, each with its file system. Sizes are
// rounded up to 1 MiB; a size of 0 takes the rest. kInvalid when they do not fit.
Status make_partitioned_disk(const std::string& path, const model::Disk& disk, Duration timeout);

}  // namespace nuraghe::services::vhc
