// What every daemon's main() does around its daemon.
#pragma once

#include <functional>
#include <string>

namespace nuraghe::controller {

// The folder that this program stands in.
std::string own_folder();
// contracts/ or workflows/: below share/nuraghe when installed, beside bin/ in a build tree.
std::string data_folder(const std::string& programs, const std::string& name);

// Before any thread is made: SIGTERM and SIGINT wait for run_until_told, SIGPIPE is ignored, and as many files may be
// open as the system allows: every request that waits for a virtual host holds a connection.
void prepare_process();
// Until SIGTERM or SIGINT comes, or `failed` answers true (asked every second).
void run_until_told(const std::function<bool()>& failed);

}  // namespace nuraghe::controller
