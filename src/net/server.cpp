// HttpServer: workers, the acceptor, and the handles that answer requests from other threads.
#include <fcntl.h>
#include <fmt/format.h>
#include <sys/socket.h>
#include <unistd.h>

#include <boost/asio/posix/stream_descriptor.hpp>
#include <ctime>

#include "base/check.hpp"
#include "base/log.hpp"
#include "net/listen.hpp"
#include "net/server_core.hpp"

namespace nuraghe::net {

using boost::system::error_code;

// ---- Worker ----

void Worker::run() {
  thread_ = std::thread([this] {
    thread_id_ = std::this_thread::get_id();
    io.run();
  });
}

void Worker::end_and_join() {
  {
    const std::lock_guard lock(mutex_);
    if (ended_) return;
    ended_ = true;
  }
  guard_.reset();
  io.stop();
  if (thread_.joinable()) thread_.join();
  // What is still queued holds references to connections and through them to this worker: run it, so that they go.
  io.restart();
  thread_id_ = std::this_thread::get_id();
  std::vector<std::shared_ptr<Ending>> endings;
  {
    const std::lock_guard lock(mutex_);
    for (const auto& [key, weak] : endings_) endings.push_back(weak.lock());
  }
  for (const auto& ending : endings) {
    if (ending) ending->end();
  }
  io.poll();
}

void Worker::enroll(Ending* key, std::weak_ptr<Ending> ending) {
  const std::lock_guard lock(mutex_);
  endings_.emplace(key, std::move(ending));
}

void Worker::forget(Ending* key) {
  const std::lock_guard lock(mutex_);
  endings_.erase(key);
}

bool Worker::post(std::function<void()> work) {
  const std::lock_guard lock(mutex_);
  if (ended_) return false;
  asio::post(io, std::move(work));
  return true;
}

bool Worker::dispatch(std::function<void()> work) {
  if (!is_current()) return post(std::move(work));
  work();
  return true;
}

const std::string& Worker::date_line() {
  const std::time_t now = std::time(nullptr);
  if (now != date_second_) {
    date_second_ = now;
    std::tm utc{};
    ::gmtime_r(&now, &utc);
    char text[64];
    const std::size_t length = std::strftime(text, sizeof text, "Date: %a, %d %b %Y %H:%M:%S GMT\r\n", &utc);
    date_line_.assign(text, length);
  }
  return date_line_;
}

// ---- handles ----

HttpResponder::State::~State() {
  if (answered.exchange(true)) return;
  worker->dispatch([target = connection, id = request] {
    if (const auto self = target.lock()) self->answer(id, text_response(500, "the request was not answered"));
  });
}

void HttpResponder::respond(HttpResponse response) const {
  if (state_->answered.exchange(true)) return;
  if (state_->worker->is_current()) {
    if (const auto target = state_->connection.lock()) target->answer(state_->request, std::move(response));
    return;
  }
  auto shared = std::make_shared<HttpResponse>(std::move(response));
  state_->worker->post([state = state_, shared] {
    if (const auto target = state->connection.lock()) target->answer(state->request, std::move(*shared));
  });
}

void HttpResponder::respond_with(std::function<HttpResponse()> make) const {
  if (state_->answered.exchange(true)) return;
  state_->worker->dispatch([state = state_, made = std::move(make)] {
    if (const auto target = state->connection.lock()) target->answer(state->request, made());
  });
}

HttpStream HttpResponder::begin_stream(HttpResponse head) const {
  const auto limit = static_cast<std::size_t>(state_->worker->core->options.stream_buffer.count);
  auto stream = std::make_shared<HttpStream::State>(state_->worker, state_->connection, state_->request, limit);
  if (state_->answered.exchange(true)) {
    stream->closed = true;
    return HttpStream(stream);
  }
  auto shared = std::make_shared<HttpResponse>(std::move(head));
  // The connection holds the stream's state; the handle that the caller gets is another object, so that dropping the
  // last handle can end the stream.
  auto inner = stream;
  const bool posted = state_->worker->dispatch([state = state_, shared, inner] {
    const auto target = state->connection.lock();
    if (!target) {
      inner->gone = true;
      return;
    }
    target->begin_stream(state->request, std::move(*shared), inner);
  });
  if (!posted) stream->gone = true;
  return HttpStream(
      std::shared_ptr<HttpStream::State>(stream.get(), [stream](HttpStream::State*) { HttpStream(stream).close(); }));
}

namespace {

void watch_gone(const std::shared_ptr<Worker>& worker, const std::weak_ptr<Connection>& connection,
                std::uint64_t request, std::function<void()> callback) {
  auto shared = std::make_shared<std::function<void()>>(std::move(callback));
  const bool posted = worker->dispatch([connection, request, shared] {
    if (const auto target = connection.lock()) return target->watch_gone(request, std::move(*shared));
    (*shared)();
  });
  if (!posted) (*shared)();
}

}  // namespace

void HttpResponder::on_gone(std::function<void()> callback) const {
  watch_gone(state_->worker, state_->connection, state_->request, std::move(callback));
}

HttpStream::State::~State() = default;

Status HttpStream::write(std::string data, std::function<void()> when_written) const {
  if (state_->closed) return unavailable("the stream was closed");
  if (state_->gone) return unavailable("the client went away");
  if (data.empty() && !when_written) return {};
  const std::size_t size = data.size();
  if (state_->buffered.fetch_add(size) + size > state_->limit) {
    state_->buffered -= size;
    return exhausted("the client does not read its stream");
  }
  auto shared = std::make_shared<std::string>(std::move(data));
  const bool posted = state_->worker->dispatch(
      [target = state_->connection, id = state_->request, shared, written = std::move(when_written)]() mutable {
        if (const auto self = target.lock()) self->stream_write(id, std::move(*shared), std::move(written));
      });
  if (!posted) return unavailable("the server has stopped");
  return {};
}

void HttpStream::close() const {
  if (state_->closed.exchange(true)) return;
  state_->worker->dispatch([target = state_->connection, id = state_->request] {
    if (const auto self = target.lock()) self->stream_end(id);
  });
}

bool HttpStream::gone() const { return state_->gone; }

void HttpStream::on_gone(std::function<void()> callback) const {
  watch_gone(state_->worker, state_->connection, state_->request, std::move(callback));
}

// ---- the server ----

namespace {

class Server final : public HttpServer {
 public:
  explicit Server(HttpServerOptions options) : core_(std::make_shared<ServerCore>()) {
    core_->options = std::move(options);
    core_->tls = core_->options.tls;
    spare_.reset(::open("/dev/null", O_RDONLY | O_CLOEXEC));
  }
  ~Server() override { stop(Duration(0)); }

  Status open() {
    for (const std::string& address : core_->options.listen) {
      TRY_ASSIGN(Listener listener, listen_on(address, core_->options.allow_other_hosts));
      if (listener.is_tls && !core_->tls) return invalid(address + " cannot be served: there is no certificate");
      if (port_ == 0) port_ = listener.port;
      bases_.push_back(listener.base);
      listeners_.push_back(std::move(listener));
    }
    const std::size_t threads = std::max<std::size_t>(1, core_->options.threads);
    for (std::size_t i = 0; i < threads; ++i) workers_.push_back(std::make_shared<Worker>(core_));
    for (Listener& listener : listeners_) {
      acceptors_.push_back(
          std::make_unique<asio::posix::stream_descriptor>(workers_.front()->io, listener.fd.release()));
      wait_accept(*acceptors_.back(), listener);
    }
    return {};
  }
  void serve(Handler handler) override {
    CHECK(!serving_);
    serving_ = true;
    core_->handler = std::move(handler);
    for (const auto& worker : workers_) worker->run();
  }

  void set_tls(std::shared_ptr<const TlsServerContext> tls) override {
    const std::lock_guard lock(core_->tls_mutex);
    core_->tls = std::move(tls);
  }
  int port() const override { return port_; }
  const std::vector<std::string>& bases() const override { return bases_; }
  void stop(Duration grace) override;
  HttpServerStatistics statistics() const override;
  std::shared_ptr<Channel> open_channel(env::UniqueFd socket) override {
    return make_channel(any_worker(), std::move(socket));
  }
  bool post(std::function<void()> work) override { return any_worker()->post(std::move(work)); }
  std::shared_ptr<Timer> run_after(Duration delay, std::function<void()> callback) override {
    return make_timer(any_worker(), delay, std::move(callback));
  }

 private:
  const std::shared_ptr<Worker>& any_worker() { return workers_[next_worker_++ % workers_.size()]; }
  void wait_accept(asio::posix::stream_descriptor& acceptor, const Listener& listener);
  void accept_all(asio::posix::stream_descriptor& acceptor, const Listener& listener);
  void admit(int fd, int family, const Listener& listener);
  bool shed_one(int listening);
  void close_acceptors();

  std::shared_ptr<ServerCore> core_;
  std::vector<Listener> listeners_;
  std::vector<std::string> bases_;
  int port_ = 0;
  std::vector<std::shared_ptr<Worker>> workers_;
  std::vector<std::unique_ptr<asio::posix::stream_descriptor>> acceptors_;  // on the first worker's thread
  std::atomic<std::size_t> next_worker_{0};
  env::UniqueFd spare_;  // given up for a moment to turn a client away when descriptors have run out
  std::mutex stop_mutex_;
  bool stopped_ = false;
  bool serving_ = false;
};

void Server::wait_accept(asio::posix::stream_descriptor& acceptor, const Listener& listener) {
  acceptor.async_wait(asio::posix::stream_descriptor::wait_read, [this, &acceptor, &listener](const error_code& ec) {
    if (ec || core_->stopping) return;
    accept_all(acceptor, listener);
    wait_accept(acceptor, listener);
  });
}

void Server::accept_all(asio::posix::stream_descriptor& acceptor, const Listener& listener) {
  // Bounded, so that connections already accepted on this thread are served in between; async_wait sees the rest.
  for (int i = 0; i < 64; ++i) {
    sockaddr_storage address{};
    socklen_t size = sizeof address;
    const int fd =
        ::accept4(acceptor.native_handle(), reinterpret_cast<sockaddr*>(&address), &size, SOCK_CLOEXEC | SOCK_NONBLOCK);
    if (fd >= 0) {
      admit(fd, address.ss_family, listener);
    } else if (errno == EMFILE || errno == ENFILE) {
      if (!shed_one(acceptor.native_handle())) return;
    } else if (errno != EINTR && errno != ECONNABORTED) {
      return;
    }
  }
}

bool Server::shed_one(int listening) {
  if (core_->refused_connections++ % 1000 == 0) {
    log_warning("net", "out of file descriptors: a connection is turned away");
  }
  spare_.reset();
  const env::UniqueFd victim(::accept4(listening, nullptr, nullptr, SOCK_CLOEXEC));
  const bool one = victim.valid();
  spare_.reset(::open("/dev/null", O_RDONLY | O_CLOEXEC));
  return one;
}

void Server::admit(int fd, int family, const Listener& listener) {
  bool over = false;
  {
    const std::lock_guard lock(core_->mutex);
    over = core_->open >= static_cast<std::int64_t>(core_->options.max_connections);
    ++core_->open;
  }
  core_->accepted++;
  if (over) core_->refused_connections++;
  Arrival arrival{fd, family, listener.is_local, nullptr};
  if (listener.is_tls) {
    const std::lock_guard lock(core_->tls_mutex);
    arrival.tls = core_->tls;
  }
  // A handshake only to be refused is what who floods would like.
  const bool answers = !arrival.tls;
  const std::shared_ptr<Worker>& worker = any_worker();
  auto connection = std::make_shared<Connection>(worker, std::move(arrival));
  worker->dispatch([connection, over, answers] {
    connection->start();
    if (!over) return;
    if (!answers) return connection->close();
    connection->refuse(503, "too many connections; try again later");
  });
}

void Server::close_acceptors() {
  for (const auto& acceptor : acceptors_) {
    error_code ignored;
    acceptor->close(ignored);
  }
  for (const Listener& listener : listeners_) {
    if (!listener.socket_path.empty()) ::unlink(listener.socket_path.c_str());
  }
}

void Server::stop(Duration grace) {
  const std::lock_guard stop_lock(stop_mutex_);
  if (stopped_) return;
  stopped_ = true;
  core_->stopping = true;
  if (!serving_) {
    close_acceptors();
    for (const auto& worker : workers_) worker->end_and_join();
    return acceptors_.clear();
  }
  std::promise<void> closed;
  workers_.front()->post([this, &closed] {
    close_acceptors();
    closed.set_value();
  });
  closed.get_future().wait();
  const auto for_all = [this](void (Connection::*what)()) {
    for (const auto& worker : workers_) {
      worker->post([worker, what] {
        std::vector<std::shared_ptr<Connection>> all;
        for (const auto& [key, connection] : worker->connections) all.push_back(connection);
        for (const auto& connection : all) ((*connection).*what)();
      });
    }
  };
  for_all(&Connection::begin_stop);
  {
    std::unique_lock lock(core_->mutex);
    core_->all_closed.wait_for(lock, grace, [this] { return core_->open == 0; });
  }
  for_all(&Connection::close);
  for (const auto& worker : workers_) {
    std::promise<void> drained;
    worker->post([&drained] { drained.set_value(); });
    drained.get_future().wait();
    worker->end_and_join();
  }
  acceptors_.clear();
}

HttpServerStatistics Server::statistics() const {
  HttpServerStatistics out;
  out.connections_accepted = core_->accepted;
  out.connections_refused = core_->refused_connections;
  out.requests = core_->requests;
  out.requests_refused = core_->refused_requests;
  out.handshakes_failed = core_->failed_handshakes;
  const std::lock_guard lock(core_->mutex);
  out.connections_open = core_->open;
  return out;
}

}  // namespace

Result<std::unique_ptr<HttpServer>> HttpServer::bind(HttpServerOptions options) {
  auto server = std::make_unique<Server>(std::move(options));
  TRY(server->open());
  return std::unique_ptr<HttpServer>(std::move(server));
}

Result<std::unique_ptr<HttpServer>> HttpServer::start(HttpServerOptions options, Handler handler) {
  TRY_ASSIGN(auto server, bind(std::move(options)));
  server->serve(std::move(handler));
  return server;
}

}  // namespace nuraghe::net
