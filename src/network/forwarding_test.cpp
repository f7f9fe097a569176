#include "network/forwarding.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <rapidcheck.h>

#include <algorithm>
#include <array>
#include <optional>

namespace nuraghe::network {
namespace {

using namespace std::chrono_literals;
using testing::ElementsAre;
using testing::IsEmpty;

constexpr Mac kBroadcast = 0xffffffffffff;
const SwitchLink kPortA{SwitchLink::Kind::kPort, 1}, kPortB{SwitchLink::Kind::kPort, 2},
    kPortC{SwitchLink::Kind::kPort, 3};
const SwitchLink kTunnelX{SwitchLink::Kind::kTunnel, 1}, kTunnelY{SwitchLink::Kind::kTunnel, 2};

std::array<std::uint8_t, 60> frame(Mac to, Mac from) {
  std::array<std::uint8_t, 60> bytes{};
  for (std::size_t i = 0; i < 6; ++i) {
    bytes[i] = static_cast<std::uint8_t>(to >> (40 - 8 * i));
    bytes[6 + i] = static_cast<std::uint8_t>(from >> (40 - 8 * i));
  }
  return bytes;
}

class ForwardingTest : public testing::Test {
 protected:
  void SetUp() override {
    for (const SwitchLink& link : {kPortA, kPortB, kPortC, kTunnelX, kTunnelY}) segment_.add_link(link);
  }
  std::vector<SwitchLink> send(SwitchLink from, Mac destination, Mac source, Duration now = 0s) {
    std::vector<SwitchLink> targets;
    verdict_ = segment_.decide(from, frame(destination, source), now, targets);
    return targets;
  }
  Forwarding segment_;
  Verdict verdict_ = Verdict::kInvalid;
};

TEST_F(ForwardingTest, WhatIsUnknownGoesEverywhereButBack) {
  EXPECT_THAT(send(kPortA, 0x02, 0x01), ElementsAre(kPortB, kPortC, kTunnelX, kTunnelY));
  EXPECT_EQ(verdict_, Verdict::kFlooded);
}

TEST_F(ForwardingTest, WhatIsKnownGoesThereOnly) {
  send(kPortB, kBroadcast, 0x02);
  EXPECT_THAT(send(kPortA, 0x02, 0x01), ElementsAre(kPortB));
  EXPECT_THAT(send(kTunnelX, 0x01, 0x03), ElementsAre(kPortA));
  EXPECT_THAT(send(kPortC, 0x03, 0x04), ElementsAre(kTunnelX));
}

TEST_F(ForwardingTest, NothingPassesFromTunnelToTunnel) {
  EXPECT_THAT(send(kTunnelX, kBroadcast, 0x03), ElementsAre(kPortA, kPortB, kPortC));
  EXPECT_THAT(send(kTunnelY, 0x03, 0x04), IsEmpty());
  EXPECT_EQ(verdict_, Verdict::kFiltered);
}

TEST_F(ForwardingTest, AStationThatMovesIsFollowed) {
  send(kPortB, kBroadcast, 0x02);
  send(kTunnelX, kBroadcast, 0x02);
  EXPECT_THAT(send(kPortA, 0x02, 0x01), ElementsAre(kTunnelX));
}

TEST_F(ForwardingTest, AStationOfARemovedLinkIsUnknown) {
  send(kPortB, kBroadcast, 0x02);
  segment_.remove_link(kPortB);
  EXPECT_THAT(send(kPortA, 0x02, 0x01), ElementsAre(kPortC, kTunnelX, kTunnelY));
}

TEST_F(ForwardingTest, ASilentStationAges) {
  send(kPortB, kBroadcast, 0x02);
  EXPECT_EQ(send(kPortA, 0x02, 0x01, kStationLifetime - 1us).size(), 1U);
  EXPECT_EQ(send(kPortA, 0x02, 0x01, kStationLifetime).size(), 4U);
}

TEST_F(ForwardingTest, WhatIsNoFrameOfAStationIsInvalid) {
  EXPECT_THAT(send(kPortA, 0x02, 0), IsEmpty());
  EXPECT_EQ(verdict_, Verdict::kInvalid);
  EXPECT_THAT(send(kPortA, 0x02, kBroadcast), IsEmpty());
  EXPECT_EQ(verdict_, Verdict::kInvalid);
  EXPECT_THAT(send(kPortA, 0x0180c2000003, 0x01), IsEmpty());
  EXPECT_EQ(verdict_, Verdict::kInvalid);
  EXPECT_EQ(send(kPortA, 0x0180c2000010, 0x01).size(), 4U) << "the first group address past the reserved ones";
  std::vector<SwitchLink> targets{kPortB};
  const auto whole = frame(kBroadcast, 0x01);
  EXPECT_EQ(segment_.decide(kPortA, std::span(whole).first(13), 0s, targets), Verdict::kInvalid);
  EXPECT_THAT(targets, IsEmpty());
}

TEST(Forwarding, AnySequenceKeepsTheRules) {
  EXPECT_TRUE(rc::check([] {
    const std::vector<SwitchLink> links{kPortA, kPortB, kPortC, kTunnelX, kTunnelY};
    Forwarding segment(3, 20us);
    for (const SwitchLink& link : links) segment.add_link(link);
    std::map<Mac, SwitchLink> seen;
    Duration now{};
    const auto steps = *rc::gen::container<std::vector<std::tuple<int, int, int, int>>>(
        rc::gen::tuple(rc::gen::inRange(0, 5), rc::gen::inRange(1, 7), rc::gen::inRange(1, 7), rc::gen::inRange(0, 9)));
    for (const auto& [link, to, from, waited] : steps) {
      now += Duration(waited);
      const SwitchLink in = links[static_cast<std::size_t>(link)];
      const Mac destination = to == 6 ? kBroadcast : static_cast<Mac>(to) << 1U;
      std::vector<SwitchLink> out;
      const Verdict verdict = segment.decide(in, frame(destination, static_cast<Mac>(from) << 1U), now, out);
      seen[static_cast<Mac>(from) << 1U] = in;
      RC_ASSERT(segment.stations() <= 3U);
      RC_ASSERT(std::find(out.begin(), out.end(), in) == out.end());
      if (in.kind == SwitchLink::Kind::kTunnel) {
        RC_ASSERT(
            std::none_of(out.begin(), out.end(), [](SwitchLink l) { return l.kind == SwitchLink::Kind::kTunnel; }));
      }
      // Flooding reaches whoever may be there; else it is the link on which the destination was seen last.
      if (verdict == Verdict::kFlooded) {
        RC_ASSERT(out.size() == (in.kind == SwitchLink::Kind::kTunnel ? 3U : 4U));
      } else {
        RC_ASSERT(destination != kBroadcast && seen.contains(destination));
        const bool right =
            verdict == Verdict::kFiltered ? out.empty() : out == std::vector<SwitchLink>{seen[destination]};
        RC_ASSERT(right);
      }
    }
  }));
}

}  // namespace
}  // namespace nuraghe::network
