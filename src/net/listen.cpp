#include "net/listen.hpp"

#include <arpa/inet.h>
#include <dirent.h>
#include <fmt/format.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include <cerrno>
#include <charconv>
#include <cstring>
#include <fstream>
#include <sstream>

#include "net/http.hpp"

namespace nuraghe::net {

namespace {

constexpr int kBacklog = 1024;

std::string process_name(long pid) {
  std::ifstream file(fmt::format("/proc/{}/comm", pid));
  std::string name;
  std::getline(file, name);
  return name.empty() ? fmt::format("pid {}", pid) : fmt::format("{} (pid {})", name, pid);
}

// The inode of the socket that listens on the port, or 0: /proc/net/tcp, fields local address (1), state (3, 0A =
// LISTEN) and inode (9).
std::string listening_inode(int port) {
  for (const char* table : {"/proc/net/tcp", "/proc/net/tcp6"}) {
    std::ifstream file(table);
    std::string line;
    while (std::getline(file, line)) {
      std::istringstream fields(line);
      std::string field[10];
      for (std::string& text : field) fields >> text;
      const std::size_t colon = field[1].rfind(':');
      if (colon == std::string::npos || field[3] != "0A") continue;
      if (std::strtol(field[1].c_str() + colon + 1, nullptr, 16) == port) return field[9];
    }
  }
  return {};
}

bool holds_inode(const std::string& fd_directory, const std::string& link) {
  DIR* directory = ::opendir(fd_directory.c_str());
  if (directory == nullptr) return false;
  bool found = false;
  while (const dirent* entry = ::readdir(directory)) {
    char target[64];
    const ssize_t length = ::readlinkat(::dirfd(directory), entry->d_name, target, sizeof target);
    if (length > 0 && std::string_view(target, static_cast<std::size_t>(length)) == link) found = true;
  }
  ::closedir(directory);
  return found;
}

std::string port_holder(int port) {
  const std::string inode = listening_inode(port);
  if (inode.empty()) return "another program";
  const std::string link = "socket:[" + inode + "]";
  DIR* processes = ::opendir("/proc");
  if (processes == nullptr) return "another program";
  std::string holder = "another program";
  while (const dirent* entry = ::readdir(processes)) {
    if (entry->d_name[0] < '1' || entry->d_name[0] > '9') continue;
    if (holds_inode(fmt::format("/proc/{}/fd", entry->d_name), link)) {
      holder = process_name(std::strtol(entry->d_name, nullptr, 10));
      break;
    }
  }
  ::closedir(processes);
  return holder;
}

// Null when nobody answers at the socket file, else who does.
std::string socket_holder(const sockaddr_un& address) {
  env::UniqueFd probe(::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0));
  const auto* generic = reinterpret_cast<const sockaddr*>(&address);
  // EAGAIN: somebody listens but its queue is full.
  if (::connect(probe.get(), generic, sizeof address) != 0 && errno != EAGAIN) return {};
  ucred peer{};
  socklen_t size = sizeof peer;
  if (::getsockopt(probe.get(), SOL_SOCKET, SO_PEERCRED, &peer, &size) == 0 && peer.pid > 0) {
    return process_name(peer.pid);
  }
  return "another program";
}

Status remove_stale(const sockaddr_un& address, const std::string& path) {
  struct stat info {};
  if (::lstat(path.c_str(), &info) != 0) return {};
  if (!S_ISSOCK(info.st_mode)) return conflict(fmt::format("{} exists and is not a socket", path));
  if (const std::string holder = socket_holder(address); !holder.empty()) {
    return conflict(fmt::format("the socket {} is in use by {}", path, holder));
  }
  if (::unlink(path.c_str()) != 0 && errno != ENOENT) return system_error("remove " + path, errno);
  return {};
}

Result<Listener> listen_unix(const std::string& path) {
  sockaddr_un address{};
  address.sun_family = AF_UNIX;
  if (path.empty() || path.size() >= sizeof address.sun_path) {
    return invalid(fmt::format("the socket path '{}' has {} characters; it must have 1 to {}", path, path.size(),
                               sizeof address.sun_path - 1));
  }
  std::memcpy(address.sun_path, path.c_str(), path.size());
  TRY(remove_stale(address, path));
  env::UniqueFd fd(::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0));
  if (!fd.valid()) return system_error("socket", errno);
  // Before bind: Linux gives the socket file the mode of the descriptor, so it is never open to others.
  if (::fchmod(fd.get(), 0600) != 0) return system_error("fchmod " + path, errno);
  if (::bind(fd.get(), reinterpret_cast<const sockaddr*>(&address), sizeof address) != 0) {
    if (errno == EADDRINUSE) return conflict(fmt::format("the socket {} is in use by another program", path));
    return system_error("bind " + path, errno);
  }
  if (::listen(fd.get(), kBacklog) != 0) return system_error("listen " + path, errno);
  return Listener{std::move(fd), unix_base(path), 0, path, false, true};
}

struct TcpAddress {
  sockaddr_storage storage{};
  socklen_t size = 0;
  bool loopback = false;
};

Result<TcpAddress> parse_tcp(const std::string& text) {
  const std::size_t colon = text.rfind(':');
  unsigned port = 0;
  bool good = colon != std::string::npos;
  if (good) {
    const char* end = text.data() + text.size();
    const auto parsed = std::from_chars(text.data() + colon + 1, end, port);
    good = parsed.ec == std::errc() && parsed.ptr == end && port <= 65535;
  }
  std::string host = text.substr(0, good ? colon : 0);
  if (host == "localhost") host = "127.0.0.1";
  TcpAddress out;
  if (good && host.size() > 2 && host.front() == '[' && host.back() == ']') {
    auto* v6 = reinterpret_cast<sockaddr_in6*>(&out.storage);
    v6->sin6_family = AF_INET6;
    v6->sin6_port = htons(static_cast<std::uint16_t>(port));
    good = ::inet_pton(AF_INET6, host.substr(1, host.size() - 2).c_str(), &v6->sin6_addr) == 1;
    out.size = sizeof *v6;
    out.loopback = IN6_IS_ADDR_LOOPBACK(&v6->sin6_addr);
  } else if (good) {
    auto* v4 = reinterpret_cast<sockaddr_in*>(&out.storage);
    v4->sin_family = AF_INET;
    v4->sin_port = htons(static_cast<std::uint16_t>(port));
    good = ::inet_pton(AF_INET, host.c_str(), &v4->sin_addr) == 1;
    out.size = sizeof *v4;
    out.loopback = (ntohl(v4->sin_addr.s_addr) >> 24) == 127;
  }
  if (!good) {
    return invalid(
        fmt::format("'{}' is no address to listen on: give ADDRESS:PORT, tls:ADDRESS:PORT or unix:PATH", text));
  }
  return out;
}

int port_of(const sockaddr_storage& address) {
  if (address.ss_family == AF_INET6) return ntohs(reinterpret_cast<const sockaddr_in6*>(&address)->sin6_port);
  return ntohs(reinterpret_cast<const sockaddr_in*>(&address)->sin_port);
}

Result<Listener> listen_tcp(const std::string& text, bool is_tls, bool allow_other_hosts) {
  TRY_ASSIGN(TcpAddress address, parse_tcp(text));
  if (!address.loopback && !is_tls && !allow_other_hosts) {
    return invalid(fmt::format("{} is not a loopback address; without TLS only loopback is served", text));
  }
  env::UniqueFd fd(::socket(address.storage.ss_family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0));
  if (!fd.valid()) return system_error("socket for " + text, errno);
  const int on = 1;
  ::setsockopt(fd.get(), SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
  const auto* generic = reinterpret_cast<const sockaddr*>(&address.storage);
  if (::bind(fd.get(), generic, address.size) != 0 || ::listen(fd.get(), kBacklog) != 0) {
    const int failure = errno;
    if (failure == EADDRINUSE) {
      const int port = port_of(address.storage);
      return conflict(fmt::format("the port {} is in use by {}", port, port_holder(port)));
    }
    return system_error("listen on " + text, failure);
  }
  socklen_t size = sizeof address.storage;
  if (::getsockname(fd.get(), reinterpret_cast<sockaddr*>(&address.storage), &size) != 0) {
    return system_error("getsockname", errno);
  }
  const int port = port_of(address.storage);
  std::string host = text.substr(0, text.rfind(':'));
  if (host == "localhost") host = "127.0.0.1";
  const std::string base = fmt::format("{}://{}:{}", is_tls ? "https" : "http", host, port);
  return Listener{std::move(fd), base, port, {}, is_tls, address.loopback && !is_tls};
}

}  // namespace

Result<Listener> listen_on(const std::string& address, bool allow_other_hosts) {
  constexpr std::string_view kUnix = "unix:";
  constexpr std::string_view kTls = "tls:";
  if (address.starts_with(kUnix)) return listen_unix(address.substr(kUnix.size()));
  if (address.starts_with(kTls)) return listen_tcp(address.substr(kTls.size()), true, allow_other_hosts);
  return listen_tcp(address, false, allow_other_hosts);
}

}  // namespace nuraghe::net
