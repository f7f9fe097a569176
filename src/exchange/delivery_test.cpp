// Deliveries that fail and are tried again, addresses, and how long first answers are kept.
#include <fmt/format.h>
#include <gtest/gtest.h>

#include <deque>

#include "exchange/test_world.hpp"

namespace nuraghe::exchange {
namespace {

using testing::body_of;
using testing::FunctionActor;
using testing::request_to;
using testing::text_of;
using testing::World;
using namespace std::chrono_literals;

// Answers as scripted, by default with success.
struct ScriptedTransport : RemoteTransport {
  std::deque<Error> errors;  // of the next tries
  std::vector<std::string> sent;
  std::vector<TimePoint> times;
  env::Clock* clock = nullptr;
  void send(const Message& request, std::function<void(Result<Message>)> done) override {
    sent.push_back(request.to + " " + request.message_id);
    if (clock != nullptr) times.push_back(clock->now());
    if (!errors.empty()) {
      const Error error = errors.front();
      errors.pop_front();
      return done(error);
    }
    Message reply;
    reply.relates_to = request.message_id;
    reply.body = body_of("from afar");
    done(std::move(reply));
  }
};

struct Sender : FunctionActor {
  explicit Sender(const std::string& to, Duration deadline, Duration patience = Duration::max())
      : FunctionActor("sender") {
    start = [=](Turn& turn) {
      return turn.send(request_to(to, "ask", "urn:1"), "tok", turn.now() + deadline, patience);
    };
    reply = [this](Turn&, const Message& message, std::string_view token) -> Status {
      got.push_back(std::string(token) + ": " + text_of(message));
      if (message.fault) codes.push_back(message.fault->code);
      return {};
    };
  }
  std::vector<std::string> got;
  std::vector<ErrorCode> codes;
};

// Of a one-way message that wants a receipt.
struct ReceiptSender : Sender {
  explicit ReceiptSender(const std::string& to, bool to_stranger = false) : Sender(to, 1min) {
    start = [=](Turn& turn) {
      Message message = request_to(to, "tell", "urn:1");
      message.one_way = message.wants_receipt = true;
      message.to_stranger = to_stranger;
      return turn.send(std::move(message), "tok", turn.now() + 1min);
    };
  }
};

TEST(Delivery, OfAOneWayMessageIsToldToWhoWantsAReceipt) {
  for (const bool refused : {false, true}) {
    World world;
    ScriptedTransport transport;
    if (refused) transport.errors.push_back(denied("not you"));
    RouterOptions options;
    options.remote = &transport;
    world.router = make_router(options);
    ReceiptSender sender("http://127.0.0.1:1/x");
    world.add("a", {&sender});
    world.run();
    ASSERT_EQ(sender.got.size(), 1U);
    EXPECT_EQ(sender.codes, refused ? std::vector<ErrorCode>{ErrorCode::kDenied} : std::vector<ErrorCode>{});
    EXPECT_EQ(world.leftovers("a"), "");
  }
}

TEST(Delivery, NeverGoesToAnActorBecauseAStrangerNamedIt) {
  for (const std::string to : {"/services/inner", "http://own:1/services/inner", "http://own:1"}) {
    World world;
    world.router->add_own_base("http://own:1");
    FunctionActor inner("inner");
    int asked = 0;
    inner.request = [&asked](Turn& turn, const Message& request) {
      ++asked;
      return turn.reply(request.message_id, body_of("yes"));
    };
    ReceiptSender sender(to, true);
    world.add("a", {&inner, &sender});
    world.run();
    EXPECT_EQ(sender.codes, std::vector<ErrorCode>{ErrorCode::kDenied}) << to;
    EXPECT_EQ(asked, 0);
  }
}

TEST(Delivery, IsTriedAgainWithGrowingPauses) {
  World world;
  ScriptedTransport transport;
  transport.clock = &world.clock;
  for (int i = 0; i < 9; ++i) transport.errors.push_back(unavailable("connection refused"));
  world.router = make_router({.remote = &transport});
  Sender sender("http://other:1/services/x", 1h);
  world.add("one", {&sender});
  world.run();
  EXPECT_EQ(sender.got, std::vector<std::string>{"tok: from afar"});
  ASSERT_EQ(transport.times.size(), 10U);
  Duration expected = 100ms;
  for (std::size_t i = 1; i < transport.times.size(); ++i) {
    const Duration pause = transport.times[i] - transport.times[i - 1];
    EXPECT_GE(pause, expected * 3 / 4) << i;
    EXPECT_LE(pause, expected * 5 / 4) << i;
    expected = std::min<Duration>(expected * 2, 5s);
  }
  EXPECT_EQ(world.leftovers("one"), "");
}

TEST(Delivery, GivesUpAtTheDeadline) {
  World world;
  ScriptedTransport transport;
  for (int i = 0; i < 1000; ++i) transport.errors.push_back(timed_out("no answer"));
  world.router = make_router({.remote = &transport});
  Sender sender("http://other:1/services/x", 20s);
  world.add("one", {&sender});
  world.run();
  ASSERT_EQ(sender.got.size(), 1U);
  EXPECT_EQ(sender.codes, std::vector<ErrorCode>{ErrorCode::kUnavailable});
  EXPECT_NE(sender.got[0].find("no answer"), std::string::npos);
  EXPECT_LE(world.clock.now(), env::SimClock::kStart + 20s);
  EXPECT_EQ(world.leftovers("one"), "");
}

// Patience counts from the first failure: an answer may take as long as the deadline allows.
TEST(Delivery, GivesUpWhenItHasFailedForTooLong) {
  World world;
  ScriptedTransport transport;
  transport.clock = &world.clock;
  for (int i = 0; i < 1000; ++i) transport.errors.push_back(unavailable("connection refused"));
  world.router = make_router({.remote = &transport});
  Sender sender("http://other:1/services/x", 1h, 10s);
  world.add("one", {&sender});
  world.run();
  EXPECT_EQ(sender.codes, std::vector<ErrorCode>{ErrorCode::kUnavailable});
  EXPECT_GE(world.clock.now(), env::SimClock::kStart + 5s);
  EXPECT_LE(world.clock.now(), env::SimClock::kStart + 10s);
  EXPECT_EQ(world.leftovers("one"), "");
  // What a restart finds begins to fail anew.
  World again;
  ScriptedTransport other;
  other.clock = &again.clock;
  for (int i = 0; i < 1000; ++i) other.errors.push_back(unavailable("connection refused"));
  again.router = make_router({.remote = &other});
  Sender first("http://other:1/services/x", 1h, 10s);
  again.add("one", {&first});
  again.drain();
  again.restart();
  again.clock.advance(1min);
  again.router = make_router({.remote = &other});
  other.errors.resize(2, unavailable("connection refused"));
  Sender second("http://other:1/services/x", 1h, 10s);
  second.start = [](Turn&) { return Status(); };
  again.add("one", {&second});
  again.run();
  EXPECT_EQ(second.got, std::vector<std::string>{"tok: from afar"});
}

TEST(Delivery, AFinalErrorIsNotTriedAgain) {
  World world;
  ScriptedTransport transport;
  transport.errors.push_back(denied("wrong token"));
  world.router = make_router({.remote = &transport});
  Sender sender("http://other:1/services/x", 20s);
  world.add("one", {&sender});
  world.run();
  EXPECT_EQ(sender.codes, std::vector<ErrorCode>{ErrorCode::kDenied});
  EXPECT_EQ(transport.sent.size(), 1U);
}

TEST(Delivery, ARestartSendsAgainWithTheSameId) {
  World world;
  ScriptedTransport transport;
  for (int i = 0; i < 2; ++i) transport.errors.push_back(unavailable("down"));
  world.router = make_router({.remote = &transport});
  Sender sender("http://other:1/services/x", 1h);
  world.add("one", {&sender});
  world.drain();
  world.exchanges.clear();
  sender.start = [](Turn&) { return Status(); };
  world.add("one", {&sender});
  world.run();
  EXPECT_EQ(sender.got, std::vector<std::string>{"tok: from afar"});
  EXPECT_EQ(transport.sent, std::vector<std::string>(3, "http://other:1/services/x urn:1"));
}

TEST(Delivery, WithoutATransportOthersAreUnavailable) {
  World world;
  Sender sender("http://other:1/services/x", 1s);
  world.add("one", {&sender});
  world.run();
  EXPECT_EQ(sender.codes, std::vector<ErrorCode>{ErrorCode::kUnavailable});
}

TEST(Router, FindsTheLongestPathThenTheOperation) {
  World world;
  ScriptedTransport transport;
  world.router = make_router({.remote = &transport, .own_base = "http://127.0.0.1:8470"});
  std::vector<std::unique_ptr<FunctionActor>> actors;
  std::vector<Actor*> pointers;
  for (const char* name : {"any", "named", "deep", "root"}) {
    actors.push_back(std::make_unique<FunctionActor>(name));
    actors.back()->request = [name](Turn& turn, const Message& message) {
      return turn.reply(message.message_id, body_of(name));
    };
    pointers.push_back(actors.back().get());
  }
  Exchange& exchange = world.add("one", pointers);
  for (const char* name : {"any", "named", "deep", "root"}) {
    world.router->remove_route(std::string("/services/") + name, "*");
  }
  world.router->add_route("/services/vhf", "*", exchange, "any");
  world.router->add_route("/services/vhf", "create", exchange, "named");
  world.router->add_route("/services/vhf/hosts", "look", exchange, "deep");
  world.router->add_own_base("http+unix://%2Frun%2Fn.sock");
  int number = 0;
  const auto ask = [&](const std::string& to, const std::string& operation) {
    std::string answer = "(none)";
    world.router->deliver(request_to(to, operation, fmt::format("urn:{}", number++)),
                          [&](Message reply) { answer = text_of(reply); });
    world.drain();
    return answer;
  };
  EXPECT_EQ(ask("/services/vhf", "list"), "any");
  EXPECT_EQ(ask("/services/vhf", "create"), "named");
  EXPECT_EQ(ask("/services/vhf/hosts/vh-1", "look"), "deep");
  EXPECT_EQ(ask("/services/vhf/hosts/vh-1", "create"), "named");
  EXPECT_EQ(ask("/services/vhf?wsdl", "list"), "any");
  EXPECT_EQ(ask("http://127.0.0.1:8470/services/vhf", "list"), "any");
  EXPECT_EQ(ask("http+unix://%2Frun%2Fn.sock/services/vhf", "list"), "any");
  EXPECT_EQ(ask("http://127.0.0.1:84701/services/vhf", "list"), "from afar");
  EXPECT_EQ(ask("/services/vhfx", "list"), "fault: nothing serves operation list at /services/vhfx");
  world.router->remove_route("/services/vhf", "create");
  EXPECT_EQ(ask("/services/vhf", "create"), "any");
  world.router->add_route("/", "*", exchange, "root");
  EXPECT_EQ(ask("/elsewhere", "x"), "root");
}

TEST(Router, ForcedRemoteSendsOwnAddressesByTheTransport) {
  ScriptedTransport transport;
  const auto router = make_router({.remote = &transport, .force_remote = true, .own_base = "http://127.0.0.1:8470"});
  for (const char* to : {"/services/a", "http://127.0.0.1:8470/services/b", "http://else/c"}) {
    router->deliver(request_to(to, "x", "urn:1"), [](Message reply) { EXPECT_EQ(text_of(reply), "from afar"); });
  }
  EXPECT_EQ(transport.sent,
            (std::vector<std::string>{"http://127.0.0.1:8470/services/a urn:1",
                                      "http://127.0.0.1:8470/services/b urn:1", "http://else/c urn:1"}));
}

struct Answers : ::testing::Test {
  World world;
  FunctionActor actor{"keeper"};
  Exchange* exchange = nullptr;
  void SetUp() override {
    actor.request = [this](Turn& turn, const Message& message) -> Status {
      actor.add(turn, "count");
      return turn.reply(message.message_id, body_of("ok"));
    };
    exchange = &world.add("one", {&actor});
  }
  void ask(const std::string& id, const std::string& conversation) {
    Message request = request_to("/services/keeper", "x", id);
    request.conversation = conversation;
    world.router->deliver(request, [](Message reply) { EXPECT_EQ(text_of(reply), "ok"); });
    world.drain();
  }
  std::string kept() {
    std::string ids;
    for (const auto& row : world.rows("one", "exchange_inbox")) ids += row.key + " ";
    return ids;
  }
  // Hour by hour, as the collection runs.
  void pass(std::chrono::hours span) {
    for (; span > 0h; span -= 1h) {
      world.clock.advance(1h);
      world.drain();
    }
  }
};

TEST_F(Answers, AreKeptADayAfterTheyWereLastAskedFor) {
  ask("urn:a", "");
  ask("urn:b", "elsewhere");
  pass(20h);
  ask("urn:b", "elsewhere");
  pass(3h);
  EXPECT_EQ(kept(), "urn:a urn:b ");
  pass(2h);
  EXPECT_EQ(kept(), "urn:b ");
  pass(24h);
  EXPECT_EQ(kept(), "");
  EXPECT_EQ(world.rows("one", "rows").at(0).value, "2");
}

TEST_F(Answers, AreKeptWhileTheirConversationLivesAndADayMore) {
  bool alive = true;
  exchange->set_conversation_probe([&](std::string_view conversation) { return alive && conversation == "mine"; });
  ask("urn:a", "mine");
  ask("urn:b", "other");
  pass(24h * 10);
  EXPECT_EQ(kept(), "urn:a ");
  alive = false;
  pass(24h);
  EXPECT_EQ(kept(), "urn:a ");
  pass(4h);
  EXPECT_EQ(kept(), "");
  pass(3h);
  EXPECT_TRUE(world.rows("one", "exchange_conversations").empty());
}

TEST_F(Answers, AreCollectedInPages) {
  for (int i = 0; i < 1000; ++i) ask(fmt::format("urn:{:04}", i), "");
  world.clock.advance(23h);
  ask("urn:young", "");
  world.clock.advance(2h);
  std::int64_t erased = -1;
  exchange->collect_answers([&](std::int64_t count) { erased = count; });
  world.drain();
  EXPECT_EQ(kept(), "urn:young ");
  EXPECT_GE(erased, 0);
}

TEST_F(Answers, PendingRequestsAreNotCollected) {
  actor.request = [this](Turn& turn, const Message& message) { return actor.put(turn, "id", message.message_id); };
  world.router->deliver(request_to("/services/keeper", "x", "urn:a"), [](Message) {});
  pass(48h);
  EXPECT_EQ(kept(), "urn:a ");
}

}  // namespace
}  // namespace nuraghe::exchange
