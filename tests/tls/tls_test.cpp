// TLS of HttpServer and HttpClient with certificates of a site.
#include <gmock/gmock.h>

#include <atomic>
#include <map>

#include "env/posix.hpp"
#include "net/http_client.hpp"
#include "net/http_server.hpp"
#include "net/testing.hpp"
#include "pki/pki.hpp"

namespace nuraghe::net {
namespace {

using pki::Kind;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using testing::kPatience;
using testing::Latch;
using testing::RawClient;

constexpr Duration kDay = std::chrono::hours(24);

template <class T>
T must(Result<T> result) {
  if (!result) ADD_FAILURE() << result.error().to_string();
  return result ? std::move(*result) : T{};
}

TimePoint now() { return env::system_clock().now(); }

// A site with a CA; members have certificates of it.
struct Site {
  pki::Authority authority = must(pki::make_authority("test", now(), kDay * 30));

  TlsCredentials member(const pki::Subject& subject, pki::Validity validity) const {
    TlsCredentials out;
    out.key = must(pki::make_key());
    const auto request = must(pki::make_request(out.key));
    out.certificates = must(pki::issue(authority, request, subject, must(pki::make_serial()), validity));
    out.trusted = authority.certificate;
    return out;
  }
  TlsCredentials control() const {
    return member({Kind::kControl, "", {"127.0.0.1"}}, {now() - pki::kClockSlack, now() + kDay});
  }
  TlsCredentials host(const std::string& name) const {
    return member({Kind::kHost, name, {}}, {now() - pki::kClockSlack, now() + kDay});
  }
};

std::shared_ptr<const TlsCredentials> shared(TlsCredentials credentials) {
  return std::make_shared<const TlsCredentials>(std::move(credentials));
}

std::shared_ptr<const TlsCredentials> only_trusts(const std::string& roots) {
  TlsCredentials out;
  out.trusted = roots;
  return shared(std::move(out));
}

// What came, and whose it was.
HttpServer::Handler mirror() {
  return [](HttpRequest request, const HttpResponder& responder) {
    std::string who = request.is_local ? "local " : "remote ";
    who += request.certificate ? request.certificate->uris.front() : "nobody";
    responder.respond(text_response(200, who + " " + std::to_string(request.body.size())));
  };
}

std::unique_ptr<HttpServer> serve(const TlsCredentials& credentials, HttpServer::Handler handler = mirror(),
                                  HttpServerOptions options = {}) {
  options.listen = {"tls:127.0.0.1:0"};
  auto context = TlsServerContext::make(credentials);
  EXPECT_TRUE(context) << context.error().to_string();
  options.tls = std::move(*context);
  auto server = HttpServer::start(std::move(options), std::move(handler));
  EXPECT_TRUE(server) << server.error().to_string();
  return std::move(*server);
}

Result<ClientResponse> ask(HttpClient& client, const HttpServer& server, TlsPeer peer, std::string body = {}) {
  ClientRequest request;
  request.method = body.empty() ? "GET" : "POST";
  request.url = server.bases().front() + "/x";
  request.body = std::move(body);
  request.timeout = kPatience;
  request.tls = std::move(peer);
  return client.call(std::move(request));
}

std::string failure_of(const HttpServer& server, TlsPeer peer) {
  const auto client = HttpClient::make();
  const auto response = ask(*client, server, std::move(peer));
  EXPECT_FALSE(response.has_value());
  if (response) return "no failure";
  EXPECT_EQ(response.error().code(), ErrorCode::kUnavailable);
  return response.error().message();
}

TEST(Tls, TheHandlerKnowsWhoShowedACertificateAndWhoNot) {
  const Site site;
  const auto server = serve(site.control());
  EXPECT_THAT(server->bases().front(), HasSubstr("https://127.0.0.1:"));
  const auto client = HttpClient::make();
  const auto nobody = ask(*client, *server, {only_trusts(site.authority.certificate), {}, false});
  ASSERT_TRUE(nobody) << nobody.error().to_string();
  EXPECT_EQ(nobody->body, "remote nobody 0\n");
  const auto host = ask(*client, *server, {shared(site.host("a")), "control.nuraghe.internal", false});
  ASSERT_TRUE(host) << host.error().to_string();
  EXPECT_EQ(host->body, "remote urn:nuraghe:host:a 0\n");
  // The same client to the same place as somebody else: no connection of the one before is used for it.
  const auto other = ask(*client, *server, {shared(site.host("b")), "control.nuraghe.internal", false});
  ASSERT_TRUE(other) << other.error().to_string();
  EXPECT_EQ(other->body, "remote urn:nuraghe:host:b 0\n");
}

TEST(Tls, LoopbackWithoutTlsIsLocal) {
  HttpServerOptions options;
  options.listen = {"127.0.0.1:0"};
  auto server = HttpServer::start(std::move(options), mirror());
  ASSERT_TRUE(server) << server.error().to_string();
  const auto client = HttpClient::make();
  EXPECT_EQ(ask(*client, **server, {})->body, "local nobody 0\n");
}

TEST(Tls, WhatCannotBeTrustedIsRefusedWithAReason) {
  const Site site;
  const Site stranger;
  const auto good = serve(site.control());
  EXPECT_THAT(failure_of(*good, {only_trusts(stranger.authority.certificate), {}, false}), HasSubstr("--ca-file"));
  EXPECT_THAT(failure_of(*good, {}), HasSubstr("--ca-file"));
  EXPECT_THAT(failure_of(*good, {only_trusts(site.authority.certificate), "a.host.nuraghe.internal", false}),
              HasSubstr("another machine's"));
  const auto expired = serve(site.member({Kind::kControl, "", {"127.0.0.1"}}, {now() - kDay * 2, now() - kDay}));
  EXPECT_THAT(failure_of(*expired, {only_trusts(site.authority.certificate), {}, false}), HasSubstr("has expired"));
  const auto early = serve(site.member({Kind::kControl, "", {"127.0.0.1"}}, {now() + kDay, now() + kDay * 2}));
  EXPECT_THAT(failure_of(*early, {only_trusts(site.authority.certificate), {}, false}), HasSubstr("not valid yet"));
  const auto elsewhere = serve(site.host("a"));
  EXPECT_THAT(failure_of(*elsewhere, {only_trusts(site.authority.certificate), {}, false}),
              HasSubstr("does not name this address"));
  EXPECT_THAT(failure_of(*elsewhere, {only_trusts(site.authority.certificate), "control.nuraghe.internal", false}),
              HasSubstr("another machine's"));
}

// RFC 8446 §4.2.4: who says that it trusts the site's root is shown its certificate, everybody else the operator's.
TEST(Tls, WhoTrustsTheSitesRootSeesItsCertificateAndOthersTheOperators) {
  const Site site;
  const Site known;  // stands for a CA that everybody's programs know
  const TlsCredentials shown = known.member({Kind::kControl, "", {"127.0.0.1"}}, {now() - kDay, now() + kDay});
  HttpServerOptions options;
  options.listen = {"tls:127.0.0.1:0"};
  auto context = TlsServerContext::make(site.control(), shown);
  ASSERT_TRUE(context) << context.error().to_string();
  options.tls = std::move(*context);
  const auto server = HttpServer::start(std::move(options), mirror());
  ASSERT_TRUE(server) << server.error().to_string();
  const auto client = HttpClient::make();
  const auto person = ask(*client, **server, {only_trusts(known.authority.certificate), {}, false});
  ASSERT_TRUE(person) << person.error().to_string();
  EXPECT_EQ(person->body, "remote nobody 0\n");
  // A host of the site shows its certificate and is known by it, as if there were no other one.
  const auto host = ask(*client, **server, {shared(site.host("a")), "control.nuraghe.internal", false});
  ASSERT_TRUE(host) << host.error().to_string();
  EXPECT_EQ(host->body, "remote urn:nuraghe:host:a 0\n");
  // Both roots in one list: the site's own is shown.
  const auto both =
      ask(*client, **server, {only_trusts(known.authority.certificate + site.authority.certificate), {}, false});
  EXPECT_TRUE(both) << both.error().to_string();
  const Site stranger;
  EXPECT_THAT(failure_of(**server, {only_trusts(stranger.authority.certificate), {}, false}), HasSubstr("not trusted"));
}

TEST(Tls, KeyAndCertificateThatDoNotBelongTogetherAreRefused) {
  const Site site;
  TlsCredentials wrong = site.control();
  wrong.key = must(pki::make_key());
  const auto alone = TlsServerContext::make(wrong);
  ASSERT_FALSE(alone);
  EXPECT_THAT(alone.error().message(), HasSubstr("not that of the certificate"));
  const auto second = TlsServerContext::make(site.control(), wrong);
  ASSERT_FALSE(second);
  EXPECT_EQ(second.error().code(), ErrorCode::kInvalid);
  wrong.key = "no key";
  EXPECT_THAT(TlsServerContext::make(site.control(), wrong).error().message(), HasSubstr("private key cannot be read"));
}

TEST(Tls, AClientsCertificateThatIsNoGoodEndsTheHandshake) {
  const Site site;
  const Site stranger;
  const auto server = serve(site.control());
  TlsCredentials forged = stranger.host("a");
  forged.trusted = site.authority.certificate;
  EXPECT_THAT(failure_of(*server, {shared(forged), {}, false}), HasSubstr("does not know the CA"));
  TlsCredentials late = site.member({Kind::kHost, "a", {}}, {now() - kDay * 2, now() - kDay});
  EXPECT_THAT(failure_of(*server, {shared(late), {}, false}), HasSubstr("our certificate has expired"));
  EXPECT_GE(server->statistics().handshakes_failed, 2);
  EXPECT_EQ(server->statistics().requests, 0);
}

TEST(Tls, WhoDoesNotSpeakTlsGetsNothing) {
  const Site site;
  const auto server = serve(site.control());
  RawClient plain(server->port());
  ASSERT_TRUE(plain.connected());
  ASSERT_TRUE(plain.send("GET / HTTP/1.1\r\nHost: x\r\n\r\n"));
  EXPECT_THAT(plain.read_to_end(), ::testing::Not(HasSubstr("HTTP")));
  // And the other way round.
  HttpServerOptions options;
  options.listen = {"127.0.0.1:0"};
  auto without = HttpServer::start(std::move(options), mirror());
  ASSERT_TRUE(without);
  const auto client = HttpClient::make();
  ClientRequest request;
  request.method = "GET";
  request.url = "https" + (*without)->bases().front().substr(4) + "/";
  const auto response = client->call(std::move(request));
  ASSERT_FALSE(response);
  EXPECT_THAT(response.error().message(), HasSubstr("does not speak TLS"));
}

TEST(Tls, LargeBodiesTravelBothWays) {
  const Site site;
  const std::string large(7'654'321, 'x');
  const auto server = serve(site.control(), [&](HttpRequest request, const HttpResponder& responder) {
    responder.respond(text_response(200, request.body == large ? large : "different"));
  });
  const auto client = HttpClient::make();
  for (int i = 0; i < 3; ++i) {
    const auto response = ask(*client, *server, {only_trusts(site.authority.certificate), {}, false}, large);
    ASSERT_TRUE(response) << response.error().to_string();
    EXPECT_EQ(response->body.size(), large.size() + 1);
  }
  EXPECT_EQ(server->statistics().connections_accepted, 1);
}

TEST(Tls, AStreamEndsWithItsClient) {
  const Site site;
  Latch gone;
  const auto server = serve(site.control(), [&](HttpRequest, const HttpResponder& responder) {
    HttpResponse head;
    head.content_type = "text/plain";
    auto stream = std::make_shared<HttpStream>(responder.begin_stream(std::move(head)));
    stream->on_gone([&gone, stream] { gone.count_down(); });
    EXPECT_TRUE(stream->write("first").has_value());
  });
  const auto client = HttpClient::make();
  ClientRequest request;
  request.method = "GET";
  request.url = server->bases().front() + "/";
  request.tls = TlsPeer{only_trusts(site.authority.certificate), {}, false};
  auto stream = client->open_stream(std::move(request));
  ASSERT_TRUE(stream) << stream.error().to_string();
  EXPECT_EQ(*(*stream)->read(kPatience), "first");
  (*stream)->cancel();
  EXPECT_TRUE(gone.wait());
}

TEST(Tls, AnotherCertificateIsForNewConnections) {
  const Site site;
  const Site next;
  const auto server = serve(site.control());
  const auto kept = HttpClient::make();
  const TlsPeer before{only_trusts(site.authority.certificate), {}, false};
  const TlsPeer after{only_trusts(next.authority.certificate), {}, false};
  ASSERT_TRUE(ask(*kept, *server, before));
  server->set_tls(must(TlsServerContext::make(next.control())));
  ASSERT_TRUE(ask(*kept, *server, before));  // the connection that is there goes on
  EXPECT_EQ(server->statistics().connections_accepted, 1);
  const auto fresh = HttpClient::make();
  EXPECT_FALSE(ask(*fresh, *server, before));
  EXPECT_TRUE(ask(*fresh, *server, after));
}

TEST(Tls, ACredentialThatIsNoneIsRefused) {
  const Site site;
  const TlsCredentials good = site.control();
  TlsCredentials other = good;
  other.key = must(pki::make_key());
  TlsCredentials no_certificate = good;
  no_certificate.certificates = "-----BEGIN CERTIFICATE-----\nnonsense\n-----END CERTIFICATE-----\n";
  TlsCredentials no_roots = good;
  no_roots.trusted = "nonsense";
  for (const TlsCredentials& bad : {other, no_certificate, no_roots, TlsCredentials{}}) {
    const auto context = TlsServerContext::make(bad);
    ASSERT_FALSE(context.has_value());
    EXPECT_EQ(context.error().code(), ErrorCode::kInvalid);
  }
  HttpServerOptions options;
  options.listen = {"tls:127.0.0.1:0"};
  EXPECT_EQ(HttpServer::start(std::move(options), mirror()).error().code(), ErrorCode::kInvalid);
}

}  // namespace
}  // namespace nuraghe::net
