// Bare machines simulated by QEMU: a process while the machine is on, with empty disks of its own, in a folder that
// stays. Power and boot order by starting QEMU and by its monitor (QMP). The machines outlive this process. There is no
// agent on them yet: they can be switched, but nothing is deployed on them.
//
// The address says what a machine has: "cpus=2,memory=512MiB,disk=4GiB"; unsaid: 1 cpu, 256 MiB, a disk of 1 GiB. Its
// firmware is a BIOS. Its network cards lead nowhere.
//
//   ROOT/NAME/disk1.raw …   made when it is first switched on, sparse
//   ROOT/NAME/boot          from where it starts: disk or network
//   ROOT/NAME/console.log   its first serial port since it was last switched on
//   ROOT/NAME/qmp.sock      QEMU's monitor; who answers there is the machine, and it is on
//   ROOT/NAME/qemu.pid      locked by QEMU while it lives: the machine is on also when its monitor is lost
//
// A machine whose monitor is lost is switched off by a signal to the process that holds the lock of qemu.pid, and no
// other. When that file is lost, too, but somebody holds the disk, every verb about its power is kUnavailable and says
// so: nothing is started on a disk that is in use.
//
// Thread safe; one thing at a time on a machine, others wait within their limits.
#pragma once

#include <memory>
#include <string>

#include "base/result.hpp"
#include "deploy/power.hpp"

namespace nuraghe::deploy {

struct QemuMachinesOptions {
  std::string root;
  std::string program = "qemu-system-x86_64";  // looked up in PATH
};

Result<std::unique_ptr<PowerDriver>> open_qemu_machines(QemuMachinesOptions options);

}  // namespace nuraghe::deploy
