// What SQLite's store does when the file system refuses a write (no room, an error) or a sync: at every place of a run.
// A refused commit leaves no trace and can be repeated when there is room again; after any other error the store is
// closed, and the next one finds the commit done or not. Nothing that was acknowledged is lost, also when the power
// fails later.
#include <fmt/format.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <map>
#include <random>

#include "base/log.hpp"
#include "store/sqlite.hpp"
#include "store/volatile_disk.hpp"

namespace nuraghe::store {
namespace {

using Access = VolatileDisk::Access;
using Answer = VolatileDisk::Answer;
using Rows = std::map<std::string, std::string>;

constexpr int kTransactions = 14;

struct Fault {
  const char* name;
  Access access;
  Answer answer;
  bool stays;  // until there is room again
};

struct Case {
  const char* name;
  Fault fault;
  Bytes recent;  // SqliteOptions::recent
  bool ahead;    // commits are synced beside
};

// Rows that come, change and go; large enough for the log to grow and for several pieces of it.
Rows apply(int number, Rows rows) {
  rows[fmt::format("new-{:02}", number)] = std::string(static_cast<std::size_t>(200 + 997 * (number % 5)), 'x');
  rows["same"] = fmt::format("{}", number);
  if (number >= 2) rows.erase(fmt::format("new-{:02}", number - 2));
  return rows;
}

Status change(Transaction& transaction, Table table, const Rows& from, const Rows& to) {
  for (const auto& [key, value] : from) {
    if (!to.contains(key)) TRY(transaction.erase(table, key));
  }
  for (const auto& [key, value] : to) {
    const auto old = from.find(key);
    if (old == from.end() || old->second != value) TRY(transaction.put(table, key, value));
  }
  return {};
}

std::string last_of(const Rows& rows) { return rows.contains("same") ? rows.at("same") : "none"; }

class Life {
 public:
  // The fault comes at the access of that number.
  Life(const Case& kind, std::int64_t at) : kind_(kind), at_(at), chance_(static_cast<std::uint64_t>(at)) {
    disk_.on_access([this](Access access) {
      if (access != kind_.fault.access) return Answer::kDone;
      const bool is_time = ++passed_ == at_ || (kind_.fault.stays && passed_ > at_ && !room_made_);
      refused_ = refused_ || is_time;
      return is_time ? kind_.fault.answer : Answer::kDone;
    });
    open();
  }

  void go() {
    for (int number = 0; number < kTransactions; ++number) {
      if (!step(number)) {
        // Another try, when there is room.
        room_made_ = true;
        ASSERT_TRUE(step(number)) << number << ": " << last_.to_string();
      }
      if (::testing::Test::HasFatalFailure()) return;
      if (kind_.ahead && number % 3 == 2) sync();
      if (number % 5 == 4 && store_) store_->tidy();
    }
    if (kind_.ahead) sync();
    look(2);
    ASSERT_EQ(possible_.size(), 1U);
  }

  bool refused() const { return refused_; }

 private:
  void open() {
    SqliteOptions options;
    options.vfs = disk_.name();
    options.recent = kind_.recent;
    for (int tries = 0;; ++tries) {
      ASSERT_LT(tries, 2) << last_.to_string();
      auto opened = open_sqlite("a.db", options);
      if (opened) {
        store_ = std::move(*opened);
        auto table = store_->table("rows");
        if (table) {
          table_ = *table;
          return;
        }
        last_ = table.error();
        store_.reset();
      } else {
        last_ = opened.error();
      }
      room_made_ = true;
    }
  }

  Rows found() {
    Rows rows;
    const auto transaction = store_->begin().value();
    const std::vector<Row> stored = transaction->scan(table_, "").value();
    for (const Row& row : stored) rows[row.key] = row.value;
    return rows;
  }

  // The store is opened again, after an orderly end (0), a kill (1) or a power cut (2); of what was possible one is the
  // case.
  void look(int how) {
    if (how != 0) disk_.fail();
    store_.reset();
    if (how == 1) disk_.restore([] { return true; });
    if (how == 2) disk_.restore([this] { return chance_() % 2 == 0; });
    room_made_ = true;
    open();
    if (::testing::Test::HasFatalFailure()) return;
    const Rows rows = found();
    ASSERT_TRUE(std::ranges::find(possible_, rows) != possible_.end())
        << "commit " << last_of(rows) << " instead of " << last_of(possible_.front()) << " to "
        << last_of(possible_.back()) << "; end " << how;
    possible_ = {rows};
  }

  int any_end() { return static_cast<int>(chance_() % 3); }

  void sync() {
    Status synced = store_->sync();
    if (!synced) synced = store_->recover();
    if (synced) {
      possible_ = {possible_.back()};
      return;
    }
    EXPECT_TRUE(refused_);
    if (synced.error().code() != ErrorCode::kExhausted) return look(any_end());
    // None of what was committed ahead happened.
    possible_ = {possible_.front()};
    EXPECT_TRUE(found() == possible_.front()) << "a refused commit is seen";
    room_made_ = true;
  }

  // False: it did not happen.
  bool step(int number) {
    const Rows before = possible_.back();
    // After a store was opened again, what was committed ahead may be gone.
    const Rows after = apply(number, before);
    auto transaction = store_->begin().value();
    EXPECT_TRUE(change(*transaction, table_, before, after));
    const Status committed = kind_.ahead ? transaction->commit_ahead() : transaction->commit();
    transaction.reset();
    if (committed) {
      if (!kind_.ahead) possible_.clear();
      possible_.push_back(after);
      return true;
    }
    last_ = committed.error();
    EXPECT_TRUE(refused_) << last_.to_string();
    if (last_.code() == ErrorCode::kExhausted) {
      EXPECT_TRUE(found() == before) << "a refused commit is seen";
      if (number % 2 == 0) look(any_end());
      return possible_.back() == after;
    }
    EXPECT_EQ(last_.code(), ErrorCode::kInternal) << last_.to_string();
    possible_.push_back(after);
    look(any_end());
    return possible_.back() == after;
  }

  const Case kind_;
  const std::int64_t at_;
  std::mt19937_64 chance_;
  VolatileDisk disk_;
  std::int64_t passed_ = 0;
  bool room_made_ = false, refused_ = false;
  Error last_{ErrorCode::kInternal, ""};
  std::unique_ptr<Store> store_;
  Table table_;
  // What the disk may hold: the last durable rows, then those of each commit after it.
  std::vector<Rows> possible_{{}};
};

class DiskFaults : public ::testing::TestWithParam<Case> {};

TEST_P(DiskFaults, NothingThatWasAcknowledgedIsLost) {
  set_log_level(LogLevel::kError);
  std::int64_t places = 0;
  for (std::int64_t at = 1;; ++at) {
    SCOPED_TRACE(fmt::format("refused at access {}", at));
    Life life(GetParam(), at);
    if (!HasFatalFailure()) life.go();
    if (HasFailure() || !life.refused()) break;
    places = at;
  }
  EXPECT_GT(places, GetParam().fault.access == Access::kSync ? 6 : 10);
}

// The file system may have forgotten what it could not write.
TEST(DiskFaultsTest, AFailedSyncIsNotMadeGoodByALaterOne) {
  VolatileDisk disk;
  SqliteOptions options;
  options.vfs = disk.name();
  auto store = open_sqlite("a.db", options).value();
  const Table table = store->table("rows").value();
  bool refuses = false;
  disk.on_access([&](Access access) { return refuses && access == Access::kSync ? Answer::kError : Answer::kDone; });
  auto transaction = store->begin().value();
  ASSERT_TRUE(transaction->put(table, "a", "1"));
  ASSERT_TRUE(transaction->commit_ahead());
  transaction.reset();
  refuses = true;
  EXPECT_FALSE(store->sync());
  refuses = false;
  EXPECT_FALSE(store->sync());
}

constexpr Fault kFull{"full", Access::kGrow, Answer::kFull, true};
constexpr Fault kWriteError{"write_error", Access::kWrite, Answer::kError, false};
constexpr Fault kSyncError{"sync_error", Access::kSync, Answer::kError, false};
constexpr Fault kSyncsFail{"syncs_fail", Access::kSync, Answer::kError, true};
constexpr Bytes kCollecting = mib(64);
constexpr Bytes kRipening{6'000};

INSTANTIATE_TEST_SUITE_P(Stores, DiskFaults,
                         ::testing::Values(Case{"full", kFull, kCollecting, false},
                                           Case{"full_ripening", kFull, kRipening, false},
                                           Case{"full_ahead", kFull, kCollecting, true},
                                           Case{"write_error", kWriteError, kCollecting, false},
                                           Case{"write_error_ripening_ahead", kWriteError, kRipening, true},
                                           Case{"sync_error", kSyncError, kCollecting, false},
                                           Case{"sync_error_ahead", kSyncError, kCollecting, true},
                                           Case{"syncs_fail_ripening", kSyncsFail, kRipening, false},
                                           Case{"syncs_fail_ripening_ahead", kSyncsFail, kRipening, true}),
                         [](const auto& each) { return std::string(each.param.name); });

}  // namespace
}  // namespace nuraghe::store
