// The JSON form of values and messages: the mapping word for word, and what is refused.
#include "contracts/json.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>

#include "contracts/echo.hpp"
#include "everything.hpp"

namespace nuraghe::contracts::echo {
namespace {

using testing::HasSubstr;

constexpr std::string_view kRight =
    R"({"text":"t","flag":true,"small":1,"large":2,"real":0.5,"size":3,"moment":"2030-01-31T12:00:00.000000Z",)"
    R"("span":"PT1.500000S","reference":{"address":"urn:x"},"mood":"very-cross","place":{"point":{"x":1,"y":2}},)"
    R"("texts":["a","b"],"flags":[],"numbers":[9007199254740993],"spans":[],"colours":["RAL.9010"],)"
    R"("trees":[{"name":"n","child":[{"name":"m","child":[]}]}],"class":"c","fields":1})";

std::string with(std::string_view from, std::string_view to) {
  std::string text(kRight);
  const auto at = text.find(from);
  EXPECT_NE(at, std::string::npos) << from;
  return text.replace(at, from.size(), to);
}

std::string error_of(const std::string& text) {
  Everything value;
  const auto status = from_json(text, value);
  if (status) return "none";
  EXPECT_EQ(status.error().code(), ErrorCode::kInvalid);
  return status.error().message();
}

TEST(Json, TheMappingWordForWord) {
  Everything value;
  const auto status = from_json(kRight, value);
  ASSERT_TRUE(status) << status.error().message();
  EXPECT_EQ(value.span, std::chrono::milliseconds(1500));
  EXPECT_EQ(value.size, Bytes{3});
  EXPECT_EQ(value.mood, Mood::kVeryCross);
  EXPECT_EQ(value.reference.address, "urn:x");
  EXPECT_EQ(value.numbers, (std::vector<std::int64_t>{9007199254740993}));
  EXPECT_EQ(value.trees[0].child[0].name, "m");
  EXPECT_EQ(value.class_, "c");
  EXPECT_EQ(value.fields_, 1);
  EXPECT_FALSE(value.maybe_text);
  EXPECT_EQ(*to_json(value), kRight);
}

TEST(Json, NumbersThatJsonHasNot) {
  Everything value;
  ASSERT_TRUE(from_json(with("0.5", "\"-INF\""), value));
  EXPECT_TRUE(std::isinf(value.real) && value.real < 0);
  EXPECT_THAT(*to_json(value), HasSubstr(R"("real":"-INF")"));
  ASSERT_TRUE(from_json(with("0.5", "\"NaN\""), value));
  EXPECT_TRUE(std::isnan(value.real));
  EXPECT_THAT(*to_json(value), HasSubstr(R"("real":"NaN")"));
}

TEST(Json, ListsMayBeMissingAndTimesHaveAnyZone) {
  Everything value;
  ASSERT_TRUE(from_json(with(R"("texts":["a","b"],)", ""), value));
  EXPECT_TRUE(value.texts.empty());
  ASSERT_TRUE(from_json(with("12:00:00.000000Z", "12:00:00+02:00"), value));
  EXPECT_EQ(value.moment.to_string(), "2030-01-31T10:00:00.000000Z");
}

struct Bad {
  const char* from;
  const char* to;
  const char* message;
};
class BadJson : public testing::TestWithParam<Bad> {};
TEST_P(BadJson, IsRefusedByItsPath) {
  EXPECT_THAT(error_of(with(GetParam().from, GetParam().to)), HasSubstr(GetParam().message));
}
INSTANTIATE_TEST_SUITE_P(
    Json, BadJson,
    testing::Values(
        Bad{R"("text":"t",)", "", "text is missing"},
        Bad{R"("text":"t")", R"("text":1)", "text must be a string, not 1"},
        Bad{R"("text":"t")", R"("text":null)", "text is null; leave it out, or write a string"},
        Bad{R"("text":"t")", R"("text":"t","text":"t")", "the member text stands twice"},
        Bad{R"("text":"t")", R"("text":"\u0007")", "text holds a character that XML 1.0 cannot carry"},
        Bad{R"("text":"t")", R"("text":"t","colour":"red")", "colour is unknown; the object may hold text, flag"},
        Bad{R"("flag":true)", R"("flag":"true")", R"(flag must be true or false, not "true")"},
        Bad{R"("flag":true)", R"("flag":1)", "flag must be true or false, not 1"},
        Bad{R"("small":1)", R"("small":2147483648)", "small must be a whole number of 32 bits, not 2147483648"},
        Bad{R"("small":1)", R"("small":1.0)", "small must be a whole number of 32 bits"},
        Bad{R"("small":1)", R"("small":"1")", "small must be a whole number of 32 bits"},
        Bad{R"("large":2)", R"("large":9223372036854775808)", "large must be a whole number of 64 bits"},
        Bad{R"("real":0.5)", R"("real":"0.5")", "real must be a number"},
        Bad{R"("real":0.5)", R"("real":true)", "real must be a number"},
        Bad{R"("size":3)", R"("size":"3MiB")", R"(size must be a whole number of bytes, not "3MiB")"},
        Bad{"12:00:00.000000Z", "12:00:00", "moment must be a time such as"},
        Bad{"2030-01-31", "2030-13-31", "moment must be a time such as"},
        Bad{"PT1.500000S", "90s", "span must be a duration such as"},
        Bad{R"({"address":"urn:x"})", R"("urn:x")", "reference must be an object {\"address\": \"…\"}"},
        Bad{R"({"address":"urn:x"})", "{}", "reference.address is missing"},
        Bad{R"({"address":"urn:x"})", R"({"address":"urn:x","a":1})",
            "reference.a is unknown; reference may hold address"},
        Bad{"very-cross", "glad", R"(mood must be one of calm, very-cross, not "glad")"},
        Bad{R"("x":1,)", "", "place.point.x is missing"},
        Bad{R"(["a","b"])", R"(["a",2])", "texts[1] must be a string"},
        Bad{R"(["a","b"])", R"("a")", R"(texts must be an array, not "a")"},
        Bad{R"([{"name":"m","child":[]}])", R"([{"name":"m","child":[]},{"child":[]}])",
            "trees[0].child[1].name is missing"},
        Bad{R"({"name":"m")", R"({"name":"m","name":"m")", "the member trees[0].child[0].name stands twice"},
        Bad{R"({"name":"m")", R"({"name":"m","leaf":0)", "trees[0].child[0].leaf is unknown"},
        Bad{R"("fields":1})", R"("fields":1)", "the text is no JSON"}));

TEST(Json, WhatIsNoObject) {
  EXPECT_THAT(error_of("[]"), HasSubstr("the value must be a JSON object, not []"));
  EXPECT_THAT(error_of(""), HasSubstr("the text is no JSON"));
}

TEST(Json, AnElementOfAnyNameIsItsText) {
  Parcel parcel;
  ASSERT_TRUE(from_json(R"({"content":"<a xmlns='urn:a'><b>1</b></a>"})", parcel));
  EXPECT_TRUE(parcel.content->root().is("urn:a", "a"));
  EXPECT_EQ(*to_json(parcel), R"({"content":"<a xmlns=\"urn:a\"><b>1</b></a>","more":[]})");
  EXPECT_THAT(from_json(R"({"content":"a < b"})", parcel).error().message(), HasSubstr("content is no XML: "));
  EXPECT_THAT(from_json(R"({"content":"<a/>","more":["<a>"]})", parcel).error().message(),
              HasSubstr("more[0] is no XML"));
  EXPECT_THAT(from_json(R"({"content":{"a":1}})", parcel).error().message(),
              HasSubstr("content must be a string that holds"));
  // A document that was forgotten does not pass for one.
  EXPECT_FALSE(to_json(Parcel{}));
}

// ---- requests ----

const OperationInfo& operation(std::string_view name) { return *find_operation(*test_service(), name); }

std::string request_error(std::string_view name, std::string_view body, std::vector<Parameter> parameters = {}) {
  const auto payload = json_request(operation(name), body, parameters);
  if (payload) return "none: " + (*payload)->to_string();
  EXPECT_EQ(payload.error().code(), ErrorCode::kInvalid);
  return payload.error().message();
}

Result<SearchRequest> search(std::string_view body, std::vector<Parameter> parameters) {
  TRY_ASSIGN(auto payload, json_request(operation("search"), body, parameters));
  exchange::Message message;
  message.operation = "search";
  message.body = std::move(payload);
  return parse_search_request(message);
}

TEST(JsonRequest, FieldsComeFromPathQueryAndBody) {
  const auto all = search("", {{"tag", "a"},
                               {"id", "ä/b"},
                               {"limit", "7"},
                               {"tag", "b"},
                               {"deep", "true"},
                               {"since", "2030-01-31T12:00:00+02:00"},
                               {"within", "PT2S"},
                               {"colour", "light-blue"}});
  ASSERT_TRUE(all) << all.error().message();
  EXPECT_EQ(all->id, "ä/b");
  EXPECT_EQ(all->limit, 7);
  EXPECT_EQ(all->tag, (std::vector<std::string>{"a", "b"}));
  EXPECT_TRUE(*all->deep);
  EXPECT_EQ(all->within, std::chrono::seconds(2));
  EXPECT_EQ(all->colour, shapes::Colour::kLightBlue);
  const auto mixed = search(R"({"limit":7,"tag":["x"]})", {{"id", "i"}});
  ASSERT_TRUE(mixed) << mixed.error().message();
  EXPECT_EQ(mixed->tag, (std::vector<std::string>{"x"}));
}

TEST(JsonRequest, ParametersAreReadStrictly) {
  EXPECT_EQ(request_error("search", "", {{"limit", "7"}}), "id is missing");
  EXPECT_EQ(request_error("search", "", {{"id", "a"}, {"id", "b"}}), "the parameter id stands twice");
  EXPECT_EQ(request_error("search", R"({"id":"b"})", {{"id", "a"}}), "id stands twice: as a parameter and in the body");
  EXPECT_THAT(request_error("search", "", {{"id", "a"}, {"size", "1"}}),
              HasSubstr(R"(there is no parameter "size"; GET /)"));
  EXPECT_EQ(request_error("search", "", {{"id", "a"}, {"limit", "x"}}),
            R"(the parameter limit must be a whole number of 32 bits, not "x")");
  EXPECT_THAT(request_error("search", "", {{"id", "a"}, {"deep", "maybe"}}), HasSubstr("must be true or false"));
  EXPECT_THAT(request_error("search", "", {{"id", "a"}, {"since", "2030-01-31T12:00:00"}}),
              HasSubstr("the parameter since must be a time such as 2026"));
  EXPECT_THAT(request_error("search", "", {{"id", "a"}, {"colour", "pink"}}),
              HasSubstr("the parameter colour must be one of red, light-blue, RAL.9010, not"));
  EXPECT_THAT(request_error("search", "", {{"id", "\x01"}}), HasSubstr("the parameter id must be a string"));
  EXPECT_THAT(request_error("search", "", {{"id", "\xff"}}), HasSubstr("the parameter id must be a string"));
}

TEST(JsonRequest, TheBodyIsAnObjectOfTheOtherFields) {
  EXPECT_THAT(request_error("refuse", "[]"), HasSubstr("the body must be a JSON object, not []"));
  EXPECT_THAT(request_error("refuse", R"({"code":"x","later":false,"a":1})"),
              HasSubstr("a is unknown; the body may hold"));
  EXPECT_THAT(request_error("refuse", " "), HasSubstr("code is missing"));
  EXPECT_THAT(request_error("delete", " "), HasSubstr("none: <delete"));
  EXPECT_THAT(request_error("delete", "{}"), HasSubstr("none: <delete"));
}

TEST(JsonRequest, AFieldCanBeTheWholeBodyOrAnswer) {
  const auto payload = json_request(operation("carry"), R"({"content":"<a xmlns='urn:a'/>"})", {});
  ASSERT_TRUE(payload) << payload.error().message();
  exchange::Message message;
  message.operation = "carry";
  message.body = *payload;
  const auto request = parse_carry_request(message);
  ASSERT_TRUE(request);
  EXPECT_TRUE(request->parcel.content->root().is("urn:a", "a"));
  EXPECT_EQ(request_error("carry", "{}"), "content is missing");
  EXPECT_THAT(request_error("carry", R"({"content":"<a/>","b":1})"),
              HasSubstr("b is unknown; the object may hold content"));
  EXPECT_EQ(*json_response(operation("carry"), document_of(CarryResponse{request->parcel})),
            R"({"content":"<a xmlns=\"urn:a\"/>","more":[]})");
}

TEST(JsonResponse, WhatDoesNotFitIsItsSendersFailure) {
  const auto code_of = [](const xml::DocumentPtr& payload) {
    const auto text = json_response(operation("later"), payload);
    return text ? ErrorCode::kInternal : text.error().code();
  };
  EXPECT_EQ(code_of(nullptr), ErrorCode::kCorrupt);
  EXPECT_EQ(code_of(document_of(DeleteResponse{})), ErrorCode::kCorrupt);
  EXPECT_EQ(code_of(xml::Document::create({std::string(kNamespace), "laterResponse"}).clone().share()),
            ErrorCode::kCorrupt);
  EXPECT_EQ(*json_response(operation("later"), document_of(LaterResponse{"a\"b"})), R"({"text":"a\"b"})");
  EXPECT_EQ(*json_response(operation("delete"), document_of(DeleteResponse{})), "{}");
  EXPECT_EQ(*json_response(operation("note"), nullptr), "{}");
}

}  // namespace
}  // namespace nuraghe::contracts::echo
