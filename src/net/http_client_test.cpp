#include "net/http_client.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <future>

#include "net/http_server.hpp"
#include "net/testing.hpp"

namespace nuraghe::net {
namespace {

using ::testing::HasSubstr;
using testing::kPatience;
using testing::Latch;

std::unique_ptr<HttpServer> start(HttpServer::Handler handler) {
  HttpServerOptions options;
  options.listen = {"127.0.0.1:0"};
  auto server = HttpServer::start(options, std::move(handler));
  EXPECT_TRUE(server);
  return std::move(*server);
}

ClientRequest get(const std::string& url) {
  ClientRequest request;
  request.method = "GET";
  request.url = url;
  request.timeout = kPatience;
  return request;
}

TEST(HttpClient, SendsHeadersTokenAndMethodAndReusesConnections) {
  const auto server = start([](const HttpRequest& request, const HttpResponder& responder) {
    HttpResponse response = text_response(200, request.method + "|" + std::string(request.header("authorization")) +
                                                   "|" + std::string(request.header("soapaction")) + "|" +
                                                   std::string(request.header("content-type")) + "|" + request.body);
    response.headers.push_back({"X-Answer", "42"});
    responder.respond(std::move(response));
  });
  const auto client = HttpClient::make();
  ClientRequest request;
  request.url = server->bases()[0] + "/s";
  request.bearer = "secret";
  request.content_type = "text/xml";
  request.headers = {{"SOAPAction", "\"urn:x\""}};
  request.body = "body";
  auto response = client->call(request);
  ASSERT_TRUE(response) << response.error().to_string();
  EXPECT_EQ(response->body, "POST|Bearer secret|\"urn:x\"|text/xml|body\n");
  EXPECT_EQ(response->header("x-answer"), "42");
  request.method = "DELETE";
  request.body.clear();
  response = client->call(request);
  ASSERT_TRUE(response);
  EXPECT_THAT(response->body, HasSubstr("DELETE|Bearer secret"));
  EXPECT_EQ(server->statistics().connections_accepted, 1);
}

TEST(HttpClient, ConnectsOnlyWhereItMay) {
  const auto server = start(
      [](const HttpRequest&, const HttpResponder& responder) { responder.respond(text_response(200, "reached")); });
  std::vector<std::string> asked;
  HttpClientOptions options;
  options.may_connect = [&asked](std::string_view address) {
    asked.emplace_back(address);
    return address != "127.0.0.1";
  };
  const auto client = HttpClient::make(options);
  const auto refused = client->call(get(server->bases()[0] + "/"));
  ASSERT_FALSE(refused);
  EXPECT_EQ(refused.error().code(), ErrorCode::kUnavailable);
  EXPECT_EQ(asked, std::vector<std::string>{"127.0.0.1"});
  const auto socket = client->call(get("http+unix://%2Ftmp%2Fnobody.sock/"));
  ASSERT_FALSE(socket);
  EXPECT_EQ(socket.error().code(), ErrorCode::kUnavailable);
  EXPECT_EQ(server->statistics().connections_accepted, 0);
}

TEST(HttpClient, ErrorsNameTheAddress) {
  const auto client = HttpClient::make();
  auto server = start([](const HttpRequest&, const HttpResponder&) {});
  const std::string base = server->bases()[0];
  server.reset();
  const auto refused = client->call(get(base + "/x"));
  ASSERT_FALSE(refused);
  EXPECT_EQ(refused.error().code(), ErrorCode::kUnavailable);
  EXPECT_THAT(refused.error().message(), HasSubstr(base + "/x"));
  const auto missing = client->call(get("http+unix://%2Fnowhere%2Fs/x"));
  ASSERT_FALSE(missing);
  EXPECT_EQ(missing.error().code(), ErrorCode::kUnavailable);
  for (const char* bad : {"ftp://x/", "http://", "nonsense", "http+unix://%zz/", "http://a b/"}) {
    const auto result = client->call(get(bad));
    ASSERT_FALSE(result) << bad;
    EXPECT_EQ(result.error().code(), ErrorCode::kInvalid) << bad;
    EXPECT_THAT(result.error().message(), HasSubstr(bad));
  }
  ClientRequest injecting = get(base);
  injecting.headers = {{"X", "a\r\nY: b"}};
  EXPECT_EQ(client->call(injecting).error().code(), ErrorCode::kInvalid);
}

TEST(HttpClient, TimesOutAndLimitsTheAnswer) {
  std::vector<HttpResponder> kept;
  std::mutex mutex;
  const auto server = start([&](const HttpRequest& request, HttpResponder responder) {
    if (request.path() == "/big") return responder.respond(text_response(200, std::string(100'000, 'x')));
    const std::lock_guard lock(mutex);
    kept.push_back(std::move(responder));
  });
  const auto client = HttpClient::make();
  ClientRequest slow = get(server->bases()[0] + "/slow");
  slow.timeout = std::chrono::milliseconds(100);
  const auto late = client->call(slow);
  ASSERT_FALSE(late);
  EXPECT_EQ(late.error().code(), ErrorCode::kTimeout);
  EXPECT_THAT(late.error().message(), HasSubstr("/slow"));
  ClientRequest big = get(server->bases()[0] + "/big");
  big.body_limit = kib(10);
  const auto over = client->call(big);
  ASSERT_FALSE(over);
  EXPECT_EQ(over.error().code(), ErrorCode::kExhausted);
}

TEST(HttpClient, ItsEndCancelsOpenRequests) {
  Latch asked;
  std::optional<HttpResponder> kept;
  const auto server = start([&](const HttpRequest&, HttpResponder responder) {
    kept = std::move(responder);
    asked.count_down();
  });
  std::promise<Result<ClientResponse>> outcome;
  {
    const auto client = HttpClient::make();
    client->send(get(server->bases()[0] + "/x"),
                 [&](Result<ClientResponse> result) { outcome.set_value(std::move(result)); });
    ASSERT_TRUE(asked.wait());
  }
  const auto result = outcome.get_future().get();
  ASSERT_FALSE(result);
  EXPECT_EQ(result.error().code(), ErrorCode::kCancelled);
}

TEST(HttpClient, ReadsAStreamAsItComes) {
  std::promise<HttpStream> promise;
  const auto server = start([&](const HttpRequest&, const HttpResponder& responder) {
    promise.set_value(responder.begin_stream(text_response(200, "first")));
  });
  const auto client = HttpClient::make();
  auto stream = client->open_stream(get(server->bases()[0] + "/s"));
  ASSERT_TRUE(stream) << stream.error().to_string();
  EXPECT_EQ((*stream)->status(), 200);
  EXPECT_EQ(*(*stream)->read(kPatience), "first\n");
  const auto silent = (*stream)->read(std::chrono::milliseconds(20));
  ASSERT_FALSE(silent);
  EXPECT_EQ(silent.error().code(), ErrorCode::kTimeout);
  {
    const HttpStream out = promise.get_future().get();
    ASSERT_TRUE(out.write("second"));
    EXPECT_EQ(*(*stream)->read(kPatience), "second");
    promise = {};
  }
  EXPECT_EQ(*(*stream)->read(kPatience), "");
}

TEST(HttpClient, AStreamReaderThatIsSlowSlowsTheSenderAndGetsEverything) {
  static constexpr std::size_t kPieces = 100;
  const auto server = start([](const HttpRequest&, const HttpResponder& responder) {
    const auto stream = std::make_shared<HttpStream>(responder.begin_stream({}));
    auto left = std::make_shared<std::size_t>(std::size_t{kPieces});
    auto next = std::make_shared<std::function<void()>>();
    *next = [stream, left, weak = std::weak_ptr(next)] {
      const auto self = weak.lock();
      if (*left == 0) return stream->close();
      --*left;
      (void)stream->write(std::string(100'000, 'x'), [self] { (*self)(); });
    };
    (*next)();
  });
  const auto client = HttpClient::make();
  auto stream = client->open_stream(get(server->bases()[0] + "/s"));
  ASSERT_TRUE(stream);
  std::size_t total = 0;
  for (;;) {
    const auto data = (*stream)->read(kPatience);
    ASSERT_TRUE(data) << data.error().to_string();
    if (data->empty()) break;
    total += data->size();
  }
  EXPECT_EQ(total, kPieces * 100'000);
}

TEST(HttpClient, AStreamCanBeCancelledAndBreaksWithTheServer) {
  std::mutex mutex;
  std::vector<HttpStream> streams;
  auto server = start([&](const HttpRequest&, const HttpResponder& responder) {
    const std::lock_guard lock(mutex);
    streams.push_back(responder.begin_stream(text_response(200, "x")));
  });
  const auto client = HttpClient::make();
  auto one = client->open_stream(get(server->bases()[0] + "/1"));
  auto two = client->open_stream(get(server->bases()[0] + "/2"));
  ASSERT_TRUE(one && two);
  EXPECT_EQ(*(*one)->read(kPatience), "x\n");
  EXPECT_EQ(*(*two)->read(kPatience), "x\n");
  (*one)->cancel();
  EXPECT_EQ((*one)->read(kPatience).error().code(), ErrorCode::kCancelled);
  server->stop(Duration(0));
  EXPECT_EQ((*two)->read(kPatience).error().code(), ErrorCode::kUnavailable);
  const auto gone = client->open_stream(get(server->bases()[0] + "/3"));
  ASSERT_FALSE(gone);
  EXPECT_EQ(gone.error().code(), ErrorCode::kUnavailable);
}

TEST(Url, PartsAndQueries) {
  const auto url = parse_url("http+unix://%2Frun%2Fa.sock/services/vhf?wsdl");
  ASSERT_TRUE(url);
  EXPECT_EQ(url->socket, "/run/a.sock");
  EXPECT_EQ(url->target, "/services/vhf?wsdl");
  EXPECT_EQ(url->base(), unix_base("/run/a.sock"));
  EXPECT_EQ(parse_url("http://h:1?x")->target, "/?x");
  HttpRequest request;
  request.target = "/events?after=5&wsdl&name=a%20b+c&bad=%zz";
  EXPECT_EQ(request.path(), "/events");
  EXPECT_EQ(request.query("after"), "5");
  EXPECT_EQ(request.query("wsdl"), "");
  EXPECT_EQ(request.query("name"), "a b c");
  EXPECT_EQ(request.query("bad"), std::nullopt);
  EXPECT_EQ(request.query("none"), std::nullopt);
}

}  // namespace
}  // namespace nuraghe::net
