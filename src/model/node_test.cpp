#include "model/node.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <set>

#include "model/plan.hpp"

namespace nuraghe::model {
namespace {

using ::testing::HasSubstr;

Node full_node() {
  Node node;
  node.name = "worker-1";
  node.image = {"", "linux", "debian", ">=12", "x86_64", {}};
  node.cpus = 2;
  node.memory = mib(160);
  node.disks = {{"root", mib(512), {}, {}}, {"data", gib(1), {{mib(100), "ext4", "/data"}, {{}, "", ""}}, {}}};
  node.nics = {{"private", 7, "02:00:00:07:00:02", "10.1.0.2", 24, 1400, true}};
  node.boot = {"bios", "q35", "quiet <&>", "console:login: ", {}};
  node.seed_digest = "sha256:" + std::string(64, 'a');
  node.management_mac = "52:54:00:12:34:56";
  return node;
}

TEST(NodeFragment, ComesBackAsItWas) {
  const Node node = full_node();
  const xml::Document fragment = node_fragment(node);
  const auto back = parse_node_fragment(fragment.root());
  ASSERT_TRUE(back) << back.error().to_string();
  EXPECT_EQ(node_fragment(*back).to_string(), fragment.to_string());
  EXPECT_EQ(back->name, node.name);
  EXPECT_EQ(back->image.to_string(), node.image.to_string());
  EXPECT_EQ(back->cpus, 2);
  EXPECT_EQ(back->memory, mib(160));
  ASSERT_EQ(back->disks.size(), 2U);
  EXPECT_EQ(back->disks[1].partitions[0].mount, "/data");
  EXPECT_EQ(back->disks[1].partitions[1].size, Bytes{});
  ASSERT_EQ(back->nics.size(), 1U);
  EXPECT_EQ(back->nics[0].segment, 7);
  EXPECT_EQ(back->nics[0].prefix, 24);
  EXPECT_TRUE(back->nics[0].uplink);
  EXPECT_EQ(back->boot.parameters, "quiet <&>");
  EXPECT_EQ(back->boot.ready, "console:login: ");
  EXPECT_EQ(back->seed_digest, node.seed_digest);
  EXPECT_EQ(back->management_mac, node.management_mac);
  EXPECT_EQ(disk_demand(*back), mib(1536));
}

TEST(NodeFragment, ReadsAlsoFromWithinAMessage) {
  const auto message = xml::Document::parse(
      "<m xmlns:x='urn:nuraghe:node:1'><f><x:node name='a'><x:image name='mini'/><x:cpus>1</x:cpus>"
      "<x:memory>1GiB</x:memory></x:node></f></m>");
  const auto node = parse_node_fragment(message->root().first_child().first_child());
  ASSERT_TRUE(node) << node.error().to_string();
  EXPECT_EQ(node->memory, gib(1));
  EXPECT_EQ(node->initial_conditions, "cold");
}

TEST(NodeFragment, RefusesWhatIsWrong) {
  const auto message = [](const char* text) {
    const auto document = xml::Document::parse(text);
    const auto node = parse_node_fragment(document->root());
    return node ? "accepted" : node.error().message();
  };
  EXPECT_THAT(message("<node/>"), HasSubstr("<node xmlns=\"urn:nuraghe:node:1\">"));
  EXPECT_THAT(message("<node xmlns='urn:nuraghe:node:1'/>"), HasSubstr("'name' is missing"));
  EXPECT_THAT(
      message("<node xmlns='urn:nuraghe:node:1' name='a'><image/><cpus>1</cpus><memory>1GiB</memory><x/></node>"),
      HasSubstr("<x> may not stand here"));
  EXPECT_THAT(
      message("<node xmlns='urn:nuraghe:node:1' name='a'><image/><cpus>99999</cpus><memory>1GiB</memory></node>"),
      HasSubstr("too large"));
  EXPECT_THAT(message("<node xmlns='urn:nuraghe:node:1' name='a'><image/><cpus>1</cpus><memory>1GiB</memory>"
                      "<disk name='d' size='999999TiB'/></node>"),
              HasSubstr("too large"));
  EXPECT_THAT(message("<configuration xmlns='urn:nuraghe:node:1'/>"), HasSubstr("not <configuration>"));
}

std::vector<PlannedNode> planned(int count) {
  std::vector<PlannedNode> nodes;
  for (int i = 0; i < count; ++i) {
    PlannedNode node;
    node.node = full_node();
    node.node.name = "n-" + std::to_string(i);
    node.node.nics = {{"a", 0, "", "", 0, 0, false}, {"b", 0, "", "", 0, 0, false}};
    nodes.push_back(std::move(node));
  }
  return nodes;
}

TEST(AssignAddresses, FillsTheGapsInOrder) {
  auto nodes = planned(4);
  nodes[2].node.nics[0].address = "10.1.0.3";
  nodes[3].node.nics[0].mac = "02:00:00:05:00:02";  // just what the first one would get
  const std::map<std::string, NetworkGrant> grants = {{"a", {5, *parse_subnet("10.1.0.0/24")}},
                                                      {"b", {6, *parse_subnet("10.2.0.0/16")}}};
  ASSERT_TRUE(assign_addresses(nodes, grants));
  EXPECT_EQ(nodes[0].node.nics[0].address, "10.1.0.2");
  EXPECT_EQ(nodes[1].node.nics[0].address, "10.1.0.4");
  EXPECT_EQ(nodes[2].node.nics[0].address, "10.1.0.3");
  EXPECT_EQ(nodes[3].node.nics[0].address, "10.1.0.5");
  EXPECT_EQ(nodes[1].node.nics[1].address, "10.2.0.3");
  EXPECT_EQ(nodes[1].node.nics[1].prefix, 16);
  EXPECT_EQ(nodes[1].node.nics[1].segment, 6);
  EXPECT_EQ(nodes[1].node.nics[0].mac, "02:00:00:05:00:04");
  std::set<std::string> macs;
  for (const auto& node : nodes)
    for (const auto& nic : node.node.nics) EXPECT_TRUE(macs.insert(nic.mac).second) << nic.mac;
  auto again = planned(4);
  again[2].node.nics[0].address = "10.1.0.3";
  again[3].node.nics[0].mac = "02:00:00:05:00:02";
  ASSERT_TRUE(assign_addresses(again, grants));
  for (std::size_t i = 0; i < nodes.size(); ++i)
    EXPECT_EQ(node_fragment(nodes[i].node).to_string(), node_fragment(again[i].node).to_string());
}

TEST(AssignAddresses, SaysWhatDoesNotFit) {
  auto nodes = planned(6);
  std::map<std::string, NetworkGrant> grants = {{"a", {5, *parse_subnet("10.1.0.0/29")}}};
  EXPECT_EQ(assign_addresses(nodes, grants).error().code(), ErrorCode::kInvalid);
  grants["b"] = {6, *parse_subnet("10.2.0.0/16")};
  nodes = planned(6);
  EXPECT_EQ(assign_addresses(nodes, grants).error().code(), ErrorCode::kExhausted);
  nodes = planned(1);
  nodes[0].node.nics[0].address = "10.9.0.1";
  EXPECT_EQ(assign_addresses(nodes, grants).error().code(), ErrorCode::kInvalid);
}

TEST(AssignAddresses, AWholeSubnetHasUniqueMacs) {
  auto nodes = planned(5000);
  ASSERT_TRUE(assign_addresses(
      nodes, {{"a", {0xABCDEF, *parse_subnet("10.1.0.0/16")}}, {"b", {0xABCDEE, *parse_subnet("10.2.0.0/16")}}}));
  std::set<std::string> macs;
  for (const auto& node : nodes)
    for (const auto& nic : node.node.nics) ASSERT_TRUE(macs.insert(nic.mac).second);
}

// The fragment of one node names no other node.
TEST(NodeFragment, NamesNoOtherNode) {
  auto nodes = planned(3);
  ASSERT_TRUE(
      assign_addresses(nodes, {{"a", {1, *parse_subnet("10.1.0.0/24")}}, {"b", {2, *parse_subnet("10.2.0.0/24")}}}));
  const std::string text = node_fragment(nodes[1].node).to_string();
  for (const std::size_t other : {std::size_t{0}, std::size_t{2}}) {
    EXPECT_EQ(text.find(nodes[other].node.name), std::string::npos);
    for (const auto& nic : nodes[other].node.nics) EXPECT_EQ(text.find(nic.address + "\""), std::string::npos);
  }
}

}  // namespace
}  // namespace nuraghe::model
