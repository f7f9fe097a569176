// EventLink: one connection to a QEMU's second monitor, on which nothing is asked but once how it is, and which tells
// when the guest stands still (QMP: events STOP and BLOCK_IO_ERROR, query-status). Never blocks. One thread at a time.
#pragma once

#include <string>

#include "env/posix.hpp"

namespace nuraghe::hypervisor::qemu {

class EventLink {
 public:
  explicit EventLink(env::UniqueFd socket) : socket_(std::move(socket)) {}
  int fd() const { return socket_.get(); }  // readable: call read()

  enum class Said {
    kNothing,
    kStopped,  // the guest stood still at that moment; why, and whether it does still, is to be asked
    kEnded,    // of no more use
  };
  Said read();

 private:
  Said take(const std::string& line);
  bool ask();

  env::UniqueFd socket_;
  std::string input_;
};

}  // namespace nuraghe::hypervisor::qemu
