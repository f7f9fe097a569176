// The contract suite: what every Store must do, run over each implementation, and beside it what is SQLite's alone: one
// suite over three disks is the reason for its length.
#include <fmt/format.h>
#include <gtest/gtest.h>
#include <rapidcheck/gtest.h>
#include <stdlib.h>
#include <sys/stat.h>

#include <functional>
#include <map>

#include "base/crash_point.hpp"
#include "env/posix.hpp"
#include "store/memory.hpp"
#include "store/postgres.hpp"
#include "store/postgres_connection.hpp"
#include "store/postgres_testing.hpp"
#include "store/sqlite.hpp"
#include "store/sqlite_connection.hpp"

namespace nuraghe::store {
namespace {

// One kind of disk on which stores are opened again and again.
class Disk {
 public:
  virtual ~Disk() = default;
  virtual std::unique_ptr<Store> open() = 0;
  // From the next open on, about so many bytes fit.
  virtual void limit(Bytes bytes) = 0;
};

class MemoryKind : public Disk {
 public:
  std::unique_ptr<Store> open() override { return open_memory(disk_); }
  void limit(Bytes bytes) override { set_memory_disk_limit(*disk_, bytes); }

 private:
  std::shared_ptr<MemoryDisk> disk_ = make_memory_disk();
};

class SqliteKind : public Disk {
 public:
  // `recent`: how much is collected before it goes into the tables.
  explicit SqliteKind(Bytes recent = SqliteOptions().recent) {
    options_.recent = recent;
    std::string pattern = ::testing::TempDir() + "store-XXXXXX";
    EXPECT_NE(::mkdtemp(pattern.data()), nullptr);
    directory_ = pattern;
  }
  ~SqliteKind() override { EXPECT_TRUE(env::remove_tree(directory_)); }
  SqliteKind(const SqliteKind&) = delete;
  SqliteKind& operator=(const SqliteKind&) = delete;
  std::string path() const { return directory_ + "/test.db"; }
  std::unique_ptr<Store> open() override {
    auto store = open_sqlite(path(), options_);
    EXPECT_TRUE(store) << store.error().to_string();
    return std::move(store).value();
  }
  void limit(Bytes bytes) override { options_.max_pages = bytes.count / 4096; }

 private:
  std::string directory_;
  SqliteOptions options_;
};

class PostgresKind : public Disk {
 public:
  PostgresKind() {
    const auto& server = testing::PostgresServer::instance();
    EXPECT_TRUE(server.running()) << server.problem();
    options_.schema = testing::PostgresServer::instance().new_schema();
    options_.durable = false;
  }
  ~PostgresKind() override { execute("DROP SCHEMA IF EXISTS " + options_.schema + " CASCADE"); }
  PostgresKind(const PostgresKind&) = delete;
  PostgresKind& operator=(const PostgresKind&) = delete;
  static void execute(const std::string& sql) {
    const Status done = [&]() -> Status {
      PgConnection connection;
      TRY(connection.connect(testing::PostgresServer::instance().connection(), "test", std::chrono::seconds(60)));
      TRY_ASSIGN(const PgResult result, connection.query(sql));
      return {};
    }();
    EXPECT_TRUE(done) << done.error().to_string() << "\n" << sql;
  }
  std::unique_ptr<Store> open() override {
    auto store = open_postgres(testing::PostgresServer::instance().connection(), options_);
    EXPECT_TRUE(store) << store.error().to_string();
    return std::move(store).value();
  }
  // The server itself refuses as it does when its disk is full.
  void limit(Bytes bytes) override {
    execute(fmt::format(R"(CREATE OR REPLACE FUNCTION {0}.check_size() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN
        IF (SELECT sum(length(key) + length(value)) FROM {0}.t_one) > {1} THEN
          RAISE EXCEPTION 'could not extend file' USING ERRCODE = 'disk_full'; END IF; RETURN NULL; END $$)",
                        options_.schema, bytes.count));
    execute(
        fmt::format("CREATE OR REPLACE TRIGGER size AFTER INSERT OR UPDATE ON {0}.t_one EXECUTE FUNCTION"
                    " {0}.check_size()",
                    options_.schema));
  }

 private:
  PostgresOptions options_;
};

using MakeDisk = std::function<std::unique_ptr<Disk>()>;

class StoreContract : public ::testing::TestWithParam<std::pair<const char*, MakeDisk>> {
 protected:
  void SetUp() override {
    disk_ = GetParam().second();
    reopen();
  }
  // Dropping the store without a commit is the crash: only what was committed may be seen afterwards.
  void reopen() {
    store_.reset();
    store_ = disk_->open();
    one_ = store_->table("one").value();
    two_ = store_->table("two").value();
  }
  std::unique_ptr<Transaction> begin() { return store_->begin().value(); }
  std::string read(Table table, std::string_view key) { return begin()->get(table, key).value().value_or("(none)"); }
  void write(Table table, std::string_view key, std::string_view value) {
    auto transaction = begin();
    ASSERT_TRUE(transaction->put(table, key, value));
    ASSERT_TRUE(transaction->commit());
  }
  static std::string keys(const std::vector<Row>& rows) {
    std::string text;
    for (const Row& row : rows) text += row.key + "=" + row.value + " ";
    return text;
  }

  std::unique_ptr<Disk> disk_;
  std::unique_ptr<Store> store_;
  Table one_, two_;
};

TEST_P(StoreContract, WhatWasCommittedIsThere) {
  auto transaction = begin();
  EXPECT_FALSE(transaction->has_writes());
  EXPECT_EQ(transaction->get(one_, "a").value(), std::nullopt);
  ASSERT_TRUE(transaction->put(one_, "a", "1"));
  ASSERT_TRUE(transaction->put(two_, "a", "2"));
  ASSERT_TRUE(transaction->put(one_, "a", "3"));
  ASSERT_TRUE(transaction->put(one_, "b", ""));
  EXPECT_TRUE(transaction->has_writes());
  EXPECT_EQ(transaction->get(one_, "a").value(), "3");
  ASSERT_TRUE(transaction->erase(two_, "none"));
  ASSERT_TRUE(transaction->commit());
  transaction.reset();
  reopen();
  EXPECT_EQ(read(one_, "a"), "3");
  EXPECT_EQ(read(two_, "a"), "2");
  EXPECT_EQ(read(one_, "b"), "");
}

TEST_P(StoreContract, WhatWasNotCommittedIsNot) {
  write(one_, "a", "1");
  auto transaction = begin();
  ASSERT_TRUE(transaction->put(one_, "a", "2"));
  ASSERT_TRUE(transaction->put(one_, "b", "2"));
  transaction.reset();
  EXPECT_EQ(read(one_, "a"), "1");
  EXPECT_EQ(read(one_, "b"), "(none)");
  transaction = begin();
  ASSERT_TRUE(transaction->erase(one_, "a"));
  EXPECT_EQ(transaction->get(one_, "a").value(), std::nullopt);
  transaction.reset();
  reopen();
  EXPECT_EQ(read(one_, "a"), "1");
}

TEST_P(StoreContract, KeysAndValuesAreAnyBytes) {
  std::string all;
  for (int i = 0; i < 256; ++i) all.push_back(static_cast<char>(i));
  const std::vector<std::string> samples = {"",  std::string(1, '\0'),        std::string(2, '\0'), "\xff", "\xff\xff",
                                            all, std::string(100'000, '\x80')};
  for (const auto& sample : samples) write(one_, sample, sample);
  reopen();
  for (const auto& sample : samples) EXPECT_EQ(read(one_, sample), sample);
  auto rows = begin()->scan(one_, "").value();
  std::vector<std::string> sorted = samples;
  std::sort(sorted.begin(), sorted.end(), [](const std::string& a, const std::string& b) {
    return std::lexicographical_compare(a.begin(), a.end(), b.begin(), b.end(), [](char x, char y) {
      return static_cast<unsigned char>(x) < static_cast<unsigned char>(y);
    });
  });
  ASSERT_EQ(rows.size(), sorted.size());
  for (std::size_t i = 0; i < rows.size(); ++i) EXPECT_EQ(rows[i].key, sorted[i]);
}

TEST_P(StoreContract, ScansSeeStoredAndBufferedRowsInOrder) {
  for (const char* key : {"a/1", "a/3", "a/5", "b/1", "a"}) write(one_, key, "old");
  auto transaction = begin();
  EXPECT_EQ(keys(transaction->scan(one_, "a/").value()), "a/1=old a/3=old a/5=old ");
  ASSERT_TRUE(transaction->put(one_, "a/2", "new"));
  ASSERT_TRUE(transaction->put(one_, "a/3", "new"));
  ASSERT_TRUE(transaction->erase(one_, "a/5"));
  ASSERT_TRUE(transaction->put(one_, "a/6", "new"));
  ASSERT_TRUE(transaction->put(one_, "b/0", "new"));
  EXPECT_EQ(keys(transaction->scan(one_, "a/").value()), "a/1=old a/2=new a/3=new a/6=new ");
  EXPECT_EQ(keys(transaction->scan(one_, "a/", "a/2").value()), "a/3=new a/6=new ");
  EXPECT_EQ(keys(transaction->scan(one_, "a/", "a/2", 1).value()), "a/3=new ");
  EXPECT_EQ(keys(transaction->scan(one_, "a/", "a/2a").value()), "a/3=new a/6=new ");
  EXPECT_EQ(keys(transaction->scan(one_, "a/", "a/6").value()), "");
  EXPECT_EQ(keys(transaction->scan(one_, "", "b/0").value()), "b/1=old ");
  EXPECT_EQ(transaction->scan(one_, "a/", {}, 0).value().size(), 0U);
  EXPECT_EQ(keys(transaction->scan(one_, "c").value()), "");
  ASSERT_TRUE(transaction->commit());
  transaction.reset();
  EXPECT_EQ(keys(begin()->scan(one_, "").value()), "a=old a/1=old a/2=new a/3=new a/6=new b/0=new b/1=old ");
}

TEST_P(StoreContract, PrefixesAreErasedWhole) {
  auto transaction = begin();
  for (int i = 0; i < 700; ++i) ASSERT_TRUE(transaction->put(one_, fmt::format("p{:04}", i), "v"));
  ASSERT_TRUE(transaction->put(one_, "o", "v"));
  ASSERT_TRUE(transaction->put(one_, "q", "v"));
  ASSERT_TRUE(transaction->commit());
  transaction = begin();
  for (int i = 700; i < 1400; ++i) ASSERT_TRUE(transaction->put(one_, fmt::format("p{:04}", i), "v"));
  ASSERT_TRUE(transaction->erase_prefix(one_, "p"));
  EXPECT_EQ(keys(transaction->scan(one_, "").value()), "o=v q=v ");
  ASSERT_TRUE(transaction->commit());
  transaction.reset();
  reopen();
  EXPECT_EQ(keys(begin()->scan(one_, "").value()), "o=v q=v ");
}

TEST_P(StoreContract, AMarkUndoesWhatCameAfterIt) {
  write(one_, "stored", "old");
  auto transaction = begin();
  ASSERT_TRUE(transaction->put(one_, "before", "1"));
  ASSERT_TRUE(transaction->mark());
  ASSERT_TRUE(transaction->put(one_, "before", "2"));
  ASSERT_TRUE(transaction->put(one_, "after", "2"));
  ASSERT_TRUE(transaction->erase(one_, "stored"));
  ASSERT_TRUE(transaction->put(one_, "after", "3"));
  ASSERT_TRUE(transaction->rollback_to_mark());
  EXPECT_EQ(keys(transaction->scan(one_, "").value()), "before=1 stored=old ");
  ASSERT_TRUE(transaction->put(one_, "more", "4"));
  ASSERT_TRUE(transaction->mark());
  ASSERT_TRUE(transaction->put(one_, "more", "5"));
  ASSERT_TRUE(transaction->rollback_to_mark());
  ASSERT_TRUE(transaction->rollback_to_mark());  // nothing changed since: nothing to undo
  ASSERT_TRUE(transaction->commit());
  transaction.reset();
  reopen();
  EXPECT_EQ(keys(begin()->scan(one_, "").value()), "before=1 more=4 stored=old ");
}

// What insert() promises is the caller's to keep: whoever breaks it where a store sees it, is stopped.
TEST_P(StoreContract, AnInsertedRowIsNew) {
  auto transaction = begin();
  ASSERT_TRUE(transaction->insert(one_, "a", "1"));
  EXPECT_DEATH(static_cast<void>(transaction->insert(one_, "a", "2")), "CHECK");
  ASSERT_TRUE(transaction->erase(one_, "a"));
  ASSERT_TRUE(transaction->insert(one_, "a", "3"));
  ASSERT_TRUE(transaction->put(one_, "b", "1"));
  ASSERT_TRUE(transaction->commit());
  transaction = begin();
  ASSERT_TRUE(transaction->erase(one_, "b"));
  ASSERT_TRUE(transaction->insert(one_, "b", "2"));
  ASSERT_TRUE(transaction->commit());
  transaction.reset();
  reopen();
  EXPECT_EQ(read(one_, "a"), "3");
  EXPECT_EQ(read(one_, "b"), "2");
}

// SQLite looks among the rows in memory, which are all here.
TEST(Insert, OverACommittedRowIsStopped) {
  const std::vector<std::unique_ptr<Disk>> disks = [] {
    std::vector<std::unique_ptr<Disk>> both;
    both.push_back(std::make_unique<MemoryKind>());
    both.push_back(std::make_unique<SqliteKind>());
    return both;
  }();
  for (const auto& disk : disks) {
    auto store = disk->open();
    const Table table = store->table("one").value();
    auto transaction = store->begin().value();
    ASSERT_TRUE(transaction->put(table, "a", "1"));
    ASSERT_TRUE(transaction->commit());
    transaction = store->begin().value();
    ASSERT_TRUE(transaction->insert(table, "a", "2"));
    EXPECT_DEATH(static_cast<void>(transaction->commit()), "CHECK");
  }
}

TEST_P(StoreContract, AllUndoneIsNoCommit) {
  const Statistics before = store_->statistics();
  auto transaction = begin();
  ASSERT_TRUE(transaction->mark());
  ASSERT_TRUE(transaction->put(one_, "a", "1"));
  ASSERT_TRUE(transaction->rollback_to_mark());
  EXPECT_FALSE(transaction->has_writes());
  arm_crash_point(0);
  ASSERT_TRUE(transaction->commit());
  EXPECT_EQ(crash_points_passed(), 0U);
  EXPECT_EQ(store_->statistics().commits, before.commits);
}

TEST_P(StoreContract, StatisticsAndCrashPointsCountCommitsWithWrites) {
  const Statistics before = store_->statistics();
  arm_crash_point(0);
  auto transaction = begin();
  ASSERT_TRUE(transaction->get(one_, "a"));
  ASSERT_TRUE(transaction->commit());
  EXPECT_EQ(crash_points_passed(), 0U);
  transaction = begin();
  ASSERT_TRUE(transaction->put(one_, "key", "value"));
  ASSERT_TRUE(transaction->erase(one_, "other"));
  ASSERT_TRUE(transaction->commit());
  EXPECT_EQ(crash_points_passed(), 2U);
  const Statistics after = store_->statistics();
  EXPECT_EQ(after.commits - before.commits, 1);
  EXPECT_EQ(after.rows_written - before.rows_written, 2);
  EXPECT_EQ(after.bytes_written - before.bytes_written, 13);
  EXPECT_GE(after.journal_bytes - before.journal_bytes, 13);
}

TEST_P(StoreContract, ANewOwnerFencesTheOldOneOut) {
  auto old_store = disk_->open();
  const Table old_one = old_store->table("one").value();
  const std::int64_t first = old_store->acquire("control").value();
  auto running = old_store->begin().value();
  ASSERT_TRUE(running->put(old_one, "a", "old"));
  EXPECT_EQ(store_->acquire("control").value(), first + 1);
  EXPECT_EQ(running->commit().error().code(), ErrorCode::kConflict);
  running.reset();
  EXPECT_EQ(old_store->begin().error().code(), ErrorCode::kConflict);
  write(one_, "a", "new");
  EXPECT_EQ(read(one_, "a"), "new");
  EXPECT_EQ(store_->acquire("other").value(), 1);
  old_store.reset();
  reopen();
  EXPECT_EQ(store_->acquire("control").value(), first + 2);
}

TEST_P(StoreContract, AnotherWriterInBetweenMakesTheTransactionRepeat) {
  auto other = disk_->open();
  const Table other_one = other->table("one").value();
  ASSERT_TRUE(other->acquire("other"));
  ASSERT_TRUE(store_->acquire("control"));
  auto slow = begin();
  ASSERT_TRUE(slow->put(one_, "a", "slow"));
  auto quick = other->begin().value();
  ASSERT_TRUE(quick->put(other_one, "b", "quick"));
  ASSERT_TRUE(quick->commit());
  quick.reset();
  EXPECT_EQ(slow->commit().error().code(), ErrorCode::kUnavailable);
  slow.reset();
  write(one_, "a", "again");
  EXPECT_EQ(read(one_, "b"), "quick");
}

TEST_P(StoreContract, AFullDiskRefusesTheCommitAndKeepsTheRest) {
  write(one_, "kept", "value");
  disk_->limit(kib(128));
  reopen();
  auto transaction = begin();
  ASSERT_TRUE(transaction->put(one_, "big", std::string(400'000, 'x')));
  ASSERT_TRUE(transaction->put(one_, "kept", "changed"));
  EXPECT_EQ(transaction->commit().error().code(), ErrorCode::kExhausted);
  transaction.reset();
  EXPECT_EQ(read(one_, "kept"), "value");
  EXPECT_EQ(read(one_, "big"), "(none)");
  write(one_, "small", "fits");
  disk_->limit(mib(64));
  reopen();
  EXPECT_EQ(read(one_, "small"), "fits");
  write(one_, "big", std::string(400'000, 'x'));
}

// Room is made on a full disk by erasing, which must not need room itself.
TEST_P(StoreContract, AFullDiskCanBeEmptied) {
  disk_->limit(kib(256));
  reopen();
  int written = 0;
  for (; written < 1000; ++written) {
    auto transaction = begin();
    ASSERT_TRUE(transaction->put(one_, fmt::format("{:04}", written), std::string(3000, 'x')));
    const Status committed = transaction->commit();
    if (committed) continue;
    ASSERT_EQ(committed.error().code(), ErrorCode::kExhausted);
    break;
  }
  ASSERT_GT(written, 10);
  ASSERT_LT(written, 1000);
  EXPECT_EQ(begin()->scan(one_, "").value().size(), static_cast<std::size_t>(written));
  for (int i = 0; i < written; ++i) {
    auto transaction = begin();
    ASSERT_TRUE(transaction->erase(one_, fmt::format("{:04}", i)));
    const Status erased = transaction->commit();
    ASSERT_TRUE(erased) << i << " of " << written << ": " << erased.error().to_string();
  }
  write(one_, "again", std::string(3000, 'y'));
  reopen();
  EXPECT_EQ(begin()->scan(one_, "").value().size(), 1U);
}

TEST_P(StoreContract, TablesHaveProperNames) {
  EXPECT_EQ(store_->table("one").value().index, one_.index);
  for (const char* name : {"", "Upper", "a-b", "a;drop"}) {
    EXPECT_EQ(store_->table(name).error().code(), ErrorCode::kInvalid);
  }
  auto transaction = begin();
  EXPECT_EQ(store_->table("late").error().code(), ErrorCode::kConflict);
}

// Against a model: two std::maps, one as of the last commit, one as of now.
TEST_P(StoreContract, BehavesAsAMap) {
  const bool holds = rc::check("store = map", [this](const std::vector<std::tuple<int, int, int>>& steps) {
    disk_ = GetParam().second();
    reopen();
    using Model = std::map<std::string, std::string>;
    Model committed, now, marked;
    auto transaction = begin();
    RC_ASSERT(transaction->mark());
    const auto key_of = [](int k) { return fmt::format("{:02}", std::abs(k % 20)); };
    for (const auto& [kind, key, value] : steps) {
      switch (std::abs(kind % 10)) {
        case 0:
        case 1:
        case 2:
          RC_ASSERT(transaction->put(one_, key_of(key), std::to_string(value)));
          now[key_of(key)] = std::to_string(value);
          break;
        case 3:
          RC_ASSERT(transaction->erase(one_, key_of(key)));
          now.erase(key_of(key));
          break;
        case 4: {
          const std::string prefix = std::to_string(std::abs(key % 2));
          RC_ASSERT(transaction->erase_prefix(one_, prefix));
          std::erase_if(now, [&](const auto& row) { return row.first.starts_with(prefix); });
          break;
        }
        case 5:
          RC_ASSERT(transaction->mark());
          marked = now;
          break;
        case 6:
          RC_ASSERT(transaction->rollback_to_mark());
          now = marked;
          break;
        case 7:
          RC_ASSERT(transaction->commit());
          committed = now;
          [[fallthrough]];
        case 8:
          transaction.reset();
          if (value % 2 == 0) reopen();
          transaction = begin();
          RC_ASSERT(transaction->mark());
          now = marked = committed;
          break;
        default: {
          const auto rows = transaction->scan(one_, "", key_of(key), 3).value();
          auto expected = now.upper_bound(key_of(key));
          for (const Row& row : rows) {
            RC_ASSERT(expected != now.end());
            RC_ASSERT(row.key == expected->first && row.value == expected->second);
            ++expected;
          }
          RC_ASSERT(rows.size() == 3 || expected == now.end());
        }
      }
      const auto found = now.find(key_of(key));
      RC_ASSERT(transaction->get(one_, key_of(key)).value().value_or("-") ==
                (found == now.end() ? "-" : found->second));
    }
    transaction.reset();
    reopen();
    const auto rows = begin()->scan(one_, "").value();
    RC_ASSERT(rows.size() == committed.size());
    for (const Row& row : rows) RC_ASSERT(committed.at(row.key) == row.value);
  });
  EXPECT_TRUE(holds);
}

INSTANTIATE_TEST_SUITE_P(Every, StoreContract,
                         ::testing::Values(std::make_pair("memory", [] { return std::make_unique<MemoryKind>(); }),
                                           std::make_pair("sqlite", [] { return std::make_unique<SqliteKind>(); }),
                                           // Every commit carries older changes into the tables.
                                           std::make_pair("sqlite_ripening",
                                                          [] { return std::make_unique<SqliteKind>(Bytes{200}); }),
                                           std::make_pair("postgres", [] { return std::make_unique<PostgresKind>(); })),
                         [](const auto& kind) { return std::string(kind.param.first); });

void execute(const std::string& path, const std::string& sql) {
  Connection connection;
  ASSERT_TRUE(connection.open(path, SQLITE_OPEN_READWRITE | SQLITE_OPEN_CREATE));
  ASSERT_TRUE(connection.execute(sql));
}

TEST(Sqlite, TheFileIsItsOwnersAlone) {
  SqliteKind disk;
  auto store = disk.open();
  for (const char* suffix : {"", "-wal", "-shm", "-log0", "-log1"}) {
    struct stat info {};
    ASSERT_EQ(::stat((disk.path() + suffix).c_str(), &info), 0) << suffix;
    EXPECT_EQ(info.st_mode & 0777, 0600U) << suffix;
  }
}

TEST(Sqlite, ForeignAndDamagedFilesAreRefused) {
  SqliteKind disk;
  ASSERT_TRUE(env::write_file_durably(disk.path(), std::string(8192, 'x')));
  EXPECT_EQ(open_sqlite(disk.path()).error().code(), ErrorCode::kCorrupt);
  ASSERT_TRUE(env::remove_tree(disk.path()));
  execute(disk.path(), "CREATE TABLE t (x)");
  EXPECT_EQ(open_sqlite(disk.path()).error().code(), ErrorCode::kCorrupt);
  EXPECT_EQ(open_sqlite("/no/such/folder/a.db").error().code(), ErrorCode::kNotFound);
}

TEST(Sqlite, ANewerFormatIsRefused) {
  SqliteKind disk;
  disk.open().reset();
  execute(disk.path(), "UPDATE meta SET value = 99 WHERE name = 'format'");
  const auto store = open_sqlite(disk.path());
  ASSERT_FALSE(store);
  EXPECT_EQ(store.error().code(), ErrorCode::kConflict);
  EXPECT_NE(store.error().message().find("99"), std::string::npos);
}

TEST(Sqlite, AReaderSeesCommittedRowsAndChangesNothing) {
  SqliteKind disk;
  auto writer = disk.open();
  const Table table = writer->table("one").value();
  auto transaction = writer->begin().value();
  ASSERT_TRUE(transaction->put(table, "a", "1"));
  ASSERT_TRUE(transaction->commit());
  transaction = writer->begin().value();
  ASSERT_TRUE(transaction->put(table, "a", "2"));
  SqliteOptions options;
  options.read_only = true;
  auto reader = open_sqlite(disk.path(), options).value();
  const Table read_table = reader->table("one").value();
  EXPECT_EQ(reader->table("two").error().code(), ErrorCode::kNotFound);
  auto snapshot = reader->begin().value();
  EXPECT_EQ(snapshot->get(read_table, "a").value(), "1");
  ASSERT_TRUE(transaction->commit());
  EXPECT_EQ(snapshot->get(read_table, "a").value(), "1");
  EXPECT_EQ(snapshot->put(read_table, "a", "3").error().code(), ErrorCode::kDenied);
  snapshot = nullptr;
  EXPECT_EQ(reader->begin().value()->get(read_table, "a").value(), "2");
  EXPECT_EQ(reader->acquire("x").error().code(), ErrorCode::kDenied);
}

TEST(Sqlite, TheLogIsCopiedBackAndUsedAgain) {
  SqliteKind disk;
  auto store = disk.open();
  const Table table = store->table("one").value();
  for (int round = 0; round < 300; ++round) {
    auto transaction = store->begin().value();
    for (int i = 0; i < 10; ++i)
      ASSERT_TRUE(
          transaction->put(table, std::to_string(i), std::string(100'000, static_cast<char>('a' + round % 26))));
    ASSERT_TRUE(transaction->commit());
  }
  EXPECT_GT(store->statistics().journal_bytes, 300'000'000);
  struct stat info {};
  ASSERT_EQ(::stat((disk.path() + "-wal").c_str(), &info), 0);
  EXPECT_LT(info.st_size, 180'000'000);
}

std::int64_t query(const std::string& path, const std::string& sql) {
  Connection connection;
  EXPECT_TRUE(connection.open(path, SQLITE_OPEN_READONLY));
  return connection.query_number(sql).value();
}
std::int64_t count(const std::string& path, const std::string& table) {
  return query(path, "SELECT count(*) FROM " + table);
}
std::int64_t applied(const std::string& path) { return query(path, "SELECT value FROM meta WHERE name = 'applied'"); }

TEST(Sqlite, RowsGoFromTheJournalIntoTheirTables) {
  SqliteKind disk(kib(64));
  auto store = disk.open();
  const Table table = store->table("one").value();
  const auto write = [&](int from, int to) {
    auto transaction = store->begin().value();
    for (int i = from; i < to; ++i) ASSERT_TRUE(transaction->insert(table, fmt::format("{:04}", i), "value"));
    // A row that came and went.
    ASSERT_TRUE(transaction->insert(table, "short", "life"));
    ASSERT_TRUE(transaction->commit());
    transaction = store->begin().value();
    ASSERT_TRUE(transaction->erase(table, "short"));
    ASSERT_TRUE(transaction->commit());
  };
  write(0, 100);
  EXPECT_EQ(count(disk.path(), "t_one"), 0);
  EXPECT_EQ(applied(disk.path()), 0);
  for (int i = 100; i < 2000; i += 100) write(i, i + 100);
  EXPECT_GT(count(disk.path(), "t_one"), 500);
  EXPECT_GT(applied(disk.path()), 0);
  store->tidy();
  EXPECT_EQ(count(disk.path(), "t_one"), 2000);
  EXPECT_EQ(applied(disk.path()), 40);
  auto transaction = store->begin().value();
  EXPECT_EQ(transaction->scan(table, "", "", 5000).value().size(), 2000U);
  EXPECT_EQ(transaction->get(table, "short").value(), std::nullopt);
}

// A database of an older format: its journal, if it has one, is a table.
void make_older(const std::string& path, int format) {
  execute(path, fmt::format("DELETE FROM meta WHERE name IN ('applied', 'parts');"
                            "UPDATE meta SET value = {} WHERE name = 'format'",
                            format));
  if (format == 2) execute(path, "CREATE TABLE journal (number INTEGER PRIMARY KEY, changes BLOB NOT NULL)");
}

TEST(Sqlite, OlderFormatsAreBroughtUpToDate) {
  for (const int format : {1, 2}) {
    SCOPED_TRACE(format);
    SqliteKind disk;
    auto store = disk.open();
    const Table table = store->table("one").value();
    auto transaction = store->begin().value();
    ASSERT_TRUE(transaction->put(table, "a", "1"));
    ASSERT_TRUE(transaction->put(table, "b", "1"));
    ASSERT_TRUE(transaction->commit());
    transaction.reset();
    store->tidy();
    store.reset();
    make_older(disk.path(), format);
    // Commits 7 and 8 as the older program left them: "b" = "2"; "a" erased, table two's "x" = "y".
    if (format == 2)
      execute(disk.path(),
              "INSERT INTO journal VALUES (7, x'030000006f6e6501000000010000006202000000' || x'32'),"
              "(8, x'030000006f6e650100000001000000610000000003000000' || x'74776f010000000100000078' ||"
              " x'0200000079')");
    SqliteOptions reader;
    reader.read_only = true;
    EXPECT_EQ(open_sqlite(disk.path(), reader).error().code(), ErrorCode::kConflict);
    for (int opened = 0; opened < 2; ++opened) {
      store = disk.open();
      const Table one = store->table("one").value();
      const Table two = store->table("two").value();
      transaction = store->begin().value();
      EXPECT_EQ(transaction->get(one, "b").value(), format == 2 ? "2" : "1");
      EXPECT_EQ(transaction->get(one, "a").value().has_value(), format == 1);
      EXPECT_EQ(transaction->get(two, "x").value().has_value(), format == 2);
      ASSERT_TRUE(transaction->put(one, "c", "3"));
      ASSERT_TRUE(transaction->commit());
      transaction.reset();
      EXPECT_EQ(count(disk.path(), "sqlite_master WHERE name = 'journal'"), 0);
    }
    EXPECT_EQ(store->begin().value()->get(table, "c").value(), "3");
    store.reset();
  }
}

TEST(Sqlite, ADamagedJournalIsRefused) {
  SqliteKind disk;
  disk.open().reset();
  make_older(disk.path(), 2);
  execute(disk.path(), "INSERT INTO journal VALUES (1, x'ff00000061')");
  EXPECT_EQ(open_sqlite(disk.path()).error().code(), ErrorCode::kCorrupt);
}

TEST(Sqlite, AnIdleStoreCopiesItsLog) {
  SqliteKind disk;
  auto store = disk.open();
  const Table table = store->table("one").value();
  const auto write = [&](std::size_t size) {
    auto transaction = store->begin().value();
    ASSERT_TRUE(transaction->put(table, "key", std::string(size, 'x')));
    ASSERT_TRUE(transaction->commit());
  };
  const auto size = [](const std::string& path) {
    struct stat info {};
    EXPECT_EQ(::stat(path.c_str(), &info), 0);
    return info.st_size;
  };
  write(8'000'000);
  EXPECT_LT(size(disk.path()), 1'000'000);
  store->tidy();
  EXPECT_GT(size(disk.path()), 8'000'000);
}

}  // namespace
}  // namespace nuraghe::store
