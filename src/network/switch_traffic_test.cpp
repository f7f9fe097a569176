// Frames through real switch processes.
#include <gmock/gmock.h>

#include <algorithm>

#include "network/test_world.hpp"
#include "network/tunnel_frame.hpp"

namespace nuraghe::network {
namespace {

using namespace testing_world;
using testing::ElementsAre;

constexpr std::uint64_t kMacA = 0x525400000001, kMacB = 0x525400000002, kMacC = 0x525400000003;

class LocalTest : public SwitchTest {};

TEST_F(LocalTest, PortsOfASegmentReachOneAnother) {
  const auto fabric = open("a");
  SocketNic a = plug(*fabric, "a", 7), b = plug(*fabric, "b", 7), c = plug(*fabric, "c", 7);
  ASSERT_EQ(a.send(make_frame(kMacB, kMacA, "where is b")), 0);
  EXPECT_THAT(b.receive_until("where is b"), ElementsAre("where is b"));
  EXPECT_THAT(c.receive_until("where is b"), ElementsAre("where is b"));
  ASSERT_EQ(b.send(make_frame(kMacA, kMacB, "here")), 0);
  EXPECT_THAT(a.receive_until("here"), ElementsAre("here"));
  ASSERT_EQ(a.send(make_frame(kMacB, kMacA, "for b alone")), 0);
  ASSERT_EQ(a.send(make_frame(kEverybody, kMacA, "end")), 0);
  EXPECT_THAT(b.receive_until("end"), ElementsAre("for b alone", "end"));
  EXPECT_THAT(c.receive_until("end"), ElementsAre("end")) << "it has seen b's answer to a and a's to b";
}

TEST_F(LocalTest, EqualAddressesInTwoSegmentsNeverMeet) {
  const auto fabric = open("a");
  SocketNic a = plug(*fabric, "a", 7), b = plug(*fabric, "b", 7);
  SocketNic other_a = plug(*fabric, "other a", 8), other_b = plug(*fabric, "other b", 8);
  for (int i = 0; i < 20; ++i) {
    ASSERT_EQ(a.send(make_frame(kEverybody, kMacA, "seven")), 0);
    ASSERT_EQ(other_a.send(make_frame(kEverybody, kMacA, "eight")), 0);
    ASSERT_EQ(b.send(make_frame(kMacA, kMacB, "seven")), 0);
    ASSERT_EQ(other_b.send(make_frame(kMacA, kMacB, "eight")), 0);
  }
  for (Nic* nic : {&a, &b}) {
    for (int i = 0; i < 20; ++i) EXPECT_EQ(text_of(nic->receive().value_or("none")), "seven");
  }
  for (Nic* nic : {&other_a, &other_b}) {
    for (int i = 0; i < 20; ++i) EXPECT_EQ(text_of(nic->receive().value_or("none")), "eight");
  }
}

TEST_F(LocalTest, FramesThatAreTooLargeOrTooSmallAreDroppedAndCounted) {
  const auto fabric = open("a");
  SocketNic a = plug(*fabric, "a", 7), b = plug(*fabric, "b", 7);
  ASSERT_EQ(a.send(make_frame(kEverybody, kMacA, "too large", 1519)), 0);
  ASSERT_EQ(a.send("too small"), 0);
  ASSERT_EQ(a.send(""), 0);
  ASSERT_EQ(a.send(make_frame(kEverybody, kMacA, "fits", 1518)), 0);
  EXPECT_THAT(b.receive_until("fits"), ElementsAre("fits"));
  EXPECT_TRUE(comes_to_show("a", R"("dropped":{"oversize":1,"invalid":2,)"));
}

TEST_F(LocalTest, ASlowPortLosesFramesAndHoldsUpNobody) {
  const auto fabric = open("a");
  SocketNic a = plug(*fabric, "a", 7), b = plug(*fabric, "b", 7), slow = plug(*fabric, "slow", 7);
  constexpr int kCount = 2000;
  for (int i = 0; i < kCount; ++i) {
    ASSERT_EQ(a.send(make_frame(kEverybody, kMacA, std::to_string(i))), 0);
    ASSERT_EQ(text_of(b.receive().value_or("nothing")), std::to_string(i));
  }
  // What waited comes in order and without a gap; when no more of it comes, it takes part again.
  int next = 0;
  std::string text;
  for (int pauses = 0; text != "again" && pauses < 1000;) {
    const auto frame = slow.receive(20ms);
    if (!frame) {
      ++pauses;
      ASSERT_EQ(a.send(make_frame(kEverybody, kMacA, "again")), 0);
      continue;
    }
    text = text_of(*frame);
    if (text != "again") {
      ASSERT_EQ(text, std::to_string(next++));
    }
  }
  EXPECT_EQ(text, "again");
  EXPECT_GT(next, 100);
  EXPECT_LT(next, kCount);
  EXPECT_TRUE(comes_to_show("a", R"("dropped-slow":1)"));
}

TEST_F(LocalTest, AHypervisorThatStartsAgainIsFound) {
  const auto fabric = open("a");
  SocketNic a = plug(*fabric, "a", 7), b = plug(*fabric, "b", 7);
  ASSERT_EQ(a.send(make_frame(kEverybody, kMacA, "one")), 0);
  EXPECT_EQ(text_of(b.receive().value_or("nothing")), "one");
  b.unplug();
  ASSERT_EQ(a.send(make_frame(kEverybody, kMacA, "lost")), 0);
  ASSERT_TRUE(comes_to_show("a", R"("dropped-absent":1)"));
  b.plug();
  ASSERT_EQ(b.send(make_frame(kEverybody, kMacB, "first words")), 0) << "it may speak before it is spoken to";
  EXPECT_EQ(text_of(a.receive().value_or("nothing")), "first words");
  ASSERT_EQ(a.send(make_frame(kEverybody, kMacA, "two")), 0);
  EXPECT_EQ(text_of(b.receive().value_or("nothing")), "two");
}

// ---- across physical hosts, by both kinds of tunnel ----
class TunnelTest : public SwitchTest, public testing::WithParamInterface<const char*> {
 protected:
  void SetUp() override {
    SwitchTest::SetUp();
    const auto address = parse_tunnel_address(GetParam(), true);
    if (!address) return;
    const env::UniqueFd fd(::socket(address->socket.ss_family, SOCK_DGRAM | SOCK_CLOEXEC, 0));
    if (::bind(fd.get(), reinterpret_cast<const sockaddr*>(&address->socket), address->socket_size) != 0) {
      GTEST_SKIP() << "this machine has no " << address->text;
    }
  }
  void connect(const std::vector<Fabric*>& fabrics, std::int64_t segment, const std::string& secret = "secret") {
    std::vector<Peer> peers;
    for (const auto* fabric : fabrics) peers.push_back({"host", fabric->tunnel_address()});
    for (auto* fabric : fabrics) {
      const Status set = fabric->set_segment(segment, peers, secret);
      EXPECT_TRUE(set) << set.error().to_string();
    }
  }
};

TEST_P(TunnelTest, FramesOfAnySizeGoBothWays) {
  const auto first = open("a", GetParam()), second = open("b", GetParam());
  connect({first.get(), second.get()}, 7);
  SocketNic a = plug(*first, "a", 7), b = plug(*second, "b", 7);
  for (const std::size_t size : {std::size_t{14}, std::size_t{60}, std::size_t{1464}, std::size_t{1514}}) {
    std::string payload(size - 14, '\0');
    for (std::size_t i = 0; i < payload.size(); ++i) payload[i] = static_cast<char>(i * 7);
    const Frame there = make_frame(kMacB, kMacA, payload, size), back = make_frame(kMacA, kMacB, payload, size);
    ASSERT_EQ(there.size(), size);
    ASSERT_EQ(a.send(there), 0);
    EXPECT_EQ(b.receive(), there) << size;
    ASSERT_EQ(b.send(back), 0);
    EXPECT_EQ(a.receive(), back) << size;
  }
}

TEST_P(TunnelTest, EachOfThreeHostsGetsABroadcastOnce) {
  const auto first = open("a", GetParam()), second = open("b", GetParam()), third = open("c", GetParam());
  connect({first.get(), second.get(), third.get()}, 7);
  SocketNic a = plug(*first, "a", 7), b = plug(*second, "b", 7), c = plug(*third, "c", 7);
  ASSERT_EQ(a.send(make_frame(kEverybody, kMacA, "all")), 0);
  ASSERT_EQ(a.send(make_frame(kEverybody, kMacA, "end")), 0);
  EXPECT_THAT(b.receive_until("end"), ElementsAre("all", "end"));
  EXPECT_THAT(c.receive_until("end"), ElementsAre("all", "end"));
  ASSERT_EQ(b.send(make_frame(kMacA, kMacB, "to a")), 0);
  ASSERT_EQ(b.send(make_frame(kEverybody, kMacB, "end")), 0);
  EXPECT_THAT(a.receive_until("end"), ElementsAre("to a", "end"));
  EXPECT_THAT(c.receive_until("end"), ElementsAre("end")) << "where a is was known";
}

TEST_P(TunnelTest, SegmentsStayApartAcrossHosts) {
  const auto first = open("a", GetParam()), second = open("b", GetParam());
  connect({first.get(), second.get()}, 7, "one secret");
  connect({first.get(), second.get()}, 8, "another");
  SocketNic a = plug(*first, "a", 7), b = plug(*second, "b", 7);
  SocketNic other_a = plug(*first, "other a", 8), other_b = plug(*second, "other b", 8);
  for (int i = 0; i < 5; ++i) {
    ASSERT_EQ(a.send(make_frame(kMacB, kMacA, "seven")), 0);
    ASSERT_EQ(other_a.send(make_frame(kMacB, kMacA, "eight")), 0);
  }
  for (int i = 0; i < 5; ++i) {
    EXPECT_EQ(text_of(b.receive().value_or("nothing")), "seven");
    EXPECT_EQ(text_of(other_b.receive().value_or("nothing")), "eight");
  }
}

TEST_P(TunnelTest, AHostThatIsNoPeerAnyMoreIsNotHeard) {
  const auto first = open("a", GetParam()), second = open("b", GetParam()), third = open("c", GetParam());
  connect({first.get(), second.get(), third.get()}, 7);
  SocketNic a = plug(*first, "a", 7), b = plug(*second, "b", 7), c = plug(*third, "c", 7);
  // The third does not hear of it.
  ASSERT_TRUE(first->set_segment(7, {{"b", second->tunnel_address()}}, "secret"));
  ASSERT_EQ(c.send(make_frame(kEverybody, kMacC, "from c")), 0);
  ASSERT_EQ(text_of(b.receive().value_or("nothing")), "from c");
  ASSERT_EQ(b.send(make_frame(kEverybody, kMacB, "from b")), 0);
  EXPECT_THAT(a.receive_until("from b"), ElementsAre("from b"));
  EXPECT_TRUE(comes_to_show("a", R"("unknown-sender":1)"));
}

TEST_P(TunnelTest, ASegmentThatIsRemovedLeavesLocalTraffic) {
  const auto first = open("a", GetParam()), second = open("b", GetParam());
  connect({first.get(), second.get()}, 7);
  connect({first.get(), second.get()}, 8);
  SocketNic a = plug(*first, "a", 7), neighbour = plug(*first, "neighbour", 7), b = plug(*second, "b", 7);
  ASSERT_TRUE(first->remove_segment(7));
  ASSERT_EQ(b.send(make_frame(kEverybody, kMacB, "from afar")), 0);
  SocketNic far8 = plug(*second, "b8", 8), near8 = plug(*first, "a8", 8);
  ASSERT_EQ(far8.send(make_frame(kEverybody, kMacB, "later")), 0);
  ASSERT_EQ(text_of(near8.receive().value_or("nothing")), "later");  // so the one from afar is dealt with
  ASSERT_EQ(neighbour.send(make_frame(kEverybody, kMacC, "from near")), 0);
  EXPECT_THAT(a.receive_until("from near"), ElementsAre("from near"));
  EXPECT_TRUE(comes_to_show("a", R"("unknown-segment":1)"));
}

std::string kind_name(const testing::TestParamInfo<const char*>& kind) {
  return kind.index == 0 ? "Unix" : kind.index == 1 ? "Udp" : "Udp6";
}
INSTANTIATE_TEST_SUITE_P(Kinds, TunnelTest, testing::Values("", "udp:127.0.0.1:0", "udp:[::1]:0"), kind_name);

TEST_F(LocalTest, OverUdpOnlyWhoKnowsTheSecretIsHeard) {
  const auto first = open("a", "udp:127.0.0.1:0");
  const auto second = open("b", "udp:127.0.0.1:0");
  const std::string first_address = first->tunnel_address(), second_address = second->tunnel_address();
  ASSERT_TRUE(first->set_segment(7, {{"b", second_address}}, "right"));
  ASSERT_TRUE(second->set_segment(7, {{"a", first_address}}, "wrong"));
  SocketNic a = plug(*first, "a", 7), b = plug(*second, "b", 7);
  ASSERT_EQ(b.send(make_frame(kEverybody, kMacB, "wrong secret")), 0);
  ASSERT_TRUE(comes_to_show("b", R"("sent":1)"));
  ASSERT_TRUE(second->set_segment(7, {{"a", first_address}}, "right"));
  ASSERT_EQ(b.send(make_frame(kEverybody, kMacB, "right secret")), 0);
  EXPECT_THAT(a.receive_until("right secret"), ElementsAre("right secret"));
  EXPECT_TRUE(comes_to_show("a", R"("forged":1)"));

  // A stranger who even knows the secret is no peer.
  const env::UniqueFd stranger(::socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0));
  const auto to = parse_tunnel_address(first_address);
  std::string datagram(kTunnelHeader, '\0');
  std::array<std::uint8_t, kTunnelHeader> header{};
  write_tunnel_header(header, 7);
  std::copy(header.begin(), header.end(), datagram.begin());
  datagram += make_frame(kEverybody, kMacC, "stranger");
  FrameSeal seal("right");
  const auto tag = seal.tag(second_address, {reinterpret_cast<const std::uint8_t*>(datagram.data()), datagram.size()});
  datagram.append(tag.begin(), tag.end());
  for (const std::string& sent : {datagram, std::string("x"), std::string()}) {
    ASSERT_EQ(::sendto(stranger.get(), sent.data(), sent.size(), 0, reinterpret_cast<const sockaddr*>(&to->socket),
                       to->socket_size),
              static_cast<ssize_t>(sent.size()));
  }
  ASSERT_EQ(b.send(make_frame(kEverybody, kMacB, "end")), 0);
  EXPECT_THAT(a.receive_until("end"), ElementsAre("end"));
  EXPECT_TRUE(comes_to_show("a", R"("unknown-sender":3)"));
}

}  // namespace
}  // namespace nuraghe::network
