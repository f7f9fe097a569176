#include "soap/door.hpp"

#include <gmock/gmock.h>

#include <condition_variable>
#include <deque>
#include <mutex>

#include "env/posix.hpp"
#include "exchange/test_world.hpp"
#include "net/http_client.hpp"
#include "soap/references.hpp"
#include "soap/transport.hpp"
#include "store/memory.hpp"

namespace nuraghe::soap {
namespace {

using exchange::Message;
using net::ClientRequest;
using net::ClientResponse;
using net::HttpRequest;
using net::HttpResponder;
using ::testing::AllOf;
using ::testing::HasSubstr;
using ::testing::Not;

constexpr Duration kPatience = std::chrono::seconds(30);

TimePoint now() { return env::system_clock().now(); }

// Whom answers are sent to: keeps what came, and refuses as many as it is told to first.
class Listener {
 public:
  Listener() {
    net::HttpServerOptions options;
    options.listen = {"127.0.0.1:0"};
    server_ = net::HttpServer::start(options, [this](HttpRequest request, const HttpResponder& responder) {
                const std::lock_guard lock(mutex_);
                if (refusals > 0) {
                  --refusals;
                  return responder.respond(net::text_response(503, "not now"));
                }
                responder.respond({202, "", {}, ""});
                came_.push_back(std::move(request));
                arrived_.notify_all();
              }).value();
  }
  ~Listener() { server_->stop(); }
  std::string address() const { return server_->bases()[0] + "/answers"; }
  // The next that came.
  HttpRequest next() {
    std::unique_lock lock(mutex_);
    if (!arrived_.wait_for(lock, kPatience, [this] { return !came_.empty(); })) {
      ADD_FAILURE() << "nothing came";
      return {};
    }
    HttpRequest first = std::move(came_.front());
    came_.pop_front();
    return first;
  }
  int refusals = 0;

 private:
  std::mutex mutex_;
  std::condition_variable arrived_;
  std::deque<HttpRequest> came_;
  std::unique_ptr<net::HttpServer> server_;
};

class Door : public ::testing::Test {
 protected:
  void SetUp() override {
    SoapTransportOptions transport;
    transport.token = [](std::string_view) { return "secret"; };
    transport_ = std::make_unique<SoapTransport>(*client_, std::move(transport));
    router_ = exchange::make_router({.remote = transport_.get()});
    exchange::ExchangeOptions options;
    options.name = "door";
    options.clock = &env::system_clock();
    options.random = &env::system_random();
    exchange_ = exchange::make_exchange(store::open_memory(store::make_memory_disk()), *router_, options);
    echo_.request = [](exchange::Turn& turn, const Message& request) -> Status {
      if (request.operation == "refuse") return conflict("the cluster is frozen").with("pausing cluster a");
      if (request.operation == "deny") return invalid("that is no name");
      return turn.reply(request.message_id, request.body);
    };
    exchange_->add_actor(echo_);
    exchange_->add_actor(elsewhere_);
    ASSERT_TRUE(exchange_->open());
    exchange_->start();
    answers_ = std::make_unique<AnswersElsewhere>(*exchange_, elsewhere_);
    router_->add_route("/echo", "*", *exchange_, "echo");
    net::HttpServerOptions listen;
    listen.listen = {"127.0.0.1:0"};
    server_ = net::HttpServer::start(listen, [this](const HttpRequest& request, const HttpResponder& responder) {
                serve(request, responder);
              }).value();
  }
  void TearDown() override {
    server_->stop();
    exchange_->stop();
    client_.reset();
  }
  void serve(const HttpRequest& request, const HttpResponder& responder) {
    DecodeOptions decode;
    decode.speaks_12 = decode.any_reply_address = decode.strict_addressing = decode.addressing_2004 = true;
    auto envelope = read_request(request, decode, now());
    if (!envelope) return responder.respond(std::move(envelope.error()));
    envelope->message.to = std::string(request.path());
    if (!envelope->had_message_id) envelope->message.message_id = env::make_uuid_urn(env::system_random());
    Asked asked = asked_of(*envelope);
    envelope->message.precondition = precondition_;
    HandOn way{
        [this](Message message, exchange::DeliveryHandler done) {
          router_->accept(std::move(message), std::move(done));
        },
        sends_elsewhere_ ? answers_.get() : nullptr,
        [this](const std::string& address) { return address == forbidden_ ? Status(denied("not there")) : Status(); },
        now};
    way.ask_first = ask_first_;
    hand_on(way, std::move(*envelope), std::move(asked), false, responder);
  }

  ClientResponse post(Version version, const std::string& headers, const std::string& body,
                      const std::string& path = "/echo") {
    const bool is_11 = version == Version::k11;
    ClientRequest request;
    request.url = server_->bases()[0] + path;
    request.content_type = std::string(content_type(version));
    request.timeout = kPatience;
    request.body = "<s:Envelope xmlns:s='" + std::string(is_11 ? kEnvelope11 : kEnvelope12) +
                   "' xmlns:a='http://www.w3.org/2005/08/addressing'><s:Header>" + headers + "</s:Header><s:Body>" +
                   body + "</s:Body></s:Envelope>";
    auto response = client_->call(request);
    EXPECT_TRUE(response);
    return response ? std::move(*response) : ClientResponse{};
  }
  static std::string op(const std::string& name) { return "<" + name + " xmlns='urn:t'>hello</" + name + ">"; }
  static std::string headers(const std::string& more, const std::string& id = "urn:m:1") {
    return "<a:MessageID>" + id + "</a:MessageID><a:Action>urn:a:doRequest</a:Action>" + more;
  }
  static std::string to(const std::string& header, const std::string& address, const std::string& more = {}) {
    return "<a:" + header + "><a:Address>" + address + "</a:Address>" + more + "</a:" + header + ">";
  }

  std::unique_ptr<net::HttpClient> client_ = net::HttpClient::make();
  std::unique_ptr<SoapTransport> transport_;
  std::unique_ptr<exchange::Router> router_;
  exchange::testing::FunctionActor echo_{"echo"};
  Elsewhere elsewhere_{"elsewhere"};
  std::unique_ptr<exchange::Exchange> exchange_;
  std::unique_ptr<AnswersElsewhere> answers_;
  std::unique_ptr<net::HttpServer> server_;
  std::string forbidden_;
  bool sends_elsewhere_ = true;
  std::shared_ptr<const exchange::Precondition> precondition_;
  std::function<void(const Message&, std::function<void(const Status&)>)> ask_first_;
};

TEST_F(Door, AnswersInTheVersionOfTheRequest) {
  for (const Version version : {Version::k11, Version::k12}) {
    const auto good = post(version, "", op("echo"));
    EXPECT_EQ(good.status, 200) << good.body;
    EXPECT_EQ(good.header("Content-Type"), content_type(version));
    EXPECT_THAT(good.body, AllOf(HasSubstr(version == Version::k11 ? kEnvelope11 : kEnvelope12), HasSubstr("hello"),
                                 Not(HasSubstr("wsa:"))));
    EXPECT_EQ(post(version, "", op("refuse")).status, 500);
    const auto denied = post(version, "", op("deny"));
    EXPECT_EQ(denied.status, version == Version::k11 ? 500 : 400);
    EXPECT_THAT(denied.body, HasSubstr(version == Version::k11 ? "soap:Client" : "soap:Sender"));
    EXPECT_EQ(decode_reply(denied.body)->fault->code, ErrorCode::kInvalid);
  }
}

TEST_F(Door, WhatMustBeUnderstoodAndIsNotIsAFault) {
  const auto old = post(Version::k11, "<x:y xmlns:x='urn:x' s:mustUnderstand='1'/>", op("echo"));
  EXPECT_EQ(old.status, 500);
  EXPECT_THAT(old.body, HasSubstr("soap:MustUnderstand"));
  const auto fresh = post(Version::k12, "<x:y xmlns:x='urn:x' s:mustUnderstand='true'/>", op("echo"));
  EXPECT_EQ(fresh.status, 500);
  EXPECT_THAT(fresh.body, HasSubstr("soap:MustUnderstand"));
}

TEST_F(Door, FaultsOfAddressingSayWhichHeader) {
  struct Case {
    std::string header, code, problem;
  };
  const Case cases[] = {
      {"<a:MessageID>m</a:MessageID>", "MessageAddressingHeaderRequired", "wsa:Action"},
      {headers("<a:Action>b</a:Action>"), "InvalidCardinality", "wsa:Action"},
      {headers("<a:ReplyTo/>"), "MissingAddressInEPR", "wsa:ReplyTo"},
      {"<a:Action>b</a:Action>" + to("ReplyTo", "http://127.0.0.1:1/"), "MessageAddressingHeaderRequired",
       "wsa:MessageID"},
      {headers(to("FaultTo", "mailto:x@y")), "InvalidAddress", "wsa:FaultTo"},
  };
  for (const auto& [header, code, problem] : cases) {
    const auto old = post(Version::k11, header, op("echo"));
    EXPECT_EQ(old.status, 500) << header;
    EXPECT_THAT(old.body, AllOf(HasSubstr("<faultcode>wsa:" + code), HasSubstr("FaultDetail"),
                                HasSubstr("<wsa:ProblemHeaderQName>" + problem), Not(HasSubstr("<detail>"))));
    const auto fresh = post(Version::k12, header, op("echo"));
    EXPECT_EQ(fresh.status, 400) << header;
    EXPECT_THAT(fresh.body, AllOf(HasSubstr("<soap:Value>wsa:" + code), HasSubstr("<soap:Detail><wsa:Problem")));
    EXPECT_EQ(decode_reply(fresh.body)->fault->code, ErrorCode::kInvalid);
  }
}

TEST_F(Door, WhatIsNotServedIsUnreachable) {
  const auto plain = post(Version::k11, "", op("echo"), "/nothing");
  EXPECT_EQ(plain.status, 404);
  EXPECT_EQ(decode_reply(plain.body)->fault->code, ErrorCode::kNotFound);
  EXPECT_THAT(plain.body, HasSubstr("urn:nuraghe:fault:1"));
  const auto addressed = post(Version::k12, headers(""), op("echo"), "/nothing");
  EXPECT_EQ(addressed.status, 404);
  EXPECT_THAT(addressed.body, AllOf(HasSubstr("wsa:DestinationUnreachable"), HasSubstr("<wsa:ProblemIRI>/nothing<"),
                                    HasSubstr("<wsa:RelatesTo>urn:m:1<")));
  EXPECT_EQ(decode_reply(addressed.body)->fault->code, ErrorCode::kNotFound);
}

TEST_F(Door, WhatIsAnsweredElsewhereIsTakenWhenItsPreconditionHolds) {
  Listener listener;
  precondition_ = std::make_shared<exchange::Precondition>();
  const auto ask = [&](const std::string& id) {
    return post(Version::k11, headers(to("ReplyTo", listener.address()), id), op("echo"));
  };
  const auto unasked = ask("urn:m:1");
  EXPECT_EQ(unasked.status, 500);
  EXPECT_THAT(unasked.body, HasSubstr("over the connection only"));
  ask_first_ = [](const Message& request, const std::function<void(const Status&)>& done) {
    done(request.message_id == "urn:m:2" ? Status(denied("somebody else made it")) : Status());
  };
  const auto refused = ask("urn:m:2");
  EXPECT_EQ(refused.status, 403);
  EXPECT_THAT(refused.body, HasSubstr("somebody else made it"));
  EXPECT_EQ(ask("urn:m:3").status, 202);
  EXPECT_THAT(listener.next().body, AllOf(HasSubstr("<wsa:RelatesTo>urn:m:3<"), HasSubstr("hello")))
      << "those before are not done";
}

TEST_F(Door, AnAnswerGoesWhereItIsWantedWithoutAToken) {
  Listener listener;
  for (const Version version : {Version::k11, Version::k12}) {
    const std::string id = version == Version::k11 ? "urn:m:11" : "urn:m:12";
    const auto said = post(version,
                           headers(to("ReplyTo", listener.address(),
                                      "<a:ReferenceParameters><k xmlns='urn:k'>7</k></a:ReferenceParameters>"),
                                   id),
                           op("echo"));
    EXPECT_EQ(said.status, 202);
    EXPECT_EQ(said.body, "");
    const HttpRequest answer = listener.next();
    EXPECT_EQ(answer.header("Authorization"), "");
    EXPECT_THAT(std::string(answer.header("Content-Type")),
                HasSubstr(version == Version::k11 ? "text/xml" : "soap+xml"));
    EXPECT_THAT(answer.body, AllOf(HasSubstr("<wsa:RelatesTo>" + id + "<"), HasSubstr("hello"),
                                   HasSubstr("<wsa:Action>urn:a:doResponse<"), HasSubstr("IsReferenceParameter"),
                                   HasSubstr(">7<"), Not(HasSubstr("ctx:caller"))));
  }
}

TEST_F(Door, AFaultGoesWhereFaultsGo) {
  Listener replies, faults;
  const std::string both = to("ReplyTo", replies.address()) + to("FaultTo", faults.address());
  EXPECT_EQ(post(Version::k11, headers(both), op("refuse")).status, 202);
  EXPECT_THAT(faults.next().body, AllOf(HasSubstr("the cluster is frozen"), HasSubstr("<wsa:RelatesTo>urn:m:1<")));
  EXPECT_EQ(post(Version::k11, headers(to("ReplyTo", replies.address()), "urn:m:2"), op("refuse")).status, 202);
  EXPECT_THAT(replies.next().body, HasSubstr("the cluster is frozen"))
      << "without wsa:FaultTo it is the reply's address";
  const auto anonymous = headers(to("FaultTo", faults.address()), "urn:m:3");
  EXPECT_EQ(post(Version::k11, anonymous, op("echo")).status, 200) << "the reply comes over the connection";
  EXPECT_EQ(post(Version::k11, headers(to("FaultTo", faults.address()), "urn:m:4"), op("refuse")).status, 202);
  EXPECT_THAT(faults.next().body, HasSubstr("urn:m:4"));
}

TEST_F(Door, AnAnswerIsSentAgainUntilItIsTaken) {
  Listener listener;
  listener.refusals = 2;
  EXPECT_EQ(post(Version::k11, headers(to("ReplyTo", listener.address())), op("echo")).status, 202);
  EXPECT_THAT(listener.next().body, HasSubstr("hello"));
}

TEST_F(Door, WhoWantsNoAnswerGetsNone) {
  for (const Version version : {Version::k11, Version::k12}) {
    const std::string id = version == Version::k11 ? "urn:m:11" : "urn:m:12";
    const auto said = post(version, headers(to("ReplyTo", std::string(kNone)), id), op("echo"));
    EXPECT_EQ(said.status, 202);
    EXPECT_EQ(said.body, "");
  }
}

TEST_F(Door, AnswersGoNowhereElse) {
  Listener listener;
  forbidden_ = listener.address();
  const std::string request = headers(to("ReplyTo", listener.address()));
  const auto refused = post(Version::k11, request, op("echo"));
  EXPECT_EQ(refused.status, 500);
  EXPECT_THAT(refused.body, AllOf(HasSubstr("wsa:InvalidAddress"), HasSubstr("not there")));
  forbidden_.clear();
  sends_elsewhere_ = false;
  EXPECT_THAT(post(Version::k11, request, op("echo")).body, HasSubstr("wsa:OnlyAnonymousAddressSupported"));
}

TEST_F(Door, TheSubmissionOfAddressingIsAnsweredInKind) {
  const std::string ns = " xmlns='" + std::string(kAddressing2004) + "'";
  const auto old = [&](const std::string& id, const std::string& address) {
    return "<MessageID" + ns + ">" + id + "</MessageID><Action" + ns + ">urn:a:doRequest</Action><ReplyTo" + ns +
           "><Address>" + address +
           "</Address><ReferenceProperties><k xmlns='urn:k'>7</k></ReferenceProperties></ReplyTo>";
  };
  const auto here = post(Version::k11, old("urn:m:1", std::string(kAnonymous2004)), op("echo"));
  EXPECT_EQ(here.status, 200) << here.body;
  EXPECT_THAT(here.body, AllOf(HasSubstr(kAddressing2004), HasSubstr("<wsa:RelatesTo>urn:m:1<"),
                               HasSubstr("<wsa:Action>urn:a:doResponse<"), Not(HasSubstr(kAddressing))));
  Listener listener;
  EXPECT_EQ(post(Version::k12, old("urn:m:2", listener.address()), op("echo")).status, 202);
  EXPECT_THAT(listener.next().body,
              AllOf(HasSubstr(kAddressing2004), HasSubstr("<wsa:RelatesTo>urn:m:2<"), HasSubstr("hello"),
                    HasSubstr(">7<"), Not(HasSubstr("IsReferenceParameter")), Not(HasSubstr(kAddressing))));
  EXPECT_EQ(post(Version::k11, old("urn:m:3", listener.address()), op("refuse")).status, 202);
  EXPECT_THAT(listener.next().body, AllOf(HasSubstr("the cluster is frozen"),
                                          HasSubstr("http://schemas.xmlsoap.org/ws/2004/08/addressing/fault")));
}

TEST_F(Door, PackedBodiesAreUnpacked) {
  ClientRequest request;
  request.url = server_->bases()[0] + "/echo";
  request.content_type = "text/xml";
  request.headers = {{"Content-Encoding", "deflate"}};
  const std::string text =
      "<s:Envelope xmlns:s='" + std::string(kEnvelope11) + "'><s:Body>" + op("echo") + "</s:Body></s:Envelope>";
  // One block of deflate that is stored as it is.
  const auto size = static_cast<unsigned>(text.size());
  request.body = "\x01";
  for (const unsigned number : {size, ~size}) {
    request.body += static_cast<char>(number & 0xFFU);
    request.body += static_cast<char>((number >> 8U) & 0xFFU);
  }
  request.body += text;
  const auto good = client_->call(request);
  EXPECT_EQ(good->status, 200);
  EXPECT_THAT(good->body, HasSubstr("hello"));
  request.headers = {{"Content-Encoding", "gzip"}};
  EXPECT_EQ(client_->call(request)->status, 400);
  request.headers = {{"Content-Encoding", "br"}};
  const auto unknown = client_->call(request);
  EXPECT_EQ(unknown->status, 415);
  EXPECT_EQ(unknown->header("Accept-Encoding"), "gzip, deflate");
}

TEST_F(Door, ContentTypesThatAreNoSoapAreRefused) {
  ClientRequest request;
  request.url = server_->bases()[0] + "/echo";
  request.content_type = "application/json";
  request.body = "{}";
  EXPECT_EQ(client_->call(request)->status, 415);
  request.content_type = "text/xml";
  EXPECT_EQ(client_->call(request)->status, 400);
}

}  // namespace
}  // namespace nuraghe::soap
