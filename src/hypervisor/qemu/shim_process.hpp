// The controller's side of the shim: start one, find the one that runs in a host's folder, end it.
// The shim is found by the lock that it holds, never by a pid that a file claims. Requires the host's lock of the
// driver; blocks up to the deadline.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "base/result.hpp"
#include "env/posix.hpp"
#include "hypervisor/qemu/host_files.hpp"
#include "hypervisor/wait.hpp"

namespace nuraghe::hypervisor::qemu {

struct RunningShim {
  pid_t pid = 0;
  env::UniqueFd pidfd;  // readable when the shim, and so QEMU, has ended
};

// Starts `program` under a new shim with the host's folder as working directory. When it returns, the program was
// forked; whether it came up is seen on its QMP socket. kConflict when a shim already runs there.
Status start_shim(const std::string& shim_program, const HostFiles& files, const std::vector<std::string>& program,
                  const Deadline& deadline);

// The shim that runs in the folder, if one does.
Result<std::optional<RunningShim>> find_shim(const HostFiles& files);

// No shim and no QEMU run in the folder afterwards, and none that was started before can start any more. No error when
// nothing runs. Asks the shim first (SIGTERM), kills it after 5 s.
Status end_shim(const HostFiles& files, const Deadline& deadline);

// How QEMU ended, for a folder whose shim is gone.
std::string end_of_qemu(const HostFiles& files);

}  // namespace nuraghe::hypervisor::qemu
