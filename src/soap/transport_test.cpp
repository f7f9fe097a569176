#include "soap/transport.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <future>

#include "net/http_server.hpp"
#include "net/testing.hpp"
#include "soap/envelope.hpp"

namespace nuraghe::soap {
namespace {

using exchange::Message;
using net::HttpRequest;
using net::HttpResponder;
using net::HttpResponse;
using ::testing::HasSubstr;

class Transport : public ::testing::Test {
 protected:
  // Starts a server whose every answer is made by `answer`.
  void serve(std::function<HttpResponse(const HttpRequest&)> answer) {
    net::HttpServerOptions options;
    options.listen = {"127.0.0.1:0"};
    auto server = net::HttpServer::start(
        options, [answer = std::move(answer)](const HttpRequest& request, const HttpResponder& responder) {
          responder.respond(answer(request));
        });
    ASSERT_TRUE(server);
    server_ = std::move(*server);
  }

  Message request() const {
    Message message;
    message.message_id = "urn:uuid:1";
    message.to = server_->bases()[0] + "/services/echo";
    message.operation = "echo";
    auto body = xml::Document::parse("<echo xmlns='urn:test'>hello</echo>");
    message.body = std::move(*body).share();
    return message;
  }

  Result<Message> send(const Message& message, SoapTransportOptions options = {}) {
    SoapTransport transport(*client_, std::move(options));
    std::promise<Result<Message>> promise;
    transport.send(message, [&promise](Result<Message> result) { promise.set_value(std::move(result)); });
    return promise.get_future().get();
  }

  static HttpResponse envelope(int status, const std::string& text) {
    HttpResponse response;
    response.status = status;
    response.content_type = std::string(content_type(Version::k11));
    response.body = text;
    return response;
  }

  std::unique_ptr<net::HttpServer> server_;
  std::unique_ptr<net::HttpClient> client_ = net::HttpClient::make();
};

TEST_F(Transport, CarriesRequestAndReply) {
  serve([](const HttpRequest& http) {
    EXPECT_EQ(http.method, "POST");
    EXPECT_EQ(http.header("SOAPAction"), "\"urn:test:echo\"");
    EXPECT_EQ(http.header("Content-Type"), "text/xml; charset=utf-8");
    EXPECT_EQ(http.header("Authorization"), "Bearer t0ken");
    auto got = decode_request(http.body);
    EXPECT_TRUE(got);
    Message reply;
    reply.relates_to = got->message.message_id;
    reply.body = got->message.body;
    return envelope(200, encode(reply));
  });
  SoapTransportOptions options;
  options.token = [this](std::string_view base) { return base == server_->bases()[0] ? "t0ken" : ""; };
  const auto reply = send(request(), options);
  ASSERT_TRUE(reply) << reply.error().to_string();
  EXPECT_EQ(reply->relates_to, "urn:uuid:1");
  EXPECT_EQ(reply->body->root().text(), "hello");
}

// The attachments are dropped.
TEST_F(Transport, AnAnswerMayHaveAttachments) {
  std::string end;
  serve([this, &end](const HttpRequest&) {
    Message reply;
    reply.relates_to = "urn:uuid:1";
    reply.body = request().body;
    HttpResponse response = envelope(200, "--cut\r\nContent-Type: text/xml\r\n\r\n" + encode(reply) + end);
    response.content_type = "multipart/related; boundary=cut; type=\"text/xml\"";
    return response;
  });
  end = "\r\n--cut\r\nContent-Type: image/png\r\n\r\nnot XML\r\n--cut--\r\n";
  const auto reply = send(request());
  ASSERT_TRUE(reply) << reply.error().to_string();
  EXPECT_EQ(reply->body->root().text(), "hello");
  end = "";
  const auto cut_off = send(request());
  ASSERT_FALSE(cut_off);
  EXPECT_EQ(cut_off.error().code(), ErrorCode::kCorrupt);
  EXPECT_THAT(cut_off.error().message(), HasSubstr("/services/echo"));
  EXPECT_THAT(cut_off.error().message(), HasSubstr("not closed"));
}

// What is answered, the connection tells.
TEST_F(Transport, AnAnswerMayRelateToSomethingElse) {
  serve([this](const HttpRequest&) {
    Message reply;
    reply.relates_to = "urn:uuid:another";
    reply.body = request().body;
    return envelope(200, encode(reply));
  });
  const auto reply = send(request());
  ASSERT_TRUE(reply) << reply.error().to_string();
  EXPECT_EQ(reply->relates_to, request().message_id);
}

TEST_F(Transport, AFaultIsAMessage) {
  serve([](const HttpRequest&) {
    Message reply;
    reply.relates_to = "urn:uuid:1";
    reply.fault = exchange::fault_of(not_found("no such cluster"), "vcf", {});
    return envelope(500, encode(reply));
  });
  const auto reply = send(request());
  ASSERT_TRUE(reply) << reply.error().to_string();
  ASSERT_TRUE(reply->fault);
  EXPECT_EQ(reply->fault->code, ErrorCode::kNotFound);
  EXPECT_TRUE(reply->fault->from_sender);
}

TEST_F(Transport, OneWayIsAnsweredEmpty) {
  serve([](const HttpRequest&) {
    HttpResponse accepted;
    accepted.status = 202;
    return accepted;
  });
  Message message = request();
  message.one_way = true;
  const auto reply = send(message);
  ASSERT_TRUE(reply) << reply.error().to_string();
  EXPECT_FALSE(reply->body);
  EXPECT_EQ(reply->relates_to, "urn:uuid:1");
}

TEST_F(Transport, WhatIsNoAnswerIsAnErrorThatNamesTheAddress) {
  int status = 0;
  serve([&status](const HttpRequest&) { return net::text_response(status, "said the proxy"); });
  const std::pair<int, ErrorCode> cases[] = {
      {401, ErrorCode::kDenied},      {403, ErrorCode::kDenied},      {404, ErrorCode::kNotFound},
      {400, ErrorCode::kInvalid},     {413, ErrorCode::kInvalid},     {502, ErrorCode::kUnavailable},
      {503, ErrorCode::kUnavailable}, {504, ErrorCode::kUnavailable}, {200, ErrorCode::kCorrupt},
      {500, ErrorCode::kCorrupt},
  };
  for (const auto& [code, expected] : cases) {
    status = code;
    const auto reply = send(request());
    ASSERT_FALSE(reply) << code;
    EXPECT_EQ(reply.error().code(), expected) << code;
    EXPECT_THAT(reply.error().message(), HasSubstr("/services/echo"));
    EXPECT_THAT(reply.error().message(), HasSubstr("said the proxy"));
  }
}

TEST_F(Transport, NonsenseIsCorrupt) {
  serve([](const HttpRequest&) { return envelope(200, "<nonsense/>"); });
  EXPECT_EQ(send(request()).error().code(), ErrorCode::kCorrupt);
}

TEST_F(Transport, APeerThatIsAwayIsUnavailableAndASlowOneTimesOut) {
  std::vector<HttpResponder> kept;
  net::HttpServerOptions options;
  options.listen = {"127.0.0.1:0"};
  server_ = std::move(*net::HttpServer::start(
      options, [&kept](const HttpRequest&, HttpResponder responder) { kept.push_back(std::move(responder)); }));
  SoapTransportOptions impatient;
  impatient.timeout = std::chrono::milliseconds(100);
  EXPECT_EQ(send(request(), impatient).error().code(), ErrorCode::kTimeout);
  server_->stop(Duration(0));
  const auto away = send(request());
  ASSERT_FALSE(away);
  EXPECT_EQ(away.error().code(), ErrorCode::kUnavailable);
  EXPECT_THAT(away.error().message(), HasSubstr(server_->bases()[0]));
}

}  // namespace
}  // namespace nuraghe::soap
