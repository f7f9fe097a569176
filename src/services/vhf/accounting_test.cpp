#include <gmock/gmock.h>
#include <rapidcheck.h>
#include <rapidcheck/gtest.h>

#include <map>

#include "services/tenant/tenant.hpp"
#include "services/testing.hpp"
#include "services/vhf/vhf.hpp"

namespace nuraghe::services::vhf {
namespace {

using ::testing::HasSubstr;
using World = services::testing::World;
using namespace std::chrono_literals;
namespace tenants = contracts::tenant;

const std::string kAddress = "/services/vhf";
const std::string kTenants = "/services/tenant";

// VHF and tenant service over one store, one large physical host.
class Site {
 public:
  Site() { open(); }
  void open() {
    tenant::ServiceOptions options;
    options.board = &board;
    options.first_vo = "physics";
    factory = std::make_unique<Factory>();
    service = std::make_unique<tenant::Service>(options);
    world.open({factory.get(), service.get()});
    api::RegisterPhysicalHostRequest input;
    input.name = "big";
    input.address = "http://big:1/services/big";
    input.total.cpus = 10'000;
    input.total.memory = gib(10'000);
    input.total.disk = gib(10'000);
    input.interval = 1000h;
    auto message = contracts::vhf::make_register_physical_host(kAddress, input);
    message.caller = "vhc:big";
    EXPECT_EQ(World::fault_of(world.ask(std::move(message))), "");
  }
  void restart() {
    world.close();
    open();
  }
  void limit(const tenants::Quota& quota) {
    EXPECT_EQ(World::fault_of(world.ask(tenants::make_set_quota(kTenants, {"", quota}), "physics")), "");
  }
  tenants::Holding used(const std::string& vo = "physics") {
    const auto response = tenants::parse_get_quota_response(world.ask(tenants::make_get_quota(kTenants, {""}), vo));
    EXPECT_TRUE(response) << response.error().to_string();
    return response ? response->used : tenants::Holding{};
  }
  static exchange::Message host(const std::string& name, int cpus = 1, const std::string& caller = "member:marie") {
    auto document =
        xml::Document::parse(R"(<node xmlns="urn:nuraghe:node:1" name=")" + name + R"("><image name="tiny"/><cpus>)" +
                             std::to_string(cpus) + "</cpus><memory>1GiB</memory></node>");
    api::ReserveHostRequest input;
    input.request.fragment = std::move(*document).share();
    auto message = contracts::vhf::make_reserve_host(kAddress, input);
    message.caller = caller;
    return message;
  }
  static exchange::Message cluster(const std::string& id, int hosts, int cpus = 1) {
    api::ReserveRequest input;
    input.demand.cluster = id;
    input.demand.policy = api::Policy::kPack;
    for (int i = 0; i < hosts; ++i) {
      api::NodeRequest node;
      node.name = "n" + std::to_string(i);
      node.cpus = cpus;
      node.memory = gib(1);
      node.disk = gib(2);
      input.demand.node.push_back(node);
    }
    auto message = contracts::vhf::make_reserve(kAddress, input);
    message.caller = "member:marie";
    return message;
  }
  std::string begin(const std::string& host, const std::string& operation, const std::string& vo = "physics") {
    return World::fault_of(world.ask(contracts::vhf::make_begin_host(kAddress, {host, operation}), vo));
  }
  // `saved`: what a freeze wrote.
  std::string end(const std::string& host, bool succeeded = true, std::vector<Bytes> saved = {}) {
    return World::fault_of(
        world.ask(contracts::vhf::make_end_host(kAddress, {host, "any", succeeded, {}, std::move(saved)}), "physics"));
  }
  std::string do_it(const std::string& host, const std::string& operation) {
    const auto fault = begin(host, operation);
    return fault.empty() ? end(host) : fault;
  }
  std::vector<api::VirtualHost> hosts(const std::string& vo = "physics") {
    const auto response = contracts::vhf::parse_list_virtual_hosts_response(
        world.ask(contracts::vhf::make_list_virtual_hosts(kAddress, {}), vo));
    EXPECT_TRUE(response);
    return response ? response->host : std::vector<api::VirtualHost>();
  }

  tenant::AccountBoard board;
  std::unique_ptr<Factory> factory;
  std::unique_ptr<tenant::Service> service;
  World world;
};

tenants::Quota hosts_only(std::int32_t limit) {
  tenants::Quota quota;
  quota.hosts = limit;
  return quota;
}

TEST(Quota, ARefusedReservationTakesNothing) {
  Site site;
  auto quota = hosts_only(5);
  quota.memory = gib(4);
  site.limit(quota);
  EXPECT_EQ(World::fault_of(site.world.ask(Site::cluster("vc-1", 3), "physics")), "");
  const auto reply = site.world.ask(Site::cluster("vc-2", 3), "physics");
  ASSERT_TRUE(reply.fault);
  EXPECT_EQ(reply.fault->code, ErrorCode::kExhausted);
  EXPECT_THAT(reply.fault->reason, HasSubstr("hosts: the limit is 5, 3 are used, 3 more are asked for"));
  EXPECT_THAT(reply.fault->reason, HasSubstr("memory: the limit is 4GiB, 3GiB are used, 3GiB more are asked for"));
  EXPECT_EQ(site.used().hosts, 3);
  EXPECT_EQ(site.used().clusters, 1);
  EXPECT_EQ(site.hosts().size(), 3U);
  // Another VO's limits are its own.
  EXPECT_EQ(World::fault_of(site.world.ask(Site::cluster("vc-3", 9), "chemistry")), "");
  EXPECT_EQ(World::fault_of(site.world.ask(Site::cluster("vc-4", 1), "physics")), "");
  EXPECT_EQ(World::fault_of(site.world.ask(contracts::vhf::make_release(kAddress, {"vc-1"}), "physics")), "");
  EXPECT_EQ(site.used().hosts, 1);
  EXPECT_EQ(site.used().clusters, 1);
  EXPECT_EQ(World::fault_of(site.world.ask(Site::cluster("vc-2", 3), "physics")), "");
}

TEST(Quota, ManyAtOnceDoNotPassIt) {
  Site site;
  site.limit(hosts_only(17));
  std::vector<std::string> sent;
  for (int i = 0; i < 40; ++i)
    sent.push_back(
        site.world.send(i % 2 == 0 ? Site::host("h" + std::to_string(i)) : Site::cluster("vc-" + std::to_string(i), 2),
                        "physics", "", false));
  site.world.run();
  int refused = 0;
  for (const auto& id : sent) refused += World::fault_of(site.world.answers[id]) == "exhausted" ? 1 : 0;
  EXPECT_EQ(site.used().hosts, 17);
  EXPECT_EQ(site.hosts().size(), 17U);
  EXPECT_GT(refused, 20);
  site.restart();
  EXPECT_EQ(site.used().hosts, 17);
  EXPECT_EQ(World::fault_of(site.world.ask(Site::host("late"), "physics")), "exhausted");
}

TEST(Quota, FreezingAndThawingAreJudgedAtTheirBegin) {
  Site site;
  ASSERT_EQ(World::fault_of(site.world.ask(Site::cluster("vc-1", 3), "physics")), "");
  for (const auto& host : site.hosts()) EXPECT_EQ(site.do_it(host.id, "create"), "");
  tenants::Quota quota;
  const Bytes most = gib(1) + gib(2) + mib(64);  // memory, disk, devices
  quota.frozen = most + most;
  quota.cpus = 3;
  site.limit(quota);
  const auto hosts = site.hosts();
  EXPECT_EQ(site.begin(hosts[0].id, "freeze"), "");
  EXPECT_EQ(site.begin(hosts[1].id, "freeze"), "");
  EXPECT_EQ(site.used().frozen, most + most) << "what is being frozen counts already, as much as it may become";
  EXPECT_EQ(site.begin(hosts[2].id, "freeze"), "exhausted");
  EXPECT_EQ(site.end(hosts[0].id, false), "");
  EXPECT_EQ(site.used().frozen, most) << "a freeze that failed holds nothing";
  EXPECT_EQ(site.end(hosts[1].id, true, {mib(300), kib(256), mib(20)}), "");
  EXPECT_EQ(site.used().frozen, mib(320) + kib(256)) << "what is on disk counts";
  EXPECT_EQ(site.begin(hosts[2].id, "freeze"), "") << "and nothing beside";
  EXPECT_EQ(site.end(hosts[2].id, false), "");
  site.restart();
  EXPECT_EQ(site.used().frozen, mib(320) + kib(256));
  EXPECT_EQ(site.used().cpus, 2);
  EXPECT_EQ(World::fault_of(site.world.ask(Site::host("one"), "physics")), "");
  EXPECT_EQ(site.begin(hosts[1].id, "thaw"), "exhausted");
  EXPECT_EQ(site.used().cpus, 3);
}

// What a controller is told of who may not be logged in any more, as LOGIN until SECONDS from now.
std::vector<std::pair<std::string, std::int64_t>> shut_out(Site& site, bool knows_host = true) {
  api::RegisterPhysicalHostRequest input;
  input.name = "big";
  input.address = "http://big:1/services/big";
  input.total.cpus = 10'000;
  input.total.memory = gib(10'000);
  input.total.disk = gib(10'000);
  input.interval = 1000h;
  contracts::vhc::Host host;
  host.id = knows_host ? site.hosts().front().id : "vh-x";
  host.vo = "physics";
  input.host.push_back(host);
  auto message = contracts::vhf::make_register_physical_host(kAddress, input);
  message.caller = "vhc:big";
  const auto response = contracts::vhf::parse_register_physical_host_response(site.world.ask(std::move(message)));
  EXPECT_TRUE(response) << response.error().to_string();
  std::vector<std::pair<std::string, std::int64_t>> out;
  for (const auto& one : response ? response->shut_out : std::vector<api::ShutOut>())
    out.emplace_back(one.login, (one.until - site.world.clock.now()) / 1s);
  return out;
}

TEST(ShutOut, AControllerIsToldWhoMayNotBeLoggedInAnyMore) {
  using Told = std::vector<std::pair<std::string, std::int64_t>>;
  Site site;
  ASSERT_EQ(World::fault_of(site.world.ask(Site::host("one"), "physics")), "");
  EXPECT_EQ(site.do_it(site.hosts().front().id, "create"), "");
  const auto add = [&](const std::string& vo, const std::string& name, tenants::Role role) {
    tenants::AddMemberRequest input{vo, name, role, {}, {}, {"ssh-ed25519 AAAA one", "ssh-ed25519 BBBB two"}};
    EXPECT_EQ(World::fault_of(site.world.ask(tenants::make_add_member(kTenants, input), vo)), "");
  };
  const auto change = [&](const std::string& name, std::optional<tenants::Role> role, std::vector<std::string> keys) {
    tenants::ChangeMemberRequest input{"", name, role, {}, {}, std::move(keys)};
    EXPECT_EQ(World::fault_of(site.world.ask(tenants::make_change_member(kTenants, input), "physics")), "");
  };
  const auto remove = [&](const std::string& vo, const std::string& name) {
    EXPECT_EQ(World::fault_of(site.world.ask(tenants::make_remove_member(kTenants, {vo, name}), vo)), "");
  };
  for (const char* name : {"olga", "rita", "vera"}) add("physics", name, tenants::Role::kOperator);
  add("site", "ada", tenants::Role::kAdministrator);
  EXPECT_EQ(shut_out(site), Told{});
  remove("physics", "olga");
  EXPECT_EQ(shut_out(site), (Told{{"member:olga@physics", 40}}));
  EXPECT_EQ(shut_out(site, false), Told{}) << "of VOs without hosts there it is told nothing";
  site.world.clock.advance(5s);
  remove("site", "ada");
  EXPECT_EQ(shut_out(site), (Told{{"member:olga@physics", 35}, {"administrator:ada@physics", 40}}))
      << "an administrator acts in every VO";
  site.restart();
  EXPECT_EQ(shut_out(site).size(), 2U);
  // Who is back may be another one by that name, or have lost a key: what was opened before is ended.
  add("physics", "olga", tenants::Role::kOperator);
  add("site", "ada", tenants::Role::kAdministrator);
  EXPECT_EQ(shut_out(site), (Told{{"member:olga@physics", 35}, {"administrator:ada@physics", 40}}));
  // A key more is no reason, one less is; so is a role that may not log in.
  change("rita", {}, {"ssh-ed25519 AAAA one", "ssh-ed25519 BBBB two", "ssh-ed25519 CCCC three"});
  change("rita", tenants::Role::kOwner, {});
  EXPECT_EQ(shut_out(site).size(), 2U);
  change("rita", {}, {"ssh-ed25519 CCCC three"});
  change("vera", tenants::Role::kViewer, {});
  const Told all{{"member:olga@physics", 35},
                 {"member:rita@physics", 40},
                 {"member:vera@physics", 40},
                 {"administrator:ada@physics", 40}};
  EXPECT_EQ(shut_out(site), all);
  change("vera", tenants::Role::kOperator, {"ssh-ed25519 DDDD four"});
  EXPECT_EQ(shut_out(site), all);
  // For paused hosts they are kept, but not for ever.
  site.world.clock.advance(29 * 24h);
  EXPECT_EQ(shut_out(site).size(), 4U);
  site.world.clock.advance(2 * 24h);
  EXPECT_EQ(shut_out(site), Told{});
  EXPECT_TRUE(site.world.keys("tenant_shut_out").empty());
}

TEST(Usage, IsOfWhoHadTheHostCreated) {
  Site site;
  ASSERT_EQ(World::fault_of(site.world.ask(Site::host("one", 4), "physics")), "");
  const auto id = site.hosts().front().id;
  EXPECT_EQ(site.do_it(id, "create"), "");
  site.world.clock.advance(2h);
  EXPECT_EQ(site.do_it(id, "pause"), "");
  site.world.clock.advance(1h);
  EXPECT_EQ(site.begin(id, "freeze"), "");
  EXPECT_EQ(site.end(id, true, {mib(700), mib(4), mib(64)}), "");
  EXPECT_EQ(site.used().frozen, mib(768));
  site.world.clock.advance(3h);
  EXPECT_EQ(site.do_it(id, "destroy"), "");
  const auto usage =
      tenants::parse_get_usage_response(site.world.ask(tenants::make_get_usage(kTenants, {"", {}}), "physics"));
  ASSERT_TRUE(usage);
  std::map<std::string, tenants::UsageLine> by_state;
  for (const auto& line : usage->line) {
    EXPECT_EQ(line.member, "member:marie");
    by_state[std::string(contracts::tenant::to_string(line.state))] = line;
  }
  ASSERT_EQ(by_state.size(), 3U);
  EXPECT_DOUBLE_EQ(by_state["running"].cpu_hours, 8);
  EXPECT_DOUBLE_EQ(by_state["paused"].cpu_hours, 4);
  EXPECT_DOUBLE_EQ(by_state["paused"].memory_gib_hours, 1);
  EXPECT_DOUBLE_EQ(by_state["frozen"].cpu_hours, 0);
  EXPECT_DOUBLE_EQ(by_state["frozen"].frozen_gib_hours, 3 * 0.75);
  EXPECT_EQ(site.used(), tenants::Holding{});
  EXPECT_TRUE(
      tenants::parse_get_usage_response(site.world.ask(tenants::make_get_usage(kTenants, {"", "1999-01"}), "physics"))
          ->line.empty());
}

// What is booked is what the rows of the hosts say, after every history, and no limit is ever passed.
RC_GTEST_PROP(Quota, HoldsAfterEveryHistory, ()) {
  Site site;
  tenants::Quota quota;
  quota.hosts = *rc::gen::inRange(1, 12);
  quota.cpus = *rc::gen::inRange(1, 20);
  quota.frozen = gib(*rc::gen::inRange(0, 12));
  quota.clusters = *rc::gen::inRange(1, 6);
  site.limit(quota);
  // Less than a host of 1 GiB may leave behind; none at all is said by a controller that had frozen it before.
  const auto saved = [] {
    return *rc::gen::container<std::vector<Bytes>>(
        *rc::gen::inRange<std::size_t>(0, 4),
        rc::gen::map(rc::gen::inRange(0, 340), [](int size) { return mib(size); }));
  };
  const auto steps = *rc::gen::inRange(5, 40);
  for (int i = 0; i < steps; ++i) {
    const auto hosts = site.hosts();
    const auto what = *rc::gen::inRange(0, 12);
    if (what < 3) {
      site.world.ask(Site::cluster("vc-" + std::to_string(i), *rc::gen::inRange(1, 5), *rc::gen::inRange(1, 4)),
                     "physics");
    } else if (what < 5) {
      site.world.ask(Site::host("h" + std::to_string(i), *rc::gen::inRange(1, 4)), "physics");
    } else if (what == 5) {
      site.restart();
    } else if (!hosts.empty()) {
      const auto& host = hosts[static_cast<std::size_t>(*rc::gen::inRange<int>(0, static_cast<int>(hosts.size())))];
      if (what == 6 && !host.cluster.empty()) {
        site.world.ask(contracts::vhf::make_release(kAddress, {host.cluster}), "physics");
      } else if (what == 7) {
        site.end(host.id, *rc::gen::inRange(0, 2) == 0, saved());
      } else {
        const auto operation =
            *rc::gen::element<std::string>("create", "pause", "resume", "freeze", "thaw", "destroy", "freeze");
        if (site.begin(host.id, operation).empty() && *rc::gen::inRange(0, 3) > 0)
          site.end(host.id, *rc::gen::inRange(0, 4) > 0, saved());
      }
    }
    site.world.clock.advance(1s);
    const auto used = site.used();
    RC_ASSERT(used.hosts == static_cast<int>(site.hosts().size()));
    RC_ASSERT(used.hosts <= *quota.hosts);
    RC_ASSERT(used.cpus <= *quota.cpus);
    RC_ASSERT(used.frozen <= *quota.frozen);
    RC_ASSERT(used.clusters <= *quota.clusters);
    std::set<std::string> clusters;
    int singles = 0;
    for (const auto& host : site.hosts()) {
      if (host.cluster.empty())
        ++singles;
      else
        clusters.insert(host.cluster);
    }
    RC_ASSERT(used.clusters == singles + static_cast<int>(clusters.size()));
    // Counted again from the rows, nothing is different.
    site.restart();
    RC_ASSERT(site.used() == used);
  }
}

}  // namespace
}  // namespace nuraghe::services::vhf
