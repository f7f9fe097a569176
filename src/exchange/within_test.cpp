// What the turn of a request from outside sends to actors of its own exchange is handled in the same batch.
#include <fmt/format.h>
#include <gtest/gtest.h>

#include <algorithm>

#include "exchange/test_world.hpp"

namespace nuraghe::exchange {
namespace {

using testing::body_of;
using testing::FunctionActor;
using testing::request_to;
using testing::text_of;
using testing::World;
using namespace std::chrono_literals;

// Sends `count` requests to `to`; answers when all are answered, with the last answer.
struct Asker : FunctionActor {
  explicit Asker(std::string name, std::string to, int count = 1) : FunctionActor(std::move(name)) {
    request = [this, to, count](Turn& turn, const Message& message) -> Status {
      for (int i = 0; i < count; ++i) {
        const std::string id = fmt::format("{}/{}", message.message_id, i);
        Message asks = request_to(to, "ask", id, std::to_string(i));
        asks.starts_conversation = begins;
        TRY(turn.send(std::move(asks), message.message_id, turn.now() + 1min));
      }
      left = count;
      return put(turn, message.message_id, "asked");
    };
    reply = [this](Turn& turn, const Message& message, std::string_view token) -> Status {
      if (--left > 0) return {};
      TRY(put(turn, token, text_of(message)));
      return turn.reply(token, body_of(text_of(message)));
    };
  }
  int left = 0;
  bool begins = true;
};

// Writes a row for each request and answers with what it got.
struct Keeper : FunctionActor {
  Keeper() : FunctionActor("keeper") {
    request = [this](Turn& turn, const Message& message) -> Status {
      order.push_back(text_of(message));
      if (refuses) {
        TRY(put(turn, "half", "done"));
        return denied("not this one");
      }
      add(turn, "kept");
      return turn.reply(message.message_id, body_of(text_of(message)));
    };
    table_names = {"kept"};
  }
  bool refuses = false;
  std::vector<std::string> order;
};

// Of the first exchange, from here on.
class Commits {
 public:
  explicit Commits(World& world) : world_(world) {
    world.drain();
    before_ = now();
  }
  std::int64_t count() const { return now() - before_; }

 private:
  std::int64_t now() const { return world_.exchanges[0]->statistics().store.commits; }
  World& world_;
  std::int64_t before_ = 0;
};

// Until nothing is to be done, or a process is dead.
void run(World& world) {
  std::vector<Exchange*> all;
  for (const auto& exchange : world.exchanges) all.push_back(exchange.get());
  for (;;) {
    const auto next = drain_all(all);
    if (!next || !*next || std::ranges::any_of(all, &Exchange::failed)) return;
    world.clock.set(std::max(**next, world.clock.now()));
  }
}

std::string accepted(World& world, const std::string& to, const std::string& id) {
  std::string answer = "none";
  world.router->accept(request_to(to, "ask", id), [&answer](const Result<Message>& outcome) {
    answer = outcome ? text_of(*outcome) : outcome.error().to_string();
  });
  run(world);
  return answer;
}

TEST(Within, WhatARequestCausesSharesItsCommit) {
  World world;
  Asker asker("asker", "/services/keeper");
  Keeper keeper;
  world.add("one", {&asker, &keeper});
  const Commits commits(world);
  EXPECT_EQ(accepted(world, "/services/asker", "urn:1"), "0");
  // One that takes the request, for both actors, and one that takes the answer.
  EXPECT_EQ(commits.count(), 2);
  EXPECT_EQ(world.leftovers("one"), "");
}

TEST(Within, WhatThatCausesGoesAfterTheCommit) {
  World world;
  Asker first("first", "/services/second");
  Asker second("second", "/services/keeper");
  Keeper keeper;
  second.table_names = {"second"};
  world.add("one", {&first, &second, &keeper});
  const Commits commits(world);
  EXPECT_EQ(accepted(world, "/services/first", "urn:1"), "0");
  // first and second; keeper; second's answer; first's answer.
  EXPECT_EQ(commits.count(), 4);
}

TEST(Within, WhatAnActorSendsByItselfGoesAfterTheCommit) {
  World world;
  Asker asker("asker", "/services/keeper");
  Keeper keeper;
  asker.timer = [&asker](Turn& turn, std::string_view) -> Status {
    TRY(asker.put(turn, "rung", "yes"));
    asker.left = 1;
    Message asks = request_to("/services/keeper", "ask", "urn:timer", "0");
    asks.starts_conversation = true;
    return turn.send(std::move(asks), "timer", turn.now() + 1min);
  };
  asker.start = [](Turn& turn) { return turn.set_timer("bell", turn.now() + 1s); };
  world.add("one", {&asker, &keeper});
  const Commits commits(world);
  world.run();
  EXPECT_EQ(keeper.order, std::vector<std::string>{"0"});
  EXPECT_EQ(commits.count(), 3);
}

TEST(Within, WhatMayOvertakeAnotherGoesAfterTheCommit) {
  World world;
  Asker asker("asker", "/services/keeper");
  Keeper keeper;
  asker.begins = false;
  // A turn that sends before, in the same batch.
  asker.timer = [](Turn& turn, std::string_view) -> Status {
    return turn.send(request_to("/services/keeper", "ask", "urn:timer", "first"), "timer", turn.now() + 1min);
  };
  asker.start = [](Turn& turn) { return turn.set_timer("bell", turn.now() + 1s); };
  world.add("one", {&asker, &keeper});
  world.drain();
  world.clock.set(world.clock.now() + 1s);
  accepted(world, "/services/asker", "urn:1");
  EXPECT_EQ(keeper.order, (std::vector<std::string>{"first", "0"}));
}

TEST(Within, ARequestThatIsRefusedLeavesItsSendersTurn) {
  World world;
  Asker asker("asker", "/services/keeper");
  Keeper keeper;
  keeper.refuses = true;
  world.add("one", {&asker, &keeper});
  EXPECT_EQ(accepted(world, "/services/asker", "urn:1"), "fault: not this one");
  EXPECT_EQ(keeper.rollbacks, 1);
  EXPECT_TRUE(world.rows("one", "kept").empty());
  EXPECT_EQ(world.rows("one", "rows").size(), 1U);
}

TEST(Within, AWideRequestIsTakenInInParts) {
  World world;
  Asker asker("asker", "/services/keeper", 100);
  Keeper keeper;
  world.add("one", {&asker, &keeper});
  EXPECT_EQ(accepted(world, "/services/asker", "urn:1"), "99");
  ASSERT_EQ(keeper.order.size(), 100U);
  for (int i = 0; i < 100; ++i) EXPECT_EQ(keeper.order[static_cast<std::size_t>(i)], std::to_string(i));
  EXPECT_EQ(world.leftovers("one"), "");
}

TEST(Within, AnotherExchangeGetsItAfterTheCommit) {
  World world;
  Asker asker("asker", "/services/keeper");
  Keeper keeper;
  world.add("one", {&asker});
  world.add("two", {&keeper});
  const Commits commits(world);
  world.router->accept(request_to("/services/asker", "ask", "urn:1"), [](const Result<Message>&) {});
  EXPECT_TRUE(world.exchanges[0]->drain());
  EXPECT_EQ(commits.count(), 1);
  EXPECT_TRUE(world.rows("two", "kept").empty());
  world.run();
  EXPECT_EQ(commits.count(), 2);
  EXPECT_EQ(world.rows("two", "kept").size(), 1U);
}

TEST(Within, NothingIsWhenEverythingLeavesTheProcess) {
  struct Refusing : RemoteTransport {
    int sent = 0;
    void send(const Message&, std::function<void(Result<Message>)> done) override {
      ++sent;
      done(denied("far away"));
    }
  } transport;
  World world;
  world.router = make_router({.remote = &transport, .force_remote = true});
  Asker asker("asker", "/services/keeper");
  Keeper keeper;
  world.add("one", {&asker, &keeper});
  EXPECT_EQ(accepted(world, "/services/asker", "urn:1"), "fault: far away");
  EXPECT_EQ(transport.sent, 1);
  EXPECT_TRUE(keeper.order.empty());
}

// Killed at every place, started again, asked again by who got no answer: each row is there once.
TEST(Within, KilledAnywhereItHappensOnce) {
  for (int place = 1;; ++place) {
    World world;
    Asker asker("asker", "/services/keeper");
    Keeper keeper;
    ExchangeOptions options = world.options("one");
    int passed = 0;
    options.crash_hook = [&](CrashPoint) { return ++passed == place; };
    world.add(options, {&asker, &keeper});
    std::string answer = accepted(world, "/services/asker", "urn:1");
    const bool died = world.exchanges[0]->failed();
    if (died) {
      world.restart();
      asker.left = 1;
      world.add("one", {&asker, &keeper});
      answer = accepted(world, "/services/asker", "urn:1");
    }
    EXPECT_EQ(answer, "0") << place;
    const auto kept = world.rows("one", "kept");
    ASSERT_EQ(kept.size(), 1U) << place;
    EXPECT_EQ(kept[0].value, "1") << place;
    EXPECT_EQ(world.leftovers("one"), "") << place;
    if (!died) {
      EXPECT_GE(place, 4);
      break;
    }
  }
}

}  // namespace
}  // namespace nuraghe::exchange
