// Which accelerator runs guests here. /dev/kvm that opens and creates a virtual machine proves nothing: on some
// physical hosts an ordinary guest hangs under it, or QEMU ends when it sets the processor up. So KVM is used only
// where a guest of ours ran on the machine and the processor that virtual hosts get: a boot sector (probe_guest.S),
// booted by the firmware, which enters long mode, takes two timer interrupts and then leaves through QEMU's exit
// device.
#pragma once

#include <string>

#include "base/result.hpp"

namespace nuraghe::hypervisor::qemu {

struct Accelerator {
  std::string name;    // "kvm" or "tcg"
  std::string reason;  // why not KVM; for KVM: how it was found out
  template <class Visitor>
  void fields(Visitor& v) {
    v(1, name), v(2, reason);
  }
};

// `wish`: "auto" probes KVM, "tcg" and "kvm" take it without a probe (kInvalid for anything else). The probe takes at
// most 5 s; its answer is kept in `cache_file` until the next boot of the physical host or another QEMU program. Files
// of the probe are made beside `cache_file` and removed. Thread safe for different cache files.
Result<Accelerator> choose_accelerator(const std::string& wish, const std::string& qemu_program,
                                       const std::string& cache_file);

}  // namespace nuraghe::hypervisor::qemu
