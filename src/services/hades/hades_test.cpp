#include "services/hades/hades.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "deploy/sim/machines.hpp"
#include "services/testing.hpp"

namespace nuraghe::services::hades {
namespace {

using ::testing::Contains;
using ::testing::HasSubstr;
using ::testing::Not;
using testing::World;

constexpr const char* kAddress = "/services/hades";
constexpr const char* kNode =
    R"(<node xmlns="urn:nuraghe:node:1" name="one"><image name="tiny"/><cpus>1</cpus><memory>8MiB</memory></node>)";

class HadesTest : public ::testing::Test {
 protected:
  HadesTest() { reopen(); }
  ~HadesTest() override { world_.close(); }
  void reopen(std::vector<deploy::SimMachineFailure> failures = {},
              std::map<api::Step, Duration> step_limits = WorkerOptions().step_limits) {
    world_.close();
    deploy::SimMachinesOptions options;
    options.persisted = false;
    options.failures = std::move(failures);
    machines_ = std::move(*deploy::open_sim_machines(std::move(options)));
    deploy::PowerLimits limits;
    for (auto& [command, limit] : limits.commands) limit = std::chrono::milliseconds(5);
    limits.pause = std::chrono::milliseconds(1);
    WorkerOptions work{{{"sim", {machines_.get(), machines_.get()}}}, limits};
    work.step_limits = std::move(step_limits);
    worker_ = std::make_unique<Worker>(std::move(work));
    ServiceOptions service;
    service.on_removed = [this](store::Transaction&, const std::string& name) {
      removed_.push_back(name);
      return Status();
    };
    service_ = std::make_unique<Service>(std::move(service), *worker_);
    world_.open({service_.get()});
  }

  exchange::Message enrol(const std::string& name, const std::string& driver = "sim",
                          const std::string& address = "cpus=4,memory=8GiB,disk=64GiB",
                          std::vector<std::string> macs = {}) {
    return world_.ask(api::make_enrol_machine(kAddress, {name, driver, address, std::move(macs)}));
  }
  void available(const std::string& name) {
    ASSERT_EQ(World::fault_of(enrol(name)), "");
    ASSERT_EQ(World::fault_of(world_.ask(api::make_inspect_machine(kAddress, {name}))), "");
  }
  api::Machine machine(const std::string& name = "m1") {
    const auto got = api::parse_get_machine_response(world_.ask(api::make_get_machine(kAddress, {name})));
    EXPECT_TRUE(got);
    return got ? got->machine : api::Machine{};
  }
  exchange::Message begin(const std::string& name = "m1", const std::string& vo = "vo1") {
    api::BeginDeploymentRequest input;
    input.machine = name;
    input.fragment = std::move(*xml::Document::parse(kNode)).share();
    return world_.ask(api::make_begin_deployment(kAddress, input), vo);
  }
  // The id of a deployment that begins.
  std::string begun(const std::string& name = "m1", const std::string& vo = "vo1") {
    const auto response = api::parse_begin_deployment_response(begin(name, vo));
    EXPECT_TRUE(response) << response.error().to_string();
    return response ? response->deployment : "";
  }
  api::Deployment deployment(const std::string& id, const std::string& vo = "vo1") {
    const auto got =
        api::parse_get_deployment_response(world_.ask(api::make_get_deployment(kAddress, {id, {}, {}}), vo));
    EXPECT_TRUE(got) << got.error().to_string();
    return got ? got->deployment : api::Deployment{};
  }
  exchange::Message partition(const std::string& id, const std::string& vo = "vo1", std::size_t disk = 0) {
    return world_.ask(api::make_partition(kAddress, {id, machine().hardware->disk.at(disk)}), vo);
  }
  // Every step of a deployment; the first fault.
  std::string steps(const std::string& id, const std::string& vo = "vo1", std::size_t disk = 0) {
    const auto target = machine(deployment(id, vo).machine);
    api::PopulateRequest populate;
    populate.deployment = id;
    populate.image = {"tiny", "1", "sha256:00", "/images"};
    for (auto message :
         {api::make_start_system(kAddress, {id}), api::make_partition(kAddress, {id, target.hardware->disk.at(disk)}),
          api::make_make_filesystems(kAddress, {id}), api::make_populate(kAddress, populate),
          api::make_configure(kAddress, {id}), api::make_boot(kAddress, {id})}) {
      const auto answer = world_.ask(std::move(message), vo);
      if (answer.fault) return answer.fault->reason;
    }
    return "";
  }
  void end(const std::string& id, bool succeeded, const std::string& vo = "vo1") {
    ASSERT_EQ(World::fault_of(world_.ask(api::make_end_deployment(kAddress, {id, succeeded, "because"}), vo)), "");
  }
  void release(const std::string& id, api::WipePolicy policy, const std::string& vo = "vo1") {
    const auto answer = world_.ask(api::make_begin_release(kAddress, {id, policy, std::nullopt}), vo);
    const auto release = api::parse_begin_release_response(answer);
    ASSERT_TRUE(release) << release.error().to_string();
    if (release->needs_wipe) {
      ASSERT_EQ(World::fault_of(world_.ask(api::make_start_system(kAddress, {id}), vo)), "");
      ASSERT_EQ(World::fault_of(world_.ask(api::make_wipe(kAddress, {id, policy}), vo)), "");
    }
    ASSERT_EQ(World::fault_of(world_.ask(api::make_power_off(kAddress, {id}), vo)), "");
    ASSERT_EQ(World::fault_of(world_.ask(api::make_end_release(kAddress, {id, true, std::nullopt}), vo)), "");
  }
  api::BeginReleaseResponse begin_release(const std::string& id, api::WipePolicy policy) {
    const auto begun =
        api::parse_begin_release_response(world_.ask(api::make_begin_release(kAddress, {id, policy, std::nullopt})));
    EXPECT_TRUE(begun) << begun.error().to_string();
    return begun ? *begun : api::BeginReleaseResponse{};
  }
  // The id of a deployment on machine m1 that is up, on its nth disk.
  std::string deployed(std::size_t disk = 0) {
    const auto id = begun();
    EXPECT_EQ(steps(id, "vo1", disk), "");
    end(id, true);
    return id;
  }
  void deployed_and_released(api::WipePolicy policy, std::size_t disk = 0) { release(deployed(disk), policy); }
  std::vector<std::string> kinds() {
    std::vector<std::string> found;
    world_.read_events(0, [&](const exchange::Event& event) { found.push_back(event.kind); });
    return found;
  }
  bool is_blank(const std::string& name = "m1") {
    const auto found = machine(name);
    return machines_->is_blank({found.name, found.address, found.mac}).value_or(false);
  }

  // What it says of a machine that it abandoned.
  api::Machine abandon(const std::string& name = "m1") {
    const auto answer = world_.ask(api::make_abandon_deployment(kAddress, {name, "its workflow is gone"}));
    const auto response = api::parse_abandon_deployment_response(answer);
    EXPECT_TRUE(response) << response.error().to_string();
    return response ? response->machine : api::Machine{};
  }

  World world_;
  std::vector<std::string> removed_;
  std::unique_ptr<deploy::SimMachines> machines_;
  std::unique_ptr<Worker> worker_;
  std::unique_ptr<Service> service_;
};

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
