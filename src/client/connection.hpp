// Connection: how a program reaches a nuraghed: its address and token, typed calls, its events.
//
// A nuraghed's state folder holds `nuraghed.sock` (its UNIX socket) and `token` (mode 0600).
// Threading: every function is thread safe.
#pragma once

#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "base/result.hpp"
#include "contracts/caller.hpp"
#include "exchange/exchange.hpp"
#include "net/http_client.hpp"

namespace nuraghe::client {

// The default state folder: $NURAGHE_STATE, else $XDG_STATE_HOME/nuraghe, else ~/.local/state/nuraghe.
std::string default_state_folder();
// The VO to act for: $NURAGHE_VO; empty: the token's own.
std::string default_vo();

class Connection {
 public:
  // kNotFound when no nuraghed runs with this state folder, with what to do. Every request acts for `vo`; empty: for
  // the token's own.
  static Result<std::unique_ptr<Connection>> open(const std::string& state_folder, std::string vo = {});
  // A nuraghed on another machine, with TLS: "https://HOST:PORT"; http:// is taken for loopback alone. `ca_file` holds
  // the roots by which it is known (empty: those of the operating system), `token_file` a token in its first line that
  // is no comment, as in a token file or alone. kDenied when others than its owner may read that file.
  static Result<std::unique_ptr<Connection>> open_remote(const std::string& base, const std::string& ca_file,
                                                         const std::string& token_file, std::string vo = {});
  // Another address and token, as `http://127.0.0.1:8470`.
  static std::unique_ptr<Connection> to(std::string base, std::string token, std::string vo = {});
  ~Connection();

  contracts::Caller& caller() { return *caller_; }
  // "http+unix://…/services/NAME"
  std::string service(std::string_view name) const;
  const std::string& base() const { return base_; }

  // Events after `sequence` of one cluster (empty: all), waiting up to `wait` for the first.
  Result<std::vector<exchange::Event>> events(std::int64_t after, const std::string& cluster, Duration wait);
  // The sequence of the newest event.
  Result<std::int64_t> newest_event();
  Result<std::string> get(const std::string& path);
  Result<std::unique_ptr<net::ClientStream>> stream(const std::string& path);
  Status post(const std::string& path, std::string body);

 private:
  Connection(std::string base, std::string token, std::string vo, net::HttpClientOptions http = {});
  net::ClientRequest request(std::string method, const std::string& path) const;
  std::string base_;
  std::string token_;
  std::string vo_;
  std::unique_ptr<net::HttpClient> http_;
  std::unique_ptr<exchange::RemoteTransport> transport_;
  std::unique_ptr<contracts::Caller> caller_;
};

}  // namespace nuraghe::client
