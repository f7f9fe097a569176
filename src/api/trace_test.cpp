#include "api/trace.hpp"

#include <gtest/gtest.h>

#include "env/sim.hpp"
#include "exchange/trace.hpp"

namespace nuraghe::api {
namespace {

constexpr const char* kGood = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";

TEST(Trace, OnlyWhatCanBeUsedGoesOn) {
  env::SimRandom random(1);
  for (const char* bad : {"", "00", "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01-more",
                          "00-4BF92F3577B34DA6A3CE929D0E0E4736-00f067aa0ba902b7-01",
                          "00-00000000000000000000000000000000-00f067aa0ba902b7-01",
                          "00-4bf92f3577b34da6a3ce929d0e0e4736-0000000000000000-01",
                          "ff-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01",
                          "00_4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01",
                          "cc-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01x"})
    EXPECT_EQ(traceparent_of(bad, random).find("4bf92f3577b34da6a3ce929d0e0e4736"), std::string::npos) << bad;
}

TEST(Trace, GoesOnOrBegins) {
  env::SimRandom random(1);
  EXPECT_EQ(traceparent_of(kGood, random), kGood);
  const std::string one = traceparent_of("", random), other = traceparent_of("nonsense", random);
  EXPECT_TRUE(exchange::parse_traceparent(one)) << one;
  EXPECT_TRUE(exchange::parse_traceparent(other)) << other;
  EXPECT_NE(one, other);
  EXPECT_EQ(traceparent_of(std::string("cc") + (kGood + 2) + "-later", random), kGood);
  EXPECT_TRUE(traceparent_of("", random, false).ends_with("-00")) << "of what only looks, no spans are kept";
  EXPECT_EQ(traceparent_of(kGood, random, false), kGood) << "its own word counts";
}

const std::string kSound = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01";
const std::string kOther = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";

exchange::Message traced(const std::string& to, const std::string& operation, const net::HttpHeaders& headers,
                         const std::string& in_envelope = "") {
  env::SimRandom random{1};
  exchange::Message message;
  message.to = to;
  message.operation = operation;
  message.traceparent = in_envelope;
  set_trace(message, headers, random);
  return message;
}

TEST(TraceContext, IsTakenFromTheHeaders) {
  const auto message = traced("/services/vcf", "list_clusters",
                              {{"TraceParent", kSound}, {"tracestate", "rojo=1"}, {"Tracestate", "congo=2"}});
  EXPECT_EQ(message.traceparent, kSound);
  EXPECT_EQ(message.tracestate, "rojo=1,congo=2");
}

TEST(TraceContext, OfTheEnvelopeGoesBefore) {
  EXPECT_EQ(traced("/services/vcf", "plan", {{"traceparent", kSound}}, kOther).traceparent, kOther);
}

TEST(TraceContext, WhatIsMalformedIsReplacedAndItsStateDropped) {
  const auto message =
      traced("/services/vcf", "list_clusters", {{"traceparent", "00-ab-cd-01"}, {"tracestate", "rojo=1"}});
  EXPECT_TRUE(exchange::parse_traceparent(message.traceparent)) << message.traceparent;
  EXPECT_EQ(message.tracestate, "");
}

TEST(TraceContext, WithoutOneAChangeBeginsATraceAndALookDoesNot) {
  EXPECT_TRUE(exchange::parse_traceparent(traced("/services/vcm", "pause_vc", {}).traceparent));
  EXPECT_EQ(traced("/services/vcf", "list_clusters", {}).traceparent, "");
  EXPECT_EQ(traced("/services/vhf", "report", {}).traceparent, "") << "a controller tells it of its own accord";
  EXPECT_EQ(traced("/services/echo", "echo", {}).traceparent, "") << "no definition has it";
  EXPECT_EQ(traced("/services/vcm", "pause_vc", {{"tracestate", "rojo=1"}}).tracestate, "");
}

}  // namespace
}  // namespace nuraghe::api
