// What waits for a batch's commit, what shares it, and who shares an answer.
#include <fmt/format.h>

#include "exchange/test_world.hpp"

namespace nuraghe::exchange::testing {
namespace {

// `writer` puts a row and answers, `reader` answers only; `both` writes for "put" and answers only for "get".
struct Actors {
  FunctionActor writer{"writer"}, reader{"reader"}, both{"both"};
  Actors() {
    writer.request = [this](Turn& turn, const Message& message) -> Status {
      TRY(writer.put(turn, message.message_id, std::string(60'000, 'x')));
      return turn.reply(message.message_id, body_of("written"));
    };
    reader.request = [](Turn& turn, const Message& message) { return turn.reply(message.message_id, body_of("read")); };
    both.request = [this](Turn& turn, const Message& message) -> Status {
      if (message.operation == "put") TRY(both.put(turn, "row", "new"));
      return turn.reply(message.message_id, body_of("row is " + both.get(turn, "row")));
    };
  }
};

std::map<std::string, std::string> ask(World& world, const std::vector<Message>& requests) {
  std::map<std::string, std::string> answers;
  for (const Message& request : requests) {
    world.router->deliver(request,
                          [&answers, id = request.message_id](const Message& reply) { answers[id] = text_of(reply); });
  }
  world.drain();
  return answers;
}

TEST(Sharing, AnAnswerThatHangsOnNoCommitIsGivenThoughTheBatchFails) {
  World world;
  Actors actors;
  world.add("one", {&actors.writer, &actors.reader, &actors.both});
  store::set_memory_disk_limit(*world.disk("one"), kib(50));
  const auto answers = ask(world, {request_to("/services/both", "get", "1"), request_to("/services/writer", "put", "2"),
                                   request_to("/services/reader", "get", "3"), request_to("/services/both", "put", "4"),
                                   request_to("/services/both", "get", "5")});
  EXPECT_EQ(answers.at("1"), "row is ");
  EXPECT_EQ(answers.at("3"), "read");
  // What was written, and what was read of it before it was committed, did not happen.
  for (const char* id : {"2", "4", "5"}) EXPECT_TRUE(answers.at(id).starts_with("fault: ")) << answers.at(id);
}

TEST(Sharing, WhatAServiceReadOfItsUncommittedRowsWaitsForThem) {
  World world;
  Actors actors;
  std::vector<std::string> order;
  ExchangeOptions options = world.options("one");
  options.crash_hook = [&](CrashPoint point) {
    if (point == CrashPoint::kAfterCommit) order.emplace_back("commit");
    return false;
  };
  world.add(options, {&actors.reader, &actors.both});
  order.clear();
  for (const Message& request : {request_to("/services/both", "put", "1"), request_to("/services/both", "get", "2"),
                                 request_to("/services/reader", "get", "3")}) {
    world.router->deliver(request, [&](const Message& reply) { order.push_back(reply.relates_to); });
  }
  world.drain();
  EXPECT_EQ(order, (std::vector<std::string>{"3", "commit", "1", "2"}));
}

// Each step of the caller asks the reader and notes the answer: the two share commits however many callers there are.
TEST(Sharing, AnswersOfAReaderShareTheCommitOfWhoAsked) {
  World world;
  Actors actors;
  FunctionActor caller("caller");
  constexpr int kSteps = 5;
  const auto next = [&](Turn& turn, const std::string& client, std::int64_t step) {
    return turn.send(request_to("/services/reader", "get", fmt::format("{}/{}", client, step)), client,
                     turn.now() + std::chrono::hours(1));
  };
  caller.request = [&](Turn& turn, const Message& message) -> Status {
    TRY(caller.put(turn, message.message_id, "0"));
    return next(turn, message.message_id, 0);
  };
  caller.reply = [&](Turn& turn, const Message&, std::string_view client) -> Status {
    const std::int64_t step = caller.add(turn, client);
    if (step < kSteps) return next(turn, std::string(client), step);
    return turn.reply(client, body_of("done"));
  };
  Exchange& exchange = world.add("one", {&caller, &actors.reader});
  world.drain();
  const std::int64_t before = exchange.statistics().store.commits;
  std::vector<Message> requests;
  for (int i = 0; i < 32; ++i) requests.push_back(request_to("/services/caller", "go", fmt::format("c{}", i)));
  const auto answers = ask(world, requests);
  EXPECT_EQ(answers.size(), 32U);
  for (const auto& [id, answer] : answers) EXPECT_EQ(answer, "done");
  EXPECT_EQ(exchange.statistics().store.commits - before, kSteps + 1);
}

// Who learns another's message id gets neither its answer nor a part in it; the one who sent it does.
TEST(Sharing, AMessageIdIsOfOneRequestOfOneOrganisation) {
  World world;
  FunctionActor actor("one");
  int runs = 0;
  actor.request = [&](Turn& turn, const Message& message) -> Status {
    ++runs;
    TRY(actor.put(turn, message.message_id, "x"));
    if (message.operation == "hold") return {};
    return turn.reply(message.message_id, body_of("the secret of " + message.vo));
  };
  world.add("one", {&actor});
  const auto ask = [&](const std::string& id, const std::string& operation, const std::string& vo) {
    Message request = request_to("/services/one", operation, id);
    request.vo = vo;
    // One is never answered but by the end of the world.
    const auto answer = std::make_shared<std::string>("(none)");
    world.router->deliver(request, [answer](const Message& reply) { *answer = text_of(reply); });
    world.drain();
    return *answer;
  };
  EXPECT_EQ(ask("urn:1", "tell", "a"), "the secret of a");
  EXPECT_EQ(ask("urn:1", "tell", "a"), "the secret of a");
  const std::string refused = "fault: the message id urn:1 belongs to another request: each request has its own";
  EXPECT_EQ(ask("urn:1", "tell", "b"), refused);
  EXPECT_EQ(ask("urn:1", "hold", "a"), refused);
  EXPECT_EQ(ask("urn:2", "hold", "a"), "(none)");
  EXPECT_TRUE(ask("urn:2", "hold", "b").starts_with("fault: the message id urn:2"));
  EXPECT_EQ(runs, 2);
}

// What a repeat says must be what was said first, also after a restart.
TEST(Sharing, AMessageIdWithAnotherFingerprintIsRefused) {
  World world;
  FunctionActor actor("one");
  int runs = 0;
  actor.request = [&](Turn& turn, const Message& message) -> Status {
    ++runs;
    TRY(actor.put(turn, message.message_id, "x"));
    return turn.reply(message.message_id, body_of("done"));
  };
  world.add("one", {&actor});
  const auto say = [&](const std::string& fingerprint) {
    Message request = request_to("/services/one", "put", "urn:1");
    request.fingerprint = fingerprint;
    const auto answer = std::make_shared<std::string>("(none)");
    world.router->deliver(request, [answer](const Message& reply) { *answer = text_of(reply); });
    world.drain();
    return *answer;
  };
  EXPECT_EQ(say("a"), "done");
  EXPECT_EQ(say("a"), "done");
  EXPECT_TRUE(say("b").starts_with("fault: the message id urn:1 belongs to another request"));
  world.restart();
  world.add("one", {&actor});
  EXPECT_EQ(say("a"), "done");
  EXPECT_TRUE(say("b").starts_with("fault: the message id urn:1 belongs to another request"));
  EXPECT_TRUE(say("").starts_with("fault: the message id urn:1 belongs to another request"));
  EXPECT_EQ(runs, 1);
}

}  // namespace
}  // namespace nuraghe::exchange::testing
