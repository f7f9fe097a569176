#include "network/control_server.hpp"

#include <fmt/format.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

#include <array>
#include <cerrno>

#include "base/log.hpp"
#include "network/address.hpp"
#include "network/protocol.hpp"

namespace nuraghe::network {

namespace {

constexpr std::size_t kConnectionLimit = 16;

bool is_allowed(int fd) {
  ucred peer{};
  socklen_t size = sizeof peer;
  if (::getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &peer, &size) != 0) return false;
  if (peer.uid == ::geteuid() || peer.uid == 0) return true;
  log_warning("network", "a command of another user is refused", {{"uid", fmt::format("{}", peer.uid)}});
  return false;
}

}  // namespace

Result<std::unique_ptr<ControlServer>> ControlServer::open(Poller& poller, const std::string& path, Handler handler) {
  TRY_ASSIGN(const sockaddr_un address, unix_address(path));
  std::unique_ptr<ControlServer> server(new ControlServer(poller, path, std::move(handler)));
  server->listener_ = env::UniqueFd(::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0));
  if (!server->listener_.valid()) return system_error("socket", errno);
  ::unlink(path.c_str());
  if (::bind(server->listener_.get(), reinterpret_cast<const sockaddr*>(&address), sizeof address) != 0 ||
      ::listen(server->listener_.get(), 64) != 0) {
    return system_error("listen on " + path, errno);
  }
  TRY_ASSIGN(server->token_, poller.add(server->listener_.get(), EPOLLIN, [raw = server.get()] { raw->accept_one(); }));
  return server;
}

ControlServer::~ControlServer() {
  while (!connections_.empty()) close(connections_.begin()->first);
  if (token_ == 0) return;
  poller_.remove(token_);
  ::unlink(path_.c_str());
}

void ControlServer::accept_one() {
  env::UniqueFd fd(::accept4(listener_.get(), nullptr, nullptr, SOCK_CLOEXEC | SOCK_NONBLOCK));
  if (!fd.valid() || !is_allowed(fd.get())) return;
  if (connections_.size() >= kConnectionLimit) close(connections_.begin()->first);
  const std::uint64_t number = next_++;
  auto token = poller_.add(fd.get(), EPOLLIN, [this, number] { serve(number); });
  if (!token) return;
  connections_[number] = {std::move(fd), *token, {}, {}};
}

void ControlServer::close(std::uint64_t number) {
  const auto connection = connections_.find(number);
  poller_.remove(connection->second.token);
  connections_.erase(connection);
}

void ControlServer::serve(std::uint64_t number) {
  Connection& connection = connections_.at(number);
  if (!(connection.output.empty() ? read(connection) : write(connection))) close(number);
}

bool ControlServer::read(Connection& connection) {
  std::array<char, 65536> buffer{};
  const ssize_t count = ::recv(connection.fd.get(), buffer.data(), buffer.size(), MSG_DONTWAIT);
  if (count < 0) return errno == EAGAIN || errno == EINTR;
  if (count == 0) return false;
  connection.input.append(buffer.data(), static_cast<std::size_t>(count));
  for (;;) {
    const auto end = connection.input.find('\n');
    if (end == std::string::npos) break;
    const std::string answer = handler_(std::string_view(connection.input).substr(0, end));
    if (answer.empty()) return false;
    connection.output += answer + "\n";
    connection.input.erase(0, end + 1);
  }
  if (connection.input.size() > kLineLimit) return false;
  return connection.output.empty() || write(connection);
}

bool ControlServer::write(Connection& connection) {
  while (!connection.output.empty()) {
    const ssize_t count =
        ::send(connection.fd.get(), connection.output.data(), connection.output.size(), MSG_DONTWAIT | MSG_NOSIGNAL);
    if (count < 0 && errno == EINTR) continue;
    if (count < 0 && errno == EAGAIN) {
      poller_.modify(connection.token, EPOLLOUT);
      return true;
    }
    if (count < 0) return false;
    connection.output.erase(0, static_cast<std::size_t>(count));
  }
  poller_.modify(connection.token, EPOLLIN);
  return true;
}

}  // namespace nuraghe::network
