// All doors are tested in one world: the reason for its length.
#include "api/gateway.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/socket.h>
#include <sys/stat.h>

#include <future>
#include <thread>

#include "api/doors.hpp"
#include "contracts/operation.hpp"
#include "net/http_client.hpp"
#include "net/testing.hpp"
#include "soap/envelope.hpp"
#include "soap/transport.hpp"
#include "store/memory.hpp"

namespace nuraghe::api {
namespace {

using exchange::Message;
using net::ClientRequest;
using net::ClientResponse;
using net::testing::kPatience;
using net::testing::Latch;
using ::testing::AllOf;
using ::testing::HasSubstr;
using ::testing::Not;

constexpr const char* kAdmin = "token-of-the-administrator";
constexpr const char* kMember = "token-of-a-member-of-physics";
constexpr const char* kPeer = "token-of-another-process";
constexpr const char* kController = "token-of-the-whole-site";

// Answers: refuse (an error), slow (when released), freeze_vc (publishes an event), anything else (the request's body
// and who asked).
class Echo final : public exchange::Actor {
 public:
  std::string_view name() const override { return "echo"; }
  Status open(store::Store&) override { return {}; }
  Status on_start(exchange::Turn&) override { return {}; }
  Status on_request(exchange::Turn& turn, const Message& request) override {
    ++requests;
    if (request.operation == "refuse") return conflict("the cluster is frozen").with("pausing cluster a");
    if (request.operation == "slow") {
      {
        const std::lock_guard lock(mutex_);
        slow_ids.push_back(request.message_id);
      }
      slow_begun.count_down();
      return {};
    }
    if (request.operation == "freeze_vc") {
      exchange::Event event;
      event.vo = request.vo;
      event.cluster = request.body->root().attribute_or("cluster", "");
      event.kind = "host.booted";
      event.text = "it said \"hello\"\n";
      TRY(turn.publish(event));
    }
    xml::Document body = xml::Document::create({"urn:test", request.operation + "Response"});
    body.root().append_text_element("urn:test", "said", request.body->root().text());
    body.root().append_text_element("urn:test", "by", request.caller + " for " + request.vo);
    body.root().append_text_element("urn:test", "trace", request.traceparent);
    return turn.reply(request.message_id, std::move(body).share());
  }
  Status on_reply(exchange::Turn&, const Message&, std::string_view) override { return {}; }
  Status on_timer(exchange::Turn&, std::string_view) override { return {}; }
  Status on_job(exchange::Turn&, const exchange::Job&, const Result<std::string>&) override { return {}; }
  Result<std::string> run_job(const exchange::Job&, exchange::JobContext&) override { return std::string(); }

  std::atomic<int> requests{0};
  Latch slow_begun;
  std::vector<std::string> slow_ids;

 private:
  std::mutex mutex_;
};

class FakeConsoles final : public ConsoleProvider {
 public:
  void open(const std::string& controller, const std::string& host, const Identity&,
            std::function<void(Result<env::UniqueFd>)> done) override {
    if (host != "vh-1") return done(not_found("no host " + host + " at " + controller));
    int ends[2];
    ASSERT_EQ(::socketpair(AF_UNIX, SOCK_STREAM, 0, ends), 0);
    far.reset(ends[1]);
    done(env::UniqueFd(ends[0]));
  }
  void tail(const std::string&, const std::string& host, const Identity& caller, Bytes,
            std::function<void(Result<std::string>)> done) override {
    last_vo = caller.vo;
    done("last words of " + host);
  }
  env::UniqueFd far;
  std::string last_vo;
};

class GatewayTest : public ::testing::Test {
 protected:
  void SetUp() override {
    char pattern[] = "/tmp/api_test.XXXXXX";
    folder_ = ::mkdtemp(pattern);
    router_ = exchange::make_router({});
    exchange::ExchangeOptions options;
    options.name = "control";
    options.clock = &env::system_clock();
    options.random = &env::system_random();
    exchange_ = exchange::make_exchange(store::open_memory(store::make_memory_disk()), *router_, options);
    exchange_->add_actor(actor_);
    ASSERT_TRUE(exchange_->open());
    exchange_->start();
    router_->add_route("/services/echo", "*", *exchange_, "echo");
    router_->add_route("/services/narrow", "echo", *exchange_, "echo");
    for (const auto& service : contracts::all_services())
      router_->add_route("/services/" + std::string(service.name), "*", *exchange_, "echo");
    router_->add_route("/services/host-1", "*", *exchange_, "echo");
    GatewayOptions gateway;
    gateway.router = router_.get();
    gateway.random = &env::system_random();
    gateway.stranger_rate = {};  // strangers ask for every method
    gateway.tokens = {{{"admin", "local", Role::kAdministrator}, kAdmin},
                      {{"marie", "physics", Role::kOwner}, kMember},
                      {{"vhc", "local", Role::kPeer}, kPeer},
                      {{"site", "-", Role::kController}, kController}};
    gateway.seed = [](const std::string& path, const std::function<void(Result<std::string>)>& done) {
      if (path != "vc-1/sha256:ab") return done(not_found("there is no such seed"));
      done(std::string("files of a host"));
    };
    gateway.image_part = [this](const std::string& digest) -> Result<std::string> {
      if (digest != "sha256:cd") return not_found("there is no such part");
      return folder_ + "/part";
    };
    gateway.description = [](const std::string& service, const std::string& file) -> Result<std::string> {
      if (!service.starts_with("echo")) return not_found("no service " + service);
      if (file == "echo.xsd") return std::string("<xsd:schema xmlns:xsd='http://www.w3.org/2001/XMLSchema'/>");
      if (!file.empty()) return not_found("no file " + file);
      return std::string(
          "<w:definitions xmlns:w='http://schemas.xmlsoap.org/wsdl/' xmlns:s='http://schemas.xmlsoap.org/wsdl/soap/'>"
          "<w:import namespace='urn:p' location='parts.wsdl'/><w:types><x:schema "
          "xmlns:x='http://www.w3.org/2001/XMLSchema'><x:import namespace='urn:test' schemaLocation='echo.xsd'/>"
          "</x:schema></w:types><w:service name='e'><w:port name='p'><s:address location='http://nowhere/'/></w:port>"
          "</w:service></w:definitions>");
    };
    gateway.events = exchange_.get();
    gateway.metrics = {{"control", exchange_.get()}};
    gateway.console = &consoles_;
    gateway.public_base = "http://public";
    net::HttpServerOptions listen;
    listen.listen = {"127.0.0.1:0", "unix:" + folder_ + "/s"};
    listen.body_limit = kib(64);
    auto started = Gateway::start(std::move(gateway), listen);
    ASSERT_TRUE(started) << started.error().to_string();
    gateway_ = std::move(*started);
  }
  void TearDown() override {
    gateway_.reset();
    exchange_.reset();
    ASSERT_TRUE(env::remove_tree(folder_));
  }

  ClientRequest request(const std::string& method, const std::string& path, const std::string& token = kAdmin) const {
    ClientRequest out;
    out.method = method;
    out.url = gateway_->bases()[0] + path;
    out.bearer = token;
    out.timeout = kPatience;
    return out;
  }
  ClientResponse call(const ClientRequest& what) {
    auto response = client_->call(what);
    EXPECT_TRUE(response) << response.error().to_string();
    return response ? std::move(*response) : ClientResponse{};
  }
  static std::string envelope(const std::string& body, const std::string& header = {}) {
    return "<s:Envelope xmlns:s='http://schemas.xmlsoap.org/soap/envelope/' "
           "xmlns:a='http://www.w3.org/2005/08/addressing' xmlns:c='urn:nuraghe:context:1'><s:Header>" +
           header + "</s:Header><s:Body>" + body + "</s:Body></s:Envelope>";
  }
  ClientRequest soap(const std::string& path, std::string text, const std::string& token = kAdmin) const {
    ClientRequest out = request("POST", path, token);
    out.content_type = "text/xml; charset=utf-8";
    out.body = std::move(text);
    return out;
  }
  ClientResponse soap_call(const std::string& path, const std::string& operation, const std::string& header = {},
                           const std::string& token = kAdmin) {
    const std::string all = (header.starts_with("<a:") ? "<a:Action>urn:a</a:Action>" : "") + header;
    return call(soap(path, envelope("<" + operation + " xmlns='urn:test'>hello</" + operation + ">", all), token));
  }
  // Publishes one event of the cluster.
  void publish(const std::string& cluster, const std::string& token = kAdmin) {
    const auto response =
        call(soap("/services/vcm", envelope("<freeze_vc xmlns='urn:test' cluster='" + cluster + "'/>"), token));
    ASSERT_EQ(response.status, 200) << response.body;
  }

  std::string folder_;
  Echo actor_;
  FakeConsoles consoles_;
  std::unique_ptr<exchange::Router> router_;
  std::unique_ptr<exchange::Exchange> exchange_;
  std::unique_ptr<Gateway> gateway_;
  std::unique_ptr<net::HttpClient> client_ = net::HttpClient::make();
};

TEST_F(GatewayTest, EveryPathNeedsAToken) {
  for (const char* path : {"/services/echo", "/services/echo?wsdl", "/events", "/healthz", "/readyz", "/metrics", "/",
                           "/services/vhc-1/hosts/vh-1/console", "/openapi.json", "/nothing"}) {
    for (const char* method : {"GET", "POST"}) {
      for (const char* token : {"", "wrong", "token-of-the-administrato", "token-of-the-administrator2"}) {
        const auto response = call(request(method, path, token));
        EXPECT_EQ(response.status, 401) << method << path << token;
        EXPECT_THAT(response.header("WWW-Authenticate"), ::testing::StartsWith("Bearer"));
      }
    }
  }
  EXPECT_EQ(actor_.requests, 0);
  EXPECT_EQ(call(request("GET", "/healthz", kMember)).status, 200);
}

TEST_F(GatewayTest, TheOpenApiDocumentIsServed) {
  const auto response = call(request("GET", "/openapi.json", kMember));
  EXPECT_EQ(response.status, 200);
  EXPECT_THAT(response.body, ::testing::StartsWith("{\n \"openapi\": \"3.1.0\""));
}

TEST_F(GatewayTest, ASoapRequestIsAnswered) {
  const auto response = soap_call("/services/echo", "echo", "<a:MessageID>urn:m:1</a:MessageID>");
  EXPECT_EQ(response.status, 200);
  EXPECT_EQ(response.header("Content-Type"), "text/xml; charset=utf-8");
  const auto reply = soap::decode_reply(response.body);
  ASSERT_TRUE(reply) << response.body;
  EXPECT_EQ(reply->relates_to, "urn:m:1");
  EXPECT_EQ(reply->body->root().local_name(), "echoResponse");
  EXPECT_EQ(reply->body->root().child("urn:test", "said").text(), "hello");
  EXPECT_EQ(soap_call("/services/echo/hosts/vh-1", "echo").status, 200);  // below the route's path
}

TEST_F(GatewayTest, WhoAsksIsTheTokensOwner) {
  const std::string header = "<c:vo>chemistry</c:vo><c:caller>token:eve</c:caller>";
  EXPECT_THAT(soap_call("/services/echo", "echo", header, kAdmin).body, HasSubstr("token:admin for chemistry"));
  EXPECT_THAT(soap_call("/services/echo", "echo", "", kAdmin).body, HasSubstr("token:admin for local"));
  EXPECT_THAT(
      soap_call("/services/vcm", "pause_vc", "<c:vo>physics</c:vo><c:caller>token:eve</c:caller>", kMember).body,
      HasSubstr("token:marie for physics"));
  EXPECT_THAT(soap_call("/services/echo", "echo", header, kPeer).body, HasSubstr("token:eve for chemistry"));
  EXPECT_THAT(soap_call("/services/echo", "echo", "", kPeer).body, HasSubstr("token:vhc for local"));
  ClientRequest traced = soap("/services/echo", envelope("<echo xmlns='urn:test'/>"));
  traced.headers.push_back({"traceparent", "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"});
  EXPECT_THAT(call(traced).body, HasSubstr(traced.headers.back().value));
}

TEST_F(GatewayTest, AMemberActsForItsOwnVoAlone) {
  const auto refused = soap_call("/services/echo", "echo", "<c:vo>chemistry</c:vo>", kMember);
  EXPECT_EQ(refused.status, 403);
  EXPECT_THAT(refused.body, AllOf(HasSubstr(">denied<"), HasSubstr("physics"), HasSubstr("chemistry")));
  for (const char* path : {"/events", "/services/vhc-1/hosts/vh-1/console"}) {
    ClientRequest asks = request("GET", path, kMember);
    asks.headers.push_back({"Nuraghe-VO", "chemistry"});
    EXPECT_EQ(call(asks).status, 403) << path;
    asks.headers.back().value = "physics";
    EXPECT_EQ(call(asks).status, 200) << path;
  }
  EXPECT_EQ(actor_.requests, 0);
}

TEST_F(GatewayTest, EveryOperationIsOpenToWhomItsDefinitionNames) {
  const std::pair<const char*, std::string> callers[] = {
      {kMember, "viewer operator owner"},
      {kAdmin, "viewer operator owner site"},
      {kPeer, "viewer operator owner site controller internal"},
      {kController, "controller"},
  };
  int count = 0;
  for (const auto& service : contracts::all_services()) {
    for (const auto& operation : service.operations) {
      const std::string name(operation.name);
      std::vector<std::string> paths{"/services/" + std::string(service.name)};
      paths.push_back(service.name == "vhc" ? "/services/host-1" : paths.front() + "/below");
      for (const auto& path : paths) {
        ++count;
        const int before = actor_.requests;
        EXPECT_EQ(soap_call(path, name, "", "").status, 401) << path << " " << name;
        EXPECT_EQ(actor_.requests, before);
        for (const auto& [token, open] : callers) {
          const int requests = actor_.requests;
          const bool may = open.find(contracts::access_name(operation.access)) != std::string::npos;
          const auto response = soap_call(path, name, "", token);
          EXPECT_EQ(response.status, may ? 200 : 403) << path << " " << name << " " << token << response.body;
          EXPECT_EQ(actor_.requests, requests + (may ? 1 : 0));
          EXPECT_TRUE(soap::decode_reply(response.body)) << response.body;
        }
      }
    }
  }
  EXPECT_GT(count, 100);
}

TEST_F(GatewayTest, WhatConcernsEveryVoIsForAdministrators) {
  EXPECT_EQ(soap_call("/services/vhf", "forget_physical_host", "", kAdmin).status, 200);
  for (const char* path : {"/services/vhf", "/services/vhf/hosts"}) {
    const auto refused = soap_call(path, "forget_physical_host", "", kMember);
    EXPECT_EQ(refused.status, 403);
    EXPECT_THAT(refused.body, HasSubstr("administrator"));
  }
  EXPECT_EQ(soap_call("/services/vhf", "list_physical_hosts", "", kMember).status, 200);
}

TEST_F(GatewayTest, WhoSubscribesAtAResourceMayReadIt) {
  const auto subscribe = [&](const std::string& path, const std::string& token) {
    return call(soap(path, envelope("<Subscribe xmlns='http://docs.oasis-open.org/wsn/b-2'/>"), token)).body;
  };
  EXPECT_THAT(subscribe("/services/hades/machines/a", kMember), HasSubstr("it needs an administrator"));
  EXPECT_THAT(subscribe("/services/hades/machines/a", kAdmin), Not(HasSubstr("it needs an administrator")));
  EXPECT_THAT(subscribe("/services/hades/deployments/a", kMember), Not(HasSubstr("it needs an administrator")));
}

TEST_F(GatewayTest, SeedsAndImagesAreForControllersAlone) {
  const std::string content(3'000'000, 'i');
  ASSERT_TRUE(env::write_file_durably(folder_ + "/part", content));
  for (const char* token : {kController, kPeer}) {
    EXPECT_EQ(call(request("GET", "/seeds/vc-1/sha256:ab", token)).body, "files of a host");
    EXPECT_EQ(call(request("GET", "/images/sha256:cd", token)).body, content);
    EXPECT_EQ(call(request("GET", "/seeds/vc-2/sha256:ab", token)).status, 404);
    EXPECT_EQ(call(request("GET", "/images/sha256:..%2F", token)).status, 404);
    EXPECT_EQ(call(request("POST", "/images/sha256:cd", token)).status, 405);
  }
  for (const char* token : {kAdmin, kMember}) {
    for (const char* path : {"/seeds/vc-1/sha256:ab", "/images/sha256:cd"}) {
      const auto response = call(request("GET", path, token));
      EXPECT_EQ(response.status, 403) << path << token;
      EXPECT_THAT(response.body, Not(HasSubstr("files of")));
    }
  }
  EXPECT_EQ(call(request("GET", "/seeds/vc-1/sha256:ab", "wrong")).status, 401);
}

TEST_F(GatewayTest, AControllersTokenOpensLittle) {
  const std::string header = "<c:caller>vhc:a</c:caller>";
  EXPECT_THAT(soap_call("/services/vhf", "register_physical_host", header, kController).body, HasSubstr("vhc:a for -"));
  EXPECT_EQ(soap_call("/services/vhf", "report", header, kController).status, 200);
  const int requests = actor_.requests;
  for (const auto& [path, operation] : {std::pair("/services/vhf", "reserve"), std::pair("/services/echo", "echo"),
                                        std::pair("/services/host-1", "destroy_host")}) {
    const auto response = soap_call(path, operation, header, kController);
    EXPECT_EQ(response.status, 403) << path;
    EXPECT_THAT(response.body, HasSubstr("does not open"));
  }
  for (const char* path : {"/events", "/metrics", "/services/echo?wsdl", "/services/vhc-1/hosts/vh-1/console"})
    EXPECT_EQ(call(request("GET", path, kController)).status, 403) << path;
  EXPECT_EQ(call(request("POST", "/services/vhc-1/hosts/vh-1/console?session=1", kController)).status, 403);
  EXPECT_EQ(actor_.requests, requests);
  EXPECT_EQ(call(request("GET", "/healthz", kController)).status, 200);
}

TEST_F(GatewayTest, APeerAndAnAdministratorSayForWhomTheyAsk) {
  for (const char* token : {kPeer, kAdmin}) {
    ClientRequest asks = request("GET", "/services/vhc-1/hosts/vh-1/console", token);
    EXPECT_EQ(call(asks).status, 200);
    EXPECT_EQ(consoles_.last_vo, "local");
    asks.headers.push_back({"Nuraghe-VO", "chemistry"});
    EXPECT_EQ(call(asks).status, 200);
    EXPECT_EQ(consoles_.last_vo, "chemistry");
  }
}

TEST_F(GatewayTest, WhatCannotBeServedIsTheRightFaultAndStatus) {
  const auto expect = [this](const ClientRequest& what, int status, const std::string& fault_code,
                             const std::string& says) {
    const auto response = call(what);
    EXPECT_EQ(response.status, status) << response.body;
    EXPECT_THAT(response.body, AllOf(HasSubstr("<faultcode>" + fault_code), HasSubstr(says)));
    EXPECT_TRUE(soap::decode_reply(response.body)) << response.body;
  };
  const std::string good = envelope("<echo xmlns='urn:test'/>");
  expect(soap("/services/echo", "<oops"), 400, "soap:Client", "envelope:1:");
  expect(soap("/services/echo", ""), 400, "soap:Client", "");
  expect(soap("/services/echo", "<!DOCTYPE a [<!ENTITY b 'c'>]>" + good), 400, "soap:Client", "document type");
  expect(soap("/services/echo", envelope("")), 500, "soap:Client", "no element");
  expect(soap("/services/echo", envelope("<echo xmlns='urn:test'/>", "<x:y xmlns:x='urn:x' s:mustUnderstand='1'/>")),
         500, "soap:MustUnderstand", "{urn:x}y");
  expect(soap("/services/nothing", good), 404, "soap:Client", "nothing is served at /services/nothing");
  expect(soap("/services/narrow", envelope("<other xmlns='urn:test'/>")), 500, "soap:Client", "no operation");
  expect(soap("/services/echo", std::string(100'000, ' ') + good), 413, "soap:Client", "over the limit of 64KiB");
  ClientRequest json = soap("/services/echo", good);
  json.content_type = "application/json";
  expect(json, 415, "soap:Client", "text/xml");
  EXPECT_EQ(actor_.requests, 0);
  expect(soap("/services/echo", envelope("<refuse xmlns='urn:test'/>")), 500, "soap:Server",
         "pausing cluster a: the cluster is frozen");
}

TEST_F(GatewayTest, MethodsAndPathsThatAreNotThere) {
  EXPECT_EQ(call(request("GET", "/services/echo/a")).status, 405);
  EXPECT_EQ(call(request("GET", "/services/echo/a")).header("Allow"), "POST");
  EXPECT_EQ(call(request("DELETE", "/services/echo")).status, 405);
  EXPECT_EQ(call(request("POST", "/events")).status, 405);
  EXPECT_EQ(call(request("GET", "/")).status, 404);
  EXPECT_EQ(call(request("POST", "/services/")).status, 404);
  EXPECT_EQ(call(request("POST", "/services")).status, 405);  // it is a list that can be read
}

TEST_F(GatewayTest, AnOperationGoesOnWithoutItsClientAndARepeatJoinsIt) {
  const std::string text =
      envelope("<slow xmlns='urn:test'/>", "<a:MessageID>urn:m:slow</a:MessageID><a:Action>a</a:Action>");
  ClientRequest impatient = soap("/services/echo", text);
  impatient.timeout = std::chrono::milliseconds(300);
  EXPECT_EQ(client_->call(impatient).error().code(), ErrorCode::kTimeout);
  ASSERT_TRUE(actor_.slow_begun.wait());
  std::promise<ClientResponse> second;
  client_->send(soap("/services/echo", text), [&second](Result<ClientResponse> response) {
    second.set_value(response ? std::move(*response) : ClientResponse{});
  });
  exchange_->post(
      "echo",
      [](exchange::Turn& turn) {
        return turn.reply("urn:m:slow", xml::Document::create({"urn:test", "slowResponse"}).share());
      },
      [](const Status& status) { EXPECT_TRUE(status); });
  const auto response = second.get_future().get();
  EXPECT_EQ(response.status, 200);
  EXPECT_THAT(response.body, HasSubstr("slowResponse"));
  EXPECT_EQ(actor_.requests, 1);
}

TEST_F(GatewayTest, DescriptionsShowLiveAddresses) {
  const auto tcp = call(request("GET", "/services/echo?wsdl"));
  EXPECT_EQ(tcp.status, 200) << tcp.body;
  const std::string address = gateway_->bases()[0] + "/services/echo";
  EXPECT_THAT(tcp.body, AllOf(HasSubstr("location=\"" + address + "\""), HasSubstr(address + "?xsd=echo.xsd"),
                              HasSubstr(address + "?wsdl=parts.wsdl"), Not(HasSubstr("nowhere"))));
  ClientRequest local = request("GET", "/services/echo/hosts/vh-1?wsdl");
  local.url = gateway_->bases()[1] + "/services/echo/hosts/vh-1?wsdl";
  EXPECT_THAT(call(local).body, HasSubstr("location=\"http://public/services/echo/hosts/vh-1\""));
  EXPECT_EQ(call(request("GET", "/services/echo?xsd=echo.xsd")).status, 200);
  EXPECT_EQ(call(request("GET", "/services/echo?xsd=other.xsd")).status, 404);
  EXPECT_EQ(call(request("GET", "/services/other?wsdl")).status, 404);
  EXPECT_EQ(call(request("GET", "/services/echo?xsd=../../etc/passwd")).status, 400);
  EXPECT_EQ(call(request("GET", "/services/echo?xsd=%2Fetc%2Fpasswd")).status, 400);
}

TEST_F(GatewayTest, EventsAreReadPageByPage) {
  publish("a");
  publish("b");
  publish("a", kMember);
  const auto all = call(request("GET", "/events"));
  EXPECT_EQ(all.status, 200);
  EXPECT_EQ(std::count(all.body.begin(), all.body.end(), '\n'), 3) << all.body;
  EXPECT_THAT(all.body, HasSubstr("\"text\":\"it said \\\"hello\\\"\\u000a\""));
  EXPECT_EQ(all.header("Nuraghe-Next"), "3");
  const auto first = call(request("GET", "/events?cluster=b&limit=1"));
  EXPECT_EQ(std::count(first.body.begin(), first.body.end(), '\n'), 1) << first.body;
  EXPECT_THAT(first.body, HasSubstr("\"cluster\":\"b\""));
  EXPECT_EQ(call(request("GET", "/events?after=3")).body, "");
  const auto newest = call(request("GET", "/events?after=newest"));
  EXPECT_EQ(newest.body, "");
  EXPECT_EQ(newest.header("Nuraghe-Next"), "3");
  const auto own = call(request("GET", "/events", kMember));
  EXPECT_EQ(std::count(own.body.begin(), own.body.end(), '\n'), 1) << own.body;
  EXPECT_THAT(own.body, HasSubstr("\"vo\":\"physics\""));
  ClientRequest of_one = request("GET", "/events");
  of_one.headers.push_back({"Nuraghe-VO", "physics"});
  EXPECT_EQ(call(of_one).body, own.body);
  for (const char* bad : {"/events?after=x", "/events?after=-1", "/events?wait=soon", "/events?limit=1e3"}) {
    EXPECT_EQ(call(request("GET", bad)).status, 400) << bad;
  }
}

TEST_F(GatewayTest, ALongPollWaitsForTheNextEventOfItsCluster) {
  std::promise<ClientResponse> polled;
  client_->send(request("GET", "/events?after=0&wait=5m&cluster=wanted"), [&polled](Result<ClientResponse> response) {
    polled.set_value(response ? std::move(*response) : ClientResponse{});
  });
  publish("other");
  publish("wanted");
  const auto response = polled.get_future().get();
  EXPECT_THAT(response.body, AllOf(HasSubstr("\"cluster\":\"wanted\""), Not(HasSubstr("other"))));
  const auto nothing = call(request("GET", "/events?after=2&wait=50ms"));
  EXPECT_EQ(nothing.status, 200);
  EXPECT_EQ(nothing.body, "");
  EXPECT_EQ(nothing.header("Nuraghe-Next"), "2");
}

TEST_F(GatewayTest, AStreamOfServerSentEventsFollows) {
  publish("a");
  ClientRequest follow = request("GET", "/events?cluster=a");
  follow.headers.push_back({"Accept", "text/event-stream"});
  auto stream = client_->open_stream(follow);
  ASSERT_TRUE(stream) << stream.error().to_string();
  std::string got;
  const auto read_until = [&](const std::string& mark) {
    while (got.find(mark) == std::string::npos) {
      const auto data = (*stream)->read(kPatience);
      ASSERT_TRUE(data && !data->empty());
      got += *data;
    }
  };
  read_until("id: 1\nevent: host.booted\ndata: {\"sequence\":1,");
  publish("b");
  for (int i = 0; i < 20; ++i) publish("a");
  read_until("id: 22\n");
  EXPECT_THAT(got, Not(HasSubstr("id: 2\n")));
  std::size_t at = 0;
  for (int i = 3; i <= 22; ++i) {
    at = got.find("id: " + std::to_string(i) + "\n", at);
    ASSERT_NE(at, std::string::npos) << i;
  }
  (*stream)->cancel();
  ClientRequest resumed = request("GET", "/events");
  resumed.headers = {{"Accept", "text/event-stream"}, {"Last-Event-ID", "21"}};
  auto rest = client_->open_stream(resumed);
  ASSERT_TRUE(rest);
  for (got.clear(); got.find("id: ") == std::string::npos;) got += *(*rest)->read(kPatience);
  EXPECT_THAT(got, AllOf(::testing::StartsWith("retry: "), HasSubstr("\n\nid: 22\n")));
}

TEST_F(GatewayTest, ConsolesGoBothWays) {
  EXPECT_EQ(call(request("GET", "/services/vhc-1/hosts/vh-1/console")).body, "last words of vh-1");
  EXPECT_EQ(call(request("GET", "/services/vhc-1/hosts/vh-2/console?follow=1")).status, 404);
  auto stream = client_->open_stream(request("GET", "/services/vhc-1/hosts/vh-1/console?follow=1"));
  ASSERT_TRUE(stream);
  ASSERT_EQ((*stream)->status(), 200);
  const std::string session(net::find_header((*stream)->headers(), "Nuraghe-Console-Session"));
  ASSERT_FALSE(session.empty());
  ASSERT_EQ(::send(consoles_.far.get(), "login: ", 7, 0), 7);
  EXPECT_EQ(*(*stream)->read(kPatience), "login: ");
  const std::string path = "/services/vhc-1/hosts/vh-1/console?session=" + session;
  ClientRequest input = request("POST", path);
  input.body = "root\n";
  EXPECT_EQ(call(input).status, 204);
  char typed[6] = {};
  ASSERT_EQ(::recv(consoles_.far.get(), typed, 5, MSG_WAITALL), 5);
  EXPECT_STREQ(typed, "root\n");
  ClientRequest stranger = request("POST", path, kMember);
  stranger.body = "rm -rf /\n";
  EXPECT_EQ(call(stranger).status, 404);
  consoles_.far.reset();
  EXPECT_EQ(*(*stream)->read(kPatience), "");
  // The session ends with its stream; its end and this request are seen by different threads.
  ClientResponse after;
  for (int i = 0; i < 1000 && after.status != 404; ++i) after = call(input);
  EXPECT_EQ(after.status, 404);
}

TEST_F(GatewayTest, AConsoleClosesWithItsClient) {
  auto stream = client_->open_stream(request("GET", "/services/vhc-1/hosts/vh-1/console?follow=1"));
  ASSERT_TRUE(stream);
  stream->reset();
  char byte = 0;
  EXPECT_EQ(::recv(consoles_.far.get(), &byte, 1, 0), 0);
}

TEST_F(GatewayTest, HealthReadinessAndMetrics) {
  EXPECT_EQ(soap_call("/services/echo", "echo").status, 200);
  EXPECT_EQ(call(request("GET", "/healthz")).body, "ok\n");
  EXPECT_EQ(call(request("GET", "/readyz")).body, "ready\n");
  const auto metrics = call(request("GET", "/metrics"));
  EXPECT_THAT(metrics.header("Content-Type"), HasSubstr("version=0.0.4"));
  EXPECT_THAT(metrics.body, AllOf(HasSubstr("nuraghe_exchange_replies_sent_total{exchange=\"control\"} 1\n"),
                                  HasSubstr("nuraghe_http_requests_total 4\n"),
                                  HasSubstr("# TYPE nuraghe_http_connections_open gauge\n")));
}

TEST_F(GatewayTest, TheTransportOfOneProcessReachesTheGatewayOfAnother) {
  soap::SoapTransportOptions options;
  options.token = [](std::string_view) { return kPeer; };
  soap::SoapTransport transport(*client_, options);
  exchange::RouterOptions remote;
  remote.remote = &transport;
  const auto other = exchange::make_router(remote);
  for (const std::string& base : gateway_->bases()) {
    Message message;
    message.message_id = "urn:m:" + base;
    message.to = base + "/services/echo";
    message.operation = "echo";
    message.vo = "physics";
    message.caller = "token:marie";
    message.body = xml::Document::create({"urn:test", "echo"}).share();
    const auto reply = exchange::call(*other, message, kPatience);
    ASSERT_TRUE(reply);
    ASSERT_FALSE(reply->fault) << reply->fault->reason;
    EXPECT_EQ(reply->body->root().child("urn:test", "by").text(), "token:marie for physics");
    message.operation = "refuse";
    message.message_id += "2";
    const auto fault = exchange::call(*other, message, kPatience);
    ASSERT_TRUE(fault && fault->fault);
    EXPECT_EQ(exchange::error_of(*fault->fault).to_string(), "pausing cluster a: the cluster is frozen");
    EXPECT_EQ(fault->fault->code, ErrorCode::kConflict);
  }
}

TEST_F(GatewayTest, ManyAtOnce) {
  constexpr int kRequests = 1000;
  Latch done(kRequests);
  std::atomic<int> good{0};
  for (int i = 0; i < kRequests; ++i) {
    const std::string word = "w" + std::to_string(i);
    client_->send(soap("/services/echo", envelope("<echo xmlns='urn:test'>" + word + "</echo>")),
                  [&, word](const Result<ClientResponse>& response) {
                    if (response && response->body.find(">" + word + "<") != std::string::npos) ++good;
                    done.count_down();
                  });
  }
  EXPECT_TRUE(done.wait());
  EXPECT_EQ(good, kRequests);
}

}  // namespace
}  // namespace nuraghe::api
