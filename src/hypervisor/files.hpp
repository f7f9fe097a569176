// Small files of the drivers: records that are replaced as a whole.
#pragma once

#include <string>
#include <string_view>

#include "base/record.hpp"
#include "base/result.hpp"
#include "env/posix.hpp"

namespace nuraghe::hypervisor {

// Replaces a file as a whole (mode 0600), without fsync: old or new after a crash of this process; after one of the
// machine it may be empty. One writer per file at a time.
Status replace_file(const std::string& path, std::string_view content);

template <class T>
Result<T> read_record(const std::string& path) {
  TRY_ASSIGN(const std::string bytes, env::read_file(path));
  auto record = decode_record<T>(bytes);
  if (!record) return std::move(record).error().with("reading " + path);
  return record;
}

}  // namespace nuraghe::hypervisor
