#include "model/subnet.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace nuraghe::model {
namespace {

using ::testing::HasSubstr;

TEST(Ipv4, ReadsWhatItWrites) {
  for (const char* text : {"0.0.0.0", "10.1.0.5", "255.255.255.255"}) EXPECT_EQ(parse_ipv4(text)->to_string(), text);
  for (const char* text :
       {"", "1", "1.2.3", "1.2.3.4.5", "1.2.3.256", "01.2.3.4", "1.2.3.4 ", "a.b.c.d", "1..2.3", "-1.2.3.4"})
    EXPECT_FALSE(parse_ipv4(text)) << text;
}

TEST(Subnet, KnowsItsHosts) {
  const Subnet subnet = *parse_subnet("10.1.2.0/29");
  EXPECT_EQ(subnet.to_string(), "10.1.2.0/29");
  EXPECT_EQ(subnet.host_capacity(), 5);
  EXPECT_EQ(subnet.gateway().to_string(), "10.1.2.1");
  EXPECT_EQ(subnet.host(0).to_string(), "10.1.2.2");
  EXPECT_EQ(subnet.host(4).to_string(), "10.1.2.6");
  for (const auto& [text, expected] : {std::pair("10.1.2.0", false),
                                       {"10.1.2.1", false},
                                       {"10.1.2.2", true},
                                       {"10.1.2.6", true},
                                       {"10.1.2.7", false},
                                       {"10.1.3.2", false}})
    EXPECT_EQ(subnet.is_host(*parse_ipv4(text)), expected) << text;
  EXPECT_EQ(parse_subnet("10.1.0.0/16")->host_capacity(), 65533);
}

TEST(Subnet, Overlaps) {
  const Subnet wide = *parse_subnet("10.1.0.0/16");
  EXPECT_TRUE(wide.overlaps(*parse_subnet("10.1.7.0/24")));
  EXPECT_TRUE(parse_subnet("10.1.7.0/24")->overlaps(wide));
  EXPECT_FALSE(wide.overlaps(*parse_subnet("10.2.0.0/24")));
}

TEST(Subnet, RefusesWithTheRemedy) {
  const auto message = [](const char* text) { return parse_subnet(text).error().message(); };
  EXPECT_THAT(message("10.1.0.5/24"), HasSubstr("write 10.1.0.0/24"));
  EXPECT_THAT(message("10.1.0.0"), HasSubstr("10.1.0.0/24"));
  EXPECT_THAT(message("10.0.0.0/8"), HasSubstr("between 16 and 29"));
  EXPECT_THAT(message("10.0.0.0/30"), HasSubstr("between 16 and 29"));
  EXPECT_THAT(message("127.0.0.0/24"), HasSubstr("not for hosts"));
  EXPECT_THAT(message("224.0.0.0/24"), HasSubstr("not for hosts"));
  for (const char* text :
       {"", "/", "x/24", "10.1.0.0/", "10.1.0.0/x", "10.1.0.0/24 ", "10.1.0.0/-1", "10.1.0.0/99999999999"})
    EXPECT_FALSE(parse_subnet(text)) << text;
}

}  // namespace
}  // namespace nuraghe::model
