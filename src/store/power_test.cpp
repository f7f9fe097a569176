// Cuts the power at every write and sync of a store's life: what was committed is there, what was not leaves no trace.
#include <fmt/format.h>
#include <gtest/gtest.h>

#include <unistd.h>

#include <algorithm>
#include <filesystem>
#include <map>
#include <random>

#include "base/log.hpp"

#include "store/sqlite.hpp"
#include "store/volatile_disk.hpp"

namespace nuraghe::store {
namespace {

using Rows = std::map<std::string, std::string>;

Rows read_all(Store& store, Table table) {
  Rows rows;
  const auto transaction = store.begin().value();
  const auto found = transaction->scan(table, "", "", 10'000).value();
  for (const Row& row : found) rows[row.key] = row.value;
  return rows;
}

struct PowerCase {
  const char* name;
  Bytes recent;  // so many are collected before rows go into their tables
  bool ahead;    // only some commits are synced, with all before them
  bool tended = false;
};

// A life of commits that insert, change and erase, small and large, with tidying in between. `on_commit` gets what each
// commits, and again when it is durable.
Status live(Store& store, Table table, Rows committed, const PowerCase& how,
            const std::function<void(const Rows&, bool durable)>& on_commit) {
  for (int round = 0; round < 60; ++round) {
    TRY_ASSIGN(const auto transaction, store.begin());
    Rows next = committed;
    for (int i = 0; i < 5; ++i) {
      const std::string key = fmt::format("{:03}", (round * 7 + i * 13) % 60);
      if (next.contains(key) && (round + i) % 3 == 0) {
        next.erase(key);
        TRY(transaction->erase(table, key));
      } else {
        next[key] =
            std::string(static_cast<std::size_t>(round % 5 == 0 ? 9000 : 40), static_cast<char>('a' + round % 26));
        TRY(transaction->put(table, key, next[key]));
      }
    }
    on_commit(next, false);
    TRY(how.ahead ? transaction->commit_ahead() : transaction->commit());
    committed = next;
    if (how.ahead && round % 4 == 1) TRY(store.sync());
    if (!how.ahead || round % 4 == 1) on_commit(next, true);
    // Also between a commit and its sync.
    if (how.tended && round % 4 != 2) store.tend();
    if (round % 11 == 10) store.tidy();
  }
  return {};
}

struct Power : ::testing::TestWithParam<PowerCase> {
  SqliteOptions options(const VolatileDisk& disk) const {
    SqliteOptions chosen;
    chosen.vfs = disk.name();
    chosen.recent = GetParam().recent;
    return chosen;
  }
};

TEST_P(Power, ACutAtAnyOperationLosesNothingThatWasCommitted) {
  set_log_level(LogLevel::kError);  // a store without power complains
  std::int64_t operations = 0;
  for (std::int64_t at = 1;; ++at) {
    VolatileDisk disk;
    std::mt19937_64 chance(static_cast<std::uint64_t>(at));
    std::int64_t passed = 0;
    std::vector<Rows> possible{{}};  // the last durable commit, and those after it
    {
      auto store = open_sqlite("a.db", options(disk)).value();
      const Table table = store->table("rows").value();
      disk.on_operation([&] { return ++passed == at; });
      // What follows the cut looks fine to the store, and is lost.
      const Status lived = live(*store, table, {}, GetParam(), [&](const Rows& rows, bool durable) {
        if (passed >= at) return;
        if (durable) possible.clear();
        possible.push_back(rows);
      });
      if (passed < at) {
        ASSERT_TRUE(lived);
        operations = passed;
        break;
      }
    }
    disk.on_operation([] { return false; });
    disk.restore([&] { return chance() % 2 == 0; });
    SCOPED_TRACE(fmt::format("cut at operation {}", at));
    auto store = open_sqlite("a.db", options(disk)).value();
    const Table table = store->table("rows").value();
    const Rows found = read_all(*store, table);
    ASSERT_TRUE(std::ranges::find(possible, found) != possible.end()) << found.size() << " " << possible.size();
    // And it goes on from there.
    Rows last;
    const Status lived = live(*store, table, found, GetParam(), [&](const Rows& rows, bool) { last = rows; });
    ASSERT_TRUE(lived) << lived.error().to_string();
    ASSERT_EQ(read_all(*store, table), last);
  }
  EXPECT_GT(operations, 50);
}

INSTANTIATE_TEST_SUITE_P(Stores, Power,
                         ::testing::Values(PowerCase{"collecting", SqliteOptions().recent, false},
                                           PowerCase{"ripening", Bytes{20'000}, false},
                                           PowerCase{"ahead", SqliteOptions().recent, true},
                                           PowerCase{"ahead_ripening", Bytes{20'000}, true},
                                           PowerCase{"tended_ripening", Bytes{20'000}, true, true}),
                         [](const auto& power) { return std::string(power.param.name); });

// The test itself must be able to fail: without syncs commits are lost.
TEST(PowerTest, WithoutSyncsCommitsAreLost) {
  VolatileDisk disk;
  SqliteOptions careless;
  careless.vfs = disk.name();
  careless.synchronous_full = false;
  {
    auto store = open_sqlite("a.db", careless).value();
    const Table table = store->table("rows").value();
    auto transaction = store->begin().value();
    ASSERT_TRUE(transaction->put(table, "a", "1"));
    ASSERT_TRUE(transaction->commit());
    disk.fail();
  }
  disk.restore([] { return false; });
  auto store = open_sqlite("a.db", careless).value();
  const Table table = store->table("rows").value();
  EXPECT_EQ(store->begin().value()->get(table, "a").value(), std::nullopt);
}

// What is committed ahead is seen at once and lost with the power; a sync, or a later usual commit, keeps it.
TEST(PowerTest, ACommitAheadIsKeptByTheNextSync) {
  for (const char* kept_by : {"nothing", "sync", "commit"}) {
    SCOPED_TRACE(kept_by);
    VolatileDisk disk;
    SqliteOptions options;
    options.vfs = disk.name();
    {
      auto store = open_sqlite("a.db", options).value();
      ASSERT_TRUE(store->can_commit_ahead());
      const Table table = store->table("rows").value();
      auto transaction = store->begin().value();
      ASSERT_TRUE(transaction->put(table, "a", "1"));
      const std::int64_t syncs = disk.syncs();
      ASSERT_TRUE(transaction->commit_ahead());
      EXPECT_EQ(disk.syncs(), syncs);
      transaction = store->begin().value();
      EXPECT_EQ(transaction->get(table, "a").value(), "1");
      ASSERT_TRUE(transaction->put(table, "b", "2"));
      if (kept_by == std::string("sync")) {
        ASSERT_TRUE(store->sync());
      }
      if (kept_by == std::string("commit")) {
        ASSERT_TRUE(transaction->commit());
      }
      transaction.reset();
      disk.fail();
    }
    disk.restore([] { return false; });
    auto store = open_sqlite("a.db", options).value();
    const Table table = store->table("rows").value();
    const auto kept = store->begin().value()->get(table, "a").value();
    EXPECT_EQ(kept, kept_by == std::string("nothing") ? std::nullopt : std::optional<std::string>("1"));
  }
}

// Most commits write into a log that is long enough, and it is found valid up to its last frame.
TEST(PowerTest, TheLogGrowsRarely) {
  const std::filesystem::path folder = ::testing::TempDir() + fmt::format("/log-{}", ::getpid());
  std::filesystem::remove_all(folder);
  std::filesystem::create_directories(folder);
  const std::string path = folder / "a.db";
  constexpr int kCommits = 200;
  const auto write = [](Store& store, Table table, int number) {
    const auto transaction = store.begin().value();
    ASSERT_TRUE(transaction->put(table, std::to_string(number), std::string(1000, 'x')));
    ASSERT_TRUE(transaction->commit());
  };
  {
    auto store = open_sqlite(path).value();
    const Table table = store->table("rows").value();
    std::uintmax_t size = 0;
    int grown = 0;
    for (int i = 0; i < kCommits; ++i) {
      write(*store, table, i);
      const auto now = std::filesystem::file_size(path + "-log0");
      grown += now == size ? 0 : 1;
      size = now;
    }
    EXPECT_GE(size, kCommits * 1000U);
    EXPECT_LT(grown, 12);
    // A second one, while the log is there, reads and goes on where it ends.
    auto second = open_sqlite(path).value();
    const Table same = second->table("rows").value();
    EXPECT_EQ(read_all(*second, same).size(), kCommits);
    write(*second, same, kCommits);
    EXPECT_EQ(read_all(*store, table).size(), kCommits + 1);
  }
  std::filesystem::remove_all(folder);
}

}  // namespace
}  // namespace nuraghe::store
