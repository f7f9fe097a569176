// QMP: one connection to one QEMU's monitor (QEMU 7.2, docs/interop/qmp-spec and qapi). Typed calls for what the driver
// needs; JSON stays inside.
// One thread at a time. Every call waits until its deadline; after an error of the connection (kUnavailable: QEMU
// ended; kTimeout; kCancelled) the object is of no more use.
#pragma once

#include <deque>
#include <optional>
#include <string>
#include <string_view>

#include "base/result.hpp"
#include "env/posix.hpp"
#include "hypervisor/wait.hpp"

namespace nuraghe::hypervisor::qemu {

// A disk whose transfer failed and stopped the guest.
struct DiskFailure {
  std::string node;      // of -blockdev
  bool is_full = false;  // there was no space left where it is stored
};

class Qmp {
 public:
  // Connects to folder/qmp.sock, reads the greeting, negotiates. kUnavailable when nobody answers there.
  static Result<Qmp> open(const std::string& folder, const Deadline& deadline);
  explicit Qmp(env::UniqueFd socket) : socket_(std::move(socket)) {}
  // Greeting and negotiation on a connected socket (for tests; open() does it).
  Status negotiate(const Deadline& deadline);

  // One command; `arguments` is a JSON object or empty. Returns the JSON text of "return"; kUnavailable with QEMU's
  // sentence for an error answer of class GenericError and the like.
  Result<std::string> execute(std::string_view command, const std::string& arguments, const Deadline& deadline);
  // As execute, handing a descriptor over with the command (getfd, add-fd).
  Result<std::string> execute_with_fd(std::string_view command, const std::string& arguments, int fd,
                                      const Deadline& deadline);

  Result<std::string> status(const Deadline& deadline);  // "running", "paused", "prelaunch", "postmigrate", ...
  // The first disk that failed since the guest last ran; nullopt: none.
  Result<std::optional<DiskFailure>> disk_failure(const Deadline& deadline);
  Status stop(const Deadline& deadline);
  Status cont(const Deadline& deadline);
  Status set_link(std::string_view nic_device, bool up, const Deadline& deadline);
  // Saves the device state to the descriptor, the RAM stays in its shared file. The guest must be stopped.
  Status save_devices(int fd, const Deadline& deadline);
  // The inverse, for a QEMU that was started with -incoming defer; the guest stays stopped.
  Status load_devices(int fd, const Deadline& deadline);

 private:
  Status send(std::string_view text, int fd);
  Result<std::string> receive(const Deadline& deadline);  // one line
  Status await_migration(const Deadline& deadline);

  env::UniqueFd socket_;
  std::string input_;
  std::deque<std::string> events_;  // MIGRATION states that arrived while a command was awaited
};

}  // namespace nuraghe::hypervisor::qemu
