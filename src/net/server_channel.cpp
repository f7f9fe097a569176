// Channels (a console's far end) and timers on the server's io threads.
#include <sys/socket.h>

#include <boost/asio/buffer.hpp>

#include "net/server_core.hpp"

namespace nuraghe::net {

using boost::system::error_code;

namespace {

constexpr std::size_t kChannelBuffer = 1024 * 1024;

class SocketChannel final : public Channel, public Ending, public std::enable_shared_from_this<SocketChannel> {
 public:
  SocketChannel(std::shared_ptr<Worker> worker, env::UniqueFd fd) : worker_(std::move(worker)), socket_(worker_->io) {
    sockaddr_storage address{};
    socklen_t size = sizeof address;
    if (::getsockname(fd.get(), reinterpret_cast<sockaddr*>(&address), &size) != 0) return;
    error_code ec;
    socket_.assign(asio::generic::stream_protocol(address.ss_family, 0), fd.get(), ec);
    if (ec) return;
    fd.release();
    socket_.non_blocking(true, ec);
    open_ = true;
  }

  ~SocketChannel() override { worker_->forget(this); }
  void enroll() { worker_->enroll(this, weak_from_this()); }
  void end() override {
    open_ = false;
    error_code ignored;
    socket_.close(ignored);
  }

  void read(std::function<void(Result<std::string>)> done) override {
    auto shared = std::make_shared<std::function<void(Result<std::string>)>>(std::move(done));
    const bool posted = worker_->dispatch([self = shared_from_this(), shared] { self->start_read(shared); });
    if (!posted) (*shared)(std::string());
  }

  Status write(std::string data) override {
    if (!open_) return unavailable("the channel is closed");
    const std::size_t size = data.size();
    if (buffered_.fetch_add(size) + size > kChannelBuffer) {
      buffered_ -= size;
      return exhausted("the far end of the channel does not read");
    }
    auto shared = std::make_shared<std::string>(std::move(data));
    const bool posted = worker_->dispatch([self = shared_from_this(), shared] {
      self->out_ += *shared;
      self->flush();
    });
    if (!posted) return unavailable("the server has stopped");
    return {};
  }

  void close() override {
    open_ = false;
    worker_->dispatch([self = shared_from_this()] { self->end(); });
  }

 private:
  using ReadDone = std::shared_ptr<std::function<void(Result<std::string>)>>;

  void start_read(const ReadDone& done) {
    if (!open_) return (*done)(std::string());
    socket_.async_wait(Socket::wait_read, [self = shared_from_this(), done](const error_code& wait_error) {
      if (wait_error || !self->open_) return (*done)(std::string());
      error_code ec;
      auto& scratch = self->worker_->scratch;
      const std::size_t count = self->socket_.read_some(asio::buffer(scratch), ec);
      if (ec == asio::error::would_block) return self->start_read(done);
      if (ec && ec != asio::error::eof) {
        self->open_ = false;
        return (*done)(system_error("read from the channel", ec.value()));
      }
      (*done)(std::string(scratch.data(), count));
    });
  }

  void flush() {
    if (waiting_ || out_.empty() || !open_) return;
    error_code ec;
    const std::size_t count = socket_.write_some(asio::buffer(out_), ec);
    if (ec && ec != asio::error::would_block) {
      open_ = false;  // a waiting read reports the end
      return;
    }
    out_.erase(0, count);
    buffered_ -= count;
    if (out_.empty()) return;
    waiting_ = true;
    socket_.async_wait(Socket::wait_write, [self = shared_from_this()](const error_code& wait_error) {
      self->waiting_ = false;
      if (!wait_error) self->flush();
    });
  }

  std::shared_ptr<Worker> worker_;
  Socket socket_;
  std::string out_;
  bool waiting_ = false;
  std::atomic<bool> open_{false};
  std::atomic<std::size_t> buffered_{0};
};

class WorkerTimer final : public Timer, public Ending, public std::enable_shared_from_this<WorkerTimer> {
 public:
  explicit WorkerTimer(std::shared_ptr<Worker> worker) : worker_(std::move(worker)), timer_(worker_->io) {}
  ~WorkerTimer() override { worker_->forget(this); }
  void end() override {
    cancelled_ = true;
    timer_.cancel();
  }

  void arm(Duration delay, std::function<void()> callback) {
    worker_->enroll(this, weak_from_this());
    const SteadyTime due = std::chrono::steady_clock::now() + delay;
    auto shared = std::make_shared<std::function<void()>>(std::move(callback));
    worker_->dispatch([self = shared_from_this(), due, shared] {
      self->timer_.expires_at(due);
      self->timer_.async_wait([self, shared](const error_code& ec) {
        if (!ec && !self->cancelled_) (*shared)();
      });
    });
  }

  void cancel() override {
    cancelled_ = true;
    worker_->dispatch([self = shared_from_this()] { self->end(); });
  }

 private:
  std::shared_ptr<Worker> worker_;
  asio::steady_timer timer_;
  std::atomic<bool> cancelled_{false};
};

}  // namespace

std::shared_ptr<Channel> make_channel(std::shared_ptr<Worker> worker, env::UniqueFd socket) {
  auto channel = std::make_shared<SocketChannel>(std::move(worker), std::move(socket));
  channel->enroll();
  return channel;
}

std::shared_ptr<Timer> make_timer(std::shared_ptr<Worker> worker, Duration delay, std::function<void()> callback) {
  auto timer = std::make_shared<WorkerTimer>(std::move(worker));
  timer->arm(delay, std::move(callback));
  return timer;
}

}  // namespace nuraghe::net
