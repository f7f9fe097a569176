#include "api/rate_limit.hpp"

#include <gtest/gtest.h>

#include <fmt/format.h>

namespace nuraghe::api {
namespace {

constexpr TimePoint kStart{1'800'000'000'000'000};
constexpr Duration kNone = Duration(0);

TEST(RateLimiter, ABurstPassesThenAsManyAsTheRateSays) {
  RateLimiter limiter({10, 5});
  for (int i = 0; i < 5; ++i) EXPECT_EQ(limiter.admit("a", kStart), kNone);
  EXPECT_EQ(limiter.admit("a", kStart), std::chrono::milliseconds(100));
  EXPECT_EQ(limiter.admit("a", kStart + std::chrono::milliseconds(40)), std::chrono::milliseconds(60));
  EXPECT_EQ(limiter.admit("a", kStart + std::chrono::milliseconds(100)), kNone);
  EXPECT_GT(limiter.admit("a", kStart + std::chrono::milliseconds(100)), kNone);
  // What was not asked for is not saved beyond the burst.
  const TimePoint later = kStart + std::chrono::hours(1);
  int passed = 0;
  while (limiter.admit("a", later) == kNone) ++passed;
  EXPECT_EQ(passed, 5);
}

TEST(RateLimiter, EachCallerHasItsOwn) {
  RateLimiter limiter({1, 1});
  EXPECT_EQ(limiter.admit("a", kStart), kNone);
  EXPECT_GT(limiter.admit("a", kStart), kNone);
  EXPECT_EQ(limiter.admit("b", kStart), kNone);
}

TEST(RateLimiter, ForgetsWhoWasNotSeenForLongest) {
  RateLimiter limiter({1, 1}, 3);
  for (const char* caller : {"a", "b", "c"}) EXPECT_EQ(limiter.admit(caller, kStart), kNone);
  EXPECT_GT(limiter.admit("a", kStart), kNone);
  EXPECT_EQ(limiter.admit("d", kStart), kNone);  // in place of b
  EXPECT_EQ(limiter.callers(), 3U);
  EXPECT_GT(limiter.admit("a", kStart), kNone);
  EXPECT_EQ(limiter.admit("b", kStart), kNone);
  for (int i = 0; i < 100'000; ++i) limiter.admit(fmt::format("{}", i), kStart);
  EXPECT_EQ(limiter.callers(), 3U);
}

TEST(RateLimiter, AClockThatIsSetBackGivesNothing) {
  RateLimiter limiter({1, 2});
  EXPECT_EQ(limiter.admit("a", kStart), kNone);
  EXPECT_EQ(limiter.admit("a", kStart - std::chrono::hours(1)), kNone);
  EXPECT_GT(limiter.admit("a", kStart - std::chrono::hours(2)), kNone);
}

TEST(RateLimiter, WithoutALimitAllPass) {
  RateLimiter limiter({});
  for (int i = 0; i < 1000; ++i) EXPECT_EQ(limiter.admit("a", kStart), kNone);
  EXPECT_EQ(limiter.callers(), 0U);
}

}  // namespace
}  // namespace nuraghe::api
