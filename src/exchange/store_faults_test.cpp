// What an exchange does when its store fails in the middle of a batch.
#include <gtest/gtest.h>

#include "exchange/test_world.hpp"

namespace nuraghe::exchange {
namespace {

using testing::FunctionActor;
using testing::request_to;
using testing::text_of;
using testing::World;

// A store whose reads of single rows may fail.
struct Reads {
  int failing = 0;  // of the next ones
};

class ReadingTransaction : public store::Transaction {
 public:
  ReadingTransaction(std::unique_ptr<store::Transaction> below, Reads& reads)
      : below_(std::move(below)), reads_(reads) {}
  Result<std::optional<std::string>> get(store::Table table, std::string_view key) override {
    if (reads_.failing > 0) {
      --reads_.failing;
      return unavailable("the connection is lost");
    }
    return below_->get(table, key);
  }
  Status put(store::Table table, std::string_view key, std::string_view value) override {
    return below_->put(table, key, value);
  }
  Status erase(store::Table table, std::string_view key) override { return below_->erase(table, key); }
  Status erase_prefix(store::Table table, std::string_view prefix) override {
    return below_->erase_prefix(table, prefix);
  }
  Result<std::vector<store::Row>> scan(store::Table table, std::string_view prefix, std::string_view after,
                                       std::size_t limit) override {
    return below_->scan(table, prefix, after, limit);
  }
  Status mark() override { return below_->mark(); }
  Status rollback_to_mark() override { return below_->rollback_to_mark(); }
  Status commit() override { return below_->commit(); }
  bool has_writes() const override { return below_->has_writes(); }

 private:
  std::unique_ptr<store::Transaction> below_;
  Reads& reads_;
};

class ReadingStore : public store::Store {
 public:
  ReadingStore(std::unique_ptr<store::Store> below, Reads& reads) : below_(std::move(below)), reads_(reads) {}
  Result<store::Table> table(std::string_view name) override { return below_->table(name); }
  Result<std::int64_t> acquire(std::string_view owner) override { return below_->acquire(owner); }
  Result<std::unique_ptr<store::Transaction>> begin() override {
    TRY_ASSIGN(auto below, below_->begin());
    return std::unique_ptr<store::Transaction>(std::make_unique<ReadingTransaction>(std::move(below), reads_));
  }
  store::Statistics statistics() const override { return below_->statistics(); }

 private:
  std::unique_ptr<store::Store> below_;
  Reads& reads_;
};

// The row of the request's first answer is read before anything else is known of it: whoever waits is told then, too.
TEST(StoreFaults, ARequestWhoseRowCannotBeReadIsRefusedAndMayBeRepeated) {
  World world;
  Reads reads;
  FunctionActor actor("a");
  actor.request = [&](Turn& turn, const Message& message) {
    actor.add(turn, "asked");
    return turn.reply(message.message_id, testing::body_of(actor.get(turn, "asked")));
  };
  auto exchange = make_exchange(std::make_unique<ReadingStore>(store::open_memory(world.disk("one")), reads),
                                *world.router, world.options("one"));
  exchange->add_actor(actor);
  ASSERT_TRUE(exchange->open());
  ASSERT_TRUE(exchange->drain());
  std::vector<std::string> said;
  for (const int failing : {1, 0}) {
    reads.failing = failing;
    exchange->inbox()->request("a", request_to("/services/a", "ask", "urn:1"), [&](Result<Message> outcome) {
      said.push_back(outcome ? text_of(*outcome) : std::string(error_code_name(outcome.error().code())));
    });
    ASSERT_TRUE(exchange->drain());
  }
  EXPECT_EQ(said, (std::vector<std::string>{"unavailable", "1"}));
}

}  // namespace
}  // namespace nuraghe::exchange
