// The guest agent's protocol (QEMU guest agent 7.2, docs/interop/qemu-ga): JSON lines over the host's virtio-serial
// port. What was queued before is discarded by guest-sync-delimited: the answer that carries our id, after a 0xFF byte.
// QEMU holds what is written until the guest opens its end of the port, so waiting for the sync's answer is waiting for
// the agent. One thread at a time; one connection per port (the caller's lock).
#pragma once

#include <cstdint>
#include <string>

#include "base/result.hpp"
#include "env/posix.hpp"
#include "hypervisor/wait.hpp"

namespace nuraghe::hypervisor::qemu {

class AgentConnection {
 public:
  // `end_fd` becomes readable when the host ends: then every call is kUnavailable.
  AgentConnection(env::UniqueFd socket, int end_fd) : socket_(std::move(socket)), end_fd_(end_fd) {}

  // Returns when the agent answers.
  Status synchronise(const Deadline& deadline);
  // One command as JSON text; returns the JSON text of "return". kInvalid when the text is no JSON object; kUnavailable
  // with the agent's sentence when it answers with an error.
  Result<std::string> execute(const std::string& command, const Deadline& deadline);

 private:
  Status send(std::string text, const Deadline& deadline);
  Result<std::string> receive(const Deadline& deadline);  // one line, without 0xFF bytes before it

  env::UniqueFd socket_;
  int end_fd_;
  std::string input_;
  std::int64_t sync_id_ = 0;
  int late_answers_ = 0;  // to repeated syncs, still to come
};

}  // namespace nuraghe::hypervisor::qemu
