// From a host's specification to QEMU's command line. Pure: no file is touched, equal input gives equal output, and a
// thawed host gets the very devices that it was frozen with.
//
// Every value that comes from a specification is checked here first: nothing in it can become another option of QEMU.
#pragma once

#include <string>
#include <vector>

#include "base/result.hpp"
#include "hypervisor/driver.hpp"
#include "hypervisor/qemu/host_files.hpp"

namespace nuraghe::hypervisor::qemu {

// The processor of a virtual host under KVM.
inline constexpr const char* kKvmProcessor = "host";

struct MachineSettings {
  std::string qemu_program = "qemu-system-x86_64";
  std::string default_machine = "q35";
  std::string accelerator = "tcg";
  int translation_cache_mib = 64;  // tb-size of TCG
  std::string uefi_code;           // path of the firmware for firmware="uefi"
  std::int64_t clock_khz = 0;      // of the time stamp counter that TCG shows its guests; 0: not to be told
};

// kInvalid with the field and what would be right; kUnsupported for what this driver has not.
Status check_spec(const HostSpec& spec, const MachineSettings& settings);

// `load_state`: start with the devices of a frozen host to come (-incoming defer). The guest never runs at once (-S).
// Requires check_spec. Paths of the host's own files are relative to its folder.
std::vector<std::string> command_line(const HostSpec& spec, const HostFiles& files, const HostRecord& record,
                                      const MachineSettings& settings, bool load_state);

// The node of a disk, by its place in the specification, for QMP.
std::string disk_node(std::size_t index);
// The id of a NIC's device, for QMP.
std::string nic_device(const std::string& nic_name);

// Doubles commas, as the values of QEMU's key=value options need it.
std::string escape_commas(std::string_view value);

}  // namespace nuraghe::hypervisor::qemu
