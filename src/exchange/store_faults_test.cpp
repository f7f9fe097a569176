// What an exchange does when its store fails in the middle of a batch.
#include <gtest/gtest.h>

#include "base/log.hpp"
#include "exchange/test_world.hpp"
#include "store/sqlite.hpp"
#include "store/volatile_disk.hpp"

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

// ---- a file system that refuses ----

using Access = store::VolatileDisk::Access;
using Answer = store::VolatileDisk::Answer;

struct Fault {
  const char* name;
  Access access;
  Answer answer;
  bool late_syncs;
};

// An exchange over SQLite on a disk that refuses one access and, when it is full, all further growth until somebody
// makes room. Who is refused asks again with the same message id; a process whose exchange failed is started again.
class Service {
 public:
  Service(const Fault& fault, std::int64_t at) {
    disk_.on_access([this, fault, at](Access access) {
      if (access != fault.access) return Answer::kDone;
      const bool is_refused = ++passed_ == at || (fault.answer == Answer::kFull && passed_ > at && !has_room_);
      refused_ = refused_ || is_refused;
      return is_refused ? fault.answer : Answer::kDone;
    });
    actor_.request = [this](Turn& turn, const Message& message) -> Status {
      const std::int64_t count = actor_.add(turn, "count");
      TRY(actor_.put(turn, "row " + std::to_string(count), std::string(3000, 'x')));
      return turn.reply(message.message_id, testing::body_of(std::to_string(count)));
    };
    options_ = world_.options("one");
    options_.late_syncs = fault.late_syncs;
    start();
  }

  std::string ask(const std::string& id) {
    std::string said;
    for (int tries = 0; tries < 4 && said.empty(); ++tries) {
      exchange_->inbox()->request("a", request_to("/services/a", "ask", id), [&](Result<Message> outcome) {
        if (outcome && !outcome->fault) said = text_of(*outcome);
      });
      static_cast<void>(exchange_->drain());  // an error is what failed() tells
      if (!said.empty()) break;
      EXPECT_TRUE(refused_);
      has_room_ = true;
      world_.clock.advance(std::chrono::seconds(1));
      if (exchange_->failed()) start();
    }
    return said;
  }

  void cut_power() {
    disk_.fail();
    exchange_.reset();
    disk_.restore([] { return false; });
    start();
  }

  bool refused() const { return refused_; }

 private:
  void start() {
    exchange_.reset();
    for (int tries = 0; tries < 2; ++tries) {
      store::SqliteOptions sqlite;
      sqlite.vfs = disk_.name();
      if (auto store = store::open_sqlite("a.db", sqlite)) {
        exchange_ = make_exchange(std::move(*store), *world_.router, options_);
        exchange_->add_actor(actor_);
        if (exchange_->open()) return;
        exchange_.reset();
      }
      EXPECT_TRUE(refused_);
      has_room_ = true;
    }
    FAIL() << "it does not start";
  }

  World world_;
  store::VolatileDisk disk_;
  std::int64_t passed_ = 0;
  bool refused_ = false, has_room_ = false;
  FunctionActor actor_{"a"};
  ExchangeOptions options_;
  std::unique_ptr<Exchange> exchange_;
};

class DiskFaults : public ::testing::TestWithParam<Fault> {};

TEST_P(DiskFaults, EachRequestIsDoneOnceAndItsAnswerStays) {
  set_log_level(LogLevel::kError);
  std::int64_t places = 0;
  for (std::int64_t at = 1; !HasFailure(); ++at) {
    SCOPED_TRACE("refused at access " + std::to_string(at));
    Service service(GetParam(), at);
    for (int i = 1; i <= 8; ++i) ASSERT_EQ(service.ask("urn:" + std::to_string(i)), std::to_string(i));
    if (!service.refused()) break;
    places = at;
    service.cut_power();
    for (int i = 1; i <= 9; ++i) ASSERT_EQ(service.ask("urn:" + std::to_string(i)), std::to_string(i));
  }
  EXPECT_GT(places, 8);
}

INSTANTIATE_TEST_SUITE_P(Exchange, DiskFaults,
                         ::testing::Values(Fault{"full", Access::kGrow, Answer::kFull, false},
                                           Fault{"full_late", Access::kGrow, Answer::kFull, true},
                                           Fault{"write_error", Access::kWrite, Answer::kError, false},
                                           Fault{"sync_error", Access::kSync, Answer::kError, false},
                                           Fault{"sync_error_late", Access::kSync, Answer::kError, true}),
                         [](const auto& fault) { return std::string(fault.param.name); });

}  // namespace
}  // namespace nuraghe::exchange
