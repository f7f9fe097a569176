// HttpServer: HTTP/1.1 on TCP, with TLS or on loopback without, and on UNIX sockets.
//
// Each connection belongs to one io thread for its life; the handler is called on that thread and must not block. It
// gets a HttpResponder that may answer there and then or later, from any thread. A client that is slow, silent or gone
// costs its own connection only: header, body, idle and write have time-outs; a request in the handler has none, since
// an operation of the control plane may take minutes: the client decides how long it waits.
//
// Responders, streams, channels and timers may outlive the server: they then do nothing.
// Source: RFC 9112. Pipelined requests are answered in order, one at a time.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "base/result.hpp"
#include "base/units.hpp"
#include "env/posix.hpp"
#include "net/http.hpp"
#include "net/tls.hpp"

namespace nuraghe::net {

// A response whose body is written piece by piece (chunked). Copies are handles to the same stream; when the last one
// is dropped the stream ends as by close(). Thread safe.
class HttpStream {
 public:
  struct State;
  explicit HttpStream(std::shared_ptr<State> state) : state_(std::move(state)) {}
  // Queues bytes. kUnavailable when the client is gone or the stream closed; kExhausted when more than
  // HttpServerOptions::stream_buffer bytes wait (nothing is queued then). `when_written` is called on the io thread
  // once the socket took them, and never when the client went away before.
  Status write(std::string data, std::function<void()> when_written = {}) const;
  // Ends the response regularly, after what is queued.
  void close() const;
  bool gone() const;
  // Called once, on the io thread, when the client goes away before close(), at once when it is gone already. A client
  // that closes only its sending side counts as gone.
  void on_gone(std::function<void()> callback) const;

 private:
  std::shared_ptr<State> state_;
};

// The duty to answer one request. Copies are handles to the same; the first answer counts. When the last handle is
// dropped without an answer the client gets 500. Thread safe.
class HttpResponder {
 public:
  struct State;
  explicit HttpResponder(std::shared_ptr<State> state) : state_(std::move(state)) {}
  void respond(HttpResponse response) const;
  // As above, but the response is made on the connection's io thread: for callers whose own thread is precious. Another
  // answer after this one is dropped, also before `make` has run.
  void respond_with(std::function<HttpResponse()> make) const;
  // Sends status and headers (body of `head` as the first piece) and leaves the rest to the stream.
  HttpStream begin_stream(HttpResponse head) const;
  // Called once, on the io thread, when the client goes away before the answer was sent, at once when it is gone.
  // Asking for it costs a system call per request; who does not need to know does not ask.
  void on_gone(std::function<void()> callback) const;

 private:
  std::shared_ptr<State> state_;
};

// A connected stream socket served by the server's io threads: the far end of a console. Thread safe.
class Channel {
 public:
  virtual ~Channel() = default;
  // Reads what comes next, at most 64 KiB; `done` gets the bytes, "" at the end, or the error. One read at a time.
  virtual void read(std::function<void(Result<std::string>)> done) = 0;
  // Queues bytes; kExhausted when more than 1 MiB waits, kUnavailable when the far end is closed.
  virtual Status write(std::string data) = 0;
  virtual void close() = 0;  // a read that waits ends with ""
};

// A call in the future that may be cancelled. Thread safe.
class Timer {
 public:
  virtual ~Timer() = default;
  virtual void cancel() = 0;  // the callback does not begin after cancel() returned on the timer's own io thread
};

struct HttpServerOptions {
  // What to listen on: "127.0.0.1:8470", "[::1]:0" (port 0: any free one), "tls:10.0.0.1:8470",
  // "unix:/run/nuraghed.sock".
  std::vector<std::string> listen;
  std::size_t threads = 2;
  Bytes header_limit = kib(16);                        // beyond: 431
  Bytes body_limit = mib(8);                           // beyond: 413
  std::size_t max_connections = 4096;                  // beyond: 503 and closed
  Duration header_timeout = std::chrono::seconds(10);  // from a request's first byte to the end of its header
  Duration body_timeout = std::chrono::seconds(60);    // from there to the end of its body
  Duration idle_timeout = std::chrono::seconds(120);   // between two requests
  Duration write_timeout = std::chrono::seconds(60);   // without the client taking a byte
  Bytes slowest_client =
      kib(16);  // bytes in a second of a piece of an answer, after write_timeout: a slower one is dropped
  Bytes stream_buffer = mib(1);
  bool allow_other_hosts = false;  // false: an address other than loopback is refused where there is no TLS
  std::shared_ptr<const TlsServerContext> tls;  // needed for "tls:"; HttpServer::set_tls replaces it

  // Called on the io thread when a request's header is complete, before its body is read. An answer refuses the request
  // (the connection is closed when a body was announced). Must not block. May set request.attachment.
  std::function<std::optional<HttpResponse>(HttpRequest& head)> on_head;
  // Makes the response of a request that the server itself refuses (400, 408, 413, 431, 503). `head` holds what is
  // known of the request. Default: the reason as text.
  std::function<HttpResponse(int status, const std::string& reason, const HttpRequest& head)> on_refused;
};

struct HttpServerStatistics {
  std::int64_t connections_open = 0;
  std::int64_t connections_accepted = 0;
  std::int64_t connections_refused = 0;  // over max_connections or out of file descriptors
  std::int64_t requests = 0;
  std::int64_t requests_refused = 0;   // by limits, time-outs and the head hook
  std::int64_t handshakes_failed = 0;  // of TLS
};

class HttpServer {
 public:
  using Handler = std::function<void(HttpRequest, HttpResponder)>;

  // bind() and serve() in one.
  static Result<std::unique_ptr<HttpServer>> start(HttpServerOptions options, Handler handler);
  // Binds everything in options.listen; ports are known then, and connections wait until serve(). A stale socket file
  // is replaced; kConflict "... in use by nuraghed (pid 12)" when somebody listens there, kInvalid for an address that
  // cannot be understood or is not loopback. A UNIX socket has mode 0600 from its first moment.
  static Result<std::unique_ptr<HttpServer>> bind(HttpServerOptions options);
  virtual ~HttpServer() = default;  // stops, waiting for nobody

  // Starts the io threads. Once.
  virtual void serve(Handler handler) = 0;

  // For connections that come from now on; those that are there keep what they have. Thread safe.
  virtual void set_tls(std::shared_ptr<const TlsServerContext> tls) = 0;
  // The port of the first TCP listener; 0 when there is none.
  virtual int port() const = 0;
  // Base URLs in the order of options.listen: "http://127.0.0.1:41234", "https://…", "http+unix://%2Frun%2Fx.sock".
  virtual const std::vector<std::string>& bases() const = 0;
  // Stops accepting, closes idle connections, gives requests in the handler `grace` to be answered, then closes the
  // rest (on_gone is called) and joins the threads. Not from a handler. Repeating it does nothing.
  virtual void stop(Duration grace = std::chrono::seconds(5)) = 0;
  virtual HttpServerStatistics statistics() const = 0;

  // Takes the descriptor of a connected stream socket.
  virtual std::shared_ptr<Channel> open_channel(env::UniqueFd socket) = 0;
  // Calls back soon on an io thread; false when the server has stopped, and the function is dropped.
  virtual bool post(std::function<void()> work) = 0;
  // Calls back once on an io thread; never when the server stops before. Dropping the handle does not cancel.
  virtual std::shared_ptr<Timer> run_after(Duration delay, std::function<void()> callback) = 0;
};

}  // namespace nuraghe::net
