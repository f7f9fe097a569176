// Turns that run in the thread which brings a request, while the exchange's own has nothing to do. Meant to be run
// under the thread sanitizer too.
#include <fmt/format.h>
#include <gtest/gtest.h>

#include <atomic>
#include <condition_variable>
#include <future>
#include <mutex>
#include <thread>

#include "env/posix.hpp"
#include "exchange/test_world.hpp"

namespace nuraghe::exchange {
namespace {

using testing::body_of;
using testing::FunctionActor;
using testing::request_to;
using testing::text_of;
using namespace std::chrono_literals;

constexpr Duration kPatience = 60s;

// Goes on only when it is told to.
class HandClock : public env::Clock {
 public:
  TimePoint now() const override { return TimePoint{microseconds_}; }
  void advance(Duration span) { microseconds_ += span.count(); }

 private:
  std::atomic<Duration::rep> microseconds_{1'000'000'000'000'000};
};

// Says in which thread each turn ran.
struct Witness : FunctionActor {
  Witness() : FunctionActor("witness") {
    request = [this](Turn& turn, const Message& message) -> Status {
      ran_in = std::this_thread::get_id();
      if (during) during();
      if (message.operation == "write") {
        const std::int64_t sum = add(turn, "sum");
        return turn.reply(message.message_id, body_of(std::to_string(sum)));
      }
      return turn.reply(message.message_id, body_of(get(turn, "sum")));
    };
  }
  std::atomic<std::thread::id> ran_in;
  std::function<void()> during;
};

struct World {
  std::unique_ptr<Router> router = make_router({});
  std::unique_ptr<Exchange> exchange;
  int calls = 0;

  World(FunctionActor& actor, env::Clock& clock,
        std::unique_ptr<store::Store> store = store::open_memory(store::make_memory_disk())) {
    ExchangeOptions options;
    options.name = "one";
    options.clock = &clock;
    options.random = &env::system_random();
    exchange = make_exchange(std::move(store), *router, options);
    exchange->add_actor(actor);
    router->add_route("/services/" + std::string(actor.name()), "*", *exchange, std::string(actor.name()));
    EXPECT_TRUE(exchange->open());
    exchange->start();
  }
  ~World() { exchange->stop(); }
  World(const World&) = delete;
  World& operator=(const World&) = delete;

  std::string call_text(const std::string& operation) {
    auto reply = call(*router, request_to("/services/witness", operation, fmt::format("urn:{}", ++calls)), kPatience);
    return reply ? text_of(*reply) : reply.error().to_string();
  }
  // Calls until the turn ran in this thread: the exchange's own is not idle at once. False: it never did.
  bool runs_here(Witness& witness, const std::string& operation) {
    const auto end = std::chrono::steady_clock::now() + kPatience;
    do {
      call_text(operation);
    } while (witness.ran_in.load() != std::this_thread::get_id() && std::chrono::steady_clock::now() < end);
    return witness.ran_in.load() == std::this_thread::get_id();
  }
};

TEST(CallersTurn, RunsInTheThreadThatBringsTheRequest) {
  Witness witness;
  World world(witness, env::system_clock());
  ASSERT_TRUE(world.runs_here(witness, "read"));
  ASSERT_TRUE(world.runs_here(witness, "write"));
}

TEST(CallersTurn, TheAnswerIsThereWhenAnAcceptedRequestReturns) {
  Witness witness;
  World world(witness, env::system_clock());
  ASSERT_TRUE(world.runs_here(witness, "write"));
  for (int i = 0;; ++i) {
    ASSERT_LT(i, 1'000'000);
    const auto answered = std::make_shared<std::atomic<bool>>(false);
    world.router->accept(request_to("/services/witness", "write", fmt::format("urn:accepted/{}", i)),
                         [answered](const Result<Message>& outcome) { *answered = outcome && !outcome->fault; });
    if (*answered) break;
  }
  EXPECT_EQ(witness.ran_in.load(), std::this_thread::get_id());
}

TEST(CallersTurn, OneAmongManyIsLeftToTheExchange) {
  Witness witness;
  World world(witness, env::system_clock());
  ASSERT_TRUE(world.runs_here(witness, "read"));
  // Each after a call that may have run here, so that the exchange is idle at some of them.
  for (int i = 0; i < 50; ++i) {
    world.call_text("read");
    std::promise<std::thread::id> ran_in;
    Message request = request_to("/services/witness", "read", fmt::format("urn:among/{}", i));
    request.is_among_many = true;
    world.router->accept(std::move(request), [&](const Result<Message>&) { ran_in.set_value(witness.ran_in.load()); });
    EXPECT_NE(ran_in.get_future().get(), std::this_thread::get_id());
  }
}

TEST(CallersTurn, NobodyWaitsForADisk) {
  // Whose commits take a disk: the exchange's thread makes them.
  class DiskStore : public store::Store {
   public:
    explicit DiskStore(std::atomic<std::thread::id>& synced_in) : synced_in_(synced_in) {}
    Result<store::Table> table(std::string_view name) override { return inner_->table(name); }
    Result<std::int64_t> acquire(std::string_view owner) override { return inner_->acquire(owner); }
    Result<std::unique_ptr<store::Transaction>> begin() override {
      TRY_ASSIGN(auto inner, inner_->begin());
      return std::unique_ptr<store::Transaction>(std::make_unique<Watched>(std::move(inner), synced_in_));
    }
    store::Statistics statistics() const override { return inner_->statistics(); }
    bool can_commit_ahead() const override { return true; }

   private:
    struct Watched : store::Transaction {
      Watched(std::unique_ptr<store::Transaction> inner, std::atomic<std::thread::id>& in)
          : inner_(std::move(inner)), in_(in) {}
      Result<std::optional<std::string>> get(store::Table table, std::string_view key) override {
        return inner_->get(table, key);
      }
      Status put(store::Table table, std::string_view key, std::string_view value) override {
        return inner_->put(table, key, value);
      }
      Status insert(store::Table table, std::string_view key, std::string_view value) override {
        return inner_->insert(table, key, value);
      }
      Status erase(store::Table table, std::string_view key) override { return inner_->erase(table, key); }
      Status erase_prefix(store::Table table, std::string_view prefix) override {
        return inner_->erase_prefix(table, prefix);
      }
      Result<std::vector<store::Row>> scan(store::Table table, std::string_view prefix, std::string_view after,
                                           std::size_t limit) override {
        return inner_->scan(table, prefix, after, limit);
      }
      Status mark() override { return inner_->mark(); }
      Status rollback_to_mark() override { return inner_->rollback_to_mark(); }
      bool has_writes() const override { return inner_->has_writes(); }
      Status commit() override {
        if (has_writes()) in_ = std::this_thread::get_id();
        return inner_->commit();
      }
      Status commit_ahead() override { return commit(); }
      std::unique_ptr<store::Transaction> inner_;
      std::atomic<std::thread::id>& in_;
    };
    std::atomic<std::thread::id>& synced_in_;
    std::unique_ptr<store::Store> inner_ = store::open_memory(store::make_memory_disk());
  };
  std::atomic<std::thread::id> committed_in;
  Witness witness;
  World world(witness, env::system_clock(), std::make_unique<DiskStore>(committed_in));
  ASSERT_TRUE(world.runs_here(witness, "read"));
  ASSERT_TRUE(world.runs_here(witness, "write"));
  EXPECT_NE(committed_in.load(), std::this_thread::get_id());
  EXPECT_NE(committed_in.load(), std::thread::id());
}

TEST(CallersTurn, AfterALongTurnTheExchangesOwnThreadRunsThemForAWhile) {
  HandClock clock;
  Witness witness;
  World world(witness, clock);
  ASSERT_TRUE(world.runs_here(witness, "read"));
  witness.during = [&] { clock.advance(10ms); };
  ASSERT_TRUE(world.runs_here(witness, "read"));
  witness.during = {};
  for (int i = 0; i < 1000; ++i) {
    world.call_text("read");
    ASSERT_NE(witness.ran_in.load(), std::this_thread::get_id());
  }
  clock.advance(2s);
  EXPECT_TRUE(world.runs_here(witness, "read"));
}

TEST(CallersTurn, WhatComesMeanwhileIsTakenInAsWell) {
  Witness witness;
  World world(witness, env::system_clock());
  ASSERT_TRUE(world.runs_here(witness, "write"));
  std::mutex mutex;
  std::condition_variable changed;
  std::atomic<bool> runs{false};
  int second = 0;
  const std::thread::id here = std::this_thread::get_id();
  witness.during = [&] {
    if (std::this_thread::get_id() != here) return;
    std::unique_lock lock(mutex);
    runs = true;
    changed.notify_all();
    // Another request waits in the mailbox while this turn goes on.
    EXPECT_TRUE(changed.wait_for(lock, kPatience, [&] { return second > 0; }));
  };
  std::thread other([&] {
    std::unique_lock lock(mutex);
    EXPECT_TRUE(changed.wait_for(lock, kPatience, [&] { return runs.load(); }));
    lock.unlock();
    std::atomic<bool> answered{false};
    world.router->accept(request_to("/services/witness", "write", "urn:other"), [&](const Result<Message>& outcome) {
      EXPECT_TRUE(outcome && !outcome->fault);
      answered = true;
      answered.notify_one();
    });
    lock.lock();
    ++second;
    changed.notify_all();
    lock.unlock();
    answered.wait(false);
  });
  while (!runs) world.call_text("write");
  other.join();
  witness.during = {};
}

TEST(CallersTurn, ATimerThatItSetsFires) {
  Witness witness;
  std::mutex mutex;
  std::condition_variable changed;
  int rang = 0;
  int set = 0;
  witness.request = [&](Turn& turn, const Message& message) -> Status {
    witness.ran_in = std::this_thread::get_id();
    if (message.operation == "set") {
      ++set;
      TRY(turn.set_timer("t", turn.now() + 1ms));
    }
    return turn.reply(message.message_id, body_of(""));
  };
  witness.timer = [&](Turn&, std::string_view) -> Status {
    const std::lock_guard lock(mutex);
    ++rang;
    changed.notify_one();
    return {};
  };
  World world(witness, env::system_clock());
  ASSERT_TRUE(world.runs_here(witness, "set"));
  std::unique_lock lock(mutex);
  EXPECT_TRUE(changed.wait_for(lock, kPatience, [&] { return rang > 0; }));
}

TEST(CallersTurn, ManyCallersAndStops) {
  for (int round = 0; round < 20; ++round) {
    Witness witness;
    World world(witness, env::system_clock());
    std::atomic<int> answers{0};
    std::vector<std::thread> callers;
    for (int caller = 0; caller < 4; ++caller) {
      callers.emplace_back([&, caller] {
        for (int i = 0; i < 200; ++i) {
          const auto reply = call(
              *world.router, request_to("/services/witness", "write", fmt::format("urn:{}/{}", caller, i)), kPatience);
          if (reply) ++answers;
        }
      });
    }
    if (round % 2 == 1) {
      while (answers < 100) std::this_thread::yield();
      world.exchange->stop();
    }
    for (std::thread& caller : callers) caller.join();
    EXPECT_EQ(answers, 800);  // a fault is an answer
    if (round % 2 == 0) {
      EXPECT_EQ(world.call_text("read"), "800");
    }
  }
}

}  // namespace
}  // namespace nuraghe::exchange
