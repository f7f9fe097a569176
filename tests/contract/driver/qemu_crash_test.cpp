// SIGKILL of the controller at every crash point of a host's whole life on real QEMU: the next controller finds a host
// in a state of the lifecycle, whose guest goes on where it was, and can take it on from there; destroyed, it leaves
// nothing.
//
// The victim is this program again, with the number of its crash point in the environment.
#include <fmt/format.h>
#include <gtest/gtest.h>
#include <signal.h>
#include <unistd.h>

#include <cstdlib>
#include <filesystem>
#include <iostream>

#include "base/crash_point.hpp"
#include "driver_world.hpp"
#include "env/posix.hpp"

namespace nuraghe::hypervisor {
namespace {

using namespace std::chrono_literals;

#define ASSERT_OK(expression)                                  \
  do {                                                         \
    const auto& ok_status_ = (expression);                     \
    ASSERT_TRUE(ok_status_) << ok_status_.error().to_string(); \
  } while (false)

constexpr const char* kRootVariable = "NURAGHE_CRASH_ROOT";
constexpr const char* kMemoryVariable = "NURAGHE_CRASH_MEMORY";
constexpr const char* kNumberVariable = "NURAGHE_CRASH_AT";

// The whole life of one host.
void live(Driver& driver, const HostSpec& spec) {
  ASSERT_OK(driver.create(spec, kPatient));
  ASSERT_OK(driver.wait_ready(spec.id, ReadyCondition::kConsoleText, "READY", kPatient));
  ASSERT_OK(driver.pause(spec.id, kPatient));
  ASSERT_OK(driver.resume(spec.id, kPatient));
  ASSERT_OK(driver.freeze(spec.id, kPatient));
  ASSERT_OK(driver.thaw(spec.id, false, kPatient));
  ASSERT_OK(driver.destroy(spec.id, kPatient));
}

TEST(DISABLED_Victim, Lives) {
  ASSERT_NE(::getenv(kRootVariable), nullptr);
  QemuOptions options = QemuWorld::base_options();
  options.root = ::getenv(kRootVariable);
  options.memory_root = ::getenv(kMemoryVariable);
  auto driver = open_qemu_driver(options);
  ASSERT_OK(driver);
  arm_crash_point(std::strtoull(::getenv(kNumberVariable), nullptr, 10));
  live(**driver, QemuWorld::tiny_host("h"));
  std::cout << "crash points passed: " << crash_points_passed() << "\n";
}

// True: the victim reached its end. False: it was killed at its crash point.
bool run_victim(const QemuWorld& world, int number, std::string& output) {
  ::setenv(kRootVariable, world.root().c_str(), 1);
  ::setenv(kMemoryVariable, world.options().memory_root.c_str(), 1);
  ::setenv(kNumberVariable, fmt::format("{}", number).c_str(), 1);
  env::CommandOptions options;
  options.timeout = 120s;
  const auto run = env::run_command({std::filesystem::read_symlink("/proc/self/exe").string(),
                                     "--gtest_also_run_disabled_tests", "--gtest_filter=DISABLED_Victim.Lives"},
                                    options);
  EXPECT_TRUE(run) << run.error().to_string();
  if (!run) return true;
  output = run->output;
  EXPECT_TRUE(run->exit_code == 0 || run->exit_code == 128 + SIGKILL) << run->output << run->errors;
  return run->exit_code != 128 + SIGKILL;
}

// What a controller does that finds the host: every state leads on.
void take_on(Driver& driver, const HostSpec& spec) {
  const auto condition = driver.inspect(spec.id);
  if (!condition) {
    EXPECT_EQ(condition.error().code(), ErrorCode::kNotFound) << condition.error().to_string();
    ASSERT_OK(driver.create(spec, kPatient));
  } else {
    EXPECT_FALSE(condition->lost) << condition->exit_reason;
    switch (condition->state) {
      case HostState::kInitial:
        ASSERT_OK(driver.create(spec, kPatient));
        break;
      case HostState::kPaused:
        ASSERT_OK(driver.resume(spec.id, kPatient));
        break;
      case HostState::kFrozen:
        ASSERT_OK(driver.thaw(spec.id, false, kPatient));
        break;
      case HostState::kRunning:
        break;
      case HostState::kDestroyed:
        ASSERT_OK(driver.destroy(spec.id, kPatient));
        return;
    }
  }
  ASSERT_OK(await_beat(driver, spec.id, last_beat(driver, spec.id) + 1));
  const std::string console = driver.console_tail(spec.id, kib(64)).value();
  EXPECT_EQ(console.find("READY"), console.rfind("READY")) << "the guest was started twice: " << console;
  ASSERT_OK(driver.destroy(spec.id, kPatient));
}

// Each takes every fourth crash point, so that they can run side by side.
constexpr int kShares = 4;
class QemuCrash : public testing::TestWithParam<int> {};

TEST_P(QemuCrash, KilledAtEveryCrashPointNothingIsLostOrLeft) {
  int number = GetParam();
  int killed = 0;
  std::string output;
  for (;; number += kShares, ++killed) {
    SCOPED_TRACE(fmt::format("killed at crash point {}", number));
    QemuWorld world;
    if (run_victim(world, number, output)) break;
    {
      const auto driver = world.open();
      ASSERT_NE(driver, nullptr);
      take_on(*driver, QemuWorld::tiny_host("h"));
    }
    ASSERT_EQ(world.leftovers(), std::vector<std::string>());
  }
  const std::string passed_text = "crash points passed: ";
  const auto at = output.find(passed_text);
  ASSERT_NE(at, std::string::npos) << output;
  const int passed = std::atoi(output.c_str() + at + passed_text.size());
  std::cout << "killed at " << killed << " of " << passed << " crash points\n";
  EXPECT_EQ(killed, (passed - GetParam()) / kShares + 1);  // every one of its share
  EXPECT_GE(passed, 20);
}

INSTANTIATE_TEST_SUITE_P(Shares, QemuCrash, testing::Range(1, kShares + 1));

}  // namespace
}  // namespace nuraghe::hypervisor
