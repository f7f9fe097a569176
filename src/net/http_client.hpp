// HttpClient: HTTP/1.1 client over TCP, with or without TLS, and UNIX sockets; one thread serves any number of requests
// (libcurl's multi interface) and keeps connections alive between them. No proxy, no redirects, no cookies: it speaks
// to services.
//
// Threading: every function is thread safe. Callbacks come on the client's thread and must not block.
// Errors name the address: kUnavailable (no connection, or it broke), kTimeout, kExhausted (answer over the limit),
// kInvalid (bad URL), kCancelled (the client was destroyed). An HTTP status is never an Error.
#pragma once

#include <functional>
#include <memory>
#include <optional>
#include <string>

#include "base/result.hpp"
#include "base/units.hpp"
#include "net/http.hpp"
#include "net/tls.hpp"

namespace nuraghe::net {

struct ClientRequest {
  std::string method = "POST";
  std::string url;  // http://host:port/path, https://… or http+unix://%2Fpath%2Fto.sock/path
  HttpHeaders headers;
  std::string content_type;  // empty: no Content-Type
  std::string body;
  std::string bearer;                           // sent as Authorization: Bearer; empty: not sent
  Duration timeout = std::chrono::seconds(30);  // for the whole exchange; 0: none
  Duration connect_timeout = std::chrono::seconds(10);
  Bytes body_limit = mib(64);  // of the answer
  std::optional<TlsPeer> tls;  // for https; absent: as HttpClientOptions::tls says
};

struct ClientResponse {
  int status = 0;
  HttpHeaders headers;
  std::string body;
  std::string_view header(std::string_view name) const { return find_header(headers, name); }
};

// A response that is read while it comes. Destroying it ends the transfer.
class ClientStream {
 public:
  virtual ~ClientStream() = default;
  virtual int status() const = 0;
  virtual const HttpHeaders& headers() const = 0;
  // The bytes that came since the last read, waiting for some at most `timeout` (kTimeout; the stream stays usable); ""
  // at the regular end; an Error when the connection broke. One thread at a time. The sender is slowed down while more
  // than 1 MiB waits here.
  virtual Result<std::string> read(Duration timeout) = 0;
  virtual void cancel() = 0;  // from another thread: a read that waits ends with kCancelled
};

struct HttpClientOptions {
  long connections_per_host = 1024;  // more requests than that wait
  long idle_connections = 64;        // kept alive
  // Whether a connection may be made to this address (a numeric IPv4 or IPv6 address, after names were looked up);
  // empty: to any. What may not is kUnavailable. UNIX sockets are then refused, too. Called on the client's thread.
  std::function<bool(std::string_view address)> may_connect;
  // How an https address is met ("https://10.0.0.1:8470"). A connection is used again as long as the answer is the
  // same. Absent: the system's roots, the name in the address, no certificate of one's own. Called on the client's
  // thread, must not block.
  std::function<TlsPeer(std::string_view base)> tls;
};

class HttpClient {
 public:
  static std::unique_ptr<HttpClient> make(HttpClientOptions options = {});
  virtual ~HttpClient() = default;  // open requests end with kCancelled, before it returns

  // `done` is called exactly once.
  virtual void send(ClientRequest request, std::function<void(Result<ClientResponse>)> done) = 0;
  // Blocking. Not from a callback of this client.
  virtual Result<ClientResponse> call(ClientRequest request) = 0;
  // Blocking until the header of the response is there (request.timeout is for that; the stream itself has none).
  virtual Result<std::unique_ptr<ClientStream>> open_stream(ClientRequest request) = 0;
};

}  // namespace nuraghe::net
