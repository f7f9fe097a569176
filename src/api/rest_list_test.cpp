#include "api/rest_list.hpp"

#include <fmt/format.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <boost/json.hpp>
#include <set>

namespace nuraghe::api {
namespace {

using contracts::FieldShape;
using contracts::OperationInfo;
using contracts::Shape;
using contracts::ValueKind;
using ::testing::HasSubstr;

constexpr std::string_view kStates[] = {"running", "frozen"};
constexpr FieldShape kItemFields[] = {
    {"id", ValueKind::kString, false, false, nullptr, {}},
    {"state", ValueKind::kEnum, false, false, nullptr, kStates},
    {"cpus", ValueKind::kInt, false, false, nullptr, {}},
    {"since", ValueKind::kTime, true, false, nullptr, {}},
    {"alive", ValueKind::kBoolean, true, false, nullptr, {}},
    {"tags", ValueKind::kString, false, true, nullptr, {}},
    {"pause", ValueKind::kDuration, true, false, nullptr, {}},
    {"load", ValueKind::kDouble, true, false, nullptr, {}},
};
constexpr Shape kItem{"Item", "urn:t", kItemFields};
constexpr FieldShape kAnswerFields[] = {{"item", ValueKind::kStruct, false, true, &kItem, {}}};
constexpr Shape kAnswer{"listResponse", "urn:t", kAnswerFields};
constexpr FieldShape kInputFields[] = {{"cluster", ValueKind::kString, true, false, nullptr, {}}};
constexpr Shape kInput{"list", "urn:t", kInputFields};

struct Lists : ::testing::Test {
  Lists() {
    operation.service = "t";
    operation.name = "list";
    operation.rest_verb = "GET";
    operation.rest_path = "/items";
    operation.request = &kInput;
    operation.response = &kAnswer;
    route.operation = &operation;
    route.answer = &kAnswer;
    route.items = &kAnswerFields[0];
    route.order = "id";
  }
  void add(const std::string& id, const std::string& state = "running", int cpus = 1, const std::string& more = {}) {
    items += fmt::format("<item><id>{}</id><state>{}</state><cpus>{}</cpus>{}</item>", id, state, cpus, more);
  }
  xml::DocumentPtr answer() const {
    auto parsed = xml::Document::parse("<listResponse xmlns='urn:t'>" + items + "</listResponse>");
    return std::move(*parsed).share();
  }
  std::vector<std::string> ids(const Page& page) const {
    std::vector<std::string> found;
    const boost::json::value body = boost::json::parse(page.body);
    for (const auto& item : body.as_object().at("item").as_array())
      found.emplace_back(item.as_object().at("id").as_string());
    return found;
  }
  // The ids of the first page; an error as its text.
  std::vector<std::string> filtered(QueryParameters parameters) const {
    const auto query = take_list_query(route, parameters);
    if (!query) return {query.error().message()};
    return ids(*page_of(route, *query, answer()));
  }
  OperationInfo operation{};
  RestRoute route;
  std::string items;
};
using Ids = std::vector<std::string>;

TEST_F(Lists, AreInTheOrderOfWhatNamesTheirItems) {
  for (const char* id : {"c", "a", "b"}) add(id);
  EXPECT_EQ(filtered({}), (Ids{"a", "b", "c"}));
}

TEST_F(Lists, AreFilteredByEverySimpleField) {
  add("a", "running", 1, "<since>2030-01-01T00:00:00Z</since><alive>true</alive><pause>PT1M</pause><load>0.5</load>");
  add("b", "frozen", 2,
      "<since>2030-01-01T01:00:00+01:00</since><alive>0</alive><pause>PT60S</pause><load>5e-1</load>");
  add("c", "running", 2, "<tags>x</tags>");
  EXPECT_EQ(filtered({{"state", "running"}}), (Ids{"a", "c"}));
  EXPECT_EQ(filtered({{"state", "running"}, {"cpus", "2"}}), (Ids{"c"}));
  EXPECT_EQ(filtered({{"state", "running"}, {"state", "frozen"}}), (Ids{"a", "b", "c"}));
  EXPECT_EQ(filtered({{"since", "2030-01-01T00:00:00Z"}}), (Ids{"a", "b"}));
  EXPECT_EQ(filtered({{"alive", "false"}}), (Ids{"b"}));
  EXPECT_EQ(filtered({{"pause", "PT60S"}}), (Ids{"a", "b"}));
  EXPECT_EQ(filtered({{"load", "0.5"}}), (Ids{"a", "b"}));
  EXPECT_EQ(filtered({{"id", "nobody"}}), Ids{});
}

constexpr FieldShape kPagedFields[] = {{"after", ValueKind::kString, true, false, nullptr, {}},
                                       {"limit", ValueKind::kInt, true, false, nullptr, {}}};
constexpr Shape kPagedInput{"list", "urn:t", kPagedFields};

TEST_F(Lists, AnOperationThatGivesPagesIsAskedForThem) {
  operation.request = &kPagedInput;
  const auto asked = [this](QueryParameters parameters) {
    EXPECT_TRUE(take_list_query(route, parameters));
    return parameters;
  };
  EXPECT_EQ(asked({}), (QueryParameters{{"limit", "1000"}}));
  EXPECT_EQ(asked({{"limit", "9999"}}), (QueryParameters{{"limit", "1000"}}));
  EXPECT_EQ(asked({{"after", "x"}, {"limit", "2"}}), (QueryParameters{{"after", "x"}, {"limit", "2"}}));

  // A page that is full leads on behind its last item, also when a filter hides that.
  add("a");
  add("b", "frozen");
  QueryParameters parameters{{"limit", "2"}, {"state", "running"}};
  auto query = take_list_query(route, parameters);
  ASSERT_TRUE(query);
  const auto first = page_of(route, *query, answer());
  ASSERT_TRUE(first) << first.error().to_string();
  EXPECT_EQ(ids(*first), Ids{"a"});
  ASSERT_FALSE(first->cursor.empty());
  EXPECT_EQ(asked({{"limit", "2"}, {"after", "x"}, {"cursor", first->cursor}}),
            (QueryParameters{{"limit", "2"}, {"after", "b"}}));

  items.clear();
  add("c");
  parameters = {{"limit", "2"}, {"cursor", first->cursor}};
  query = take_list_query(route, parameters);
  ASSERT_TRUE(query);
  const auto last = page_of(route, *query, answer());
  ASSERT_TRUE(last) << last.error().to_string();
  EXPECT_EQ(ids(*last), Ids{"c"});
  EXPECT_EQ(last->cursor, "");
}

TEST_F(Lists, WhatIsNoFilterIsRefusedAndTheOthersAreNamed) {
  for (const char* bad : {"stat", "tags", "State", ""}) {
    EXPECT_EQ(
        filtered({{bad, "x"}}),
        Ids{fmt::format("there is no parameter {}; GET /items has limit, cursor, cluster, id, state, cpus, since, "
                        "alive, pause, load",
                        bad)});
  }
  EXPECT_EQ(filtered({{"state", "asleep"}}), Ids{"the parameter state must be one of running, frozen, not asleep"});
  EXPECT_EQ(filtered({{"cpus", "2x"}}), Ids{"the parameter cpus must be a number, not 2x"});
  EXPECT_EQ(filtered({{"alive", "yes"}}), Ids{"the parameter alive must be true or false, not yes"});
  for (const char* bad : {"0", "-1", "x", "", "1e3"})
    EXPECT_THAT(filtered({{"limit", bad}}).front(), HasSubstr("limit must be a number from 1 to 10000")) << bad;
  for (const char* bad : {"", "x", "0", "zz", "7330", "733a", "732d313a61", "6e303a78"})
    EXPECT_THAT(filtered({{"cursor", bad}}).front(), HasSubstr("the cursor is not one")) << bad;
}

TEST_F(Lists, TheOperationsOwnParametersAreLeftToIt) {
  QueryParameters parameters = {{"cluster", "x"}, {"state", "running"}, {"limit", "7"}};
  const auto query = take_list_query(route, parameters);
  ASSERT_TRUE(query);
  EXPECT_EQ(parameters, (QueryParameters{{"cluster", "x"}}));
  EXPECT_EQ(query->limit, 7U);
}

// The ids of all pages, one after the other; `between` is called after each.
Ids pages(const Lists& lists, std::size_t limit, const std::function<void(int page)>& between) {
  Ids all;
  std::string cursor;
  for (int page = 0; page < 100; ++page) {
    QueryParameters parameters = {{"limit", std::to_string(limit)}};
    if (!cursor.empty()) parameters.emplace_back("cursor", cursor);
    const auto query = take_list_query(lists.route, parameters);
    EXPECT_TRUE(query);
    const auto made = page_of(lists.route, *query, lists.answer());
    EXPECT_TRUE(made);
    const Ids some = lists.ids(*made);
    EXPECT_LE(some.size(), limit);
    all.insert(all.end(), some.begin(), some.end());
    cursor = made->cursor;
    if (cursor.empty()) return all;
    between(page);
  }
  ADD_FAILURE() << "the pages have no end";
  return all;
}

TEST_F(Lists, PagesHaveEveryItemOnceWhateverTheirSize) {
  Ids expected;
  for (int i = 0; i < 23; ++i) expected.push_back(fmt::format("vc-{:02}", i * 7 % 23));
  for (const auto& id : expected) add(id);
  std::ranges::sort(expected);
  for (std::size_t limit = 1; limit <= 25; ++limit) EXPECT_EQ(pages(*this, limit, [](int) {}), expected) << limit;
}

TEST_F(Lists, ItemsOfOneNameAreToldApartByTheirPlace) {
  for (int i = 0; i < 3; ++i)
    for (const char* id : {"a", "b"}) add(id);
  for (std::size_t limit = 1; limit <= 7; ++limit)
    EXPECT_EQ(pages(*this, limit, [](int) {}), (Ids{"a", "a", "a", "b", "b", "b"})) << limit;
}

TEST_F(Lists, WhatComesAndGoesBetweenPagesHidesAndRepeatsNothing) {
  for (const char* id : {"b", "d", "f", "h"}) add(id);
  const Ids all = pages(*this, 2, [&](int page) {
    if (page != 0) return;
    items.clear();
    for (const char* id : {"a", "b", "c", "f", "g", "h"}) add(id);  // "d", the last one given, is gone
  });
  EXPECT_EQ(all, (Ids{"b", "d", "f", "g", "h"}));
}

TEST_F(Lists, WithoutNamesTheOrderIsTheServices) {
  route.order = {};
  for (const char* id : {"c", "a", "b"}) add(id);
  EXPECT_EQ(pages(*this, 2, [](int) {}), (Ids{"c", "a", "b"}));
}

TEST_F(Lists, TheNextPageKeepsTheParameters) {
  EXPECT_EQ(next_target("/items", {{"state", "a b&c"}, {"cursor", "old"}, {"limit", "2"}}, "6e"),
            "/items?state=a%20b%26c&limit=2&cursor=6e");
  EXPECT_EQ(next_target("/items", {}, "6e"), "/items?cursor=6e");
}

TEST_F(Lists, AnotherAnswerIsCorrupt) {
  const auto other = xml::Document::create({"urn:t", "other"}).share();
  EXPECT_EQ(page_of(route, {}, other).error().code(), ErrorCode::kCorrupt);
  EXPECT_EQ(page_of(route, {}, nullptr).error().code(), ErrorCode::kCorrupt);
  items = "<item><id>a</id></item>";
  ListQuery query;
  query.limit = 10;
  EXPECT_EQ(page_of(route, query, answer()).error().code(), ErrorCode::kCorrupt);
}

}  // namespace
}  // namespace nuraghe::api
