// The folder of a switch.
#pragma once

#include <string>

#include "base/result.hpp"

namespace nuraghe::network {

// kInvalid when socket paths in the folder would be too long, kDenied when it is not this user's alone (who may write
// in it may plug into every network), kNotFound when it is not there.
Status check_folder(const std::string& folder);

}  // namespace nuraghe::network
