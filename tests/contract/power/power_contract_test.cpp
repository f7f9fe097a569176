// The power contract (deploy/power.hpp) and the agent's (deploy/agent.hpp), tested alike over every driver. A driver
// joins by a row in kDrivers.
#include <fcntl.h>
#include <fmt/format.h>
#include <gtest/gtest.h>
#include <unistd.h>

#include <array>
#include <csignal>
#include <filesystem>
#include <fstream>
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

TEST_P(PowerContract, ACycleIsSeenByTheDriverOrByItsStatus) {
  ASSERT_TRUE(power().command(target(), PowerCommand::kOn, {}));
  ASSERT_TRUE(power().command(target(), PowerCommand::kCycle, {}));
  if (!power().sees_cycles()) {
    EXPECT_EQ(state(), PowerState::kOff);
  }
  EXPECT_EQ(state(), PowerState::kOn);
}

// A QEMU of the driver qemu, whatever becomes of the files by which it is known.
class QemuMachine : public ::testing::Test {
 protected:
  QemuMachine() {
    EXPECT_NE(::mkdtemp(root_.data()), nullptr);
    auto opened = open_qemu_machines({root_});
    EXPECT_TRUE(opened) << opened.error().to_string();
    driver_ = std::move(*opened);
    EXPECT_TRUE(command(PowerCommand::kOn));
    pid_ = pid();
  }
  ~QemuMachine() override {
    if (is_alive()) ::kill(pid_, SIGKILL);
    std::filesystem::remove_all(root_);
  }
  Status command(PowerCommand command) { return driver_->command(target_, command, {}); }
  Result<PowerState> state() { return driver_->status(target_, {}); }
  std::string file(const std::string& name) const { return root_ + "/m1/" + name; }
  pid_t pid() const {
    pid_t pid = 0;
    std::ifstream(file("qemu.pid")) >> pid;
    EXPECT_GT(pid, 0);
    return pid;
  }
  bool is_alive() const {
    std::string line;
    std::getline(std::ifstream(fmt::format("/proc/{}/cmdline", pid_)), line);
    return line.find("machine-m1") != std::string::npos;
  }

  std::string root_ = "/tmp/nuraghe-qemu-XXXXXX";
  Target target_{"m1", "cpus=1,memory=32MiB,disk=64MiB", {}};
  std::unique_ptr<PowerDriver> driver_;
  pid_t pid_ = 0;
};

TEST_F(QemuMachine, IsOnAndCanBeSwitchedOffAlsoWhenItsMonitorIsLost) {
  for (const bool is_cycled : {false, true}) {
    ASSERT_TRUE(std::filesystem::remove(file("qmp.sock")));
    EXPECT_EQ(state().value_or(PowerState::kUnknown), PowerState::kOn);
    ASSERT_TRUE(command(PowerCommand::kOn));
    EXPECT_TRUE(is_alive());
    EXPECT_EQ(pid(), pid_) << "no second one was started";
    EXPECT_EQ(command(PowerCommand::kSoftOff).error().code(), ErrorCode::kUnavailable);
    ASSERT_TRUE(command(is_cycled ? PowerCommand::kCycle : PowerCommand::kHardOff));
    EXPECT_FALSE(is_alive());
    EXPECT_EQ(state().value_or(PowerState::kUnknown), is_cycled ? PowerState::kOn : PowerState::kOff);
    if (!is_cycled) {
      ASSERT_TRUE(command(PowerCommand::kOn));
    }
    pid_ = pid();
  }
}

TEST_F(QemuMachine, ThatDoesNotAnswerAnyMoreIsKilled) {
  ASSERT_EQ(::kill(pid_, SIGSTOP), 0);
  EXPECT_EQ(state().value_or(PowerState::kUnknown), PowerState::kOn);
  ASSERT_TRUE(command(PowerCommand::kHardOff));
  EXPECT_FALSE(is_alive());
  EXPECT_EQ(state().value_or(PowerState::kUnknown), PowerState::kOff);
}

TEST_F(QemuMachine, WhoseFilesAreAllLostIsNeitherTouchedNorStartedTwice) {
  for (const auto* name : {"qmp.sock", "qemu.pid"}) ASSERT_TRUE(std::filesystem::remove(file(name)));
  EXPECT_EQ(state().error().code(), ErrorCode::kUnavailable);
  for (const auto one : {PowerCommand::kOn, PowerCommand::kHardOff, PowerCommand::kCycle}) {
    const auto refused = command(one);
    ASSERT_FALSE(refused);
    EXPECT_NE(refused.error().to_string().find("a process uses its disk"), std::string::npos);
  }
  EXPECT_TRUE(is_alive());
}

TEST_F(QemuMachine, ThatIsGoneIsOffWhateverItsFilesSay) {
  ASSERT_EQ(::kill(pid_, SIGKILL), 0);
  // Another process's number stands there, and nobody's lock.
  std::ofstream(file("qemu.pid"), std::ios::trunc) << ::getpid() << "\n";
  std::string log;
  const auto off = reach(*driver_, target_, Goal::kForceOff, {}, {}, log);
  EXPECT_TRUE(off) << off.error().to_string();
  ASSERT_TRUE(command(PowerCommand::kOn));
  pid_ = pid();
  EXPECT_TRUE(is_alive());
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
