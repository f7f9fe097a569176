// The generated skeleton and client over a real exchange with a store in memory.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "contracts/caller.hpp"
#include "echo_service.hpp"
#include "env/posix.hpp"
#include "store/memory.hpp"

namespace nuraghe::contracts::echo {
namespace {

using testing::HasSubstr;

// Hands each message to a router, as a transport that has no network.
class RouterTransport : public exchange::RemoteTransport {
 public:
  explicit RouterTransport(exchange::Router& router) : router_(&router) {}
  void send(const exchange::Message& request, std::function<void(Result<exchange::Message>)> done) override {
    if (request.to.starts_with("http://nowhere")) return done(unavailable("http://nowhere does not answer"));
    if (request.to.starts_with("http://silence")) return;
    router_->deliver(request, [done](exchange::Message reply) { done(std::move(reply)); });
  }

 private:
  exchange::Router* router_;
};

class SkeletonTest : public testing::Test {
 protected:
  void SetUp() override {
    exchange_->add_actor(service_);
    const Status opened = exchange_->open();
    ASSERT_TRUE(opened) << opened.error().to_string();
    router_->add_route("/services/echo", "*", *exchange_, "echo");
    exchange_->start();
  }
  void TearDown() override { exchange_->stop(); }

  static exchange::ExchangeOptions options() {
    exchange::ExchangeOptions options;
    options.name = "test";
    options.clock = &env::system_clock();
    options.random = &env::system_random();
    return options;
  }

  EchoService service_;
  std::unique_ptr<exchange::Router> router_ = exchange::make_router({});
  std::unique_ptr<exchange::Exchange> exchange_ =
      exchange::make_exchange(store::open_memory(store::make_memory_disk()), *router_, options());
  RouterCaller caller_{*router_, env::system_random()};
  Client client_{caller_, "/services/echo"};
};

TEST_F(SkeletonTest, AnswersInTheSameTurn) {
  EchoRequest request;
  request.value.text = "hello";
  request.value.place.reference = Epr{"urn:a"};
  const auto response = client_.echo(request);
  ASSERT_TRUE(response) << response.error().to_string();
  EXPECT_EQ(response->value, request.value);
}

TEST_F(SkeletonTest, AnswersInALaterTurn) {
  const auto response = client_.later({"wait for me"});
  ASSERT_TRUE(response) << response.error().to_string();
  EXPECT_EQ(response->text, "wait for me");
}

TEST_F(SkeletonTest, AnErrorBecomesAFaultAndUndoesTheTurn) {
  for (const char* code : {"exhausted", "conflict", "not-found", "unavailable", "invalid"}) {
    const auto response = client_.refuse({code, false});
    ASSERT_FALSE(response);
    EXPECT_EQ(error_code_name(response.error().code()), code);
    EXPECT_THAT(response.error().to_string(), HasSubstr("refused as asked"));
  }
  EXPECT_TRUE(client_.notes({})->text.empty());
}

TEST_F(SkeletonTest, AFaultThatIsAnsweredKeepsTheTurn) {
  const auto response = client_.refuse({"conflict", true});
  ASSERT_FALSE(response);
  EXPECT_EQ(response.error().code(), ErrorCode::kConflict);
  EXPECT_THAT(client_.notes({})->text, testing::ElementsAre("refused"));
}

TEST_F(SkeletonTest, OneWayMessagesHaveNoAnswer) {
  ASSERT_TRUE(client_.note({"first"}, {.message_id = "urn:1"}));
  ASSERT_TRUE(client_.note({"second"}, {.message_id = "urn:2"}));
  EXPECT_THAT(client_.notes({})->text, testing::ElementsAre("first", "second"));
  ASSERT_TRUE(client_.delete_({}));
  EXPECT_TRUE(client_.notes({})->text.empty());
}

TEST_F(SkeletonTest, ARepeatGetsTheFirstAnswer) {
  const auto first = client_.later({"one"}, {.message_id = "urn:same"});
  const auto repeat = client_.later({"two"}, {.message_id = "urn:same"});
  ASSERT_TRUE(first && repeat);
  EXPECT_EQ(repeat->text, "one");
}

TEST_F(SkeletonTest, WrongInputIsTheSendersFault) {
  auto request = make_later("/services/echo", {"x"});
  request.operation = "echo";
  request.message_id = "urn:wrong";
  const auto reply = exchange::call(*router_, request, std::chrono::seconds(30));
  ASSERT_TRUE(reply) << reply.error().to_string();
  ASSERT_TRUE(reply->fault);
  EXPECT_TRUE(reply->fault->from_sender);
  EXPECT_EQ(reply->fault->code, ErrorCode::kInvalid);
  EXPECT_THAT(reply->fault->reason, HasSubstr("must be {urn:nuraghe:test:echo:1}echo"));
}

TEST_F(SkeletonTest, OperationsThatItDoesNotHave) {
  const auto compose = client_.compose({"x"});
  ASSERT_FALSE(compose);
  EXPECT_EQ(compose.error().code(), ErrorCode::kUnsupported);
  EXPECT_THAT(compose.error().to_string(), HasSubstr("done by a workflow"));
  auto request = make_later("/services/echo", {"x"});
  request.operation = "sing";
  request.message_id = "urn:unknown";
  const auto reply = exchange::call(*router_, request, std::chrono::seconds(30));
  ASSERT_TRUE(reply && reply->fault);
  EXPECT_THAT(reply->fault->reason, HasSubstr("echo has no operation 'sing'; it has echo, carry, later"));
}

TEST_F(SkeletonTest, KnowsItsOperations) {
  EXPECT_THAT(Skeleton::operations(),
              testing::ElementsAre("echo", "carry", "later", "refuse", "note", "notes", "delete"));
  EXPECT_THAT(Skeleton::workflow_operations(), testing::ElementsAre("compose", "search"));
  EXPECT_TRUE(Skeleton::is_read_only("notes"));
  EXPECT_FALSE(Skeleton::is_read_only("note"));
}

TEST_F(SkeletonTest, CallsThroughATransport) {
  RouterTransport transport(*router_);
  TransportCaller caller(transport, env::system_random());
  Client here(caller, "/services/echo");
  ASSERT_TRUE(here.later({"far"}));
  EXPECT_EQ(here.later({"far"})->text, "far");
  EXPECT_EQ(Client(caller, "http://nowhere/").later({"x"}).error().code(), ErrorCode::kUnavailable);
  const auto silence = Client(caller, "http://silence/").later({"x"}, {.timeout = std::chrono::milliseconds(1)});
  ASSERT_FALSE(silence);
  EXPECT_EQ(silence.error().code(), ErrorCode::kTimeout);
  EXPECT_THAT(silence.error().message(), HasSubstr("http://silence/ did not answer the request later within 1 ms"));
}

}  // namespace
}  // namespace nuraghe::contracts::echo
