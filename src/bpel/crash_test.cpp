// Kills the engine at every commit (before it and after it) and at every message that it sends, starts it again over
// what the disk holds, and lets the client repeat what was not answered: what partner and client see must be what they
// see without a crash, but for repeats with the same message id; nothing may be left; every history must replay.
//
// Over two disks: one in memory, and SQLite on a disk that loses with the crash what was not synced; there also with
// syncs that come after the next turns. Over PostgreSQL too: as many as NURAGHE_POSTGRES_CRASHES says (2, when it does
// not), NURAGHE_SEED says which.
#include <gtest/gtest.h>

#include <cstdlib>

#include "bpel/crash_scenarios.hpp"
#include "store/postgres.hpp"
#include "store/postgres_testing.hpp"
#include "store/sqlite.hpp"
#include "store/volatile_disk.hpp"

namespace nuraghe::bpel {
namespace {

using testing::Answer;
using testing::Scenario;
using testing::World;

// Counts places where a process may die; dies at one of them: from then on nothing is stored and nothing is sent.
struct Doom {
  int at = 0;  // 0: never
  int passed = 0;
  bool dead = false;
  // True when the process dies here or is dead already.
  bool pass() {
    if (dead) return true;
    dead = ++passed == at;
    return dead;
  }
};

struct Outcome {
  std::map<std::string, std::string> sent;     // message id → operation and content
  std::map<std::string, std::string> answers;  // request id → answer
  std::vector<std::string> states;
  bool operator==(const Outcome&) const = default;
};
void PrintTo(const Outcome& outcome, std::ostream* out) {
  for (const auto& [id, what] : outcome.sent) *out << "\n  sent " << id << " " << what;
  for (const auto& [id, what] : outcome.answers) *out << "\n  answer " << id << " " << what;
  for (const auto& state : outcome.states) *out << "\n  " << state;
}

// Runs, and where the clock must go on, lets it.
void settle(World& world, const Doom& doom) {
  world.run();
  for (int i = 0;
       i < 50 && !doom.dead && world.next_timer && *world.next_timer < env::SimClock::kStart + std::chrono::hours(12);
       ++i) {
    if (*world.next_timer > world.clock.now()) world.clock.set(*world.next_timer);
    world.run();
  }
}

bool answered(const World& world, const std::string& id) {
  const auto found = world.answers.find(id);
  return found != world.answers.end() && !(found->second.fault && found->second.fault->code == ErrorCode::kUnavailable);
}

enum class DiskKind { kMemory, kSqlite, kSqliteLate, kPostgres };

Outcome play(const Scenario& scenario, DiskKind kind, int at, int* places) {
  Doom doom;
  store::VolatileDisk disk;  // outlives what is open on it
  World world(scenario.files());
  world.late_syncs = kind == DiskKind::kSqliteLate;
  if (kind == DiskKind::kSqlite || kind == DiskKind::kSqliteLate) {
    world.open_store = [&](bool read_only) {
      store::SqliteOptions options;
      options.vfs = disk.name();
      options.read_only = read_only;
      // Little, so that rows go into their tables too.
      options.recent = kib(4);
      return store::open_sqlite("engine.db", options).value();
    };
  }
  if (kind == DiskKind::kPostgres) {
    auto& server = store::testing::PostgresServer::instance();
    EXPECT_TRUE(server.running()) << server.problem();
    world.open_store = [connection = server.connection(), schema = server.new_schema()](bool read_only) {
      store::PostgresOptions options;
      options.schema = schema;
      options.read_only = read_only;
      options.durable = false;
      return store::open_postgres(connection, options).value();
    };
  }
  world.script = [&](const std::string& content, const exchange::Message&) {
    return Answer{scenario.failing.find(content) != std::string::npos ? Answer::Kind::kProblem : Answer::Kind::kOut,
                  content};
  };
  world.crash_hook = [&](CrashPoint) { return doom.pass(); };
  world.run();
  doom.passed = 0;
  doom.at = at;
  int number = 0;
  const auto restart = [&] {
    if (!doom.dead) return;
    doom = {};
    disk.fail();
    world.close();
    disk.restore([] { return false; });
    world.open();
  };
  for (const auto& [operation, content] : scenario.requests) {
    const std::string id = "urn:request:" + std::to_string(++number);
    for (int attempt = 0; attempt < 3; ++attempt) {
      world.answers.erase(id);
      world.send(operation, content, id);
      settle(world, doom);
      if (!doom.dead) break;
      restart();
      settle(world, doom);
    }
  }
  restart();
  settle(world, doom);
  *places = doom.passed;
  for (int i = 1; i <= number; ++i) {  // the first request may have been answered while a later one was under way
    const std::string id = "urn:request:" + std::to_string(i);
    if (scenario.requests[static_cast<std::size_t>(i) - 1].first == "note" || answered(world, id)) continue;
    world.answers.erase(id);
    world.send(scenario.requests[static_cast<std::size_t>(i) - 1].first,
               scenario.requests[static_cast<std::size_t>(i) - 1].second, id);
    settle(world, doom);
  }
  Outcome outcome;
  for (const auto& message : world.log->requests) {
    outcome.sent[message.message_id] = message.operation + " " + message.body->root().text();
  }
  for (int i = 1; i <= number; ++i) {
    const std::string id = "urn:request:" + std::to_string(i);
    if (scenario.requests[static_cast<std::size_t>(i) - 1].first != "note") outcome.answers[id] = world.answer_text(id);
  }
  for (const auto& instance : world.instances()) outcome.states.push_back(instance.state);
  world.expect_clean();
  world.expect_replays();
  return outcome;
}

void die_everywhere(const Scenario& scenario, DiskKind kind) {
  int places = 0;
  const auto expected = play(scenario, kind, 0, &places);
  ASSERT_GT(places, 2);
  for (const auto& [id, text] : expected.answers) ASSERT_NE(text, "none");
  for (int at = 1; at <= places; ++at) {
    int ignored = 0;
    const auto seen = play(scenario, kind, at, &ignored);
    EXPECT_EQ(seen, expected) << "killed at place " << at << " of " << places;
    if (::testing::Test::HasFailure()) return;
  }
  std::printf("%s: %d places to die at\n", scenario.name.c_str(), places);
}

class Crash : public ::testing::TestWithParam<std::tuple<Scenario, DiskKind>> {};

TEST_P(Crash, AtEveryCommitAndSend) { die_everywhere(std::get<0>(GetParam()), std::get<1>(GetParam())); }

INSTANTIATE_TEST_SUITE_P(
    All, Crash,
    ::testing::Combine(::testing::ValuesIn(testing::crash_scenarios()),
                       ::testing::Values(DiskKind::kMemory, DiskKind::kSqlite, DiskKind::kSqliteLate)),
    [](const auto& each) {
      const DiskKind kind = std::get<1>(each.param);
      const char* suffix = kind == DiskKind::kMemory ? "" : kind == DiskKind::kSqlite ? "_sqlite" : "_sqlite_late";
      return std::get<0>(each.param).name + suffix;
    });

std::uint64_t number_of(const char* variable, std::uint64_t otherwise) {
  const char* text = std::getenv(variable);
  return text == nullptr ? otherwise : std::strtoull(text, nullptr, 10);
}

// The tests have the same names in every run; how many of them do their work is said by the environment.
class CrashOverPostgres : public ::testing::TestWithParam<Scenario> {};

bool is_chosen(const std::string& name) {
  const auto all = testing::crash_scenarios();
  const auto first = number_of("NURAGHE_SEED", 1) % all.size();
  const auto count = std::min<std::size_t>(number_of("NURAGHE_POSTGRES_CRASHES", 2), all.size());
  for (std::size_t i = 0; i < count; ++i) {
    if (all[(first + i) % all.size()].name == name) return true;
  }
  return false;
}

TEST_P(CrashOverPostgres, AtEveryCommitAndSend) {
  if (!is_chosen(GetParam().name)) return;  // its turn comes with another commit
  die_everywhere(GetParam(), DiskKind::kPostgres);
}

INSTANTIATE_TEST_SUITE_P(Postgres, CrashOverPostgres, ::testing::ValuesIn(testing::crash_scenarios()),
                         [](const auto& each) { return each.param.name; });

}  // namespace
}  // namespace nuraghe::bpel
