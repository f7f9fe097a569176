// The power contract (deploy/power.hpp) and the agent's (deploy/agent.hpp), tested alike over every driver. A driver
// joins by a row in kDrivers.
#include <fcntl.h>
#include <gtest/gtest.h>
#include <unistd.h>

#include <array>
#include <filesystem>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "deploy/agent.hpp"
#include "deploy/escalation.hpp"
#include "deploy/qemu/machines.hpp"
#include "deploy/sim/machines.hpp"

namespace nuraghe::deploy {
namespace {

// A driver over a folder that outlives it.
struct Opened {
  std::shared_ptr<void> owner;
  PowerDriver* power = nullptr;
  Agent* agent = nullptr;
};
struct Kind {
  const char* name;
  std::function<Opened(const std::string& folder)> open;
  Target target;      // a machine with one disk, off and empty
  Target no_address;  // no machine of this driver can be there
  bool has_agent = true;
  bool has_sensors = true;
};

const std::array kDrivers = {Kind{"sim",
                                  [](const std::string& folder) {
                                    SimMachinesOptions options;
                                    options.root = folder;
                                    auto opened = open_sim_machines(std::move(options));
                                    EXPECT_TRUE(opened) << opened.error().to_string();
                                    const std::shared_ptr<SimMachines> machines = std::move(*opened);
                                    return Opened{machines, machines.get(), machines.get()};
                                  },
                                  {"m1", "cpus=4,memory=8GiB,disk=64GiB", {"52:54:00:00:00:01"}},
                                  {"m1", "cpus=many", {}}},
                             Kind{"qemu",
                                  [](const std::string& folder) {
                                    auto opened = open_qemu_machines({folder});
                                    EXPECT_TRUE(opened) << opened.error().to_string();
                                    const std::shared_ptr<PowerDriver> machines = std::move(*opened);
                                    return Opened{machines, machines.get(), nullptr};
                                  },
                                  {"m1", "cpus=1,memory=32MiB,disk=1GiB", {"52:54:00:00:00:01"}},
                                  {"m1", "firmware=uefi", {}},
                                  false,
                                  false}};

class PowerContract : public ::testing::TestWithParam<std::size_t> {
 protected:
  PowerContract() {
    EXPECT_NE(::mkdtemp(folder_.data()), nullptr);
    open();
  }
  ~PowerContract() override {
    EXPECT_TRUE(power().command(target(), PowerCommand::kHardOff, {}));
    driver_ = {};
    std::filesystem::remove_all(folder_);
  }
  const Kind& kind() const { return kDrivers.at(GetParam()); }
  const Target& target() const { return kind().target; }
  // As a process that was restarted does.
  void open() {
    driver_ = {};
    driver_ = kind().open(folder_);
  }
  PowerDriver& power() { return *driver_.power; }
  Agent& agent() { return *driver_.agent; }
  PowerState state() {
    const auto state = power().status(target(), {});
    EXPECT_TRUE(state) << state.error().to_string();
    return state.value_or(PowerState::kUnknown);
  }
  Status go(Goal goal) {
    std::string log;
    PowerLimits limits;
    limits.commands[PowerCommand::kSoftOff] = std::chrono::milliseconds(300);
    limits.pause = std::chrono::milliseconds(50);
    const auto state = reach(power(), target(), goal, limits, {}, log);
    if (!state) return state.error();
    return {};
  }
  Status into(BootDevice device, System system) {
    TRY(power().set_boot_device(target(), device, {}));
    TRY(go(Goal::kCycle));
    return agent().wait_system(target(), system, {});
  }
  Disk disk() {
    const auto hardware = power().inventory(target(), {});
    EXPECT_TRUE(hardware) << hardware.error().to_string();
    EXPECT_EQ(hardware->disks.size(), 1U);
    return hardware->disks.front();
  }
  Status work(Work work, const Disk& disk, const std::string& deployment = "dep-1") {
    AgentOrder order;
    order.work = work;
    order.deployment = deployment;
    order.node = "node";
    order.disk = disk;
    order.partitions = {{gib(8), "ext4", "/"}};
    order.image_digest = "sha256:00";
    std::string log;
    const auto done = agent().run(target(), order, {}, log);
    EXPECT_FALSE(log.empty());
    return done;
  }

  std::string folder_ = "/tmp/nuraghe-power-XXXXXX";
  Opened driver_;
};

TEST_P(PowerContract, AMachineIsOffUntilItIsSwitchedOnAndCommandsAreIdempotent) {
  EXPECT_EQ(state(), PowerState::kOff);
  for (int i = 0; i < 2; ++i) ASSERT_TRUE(power().command(target(), PowerCommand::kOn, {}));
  EXPECT_EQ(state(), PowerState::kOn);
  for (int i = 0; i < 2; ++i) ASSERT_TRUE(power().command(target(), PowerCommand::kHardOff, {}));
  EXPECT_EQ(state(), PowerState::kOff);
  ASSERT_TRUE(power().command(target(), PowerCommand::kSoftOff, {}));
  EXPECT_EQ(state(), PowerState::kOff);
}

TEST_P(PowerContract, PowerOutlivesTheDriver) {
  ASSERT_TRUE(power().command(target(), PowerCommand::kOn, {}));
  open();
  EXPECT_EQ(state(), PowerState::kOn);
}

TEST_P(PowerContract, TheHardwareIsTheSameOnAndOff) {
  const Disk before = disk();
  EXPECT_FALSE(before.serial.empty());
  EXPECT_GT(before.size.count, 0);
  ASSERT_TRUE(go(Goal::kOn));
  EXPECT_EQ(disk(), before);
}

TEST_P(PowerContract, SensorsHaveNamesAndUnits) {
  const auto sensors = power().read_sensors(target(), {});
  if (!kind().has_sensors) {
    ASSERT_FALSE(sensors);
    EXPECT_EQ(sensors.error().code(), ErrorCode::kUnsupported);
    return;
  }
  ASSERT_TRUE(sensors) << sensors.error().to_string();
  EXPECT_FALSE(sensors->empty());
  for (const auto& sensor : *sensors) EXPECT_FALSE(sensor.name.empty() || sensor.unit.empty());
}

TEST_P(PowerContract, AnAddressThatIsNoneIsRefusedWithoutAskingAnybody) {
  EXPECT_TRUE(power().check(target()));
  const auto refused = power().check(kind().no_address);
  ASSERT_FALSE(refused);
  EXPECT_TRUE(refused.error().code() == ErrorCode::kInvalid || refused.error().code() == ErrorCode::kUnsupported);
}

TEST_P(PowerContract, WhatIsCancelledEndsSo) {
  std::array<int, 2> pipe{};
  ASSERT_EQ(::pipe2(pipe.data(), O_CLOEXEC), 0);
  ASSERT_EQ(::write(pipe[1], "x", 1), 1);
  Control control;
  control.cancel_fd = pipe[0];
  const auto refused = power().command(target(), PowerCommand::kOn, control);
  ::close(pipe[0]);
  ::close(pipe[1]);
  ASSERT_FALSE(refused);
  EXPECT_EQ(refused.error().code(), ErrorCode::kCancelled);
  EXPECT_EQ(state(), PowerState::kOff);
}

TEST_P(PowerContract, AMachineThatDoesNotListenIsSwitchedOffAllTheSame) {
  ASSERT_TRUE(go(Goal::kOn));
  ASSERT_TRUE(go(Goal::kOff));  // there is no system on it
  EXPECT_EQ(state(), PowerState::kOff);
  ASSERT_TRUE(power().set_boot_device(target(), BootDevice::kNetwork, {}));
  ASSERT_TRUE(go(Goal::kCycle));
  EXPECT_EQ(state(), PowerState::kOn);
  ASSERT_TRUE(go(Goal::kCycle));
  EXPECT_EQ(state(), PowerState::kOn);
}

// Of drivers that have an agent.
class AgentContract : public PowerContract {};

TEST_P(AgentContract, AnEmptyDiskStartsNothing) {
  EXPECT_FALSE(into(BootDevice::kDisk, System::kOwn));
  EXPECT_EQ(state(), PowerState::kOn);
}

TEST_P(AgentContract, ASystemIsDeployedInThisOrderAndStarts) {
  const Disk target_disk = disk();
  EXPECT_EQ(work(Work::kPartition, target_disk).error().code(), ErrorCode::kUnavailable);
  ASSERT_TRUE(into(BootDevice::kNetwork, System::kDeployment));
  EXPECT_EQ(work(Work::kMakeFilesystems, target_disk).error().code(), ErrorCode::kConflict);
  for (const Work one : {Work::kPartition, Work::kMakeFilesystems, Work::kPopulate, Work::kConfigure}) {
    const auto done = work(one, target_disk);
    ASSERT_TRUE(done) << name_of(one) << ": " << done.error().to_string();
    open();  // and what was done stays done
  }
  ASSERT_TRUE(into(BootDevice::kDisk, System::kOwn));
  // A wipe leaves nothing to start.
  ASSERT_TRUE(into(BootDevice::kNetwork, System::kDeployment));
  ASSERT_TRUE(work(Work::kWipe, target_disk));
  EXPECT_FALSE(into(BootDevice::kDisk, System::kOwn));
}

TEST_P(AgentContract, NoOtherDiskIsTouchedThanTheOneThatIsMeant) {
  ASSERT_TRUE(into(BootDevice::kNetwork, System::kDeployment));
  Disk other = disk();
  other.serial = "OTHER";
  EXPECT_EQ(work(Work::kPartition, other).error().code(), ErrorCode::kInvalid);
  Disk larger = disk();
  larger.size = larger.size + Bytes{1};
  EXPECT_EQ(work(Work::kPartition, larger).error().code(), ErrorCode::kInvalid);
  EXPECT_EQ(work(Work::kMakeFilesystems, disk()).error().code(), ErrorCode::kConflict);
}

TEST_P(AgentContract, WhatAnotherDeploymentMadeIsNotBuiltOn) {
  ASSERT_TRUE(into(BootDevice::kNetwork, System::kDeployment));
  ASSERT_TRUE(work(Work::kPartition, disk()));
  EXPECT_EQ(work(Work::kMakeFilesystems, disk(), "dep-2").error().code(), ErrorCode::kConflict);
}

std::vector<std::size_t> drivers(bool with_agent) {
  std::vector<std::size_t> found;
  for (std::size_t i = 0; i < kDrivers.size(); ++i)
    if (!with_agent || kDrivers.at(i).has_agent) found.push_back(i);
  return found;
}
std::string name_of_driver(const ::testing::TestParamInfo<std::size_t>& one) { return kDrivers.at(one.param).name; }

INSTANTIATE_TEST_SUITE_P(Drivers, PowerContract, ::testing::ValuesIn(drivers(false)), name_of_driver);
INSTANTIATE_TEST_SUITE_P(Drivers, AgentContract, ::testing::ValuesIn(drivers(true)), name_of_driver);

}  // namespace
}  // namespace nuraghe::deploy
