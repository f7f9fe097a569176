#include "store/wal_index.hpp"

#include <gtest/gtest.h>

#include <cstdlib>

#include "env/posix.hpp"
#include "store/volatile_disk.hpp"

namespace nuraghe::store {
namespace {

struct Folder {
  std::string path = ::testing::TempDir() + "wal-XXXXXX";
  Folder() { EXPECT_NE(::mkdtemp(path.data()), nullptr); }
  ~Folder() { EXPECT_TRUE(env::remove_tree(path)); }
  Folder(const Folder&) = delete;
  Folder& operator=(const Folder&) = delete;
};

// Two connections to one database, on a real disk or on one that is in memory.
class WalIndexTest : public ::testing::TestWithParam<bool> {
 protected:
  void SetUp() override {
    const std::string path = GetParam() ? "a.db" : folder_.path + "/a.db";
    for (Connection* connection : {&one_, &other_}) {
      ASSERT_TRUE(connection->open(path, SQLITE_OPEN_READWRITE | SQLITE_OPEN_CREATE, GetParam() ? disk_.name() : ""));
      ASSERT_TRUE(connection->execute("PRAGMA journal_mode = WAL; CREATE TABLE IF NOT EXISTS t (n)"));
    }
    index_.open(one_);
  }
  Folder folder_;
  VolatileDisk disk_;
  Connection one_;
  Connection other_;
  WalIndex index_;
};

TEST_P(WalIndexTest, ItsHeaderChangesWithEveryCommitOfAnybody) {
  auto last = index_.header();
  ASSERT_TRUE(last);
  for (Connection* connection : {&other_, &one_, &other_, &other_}) {
    EXPECT_EQ(index_.header(), last);
    ASSERT_TRUE(connection->execute("INSERT INTO t VALUES (1)"));
    const auto now = index_.header();
    ASSERT_TRUE(now);
    EXPECT_NE(now, last);
    last = now;
  }
  // What is no commit changes nothing.
  ASSERT_TRUE(other_.execute("BEGIN IMMEDIATE; INSERT INTO t VALUES (1); ROLLBACK"));
  EXPECT_EQ(other_.query_number("SELECT count(*) FROM t").value(), 4);
  EXPECT_EQ(index_.header(), last);
}

TEST_P(WalIndexTest, ItChangesWhenTheLogBeginsAnew) {
  ASSERT_TRUE(other_.execute("INSERT INTO t VALUES (1); PRAGMA wal_checkpoint(TRUNCATE)"));
  const auto emptied = index_.header();
  ASSERT_TRUE(other_.execute("INSERT INTO t VALUES (1)"));
  EXPECT_NE(index_.header(), emptied);
}

// As a writer that was killed while it wrote the header.
TEST_P(WalIndexTest, CopiesThatDifferAreNoHeader) {
  sqlite3_file* file = nullptr;
  ASSERT_EQ(sqlite3_file_control(one_.handle(), "main", SQLITE_FCNTL_FILE_POINTER, static_cast<void*>(&file)),
            SQLITE_OK);
  void volatile* region = nullptr;
  ASSERT_EQ(file->pMethods->xShmMap(file, 0, 32 * 1024, 0, &region), SQLITE_OK);
  ASSERT_TRUE(index_.header());
  auto* words = static_cast<volatile std::uint32_t*>(region);
  words[14] = words[14] + 1;
  EXPECT_FALSE(index_.header());
  // SQLite repairs it.
  ASSERT_TRUE(other_.execute("INSERT INTO t VALUES (1)"));
  EXPECT_TRUE(index_.header());
}

// The disk in memory has no locks: it is for one thread.
TEST(WalIndex, ItsLockKeepsWritersOffAndReadersNot) {
  const Folder folder;
  {
    Connection one;
    Connection other;
    for (Connection* connection : {&one, &other}) {
      ASSERT_TRUE(connection->open(folder.path + "/a.db", SQLITE_OPEN_READWRITE | SQLITE_OPEN_CREATE));
      ASSERT_TRUE(connection->execute("PRAGMA journal_mode = WAL; CREATE TABLE IF NOT EXISTS t (n)"));
    }
    WalIndex index;
    index.open(one);
    {
      const auto lock = index.try_lock();
      ASSERT_TRUE(lock);
      const Status refused = other.execute("INSERT INTO t VALUES (1)");
      ASSERT_FALSE(refused);
      EXPECT_EQ(refused.error().code(), ErrorCode::kUnavailable);
      EXPECT_EQ(other.query_number("SELECT count(*) FROM t").value(), 0);
    }
    ASSERT_TRUE(other.execute("BEGIN IMMEDIATE; INSERT INTO t VALUES (1)"));
    EXPECT_FALSE(index.try_lock());
    ASSERT_TRUE(other.execute("COMMIT"));
    EXPECT_TRUE(index.try_lock());
    ASSERT_TRUE(one.execute("INSERT INTO t VALUES (1)"));
  }
}

TEST(WalIndex, WithoutSharedMemoryThereIsNone) {
  Connection connection;
  ASSERT_TRUE(connection.open(":memory:", SQLITE_OPEN_READWRITE | SQLITE_OPEN_CREATE));
  ASSERT_TRUE(connection.execute("CREATE TABLE t (n)"));
  WalIndex index;
  index.open(connection);
  EXPECT_FALSE(index.header());
  EXPECT_FALSE(index.try_lock());
}

INSTANTIATE_TEST_SUITE_P(Disks, WalIndexTest, ::testing::Bool(),
                         [](const auto& one) { return one.param ? "InMemory" : "Real"; });

}  // namespace
}  // namespace nuraghe::store
