#include "api/rest_routes.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <set>

namespace nuraghe::api {
namespace {

using contracts::FieldShape;
using contracts::OperationInfo;
using contracts::ServiceInfo;
using contracts::Shape;
using contracts::ValueKind;
using ::testing::ElementsAre;

OperationInfo operation(std::string_view name, std::string_view verb, std::string_view path) {
  static constexpr Shape kNothing{"nothing", "urn:t", {}};
  OperationInfo info{};
  info.service = "t";
  info.name = name;
  info.rest_verb = verb;
  info.rest_path = path;
  info.request = &kNothing;
  info.response = &kNothing;
  return info;
}

class Routes : public ::testing::Test {
 protected:
  const OperationInfo operations_[8] = {
      operation("list", "GET", "/hosts"),
      operation("create", "POST", "/hosts"),
      operation("get", "GET", "/hosts/{id}"),
      operation("destroy", "DELETE", "/hosts/{id}"),
      operation("freeze", "POST", "/hosts/{id}/freeze"),
      operation("special", "GET", "/hosts/special/parts"),
      operation("none", "", ""),
      operation("deep", "POST", "/only/{a}/{b}"),
  };
  const ServiceInfo service_{"t", "urn:t", "T", "", operations_, {}, {}};
  const RestRoutes routes_{std::span(&service_, 1)};
  std::string name(std::string_view verb, std::string_view path) const {
    const auto place = routes_.at(path);
    if (!place) return "nothing";
    const RestRoute* route = place->find(verb);
    return route == nullptr ? "405 " + place->allow() : std::string(route->operation->name);
  }
};

TEST_F(Routes, AreFoundByMethodAndPath) {
  EXPECT_EQ(name("GET", "/hosts"), "list");
  EXPECT_EQ(name("HEAD", "/hosts"), "list");
  EXPECT_EQ(name("POST", "/hosts"), "create");
  EXPECT_EQ(name("GET", "/hosts/x"), "get");
  EXPECT_EQ(name("POST", "/hosts/x/freeze"), "freeze");
  EXPECT_EQ(name("GET", "/hosts/special/parts"), "special");
  EXPECT_EQ(name("POST", "/hosts/special/freeze"), "freeze") << "a literal that leads nowhere is a parameter's value";
  EXPECT_EQ(name("PUT", "/hosts"), "405 GET, HEAD, POST, OPTIONS");
  EXPECT_EQ(name("GET", "/hosts/x/freeze"), "405 POST, OPTIONS");
  for (const char* path : {"", "/", "hosts", "/hosts/", "/hosts//freeze", "/hosts/x/", "/hosts/x/y", "//hosts", "/host",
                           "/hosts/x/freeze/y", "/only", "/only/a", "/hosts/%zz"})
    EXPECT_EQ(name("GET", path), "nothing") << path;
}

TEST_F(Routes, ParametersAreDecodedAndKeepTheirSlashes) {
  EXPECT_THAT(routes_.at("/hosts/a%2Fb%20c%3Fd")->values, ElementsAre("a/b c?d"));
  EXPECT_THAT(routes_.at("/only/1/2")->values, ElementsAre("1", "2"));
  EXPECT_THAT(routes_.at("/hosts/special/freeze")->values, ElementsAre("special"));
}

TEST_F(Routes, APreconditionIsAboutTheNearestThatCanBeRead) {
  const auto resource = [this](std::string_view path) -> std::string {
    const RestRoute* found = routes_.at(path)->resource;
    return found == nullptr ? "" : std::string(found->operation->name);
  };
  EXPECT_EQ(resource("/hosts"), "list");
  EXPECT_EQ(resource("/hosts/x"), "get");
  EXPECT_EQ(resource("/hosts/x/freeze"), "get");
  EXPECT_EQ(resource("/only/a/b"), "");
}

// What the table of all operations has is reached, each under its own method and path.
TEST(RestRoutes, EveryRouteOfTheCatalogueIsReached) {
  std::set<const OperationInfo*> reached;
  for (const auto& service : contracts::all_services()) {
    for (const OperationInfo& one : service.operations) {
      if (one.rest_path.empty()) continue;
      std::string path;
      for (const char c : one.rest_path) {
        if (c == '{' || c == '}') continue;
        path.push_back(c);
      }
      const auto place = RestRoutes::all().at(path);
      ASSERT_TRUE(place) << path;
      const RestRoute* route = place->find(one.rest_verb);
      ASSERT_NE(route, nullptr) << one.rest_verb << " " << path;
      EXPECT_EQ(route->operation, &one) << one.rest_verb << " " << path;
      EXPECT_EQ(place->values.size(), route->parameters.size());
      reached.insert(&one);
    }
  }
  EXPECT_EQ(reached.size(), RestRoutes::all().routes().size());
  EXPECT_GT(reached.size(), 30U);
}

// Every list of the catalogue is in an order that stays.
TEST(RestRoutes, ListsOfTheCatalogueHaveAnOrder) {
  std::set<std::string> lists;
  for (const auto& route : RestRoutes::all().routes()) {
    if (route->items == nullptr || route->items->kind != ValueKind::kStruct) continue;
    lists.insert(std::string(route->operation->name));
    EXPECT_FALSE(route->order.empty()) << route->operation->name;
  }
  for (const char* list :
       {"list_clusters", "list_virtual_hosts", "list_physical_hosts", "list_images", "list_instances"})
    EXPECT_TRUE(lists.contains(list)) << list;
}

}  // namespace
}  // namespace nuraghe::api
