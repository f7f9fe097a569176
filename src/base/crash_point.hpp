// Crash points: numbered places where a process may be killed by a test, to prove that every place is safe.
//
// Every store commit and every outgoing message passes one. Each crossing is numbered from 1 on; when the number equals
// the one that arm_crash_point was given, the process ends by SIGKILL there and then. Programs arm it from their
// command line (--crash-at N); nothing else does. Thread safe.
#pragma once

#include <cstdint>

namespace nuraghe {

enum class CrashPoint { kBeforeCommit, kAfterCommit, kBeforeSend };

// Passes one crash point: counts it and, when it is the armed one, kills the process.
void pass_crash_point(CrashPoint point);
// Arms the Nth crossing from now on; 0 disarms. Resets the count.
void arm_crash_point(std::uint64_t number);
// Crossings since the process began or was armed.
std::uint64_t crash_points_passed();

}  // namespace nuraghe
