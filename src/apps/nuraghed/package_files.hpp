// The files of a folder as those of a package of processes.
#pragma once

#include <string>

#include "base/result.hpp"
#include "bpel/engine.hpp"

namespace nuraghe::daemon {

// Adds what stands in the folder and below it under `prefix`. Errors as of reading; a file has at most 4 MiB.
Status add_files(bpel::Package& package, const std::string& folder, const std::string& prefix);

}  // namespace nuraghe::daemon
