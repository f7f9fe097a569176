// What every daemon's main() does around its daemon.
#pragma once

#include <functional>
#include <string>

namespace nuraghe::controller {

// The folder that this program stands in.
std::string own_folder();
// contracts/ or workflows/: below share/nuraghe when installed, beside bin/ in a build tree.
std::string data_folder(const std::string& programs, const std::string& name);

// Before any thread is made: SIGTERM, SIGINT and SIGHUP wait for run_until_told, SIGPIPE is ignored, and as many files
// may be open as the system allows: every request that waits for a virtual host holds a connection.
void prepare_process();
// Until SIGTERM or SIGINT comes, or `failed` answers true (asked every second). `tick` is called every second, and with
// true when SIGHUP came: what stands in files is to be read again.
void run_until_told(const std::function<bool()>& failed, const std::function<void(bool reread)>& tick = {});

}  // namespace nuraghe::controller
