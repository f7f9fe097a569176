// For the tests of HaDeS: its service over simulated machines.
#pragma once

#include <gtest/gtest.h>

#include "deploy/sim/machines.hpp"
#include "services/hades/hades.hpp"
#include "services/testing.hpp"

namespace nuraghe::services::hades::testing {

using services::testing::World;

inline constexpr const char* kAddress = "/services/hades";
inline constexpr const char* kNode =
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
    service.has_vo = [this](store::Transaction&, const std::string& vo) { return Result<bool>(vo != gone_); };
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
  std::string gone_;  // a VO that is not there
  std::unique_ptr<deploy::SimMachines> machines_;
  std::unique_ptr<Worker> worker_;
  std::unique_ptr<Service> service_;
};

}  // namespace nuraghe::services::hades::testing
