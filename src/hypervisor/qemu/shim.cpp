#include "hypervisor/qemu/shim.hpp"

#include <fcntl.h>
#include <fmt/format.h>
#include <poll.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/signalfd.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/timerfd.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <cstring>
#include <string>
#include <string_view>

#include "env/posix.hpp"
#include "hypervisor/qemu/host_files.hpp"

namespace nuraghe::hypervisor::qemu {

namespace {

// Relative names: the host's folder is the working directory.
constexpr const char* kRecordFile = "shim";
constexpr const char* kLockFile = "shim.lock";
constexpr const char* kLaunchFile = "launch";

struct Pipe {
  env::UniqueFd read, write;
};
Result<Pipe> make_pipe() {
  std::array<int, 2> ends{};
  if (::pipe2(ends.data(), O_CLOEXEC) != 0) return system_error("pipe", errno);
  return Pipe{env::UniqueFd(ends[0]), env::UniqueFd(ends[1])};
}

// Above the numbers under which QEMU gets its own, so that moving one there never closes another.
Result<env::UniqueFd> move_up(env::UniqueFd fd) {
  env::UniqueFd moved(::fcntl(fd.get(), F_DUPFD_CLOEXEC, 10));
  if (!moved.valid()) return system_error("dup", errno);
  return moved;
}

Result<env::UniqueFd> listen_on(const char* name) {
  ::unlink(name);
  env::UniqueFd fd(::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0));
  if (!fd.valid()) return system_error("socket", errno);
  sockaddr_un address{};
  address.sun_family = AF_UNIX;
  std::strncpy(address.sun_path, name, sizeof address.sun_path - 1);
  if (::bind(fd.get(), reinterpret_cast<const sockaddr*>(&address), sizeof address) != 0 ||
      ::listen(fd.get(), 4) != 0) {
    return system_error(fmt::format("listen on {}", name), errno);
  }
  return move_up(std::move(fd));
}

Status take_lock() {
  env::UniqueFd fd(::open(kLockFile, O_RDWR | O_CREAT | O_CLOEXEC, 0600));
  if (!fd.valid()) return system_error("open shim.lock", errno);
  TRY_ASSIGN(fd, move_up(std::move(fd)));
  struct flock lock {};
  lock.l_type = F_WRLCK;
  lock.l_whence = SEEK_SET;
  if (::fcntl(fd.get(), F_SETLK, &lock) != 0) return conflict("another shim runs in this folder");
  fd.release();  // for the life of this process; closing any descriptor of the file would give the lock up
  return {};
}

Status allowed_to_start(std::string_view token) {
  TRY_ASSIGN(const std::string wanted, env::read_file(kLaunchFile, kib(4)));
  if (wanted != token) return conflict("this start was withdrawn");
  return {};
}

class Shim {
 public:
  Status start(char** program);
  void serve();

 private:
  Status prepare();
  [[noreturn]] void become_qemu(char** program);
  Status save() const { return replace_file(kRecordFile, encode_record(record_)); }
  void take_stderr();
  bool on_signal();  // false: QEMU ended
  void free_console() const;

  ShimRecord record_;
  env::UniqueFd qmp_, agent_, console_, events_, signals_, stderr_, stderr_write_, timer_;
  pid_t qemu_ = 0;
};

Status Shim::prepare() {
  sigset_t all;
  sigfillset(&all);
  ::sigprocmask(SIG_BLOCK, &all, nullptr);
  sigset_t handled;
  sigemptyset(&handled);
  for (const int number : {SIGCHLD, SIGTERM, SIGINT, SIGHUP}) sigaddset(&handled, number);
  signals_ = env::UniqueFd(::signalfd(-1, &handled, SFD_CLOEXEC | SFD_NONBLOCK));
  timer_ = env::UniqueFd(::timerfd_create(CLOCK_MONOTONIC, TFD_CLOEXEC | TFD_NONBLOCK));
  if (!signals_.valid() || !timer_.valid()) return system_error("signalfd", errno);
  const itimerspec every{{5, 0}, {5, 0}};
  ::timerfd_settime(timer_.get(), 0, &every, nullptr);
  TRY_ASSIGN(qmp_, listen_on(kQmpSocket));
  TRY_ASSIGN(agent_, listen_on(kAgentSocket));
  TRY_ASSIGN(console_, listen_on(kConsoleSocket));
  TRY_ASSIGN(events_, listen_on(kEventsSocket));
  TRY_ASSIGN(Pipe pipe, make_pipe());
  ::fcntl(pipe.read.get(), F_SETFL, O_NONBLOCK);
  TRY_ASSIGN(stderr_, move_up(std::move(pipe.read)));
  TRY_ASSIGN(stderr_write_, move_up(std::move(pipe.write)));
  return {};
}

// In the child. From here on only QEMU's stderr can say what went wrong.
void Shim::become_qemu(char** program) {
  const pid_t shim = static_cast<pid_t>(record_.shim_pid);
  ::prctl(PR_SET_PDEATHSIG, SIGKILL);
  if (::getppid() != shim) ::_exit(127);
  ::dup2(stderr_write_.get(), STDOUT_FILENO);
  ::dup2(stderr_write_.get(), STDERR_FILENO);
  ::dup2(qmp_.get(), kQmpFd);
  ::dup2(agent_.get(), kAgentFd);
  ::dup2(console_.get(), kConsoleFd);
  ::dup2(events_.get(), kEventsFd);
  ::close_range(kEventsFd + 1, ~0U, 0);
  sigset_t none;
  sigemptyset(&none);
  ::sigprocmask(SIG_SETMASK, &none, nullptr);
  ::signal(SIGPIPE, SIG_DFL);
  ::execvp(program[0], program);
  const std::string message = fmt::format("{}: {}\n", program[0], std::strerror(errno));
  if (::write(STDERR_FILENO, message.data(), message.size()) < 0) ::_exit(126);
  ::_exit(127);
}

Status Shim::start(char** program) {
  TRY_ASSIGN(const auto self, env::identify_process(::getpid()));
  record_.shim_pid = self.pid;
  record_.shim_ticks = self.start_ticks;
  TRY(save());
  TRY(prepare());
  qemu_ = ::fork();
  if (qemu_ < 0) return system_error("fork", errno);
  if (qemu_ == 0) become_qemu(program);
  for (env::UniqueFd* fd : {&qmp_, &agent_, &console_, &events_, &stderr_write_}) fd->reset();
  record_.qemu_pid = qemu_;
  // It may have ended already: then it is a zombie of ours and still has its identity.
  if (const auto id = env::identify_process(qemu_)) record_.qemu_ticks = id->start_ticks;
  return save();
}

void Shim::take_stderr() {
  std::array<char, 4096> buffer{};
  for (;;) {
    const ssize_t count = ::read(stderr_.get(), buffer.data(), buffer.size());
    if (count < 0 && errno == EINTR) continue;
    if (count == 0) stderr_.reset();
    if (count <= 0) return;
    auto& tail = record_.stderr_tail;
    tail.append(buffer.data(), static_cast<std::size_t>(count));
    const auto limit = static_cast<std::size_t>(kStderrTail.count);
    if (tail.size() > limit) tail.erase(0, tail.size() - limit);
  }
}

bool Shim::on_signal() {
  signalfd_siginfo info{};
  while (::read(signals_.get(), &info, sizeof info) == sizeof info) {
    if (info.ssi_signo != SIGCHLD) ::kill(qemu_, SIGKILL);  // ours until reaped: the pid cannot be another's
  }
  for (;;) {
    int status = 0;
    const pid_t pid = ::waitpid(-1, &status, WNOHANG);
    if (pid <= 0) return true;
    if (pid != qemu_) continue;
    record_.ended = true;
    record_.exit_status = status;
    return false;
  }
}

void Shim::free_console() const {
  std::uint64_t expirations = 0;
  if (::read(timer_.get(), &expirations, sizeof expirations) < 0) return;
  free_old_part(kConsoleLog, kConsoleKept);
}

void Shim::serve() {
  bool running = true;
  while (running) {
    std::array<pollfd, 3> polls{{{signals_.get(), POLLIN, 0}, {stderr_.get(), POLLIN, 0}, {timer_.get(), POLLIN, 0}}};
    if (::poll(polls.data(), polls.size(), -1) < 0 && errno != EINTR) break;
    if (polls[1].revents != 0) take_stderr();
    if (polls[2].revents != 0) free_console();
    if (polls[0].revents != 0) running = on_signal();
  }
  if (stderr_.valid()) take_stderr();
  // Nobody is left to tell when this fails; the controller then says that the shim could not say how QEMU ended.
  if (!env::write_file_durably(kRecordFile, encode_record(record_), 0600)) ::_exit(1);
}

// The daemon's half: tells the starter "" (started) or what went wrong, then serves.
int run_daemon(env::UniqueFd answer, char** argv) {
  ::setsid();
  ::prctl(PR_SET_CHILD_SUBREAPER, 1);
  ::prctl(PR_SET_NAME, "nuraghe-shim");
  ::umask(0077);
  const int null = ::open("/dev/null", O_RDWR);
  for (const int fd : {STDIN_FILENO, STDOUT_FILENO, STDERR_FILENO}) ::dup2(null, fd);
  if (answer.get() != 10) ::dup3(answer.get(), 10, O_CLOEXEC);
  ::close_range(3, 9, 0);
  ::close_range(11, ~0U, 0);
  answer.release();
  answer = env::UniqueFd(10);
  Shim shim;
  const Status started = [&]() -> Status {
    TRY(take_lock());
    TRY(allowed_to_start(argv[2]));
    return shim.start(argv + 3);
  }();
  const std::string message = started ? std::string("+") : started.error().to_string();
  // A starter that was killed meanwhile (EPIPE; SIGPIPE is blocked or ignored) does not matter: the host is found
  // again.
  const ssize_t told = ::write(answer.get(), message.data(), message.size());
  answer.reset();
  if (!started) return told < 0 ? 2 : 1;
  shim.serve();
  return 0;
}

}  // namespace

int shim_main(int argc, char** argv) {
  const auto fail = [](std::string_view message) {
    const std::string line = fmt::format("nuraghe-shim: {}\n", message);
    return ::write(STDERR_FILENO, line.data(), line.size()) < 0 ? 2 : 1;
  };
  if (argc < 4) return fail("usage: nuraghe-shim FOLDER TOKEN PROGRAM ARGUMENTS...");
  if (::chdir(argv[1]) != 0) return fail(system_error(fmt::format("chdir {}", argv[1]), errno).to_string());
  ::signal(SIGPIPE, SIG_IGN);
  auto pipe = make_pipe();
  if (!pipe) return fail(pipe.error().to_string());
  const pid_t daemon = ::fork();
  if (daemon < 0) return fail(system_error("fork", errno).to_string());
  if (daemon == 0) {
    pipe->read.reset();
    ::_exit(run_daemon(std::move(pipe->write), argv));
  }
  pipe->write.reset();
  std::string answer;
  std::array<char, 512> buffer{};
  for (;;) {
    const ssize_t count = ::read(pipe->read.get(), buffer.data(), buffer.size());
    if (count < 0 && errno == EINTR) continue;
    if (count <= 0) break;
    answer.append(buffer.data(), static_cast<std::size_t>(count));
  }
  if (answer == "+") return 0;
  return fail(answer.empty() ? "it ended before QEMU was started" : answer);
}

}  // namespace nuraghe::hypervisor::qemu
