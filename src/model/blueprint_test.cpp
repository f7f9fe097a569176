#include "model/blueprint.hpp"

#include <fmt/format.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <rapidcheck.h>

#include <fstream>
#include <map>
#include <sstream>

#include "model/plan.hpp"
#include "test_folders.hpp"

namespace nuraghe::model {
namespace {

using ::testing::Contains;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;

class Catalogue final : public ImageCatalogue {
 public:
  Result<ImageFacts> find(const ImageRequirement& requirement) const override {
    if (requirement.name == "mini" || requirement.system == "debian")
      return ImageFacts{"mini", "1", mib(96), mib(256), true, true};
    if (requirement.name == "diskless") return ImageFacts{"diskless", "1", mib(64), {}, false, true};
    if (requirement.name == "whole") return ImageFacts{"whole", "1", mib(64), mib(64), true, false};
    return not_found("no image meets " + requirement.to_string());
  }
  std::set<std::string> names() const override { return {"mini", "diskless", "whole"}; }
};

std::string read(const std::string& path) {
  std::stringstream text;
  text << std::ifstream(path).rdbuf();
  return text.str();
}

struct Fixture {
  Catalogue catalogue;
  std::map<std::string, std::string> files;
  ParseContext context;
  Fixture() {
    context.images = &catalogue;
    context.files = [this](const std::string& path) -> Result<std::string> {
      const auto found = files.find(path);
      if (found == files.end()) return not_found("there is no such file");
      return found->second;
    };
  }
  ParsedBlueprint parse(std::string_view text) { return parse_blueprint(text, "c.xml", context); }
  std::vector<std::string> findings(std::string_view text) {
    std::vector<std::string> result;
    for (const auto& finding : parse(text).findings) result.push_back(finding.to_string());
    return result;
  }
};

// A cluster around what is tested; its content begins in line 2.
std::string cluster(const std::string& content) {
  return "<cluster xmlns='urn:nuraghe:cluster:1' xmlns:n='urn:nuraghe:node:1' name='c'>\n" + content + "\n</cluster>";
}
// The same with a default configuration and a network in line 2, so that nothing else is wrong.
std::string sound(const std::string& content) {
  return cluster(
      "<defaults><n:configuration><n:image name='mini'/><n:memory>128MiB</n:memory></n:configuration></defaults>"
      "<network name='private'/>\n" +
      content);
}

TEST(Blueprint, ReadsEverything) {
  Fixture f;
  f.context.capabilities.link_bandwidth = f.context.capabilities.link_latency = true;
  const auto parsed = f.parse(R"(<cluster xmlns="urn:nuraghe:cluster:1" name="c" vo="bio" on-failure="keep">
  <defaults><configuration xmlns="urn:nuraghe:node:1">
    <image name="mini"/><cpus>2</cpus><memory>256MiB</memory><disk name="data" size="1GiB"/>
  </configuration></defaults>
  <network name="a" subnet="10.1.0.0/24" uplink="nat" mtu="1400"/>
  <network name="b"/>
  <node name="head" role="front" site="here"><configuration xmlns="urn:nuraghe:node:1">
    <network ref="a" address="10.1.0.9" mac="52:54:00:AA:00:01"/>
    <boot firmware="bios" machine="q35" parameters="debug" ready="console:login:"/><initial-conditions kind="cold"/>
  </configuration></node>
  <node name="w" count="2"><configuration xmlns="urn:nuraghe:node:1">
    <image system="debian" version=">=12"/><memory>128MiB</memory>
    <disk name="data" size="100MiB"><partition size="50MiB" filesystem="ext4" mount="/data"/><partition/></disk>
    <disk name="root" size="512MiB"/>
  </configuration></node>
  <placement policy="pack"><together nodes="head w-1"/><apart nodes="w"/><pin nodes="head" host="p1"/></placement>
  <link from="head" to="w" min-mbps="100" max-ms="0.5"/>
</cluster>)");
  ASSERT_TRUE(parsed.ok()) << parsed.status().error().to_string();
  const Blueprint& b = parsed.blueprint;
  EXPECT_EQ(b.name, "c");
  EXPECT_EQ(b.vo, "bio");
  EXPECT_TRUE(b.keep_on_failure);
  EXPECT_EQ(b.policy, "pack");
  ASSERT_EQ(b.networks.size(), 2U);
  EXPECT_EQ(b.networks[0].subnet->to_string(), "10.1.0.0/24");
  EXPECT_TRUE(b.networks[0].uplink);
  EXPECT_EQ(b.networks[0].mtu, 1400);
  ASSERT_EQ(b.wishes.size(), 2U);
  EXPECT_THAT(b.wishes[0].nodes, ElementsAre("head", "w-1"));
  EXPECT_THAT(b.wishes[1].nodes, ElementsAre("w-1", "w-2"));
  ASSERT_EQ(b.links.size(), 1U);
  EXPECT_EQ(b.links[0].min_mbps, 100);
  EXPECT_EQ(b.links[0].max_ms, 0.5);

  const auto nodes = expand(b, &f.catalogue);
  ASSERT_EQ(nodes.size(), 3U);
  const PlannedNode& head = nodes[0];
  EXPECT_EQ(head.node.name, "head");
  EXPECT_EQ(head.role, "front");
  EXPECT_EQ(head.site, "here");
  EXPECT_EQ(head.pin, "p1");
  EXPECT_EQ(head.node.cpus, 2);
  EXPECT_EQ(head.node.memory, mib(256));
  EXPECT_EQ(head.node.boot.ready, "console:login:");
  EXPECT_EQ(head.node.boot.parameters, "debug");
  ASSERT_EQ(head.node.nics.size(), 1U);
  EXPECT_EQ(head.node.nics[0].address, "10.1.0.9");
  EXPECT_EQ(head.node.nics[0].mac, "52:54:00:aa:00:01");
  EXPECT_TRUE(head.node.nics[0].uplink);
  ASSERT_EQ(head.node.disks.size(), 2U);
  EXPECT_EQ(head.node.disks[0].name, "root");
  EXPECT_EQ(head.node.disks[0].size, mib(256));  // the image's
  EXPECT_EQ(disk_demand(head.node), mib(256) + gib(1));

  const PlannedNode& worker = nodes[2];
  EXPECT_EQ(worker.node.name, "w-2");
  EXPECT_EQ(worker.role, "w");
  EXPECT_EQ(worker.node.image.to_string(), "system debian, version >=12");
  EXPECT_EQ(worker.node.nics.size(), 2U);  // it names none: all
  EXPECT_EQ(worker.node.memory, mib(128));
  EXPECT_EQ(disk_demand(worker.node), mib(612));
  EXPECT_EQ(network_sizes(b), (std::map<std::string, std::int64_t>{{"a", 3}, {"b", 2}}));
}

TEST(Blueprint, WhatIsNotWellFormedIsOneFinding) {
  Fixture f;
  const auto found = f.findings("<cluster>\n <node></cluster>");
  ASSERT_EQ(found.size(), 1U);
  EXPECT_THAT(found[0], ::testing::StartsWith("c.xml:2:"));
  EXPECT_THAT(f.findings("<cluster/>"),
              ElementsAre("c.xml:1:1: cluster: a blueprint is expected: <cluster xmlns=\"urn:nuraghe:cluster:1\">"));
  EXPECT_THAT(f.findings("<!DOCTYPE a [<!ENTITY b 'x'>]><cluster xmlns='urn:nuraghe:cluster:1' name='&b;'/>"),
              ElementsAre(HasSubstr("entities are not accepted")));
}

TEST(Blueprint, AllFindingsAtOnce) {
  Fixture f;
  f.context.node_limit = 100;
  EXPECT_THAT(
      f.findings(cluster(R"(<network name="private" subnet="10.1.0.0/24"/>
<network name="private" subnet="10.1.0.128/25"/>
<node name="Head" cuont="2"><n:configuration>
  <n:image name="minni"/><n:memory>64MiB</n:memory><n:cpus>0</n:cpus></n:configuration></node>
<node name="w" count="99" type="physical"><n:configuration>
  <n:image name="mini"/><n:memory>64MiB</n:memory>
  <n:network ref="privat"/></n:configuration></node>
<placement><apart nodes="head w"/></placement>)")),
      ElementsAre("c.xml:3:1: network: the network 'private' is there already, in line 2; choose another name",
                  "c.xml:3:1: network: its subnet 10.1.0.128/25 overlaps 10.1.0.0/24 of the network 'private'; "
                  "choose another one",
                  "c.xml:4:1: node: 'name' is 'Head'; it must be lower-case letters, digits and hyphens, beginning "
                  "and ending with a letter or digit, 63 at most",
                  "c.xml:4:1: node: the attribute 'cuont' is not known; did you mean 'count'?",
                  "c.xml:5:3: image: the image 'minni' is not in the repository; did you mean 'mini'?",
                  "c.xml:5:52: cpus: the content is '0'; it must be a whole number, 1 or more",
                  "c.xml:6:1: node: the node type 'physical' is not supported by the drivers at hand; supported: "
                  "virtual",
                  "c.xml:7:25: memory: 64MiB are too little; the image mini needs at least 96MiB",
                  "c.xml:8:3: network: the network 'privat' is not in this blueprint; did you mean 'private'?",
                  "c.xml:9:12: apart: there is no node or group named 'head'; did you mean 'Head'?"));
}

TEST(Blueprint, WhatIsMissing) {
  Fixture f;
  EXPECT_THAT(f.findings(cluster("")),
              ElementsAre("c.xml:1:1: cluster: the cluster has no network; add <network name=\"private\"/>",
                          "c.xml:1:1: cluster: the cluster has no node; add <node name=\"head\"/>"));
  EXPECT_THAT(
      f.findings(cluster("<network name='a'/><node name='x'/>")),
      ElementsAre("c.xml:2:20: node: no image is asked for; add <image name=\"...\"/> to its configuration or the "
                  "defaults",
                  "c.xml:2:20: node: no memory is given; add <memory>256MiB</memory> to its configuration or the "
                  "defaults"));
  EXPECT_THAT(f.findings(cluster("<network name='a'/><node name='x'><n:configuration><n:image/><n:memory>128MiB"
                                 "</n:memory></n:configuration></node>")),
              ElementsAre(HasSubstr("c.xml:2:52: image: it asks nothing")));
  EXPECT_THAT(f.findings(sound("<node name='x'/><defaults><n:configuration/></defaults><placement/><placement/>")),
              ElementsAre("c.xml:3:17: defaults: <defaults> may stand here once only; put both together",
                          "c.xml:3:68: placement: <placement> may stand here once only; put both together"));
  EXPECT_THAT(f.findings(sound("<node name='x'><n:configuration><n:cpus>1</n:cpus><n:cpus>2</n:cpus></n:configuration>"
                               "</node>")),
              ElementsAre("c.xml:3:51: cpus: <cpus> may stand here once only; remove one"));
}

TEST(Blueprint, GroupsAndTheirNames) {
  Fixture f;
  f.context.node_limit = 8;
  EXPECT_THAT(f.findings(sound("<node name='a' count='8'/>")), IsEmpty());
  EXPECT_THAT(f.findings(sound("<node name='a' count='8'/>\n<node name='b'/>\n<node name='c'/>")),
              ElementsAre("c.xml:4:1: node: with its one node the cluster has more than the 8 nodes that are allowed"));
  EXPECT_THAT(f.findings(sound("<node name='a' count='99999999999999999999999'/>")),
              ElementsAre(HasSubstr("c.xml:3:1: node: with its")));
  EXPECT_THAT(f.findings(sound("<node name='a' count='2'/>\n<node name='a-2'/><node name='a'/>\n<node name='a'/>")),
              ElementsAre("c.xml:4:1: node: the node name 'a-2' is taken, by line 3; choose another name",
                          "c.xml:5:1: node: the node name 'a' is taken, by line 4; choose another name"));
  EXPECT_THAT(f.findings(sound("<node name='" + std::string(62, 'a') + "' count='1'/>")),
              ElementsAre(HasSubstr("is longer than 63 characters")));
}

TEST(Blueprint, GroupsOverTheLimitHideNothing) {
  Fixture f;
  f.context.node_limit = 8;
  EXPECT_THAT(f.findings(sound("<node name='w' count='5000'/>\n<node name='a'/><node name='a'/>\n<node name='w-17'/>\n"
                               "<node name='w-5001'/><node name='w-017'/>\n<node name='w' count='9000'/>\n"
                               "<node name='b' count='2'/><node name='b-2'/>\n"
                               "<placement><apart nodes='w a'/><pin nodes='w-4999 x' host='h'/></placement>\n"
                               "<link from='wq' to='w' min-mbps='1'/>")),
              ElementsAre("c.xml:3:1: node: with its 5000 nodes the cluster has more than the 8 nodes that are allowed",
                          "c.xml:4:17: node: the node name 'a' is taken, by line 4; choose another name",
                          "c.xml:5:1: node: the node name 'w-17' is taken, by line 3; choose another name",
                          "c.xml:7:1: node: the node name 'w-1' is taken, by line 3; choose another name",
                          "c.xml:7:1: node: the node name 'w-17' is taken, by line 5; choose another name",
                          "c.xml:8:27: node: the node name 'b-2' is taken, by line 8; choose another name",
                          HasSubstr("c.xml:9:32: pin: there is no node or group named 'x'"),
                          "c.xml:10:1: link: there is no node or group named 'wq'; did you mean 'w'?",
                          "c.xml:10:1: link: 'min-mbps' cannot be guaranteed by the drivers at hand; remove it"));
  EXPECT_THAT(f.findings(sound("<node name='w-5'/>\n<node name='w' count='5000'/>\n"
                               "<placement><apart nodes='w'/><together nodes='w-7'/></placement>")),
              ElementsAre("c.xml:4:1: node: with its 5000 nodes the cluster has more than the 8 nodes that are allowed",
                          "c.xml:4:1: node: the node name 'w-5' is taken, by line 3; choose another name",
                          "c.xml:5:30: together: it names one node only, 'w-7'; name two or a group"));
  EXPECT_THAT(f.findings(sound("<node name='" + std::string(60, 'a') + "' count='5000'/>")),
              ElementsAre(HasSubstr("more than the 8 nodes"), HasSubstr("is longer than 63 characters")));
}

TEST(Blueprint, PlacesThatAreNotWellMadeAreNoHarm) {
  const auto places_of = [](const std::string& attributes) {
    auto document = xml::Document::parse("<a xmlns:p='urn:nuraghe:places:1' " + attributes + "><b/></a>");
    EXPECT_TRUE(document);
    const Places places = take_places(document->root());
    EXPECT_THAT(document->root().attributes(), IsEmpty());
    std::vector<xml::Finding> findings(2);
    findings[0].position = document->root().position();
    findings[1].position = document->root().first_child().position();
    place_findings(*document, places, findings);
    std::string text;
    for (const auto& finding : findings) text += fmt::format("{}:{} ", finding.source, finding.position.line);
    return text;
  };
  EXPECT_EQ(places_of("p:at='7:1 8:1/1' p:file-0='x' p:file-1='y'"), "x:7 y:8 ");
  EXPECT_EQ(places_of("p:at='7:1' p:file-0='x'"), "x:7 :1 ") << "too few";
  EXPECT_EQ(places_of("p:at='7:1 8:1 9:1 10:1' p:file-0='x'"), "x:7 x:8 ") << "too many";
  for (const char* wrong : {"p:at='7:1'", "p:at='7:1/1' p:file-0='x'", "p:at='7' p:file-0='x'",
                            "p:at='-7:1' p:file-0='x'", "p:at='7:1x' p:file-0='x'", "p:at='99999999999:1' p:file-0='x'",
                            "p:at='  ' p:file-0='x'", "p:file-0='x' p:other='y'"})
    EXPECT_EQ(places_of(wrong), ":1 :1 ") << wrong;
}

TEST(Blueprint, Networks) {
  Fixture f;
  const auto nodes = [](const std::string& network) {
    return cluster(
        "<defaults><n:configuration><n:image name='mini'/><n:memory>128MiB</n:memory></n:configuration>"
        "</defaults>\n" +
        network);
  };
  EXPECT_THAT(f.findings(nodes("<network name='a' subnet='10.1.0.0/29'/><node name='w' count='5'/>")), IsEmpty());
  EXPECT_THAT(
      f.findings(nodes("<network name='a' subnet='10.1.0.0/29'/><node name='w' count='6'/>")),
      ElementsAre("c.xml:3:1: network: its subnet 10.1.0.0/29 holds 5 hosts, and 6 are on it; take a wider one"));
  EXPECT_THAT(f.findings(nodes("<network name='a' subnet='10.1.0.1/24'/><node name='w'/>")),
              ElementsAre("c.xml:3:1: network: '10.1.0.1/24' is an address within a network; write 10.1.0.0/24"));
  EXPECT_THAT(f.findings(nodes("<network name='a' subnet='10.0.0.0/16'/><node name='w'/>")),
              ElementsAre(HasSubstr("overlaps 10.0.2.0/24, which the hosts' management network has")));
  EXPECT_THAT(f.findings(nodes("<network name='a' subnet='nonsense' mtu='1'/><node name='w'/>")),
              ElementsAre("c.xml:3:1: network: 'subnet' is 'nonsense'; it must be an IPv4 network such as 10.1.0.0/24",
                          "c.xml:3:1: network: 'mtu' is '1'; it must be at least 576"));
}

TEST(Blueprint, Addresses) {
  Fixture f;
  const auto node = [](const std::string& name, const std::string& network) {
    return "<node name='" + name + "'><n:configuration>" + network + "</n:configuration></node>\n";
  };
  const std::string begin =
      "<defaults><n:configuration><n:image name='mini'/><n:memory>128MiB</n:memory></n:configuration></defaults>\n"
      "<network name='a' subnet='10.1.0.0/24'/><network name='b'/>\n";
  EXPECT_THAT(
      f.findings(cluster(begin + node("x", "<n:network ref='a' address='10.1.0.5' mac='52:54:00:00:00:01'/>") +
                         node("y", "<n:network ref='a' address='10.1.0.5' mac='52:54:00:00:00:01'/>") +
                         node("z", "<n:network ref='a' address='10.1.0.255'/><n:network ref='a'/>"))),
      ElementsAre("c.xml:5:33: network: the address 10.1.0.5 is taken, by line 4; choose another one",
                  "c.xml:5:33: network: the MAC address 52:54:00:00:00:01 is taken, by line 4; choose another one",
                  "c.xml:6:33: network: the address 10.1.0.255 is not for a host of the subnet 10.1.0.0/24; take "
                  "one from 10.1.0.2 to 10.1.0.254",
                  "c.xml:6:74: network: the node is on the network 'a' already; remove one"));
  EXPECT_THAT(f.findings(cluster(begin + node("x", "<n:network ref='b' address='10.1.0.5'/>"))),
              ElementsAre(HasSubstr("c.xml:4:33: network: an address needs a subnet that is known")));
  EXPECT_THAT(f.findings(cluster(begin + node("x", "<n:network ref='a' mac='01:00:5e:00:00:01'/>"))),
              ElementsAre(HasSubstr("is not the address of one interface")));
  EXPECT_THAT(f.findings(cluster(begin + node("x' count='2", "<n:network ref='a' mac='02:00:5e:00:00:01'/>"))),
              ElementsAre(HasSubstr("cannot be given to the 2 nodes of a group")));
  EXPECT_THAT(f.findings(cluster(begin + node("x", "<n:network ref='a' address='10.1.0.999'/>"))),
              ElementsAre(HasSubstr("'10.1.0.999' is not an IPv4 address")));
  // Two nodes with one written configuration.
  f.files["n.xml"] =
      "<configuration xmlns='urn:nuraghe:node:1'>\n<network ref='a' address='10.1.0.5'/></configuration>";
  EXPECT_THAT(f.findings(cluster(begin + "<node name='x'><n:configuration href='n.xml'/></node>"
                                         "<node name='y'><n:configuration href='n.xml'/></node>")),
              ElementsAre("n.xml:2:1: network: the address 10.1.0.5 would be given to several nodes; remove it"));
}

TEST(Blueprint, SizesAndDisks) {
  Fixture f;
  const auto one = [&](const std::string& content) {
    return f.findings(sound("<node name='x'><n:configuration>\n" + content + "</n:configuration></node>"));
  };
  EXPECT_THAT(one("<n:cpus>256</n:cpus>"),
              ElementsAre("c.xml:4:1: cpus: 256 cpus are too many; at most 255 are possible"));
  EXPECT_THAT(one("<n:cpus>99999999999999999999</n:cpus>"),
              ElementsAre("c.xml:4:1: cpus: 99999999999999999999 cpus are too many"));
  EXPECT_THAT(one("<n:memory>999999TiB</n:memory>"),
              ElementsAre(HasSubstr("c.xml:4:1: memory: the memory '999999TiB' is too large")));
  EXPECT_THAT(one("<n:memory>lots</n:memory>"),
              ElementsAre("c.xml:4:1: memory: the content is 'lots'; it must be a size such as 512MiB or 4GiB"));
  EXPECT_THAT(one("<n:disk name='d'/>"),
              ElementsAre("c.xml:4:1: disk: it has no size; add 'size' (only the disk 'root' has its image's)"));
  EXPECT_THAT(one("<n:disk name='d' size='1GiB'/><n:disk name='d' size='1GiB'/>"),
              ElementsAre("c.xml:4:31: disk: the node has two disks named 'd'; choose another name"));
  EXPECT_THAT(one("<n:disk name='root' size='100MiB'/>"),
              ElementsAre("c.xml:4:1: disk: 100MiB are too little; the image mini's disk has 256MiB"));
  EXPECT_THAT(one("<n:disk name='root' size='1GiB'><n:partition/></n:disk>"),
              ElementsAre(HasSubstr("the disk 'root' is the image's own")));
  EXPECT_THAT(one("<n:image name='diskless'/><n:disk name='root' size='1GiB'/>"),
              ElementsAre(HasSubstr("c.xml:4:27: disk: the image diskless has no disk of its own")));
  EXPECT_THAT(one("<n:disk name='d' size='64MiB'><n:partition size='40MiB'/><n:partition size='40MiB'/></n:disk>"),
              ElementsAre("c.xml:4:1: disk: its partitions need 82MiB, and it has 64MiB"));
  EXPECT_THAT(one("<n:disk name='d' size='64MiB'><n:partition/><n:partition size='40MiB'/></n:disk>"),
              ElementsAre(HasSubstr("partition 1 has no size")));
  EXPECT_THAT(
      one("<n:disk name='d' size='64MiB'><n:partition filesystem='zfs' mount='/a/../b'/></n:disk>"),
      ElementsAre("c.xml:4:1: disk: the file system 'zfs' is not supported by the drivers at hand; supported: ext4",
                  "c.xml:4:1: disk: '/a/../b' is not a plain path; write it without '.', '..' and empty parts"));
  EXPECT_THAT(one("<n:disk name='d' size='64MiB'><n:partition size='1MiB' filesystem='ext4'/><n:partition mount='/a'/>"
                  "</n:disk>"),
              ElementsAre(HasSubstr("is too small for a file system"), HasSubstr("partition 2 is to be mounted")));
  EXPECT_THAT(one("<n:disk name='d' size='64MiB'><n:partition filesystem='ext4' mount='/a'/></n:disk>"
                  "<n:disk name='e' size='64MiB'><n:partition filesystem='ext4' mount='/a'/></n:disk>"),
              ElementsAre(HasSubstr("two partitions are to be mounted at /a")));
  EXPECT_THAT(one("<n:image name='diskless'/><n:disk name='d' size='64MiB'><n:partition filesystem='ext4' mount='/a'/>"
                  "</n:disk>"),
              ElementsAre(HasSubstr("takes no configuration")));
  std::string many;
  for (int i = 0; i < 17; ++i) many += "<n:disk name='d" + std::to_string(i) + "' size='1GiB'/>";
  EXPECT_THAT(one(many), ElementsAre("c.xml:3:1: node: it has 17 disks; at most 16 are possible"));
}

TEST(Blueprint, WhatNoDriverCanHonourIsRefusedByName) {
  Fixture f;
  const auto one = [&](const std::string& content) {
    return f.findings(sound("<node name='x'><n:configuration>" + content + "</n:configuration></node>"));
  };
  EXPECT_THAT(one("<n:boot firmware='coreboot'/>"),
              ElementsAre(HasSubstr("boot: the firmware 'coreboot' is not supported")));
  EXPECT_THAT(one("<n:boot machine='raspi'/>"), ElementsAre(HasSubstr("boot: the machine 'raspi' is not supported")));
  for (const char* machine : {"q35", "pc", "microvm"})
    EXPECT_THAT(one(std::string("<n:boot firmware='bios' machine='") + machine + "'/>"), IsEmpty());
  EXPECT_THAT(one("<n:memory>192MiB</n:memory><n:boot firmware='uefi' machine='pc'/>"), IsEmpty());
  EXPECT_THAT(one("<n:memory>191MiB</n:memory><n:boot firmware='uefi'/>"),
              ElementsAre(HasSubstr("memory: 191MiB are too little; the firmware 'uefi' needs at least 192MiB")));
  EXPECT_THAT(one("<n:memory>192MiB</n:memory><n:boot firmware='uefi' machine='microvm'/>"),
              ElementsAre(HasSubstr("the machine 'microvm' has no firmware 'uefi'")));
  EXPECT_THAT(one("<n:image name='whole'/><n:boot machine='microvm'/>"),
              ElementsAre(HasSubstr("'microvm' starts a kernel only, and the image whole boots from its disk")));
  EXPECT_THAT(one("<n:initial-conditions kind='frozen'/>"),
              ElementsAre(HasSubstr("the initial condition 'frozen' is not supported")));
  EXPECT_THAT(one("<n:image name='whole'/><n:boot parameters='quiet'/>"),
              ElementsAre(HasSubstr("the image whole boots from its disk and takes no parameters")));
  EXPECT_THAT(f.findings(sound("<node name='x'/><node name='y'/>\n<link from='x' to='y' min-mbps='10' max-ms='1'/>\n"
                               "<link from='x' to='x'/>\n<link from='x' to='q' max-ms='-1'/>")),
              ElementsAre("c.xml:4:1: link: 'min-mbps' cannot be guaranteed by the drivers at hand; remove it",
                          "c.xml:4:1: link: 'max-ms' cannot be guaranteed by the drivers at hand; remove it",
                          "c.xml:5:1: link: both its ends are 'x'; name two",
                          "c.xml:5:1: link: it asks nothing; add "
                          "'min-mbps' or 'max-ms'",
                          "c.xml:6:1: link: 'max-ms' is '-1'; it must be more than 0",
                          "c.xml:6:1: link: there is no node or group named 'q'; did you mean 'x'?",
                          "c.xml:6:1: link: 'max-ms' cannot be guaranteed by the drivers at hand; remove it"));
  f.context.capabilities.firmwares = {"bios"};
  f.context.capabilities.machines.clear();
  EXPECT_THAT(one("<n:memory>192MiB</n:memory><n:boot firmware='uefi'/>"),
              ElementsAre(HasSubstr("the firmware 'uefi' is not supported by the drivers at hand; supported: bios")));
  EXPECT_THAT(one("<n:boot machine='q35'/>"), ElementsAre(HasSubstr("the machine 'q35' cannot be chosen")));
}

TEST(Blueprint, Placement) {
  Fixture f;
  f.context.physical_hosts = {{"p1", "p2"}};
  f.context.sites = {{"here"}};
  const auto wishes = [&](const std::string& content) {
    return f.findings(
        sound("<node name='a'/><node name='b'/><node name='w' count='3'/>\n<placement>" + content + "</placement>"));
  };
  EXPECT_THAT(wishes("<together nodes='a b'/><pin nodes='w' host='p1'/>"), IsEmpty());
  EXPECT_THAT(wishes("<together nodes='a'/>"),
              ElementsAre("c.xml:4:12: together: it names one node only, 'a'; name two or a group"));
  EXPECT_THAT(wishes("<apart nodes='w'/>"),
              ElementsAre("c.xml:4:12: apart: 3 nodes must be on different physical hosts, and there are 2"));
  EXPECT_THAT(wishes("<apart nodes='a b'/><together nodes='b a w-1'/>"),
              ElementsAre(HasSubstr("the nodes 'a' and 'b' are to be together and apart")));
  EXPECT_THAT(wishes("<pin nodes='a w-9' host='p3'/>"),
              ElementsAre("c.xml:4:12: pin: there is no physical host named 'p3'; did you mean 'p1'?",
                          HasSubstr("there is no node or group named 'w-9'")));
  EXPECT_THAT(wishes("<pin nodes='a' host='p1'/><pin nodes='a b' host='p2'/><together nodes='a b'/>"),
              ElementsAre(HasSubstr("the node 'a' is pinned to 'p1' already"),
                          HasSubstr("are to be together, and are pinned")));
  EXPECT_THAT(wishes("<pin nodes='a b' host='p1'/><apart nodes='a b'/>"),
              ElementsAre(HasSubstr("both are pinned to 'p1'")));
  EXPECT_THAT(f.findings(sound("<node name='a' site='hree'/>")),
              ElementsAre("c.xml:3:1: node: the site 'hree' is not known; did you mean 'here'?"));
  EXPECT_THAT(
      f.findings(sound("<node name='a'/>\n<placement policy='best'/>")),
      ElementsAre("c.xml:4:1: placement: 'policy' is 'best'; it must be 'random', 'round-robin', 'pack', 'spread' "
                  "or 'optimise'"));
}

TEST(Blueprint, ReferencedFiles) {
  Fixture f;
  f.files["sub/worker.xml"] =
      "<configuration xmlns='urn:nuraghe:node:1'>\n <memory>1MiB</memory>\n <cpu>1</cpu>\n</configuration>";
  f.files["broken.xml"] = "<configuration>\n<a></configuration>";
  f.files["other.xml"] = "<other/>";
  f.files["chain.xml"] = "<configuration xmlns='urn:nuraghe:node:1' href='worker.xml'/>";
  f.files["many.xml"] =
      "<configurations xmlns='urn:nuraghe:node:1'><configuration name='small'><memory>128MiB</memory></configuration>"
      "<configuration name='large'><memory>512MiB</memory></configuration></configurations>";
  const auto parse = [&](const std::string& href) {
    std::vector<std::string> result;
    const auto parsed =
        parse_blueprint(sound("<node name='x'><n:configuration href='" + href + "'/></node>"), "dir/c.xml", f.context);
    for (const auto& finding : parsed.findings) result.push_back(finding.to_string());
    return result;
  };
  EXPECT_THAT(parse("sub/worker.xml"),
              ElementsAre("dir/sub/worker.xml:2:2: memory: 1MiB are too little; the image mini needs at least 96MiB",
                          "dir/sub/worker.xml:3:2: cpu: <cpu> is not known here; did you mean <cpus>?"));
  EXPECT_THAT(parse("absent.xml"),
              ElementsAre("dir/c.xml:3:16: configuration: the file 'absent.xml' cannot be read: there "
                          "is no such file"));
  EXPECT_THAT(parse("broken.xml"), ElementsAre(::testing::StartsWith("dir/broken.xml:2:")));
  EXPECT_THAT(parse("other.xml"),
              ElementsAre("dir/other.xml:1:1: other: a node configuration is expected: <configuration "
                          "xmlns=\"urn:nuraghe:node:1\">"));
  EXPECT_THAT(parse("chain.xml"), ElementsAre(HasSubstr("may not refer to another one")));
  EXPECT_THAT(parse("many.xml#large"), IsEmpty());
  EXPECT_THAT(parse("many.xml"),
              ElementsAre(HasSubstr("dir/many.xml holds 2 configurations; say which one by FILE#NAME")));
  EXPECT_THAT(parse("many.xml#larg"), ElementsAre(HasSubstr("no configuration named 'larg'; did you mean 'large'?")));
  f.context.files = nullptr;
  EXPECT_THAT(parse("many.xml#large"), ElementsAre(HasSubstr("cannot be referred to here")));
}

TEST(Blueprint, InlinedItNeedsNoFiles) {
  Fixture f;
  f.files["many.xml"] =
      "<configurations xmlns='urn:nuraghe:node:1'><configuration name='small'><memory>128MiB</memory></configuration>"
      "<configuration name='large'><memory>512MiB</memory></configuration></configurations>";
  f.files["one.xml"] = "<configuration xmlns='urn:nuraghe:node:1'><cpus>3</cpus></configuration>";
  const auto parsed =
      f.parse(sound("<node name='x'><n:configuration href='many.xml#large'/></node><node name='y'>"
                    "<n:configuration href='one.xml'/></node>"));
  ASSERT_TRUE(parsed.ok()) << parsed.status().error().to_string();
  const std::string text = parsed.inlined->to_string();
  EXPECT_EQ(text.find("href"), std::string::npos) << text;
  f.context.files = nullptr;
  const auto again = f.parse(text);
  ASSERT_TRUE(again.ok()) << again.status().error().to_string();
  EXPECT_EQ(again.blueprint.groups[0].configuration.memory, mib(512));
  EXPECT_EQ(again.blueprint.groups[1].configuration.cpus, 3);
}

TEST(Blueprint, TheExampleIsSound) {
  Fixture f;
  const std::string folder = std::string(NURAGHE_SOURCE_DIR) + "/examples/mpi/";
  f.context.files = [&](const std::string& path) -> Result<std::string> { return read(folder + path); };
  const auto parsed = parse_blueprint(read(folder + "cluster.xml"), folder + "cluster.xml", f.context);
  ASSERT_TRUE(parsed.ok()) << parsed.status().error().to_string();
  const auto nodes = expand(parsed.blueprint, &f.catalogue);
  ASSERT_EQ(nodes.size(), 4U);
  for (const PlannedNode& planned : nodes) {
    EXPECT_EQ(planned.node.memory, mib(160));
    EXPECT_EQ(planned.node.cpus, 1);
    EXPECT_EQ(planned.node.nics.size(), 1U);
  }
}

TEST(Blueprint, TheDefaultOneIsSoundOnEveryMachine) {
  Fixture f;
  for (const std::int64_t cpus : {1, 2, 4, 128}) {
    for (const Bytes memory : {mib(512), gib(2), gib(24), gib(1024)}) {
      const std::string text = default_blueprint("first", {cpus, memory, "mini", mib(96)});
      const auto parsed = f.parse(text);
      ASSERT_TRUE(parsed.ok()) << text << parsed.status().error().to_string();
      std::int64_t sum = 0;
      for (const auto& planned : expand(parsed.blueprint)) sum += planned.node.memory.count;
      EXPECT_LE(sum, std::max(memory.count / 2, mib(256).count)) << text;
    }
  }
}

TEST(Blueprint, ManyFindingsAreBounded) {
  Fixture f;
  std::string nodes;
  for (int i = 0; i < 5000; ++i) nodes += "<node name='x' wrong='1'/>";
  EXPECT_LE(f.findings(cluster(nodes)).size(), 1000U);
}

// Mutated blueprints: no crash, no hang, and whoever is told nothing is wrong gets nodes that make sound fragments.
TEST(BlueprintProperty, AnyInputIsAnsweredSoundly) {
  const std::string base = read(std::string(NURAGHE_SOURCE_DIR) + "/examples/mpi/cluster.xml") + "";
  const std::vector<std::string> pieces = {"<node name='x'/>",
                                           "count='0'",
                                           "count='-1'",
                                           "count='1000000000000'",
                                           "<network name='n' subnet='10.9.0.0/29'/>",
                                           "subnet=''",
                                           "<configuration xmlns='urn:nuraghe:node:1'/>",
                                           "href='#'",
                                           "href='a#'",
                                           "href=''",
                                           "''",
                                           "\"",
                                           ">",
                                           "<",
                                           "</cluster>",
                                           "<memory>99999999999999999TiB</memory>",
                                           "<disk name='root'/>",
                                           "<disk name='d' size='9TiB'><partition "
                                           "size='8TiB'/></disk>",
                                           "<placement><apart nodes='worker head'/></placement>",
                                           "<link from='a' to='b'/>",
                                           "name='worker-1'",
                                           "urn:nuraghe:node:1",
                                           "\xFF",
                                           "&lt;",
                                           "<!--",
                                           "<![CDATA["};
  EXPECT_TRUE(rc::check([&] {
    Fixture f;
    f.context.files = [](const std::string& path) -> Result<std::string> {
      return "<configuration xmlns='urn:nuraghe:node:1'><memory>128MiB</memory>" + path + "</configuration>";
    };
    std::string text = base;
    for (int i = *rc::gen::inRange(0, 4); i > 0; --i) {
      const auto at = *rc::gen::inRange<std::size_t>(0, text.size());
      const auto piece = *rc::gen::elementOf(pieces);
      if (*rc::gen::arbitrary<bool>())
        text.insert(at, piece);
      else
        text.replace(at, *rc::gen::inRange<std::size_t>(0, 20), piece);
    }
    const auto parsed = f.parse(text);
    if (!parsed.ok()) {
      for (const auto& finding : parsed.findings) RC_ASSERT(!finding.message.empty());
      return;
    }
    std::map<std::string, NetworkGrant> grants;
    std::int64_t segment = 1;
    for (const Network& network : parsed.blueprint.networks)
      grants[network.name] = {segment++, network.subnet.value_or(*parse_subnet("10.200.0.0/16"))};
    auto nodes = expand(parsed.blueprint, &f.catalogue);
    RC_ASSERT(assign_addresses(nodes, grants).has_value());
    for (const PlannedNode& planned : nodes)
      RC_ASSERT(parse_node_fragment(node_fragment(planned.node).root()).has_value());
  }));
}

}  // namespace
}  // namespace nuraghe::model
