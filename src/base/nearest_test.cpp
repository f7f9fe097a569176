#include "base/nearest.hpp"

#include <gtest/gtest.h>

namespace nuraghe {
namespace {

TEST(NearestName, FindsSlipsOfThePenOnly) {
  const std::set<std::string> names = {"private", "public", "storage"};
  EXPECT_EQ(nearest_name("privat", names), "private");
  EXPECT_EQ(nearest_name("pubilc", names), "public");
  EXPECT_EQ(nearest_name("private", names), "private");
  EXPECT_EQ(nearest_name("cuont", {"count"}), "count");
  EXPECT_EQ(nearest_name("hree", {"here"}), "here");
  EXPECT_EQ(nearest_name("cluster", names), "");
  EXPECT_EQ(nearest_name("", names), "");
  EXPECT_EQ(nearest_name("x", {}), "");
  EXPECT_EQ(nearest_name(std::string(100, 'a'), {std::string(100, 'a')}), "");
}

}  // namespace
}  // namespace nuraghe
