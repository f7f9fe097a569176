#include "json/strict.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <string>

namespace nuraghe::jsontext {
namespace {

using testing::HasSubstr;

std::string error_of(std::string_view text) {
  const auto value = parse(text);
  if (value) return "none: " + boost::json::serialize(*value);
  EXPECT_EQ(value.error().code(), ErrorCode::kInvalid);
  return value.error().message();
}

TEST(StrictJson, ReadsWhatIsJson) {
  for (const std::string text :
       {R"({"a":[1,-2,18446744073709551615,1.5,"x",true,false,null],"b":{"a":{"a":[]}}})", R"("x")", "7", "[]", "{}"}) {
    const auto value = parse(text);
    ASSERT_TRUE(value) << text << value.error().message();
    EXPECT_EQ(*value, boost::json::parse(text));
  }
  EXPECT_EQ(parse(" [1 ,\n2] \n")->as_array().size(), 2U);
  // Keys with escapes come in parts.
  EXPECT_TRUE(parse(R"({"a\u00e4b":1,"a\u00e4c":2})")
                  ->as_object()
                  .contains("a\xC3\xA4"
                            "b"));
}

TEST(StrictJson, AMemberStandsOnce) {
  EXPECT_EQ(error_of(R"({"a":1,"a":2})"), "the member a stands twice");
  EXPECT_EQ(error_of(R"({"a":1,"\u0061":2})"), "the member a stands twice");
  EXPECT_EQ(error_of(R"({"r":{"n":[{"c":1},{"c":1,"d":[[1]],"c":2}]}})"), "the member r.n[1].c stands twice");
  EXPECT_EQ(error_of(R"([[],{"x":{},"x":{}}])"), "the member [1].x stands twice");
  EXPECT_THAT(error_of(R"([{"x":1},{"x":1}])"), HasSubstr("none"));
}

TEST(StrictJson, RefusesWhatIsNot) {
  for (const std::string text : {"", " ", "{", "[1,]", "{\"a\":1,}", "{a:1}", "// x\n1", "NaN", "01", "1 2", "\"\x01\"",
                                 "\"\xC3\"", "\"\\ud800\"", "'a'", "nul", "[1}"})
    EXPECT_THAT(error_of(text), HasSubstr("the text is no JSON")) << text;
  EXPECT_THAT(error_of("{} x"), HasSubstr("more follows at byte 4"));
}

TEST(StrictJson, DepthIsLimited) {
  EXPECT_TRUE(parse(std::string(kMaxDepth, '[') + std::string(kMaxDepth, ']')));
  EXPECT_THAT(error_of(std::string(kMaxDepth + 1, '[')), HasSubstr("deeper than 64 levels"));
  EXPECT_THAT(error_of(std::string(1'000'000, '[')), HasSubstr("deeper than 64 levels"));
}

}  // namespace
}  // namespace nuraghe::jsontext
