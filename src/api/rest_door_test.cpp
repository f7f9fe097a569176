// The REST door over HTTP, in front of a site of clusters that keeps them in its store.
#include "api/rest_door.hpp"

#include <fmt/format.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <boost/json.hpp>
#include <future>

#include "contracts/vcf.hpp"
#include "contracts/vcm.hpp"
#include "net/http_client.hpp"
#include "net/testing.hpp"
#include "store/memory.hpp"

namespace nuraghe::api {
namespace {

namespace json = boost::json;
namespace vcf = contracts::vcf;
namespace vcm = contracts::vcm;
using exchange::Message;
using exchange::Turn;
using net::ClientRequest;
using net::ClientResponse;
using net::testing::kPatience;
using ::testing::AllOf;
using ::testing::HasSubstr;
using ::testing::StartsWith;

constexpr const char* kAdmin = "token-of-the-administrator";
constexpr const char* kMarie = "token-of-a-member-of-physics";
constexpr const char* kPaul = "token-of-another-member-of-physics";
constexpr const char* kEve = "token-of-a-member-of-chemistry";
constexpr const char* kController = "token-of-a-controller";

const char* kBlueprint =
    R"({"blueprint": "<cluster xmlns='urn:nuraghe:cluster:1' name='NAME'/>", "authorized_key": []})";
std::string blueprint(const std::string& name) {
  std::string text = kBlueprint;
  return text.replace(text.find("NAME"), 4, name);
}

// Clusters of both services VCF and VCM: key ID, value VO STATE. One whose name begins with "slow" is planned, and its
// creation answered when told.
class Site final : public exchange::Actor {
 public:
  std::string_view name() const override { return "site"; }
  Status open(store::Store& store) override {
    TRY_ASSIGN(table_, store.table("clusters"));
    return {};
  }
  Status on_start(Turn&) override { return {}; }
  Status on_request(Turn& turn, const Message& request) override {
    ++requests;
    last_trace = request.traceparent;
    if (request.to.ends_with("/vcm")) return change(turn, request);
    if (request.operation == "list_clusters") return list(turn, request);
    if (request.operation == "get_cluster") return get(turn, request);
    if (request.operation == "get_capacity") return unavailable("the controller is away");
    return unsupported(fmt::format("{} is not played here", request.operation));
  }
  Status on_reply(Turn&, const Message&, std::string_view) override { return {}; }
  Status on_timer(Turn&, std::string_view) override { return {}; }
  Status on_job(Turn&, const exchange::Job&, const Result<std::string>&) override { return {}; }
  Result<std::string> run_job(const exchange::Job&, exchange::JobContext&) override { return std::string(); }

  std::atomic<int> requests{0};
  std::string last_trace;
  std::string slow_id;  // of the request that waits

 private:
  static vcf::Cluster cluster(const store::Row& row) {
    vcf::Cluster out;
    out.id = out.name = row.key;
    const auto blank = row.value.find(' ');
    out.vo = row.value.substr(0, blank);
    EXPECT_TRUE(vcf::from_string(row.value.substr(blank + 1), out.state)) << row.value;
    return out;
  }
  Status list(Turn& turn, const Message& request) {
    TRY_ASSIGN(const auto rows, turn.transaction().scan(table_, ""));
    vcf::ListClustersResponse response;
    for (const auto& row : rows) {
      if (cluster(row).vo == request.vo) response.cluster.push_back(cluster(row));
    }
    return turn.reply(request.message_id, vcf::document_of(response));
  }
  Result<vcf::Cluster> find(Turn& turn, const std::string& id, const std::string& vo) {
    TRY_ASSIGN(const auto value, turn.transaction().get(table_, id));
    if (!value || !value->starts_with(vo + " ")) return not_found("there is no cluster " + id);
    return cluster({id, *value});
  }
  Status get(Turn& turn, const Message& request) {
    TRY_ASSIGN(const auto input, vcf::parse_get_cluster_request(request));
    TRY_ASSIGN(const auto found, find(turn, input.cluster, request.vo));
    return turn.reply(request.message_id, vcf::document_of(vcf::GetClusterResponse{.cluster = found}));
  }
  Status create(Turn& turn, const Message& request) {
    TRY_ASSIGN(const auto input, vcm::parse_create_vc_request(request));
    if (!input.request.blueprint) return invalid("the request lacks a blueprint");
    const std::string id = (*input.request.blueprint)->root().attribute_or("name", "");
    if (id.empty()) return invalid("the blueprint has no name").with("planning a cluster").with("creating a cluster");
    if (find(turn, id, request.vo)) return conflict("there is a cluster " + id + " already");
    TRY(turn.transaction().put(table_, id, request.vo + " running"));
    exchange::Event event;
    event.vo = request.vo;
    event.cluster = id;
    event.kind = "cluster.planned";
    event.attributes = {{"name", id}, {"traceparent", request.traceparent}};
    TRY(turn.publish(std::move(event)));
    if (id.starts_with("slow")) {
      slow_id = request.message_id;
      return {};
    }
    return turn.reply(request.message_id, vcm::document_of(vcm::CreateVcResponse{.cluster = id}));
  }
  Status change(Turn& turn, const Message& request) {
    if (request.operation == "create_vc") return create(turn, request);
    const std::string id = request.body->root().first_child().text();
    TRY_ASSIGN(const auto found, find(turn, id, request.vo));
    if (request.operation == "destroy_vc") {
      TRY(turn.transaction().erase(table_, id));
      return turn.reply(request.message_id, vcm::document_of(vcm::DestroyVcResponse{}));
    }
    if (request.operation == "freeze_vc") {
      if (found.state == vcf::ClusterState::kFrozen)
        return conflict("the cluster is frozen already").with("freezing cluster " + id);
      TRY(turn.transaction().put(table_, id, request.vo + " frozen"));
      return turn.reply(request.message_id, vcm::document_of(vcm::FreezeVcResponse{}));
    }
    if (request.operation == "thaw_vc") {
      slow_id = request.message_id;
      return turn.transaction().put(table_, id, request.vo + " thawing");
    }
    return unsupported(fmt::format("{} is not played here", request.operation));
  }
  store::Table table_{};
};

class RestDoorTest : public ::testing::Test {
 protected:
  void SetUp() override { start(); }
  void start() {
    router_ = exchange::make_router({});
    exchange::ExchangeOptions options;
    options.name = "control";
    options.clock = &env::system_clock();
    options.random = &env::system_random();
    exchange_ = exchange::make_exchange(store::open_memory(disk_), *router_, options);
    exchange_->add_actor(site_);
    ASSERT_TRUE(exchange_->open());
    exchange_->start();
    for (const char* service : {"vcf", "vcm", "vhir", "vhf", "host-1"})
      router_->add_route(fmt::format("/services/{}", service), "*", *exchange_, "site");
    GatewayOptions gateway;
    gateway.router = router_.get();
    gateway.random = &env::system_random();
    gateway.tokens = {{{"admin", "local", Role::kAdministrator}, kAdmin},
                      {{"marie", "physics", Role::kOwner}, kMarie},
                      {{"paul", "physics", Role::kOwner}, kPaul},
                      {{"eve", "chemistry", Role::kOwner}, kEve},
                      {{"site", "-", Role::kController}, kController}};
    gateway.events = exchange_.get();
    gateway.metrics = {{"control", exchange_.get()}};
    net::HttpServerOptions listen;
    listen.listen = {"127.0.0.1:0"};
    listen.body_limit = kib(64);
    auto started = Gateway::start(std::move(gateway), listen);
    ASSERT_TRUE(started) << started.error().to_string();
    gateway_ = std::move(*started);
  }
  void stop() {
    gateway_.reset();
    exchange_.reset();
  }
  void TearDown() override { stop(); }

  ClientRequest request(const std::string& method, const std::string& path, const std::string& body = {},
                        const net::HttpHeaders& headers = {}) const {
    ClientRequest out;
    out.method = method;
    out.url = gateway_->bases()[0] + path;
    out.bearer = kMarie;
    out.timeout = kPatience;
    out.headers = headers;
    out.body = body;
    if (!body.empty()) out.content_type = "application/json";
    return out;
  }
  ClientResponse call(const ClientRequest& what) {
    auto response = client_->call(what);
    EXPECT_TRUE(response) << response.error().to_string();
    return response ? std::move(*response) : ClientResponse{};
  }
  ClientResponse call(const std::string& method, const std::string& path, const std::string& body = {},
                      const net::HttpHeaders& headers = {}) {
    return call(request(method, path, body, headers));
  }
  ClientResponse as(const std::string& token, const std::string& method, const std::string& path,
                    const std::string& body = {}, const net::HttpHeaders& headers = {}) {
    ClientRequest what = request(method, path, body, headers);
    what.bearer = token;
    return call(what);
  }
  void create(const std::string& name) {
    const auto response = call("POST", "/clusters", blueprint(name));
    ASSERT_EQ(response.status, 201) << response.body;
  }
  static json::object object(const ClientResponse& response) {
    boost::system::error_code error;
    json::value value = json::parse(response.body, error);
    EXPECT_FALSE(error) << response.body;
    return value.is_object() ? value.get_object() : json::object();
  }
  // A problem of that status and code; returns its detail.
  static std::string problem(const ClientResponse& response, int status, const std::string& code) {
    EXPECT_EQ(response.status, status) << response.body;
    EXPECT_EQ(response.header("Content-Type"), "application/problem+json");
    const json::object body = object(response);
    EXPECT_EQ(body.at("status").as_int64(), status);
    EXPECT_EQ(body.at("code").as_string(), code);
    return std::string(body.at("detail").as_string());
  }
  std::string state(const std::string& id) {
    return std::string(object(call("GET", "/clusters/" + id)).at("cluster").as_object().at("state").as_string());
  }
  void answer_slow(const xml::DocumentPtr& body) {
    std::promise<void> done;
    exchange_->post(
        "site", [&](Turn& turn) { return turn.reply(site_.slow_id, body); }, [&](const Status&) { done.set_value(); });
    done.get_future().get();
  }

  std::shared_ptr<store::MemoryDisk> disk_ = store::make_memory_disk();
  Site site_;
  std::unique_ptr<exchange::Router> router_;
  std::unique_ptr<exchange::Exchange> exchange_;
  std::unique_ptr<Gateway> gateway_;
  std::unique_ptr<net::HttpClient> client_ = net::HttpClient::make();
};

TEST_F(RestDoorTest, ALifeOfACluster) {
  const auto made = call("POST", "/clusters", blueprint("a"));
  EXPECT_EQ(made.status, 201) << made.body;
  EXPECT_EQ(made.header("Location"), "/clusters/a");
  EXPECT_EQ(made.header("Content-Type"), "application/json");
  EXPECT_EQ(object(made), (json::object{{"cluster", "a"}}));
  const auto got = call("GET", "/clusters/a");
  EXPECT_EQ(got.status, 200);
  EXPECT_EQ(object(got).at("cluster").as_object().at("state").as_string(), "running");
  EXPECT_EQ(object(call("GET", "/clusters?state=running")).at("cluster").as_array().size(), 1U);
  EXPECT_EQ(object(call("GET", "/clusters?state=frozen")).at("cluster").as_array().size(), 0U);
  const auto frozen = call("POST", "/clusters/a/freeze");
  EXPECT_EQ(frozen.status, 204) << frozen.body;
  EXPECT_EQ(frozen.body, "");
  EXPECT_EQ(state("a"), "frozen");
  EXPECT_EQ(call("DELETE", "/clusters/a").status, 204);
  EXPECT_EQ(problem(call("GET", "/clusters/a"), 404, "not-found"), "there is no cluster a");
}

TEST_F(RestDoorTest, AFailureIsAProblemWithItsCauses) {
  const auto response = call("POST", "/clusters", R"({"blueprint": "<cluster xmlns='urn:nuraghe:cluster:1'/>"})",
                             {{"traceparent", "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"}});
  EXPECT_EQ(problem(response, 400, "invalid"), "the blueprint has no name");
  const json::object body = object(response);
  EXPECT_EQ(body.at("context"), (json::array{"creating a cluster", "planning a cluster"}));
  EXPECT_EQ(body.at("instance").as_string(), "/clusters");
  EXPECT_EQ(body.at("trace_id").as_string(), "4bf92f3577b34da6a3ce929d0e0e4736");
  EXPECT_EQ(body.at("title").as_string(), "Bad Request");
  EXPECT_EQ(site_.last_trace, "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01");
  EXPECT_EQ(response.header("traceparent"), site_.last_trace);
  create("a");
  EXPECT_EQ(call("POST", "/clusters/a/freeze").status, 204);
  EXPECT_EQ(problem(call("POST", "/clusters/a/freeze"), 409, "conflict"), "the cluster is frozen already");
}

TEST_F(RestDoorTest, ATraceBeginsWhereTheClientHasNone) {
  const auto response = call("GET", "/clusters", "", {{"traceparent", "nonsense"}});
  EXPECT_EQ(response.header("traceparent"), site_.last_trace);
  EXPECT_EQ(site_.last_trace.size(), 55U);
}

TEST_F(RestDoorTest, WrongInputIsRefusedAndNothingIsAsked) {
  EXPECT_EQ(problem(call("POST", "/clusters", "{"), 400, "invalid").empty(), false);
  EXPECT_THAT(problem(call("POST", "/clusters", "[]"), 400, "invalid"), HasSubstr("object"));
  EXPECT_THAT(problem(call("POST", "/clusters", R"({"blueprnt": "<x/>"})"), 400, "invalid"), HasSubstr("blueprint"));
  EXPECT_THAT(problem(call("POST", "/clusters", R"({"blueprint": "<x"})"), 400, "invalid"), HasSubstr("no XML"));
  EXPECT_THAT(problem(call("POST", "/hosts"), 400, "invalid"), HasSubstr("missing"));
  EXPECT_THAT(problem(call("GET", "/clusters?colour=red"), 400, "invalid"), HasSubstr("has limit, cursor, id, name"));
  EXPECT_THAT(problem(call("GET", "/clusters/a?x=1"), 400, "invalid"), HasSubstr("x"));
  EXPECT_THAT(problem(call("GET", "/clusters?state=%4"), 400, "invalid"), HasSubstr("percent"));
  EXPECT_THAT(problem(call("DELETE", "/clusters/a", "{}"), 400, "invalid"), HasSubstr("not from a body"));
  EXPECT_THAT(problem(call("GET", "/clusters/a", "", {{"If-None-Match", "a"}}), 400, "invalid"),
              HasSubstr("entity tag"));
  EXPECT_THAT(problem(call("POST", "/clusters/a/freeze", "", {{"Idempotency-Key", "a b"}}), 400, "invalid"),
              HasSubstr("Idempotency-Key"));
  EXPECT_THAT(problem(call("POST", "/clusters", std::string(100'000, ' ')), 413, "exhausted"), HasSubstr("64KiB"));
  std::string deep;
  for (int i = 0; i < 30'000; ++i) deep += "[";
  problem(call("POST", "/clusters", deep), 400, "invalid");
  EXPECT_EQ(site_.requests, 0);
}

TEST_F(RestDoorTest, MethodsAndMediaTypes) {
  const auto wrong = call("PUT", "/clusters");
  problem(wrong, 405, "invalid");
  EXPECT_EQ(wrong.header("Allow"), "GET, HEAD, POST, OPTIONS");
  const auto options = call("OPTIONS", "/clusters/a");
  EXPECT_EQ(options.status, 204);
  EXPECT_EQ(options.header("Allow"), "GET, HEAD, DELETE, OPTIONS");
  problem(call("GET", "/clusters/a/b/c"), 404, "not-found");
  problem(call("GET", "/clusters/"), 404, "not-found");
  problem(call("GET", "/clusters", "", {{"Accept", "text/html"}}), 406, "unsupported");
  EXPECT_EQ(call("GET", "/clusters", "", {{"Accept", "text/html, */*;q=0.1"}}).status, 200);
  ClientRequest xml = request("POST", "/clusters", "<a/>");
  xml.content_type = "text/xml";
  const auto refused = call(xml);
  problem(refused, 415, "unsupported");
  EXPECT_EQ(refused.header("Accept"), "application/json");
  create("a");
  const auto head = call("HEAD", "/clusters/a");
  EXPECT_EQ(head.status, 200);
  EXPECT_EQ(head.body, "");
  EXPECT_EQ(head.header("ETag"), call("GET", "/clusters/a").header("ETag"));
}

TEST_F(RestDoorTest, AccessIsThatOfTheSoapDoor) {
  problem(as("wrong", "GET", "/clusters"), 401, "denied");
  problem(as("", "GET", "/clusters"), 401, "denied");
  problem(as(kMarie, "DELETE", "/physical-hosts/host-1"), 403, "denied");
  problem(as(kController, "GET", "/clusters"), 403, "denied");
  EXPECT_EQ(site_.requests, 0);
  create("a");
  // Another organisation's cluster is not there, whatever is asked of it.
  problem(as(kEve, "GET", "/clusters/a"), 404, "not-found");
  problem(as(kEve, "POST", "/clusters/a/freeze"), 404, "not-found");
  problem(as(kEve, "POST", "/clusters/a/freeze", "", {{"If-Match", "*"}}), 412, "conflict");
  problem(as(kEve, "GET", "/clusters", "", {{"Nuraghe-VO", "physics"}}), 403, "denied");
  EXPECT_EQ(object(as(kEve, "GET", "/clusters")).at("cluster").as_array().size(), 0U);
  EXPECT_EQ(as(kAdmin, "GET", "/clusters/a", "", {{"Nuraghe-VO", "physics"}}).status, 200);
  EXPECT_EQ(as(kPaul, "GET", "/clusters/a").status, 200);
}

TEST_F(RestDoorTest, AControllersPathIsOfThatController) {
  problem(as(kAdmin, "GET", "/controllers/host-1/capacity"), 503, "unavailable");
  EXPECT_EQ(site_.requests, 1);
  // The name of a service is no controller's, nor is a path.
  for (const char* name : {"vcf", "vhc", "host-2", "vcf%2Fx", "..%2Fvcf"})
    problem(as(kAdmin, "GET", fmt::format("/controllers/{}/capacity", name)), 404, "not-found");
  EXPECT_EQ(site_.requests, 1);
}

TEST_F(RestDoorTest, WhatDidNotChangeIsNotSentAgain) {
  create("a");
  const auto first = call("GET", "/clusters/a");
  const std::string tag(first.header("ETag"));
  ASSERT_THAT(tag, StartsWith("\""));
  const auto same = call("GET", "/clusters/a", "", {{"If-None-Match", "\"x\", W/" + tag}});
  EXPECT_EQ(same.status, 304);
  EXPECT_EQ(same.body, "");
  EXPECT_EQ(same.header("ETag"), tag);
  EXPECT_EQ(call("GET", "/clusters/a", "", {{"If-Match", tag}}).status, 200);
  ASSERT_EQ(call("POST", "/clusters/a/freeze").status, 204);
  const auto changed = call("GET", "/clusters/a", "", {{"If-None-Match", tag}});
  EXPECT_EQ(changed.status, 200);
  EXPECT_NE(changed.header("ETag"), tag);
  problem(call("GET", "/clusters/a", "", {{"If-Match", tag}}), 412, "conflict");
}

TEST_F(RestDoorTest, AChangeOfWhatWasChangedMeanwhileIsRefused) {
  create("a");
  const std::string tag(call("GET", "/clusters/a").header("ETag"));
  EXPECT_EQ(call("POST", "/clusters/a/freeze", "", {{"If-Match", tag}}).status, 204);
  EXPECT_THAT(problem(call("DELETE", "/clusters/a", "", {{"If-Match", tag}}), 412, "conflict"),
              HasSubstr("it was changed meanwhile"));
  EXPECT_EQ(state("a"), "frozen");
  problem(call("POST", "/clusters", blueprint("b"), {{"If-None-Match", "*"}}), 412, "conflict");
  problem(call("DELETE", "/clusters/nobody", "", {{"If-Match", "*"}}), 412, "conflict");
  const std::string now(call("GET", "/clusters/a").header("ETag"));
  EXPECT_EQ(call("DELETE", "/clusters/a", "", {{"If-Match", "\"x\", " + now}}).status, 204);
}

// However many read the same and want to change it: one does.
TEST_F(RestDoorTest, OfManyWhoSawTheSameOneChangesIt) {
  create("a");
  const std::string tag(call("GET", "/clusters/a").header("ETag"));
  constexpr int kClients = 32;
  std::vector<std::promise<int>> answers(kClients);
  for (auto& answer : answers) {
    client_->send(
        request("POST", "/clusters/a/freeze", "", {{"If-Match", tag}}),
        [&answer](const Result<ClientResponse>& response) { answer.set_value(response ? response->status : 0); });
  }
  int changed = 0, refused = 0;
  for (auto& answer : answers) {
    const int status = answer.get_future().get();
    changed += status == 204;
    refused += status == 412;
  }
  EXPECT_EQ(changed, 1);
  EXPECT_EQ(refused, kClients - 1);
}

TEST_F(RestDoorTest, PagesAreLinked) {
  for (const char* name : {"e", "a", "d", "b", "c"}) create(name);
  std::vector<std::string> ids;
  std::string path = "/clusters?limit=2&state=running";
  for (int page = 0; !path.empty() && page < 10; ++page) {
    const auto response = call("GET", path);
    ASSERT_EQ(response.status, 200) << response.body;
    const json::object body = object(response);
    for (const auto& item : body.at("cluster").as_array()) ids.emplace_back(item.at("id").as_string());
    const std::string link(response.header("Link"));
    if (!link.empty()) {
      EXPECT_THAT(link, AllOf(StartsWith("</clusters?limit=2&state=running&cursor="), HasSubstr(">; rel=\"next\"")));
    }
    path = link.empty() ? "" : link.substr(1, link.find('>') - 1);
  }
  EXPECT_EQ(ids, (std::vector<std::string>{"a", "b", "c", "d", "e"}));
}

TEST_F(RestDoorTest, ARepeatGetsTheFirstAnswerAlsoAfterARestart) {
  const net::HttpHeaders key = {{"Idempotency-Key", "8e03978e-40d5-43e8-bc93-6894a57f9324"}};
  const auto first = call("POST", "/clusters", blueprint("a"), key);
  EXPECT_EQ(first.status, 201);
  const auto same = [&](const ClientResponse& again) {
    EXPECT_EQ(again.status, 201) << again.body;
    EXPECT_EQ(again.body, first.body);
    EXPECT_EQ(again.header("Location"), first.header("Location"));
  };
  same(call("POST", "/clusters", blueprint("a"), key));
  // Written otherwise, it says the same.
  std::string spaced = " " + blueprint("a") + "\n";
  same(call("POST", "/clusters", spaced, {{"Idempotency-Key", "\"8e03978e-40d5-43e8-bc93-6894a57f9324\""}}));
  EXPECT_EQ(site_.requests, 1);
  stop();
  start();
  same(call("POST", "/clusters", blueprint("a"), key));
  EXPECT_EQ(site_.requests, 1);
  // Another content, another operation: refused, also after the restart.
  problem(call("POST", "/clusters", blueprint("b"), key), 409, "conflict");
  problem(call("POST", "/clusters/a/freeze", "", key), 409, "conflict");
  EXPECT_EQ(state("a"), "running");
  // Another caller's key is another key.
  problem(as(kPaul, "POST", "/clusters", blueprint("a"), key), 409, "conflict");
  EXPECT_EQ(as(kEve, "POST", "/clusters", blueprint("x"), key).status, 201);
}

TEST_F(RestDoorTest, ARefusedRequestMayBeMadeAgainUnderItsKey) {
  const net::HttpHeaders key = {{"Idempotency-Key", "k"}};
  problem(call("POST", "/clusters/a/freeze", "", key), 404, "not-found");
  create("a");
  EXPECT_EQ(call("POST", "/clusters/a/freeze", "", key).status, 204);
  EXPECT_EQ(call("POST", "/clusters/a/freeze", "", key).status, 204);
}

TEST_F(RestDoorTest, WhatTakesLongIsAnsweredEarlyWhereThatIsPreferred) {
  create("a");
  const auto early = call("POST", "/clusters/a/thaw", "", {{"Prefer", "respond-async"}});
  EXPECT_EQ(early.status, 202) << early.body;
  EXPECT_EQ(early.header("Location"), "/clusters/a");
  EXPECT_EQ(early.header("Preference-Applied"), "respond-async");
  EXPECT_EQ(state("a"), "thawing");
  answer_slow(vcm::document_of(vcm::ThawVcResponse{}));
  // What is refused at once is refused, and what is done within the wait is answered.
  problem(call("POST", "/clusters/nobody/thaw", "", {{"Prefer", "respond-async"}}), 404, "not-found");
  EXPECT_EQ(call("POST", "/clusters/a/freeze", "", {{"Prefer", "respond-async, wait=30"}}).status, 204);
}

TEST_F(RestDoorTest, WhatIsBeingMadeIsLocatedByItsFirstEvent) {
  const auto early = call("POST", "/clusters", blueprint("slow-1"), {{"Prefer", "respond-async"}});
  EXPECT_EQ(early.status, 202) << early.body;
  EXPECT_EQ(early.header("Location"), "/clusters/slow-1");
  EXPECT_EQ(state("slow-1"), "running");
  answer_slow(vcm::document_of(vcm::CreateVcResponse{.cluster = "slow-1"}));
  EXPECT_EQ(problem(call("POST", "/clusters", R"({"blueprint": "<cluster xmlns='urn:nuraghe:cluster:1'/>"})",
                         {{"Prefer", "respond-async"}}),
                    400, "invalid"),
            "the blueprint has no name");
}

TEST_F(RestDoorTest, ARepeatJoinsWhatIsBeingWorkedOn) {
  const net::HttpHeaders key = {{"Idempotency-Key", "k"}, {"Prefer", "respond-async"}};
  EXPECT_EQ(call("POST", "/clusters", blueprint("slow-1"), key).status, 202);
  std::promise<ClientResponse> second;
  client_->send(request("POST", "/clusters", blueprint("slow-1"), {{"Idempotency-Key", "k"}}),
                [&second](Result<ClientResponse> response) {
                  second.set_value(response ? std::move(*response) : ClientResponse{});
                });
  // A later request of the same connection pool is handled after it or before it: both give the first answer.
  answer_slow(vcm::document_of(vcm::CreateVcResponse{.cluster = "slow-1"}));
  EXPECT_EQ(second.get_future().get().status, 201);
  EXPECT_EQ(site_.requests, 1);
}

TEST_F(RestDoorTest, TheDocumentOfAllRoutesIsServed) {
  const auto document = call("GET", "/openapi.json");
  EXPECT_EQ(document.status, 200);
  EXPECT_EQ(document.header("Content-Type"), "application/json");
  const json::object openapi = object(document);
  EXPECT_EQ(openapi.at("openapi").as_string(), "3.1.0");
  // Each of our routes is in it, and each of its is ours.
  std::size_t operations = 0;
  for (const auto& path : openapi.at("paths").as_object()) operations += path.value().as_object().size();
  EXPECT_EQ(operations, RestRoutes::all().routes().size());
  const std::string tag(document.header("ETag"));
  EXPECT_EQ(call("GET", "/openapi.json", "", {{"If-None-Match", tag}}).status, 304);
  problem(call("POST", "/openapi.json", "{}"), 405, "invalid");
  problem(as("", "GET", "/openapi.json"), 401, "denied");
}

TEST_F(RestDoorTest, RequestsAreCounted) {
  create("a");
  EXPECT_EQ(call("GET", "/clusters/nobody").status, 404);
  const auto metrics = call("GET", "/metrics");
  EXPECT_THAT(
      metrics.body,
      AllOf(
          HasSubstr(
              "nuraghe_requests_total{door=\"rest\",service=\"vcm\",operation=\"create_vc\",outcome=\"answered\"} 1\n"),
          HasSubstr("nuraghe_requests_total{door=\"rest\",service=\"vcf\",operation=\"get_cluster\",outcome="
                    "\"refused\"} 1\n")));
}

}  // namespace
}  // namespace nuraghe::api
