#include "exchange/exchange.hpp"

#include <fmt/format.h>
#include <gtest/gtest.h>

#include "exchange/test_world.hpp"

namespace nuraghe::exchange {
namespace {

using testing::body_of;
using testing::FunctionActor;
using testing::request_to;
using testing::text_of;
using testing::World;
using namespace std::chrono_literals;

// Answers each request by its own text, and counts.
struct Echo : FunctionActor {
  explicit Echo(const std::string& name = "echo") : FunctionActor(name) {
    request = [this](Turn& turn, const Message& message) -> Status {
      const auto count = add(turn, "count");
      return turn.reply(message.message_id, body_of(fmt::format("{} {}", text_of(message), count)));
    };
  }
};

struct Replies {
  std::vector<std::string> texts;
  ReplyHandler handler() {
    return [this](Message reply) { texts.push_back(text_of(reply)); };
  }
};

TEST(Exchange, ARequestIsAnsweredAfterTheCommit) {
  World world;
  Echo echo;
  Exchange& exchange = world.add("one", {&echo});
  std::string got;
  Message request = request_to("/services/echo", "say", "urn:1", "hello");
  request.vo = "physics";
  request.conversation = "c1";
  request.traceparent = "t1";
  exchange.submit("echo", request, [&](Message reply) {
    got = text_of(reply);
    EXPECT_EQ(reply.relates_to, "urn:1");
    EXPECT_EQ(reply.vo, "physics");
    EXPECT_EQ(reply.conversation, "c1");
    EXPECT_EQ(reply.traceparent, "t1");
    EXPECT_FALSE(reply.message_id.empty());
    EXPECT_EQ(world.rows("one", "rows").at(0).value, "1");  // committed
  });
  EXPECT_EQ(got, "");
  world.drain();
  EXPECT_EQ(got, "hello 1");
}

TEST(Exchange, ARepeatGetsTheFirstAnswerEvenAfterARestart) {
  World world;
  Echo echo;
  Replies replies;
  world.add("one", {&echo});
  world.router->deliver(request_to("/services/echo", "say", "urn:1", "a"), replies.handler());
  world.router->deliver(request_to("/services/echo", "say", "urn:1", "a"), replies.handler());  // the same batch
  world.drain();
  world.router->deliver(request_to("/services/echo", "say", "urn:1", "a"), replies.handler());
  world.drain();
  world.restart();
  world.add("one", {&echo});
  world.router->deliver(request_to("/services/echo", "say", "urn:1", "a"), replies.handler());
  world.router->deliver(request_to("/services/echo", "say", "urn:2", "b"), replies.handler());
  world.drain();
  EXPECT_EQ(replies.texts, (std::vector<std::string>{"a 1", "a 1", "a 1", "a 1", "b 2"}));
}

TEST(Exchange, ATurnThatWroteNothingLeavesNoRow) {
  World world;
  FunctionActor actor("reader");
  actor.request = [](Turn& turn, const Message& message) { return turn.reply(message.message_id, body_of("now")); };
  Replies replies;
  Exchange& exchange = world.add("one", {&actor});
  world.drain();
  const auto commits = exchange.statistics().store.commits;
  world.router->deliver(request_to("/services/reader", "read", "urn:1"), replies.handler());
  world.drain();
  EXPECT_EQ(replies.texts, std::vector<std::string>{"now"});
  EXPECT_TRUE(world.rows("one", "exchange_inbox").empty());
  EXPECT_EQ(exchange.statistics().store.commits, commits);
}

TEST(Exchange, ADeferredAnswerReachesEveryRepeat) {
  World world;
  FunctionActor actor("slow");
  actor.request = [&](Turn& turn, const Message& message) -> Status {
    actor.add(turn, "requests");
    TRY(actor.put(turn, "waiting", message.message_id));
    return turn.set_timer("answer", turn.now() + 10s);
  };
  actor.timer = [&](Turn& turn, std::string_view) -> Status {
    const std::string id = actor.get(turn, "waiting");
    TRY(turn.reply(id, body_of("at last")));
    return turn.reply(id, body_of("too late"));  // the first answer stands
  };
  Replies replies;
  world.add("one", {&actor});
  world.router->deliver(request_to("/services/slow", "ask", "urn:1"), replies.handler());
  world.drain();
  EXPECT_TRUE(replies.texts.empty());
  world.router->deliver(request_to("/services/slow", "ask", "urn:1"), replies.handler());
  world.drain();
  world.restart();  // those who waited learn that they must ask again
  EXPECT_EQ(replies.texts,
            (std::vector<std::string>{"fault: the service has stopped", "fault: the service has stopped"}));
  replies.texts.clear();
  world.add("one", {&actor});
  world.router->deliver(request_to("/services/slow", "ask", "urn:1"), replies.handler());
  world.run();
  world.router->deliver(request_to("/services/slow", "ask", "urn:1"), replies.handler());
  world.run();
  EXPECT_EQ(replies.texts, (std::vector<std::string>{"at last", "at last"}));
  EXPECT_EQ(world.rows("one", "rows").at(0).value, "1");
  EXPECT_EQ(world.leftovers("one"), "");
}

TEST(Exchange, AnErrorUndoesItsTurnOnlyAndBecomesAFault) {
  World world;
  FunctionActor actor("picky");
  actor.request = [&](Turn& turn, const Message& message) -> Status {
    actor.add(turn, "count");
    TRY(turn.publish({.kind = "seen", .text = text_of(message)}));
    TRY(turn.set_timer("t" + text_of(message), turn.now() + 1h));
    TRY(turn.start_job({text_of(message), ""}));
    if (text_of(message) == "bad") return conflict("no").with("asking");
    return turn.reply(message.message_id, body_of("yes"));
  };
  std::vector<Message> replies;
  world.add("one", {&actor});
  for (const char* text : {"good", "bad", "better"}) {
    world.router->deliver(request_to("/services/picky", "ask", std::string("urn:") + text, text),
                          [&](Message reply) { replies.push_back(std::move(reply)); });
  }
  world.drain();
  ASSERT_EQ(replies.size(), 3U);
  EXPECT_EQ(text_of(replies[0]), "yes");
  EXPECT_EQ(text_of(replies[2]), "yes");
  const Error error = error_of(*replies[1].fault);
  EXPECT_EQ(error.code(), ErrorCode::kConflict);
  EXPECT_EQ(error.to_string(), "asking: no");
  EXPECT_EQ(world.rows("one", "rows").at(0).value, "2");
  EXPECT_EQ(world.rows("one", "exchange_timer_index").size(), 2U);
  EXPECT_EQ(world.rows("one", "exchange_events").size(), 2U);
  EXPECT_EQ(world.rows("one", "exchange_inbox").size(), 2U);
  EXPECT_EQ(actor.rollbacks, 1);
}

TEST(Exchange, AnUndoneTurnHasNoEffects) {
  World world;
  Echo echo;
  FunctionActor actor("failing");
  bool effects = false;
  actor.start = [&](Turn& turn) -> Status {
    TRY(turn.send(request_to("/services/echo", "say", "urn:undone"), "", turn.now() + 1h));
    TRY(turn.start_job({"j", ""}));
    return invalid("all of it is undone");
  };
  actor.reply = [&](Turn&, const Message&, std::string_view) -> Status {
    effects = true;
    return {};
  };
  actor.work = [&](const Job&, JobContext&) -> Result<std::string> {
    effects = true;
    return "";
  };
  world.add("one", {&actor});
  world.add("two", {&echo});
  world.run();
  EXPECT_FALSE(effects);
  EXPECT_TRUE(world.rows("two", "rows").empty());
  EXPECT_EQ(world.leftovers("one"), "");
}

TEST(Exchange, AnAnswerOfAnUndoneTurnIsNotTheFirst) {
  World world;
  FunctionActor actor("slow");
  int tries = 0;
  actor.request = [&](Turn& turn, const Message& message) -> Status {
    TRY(actor.put(turn, "id", message.message_id));
    TRY(turn.set_timer("a", turn.now() + 1s));
    return turn.set_timer("b", turn.now() + 2s);
  };
  actor.timer = [&](Turn& turn, std::string_view key) -> Status {
    TRY(turn.reply(actor.get(turn, "id"), body_of(std::string(key))));
    if (key == "a") return invalid("undone");
    // The answer is staged twice by a batch that the full disk refuses.
    return ++tries < 3 ? actor.put(turn, "large", std::string(100'000, 'x')) : Status();
  };
  Replies replies;
  world.add("one", {&actor});
  world.drain();
  world.router->deliver(request_to("/services/slow", "ask", "urn:1"), replies.handler());
  world.drain();
  store::set_memory_disk_limit(*world.disk("one"), kib(50));
  world.run();
  EXPECT_EQ(tries, 3);
  EXPECT_EQ(replies.texts, std::vector<std::string>{"b"});
}

TEST(Exchange, ARestartSendsInTheOldOrder) {
  World world;
  FunctionActor source("source"), sink("sink");
  source.start = [](Turn& turn) -> Status {
    for (const char* name : {"c", "a", "d", "b"}) {
      TRY(turn.send(request_to("/services/sink", "x", std::string("urn:") + name, name), "", turn.now() + 1h));
    }
    return {};
  };
  std::string seen;
  sink.request = [&](Turn& turn, const Message& message) -> Status {
    seen += text_of(message);
    return turn.reply(message.message_id, nullptr);
  };
  ExchangeOptions dying = world.options("one");
  dying.crash_hook = [](CrashPoint point) { return point == CrashPoint::kBeforeSend; };
  EXPECT_FALSE(world.add(dying, {&source}).drain());
  world.restart();
  source.start = [](Turn&) { return Status(); };
  world.add("one", {&source});
  world.add("two", {&sink});
  world.run();
  EXPECT_EQ(seen, "cadb");
}

TEST(Exchange, UnknownAddressesAndActorsAreFaultsThatNameThem) {
  World world;
  FunctionActor actor("asker");
  std::vector<std::string> got;
  actor.start = [](Turn& turn) {
    return turn.send(request_to("/services/none", "find", "urn:1"), "tok", turn.now() + 1h);
  };
  actor.reply = [&](Turn&, const Message& reply, std::string_view token) -> Status {
    EXPECT_EQ(reply.fault->code, ErrorCode::kNotFound);
    got.push_back(std::string(token) + " " + text_of(reply));
    return {};
  };
  Exchange& exchange = world.add("one", {&actor});
  exchange.submit("nobody", request_to("/x", "y", "urn:2"), [&](Message reply) { got.push_back(text_of(reply)); });
  world.drain();
  EXPECT_EQ(got, (std::vector<std::string>{"fault: there is no service nobody here",
                                           "tok fault: nothing serves operation find at /services/none"}));
  EXPECT_EQ(world.leftovers("one"), "");
}

TEST(Exchange, AThousandParallelRequestsCostFewCommits) {
  World world;
  Echo echo;
  FunctionActor asker("asker");
  asker.start = [](Turn& turn) -> Status {
    for (int i = 0; i < 1000; ++i) {
      TRY(turn.send(request_to("/services/echo", "say", fmt::format("urn:{}", i)), "t", turn.now() + 1h));
    }
    return {};
  };
  asker.reply = [&](Turn& turn, const Message&, std::string_view) -> Status {
    asker.add(turn, "replies");
    return {};
  };
  echo.table_names = {"echo_rows"};
  Exchange& exchange = world.add("one", {&asker, &echo});
  world.drain();
  EXPECT_EQ(world.rows("one", "rows").at(0).value, "1000");
  EXPECT_EQ(world.rows("one", "echo_rows").at(0).value, "1000");
  EXPECT_LE(exchange.statistics().store.commits, 8);
  EXPECT_EQ(exchange.statistics().messages_sent, 1000);
  EXPECT_EQ(exchange.statistics().replies_sent, 1000);
  EXPECT_EQ(world.leftovers("one"), "");
}

TEST(Exchange, MessagesKeepTheirOrder) {
  World world;
  FunctionActor sink("sink"), source("source");
  std::vector<std::string> seen;
  sink.request = [&](Turn& turn, const Message& message) -> Status {
    seen.push_back(text_of(message));
    return turn.reply(message.message_id, nullptr);
  };
  source.start = [](Turn& turn) -> Status {
    for (int i = 0; i < 700; ++i) {
      const std::string number = std::to_string(i);
      TRY(turn.send(request_to("/services/sink", "x", "urn:" + number, number), "", turn.now() + 1h));
    }
    return {};
  };
  world.add("one", {&source});
  world.add("two", {&sink});
  world.drain();
  ASSERT_EQ(seen.size(), 700U);
  for (int i = 0; i < 700; ++i) EXPECT_EQ(seen[static_cast<std::size_t>(i)], std::to_string(i));
}

TEST(Exchange, OneWayMessagesAreAcceptedOnce) {
  World world;
  FunctionActor sink("sink"), source("source");
  sink.request = [&](Turn& turn, const Message& message) -> Status {
    sink.add(turn, text_of(message));
    return {};
  };
  source.start = [](Turn& turn) -> Status {
    Message message = request_to("/services/sink", "tell", "urn:1", "news");
    message.one_way = true;
    return turn.send(std::move(message), "", turn.now() + 1h);
  };
  source.reply = [](Turn&, const Message&, std::string_view) -> Status {
    ADD_FAILURE() << "a one-way message got a reply";
    return {};
  };
  world.add("one", {&source});
  world.add("two", {&sink});
  world.drain();
  Message repeat = request_to("/services/sink", "tell", "urn:1", "news");
  repeat.one_way = true;
  Replies replies;
  world.router->deliver(repeat, replies.handler());
  world.drain();
  EXPECT_EQ(replies.texts, std::vector<std::string>{"(empty)"});
  EXPECT_EQ(world.rows("two", "rows").at(0).value, "1");
  EXPECT_EQ(world.leftovers("one"), "");
}

TEST(Exchange, AForgottenRequestsReplyIsDropped) {
  World world;
  Echo echo;
  FunctionActor source("source");
  source.start = [](Turn& turn) -> Status {
    TRY(turn.send(request_to("/services/echo", "say", "urn:1"), "a", turn.now() + 1h));
    TRY(turn.send(request_to("/services/echo", "say", "urn:2"), "b", turn.now() + 1h));
    TRY(turn.forget("urn:none"));
    return turn.forget("urn:1");
  };
  std::vector<std::string> tokens;
  source.reply = [&](Turn&, const Message&, std::string_view token) -> Status {
    tokens.emplace_back(token);
    return {};
  };
  world.add("one", {&source});
  world.add("two", {&echo});
  world.drain();
  EXPECT_EQ(tokens, std::vector<std::string>{"b"});
}

TEST(Exchange, TimersFireInOrderOfTimeAndCanBeMovedOrCancelled) {
  World world;
  FunctionActor actor("timed");
  std::vector<std::string> fired;
  actor.start = [](Turn& turn) -> Status {
    for (int i = 0; i < 5; ++i) TRY(turn.set_timer(std::to_string(i), turn.now() + std::chrono::seconds(10 - i)));
    TRY(turn.set_timer("1", turn.now() + 1s));
    TRY(turn.cancel_timer("none"));
    return turn.cancel_timer("2");
  };
  actor.timer = [&](Turn& turn, std::string_view key) -> Status {
    fired.push_back(fmt::format("{}@{}", key, (turn.now() - env::SimClock::kStart) / 1s));
    if (key == "3") TRY(turn.cancel_timer("0"));
    if (key == "4") return invalid("an error undoes the turn, but the timer has fired");
    return {};
  };
  world.add("one", {&actor});
  world.run();
  EXPECT_EQ(fired, (std::vector<std::string>{"1@1", "4@6", "3@7"}));
  EXPECT_EQ(world.leftovers("one"), "");
}

TEST(Exchange, TimersSurviveARestart) {
  World world;
  FunctionActor actor("timed");
  actor.start = [](Turn& turn) { return turn.set_timer("x", env::SimClock::kStart + 60s); };
  int fired = 0;
  actor.timer = [&](Turn&, std::string_view) -> Status {
    ++fired;
    return {};
  };
  world.add("one", {&actor});
  EXPECT_EQ(world.drain(), env::SimClock::kStart + 60s);
  world.restart();
  actor.start = [](Turn&) { return Status(); };
  world.add("one", {&actor});
  world.run();
  EXPECT_EQ(fired, 1);
}

TEST(Exchange, JobsRunAndTheirResultsComeBack) {
  World world;
  FunctionActor actor("worker");
  std::vector<std::string> results;
  actor.start = [](Turn& turn) -> Status {
    TRY(turn.start_job({"a", "1"}));
    TRY(turn.start_job({"b", "2"}));
    const Status again = turn.start_job({"a", "3"});
    EXPECT_EQ(again.error().code(), ErrorCode::kConflict);
    return {};
  };
  actor.work = [](const Job& job, JobContext&) -> Result<std::string> {
    if (job.key == "b") return exhausted("no room");
    return "did " + job.payload;
  };
  actor.job = [&](Turn& turn, const Job& job, const Result<std::string>& result) -> Status {
    results.push_back(job.key + ":" + (result ? *result : result.error().message()));
    if (job.key == "a" && job.payload == "1") TRY(turn.start_job({"a", "again"}));
    return {};
  };
  world.add("one", {&actor});
  world.drain();
  EXPECT_EQ(results, (std::vector<std::string>{"a:did 1", "b:no room", "a:did again"}));
  EXPECT_EQ(world.leftovers("one"), "");
}

TEST(Exchange, AWaitingJobIsCancelledWithoutBeingRun) {
  World world;
  FunctionActor actor("worker");
  std::vector<std::string> results;
  actor.start = [](Turn& turn) -> Status {
    TRY(turn.start_job({"a", ""}));
    TRY(turn.cancel_job("none"));
    return turn.cancel_job("a");
  };
  actor.work = [](const Job&, JobContext&) -> Result<std::string> {
    ADD_FAILURE() << "a cancelled job was run";
    return "";
  };
  actor.job = [&](Turn&, const Job& job, const Result<std::string>& result) -> Status {
    EXPECT_EQ(result.error().code(), ErrorCode::kCancelled);
    results.push_back(job.key);
    return {};
  };
  world.add("one", {&actor});
  world.drain();
  EXPECT_EQ(results, std::vector<std::string>{"a"});
  EXPECT_EQ(world.leftovers("one"), "");
}

TEST(Exchange, EventsAreNumberedWithoutGaps) {
  World world;
  FunctionActor actor("teller");
  actor.request = [](Turn& turn, const Message& message) -> Status {
    TRY(turn.publish({.vo = "v", .kind = "a", .text = text_of(message)}));
    TRY(turn.publish({.vo = "v", .kind = "b", .text = text_of(message), .attributes = {{"k", "w"}}}));
    if (text_of(message) == "bad") return invalid("undone");
    return turn.reply(message.message_id, nullptr);
  };
  std::vector<std::int64_t> observed;
  Replies replies;
  for (int round = 0; round < 3; ++round) {
    Exchange& exchange = world.add("one", {&actor});
    exchange.on_published([&](std::int64_t sequence) { observed.push_back(sequence); });
    for (const char* text : {"x", "bad", "y"}) {
      world.router->deliver(request_to("/services/teller", "tell", fmt::format("urn:{}{}", round, text), text),
                            replies.handler());
    }
    world.drain();
    if (round == 2) {
      std::vector<Event> events;
      exchange.read_events(3, 5, [&](std::vector<Event> found) { events = std::move(found); });
      world.drain();
      ASSERT_EQ(events.size(), 5U);
      for (std::size_t i = 0; i < 5; ++i) EXPECT_EQ(events[i].sequence, static_cast<std::int64_t>(4 + i));
      EXPECT_EQ(events[0].text, "y");
      EXPECT_EQ(events[0].attributes.at("k"), "w");
      EXPECT_EQ(events[0].time, world.clock.now());
    }
    world.restart();
  }
  EXPECT_EQ(observed, (std::vector<std::int64_t>{4, 8, 12}));
}

TEST(Exchange, PostRunsInATurn) {
  World world;
  Echo echo;
  Exchange& exchange = world.add("one", {&echo});
  std::vector<std::string> done;
  const auto note = [&](Status status) { done.push_back(status ? "ok" : status.error().message()); };
  exchange.post(
      "echo", [&](Turn& turn) { return echo.put(turn, "k", "v"); }, note);
  exchange.post(
      "echo",
      [&](Turn& turn) -> Status {
        TRY(echo.put(turn, "k", "w"));
        return invalid("no");
      },
      note);
  exchange.post(
      "none", [&](Turn&) { return Status(); }, note);
  exchange.post(
      "echo", [&](Turn& turn) { return turn.transaction().commit(); }, note);
  world.drain();
  EXPECT_EQ(done, (std::vector<std::string>{"ok", "no", "there is no service none here",
                                            "a turn must not commit: the exchange does"}));
  EXPECT_EQ(world.rows("one", "rows").at(0).value, "v");
}

TEST(Exchange, AFullDiskRefusesRequestsAndKeepsItsOwnEvents) {
  World world;
  FunctionActor actor("writer");
  int fired = 0;
  actor.start = [](Turn& turn) { return turn.set_timer("t", turn.now() + 1s); };
  actor.request = [&](Turn& turn, const Message& message) -> Status {
    TRY(actor.put(turn, text_of(message), std::string(100'000, 'x')));
    return turn.reply(message.message_id, nullptr);
  };
  actor.timer = [&](Turn& turn, std::string_view) -> Status {
    ++fired;
    return actor.put(turn, "timer", std::string(100'000, 'x'));
  };
  std::vector<std::string> codes;
  const auto note = [&](Message reply) { codes.emplace_back(reply.fault ? error_code_name(reply.fault->code) : "ok"); };
  Exchange& exchange = world.add("one", {&actor});
  world.drain();
  store::set_memory_disk_limit(*world.disk("one"), kib(50));
  world.router->deliver(request_to("/services/writer", "w", "urn:1", "a"), note);
  auto next = world.drain();
  EXPECT_EQ(codes, std::vector<std::string>{"exhausted"});
  for (int i = 0; i < 5; ++i) {
    world.clock.set(*next);
    next = world.drain();
    ASSERT_TRUE(next);
  }
  EXPECT_GT(fired, 1);
  EXPECT_FALSE(exchange.failed());
  store::set_memory_disk_limit(*world.disk("one"), mib(1));
  world.router->deliver(request_to("/services/writer", "w", "urn:1", "a"), note);  // was not done: done now
  world.run();
  EXPECT_EQ(codes, (std::vector<std::string>{"exhausted", "ok"}));
  EXPECT_EQ(world.rows("one", "rows").size(), 2U);
  EXPECT_GE(actor.rollbacks, 2);
}

TEST(Exchange, ANewOwnerStopsTheOldOne) {
  World world;
  Echo echo;
  Exchange& old_exchange = world.add("one", {&echo});
  world.drain();
  Replies replies;
  Echo newer;
  Exchange& exchange = world.add("one", {&newer});
  EXPECT_TRUE(exchange.drain());
  old_exchange.submit("echo", request_to("/services/echo", "say", "urn:1"), replies.handler());
  EXPECT_FALSE(old_exchange.drain());
  EXPECT_TRUE(old_exchange.failed());
  EXPECT_EQ(replies.texts, std::vector<std::string>{"fault: the service has stopped"});
  exchange.submit("echo", request_to("/services/echo", "say", "urn:1"), replies.handler());
  EXPECT_TRUE(exchange.drain());
  EXPECT_EQ(replies.texts.back(), "x 1");
}

TEST(Exchange, AFullMailboxRefuses) {
  World world;
  Echo echo;
  ExchangeOptions options = world.options("one");
  options.mailbox_limit = 10;
  world.add(options, {&echo});
  world.drain();
  int exhausted_count = 0;
  for (int i = 0; i < 15; ++i) {
    world.router->deliver(request_to("/services/echo", "say", fmt::format("urn:{}", i)), [&](Message reply) {
      if (reply.fault && reply.fault->code == ErrorCode::kExhausted) ++exhausted_count;
    });
  }
  world.drain();
  EXPECT_EQ(exhausted_count, 5);
}

TEST(Exchange, AFullMailboxOnlyDelaysAnotherActorsMessages) {
  World world;
  Echo echo;
  FunctionActor source("source");
  source.start = [](Turn& turn) -> Status {
    for (int i = 0; i < 50; ++i) {
      TRY(turn.send(request_to("/services/echo", "say", fmt::format("urn:{}", i)), "", turn.now() + 1h));
    }
    return {};
  };
  source.reply = [&](Turn& turn, const Message& reply, std::string_view) -> Status {
    EXPECT_FALSE(reply.fault);
    source.add(turn, "replies");
    return {};
  };
  ExchangeOptions options = world.options("two");
  options.mailbox_limit = 10;
  world.add(options, {&echo});
  world.add("one", {&source});
  world.run();
  EXPECT_EQ(world.rows("one", "rows").at(0).value, "50");
  EXPECT_EQ(world.rows("two", "rows").at(0).value, "50");
}

}  // namespace
}  // namespace nuraghe::exchange
