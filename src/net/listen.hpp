// Listening sockets made by hand: addresses, stale socket files, and who holds a port.
#pragma once

#include <string>

#include "base/result.hpp"
#include "env/posix.hpp"

namespace nuraghe::net {

struct Listener {
  env::UniqueFd fd;         // listening, non-blocking, close-on-exec
  std::string base;         // "http://127.0.0.1:41234"
  int port = 0;             // 0 for a UNIX socket
  std::string socket_path;  // empty for TCP
  bool is_tls = false;
  bool is_local = false;  // a UNIX socket, or loopback without TLS
};

// See HttpServerOptions::listen and HttpServer::start for forms and errors.
Result<Listener> listen_on(const std::string& address, bool allow_other_hosts);

}  // namespace nuraghe::net
