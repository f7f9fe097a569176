#include "net/http_server.hpp"

#include <fcntl.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>

#include <atomic>
#include <future>
#include <thread>

#include "net/http_client.hpp"
#include "net/testing.hpp"

namespace nuraghe::net {
namespace {

using ::testing::EndsWith;
using ::testing::HasSubstr;
using testing::kPatience;
using testing::Latch;
using testing::RawClient;
using ::testing::StartsWith;

HttpServerOptions loopback() {
  HttpServerOptions options;
  options.listen = {"127.0.0.1:0"};
  return options;
}

void echo(HttpRequest request, HttpResponder responder) {
  responder.respond(text_response(200, request.method + " " + request.target + " " + request.body));
}

std::unique_ptr<HttpServer> start(HttpServerOptions options, HttpServer::Handler handler = echo) {
  auto server = HttpServer::start(std::move(options), std::move(handler));
  EXPECT_TRUE(server) << server.error().to_string();
  return server ? std::move(*server) : nullptr;
}

ClientRequest request_to(const std::string& base, std::string path, std::string body = {}) {
  ClientRequest request;
  request.method = body.empty() ? "GET" : "POST";
  request.url = base + path;
  request.body = std::move(body);
  request.timeout = kPatience;
  return request;
}

class TemporaryFolder {
 public:
  TemporaryFolder() {
    char pattern[] = "/tmp/net_test.XXXXXX";
    path_ = ::mkdtemp(pattern);
  }
  ~TemporaryFolder() { (void)env::remove_tree(path_); }
  std::string operator/(const std::string& name) const { return path_ + "/" + name; }

 private:
  std::string path_;
};

TEST(HttpServer, AnswersOverTcpAndUnixSocket) {
  const TemporaryFolder folder;
  HttpServerOptions options = loopback();
  options.listen.push_back("unix:" + (folder / "server.sock"));
  const auto server = start(options);
  ASSERT_GT(server->port(), 0);
  ASSERT_EQ(server->bases().size(), 2u);
  struct stat info {};
  ASSERT_EQ(::stat((folder / "server.sock").c_str(), &info), 0);
  EXPECT_EQ(info.st_mode & 0777, 0600u);
  const auto client = HttpClient::make();
  for (const std::string& base : server->bases()) {
    const auto response = client->call(request_to(base, "/a?b=c", "hello"));
    ASSERT_TRUE(response) << response.error().to_string();
    EXPECT_EQ(response->status, 200);
    EXPECT_EQ(response->body, "POST /a?b=c hello\n");
    EXPECT_EQ(response->header("content-type"), "text/plain; charset=utf-8");
  }
  const auto large = client->call(request_to(server->bases()[0], "/", std::string(5'000'000, 'x')));
  ASSERT_TRUE(large) << large.error().to_string();
  EXPECT_EQ(large->body.size(), 5'000'000u + 8);
}

TEST(HttpServer, KnowsByWhichAddressItWasReached) {
  const TemporaryFolder folder;
  auto options = loopback();
  options.listen.push_back("127.0.0.2:0");
  options.listen.push_back("unix:" + (folder / "s"));
  const auto server = start(options, [](HttpRequest request, const HttpResponder& responder) {
    responder.respond(text_response(200, request.reached_at + "|"));
  });
  ASSERT_TRUE(server);
  const auto client = HttpClient::make();
  for (std::size_t i = 0; i < 3; ++i) {
    auto asked = request_to(server->bases()[i], "/");
    asked.headers.push_back({"Host", "forged.example"});
    for (int repeat = 0; repeat < 2; ++repeat) {
      const auto answer = client->call(asked);
      ASSERT_TRUE(answer) << answer.error().to_string();
      EXPECT_EQ(answer->body, (i < 2 ? server->bases()[i] : "") + "|\n");
    }
  }
}

TEST(HttpServer, ReplacesAStaleSocketAndRefusesALiveOne) {
  const TemporaryFolder folder;
  const std::string path = folder / "s";
  {
    const env::UniqueFd stale(::socket(AF_UNIX, SOCK_STREAM, 0));
    sockaddr_un address{};
    address.sun_family = AF_UNIX;
    path.copy(address.sun_path, sizeof address.sun_path - 1);
    ASSERT_EQ(::bind(stale.get(), reinterpret_cast<const sockaddr*>(&address), sizeof address), 0);
  }
  HttpServerOptions options;
  options.listen = {"unix:" + path};
  auto server = start(options);
  ASSERT_TRUE(server);
  const auto second = HttpServer::start(options, echo);
  ASSERT_FALSE(second);
  EXPECT_EQ(second.error().code(), ErrorCode::kConflict);
  EXPECT_THAT(second.error().message(), HasSubstr("in use by test_net (pid"));
  server.reset();
  EXPECT_FALSE(env::path_exists(path));
  ASSERT_TRUE(env::write_file_durably(path, "precious"));
  const auto third = HttpServer::start(options, echo);
  ASSERT_FALSE(third);
  EXPECT_THAT(third.error().message(), HasSubstr("is not a socket"));
}

TEST(HttpServer, SaysWhoHoldsThePort) {
  const auto server = start(loopback());
  HttpServerOptions options;
  options.listen = {"127.0.0.1:" + std::to_string(server->port())};
  const auto second = HttpServer::start(options, echo);
  ASSERT_FALSE(second);
  EXPECT_EQ(second.error().code(), ErrorCode::kConflict);
  EXPECT_THAT(second.error().message(), HasSubstr("in use by test_net (pid"));
}

TEST(HttpServer, RefusesAddressesThatAreNotLoopbackOrNotUnderstood) {
  for (const char* bad :
       {"0.0.0.0:0", "[::]:0", "10.0.0.1:80", "localhost", "127.0.0.1:70000", "127.0.0.1:", "unix:", "x:1"}) {
    HttpServerOptions options;
    options.listen = {bad};
    const auto server = HttpServer::start(options, echo);
    ASSERT_FALSE(server) << bad;
    EXPECT_EQ(server.error().code(), ErrorCode::kInvalid) << bad;
  }
}

TEST(HttpServer, PipelinedRequestsAreAnsweredInOrder) {
  const auto server = start(loopback());
  RawClient client(server->port());
  std::string all;
  for (int i = 0; i < 500; ++i) all += "GET /" + std::to_string(i) + " HTTP/1.1\r\nHost: x\r\n\r\n";
  all += "GET /last HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n";
  ASSERT_TRUE(client.send(all));
  const std::string answer = client.read_to_end();
  std::size_t at = 0;
  for (int i = 0; i < 500; ++i) {
    at = answer.find("GET /" + std::to_string(i) + " ", at);
    ASSERT_NE(at, std::string::npos) << i;
  }
  EXPECT_THAT(answer, EndsWith("GET /last \n"));
}

TEST(HttpServer, AcceptsARequestByteByByteAndChunked) {
  const auto server = start(loopback());
  RawClient client(server->port());
  for (const char c : std::string(
           "POST /x HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n2\r\nde\r\n0\r\n\r\n")) {
    ASSERT_TRUE(client.send(std::string_view(&c, 1)));
  }
  EXPECT_THAT(client.read_until("abcde"), HasSubstr("POST /x abcde"));
  ASSERT_TRUE(client.send("POST /y HTTP/1.1\r\nContent-Length: 2\r\nExpect: 100-continue\r\n\r\n"));
  EXPECT_THAT(client.read_until("Continue\r\n\r\n"), HasSubstr("HTTP/1.1 100 Continue"));
  ASSERT_TRUE(client.send("ok"));
  EXPECT_THAT(client.read_until("ok\n"), HasSubstr("POST /y ok"));
}

TEST(HttpServer, KeepsHttp10AndHead) {
  const auto server = start(loopback());
  RawClient old(server->port());
  ASSERT_TRUE(old.send("GET /old HTTP/1.0\r\n\r\n"));
  EXPECT_THAT(old.read_to_end(), EndsWith("GET /old \n"));
  RawClient head(server->port());
  ASSERT_TRUE(head.send("HEAD /h HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n"));
  const std::string answer = head.read_to_end();
  EXPECT_THAT(answer, HasSubstr("Content-Length: 9\r\n"));
  EXPECT_THAT(answer, EndsWith("\r\n\r\n"));
}

TEST(HttpServer, RefusesWhatIsOverALimitOrMalformed) {
  HttpServerOptions options = loopback();
  options.body_limit = kib(10);
  std::atomic<int> handled{0};
  const auto server = start(options, [&handled](HttpRequest request, HttpResponder responder) {
    ++handled;
    echo(std::move(request), std::move(responder));
  });
  const struct {
    std::string request;
    std::string status;
  } cases[] = {
      {"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 10241\r\n\r\n", "413"},
      {"POST / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n2801\r\n" + std::string(10241, 'x') +
           "\r\n0\r\n\r\n",
       "413"},
      {"GET / HTTP/1.1\r\nHost: x\r\nX: " + std::string(17000, 'x') + "\r\n\r\n", "431"},
      {"complete nonsense\r\n\r\n", "400"},
      {"GET x HTTP/1.1\r\nHost: x\r\n\r\n", "400"},
      {"POST / HTTP/1.1\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\n", "400"},
      {"POST / HTTP/1.1\r\nContent-Length: -1\r\n\r\n", "400"},
  };
  for (const auto& one : cases) {
    RawClient client(server->port());
    ASSERT_TRUE(client.send(one.request));
    const std::string answer = client.read_to_end();
    EXPECT_THAT(answer, StartsWith("HTTP/1.1 " + one.status)) << one.request.substr(0, 80);
    EXPECT_THAT(answer, HasSubstr("Connection: close"));
  }
  EXPECT_EQ(handled, 0);
  EXPECT_EQ(server->statistics().requests_refused, 7);
}

TEST(HttpServer, AClientThatSendsAHugeBodySeesTheRefusal) {
  HttpServerOptions options = loopback();
  options.body_limit = kib(10);
  const auto server = start(options);
  const auto client = HttpClient::make();
  const auto response = client->call(request_to(server->bases()[0], "/", std::string(20'000'000, 'x')));
  ASSERT_TRUE(response) << response.error().to_string();
  EXPECT_EQ(response->status, 413);
}

TEST(HttpServer, DropsSlowClients) {
  HttpServerOptions options = loopback();
  options.header_timeout = std::chrono::milliseconds(100);
  options.body_timeout = std::chrono::milliseconds(100);
  options.idle_timeout = std::chrono::milliseconds(100);
  const auto server = start(options);
  RawClient header(server->port());
  ASSERT_TRUE(header.send("GET / HTTP/1.1\r\nHos"));
  EXPECT_THAT(header.read_to_end(), StartsWith("HTTP/1.1 408"));
  RawClient body(server->port());
  ASSERT_TRUE(body.send("POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 10\r\n\r\nabc"));
  EXPECT_THAT(body.read_to_end(), StartsWith("HTTP/1.1 408"));
  RawClient idle(server->port());
  EXPECT_EQ(idle.read_to_end(), "");
}

TEST(HttpServer, DropsAClientThatDoesNotReadItsAnswer) {
  HttpServerOptions options = loopback();
  options.write_timeout = std::chrono::milliseconds(200);
  const auto server = start(options, [](const HttpRequest&, const HttpResponder& responder) {
    responder.respond(text_response(200, std::string(50'000'000, 'x')));
  });
  RawClient client(server->port());
  ASSERT_TRUE(client.send("GET / HTTP/1.1\r\nHost: x\r\n\r\n"));
  Latch closed;
  std::thread watcher([&] {
    while (server->statistics().connections_open > 0 || server->statistics().connections_accepted == 0) {
      std::this_thread::yield();
    }
    closed.count_down();
  });
  EXPECT_TRUE(closed.wait());
  watcher.join();
}

TEST(HttpServer, KeepsAThousandIdleConnectionsAndServesBesideThem) {
  rlimit limit{};
  ASSERT_EQ(::getrlimit(RLIMIT_NOFILE, &limit), 0);
  limit.rlim_cur = std::min<rlim_t>(limit.rlim_max, 4096);
  ASSERT_EQ(::setrlimit(RLIMIT_NOFILE, &limit), 0);
  const auto server = start(loopback());
  std::vector<RawClient> idle;
  for (int i = 0; i < 1000; ++i) {
    idle.emplace_back(server->port());
    ASSERT_TRUE(idle.back().connected()) << i;
    if (i % 2 == 0) {
      ASSERT_TRUE(idle.back().send("GET /i HTTP/1.1\r\nHost: x\r\n\r\n"));
    }
  }
  for (int i = 0; i < 1000; i += 2)
    EXPECT_THAT(idle[static_cast<std::size_t>(i)].read_until("/i \n"), HasSubstr("200 OK"));
  const auto client = HttpClient::make();
  const auto response = client->call(request_to(server->bases()[0], "/x"));
  ASSERT_TRUE(response);
  EXPECT_EQ(response->status, 200);
  EXPECT_EQ(server->statistics().connections_open, 1001);
}

TEST(HttpServer, TurnsConnectionsAwayOverTheLimit) {
  HttpServerOptions options = loopback();
  options.max_connections = 2;
  const auto server = start(options);
  RawClient one(server->port());
  RawClient two(server->port());
  ASSERT_TRUE(one.send("GET /1 HTTP/1.1\r\nHost: x\r\n\r\n") && two.send("GET /2 HTTP/1.1\r\nHost: x\r\n\r\n"));
  EXPECT_THAT(one.read_until("/1 \n"), HasSubstr("200"));
  EXPECT_THAT(two.read_until("/2 \n"), HasSubstr("200"));
  RawClient three(server->port());
  EXPECT_THAT(three.read_to_end(), StartsWith("HTTP/1.1 503"));
  ASSERT_TRUE(one.send("GET /again HTTP/1.1\r\nHost: x\r\n\r\n"));
  EXPECT_THAT(one.read_until("/again \n"), HasSubstr("200"));
}

TEST(HttpServer, AnswersFromOtherThreadsUnderManyClients) {
  std::mutex mutex;
  std::vector<std::thread> threads;
  const auto server = start(loopback(), [&](HttpRequest request, HttpResponder responder) {
    if (request.body.size() % 2 == 0) return echo(std::move(request), std::move(responder));
    const std::lock_guard lock(mutex);
    threads.emplace_back([request = std::move(request), responder] { echo(request, responder); });
  });
  const auto client = HttpClient::make();
  constexpr int kRequests = 2000;
  Latch done(kRequests);
  std::atomic<int> good{0};
  for (int i = 0; i < kRequests; ++i) {
    const std::string body(static_cast<std::size_t>(i % 50 + 1), 'b');
    client->send(request_to(server->bases()[0], "/", body), [&, body](const Result<ClientResponse>& response) {
      if (response && response->body == "POST / " + body + "\n") ++good;
      done.count_down();
    });
  }
  EXPECT_TRUE(done.wait());
  EXPECT_EQ(good, kRequests);
  for (auto& thread : threads) thread.join();
}

TEST(HttpServer, ConnectionsWaitBetweenBindAndServe) {
  auto bound = HttpServer::bind(loopback());
  ASSERT_TRUE(bound);
  RawClient client((*bound)->port());
  ASSERT_TRUE(client.send("GET /early HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n"));
  (*bound)->serve([](const HttpRequest& request, const HttpResponder& responder) {
    responder.respond_with([path = request.target] { return text_response(200, "made later for " + path); });
  });
  EXPECT_THAT(client.read_to_end(), EndsWith("made later for /early\n"));
  Latch posted;
  EXPECT_TRUE((*bound)->post([&posted] { posted.count_down(); }));
  EXPECT_TRUE(posted.wait());
  (*bound)->stop();
  EXPECT_FALSE((*bound)->post([] {}));
  const auto never_served = HttpServer::bind(loopback());
  ASSERT_TRUE(never_served);
}

TEST(HttpServer, ADroppedResponderIsA500AndTheFirstAnswerCounts) {
  const auto server = start(loopback(), [](const HttpRequest& request, const HttpResponder& responder) {
    if (request.path() == "/forget") return;
    responder.respond(text_response(201, "first"));
    responder.respond(text_response(500, "second"));
  });
  const auto client = HttpClient::make();
  EXPECT_EQ(client->call(request_to(server->bases()[0], "/forget"))->status, 500);
  EXPECT_EQ(client->call(request_to(server->bases()[0], "/twice"))->status, 201);
}

TEST(HttpServer, TheHeadHookRefusesBeforeTheBodyIsRead) {
  HttpServerOptions options = loopback();
  options.on_head = [](HttpRequest& head) -> std::optional<HttpResponse> {
    if (head.header("authorization") != "Bearer t") return text_response(401, "who are you");
    head.attachment = std::make_shared<const std::string>("alice");
    return std::nullopt;
  };
  const auto server = start(options, [](const HttpRequest& request, const HttpResponder& responder) {
    responder.respond(text_response(200, *static_cast<const std::string*>(request.attachment.get()) + request.body));
  });
  RawClient client(server->port());
  ASSERT_TRUE(
      client.send("GET /1 HTTP/1.1\r\nHost: x\r\n\r\nGET /2 HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer t\r\n\r\n"));
  const std::string both = client.read_until("alice\n");
  EXPECT_THAT(both, StartsWith("HTTP/1.1 401"));
  EXPECT_THAT(both, HasSubstr("HTTP/1.1 200"));
  RawClient body(server->port());
  ASSERT_TRUE(body.send("POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 1000000\r\n\r\nabc"));
  const std::string refused = body.read_until("who are you\n");
  EXPECT_THAT(refused, StartsWith("HTTP/1.1 401"));
  EXPECT_THAT(refused, HasSubstr("Connection: close"));
}

TEST(HttpServer, StreamsAndNoticesThatTheClientIsGone) {
  Latch gone;
  std::mutex mutex;
  std::optional<HttpStream> stream;
  Latch begun;
  const auto server = start(loopback(), [&](const HttpRequest&, const HttpResponder& responder) {
    const std::lock_guard lock(mutex);
    stream = responder.begin_stream(text_response(200, "hello"));
    stream->on_gone([&gone] { gone.count_down(); });
    begun.count_down();
  });
  RawClient client(server->port());
  ASSERT_TRUE(client.send("GET /s HTTP/1.1\r\nHost: x\r\n\r\n"));
  ASSERT_TRUE(begun.wait());
  EXPECT_THAT(client.read_until("hello\n"), HasSubstr("Transfer-Encoding: chunked"));
  Latch written;
  ASSERT_TRUE(stream->write("more", [&written] { written.count_down(); }));
  EXPECT_THAT(client.read_until("more"), HasSubstr("4\r\nmore"));
  EXPECT_TRUE(written.wait());
  client.close();
  EXPECT_TRUE(gone.wait());
  EXPECT_TRUE(stream->gone());
  EXPECT_EQ(stream->write("x").error().code(), ErrorCode::kUnavailable);
}

TEST(HttpServer, AStreamThatIsNotReadIsBounded) {
  std::promise<HttpStream> promise;
  const auto server = start(loopback(), [&](const HttpRequest&, const HttpResponder& responder) {
    promise.set_value(responder.begin_stream({}));
  });
  RawClient client(server->port());
  ASSERT_TRUE(client.send("GET /s HTTP/1.1\r\nHost: x\r\n\r\n"));
  const HttpStream stream = promise.get_future().get();
  const std::string piece(100'000, 'x');
  Status status;
  std::size_t taken = 0;
  for (; status && taken < 100'000'000; taken += piece.size()) status = stream.write(piece);
  ASSERT_FALSE(status);
  EXPECT_EQ(status.error().code(), ErrorCode::kExhausted);
}

TEST(HttpServer, AStreamEndsWhenItsLastHandleIsDropped) {
  const auto server = start(loopback(), [](const HttpRequest&, const HttpResponder& responder) {
    const HttpStream stream = responder.begin_stream({});
    (void)stream.write("one ");
    (void)stream.write("two");
  });
  const auto client = HttpClient::make();
  for (int i = 0; i < 3; ++i) {
    const auto response = client->call(request_to(server->bases()[0], "/"));
    ASSERT_TRUE(response) << response.error().to_string();
    EXPECT_EQ(response->body, "one two");
  }
  EXPECT_EQ(server->statistics().connections_accepted, 1);
}

TEST(HttpServer, ARequestThatWaitsHearsThatItsClientIsGone) {
  Latch gone;
  Latch begun;
  std::optional<HttpResponder> kept;
  const auto server = start(loopback(), [&](const HttpRequest&, const HttpResponder& responder) {
    kept = responder;
    responder.on_gone([&gone] { gone.count_down(); });
    begun.count_down();
  });
  RawClient client(server->port());
  ASSERT_TRUE(client.send("GET / HTTP/1.1\r\nHost: x\r\n\r\n"));
  ASSERT_TRUE(begun.wait());
  client.close();
  EXPECT_TRUE(gone.wait());
  kept->respond(text_response(200, "nobody hears it"));
  kept.reset();
}

TEST(HttpServer, StopWaitsForOpenRequestsAndThenClosesTheRest) {
  Latch begun(2);
  std::mutex mutex;
  std::vector<HttpResponder> kept;
  const auto server = start(loopback(), [&](const HttpRequest&, HttpResponder responder) {
    const std::lock_guard lock(mutex);
    kept.push_back(std::move(responder));
    begun.count_down();
  });
  RawClient answered(server->port());
  RawClient abandoned(server->port());
  RawClient idle(server->port());
  ASSERT_TRUE(answered.send("GET /a HTTP/1.1\r\nHost: x\r\n\r\n") &&
              abandoned.send("GET /b HTTP/1.1\r\nHost: x\r\n\r\n"));
  ASSERT_TRUE(begun.wait());
  std::thread stopper([&server] { server->stop(std::chrono::milliseconds(1500)); });
  EXPECT_EQ(idle.read_to_end(), "");  // closed at once: the stop has begun
  {
    const std::lock_guard lock(mutex);
    kept.front().respond(text_response(200, "just in time"));
  }
  RawClient late(server->port());
  EXPECT_FALSE(late.connected());
  const std::string a = answered.read_to_end();
  const std::string b = abandoned.read_to_end();
  stopper.join();
  // Which of the two came first is not determined.
  EXPECT_THAT(a + b, EndsWith("just in time\n"));
  EXPECT_TRUE(a.empty() || b.empty());
  kept.back().respond(text_response(200, "too late"));
  kept.clear();
}

TEST(HttpServer, HandlesMayOutliveTheServer) {
  std::promise<HttpResponder> asked;
  auto server = start(loopback(), [&](const HttpRequest& request, HttpResponder responder) {
    if (request.path() == "/stream") return (void)responder.begin_stream({});
    asked.set_value(std::move(responder));
  });
  int ends[2];
  ASSERT_EQ(::socketpair(AF_UNIX, SOCK_STREAM, 0, ends), 0);
  const env::UniqueFd far(ends[1]);
  const auto channel = server->open_channel(env::UniqueFd(ends[0]));
  Latch ended;
  channel->read([&](const Result<std::string>& data) {
    if (data && data->empty()) ended.count_down();
  });
  const auto timer = server->run_after(std::chrono::hours(1), [] { FAIL(); });
  RawClient client(server->port());
  ASSERT_TRUE(client.send("GET / HTTP/1.1\r\nHost: x\r\n\r\n"));
  std::optional<HttpResponder> responder = asked.get_future().get();
  server->stop(Duration(0));
  server.reset();
  EXPECT_TRUE(ended.wait());
  responder->on_gone([] {});
  HttpStream stream = responder->begin_stream({});
  EXPECT_FALSE(stream.write("x"));
  EXPECT_FALSE(channel->write("x"));
  timer->cancel();
  responder.reset();
}

TEST(HttpServer, ChannelsCarryBytesBothWays) {
  const auto server = start(loopback());
  int ends[2];
  ASSERT_EQ(::socketpair(AF_UNIX, SOCK_STREAM, 0, ends), 0);
  env::UniqueFd far(ends[1]);
  const auto channel = server->open_channel(env::UniqueFd(ends[0]));
  ASSERT_TRUE(channel->write("ping"));
  char buffer[16] = {};
  ASSERT_EQ(::recv(far.get(), buffer, 4, MSG_WAITALL), 4);
  EXPECT_STREQ(buffer, "ping");
  std::promise<std::string> first;
  std::promise<std::string> second;
  channel->read([&](const Result<std::string>& data) {
    first.set_value(data.value_or("error"));
    channel->read([&](const Result<std::string>& end) { second.set_value(end.value_or("error")); });
  });
  ASSERT_EQ(::send(far.get(), "pong", 4, 0), 4);
  EXPECT_EQ(first.get_future().get(), "pong");
  far.reset();
  EXPECT_EQ(second.get_future().get(), "");
}

TEST(HttpServer, TimersFireOnceAndCanBeCancelled) {
  const auto server = start(loopback());
  Latch fired;
  const auto never = server->run_after(std::chrono::milliseconds(20), [] { FAIL(); });
  never->cancel();
  server->run_after(std::chrono::milliseconds(50), [&fired] { fired.count_down(); });
  EXPECT_TRUE(fired.wait());
}

}  // namespace
}  // namespace nuraghe::net
