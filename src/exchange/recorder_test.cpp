// What is written down of requests from outside, and answers that are not kept.
#include <gmock/gmock.h>

#include "exchange/test_world.hpp"

namespace nuraghe::exchange::testing {
namespace {

using ::testing::ElementsAre;

// Answers "now" at once, "refuse" by an error after it wrote something, "later" when "finish" comes.
struct Worker : FunctionActor {
  Worker() : FunctionActor("worker") {
    request = [this](Turn& turn, const Message& message) -> Status {
      if (message.operation == "refuse") {
        TRY(put(turn, "touched", "yes"));
        return conflict("not now");
      }
      if (message.operation == "later") return put(turn, "waiting", message.message_id);
      if (message.operation == "finish") TRY(turn.reply(get(turn, "waiting"), body_of("at last")));
      if (message.operation == "secret") {
        TRY(put(turn, "told", "yes"));
        return turn.reply_once(message.message_id, body_of("s3cret"), body_of("told before"));
      }
      TRY(put(turn, "done", "yes"));
      return turn.reply(message.message_id, body_of(get(turn, "touched") + "."));
    };
  }
};

struct Log final : Recorder {
  bool records(const Message& request) const override { return request.operation != "read"; }
  Status on_handled(store::Transaction& tx, TimePoint, const Message& request, const Message* reply) override {
    return write(tx,
                 request.operation + " " + request.origin + ": " + (reply == nullptr ? "accepted" : text_of(*reply)));
  }
  Status on_answered(store::Transaction& tx, TimePoint, std::string_view id, const Message& reply) override {
    return write(tx, "outcome of " + std::string(id) + ": " + text_of(reply));
  }
  Status write(store::Transaction& tx, const std::string& text) {
    if (fails) return exhausted("the disk is full");
    return tx.put(actor->tables[0], "log/" + std::to_string(++count), text);
  }
  FunctionActor* actor = nullptr;
  int count = 0;
  bool fails = false;
};

struct RecorderTest : ::testing::Test {
  RecorderTest() {
    log.actor = &worker;
    auto options = world.options("one");
    options.recorder = &log;
    world.add(options, {&worker});
  }
  std::string say(const std::string& operation, const std::string& id, const std::string& origin = "soap unix") {
    auto request = request_to("/services/worker", operation, id);
    request.origin = origin;
    auto answer = std::make_shared<std::string>("(none)");
    world.router->accept(std::move(request), [answer](const Result<Message>& outcome) {
      *answer = outcome ? text_of(*outcome) : "error: " + outcome.error().to_string();
    });
    world.drain();
    return *answer;
  }
  std::vector<std::string> rows(const std::string& prefix) {
    std::vector<std::string> found;
    auto store = store::open_memory(world.disk("one"));
    const auto table = store->table("rows");
    const auto transaction = store->begin();
    const auto stored = (*transaction)->scan(*table, prefix);
    EXPECT_TRUE(stored);
    if (!stored) return found;
    for (const auto& row : *stored) found.push_back(row.value);
    return found;
  }
  World world;
  Worker worker;
  Log log;
};

TEST_F(RecorderTest, WritesInTheTransactionOfTheRequest) {
  EXPECT_EQ(say("now", "1"), ".");
  EXPECT_EQ(say("refuse", "2"), "fault: not now");
  EXPECT_EQ(say("now", "3"), ".") << "what a refused request changed is undone, and its entry is not";
  EXPECT_EQ(say("later", "4"), "(none)");
  EXPECT_EQ(say("finish", "5"), ".");
  EXPECT_THAT(rows("log/"), ElementsAre("now soap unix: .", "refuse soap unix: fault: not now", "now soap unix: .",
                                        "later soap unix: accepted", "outcome of 4: at last", "finish soap unix: ."));
}

TEST_F(RecorderTest, LeavesOutWhatChangesNothingAndWhatIsAStepOfSomethingElse) {
  EXPECT_EQ(say("read", "1"), ".");
  EXPECT_EQ(say("now", "2", ""), ".");
  EXPECT_EQ(say("now", "1"), "error: the message id 1 belongs to another request: each request has its own");
  EXPECT_THAT(rows("log/"), ElementsAre());
}

TEST_F(RecorderTest, NothingHappensThatCannotBeWrittenDown) {
  log.fails = true;
  EXPECT_NE(say("now", "1"), ".");
  EXPECT_THAT(rows("done"), ElementsAre());
  log.fails = false;
}

TEST_F(RecorderTest, AnAnswerThatIsGivenOnceIsKeptNowhere) {
  EXPECT_EQ(say("secret", "1"), "s3cret");
  EXPECT_EQ(say("secret", "1"), "told before");
  auto store = store::open_memory(world.disk("one"));
  for (const char* name : {"exchange_inbox", "exchange_outbox", "rows"}) {
    const auto table = store->table(name);
    const auto transaction = store->begin();
    const auto kept = (*transaction)->scan(*table, "");
    ASSERT_TRUE(kept);
    for (const auto& row : *kept) EXPECT_EQ(row.value.find("s3cret"), std::string::npos) << name << row.value;
  }
}

}  // namespace
}  // namespace nuraghe::exchange::testing
