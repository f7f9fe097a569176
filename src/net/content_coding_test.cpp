#include "net/content_coding.hpp"

#include <gtest/gtest.h>
#include <zlib.h>

namespace nuraghe::net {
namespace {

enum class Frame { kRaw = -15, kZlib = 15, kGzip = 31 };

std::string packed(std::string_view text, Frame frame) {
  z_stream stream{};
  EXPECT_EQ(deflateInit2(&stream, Z_BEST_SPEED, Z_DEFLATED, static_cast<int>(frame), 8, Z_DEFAULT_STRATEGY), Z_OK);
  std::string in(text), out(text.size() + 1024, '\0');
  stream.next_in = reinterpret_cast<Bytef*>(in.data());
  stream.avail_in = static_cast<uInt>(in.size());
  stream.next_out = reinterpret_cast<Bytef*>(out.data());
  stream.avail_out = static_cast<uInt>(out.size());
  EXPECT_EQ(deflate(&stream, Z_FINISH), Z_STREAM_END);
  out.resize(stream.total_out);
  deflateEnd(&stream);
  return out;
}

TEST(ContentCoding, EachCodingIsTakenAway) {
  const std::string text(200'000, 'x');
  EXPECT_EQ(without_codings("", text, mib(1)).value(), text);
  EXPECT_EQ(without_codings("identity", text, mib(1)).value(), text);
  EXPECT_EQ(without_codings("GZIP", packed(text, Frame::kGzip), mib(1)).value(), text);
  EXPECT_EQ(without_codings("x-gzip", packed(text, Frame::kGzip), mib(1)).value(), text);
  EXPECT_EQ(without_codings("deflate", packed(text, Frame::kZlib), mib(1)).value(), text);
  EXPECT_EQ(without_codings("deflate", packed(text, Frame::kRaw), mib(1)).value(), text);
  EXPECT_EQ(without_codings("deflate, gzip", packed(packed(text, Frame::kZlib), Frame::kGzip), mib(1)).value(), text);
  EXPECT_EQ(without_codings("gzip", packed("", Frame::kGzip), mib(1)).value(), "");
}

TEST(ContentCoding, WhatIsWrongIsSaid) {
  const std::string whole = packed("some text", Frame::kGzip);
  EXPECT_EQ(without_codings("br", whole, mib(1)).error().code(), ErrorCode::kUnsupported);
  EXPECT_EQ(without_codings("gzip", "<plain/>", mib(1)).error().code(), ErrorCode::kInvalid);
  EXPECT_EQ(without_codings("gzip", "", mib(1)).error().code(), ErrorCode::kInvalid);
  EXPECT_EQ(without_codings("gzip", whole.substr(0, whole.size() - 9), mib(1)).error().code(), ErrorCode::kInvalid);
  EXPECT_EQ(without_codings("gzip", packed(std::string(2 << 20, ' '), Frame::kGzip), mib(1)).error().code(),
            ErrorCode::kExhausted);
}

TEST(ContentCoding, MembersOfGzipFollowOneAnother) {
  const std::string first = packed("one ", Frame::kGzip);
  EXPECT_EQ(without_codings("gzip", first + packed("two", Frame::kGzip), mib(1)).value(), "one two");
  EXPECT_EQ(without_codings("gzip", first + "what is this", mib(1)).error().code(), ErrorCode::kInvalid);
  EXPECT_EQ(without_codings("gzip", first + packed(std::string(2 << 20, ' '), Frame::kGzip), mib(1)).error().code(),
            ErrorCode::kExhausted);
}

TEST(ContentCoding, ALongChainIsRefusedUnread) {
  const auto refused = without_codings("gzip, gzip,gzip", "not even gzip", mib(1));
  ASSERT_FALSE(refused);
  EXPECT_EQ(refused.error().code(), ErrorCode::kUnsupported);
}

}  // namespace
}  // namespace nuraghe::net
