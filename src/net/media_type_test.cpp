#include "net/media_type.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace nuraghe::net {
namespace {

using ::testing::HasSubstr;

TEST(MediaTypeTest, ReadsNamesAndParameters) {
  const MediaType type =
      parse_media_type(" Text/XML ; Charset = UTF-8;flag; =x;q=\"a;b\\\"c\" junk ;charset=second;e=");
  EXPECT_EQ(type.name, "text/xml");
  EXPECT_EQ(type.parameter("charset"), "UTF-8");
  EXPECT_EQ(type.parameter("q"), "a;b\"c");
  EXPECT_EQ(type.parameter("e"), "");
  EXPECT_EQ(type.parameter("flag"), "");
  EXPECT_EQ(type.parameters.size(), 4U);
  EXPECT_EQ(parse_media_type("text/html").parameters.size(), 0U);
}

TEST(MediaTypeTest, ReadsWhatIsBroken) {
  for (const char* text :
       {"", ";", ";;=", "=", "a;b", "a;b=", "a;b=\"", "a;b=\"c", "a;b=\"c\\", ";b=c", "a; ;\t; b = "}) {
    const MediaType type = parse_media_type(text);
    EXPECT_LE(type.parameters.size(), 1U) << text;
  }
  EXPECT_EQ(parse_media_type("a;b=\"c").parameter("b"), "c");
  EXPECT_EQ(parse_media_type("a;b=\"c\\").parameter("b"), "c\\");
  EXPECT_EQ(parse_media_type(";b=c").name, "");
}

constexpr std::string_view kBody =
    "a preamble\r\n"
    "--cut\r\n"
    "Content-Type: text/xml;\r\n"
    "\tcharset=utf-8\r\n"
    "content-id: <first>\r\n"
    "\r\n"
    "<a/>\r\n"
    "--cutter\r\n"
    "a --cut\r\n"
    "\r\n"
    "--cut \t\r\n"
    "Content-ID:<second@x>\r\n"
    "\r\n"
    "<b/>\r\n"
    "--cut--\r\n"
    "an epilogue";

Result<Part> root_of(std::string_view type, std::string_view body = kBody) {
  return root_part(parse_media_type(type), body);
}

TEST(MultipartTest, TheRootIsTheFirstPart) {
  const auto root = root_of("multipart/related; boundary=cut; type=\"text/xml\"");
  ASSERT_TRUE(root) << root.error().message();
  EXPECT_EQ(root->header("Content-Type"), "text/xml; charset=utf-8");
  EXPECT_EQ(root->header("Content-ID"), "<first>");
  // A longer boundary and one that begins no line do not end it; the line's end before the delimiter is no content.
  EXPECT_EQ(root->content, "<a/>\r\n--cutter\r\na --cut\r\n");
}

TEST(MultipartTest, TheRootIsWhatStartNames) {
  for (const char* start : {"\"<second@x>\"", "second@x", "<second@x>"}) {
    const auto root = root_of(std::string("multipart/related;boundary=\"cut\";start=") + start);
    ASSERT_TRUE(root) << root.error().message();
    EXPECT_EQ(root->content, "<b/>") << start;
  }
  const auto none = root_of("multipart/related;boundary=cut;start=\"<third>\"");
  ASSERT_FALSE(none);
  EXPECT_EQ(none.error().code(), ErrorCode::kInvalid);
  EXPECT_THAT(none.error().message(), HasSubstr("<third>"));
}

TEST(MultipartTest, LinesMayEndWithALineFeedAlone) {
  const auto root = root_of("multipart/related;boundary=\"a b:c\"", "--a b:c\nA: 1\n\n<a/>\n--a b:c--");
  ASSERT_TRUE(root) << root.error().message();
  EXPECT_EQ(root->content, "<a/>");
  EXPECT_EQ(root->header("a"), "1");
}

TEST(MultipartTest, PartsMayBeEmpty) {
  const auto nothing = root_of("multipart/related;boundary=c", "--c\r\n--c--");
  ASSERT_TRUE(nothing) << nothing.error().message();
  EXPECT_EQ(nothing->content, "");
  const auto only_headers = root_of("multipart/related;boundary=c", "--c\r\nA: 1\r\n--c--");
  ASSERT_TRUE(only_headers) << only_headers.error().message();
  EXPECT_EQ(only_headers->content, "");
  EXPECT_EQ(only_headers->header("A"), "1");
  const auto no_headers = root_of("multipart/related;boundary=c", "--c\r\n\r\n\r\n\r\n--c--");
  ASSERT_TRUE(no_headers) << no_headers.error().message();
  EXPECT_EQ(no_headers->content, "\r\n");
}

TEST(MultipartTest, WhatHasNoRootIsRefused) {
  struct Case {
    const char *type, *body, *says;
  };
  for (const Case& one :
       {Case{"", "--cut\r\n\r\n<a/>\r\n--cut--", "boundary"},
        Case{"boundary=\"\"", "--\r\n\r\n<a/>\r\n----", "boundary"},
        Case{"boundary=12345678901234567890123456789012345678901234567890123456789012345678901", "", "70 characters"},
        Case{"boundary=cut", "", "no line --cut"}, Case{"boundary=cut", "<a/>", "no line --cut"},
        Case{"boundary=cut", " --cut\r\n\r\n<a/>\r\n --cut--", "no line --cut"},
        Case{"boundary=cut", "--cut--\r\n", "no part"}, Case{"boundary=cut", "--cut", "not closed"},
        Case{"boundary=cut", "--cut\r\n\r\n<a/>", "not closed"},
        Case{"boundary=cut;start=b", "--cut\r\nContent-ID: a\r\n\r\n<a/>\r\n--cut\r\n", "not closed"}}) {
    const auto root = root_of(std::string("multipart/related;") + one.type, one.body);
    ASSERT_FALSE(root) << one.body;
    EXPECT_EQ(root.error().code(), ErrorCode::kInvalid);
    EXPECT_THAT(root.error().message(), HasSubstr(one.says));
  }
}

}  // namespace
}  // namespace nuraghe::net
