#include "api/rest_headers.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace nuraghe::api {
namespace {

using ::testing::ElementsAre;
using ::testing::Pair;

TEST(RestHeaders, TheQueryIsDecoded) {
  EXPECT_THAT(*query_of("/x?a=1&b=x+y%26z&&c&d=%C3%A4&a=2"),
              ElementsAre(Pair("a", "1"), Pair("b", "x y&z"), Pair("c", ""), Pair("d", "ä"), Pair("a", "2")));
  EXPECT_THAT(*query_of("/x"), ElementsAre());
  EXPECT_THAT(*query_of("/x?"), ElementsAre());
  EXPECT_FALSE(query_of("/x?a=%4"));
  EXPECT_FALSE(query_of("/x?%zz=1"));
}

TEST(RestHeaders, AcceptIsByTheMostExactRange) {
  const std::string json = "application/json";
  for (const char* good : {"", "*/*", "application/*", "Application/JSON", "text/html, application/json;q=0.1",
                           "text/html;q=0.9,*/*;q=0.8", "application/*;q=0, application/json", "a/b;x=\"c,d\", */*"})
    EXPECT_TRUE(accepts(good, json)) << good;
  for (const char* bad :
       {"text/html", "application/json;q=0", "application/json;q=0.000, */*", "text/*", "application/jsonx"})
    EXPECT_FALSE(accepts(bad, json)) << bad;
}

TEST(RestHeaders, JsonIsUtf8) {
  for (const char* good : {"application/json", "application/json; charset=UTF-8", "application/merge-patch+json"})
    EXPECT_TRUE(is_json(good)) << good;
  for (const char* bad : {"", "text/xml", "text/json", "application/json; charset=latin1", "application/jsonp"})
    EXPECT_FALSE(is_json(bad)) << bad;
}

TEST(RestHeaders, Preferences) {
  EXPECT_FALSE(preferences_of("").respond_async);
  const auto both = preferences_of("return=minimal, Respond-Async; x=1, wait = 10");
  EXPECT_TRUE(both.respond_async);
  EXPECT_FALSE(both.wait) << "a blank after the equals sign is no number";
  EXPECT_EQ(preferences_of("respond-async, wait=10").wait, std::chrono::seconds(10));
  EXPECT_EQ(preferences_of("wait=99999999").wait, std::chrono::minutes(10));
  for (const char* bad : {"wait", "wait=", "wait=-1", "wait=x", "wait=99999999999999999999"})
    EXPECT_FALSE(preferences_of(bad).wait) << bad;
}

TEST(RestHeaders, IdempotencyKeys) {
  const auto key = [](const char* text) {
    net::HttpRequest request;
    request.headers.push_back({"idempotency-key", text});
    return idempotency_key(request);
  };
  EXPECT_EQ(*idempotency_key({}), std::nullopt);
  EXPECT_EQ(**key("8e03978e-40d5"), "8e03978e-40d5");
  EXPECT_EQ(**key("\"8e03978e-40d5\""), "8e03978e-40d5");
  for (const std::string& bad : {std::string(), std::string("\"\""), std::string("a b"), std::string("a\"b"),
                                 std::string("\xC3\xA4"), std::string(256, 'x')})
    EXPECT_FALSE(key(bad.c_str())) << bad;
}

}  // namespace
}  // namespace nuraghe::api
