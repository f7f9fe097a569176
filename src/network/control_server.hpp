// The switch's door: a UNIX stream socket that takes lines and answers each with one (protocol.hpp). Only the switch's
// own user and root are let in (SO_PEERCRED, unix(7)). A bounded number of connections: the one that has been open
// longest gives way to a new one.
// Threading: none; belongs to the switch's loop.
#pragma once

#include <functional>
#include <map>
#include <memory>
#include <string>
#include <string_view>

#include "network/poller.hpp"

namespace nuraghe::network {

class ControlServer {
 public:
  // The answer, without the line's end; empty: hang up without one.
  using Handler = std::function<std::string(std::string_view line)>;

  // Replaces a socket that lies at the path.
  static Result<std::unique_ptr<ControlServer>> open(Poller& poller, const std::string& path, Handler handler);
  ControlServer(const ControlServer&) = delete;
  ControlServer& operator=(const ControlServer&) = delete;
  ~ControlServer();  // removes the socket

 private:
  struct Connection {
    env::UniqueFd fd;
    Poller::Token token = 0;
    std::string input, output;
  };
  ControlServer(Poller& poller, std::string path, Handler handler)
      : poller_(poller), path_(std::move(path)), handler_(std::move(handler)) {}
  void accept_one();
  void serve(std::uint64_t number);
  // False: it is over.
  bool read(Connection& connection);
  bool write(Connection& connection);
  void close(std::uint64_t number);

  Poller& poller_;
  const std::string path_;
  const Handler handler_;
  env::UniqueFd listener_;
  Poller::Token token_ = 0;
  std::uint64_t next_ = 1;
  std::map<std::uint64_t, Connection> connections_;
};

}  // namespace nuraghe::network
