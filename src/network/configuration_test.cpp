#include "network/configuration.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "base/record.hpp"
#include "network/address.hpp"
#include "network/protocol.hpp"

namespace nuraghe::network {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;

Configuration unix_switch() {
  Configuration made;
  made.listen = "unix:/run/a/t";
  return made;
}

TEST(TunnelAddress, HasOneText) {
  EXPECT_EQ(parse_tunnel_address("unix:/run/a/t")->path, "/run/a/t");
  EXPECT_EQ(parse_tunnel_address("udp:192.0.2.1:4789")->text, "udp:192.0.2.1:4789");
  EXPECT_EQ(parse_tunnel_address("udp:[2001:DB8:0::1]:1")->text, "udp:[2001:db8::1]:1");
  EXPECT_EQ(parse_tunnel_address("udp:127.0.0.1:0", true)->text, "udp:127.0.0.1:0");
}

TEST(TunnelAddress, PortZeroFitsEveryPort) {
  const auto fits = [](const char* asked, const char* actual) {
    return address_fits(*parse_tunnel_address(asked, true), *parse_tunnel_address(actual));
  };
  EXPECT_TRUE(fits("udp:127.0.0.1:0", "udp:127.0.0.1:80"));
  EXPECT_TRUE(fits("udp:[::1]:0", "udp:[::1]:80"));
  EXPECT_TRUE(fits("udp:127.0.0.1:80", "udp:127.0.0.1:80"));
  EXPECT_TRUE(fits("unix:/a:0", "unix:/a:0"));
  EXPECT_FALSE(fits("udp:127.0.0.1:8", "udp:127.0.0.1:80"));
  EXPECT_FALSE(fits("udp:127.0.0.1:0", "udp:127.0.0.2:80"));
  EXPECT_FALSE(fits("unix:/a:0", "unix:/a:1"));
  EXPECT_FALSE(fits("udp:127.0.0.1:0", "unix:/a"));
}

TEST(TunnelAddress, RefusesWhatNamesNoPlace) {
  for (const char* text :
       {"", "unix:", "unix:t", "udp:", "udp:127.0.0.1", "udp:127.0.0.1:", "udp:127.0.0.1:0", "udp:127.0.0.1:65536",
        "udp:127.0.0.1:1x", "udp:host:1", "udp:0.0.0.0:1", "udp:[::]:1", "udp:::1:1", "tcp:127.0.0.1:1"}) {
    const auto parsed = parse_tunnel_address(text);
    ASSERT_FALSE(parsed) << text;
    EXPECT_EQ(parsed.error().code(), ErrorCode::kInvalid);
  }
  const auto parsed = parse_tunnel_address("unix:/" + std::string(200, 'x'));
  ASSERT_FALSE(parsed);
  EXPECT_THAT(parsed.error().message(), HasSubstr("94 characters too long"));
}

TEST(Configuration, SegmentsReplaceTheirPeersAndLeaveOutThemselves) {
  Configuration made = unix_switch();
  ASSERT_TRUE(made.set_segment(7, {{"c", "unix:/run/c/t"}, {"a", "unix:/run/a/t"}, {"b", "unix:/run/b/t"}}, "s"));
  EXPECT_THAT(made.segments[0].peers, ElementsAre("unix:/run/b/t", "unix:/run/c/t"));
  ASSERT_TRUE(made.set_segment(3, {}, "s"));
  ASSERT_TRUE(made.set_segment(7, {{"b", "unix:/run/b/t"}, {"b", "unix:/run/b/t"}}, "s2"));
  ASSERT_EQ(made.segments.size(), 2U);
  EXPECT_EQ(made.segments[0].number, 3);
  EXPECT_THAT(made.segments[1].peers, ElementsAre("unix:/run/b/t"));
  EXPECT_EQ(made.segments[1].secret, "s2");
  made.remove_segment(7);
  made.remove_segment(7);
  EXPECT_EQ(made.segments.size(), 1U);
}

TEST(Configuration, RefusesWrongSegmentsAndChangesNothing) {
  Configuration made = unix_switch();
  const std::string before = encode_record(made);
  for (const std::int64_t number : {-1L, 0L, 1L << 24}) {
    EXPECT_EQ(made.set_segment(number, {}, "s").error().code(), ErrorCode::kInvalid);
    EXPECT_EQ(made.add_port("p", number).error().code(), ErrorCode::kInvalid);
  }
  const auto mixed = made.set_segment(1, {{"b", "udp:127.0.0.1:9"}}, "s");
  ASSERT_FALSE(mixed);
  EXPECT_THAT(mixed.error().message(), HasSubstr("the peer b at udp:127.0.0.1:9 cannot be reached"));
  EXPECT_FALSE(made.set_segment(1, {{"b", "nonsense"}}, "s"));
  EXPECT_EQ(made.add_port("", 1).error().code(), ErrorCode::kInvalid);
  EXPECT_EQ(made.add_port(std::string(257, 'x'), 1).error().code(), ErrorCode::kInvalid);
  EXPECT_EQ(encode_record(made), before);
  made.listen = "udp:127.0.0.1:5";
  EXPECT_THAT(made.set_segment(1, {}, "").error().message(), HasSubstr("has no secret"));
}

TEST(Configuration, PortsKeepTheirNumbers) {
  Configuration made = unix_switch();
  EXPECT_EQ(made.add_port("b", 7)->number, 1);
  EXPECT_EQ(made.add_port("a", 7)->number, 2);
  EXPECT_EQ(made.add_port("b", 7)->number, 1);
  const auto moved = made.add_port("b", 8);
  ASSERT_FALSE(moved);
  EXPECT_EQ(moved.error().code(), ErrorCode::kConflict);
  EXPECT_EQ(made.remove_port("b"), 1);
  EXPECT_EQ(made.remove_port("b"), 0);
  EXPECT_EQ(made.add_port("b", 8)->number, 3) << "the number of a removed port is not given again";
  const auto again = decode_record<Configuration>(encode_record(made));
  ASSERT_TRUE(again);
  EXPECT_EQ(encode_record(*again), encode_record(made));
  EXPECT_FALSE(made.idle());
}

TEST(Protocol, RequestsComeBackTheSame) {
  Request request;
  request.command = Command::kSetSegment;
  request.segment = 9;
  request.secret = std::string("\0\xff\"\n", 4);
  request.peers = {{"b \"quoted\"", "unix:/run/b/t"}};
  const std::string line = encode_request(request);
  EXPECT_EQ(line.find('\n'), std::string::npos);
  const auto back = decode_request(line);
  ASSERT_TRUE(back);
  EXPECT_EQ(back->command, Command::kSetSegment);
  EXPECT_EQ(back->segment, 9);
  EXPECT_EQ(back->secret, request.secret);
  ASSERT_EQ(back->peers.size(), 1U);
  EXPECT_EQ(back->peers[0].name, "b \"quoted\"");
}

TEST(Protocol, WrongLinesAreRefused) {
  for (const char* line : {"", "[]", "{", "{}", R"({"do":1})", R"({"do":"dance"})", R"({"do":"add-port"})",
                           R"({"do":"add-port","id":5,"segment":1})", R"({"do":"add-port","id":"a","segment":"1"})",
                           R"({"do":"set-segment","segment":1,"secret":"00"})",
                           R"({"do":"set-segment","segment":1,"peers":[1],"secret":""})",
                           R"({"do":"set-segment","segment":1,"peers":[],"secret":"0"})",
                           R"({"do":"set-segment","segment":1,"peers":[],"secret":"0g"})", "{\"do\":\"list\"} {}"}) {
    const auto request = decode_request(line);
    ASSERT_FALSE(request) << line;
    EXPECT_EQ(request.error().code(), ErrorCode::kInvalid) << line;
  }
}

TEST(Protocol, ErrorsKeepTheirCode) {
  Request request;
  const auto answer = decode_answer(request, encode_error(conflict("no").with("port x")));
  ASSERT_FALSE(answer);
  EXPECT_EQ(answer.error().code(), ErrorCode::kConflict);
  EXPECT_EQ(answer.error().message(), "port x: no");
  EXPECT_EQ(decode_answer(request, "garbage").error().code(), ErrorCode::kUnavailable);
}

}  // namespace
}  // namespace nuraghe::network
