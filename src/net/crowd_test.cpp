#include "net/crowd.hpp"

#include <gtest/gtest.h>

namespace nuraghe::net {
namespace {

using namespace std::chrono_literals;
constexpr Crowd::Time kStart{1h};

TEST(Crowd, OneConnectionIsAlone) {
  Crowd crowd;
  const int one = 0;
  for (int i = 0; i < 100; ++i) EXPECT_FALSE(crowd.joins(&one, kStart + i * 10us));
}

TEST(Crowd, ConnectionsThatTakeTurnsAreMany) {
  Crowd crowd;
  const int one = 0, other = 0;
  EXPECT_FALSE(crowd.joins(&one, kStart));
  for (int i = 1; i < 100; ++i) EXPECT_TRUE(crowd.joins(i % 2 == 0 ? &one : &other, kStart + i * 10us));
}

TEST(Crowd, WhoIsLeftIsAloneAfterAMoment) {
  Crowd crowd;
  const int one = 0, other = 0;
  crowd.joins(&one, kStart);
  crowd.joins(&other, kStart + 1us);
  EXPECT_TRUE(crowd.joins(&other, kStart + 500us));
  EXPECT_TRUE(crowd.joins(&other, kStart + 1000us));
  EXPECT_FALSE(crowd.joins(&other, kStart + 1001us));
}

TEST(Crowd, TwoThatSeldomComeAreAlone) {
  Crowd crowd;
  const int one = 0, other = 0;
  for (int i = 0; i < 10; ++i) EXPECT_FALSE(crowd.joins(i % 2 == 0 ? &one : &other, kStart + i * 1s));
}

}  // namespace
}  // namespace nuraghe::net
