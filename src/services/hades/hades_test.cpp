#include <gmock/gmock.h>

#include "services/hades/testing.hpp"

namespace nuraghe::services::hades {
namespace {

using ::testing::Contains;
using testing::HadesTest;
using ::testing::HasSubstr;
using testing::kAddress;
using ::testing::Not;
using testing::World;

TEST_F(HadesTest, AMachineIsEnrolledOnceAndWhatIsWrongIsRefusedByName) {
  EXPECT_EQ(World::fault_of(enrol("m1", "sim", "", {"52:54:00:AA:00:01"})), "");
  EXPECT_EQ(machine().state, api::MachineState::kEnrolled);
  EXPECT_EQ(World::fault_of(enrol("m1", "sim", "", {"52:54:00:aa:00:01"})), "");
  EXPECT_EQ(World::fault_of(enrol("m1", "sim", "cpus=2", {"52:54:00:aa:00:01"})), "conflict");
  EXPECT_EQ(World::fault_of(enrol("m2", "sim", "", {"52:54:00:aa:00:01"})), "conflict");
  EXPECT_EQ(World::fault_of(enrol("m2", "sim", "wheels=4")), "invalid");
  EXPECT_EQ(World::fault_of(enrol("m2", "sim", "", {"52-54-00-aa-00-01"})), "invalid");
  EXPECT_EQ(World::fault_of(enrol("M 2")), "invalid");
  const auto refused = enrol("m2", "redfish");
  EXPECT_EQ(World::fault_of(refused), "unsupported");
  EXPECT_THAT(refused.fault->reason, HasSubstr("no driver 'redfish' for machines here; there is sim"));
  EXPECT_EQ(world_.keys("hades_machine").size(), 1U);
}

TEST_F(HadesTest, AnInspectionTellsWhatIsThereAndWhatHasChanged) {
  available("m1");
  EXPECT_EQ(machine().state, api::MachineState::kAvailable);
  EXPECT_EQ(machine().hardware->cpus, 4);
  EXPECT_THAT(kinds(), Not(Contains("machine.differs")));
  ASSERT_TRUE(machines_->replace_hardware({"m1", machine().address, {}}, {2, gib(8), "x86_64", "uefi", {}, {}, {}}));
  ASSERT_EQ(World::fault_of(world_.ask(api::make_inspect_machine(kAddress, {"m1"}))), "");
  EXPECT_THAT(machine().difference, Contains("2 cpus instead of 4 cpus"));
  EXPECT_THAT(kinds(), Contains("machine.differs"));
}

TEST_F(HadesTest, PowerIsSwitchedByWhateverMeansHelps) {
  available("m1");
  const auto on = world_.ask(api::make_power_machine(kAddress, {"m1", api::PowerAction::kOn}));
  EXPECT_EQ(api::parse_power_machine_response(on)->power, api::PowerState::kOn);
  // No system runs that could listen to a soft power-off.
  const auto off = world_.ask(api::make_power_machine(kAddress, {"m1", api::PowerAction::kOff}));
  EXPECT_EQ(api::parse_power_machine_response(off)->power, api::PowerState::kOff);
  EXPECT_EQ(machine().power, api::PowerState::kOff);
  EXPECT_EQ(machine().operation, "");
}

TEST_F(HadesTest, AnOrderThatFailsIsTheMachinesConditionUntilOneSucceeds) {
  reopen({{.verb = "inventory", .every = 2}});
  available("m1");
  const auto failed = world_.ask(api::make_inspect_machine(kAddress, {"m1"}));
  EXPECT_EQ(World::fault_of(failed), "unavailable");
  EXPECT_THAT(machine().condition, HasSubstr("inspect of machine m1: simulated failure"));
  EXPECT_EQ(machine().state, api::MachineState::kAvailable);
  ASSERT_EQ(World::fault_of(world_.ask(api::make_inspect_machine(kAddress, {"m1"}))), "");
  EXPECT_EQ(machine().condition, "");
}

TEST_F(HadesTest, AMachineIsDeployedStepByStepAndReleased) {
  available("m1");
  const auto id = begun();
  EXPECT_EQ(machine().vo, "vo1");
  EXPECT_EQ(steps(id), "");
  end(id, true);
  EXPECT_EQ(machine().state, api::MachineState::kDeployed);
  EXPECT_EQ(machine().power, api::PowerState::kOn);
  EXPECT_EQ(deployment(id).image, "tiny:1@sha256:00");
  ASSERT_EQ(deployment(id).step.size(), 6U);
  for (const auto& step : deployment(id).step) EXPECT_EQ(step.state, api::StepState::kDone);
  release(id, api::WipePolicy::kFull);
  EXPECT_EQ(machine().state, api::MachineState::kAvailable);
  EXPECT_EQ(machine().vo + machine().deployment + machine().unwiped, "");
  EXPECT_TRUE(is_blank());
  EXPECT_EQ(deployment(id).state, api::DeploymentState::kReleased);
  EXPECT_THAT(kinds(), Contains("deployment.released"));
}

TEST_F(HadesTest, OfTwoDeploymentsOrderedForOneMachineOneWins) {
  available("m1");
  const auto id = begun("m1", "vo1");
  const auto refused = begin("m1", "vo2");
  EXPECT_EQ(World::fault_of(refused), "conflict");
  EXPECT_THAT(refused.fault->reason, HasSubstr("machine m1 is deploying"));
  EXPECT_EQ(machine().deployment, id);
  const auto power = world_.ask(api::make_power_machine(kAddress, {"m1", api::PowerAction::kOff}));
  EXPECT_EQ(World::fault_of(power), "conflict");
}

TEST_F(HadesTest, WhatFailsBeforeAnythingIsWrittenLeavesTheMachineAsItWas) {
  available("m1");
  const auto id = begun();
  ASSERT_EQ(World::fault_of(world_.ask(api::make_start_system(kAddress, {id}))), "");
  end(id, false);
  EXPECT_EQ(machine().state, api::MachineState::kAvailable);
  EXPECT_EQ(machine().vo + machine().deployment + machine().unwiped, "");
  EXPECT_EQ(deployment(id).state, api::DeploymentState::kUndone);
}

TEST_F(HadesTest, WhatFailsLaterKeepsTheMachineAsFailedWithTheStepAndItsLog) {
  reopen({{.verb = "populate"}});
  available("m1");
  const auto id = begun();
  EXPECT_THAT(steps(id), HasSubstr("populate of machine m1: simulated failure"));
  end(id, false);
  EXPECT_EQ(machine().state, api::MachineState::kFailed);
  EXPECT_EQ(machine().unwiped, "vo1");
  const auto failed = deployment(id).step.back();
  EXPECT_EQ(failed.step, api::Step::kPopulate);
  EXPECT_EQ(failed.state, api::StepState::kFailed);
  EXPECT_THAT(failed.log, HasSubstr("simulated agent: populate disk"));
  EXPECT_THAT(failed.error, HasSubstr("simulated failure"));
  EXPECT_EQ(World::fault_of(begin()), "conflict");
  EXPECT_EQ(World::fault_of(world_.ask(api::make_remove_machine(kAddress, {"m1", std::nullopt}))), "conflict");
  release(id, api::WipePolicy::kFull);
  EXPECT_EQ(machine().state, api::MachineState::kAvailable);
  EXPECT_TRUE(is_blank());
}

TEST_F(HadesTest, ADiskOfAnotherSizeThanWasSaidIsNotTouched) {
  available("m1");
  const auto id = begun();
  ASSERT_EQ(World::fault_of(world_.ask(api::make_start_system(kAddress, {id}))), "");
  auto disk = machine().hardware->disk.front();
  disk.size = disk.size + Bytes{512};
  EXPECT_EQ(World::fault_of(world_.ask(api::make_partition(kAddress, {id, disk}))), "invalid");
  EXPECT_TRUE(is_blank());
}

TEST_F(HadesTest, AMachineThatWasNotWipedGoesToNobodyElse) {
  available("m1");
  // A quick wipe leaves the blocks, so it is no better here than none.
  for (const auto policy : {api::WipePolicy::kNone, api::WipePolicy::kQuick}) {
    deployed_and_released(policy);
    EXPECT_EQ(machine().unwiped, "vo1");
    EXPECT_FALSE(is_blank());
    const auto refused = begin("m1", "vo2");
    EXPECT_EQ(World::fault_of(refused), "conflict");
    EXPECT_THAT(refused.fault->reason, HasSubstr("released without a full wipe"));
    EXPECT_THAT(refused.fault->reason, HasSubstr("machine release m1 --wipe full"));
    EXPECT_EQ(World::fault_of(world_.ask(api::make_remove_machine(kAddress, {"m1", std::nullopt}))), "conflict");
  }
  deployed_and_released(api::WipePolicy::kFull);
  EXPECT_EQ(machine().unwiped, "");
  EXPECT_TRUE(is_blank());
  EXPECT_EQ(World::fault_of(begin("m1", "vo2")), "");
}

TEST_F(HadesTest, EveryDiskThatWasTouchedIsWipedBeforeAMachinePassesOn) {
  ASSERT_EQ(World::fault_of(enrol("m1", "sim", "cpus=4,memory=8GiB,disk=64GiB,disk=32GiB")), "");
  ASSERT_EQ(World::fault_of(world_.ask(api::make_inspect_machine(kAddress, {"m1"}))), "");
  deployed_and_released(api::WipePolicy::kNone, 0);
  deployed_and_released(api::WipePolicy::kNone, 1);
  // Twice in one deployment, too.
  const auto id = begun();
  ASSERT_EQ(World::fault_of(world_.ask(api::make_start_system(kAddress, {id}))), "");
  for (const std::size_t disk : {1, 0}) ASSERT_EQ(World::fault_of(partition(id, "vo1", disk)), "");
  end(id, false);
  release(id, api::WipePolicy::kFull);
  EXPECT_TRUE(is_blank());
  EXPECT_EQ(machine().unwiped, "");
}

TEST_F(HadesTest, AMachineStaysItsVosWhileOneOfItsDisksCouldNotBeWiped) {
  reopen({{.verb = "wipe", .every = 2}});
  ASSERT_EQ(World::fault_of(enrol("m1", "sim", "cpus=4,memory=8GiB,disk=64GiB,disk=32GiB")), "");
  ASSERT_EQ(World::fault_of(world_.ask(api::make_inspect_machine(kAddress, {"m1"}))), "");
  deployed_and_released(api::WipePolicy::kNone, 0);
  const auto id = deployed(1);
  begin_release(id, api::WipePolicy::kFull);
  ASSERT_EQ(World::fault_of(world_.ask(api::make_start_system(kAddress, {id}))), "");
  EXPECT_EQ(World::fault_of(world_.ask(api::make_wipe(kAddress, {id, api::WipePolicy::kFull}))), "unavailable");
  EXPECT_EQ(machine().unwiped, "vo1");
  // The first is done and is not done again.
  EXPECT_EQ(World::fault_of(world_.ask(api::make_wipe(kAddress, {id, api::WipePolicy::kFull}))), "");
  EXPECT_EQ(machine().unwiped, "");
  EXPECT_THAT(deployment(id).step.back().log, Not(HasSubstr(machine().hardware->disk.front().serial)));
  EXPECT_TRUE(is_blank());
}

TEST_F(HadesTest, AFullWipeIsDoneAlsoAfterAQuickOne) {
  available("m1");
  const auto id = deployed();
  EXPECT_TRUE(begin_release(id, api::WipePolicy::kQuick).needs_wipe);
  ASSERT_EQ(World::fault_of(world_.ask(api::make_start_system(kAddress, {id}))), "");
  ASSERT_EQ(World::fault_of(world_.ask(api::make_wipe(kAddress, {id, api::WipePolicy::kQuick}))), "");
  ASSERT_EQ(World::fault_of(world_.ask(api::make_end_release(kAddress, {id, false, "no power"}))), "");
  EXPECT_FALSE(begin_release(id, api::WipePolicy::kQuick).needs_wipe);
  ASSERT_EQ(World::fault_of(world_.ask(api::make_end_release(kAddress, {id, false, "no power"}))), "");
  EXPECT_TRUE(begin_release(id, api::WipePolicy::kFull).needs_wipe);
  ASSERT_EQ(World::fault_of(world_.ask(api::make_wipe(kAddress, {id, api::WipePolicy::kFull}))), "");
  EXPECT_TRUE(is_blank());
  EXPECT_EQ(machine().unwiped, "");
}

TEST_F(HadesTest, AReleaseBeginsAnewWhateverEndedBefore) {
  available("m1");
  const auto id = begun();
  ASSERT_EQ(World::fault_of(world_.ask(api::make_start_system(kAddress, {id}))), "");
  ASSERT_EQ(World::fault_of(partition(id)), "");
  end(id, false);
  EXPECT_EQ(deployment(id).condition, "because");
  ASSERT_EQ(World::fault_of(world_.ask(api::make_stop_step(kAddress, {id}))), "");
  release(id, api::WipePolicy::kFull);
  EXPECT_EQ(deployment(id).state, api::DeploymentState::kReleased);
  EXPECT_EQ(deployment(id).condition, "");
}

TEST_F(HadesTest, AMachineWithTwoDisksOfOneSerialNumberIsNotMadeAvailable) {
  ASSERT_EQ(World::fault_of(enrol("m1")), "");
  deploy::Hardware hardware{2,  gib(8), "x86_64", "uefi", {{"disk1", "TWIN", gib(64)}, {"disk2", "TWIN", gib(32)}},
                            {}, {}};
  ASSERT_TRUE(machines_->replace_hardware({"m1", machine().address, {}}, std::move(hardware)));
  const auto refused = world_.ask(api::make_inspect_machine(kAddress, {"m1"}));
  EXPECT_EQ(World::fault_of(refused), "invalid");
  EXPECT_THAT(refused.fault->reason, HasSubstr("several disks with the serial number 'TWIN'"));
  EXPECT_EQ(machine().state, api::MachineState::kEnrolled);
}

TEST_F(HadesTest, ADeploymentIsNotOverWhileItsStepIsAtWork) {
  available("m1");
  const auto id = begun();
  const auto step = world_.send(api::make_start_system(kAddress, {id}), "vo1", {}, false);
  const auto success = world_.send(api::make_end_deployment(kAddress, {id, true, std::nullopt}), "vo1", {}, false);
  const auto failure = world_.send(api::make_end_deployment(kAddress, {id, false, "late"}), "vo1", {}, false);
  world_.run();
  EXPECT_EQ(World::fault_of(world_.answers.at(success)), "unavailable");
  EXPECT_THAT(world_.answers.at(success).fault->reason, HasSubstr("start-system is at work"));
  EXPECT_EQ(World::fault_of(world_.answers.at(failure)), "");
  EXPECT_TRUE(world_.answers.contains(step));
  const auto over = deployment(id);
  EXPECT_EQ(over.state, api::DeploymentState::kUndone);
  EXPECT_EQ(over.condition, "late");
  EXPECT_NE(over.step.back().state, api::StepState::kRunning) << "the step was recorded before the end";
  EXPECT_EQ(machine().state, api::MachineState::kAvailable);
}

TEST_F(HadesTest, AReleaseIsNotOverWhileItsWipeIsAtWork) {
  available("m1");
  const auto id = deployed();
  begin_release(id, api::WipePolicy::kFull);
  ASSERT_EQ(World::fault_of(world_.ask(api::make_start_system(kAddress, {id}))), "");
  const auto wipe = world_.send(api::make_wipe(kAddress, {id, api::WipePolicy::kFull}), "vo1", {}, false);
  const auto success = world_.send(api::make_end_release(kAddress, {id, true, std::nullopt}), "vo1", {}, false);
  world_.run();
  EXPECT_EQ(World::fault_of(world_.answers.at(success)), "unavailable");
  EXPECT_EQ(World::fault_of(world_.answers.at(wipe)), "");
  EXPECT_EQ(machine().state, api::MachineState::kReleasing);
  const auto off = world_.send(api::make_power_off(kAddress, {id}), "vo1", {}, false);
  const auto failure = world_.send(api::make_end_release(kAddress, {id, false, "late"}), "vo1", {}, false);
  world_.run();
  EXPECT_TRUE(world_.answers.contains(off));
  EXPECT_EQ(World::fault_of(world_.answers.at(failure)), "");
  EXPECT_EQ(machine().state, api::MachineState::kFailed);
  EXPECT_EQ(deployment(id).condition, "release failed: late");
  EXPECT_NE(deployment(id).step.back().state, api::StepState::kRunning);
}

TEST_F(HadesTest, WhatIsBeingEndedTakesNoStepButToSwitchOff) {
  available("m1");
  const auto id = begun();
  ASSERT_EQ(World::fault_of(world_.ask(api::make_start_system(kAddress, {id}))), "");
  ASSERT_EQ(World::fault_of(world_.ask(api::make_stop_step(kAddress, {id}))), "");
  EXPECT_EQ(World::fault_of(partition(id)), "conflict");
  EXPECT_EQ(World::fault_of(world_.ask(api::make_power_off(kAddress, {id}))), "");
  EXPECT_EQ(machine().power, api::PowerState::kOff);
  EXPECT_EQ(machine().unwiped, "") << "a refused partition leaves no trace";
}

TEST_F(HadesTest, ACordonedMachineTakesNoDeploymentAndSaysWhy) {
  available("m1");
  ASSERT_EQ(World::fault_of(world_.ask(api::make_cordon_machine(kAddress, {"m1", true, "the fan is loud"}))), "");
  const auto refused = begin();
  EXPECT_EQ(World::fault_of(refused), "conflict");
  EXPECT_THAT(refused.fault->reason, HasSubstr("the fan is loud"));
  ASSERT_EQ(World::fault_of(world_.ask(api::make_cordon_machine(kAddress, {"m1", false, std::nullopt}))), "");
  EXPECT_EQ(World::fault_of(begin()), "");
}

TEST_F(HadesTest, AStepThatIsOrderedByOneMessageTwiceIsDoneOnce) {
  available("m1");
  const auto id = begun();
  for (int i = 0; i < 2; ++i) world_.send(api::make_start_system(kAddress, {id}), "vo1", "urn:test:start");
  EXPECT_EQ(World::fault_of(world_.answers["urn:test:start"]), "");
  EXPECT_EQ(deployment(id).step.size(), 1U);
}

TEST_F(HadesTest, AMachineThatIsRemovedByForceIsGoneWithWhatWasOnIt) {
  reopen({{.verb = "configure"}});
  available("m1");
  const auto id = begun();
  EXPECT_NE(steps(id), "");
  end(id, false);
  ASSERT_EQ(World::fault_of(world_.ask(api::make_remove_machine(kAddress, {"m1", true}))), "");
  EXPECT_EQ(World::fault_of(world_.ask(api::make_get_machine(kAddress, {"m1"}))), "not-found");
  EXPECT_TRUE(world_.keys("hades_machine").empty() && world_.keys("hades_deployment").empty());
  EXPECT_EQ(deployment(id).state, api::DeploymentState::kFailed);
}

TEST_F(HadesTest, ADeploymentIsAbandonedWithoutItsWorkflow) {
  available("m1");
  EXPECT_EQ(World::fault_of(world_.ask(api::make_abandon_deployment(kAddress, {"m1", std::nullopt}))), "conflict");
  const auto id = begun();
  ASSERT_EQ(World::fault_of(world_.ask(api::make_start_system(kAddress, {id}))), "");
  ASSERT_EQ(World::fault_of(partition(id)), "");
  const auto left = abandon();
  EXPECT_EQ(left.state, api::MachineState::kFailed);
  EXPECT_EQ(left.power, api::PowerState::kOff);
  EXPECT_EQ(left.boot_device, api::BootDevice::kDisk);
  EXPECT_EQ(left.unwiped, "vo1");
  EXPECT_EQ(left.condition, "abandoned by an administrator: its workflow is gone");
  EXPECT_EQ(deployment(id).state, api::DeploymentState::kFailed);
  EXPECT_FALSE(left.cordoned);
  EXPECT_THAT(kinds(), Contains("machine.abandoned"));
  // Its workflow may live after all.
  EXPECT_EQ(World::fault_of(world_.ask(api::make_make_filesystems(kAddress, {id}))), "conflict");
  end(id, true);
  EXPECT_EQ(machine().state, api::MachineState::kFailed);
  begin_release(id, api::WipePolicy::kFull);
  EXPECT_EQ(abandon().state, api::MachineState::kFailed);
  release(id, api::WipePolicy::kFull);
  EXPECT_TRUE(is_blank());
}

TEST_F(HadesTest, AbandoningEndsTheStepAtWorkFirst) {
  available("m1");
  const auto id = begun();
  const auto step = world_.send(api::make_start_system(kAddress, {id}), "vo1", {}, false);
  const auto first = world_.send(api::make_abandon_deployment(kAddress, {"m1", std::nullopt}), "vo1", {}, false);
  const auto second = world_.send(api::make_abandon_deployment(kAddress, {"m1", std::nullopt}), "vo1", {}, false);
  world_.run();
  EXPECT_TRUE(world_.answers.contains(step));
  EXPECT_EQ(World::fault_of(world_.answers.at(first)), "");
  EXPECT_EQ(World::fault_of(world_.answers.at(second)), "conflict");
  EXPECT_EQ(machine().state, api::MachineState::kAvailable);
  EXPECT_EQ(machine().power, api::PowerState::kOff);
  EXPECT_EQ(deployment(id).state, api::DeploymentState::kUndone);
  end(id, false);
  EXPECT_EQ(deployment(id).condition, "abandoned by an administrator");
}

TEST_F(HadesTest, AMachineThatCouldNotBeSwitchedOffIsCordonedWithTheReason) {
  reopen({{.verb = "soft-off"}, {.verb = "hard-off"}});
  for (const bool by_workflow : {true, false}) {
    const std::string name = by_workflow ? "m1" : "m2";
    available(name);
    const auto id = begun(name);
    ASSERT_EQ(World::fault_of(world_.ask(api::make_start_system(kAddress, {id}))), "");
    if (by_workflow) {
      EXPECT_EQ(World::fault_of(world_.ask(api::make_power_off(kAddress, {id}))), "unavailable");
      end(id, false);
      EXPECT_THAT(deployment(id).condition, HasSubstr("because; the machine could not be switched off: "));
    } else {
      abandon(name);
    }
    const auto left = machine(name);
    EXPECT_EQ(left.state, api::MachineState::kAvailable);
    EXPECT_EQ(left.power, api::PowerState::kOn);
    EXPECT_EQ(left.boot_device, api::BootDevice::kDisk) << "that could be restored";
    EXPECT_TRUE(left.cordoned);
    EXPECT_THAT(left.cordon_reason, HasSubstr("could not be switched off"));
    EXPECT_THAT(left.condition, HasSubstr("does not obey: power off"));
    EXPECT_EQ(World::fault_of(begin(name)), "conflict");
  }
}

TEST_F(HadesTest, AMachineStartsFromWhereItDidBeforeItsDeployment) {
  available("m1");
  ASSERT_EQ(World::fault_of(world_.ask(api::make_set_boot_device(kAddress, {"m1", api::BootDevice::kNetwork}))), "");
  deployed_and_released(api::WipePolicy::kFull);
  EXPECT_EQ(machine().boot_device, api::BootDevice::kNetwork);
  reopen({{.verb = "set-boot-device", .every = 2}});
  available("m2");
  const auto id = begun("m2");
  ASSERT_EQ(World::fault_of(world_.ask(api::make_start_system(kAddress, {id}))), "");
  const auto failed = world_.ask(api::make_power_off(kAddress, {id}));
  EXPECT_EQ(World::fault_of(failed), "unavailable");
  EXPECT_THAT(failed.fault->reason, HasSubstr("it is off, but it does not start from disk again"));
  EXPECT_EQ(machine("m2").power, api::PowerState::kOff);
  EXPECT_FALSE(machine("m2").boot_device) << "nobody knows";
}

TEST_F(HadesTest, AStepThatIsNotAnsweredEndsAtItsLimit) {
  auto limits = WorkerOptions().step_limits;
  limits[api::Step::kPopulate] = std::chrono::milliseconds(20);
  reopen({{.verb = "populate", .kind = deploy::SimMachineFailure::Kind::kUnanswered}}, limits);
  available("m1");
  const auto id = begun();
  EXPECT_THAT(steps(id), HasSubstr("populate of machine m1: it took longer than its limit of 20 ms"));
  EXPECT_EQ(deployment(id).step.back().state, api::StepState::kFailed);
  api::PopulateRequest populate;
  populate.deployment = id;
  EXPECT_EQ(World::fault_of(world_.ask(api::make_populate(kAddress, populate))), "timeout");
}

TEST_F(HadesTest, DeploymentsAreListedInPagesAndLogsInLines) {
  for (const auto* name : {"m1", "m2", "m3"}) {
    available(name);
    EXPECT_EQ(steps(begun(name)), "");
  }
  const auto list = [this](std::optional<std::int32_t> limit, std::optional<std::string> after) {
    const auto answer = world_.ask(api::make_list_deployments(kAddress, {limit, std::move(after)}));
    const auto response = api::parse_list_deployments_response(answer);
    EXPECT_TRUE(response) << response.error().to_string();
    return response ? response->deployment : std::vector<api::Deployment>();
  };
  const auto all = list(std::nullopt, std::nullopt);
  ASSERT_EQ(all.size(), 3U);
  ASSERT_EQ(list(1, std::nullopt).size(), 1U);
  ASSERT_EQ(list(1, all[0].id).size(), 1U);
  EXPECT_EQ(list(1, all[0].id).front().id, all[1].id);
  EXPECT_TRUE(list(1, all[2].id).empty());
  EXPECT_EQ(World::fault_of(world_.ask(api::make_list_deployments(kAddress, {0, std::nullopt}))), "invalid");
  const auto& partition = all[0].step.at(1);
  EXPECT_EQ(partition.log_lines, 2);
  const auto last =
      api::parse_get_deployment_response(world_.ask(api::make_get_deployment(kAddress, {all[0].id, 1, std::nullopt})));
  EXPECT_EQ(last->deployment.step.at(1).log, "done\n");
  const auto before =
      api::parse_get_deployment_response(world_.ask(api::make_get_deployment(kAddress, {all[0].id, 1, 1})));
  EXPECT_THAT(before->deployment.step.at(1).log, HasSubstr("simulated agent: partition"));
  EXPECT_EQ(World::fault_of(world_.ask(api::make_get_deployment(kAddress, {all[0].id, -1, std::nullopt}))), "invalid");
}

}  // namespace
}  // namespace nuraghe::services::hades
