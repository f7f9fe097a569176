// Sends one HTTP POST again and again over connections that stay open: the closed loop of bench/run.
//
//   http_load PORT PATH CLIENTS SECONDS BODY_FILE EXPECT [HEADER]...
//
// Each of CLIENTS connections to 127.0.0.1 sends the next request when it has the last one's answer. Prints one JSON
// object: answers, seconds, per_second, median_latency, p99_latency (seconds). Any answer that is not 200, or whose
// body does not hold EXPECT, ends the run with exit code 1 and the answer on standard error. One thread, so that the
// measured program has the rest of the machine.
#include <arpa/inet.h>
#include <fmt/format.h>
#include <netinet/tcp.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <cctype>
#include <charconv>
#include <chrono>
#include <cstdio>
#include <fstream>
#include <sstream>
#include <string>
#include <vector>

namespace nuraghe {
namespace {

using SteadyClock = std::chrono::steady_clock;

struct Connection {
  int socket = -1;
  std::string answer;
  SteadyClock::time_point start;
};

std::string lower(std::string text) {
  std::transform(text.begin(), text.end(), text.begin(), [](unsigned char c) { return std::tolower(c); });
  return text;
}

std::size_t number(std::string_view text, int base) {
  std::size_t value = 0;
  std::from_chars(text.data(), text.data() + text.size(), value, base);
  return value;
}

// The body of a whole answer. complete: false when more of it must come.
struct Body {
  bool complete = false;
  std::string text;
};

Body chunked(const std::string& answer, std::size_t position) {
  Body body;
  for (;;) {
    const std::size_t line = answer.find("\r\n", position);
    if (line == std::string::npos) return body;
    const std::size_t size = number(std::string_view(answer).substr(position, line - position), 16);
    position = line + 2;
    if (answer.size() < position + size + 2) return body;
    if (size == 0) {
      body.complete = true;
      return body;
    }
    body.text.append(answer, position, size);
    position += size + 2;
  }
}

Body body_of(const std::string& answer) {
  const std::size_t end = answer.find("\r\n\r\n");
  if (end == std::string::npos) return {};
  const std::string head = lower(answer.substr(0, end));
  if (head.find("\r\ntransfer-encoding: chunked") != std::string::npos) return chunked(answer, end + 4);
  constexpr std::string_view kLength = "\r\ncontent-length:";
  const std::size_t at = head.find(kLength);
  if (at == std::string::npos) return {};
  const std::size_t digits = head.find_first_not_of(' ', at + kLength.size());
  const std::size_t size = number(std::string_view(head).substr(digits), 10);
  if (answer.size() < end + 4 + size) return {};
  return {true, answer.substr(end + 4, size)};
}

class Load {
 public:
  Load(int port, std::string request, std::string expected)
      : port_(port), request_(std::move(request)), expected_(std::move(expected)) {}

  bool run(int clients, double seconds) {
    poll_ = ::epoll_create1(EPOLL_CLOEXEC);
    connections_.resize(static_cast<std::size_t>(clients));
    const auto begin = SteadyClock::now();
    end_ = begin + std::chrono::duration_cast<SteadyClock::duration>(std::chrono::duration<double>(seconds));
    for (auto& connection : connections_)
      if (!open(connection) || !send(connection)) return false;
    std::vector<epoll_event> events(connections_.size());
    while (open_ > 0) {
      const int count = ::epoll_wait(poll_, events.data(), static_cast<int>(events.size()), 60'000);
      if (count <= 0) {
        std::fputs("no answer for a minute\n", stderr);
        return false;
      }
      for (int i = 0; i < count; ++i)
        if (!receive(*static_cast<Connection*>(events[static_cast<std::size_t>(i)].data.ptr))) return false;
    }
    const double wall = std::chrono::duration<double>(SteadyClock::now() - begin).count();
    std::sort(latencies_.begin(), latencies_.end());
    const auto answers = static_cast<double>(latencies_.size());
    fmt::print(R"({{"answers": {}, "seconds": {:.3f}, "per_second": {:.1f}, "median_latency": {:.7f}, )"
               R"("p99_latency": {:.7f}}})"
               "\n",
               answers, wall, answers / wall, latencies_[latencies_.size() / 2],
               latencies_[latencies_.size() * 99 / 100]);
    return true;
  }

 private:
  static bool fail(const char* what) {
    std::perror(what);
    return false;
  }
  bool open(Connection& connection) {
    connection.socket = ::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    const int one = 1;
    ::setsockopt(connection.socket, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
    sockaddr_in address{};
    address.sin_family = AF_INET;
    address.sin_port = htons(static_cast<std::uint16_t>(port_));
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    if (::connect(connection.socket, reinterpret_cast<const sockaddr*>(&address), sizeof address) != 0)
      return fail("connect");
    epoll_event event{};
    event.events = EPOLLIN;
    event.data.ptr = &connection;
    if (::epoll_ctl(poll_, EPOLL_CTL_ADD, connection.socket, &event) != 0) return fail("epoll_ctl");
    ++open_;
    return true;
  }
  bool send(Connection& connection) {
    connection.answer.clear();
    connection.start = SteadyClock::now();
    // Requests are smaller than a socket's buffer, which is empty now.
    if (::send(connection.socket, request_.data(), request_.size(), MSG_NOSIGNAL) !=
        static_cast<ssize_t>(request_.size()))
      return fail("send");
    return true;
  }
  bool receive(Connection& connection) {
    char buffer[16384];
    const ssize_t got = ::recv(connection.socket, buffer, sizeof buffer, 0);
    if (got < 0) return fail("recv");
    connection.answer.append(buffer, static_cast<std::size_t>(got));
    const Body body = body_of(connection.answer);
    if (!body.complete && got > 0) return true;
    if (!connection.answer.starts_with("HTTP/1.1 200") || body.text.find(expected_) == std::string::npos) {
      std::fprintf(stderr, "not the answer that was expected:\n%s\n", connection.answer.c_str());
      return false;
    }
    const auto now = SteadyClock::now();
    latencies_.push_back(std::chrono::duration<double>(now - connection.start).count());
    const bool closes = lower(connection.answer).find("\r\nconnection: close") != std::string::npos;
    if (now >= end_ || closes) {
      ::close(connection.socket);
      --open_;
      if (now >= end_) return true;
      if (!open(connection)) return false;
    }
    return send(connection);
  }

  int port_;
  std::string request_;
  std::string expected_;
  int poll_ = -1;
  int open_ = 0;
  SteadyClock::time_point end_;
  std::vector<Connection> connections_;
  std::vector<double> latencies_;
};

int run(const std::vector<std::string>& arguments) {
  if (arguments.size() < 6) {
    std::fputs("usage: http_load PORT PATH CLIENTS SECONDS BODY_FILE EXPECT [HEADER]...\n", stderr);
    return 2;
  }
  std::ifstream file(arguments[4], std::ios::binary);
  std::stringstream body;
  body << file.rdbuf();
  std::string request = fmt::format("POST {} HTTP/1.1\r\nHost: 127.0.0.1:{}\r\nContent-Length: {}\r\n", arguments[1],
                                    arguments[0], body.str().size());
  for (std::size_t i = 6; i < arguments.size(); ++i) request += arguments[i] + "\r\n";
  request += "\r\n" + body.str();
  Load load(std::stoi(arguments[0]), std::move(request), arguments[5]);
  return load.run(std::stoi(arguments[2]), std::stod(arguments[3])) ? 0 : 1;
}

}  // namespace
}  // namespace nuraghe

int main(int count, char** values) { return nuraghe::run({values + 1, values + count}); }
