#include "network/switch_client.hpp"

#include <fmt/format.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/time.h>
#include <unistd.h>

#include <array>
#include <cerrno>

#include "network/address.hpp"

namespace nuraghe::network {

namespace {

Result<env::UniqueFd> connect_to(const std::string& path, Duration timeout) {
  TRY_ASSIGN(const sockaddr_un address, unix_address(path));
  env::UniqueFd fd(::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0));
  if (!fd.valid()) return system_error("socket", errno);
  timeval limit{};
  limit.tv_sec = timeout.count() / 1'000'000;
  limit.tv_usec = timeout.count() % 1'000'000;
  ::setsockopt(fd.get(), SOL_SOCKET, SO_SNDTIMEO, &limit, sizeof limit);
  ::setsockopt(fd.get(), SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof limit);
  for (;;) {
    if (::connect(fd.get(), reinterpret_cast<const sockaddr*>(&address), sizeof address) == 0) return fd;
    if (errno == EINTR) continue;
    if (errno == ENOENT || errno == ECONNREFUSED) return not_found(fmt::format("no switch serves {}", path));
    if (errno == EAGAIN) return timed_out(fmt::format("the switch at {} does not take connections", path));
    return system_error("connect to " + path, errno);
  }
}

Result<env::UniqueFd> process_behind(int fd) {
  ucred peer{};
  socklen_t size = sizeof peer;
  if (::getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &peer, &size) != 0) return system_error("getsockopt", errno);
  if (peer.uid != ::geteuid() && peer.uid != 0) {
    return denied(fmt::format("the switch's socket is served by user {}", peer.uid));
  }
  env::UniqueFd process(static_cast<int>(::syscall(SYS_pidfd_open, peer.pid, 0)));
  if (!process.valid()) return unavailable("the switch ended while it was asked");
  return process;
}

Error broken(const std::string& path, int error) {
  if (error == EAGAIN) return timed_out(fmt::format("the switch at {} does not answer", path));
  return unavailable(fmt::format("the switch at {} ended while it was asked", path));
}

}  // namespace

Result<std::string> ask_switch(const SwitchFiles& files, const Request& request, Duration timeout,
                               env::UniqueFd* process) {
  const std::string path = files.control();
  TRY_ASSIGN(const env::UniqueFd fd, connect_to(path, timeout));
  // Before the answer: it then proves that the process number was still the switch's.
  TRY_ASSIGN(env::UniqueFd behind, process_behind(fd.get()));
  const std::string line = encode_request(request) + "\n";
  for (std::size_t done = 0; done < line.size();) {
    const ssize_t count = ::send(fd.get(), line.data() + done, line.size() - done, MSG_NOSIGNAL);
    if (count < 0 && errno == EINTR) continue;
    if (count < 0) return broken(path, errno);
    done += static_cast<std::size_t>(count);
  }
  std::string answer;
  std::array<char, 16384> buffer{};
  while (answer.empty() || answer.back() != '\n') {
    const ssize_t count = ::recv(fd.get(), buffer.data(), buffer.size(), 0);
    if (count < 0 && errno == EINTR) continue;
    if (count <= 0) return broken(path, count == 0 ? ECONNRESET : errno);
    answer.append(buffer.data(), static_cast<std::size_t>(count));
    if (answer.size() > kLineLimit) return unavailable(fmt::format("the switch at {} answers without end", path));
  }
  if (process != nullptr) *process = std::move(behind);
  answer.pop_back();
  return answer;
}

}  // namespace nuraghe::network
