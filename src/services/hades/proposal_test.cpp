#include "services/hades/proposal.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace nuraghe::services::hades {
namespace {

namespace api = contracts::hades;
using ::testing::AllOf;
using ::testing::ElementsAre;
using ::testing::HasSubstr;

api::Hardware machine() {
  api::Hardware hardware;
  hardware.cpus = 8;
  hardware.memory = gib(16);
  hardware.architecture = "x86_64";
  hardware.firmware = "uefi";
  hardware.disk = {{"disk1", "LARGE", gib(500)}, {"disk2", "SMALL", gib(20)}, {"disk3", "MIDDLE", gib(100)}};
  return hardware;
}

model::Node node() {
  model::Node node;
  node.name = "one";
  node.image.name = "tiny";
  node.cpus = 4;
  node.memory = gib(8);
  return node;
}

TEST(Proposal, TheSmallestDiskThatIsLargeEnoughIsProposedAndTheOthersAreAlternatives) {
  auto wanted = node();
  model::Disk root;
  root.name = model::kRootDisk;
  root.partitions = {{gib(40), "ext4", "/"}, {gib(10), "ext4", "/data"}, {Bytes{}, "", ""}};
  wanted.disks.push_back(root);
  const auto proposal = propose(machine(), wanted);
  EXPECT_TRUE(proposal.feasible);
  ASSERT_TRUE(proposal.disk);
  EXPECT_EQ(proposal.disk->serial, "MIDDLE");
  ASSERT_EQ(proposal.alternative.size(), 1U);
  EXPECT_EQ(proposal.alternative.front().disk.serial, "LARGE");
  EXPECT_EQ(proposal.requirement.name, "tiny");
  wanted.disks.front().partitions.front().size = gib(600);
  const auto refused = propose(machine(), wanted);
  EXPECT_FALSE(refused.feasible || refused.disk);
  EXPECT_THAT(refused.reason, ElementsAre(HasSubstr("it asks for a disk of 610GiB; there is SMALL of 20GiB")));
}

TEST(Proposal, EverythingThatIsMissingIsSaid) {
  auto wanted = node();
  wanted.cpus = 9;
  wanted.memory = gib(17);
  wanted.image.architecture = "aarch64";
  wanted.boot.firmware = "bios";
  wanted.boot.machine = "q35";
  wanted.nics.resize(1);
  wanted.nics.front().network = "private";
  wanted.disks.resize(1);
  wanted.disks.front().name = "data";
  const auto proposal = propose(machine(), wanted);
  EXPECT_FALSE(proposal.feasible);
  EXPECT_THAT(proposal.reason,
              ElementsAre(HasSubstr("9 cpus"), HasSubstr("17GiB of memory"), HasSubstr("aarch64"), HasSubstr("bios"),
                          HasSubstr("q35"), HasSubstr("private"), HasSubstr("disk data")));
}

TEST(Proposal, AMachineThatWasNeverInspectedIsNotFeasible) {
  const auto proposal = propose(std::nullopt, node());
  EXPECT_FALSE(proposal.feasible);
  EXPECT_THAT(proposal.reason, ElementsAre("it was never inspected"));
}

TEST(Proposal, WhatAMachineDoesNotDoIsRefusedByName) {
  auto wanted = node();
  wanted.boot.parameters = "quiet";
  wanted.boot.ready = "console:login: ";
  wanted.initial_conditions = "warm";
  wanted.seed_digest = "sha256:5eed";
  const auto proposal = propose(machine(), wanted);
  EXPECT_FALSE(proposal.feasible);
  EXPECT_THAT(proposal.reason, ElementsAre(HasSubstr("kernel parameters 'quiet'"), HasSubstr("'console:login: '"),
                                           HasSubstr("conditions 'warm'"), HasSubstr("seed sha256:5eed")));
}

TEST(Proposal, ADiskThatNoOrderCouldNameIsNotProposed) {
  auto hardware = machine();
  hardware.disk = {{"disk1", "", gib(20)}, {"disk2", "TWIN", gib(30)}, {"disk3", "TWIN", gib(40)}};
  const auto refused = propose(hardware, node());
  EXPECT_FALSE(refused.feasible || refused.disk);
  EXPECT_THAT(refused.reason, ElementsAre(AllOf(HasSubstr("disk1 without a serial number"),
                                                HasSubstr("TWIN of 30GiB, one of several"))));
  hardware.disk.push_back({"disk4", "OWN", gib(50)});
  const auto proposal = propose(hardware, node());
  EXPECT_TRUE(proposal.feasible && proposal.alternative.empty());
  EXPECT_EQ(proposal.disk->serial, "OWN");
}

TEST(Differences, EachThingThatIsOtherwiseIsOneSentence) {
  EXPECT_TRUE(differences(machine(), machine()).empty());
  auto changed = machine();
  changed.cpus = 4;
  changed.disk.pop_back();
  changed.device.emplace_back("infiniband");
  EXPECT_THAT(differences(machine(), changed),
              ElementsAre("4 cpus instead of 8 cpus", HasSubstr("instead of LARGE 500GiB, SMALL 20GiB, MIDDLE"),
                          "infiniband instead of no other device"));
}

}  // namespace
}  // namespace nuraghe::services::hades
