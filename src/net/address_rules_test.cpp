#include "net/address_rules.hpp"

#include <gtest/gtest.h>

namespace nuraghe::net {
namespace {

AddressRules within(std::string_view network) {
  AddressRules rules;
  rules.networks.push_back(parse_network(network).value());
  return rules;
}

TEST(AddressRules, NeverLeadToMetadataMulticastOrNowhere) {
  for (const bool loopback : {false, true}) {
    AddressRules rules;
    rules.loopback = loopback;
    for (const char* address :
         {"0.0.0.0", "169.254.169.254", "224.0.0.1", "255.255.255.255", "::", "fe80::1", "ff02::1",
          "::ffff:169.254.169.254", "64:ff9b::a9fe:a9fe", "localhost", "", "0x7f.1", "2130706433"})
      EXPECT_FALSE(rules.allow(address)) << address;
    for (const char* address : {"192.0.2.1", "10.0.0.1", "2001:db8::1", "fd00::1"})
      EXPECT_TRUE(rules.allow(address)) << address;
    for (const char* address : {"127.0.0.1", "127.9.9.9", "::1", "::ffff:127.0.0.1", "64:ff9b::7f00:1"})
      EXPECT_EQ(rules.allow(address), loopback) << address;
  }
}

TEST(AddressRules, KeepToTheNetworksThatTheyName) {
  EXPECT_TRUE(within("10.1.0.0/15").allow("10.0.255.1"));
  EXPECT_TRUE(within("10.1.0.0/15").allow("::ffff:10.1.2.3"));
  EXPECT_FALSE(within("10.1.0.0/16").allow("10.2.0.1"));
  EXPECT_FALSE(within("10.1.0.0/16").allow("127.0.0.1"));
  EXPECT_TRUE(within("127.0.0.1").allow("127.0.0.1"));
  EXPECT_FALSE(within("127.0.0.1").allow("127.0.0.2"));
  EXPECT_TRUE(within("fd00::/9").allow("fd7f::1"));
  EXPECT_FALSE(within("fd00::/9").allow("fd80::1"));
  for (const char* wrong : {"10.1.0.0/33", "fd00::/129", "10.1/8", "a/8", "10.0.0.0/", "10.0.0.0/-1", ""})
    EXPECT_FALSE(parse_network(wrong)) << wrong;
}

TEST(AddressRules, LookAtWhatAUrlSays) {
  AddressRules rules;
  for (const char* url : {"http://192.0.2.1/x", "https://consumer.example:8443/a?b", "http://[2001:db8::1]:80/",
                          "http://consumer.example"})
    EXPECT_TRUE(check_url(rules, url)) << url;
  for (const char* url :
       {"ftp://192.0.2.1/", "http+unix://%2Frun%2Fn.sock/", "/services/vhf", "", "http://", "http:///x",
        "file:///etc/x", "http://user@192.0.2.1/", "http://192.0.2.1:0/", "http://192.0.2.1:99999/",
        "http://192.0.2.1:x/", "http://127.0.0.1:80/", "http://localhost/", "http://[::1]/", "http://[::1",
        "http://169.254.169.254/latest", "http://192.0.2.1/a b", "http://192.0.2.1\r\nX: y/"})
    EXPECT_FALSE(check_url(rules, url)) << url;
  rules.loopback = true;
  EXPECT_TRUE(check_url(rules, "http://127.0.0.1:80/"));
  EXPECT_TRUE(check_url(rules, "http://localhost:80/"));
}

}  // namespace
}  // namespace nuraghe::net
