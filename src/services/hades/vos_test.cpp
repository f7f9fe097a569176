// What machines have to do with virtual organisations.
#include <gmock/gmock.h>

#include "services/hades/testing.hpp"

namespace nuraghe::services::hades {
namespace {

using ::testing::ElementsAre;
using testing::HadesTest;
using ::testing::HasSubstr;
using testing::kAddress;
using testing::World;

TEST_F(HadesTest, AVoThatIsNotThereGetsNoMachine) {
  available("m1");
  gone_ = "vo2";
  const auto refused = begin("m1", "vo2");
  EXPECT_EQ(World::fault_of(refused), "not-found");
  EXPECT_THAT(refused.fault->reason, HasSubstr("there is no VO vo2"));
  EXPECT_EQ(machine().state, api::MachineState::kAvailable);
  EXPECT_EQ(World::fault_of(begin("m1", "vo1")), "");
}

TEST_F(HadesTest, WhatHappensToAMachineIsItsVosToHearWhileItHasIt) {
  const auto cordon = [&](bool cordoned) {
    EXPECT_EQ(World::fault_of(world_.ask(api::make_cordon_machine(kAddress, {"m1", cordoned, std::nullopt}))), "");
  };
  available("m1");
  cordon(true);
  cordon(false);
  begun("m1", "vo2");
  cordon(true);
  abandon();
  cordon(false);
  std::vector<std::string> told;
  world_.read_events(0, [&](const exchange::Event& event) {
    if (event.kind.starts_with("machine.")) told.push_back(event.kind.substr(8) + " " + event.vo);
  });
  EXPECT_THAT(told, ElementsAre("enrolled ", "inspected ", "cordoned ", "uncordoned ", "cordoned vo2", "abandoned vo2",
                                "uncordoned "));
}

TEST_F(HadesTest, ADeploymentIsOfItsVoAlone) {
  available("m1");
  const auto id = begun("m1", "vo1");
  EXPECT_EQ(World::fault_of(world_.ask(api::make_get_deployment(kAddress, {id, {}, {}}), "vo2")), "not-found");
  EXPECT_EQ(World::fault_of(world_.ask(api::make_start_system(kAddress, {id}), "vo2")), "not-found");
  const auto list = world_.ask(api::make_list_deployments(kAddress, {}), "vo2");
  EXPECT_TRUE(api::parse_list_deployments_response(list)->deployment.empty());
  end(id, false);
  EXPECT_EQ(World::fault_of(world_.ask(api::make_get_deployment(kAddress, {id, {}, {}}), "vo2")), "not-found");
  EXPECT_EQ(deployment(id).state, api::DeploymentState::kUndone);
}

TEST_F(HadesTest, WhoAsksLearnsWhichMachinesAVoHasAndWhichAreGone) {
  for (const auto* name : {"m1", "m2"}) available(name);
  deployed_and_released(api::WipePolicy::kQuick);
  begun("m2");
  std::vector<std::string> of_vo1, of_vo2;
  world_.post("hades", [&](exchange::Turn& turn) -> Status {
    TRY_ASSIGN(of_vo1, service_->machines_of(turn.transaction(), "vo1"));
    TRY_ASSIGN(of_vo2, service_->machines_of(turn.transaction(), "vo2"));
    return {};
  });
  EXPECT_THAT(of_vo1, ::testing::ElementsAre("m1 (its disks may hold data of the VO)", "m2 (deploying)"));
  EXPECT_TRUE(of_vo2.empty());
  EXPECT_TRUE(removed_.empty());
  ASSERT_EQ(World::fault_of(world_.ask(api::make_remove_machine(kAddress, {"m1", true}))), "");
  EXPECT_THAT(removed_, ::testing::ElementsAre("m1"));
}

}  // namespace
}  // namespace nuraghe::services::hades
