// The state folder of a daemon: whose it is, and which TCP port belongs to it.
#pragma once

#include <string>

#include "base/result.hpp"
#include "env/posix.hpp"

namespace nuraghe::controller {

// FOLDER/lock, held until this process ends, however it does: a second daemon would take the databases from the first.
// kConflict when another holds it.
Result<env::UniqueFd> lock_state(const std::string& folder, const std::string& program);

// The port to listen on: `wanted` unless that is 0, else the one of before (FOLDER/port), else any free one of
// `address` (an IPv4 or IPv6 address); written to FOLDER/port. References to hosts carry it, so it is kept.
Result<int> choose_port(const std::string& folder, const std::string& address, int wanted);

}  // namespace nuraghe::controller
