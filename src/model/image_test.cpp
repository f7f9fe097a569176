#include "model/image.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace nuraghe::model {
namespace {

using ::testing::ElementsAre;

constexpr const char* kMini = R"(<vhi xmlns="urn:nuraghe:image:1" name="mini" version="1">
  <system type="linux" name="debian" version="12" architecture="x86_64"/>
  <boot kernel="vmlinuz" initrd="initrd.img" parameters="root=LABEL=mini quiet"/>
  <disk file="disk.qcow2" format="qcow2" size="268435456"/>
  <configuration min-memory="96MiB" seed="nocloud" ready="agent"/>
  <initial-conditions kind="cold"/>
</vhi>)";

std::vector<std::string> findings(std::string_view text) {
  std::vector<std::string> result;
  for (const auto& finding : check_image_description(text, "vhi.xml")) result.push_back(finding.to_string());
  return result;
}

TEST(ImageDescription, ReadsEverything) {
  const auto image = parse_image_description(kMini, "vhi.xml");
  ASSERT_TRUE(image) << image.error().to_string();
  EXPECT_EQ(image->name, "mini");
  EXPECT_EQ(image->version, "1");
  EXPECT_EQ(image->type, "linux");
  EXPECT_EQ(image->system, "debian");
  EXPECT_EQ(image->system_version, "12");
  EXPECT_EQ(image->architecture, "x86_64");
  EXPECT_EQ(image->kernel, "vmlinuz");
  EXPECT_EQ(image->initrd, "initrd.img");
  EXPECT_EQ(image->parameters, "root=LABEL=mini quiet");
  EXPECT_EQ(image->disk_file, "disk.qcow2");
  EXPECT_EQ(image->disk_format, "qcow2");
  EXPECT_EQ(image->disk_size, mib(256));
  EXPECT_EQ(image->minimum_memory, mib(96));
  EXPECT_EQ(image->seed, "nocloud");
  EXPECT_EQ(image->ready, "agent");
  EXPECT_EQ(image->initial_conditions, "cold");
}

TEST(ImageDescription, SaysWhatIsWrongAndWhere) {
  EXPECT_THAT(
      findings(R"(<vhi xmlns="urn:nuraghe:image:1" name="mini">
  <system type="linux" name="debian" version="12"/>
  <disk file="../disk" format="vmdk" size="much"/>
  <configuration min-memory="96MiB" seed="nocloud" ready="soon"/>
  <initial-conditions kind="frozen"/>
</vhi>)"),
      ElementsAre("vhi.xml:1:1: vhi: the attribute 'version' is missing; add it",
                  "vhi.xml:2:3: system: the attribute 'architecture' is missing; add it",
                  "vhi.xml:3:3: disk: 'file' is '../disk'; it must be the plain name of a file in the image's folder",
                  "vhi.xml:3:3: disk: 'format' is 'vmdk'; it must be 'qcow2' or 'raw'",
                  "vhi.xml:3:3: disk: 'size' is 'much'; it must be a size such as 512MiB or 4GiB",
                  "vhi.xml:4:3: configuration: 'ready' is 'soon'; it must be agent, start, or console: and the "
                  "text to wait for",
                  "vhi.xml:5:3: initial-conditions: 'kind' is 'frozen'; it must be 'cold'"));
}

TEST(ImageDescription, NeedsSomethingToBoot) {
  EXPECT_THAT(findings(R"(<vhi xmlns="urn:nuraghe:image:1" name="a" version="1">
  <system type="linux" name="debian" version="12" architecture="x86_64"/>
  <boot parameters="quiet"/>
  <configuration min-memory="96MiB"/><initial-conditions kind="cold"/></vhi>)"),
              ElementsAre("vhi.xml:1:1: vhi: there is nothing to boot; give <boot kernel=...> or <disk file=...>",
                          "vhi.xml:3:3: boot: 'initrd' and 'parameters' need a 'kernel'; add it"));
}

TEST(ImageDescription, WhatIsNoXmlIsOneFinding) {
  const auto found = findings("<vhi>\n  <a></b></vhi>");
  ASSERT_EQ(found.size(), 1U);
  EXPECT_TRUE(found[0].starts_with("vhi.xml:2:")) << found[0];
  EXPECT_FALSE(parse_image_description("", "vhi.xml"));
  EXPECT_THAT(findings("<a/>"), ElementsAre("vhi.xml:1:1: a: <a> is not an element that this schema knows as a root",
                                            "vhi.xml:1:1: a: there is nothing to boot; give <boot kernel=...> or "
                                            "<disk file=...>"));
}

}  // namespace
}  // namespace nuraghe::model
