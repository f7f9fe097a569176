#include "client/blueprint_files.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <stdlib.h>

#include "env/posix.hpp"

namespace nuraghe::client {
namespace {

using ::testing::HasSubstr;

constexpr const char* kHead = "<configuration xmlns='urn:nuraghe:node:1'";

class BlueprintFilesTest : public ::testing::Test {
 protected:
  void SetUp() override {
    std::string pattern = ::testing::TempDir() + "/nuraghe-files-XXXXXX";
    ASSERT_NE(::mkdtemp(pattern.data()), nullptr);
    folder_ = pattern;
  }
  void TearDown() override { EXPECT_TRUE(env::remove_tree(folder_)); }
  std::string write(const std::string& name, const std::string& text) const {
    EXPECT_TRUE(env::write_file_durably(folder_ + "/" + name, text));
    return folder_ + "/" + name;
  }
  // What is wrong with a file, without the folder.
  std::string wrong(const std::string& file, const std::string& name = "") const {
    const auto loaded = load_node_configuration(file, name);
    if (loaded) return "nothing";
    std::string text = loaded.error().message();
    for (auto at = text.find(folder_ + "/"); at != std::string::npos; at = text.find(folder_ + "/"))
      text.erase(at, folder_.size() + 1);
    return text;
  }
  static std::string name_of(const Result<xml::DocumentPtr>& fragment) {
    return fragment ? (*fragment)->root().attribute_or("name", "") : fragment.error().message();
  }
  std::string folder_;
};

TEST_F(BlueprintFilesTest, AConfigurationsFindingsStandWhereTheyAre) {
  const auto bare = write("worker.xml", std::string("<!-- one -->\n") + kHead + ">\n  <cpus>2</cpus></configuration>");
  EXPECT_EQ(wrong(bare),
            "worker.xml:2:1: configuration: no image is asked for; add <image name=\"...\"/>\n"
            "worker.xml:2:1: configuration: no memory is given; add <memory>256MiB</memory>");
  const auto torn = write("torn.xml", std::string(kHead) + ">\n  <image name='mini'></configuration>");
  EXPECT_THAT(wrong(torn), ::testing::StartsWith("torn.xml:2:"));
  EXPECT_EQ(wrong(torn).find('\n'), std::string::npos) << wrong(torn);
  const auto network = write("network.xml", std::string(kHead) +
                                                "><image name='mini'/><memory>64MiB</memory>\n"
                                                " <network ref='a'/></configuration>");
  EXPECT_EQ(wrong(network),
            "network.xml:2:2: network: a single virtual host is in no network, only a cluster has some; remove it");
}

TEST_F(BlueprintFilesTest, AHostIsNamedByTheCallerTheConfigurationTheFile) {
  const std::string content = "><image name='mini'/><memory>64MiB</memory></configuration>";
  const auto plain = write("worker.xml", kHead + content);
  const auto named = write("node.xml", std::string(kHead) + " name='one'" + content);
  EXPECT_EQ(name_of(load_node_configuration(plain, "")), "worker");
  EXPECT_EQ(name_of(load_node_configuration(plain, "two")), "two");
  EXPECT_EQ(name_of(load_node_configuration(named, "")), "one");
  EXPECT_EQ(name_of(load_node_configuration(named, "two")), "two");
  EXPECT_EQ(name_of(load_node_configuration(named + "#one", "")), "one");
  EXPECT_THAT(wrong(plain, "Not_A_Name"), HasSubstr("a host cannot be named 'Not_A_Name'; a name is lower-case"));
  EXPECT_EQ(wrong(write("My_Node.xml", kHead + content)).substr(0, 72),
            "My_Node.xml:1:1: configuration: the host cannot be named 'My_Node'; a na");
  const auto several = write("several.xml", "<configurations xmlns='urn:nuraghe:node:1'><configuration name='a'" +
                                                content + "<configuration name='b'" + content + "</configurations>");
  EXPECT_EQ(name_of(load_node_configuration(several + "#b", "")), "b");
  EXPECT_THAT(wrong(several), HasSubstr("several.xml:1:1: configurations: several.xml holds 2 configurations"));
  EXPECT_THAT(wrong(several + "#c"), HasSubstr("holds no configuration named 'c'"));
}

TEST_F(BlueprintFilesTest, AFileThatCannotBeReadIsOneFinding) {
  write("torn.xml", "<configuration>");
  const auto cluster = write("cluster.xml",
                             "<cluster xmlns='urn:nuraghe:cluster:1' name='c'><network name='a'/>\n<node name='x'>"
                             "<configuration xmlns='urn:nuraghe:node:1' href='torn.xml'/></node></cluster>");
  const auto parsed = read_blueprint(cluster);
  ASSERT_TRUE(parsed);
  ASSERT_EQ(parsed->findings.size(), 1U) << parsed->status().error().message();
  EXPECT_EQ(parsed->findings[0].source, folder_ + "/torn.xml");
}

TEST_F(BlueprintFilesTest, WhatIsSentTellsWhereItWasWritten) {
  write("nodes.xml", std::string("<configurations xmlns='urn:nuraghe:node:1'>\n<configuration name='a'/>\n"
                                 "<configuration name='b'>\n <image name='mini'/><memory>64MiB</memory>"
                                 "</configuration></configurations>"));
  const auto cluster = write("cluster.xml",
                             "<?xml version='1.0'?>\n<cluster xmlns='urn:nuraghe:cluster:1' name='c'>\n"
                             "<node name='x'><configuration xmlns='urn:nuraghe:node:1' href='nodes.xml#b'/></node>\n"
                             "<network\n name='a'/></cluster>");
  const auto loaded = load_blueprint(cluster, "other");
  ASSERT_TRUE(loaded) << loaded.error().to_string();
  auto sent = xml::Document::parse((*loaded)->to_string());
  ASSERT_TRUE(sent);
  const auto places = model::take_places(sent->root());
  EXPECT_EQ(sent->root().attributes().size(), 1U);
  const auto& files = places.files;
  std::vector<std::string> all;
  for (const auto& place : places.elements)
    all.push_back(files[place.file].substr(folder_.size() + 1) + ":" + std::to_string(place.position.line) + ":" +
                  std::to_string(place.position.column));
  EXPECT_THAT(all, ::testing::ElementsAre("cluster.xml:2:1", "cluster.xml:3:1", "nodes.xml:3:1", "nodes.xml:4:2",
                                          "nodes.xml:4:22", "cluster.xml:4:1"));
  // In the order of the sent document's elements.
  std::vector<xml::Finding> findings(1);
  findings[0].position = sent->root().children()[0].first_child().first_child().position();
  model::place_findings(*sent, places, findings);
  EXPECT_EQ(findings[0].source, folder_ + "/nodes.xml");
  EXPECT_EQ(findings[0].position.line, 4);
}

}  // namespace
}  // namespace nuraghe::client
