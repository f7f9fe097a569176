// What only real QEMU can show: files and processes of the qemu driver, full disks, killed shims, the KVM probe.
#include <arpa/inet.h>
#include <fcntl.h>
#include <fmt/format.h>
#include <gtest/gtest.h>
#include <netinet/in.h>
#include <signal.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <filesystem>
#include <fstream>
#include <future>
#include <utility>

#include "env/posix.hpp"
#include "hypervisor/qemu/accelerator.hpp"
#include "hypervisor/qemu/host_files.hpp"
#include "hypervisor/qemu/qmp.hpp"
#include "hypervisor/qemu/shim_process.hpp"
#include "qemu_fixture.hpp"

namespace nuraghe::hypervisor {
namespace {

using namespace std::chrono_literals;
using qemu::Phase;

TEST_F(Qemu, KeepsItsFilesToItself) {
  open();
  create_ready(world_->tiny("h"));
  const std::string instance = ram("h").substr(0, ram("h").find_last_of('/'));
  for (const std::string& path : {world_->root(), folder("h"), instance, world_->options().memory_root}) {
    struct stat info {};
    ASSERT_EQ(::stat(path.c_str(), &info), 0) << path;
    EXPECT_EQ(info.st_mode & 0777, 0700U) << path;
  }
  // Reserved as a whole before the start, whatever the guest has touched.
  EXPECT_EQ(qemu::allocated_size(ram("h")), mib(4));
  ASSERT_OK(driver_->freeze("h", kPatient));
  EXPECT_FALSE(env::path_exists(ram("h")));
  EXPECT_LT(qemu::allocated_size(folder("h") + "/memory"), mib(4));
  const std::vector<std::string> kept = {"console.log", "device", "memory", "spec", "state"};
  EXPECT_EQ(env::list_directory(folder("h")).value(), kept);
  ASSERT_OK(driver_->thaw("h", false, kPatient));
  EXPECT_FALSE(env::path_exists(folder("h") + "/memory"));
  EXPECT_FALSE(env::path_exists(folder("h") + "/device"));
}

TEST_F(Qemu, OneControllerPerRoot) {
  open();
  const auto second = open_qemu_driver(world_->options());
  ASSERT_FALSE(second);
  EXPECT_EQ(second.error().code(), ErrorCode::kConflict);
}

TEST_F(Qemu, ARootMayHaveALongPath) {
  std::string base = "/tmp/nuraghe-long-XXXXXX";
  ASSERT_NE(::mkdtemp(base.data()), nullptr);
  const std::string root = base + "/" + std::string(120, 'x') + "/" + std::string(120, 'y');
  ASSERT_TRUE(std::filesystem::create_directories(root));
  open(root);
  create_ready(world_->tiny("h"));
  ASSERT_OK(driver_->pause("h", kPatient));
  ASSERT_OK(driver_->freeze("h", kPatient));
  ASSERT_OK(driver_->thaw("h", false, kPatient));
  TearDown();
  world_.reset();
  std::filesystem::remove_all(base);
}

// A TCP port of 127.0.0.1 that somebody else holds.
class TakenPort {
 public:
  explicit TakenPort(int port = 0) : fd_(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0)) {
    sockaddr_in address{};
    address.sin_family = AF_INET;
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    address.sin_port = htons(static_cast<std::uint16_t>(port));
    EXPECT_EQ(::bind(fd_.get(), reinterpret_cast<const sockaddr*>(&address), sizeof address), 0);
    EXPECT_EQ(::listen(fd_.get(), 1), 0);
    socklen_t size = sizeof address;
    EXPECT_EQ(::getsockname(fd_.get(), reinterpret_cast<sockaddr*>(&address), &size), 0);
    port_ = ntohs(address.sin_port);
  }
  int port() const { return port_; }

 private:
  env::UniqueFd fd_;
  int port_ = 0;
};

TEST_F(Qemu, QemusOwnWordsReachTheUser) {
  open();
  const TakenPort taken;
  HostSpec spec = world_->tiny("h");
  spec.nics[0].ssh_port = taken.port();
  const Status created = driver_->create(spec, kPatient);
  ASSERT_FALSE(created);
  EXPECT_EQ(created.error().code(), ErrorCode::kInvalid);
  EXPECT_NE(created.error().message().find("QEMU exited with status 1: "), std::string::npos);
  EXPECT_NE(created.error().message().find("Could not set up host forwarding rule"), std::string::npos)
      << created.error().to_string();
}

TEST_F(Qemu, APortThatWasTakenMeanwhileIsMovedAndTheGuestGoesOn) {
  open();
  HostSpec spec = world_->tiny("h");
  spec.nics[0].ssh_port = TakenPort().port();  // free again
  create_ready(spec);
  ASSERT_OK(await_beat(*driver_, "h", 1));
  ASSERT_OK(driver_->freeze("h", kPatient));
  const int beat = last_beat(*driver_, "h");
  const TakenPort thief(spec.nics[0].ssh_port);
  const Status thawed = driver_->thaw("h", false, kPatient);
  ASSERT_FALSE(thawed);
  EXPECT_EQ(driver_->inspect("h")->state, HostState::kFrozen);
  ASSERT_OK(driver_->move_ssh("h", TakenPort().port(), kPatient));
  ASSERT_OK(driver_->thaw("h", false, kPatient));
  ASSERT_OK(await_beat(*driver_, "h", beat + 1));
}

// Who could tell why cannot be asked as long as somebody else talks to it.
TEST_F(Qemu, AStopIsNoticedAlsoWhenItsMonitorWasHeld) {
  open();
  create_ready(world_->tiny("h"));
  std::promise<std::string> told;
  driver_->on_paused(
      [&](const std::string&, const HostCondition& condition) { told.set_value(condition.pause_reason); });
  {
    const Deadline deadline(60s);
    auto held = qemu::Qmp::open(folder("h"), deadline);
    ASSERT_OK(held);
    ASSERT_OK(held->stop(deadline));
    EXPECT_EQ(driver_->pause("h", within(100ms)).error().code(), ErrorCode::kTimeout);
    // Longer than the driver waits for an answer.
    EXPECT_EQ(Deadline(6s).wait({}, "the driver to give up").error().code(), ErrorCode::kTimeout);
  }
  auto reason = told.get_future();
  ASSERT_EQ(reason.wait_for(60s), std::future_status::ready);
  EXPECT_FALSE(reason.get().empty());
  EXPECT_EQ(driver_->inspect("h")->state, HostState::kPaused);
}

TEST_F(Qemu, AMissingQemuIsNamed) {
  world_ = std::make_unique<QemuWorld>();
  QemuOptions options = world_->options();
  options.qemu_program = "/nowhere/qemu";
  auto driver = open_qemu_driver(options);
  ASSERT_OK(driver);
  driver_ = std::move(*driver);
  const Status created = driver_->create(world_->tiny("h"), kPatient);
  ASSERT_FALSE(created);
  EXPECT_NE(created.error().message().find("/nowhere/qemu: No such file"), std::string::npos)
      << created.error().to_string();
}

TEST_F(Qemu, AShimThatIsKilledTakesQemuWithIt) {
  open();
  create_ready(world_->tiny("h"));
  const qemu::HostFiles files{folder("h"), ram("h")};
  const auto shim = qemu::find_shim(files);
  ASSERT_OK(shim);
  ASSERT_TRUE(shim->has_value());
  const pid_t qemu_pid = static_cast<pid_t>(driver_->inspect("h")->pid);
  const auto qemu_id = env::identify_process(qemu_pid);
  ASSERT_OK(qemu_id);
  ASSERT_EQ(::kill((*shim)->pid, SIGKILL), 0);
  ASSERT_OK(Deadline(30s).wait_readable((*shim)->pidfd.get(), "end of the shim"));
  EXPECT_EQ(driver_->pause("h", kPatient).error().code(), ErrorCode::kConflict);  // takes its turn after the recovery
  const auto condition = driver_->inspect("h");
  ASSERT_OK(condition);
  EXPECT_TRUE(condition->lost);
  EXPECT_FALSE(env::process_alive(*qemu_id));
  EXPECT_FALSE(env::path_exists(ram("h")));
}

TEST_F(Qemu, AShimThatDoesNotAnswerIsKilled) {
  open();
  create_ready(world_->tiny("h"));
  const auto shim = qemu::find_shim({folder("h"), ram("h")});
  ASSERT_OK(shim);
  ASSERT_EQ(::kill((*shim)->pid, SIGSTOP), 0);
  ASSERT_OK(driver_->destroy("h", kPatient));
}

TEST_F(Qemu, ASecondShimInOneFolderIsRefused) {
  open();
  create_ready(world_->tiny("h"));
  const Status second =
      qemu::start_shim(world_->options().shim_program, {folder("h"), ram("h")}, {"/bin/true"}, Deadline(30s));
  ASSERT_FALSE(second);
  EXPECT_NE(second.error().to_string().find("another shim"), std::string::npos) << second.error().to_string();
}

TEST_F(Qemu, AStartThatWasWithdrawnStartsNothing) {
  open();
  create_ready(world_->tiny("h"));
  const qemu::HostFiles files{folder("h"), ram("h")};
  // Its driver would look after the lost host meanwhile, and hold the lock that find_shim looks at.
  driver_.reset();
  ASSERT_OK(qemu::end_shim(files, Deadline(30s)));
  // As a controller that was killed between writing the permission and starting leaves it, cleaned by the next one.
  const auto late = env::run_command({world_->options().shim_program, files.folder, "old-token", "/bin/sleep", "60"});
  ASSERT_OK(late);
  EXPECT_EQ(late->exit_code, 1);
  // The process that answered may not be the one that holds the lock: that one ends by itself, at once.
  const auto last = qemu::find_shim(files);
  ASSERT_OK(last);
  if (last->has_value()) ASSERT_OK(Deadline(30s).wait_readable((*last)->pidfd.get(), "end of the withdrawn shim"));
  const auto shim = qemu::find_shim(files);
  ASSERT_OK(shim);
  EXPECT_FALSE(shim->has_value());
  reopen();
}

TEST_F(Qemu, DisksStandOnImagesThatAreNeverWritten) {
  open();
  const std::string image = world_->root() + "/image.raw";
  std::ofstream(image) << std::string(1024 * 1024, 'x');
  const std::string before = env::read_file(image).value();
  HostSpec spec = world_->tiny("h");
  spec.disks.resize(3);
  spec.disks[0] = {"root", image, "raw", mib(2), false};
  spec.disks[1] = {"scratch", "", "", mib(8), false};
  spec.disks[2] = {"seed", image, "raw", {}, true};
  create_ready(spec);
  EXPECT_TRUE(env::path_exists(folder("h") + "/disk-root.qcow2"));
  EXPECT_TRUE(env::path_exists(folder("h") + "/disk-scratch.qcow2"));
  EXPECT_FALSE(env::path_exists(folder("h") + "/disk-seed.qcow2"));
  const auto report = driver_->freeze("h", kPatient);
  ASSERT_OK(report);
  EXPECT_GT(report->disk_overlay.count, 0);
  ASSERT_OK(env::run_command_ok({"qemu-img", "check", "-q", folder("h") + "/disk-root.qcow2"}));
  ASSERT_OK(driver_->thaw("h", false, kPatient));
  EXPECT_EQ(env::read_file(image).value(), before);
  HostSpec small = spec;
  small.id = "small";
  small.disks[0].size = kib(512);
  const Status created = driver_->create(small, kPatient);
  ASSERT_FALSE(created);
  EXPECT_EQ(created.error().code(), ErrorCode::kInvalid);
  EXPECT_NE(created.error().message().find("disk root: 512KiB is smaller than its image, which has 1MiB"),
            std::string::npos)
      << created.error().to_string();
  small.disks[0].backing = "/nowhere/image";
  EXPECT_EQ(driver_->create(small, kPatient).error().code(), ErrorCode::kNotFound);
}

// A record that says that something was in the middle, with the QEMU that it would have left behind.
class QemuRecovery : public Qemu, public testing::WithParamInterface<std::pair<Phase, HostState>> {};

TEST_P(QemuRecovery, ResolvesWhatAKilledControllerWasDoing) {
  open();
  create_ready(world_->tiny("h"));
  ASSERT_OK(await_beat(*driver_, "h", 1));
  const auto [phase, expected] = GetParam();
  const bool frozen_before = phase == Phase::kThawing;
  if (frozen_before) ASSERT_OK(driver_->freeze("h", kPatient));
  const std::string state_file = folder("h") + "/state";
  auto record = read_record<qemu::HostRecord>(state_file);
  ASSERT_OK(record);
  record->phase = phase;
  driver_.reset();
  ASSERT_OK(replace_file(state_file, encode_record(*record)));
  if (phase == Phase::kFreezing) ASSERT_OK(replace_file(folder("h") + "/memory", "half"));
  reopen();
  const auto condition = driver_->inspect("h");
  ASSERT_OK(condition);
  EXPECT_EQ(condition->state, expected);
  EXPECT_FALSE(condition->lost) << condition->exit_reason;
  if (expected == HostState::kInitial) {
    EXPECT_EQ(condition->exit_reason, "its creation was interrupted");
    EXPECT_FALSE(env::path_exists(ram("h")));
    create_ready(world_->tiny("h"));
    return;
  }
  if (expected == HostState::kFrozen) ASSERT_OK(driver_->thaw("h", false, kPatient));
  ASSERT_OK(await_beat(*driver_, "h", last_beat(*driver_, "h") + 1));
  EXPECT_FALSE(env::path_exists(folder("h") + "/memory"));
}

INSTANTIATE_TEST_SUITE_P(Phases, QemuRecovery,
                         testing::Values(std::pair{Phase::kCreating, HostState::kInitial},
                                         std::pair{Phase::kPausing, HostState::kRunning},
                                         std::pair{Phase::kResuming, HostState::kRunning},
                                         std::pair{Phase::kFreezing, HostState::kRunning},
                                         std::pair{Phase::kContinuing, HostState::kRunning},
                                         std::pair{Phase::kThawing, HostState::kFrozen}));

TEST_F(Qemu, APhysicalHostThatWasRestartedHasLostItsHosts) {
  open();
  create_ready(world_->tiny("h"));
  auto record = read_record<qemu::HostRecord>(folder("h") + "/state");
  ASSERT_OK(record);
  record->boot_id = "another boot";
  driver_.reset();
  ASSERT_OK(replace_file(folder("h") + "/state", encode_record(*record)));
  reopen();
  const auto condition = driver_->inspect("h");
  ASSERT_OK(condition);
  EXPECT_TRUE(condition->lost);
  EXPECT_EQ(condition->exit_reason, "the physical host was started anew");
}

TEST_F(Qemu, AnUnreadableRecordIsALostHostNotALostController) {
  open();
  create_ready(world_->tiny("h"));
  driver_.reset();
  std::ofstream(folder("h") + "/state", std::ios::trunc) << "\xff\xff\xff";
  reopen();
  const auto condition = driver_->inspect("h");
  ASSERT_OK(condition);
  EXPECT_TRUE(condition->lost);
  EXPECT_NE(condition->exit_reason.find("cannot be read"), std::string::npos);
}

TEST_F(Qemu, ACancelledFreezeIsUndone) {
  open();
  create_ready(world_->tiny("h"));
  EventFlag cancel;
  Control control = within(60s, cancel.fd());
  control.on_progress = [&](const Progress&) { cancel.raise(); };
  const auto frozen = driver_->freeze("h", control);
  ASSERT_FALSE(frozen);
  EXPECT_EQ(frozen.error().code(), ErrorCode::kCancelled) << frozen.error().to_string();
  EXPECT_EQ(driver_->inspect("h")->state, HostState::kRunning);
  ASSERT_OK(await_beat(*driver_, "h", last_beat(*driver_, "h") + 1));
}

TEST_F(Qemu, ACancelledThawLeavesItFrozen) {
  open();
  create_ready(world_->tiny("h"));
  ASSERT_OK(driver_->freeze("h", kPatient));
  EventFlag cancel;
  Control control = within(60s, cancel.fd());
  control.on_progress = [&](const Progress&) { cancel.raise(); };
  const Status thawed = driver_->thaw("h", false, control);
  ASSERT_FALSE(thawed);
  EXPECT_EQ(thawed.error().code(), ErrorCode::kCancelled) << thawed.error().to_string();
  EXPECT_EQ(driver_->inspect("h")->state, HostState::kFrozen);
  EXPECT_FALSE(env::path_exists(ram("h")));
  ASSERT_OK(driver_->thaw("h", false, kPatient));
}

TEST_F(Qemu, ADamagedFrozenHostStaysFrozenAndSaysWhy) {
  open();
  create_ready(world_->tiny("h"));
  ASSERT_OK(driver_->freeze("h", kPatient));
  const std::string device = env::read_file(folder("h") + "/device").value();
  ASSERT_OK(replace_file(folder("h") + "/device", device.substr(0, device.size() / 2)));
  const Status thawed = driver_->thaw("h", false, kPatient);
  ASSERT_FALSE(thawed);
  EXPECT_EQ(driver_->inspect("h")->state, HostState::kFrozen);
  ASSERT_OK(replace_file(folder("h") + "/device", device));
  ASSERT_OK(driver_->thaw("h", false, kPatient));
}

TEST_F(Qemu, AGuestWithoutAnAgentIsWaitedForInVain) {
  open();
  create_ready(world_->tiny("h"));
  const Status ready = driver_->wait_ready("h", ReadyCondition::kAgent, "", within(200ms));
  ASSERT_FALSE(ready);
  EXPECT_EQ(ready.error().code(), ErrorCode::kTimeout) << ready.error().to_string();
  ASSERT_OK(driver_->destroy("h", kPatient));
}

// A program in QEMU's place tells what the probe makes of each answer.
class KvmProbe : public Qemu {
 protected:
  void SetUp() override {
    if (::access("/dev/kvm", R_OK | W_OK) != 0) GTEST_SKIP() << "there is no /dev/kvm here to probe";
    world_ = std::make_unique<QemuWorld>();
  }
  Result<qemu::Accelerator> probe(const std::string& script) {
    const std::string program = world_->root() + "/fake-qemu";
    std::ofstream(program) << "#!/bin/sh\n" << script << "\n";
    ::chmod(program.c_str(), 0700);
    return qemu::choose_accelerator("auto", program, world_->root() + "/accelerator");
  }
};

TEST_F(KvmProbe, AGuestThatAnswersMeansKvmAndIsRemembered) {
  auto found = probe("exit 85");
  ASSERT_OK(found);
  EXPECT_EQ(found->name, "kvm");
  found = probe("exit 1");  // the cache answers
  ASSERT_OK(found);
  EXPECT_EQ(found->name, "kvm");
}

TEST_F(KvmProbe, AnErrorMeansTcgAndIsQuoted) {
  const auto found = probe("echo 'failed to initialize kvm: Device busy' >&2; exit 1");
  ASSERT_OK(found);
  EXPECT_EQ(found->name, "tcg");
  EXPECT_EQ(found->reason, "KVM is there but its guest ended with status 1: failed to initialize kvm: Device busy");
}

TEST_F(KvmProbe, AGuestThatHangsMeansTcg) {
  const auto found = probe("exec sleep 60");
  ASSERT_OK(found);
  EXPECT_EQ(found->name, "tcg");
  EXPECT_EQ(found->reason.find("KVM is there but its guest did not answer within 5"), 0U) << found->reason;
}

// The boot sector itself, under the accelerator that always works.
TEST_F(Qemu, TheProbesGuestAnswersUnderTcg) {
  world_ = std::make_unique<QemuWorld>();
  const std::string program = world_->root() + "/qemu-tcg";
  std::ofstream(program) << "#!/bin/sh\nshift 4\nexec qemu-system-x86_64 -accel tcg -cpu qemu64 \"$@\"\n";
  ::chmod(program.c_str(), 0700);
  if (::access("/dev/kvm", R_OK | W_OK) != 0) GTEST_SKIP() << "without /dev/kvm nothing is probed";
  const auto found = qemu::choose_accelerator("auto", program, world_->root() + "/accelerator");
  ASSERT_OK(found);
  EXPECT_EQ(found->name, "kvm") << found->reason;
}

}  // namespace
}  // namespace nuraghe::hypervisor
