// What the qemu driver keeps on disk: the tree, the names in it and the records. No decisions here.
//
//   ROOT/                          mode 0700, one per physical host (VHC)
//     lock                         held by flock while a driver is open over ROOT
//     instance                     a random id: names this root's folder of guest memory
//     accelerator                  the answer of the KVM probe, kept until the next boot of the physical host
//     hosts/ID/                    mode 0700, one virtual host; the shim and QEMU have it as working directory
//       spec                       HostSpec record, as it was created
//       state                      HostRecord: the truth about the host; replaced as a whole
//       launch                     token of the start that is allowed; no launch file, no start
//       shim.lock                  locked (fcntl) by the shim as long as it lives: its pid is the lock's owner
//       shim                       ShimRecord: who runs, or how QEMU ended and its last words
//       qmp.sock agent.sock console.sock events.sock     made by the shim, handed to QEMU as listening descriptors
//       console.log                everything on the serial console; the shim frees all but its last MiB
//       disk-NAME.qcow2            writable overlay of each disk
//       uefi-vars.fd               variables of the firmware, with firmware="uefi"
//       memory device              only while frozen: non-zero pages of the RAM (sparse), and the device state
//     tombstones/ID                TombstoneRecord of a destroyed host, until forget()
//   MEMORY_ROOT/INSTANCE/ID        guest RAM, on tmpfs, while the host runs (/dev/shm/nuraghe-UID/... by default)
//
// A running host cannot outlive the physical host's power, so its files are replaced atomically but not fsynced; what a
// frozen host needs is fsynced before its state says frozen, and so are tombstones. Sockets are reached through
// /proc/self/fd/N/NAME, so a long ROOT does not meet the 108 bytes of a socket address.
#pragma once

#include <map>
#include <string>
#include <string_view>

#include "base/record.hpp"
#include "base/result.hpp"
#include "base/units.hpp"
#include "env/posix.hpp"
#include "hypervisor/driver.hpp"
#include "hypervisor/files.hpp"

namespace nuraghe::hypervisor::qemu {

// Phases of the record; those in the middle of something are resolved by the next verb or the next driver.
enum class Phase {
  kCreating = 1,  // → removed, kFailed
  kRunning = 2,
  kPaused = 3,
  kPausing = 4,     // → what QEMU says
  kResuming = 5,    // → what QEMU says
  kFreezing = 6,    // → kRunning or kPaused, its files removed
  kFrozen = 7,      // QEMU and RAM may still be there: removed
  kThawing = 8,     // → kFrozen
  kContinuing = 9,  // thawed, about to run: → kRunning
  kFailed = 10,     // its creation failed; nothing runs
  kLost = 11,       // QEMU ended by itself
};

struct HostRecord {
  Phase phase = Phase::kCreating;
  TimePoint since;
  std::string boot_id;        // of the physical host, when it was started
  std::string reason;         // of kFailed and kLost; of kPaused: why QEMU stopped by itself, empty when it was told to
  bool was_paused = false;    // before kFreezing, or when it was lost
  std::string generation_id;  // VMGenID
  std::map<std::string, bool> links;               // NIC name → cable plugged in
  Bytes memory_saved, device_state, disk_overlay;  // of the last freeze
  Duration guest_pause{};
  template <class Visitor>
  void fields(Visitor& v) {
    v(1, phase), v(2, since), v(3, boot_id), v(4, reason), v(5, was_paused), v(6, generation_id), v(7, links);
    v(8, memory_saved), v(9, device_state), v(10, disk_overlay), v(11, guest_pause);
  }
};

struct TombstoneRecord {
  TimePoint since;
  std::string reason;        // of its failure or loss, when there was one
  std::string console_tail;  // at most kTombstoneConsole
  template <class Visitor>
  void fields(Visitor& v) {
    v(1, since), v(2, reason), v(3, console_tail);
  }
};
inline constexpr Bytes kTombstoneConsole = kib(16);

// Written by the shim.
struct ShimRecord {
  std::int64_t shim_pid = 0, shim_ticks = 0;
  std::int64_t qemu_pid = 0, qemu_ticks = 0;
  bool ended = false;
  int exit_status = 0;  // as of waitpid
  std::string stderr_tail;
  template <class Visitor>
  void fields(Visitor& v) {
    v(1, shim_pid), v(2, shim_ticks), v(3, qemu_pid), v(4, qemu_ticks), v(5, ended), v(6, exit_status);
    v(7, stderr_tail);
  }
};
// "QEMU exited with status 1: <last line>", "QEMU was killed by signal 9 (Killed)".
std::string exit_reason(const ShimRecord& record);

// The names within one host's folder.
struct HostFiles {
  std::string folder;  // ROOT/hosts/ID
  std::string ram;     // MEMORY_ROOT/INSTANCE/ID
  std::string spec() const { return folder + "/spec"; }
  std::string state() const { return folder + "/state"; }
  std::string launch() const { return folder + "/launch"; }
  std::string shim_lock() const { return folder + "/shim.lock"; }
  std::string shim() const { return folder + "/shim"; }
  std::string console_log() const { return folder + "/console.log"; }
  std::string memory() const { return folder + "/memory"; }
  std::string device() const { return folder + "/device"; }
  std::string uefi_vars() const { return folder + "/uefi-vars.fd"; }
  std::string overlay(std::string_view disk) const;
};
inline constexpr const char* kQmpSocket = "qmp.sock";
inline constexpr const char* kAgentSocket = "agent.sock";
inline constexpr const char* kConsoleSocket = "console.sock";
inline constexpr const char* kEventsSocket = "events.sock";  // a second monitor, for whoever listens all the time
inline constexpr const char* kConsoleLog = "console.log";

// The last `limit` bytes of a file; empty when it is not there.
Result<std::string> read_tail(const std::string& path, Bytes limit);
// When a growing file takes more than twice `kept`, frees all but its last `kept` bytes. Its size stays, so that
// readers who follow it keep their place; the freed part reads as zeros. Where the file system has no holes it just
// grows.
void free_old_part(const std::string& path, Bytes kept);
// Bytes that a file really takes on its file system; 0 when it is not there.
Bytes allocated_size(const std::string& path);
// A connected stream socket to folder/name.
Result<env::UniqueFd> connect_in(const std::string& folder, const char* name);
// A random GUID, as VMGenID takes it.
std::string new_generation_id();
// The id of this boot of the physical host.
std::string current_boot_id();

}  // namespace nuraghe::hypervisor::qemu
