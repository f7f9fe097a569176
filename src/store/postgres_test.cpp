// What PostgreSQL adds to the contract: connections that break at any time, schemas, long keys, a disk that is full.
#include <fmt/format.h>
#include <gtest/gtest.h>
#include <poll.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include <atomic>
#include <condition_variable>
#include <mutex>
#include <random>
#include <thread>

#include "env/posix.hpp"
#include "store/postgres.hpp"
#include "store/postgres_connection.hpp"
#include "store/postgres_testing.hpp"

namespace nuraghe::store {
namespace {

using testing::PostgresServer;

// Passes connections on to the server. Armed, it breaks the one that speaks next, once it has sent all that it wants to
// be answered.
class Proxy {
 public:
  enum class Break {
    kNever,
    kBefore,  // the server gets nothing of it
    kAfter,   // the server has worked on it; its answer is lost
    kLater,   // the server gets it when release() is called
    kSilent,  // the server gets nothing of it, and the connection stays
  };
  Proxy() {
    std::string pattern = ::testing::TempDir() + "proxy-XXXXXX";
    EXPECT_NE(::mkdtemp(pattern.data()), nullptr);
    folder_ = pattern;
    listener_.reset(::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0));
    const sockaddr_un address = address_of(folder_ + "/.s.PGSQL.5432");
    EXPECT_EQ(::bind(listener_.get(), reinterpret_cast<const sockaddr*>(&address), sizeof address), 0);
    EXPECT_EQ(::listen(listener_.get(), 16), 0);
    wake_.reset(::eventfd(0, EFD_CLOEXEC));
    thread_ = std::thread([this] { run(); });
  }
  Proxy(const Proxy&) = delete;
  Proxy& operator=(const Proxy&) = delete;
  ~Proxy() {
    stop_ = true;
    wake();
    thread_.join();
    EXPECT_TRUE(env::remove_tree(folder_));
  }
  std::string connection() const { return "host=" + folder_ + " user=nuraghe dbname=postgres"; }
  void arm(Break kind) { armed_ = kind; }
  // From now on (not) to be reached.
  void refuse(bool refuses) { refuses_ = refuses; }
  // Lets the server have what kLater holds back; returns its answer.
  std::string release() {
    std::unique_lock lock(mutex_);
    release_ = true;
    wake();
    answered_.wait(lock, [this] { return !release_; });
    return answer_;
  }

 private:
  struct Link {
    env::UniqueFd client, server;
    std::string held;
    std::string answer;
    Break kind = Break::kNever;
  };
  static sockaddr_un address_of(const std::string& path) {
    sockaddr_un address{};
    address.sun_family = AF_UNIX;
    path.copy(address.sun_path, sizeof address.sun_path - 1);
    return address;
  }
  void wake() {
    const std::uint64_t one = 1;
    EXPECT_EQ(::write(wake_.get(), &one, sizeof one), static_cast<ssize_t>(sizeof one));
  }
  static void send_all(int fd, std::string_view bytes) {
    while (!bytes.empty()) {
      const ssize_t count = ::send(fd, bytes.data(), bytes.size(), MSG_NOSIGNAL);
      if (count <= 0) return;
      bytes.remove_prefix(static_cast<std::size_t>(count));
    }
  }
  // What there is; empty at the end.
  static std::string receive(int fd) {
    char buffer[65536];
    const ssize_t count = ::recv(fd, buffer, sizeof buffer, 0);
    return {buffer, count > 0 ? static_cast<std::size_t>(count) : 0};
  }
  void accept() {
    Link link;
    link.client.reset(::accept4(listener_.get(), nullptr, nullptr, SOCK_CLOEXEC));
    if (refuses_) return;
    link.server.reset(::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0));
    const sockaddr_un address = address_of(PostgresServer::instance().socket());
    EXPECT_EQ(::connect(link.server.get(), reinterpret_cast<const sockaddr*>(&address), sizeof address), 0);
    links_.push_back(std::move(link));
  }
  // Sync and ReadyForQuery: postgresql.org/docs/15/protocol-message-formats.html
  static bool ends_with_sync(std::string_view bytes) { return bytes.ends_with(std::string_view("S\0\0\0\4", 5)); }
  static bool ends_with_ready(std::string_view bytes) {
    return bytes.size() >= 6 && bytes.substr(bytes.size() - 6, 5) == std::string_view("Z\0\0\0\5", 5);
  }
  // Everything up to the server's next ReadyForQuery, or its end.
  static std::string whole_answer(int fd) {
    std::string answer;
    while (!ends_with_ready(answer)) {
      const std::string some = receive(fd);
      if (some.empty()) break;
      answer += some;
    }
    return answer;
  }
  void from_client(Link& link) {
    const std::string bytes = receive(link.client.get());
    if (bytes.empty()) {
      link.client.reset();
      link.server.reset();
      return;
    }
    if (link.kind == Break::kNever) link.kind = armed_.exchange(Break::kNever);
    if (link.kind == Break::kNever) return send_all(link.server.get(), bytes);
    link.held += bytes;
    if (!ends_with_sync(link.held) || link.kind == Break::kSilent) return;
    if (link.kind == Break::kBefore) link.server.reset();
    if (link.kind == Break::kAfter) {
      send_all(link.server.get(), link.held);
      EXPECT_NE(whole_answer(link.server.get()).find("COMMIT"), std::string::npos);
      link.server.reset();
    }
    link.client.reset();
  }
  void from_server(Link& link) {
    const std::string bytes = receive(link.server.get());
    if (!bytes.empty()) return send_all(link.client.get(), bytes);
    link.client.reset();
    link.server.reset();
  }
  void let_go() {
    const std::lock_guard lock(mutex_);
    if (!release_) return;
    for (Link& link : links_) {
      if (link.kind != Break::kLater || link.client.valid()) continue;
      send_all(link.server.get(), link.held);
      answer_ = whole_answer(link.server.get());
      link.server.reset();
    }
    release_ = false;
    answered_.notify_all();
  }
  void run() {
    while (!stop_) {
      std::vector<pollfd> all{{wake_.get(), POLLIN, 0}, {listener_.get(), POLLIN, 0}};
      for (const Link& link : links_) {
        all.push_back({link.client.get(), POLLIN, 0});  // poll passes over -1
        all.push_back({link.client.valid() ? link.server.get() : -1, POLLIN, 0});
      }
      if (::poll(all.data(), all.size(), -1) < 0) continue;
      for (std::size_t i = 0; i < links_.size(); ++i) {
        if (all[2 + 2 * i].revents != 0) from_client(links_[i]);
        if (all[3 + 2 * i].revents != 0 && links_[i].client.valid()) from_server(links_[i]);
      }
      if (all[1].revents != 0) accept();
      if (all[0].revents != 0) {
        std::uint64_t count = 0;
        EXPECT_EQ(::read(wake_.get(), &count, sizeof count), static_cast<ssize_t>(sizeof count));
        let_go();
      }
    }
  }

  std::string folder_;
  env::UniqueFd listener_, wake_;
  std::atomic<bool> stop_ = false, refuses_ = false;
  std::atomic<Break> armed_ = Break::kNever;
  std::vector<Link> links_;
  std::mutex mutex_;
  std::condition_variable answered_;
  bool release_ = false;
  std::string answer_;
  std::thread thread_;
};

class Postgres : public ::testing::Test {
 protected:
  void SetUp() override {
    const auto& server = PostgresServer::instance();
    ASSERT_TRUE(server.running()) << server.problem();
    options_.schema = PostgresServer::instance().new_schema();
    options_.durable = false;
    ASSERT_TRUE(admin_.connect(PostgresServer::instance().connection(), "test", std::chrono::seconds(60)));
  }
  void TearDown() override {
    store_.reset();
    if (admin_.usable()) sql("DROP SCHEMA IF EXISTS {0} CASCADE");
  }
  // With the schema's name for {0}.
  std::string sql(std::string_view text) {
    auto result = admin_.query(fmt::format(fmt::runtime(text), options_.schema));
    EXPECT_TRUE(result) << result.error().to_string() << "\n" << text;
    return result && result->rows() == 1 ? std::string(result->bytes(0, 0)) : std::string();
  }
  Result<std::unique_ptr<Store>> try_open(const std::string& connection = PostgresServer::instance().connection()) {
    return open_postgres(connection, options_);
  }
  void open(const std::string& connection = PostgresServer::instance().connection()) {
    auto store = try_open(connection);
    ASSERT_TRUE(store) << store.error().to_string();
    store_ = std::move(*store);
    one_ = store_->table("one").value();
  }
  Status write(std::string_view key, std::string_view value) {
    TRY_ASSIGN(const auto transaction, store_->begin());
    TRY(transaction->put(one_, key, value));
    return transaction->commit();
  }
  std::string read(std::string_view key) { return store_->begin().value()->get(one_, key).value().value_or("(none)"); }
  // Ends the sessions of the stores and returns when they are gone.
  void terminate() {
    sql("SELECT count(pg_terminate_backend(pid, 60000)) FROM pg_stat_activity WHERE application_name = 'nuraghe {0}'");
  }

  PostgresOptions options_;
  PgConnection admin_;
  std::unique_ptr<Store> store_;
  Table one_;
};

TEST_F(Postgres, ASessionThatEndsWithinATransactionMakesItRepeat) {
  open();
  ASSERT_TRUE(store_->acquire("control"));
  ASSERT_TRUE(write("a", "1"));
  auto transaction = store_->begin().value();
  ASSERT_TRUE(transaction->put(one_, "a", "2"));
  terminate();
  EXPECT_EQ(transaction->get(one_, "b").error().code(), ErrorCode::kUnavailable);
  EXPECT_EQ(transaction->commit().error().code(), ErrorCode::kUnavailable);
  transaction.reset();
  EXPECT_EQ(read("a"), "1");
  ASSERT_TRUE(write("a", "2"));
  // Nothing was read before the commit.
  transaction = store_->begin().value();
  ASSERT_TRUE(transaction->put(one_, "a", "3"));
  terminate();
  EXPECT_EQ(transaction->commit().error().code(), ErrorCode::kUnavailable);
  transaction.reset();
  EXPECT_EQ(read("a"), "2");
  // Between two transactions nobody is told.
  terminate();
  EXPECT_EQ(store_->begin().error().code(), ErrorCode::kUnavailable);
  EXPECT_EQ(read("a"), "2");
}

TEST_F(Postgres, AFailedReadMakesEvenACommitOfNothingFail) {
  open();
  auto transaction = store_->begin().value();
  terminate();
  EXPECT_EQ(transaction->get(one_, "a").error().code(), ErrorCode::kUnavailable);
  EXPECT_EQ(transaction->scan(one_, "").error().code(), ErrorCode::kUnavailable);
  EXPECT_EQ(transaction->commit().error().code(), ErrorCode::kUnavailable);
}

TEST_F(Postgres, ASessionThatEndsWithinTheCommitHasNotCommitted) {
  open();
  ASSERT_TRUE(store_->acquire("control"));
  ASSERT_TRUE(write("a", "1"));
  // At the very end: deferred triggers run within COMMIT.
  sql(R"(CREATE FUNCTION {0}.die() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN
        PERFORM pg_terminate_backend(pg_backend_pid()); PERFORM pg_sleep(60); RETURN NULL; END $$)");
  sql("CREATE CONSTRAINT TRIGGER die AFTER UPDATE ON {0}.t_one DEFERRABLE INITIALLY DEFERRED FOR EACH ROW"
      " EXECUTE FUNCTION {0}.die()");
  for (int round = 0; round < 3; ++round) {
    EXPECT_EQ(write("a", "2").error().code(), ErrorCode::kUnavailable);
    EXPECT_EQ(read("a"), "1");
  }
  EXPECT_EQ(store_->statistics().commits, 2);
  sql("DROP TRIGGER die ON {0}.t_one");
  ASSERT_TRUE(write("a", "2"));
  EXPECT_EQ(read("a"), "2");
}

TEST_F(Postgres, ACommitWhoseAnswerIsLostCountsAsDone) {
  Proxy proxy;
  open(proxy.connection());
  ASSERT_TRUE(store_->acquire("control"));
  for (int round = 0; round < 3; ++round) {
    const std::string value = std::to_string(round);
    auto transaction = store_->begin().value();
    ASSERT_TRUE(transaction->put(one_, "a", value));
    proxy.arm(Proxy::Break::kAfter);
    const Status committed = transaction->commit();
    ASSERT_TRUE(committed) << committed.error().to_string();
    transaction.reset();
    EXPECT_EQ(read("a"), value);
    EXPECT_EQ(store_->statistics().commits, 2 + round);
  }
}

TEST_F(Postgres, ACommitThatDidNotArriveIsNotDone) {
  Proxy proxy;
  open(proxy.connection());
  ASSERT_TRUE(store_->acquire("control"));
  ASSERT_TRUE(write("a", "1"));
  auto transaction = store_->begin().value();
  ASSERT_TRUE(transaction->put(one_, "a", "2"));
  proxy.arm(Proxy::Break::kBefore);
  EXPECT_EQ(transaction->commit().error().code(), ErrorCode::kUnavailable);
  transaction.reset();
  EXPECT_EQ(read("a"), "1");
  ASSERT_TRUE(write("a", "2"));
}

TEST_F(Postgres, ACommitWithoutAnyAnswerIsGivenUp) {
  Proxy proxy;
  options_.timeout = std::chrono::seconds(3);
  open(proxy.connection());
  auto transaction = store_->begin().value();
  ASSERT_TRUE(transaction->put(one_, "a", "1"));
  proxy.arm(Proxy::Break::kSilent);
  EXPECT_EQ(transaction->commit().error().code(), ErrorCode::kUnavailable);
  transaction.reset();
  EXPECT_EQ(read("a"), "(none)");
  ASSERT_TRUE(write("a", "2"));
}

TEST_F(Postgres, AWriterThatDoesNotEndMakesTheCommitRepeat) {
  options_.lock_timeout = std::chrono::milliseconds(50);
  open();
  ASSERT_TRUE(write("a", "1"));
  sql("BEGIN");
  sql("SELECT number FROM {0}.head FOR UPDATE");
  const Status committed = write("a", "2");
  EXPECT_EQ(committed.error().code(), ErrorCode::kUnavailable);
  EXPECT_NE(committed.error().message().find("55P03"), std::string::npos);
  sql("ROLLBACK");
  EXPECT_EQ(read("a"), "1");
  ASSERT_TRUE(write("a", "2"));
}

TEST_F(Postgres, ANewOwnerEndsAWriterThatStandsStill) {
  options_.lock_timeout = std::chrono::seconds(2);
  open();
  ASSERT_TRUE(store_->acquire("control"));
  // As one that was stopped within its commit.
  PgConnection still;
  ASSERT_TRUE(still.connect(PostgresServer::instance().connection(), "test", std::chrono::seconds(60)));
  ASSERT_TRUE(still.query("BEGIN"));
  ASSERT_TRUE(still.query("SELECT epoch FROM " + options_.schema + ".epochs FOR SHARE"));
  ASSERT_TRUE(still.query("UPDATE " + options_.schema + ".head SET number = number + 1"));
  // Reading is in nobody's way.
  auto reader = try_open().value();
  const Table table = reader->table("one").value();
  auto transaction = reader->begin().value();
  EXPECT_EQ(store_->acquire("control").value(), 2);
  EXPECT_EQ(still.query("COMMIT").error().code(), ErrorCode::kUnavailable);
  EXPECT_EQ(transaction->get(table, "a").value(), std::nullopt);
  ASSERT_TRUE(write("a", "1"));
}

TEST_F(Postgres, ACommitThatArrivesAfterItWasGivenUpIsRefused) {
  Proxy proxy;
  open(proxy.connection());
  ASSERT_TRUE(store_->acquire("control"));
  auto transaction = store_->begin().value();
  ASSERT_TRUE(transaction->put(one_, "a", "late"));
  proxy.arm(Proxy::Break::kLater);
  EXPECT_EQ(transaction->commit().error().code(), ErrorCode::kUnavailable);
  transaction.reset();
  EXPECT_EQ(read("a"), "(none)");
  const std::string answer = proxy.release();
  EXPECT_NE(answer.find("C40001"), std::string::npos);
  EXPECT_EQ(answer.find("COMMIT"), std::string::npos);
  EXPECT_EQ(read("a"), "(none)");
  ASSERT_TRUE(write("a", "again"));
  EXPECT_EQ(read("a"), "again");
}

TEST_F(Postgres, ACommitOfUnknownOutcomeIsLookedUpWhenTheServerIsBack) {
  Proxy proxy;
  open(proxy.connection());
  ASSERT_TRUE(store_->acquire("control"));
  const auto commit_alone = [&](Proxy::Break kind) {
    auto transaction = store_->begin().value();
    ASSERT_TRUE(transaction->put(one_, "a", "1"));
    proxy.arm(kind);
    proxy.refuse(true);
    EXPECT_EQ(transaction->commit().error().code(), ErrorCode::kUnavailable);
    transaction.reset();
    EXPECT_EQ(store_->begin().error().code(), ErrorCode::kUnavailable);
    proxy.refuse(false);
  };
  commit_alone(Proxy::Break::kBefore);
  EXPECT_EQ(read("a"), "(none)");
  ASSERT_TRUE(write("b", "1"));
  // It was done although its transaction counts as failed: this process must not go on.
  commit_alone(Proxy::Break::kAfter);
  for (int i = 0; i < 2; ++i) EXPECT_EQ(store_->begin().error().code(), ErrorCode::kConflict);
  open(proxy.connection());
  EXPECT_EQ(read("a"), "1");
}

TEST_F(Postgres, ANewOwnerFencesOutWhoHadLostTheConnection) {
  Proxy proxy;
  open(proxy.connection());
  const std::int64_t epoch = store_->acquire("control").value();
  auto transaction = store_->begin().value();
  ASSERT_TRUE(transaction->put(one_, "a", "old"));
  auto newer = try_open().value();
  EXPECT_EQ(newer->acquire("control").value(), epoch + 1);
  proxy.arm(Proxy::Break::kBefore);
  EXPECT_EQ(transaction->commit().error().code(), ErrorCode::kConflict);
  transaction.reset();
  EXPECT_EQ(store_->begin().error().code(), ErrorCode::kConflict);
}

TEST_F(Postgres, AnEpochThatIsRaisedByHandFencesToo) {
  open();
  ASSERT_TRUE(store_->acquire("control"));
  auto transaction = store_->begin().value();
  ASSERT_TRUE(transaction->put(one_, "a", "old"));
  sql("UPDATE {0}.epochs SET epoch = epoch + 1 WHERE owner = 'control'");
  EXPECT_EQ(transaction->commit().error().code(), ErrorCode::kConflict);
}

TEST_F(Postgres, ASnapshotIsTakenByBegin) {
  open();
  ASSERT_TRUE(write("a", "1"));
  auto reader = try_open().value();
  const Table table = reader->table("one").value();
  auto snapshot = reader->begin().value();
  ASSERT_TRUE(write("a", "2"));
  EXPECT_EQ(snapshot->get(table, "a").value(), "1");
}

TEST_F(Postgres, AReaderSeesCommittedRowsAndChangesNothing) {
  options_.read_only = true;
  EXPECT_EQ(try_open().error().code(), ErrorCode::kNotFound);
  options_.read_only = false;
  open();
  ASSERT_TRUE(write("a", "1"));
  options_.read_only = true;
  auto reader = try_open().value();
  const Table table = reader->table("one").value();
  EXPECT_EQ(reader->table("two").error().code(), ErrorCode::kNotFound);
  EXPECT_EQ(reader->acquire("x").error().code(), ErrorCode::kDenied);
  auto transaction = reader->begin().value();
  EXPECT_EQ(transaction->get(table, "a").value(), "1");
  EXPECT_EQ(transaction->put(table, "a", "2").error().code(), ErrorCode::kDenied);
}

// Keys that no index takes whole stand beside the others, in their order.
TEST_F(Postgres, LongKeysKeepTheirOrder) {
  open();
  std::mt19937_64 random(7);
  std::string noise;
  for (int i = 0; i < 20'000; ++i) noise.push_back(static_cast<char>(random()));
  const std::vector<std::string> keys{"k", "k" + noise.substr(0, 1999), "k" + noise.substr(0, 2000), "k" + noise, "l"};
  auto transaction = store_->begin().value();
  for (const auto& key : keys) ASSERT_TRUE(transaction->put(one_, key, std::to_string(key.size())));
  ASSERT_TRUE(transaction->commit());
  transaction = store_->begin().value();
  for (const auto& key : keys) EXPECT_EQ(transaction->get(one_, key).value(), std::to_string(key.size()));
  auto rows = transaction->scan(one_, "k").value();
  ASSERT_EQ(rows.size(), 4U);
  for (std::size_t i = 0; i < rows.size(); ++i) EXPECT_EQ(rows[i].key, keys[i]);
  rows = transaction->scan(one_, "k", keys[2], 1).value();
  ASSERT_EQ(rows.size(), 1U);
  EXPECT_EQ(rows[0].key, keys[3]);
  ASSERT_TRUE(transaction->put(one_, keys[3], "changed"));
  ASSERT_TRUE(transaction->erase(one_, keys[2]));
  ASSERT_TRUE(transaction->commit());
  transaction = store_->begin().value();
  EXPECT_EQ(transaction->get(one_, keys[3]).value(), "changed");
  EXPECT_EQ(transaction->scan(one_, "").value().size(), 4U);
  // Another table's are not seen.
  transaction.reset();
  const Table two = store_->table("two").value();
  EXPECT_EQ(store_->begin().value()->scan(two, "").value().size(), 0U);
}

TEST_F(Postgres, LargeTransactionsGoInPieces) {
  open();
  auto transaction = store_->begin().value();
  for (int i = 0; i < 12; ++i)
    ASSERT_TRUE(transaction->put(one_, fmt::format("{:02}", i), std::string(400'000, static_cast<char>('a' + i % 26))));
  ASSERT_TRUE(transaction->commit());
  transaction = store_->begin().value();
  const auto rows = transaction->scan(one_, "").value();
  ASSERT_EQ(rows.size(), 12U);
  for (std::size_t i = 0; i < rows.size(); ++i)
    EXPECT_EQ(rows[i].value, std::string(400'000, static_cast<char>('a' + i % 26)));
}

// The kernel itself says that there is no room: the table's file is /dev/full.
TEST_F(Postgres, ADiskWithoutRoomRefusesTheCommit) {
  open();
  const Table two = store_->table("two").value();
  ASSERT_TRUE(write("a", "1"));
  const std::string file =
      PostgresServer::instance().folder() + "/data/" + sql("SELECT pg_relation_filepath('{0}.t_two')");
  terminate();  // so that nobody has it open
  sql("CHECKPOINT");
  ASSERT_EQ(::unlink(file.c_str()), 0);
  ASSERT_EQ(::symlink("/dev/full", file.c_str()), 0);
  EXPECT_EQ(store_->begin().error().code(), ErrorCode::kUnavailable);
  auto transaction = store_->begin().value();
  ASSERT_TRUE(transaction->put(one_, "a", "2"));
  ASSERT_TRUE(transaction->put(two, "b", "2"));
  const Status committed = transaction->commit();
  ASSERT_FALSE(committed);
  EXPECT_EQ(committed.error().code(), ErrorCode::kExhausted) << committed.error().to_string();
  transaction.reset();
  EXPECT_EQ(read("a"), "1");
  ASSERT_TRUE(write("a", "3"));
}

TEST_F(Postgres, CommitsAreDurableWhateverTheServersDefault) {
  options_.durable = true;
  sql("ALTER ROLE nuraghe SET synchronous_commit = off");
  open();
  sql("CREATE TABLE {0}.seen (setting text)");
  sql("CREATE FUNCTION {0}.look() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN INSERT INTO {0}.seen SELECT"
      " current_setting('synchronous_commit'); RETURN NULL; END $$");
  sql("CREATE TRIGGER look AFTER INSERT ON {0}.t_one EXECUTE FUNCTION {0}.look()");
  ASSERT_TRUE(write("a", "1"));
  sql("ALTER ROLE nuraghe RESET synchronous_commit");
  EXPECT_EQ(sql("SELECT setting FROM {0}.seen"), "on");
}

TEST_F(Postgres, StoresOfOneDatabaseAreApart) {
  open();
  ASSERT_TRUE(write("a", "1"));
  auto first = std::move(store_);
  const std::string schema = options_.schema;
  options_.schema += "_b";
  open();
  EXPECT_EQ(read("a"), "(none)");
  EXPECT_EQ(store_->acquire("control").value(), 1);
  EXPECT_EQ(first->acquire("control").value(), 1);
  sql("DROP SCHEMA {0} CASCADE");
  options_.schema = schema;
}

TEST_F(Postgres, WhatIsNotOursIsRefused) {
  EXPECT_EQ(open_postgres("host", options_).error().code(), ErrorCode::kInvalid);
  EXPECT_EQ(open_postgres("host=/no/such/folder", options_).error().code(), ErrorCode::kUnavailable);
  const std::string schema = options_.schema;
  for (const char* name : {"", "a;b", "A", "1a", "a-b"}) {
    options_.schema = name;
    EXPECT_EQ(try_open().error().code(), ErrorCode::kInvalid) << name;
  }
  options_.schema = schema;
  sql("CREATE SCHEMA {0}");
  sql("CREATE TABLE {0}.other (x int)");
  EXPECT_EQ(try_open().error().code(), ErrorCode::kCorrupt);
  sql("DROP TABLE {0}.other");
  open();
  EXPECT_EQ(store_->table(std::string(62, 'x')).error().code(), ErrorCode::kInvalid);
  EXPECT_TRUE(store_->table(std::string(61, 'x')));
  sql("UPDATE {0}.meta SET value = '99' WHERE name = 'format'");
  const auto newer = try_open();
  ASSERT_FALSE(newer);
  EXPECT_EQ(newer.error().code(), ErrorCode::kConflict);
  EXPECT_NE(newer.error().message().find("99"), std::string::npos);
}

TEST_F(Postgres, SeveralMayMakeTheSameStoreAtOnce) {
  std::vector<std::thread> threads;
  std::atomic<int> good = 0;
  for (int i = 0; i < 4; ++i) {
    threads.emplace_back([&] {
      auto store = try_open();
      if (store && (*store)->table("one") && (*store)->acquire("control")) ++good;
    });
  }
  for (std::thread& thread : threads) thread.join();
  EXPECT_EQ(good, 4);
  open();
  EXPECT_EQ(store_->acquire("control").value(), 5);
}

}  // namespace
}  // namespace nuraghe::store
