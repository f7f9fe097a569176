#include "api/reached.hpp"

#include <gtest/gtest.h>

namespace nuraghe::api {
namespace {

GatewayOptions options(const std::string& public_url = {}) {
  GatewayOptions made;
  made.public_base = "http://127.0.0.1:8470";
  made.public_url = public_url;
  return made;
}

net::HttpRequest request(const std::string& reached_at, const std::string& host) {
  net::HttpRequest made;
  made.reached_at = reached_at;
  if (!host.empty()) made.headers.push_back({"host", host});
  return made;
}

TEST(Reached, AClientIsToldWhatItCameBy) {
  EXPECT_EQ(base_for(options(), request("https://10.0.0.1:8470", "site.example:8470")), "https://site.example:8470");
  EXPECT_EQ(base_for(options(), request("https://10.0.0.1:8470", "site.example")), "https://site.example");
  EXPECT_EQ(base_for(options(), request("http://127.0.0.1:8470", "localhost:9000")), "http://localhost:9000");
  EXPECT_EQ(base_for(options(), request("https://[fe80::1]:8470", "[fe80::1]:8470")), "https://[fe80::1]:8470");
}

TEST(Reached, WhatIsNoHostIsNotTold) {
  for (const char* host : {"", "a b", "a/b", "user@site.example", "site.example:", "site.example:0",
                           "site.example:65536", "site.example:8a", "[::1", "::1", "[x]", "[]", "<x>", "a?b", "a\"b"}) {
    EXPECT_EQ(base_for(options(), request("https://10.0.0.1:8470", host)), "https://10.0.0.1:8470") << host;
  }
  EXPECT_EQ(base_for(options(), request("https://10.0.0.1:8470", std::string(256, 'x'))), "https://10.0.0.1:8470");
}

TEST(Reached, OverAUnixSocketAHostNamesNothing) {
  EXPECT_EQ(base_for(options(), request("", "localhost")), "http://127.0.0.1:8470");
}

TEST(Reached, APublicUrlIsForAll) {
  const auto with = options("https://site.example");
  for (const char* reached_at : {"", "http://127.0.0.1:8470", "https://10.0.0.1:8470"}) {
    EXPECT_EQ(base_for(with, request(reached_at, "other.example")), "https://site.example");
    EXPECT_EQ(lasting_base(with, request(reached_at, "other.example")), "https://site.example");
  }
}

TEST(Reached, WhatLastsIsNotTheClientsWord) {
  EXPECT_EQ(lasting_base(options(), request("https://10.0.0.1:8470", "forged.example")), "https://10.0.0.1:8470");
  EXPECT_EQ(lasting_base(options(), request("", "forged.example")), "http://127.0.0.1:8470");
}

}  // namespace
}  // namespace nuraghe::api
