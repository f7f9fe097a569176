#include "apps/controller/state_folder.hpp"

#include <arpa/inet.h>
#include <fcntl.h>
#include <fmt/format.h>
#include <netinet/in.h>
#include <sys/file.h>
#include <sys/socket.h>

#include <cerrno>
#include <charconv>
#include <cstdint>

namespace nuraghe::controller {
namespace {

Result<int> free_port(const std::string& address) {
  sockaddr_in four{};
  sockaddr_in6 six{};
  four.sin_family = AF_INET;
  six.sin6_family = AF_INET6;
  const bool is_four = ::inet_pton(AF_INET, address.c_str(), &four.sin_addr) == 1;
  if (!is_four && ::inet_pton(AF_INET6, address.c_str(), &six.sin6_addr) != 1)
    return invalid(fmt::format("'{}' is not an address; write 127.0.0.1 or ::1", address));
  auto* generic = is_four ? reinterpret_cast<sockaddr*>(&four) : reinterpret_cast<sockaddr*>(&six);
  socklen_t size = is_four ? sizeof four : sizeof six;
  const env::UniqueFd fd(::socket(generic->sa_family, SOCK_STREAM | SOCK_CLOEXEC, 0));
  if (!fd.valid() || ::bind(fd.get(), generic, size) != 0 || ::getsockname(fd.get(), generic, &size) != 0)
    return system_error("find a free TCP port on " + address, errno);
  return ntohs(is_four ? four.sin_port : six.sin6_port);
}

int kept_port(const std::string& folder) {
  const auto text = env::read_file(folder + "/port");
  int port = 0;
  if (text) std::from_chars(text->data(), text->data() + text->size(), port);
  return port;
}

}  // namespace

Result<env::UniqueFd> lock_state(const std::string& folder, const std::string& program) {
  const std::string path = folder + "/lock";
  env::UniqueFd fd(::open(path.c_str(), O_RDWR | O_CREAT | O_CLOEXEC, 0600));
  if (!fd.valid()) return system_error("open " + path, errno);
  if (::flock(fd.get(), LOCK_EX | LOCK_NB) == 0) return fd;
  if (errno == EWOULDBLOCK) return conflict(fmt::format("another {} works on the state folder {}", program, folder));
  return system_error("lock " + path, errno);
}

Result<int> choose_port(const std::string& folder, const std::string& address, int wanted) {
  int port = wanted != 0 ? wanted : kept_port(folder);
  if (port == 0) {
    TRY_ASSIGN(port, free_port(address));
  }
  TRY(env::write_file_durably(folder + "/port", fmt::format("{}\n", port), 0600));
  return port;
}

}  // namespace nuraghe::controller
