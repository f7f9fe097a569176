#include "apps/nuraghed/remote_controllers.hpp"

#include <fmt/format.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <cerrno>
#include <thread>

#include "services/notification/notification.hpp"

namespace nuraghe::daemon {
namespace {

constexpr Duration kBeginTimeout = std::chrono::seconds(10);
constexpr Duration kQuiet = std::chrono::hours(1);  // a read of a silent console is begun again
constexpr std::string_view kServices = "/services/";

Error status_error(const std::string& url, int status, std::string_view said) {
  std::string text(said.substr(0, 200));
  if (text.empty()) text = fmt::format("{} answered HTTP {}", url, status);
  switch (status) {
    case 404:
      return not_found(std::move(text));
    case 401:
    case 403:
      return denied(fmt::format("the controller at {} does not know this nuraghed", url));
    default:
      return unavailable(std::move(text));
  }
}

bool write_all(int fd, std::string_view bytes) {
  while (!bytes.empty()) {
    const auto count = ::send(fd, bytes.data(), bytes.size(), MSG_NOSIGNAL);
    if (count < 0 && errno == EINTR) continue;
    if (count <= 0) return false;
    bytes.remove_prefix(static_cast<std::size_t>(count));
  }
  return true;
}

// "host-2" and "/hosts/x" of "/services/host-2/hosts/x".
struct ServicePath {
  std::string service, rest;
};
std::optional<ServicePath> service_path(std::string_view path) {
  if (!path.starts_with(kServices)) return std::nullopt;
  path.remove_prefix(kServices.size());
  const auto slash = std::min(path.find('/'), path.size());
  return ServicePath{std::string(path.substr(0, slash)), std::string(path.substr(slash))};
}

}  // namespace

// A console that is relayed: bytes from the controller's stream go to our end of a socket pair, what comes out of that
// end is posted to the controller.
class RemoteControllers::Console {
 public:
  Console(net::HttpClient& http, net::ClientRequest request) : http_(http), request_(std::move(request)) {}
  ~Console() {
    end();
    if (thread_.joinable()) thread_.join();
  }
  void start(std::function<void(Result<env::UniqueFd>)> done) {
    thread_ = std::thread([this, done = std::move(done)] {
      run(done);
      ended_ = true;
    });
  }
  bool ended() const { return ended_; }
  // The threads see it and end.
  void end() {
    const std::lock_guard lock(mutex_);
    ending_ = true;
    if (stream_) stream_->cancel();
    if (socket_.valid()) ::shutdown(socket_.get(), SHUT_RDWR);
  }

 private:
  void run(const std::function<void(Result<env::UniqueFd>)>& done) {
    auto following = request_;
    following.url += "?follow=1";
    following.timeout = kBeginTimeout;
    auto stream = http_.open_stream(following);
    if (!stream) return done(stream.error());
    if ((*stream)->status() != 200) {
      const auto said = (*stream)->read(kBeginTimeout);
      return done(status_error(following.url, (*stream)->status(), said ? *said : std::string()));
    }
    const std::string session(net::find_header((*stream)->headers(), "Nuraghe-Console-Session"));
    int ends[2];
    if (::socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends) != 0)
      return done(system_error("make a socket pair for a console", errno));
    {
      const std::lock_guard lock(mutex_);
      socket_ = env::UniqueFd(ends[1]);
      stream_ = std::move(*stream);
    }
    env::UniqueFd far(ends[0]);
    if (ending_) return done(unavailable("the service has stopped"));
    done(std::move(far));
    std::thread input([this, session] { send_input(session); });
    relay();
    end();
    input.join();
  }
  void relay() {
    while (!ending_) {
      const auto bytes = stream_->read(kQuiet);
      if (!bytes && bytes.error().code() == ErrorCode::kTimeout) continue;
      if (!bytes || bytes->empty() || !write_all(socket_.get(), *bytes)) return;
    }
  }
  void send_input(const std::string& session) {
    std::string buffer(std::size_t{64} * 1024, '\0');
    for (;;) {
      const auto count = ::read(socket_.get(), buffer.data(), buffer.size());
      if (count < 0 && errno == EINTR) continue;
      if (count <= 0) break;
      auto sending = request_;
      sending.method = "POST";
      sending.url += "?session=" + session;
      sending.content_type = "application/octet-stream";
      sending.body = buffer.substr(0, static_cast<std::size_t>(count));
      if (const auto sent = http_.call(std::move(sending)); !sent || sent->status / 100 != 2) break;
    }
    end();
  }

  net::HttpClient& http_;
  const net::ClientRequest request_;
  std::mutex mutex_;
  std::atomic<bool> ending_ = false;
  std::atomic<bool> ended_ = false;
  std::unique_ptr<net::ClientStream> stream_;  // set once
  env::UniqueFd socket_;                       // set once
  std::thread thread_;
};

class RemoteControllers::Forwarding final : public exchange::Router {
 public:
  Forwarding(RemoteControllers& controllers, exchange::Router& inner, std::function<bool(const std::string&)> is_own)
      : controllers_(controllers), inner_(inner), is_own_(std::move(is_own)) {}
  void add_route(std::string path, std::string operation, exchange::Exchange& exchange, std::string actor) override {
    inner_.add_route(std::move(path), std::move(operation), exchange, std::move(actor));
  }
  void remove_route(std::string_view path, std::string_view operation) override {
    inner_.remove_route(path, operation);
  }
  void add_own_base(std::string base) override { inner_.add_own_base(std::move(base)); }
  void deliver(exchange::Message request, exchange::ReplyHandler handler) override {
    inner_.deliver(std::move(request), std::move(handler));
  }
  void attempt(exchange::Message request, exchange::DeliveryHandler handler) override {
    const auto path = request.to_stranger ? std::nullopt : service_path(request.to);
    if (!path) return inner_.attempt(std::move(request), std::move(handler));
    handler = controllers_.telling(request, std::move(handler));
    if (is_own_(path->service)) return inner_.attempt(std::move(request), std::move(handler));
    // A workflow of an operator's own may be served there: what is not in this process is a controller's.
    exchange::Message again = request;
    inner_.attempt(std::move(request), [this, again = std::move(again),
                                        handler = std::move(handler)](Result<exchange::Message> outcome) mutable {
      if (outcome || outcome.error().code() != ErrorCode::kNotFound) return handler(std::move(outcome));
      controllers_.pass_on(std::move(again), std::move(handler));
    });
  }
  void accept(exchange::Message request, exchange::DeliveryHandler handler) override {
    const auto path = service_path(request.to);
    const bool is_here = !path || is_own_(path->service) || services::notification::is_for_producer(request);
    if (is_here) return inner_.accept(std::move(request), std::move(handler));
    controllers_.pass_on(std::move(request), std::move(handler));
  }
  std::optional<Within> within(const exchange::Message& request, const exchange::Inbox& inbox) const override {
    // Whose end is told of goes through telling().
    return request.origin.empty() ? inner_.within(request, inbox) : std::nullopt;
  }

 private:
  RemoteControllers& controllers_;
  exchange::Router& inner_;
  const std::function<bool(const std::string&)> is_own_;
};

RemoteControllers::RemoteControllers(net::HttpClient& http, exchange::RemoteTransport& transport, Tokens tokens,
                                     Addresses addresses)
    : http_(http), transport_(transport), tokens_(std::move(tokens)), addresses_(std::move(addresses)) {}

RemoteControllers::~RemoteControllers() { stop(); }

std::unique_ptr<exchange::Router> RemoteControllers::make_router(
    exchange::Router& inner, std::function<bool(const std::string& service)> is_own) {
  return std::make_unique<Forwarding>(*this, inner, std::move(is_own));
}

void RemoteControllers::pass_on(exchange::Message request, exchange::DeliveryHandler handler) {
  const auto path = service_path(request.to);
  if (!path) return handler(not_found(fmt::format("nothing is served at {}", request.to)));
  addresses_(path->service, [this, rest = path->rest, request = std::move(request),
                             handler = std::move(handler)](const Result<std::string>& address) mutable {
    if (!address) return handler(not_found(fmt::format("nothing is served at {}", request.to)));
    request.to = *address + rest;
    transport_.send(request, std::move(handler));
  });
}

exchange::DeliveryHandler RemoteControllers::telling(const exchange::Message& request,
                                                     exchange::DeliveryHandler handler) const {
  if (request.origin.empty() || !ended_) return handler;
  return [this, request, handler = std::move(handler)](Result<exchange::Message> outcome) {
    // Else it is tried again.
    const bool is_tried_again = !outcome && (outcome.error().code() == ErrorCode::kUnavailable ||
                                             outcome.error().code() == ErrorCode::kTimeout);
    if (!is_tried_again) ended_(request, outcome);
    handler(std::move(outcome));
  };
}

net::ClientRequest RemoteControllers::console_request(const std::string& address, const std::string& host,
                                                      const std::string& vo) const {
  net::ClientRequest request;
  request.method = "GET";
  request.url = fmt::format("{}/hosts/{}/console", address, host);
  if (const auto url = net::parse_url(request.url)) request.bearer = tokens_(url->base());
  request.headers.push_back({"Nuraghe-VO", vo});
  return request;
}

void RemoteControllers::console_tail(const std::string& controller, const std::string& host, const std::string& vo,
                                     Bytes limit, std::function<void(Result<std::string>)> done) {
  addresses_(controller, [this, host, vo, limit, done = std::move(done)](const Result<std::string>& address) {
    if (!address) return done(address.error());
    auto request = console_request(*address, host, vo);
    const std::string url = request.url;
    http_.send(std::move(request), [url, limit, done](const Result<net::ClientResponse>& response) {
      if (!response) return done(response.error());
      if (response->status != 200) return done(status_error(url, response->status, response->body));
      const auto most = std::min(response->body.size(), static_cast<std::size_t>(limit.count));
      done(response->body.substr(response->body.size() - most));
    });
  });
}

void RemoteControllers::open_console(const std::string& controller, const std::string& host, const std::string& vo,
                                     std::function<void(Result<env::UniqueFd>)> done) {
  addresses_(controller, [this, host, vo, done = std::move(done)](const Result<std::string>& address) {
    if (!address) return done(address.error());
    begin_console(console_request(*address, host, vo), done);
  });
}

void RemoteControllers::begin_console(net::ClientRequest request, std::function<void(Result<env::UniqueFd>)> done) {
  auto console = std::make_shared<Console>(http_, std::move(request));
  std::list<std::shared_ptr<Console>> over;  // joined without the lock
  bool has_room = false;
  {
    const std::lock_guard lock(mutex_);
    for (auto at = consoles_.begin(); at != consoles_.end();) {
      const auto here = at++;
      if ((*here)->ended()) over.splice(over.end(), consoles_, here);
    }
    has_room = !stopping_ && consoles_.size() < kMostConsoles;
    if (has_room) {
      console->start(done);
      consoles_.push_back(std::move(console));
    }
  }
  if (!has_room)
    done(exhausted(fmt::format("{} consoles of other machines are followed already; end one", kMostConsoles)));
}

void RemoteControllers::stop() {
  std::list<std::shared_ptr<Console>> consoles;
  {
    const std::lock_guard lock(mutex_);
    stopping_ = true;
    consoles.swap(consoles_);
  }
  for (const auto& console : consoles) console->end();
}

}  // namespace nuraghe::daemon
