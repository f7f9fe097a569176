// The guest's RAM: a file on tmpfs that QEMU maps shared, reserved as a whole before QEMU starts, and its copy on disk
// while the host is frozen, which holds the pages that are not zero and holes for the others.
// Not thread safe per file; the caller holds the host's lock. Long copies watch the deadline and report progress.
#pragma once

#include <functional>
#include <string>

#include "base/result.hpp"
#include "base/units.hpp"
#include "hypervisor/wait.hpp"

namespace nuraghe::hypervisor::qemu {

using ReportProgress = std::function<void(double fraction)>;  // 0 to 1; may be empty

// Makes the file with `size` bytes really allocated. kExhausted says how much is needed and how much is free; then
// nothing is left. Makes the missing folders (mode 0700).
Status reserve_memory(const std::string& path, Bytes size);
// Removes the file, and the two folders above it (INSTANCE, MEMORY_ROOT) when they became empty.
Status release_memory(const std::string& path);

// The bytes of pages that are not zero now; an estimate while the guest runs. Bounded work: with `enough` >= the pages
// that were ever touched, only that upper bound is found.
Result<Bytes> memory_in_use(const std::string& path, Bytes enough, const Deadline& deadline);
// Writes the non-zero pages of `path` to the new sparse file `copy` and fsyncs it; returns the bytes saved. kExhausted
// when the disk is full. A failure leaves no `copy`.
Result<Bytes> save_memory(const std::string& path, const std::string& copy, const Deadline& deadline,
                          const ReportProgress& progress);
// The inverse, into a file that reserve_memory made.
Status restore_memory(const std::string& copy, const std::string& path, const Deadline& deadline,
                      const ReportProgress& progress);

// "disk full: needs 12MiB, has 3MiB in /var/lib/nuraghe"
Error disk_full(Bytes needed, const std::string& folder);

}  // namespace nuraghe::hypervisor::qemu
