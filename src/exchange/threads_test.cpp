// Exchanges with their own threads: meant to be run under the thread sanitizer too.
#include <fmt/format.h>
#include <gtest/gtest.h>
#include <poll.h>

#include <atomic>
#include <condition_variable>
#include <mutex>
#include <set>
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

// A memory store that can commit ahead, whose syncs are counted and may fail.
class AheadStore : public store::Store {
 public:
  struct Disk {
    std::atomic<int> syncs{0};
    std::atomic<bool> fails{false};
  };
  explicit AheadStore(Disk& disk) : disk_(disk) {}
  Result<store::Table> table(std::string_view name) override { return inner_->table(name); }
  Result<std::int64_t> acquire(std::string_view owner) override { return inner_->acquire(owner); }
  Result<std::unique_ptr<store::Transaction>> begin() override { return inner_->begin(); }
  store::Statistics statistics() const override { return inner_->statistics(); }
  bool can_commit_ahead() const override { return true; }
  Status sync() override {
    ++disk_.syncs;
    if (disk_.fails) return internal("the disk is broken");
    return {};
  }

 private:
  Disk& disk_;
  std::unique_ptr<store::Store> inner_ = store::open_memory(store::make_memory_disk());
};

struct Live {
  std::unique_ptr<Router> router = make_router({});
  std::vector<std::unique_ptr<Exchange>> exchanges;

  Exchange& add(const std::string& name, const std::vector<Actor*>& actors, std::size_t lanes = 4,
                std::unique_ptr<store::Store> store = store::open_memory(store::make_memory_disk()),
                std::map<std::string, std::size_t, std::less<>> own_lanes = {}) {
    ExchangeOptions options;
    options.own_lanes = std::move(own_lanes);
    options.name = name;
    options.lanes = lanes;
    options.clock = &env::system_clock();
    options.random = &env::system_random();
    exchanges.push_back(make_exchange(std::move(store), *router, options));
    for (Actor* actor : actors) {
      exchanges.back()->add_actor(*actor);
      router->add_route("/services/" + std::string(actor->name()), "*", *exchanges.back(), std::string(actor->name()));
    }
    EXPECT_TRUE(exchanges.back()->open());
    return *exchanges.back();
  }
  void start() {
    for (auto& exchange : exchanges) exchange->start();
  }
  std::string call_text(const std::string& to, const std::string& operation, const std::string& id,
                        const std::string& text = "x") {
    auto reply = call(*router, request_to(to, operation, id, text), kPatience);
    return reply ? text_of(*reply) : reply.error().to_string();
  }
};

// Asks the peer, which may live in another exchange, and answers with what it said after a job of its own.
struct Front : FunctionActor {
  Front() : FunctionActor("front") {
    request = [](Turn& turn, const Message& message) -> Status {
      return turn.send(request_to("/services/back", "ask", message.message_id + "/back", text_of(message)),
                       message.message_id, turn.now() + kPatience);
    };
    reply = [](Turn& turn, const Message& message, std::string_view token) -> Status {
      return turn.reply(token, message.body);
    };
  }
};
struct Back : FunctionActor {
  Back() : FunctionActor("back") {
    request = [this](Turn& turn, const Message& message) -> Status {
      TRY(put(turn, message.message_id, ""));
      return turn.start_job({message.message_id, text_of(message)});
    };
    job = [](Turn& turn, const Job& finished, const Result<std::string>& result) -> Status {
      TRY(turn.publish({.kind = "job", .text = finished.key}));
      return turn.reply(finished.key, body_of(*result));
    };
  }
};

TEST(Threads, ManyCallersThroughTwoExchangesAndLanes) {
  Live live;
  Front front;
  Back back;
  live.add("one", {&front});
  Exchange& two = live.add("two", {&back});
  std::atomic<std::int64_t> newest{0};
  two.on_published([&](std::int64_t sequence) { newest = sequence; });
  live.start();
  std::vector<std::thread> callers;
  std::atomic<int> good{0};
  for (int caller = 0; caller < 8; ++caller) {
    callers.emplace_back([&, caller] {
      for (int i = 0; i < 50; ++i) {
        const std::string text = fmt::format("{}-{}", caller, i);
        if (live.call_text("/services/front", "ask", "urn:" + text, text) == "done " + text) ++good;
      }
    });
  }
  for (auto& caller : callers) caller.join();
  EXPECT_EQ(good, 400);
  EXPECT_EQ(two.statistics().jobs_run, 400);
  // Who is answered may be so before who observes is told.
  for (auto& exchange : live.exchanges) exchange->stop();
  EXPECT_EQ(newest, 400);
}

// So many requests at once that their commits are worth a thread that waits for the disk.
constexpr int kMany = 100;

struct Counter : FunctionActor {
  Counter() : FunctionActor("counter") {
    request = [this](Turn& turn, const Message& message) -> Status {
      const std::int64_t sum = add(turn, "sum");
      TRY(turn.publish({.kind = "counted", .text = text_of(message)}));
      return turn.reply(message.message_id, body_of(std::to_string(sum)));
    };
  }
};

TEST(Threads, TurnsRunWhileTheDiskSyncs) {
  AheadStore::Disk disk;
  Live live;
  Counter counter;
  Exchange& exchange = live.add("one", {&counter}, 4, std::make_unique<AheadStore>(disk));
  std::mutex mutex;
  std::condition_variable changed;
  std::set<std::string> sums;
  for (int i = 0; i < kMany; ++i) {
    exchange.submit("counter", request_to("/services/counter", "count", fmt::format("urn:{}", i)), [&](Message reply) {
      const std::lock_guard lock(mutex);
      sums.insert(text_of(reply));
      changed.notify_one();
    });
  }
  live.start();
  std::unique_lock lock(mutex);
  ASSERT_TRUE(changed.wait_for(lock, kPatience, [&] { return sums.size() == kMany; }));
  lock.unlock();
  EXPECT_TRUE(sums.contains(std::to_string(kMany)));
  EXPECT_GT(disk.syncs, 0);
  EXPECT_EQ(exchange.statistics().newest_event, kMany);
}

TEST(Threads, ADiskThatCannotSyncEndsTheExchangeAndEverybodyIsTold) {
  AheadStore::Disk disk;
  disk.fails = true;
  Live live;
  Counter counter;
  Exchange& exchange = live.add("one", {&counter}, 4, std::make_unique<AheadStore>(disk));
  std::mutex mutex;
  std::condition_variable changed;
  int refused = 0;
  int answered = 0;
  const auto count = [&](bool good) {
    const std::lock_guard lock(mutex);
    ++(good ? answered : refused);
    changed.notify_one();
  };
  for (int i = 0; i < kMany / 2; ++i) {
    exchange.submit("counter", request_to("/services/counter", "count", fmt::format("urn:{}", i)),
                    [&](const Message& reply) { count(!reply.fault); });
    exchange.post(
        "counter", [](Turn& turn) { return turn.publish({.kind = "posted"}); },
        [&](const Status& status) { count(bool(status)); });
  }
  live.start();
  std::unique_lock lock(mutex);
  ASSERT_TRUE(changed.wait_for(lock, kPatience, [&] { return refused + answered == kMany; }));
  EXPECT_TRUE(exchange.failed());
  EXPECT_EQ(answered, 0);
}

TEST(Threads, TimersFireByThemselves) {
  Live live;
  FunctionActor actor("timed");
  actor.request = [&](Turn& turn, const Message& message) -> Status {
    TRY(actor.put(turn, "id", message.message_id));
    return turn.set_timer("t", turn.now() + 20ms);
  };
  actor.timer = [&](Turn& turn, std::string_view) { return turn.reply(actor.get(turn, "id"), body_of("rang")); };
  live.add("one", {&actor});
  live.start();
  EXPECT_EQ(live.call_text("/services/timed", "x", "urn:1"), "rang");
}

TEST(Threads, ARunningJobIsToldToStop) {
  Live live;
  FunctionActor actor("worker");
  std::atomic<bool> running{false};
  actor.work = [&](const Job&, JobContext& context) -> Result<std::string> {
    running = true;
    pollfd wait{context.cancel_fd(), POLLIN, 0};
    EXPECT_EQ(::poll(&wait, 1, 60'000), 1);
    EXPECT_TRUE(context.cancelled());
    return Error(ErrorCode::kCancelled, "stopped in the middle");
  };
  actor.request = [&](Turn& turn, const Message& message) -> Status {
    if (message.operation == "stop") {
      TRY(turn.cancel_job("j"));
      return turn.reply(message.message_id, nullptr);
    }
    TRY(actor.put(turn, "id", message.message_id));
    return turn.start_job({"j", ""});
  };
  actor.job = [&](Turn& turn, const Job&, const Result<std::string>& result) {
    return turn.reply(actor.get(turn, "id"), body_of(result.error().message()));
  };
  live.add("one", {&actor});
  live.start();
  std::thread caller([&] { EXPECT_EQ(live.call_text("/services/worker", "go", "urn:1"), "stopped in the middle"); });
  while (!running) std::this_thread::yield();
  EXPECT_EQ(live.call_text("/services/worker", "stop", "urn:2"), "(empty)");
  caller.join();
}

TEST(Threads, JobsOfAnActorWithItsOwnLanesKeepNobodyElseWaiting) {
  Live live;
  FunctionActor slow("slow");
  Back back;
  std::atomic<int> running{0};
  slow.work = [&](const Job&, JobContext& context) -> Result<std::string> {
    ++running;
    pollfd wait{context.cancel_fd(), POLLIN, 0};
    EXPECT_EQ(::poll(&wait, 1, 60'000), 1);
    return "";
  };
  slow.request = [&](Turn& turn, const Message& message) -> Status {
    if (message.operation == "stop") {
      // The one that waits first: a lane that is free takes it.
      for (const auto* key : {"3", "2", "1"}) TRY(turn.cancel_job(key));
    } else {
      for (const auto* key : {"1", "2", "3"}) TRY(turn.start_job({key, ""}));
    }
    return turn.reply(message.message_id, nullptr);
  };
  std::atomic<int> ended{0};
  slow.job = [&](Turn&, const Job&, const Result<std::string>&) {
    ++ended;
    return Status();
  };
  live.add("one", {&slow, &back}, 1, store::open_memory(store::make_memory_disk()), {{"slow", 2}});
  live.start();
  EXPECT_EQ(live.call_text("/services/slow", "go", "urn:1"), "(empty)");
  while (running < 2) std::this_thread::yield();
  EXPECT_EQ(live.call_text("/services/back", "ask", "urn:2", "x"), "done x");
  EXPECT_EQ(running, 2) << "its lanes are bounded";
  EXPECT_EQ(live.call_text("/services/slow", "stop", "urn:3"), "(empty)");
  while (ended < 3) std::this_thread::yield();
  EXPECT_EQ(running, 2) << "the one that waited was dropped";
}

TEST(Threads, StopCancelsJobsAndTellsWaiters) {
  Live live;
  FunctionActor actor("worker");
  std::atomic<bool> running{false};
  actor.work = [&](const Job&, JobContext& context) -> Result<std::string> {
    running = true;
    pollfd wait{context.cancel_fd(), POLLIN, 0};
    EXPECT_EQ(::poll(&wait, 1, 60'000), 1);
    return "";
  };
  actor.request = [&](Turn& turn, const Message& message) { return turn.start_job({message.message_id, ""}); };
  live.add("one", {&actor}, 1);
  live.start();
  std::thread first(
      [&] { EXPECT_EQ(live.call_text("/services/worker", "go", "urn:1"), "fault: the service has stopped"); });
  std::thread second(
      [&] { EXPECT_EQ(live.call_text("/services/worker", "go", "urn:2"), "fault: the service has stopped"); });
  while (!running) std::this_thread::yield();
  live.exchanges[0]->stop();
  first.join();
  second.join();
  EXPECT_EQ(live.call_text("/services/worker", "go", "urn:3"), "fault: the service has stopped");
  live.exchanges.clear();
  EXPECT_EQ(live.call_text("/services/worker", "go", "urn:4"), "fault: the service has stopped");
}

TEST(Threads, ACallThatIsNotAnsweredTimesOut) {
  Live live;
  FunctionActor actor("silent");
  live.add("one", {&actor});
  live.start();
  const auto reply = call(*live.router, request_to("/services/silent", "x", "urn:1"), 50ms);
  EXPECT_EQ(reply.error().code(), ErrorCode::kTimeout);
}

TEST(Threads, AsManyJobsRunAtOnceAsThereAreLanes) {
  Live live;
  FunctionActor actor("worker");
  std::mutex mutex;
  std::condition_variable changed;
  int at_once = 0, most = 0, finished = 0;
  // Each of the first three waits for the other two.
  actor.work = [&](const Job&, JobContext&) -> Result<std::string> {
    std::unique_lock lock(mutex);
    most = std::max(most, ++at_once);
    changed.notify_all();
    EXPECT_TRUE(changed.wait_for(lock, kPatience, [&] { return most >= 3; }));
    --at_once;
    return "";
  };
  actor.start = [](Turn& turn) -> Status {
    for (int i = 0; i < 50; ++i) TRY(turn.start_job({std::to_string(i), ""}));
    return {};
  };
  actor.job = [&](Turn&, const Job&, const Result<std::string>&) -> Status {
    const std::lock_guard lock(mutex);
    if (++finished == 50) changed.notify_all();
    return {};
  };
  live.add("one", {&actor}, 3);
  live.start();
  std::unique_lock lock(mutex);
  ASSERT_TRUE(changed.wait_for(lock, kPatience, [&] { return finished == 50; }));
  EXPECT_EQ(most, 3);
}

}  // namespace
}  // namespace nuraghe::exchange
