// Files with holes: where their data is, and copies that keep the holes.
#pragma once

#include <cstdint>
#include <functional>
#include <string>
#include <vector>

#include "base/result.hpp"
#include "base/units.hpp"

namespace nuraghe::env {

struct Extent {
  std::int64_t offset = 0, length = 0;  // bytes
  bool operator==(const Extent&) const = default;
};

// Where the file holds data, in order; the rest reads as zeros. On a file system without holes: one extent.
Result<std::vector<Extent>> data_extents(int fd, const std::string& path);

// Copies a plain file to a new one (mode 0600; one that is there is replaced), holes as holes, and fsyncs it. Where the
// file system can, the copy shares its blocks. `go_on` is asked every few MiB and answers an error to stop. A failure
// leaves no copy. kExhausted when the disk is full.
Status copy_sparse(const std::string& from, const std::string& to, const std::function<Status()>& go_on);

}  // namespace nuraghe::env
