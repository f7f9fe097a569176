// The journal's files as they may be found: cut off, with what older runs and lost commits left behind the end.
#include <fmt/format.h>
#include <gtest/gtest.h>

#include <filesystem>
#include <fstream>

#include "env/posix.hpp"
#include "store/journal.hpp"

namespace nuraghe::store {
namespace {

struct JournalTest : ::testing::Test {
  std::string folder = ::testing::TempDir() + "journal-XXXXXX";
  JournalTest() {
    EXPECT_NE(::mkdtemp(folder.data()), nullptr);
    EXPECT_TRUE(env::write_file_durably(path(), ""));  // the files have its mode
  }
  ~JournalTest() override { EXPECT_TRUE(env::remove_tree(folder)); }
  std::string path() const { return folder + "/a.db"; }
  std::string file(int part) const { return fmt::format("{}-log{}", path(), part); }

  struct Found {
    std::string changes;  // of all records, each with a blank behind it
    std::int64_t last = 0;
    bool operator==(const Found&) const = default;
  };
  static Found read(Journal& journal, std::int64_t applied = 0) {
    Found found;
    const auto whole = journal.read(applied, [&](std::int64_t, std::string_view changes) {
      found.changes += std::string(changes) + " ";
      return Status();
    });
    EXPECT_TRUE(whole && *whole);
    found.last = journal.last();
    return found;
  }
  Found read_again(std::int64_t applied = 0) const {
    Journal journal;
    EXPECT_TRUE(journal.open(path(), {}));
    return read(journal, applied);
  }
  // Opens, reads, and begins a part of its own if it may.
  std::unique_ptr<Journal> open(std::int64_t applied = 0, JournalOptions options = {}) const {
    auto journal = std::make_unique<Journal>();
    EXPECT_TRUE(journal->open(path(), options));
    read(*journal, applied);
    return journal;
  }
  static Status append(Journal& journal, std::int64_t applied, std::int64_t number, const std::string& changes) {
    if (journal.wants_part(applied, number)) TRY(journal.begin_part(applied));
    return journal.append({{number, changes}});
  }
  void overwrite(int part, std::int64_t offset, const std::string& bytes) const {
    std::fstream stream(file(part), std::ios::binary | std::ios::in | std::ios::out);
    stream.seekp(offset);
    stream << bytes;
    ASSERT_TRUE(stream.good());
  }
};

constexpr std::int64_t kPage = 4096;

TEST_F(JournalTest, RecordsAreFoundInTheirOrder) {
  auto journal = open();
  EXPECT_EQ(read(*journal), (Found{"", 0}));
  ASSERT_TRUE(append(*journal, 0, 1, "a"));
  ASSERT_TRUE(journal->append({{2, "b"}, {3, "c"}}));
  ASSERT_TRUE(append(*journal, 0, 4, std::string(300'000, 'd')));
  ASSERT_TRUE(append(*journal, 0, 5, ""));
  EXPECT_EQ(journal->last(), 5);
  EXPECT_LT(journal->synced(), 5);
  ASSERT_TRUE(journal->sync());
  EXPECT_EQ(journal->synced(), 5);
  EXPECT_EQ(read_again(), (Found{"a bc " + std::string(300'000, 'd') + "  ", 5}));
  // A record that is applied in part is found whole.
  EXPECT_EQ(read_again(2), (Found{"bc " + std::string(300'000, 'd') + "  ", 5}));
  EXPECT_EQ(read_again(5), (Found{"", 5}));
}

TEST_F(JournalTest, WhatFollowsADamagedRecordIsLostWithIt) {
  {
    auto journal = open();
    for (int i = 1; i <= 4; ++i) ASSERT_TRUE(append(*journal, 0, i, fmt::format("c{}", i)));
  }
  EXPECT_EQ(read_again(), (Found{"c1 c2 c3 c4 ", 4}));
  // One bit of the third's changes.
  overwrite(0, 2 * kPage + 65, "2");
  EXPECT_EQ(read_again(), (Found{"c1 c2 ", 2}));
  std::filesystem::resize_file(file(0), kPage + 70);
  EXPECT_EQ(read_again(), (Found{"c1 ", 1}));
  std::filesystem::resize_file(file(0), 10);
  EXPECT_EQ(read_again(), (Found{"", 0}));
}

// A lost commit's successors stay on the disk behind the end; the same numbers come again with the same changes.
TEST_F(JournalTest, WhatALostCommitLeftIsNeverFoundAgain) {
  {
    auto journal = open();
    for (int i = 1; i <= 4; ++i) ASSERT_TRUE(append(*journal, 0, i, "same"));
  }
  std::string second(kPage, '\0');
  std::ifstream(file(0), std::ios::binary).seekg(kPage).read(second.data(), kPage);
  overwrite(0, kPage, std::string(kPage, '\0'));
  // Everything is in the tables; the next process begins anew.
  auto journal = open(1);
  EXPECT_EQ(read(*journal, 1), (Found{"", 1}));
  ASSERT_TRUE(append(*journal, 1, 2, "same"));
  EXPECT_EQ(read_again(1), (Found{"same ", 2}));
  // Also when it had to go on behind the first.
  overwrite(0, kPage, second);
  EXPECT_EQ(read_again(1), (Found{"same ", 2}));
}

TEST_F(JournalTest, AFileIsUsedAgainWhenTheTablesHaveIt) {
  JournalOptions options;
  options.part = 4 * kPage;
  auto journal = open(0, options);
  std::string all;
  const auto append_to = [&](std::int64_t applied, int from, int to) {
    for (int i = from; i <= to; ++i) {
      ASSERT_TRUE(append(*journal, applied, i, fmt::format("c{}", i)));
      all += fmt::format("c{} ", i);
    }
  };
  append_to(0, 1, 6);  // four, then two in the other one
  EXPECT_EQ(read_again(), (Found{all, 6}));
  append_to(0, 7, 20);  // none is free: it grows
  EXPECT_EQ(read_again(), (Found{all, 20}));
  const auto size = std::filesystem::file_size(file(0));
  all.clear();
  append_to(20, 21, 24);  // all is free
  EXPECT_EQ(read_again(20), (Found{all, 24}));
  append_to(20, 25, 26);
  EXPECT_EQ(read_again(20), (Found{all, 26}));
  all.clear();
  // The first four of these are in the tables.
  for (int i = 27; i <= 200; ++i) append_to(i - 3, i, i);
  EXPECT_EQ(read_again(199), (Found{"c200 ", 200}));
  EXPECT_EQ(std::filesystem::file_size(file(0)), size);
}

TEST_F(JournalTest, NumbersThatWereNotAppendedLeaveNoGap) {
  auto journal = open();
  ASSERT_TRUE(append(*journal, 0, 1, "a"));
  // 2 and 3 went into the tables without the journal.
  EXPECT_TRUE(journal->wants_part(3, 4));
  ASSERT_TRUE(append(*journal, 3, 4, "d"));
  EXPECT_EQ(read_again(3), (Found{"d ", 4}));
}

TEST_F(JournalTest, AnotherWritersRecordIsNoticed) {
  JournalOptions options;
  options.part = kPage;
  auto journal = open(0, options);
  ASSERT_TRUE(append(*journal, 0, 1, "a"));
  ASSERT_TRUE(append(*journal, 0, 2, "b"));
  // Neither file is free: it goes on behind the second.
  auto other = open(0, options);
  EXPECT_FALSE(journal->has_grown().value());
  EXPECT_FALSE(other->has_grown().value());
  ASSERT_TRUE(append(*other, 0, 3, "c"));
  EXPECT_TRUE(journal->has_grown().value());
  EXPECT_EQ(read(*journal), (Found{"a b c ", 3}));
  EXPECT_FALSE(journal->has_grown().value());
  // What did not become whole is nothing.
  ASSERT_TRUE(append(*other, 0, 4, "d"));
  overwrite(1, 2 * kPage + 64, "x");
  EXPECT_FALSE(journal->has_grown().value());
}

TEST_F(JournalTest, AReaderNeedsNoFilesAndMakesNone) {
  JournalOptions reading;
  reading.read_only = true;
  Journal reader;
  ASSERT_TRUE(reader.open(path(), reading));
  EXPECT_EQ(read(reader), (Found{"", 0}));
  EXPECT_FALSE(std::filesystem::exists(file(0)));
  auto journal = open();
  ASSERT_TRUE(append(*journal, 0, 1, "a"));
  EXPECT_EQ(read(reader), (Found{"a ", 1}));
  EXPECT_FALSE(reader.has_grown().value());
  ASSERT_TRUE(append(*journal, 0, 2, "b"));
  EXPECT_TRUE(reader.has_grown().value());
}

TEST_F(JournalTest, ErasingMayUseWhatIsKeptForIt) {
  JournalOptions options;
  options.limit = 16 * kPage;
  auto journal = open(0, options);
  int number = 1;
  Status appended;
  while ((appended = append(*journal, 0, number, "put"))) ++number;
  EXPECT_EQ(appended.error().code(), ErrorCode::kExhausted);
  EXPECT_EQ(number - 1, 12);
  int erased = 0;
  while ((appended = journal->append({{number, "erase", true}}))) ++number, ++erased;
  EXPECT_EQ(appended.error().code(), ErrorCode::kExhausted);
  EXPECT_GT(erased, 150);
  EXPECT_EQ(read_again().last, number - 1);
}

}  // namespace
}  // namespace nuraghe::store
