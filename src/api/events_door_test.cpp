// /events under load: clients that are slow, break off and come back, and clusters by their name.
#include <fmt/format.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <future>
#include <numeric>

#include "api/gateway.hpp"
#include "contracts/vcf.hpp"
#include "net/http_client.hpp"
#include "net/testing.hpp"
#include "store/memory.hpp"

namespace nuraghe::api {
namespace {

using exchange::Message;
using exchange::Turn;
using net::testing::kPatience;
using net::testing::RawClient;
using ::testing::HasSubstr;

constexpr const char* kAdmin = "token-of-the-administrator";
constexpr const char* kMember = "token-of-a-member-of-physics";

// A VCF that knows one cluster: "blue", which is vc-1 of physics.
class Clusters final : public exchange::Actor {
 public:
  std::string_view name() const override { return "vcf"; }
  Status open(store::Store&) override { return {}; }
  Status on_start(Turn&) override { return {}; }
  Status on_request(Turn& turn, const Message& request) override {
    TRY_ASSIGN(const auto input, contracts::vcf::parse_get_cluster_request(request));
    if (input.cluster != "blue" || request.vo != "physics") return not_found("there is no cluster " + input.cluster);
    contracts::vcf::GetClusterResponse response;
    response.cluster.id = "vc-1";
    response.cluster.name = "blue";
    return turn.reply(request.message_id, contracts::vcf::document_of(response));
  }
  Status on_reply(Turn&, const Message&, std::string_view) override { return {}; }
  Status on_timer(Turn&, std::string_view) override { return {}; }
  Status on_job(Turn&, const exchange::Job&, const Result<std::string>&) override { return {}; }
  Result<std::string> run_job(const exchange::Job&, exchange::JobContext&) override { return std::string(); }
};

class EventsDoorTest : public ::testing::Test {
 protected:
  void SetUp() override {
    exchange::ExchangeOptions options;
    options.name = "control";
    options.clock = &env::system_clock();
    options.random = &env::system_random();
    exchange_ = exchange::make_exchange(store::open_memory(store::make_memory_disk()), *router_, options);
    exchange_->add_actor(actor_);
    ASSERT_TRUE(exchange_->open());
    exchange_->start();
    router_->add_route("/services/vcf", "*", *exchange_, "vcf");
    GatewayOptions gateway;
    gateway.router = router_.get();
    gateway.random = &env::system_random();
    gateway.tokens = {{{"admin", "physics", Role::kAdministrator}, kAdmin},
                      {{"marie", "physics", Role::kOperator}, kMember}};
    gateway.events = exchange_.get();
    net::HttpServerOptions listen;
    listen.listen = {"127.0.0.1:0"};
    auto started = Gateway::start(std::move(gateway), listen);
    ASSERT_TRUE(started) << started.error().to_string();
    gateway_ = std::move(*started);
  }
  void TearDown() override {
    gateway_.reset();
    exchange_.reset();
  }
  // `count` events of a cluster in one turn.
  void publish(int count, const std::string& cluster = "vc-1", const std::string& kind = "host.booted",
               const std::string& name = {}, const std::string& text = "x", const std::string& vo = "physics") {
    std::promise<Status> done;
    exchange_->post(
        "vcf",
        [&](Turn& turn) -> Status {
          for (int i = 0; i < count; ++i) {
            exchange::Event event;
            event.vo = vo;
            event.cluster = cluster;
            event.kind = kind;
            event.text = text;
            if (!name.empty()) event.attributes["name"] = name;
            TRY(turn.publish(std::move(event)));
          }
          return {};
        },
        [&](const Status& status) { done.set_value(status); });
    ASSERT_TRUE(done.get_future().get());
  }
  std::string head(const std::string& target, const std::string& more = {}) const {
    return fmt::format("GET {} HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {}\r\nAccept: text/event-stream\r\n{}\r\n",
                       target, kMember, more);
  }
  // Of the lines "id: N" that are there whole.
  static std::vector<std::int64_t> ids(const std::string& text) {
    std::vector<std::int64_t> found;
    for (std::size_t at = text.find("\nid: "); at != std::string::npos; at = text.find("\nid: ", at + 1)) {
      const std::size_t end = text.find('\n', at + 1);
      if (end != std::string::npos) found.push_back(std::stoll(text.substr(at + 5, end - at - 5)));
    }
    return found;
  }
  // All that comes until the event of that id.
  static std::string read_to(RawClient& client, std::int64_t id) {
    const std::string mark = fmt::format("id: {}\n", id);
    std::string got;
    for (std::size_t searched = 0; got.find(mark, searched) == std::string::npos;) {
      searched = got.size() < mark.size() ? 0 : got.size() - mark.size();
      const std::string some = client.read_until("\n");
      if (some.empty() || some.ends_with("(time-out)")) {
        ADD_FAILURE() << "the stream ends before " << mark;
        break;
      }
      got += some;
    }
    return got;
  }
  net::ClientResponse get(const std::string& path, const std::string& token = kMember) {
    net::ClientRequest request;
    request.method = "GET";
    request.url = gateway_->bases()[0] + path;
    request.bearer = token;
    request.timeout = kPatience;
    auto response = client_->call(request);
    EXPECT_TRUE(response);
    return response ? std::move(*response) : net::ClientResponse{};
  }

  std::unique_ptr<exchange::Router> router_ = exchange::make_router({});
  Clusters actor_;
  std::unique_ptr<exchange::Exchange> exchange_;
  std::unique_ptr<Gateway> gateway_;
  std::unique_ptr<net::HttpClient> client_ = net::HttpClient::make();
};

TEST_F(EventsDoorTest, AClusterIsNamedByItsIdOrItsName) {
  publish(1, "vc-1");
  publish(1, "vc-2");
  for (const char* cluster : {"vc-1", "blue"}) {
    const auto events = get(fmt::format("/events?cluster={}", cluster));
    EXPECT_EQ(std::ranges::count(events.body, '\n'), 1) << events.body;
    EXPECT_THAT(events.body, HasSubstr("\"cluster\":\"vc-1\""));
  }
  EXPECT_EQ(get("/events?cluster=nobody").body, "");
}

TEST_F(EventsDoorTest, ANameIsFollowedToWhoGetsItLater) {
  RawClient follower(gateway_->port());
  ASSERT_TRUE(follower.send(head("/events?cluster=green")));
  follower.read_until("retry: ");
  publish(1, "vc-1");
  publish(1, "vc-7", "cluster.planned", "green");
  publish(1, "vc-8", "cluster.planned", "greener");
  publish(2, "vc-7", "host.booted", "head");
  const std::string got = follower.read_until("id: 5\n");
  EXPECT_EQ(ids(got), (std::vector<std::int64_t>{2, 4, 5}));
}

// What another organisation calls its cluster opens nothing.
TEST_F(EventsDoorTest, ANameIsLearntFromTheCallersOwnEventsAlone) {
  publish(1, "vc-9", "cluster.planned", "green", "x", "chemistry");
  publish(1, "vc-9", "host.booted", "", "x", "chemistry");
  EXPECT_EQ(get("/events?cluster=green").body, "");
  EXPECT_EQ(get("/events?cluster=vc-9").body, "");
  const auto all = get("/events?cluster=green", kAdmin);
  EXPECT_EQ(std::ranges::count(all.body, '\n'), 2) << all.body;
}

// Who does not read holds one page; whoever else follows sees nothing of it, and it misses nothing.
TEST_F(EventsDoorTest, ASlowClientDelaysItselfAlone) {
  constexpr int kEvents = 20'000;  // 12 MB: far more than the sockets' buffers hold
  RawClient slow(gateway_->port());
  ASSERT_TRUE(slow.send(head("/events")));
  slow.read_until("retry: ");
  RawClient quick(gateway_->port());
  ASSERT_TRUE(quick.send(head("/events")));
  for (int i = 0; i < 20; ++i) publish(kEvents / 20, "vc-1", "host.booted", "", std::string(300, 'x'));
  EXPECT_EQ(ids(read_to(quick, kEvents)).size(), static_cast<std::size_t>(kEvents));
  const auto found = ids(read_to(slow, kEvents));
  ASSERT_EQ(found.size(), static_cast<std::size_t>(kEvents));
  EXPECT_TRUE(std::ranges::is_sorted(found));
}

// Many break off at different places and come back at once, again and again: each sees every event once.
TEST_F(EventsDoorTest, AStormOfReconnectsLosesAndRepeatsNothing) {
  constexpr int kClients = 60, kRounds = 5, kEach = 20;
  std::vector<std::vector<std::int64_t>> seen(kClients);
  for (int round = 0; round < kRounds; ++round) {
    std::vector<std::unique_ptr<RawClient>> clients;
    for (int i = 0; i < kClients; ++i) {
      clients.push_back(std::make_unique<RawClient>(gateway_->port()));
      const std::int64_t last = seen[i].empty() ? 0 : seen[i].back();
      ASSERT_TRUE(clients.back()->send(head("/events", fmt::format("Last-Event-ID: {}\r\n", last))));
    }
    publish(kEach);
    for (int i = 0; i < kClients; ++i) {
      // In the last round to the end; before that a few events of what is there.
      const std::int64_t until = round + 1 == kRounds ? kRounds * kEach : round * kEach + 1 + i % kEach;
      const auto found = ids(read_to(*clients[i], until));
      seen[i].insert(seen[i].end(), found.begin(), found.end());
    }
  }
  std::vector<std::int64_t> all(kRounds * kEach);
  std::iota(all.begin(), all.end(), 1);
  for (int i = 0; i < kClients; ++i) EXPECT_EQ(seen[i], all) << i;
}

TEST_F(EventsDoorTest, AnIdThatWasNeverGivenGoesOnWithWhatComes) {
  publish(3);
  RawClient future(gateway_->port());
  ASSERT_TRUE(future.send(head("/events", "Last-Event-ID: 4000\r\n")));
  future.read_until("retry: ");
  publish(1);
  EXPECT_EQ(ids(future.read_until("id: 4\n")), (std::vector<std::int64_t>{4}));
  for (const char* nonsense : {"x", "-1", ""}) {
    RawClient other(gateway_->port());
    ASSERT_TRUE(other.send(head("/events", fmt::format("Last-Event-ID: {}\r\n", nonsense))));
    EXPECT_EQ(ids(other.read_until("id: 4\n")).size(), 4U) << nonsense;
  }
}

TEST_F(EventsDoorTest, WhatCannotBeAskedIsAProblem) {
  const auto wrong = get("/events?after=x");
  EXPECT_EQ(wrong.status, 400);
  EXPECT_EQ(wrong.header("Content-Type"), "application/problem+json");
}

}  // namespace
}  // namespace nuraghe::api
