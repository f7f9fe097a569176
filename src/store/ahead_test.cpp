// Commits ahead of a real file: written, synced and copied by other threads. Meant to be run under the thread sanitizer
// too.
#include <fmt/format.h>
#include <gtest/gtest.h>

#include <atomic>
#include <filesystem>
#include <map>
#include <random>
#include <thread>

#include "base/log.hpp"
#include "env/posix.hpp"
#include "store/sqlite.hpp"

namespace nuraghe::store {
namespace {

struct Ahead : ::testing::Test {
  std::string folder = ::testing::TempDir() + "ahead-XXXXXX";
  Ahead() { EXPECT_NE(::mkdtemp(folder.data()), nullptr); }
  ~Ahead() override { EXPECT_TRUE(env::remove_tree(folder)); }
  std::string path() const { return folder + "/a.db"; }
};

std::map<std::string, std::string> rows_of(Store& store, Table table) {
  const auto transaction = store.begin().value();
  const auto found = transaction->scan(table, "", "", 100'000).value();
  std::map<std::string, std::string> rows;
  for (const Row& row : found) rows[row.key] = row.value;
  return rows;
}

// One thread commits, another one syncs, a third one tends: what is read is what was committed, always.
TEST_F(Ahead, OthersWriteSyncAndCopyWhileTheOwnerGoesOn) {
  SqliteOptions options;
  options.recent = kib(48);  // so that rows go into their tables all the time
  options.log = kib(256);
  auto store = open_sqlite(path(), options).value();
  const Table table = store->table("rows").value();
  ASSERT_TRUE(store->acquire("owner"));
  std::atomic<bool> ends = false;
  std::atomic<std::int64_t> syncs = 0;
  std::thread syncer([&] {
    while (!ends) {
      ASSERT_TRUE(store->sync());
      ++syncs;
    }
  });
  std::thread tender([&] {
    while (!ends) {
      store->tend();
      std::this_thread::yield();
    }
  });
  std::map<std::string, std::string> model;
  std::mt19937_64 chance(7);
  constexpr int kCommits = 3000;
  const std::int64_t before = store->statistics().journal_bytes;
  for (int i = 0; i < kCommits; ++i) {
    const auto transaction = store->begin().value();
    for (int k = 0; k < 4; ++k) {
      const std::string key = fmt::format("{:04}", chance() % 500);
      const auto found = transaction->get(table, key).value();
      const auto expected = model.find(key);
      ASSERT_EQ(found.has_value(), expected != model.end()) << key << " in commit " << i;
      if (found) {
        ASSERT_EQ(*found, expected->second);
      }
      if (found && chance() % 3 == 0) {
        model.erase(key);
        ASSERT_TRUE(transaction->erase(table, key));
      } else {
        const std::string value = std::to_string(i) + std::string(chance() % 400, 'v');
        model[key] = value;
        ASSERT_TRUE(transaction->put(table, key, value));
      }
    }
    ASSERT_TRUE(transaction->commit_ahead());
    // Not farther ahead than some commits.
    for (const std::int64_t seen = syncs; i % 10 == 9 && syncs == seen;) std::this_thread::yield();
    if (i % 500 == 499) {
      EXPECT_EQ(rows_of(*store, table), model);
    }
  }
  ends = true;
  syncer.join();
  tender.join();
  ASSERT_TRUE(store->sync());
  EXPECT_GE(syncs, kCommits / 10);
  // The log was used again and again.
  EXPECT_GT(store->statistics().journal_bytes - before, 4 * options.log.count);
  EXPECT_EQ(rows_of(*store, table), model);
  store->tidy();
  EXPECT_EQ(rows_of(*store, table), model);
  // Another program sees the same, now and after the owner's end.
  SqliteOptions reading;
  reading.read_only = true;
  auto reader = open_sqlite(path(), reading).value();
  const Table same = reader->table("rows").value();
  EXPECT_EQ(rows_of(*reader, same), model);
  store.reset();
  EXPECT_EQ(rows_of(*reader, same), model);
}

// A log that another thread copies does not grow without bound, though somebody writes all the time.
TEST_F(Ahead, TheLogThatIsCopiedBesideBeginsAnew) {
  SqliteOptions options;
  options.log = kib(256);
  auto store = open_sqlite(path(), options).value();
  const Table table = store->table("rows").value();
  for (int i = 0; i < 600; ++i) {
    const auto transaction = store->begin().value();
    ASSERT_TRUE(transaction->put(table, std::to_string(i % 10), std::string(20'000, 'x')));
    ASSERT_TRUE(transaction->commit_ahead());
    ASSERT_TRUE(store->sync());
    store->tend();
  }
  EXPECT_GT(store->statistics().journal_bytes, 12'000'000);
  EXPECT_LT(std::filesystem::file_size(path() + "-wal"), 2'500'000U);
}

// What does not fit is refused by the sync, not seen any more after recover(), and what was there stays.
TEST_F(Ahead, AFullDiskRefusesAtTheSync) {
  set_log_level(LogLevel::kError);
  SqliteOptions options;
  options.max_pages = 64;
  auto store = open_sqlite(path(), options).value();
  const Table table = store->table("rows").value();
  const auto put = [&](const std::string& key, std::size_t size) {
    const auto transaction = store->begin().value();
    ASSERT_TRUE(transaction->put(table, key, std::string(size, 'x')));
    ASSERT_TRUE(transaction->commit_ahead());
  };
  put("kept", 1000);
  ASSERT_TRUE(store->sync());
  put("small", 1000);
  put("big", 400'000);
  EXPECT_EQ(rows_of(*store, table).size(), 3U);
  EXPECT_EQ(store->sync().error().code(), ErrorCode::kExhausted);
  EXPECT_EQ(store->recover().error().code(), ErrorCode::kExhausted);
  EXPECT_EQ(rows_of(*store, table).size(), 1U);
  // What the journal has no room for beside what it has fits into the table.
  put("fits", 150'000);
  EXPECT_TRUE(store->sync());
  put("fits", 150'001);
  EXPECT_EQ(store->sync().error().code(), ErrorCode::kExhausted);
  EXPECT_TRUE(store->recover());
  put("more", 1000);
  EXPECT_TRUE(store->sync());
  store.reset();
  store = open_sqlite(path(), options).value();
  const auto rows = rows_of(*store, store->table("rows").value());
  EXPECT_EQ(rows.size(), 3U);
  EXPECT_EQ(rows.at("fits").size(), 150'001U);
}

// Rows wait to go into their tables when another connection has written and everything is read again.
TEST_F(Ahead, WhatWaitsForItsTableIsNotLostWhenAnotherWrites) {
  SqliteOptions options;
  options.recent = Bytes{1500};
  auto store = open_sqlite(path(), options).value();
  const Table table = store->table("rows").value();
  store->tend();  // from now on it is tended
  std::map<std::string, std::string> model;
  const auto put = [&model](Store& to, Table at, const std::string& key) {
    const auto transaction = to.begin().value();
    model[key] = std::string(500, 'v') + key;
    ASSERT_TRUE(transaction->put(at, key, model[key]));
    ASSERT_TRUE(transaction->commit_ahead());
    ASSERT_TRUE(to.sync());
  };
  for (int i = 0; i < 300; ++i) {
    put(*store, table, fmt::format("{:03}", i));
    if (i % 7 == 5) {
      auto other = open_sqlite(path(), options).value();
      put(*other, other->table("rows").value(), fmt::format("other {:03}", i));
      EXPECT_EQ(rows_of(*store, table), model);
    }
    if (i % 7 > 4 || i % 7 == 0) store->tend();
    if (i % 25 == 24) {
      auto again = open_sqlite(path(), options).value();
      ASSERT_EQ(rows_of(*again, again->table("rows").value()), model) << "after commit " << i;
      EXPECT_EQ(rows_of(*store, table), model);
    }
  }
}

// A newer owner is noticed by the sync; nothing of the old one's is there.
TEST_F(Ahead, ANewerOwnerRefusesTheSync) {
  auto store = open_sqlite(path()).value();
  const Table table = store->table("rows").value();
  ASSERT_TRUE(store->acquire("owner"));
  auto transaction = store->begin().value();
  ASSERT_TRUE(transaction->put(table, "a", "old"));
  ASSERT_TRUE(transaction->commit_ahead());
  transaction.reset();
  auto newer = open_sqlite(path()).value();
  ASSERT_TRUE(newer->acquire("owner"));
  EXPECT_EQ(store->sync().error().code(), ErrorCode::kConflict);
  EXPECT_EQ(store->recover().error().code(), ErrorCode::kConflict);
  EXPECT_EQ(store->begin().error().code(), ErrorCode::kConflict);
  EXPECT_TRUE(rows_of(*newer, newer->table("rows").value()).empty());
}

}  // namespace
}  // namespace nuraghe::store
