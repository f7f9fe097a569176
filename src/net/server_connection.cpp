// One HTTP connection: reading, parsing, limits, time-outs and writing. All of it on the worker's thread.
#include <arpa/inet.h>
#include <fmt/format.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/socket.h>

#include <algorithm>
#include <array>
#include <boost/asio/buffer.hpp>
#include <boost/beast/http/error.hpp>

#include "net/server_core.hpp"

namespace nuraghe::net {

namespace http = boost::beast::http;
using boost::system::error_code;

namespace {

// How long and how much a refused request's rest is read, so that the client sees the answer instead of a reset.
constexpr Duration kLingerTime = std::chrono::seconds(2);

std::string peer_name(const Socket& socket) {
  error_code ec;
  const auto endpoint = socket.remote_endpoint(ec);
  if (ec || endpoint.protocol().family() == AF_UNIX) return "unix";
  sockaddr_in address{};
  if (endpoint.data()->sa_family != AF_INET || endpoint.size() < sizeof address) return "tcp6";
  std::memcpy(&address, endpoint.data(), sizeof address);
  const std::uint32_t ip = ntohl(address.sin_addr.s_addr);
  return fmt::format("{}.{}.{}.{}:{}", ip >> 24, (ip >> 16) & 255, (ip >> 8) & 255, ip & 255, ntohs(address.sin_port));
}

// The base at which the connection came in; empty for a UNIX socket.
std::string reached_base(const Socket& socket, bool is_tls) {
  error_code ec;
  const auto endpoint = socket.local_endpoint(ec);
  if (ec) return {};
  std::array<char, INET6_ADDRSTRLEN> text{};
  const char* scheme = is_tls ? "https" : "http";
  if (endpoint.data()->sa_family == AF_INET) {
    sockaddr_in address{};
    std::memcpy(&address, endpoint.data(), sizeof address);
    if (::inet_ntop(AF_INET, &address.sin_addr, text.data(), text.size()) == nullptr) return {};
    return fmt::format("{}://{}:{}", scheme, text.data(), ntohs(address.sin_port));
  }
  if (endpoint.data()->sa_family != AF_INET6) return {};
  sockaddr_in6 address{};
  std::memcpy(&address, endpoint.data(), std::min(sizeof address, endpoint.size()));
  // An IPv4 client of a socket for both.
  const bool is_mapped = IN6_IS_ADDR_V4MAPPED(&address.sin6_addr);
  const auto* bytes = address.sin6_addr.s6_addr;
  const bool is_text = is_mapped ? ::inet_ntop(AF_INET, bytes + 12, text.data(), text.size()) != nullptr
                                 : ::inet_ntop(AF_INET6, bytes, text.data(), text.size()) != nullptr;
  if (!is_text) return {};
  const std::string host = is_mapped ? std::string(text.data()) : fmt::format("[{}]", text.data());
  return fmt::format("{}://{}:{}", scheme, host, ntohs(address.sin6_port));
}

}  // namespace

Connection::Connection(std::shared_ptr<Worker> worker, Arrival arrival)
    : worker_(std::move(worker)), socket_(worker_->io), timer_(worker_->io), is_local_(arrival.is_local) {
  error_code ec;
  socket_.assign(asio::generic::stream_protocol(arrival.family, 0), arrival.fd, ec);
  if (ec) {
    ::close(arrival.fd);
    return;
  }
  socket_.non_blocking(true, ec);
  const int on = 1;
  if (arrival.family != AF_UNIX) ::setsockopt(arrival.fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
  if (arrival.tls) tls_ = std::make_unique<TlsSession>(std::move(arrival.tls), arrival.fd);
}

Connection::~Connection() {
  ServerCore& core = *worker_->core;
  if (!counted_) return;
  const std::lock_guard lock(core.mutex);
  if (--core.open == 0) core.all_closed.notify_all();
}

void Connection::start() {
  counted_ = true;  // the acceptor counted it as open
  worker_->connections.emplace(this, shared_from_this());
  if (!socket_.is_open()) return close();
  head_.peer = peer_name(socket_);
  head_.reached_at = reached_base(socket_, tls_ != nullptr);
  if (!tls_) return go_idle();
  state_ = State::kHandshake;
  set_deadline(worker_->core->options.header_timeout);
  shake_hands();
}

void Connection::refuse(int status, const std::string& reason) {
  ServerCore& core = *worker_->core;
  core.refused_requests.fetch_add(1, std::memory_order_relaxed);
  keep_alive_ = false;
  head_request_ = false;
  body_follows_ = true;
  state_ = State::kHandling;
  ++request_;
  answer(request_,
         core.options.on_refused ? core.options.on_refused(status, reason, head_) : text_response(status, reason));
}

// ---- reading ----

void Connection::go_idle() {
  if (worker_->core->stopping.load(std::memory_order_relaxed)) return close();
  state_ = State::kIdle;
  set_deadline(worker_->core->options.idle_timeout);
  wait_readable();
}

void Connection::wait_readable() {
  if (waiting_read_ || state_ == State::kClosed) return;
  waiting_read_ = true;
  if (tls_ && state_ != State::kLingering && tls_->has_pending()) {
    // Posted, not called: as for pipelined requests.
    worker_->post([self = shared_from_this()] {
      self->waiting_read_ = false;
      if (self->state_ != State::kClosed) self->on_readable();
    });
    return;
  }
  socket_.async_wait(Socket::wait_read, [self = shared_from_this()](const error_code& ec) {
    self->waiting_read_ = false;
    if (self->state_ == State::kClosed) return;
    if (ec) return self->close();
    self->on_readable();
  });
}

void Connection::on_readable() {
  if (state_ == State::kHandling || state_ == State::kStreaming || state_ == State::kWriting) {
    return on_peer_while_busy();
  }
  if (state_ == State::kHandshake) return shake_hands();
  error_code ec;
  const std::size_t count = receive(ec);
  if (ec == asio::error::would_block) return wait_readable();
  if (ec || count == 0) return close();
  if (state_ == State::kLingering) return wait_readable();
  consume(std::string_view(worker_->scratch.data(), count));
}

// Somebody wants to know whether the client is still there. Bytes of a next request end the watch: they stay in the
// socket until this request is answered.
void Connection::on_peer_while_busy() {
  if (is_peer_gone()) close();
}

void Connection::consume(std::string_view data) {
  std::string joined;
  if (!leftover_.empty()) {
    joined = std::move(leftover_);
    leftover_.clear();
    joined += data;
    data = joined;
  }
  while (!data.empty()) {
    if (state_ == State::kIdle) begin_request();
    const Fed fed = feed(data);
    if (fed == Fed::kRefused) return;
    if (parser_->is_done()) {
      leftover_.assign(data);
      return dispatch_request();
    }
    if (fed == Fed::kWantsMore) {  // the parser wants what it did not take again, with more bytes behind it
      leftover_.assign(data);
      break;
    }
  }
  wait_readable();
}

void Connection::begin_request() {
  parser_.emplace();
  parser_->header_limit(static_cast<std::uint32_t>(worker_->core->options.header_limit.count));
  parser_->body_limit(static_cast<std::uint64_t>(worker_->core->options.body_limit.count));
  head_.method.clear();
  head_.target.clear();
  head_.headers.clear();
  head_.attachment.reset();
  state_ = State::kHeader;
  set_deadline(worker_->core->options.header_timeout);
}

Connection::Fed Connection::feed(std::string_view& data) {
  error_code ec;
  const std::size_t used = parser_->put(asio::buffer(data.data(), data.size()), ec);
  data.remove_prefix(used);
  if (ec && ec != http::error::need_more) {
    refuse_parse_error(ec);
    return Fed::kRefused;
  }
  if (state_ == State::kHeader && parser_->is_header_done()) {
    if (parser_->is_done()) leftover_.assign(data);  // a refusal may keep the connection: pipelined bytes stay
    if (!on_header()) return Fed::kRefused;
    leftover_.clear();
    return Fed::kTook;
  }
  return ec ? Fed::kWantsMore : Fed::kTook;
}

void Connection::refuse_parse_error(const error_code& error) {
  const HttpServerOptions& options = worker_->core->options;
  head_ = take_request();
  if (error == http::error::body_limit) {
    return refuse(413, fmt::format("the request body is over the limit of {}", options.body_limit.to_string()));
  }
  if (error == http::error::header_limit) {
    return refuse(431, fmt::format("the request header is over the limit of {}", options.header_limit.to_string()));
  }
  refuse(400, "the request is not HTTP/1.1: " + error.message());
}

bool Connection::on_header() {
  ServerCore& core = *worker_->core;
  head_ = take_request();
  const auto& message = parser_->get();
  version_11_ = message.version() >= 11;
  keep_alive_ = message.keep_alive() && !core.stopping.load(std::memory_order_relaxed);
  head_request_ = message.method() == http::verb::head;
  core.requests.fetch_add(1, std::memory_order_relaxed);
  if (head_.target.empty() || head_.target.front() != '/') {
    refuse(400, "the request target is not an absolute path");
    return false;
  }
  if (core.options.on_head) {
    if (auto refusal = core.options.on_head(head_)) {
      core.refused_requests.fetch_add(1, std::memory_order_relaxed);
      body_follows_ = !parser_->is_done();
      if (body_follows_) keep_alive_ = false;
      state_ = State::kHandling;
      ++request_;
      answer(request_, std::move(*refusal));
      return false;
    }
  }
  if (parser_->is_done()) return true;
  state_ = State::kBody;
  set_deadline(core.options.body_timeout);
  if (equal_without_case(head_.header("Expect"), "100-continue")) enqueue({"HTTP/1.1 100 Continue\r\n\r\n", 0, {}});
  parser_->eager(true);
  return true;
}

HttpRequest Connection::take_request() {
  auto& message = parser_->get();
  HttpRequest request;
  request.peer = head_.peer;
  request.reached_at = head_.reached_at;
  request.attachment = head_.attachment;
  request.is_local = is_local_;
  request.certificate = certificate_;
  request.method = std::string(message.method_string());
  request.target = std::string(message.target());
  // Absolute form (RFC 9112 §3.2.2): the authority is not looked at.
  if (request.target.starts_with("http://")) {
    const std::size_t slash = request.target.find('/', 7);
    request.target = slash == std::string::npos ? "/" : request.target.substr(slash);
  }
  for (const auto& field : message) {
    request.headers.push_back({std::string(field.name_string()), std::string(field.value())});
  }
  return request;
}

void Connection::dispatch_request() {
  HttpRequest request = std::move(head_);
  request.is_among_many = worker_->core->crowd.joins(this, std::chrono::steady_clock::now());
  request.body = std::move(parser_->get().body());
  head_ = HttpRequest{};
  head_.peer = request.peer;
  head_.reached_at = request.reached_at;
  parser_.reset();
  clear_deadline();
  state_ = State::kHandling;
  ++request_;
  HttpResponder responder(std::make_shared<HttpResponder::State>(worker_, weak_from_this(), request_));
  worker_->core->handler(std::move(request), std::move(responder));
}

// ---- answering ----

std::string Connection::response_head(const HttpResponse& response, bool chunked, std::size_t length) {
  std::string out;
  out.reserve(256);
  fmt::format_to(std::back_inserter(out), "HTTP/1.1 {} {}\r\n", response.status, reason_phrase(response.status));
  out += worker_->date_line();
  if (!response.content_type.empty()) {
    out += "Content-Type: ";
    out += response.content_type;
    out += "\r\n";
  }
  for (const HttpHeader& header : response.headers) {
    // A value that came from outside must not end the header.
    if (header.value.find_first_of("\r\n") != std::string::npos) continue;
    out += header.name;
    out += ": ";
    out += header.value;
    out += "\r\n";
  }
  if (chunked) {
    out += "Transfer-Encoding: chunked\r\n";
  } else if (length != std::string::npos && response.status != 204 && response.status != 304) {
    fmt::format_to(std::back_inserter(out), "Content-Length: {}\r\n", length);
  }
  if (!keep_alive_) {
    out += "Connection: close\r\n";
  } else if (!version_11_) {
    out += "Connection: keep-alive\r\n";
  }
  out += "\r\n";
  return out;
}

void Connection::answer(std::uint64_t request, HttpResponse response) {
  if (request != request_ || state_ != State::kHandling) return;
  if (worker_->core->stopping.load(std::memory_order_relaxed)) keep_alive_ = false;
  state_ = State::kWriting;
  gone_.clear();
  const bool has_body = !head_request_ && response.status != 204 && response.status != 304;
  Chunk head{response_head(response, false, response.body.size()), 0, {}};
  if (has_body && response.body.size() <= 4096) {
    head.data += response.body;
    return enqueue(std::move(head));
  }
  out_.push_back(std::move(head));
  if (has_body) out_.push_back({std::move(response.body), 0, {}});
  if (!waiting_write_) flush();
}

void Connection::begin_stream(std::uint64_t request, HttpResponse head, std::shared_ptr<HttpStream::State> stream) {
  if (request != request_ || state_ != State::kHandling) {
    stream->gone = true;
    return;
  }
  state_ = State::kStreaming;
  stream_ = std::move(stream);
  stream_ended_ = false;
  chunked_ = version_11_ && !head_request_;
  if (!version_11_) keep_alive_ = false;
  std::string first = std::move(head.body);
  enqueue({response_head(head, chunked_, std::string::npos), 0, {}});
  if (!first.empty()) {
    stream_->buffered += first.size();
    stream_write(request, std::move(first), {});
  }
  wait_readable();  // to see the client go away
}

void Connection::stream_write(std::uint64_t request, std::string data, std::function<void()> when_written) {
  if (request != request_ || state_ != State::kStreaming || stream_ended_) return;
  Chunk chunk;
  chunk.payload = data.size();
  chunk.when_written = std::move(when_written);
  if (chunked_ && !data.empty()) {
    chunk.data = fmt::format("{:x}\r\n", data.size());
    chunk.data += data;
    chunk.data += "\r\n";
  } else if (!head_request_) {
    chunk.data = std::move(data);
  }
  enqueue(std::move(chunk));
}

void Connection::stream_end(std::uint64_t request) {
  if (request != request_ || state_ != State::kStreaming || stream_ended_) return;
  stream_ended_ = true;
  gone_.clear();
  enqueue({chunked_ ? "0\r\n\r\n" : "", 0, {}});
}

void Connection::watch_gone(std::uint64_t request, std::function<void()> callback) {
  if (request != request_ || (state_ != State::kHandling && state_ != State::kStreaming)) {
    // Answered in full is not gone; closed is.
    if (state_ == State::kClosed) callback();
    return;
  }
  if (stream_ended_ && state_ == State::kStreaming) return;
  gone_.push_back(std::move(callback));
  wait_readable();
}

// ---- writing ----

void Connection::enqueue(Chunk chunk) {
  out_.push_back(std::move(chunk));
  if (!waiting_write_) flush();
}

void Connection::flush() {
  const auto self = shared_from_this();  // a when_written callback may drop the last other reference
  while (!out_.empty() && state_ != State::kClosed) {
    std::array<asio::const_buffer, 8> buffers;
    std::size_t used = 0;
    for (const Chunk& chunk : out_) {
      if (used == buffers.size()) break;
      buffers[used] = asio::buffer(chunk.data) + (used == 0 ? out_offset_ : 0);
      ++used;
    }
    error_code ec;
    std::size_t count = 0;
    if (asio::buffer_size(buffers) > 0) count = transmit(std::span(buffers.data(), used), ec);
    if (ec == asio::error::would_block) {
      set_write_deadline();
      waiting_write_ = true;
      return socket_.async_wait(Socket::wait_write, [self](const error_code& wait_error) {
        self->waiting_write_ = false;
        if (self->state_ == State::kClosed) return;
        if (wait_error) return self->close();
        self->flush();
      });
    }
    if (ec) return close();
    out_offset_ += count;
    if (out_offset_ >= out_.front().data.size()) piece_deadline_ = SteadyTime::max();
    while (!out_.empty() && out_offset_ >= out_.front().data.size()) {
      out_offset_ -= out_.front().data.size();
      const std::size_t payload = out_.front().payload;
      const std::function<void()> written = std::move(out_.front().when_written);
      out_.pop_front();
      if (payload > 0 && stream_) stream_->buffered -= payload;
      if (written) worker_->post(written);
      if (out_.empty()) out_offset_ = 0;
    }
  }
  if (state_ != State::kClosed) on_flushed();
}

void Connection::on_flushed() {
  if (state_ == State::kWriting || (state_ == State::kStreaming && stream_ended_)) return finish_exchange();
  if (state_ == State::kStreaming || state_ == State::kHandling) clear_deadline();
  // kBody: the 100 Continue went out; the body's deadline stands.
}

void Connection::finish_exchange() {
  ++request_;  // late calls of this request's responder or stream mean nothing any more
  if (stream_) {
    stream_->closed = true;
    stream_.reset();
  }
  stream_ended_ = false;
  gone_.clear();
  if (!keep_alive_) return linger();
  parser_.reset();
  if (leftover_.empty()) return go_idle();
  // Posted, not called: a client that pipelines thousands of requests must not deepen the stack.
  state_ = State::kIdle;
  set_deadline(worker_->core->options.idle_timeout);
  worker_->post([self = shared_from_this()] {
    if (self->state_ == State::kIdle) self->consume({});
  });
}

void Connection::linger() {
  if (!body_follows_) return close();
  state_ = State::kLingering;
  error_code ignored;
  if (tls_) tls_->say_goodbye();
  socket_.shutdown(Socket::shutdown_send, ignored);
  set_deadline(kLingerTime);
  wait_readable();
}

// ---- ending ----

void Connection::begin_stop() {
  const bool waits = state_ == State::kHandshake || state_ == State::kIdle || state_ == State::kHeader ||
                     state_ == State::kBody || state_ == State::kStreaming;
  if (waits) return close();
  keep_alive_ = false;
}

void Connection::close() {
  if (state_ == State::kClosed) return;
  const auto self = shared_from_this();
  state_ = State::kClosed;
  error_code ignored;
  if (tls_) tls_->say_goodbye();
  socket_.close(ignored);
  timer_.cancel();
  parser_.reset();
  out_.clear();
  worker_->connections.erase(this);
  fire_gone();
}

void Connection::fire_gone() {
  if (stream_) {
    stream_->gone = true;
    stream_.reset();
  }
  const auto callbacks = std::move(gone_);
  gone_.clear();
  for (const auto& callback : callbacks) callback();
}

// ---- time ----

// One lazy timer: a deadline that moves later costs nothing but a store; the timer looks again when it fires.
void Connection::set_deadline(Duration span) {
  deadline_ = std::chrono::steady_clock::now() + span;
  if (armed_ > deadline_) arm_timer();
}

// Nothing taken for a while, or the piece not taken in all its time: single bytes now and then help nobody.
void Connection::set_write_deadline() {
  const HttpServerOptions& options = worker_->core->options;
  const SteadyTime now = std::chrono::steady_clock::now();
  if (piece_deadline_ == SteadyTime::max()) {
    const auto bytes = static_cast<std::int64_t>(out_.front().data.size() - out_offset_);
    const auto rate = std::max<std::int64_t>(1, options.slowest_client.count);
    piece_deadline_ = now + options.write_timeout + std::chrono::seconds(bytes / rate);
  }
  set_deadline(std::min(options.write_timeout, std::chrono::duration_cast<Duration>(piece_deadline_ - now)));
}

void Connection::arm_timer() {
  armed_ = deadline_;
  timer_.expires_at(deadline_);
  timer_.async_wait([weak = weak_from_this()](const error_code& ec) {
    const auto self = weak.lock();
    if (ec || !self || self->state_ == State::kClosed) return;
    self->armed_ = SteadyTime::max();
    if (self->deadline_ == SteadyTime::max()) return;
    if (self->deadline_ > std::chrono::steady_clock::now()) return self->arm_timer();
    self->on_timeout();
  });
}

void Connection::on_timeout() {
  if (state_ == State::kHeader || state_ == State::kBody) {
    clear_deadline();
    return refuse(408, "the request did not arrive in time");
  }
  close();
}

}  // namespace nuraghe::net
