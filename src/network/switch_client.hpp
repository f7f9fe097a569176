// One question to a running switch.
// Threading: any; each call has its own connection.
#pragma once

#include "env/posix.hpp"
#include "network/configuration.hpp"
#include "network/protocol.hpp"

namespace nuraghe::network {

// The answer's line, for decode_answer. kNotFound when no switch serves the folder; kTimeout; kUnavailable when it
// ended meanwhile. `process`, when given, becomes a pidfd (pidfd_open(2)) of the switch that answered.
Result<std::string> ask_switch(const SwitchFiles& files, const Request& request, Duration timeout,
                               env::UniqueFd* process = nullptr);

}  // namespace nuraghe::network
