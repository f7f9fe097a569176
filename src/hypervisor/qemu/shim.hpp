// The shim: QEMU's parent. It outlives the controller that started it, so that a virtual host does, and ends when QEMU
// ends. What it does is deliberately little:
//   - makes itself a session of its own, adopts QEMU's orphans (subreaper) and holds no descriptor of its starter;
//   - locks shim.lock in the host's folder for its lifetime, then starts only when `launch` still holds its token: a
//     controller killed at any instruction leaves either nothing, or a shim that the next one finds by the lock;
//   - makes the listening sockets, so that a client can connect before QEMU is there and sees its end as a hang-up;
//   - keeps QEMU's last words (stderr, 16 KiB) and exit status in the ShimRecord `shim`;
//   - frees the old part of console.log, so that a chatty guest cannot fill the disk;
//   - SIGTERM: kills QEMU, reaps it and ends. If the shim itself is killed, QEMU dies with it (parent-death signal).
// Single threaded.
#pragma once

#include "base/units.hpp"

namespace nuraghe::hypervisor::qemu {

// Descriptors under which QEMU inherits the listening sockets.
inline constexpr int kQmpFd = 3, kAgentFd = 4, kConsoleFd = 5, kEventsFd = 6;
inline constexpr Bytes kStderrTail = kib(16);
inline constexpr Bytes kConsoleKept = mib(1);

// nuraghe-shim FOLDER TOKEN PROGRAM ARGUMENTS...: returns the exit status of the starting process, which ends as soon
// as PROGRAM was started (0) or could not be (1, with the reason on stderr). The shim itself goes on as a daemon.
int shim_main(int argc, char** argv);

}  // namespace nuraghe::hypervisor::qemu
