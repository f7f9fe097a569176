// Several writers of one SQLite store at once: each commit goes on from what is newest, or is refused.
#include <gtest/gtest.h>
#include <sys/wait.h>
#include <unistd.h>

#include <array>
#include <cstdlib>
#include <thread>
#include <vector>

#include "base/log.hpp"
#include "env/posix.hpp"
#include "store/sqlite.hpp"

namespace nuraghe::store {
namespace {

constexpr int kWriters = 3;
constexpr int kCommits = 1000;

SqliteOptions small_options() {
  SqliteOptions options;
  options.recent = kib(8);  // so that rows go into their tables between
  options.synchronous_full = false;
  return options;
}

// Counts up so often; every time somebody else was first it looks again.
Status count_up(const std::string& path) {
  TRY_ASSIGN(auto store, open_sqlite(path, small_options()));
  TRY_ASSIGN(const Table table, store->table("rows"));
  for (int done = 0; done < kCommits;) {
    auto transaction = store->begin();
    if (!transaction && transaction.error().is_transient()) continue;
    if (!transaction) return transaction.error();
    TRY_ASSIGN(const auto before, (*transaction)->get(table, "count"));
    const std::string count = std::to_string(before ? std::stoi(*before) + 1 : 1);
    TRY((*transaction)->put(table, "count", count));
    TRY((*transaction)->put(table, count, std::string(100, 'x')));
    const Status committed = (*transaction)->commit();
    if (!committed && !committed.error().is_transient()) return committed;
    if (committed) ++done;
  }
  return {};
}

std::string told(const Status& status) { return status ? "" : status.error().to_string(); }

struct Writers : ::testing::Test {
  std::string folder = ::testing::TempDir() + "writers-XXXXXX";
  Writers() {
    EXPECT_NE(::mkdtemp(folder.data()), nullptr);
    EXPECT_TRUE(open_sqlite(path(), small_options()).value()->table("rows"));
  }
  ~Writers() override { EXPECT_TRUE(env::remove_tree(folder)); }
  std::string path() const { return folder + "/a.db"; }

  void expect_all() const {
    auto store = open_sqlite(path(), small_options()).value();
    const Table table = store->table("rows").value();
    const auto transaction = store->begin().value();
    EXPECT_EQ(transaction->get(table, "count").value().value_or(""), std::to_string(kWriters * kCommits));
    EXPECT_EQ(transaction->scan(table, "", "", 10'000).value().size(), kWriters * kCommits + 1U);
  }
};

TEST_F(Writers, OfOneProcessLoseNothing) {
  std::vector<std::thread> threads;
  std::array<std::string, kWriters> errors;
  for (int i = 0; i < kWriters; ++i)
    threads.emplace_back([&, i] { errors[static_cast<std::size_t>(i)] = told(count_up(path())); });
  for (std::thread& thread : threads) thread.join();
  for (const std::string& error : errors) EXPECT_EQ(error, "");
  expect_all();
}

TEST_F(Writers, OfSeveralProcessesLoseNothing) {
  std::vector<pid_t> processes;
  for (int i = 0; i < kWriters; ++i) {
    const pid_t process = ::fork();
    ASSERT_GE(process, 0);
    if (process == 0) {
      const Status counted = count_up(path());
      if (!counted) log_error("store", "a writer failed", {{"error", counted.error().to_string()}});
      ::_exit(counted ? 0 : 1);
    }
    processes.push_back(process);
  }
  for (const pid_t process : processes) {
    int status = -1;
    EXPECT_EQ(::waitpid(process, &status, 0), process);
    EXPECT_EQ(status, 0);
  }
  expect_all();
}

}  // namespace
}  // namespace nuraghe::store
