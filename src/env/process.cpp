#include <fcntl.h>
#include <fmt/format.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <spawn.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <charconv>

#include "base/check.hpp"
#include "env/posix.hpp"

namespace nuraghe::env {
namespace {

using Steady = std::chrono::steady_clock;

constexpr std::size_t kOutputLimit = 1024 * 1024;
constexpr std::size_t kErrorsLimit = 64 * 1024;

// Writing to a pipe that nobody reads any more raises SIGPIPE in this thread: keeps it away from the program.
class SigpipeGuard {
 public:
  SigpipeGuard() {
    sigemptyset(&pipe_);
    sigaddset(&pipe_, SIGPIPE);
    sigset_t pending;
    sigpending(&pending);
    was_pending_ = sigismember(&pending, SIGPIPE) == 1;
    CHECK(pthread_sigmask(SIG_BLOCK, &pipe_, &before_) == 0);
  }
  ~SigpipeGuard() {
    if (!was_pending_) {
      const timespec at_once{};
      while (sigtimedwait(&pipe_, nullptr, &at_once) < 0 && errno == EINTR) {
      }
    }
    pthread_sigmask(SIG_SETMASK, &before_, nullptr);
  }
  SigpipeGuard(const SigpipeGuard&) = delete;
  SigpipeGuard& operator=(const SigpipeGuard&) = delete;

 private:
  sigset_t pipe_{};
  sigset_t before_{};
  bool was_pending_ = false;
};

struct Pipe {
  UniqueFd read;
  UniqueFd write;
};

// Both ends above 2, so that the child's dup2 calls never overwrite one that is still needed.
Result<Pipe> make_pipe() {
  std::array<int, 2> ends{};
  if (::pipe2(ends.data(), O_CLOEXEC) != 0) return system_error("pipe", errno);
  Pipe pipe{UniqueFd(ends[0]), UniqueFd(ends[1])};
  for (UniqueFd* end : {&pipe.read, &pipe.write}) {
    if (end->get() > 2) continue;
    UniqueFd moved(::fcntl(end->get(), F_DUPFD_CLOEXEC, 3));
    if (!moved.valid()) return system_error("dup", errno);
    *end = std::move(moved);
  }
  return pipe;
}

void set_nonblocking(const UniqueFd& fd) { CHECK(::fcntl(fd.get(), F_SETFL, O_NONBLOCK) == 0); }

struct SpawnActions {
  posix_spawn_file_actions_t files{};
  posix_spawnattr_t attributes{};
  SpawnActions() {
    CHECK(posix_spawn_file_actions_init(&files) == 0);
    CHECK(posix_spawnattr_init(&attributes) == 0);
  }
  ~SpawnActions() {
    posix_spawn_file_actions_destroy(&files);
    posix_spawnattr_destroy(&attributes);
  }
  SpawnActions(const SpawnActions&) = delete;
  SpawnActions& operator=(const SpawnActions&) = delete;
};

struct Child {
  pid_t pid = 0;
  UniqueFd pidfd;
  UniqueFd input;  // invalid: nothing (more) to write
  UniqueFd output;
  UniqueFd errors;
};

Result<Child> spawn(const std::vector<std::string>& argv, const CommandOptions& options) {
  TRY_ASSIGN(Pipe in, make_pipe());
  TRY_ASSIGN(Pipe out, make_pipe());
  TRY_ASSIGN(Pipe err, make_pipe());
  SpawnActions actions;
  if (!options.directory.empty()) {
    CHECK(posix_spawn_file_actions_addchdir_np(&actions.files, options.directory.c_str()) == 0);
  }
  CHECK(posix_spawn_file_actions_adddup2(&actions.files, in.read.get(), 0) == 0);
  CHECK(posix_spawn_file_actions_adddup2(&actions.files, out.write.get(), 1) == 0);
  CHECK(posix_spawn_file_actions_adddup2(&actions.files, err.write.get(), 2) == 0);
  // Descriptors that some library opened without close-on-exec do not leak either.
  CHECK(posix_spawn_file_actions_addclosefrom_np(&actions.files, 3) == 0);
  sigset_t all;
  sigset_t none;
  sigfillset(&all);
  sigemptyset(&none);
  posix_spawnattr_setsigdefault(&actions.attributes, &all);
  posix_spawnattr_setsigmask(&actions.attributes, &none);
  posix_spawnattr_setpgroup(&actions.attributes, 0);
  posix_spawnattr_setflags(&actions.attributes, POSIX_SPAWN_SETPGROUP | POSIX_SPAWN_SETSIGDEF | POSIX_SPAWN_SETSIGMASK);
  std::vector<char*> arguments;
  std::vector<std::string> copies = argv;
  arguments.reserve(copies.size() + 1);
  for (auto& argument : copies) arguments.push_back(argument.data());
  arguments.push_back(nullptr);
  Child child;
  const int error =
      posix_spawnp(&child.pid, arguments[0], &actions.files, &actions.attributes, arguments.data(), environ);
  if (error != 0) {
    const std::string where = options.directory.empty() ? "" : " in " + options.directory;
    return system_error(fmt::format("run {}{}", argv[0], where), error);
  }
  child.pidfd = UniqueFd(static_cast<int>(::syscall(SYS_pidfd_open, child.pid, 0)));
  if (!child.pidfd.valid()) {
    const int pidfd_error = errno;
    ::kill(-child.pid, SIGKILL);
    ::waitpid(child.pid, nullptr, 0);
    return system_error("pidfd_open of " + argv[0], pidfd_error);
  }
  child.output = std::move(out.read);
  child.errors = std::move(err.read);
  if (!options.input.empty()) child.input = std::move(in.write);
  set_nonblocking(child.output);
  set_nonblocking(child.errors);
  if (child.input.valid()) set_nonblocking(child.input);
  return child;
}

// Takes what is there now; what is over the limit is read and dropped, so that the writer never blocks.
void take(UniqueFd& fd, std::string& target, std::size_t limit) {
  std::array<char, 16384> buffer{};
  for (;;) {
    const ssize_t count = ::read(fd.get(), buffer.data(), buffer.size());
    if (count < 0 && errno == EINTR) continue;
    if (count < 0 && errno == EAGAIN) return;
    if (count <= 0) {
      fd.reset();
      return;
    }
    const std::size_t room = limit - std::min(limit, target.size());
    target.append(buffer.data(), std::min(room, static_cast<std::size_t>(count)));
  }
}

void give(UniqueFd& fd, std::string_view& input) {
  while (!input.empty()) {
    const ssize_t count = ::write(fd.get(), input.data(), input.size());
    if (count < 0 && errno == EINTR) continue;
    if (count < 0 && errno == EAGAIN) return;
    if (count < 0) break;  // EPIPE: it does not want the rest
    input.remove_prefix(static_cast<std::size_t>(count));
  }
  fd.reset();
}

// Serves the pipes until the process ended; false when the time is over before.
bool serve(Child& child, std::string_view input, CommandResult& result, Steady::time_point deadline) {
  for (;;) {
    std::array<pollfd, 4> polls{{{child.pidfd.get(), POLLIN, 0},
                                 {child.output.get(), POLLIN, 0},
                                 {child.errors.get(), POLLIN, 0},
                                 {child.input.get(), POLLOUT, 0}}};  // poll ignores negative descriptors
    const auto left = std::chrono::duration_cast<std::chrono::milliseconds>(deadline - Steady::now()).count();
    if (left <= 0) return false;
    const int ready = ::poll(polls.data(), polls.size(), static_cast<int>(std::min<std::int64_t>(left + 1, 60'000)));
    if (ready < 0 && errno != EINTR) return false;
    if (ready <= 0) continue;
    if (polls[1].revents != 0) take(child.output, result.output, kOutputLimit);
    if (polls[2].revents != 0) take(child.errors, result.errors, kErrorsLimit);
    if (polls[3].revents != 0) give(child.input, input);
    if (polls[0].revents == 0) continue;
    // What it wrote before its end stands in the pipes; a daemon that it left behind may hold them open for ever.
    if (child.output.valid()) take(child.output, result.output, kOutputLimit);
    if (child.errors.valid()) take(child.errors, result.errors, kErrorsLimit);
    return true;
  }
}

std::string last_line(const std::string& text) {
  const auto end = text.find_last_not_of("\r\n \t");
  if (end == std::string::npos) return {};
  const auto begin = text.find_last_of('\n', end);
  const std::size_t first = begin == std::string::npos ? 0 : begin + 1;
  return text.substr(first, end - first + 1);
}

struct Stat {
  char state = '?';
  std::int64_t start_ticks = 0;
};

// proc(5): after the command's closing parenthesis the third field is the state, the 22nd the start time.
Result<Stat> read_stat(pid_t pid) {
  auto text = read_file(fmt::format("/proc/{}/stat", pid));
  if (!text) return not_found(fmt::format("there is no process {}", pid));
  std::string_view rest = *text;
  const auto close = rest.rfind(')');
  if (close == std::string_view::npos || close + 2 >= rest.size()) return corrupt("the process's stat does not parse");
  rest.remove_prefix(close + 2);
  Stat stat;
  stat.state = rest.front();
  for (int field = 3; field < 22; ++field) {
    const auto space = rest.find(' ');
    if (space == std::string_view::npos) return corrupt("the process's stat does not parse");
    rest.remove_prefix(space + 1);
  }
  std::from_chars(rest.data(), rest.data() + rest.size(), stat.start_ticks);
  return stat;
}

}  // namespace

Result<CommandResult> run_command(const std::vector<std::string>& argv, const CommandOptions& options) {
  CHECK(!argv.empty());
  const SigpipeGuard no_sigpipe;
  TRY_ASSIGN(Child child, spawn(argv, options));
  const auto deadline = Steady::now() + options.timeout;
  CommandResult result;
  const bool ended = serve(child, options.input, result, deadline);
  // The unreaped leader keeps the group's number from being reused.
  if (!ended) ::kill(-child.pid, SIGKILL);
  int status = 0;
  while (::waitpid(child.pid, &status, 0) < 0) {
    if (errno != EINTR) return system_error("wait for " + argv[0], errno);
  }
  if (!ended) {
    return timed_out(fmt::format("{} did not end within {}", argv[0], format_duration(options.timeout)));
  }
  result.exit_code = WIFSIGNALED(status) ? 128 + WTERMSIG(status) : WEXITSTATUS(status);
  return result;
}

Result<std::string> run_command_ok(const std::vector<std::string>& argv, const CommandOptions& options) {
  TRY_ASSIGN(CommandResult result, run_command(argv, options));
  if (result.exit_code == 0) return std::move(result.output);
  std::string line = last_line(result.errors);
  if (line.empty()) line = last_line(result.output);
  return Error(ErrorCode::kUnavailable,
               fmt::format("{} ended with {}{}{}", argv[0], result.exit_code, line.empty() ? "" : ": ", line));
}

Result<ProcessId> identify_process(pid_t pid) {
  TRY_ASSIGN(const Stat stat, read_stat(pid));
  return ProcessId{pid, stat.start_ticks};
}

bool process_alive(const ProcessId& id) {
  const auto stat = read_stat(id.pid);
  return stat && stat->start_ticks == id.start_ticks && stat->state != 'Z' && stat->state != 'X';
}

}  // namespace nuraghe::env
