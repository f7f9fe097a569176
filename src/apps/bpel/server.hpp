// The server that the commands ask: JSON over HTTP.
#pragma once

#include <boost/json/value.hpp>
#include <string>

#include "apps/bpel/commands.hpp"
#include "net/http_client.hpp"

namespace nuraghe::bpelcli {

class Server {
 public:
  explicit Server(const Options& options) : options_(options), client_(net::HttpClient::make()) {}
  // Errors carry what the server said, its code and sentence; kUnavailable when there is none.
  Result<boost::json::value> get(const std::string& path) { return ask("GET", path); }
  Result<boost::json::value> post(const std::string& path) { return ask("POST", path); }
  Result<std::string> get_text(const std::string& path) { return text("GET", path); }

 private:
  Result<std::string> text(const std::string& method, const std::string& path);
  Result<boost::json::value> ask(const std::string& method, const std::string& path);
  const Options& options_;
  std::unique_ptr<net::HttpClient> client_;
};

}  // namespace nuraghe::bpelcli
