// The rate of the clock that a guest sees under TCG: QEMU hands on the time stamp counter of the physical host.
#pragma once

#include <cstdint>

namespace nuraghe::hypervisor::qemu {

// In kHz, measured once in the life of the process (20 ms), to a few millionths; 0 where there is no such counter.
std::int64_t guest_clock_khz();

}  // namespace nuraghe::hypervisor::qemu
