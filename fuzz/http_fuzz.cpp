// Any bytes as what a client sends to the server, in pieces: the first byte says how large. Whatever comes, the server
// answers with well-formed responses or closes, hands complete requests to the handler alone, and lives: a second
// client is answered afterwards. Runs over a UNIX socket, with the server's own parser, limits and states.
#include <poll.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include <cerrno>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <string>

#include "base/check.hpp"
#include "net/http_server.hpp"

namespace {

using namespace nuraghe;  // NOLINT: a program of its own

constexpr int kPatienceMs = 10'000;

void handle(const net::HttpRequest& request, const net::HttpResponder& responder) {
  CHECK(!request.method.empty() && request.target.starts_with('/'));
  CHECK(request.body.size() <= 4096);
  for (const auto& header : request.headers) {
    CHECK(header.value.find_first_of(std::string_view("\r\n\0", 3)) == std::string::npos);
  }
  (void)request.query("x");
  (void)net::percent_decode(request.path());
  responder.respond(net::text_response(200, request.body));
}

const std::string& socket_path() {
  static const std::string path = "/tmp/http_fuzz." + std::to_string(::getpid());
  return path;
}

net::HttpServer& server() {
  static const std::unique_ptr<net::HttpServer> one = [] {
    net::HttpServerOptions options;
    options.listen = {"unix:" + socket_path()};
    options.threads = 1;
    options.header_limit = kib(2);
    options.body_limit = kib(4);
    // The clients end their sending side, so no answer waits for a time-out, and a machine that halts for a while
    // makes none.
    options.header_timeout = options.body_timeout = options.idle_timeout = std::chrono::minutes(10);
    auto started = net::HttpServer::start(std::move(options), handle);
    CHECK(started.has_value());
    return std::move(*started);
  }();
  return *one;
}

env::UniqueFd connect_to_server() {
  env::UniqueFd fd(::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0));
  sockaddr_un address{};
  address.sun_family = AF_UNIX;
  std::memcpy(address.sun_path, socket_path().c_str(), socket_path().size());
  CHECK(::connect(fd.get(), reinterpret_cast<const sockaddr*>(&address), sizeof address) == 0);
  return fd;
}

std::string read_to_end(int fd) {
  std::string out;
  char buffer[4096];
  pollfd waiting{fd, POLLIN, 0};
  while (true) {
    int ready = 0;
    do {  // the fuzzer's own clock interrupts
      ready = ::poll(&waiting, 1, kPatienceMs);
    } while (ready < 0 && errno == EINTR);
    CHECK(ready == 1);  // it answers or closes in time
    const ssize_t count = ::recv(fd, buffer, sizeof buffer, 0);
    if (count <= 0) return out;
    out.append(buffer, static_cast<std::size_t>(count));
  }
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  if (size == 0) return 0;
  (void)server();
  const std::size_t piece = data[0] == 0 ? size : data[0];
  {
    const env::UniqueFd fd = connect_to_server();
    for (std::size_t at = 1; at < size; at += piece) {
      const std::size_t count = std::min(piece, size - at);
      if (::send(fd.get(), data + at, count, MSG_NOSIGNAL) < 0) break;
    }
    ::shutdown(fd.get(), SHUT_WR);
    const std::string answer = read_to_end(fd.get());
    CHECK(answer.empty() || answer.starts_with("HTTP/1.1 "));
  }
  const env::UniqueFd fd = connect_to_server();
  constexpr std::string_view kGood = "GET /good HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n";
  CHECK(::send(fd.get(), kGood.data(), kGood.size(), MSG_NOSIGNAL) == static_cast<ssize_t>(kGood.size()));
  CHECK(read_to_end(fd.get()).starts_with("HTTP/1.1 200 OK\r\n"));
  return 0;
}
