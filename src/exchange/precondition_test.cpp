// A request that is taken only when the answer of a question is as it should be.
#include "exchange/question.hpp"
#include "exchange/test_world.hpp"

namespace nuraghe::exchange::testing {
namespace {

// Keeps a number: "read" tells it, "add" counts up, "meddle" is a question that writes, "later" one without an answer.
struct Counter : FunctionActor {
  explicit Counter(const std::string& name) : FunctionActor(name) {
    table_names = {name};
    request = [this](Turn& turn, const Message& message) -> Status {
      if (message.operation == "later") return {};
      if (message.operation == "absent") return not_found("there is no number");
      if (message.operation == "meddle") TRY(put(turn, "n", "meddled"));
      if (message.operation == "add") add(turn, "n");
      return turn.reply(message.message_id, body_of(get(turn, "n")));
    };
  }
};

Message if_is(Message request, const std::string& to, const std::string& wanted, const std::string& question = "read") {
  auto precondition = std::make_shared<Precondition>();
  precondition->question = request_to(to, question, "");
  precondition->check = [wanted](const Result<xml::DocumentPtr>& answer) -> Status {
    if (!answer) return answer.error();
    if ((*answer)->root().text() == wanted) return {};
    return conflict("it is " + (*answer)->root().text());
  };
  request.precondition = std::move(precondition);
  return request;
}

std::string say(World& world, Message request) {
  const auto answer = std::make_shared<std::string>("(none)");
  world.router->accept(std::move(request), [answer](const Result<Message>& outcome) {
    *answer = outcome ? text_of(*outcome) : "error: " + outcome.error().to_string();
  });
  world.drain();
  return *answer;
}

TEST(Precondition, IsCheckedInTheTurnOfTheRequest) {
  World world;
  Counter counter("counter");
  world.add("one", {&counter});
  EXPECT_EQ(say(world, request_to("/services/counter", "add", "1")), "1");
  EXPECT_EQ(say(world, if_is(request_to("/services/counter", "add", "2"), "/services/counter", "1")), "2");
  EXPECT_EQ(say(world, if_is(request_to("/services/counter", "add", "3"), "/services/counter", "1")), "fault: it is 2");
  // Two that saw the same are both there before either is taken: one of them wins.
  std::vector<std::string> answers;
  for (const char* id : {"4", "5"}) {
    world.router->accept(if_is(request_to("/services/counter", "add", id), "/services/counter", "2"),
                         [&](const Result<Message>& outcome) { answers.push_back(text_of(*outcome)); });
  }
  world.drain();
  EXPECT_EQ(answers, (std::vector<std::string>{"3", "fault: it is 3"}));
}

TEST(Precondition, ARepeatGetsTheFirstAnswerThoughItHoldsNoMore) {
  World world;
  Counter counter("counter");
  world.add("one", {&counter});
  for (int i = 0; i < 2; ++i) {
    EXPECT_EQ(say(world, if_is(request_to("/services/counter", "add", "1"), "/services/counter", "")), "1");
  }
  world.restart();
  world.add("one", {&counter});
  EXPECT_EQ(say(world, if_is(request_to("/services/counter", "add", "1"), "/services/counter", "")), "1");
}

TEST(Precondition, AsksAnotherActorOfTheExchangeAndAnotherExchange) {
  World world;
  Counter near("near"), asked("asked"), far("far");
  world.add("one", {&near, &asked});
  world.add("two", {&far});
  for (const std::string other : {"asked", "far"}) {
    const std::string path = "/services/" + other;
    EXPECT_EQ(say(world, request_to(path, "add", "id/" + other)), "1");
    EXPECT_EQ(say(world, if_is(request_to("/services/near", "add", "no/" + other), path, "7")),
              other == "far" ? "error: it is 1" : "fault: it is 1");
    EXPECT_NE(say(world, if_is(request_to("/services/near", "add", "yes/" + other), path, "1")), "(none)");
  }
  EXPECT_EQ(say(world, request_to("/services/near", "read", "end")), "2");
}

TEST(Precondition, AQuestionChangesNothing) {
  World world;
  Counter counter("counter");
  world.add("one", {&counter});
  const auto ask = [&](const std::string& question) {
    return say(world,
               if_is(request_to("/services/counter", "add", "id/" + question), "/services/counter", "", question));
  };
  EXPECT_EQ(ask("meddle"), "fault: a question wanted to change something: its operation is not read-only");
  EXPECT_EQ(ask("later"), "fault: counter does not answer later at once");
  EXPECT_EQ(ask("absent"), "fault: there is no number");
  EXPECT_TRUE(say(world, if_is(request_to("/services/counter", "add", "9"), "/services/nobody", ""))
                  .starts_with("error: nothing answers read at /services/nobody"));
  EXPECT_EQ(say(world, request_to("/services/counter", "read", "end")), "");
}

}  // namespace
}  // namespace nuraghe::exchange::testing
