#include "network/switch_main.hpp"

#include <fcntl.h>
#include <fmt/format.h>
#include <poll.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <chrono>
#include <string>
#include <string_view>

#include "base/log.hpp"
#include "base/record.hpp"
#include "network/folder.hpp"
#include "network/switch.hpp"
#include "network/switch_client.hpp"

namespace nuraghe::network {

namespace {

using namespace std::chrono_literals;
using Steady = std::chrono::steady_clock;

constexpr auto kLockPatience = 5s;  // for a switch that is just ending
constexpr int kReadyFd = 3;

Status say(int fd, std::string_view text) {
  while (!text.empty()) {
    const ssize_t count = ::write(fd, text.data(), text.size());
    if (count < 0 && errno != EINTR) return system_error("write", errno);
    if (count > 0) text.remove_prefix(static_cast<std::size_t>(count));
  }
  return {};
}

int fail(std::string_view message) { return say(STDERR_FILENO, fmt::format("nuraghe-switch: {}\n", message)) ? 1 : 2; }

// Waits for the end of the lock's holder; kConflict when it does not end.
Status wait_for_owner(int fd, Steady::time_point deadline) {
  struct flock lock {};
  lock.l_type = F_WRLCK;
  lock.l_whence = SEEK_SET;
  if (::fcntl(fd, F_GETLK, &lock) != 0) return system_error("query the switch's lock", errno);
  if (lock.l_type == F_UNLCK) return {};
  const env::UniqueFd owner(static_cast<int>(::syscall(SYS_pidfd_open, lock.l_pid, 0)));
  if (!owner.valid()) return {};  // it ended between the two calls
  const auto left = std::chrono::duration_cast<std::chrono::milliseconds>(deadline - Steady::now()).count();
  pollfd event{owner.get(), POLLIN, 0};
  if (left > 0 && ::poll(&event, 1, static_cast<int>(left)) != 0) return {};
  return conflict(fmt::format("another switch, process {}, runs in this folder", lock.l_pid));
}

// For the life of this process; closing any descriptor of the file would give the lock up.
Status take_lock(const SwitchFiles& files) {
  const auto deadline = Steady::now() + kLockPatience;
  for (;;) {
    env::UniqueFd fd(::open(files.lock().c_str(), O_RDWR | O_CREAT | O_CLOEXEC, 0600));
    if (!fd.valid()) return system_error("open " + files.lock(), errno);
    struct flock lock {};
    lock.l_type = F_WRLCK;
    lock.l_whence = SEEK_SET;
    if (::fcntl(fd.get(), F_SETLK, &lock) != 0) {
      TRY(wait_for_owner(fd.get(), deadline));
      continue;
    }
    struct stat held {
    }, named{};
    if (::fstat(fd.get(), &held) == 0 && ::stat(files.lock().c_str(), &named) == 0 && held.st_ino == named.st_ino) {
      fd.release();
      return {};
    }  // else its holder removed it at its end, after it was opened here
  }
}

Status record_process(const SwitchFiles& files) {
  TRY_ASSIGN(const env::ProcessId self, env::identify_process(::getpid()));
  return env::write_file_durably(files.process(), encode_record(SwitchProcess{self.pid, self.start_ticks}), 0600);
}

// Standard input and output to nowhere, errors to the log, the starter's pipe to kReadyFd, nothing else stays open.
Status arrange_descriptors(const SwitchFiles& files, int ready) {
  const int log = ::open(files.log().c_str(), O_WRONLY | O_CREAT | O_APPEND, 0600);
  const int null = ::open("/dev/null", O_RDWR);
  if (log < 0 || null < 0) return system_error("open " + files.log(), errno);
  const int kept = ::fcntl(ready, F_DUPFD, 10);  // away from the numbers that are set now
  const int kept_log = ::fcntl(log, F_DUPFD, 10);
  if (kept < 0 || kept_log < 0) return system_error("dup", errno);
  ::dup2(null, STDIN_FILENO);
  ::dup2(null, STDOUT_FILENO);
  ::dup2(kept_log, STDERR_FILENO);
  ::dup3(kept, kReadyFd, O_CLOEXEC);
  ::close_range(kReadyFd + 1, ~0U, 0);
  return {};
}

void prepare_process() {
  ::setsid();
  ::umask(0077);
  [[maybe_unused]] const int moved = ::chdir("/");  // keeps no file system busy; it is always there
  ::prctl(PR_SET_NAME, "nuraghe-switch");
  sigset_t blocked;
  sigfillset(&blocked);
  for (const int number : {SIGSEGV, SIGBUS, SIGABRT, SIGFPE, SIGILL}) sigdelset(&blocked, number);
  ::sigprocmask(SIG_SETMASK, &blocked, nullptr);
  rlimit files{};
  if (::getrlimit(RLIMIT_NOFILE, &files) == 0) {
    files.rlim_cur = files.rlim_max;  // two descriptors a port
    ::setrlimit(RLIMIT_NOFILE, &files);
  }
}

// The daemon: tells its starter "+" or what went wrong, then serves.
int run_daemon(const SwitchFiles& files, const std::string& listen, int ready) {
  prepare_process();
  if (const Status arranged = arrange_descriptors(files, ready); !arranged) {
    return say(ready, arranged.error().to_string()) ? 1 : 2;
  }
  env::UniqueFd answer(kReadyFd);
  auto opened = [&]() -> Result<std::unique_ptr<Switch>> {
    TRY(take_lock(files));
    TRY(record_process(files));
    return Switch::open(files, listen);
  }();
  // A starter that was killed meanwhile does not matter: the next one finds this switch.
  const Status told = say(answer.get(), opened ? std::string("+") : opened.error().to_string());
  answer.reset();
  if (!opened) {
    log_error("network", "the switch cannot start", {{"why", opened.error().to_string()}});
    return told ? 1 : 2;
  }
  const Status ended = (*opened)->run();
  if (!ended) log_error("network", "the switch ends", {{"why", ended.error().to_string()}});
  return ended ? 0 : 1;
}

int run(const SwitchFiles& files, const std::string& listen) {
  if (const Status checked = check_folder(files.folder); !checked) return fail(checked.error().to_string());
  std::array<int, 2> ends{};
  if (::pipe2(ends.data(), O_CLOEXEC) != 0) return fail(system_error("pipe", errno).to_string());
  env::UniqueFd read(ends[0]), write(ends[1]);
  const pid_t daemon = ::fork();
  if (daemon < 0) return fail(system_error("fork", errno).to_string());
  if (daemon == 0) ::_exit(run_daemon(files, listen, write.get()));
  write.reset();
  std::string answer;
  std::array<char, 512> buffer{};
  for (;;) {
    const ssize_t count = ::read(read.get(), buffer.data(), buffer.size());
    if (count < 0 && errno == EINTR) continue;
    if (count <= 0) break;
    answer.append(buffer.data(), static_cast<std::size_t>(count));
  }
  if (answer == "+") return 0;
  return fail(answer.empty() ? "it ended while it started: see " + files.log() : answer);
}

int show(const SwitchFiles& files) {
  Request request;
  request.command = Command::kCounters;
  const auto answer = ask_switch(files, request, 10s);
  if (!answer) return fail(answer.error().to_string());
  return say(STDOUT_FILENO, *answer + "\n") ? 0 : 2;
}

}  // namespace

int switch_main(int argc, char** argv) {
  const std::string_view verb = argc > 1 ? argv[1] : "";
  const std::string folder = argc > 2 ? argv[2] : "";
  ::signal(SIGPIPE, SIG_IGN);
  if (folder.starts_with("/")) {
    if (verb == "run" && argc <= 4) return run(SwitchFiles{folder}, argc == 4 ? argv[3] : "");
    if (verb == "show" && argc == 3) return show(SwitchFiles{folder});
  }
  const Status said = say(STDERR_FILENO,
                          "usage: nuraghe-switch run FOLDER [unix:PATH | udp:ADDRESS:PORT]\n"
                          "       nuraghe-switch show FOLDER\n"
                          "FOLDER is an absolute path. nuraghed starts the switch by itself; 'show' prints its ports, "
                          "peers and counters.\n");
  return said ? 64 : 2;
}

}  // namespace nuraghe::network
