#include "services/vhf/vhf.hpp"

#include <gmock/gmock.h>

#include <map>

#include "services/testing.hpp"

namespace nuraghe::services::vhf {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using World = services::testing::World;
using namespace std::chrono_literals;

const std::string kAddress = "/services/vhf";

class HostFactoryTest : public ::testing::Test {
 protected:
  HostFactoryTest() {
    options_.past.age = 10h;
    options_.past.count = 2;
    options_.on_controller = [this](const std::string& name, const std::string& address, bool by_certificate) {
      controllers_[name] = address;
      by_certificate_[name] = by_certificate;
    };
    options_.is_member = [this](const std::string& name) { return members_.contains(name); };
    options_.own_bases = {"https://10.0.0.1:8470"};
    options_.on_removed = [this](store::Transaction&, const std::string& name) {
      removed_.push_back(name);
      return Status();
    };
    factory_ = std::make_unique<Factory>(options_);
    world_.open({factory_.get()});
  }
  void register_physical(const std::string& name) {
    api::RegisterPhysicalHostRequest input;
    input.name = name;
    input.address = "http://" + name + ":1/services/" + name;
    input.total.cpus = 4;
    input.total.memory = gib(4);
    input.total.disk = gib(4);
    input.interval = 10s;
    input.machine = machines_;
    input.firmware = {"bios"};
    auto message = contracts::vhf::make_register_physical_host(kAddress, input);
    message.caller = "vhc:" + name;
    EXPECT_EQ(World::fault_of(world_.ask(std::move(message))), "");
  }
  std::string renew(const std::string& name, Duration interval = 10s) {
    auto message = contracts::vhf::make_renew_physical_host(kAddress, {name, interval});
    message.caller = "vhc:" + name;
    return World::fault_of(world_.ask(std::move(message)));
  }
  // "silent a", "returned a", …: what was told of physical hosts.
  std::vector<std::string> told() {
    std::vector<std::string> all;
    world_.read_events(0, [&](const exchange::Event& event) {
      if (event.kind.starts_with("physical_host."))
        all.push_back(event.kind.substr(14) + " " + event.attributes.at("physical_host"));
    });
    return all;
  }
  bool is_alive(const std::string& name) {
    const auto got = contracts::vhf::parse_get_physical_host_response(
        world_.ask(contracts::vhf::make_get_physical_host(kAddress, {name})));
    return got && got->physical_host.alive;
  }
  void restart() {
    world_.close();
    factory_ = std::make_unique<Factory>(options_);
    world_.open({factory_.get()});
  }
  // A single host that is reserved; its id.
  static xml::DocumentPtr fragment(const std::string& name, const std::string& boot = "") {
    auto document =
        xml::Document::parse(R"(<node xmlns="urn:nuraghe:node:1" name=")" + name +
                             R"("><image name="tiny"/><cpus>1</cpus><memory>8MiB</memory>)" + boot + "</node>");
    return std::move(*document).share();
  }
  std::string reserve(const std::string& name, const std::string& boot = "") {
    api::ReserveHostRequest input;
    input.request.fragment = fragment(name, boot);
    const auto reserved =
        contracts::vhf::parse_reserve_host_response(world_.ask(contracts::vhf::make_reserve_host(kAddress, input)));
    EXPECT_TRUE(reserved) << reserved.error().to_string();
    return reserved->request.host;
  }
  void destroy(const std::string& host) {
    EXPECT_EQ(World::fault_of(world_.ask(contracts::vhf::make_begin_host(kAddress, {host, "destroy"}))), "");
    EXPECT_EQ(World::fault_of(world_.ask(contracts::vhf::make_end_host(kAddress, {host, "destroy", true}))), "");
  }
  std::string state_of(const std::string& id_or_name, const std::string& vo = "vo1") {
    const auto got = contracts::vhf::parse_get_virtual_host_response(
        world_.ask(contracts::vhf::make_get_virtual_host(kAddress, {id_or_name}), vo));
    return got ? std::string(contracts::vhc::to_string(got->host.state))
               : std::string(error_code_name(got.error().code()));
  }

  std::vector<std::string> removed_;  // as it told of physical hosts
  std::map<std::string, bool> by_certificate_;
  std::set<std::string> members_;  // controllers whose certificates count
  FactoryOptions options_;
  std::map<std::string, std::string> controllers_;  // as it was told of them
  World world_;
  std::unique_ptr<Factory> factory_;
  std::vector<std::string> machines_ = {"q35"};  // of the next physical host
};

TEST_F(HostFactoryTest, AHostGoesWhereItsMachineIs) {
  register_physical("a");
  machines_ = {"q35", "microvm"};
  register_physical("b");
  for (int i = 0; i < 3; ++i) {
    const auto host = reserve("m" + std::to_string(i), R"(<boot machine="microvm" firmware="bios"/>)");
    const auto begun = contracts::vhf::parse_begin_host_response(
        world_.ask(contracts::vhf::make_begin_host(kAddress, {host, "create"})));
    ASSERT_TRUE(begun) << begun.error().to_string();
    EXPECT_EQ(begun->physical_host, "b");
  }
  api::ReserveHostRequest input;
  input.request.fragment = fragment("u", R"(<boot firmware="uefi"/>)");
  const auto reply = world_.ask(contracts::vhf::make_reserve_host(kAddress, input));
  ASSERT_EQ(World::fault_of(reply), "unsupported");
  EXPECT_THAT(reply.fault->reason, HasSubstr("node u asks for firmware uefi, which no physical host that is alive"));
}

TEST_F(HostFactoryTest, APhysicalHostThatIsNotSeenIsForgottenWhenNothingIsOnIt) {
  register_physical("a");
  const auto host = reserve("one");
  register_physical("b");
  world_.advance(9h, 1h);
  EXPECT_THAT(world_.keys("vhf_physical"), ElementsAre("a", "b"));
  world_.advance(3h, 1h);
  EXPECT_THAT(world_.keys("vhf_physical"), ElementsAre("a"));
  EXPECT_THAT(removed_, ElementsAre("b"));
  destroy(host);
  world_.advance(2h, 1h);
  EXPECT_THAT(world_.keys("vhf_physical"), IsEmpty());
  EXPECT_THAT(removed_, ElementsAre("b", "a"));
}

TEST_F(HostFactoryTest, WhatIsOnAForgottenPhysicalHostIsLost) {
  register_physical("a");
  const auto host = reserve("one");
  const auto forget = [&](const std::string& name, bool dry_run) {
    return world_.ask(contracts::vhf::make_forget_physical_host(kAddress, {name, dry_run}), "other");
  };
  EXPECT_EQ(World::fault_of(forget("nobody", false)), "not-found");
  EXPECT_EQ(World::fault_of(forget("a", false)), "conflict");  // it is alive
  world_.advance(1min, 1min);
  auto told = contracts::vhf::parse_forget_physical_host_response(forget("a", true));
  ASSERT_TRUE(told && told->host.size() == 1) << told.error().to_string();
  EXPECT_EQ(told->host.front().id, host);
  EXPECT_THAT(world_.keys("vhf_physical"), ElementsAre("a"));
  told = contracts::vhf::parse_forget_physical_host_response(forget("a", false));
  ASSERT_TRUE(told && told->host.size() == 1);
  EXPECT_THAT(world_.keys("vhf_physical"), IsEmpty());
  const auto got = contracts::vhf::parse_get_virtual_host_response(
      world_.ask(contracts::vhf::make_get_virtual_host(kAddress, {host})));
  EXPECT_EQ(got->host.condition, "lost: physical host a was forgotten");
  const auto paused = world_.ask(contracts::vhf::make_begin_host(kAddress, {host, "pause"}));
  ASSERT_EQ(World::fault_of(paused), "conflict");
  EXPECT_THAT(paused.fault->reason, HasSubstr("lost"));
  // It comes back: what is left there belongs to nobody, and what is lost counts nowhere.
  api::RegisterPhysicalHostRequest again;
  again.name = "a";
  again.total.cpus = 4;
  again.interval = 10s;
  again.host.emplace_back().id = host;
  again.network = {"of-nobody"};
  auto message = contracts::vhf::make_register_physical_host(kAddress, again);
  message.caller = "vhc:a";
  const auto unknown = contracts::vhf::parse_register_physical_host_response(world_.ask(std::move(message)));
  ASSERT_TRUE(unknown);
  EXPECT_THAT(unknown->unknown, ElementsAre(host));
  EXPECT_THAT(unknown->unknown_network, ElementsAre("of-nobody"));
  destroy(host);
  EXPECT_EQ(state_of(host), "destroyed");
  const auto listed = contracts::vhf::parse_list_physical_hosts_response(
      world_.ask(contracts::vhf::make_list_physical_hosts(kAddress, {})));
  ASSERT_TRUE(listed && listed->physical_host.size() == 1);
  EXPECT_EQ(listed->physical_host.front().hosts, 0);
  EXPECT_EQ(listed->physical_host.front().reserved.cpus, 0);
}

TEST_F(HostFactoryTest, AHostThatItsHypervisorPausedIsPausedAndSaysWhy) {
  register_physical("a");
  const auto host = reserve("one");
  const auto change = [&](const std::string& operation) {
    EXPECT_EQ(World::fault_of(world_.ask(contracts::vhf::make_begin_host(kAddress, {host, operation}))), "");
    EXPECT_EQ(World::fault_of(world_.ask(contracts::vhf::make_end_host(kAddress, {host, operation, true}))), "");
  };
  const auto report = [&](contracts::vhc::HostState state, bool stopped) {
    api::ReportRequest input;
    input.physical_host = "a";
    input.kind = stopped ? "host.stopped" : "host.resumed";
    input.severity = "info";
    input.host.id = host;
    input.host.state = state;
    input.host.stopped = stopped;
    if (stopped) input.host.condition = "paused by its hypervisor: no space";
    auto message = contracts::vhf::make_report(kAddress, input);
    message.caller = "vhc:a";
    world_.send(std::move(message));
  };
  change("create");
  report(HostState::kRunning, false);
  EXPECT_EQ(state_of("one"), "running");
  report(HostState::kPaused, true);
  EXPECT_EQ(state_of("one"), "paused");
  const auto got = contracts::vhf::parse_get_virtual_host_response(
      world_.ask(contracts::vhf::make_get_virtual_host(kAddress, {host})));
  EXPECT_EQ(got->host.condition, "paused by its hypervisor: no space");
  // Resumed by an operation, and paused again before that was over.
  EXPECT_EQ(World::fault_of(world_.ask(contracts::vhf::make_begin_host(kAddress, {host, "resume"}))), "");
  report(HostState::kRunning, false);
  report(HostState::kPaused, true);
  EXPECT_EQ(World::fault_of(world_.ask(contracts::vhf::make_end_host(kAddress, {host, "resume", true}))), "");
  EXPECT_EQ(state_of("one"), "paused");
  // It goes on by itself.
  report(HostState::kRunning, false);
  EXPECT_EQ(state_of("one"), "running");
  // What a user paused is not followed, whatever a late report says.
  change("pause");
  report(HostState::kRunning, false);
  EXPECT_EQ(state_of("one"), "paused");
}

TEST_F(HostFactoryTest, WhoAbortsLearnsInWhichConversationTheOperationBegan) {
  register_physical("a");
  const auto host = reserve("one");
  const auto work = [&] {
    const auto got = contracts::vhf::parse_get_controller_response(
        world_.ask(contracts::vhf::make_get_controller(kAddress, {host})));
    EXPECT_TRUE(got) << got.error().to_string();
    return got ? got->work : "";
  };
  EXPECT_EQ(work(), "");
  for (const std::string conversation : {"wf-1", "wf-2"}) {
    auto begin = contracts::vhf::make_begin_host(kAddress, {host, "create"});
    begin.conversation = conversation;
    EXPECT_EQ(World::fault_of(world_.ask(std::move(begin))), "");
    EXPECT_EQ(work(), conversation);
    EXPECT_EQ(World::fault_of(world_.ask(contracts::vhf::make_end_host(kAddress, {host, "any", false}))), "");
    EXPECT_EQ(work(), conversation) << "an order of it may still be on its way";
  }
}

TEST_F(HostFactoryTest, WhatWasAbortedDoesNotEndWhatFollows) {
  register_physical("a");
  const auto host = reserve("one");
  const auto ask = [&](exchange::Message request, const std::string& conversation) {
    request.conversation = conversation;
    EXPECT_EQ(World::fault_of(world_.ask(std::move(request))), "") << conversation;
  };
  const auto at_work = [&] {
    const auto got = contracts::vhf::parse_get_virtual_host_response(
        world_.ask(contracts::vhf::make_get_virtual_host(kAddress, {host})));
    return got ? got->host.operation : "?";
  };
  ask(contracts::vhf::make_begin_host(kAddress, {host, "create"}), "wf-1");
  ask(contracts::vhf::make_end_host(kAddress, {host, "any", false}), "wf-abort");
  ask(contracts::vhf::make_begin_host(kAddress, {host, "create"}), "wf-2");
  for (const bool succeeded : {false, true}) {
    ask(contracts::vhf::make_end_host(kAddress, {host, "create", succeeded}), "wf-1");
    EXPECT_EQ(at_work(), "create");
  }
  ask(contracts::vhf::make_end_host(kAddress, {host, "create", true}), "wf-2");
  EXPECT_EQ(at_work(), "");
  EXPECT_EQ(state_of(host), "running");
}

TEST_F(HostFactoryTest, WhatIsDestroyedIsGoneAlsoWhenTheDestructionWasAborted) {
  register_physical("a");
  const auto host = reserve("one");
  EXPECT_EQ(World::fault_of(world_.ask(contracts::vhf::make_begin_host(kAddress, {host, "destroy"}))), "");
  EXPECT_EQ(World::fault_of(world_.ask(contracts::vhf::make_end_host(kAddress, {host, "any", false}))), "");
  EXPECT_EQ(state_of(host), "initial");
  EXPECT_EQ(World::fault_of(world_.ask(contracts::vhf::make_end_host(kAddress, {host, "destroy", true}), "vo2")), "");
  EXPECT_EQ(state_of(host), "initial") << "another VO's is not there for who says so";
  EXPECT_EQ(World::fault_of(world_.ask(contracts::vhf::make_end_host(kAddress, {host, "destroy", true}))), "");
  EXPECT_EQ(state_of(host), "destroyed");
  EXPECT_THAT(world_.keys("vhf_host"), IsEmpty());
}

TEST_F(HostFactoryTest, ASingleHostThatIsGoneIsRememberedForAWhile) {
  register_physical("a");
  for (const std::string name : {"one", "two", "three"}) {
    const auto host = reserve(name);
    EXPECT_EQ(state_of(name), "initial");
    destroy(host);
    world_.clock.advance(1s);
    EXPECT_EQ(state_of(name), "destroyed");
    EXPECT_EQ(state_of(host), "destroyed");
    EXPECT_EQ(state_of(name, "vo2"), "not-found");
  }
  EXPECT_EQ(state_of("one"), "not-found") << "two of an organisation are remembered";
  reserve("two");
  EXPECT_EQ(state_of("two"), "initial") << "what is there goes before what is gone";
  world_.advance(12h, 1h);
  EXPECT_EQ(state_of("three"), "not-found");
  EXPECT_THAT(world_.keys("vhf_past"), IsEmpty());
}

TEST_F(HostFactoryTest, AClusterOfAnotherOrganisationIsNotGivenBack) {
  register_physical("a");
  api::ReserveRequest input;
  input.demand.cluster = "vc-1";
  api::NodeRequest node;
  node.name = "head";
  node.cpus = 1;
  node.memory = mib(8);
  input.demand.node.push_back(node);
  api::NetworkRequest network;
  network.name = "net";
  network.addresses = 4;
  input.demand.network.push_back(network);
  ASSERT_EQ(World::fault_of(world_.ask(contracts::vhf::make_reserve(kAddress, input))), "");
  const auto tables = [&] {
    std::vector<std::vector<std::string>> keys;
    for (const auto* table : {"vhf_host", "vhf_member", "vhf_network", "vhf_segment", "vhf_subnet"})
      keys.push_back(world_.keys(table));
    return keys;
  };
  const auto before = tables();
  EXPECT_THAT(before, ::testing::Each(::testing::SizeIs(1)));
  const auto release = [&](const std::string& cluster, const std::string& vo) {
    return World::fault_of(world_.ask(contracts::vhf::make_release(kAddress, {cluster}), vo));
  };
  EXPECT_EQ(release("vc-1", "vo2"), "not-found");
  EXPECT_EQ(tables(), before);
  EXPECT_EQ(release("", "vo2"), "");
  EXPECT_EQ(release("vc-2", "vo1"), "") << "nothing to give back is no error";
  EXPECT_EQ(tables(), before);
  EXPECT_EQ(release("vc-1", "vo1"), "");
  EXPECT_THAT(tables(), ::testing::Each(IsEmpty()));
}

TEST_F(HostFactoryTest, WhereControllersAreIsTold) {
  register_physical("a");
  register_physical("b");
  using Told = std::map<std::string, std::string>;
  const Told both{{"a", "http://a:1/services/a"}, {"b", "http://b:1/services/b"}};
  EXPECT_EQ(controllers_, both);
  controllers_.clear();
  world_.close();
  factory_ = std::make_unique<Factory>(options_);
  world_.open({factory_.get()});
  EXPECT_EQ(controllers_, both) << "before anything else happens";
  api::RegisterPhysicalHostRequest stranger;
  stranger.name = "c";
  stranger.address = "http://c:1/services/c";
  EXPECT_EQ(World::fault_of(world_.ask(contracts::vhf::make_register_physical_host(kAddress, stranger))), "denied");
  EXPECT_EQ(controllers_, both);
  // Who came by a certificate is not on this machine, whatever it says.
  for (const std::string base :
       {"http://127.0.0.1:1", "http+unix://%2Fx.sock", "http://10.0.0.3:1", "HTTPS://c:1", ""}) {
    stranger.address = base + "/services/c";
    auto message = contracts::vhf::make_register_physical_host(kAddress, stranger);
    message.caller = "vhc:c";
    message.reached_at = "https://10.0.0.1:8470";
    EXPECT_EQ(World::fault_of(world_.ask(std::move(message))), "denied") << base;
  }
  EXPECT_EQ(controllers_, both);
  world_.advance(1min, 1min);
  EXPECT_EQ(World::fault_of(world_.ask(contracts::vhf::make_forget_physical_host(kAddress, {"a", false}))), "");
  EXPECT_EQ(controllers_["a"], "");
  world_.advance(12h, 1h);
  EXPECT_EQ(controllers_["b"], "");
}

TEST_F(HostFactoryTest, WhoCameByCertificateIsRegisteredAsLongAsThatCounts) {
  register_physical("a");
  members_ = {"b"};
  const auto join = [&] {
    api::RegisterPhysicalHostRequest input;
    input.name = "b";
    input.address = "https://10.0.0.2:8471/services/b";
    input.interval = 10s;
    auto message = contracts::vhf::make_register_physical_host(kAddress, input);
    message.caller = "vhc:b";
    message.reached_at = "https://10.0.0.1:8470";
    return World::fault_of(world_.ask(std::move(message)));
  };
  const auto end_revoked = [&] {
    world_.post("vhf", [&](exchange::Turn& turn) { return factory_->end_revoked(turn); });
  };
  EXPECT_EQ(join(), "");
  EXPECT_EQ(by_certificate_, (std::map<std::string, bool>{{"a", false}, {"b", true}}));
  end_revoked();
  EXPECT_TRUE(is_alive("b"));
  world_.close();
  by_certificate_.clear();
  factory_ = std::make_unique<Factory>(options_);
  world_.open({factory_.get()});
  EXPECT_EQ(by_certificate_, (std::map<std::string, bool>{{"a", false}, {"b", true}})) << "it is stored";
  members_.clear();
  end_revoked();
  end_revoked();
  EXPECT_THAT(told(), ElementsAre("registered a", "registered b", "silent b")) << "at once, and once";
  EXPECT_TRUE(is_alive("a"));
  EXPECT_FALSE(is_alive("b"));
  // What the door had let in before.
  EXPECT_EQ(renew("b"), "denied");
  EXPECT_EQ(join(), "denied");
  EXPECT_FALSE(is_alive("b"));
  members_ = {"b"};
  EXPECT_EQ(join(), "") << "it has joined anew";
  EXPECT_TRUE(is_alive("b"));
}

TEST_F(HostFactoryTest, AnAddressIsOneControllersAsLongAsItCounts) {
  const auto join = [&](const std::string& name, const std::string& base, bool by_certificate = true) {
    api::RegisterPhysicalHostRequest input;
    input.name = name;
    input.address = base + "/services/" + name;
    input.interval = 10s;
    auto message = contracts::vhf::make_register_physical_host(kAddress, input);
    message.caller = "vhc:" + name;
    if (by_certificate) message.reached_at = "https://10.0.0.1:8470";
    return World::fault_of(world_.ask(std::move(message)));
  };
  const std::string base = "https://10.0.0.2:8471", local = "https://127.0.0.1:8471";
  members_ = {"a", "b"};
  EXPECT_EQ(join("a", base), "");
  EXPECT_EQ(join("b", base), "conflict");
  EXPECT_EQ(join("t", base, false), "conflict");
  EXPECT_FALSE(controllers_.contains("b"));
  EXPECT_EQ(join("a", base), "") << "its own";
  members_ = {"b"};
  EXPECT_EQ(join("b", base), "") << "the certificates of a were withdrawn";
  members_ = {"a", "b"};
  EXPECT_EQ(join("a", base), "conflict");
  world_.advance(1min, 1min);
  EXPECT_EQ(join("a", base), "") << "b is gone";
  // Those of the site's token are within one process, or could be.
  EXPECT_EQ(join("t", local, false), "");
  EXPECT_EQ(join("u", local, false), "");
  EXPECT_EQ(join("b", local), "conflict");
  // Also when no controller of its own is alive, nuraghed's address is its own.
  EXPECT_EQ(join("b", "https://10.0.0.1:8470"), "conflict");
  EXPECT_EQ(join("t", "https://10.0.0.1:8470", false), "") << "a controller within it";
}

TEST_F(HostFactoryTest, AnOlderNuragheDidNotSayHowAControllerCame) {
  register_physical("a");
  for (const bool is_https : {false, true}) {
    world_.close();
    {
      auto row = decode_record<PhysicalRow>(world_.values("vhf_physical").front());
      ASSERT_TRUE(row) << row.error().to_string();
      row->by_certificate.reset();
      if (is_https) row->host.address = "https://10.0.0.2:8471/services/a";
      auto store = store::open_memory(world_.disk);
      const auto table = store->table("vhf_physical");
      ASSERT_TRUE(table);
      auto transaction = store->begin();
      ASSERT_TRUE(transaction);
      ASSERT_TRUE((*transaction)->put(*table, "a", encode_record(*row)));
      ASSERT_TRUE((*transaction)->commit());
    }
    by_certificate_.clear();
    factory_ = std::make_unique<Factory>(options_);
    world_.open({factory_.get()});
    EXPECT_EQ(by_certificate_, (std::map<std::string, bool>{{"a", is_https}}));
    EXPECT_EQ(renew("a"), is_https ? "denied" : "");
  }
}

TEST_F(HostFactoryTest, WhoDoesNotRenewIsToldOnceAndWhoReturnsToo) {
  register_physical("a");
  register_physical("b");
  for (int i = 0; i < 10; ++i) {
    world_.advance(10s, 10s);
    EXPECT_EQ(renew("a"), "");
    if (i < 4) {
      EXPECT_EQ(renew("b"), "");
    }
  }
  EXPECT_THAT(told(), ElementsAre("registered a", "registered b", "silent b"));
  EXPECT_TRUE(is_alive("a"));
  EXPECT_FALSE(is_alive("b"));
  EXPECT_EQ(renew("b"), "");
  EXPECT_TRUE(is_alive("b"));
  EXPECT_THAT(told(), ElementsAre("registered a", "registered b", "silent b", "returned b"));
  world_.advance(1min, 1s);
  EXPECT_THAT(told(), ::testing::Contains("silent a"));
  register_physical("a");
  EXPECT_EQ(told().back(), "returned a") << "who registers again is back, too";
}

TEST_F(HostFactoryTest, WhoIsSilentIsToldWhenTheTimeIsOver) {
  register_physical("a");
  world_.advance(29s, 1s);
  EXPECT_TRUE(is_alive("a"));
  EXPECT_THAT(told(), ElementsAre("registered a"));
  world_.advance(1s, 1s);
  EXPECT_FALSE(is_alive("a"));
  EXPECT_THAT(told(), ElementsAre("registered a", "silent a"));
  EXPECT_EQ(renew("a", 2h), "");
  world_.advance(3h, 1h);
  EXPECT_EQ(renew("a", 1s), "") << "it promises to come more often";
  world_.advance(3s, 1s);
  EXPECT_THAT(told(), ElementsAre("registered a", "silent a", "returned a", "silent a"));
}

TEST_F(HostFactoryTest, WhoLeavesIsToldAtOnceAndOnce) {
  register_physical("a");
  EXPECT_EQ(renew("a", 0s), "");
  EXPECT_FALSE(is_alive("a"));
  EXPECT_THAT(told(), ElementsAre("registered a", "silent a"));
  EXPECT_EQ(renew("a", 0s), "");
  world_.advance(1min, 10s);
  EXPECT_THAT(told(), ElementsAre("registered a", "silent a"));
}

TEST_F(HostFactoryTest, ARestartGivesTimeToWhoWasThereAlone) {
  register_physical("a");
  register_physical("b");
  world_.advance(20s, 10s);
  EXPECT_EQ(renew("a"), "");
  world_.advance(10s, 10s);
  EXPECT_EQ(told().back(), "silent b");
  world_.close();
  world_.clock.advance(1h);
  restart();
  EXPECT_TRUE(is_alive("a")) << "it had no chance to renew";
  EXPECT_FALSE(is_alive("b"));
  world_.advance(29s, 1s);
  EXPECT_EQ(told().back(), "silent b");
  world_.advance(1s, 1s);
  EXPECT_EQ(told().back(), "silent a");
  EXPECT_EQ(renew("b"), "");
  EXPECT_EQ(told().back(), "returned b");
}

TEST_F(HostFactoryTest, WhoIsForgottenIsNotWaitedFor) {
  register_physical("a");
  world_.advance(30s, 10s);
  EXPECT_EQ(World::fault_of(world_.ask(contracts::vhf::make_forget_physical_host(kAddress, {"a", false}))), "");
  register_physical("a");
  EXPECT_THAT(told(), ElementsAre("registered a", "silent a", "forgotten a", "registered a"));
  world_.advance(30s, 10s);
  EXPECT_EQ(told().back(), "silent a");
}

}  // namespace
}  // namespace nuraghe::services::vhf
