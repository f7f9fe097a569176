#include "api/tokens.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/stat.h>

#include <thread>

#include "api/json.hpp"
#include "env/posix.hpp"

namespace nuraghe::api {
namespace {

using ::testing::HasSubstr;

class TokenFile : public ::testing::Test {
 protected:
  void SetUp() override {
    char pattern[] = "/tmp/tokens_test.XXXXXX";
    folder_ = ::mkdtemp(pattern);
    path_ = folder_ + "/token";
  }
  void TearDown() override { ASSERT_TRUE(env::remove_tree(folder_)); }
  std::string folder_, path_;
};

TEST_F(TokenFile, IsMadeOnceAndOnlyForItsOwner) {
  const auto first = ensure_token_file(path_, "local", env::system_random());
  ASSERT_TRUE(first) << first.error().to_string();
  ASSERT_EQ(first->size(), 1u);
  EXPECT_EQ(first->front().identity.name, "admin");
  EXPECT_EQ(first->front().identity.vo, "local");
  EXPECT_EQ(first->front().identity.role, Role::kAdministrator);
  EXPECT_GE(first->front().token.size(), 30u);
  struct stat info {};
  ASSERT_EQ(::stat(path_.c_str(), &info), 0);
  EXPECT_EQ(info.st_mode & 07777, 0600u);
  const auto second = ensure_token_file(path_, "other", env::system_random());
  ASSERT_TRUE(second);
  EXPECT_EQ(second->front().token, first->front().token);
  EXPECT_EQ(env::list_directory(folder_)->size(), 1u);
}

TEST_F(TokenFile, TwoThatStartAtOnceReadTheSameToken) {
  std::vector<std::string> tokens(8);
  std::vector<std::thread> threads;
  for (std::string& token : tokens) {
    threads.emplace_back([this, &token] {
      const auto entries = ensure_token_file(path_, "local", env::system_random());
      token = entries ? entries->front().token : entries.error().to_string();
    });
  }
  for (auto& thread : threads) thread.join();
  for (const std::string& token : tokens) EXPECT_EQ(token, tokens.front());
  EXPECT_EQ(env::list_directory(folder_)->size(), 1u);
}

TEST_F(TokenFile, ErrorsSayWhere) {
  EXPECT_EQ(read_token_file(path_).error().code(), ErrorCode::kNotFound);
  ASSERT_TRUE(env::write_file_durably(path_, "admin administrator local 0123456789abcdef\n", 0640));
  const auto open_to_group = read_token_file(path_);
  ASSERT_FALSE(open_to_group);
  EXPECT_EQ(open_to_group.error().code(), ErrorCode::kDenied);
  EXPECT_THAT(open_to_group.error().message(), HasSubstr("mode 0640"));
  const std::pair<const char*, const char*> cases[] = {
      {"# only a comment\n\n", "holds no token"},
      {"# c\nadmin administrator local\n", ":2: a line has four words"},
      {"admin king local 0123456789abcdef\n", ":1: 'king' is no role"},
      {"admin peer local short\n", ":1: a token has at least 16"},
      {"admin peer local 0123456789abcdef more\n", ":1: a line has four words"},
  };
  for (const auto& [text, says] : cases) {
    ASSERT_TRUE(env::write_file_durably(path_, text, 0600));
    const auto entries = read_token_file(path_);
    ASSERT_FALSE(entries) << text;
    EXPECT_THAT(entries.error().message(), HasSubstr(says));
    EXPECT_THAT(entries.error().message(), ::testing::Not(HasSubstr("0123456789abcdef")));
  }
}

TEST(SiteTokenFile, IsMadeOnceWithAControllersToken) {
  char pattern[] = "/tmp/api_site.XXXXXX";
  const std::string path = std::string(::mkdtemp(pattern)) + "/site-token";
  const auto made = ensure_site_token_file(path, env::system_random());
  ASSERT_TRUE(made) << made.error().to_string();
  ASSERT_EQ(made->size(), 1U);
  EXPECT_EQ(made->front().identity.role, Role::kController);
  struct stat info {};
  ASSERT_EQ(::stat(path.c_str(), &info), 0);
  EXPECT_EQ(info.st_mode & 0777, 0600U);
  EXPECT_EQ(ensure_site_token_file(path, env::system_random())->front().token, made->front().token);
  ASSERT_TRUE(env::remove_tree(pattern));
}

TEST(TokenTable, KnowsItsOwnTokensOnly) {
  const TokenTable table(
      {{{"a", "x", Role::kOwner}, "first-token-of-all"}, {{"b", "y", Role::kPeer}, "second-token-of-all"}});
  ASSERT_TRUE(table.authenticate("Bearer first-token-of-all"));
  EXPECT_EQ(table.authenticate("bearer second-token-of-all")->caller(), "token:b");
  for (const char* bad :
       {"", "Bearer", "Bearer ", "first-token-of-all", "Basic first-token-of-all", "Bearer first-token-of-al",
        "Bearer first-token-of-all ", "Bearer  first-token-of-all", "Bearer FIRST-token-of-all"}) {
    EXPECT_FALSE(table.authenticate(bad)) << bad;
  }
}

TEST(Json, StringsAreAlwaysValid) {
  const std::pair<std::string, std::string> cases[] = {
      {"plain", "\"plain\""},
      {"q\" b\\ n\n t\t z\x01", "\"q\\\" b\\\\ n\\u000a t\\u0009 z\\u0001\""},
      {"è €\xF0\x9F\x98\x80", "\"è €\xF0\x9F\x98\x80\""},
      {"bad\xFF"
       "x",
       "\"bad\xEF\xBF\xBDx\""},
      {"cut\xE2\x82", "\"cut\xEF\xBF\xBD\xEF\xBF\xBD\""},
      {"\xC0\xAF", "\"\xEF\xBF\xBD\xEF\xBF\xBD\""},
      {"\xED\xA0\x80", "\"\xEF\xBF\xBD\xEF\xBF\xBD\xEF\xBF\xBD\""},
  };
  for (const auto& [text, expected] : cases) {
    std::string out;
    append_json_string(out, text);
    EXPECT_EQ(out, expected);
  }
}

}  // namespace
}  // namespace nuraghe::api
