// The table of all operations, resources and topics, compared with what it speaks of.
#include <gtest/gtest.h>

#include <algorithm>
#include <boost/json.hpp>
#include <cctype>
#include <filesystem>
#include <fstream>
#include <map>
#include <regex>
#include <set>
#include <string>
#include <vector>

#include "contracts/operation.hpp"
#include "contracts/texts.hpp"
#include "contracts/vcf.hpp"
#include "contracts/vhc.hpp"
#include "model/lifecycle.hpp"
#include "net/http.hpp"
#include "test_folders.hpp"

namespace nuraghe::contracts {
namespace {

const OperationInfo& operation(std::string_view service, std::string_view name) {
  const ServiceInfo* info = find_service(service);
  EXPECT_NE(info, nullptr) << service;
  const OperationInfo* found = find_operation(*info, name);
  EXPECT_NE(found, nullptr) << service << " " << name;
  return *found;
}

std::set<std::string> states_of(const OperationInfo& operation) {
  return {operation.states.begin(), operation.states.end()};
}

TEST(Catalogue, EveryMethodFromOutsideHasARestRoute) {
  int routes = 0;
  for (const auto& service : all_services()) {
    for (const auto& one : service.operations) {
      const bool is_from_outside = one.access != Access::kController && one.access != Access::kInternal;
      EXPECT_EQ(is_from_outside, !one.rest_path.empty()) << service.name << " " << one.name;
      EXPECT_EQ(one.creates, !one.rest_location.empty()) << service.name << " " << one.name;
      EXPECT_FALSE(one.summary.empty() || one.summary.ends_with('.')) << service.name << " " << one.name;
      EXPECT_EQ(one.one_way, one.response == nullptr) << service.name << " " << one.name;
      EXPECT_EQ(one.request->name, one.name);
      routes += is_from_outside ? 1 : 0;
    }
  }
  EXPECT_GT(routes, 40);
}

TEST(Catalogue, WhatIsMadeIsFoundWhereItsLocationSays) {
  EXPECT_EQ(operation("vcm", "create_vc").rest_location, "/clusters/{cluster}");
  EXPECT_EQ(operation("vhir", "import_image").rest_location, "/images/{image.reference}");
  EXPECT_EQ(operation("vhc", "create_host").rest_location, "/controllers/{controller}/hosts/{id}");
}

// "pause" and what it does to one: "pause_vc". Not refused: it begins, or its effect is there already.
TEST(Catalogue, StatesOfClusterMethodsAreThoseOfTheLifecycle) {
  int compared = 0;
  for (const auto& rule : model::kClusterOperations) {
    if (rule.operation == model::ClusterOperation::kCreate) continue;
    std::set<std::string> expected;
    for (const auto state : model::kClusterStates)
      if (model::start_of(state, rule.operation) != model::Start::kRefused) expected.emplace(model::name_of(state));
    EXPECT_EQ(states_of(operation("vcm", std::string(rule.name) + "_vc")), expected) << rule.name;
    ++compared;
  }
  EXPECT_EQ(compared, 5);
}

TEST(Catalogue, StatesOfHostMethodsAreThoseOfTheLifecycle) {
  std::map<std::string, std::set<std::string>> expected;
  for (const auto& rule : model::kHostOperations) {
    if (rule.operation == model::HostOperation::kCreate) continue;
    for (const auto state : model::kHostStates)
      if (model::start_of(state, rule.operation) != model::Start::kRefused)
        expected[std::string(rule.name)].emplace(model::name_of(state));
  }
  EXPECT_EQ(expected.size(), 5U);
  for (const auto& [name, states] : expected) {
    EXPECT_EQ(states_of(operation("vhm", name + "_vh")), states) << name;
    EXPECT_EQ(states_of(operation("vhc", name + "_host")), states) << name;
  }
}

TEST(Catalogue, WordsOfTheStatesAreThoseOfTheLifecycle) {
  std::vector<std::string_view> hosts, clusters;
  for (const auto state : model::kHostStates) hosts.push_back(model::name_of(state));
  for (const auto state : model::kClusterStates) clusters.push_back(model::name_of(state));
  EXPECT_TRUE(std::ranges::equal(vhc::shape::kHostStateWords, hosts));
  EXPECT_TRUE(std::ranges::equal(vcf::shape::kClusterStateWords, clusters));
}

TEST(Catalogue, EveryKindOfEventInTheCodeIsATopic) {
  std::set<std::string> topics;
  for (const auto& service : all_services())
    for (const auto& topic : service.topics) {
      EXPECT_TRUE(topics.emplace(topic.name).second) << topic.name << " is of two services";
      EXPECT_FALSE(topic.summary.empty()) << topic.name;
    }
  // The words that events begin with: whatever stands in the code in their form must be declared.
  std::string beginnings;
  std::set<std::string> first_words;
  for (const auto& topic : topics) first_words.insert(topic.substr(0, topic.find('.')));
  for (const auto& word : first_words) beginnings += (beginnings.empty() ? "" : "|") + word;
  const std::regex kind("\"((" + beginnings + ")\\.[a-z_-]+)\"");
  // And whatever is assigned to a kind, however it begins.
  const std::regex assigned("kind = (?:[^\";]*\\? )?\"([^\"]+)\"");
  std::set<std::string> found;
  for (const std::string folder : {"src/services", "src/bpel"}) {
    for (const auto& file :
         std::filesystem::recursive_directory_iterator(std::string(NURAGHE_SOURCE_DIR) + "/" + folder)) {
      const std::string path = file.path().string();
      if (!path.ends_with(".cpp") || path.ends_with("_test.cpp")) continue;
      std::ifstream in(path);
      const std::string text{std::istreambuf_iterator<char>(in), {}};
      const bool publishes = text.find("publish(") != std::string::npos;
      for (std::sregex_iterator at(text.begin(), text.end(), kind), end; at != end; ++at) {
        EXPECT_TRUE(topics.contains((*at)[1])) << path << " has " << (*at)[1] << ", which no definition declares";
        found.insert((*at)[1]);
      }
      for (std::sregex_iterator at(text.begin(), text.end(), assigned), end; publishes && at != end; ++at) {
        EXPECT_TRUE(topics.contains((*at)[1])) << path << " has " << (*at)[1] << ", which no definition declares";
      }
    }
  }
  // A cluster's events after an operation's success are named after the state that it leads to.
  for (const auto& rule : model::kClusterOperations)
    found.insert("cluster." + std::string(model::name_of(rule.target)));
  EXPECT_EQ(found, topics) << "declared and published kinds differ";
}

std::string openapi_path(std::string_view path) {
  static const std::regex parameter("\\{[^}]*\\}");
  return std::regex_replace(std::string(path), parameter, "{}");
}

TEST(Catalogue, TheOpenApiDocumentHasTheStatusesThatTheDoorsAnswer) {
  const auto document = boost::json::parse(openapi_text());
  std::map<std::string, const boost::json::object*> operations;
  for (const auto& [path, item] : document.at("paths").as_object())
    for (const auto& [verb, operation] : item.as_object())
      operations[std::string(verb) + " " + openapi_path(path)] = &operation.as_object();
  for (const auto& service : all_services()) {
    for (const auto& one : service.operations) {
      if (one.rest_path.empty()) continue;
      std::string verb(one.rest_verb);
      std::ranges::transform(verb, verb.begin(), [](unsigned char c) { return static_cast<char>(std::tolower(c)); });
      const auto found = operations.find(verb + " " + openapi_path(one.rest_path));
      ASSERT_NE(found, operations.end()) << one.name;
      const auto& operation = *found->second;
      EXPECT_EQ(operation.at("x-nuraghe-access").as_string(), access_name(one.access)) << one.name;
      std::vector<ErrorCode> faults(one.faults.begin(), one.faults.end());
      faults.insert(faults.end(), {ErrorCode::kInvalid, ErrorCode::kDenied, ErrorCode::kUnavailable,
                                   ErrorCode::kTimeout, ErrorCode::kInternal});
      for (const ErrorCode code : faults)
        EXPECT_TRUE(operation.at("responses").as_object().contains(std::to_string(net::http_status(code))))
            << one.name << " " << error_code_name(code);
    }
  }
}

}  // namespace
}  // namespace nuraghe::contracts
