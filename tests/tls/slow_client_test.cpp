// Clients that keep a connection busy with next to nothing (slowloris): dropped, in every phase of a request.
#include <gmock/gmock.h>
#include <sys/socket.h>

#include <atomic>
#include <thread>

#include "net/http_server.hpp"
#include "net/testing.hpp"
#include "pki/pki.hpp"

namespace nuraghe::net {
namespace {

using ::testing::HasSubstr;
using testing::kPatience;
using testing::RawClient;
using Clock = std::chrono::steady_clock;

constexpr auto kPause = std::chrono::milliseconds(20);
constexpr std::size_t kAnswer = std::size_t{64} << 20;  // more than the kernel takes off the server's hands

HttpServerOptions impatient() {
  HttpServerOptions options;
  options.listen = {"127.0.0.1:0"};
  options.header_timeout = std::chrono::milliseconds(300);
  options.body_timeout = std::chrono::milliseconds(300);
  options.idle_timeout = std::chrono::milliseconds(300);
  options.write_timeout = std::chrono::milliseconds(300);
  options.slowest_client = gib(1);
  return options;
}

std::unique_ptr<HttpServer> start(HttpServerOptions options) {
  auto server = HttpServer::start(std::move(options), [](const HttpRequest&, const HttpResponder& responder) {
    responder.respond(text_response(200, std::string(kAnswer, 'x')));
  });
  EXPECT_TRUE(server) << server.error().to_string();
  return std::move(*server);
}

// One byte after the other, with pauses, as long as the server lets it; what it answered.
std::string drip(RawClient& client, std::string_view bytes) {
  const auto end = Clock::now() + kPatience;
  for (std::size_t at = 0; Clock::now() < end; at = (at + 1) % bytes.size()) {
    char byte = 0;
    if (::recv(client.fd(), &byte, 1, MSG_PEEK | MSG_DONTWAIT) >= 0) return client.read_to_end();
    if (!client.send(bytes.substr(at, 1))) return client.read_to_end();
    timespec pause{0, std::chrono::nanoseconds(kPause).count()};
    ::nanosleep(&pause, nullptr);
  }
  return "(the server let it)";
}

TEST(SlowClients, AHeaderThatDoesNotEndIsEnded) {
  const auto server = start(impatient());
  RawClient client(server->port());
  ASSERT_TRUE(client.send("GET / HTTP/1.1\r\n"));
  EXPECT_THAT(drip(client, "X-Slow: y\r\n"), HasSubstr("408"));
}

TEST(SlowClients, ABodyThatDoesNotEndIsEnded) {
  const auto server = start(impatient());
  RawClient client(server->port());
  ASSERT_TRUE(client.send("POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 100000\r\n\r\n"));
  EXPECT_THAT(drip(client, "z"), HasSubstr("408"));
}

TEST(SlowClients, WhoSaysNothingIsDropped) {
  const auto server = start(impatient());
  RawClient client(server->port());
  EXPECT_EQ(client.read_to_end(), "");
}

// Takes a little again and again, so that the server can always write some: the whole piece has its time.
TEST(SlowClients, WhoReadsTooSlowlyIsDropped) {
  const auto server = start(impatient());
  RawClient client(server->port());
  ASSERT_TRUE(client.send("GET / HTTP/1.1\r\nHost: x\r\n\r\n"));
  std::size_t taken = 0;
  const auto end = Clock::now() + kPatience;
  while (Clock::now() < end) {
    char buffer[65536];
    const ssize_t count = ::recv(client.fd(), buffer, sizeof buffer, 0);
    if (count <= 0) break;
    taken += static_cast<std::size_t>(count);
    timespec pause{0, std::chrono::nanoseconds(kPause).count()};
    ::nanosleep(&pause, nullptr);
  }
  EXPECT_LT(Clock::now(), end);
  EXPECT_LT(taken, kAnswer);
}

TEST(SlowClients, WhoDoesNotFinishATlsHandshakeIsDropped) {
  const auto now = env::system_clock().now();
  const auto authority = pki::make_authority("test", now, std::chrono::hours(1));
  ASSERT_TRUE(authority);
  TlsCredentials credentials;
  credentials.certificates = authority->certificate;
  credentials.key = authority->key;
  auto options = impatient();
  options.listen = {"tls:127.0.0.1:0"};
  auto context = TlsServerContext::make(credentials);
  ASSERT_TRUE(context);
  options.tls = std::move(*context);
  const auto server = start(std::move(options));
  RawClient silent(server->port());
  EXPECT_EQ(silent.read_to_end(), "");
  RawClient begun(server->port());
  // The header of a handshake record of 256 bytes of which the rest never comes (RFC 8446 §5.1).
  ASSERT_TRUE(begun.send(std::string("\x16\x03\x01\x01\x00\x01", 6)));
  EXPECT_EQ(begun.read_to_end(), "");
}

}  // namespace
}  // namespace nuraghe::net
