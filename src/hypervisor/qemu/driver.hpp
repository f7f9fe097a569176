// The qemu driver: virtual hosts as QEMU processes of this user, each under a shim that outlives the controller. No
// daemon, no root needed. What it keeps on disk is drawn in host_files.hpp.
//
//   QemuOptions options;
//   options.root = "/var/lib/nuraghe/vhc-a";
//   TRY_ASSIGN(std::unique_ptr<Driver> driver, open_qemu_driver(options));
//
// Opening takes over what runs under the root already, and completes or undoes what a killed controller was in the
// middle of. One driver per root at a time (kConflict). Destroying the object leaves every host as it is.
#pragma once

#include <memory>
#include <string>

#include "base/result.hpp"
#include "hypervisor/driver.hpp"

namespace nuraghe::hypervisor {

struct QemuOptions {
  std::string root;         // of one physical host; made when missing (mode 0700). Required, absolute
  std::string memory_root;  // a folder on tmpfs; empty: /dev/shm/nuraghe-UID
  std::string qemu_program = "qemu-system-x86_64";  // looked up in PATH
  std::string qemu_img_program = "qemu-img";
  std::string shim_program;               // empty: nuraghe-shim beside this program
  std::string accelerator = "auto";       // auto (KVM when a probe guest runs under it), kvm, tcg
  std::string accelerator_cache;          // where the probe's answer is kept; empty: ROOT/accelerator
  std::string default_machine = "q35";    // for hosts that name none
  int translation_cache_mib = 64;         // TCG's, per host
  std::string uefi_code, uefi_variables;  // empty: Debian's OVMF when it is installed; code "none": no UEFI
};

// kInvalid for options that cannot be; kConflict when another driver has the root open. Blocks up to 5 s for the first
// probe of KVM after a boot, and for the recovery of hosts.
Result<std::unique_ptr<Driver>> open_qemu_driver(QemuOptions options);

}  // namespace nuraghe::hypervisor
