// What concerns the guest: its console, its agent, whether it is ready.
#include <fcntl.h>
#include <fmt/format.h>
#include <sys/inotify.h>
#include <unistd.h>

#include <array>
#include <cerrno>

#include "hypervisor/qemu/agent.hpp"
#include "hypervisor/qemu/qemu_driver.hpp"
#include "hypervisor/qemu/shim_process.hpp"

namespace nuraghe::hypervisor::qemu {

Result<std::string> QemuDriver::console_tail(const std::string& id, Bytes limit) {
  TRY(check_host_id(id));
  const HostPtr host = entry(id);
  if (env::path_exists(tombstone(id))) {
    TRY_ASSIGN(const auto grave, read_record<TombstoneRecord>(tombstone(id)));
    const auto most = static_cast<std::size_t>(std::max<std::int64_t>(0, limit.count));
    const std::string& tail = grave.console_tail;
    return tail.size() <= most ? tail : tail.substr(tail.size() - most);
  }
  if (!env::path_exists(host->files.folder)) return not_found(fmt::format("there is no host {}", id));
  return read_tail(host->files.console_log(), limit);
}

// Its pidfd, when it is running or paused. Takes and gives back the host's lock: what follows may take long and must
// not keep destroy out.
Result<env::UniqueFd> QemuDriver::live_host(const std::string& id, const HostPtr& host, const Deadline& deadline) {
  TRY_ASSIGN(const HostGuard guard, acquire(host, deadline));
  TRY_ASSIGN(const auto record, settle(*host, deadline));
  if (!record && !env::path_exists(tombstone(id))) return not_found(fmt::format("there is no host {}", id));
  if (record && record->phase == Phase::kLost)
    return unavailable(fmt::format("host {} was lost: {}", id, record->reason));
  const HostState state = record ? condition_of(*host, *record).state : HostState::kDestroyed;
  if (state != HostState::kRunning && state != HostState::kPaused) {
    return conflict(fmt::format("host {} is {}: its guest cannot be reached", id, host_state_name(state)));
  }
  TRY_ASSIGN(auto shim, find_shim(host->files));
  if (!shim) return unavailable(fmt::format("host {} has just ended: {}", id, end_of_qemu(host->files)));
  return std::move(shim->pidfd);
}

// An error of a connection that broke: says how the host ended, when it did.
Error QemuDriver::why_ended(const std::string& id, Error error) {
  if (error.code() != ErrorCode::kUnavailable) return error;
  const HostPtr host = entry(id);
  const auto shim = find_shim(host->files);
  const auto record = read_record<HostRecord>(host->files.state());
  if (record && record->phase == Phase::kLost)
    return unavailable(fmt::format("host {} was lost: {}", id, record->reason));
  if (!env::path_exists(host->files.folder)) return unavailable(fmt::format("host {} was destroyed meanwhile", id));
  if (shim && !*shim) return unavailable(fmt::format("host {} was lost: {}", id, end_of_qemu(host->files)));
  return error;
}

Result<int> QemuDriver::open_console(const std::string& id) {
  TRY(check_host_id(id));
  const HostPtr host = entry(id);
  const Deadline deadline(std::chrono::seconds(10), -1, host->abort.fd());
  TRY(live_host(id, host, deadline));
  TRY_ASSIGN(env::UniqueFd socket, connect_in(host->files.folder, kConsoleSocket));
  const int flags = ::fcntl(socket.get(), F_GETFL);
  if (flags < 0 || ::fcntl(socket.get(), F_SETFL, flags & ~O_NONBLOCK) != 0) return system_error("fcntl", errno);
  return socket.release();
}

Status QemuDriver::wait_console(const Host& host, const std::string& text, int end_fd, const Deadline& deadline) {
  const env::UniqueFd changes(::inotify_init1(IN_CLOEXEC | IN_NONBLOCK));
  const std::string path = host.files.console_log();
  if (!changes.valid() || ::inotify_add_watch(changes.get(), path.c_str(), IN_MODIFY) < 0) {
    return system_error("watch " + path, errno);
  }
  const env::UniqueFd log(::open(path.c_str(), O_RDONLY | O_CLOEXEC));
  if (!log.valid()) return system_error("open " + path, errno);
  std::string window;  // the end of what was seen, long enough for a text that arrives in pieces
  std::array<char, 65536> buffer{};
  std::array<pollfd, 2> polls{{{changes.get(), POLLIN, 0}, {end_fd, POLLIN, 0}}};
  bool ended = false;
  for (;;) {
    ssize_t count = 0;
    while ((count = ::read(log.get(), buffer.data(), buffer.size())) > 0) {
      window.append(buffer.data(), static_cast<std::size_t>(count));
      if (window.find(text) != std::string::npos) return {};
      if (window.size() >= text.size()) window.erase(0, window.size() - text.size() + 1);
    }
    if (count < 0 && errno != EINTR) return system_error("read " + path, errno);
    if (ended) return unavailable("QEMU ended");
    TRY(deadline.wait(polls, fmt::format("'{}' on the console of host {}", text, host.id)));
    while (::read(changes.get(), buffer.data(), buffer.size()) > 0) {
    }
    ended = polls[1].revents != 0;  // its last words still count
  }
}

Status QemuDriver::wait_ready(const std::string& id, ReadyCondition condition, const std::string& text,
                              const Control& control) {
  TRY(check_host_id(id));
  const HostPtr host = entry(id);
  const Deadline deadline(control, host->abort.fd());
  TRY_ASSIGN(const env::UniqueFd end, live_host(id, host, deadline));
  Status ready;
  switch (condition) {
    case ReadyCondition::kStarted:
      return {};
    case ReadyCondition::kConsoleText:
      if (text.empty()) return invalid("no text to wait for on the console");
      ready = wait_console(*host, text, end.get(), deadline);
      break;
    case ReadyCondition::kAgent:
      ready = [&]() -> Status {
        TRY(host->agent.acquire(deadline, fmt::format("the guest agent of host {}, which others speak with", id)));
        const std::unique_ptr<EventLock, void (*)(EventLock*)> held(&host->agent,
                                                                    [](EventLock* lock) { lock->release(); });
        TRY_ASSIGN(auto socket, connect_in(host->files.folder, kAgentSocket));
        return AgentConnection(std::move(socket), end.get()).synchronise(deadline);
      }();
      break;
  }
  return ready ? ready : why_ended(id, std::move(ready).error());
}

Result<std::string> QemuDriver::agent_command(const std::string& id, const std::string& json, const Control& control) {
  TRY(check_host_id(id));
  const HostPtr host = entry(id);
  const Deadline deadline(control, host->abort.fd());
  TRY_ASSIGN(const env::UniqueFd end, live_host(id, host, deadline));
  TRY(host->agent.acquire(deadline, fmt::format("the guest agent of host {}, which others speak with", id)));
  const std::unique_ptr<EventLock, void (*)(EventLock*)> held(&host->agent, [](EventLock* lock) { lock->release(); });
  TRY_ASSIGN(auto socket, connect_in(host->files.folder, kAgentSocket));
  auto answer = AgentConnection(std::move(socket), end.get()).execute(json, deadline);
  if (!answer) return why_ended(id, std::move(answer).error());
  return answer;
}

}  // namespace nuraghe::hypervisor::qemu
