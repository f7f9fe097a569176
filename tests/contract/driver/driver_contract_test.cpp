// The hypervisor contract (src/hypervisor/driver.hpp), one suite over every driver.
#include <arpa/inet.h>
#include <fmt/format.h>
#include <gtest/gtest.h>
#include <netinet/in.h>
#include <poll.h>
#include <sys/socket.h>

#include <condition_variable>
#include <cstdlib>
#include <filesystem>
#include <mutex>
#include <thread>

#include "driver_world.hpp"
#include "env/posix.hpp"
#include "hypervisor/states.hpp"
#include "hypervisor/wait.hpp"

namespace nuraghe::hypervisor {
namespace {

using namespace std::chrono_literals;

#define ASSERT_OK(expression)                                  \
  do {                                                         \
    const auto& ok_status_ = (expression);                     \
    ASSERT_TRUE(ok_status_) << ok_status_.error().to_string(); \
  } while (false)

sockaddr_in loopback(int port) {
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  address.sin_port = htons(static_cast<std::uint16_t>(port));
  return address;
}

int free_port() {
  const env::UniqueFd fd(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0));
  sockaddr_in address = loopback(0);
  socklen_t size = sizeof address;
  EXPECT_EQ(::bind(fd.get(), reinterpret_cast<const sockaddr*>(&address), size), 0);
  EXPECT_EQ(::getsockname(fd.get(), reinterpret_cast<sockaddr*>(&address), &size), 0);
  return ntohs(address.sin_port);
}

bool is_answered(int port) {
  const env::UniqueFd fd(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0));
  const sockaddr_in address = loopback(port);
  return ::connect(fd.get(), reinterpret_cast<const sockaddr*>(&address), sizeof address) == 0;
}

class TemporaryFolder {
 public:
  TemporaryFolder() { EXPECT_NE(::mkdtemp(path_.data()), nullptr); }
  ~TemporaryFolder() { std::filesystem::remove_all(path_); }
  TemporaryFolder(const TemporaryFolder&) = delete;
  TemporaryFolder& operator=(const TemporaryFolder&) = delete;
  const std::string& path() const { return path_; }

 private:
  std::string path_ = "/tmp/nuraghe-driver-XXXXXX";
};

class DriverContract : public testing::TestWithParam<std::string> {
 protected:
  void SetUp() override {
    world_ = make_world(GetParam());
    driver_ = world_->open();
    ASSERT_NE(driver_, nullptr);
  }
  void TearDown() override {
    if (!driver_) return;
    const auto ids = driver_->list();
    for (const auto& id : ids ? *ids : std::vector<std::string>()) EXPECT_TRUE(driver_->destroy(id, kPatient));
    EXPECT_EQ(world_->leftovers(), std::vector<std::string>());
    driver_.reset();
  }
  void reopen() {
    driver_.reset();
    driver_ = world_->open();
    ASSERT_NE(driver_, nullptr);
  }
  HostState state(const std::string& id) {
    const auto condition = driver_->inspect(id);
    EXPECT_TRUE(condition) << condition.error().to_string();
    return condition ? condition->state : HostState::kInitial;
  }
  void create_ready(const std::string& id) {
    ASSERT_OK(driver_->create(world_->tiny(id), kPatient));
    ASSERT_OK(driver_->wait_ready(id, ReadyCondition::kConsoleText, "READY", kPatient));
  }
  // Brings a new host into a state.
  void bring(const std::string& id, HostState target) {
    if (target == HostState::kInitial) {
      std::string message;
      ASSERT_FALSE(driver_->create(world_->broken(id, message), kPatient));
      return;
    }
    ASSERT_OK(driver_->create(world_->tiny(id), kPatient));
    if (target == HostState::kPaused) ASSERT_OK(driver_->pause(id, kPatient));
    if (target == HostState::kFrozen) ASSERT_OK(driver_->freeze(id, kPatient));
    if (target == HostState::kDestroyed) ASSERT_OK(driver_->destroy(id, kPatient));
  }
  Status act(Verb verb, const std::string& id, const Control& control = kPatient) {
    switch (verb) {
      case Verb::kCreate:
        return driver_->create(world_->tiny(id), control);
      case Verb::kPause:
        return driver_->pause(id, control);
      case Verb::kResume:
        return driver_->resume(id, control);
      case Verb::kFreeze: {
        auto report = driver_->freeze(id, control);
        return report ? Status() : Status(std::move(report).error());
      }
      case Verb::kThaw:
        return driver_->thaw(id, false, control);
      case Verb::kThawPaused:
        return driver_->thaw(id, true, control);
      case Verb::kDestroy:
        return driver_->destroy(id, control);
      case Verb::kSetLink:
        return driver_->set_link(id, "management", true, control);
      case Verb::kExport: {
        auto frozen = driver_->export_frozen(id, control);
        return frozen ? Status() : Status(std::move(frozen).error());
      }
      case Verb::kImport:
        return driver_->import_frozen(world_->tiny(id), exported_, control);
    }
    return internal("unknown verb");
  }

  // What import is tried with: files of a frozen host of this kind, copied so that they outlive it.
  void keep_exported(const std::string& id) {
    const auto frozen = driver_->export_frozen(id, kPatient);
    ASSERT_OK(frozen);
    EXPECT_EQ(frozen->spec.id, id);
    exported_ = {frozen->format, {}, {}, false};
    for (const auto& file : frozen->files) {
      const std::string copy = exported_folder_.path() + "/" + file.name;
      std::filesystem::copy_file(file.path, copy, std::filesystem::copy_options::overwrite_existing);
      exported_.files.push_back({file.name, copy});
    }
  }

  std::unique_ptr<DriverWorld> world_;
  std::unique_ptr<Driver> driver_;
  TemporaryFolder exported_folder_;
  FrozenHost exported_;
};

TEST_P(DriverContract, NamesItselfAndLacksNothing) {
  const Capabilities capabilities = driver_->capabilities();
  EXPECT_EQ(capabilities.name, GetParam());
  EXPECT_FALSE(capabilities.accelerator.empty());
  EXPECT_FALSE(capabilities.accelerator_reason.empty());
  EXPECT_TRUE(capabilities.missing.empty());
  EXPECT_FALSE(capabilities.machines.empty());
  EXPECT_FALSE(capabilities.firmwares.empty());
}

TEST_P(DriverContract, GoesThroughTheWholeLife) {
  create_ready("h");
  EXPECT_EQ(state("h"), HostState::kRunning);
  const auto condition = driver_->inspect("h");
  ASSERT_OK(condition);
  EXPECT_FALSE(condition->lost);
  EXPECT_GE(condition->memory_resident, mib(4));
  ASSERT_OK(driver_->pause("h", kPatient));
  EXPECT_EQ(state("h"), HostState::kPaused);
  ASSERT_OK(driver_->resume("h", kPatient));
  EXPECT_EQ(state("h"), HostState::kRunning);
  const auto report = driver_->freeze("h", kPatient);
  ASSERT_OK(report);
  EXPECT_GT(report->memory_saved.count, 0);
  EXPECT_GT(report->device_state.count, 0);
  EXPECT_EQ(state("h"), HostState::kFrozen);
  EXPECT_EQ(driver_->inspect("h")->memory_resident, Bytes{});
  ASSERT_OK(driver_->thaw("h", false, kPatient));
  EXPECT_EQ(state("h"), HostState::kRunning);
  ASSERT_OK(driver_->destroy("h", kPatient));
  EXPECT_EQ(state("h"), HostState::kDestroyed);
  EXPECT_EQ(driver_->list().value(), std::vector<std::string>());
}

// Memory went on: the beats are one unbroken row, and the guest was never READY a second time.
TEST_P(DriverContract, MemoryGoesOnOverPauseFreezeAndRestart) {
  create_ready("h");
  ASSERT_OK(await_beat(*driver_, "h", 1));
  ASSERT_OK(driver_->pause("h", kPatient));
  const int paused_at = last_beat(*driver_, "h");
  ASSERT_OK(driver_->resume("h", kPatient));
  ASSERT_OK(await_beat(*driver_, "h", paused_at + 1));
  ASSERT_OK(driver_->freeze("h", kPatient));
  const int frozen_at = last_beat(*driver_, "h");
  EXPECT_GT(frozen_at, paused_at);
  reopen();
  EXPECT_EQ(state("h"), HostState::kFrozen);
  ASSERT_OK(driver_->thaw("h", false, kPatient));
  ASSERT_OK(await_beat(*driver_, "h", frozen_at + 1));
  // And once more, from a paused host to a paused one.
  ASSERT_OK(driver_->pause("h", kPatient));
  ASSERT_OK(driver_->freeze("h", kPatient));
  ASSERT_OK(driver_->thaw("h", true, kPatient));
  EXPECT_EQ(state("h"), HostState::kPaused);
  const int thawed_at = last_beat(*driver_, "h");
  ASSERT_OK(driver_->resume("h", kPatient));
  ASSERT_OK(await_beat(*driver_, "h", thawed_at + 1));
  const std::string console = driver_->console_tail("h", kib(64)).value();
  EXPECT_EQ(console.find("READY"), console.rfind("READY")) << console;
  // The last line may have come without its end yet.
  std::string expected = "READY";
  for (int beat = 1; beat <= thawed_at + 1; ++beat) expected += fmt::format("\nbeat {}", beat);
  std::string seen = console;
  std::erase(seen, '\r');
  EXPECT_EQ(seen.substr(0, expected.size()), expected);
}

TEST_P(DriverContract, APausedGuestStandsStill) {
  create_ready("h");
  ASSERT_OK(await_beat(*driver_, "h", 1));
  ASSERT_OK(driver_->pause("h", kPatient));
  const int beat = last_beat(*driver_, "h");
  const Status more =
      driver_->wait_ready("h", ReadyCondition::kConsoleText, fmt::format("beat {}", beat + 2), within(2500ms));
  ASSERT_FALSE(more);
  EXPECT_EQ(more.error().code(), ErrorCode::kTimeout);
}

TEST_P(DriverContract, EveryVerbMayBeRepeated) {
  const HostSpec spec = world_->tiny("h");
  for (int i = 0; i < 2; ++i) ASSERT_OK(driver_->create(spec, kPatient));
  for (int i = 0; i < 2; ++i) ASSERT_OK(driver_->pause("h", kPatient));
  for (int i = 0; i < 2; ++i) ASSERT_OK(driver_->resume("h", kPatient));
  const auto first = driver_->freeze("h", kPatient);
  ASSERT_OK(first);
  const auto second = driver_->freeze("h", kPatient);
  ASSERT_OK(second);
  EXPECT_EQ(first->memory_saved, second->memory_saved);
  for (int i = 0; i < 2; ++i) ASSERT_OK(driver_->thaw("h", true, kPatient));
  EXPECT_EQ(state("h"), HostState::kPaused);
  ASSERT_OK(driver_->freeze("h", kPatient));
  for (int i = 0; i < 2; ++i) ASSERT_OK(driver_->thaw("h", false, kPatient));
  for (int i = 0; i < 2; ++i) ASSERT_OK(driver_->set_link("h", "management", true, kPatient));
  for (int i = 0; i < 2; ++i) ASSERT_OK(driver_->destroy("h", kPatient));
  for (int i = 0; i < 2; ++i) ASSERT_OK(driver_->forget("h"));
}

TEST_P(DriverContract, AnotherSpecificationIsNoRepeat) {
  HostSpec spec = world_->tiny("h");
  ASSERT_OK(driver_->create(spec, kPatient));
  spec.memory = mib(5);
  const Status created = driver_->create(spec, kPatient);
  ASSERT_FALSE(created);
  EXPECT_EQ(created.error().code(), ErrorCode::kConflict);
}

// State × verb, all of them: what the table says is what happens, and what is refused changes nothing.
TEST_P(DriverContract, RefusesWhatTheTableForbids) {
  ASSERT_NO_FATAL_FAILURE(bring("exported", HostState::kFrozen));
  ASSERT_NO_FATAL_FAILURE(keep_exported("exported"));
  for (const HostState from : kHostStates) {
    for (const Verb verb : kVerbs) {
      if (legality(verb, from) != Legality::kIllegal) continue;
      const std::string id = fmt::format("h-{}-{}", host_state_name(from), static_cast<int>(verb));
      SCOPED_TRACE(id);
      ASSERT_NO_FATAL_FAILURE(bring(id, from));
      const Status done = act(verb, id);
      ASSERT_FALSE(done);
      EXPECT_EQ(done.error().code(), ErrorCode::kConflict) << done.error().to_string();
      EXPECT_EQ(state(id), from);
      ASSERT_OK(driver_->destroy(id, kPatient));
    }
  }
}

TEST_P(DriverContract, DestroyFromEachStateLeavesNothing) {
  for (const HostState from : kHostStates) {
    const std::string id = fmt::format("h-{}", host_state_name(from));
    SCOPED_TRACE(id);
    ASSERT_NO_FATAL_FAILURE(bring(id, from));
    ASSERT_OK(driver_->destroy(id, kPatient));
    EXPECT_EQ(state(id), HostState::kDestroyed);
    EXPECT_EQ(world_->leftovers(), std::vector<std::string>());
    EXPECT_EQ(driver_->list().value(), std::vector<std::string>());
  }
}

// Its first physical host, with all that it had, is gone before it goes on with the second.
TEST_P(DriverContract, AFrozenHostGoesOnElsewhere) {
  create_ready("h");
  ASSERT_OK(await_beat(*driver_, "h", 1));
  ASSERT_OK(driver_->freeze("h", kPatient));
  const int frozen_at = last_beat(*driver_, "h");
  ASSERT_NO_FATAL_FAILURE(keep_exported("h"));
  EXPECT_EQ(exported_.format, driver_->capabilities().frozen_format);
  ASSERT_OK(driver_->destroy("h", kPatient));
  const auto other_world = make_world(GetParam());
  auto other = other_world->open();
  ASSERT_NE(other, nullptr);
  for (int i = 0; i < 2; ++i) ASSERT_OK(other->import_frozen(other_world->tiny("h"), exported_, kPatient));
  EXPECT_EQ(other->inspect("h")->state, HostState::kFrozen);
  other.reset();
  other = other_world->open();
  ASSERT_NE(other, nullptr);
  ASSERT_OK(other->thaw("h", false, kPatient));
  ASSERT_OK(await_beat(*other, "h", frozen_at + 1));
  const std::string console = other->console_tail("h", kib(64)).value();
  EXPECT_EQ(console.find("READY"), console.rfind("READY")) << console;
  ASSERT_OK(other->destroy("h", kPatient));
  EXPECT_EQ(other_world->leftovers(), std::vector<std::string>());
}

TEST_P(DriverContract, ImportsNothingThatDoesNotFit) {
  ASSERT_NO_FATAL_FAILURE(bring("exported", HostState::kFrozen));
  ASSERT_NO_FATAL_FAILURE(keep_exported("exported"));
  FrozenHost foreign = exported_;
  foreign.format = "another hypervisor";
  EXPECT_EQ(driver_->import_frozen(world_->tiny("h"), foreign, kPatient).error().code(), ErrorCode::kUnsupported);
  FrozenHost incomplete = exported_;
  incomplete.files.pop_back();
  EXPECT_EQ(driver_->import_frozen(world_->tiny("h"), incomplete, kPatient).error().code(), ErrorCode::kCorrupt);
  HostSpec larger = world_->tiny("h");
  larger.memory = larger.memory + mib(4);
  EXPECT_EQ(driver_->import_frozen(larger, exported_, kPatient).error().code(), ErrorCode::kCorrupt);
  // Nothing of that is in the way of the right one.
  ASSERT_OK(driver_->import_frozen(world_->tiny("h"), exported_, kPatient));
  EXPECT_EQ(driver_->import_frozen(larger, exported_, kPatient).error().code(), ErrorCode::kConflict);
  ASSERT_OK(driver_->thaw("h", true, kPatient));
  EXPECT_EQ(state("h"), HostState::kPaused);
}

TEST_P(DriverContract, TheSshPortOfAFrozenHostCanBeMoved) {
  HostSpec spec = world_->tiny("h");
  spec.nics[0].kind = NicSpec::Kind::kUser;
  spec.nics[0].ssh_port = free_port();
  const int other = free_port();
  ASSERT_OK(driver_->create(spec, kPatient));
  EXPECT_EQ(driver_->move_ssh("h", other, kPatient).error().code(), ErrorCode::kConflict);
  ASSERT_OK(driver_->freeze("h", kPatient));
  EXPECT_EQ(driver_->move_ssh("h", 70000, kPatient).error().code(), ErrorCode::kInvalid);
  ASSERT_OK(driver_->move_ssh("h", other, kPatient));
  ASSERT_OK(driver_->move_ssh("h", other, kPatient));
  EXPECT_EQ(driver_->inspect("h")->ssh_port, other);
  reopen();
  ASSERT_OK(driver_->thaw("h", false, kPatient));
  EXPECT_EQ(state("h"), HostState::kRunning);
  if (GetParam() != "sim") {
    EXPECT_TRUE(is_answered(other));
    EXPECT_FALSE(is_answered(spec.nics[0].ssh_port));
  }
  EXPECT_EQ(driver_->move_ssh("nobody", other, kPatient).error().code(), ErrorCode::kNotFound);
  ASSERT_OK(driver_->create(world_->tiny("without"), kPatient));
  ASSERT_OK(driver_->freeze("without", kPatient));
  EXPECT_EQ(driver_->inspect("without")->ssh_port, 0);
  EXPECT_EQ(driver_->move_ssh("without", other, kPatient).error().code(), ErrorCode::kNotFound);
}

TEST_P(DriverContract, ATombstoneRefusesALateCreateUntilItIsForgotten) {
  ASSERT_OK(driver_->destroy("h", kPatient));  // overtook the create
  for (int round = 0; round < 2; ++round) {
    const Status created = driver_->create(world_->tiny("h"), kPatient);
    ASSERT_FALSE(created);
    EXPECT_EQ(created.error().code(), ErrorCode::kConflict);
    reopen();
  }
  ASSERT_OK(driver_->forget("h"));
  EXPECT_EQ(driver_->inspect("h").error().code(), ErrorCode::kNotFound);
  ASSERT_OK(driver_->create(world_->tiny("h"), kPatient));
  const Status forgotten = driver_->forget("h");
  ASSERT_FALSE(forgotten);
  EXPECT_EQ(forgotten.error().code(), ErrorCode::kConflict);
}

TEST_P(DriverContract, UnknownHostsAreNotFound) {
  for (const Verb verb : kVerbs) {
    if (verb == Verb::kCreate || verb == Verb::kDestroy || verb == Verb::kImport) continue;
    const Status done = act(verb, "nobody");
    ASSERT_FALSE(done);
    EXPECT_EQ(done.error().code(), ErrorCode::kNotFound) << verb_name(verb) << ": " << done.error().to_string();
  }
  EXPECT_EQ(driver_->inspect("nobody").error().code(), ErrorCode::kNotFound);
  EXPECT_EQ(driver_->console_tail("nobody", kib(1)).error().code(), ErrorCode::kNotFound);
  EXPECT_EQ(driver_->open_console("nobody").error().code(), ErrorCode::kNotFound);
  EXPECT_EQ(driver_->agent_command("nobody", "{\"execute\":\"guest-ping\"}", kPatient).error().code(),
            ErrorCode::kNotFound);
  EXPECT_EQ(driver_->wait_ready("nobody", ReadyCondition::kStarted, "", kPatient).error().code(), ErrorCode::kNotFound);
  ASSERT_OK(driver_->forget("nobody"));
}

TEST_P(DriverContract, AnIdNeverBecomesAPath) {
  for (const char* id : {"", "..", "a/b", "../../etc", "a b", ".hidden"}) {
    HostSpec spec = world_->tiny("x");
    spec.id = id;
    const Status created = driver_->create(spec, kPatient);
    ASSERT_FALSE(created) << id;
    EXPECT_EQ(created.error().code(), ErrorCode::kInvalid);
    EXPECT_EQ(driver_->destroy(id, kPatient).error().code(), ErrorCode::kInvalid);
  }
}

TEST_P(DriverContract, AdoptsWhatRan) {
  create_ready("running");
  ASSERT_NO_FATAL_FAILURE(bring("paused", HostState::kPaused));
  ASSERT_NO_FATAL_FAILURE(bring("frozen", HostState::kFrozen));
  ASSERT_OK(await_beat(*driver_, "running", 1));
  const auto before = driver_->inspect("running");
  ASSERT_OK(before);
  reopen();
  const auto after = driver_->inspect("running");
  ASSERT_OK(after);
  EXPECT_EQ(after->pid, before->pid);
  EXPECT_EQ(after->since, before->since);
  EXPECT_EQ(state("running"), HostState::kRunning);
  EXPECT_EQ(state("paused"), HostState::kPaused);
  EXPECT_EQ(state("frozen"), HostState::kFrozen);
  EXPECT_EQ(driver_->list().value(), (std::vector<std::string>{"frozen", "paused", "running"}));
  ASSERT_OK(await_beat(*driver_, "running", last_beat(*driver_, "running") + 1));
  ASSERT_OK(driver_->resume("paused", kPatient));
  ASSERT_OK(driver_->freeze("running", kPatient));
  ASSERT_OK(driver_->thaw("frozen", false, kPatient));
}

// What a driver told of a host.
struct Told {
  std::mutex mutex;
  std::condition_variable changed;
  std::string id;
  HostCondition condition;
  bool await() {
    std::unique_lock lock(mutex);
    return changed.wait_for(lock, 30s, [this] { return !id.empty(); });
  }
  void forget() {
    const std::lock_guard lock(mutex);
    id.clear();
  }
  std::function<void(const std::string&, const HostCondition&)> observer() {
    return [this](const std::string& told, const HostCondition& how) {
      const std::lock_guard lock(mutex);
      id = told;
      condition = how;
      changed.notify_all();
    };
  }
};

TEST_P(DriverContract, TellsOfAHostThatItsHypervisorPaused) {
  Told told;
  create_ready("h");
  ASSERT_OK(await_beat(*driver_, "h", 1));
  reopen();  // adopted hosts are watched as well
  driver_->on_paused(told.observer());
  world_->stop_guest(*driver_, "h");
  ASSERT_TRUE(told.await());
  EXPECT_EQ(told.id, "h");
  EXPECT_EQ(told.condition.state, HostState::kPaused);
  EXPECT_FALSE(told.condition.pause_reason.empty());
  const auto condition = driver_->inspect("h");
  ASSERT_OK(condition);
  EXPECT_EQ(condition->state, HostState::kPaused);
  EXPECT_EQ(condition->pause_reason, told.condition.pause_reason);
  EXPECT_FALSE(condition->lost);
  EXPECT_EQ(condition->exit_reason, "");
  // The reason is remembered by the next driver, and goes when the guest goes on.
  reopen();
  EXPECT_EQ(driver_->inspect("h")->pause_reason, told.condition.pause_reason);
  ASSERT_OK(driver_->pause("h", kPatient));
  ASSERT_OK(driver_->resume("h", kPatient));
  EXPECT_EQ(driver_->inspect("h")->pause_reason, "");
  ASSERT_OK(await_beat(*driver_, "h", last_beat(*driver_, "h") + 1));
  // What was asked for is told to nobody.
  told.forget();
  driver_->on_paused(told.observer());
  ASSERT_OK(driver_->pause("h", kPatient));
  ASSERT_OK(driver_->resume("h", kPatient));
  ASSERT_OK(driver_->freeze("h", kPatient));
  ASSERT_OK(driver_->thaw("h", true, kPatient));
  ASSERT_OK(driver_->resume("h", kPatient));
  world_->stop_guest(*driver_, "h");
  ASSERT_TRUE(told.await());
  EXPECT_EQ(told.condition.state, HostState::kPaused);
  ASSERT_OK(driver_->freeze("h", kPatient));
  EXPECT_EQ(driver_->inspect("h")->pause_reason, "");
  ASSERT_OK(driver_->thaw("h", false, kPatient));
  EXPECT_EQ(state("h"), HostState::kRunning);
}

TEST_P(DriverContract, TellsOfALostHost) {
  Told lost;
  create_ready("h");
  reopen();  // adopted hosts are watched as well
  driver_->on_lost(lost.observer());
  world_->end_host(*driver_, "h");
  ASSERT_TRUE(lost.await());
  EXPECT_EQ(lost.id, "h");
  EXPECT_TRUE(lost.condition.lost);
  EXPECT_FALSE(lost.condition.exit_reason.empty());
  const auto condition = driver_->inspect("h");
  ASSERT_OK(condition);
  EXPECT_TRUE(condition->lost);
  EXPECT_EQ(condition->state, HostState::kRunning);
  EXPECT_EQ(condition->exit_reason, lost.condition.exit_reason);
  EXPECT_EQ(condition->pid, 0);
  for (const Verb verb : {Verb::kCreate, Verb::kPause, Verb::kResume, Verb::kFreeze, Verb::kThaw, Verb::kSetLink}) {
    const Status done = act(verb, "h");
    ASSERT_FALSE(done) << verb_name(verb);
    EXPECT_EQ(done.error().code(), ErrorCode::kConflict) << done.error().to_string();
  }
  EXPECT_NE(driver_->console_tail("h", kib(4)).value().find("READY"), std::string::npos);
  ASSERT_OK(driver_->destroy("h", kPatient));
}

TEST_P(DriverContract, AHostThatIsDestroyedIsNotLost) {
  Told lost;
  driver_->on_lost([&](const std::string& id, const HostCondition&) {
    const std::lock_guard lock(lost.mutex);
    lost.id = id;
  });
  create_ready("h");
  ASSERT_OK(driver_->freeze("h", kPatient));
  ASSERT_OK(driver_->thaw("h", false, kPatient));
  ASSERT_OK(driver_->destroy("h", kPatient));
  driver_.reset();  // waits for an observer at work
  EXPECT_EQ(lost.id, "");
  driver_ = world_->open();
}

TEST_P(DriverContract, ADestroyedHostEndsWhoWaitsForIt) {
  create_ready("h");
  Status waited;
  std::thread waiter([&] { waited = driver_->wait_ready("h", ReadyCondition::kConsoleText, "never", kPatient); });
  ASSERT_OK(driver_->destroy("h", kPatient));
  waiter.join();
  ASSERT_FALSE(waited);
  const ErrorCode code = waited.error().code();
  EXPECT_TRUE(code == ErrorCode::kUnavailable || code == ErrorCode::kCancelled || code == ErrorCode::kConflict)
      << waited.error().to_string();
}

TEST_P(DriverContract, AFailedCreationSaysWhyAndMayBeTriedAgain) {
  std::string message;
  const HostSpec broken = world_->broken("h", message);
  const Status created = driver_->create(broken, kPatient);
  ASSERT_FALSE(created);
  EXPECT_NE(created.error().to_string().find(message), std::string::npos) << created.error().to_string();
  EXPECT_TRUE(created.error().code() == ErrorCode::kInvalid || created.error().code() == ErrorCode::kUnavailable);
  reopen();
  const auto condition = driver_->inspect("h");
  ASSERT_OK(condition);
  EXPECT_EQ(condition->state, HostState::kInitial);
  EXPECT_NE(condition->exit_reason.find(message), std::string::npos);
  ASSERT_OK(driver_->console_tail("h", kib(4)));
  create_ready("h");
  ASSERT_OK(driver_->destroy("h", kPatient));
  ASSERT_OK(driver_->forget("h"));
  ASSERT_FALSE(driver_->create(broken, kPatient));
  ASSERT_OK(driver_->forget("h"));
  EXPECT_EQ(driver_->inspect("h").error().code(), ErrorCode::kNotFound);
}

TEST_P(DriverContract, SaysHowMuchMemoryIsShort) {
  HostSpec spec = world_->tiny("h");
  spec.memory = gib(1024 * 1024);
  const Status created = driver_->create(spec, kPatient);
  ASSERT_FALSE(created);
  EXPECT_EQ(created.error().code(), ErrorCode::kExhausted);
  EXPECT_NE(created.error().message().find("needs 1024TiB, has "), std::string::npos) << created.error().to_string();
}

TEST_P(DriverContract, ACancelledCreationLeavesNothing) {
  EventFlag cancel;
  cancel.raise();
  const Status created = driver_->create(world_->tiny("h"), within(60s, cancel.fd()));
  ASSERT_FALSE(created);
  EXPECT_EQ(created.error().code(), ErrorCode::kCancelled) << created.error().to_string();
  ASSERT_OK(driver_->destroy("h", kPatient));
  EXPECT_EQ(world_->leftovers(), std::vector<std::string>());
}

TEST_P(DriverContract, DestroyEndsACreationAtWork) {
  for (int round = 0; round < 5; ++round) {
    const std::string id = fmt::format("h{}", round);
    EventFlag begun;
    Control control = kPatient;
    control.on_progress = [&](const Progress&) { begun.raise(); };
    Status created;
    std::thread creator([&] {
      created = driver_->create(world_->tiny(id), control);
      begun.raise();
    });
    ASSERT_OK(Deadline(30s).wait_readable(begun.fd(), "beginning of the creation"));
    ASSERT_OK(driver_->destroy(id, kPatient));
    creator.join();
    // It may have been done before the destroy came; either way nothing is left.
    if (!created) {
      EXPECT_EQ(created.error().code(), ErrorCode::kCancelled) << created.error().to_string();
    }
    EXPECT_EQ(state(id), HostState::kDestroyed);
    EXPECT_EQ(world_->leftovers(), std::vector<std::string>());
  }
}

TEST_P(DriverContract, WaitingEndsInTimeOrWhenCancelled) {
  create_ready("h");
  const Status late = driver_->wait_ready("h", ReadyCondition::kConsoleText, "never", within(100ms));
  ASSERT_FALSE(late);
  EXPECT_EQ(late.error().code(), ErrorCode::kTimeout);
  EventFlag cancel;
  std::thread canceller([&] { cancel.raise(); });
  const Status cancelled = driver_->wait_ready("h", ReadyCondition::kConsoleText, "never", within(60s, cancel.fd()));
  canceller.join();
  ASSERT_FALSE(cancelled);
  EXPECT_EQ(cancelled.error().code(), ErrorCode::kCancelled);
  ASSERT_OK(driver_->wait_ready("h", ReadyCondition::kStarted, "", kPatient));
}

TEST_P(DriverContract, OpensTheLiveConsole) {
  create_ready("h");
  const auto fd = driver_->open_console("h");
  ASSERT_OK(fd);
  const env::UniqueFd console(*fd);
  std::string seen;
  while (seen.find('\n') == std::string::npos) {
    ASSERT_OK(Deadline(30s).wait_readable(console.get(), "console output"));
    char buffer[256];
    const ssize_t count = ::recv(console.get(), buffer, sizeof buffer, 0);
    ASSERT_GT(count, 0);
    seen.append(buffer, static_cast<std::size_t>(count));
  }
  EXPECT_TRUE(seen.find("beat ") != std::string::npos || seen.find("READY") != std::string::npos) << seen;
}

TEST_P(DriverContract, CutsAndPlugsCables) {
  create_ready("h");
  ASSERT_OK(driver_->set_link("h", "management", true, kPatient));
  ASSERT_OK(driver_->set_link("h", "management", false, kPatient));
  const Status unknown = driver_->set_link("h", "nothing", true, kPatient);
  ASSERT_FALSE(unknown);
  EXPECT_EQ(unknown.error().code(), ErrorCode::kNotFound);
  ASSERT_OK(driver_->freeze("h", kPatient));
  ASSERT_OK(driver_->thaw("h", false, kPatient));
}

TEST_P(DriverContract, VerbsOnOneHostTakeTurns) {
  create_ready("h");
  std::vector<std::thread> threads;
  for (int i = 0; i < 4; ++i) {
    threads.emplace_back([this, i] {
      for (int round = 0; round < 5; ++round) {
        const Status done = act(i % 2 == 0 ? Verb::kPause : Verb::kResume, "h");
        EXPECT_TRUE(done) << done.error().to_string();
      }
    });
  }
  for (auto& thread : threads) thread.join();
  const HostState end = state("h");
  EXPECT_TRUE(end == HostState::kRunning || end == HostState::kPaused);
}

INSTANTIATE_TEST_SUITE_P(Drivers, DriverContract, testing::Values("sim", "qemu"),
                         [](const auto& driver) { return driver.param; });

}  // namespace
}  // namespace nuraghe::hypervisor
