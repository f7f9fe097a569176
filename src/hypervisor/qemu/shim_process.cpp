#include "hypervisor/qemu/shim_process.hpp"

#include <fcntl.h>
#include <fmt/format.h>
#include <signal.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <cerrno>

namespace nuraghe::hypervisor::qemu {

namespace {

using namespace std::chrono_literals;

// The owner of the lock on shim.lock; 0 when nobody holds it.
Result<pid_t> lock_owner(int fd) {
  struct flock lock {};
  lock.l_type = F_WRLCK;
  lock.l_whence = SEEK_SET;
  if (::fcntl(fd, F_OFD_GETLK, &lock) != 0) return system_error("query the lock of a shim", errno);
  return lock.l_type == F_UNLCK ? pid_t{0} : lock.l_pid;
}

Result<env::UniqueFd> open_pidfd(pid_t pid) {
  env::UniqueFd fd(static_cast<int>(::syscall(SYS_pidfd_open, pid, 0)));
  if (!fd.valid()) return system_error(fmt::format("pidfd_open {}", pid), errno);
  return fd;
}

void signal_process(const env::UniqueFd& pidfd, int number) {
  ::syscall(SYS_pidfd_send_signal, pidfd.get(), number, nullptr, 0);  // fails only when it has ended already
}

Result<std::optional<RunningShim>> find_owner(int lock_fd) {
  for (;;) {
    TRY_ASSIGN(const pid_t pid, lock_owner(lock_fd));
    if (pid == 0) return std::optional<RunningShim>();
    if (pid < 0) return unavailable("the lock of a shim is held by another driver");
    auto pidfd = open_pidfd(pid);
    if (!pidfd) continue;  // it ended between the two calls
    // Still the owner: so the descriptor is of the owner and not of a process that got its number later.
    TRY_ASSIGN(const pid_t again, lock_owner(lock_fd));
    if (again == pid) return std::optional<RunningShim>(RunningShim{pid, std::move(*pidfd)});
  }
}

// Takes and keeps the lock of the folder for this scope, so that no shim can start; false when one runs.
Result<bool> try_lock(int fd) {
  struct flock lock {};
  lock.l_type = F_WRLCK;
  lock.l_whence = SEEK_SET;
  if (::fcntl(fd, F_OFD_SETLK, &lock) == 0) return true;
  if (errno == EAGAIN || errno == EACCES) return false;
  return system_error("lock a shim's folder", errno);
}

// A QEMU whose shim was killed dies by its parent-death signal; this waits until it is gone.
Status end_orphan(const HostFiles& files, const Deadline& deadline) {
  const auto record = read_record<ShimRecord>(files.shim());
  if (!record || record->ended || record->qemu_pid <= 0) return {};
  const env::ProcessId id{static_cast<pid_t>(record->qemu_pid), record->qemu_ticks};
  const auto pidfd = open_pidfd(id.pid);
  if (!pidfd || !env::process_alive(id)) return {};
  signal_process(*pidfd, SIGKILL);
  return deadline.wait_readable(pidfd->get(), "end of QEMU");
}

}  // namespace

Status start_shim(const std::string& shim_program, const HostFiles& files, const std::vector<std::string>& program,
                  const Deadline& deadline) {
  TRY(deadline.check("start of QEMU"));
  const std::string token = env::make_id(env::system_random(), "start");
  TRY(replace_file(files.launch(), token));
  std::vector<std::string> argv{shim_program, files.folder, token};
  argv.insert(argv.end(), program.begin(), program.end());
  env::CommandOptions options;
  options.timeout = 30s;
  auto started = env::run_command_ok(argv, options);
  if (!started) return std::move(started).error();
  return {};
}

Result<std::optional<RunningShim>> find_shim(const HostFiles& files) {
  const env::UniqueFd lock(::open(files.shim_lock().c_str(), O_RDWR | O_CLOEXEC));
  if (!lock.valid()) {
    if (errno == ENOENT) return std::optional<RunningShim>();
    return system_error("open " + files.shim_lock(), errno);
  }
  return find_owner(lock.get());
}

Status end_shim(const HostFiles& files, const Deadline& deadline) {
  const env::UniqueFd lock(::open(files.shim_lock().c_str(), O_RDWR | O_CREAT | O_CLOEXEC, 0600));
  if (!lock.valid()) return system_error("open " + files.shim_lock(), errno);
  for (;;) {
    TRY_ASSIGN(const bool free, try_lock(lock.get()));
    if (free) break;
    TRY_ASSIGN(const auto shim, find_owner(lock.get()));
    if (!shim) continue;
    signal_process(shim->pidfd, SIGTERM);
    const Status ended = deadline.at_most(5s).wait_readable(shim->pidfd.get(), "end of the shim");
    if (ended) continue;
    if (ended.error().code() != ErrorCode::kTimeout) return ended;
    signal_process(shim->pidfd, SIGKILL);
    TRY(deadline.wait_readable(shim->pidfd.get(), "end of the killed shim"));
  }
  if (::unlink(files.launch().c_str()) != 0 && errno != ENOENT) return system_error("remove " + files.launch(), errno);
  return end_orphan(files, deadline);
}

std::string end_of_qemu(const HostFiles& files) {
  const auto record = read_record<ShimRecord>(files.shim());
  return record ? exit_reason(*record) : std::string("QEMU ended and its shim could not say how");
}

}  // namespace nuraghe::hypervisor::qemu
