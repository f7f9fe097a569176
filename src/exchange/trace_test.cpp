#include "exchange/trace.hpp"

#include <gtest/gtest.h>
#include <rapidcheck.h>

#include "env/sim.hpp"

namespace nuraghe::exchange {
namespace {

const std::string kSound = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01";

TEST(TraceParent, IsReadAndWritten) {
  const auto parent = parse_traceparent(kSound);
  ASSERT_TRUE(parent);
  EXPECT_EQ(parent->trace.to_string(), "0af7651916cd43dd8448eb211c80319c");
  EXPECT_EQ(span_id_text(parent->span), "b7ad6b7169203331");
  EXPECT_TRUE(parent->is_sampled);
  EXPECT_EQ(to_string(*parent), kSound);
}

TEST(TraceParent, FlagsThatAreNotKnownAreNotPassedOn) {
  EXPECT_EQ(to_string(*parse_traceparent(kSound.substr(0, 53) + "ff")), kSound);
  EXPECT_FALSE(parse_traceparent(kSound.substr(0, 53) + "fe")->is_sampled);
}

TEST(TraceParent, OfALaterVersionIsReadAsFarAsItIsKnown) {
  EXPECT_TRUE(parse_traceparent("cc" + kSound.substr(2)));
  EXPECT_TRUE(parse_traceparent("cc" + kSound.substr(2) + "-what-the-future-will-be-like"));
  EXPECT_FALSE(parse_traceparent("cc" + kSound.substr(2) + ".what-the-future-will-be-like"));
  EXPECT_EQ(to_string(*parse_traceparent("cc" + kSound.substr(2))), kSound);
}

TEST(TraceParent, WhatIsMalformedIsNone) {
  for (const std::string& text :
       {std::string(), std::string("00"), kSound + "-extra", kSound + " ", " " + kSound, "ff" + kSound.substr(2),
        "0x" + kSound.substr(2), std::string("00-00000000000000000000000000000000-b7ad6b7169203331-01"),
        std::string("00-0af7651916cd43dd8448eb211c80319c-0000000000000000-01"),
        std::string("00-0AF7651916CD43DD8448EB211C80319C-b7ad6b7169203331-01"),
        std::string("00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-0"),
        std::string("00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-0x"),
        std::string("00_0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"),
        std::string("00-0af7651916cd43dd8448eb211c80319-cb7ad6b7169203331-01")})
    EXPECT_FALSE(parse_traceparent(text)) << text;
}

TEST(TraceParent, AnyTextIsAnsweredSoundly) {
  rc::check([](const std::string& text) {
    const auto parent = parse_traceparent(text);
    RC_ASSERT(!parent || text.size() >= 55);
  });
  rc::check([] {
    std::string text = kSound;
    text[*rc::gen::inRange<std::size_t>(0, text.size())] = *rc::gen::arbitrary<char>();
    if (const auto parent = parse_traceparent(text)) RC_ASSERT(parse_traceparent(to_string(*parent)).has_value());
  });
}

TEST(TraceParent, NewOnesDifferAndAreSound) {
  env::SimRandom random{7};
  const auto one = begin_trace(random), other = begin_trace(random);
  EXPECT_NE(one.trace, other.trace);
  EXPECT_TRUE(parse_traceparent(to_string(one)));
  EXPECT_TRUE(one.is_sampled);
}

TEST(TraceState, IsPassedOnUnlessItIsTooLongOrUnprintable) {
  EXPECT_EQ(checked_tracestate("rojo=00f067aa0ba902b7,congo=t61rcWkgMzE"), "rojo=00f067aa0ba902b7,congo=t61rcWkgMzE");
  EXPECT_EQ(checked_tracestate(std::string(512, 'a')).size(), 512U);
  EXPECT_EQ(checked_tracestate(std::string(513, 'a')), "");
  EXPECT_EQ(checked_tracestate("a=b\r\nX-Evil: 1"), "");
}

TEST(Span, EndsWithoutTimeRunningBackwards) {
  OpenSpan open;
  open.traceparent = kSound;
  open.start = TimePoint{5'000'000};
  EXPECT_EQ(end_span(open, TimePoint{6'000'000})->took, Duration(1'000'000));
  EXPECT_EQ(end_span(open, TimePoint{1})->took, Duration(0));
  open.traceparent = kSound.substr(0, 53) + "00";
  EXPECT_FALSE(end_span(open, TimePoint{6'000'000})) << "it is not sampled";
}

}  // namespace
}  // namespace nuraghe::exchange
