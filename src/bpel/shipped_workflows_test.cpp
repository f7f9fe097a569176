// The workflows that are shipped, with the engine's own parser and static analysis, and what they serve.
#include <gmock/gmock.h>

#include <filesystem>
#include <map>
#include <set>

#include "bpel/engine.hpp"
#include "test_folders.hpp"

namespace nuraghe::bpel {
namespace {

const std::string kSource = NURAGHE_SOURCE_DIR;

// As nuraghed deploys them: contracts/ and workflows/ side by side.
Package shipped() {
  Package package;
  const std::pair<std::string, std::string> folders[] = {{"contracts/", std::string(NURAGHE_BUILD_DIR) + "/contracts"},
                                                         {"workflows/", kSource + "/workflows"}};
  for (const auto& [prefix, folder] : folders) {
    auto part = Package::from_directory(folder);
    if (!part) {
      ADD_FAILURE() << part.error().to_string();
      continue;
    }
    for (auto& [name, text] : part->files) package.files.emplace(prefix + name, std::move(text));
  }
  return package;
}

std::vector<std::string> process_files(const Package& package) {
  std::vector<std::string> paths;
  for (const auto& [path, text] : package.files) {
    if (path.ends_with(".bpel")) paths.push_back(path);
  }
  return paths;
}

TEST(ShippedWorkflows, AreParsedAndAnalysedWithoutFindings) {
  const Package package = shipped();
  const auto paths = process_files(package);
  ASSERT_GE(paths.size(), 20U);
  for (const auto& path : paths) {
    const auto parsed = parse_process(package, path);
    EXPECT_TRUE(parsed.definition) << path;
    for (const auto& diagnostic : parsed.diagnostics) ADD_FAILURE() << diagnostic.to_string();
  }
}

// Every operation that a contract leaves to a workflow has one, and no other workflow takes its messages first.
TEST(ShippedWorkflows, ServeWhatTheContractsLeaveToThem) {
  Engine engine;
  const auto deployment = engine.deploy("nuraghe", shipped());
  ASSERT_TRUE(deployment.accepted);
  std::set<std::pair<std::string, std::string>> served;
  for (const auto& route : deployment.routes) served.emplace(route.path, route.operation);
  std::set<std::pair<std::string, std::string>> left;
  for (const auto& entry : std::filesystem::directory_iterator(kSource + "/contracts")) {
    const std::string file = entry.path().filename();
    if (!file.ends_with(".service.xml")) continue;
    const auto contract = xml::Document::parse_file(entry.path());
    ASSERT_TRUE(contract) << contract.error().to_string();
    for (const auto& method : contract->root().children("urn:nuraghe:service:1", "method")) {
      if (method.attribute_or("by", "service") == "workflow")
        left.emplace("/services/" + contract->root().attribute_or("name", ""), method.attribute_or("name", ""));
    }
  }
  EXPECT_GE(left.size(), 20U);
  EXPECT_EQ(served, left);
}

// They start by one receive each, and no two of them by the same operation.
TEST(ShippedWorkflows, StartByAnOperationOfTheirOwn) {
  const Package package = shipped();
  std::map<std::string, std::string> starts;  // "PORT-TYPE OPERATION" → file
  for (const auto& path : process_files(package)) {
    const auto definition = parse_process(package, path).definition;
    ASSERT_TRUE(definition) << path;
    ASSERT_EQ(definition->start_activities().size(), 1U) << path;
    const auto& node = definition->node(definition->start_activities().front());
    ASSERT_EQ(node.kind, NodeKind::kReceive) << path;
    const auto& endpoint = as<Receive>(node).event.endpoint;
    const std::string key = endpoint.port_type->name.to_string() + " " + endpoint.operation->name;
    const auto [other, is_new] = starts.emplace(key, path);
    EXPECT_TRUE(is_new) << path << " and " << other->second << " both start by " << key;
  }
}

}  // namespace
}  // namespace nuraghe::bpel
