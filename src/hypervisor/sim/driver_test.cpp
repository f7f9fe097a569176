#include "hypervisor/sim/driver.hpp"

#include <fmt/format.h>
#include <gtest/gtest.h>

#include <filesystem>
#include <set>

#include "env/sim.hpp"
#include "hypervisor/wait.hpp"

namespace nuraghe::hypervisor {
namespace {

using namespace std::chrono_literals;

HostSpec spec(const std::string& id, Bytes memory = mib(128)) {
  HostSpec host;
  host.id = id;
  host.name = "node-" + id;
  host.memory = memory;
  return host;
}

std::unique_ptr<SimDriver> open(SimOptions options) {
  options.persisted = !options.root.empty();
  auto driver = open_sim_driver(std::move(options));
  EXPECT_TRUE(driver) << driver.error().to_string();
  return driver ? std::move(*driver) : nullptr;
}

std::set<int> failing_creates(const SimOptions& options, int count, bool backwards = false) {
  const auto driver = open(options);
  std::set<int> failed;
  for (int i = 0; i < count; ++i) {
    const int number = backwards ? count - 1 - i : i;
    if (!driver->create(spec(fmt::format("{}", number)), {})) failed.insert(number);
  }
  return failed;
}

TEST(SimDriver, EveryEighthFails) {
  SimOptions options;
  options.failures.push_back({Verb::kCreate, "node-*", 8});
  EXPECT_EQ(failing_creates(options, 24), (std::set<int>{7, 15, 23}));
  options.failures[0].name = "head";
  EXPECT_EQ(failing_creates(options, 24), std::set<int>());
}

TEST(SimDriver, ChanceComesFromTheSeedAndNotFromTheOrder) {
  SimOptions options;
  options.failures.push_back({Verb::kCreate, "*", 1, 0.25});
  const auto failed = failing_creates(options, 400);
  EXPECT_GT(failed.size(), 60U);
  EXPECT_LT(failed.size(), 140U);
  EXPECT_EQ(failing_creates(options, 400, true), failed);
  options.seed = 2;
  EXPECT_NE(failing_creates(options, 400), failed);
}

TEST(SimDriver, AHostMayBeToldToFail) {
  const auto driver = open({});
  HostSpec host = spec("a");
  host.reserved["fail"] = "freeze|destroy";
  ASSERT_TRUE(driver->create(host, {}));
  EXPECT_TRUE(driver->pause("a", {}));
  const auto frozen = driver->freeze("a", {});
  ASSERT_FALSE(frozen);
  EXPECT_EQ(frozen.error().message(), "simulated failure of freeze of host node-a");
  EXPECT_EQ(driver->inspect("a")->state, HostState::kPaused);
  EXPECT_FALSE(driver->destroy("a", {}));
}

TEST(SimDriver, MemoryIsCounted) {
  SimOptions options;
  options.memory = mib(300);
  const auto driver = open(options);
  ASSERT_TRUE(driver->create(spec("a"), {}));
  ASSERT_TRUE(driver->create(spec("b"), {}));
  const Status third = driver->create(spec("c"), {});
  ASSERT_FALSE(third);
  EXPECT_EQ(third.error().code(), ErrorCode::kExhausted);
  EXPECT_EQ(third.error().message(), "memory short: needs 128MiB, has 44MiB of 300MiB");
  ASSERT_TRUE(driver->pause("b", {}));
  EXPECT_FALSE(driver->create(spec("c"), {}));
  ASSERT_TRUE(driver->freeze("b", {}));
  ASSERT_TRUE(driver->create(spec("c"), {}));
  const Status thawed = driver->thaw("b", false, {});
  ASSERT_FALSE(thawed);
  EXPECT_EQ(thawed.error().code(), ErrorCode::kExhausted);
  ASSERT_TRUE(driver->lose("a", "gone"));
  ASSERT_TRUE(driver->thaw("b", true, {}));
  ASSERT_TRUE(driver->destroy("a", {}));
  EXPECT_FALSE(driver->create(spec("d"), {}));
}

TEST(SimDriver, TheGuestCountsTheTimeThatItRan) {
  env::SimClock clock;
  SimOptions options;
  options.clock = &clock;
  const auto driver = open(options);
  ASSERT_TRUE(driver->create(spec("a"), {}));
  clock.advance(2500ms);
  EXPECT_EQ(driver->console_tail("a", kib(4)).value(), "READY\nbeat 1\nbeat 2\n");
  ASSERT_TRUE(driver->pause("a", {}));
  clock.advance(60s);
  ASSERT_TRUE(driver->freeze("a", {}));
  ASSERT_TRUE(driver->thaw("a", false, {}));
  clock.advance(600ms);
  EXPECT_EQ(driver->console_tail("a", kib(4)).value(), "READY\nbeat 1\nbeat 2\nbeat 3\n");
  EXPECT_EQ(driver->console_tail("a", Bytes{7}).value(), "beat 3\n");
}

TEST(SimDriver, KeepsItsHostsOverARestart) {
  std::string root = "/tmp/nuraghe-sim-XXXXXX";
  ASSERT_NE(::mkdtemp(root.data()), nullptr);
  env::SimClock clock;
  SimOptions options;
  options.root = root;
  options.memory = mib(300);
  options.clock = &clock;
  auto driver = open(options);
  ASSERT_TRUE(driver->create(spec("a"), {}));
  ASSERT_TRUE(driver->freeze("a", {}));
  ASSERT_TRUE(driver->create(spec("b"), {}));
  ASSERT_TRUE(driver->create(spec("dead"), {}));
  ASSERT_TRUE(driver->destroy("dead", {}));
  driver.reset();
  clock.advance(5s);
  driver = open(options);
  EXPECT_EQ(driver->list().value(), (std::vector<std::string>{"a", "b"}));
  EXPECT_EQ(driver->inspect("a")->state, HostState::kFrozen);
  EXPECT_EQ(driver->inspect("b")->state, HostState::kRunning);
  EXPECT_EQ(driver->inspect("dead")->state, HostState::kDestroyed);
  EXPECT_NE(driver->console_tail("b", kib(1)).value().find("beat 5\n"), std::string::npos);
  ASSERT_TRUE(driver->thaw("a", false, {}));
  EXPECT_FALSE(driver->create(spec("c"), {}));  // what ran is still counted
  driver.reset();
  std::filesystem::remove_all(root);
}

TEST(SimDriver, BothWaysOfThawingTakeTheTimeOfThaw) {
  SimOptions options;
  options.delays[Verb::kThaw] = 60s;
  const auto driver = open(options);
  ASSERT_TRUE(driver->create(spec("a"), {}));
  ASSERT_TRUE(driver->freeze("a", {}));
  Control control;
  control.timeout = 10ms;
  for (const bool start_paused : {false, true}) {
    const Status thawed = driver->thaw("a", start_paused, control);
    ASSERT_FALSE(thawed);
    EXPECT_EQ(thawed.error().code(), ErrorCode::kTimeout);
  }
}

TEST(SimDriver, ADelayedVerbCanBeCancelled) {
  SimOptions options;
  options.delays[Verb::kCreate] = 60s;
  const auto driver = open(options);
  EventFlag cancel;
  cancel.raise();
  Control control;
  control.cancel_fd = cancel.fd();
  const Status created = driver->create(spec("a"), control);
  ASSERT_FALSE(created);
  EXPECT_EQ(created.error().code(), ErrorCode::kCancelled);
  control.cancel_fd = -1;
  control.timeout = 10ms;
  EXPECT_EQ(driver->create(spec("a"), control).error().code(), ErrorCode::kTimeout);
  EXPECT_EQ(driver->inspect("a")->state, HostState::kInitial);
}

}  // namespace
}  // namespace nuraghe::hypervisor
