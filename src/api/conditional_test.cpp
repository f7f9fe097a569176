#include "api/conditional.hpp"

#include <gtest/gtest.h>

namespace nuraghe::api {
namespace {

TagCondition condition(const std::string& text) {
  auto parsed = TagCondition::parse(text);
  EXPECT_TRUE(parsed) << text;
  return parsed ? std::move(*parsed) : TagCondition();
}

TEST(Conditional, TagsAreOfTheContent) {
  EXPECT_EQ(entity_tag("a"), entity_tag("a"));
  EXPECT_NE(entity_tag("a"), entity_tag("b"));
  EXPECT_EQ(entity_tag("a").size(), 34U);
}

TEST(Conditional, ComparesStronglyAndWeakly) {
  const auto list = condition(R"("a" , W/"b",,"c,d")");
  EXPECT_TRUE(list.matches_strongly("\"a\""));
  EXPECT_TRUE(list.matches_strongly("\"c,d\""));
  EXPECT_FALSE(list.matches_strongly("\"b\""));
  EXPECT_TRUE(list.matches_weakly("\"b\""));
  EXPECT_FALSE(list.matches_weakly("\"d\""));
  EXPECT_TRUE(condition("*").matches_strongly("\"x\""));
  EXPECT_TRUE(condition("\"\"").matches_weakly("\"\""));
}

TEST(Conditional, WhatIsNoListIsRefused) {
  for (const char* bad :
       {"", " ", ",", "a", "\"a", "a\"", "w/\"a\"", "\"a\" \"b\"", "*, \"a\"", "\"a\", *", "W/", "\"a\x01\""})
    EXPECT_FALSE(TagCondition::parse(bad)) << bad;
}

TEST(Conditional, AChangeIsAllowedByBothHeaders) {
  const auto allows = [](const char* if_match, const char* if_none_match, std::optional<std::string> tag) {
    Conditions conditions;
    if (if_match != nullptr) conditions.if_match = condition(if_match);
    if (if_none_match != nullptr) conditions.if_none_match = condition(if_none_match);
    return conditions.allow_change(tag).has_value();
  };
  EXPECT_TRUE(allows("\"a\"", nullptr, "\"a\""));
  EXPECT_FALSE(allows("\"a\"", nullptr, "\"b\""));
  EXPECT_FALSE(allows("W/\"a\"", nullptr, "\"a\""));
  EXPECT_TRUE(allows("*", nullptr, "\"a\""));
  EXPECT_FALSE(allows("*", nullptr, std::nullopt));
  EXPECT_TRUE(allows(nullptr, "*", std::nullopt));
  EXPECT_FALSE(allows(nullptr, "*", "\"a\""));
  EXPECT_TRUE(allows(nullptr, "\"b\"", "\"a\""));
  EXPECT_TRUE(allows(nullptr, nullptr, std::nullopt));
}

}  // namespace
}  // namespace nuraghe::api
