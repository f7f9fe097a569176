// Kill at every commit and every send, restart, run to the end: every effect happened exactly once, nothing is left.
#include <fmt/format.h>
#include <gtest/gtest.h>
#include <rapidcheck/gtest.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <unistd.h>

#include <set>

#include "base/crash_point.hpp"
#include "base/log.hpp"
#include "env/posix.hpp"
#include "exchange/test_world.hpp"
#include "store/postgres.hpp"
#include "store/postgres_testing.hpp"
#include "store/sqlite.hpp"

namespace nuraghe::exchange {
namespace {

using testing::body_of;
using testing::FunctionActor;
using testing::request_to;
using testing::text_of;
using namespace std::chrono_literals;

constexpr int kOrders = 4;

// A client sends orders to two servers, one in its own exchange and one in another; a server books the order, runs a
// job, waits a while and answers. Each odd order is also told to a witness, one way.
struct Client : FunctionActor {
  Client() : FunctionActor("client") {
    table_names = {"client"};
    start = [this](Turn& turn) -> Status {
      if (!get(turn, "started").empty()) return {};
      TRY(put(turn, "started", "yes"));
      for (int i = 0; i < kOrders; ++i) TRY(order(turn, i));
      return {};
    };
    reply = [this](Turn& turn, const Message& message, std::string_view token) -> Status {
      EXPECT_EQ(text_of(message), "done " + std::string(token));
      add(turn, "replies/" + std::string(token));
      return turn.publish({.kind = "order.done", .text = std::string(token)});
    };
  }
  static Status order(Turn& turn, int number) {
    const std::string name = std::to_string(number);
    const std::string server = number % 2 == 0 ? "/services/near" : "/services/far";
    TRY(turn.send(request_to(server, "order", "urn:order:" + name, name), name, turn.now() + 1h));
    if (number % 2 == 0) return {};
    Message told = request_to("/services/witness", "tell", "urn:tell:" + name, name);
    told.one_way = true;
    return turn.send(std::move(told), "", turn.now() + 1h);
  }
};

struct Server : FunctionActor {
  explicit Server(const std::string& name) : FunctionActor(name) {
    table_names = {name};
    request = [this](Turn& turn, const Message& message) -> Status {
      add(turn, "booked/" + text_of(message));
      TRY(put(turn, "id/" + text_of(message), message.message_id));
      return turn.start_job({text_of(message), "make"});
    };
    job = [this](Turn& turn, const Job& finished, const Result<std::string>& result) -> Status {
      EXPECT_TRUE(result);
      add(turn, "made/" + finished.key);
      return turn.set_timer(finished.key, turn.now() + 3s);
    };
    timer = [this](Turn& turn, std::string_view key) -> Status {
      add(turn, "answered/" + std::string(key));
      return turn.reply(get(turn, "id/" + std::string(key)), body_of("done " + std::string(key)));
    };
  }
};

struct Witness : FunctionActor {
  Witness() : FunctionActor("witness") {
    table_names = {"witness"};
    request = [this](Turn& turn, const Message& message) -> Status {
      add(turn, text_of(message));
      return {};
    };
  }
};

using OpenStore = std::function<std::unique_ptr<store::Store>(const std::string&)>;

// The process: two exchanges. Everything but the stores goes away with it.
class Process {
 public:
  Process(const OpenStore& open_store, env::SimClock& clock, env::SimRandom& random,
          const std::function<bool(CrashPoint)>& hook, std::size_t batch_limit = 512, bool late_syncs = false)
      : clock_(clock) {
    const auto make = [&](const std::string& name, const std::vector<Actor*>& actors) {
      ExchangeOptions options;
      options.name = name;
      options.clock = &clock;
      options.random = &random;
      options.crash_hook = hook;
      options.batch_limit = batch_limit;
      options.late_syncs = late_syncs;
      auto exchange = make_exchange(open_store(name), *router_, options);
      for (Actor* actor : actors) {
        exchange->add_actor(*actor);
        router_->add_route("/services/" + std::string(actor->name()), "*", *exchange, std::string(actor->name()));
      }
      EXPECT_TRUE(exchange->open());
      return exchange;
    };
    control_ = make("control", {&client_, &near_});
    host_ = make("host", {&far_, &witness_});
  }
  Router& router() { return *router_; }
  // True when it ran to its end, false when it "died" before. `between` is called before each drain.
  bool run(const std::function<void(Process&)>& between = {}) {
    Exchange* both[] = {control_.get(), host_.get()};
    for (;;) {
      if (between) between(*this);
      const auto next = drain_all(both);
      if (!next) return false;
      if (!*next) return true;
      clock_.set(std::max(**next, clock_.now()));
    }
  }

 private:
  env::SimClock& clock_;
  std::unique_ptr<Router> router_ = make_router({});
  Client client_;
  Server near_{"near"}, far_{"far"};
  Witness witness_;
  std::unique_ptr<Exchange> control_, host_;
};

void expect_done(const OpenStore& open_store) {
  const auto all = [](store::Store& store, const std::string& table) {
    std::map<std::string, std::string> rows;
    const store::Table opened = store.table(table).value();
    const auto found = store.begin().value()->scan(opened, "", "", 10'000).value();
    for (const auto& row : found) rows[row.key] = row.value;
    return rows;
  };
  const auto control = open_store("control");
  const auto host = open_store("host");
  auto client = all(*control, "client");
  auto near = all(*control, "near");
  auto far = all(*host, "far");
  auto witness = all(*host, "witness");
  EXPECT_EQ(client.size(), 1U + kOrders);
  EXPECT_EQ(near.size() + far.size(), 4U * kOrders);
  EXPECT_EQ(witness.size(), 1U * kOrders / 2);
  for (int i = 0; i < kOrders; ++i) {
    const std::string name = std::to_string(i);
    EXPECT_EQ(client["replies/" + name], "1");
    auto& server = i % 2 == 0 ? near : far;
    for (const char* what : {"booked/", "made/", "answered/"}) EXPECT_EQ(server[what + name], "1") << what << name;
    EXPECT_EQ(witness[name], i % 2 == 1 ? "1" : "");
  }
  EXPECT_EQ(all(*control, "exchange_events").size(), 1U * kOrders);
  for (store::Store* store : {control.get(), host.get()}) {
    for (const char* table : {"exchange_outbox", "exchange_jobs", "exchange_timers", "exchange_timer_index"}) {
      EXPECT_TRUE(all(*store, table).empty()) << table;
    }
  }
}

// The simulated disks and the crossings of crash points, counted over all lives of the process.
struct Simulation {
  std::map<std::string, std::shared_ptr<store::MemoryDisk>> disks{{"control", store::make_memory_disk()},
                                                                  {"host", store::make_memory_disk()}};
  env::SimClock clock;
  env::SimRandom random{5};
  std::uint64_t crossings = 0;
  std::set<std::uint64_t> crashes;
  bool dead = false;
  std::size_t batch_limit = 512;
  bool late_syncs = false;
  std::function<void(Process&)> between;

  std::unique_ptr<store::Store> open(const std::string& name) { return store::open_memory(disks.at(name)); }
  // Runs the workload through all its crashes; false when it never comes to an end.
  bool run() {
    for (std::size_t life = 0; life <= crashes.size(); ++life) {
      dead = false;
      Process process([this](const std::string& name) { return open(name); }, clock, random,
                      [this](CrashPoint) {
                        if (!dead && crashes.contains(++crossings)) dead = true;
                        return dead;
                      },
                      batch_limit, late_syncs);
      if (process.run()) return true;
    }
    return false;
  }
};

TEST(Crash, TheCrossingsOfOneWorkloadAreTheSameInEachRun) {
  Simulation first, second;
  ASSERT_TRUE(first.run());
  ASSERT_TRUE(second.run());
  EXPECT_EQ(first.crossings, second.crossings);
  EXPECT_GT(first.crossings, 30U);
  expect_done([&](const std::string& name) { return first.open(name); });
}

void crash_at_every_crossing(std::size_t batch_limit, bool late_syncs) {
  const auto prepare = [&](Simulation& simulation) {
    simulation.batch_limit = batch_limit;
    simulation.late_syncs = late_syncs;
  };
  Simulation quiet;
  prepare(quiet);
  ASSERT_TRUE(quiet.run());
  for (std::uint64_t n = 1; n <= quiet.crossings; ++n) {
    SCOPED_TRACE(fmt::format("crash at crossing {} of {}", n, quiet.crossings));
    Simulation simulation;
    prepare(simulation);
    simulation.crashes = {n};
    ASSERT_TRUE(simulation.run());
    expect_done([&](const std::string& name) { return simulation.open(name); });
  }
}

TEST(Crash, AtEveryCrossingNothingIsLostDoubledOrLeft) { crash_at_every_crossing(512, false); }
TEST(Crash, AtEveryCrossingOfCommitsThatAreSyncedLateNeither) { crash_at_every_crossing(2, true); }

// Any batch size, any crashes, and repeats of any message at any time, which must get the first answer.
RC_GTEST_PROP(Crash, WithRepeatsAndAnyCrashesNothingIsLostDoubledOrLeft,
              (const std::vector<std::uint16_t>& gaps, const std::vector<std::uint8_t>& repeats)) {
  Simulation simulation;
  simulation.batch_limit = 1 + gaps.size() % 7;
  simulation.late_syncs = gaps.size() % 2 == 1;
  std::uint64_t at = 0;
  for (const std::uint16_t gap : gaps) simulation.crashes.insert(at += 1 + gap % 12);
  std::size_t round = 0;
  simulation.between = [&](Process& process) {
    if (round >= repeats.size()) return;
    const int number = repeats[round++] % kOrders;
    const std::string name = std::to_string(number);
    process.router().deliver(
        request_to(number % 2 == 0 ? "/services/near" : "/services/far", "order", "urn:order:" + name, name),
        [name](Message reply) {
          // A fault: the process ended before the answer was there.
          EXPECT_TRUE(reply.fault || text_of(reply) == "done " + name);
        });
  };
  RC_ASSERT(simulation.run());
  expect_done([&](const std::string& name) { return simulation.open(name); });
  RC_ASSERT(!::testing::Test::HasFailure());
}

// Runs one life of the process in a child, killed at that crossing; its exit code, or minus the signal.
int live_in_child(const OpenStore& open_store, std::uint64_t crash_at) {
  const pid_t child = ::fork();
  if (child == 0) {
    set_log_level(LogLevel::kError);
    env::SimClock clock;
    env::SimRandom random(static_cast<std::uint64_t>(::getpid()));
    arm_crash_point(crash_at);
    Process process(open_store, clock, random, nullptr);
    ::_exit(process.run() && !::testing::Test::HasFailure() ? 0 : 1);
  }
  int status = 0;
  EXPECT_EQ(::waitpid(child, &status, 0), child);
  return WIFSIGNALED(status) ? -WTERMSIG(status) : WEXITSTATUS(status);
}

// The same with real processes and SIGKILL, at each `stride`th crossing. `make` gives fresh stores for each round.
void kill_for_real(std::uint64_t stride, const std::function<OpenStore(std::uint64_t)>& make) {
  std::uint64_t kills = 0;
  for (std::uint64_t n = 1;; n += stride) {
    SCOPED_TRACE(fmt::format("killed at crossing {}", n));
    const OpenStore open_store = make(n);
    const int first = live_in_child(open_store, n);
    if (first == -SIGKILL) {
      ++kills;
      ASSERT_EQ(live_in_child(open_store, 0), 0);
    } else {
      ASSERT_EQ(first, 0);
    }
    expect_done(open_store);
    if (first == 0) break;
  }
  EXPECT_GT(kills, 30U / stride);
}

TEST(Crash, KilledForRealAtEveryCrossing) {
  std::string pattern = ::testing::TempDir() + "crash-XXXXXX";
  ASSERT_NE(::mkdtemp(pattern.data()), nullptr);
  // A killed process loses nothing that the kernel has, so fsync would only cost time here.
  store::SqliteOptions sqlite;
  sqlite.synchronous_full = false;
  kill_for_real(1, [&](std::uint64_t n) {
    const std::string directory = pattern + "/" + std::to_string(n);
    EXPECT_TRUE(env::make_directories(directory));
    return [directory, sqlite](const std::string& name) {
      return store::open_sqlite(directory + "/" + name, sqlite).value();
    };
  });
  ASSERT_TRUE(env::remove_tree(pattern));
}

TEST(Crash, KilledForRealOverPostgres) {
  auto& server = store::testing::PostgresServer::instance();
  ASSERT_TRUE(server.running()) << server.problem();
  kill_for_real(3, [&](std::uint64_t) {  // making the tables costs more than all the rest
    const std::string schema = server.new_schema();
    return [schema, connection = server.connection()](const std::string& name) {
      store::PostgresOptions options;
      options.schema = schema + "_" + name;
      options.durable = false;
      return store::open_postgres(connection, options).value();
    };
  });
}

}  // namespace
}  // namespace nuraghe::exchange
