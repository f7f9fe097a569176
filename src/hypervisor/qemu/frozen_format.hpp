// What a frozen host asks of the QEMU that is to go on with it.
#pragma once

#include <string>

#include "base/result.hpp"

namespace nuraghe::hypervisor::qemu {

// "qemu 7.2 tcg", "qemu 7.2 kvm 3f2a…": version (its device state and machine types are those of major.minor),
// accelerator, and with KVM, where guests see the processor as it is, which one. Runs the program once.
Result<std::string> find_frozen_format(const std::string& qemu_program, const std::string& accelerator);

// "7.2" of "QEMU emulator version 7.2.19 (Debian 1:7.2+dfsg-7+deb12u15)…"; kUnsupported for other texts.
Result<std::string> qemu_version(const std::string& text);
// One word for the processor that /proc/cpuinfo describes: its model and what it can do.
std::string processor_word(const std::string& cpuinfo);

}  // namespace nuraghe::hypervisor::qemu
