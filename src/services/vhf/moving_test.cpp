// Frozen hosts that are thawed elsewhere.
#include <gmock/gmock.h>

#include "services/testing.hpp"
#include "services/vhf/vhf.hpp"

namespace nuraghe::services::vhf {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using World = services::testing::World;
using namespace std::chrono_literals;

const std::string kFactory = "/services/vhf";
const std::string kDigest = "sha256:" + std::string(64, 'a');

class MovingTest : public ::testing::Test {
 protected:
  MovingTest() { world_.open({&factory_}); }

  // Registers, or renews with what is there; what the factory answers.
  api::RegisterPhysicalHostResponse register_physical(const std::string& name,
                                                      const std::vector<contracts::vhc::Host>& hosts = {},
                                                      const std::string& format = "sim 1") {
    api::RegisterPhysicalHostRequest input;
    input.name = name;
    input.address = "http://" + name + ":1/services/" + name;
    input.total.cpus = cpus_;
    input.total.memory = gib(4);
    input.total.disk = gib(4);
    input.interval = 10s;
    input.machine = {"q35"};
    input.firmware = {"bios"};
    input.frozen_format = format;
    input.host = hosts;
    auto message = contracts::vhf::make_register_physical_host(kFactory, input);
    message.caller = "vhc:" + name;
    auto answer = contracts::vhf::parse_register_physical_host_response(world_.ask(std::move(message)));
    EXPECT_TRUE(answer) << answer.error().to_string();
    return answer.value_or(api::RegisterPhysicalHostResponse{});
  }
  std::string reserve(const std::string& name) {
    auto document = xml::Document::parse(R"(<node xmlns="urn:nuraghe:node:1" name=")" + name +
                                         R"("><image name="tiny"/><cpus>2</cpus><memory>8MiB</memory></node>)");
    api::ReserveHostRequest input;
    input.request.fragment = std::move(*document).share();
    const auto reserved =
        contracts::vhf::parse_reserve_host_response(world_.ask(contracts::vhf::make_reserve_host(kFactory, input)));
    EXPECT_TRUE(reserved) << reserved.error().to_string();
    return reserved ? reserved->request.host : "";
  }
  Result<api::BeginHostResponse> begin(const std::string& host, const std::string& operation) {
    return contracts::vhf::parse_begin_host_response(
        world_.ask(contracts::vhf::make_begin_host(kFactory, {host, operation})));
  }
  void end(const std::string& host, const std::string& operation, bool succeeded, const std::string& state = "") {
    api::EndHostRequest input;
    input.host = host;
    input.operation = operation;
    input.succeeded = succeeded;
    if (!state.empty()) input.state.push_back({".frozen/" + host, "1", state, "/layout"});
    EXPECT_EQ(World::fault_of(world_.ask(contracts::vhf::make_end_host(kFactory, input))), "");
  }
  // A host that is frozen on `a`, with its state in the repository.
  std::string frozen(const std::string& state = kDigest) {
    register_physical("a");
    const auto host = reserve("one");
    for (const std::string operation : {"create", "freeze"}) {
      EXPECT_TRUE(begin(host, operation));
      end(host, operation, true, operation == "freeze" ? state : "");
    }
    return host;
  }
  contracts::vhc::Host reported(const std::string& host, HostState state) {
    contracts::vhc::Host one;
    one.id = host;
    one.state = state;
    return one;
  }
  api::VirtualHost get(const std::string& host) {
    const auto got = contracts::vhf::parse_get_virtual_host_response(
        world_.ask(contracts::vhf::make_get_virtual_host(kFactory, {host})));
    return got ? got->host : api::VirtualHost{};
  }
  std::int32_t reserved_cpus(const std::string& name) {
    const auto got = contracts::vhf::parse_get_physical_host_response(
        world_.ask(contracts::vhf::make_get_physical_host(kFactory, {name})));
    return got ? got->physical_host.reserved.cpus : -1;
  }
  void pass_silence() { world_.advance(1min, 10s); }

  int cpus_ = 4;  // of the next physical host
  World world_;
  Factory factory_;
};

TEST_F(MovingTest, AHostWhosePhysicalHostIsGoneIsImportedElsewhere) {
  const auto host = frozen();
  EXPECT_EQ(get(host).frozen_state, kDigest);
  pass_silence();
  register_physical("b");
  const auto begun = begin(host, "thaw");
  ASSERT_TRUE(begun) << begun.error().to_string();
  EXPECT_EQ(begun->physical_host, "b");
  EXPECT_EQ(begun->controller.address, "http://b:1/services/b");
  ASSERT_EQ(begun->import.size(), 1U);
  EXPECT_EQ(begun->import.front().state.digest, kDigest);
  EXPECT_EQ(begun->import.front().name, "one");
  EXPECT_EQ(begun->import.front().cpus, 2);
  EXPECT_EQ(reserved_cpus("b"), 2);
  end(host, "thaw", true);
  EXPECT_EQ(get(host).state, HostState::kRunning);
  EXPECT_EQ(get(host).frozen_state, "");
  // What the first one still has is nobody's.
  EXPECT_THAT(register_physical("a", {reported(host, HostState::kFrozen)}).unknown, ElementsAre(host));
  EXPECT_THAT(register_physical("b", {reported(host, HostState::kRunning)}).unknown, IsEmpty());
}

TEST_F(MovingTest, WhereItCanBeThawedNothingIsImported) {
  const auto host = frozen();
  register_physical("b");
  const auto begun = begin(host, "thaw");
  ASSERT_TRUE(begun);
  EXPECT_EQ(begun->physical_host, "a");
  EXPECT_THAT(begun->import, IsEmpty());
}

TEST_F(MovingTest, AHostForWhichThereIsNoRoomGoesWhereThereIs) {
  const auto host = frozen();
  ASSERT_TRUE(begin(reserve("two"), "create"));
  ASSERT_TRUE(begin(reserve("three"), "create"));
  const auto nowhere = begin(host, "thaw");
  ASSERT_FALSE(nowhere);
  EXPECT_EQ(nowhere.error().code(), ErrorCode::kExhausted);
  EXPECT_THAT(nowhere.error().to_string(), HasSubstr("elsewhere"));
  register_physical("b");
  const auto begun = begin(host, "thaw");
  ASSERT_TRUE(begun) << begun.error().to_string();
  EXPECT_EQ(begun->physical_host, "b");
  EXPECT_EQ(begun->import.size(), 1U);
  EXPECT_EQ(reserved_cpus("a"), 4);
}

TEST_F(MovingTest, OnlyToWhomCanGoOnWithIt) {
  const auto host = frozen();
  pass_silence();
  register_physical("b", {}, "another 1");
  const auto begun = begin(host, "thaw");
  ASSERT_FALSE(begun);
  EXPECT_EQ(begun.error().code(), ErrorCode::kUnsupported);
  EXPECT_THAT(begun.error().to_string(), HasSubstr("frozen state of sim 1"));
  EXPECT_EQ(get(host).state, HostState::kFrozen);
  EXPECT_EQ(get(host).operation, "");
}

TEST_F(MovingTest, WithoutItsStateInTheRepositoryItStays) {
  const auto host = frozen("");
  pass_silence();
  register_physical("b");
  const auto begun = begin(host, "thaw");
  ASSERT_TRUE(begun);
  EXPECT_EQ(begun->physical_host, "a") << "its controller says what is the matter, if it is heard of";
}

// Never two copies: who was told to thaw it may be running it.
TEST_F(MovingTest, AThawOfWhichNobodyKnowsTheEndIsWaitedFor) {
  const auto host = frozen();
  ASSERT_TRUE(begin(host, "thaw"));
  end(host, "thaw", false);
  pass_silence();
  register_physical("b");
  const auto refused = begin(host, "thaw");
  ASSERT_FALSE(refused);
  EXPECT_EQ(refused.error().code(), ErrorCode::kUnavailable);
  EXPECT_THAT(refused.error().to_string(), HasSubstr("may be running it"));
  // It says that it is not.
  register_physical("a", {reported(host, HostState::kFrozen)});
  pass_silence();
  register_physical("b");
  EXPECT_EQ(begin(host, "thaw")->physical_host, "b");
}

TEST_F(MovingTest, OneThatRunsAfterAllIsNotThawedElsewhere) {
  const auto host = frozen();
  ASSERT_TRUE(begin(host, "thaw"));
  end(host, "thaw", false);
  register_physical("a", {reported(host, HostState::kRunning)});
  pass_silence();
  register_physical("b");
  EXPECT_EQ(begin(host, "thaw").error().code(), ErrorCode::kUnavailable);
  EXPECT_EQ(begin(host, "destroy")->controller.address, "http://a:1/services/a") << "it has to be ended there";
}

TEST_F(MovingTest, WhoeverSwitchedItOffMaySaySo) {
  const auto host = frozen();
  ASSERT_TRUE(begin(host, "thaw"));
  end(host, "thaw", false);
  pass_silence();
  register_physical("b");
  const auto told = contracts::vhf::parse_forget_physical_host_response(
      world_.ask(contracts::vhf::make_forget_physical_host(kFactory, {"a", false})));
  ASSERT_TRUE(told) << told.error().to_string();
  EXPECT_THAT(told->host, IsEmpty()) << "it is not lost";
  EXPECT_EQ(get(host).condition, "");
  const auto begun = begin(host, "thaw");
  ASSERT_TRUE(begun) << begun.error().to_string();
  EXPECT_EQ(begun->physical_host, "b");
}

TEST_F(MovingTest, AFailedImportLeavesItFrozenAndItsPlaceFree) {
  const auto host = frozen();
  pass_silence();
  register_physical("b");
  ASSERT_TRUE(begin(host, "thaw"));
  end(host, "thaw", false);
  EXPECT_EQ(get(host).state, HostState::kFrozen);
  EXPECT_EQ(get(host).frozen_state, kDigest);
  EXPECT_EQ(reserved_cpus("b"), 0);
  // Tried again at once, the same one is asked again: it may have it.
  register_physical("c");
  ASSERT_EQ(begin(host, "thaw")->physical_host, "b");
  end(host, "thaw", false);
  // It says that it does not have it; the next try may lead anywhere.
  register_physical("b");
  EXPECT_EQ(get(host).condition, "");
  pass_silence();
  register_physical("c");
  const auto again = begin(host, "thaw");
  ASSERT_TRUE(again) << again.error().to_string();
  EXPECT_EQ(again->import.size(), 1U);
  EXPECT_EQ(again->physical_host, "c");
}

TEST_F(MovingTest, WhatItsPhysicalHostDoesNotHaveAnyMoreIsNotLost) {
  const auto host = frozen();
  register_physical("a");  // without it: its disk was replaced
  EXPECT_EQ(get(host).condition, "");
  const auto begun = begin(host, "thaw");
  ASSERT_TRUE(begun) << begun.error().to_string();
  EXPECT_EQ(begun->physical_host, "a");
  EXPECT_EQ(begun->import.size(), 1U);
  EXPECT_EQ(reserved_cpus("a"), 2);
}

TEST_F(MovingTest, IsDestroyedWithoutTheOneThatIsGone) {
  const auto host = frozen();
  pass_silence();
  const auto begun = begin(host, "destroy");
  ASSERT_TRUE(begun);
  EXPECT_TRUE(begun->known);
  EXPECT_EQ(begun->controller.address, "");
  end(host, "destroy", true);
  EXPECT_EQ(reserved_cpus("a"), 0);
}

TEST_F(MovingTest, AFreezeThatWasAbortedTooLateHasHappened) {
  register_physical("a");
  const auto host = reserve("one");
  ASSERT_TRUE(begin(host, "create"));
  end(host, "create", true);
  ASSERT_TRUE(begin(host, "freeze"));
  api::ReportRequest report;
  report.physical_host = "a";
  report.kind = "host.frozen";
  report.host = reported(host, HostState::kFrozen);
  auto message = contracts::vhf::make_report(kFactory, report);
  message.caller = "vhc:a";
  world_.send(std::move(message));
  end(host, "any", false);
  EXPECT_EQ(get(host).state, HostState::kFrozen);
  EXPECT_EQ(reserved_cpus("a"), 0);
}

}  // namespace
}  // namespace nuraghe::services::vhf
