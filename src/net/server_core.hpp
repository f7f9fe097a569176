// Inside of HttpServer: workers and connections. Included by this room's server sources only (Asio and Beast are
// heavy).
//
// A Worker is one thread with one io_context; everything of a Connection is touched on its worker's thread only, so
// there are no locks but the one that guards posting against the end of the worker.
#pragma once

#include <array>
#include <atomic>
#include <boost/asio/generic/stream_protocol.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/post.hpp>
#include <boost/asio/steady_timer.hpp>
#include <boost/beast/http/parser.hpp>
#include <boost/beast/http/string_body.hpp>
#include <condition_variable>
#include <deque>
#include <future>
#include <mutex>
#include <span>
#include <thread>
#include <unordered_map>

#include "net/crowd.hpp"
#include "net/http_server.hpp"
#include "net/tls_session.hpp"

namespace nuraghe::net {

namespace asio = boost::asio;
using Socket = asio::generic::stream_protocol::socket;
using SteadyTime = std::chrono::steady_clock::time_point;

class Connection;

// Something that waits on a worker's io_context and would keep it alive: ended with the worker.
class Ending {
 public:
  virtual ~Ending() = default;
  virtual void end() = 0;
};

// What all workers share.
struct ServerCore {
  HttpServerOptions options;
  HttpServer::Handler handler;
  Crowd crowd;
  std::atomic<bool> stopping{false};
  std::atomic<std::int64_t> accepted{0}, refused_connections{0}, requests{0}, refused_requests{0}, failed_handshakes{0};
  std::mutex mutex;  // guards open
  std::condition_variable all_closed;
  std::int64_t open = 0;
  std::mutex tls_mutex;  // guards tls
  std::shared_ptr<const TlsServerContext> tls;
};

// How a connection came in.
struct Arrival {
  int fd = -1;
  int family = 0;
  bool is_local = false;
  std::shared_ptr<const TlsServerContext> tls;  // null: plain
};

class Worker : public std::enable_shared_from_this<Worker> {
 public:
  explicit Worker(std::shared_ptr<ServerCore> shared) : core(std::move(shared)) {}

  void run();           // starts the thread
  void end_and_join();  // no post succeeds afterwards; what was queued is dropped after the thread's end
  bool is_current() const { return std::this_thread::get_id() == thread_id_; }
  // Queues the function for the worker's thread; false (and the function is dropped) when the worker has ended.
  bool post(std::function<void()> work);
  // As post, but at once when this is the worker's thread.
  bool dispatch(std::function<void()> work);
  void enroll(Ending* key, std::weak_ptr<Ending> ending);
  void forget(Ending* key);
  // The current Date header line, made anew when the second changes.
  const std::string& date_line();

  std::shared_ptr<ServerCore> core;
  asio::io_context io{1};
  std::array<char, 64 * 1024> scratch;  // where every read lands: idle connections hold no buffers
  std::unordered_map<Connection*, std::shared_ptr<Connection>> connections;

 private:
  asio::executor_work_guard<asio::io_context::executor_type> guard_{io.get_executor()};
  std::thread thread_;
  std::atomic<std::thread::id> thread_id_{};
  std::mutex mutex_;
  bool ended_ = false;
  std::unordered_map<Ending*, std::weak_ptr<Ending>> endings_;  // guarded by mutex_
  std::int64_t date_second_ = -1;
  std::string date_line_;
};

class Connection : public std::enable_shared_from_this<Connection> {
 public:
  Connection(std::shared_ptr<Worker> worker, Arrival arrival);
  ~Connection();
  // ---- on the worker's thread ----
  void start();
  void refuse(int status, const std::string& reason);  // answers and closes
  void begin_stop();                                   // closes when idle or streaming, else after the answer
  void close();
  void answer(std::uint64_t request, HttpResponse response);
  void begin_stream(std::uint64_t request, HttpResponse head, std::shared_ptr<HttpStream::State> stream);
  void stream_write(std::uint64_t request, std::string data, std::function<void()> when_written);
  void stream_end(std::uint64_t request);
  void watch_gone(std::uint64_t request, std::function<void()> callback);

 private:
  enum class State { kHandshake, kIdle, kHeader, kBody, kHandling, kStreaming, kWriting, kLingering, kClosed };
  using Parser = boost::beast::http::request_parser<boost::beast::http::string_body>;
  struct Chunk {
    std::string data;
    std::size_t payload = 0;  // bytes that count against the stream's buffer
    std::function<void()> when_written;
  };

  void wait_readable();
  void on_readable();
  void on_peer_while_busy();
  // What came, at most the worker's scratch; ec as of a non-blocking socket.
  std::size_t receive(boost::system::error_code& ec);
  std::size_t transmit(std::span<const boost::asio::const_buffer> buffers, boost::system::error_code& ec);
  bool is_peer_gone();  // asked while a request is handled; more bytes of it are no departure
  void shake_hands();
  void consume(std::string_view data);
  enum class Fed { kTook, kWantsMore, kRefused };
  Fed feed(std::string_view& data);  // takes what the parser took off data
  bool on_header();                  // false when the request was refused
  void refuse_parse_error(const boost::system::error_code& error);
  void begin_request();
  void dispatch_request();
  HttpRequest take_request();
  std::string response_head(const HttpResponse& response, bool chunked, std::size_t length);
  void enqueue(Chunk chunk);
  void flush();
  void on_flushed();
  void finish_exchange();
  void linger();
  void go_idle();
  void fire_gone();
  void set_deadline(Duration span);
  void set_write_deadline();
  void clear_deadline() { deadline_ = SteadyTime::max(); }
  void arm_timer();
  void on_timeout();

  std::shared_ptr<Worker> worker_;
  Socket socket_;
  asio::steady_timer timer_;
  SteadyTime deadline_ = SteadyTime::max();
  SteadyTime armed_ = SteadyTime::max();
  std::unique_ptr<TlsSession> tls_;  // null: plain
  std::shared_ptr<const PeerCertificate> certificate_;
  State state_ = State::kIdle;
  std::optional<Parser> parser_;
  HttpRequest head_;      // of the request being read
  std::string leftover_;  // read but not parsed yet
  std::deque<Chunk> out_;
  std::size_t out_offset_ = 0;  // of the first chunk
  std::uint64_t request_ = 0;   // number of the request in hand: answers to another one are dropped
  std::shared_ptr<HttpStream::State> stream_;
  std::vector<std::function<void()>> gone_;
  bool is_local_ = false;
  bool waiting_read_ = false;
  bool waiting_write_ = false;
  bool keep_alive_ = true;
  bool chunked_ = false;
  bool head_request_ = false;
  bool version_11_ = true;
  bool stream_ended_ = false;
  SteadyTime piece_deadline_ = SteadyTime::max();  // of the first piece of out_, once the client has made it wait
  bool body_follows_ = false;  // of a refused request: the rest is read and thrown away before closing
  bool counted_ = false;
};

struct HttpResponder::State {
  State(std::shared_ptr<Worker> w, std::weak_ptr<Connection> c, std::uint64_t r)
      : worker(std::move(w)), connection(std::move(c)), request(r) {}
  ~State();
  State(const State&) = delete;
  State& operator=(const State&) = delete;
  std::shared_ptr<Worker> worker;
  std::weak_ptr<Connection> connection;
  std::uint64_t request;
  std::atomic<bool> answered{false};
};

struct HttpStream::State {
  State(std::shared_ptr<Worker> w, std::weak_ptr<Connection> c, std::uint64_t r, std::size_t l)
      : worker(std::move(w)), connection(std::move(c)), request(r), limit(l) {}
  ~State();
  State(const State&) = delete;
  State& operator=(const State&) = delete;
  std::shared_ptr<Worker> worker;
  std::weak_ptr<Connection> connection;
  std::uint64_t request;
  std::size_t limit;
  std::atomic<std::size_t> buffered{0};
  std::atomic<bool> gone{false};
  std::atomic<bool> closed{false};
};

std::shared_ptr<Channel> make_channel(std::shared_ptr<Worker> worker, env::UniqueFd socket);
std::shared_ptr<Timer> make_timer(std::shared_ptr<Worker> worker, Duration delay, std::function<void()> callback);

}  // namespace nuraghe::net
