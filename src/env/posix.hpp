// The real world: system clock, getrandom, files and processes of the operating system.
#pragma once

#include <sys/types.h>

#include <map>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "base/result.hpp"
#include "base/units.hpp"
#include "env/env.hpp"

namespace nuraghe::env {

Clock& system_clock();
Random& system_random();

// A file descriptor that closes itself.
class UniqueFd {
 public:
  UniqueFd() = default;
  explicit UniqueFd(int fd) : fd_(fd) {}
  UniqueFd(UniqueFd&& other) noexcept : fd_(other.release()) {}
  UniqueFd& operator=(UniqueFd&& other) noexcept {
    reset(other.release());
    return *this;
  }
  UniqueFd(const UniqueFd&) = delete;
  UniqueFd& operator=(const UniqueFd&) = delete;
  ~UniqueFd() { reset(); }
  int get() const { return fd_; }
  bool valid() const { return fd_ >= 0; }
  int release() {
    const int fd = fd_;
    fd_ = -1;
    return fd;
  }
  void reset(int fd = -1);

 private:
  int fd_ = -1;
};

// ---- files; every path is absolute or relative to the working directory, every error names the path ----
Result<std::string> read_file(const std::string& path, Bytes limit = mib(64));
// Writes a temporary beside it, fsyncs, renames over, fsyncs the folder: the file is the old or the new one, whole.
Status write_file_durably(const std::string& path, std::string_view content, mode_t mode = 0644);
Status make_directories(const std::string& path, mode_t mode = 0755);
// Removes a file or a whole tree; no error when it is not there.
Status remove_tree(const std::string& path);
bool path_exists(const std::string& path);
Result<std::vector<std::string>> list_directory(const std::string& path);  // names, sorted, without . and ..
Result<Bytes> free_space(const std::string& path);                         // of the file system that holds it
Status fsync_path(const std::string& path);                                // file or directory

// ---- processes ----
struct CommandResult {
  int exit_code = -1;  // 128 + signal when killed by a signal
  std::string output;  // standard output, at most 1 MiB
  std::string errors;  // standard error, at most 64 KiB
};
struct CommandOptions {
  std::string input;      // standard input
  std::string directory;  // working directory; empty: inherited
  Duration timeout = std::chrono::seconds(60);
};
// Runs argv[0] (looked up in PATH) without a shell, waits until it ends. kTimeout kills its whole process group.
Result<CommandResult> run_command(const std::vector<std::string>& argv, const CommandOptions& options = {});
// As run_command, but a non-zero exit is an error that quotes the last line of standard error.
Result<std::string> run_command_ok(const std::vector<std::string>& argv, const CommandOptions& options = {});

// Identifies one process for ever: pids are reused, (pid, start time in clock ticks since boot) are not.
struct ProcessId {
  pid_t pid = 0;
  std::int64_t start_ticks = 0;
};
Result<ProcessId> identify_process(pid_t pid);  // kNotFound when there is none
bool process_alive(const ProcessId& id);        // false also for a zombie

}  // namespace nuraghe::env
