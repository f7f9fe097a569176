#include "services/vcf/lease.hpp"

#include <gmock/gmock.h>

#include "contracts/vcm.hpp"
#include "services/testing.hpp"
#include "services/vcf/vcf.hpp"

namespace nuraghe::services::vcf {
namespace {

using ::testing::AllOf;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using World = services::testing::World;
using namespace std::chrono_literals;

const std::string kAddress = "/services/vcf";

xml::DocumentPtr document(const std::string& text) {
  auto parsed = xml::Document::parse(text);
  EXPECT_TRUE(parsed) << text;
  return std::move(*parsed).share();
}

// The Virtual Cluster Manager as far as leases need it: takes orders, and answers when the test says so.
class ManagerDouble final : public exchange::Actor {
 public:
  std::string_view name() const override { return "vcm"; }
  Status open(store::Store&) override { return {}; }
  Status on_start(exchange::Turn&) override { return {}; }
  Status on_request(exchange::Turn&, const exchange::Message& request) override {
    orders.push_back(request);
    return {};
  }
  Status on_reply(exchange::Turn&, const exchange::Message&, std::string_view) override { return {}; }
  Status on_timer(exchange::Turn&, std::string_view) override { return {}; }
  Status on_job(exchange::Turn&, const exchange::Job&, const Result<std::string>&) override { return {}; }
  Result<std::string> run_job(const exchange::Job&, exchange::JobContext&) override { return internal("no jobs"); }

  std::vector<exchange::Message> orders;
};

class LeaseTest : public ::testing::Test {
 protected:
  LeaseTest() { open(); }
  void open() {
    factory_ = std::make_unique<Factory>(FactoryOptions{});
    manager_ = std::make_unique<ManagerDouble>();
    world_.open({factory_.get(), manager_.get()});
  }
  // nuraghed is away for a while.
  void away(Duration span) {
    world_.close();
    world_.clock.advance(span);
    open();
  }

  std::string plan(const std::string& lease, const std::string& on_failure = "undo") {
    api::PlanRequest input;
    input.request.blueprint = document(R"(<cluster xmlns="urn:nuraghe:cluster:1" name="a" on-failure=")" + on_failure +
                                       R"("><network name="private"/><node name="head">
        <configuration xmlns="urn:nuraghe:node:1"><image name="tiny"/><memory>8MiB</memory></configuration></node>)" +
                                       lease + "</cluster>");
    contracts::vhir::Image image;
    image.name = "tiny";
    image.version = "1";
    input.catalogue.image = {image};
    const auto planned = contracts::vcf::parse_plan_response(world_.ask(contracts::vcf::make_plan(kAddress, input)));
    EXPECT_TRUE(planned) << planned.error().to_string();
    return planned ? planned->cluster : "";
  }
  void end(const std::string& operation, bool succeeded = true) {
    api::EndRequest input;
    input.cluster = id_;
    input.operation = operation;
    input.succeeded = succeeded;
    if (!succeeded) input.reason = "no room";
    EXPECT_EQ(World::fault_of(world_.ask(contracts::vcf::make_end(kAddress, input))), "");
  }
  std::string begin(const std::string& operation) {
    const auto reply = world_.ask(contracts::vcf::make_begin(kAddress, {id_, operation}));
    return reply.fault ? reply.fault->reason : "";
  }
  void change(const std::string& operation) {
    EXPECT_EQ(begin(operation), "");
    end(operation);
  }
  void make_running(const std::string& lease) {
    id_ = plan(lease);
    end("create");
  }
  api::Cluster cluster() {
    const auto got =
        contracts::vcf::parse_get_cluster_response(world_.ask(contracts::vcf::make_get_cluster(kAddress, {id_})));
    EXPECT_TRUE(got);
    return got ? got->cluster : api::Cluster();
  }
  exchange::Message set(std::optional<TimePoint> time, std::optional<api::LeaseEnding> ending = {},
                        const std::string& vo = "vo1") {
    return world_.ask(contracts::vcf::make_set_lease(kAddress, {id_, time, ending}), vo);
  }
  exchange::Message extend(std::optional<Duration> by, const std::string& vo = "vo1") {
    return world_.ask(contracts::vcf::make_extend_lease(kAddress, {id_, by}), vo);
  }
  // Events of leases as KIND, in order, since it was last asked.
  std::vector<std::string> lease_events() {
    std::vector<std::string> kinds;
    world_.read_events(seen_, [&](const exchange::Event& event) {
      seen_ = event.sequence;
      if (event.kind.starts_with("cluster.lease")) kinds.push_back(event.kind), last_text_ = event.text;
    });
    return kinds;
  }
  // Answers the manager's newest order: as its workflow does after the operation has ended.
  void answer_order(bool succeeded) {
    ASSERT_FALSE(manager_->orders.empty());
    const std::string order = manager_->orders.back().message_id;
    world_.post("vcm", [&](exchange::Turn& turn) {
      if (succeeded) return turn.reply(order, document(R"(<end_leaseResponse xmlns="urn:nuraghe:vcm:1"/>)"));
      return turn.reply_fault(order, exchange::fault_of(exhausted("the disk is full"), "vhc a", turn.now()));
    });
  }
  std::string ordered() const {
    if (manager_->orders.empty()) return "nothing";
    const auto& order = manager_->orders.back();
    EXPECT_EQ(order.vo, "vo1");
    EXPECT_EQ(order.body->root().text(), id_ + (order.body->root().text().ends_with("destroy") ? "destroy" : "freeze"));
    return order.body->root().text().ends_with("destroy") ? "destroy" : "freeze";
  }

  World world_;
  std::unique_ptr<Factory> factory_;
  std::unique_ptr<ManagerDouble> manager_;
  std::string id_;
  std::int64_t seen_ = 0;
  std::string last_text_;
};

TEST_F(LeaseTest, BeginsWhenTheClusterRunsAndFreezesItAtItsEnd) {
  id_ = plan(R"(<lease duration="PT10H"/>)");
  EXPECT_FALSE(cluster().lease_end);
  world_.advance(30min, 10min);
  end("create");
  const auto start = world_.clock.now();
  EXPECT_EQ(cluster().lease_end, start + 10h);
  EXPECT_EQ(cluster().lease_ending, api::LeaseEnding::kFreeze);
  world_.advance(9h - 1s, 30min);
  EXPECT_THAT(lease_events(), IsEmpty());
  world_.advance(1s, 1s);
  EXPECT_THAT(lease_events(), ElementsAre("cluster.lease-ending")) << "an hour before, as usual";
  EXPECT_THAT(last_text_, AllOf(HasSubstr("in 1 h 00 min"), HasSubstr("nuraghe extend a")));
  world_.advance(1h - 1s, 30min);
  EXPECT_EQ(ordered(), "nothing");
  world_.advance(1s, 1s);
  EXPECT_EQ(ordered(), "freeze");
  EXPECT_THAT(lease_events(), IsEmpty());
  change("freeze");
  answer_order(true);
  EXPECT_THAT(lease_events(), ElementsAre("cluster.lease-ended"));
  EXPECT_THAT(last_text_, HasSubstr("it is frozen"));
  world_.advance(48h, 1h);
  EXPECT_EQ(manager_->orders.size(), 1U) << "it is over";
}

TEST_F(LeaseTest, DestroysWhereTheBlueprintSaysSoAndNothingStays) {
  make_running(R"(<lease duration="PT10M" at-end="destroy" notice="PT0S"/>)");
  EXPECT_EQ(cluster().lease_ending, api::LeaseEnding::kDestroy);
  world_.advance(10min, 1min);
  EXPECT_THAT(lease_events(), IsEmpty()) << "no notice was wanted";
  EXPECT_EQ(ordered(), "destroy");
  change("destroy");
  answer_order(true);
  EXPECT_THAT(world_.keys("vcf_lease"), IsEmpty());
  EXPECT_EQ(cluster().state, api::ClusterState::kDestroyed);
  EXPECT_TRUE(cluster().lease_end) << "what is gone still tells it";
}

TEST_F(LeaseTest, WithoutALeaseNothingEndsAClusterAndNoRowIsKept) {
  make_running("");
  world_.advance(2000h, 100h);
  EXPECT_FALSE(cluster().lease_end);
  EXPECT_THAT(world_.keys("vcf_lease"), IsEmpty());
  EXPECT_EQ(ordered(), "nothing");
}

TEST_F(LeaseTest, WaitsForTheOperationAtWork) {
  make_running(R"(<lease duration="PT1H"/>)");
  EXPECT_EQ(begin("pause"), "");
  world_.advance(2h, 10min);
  EXPECT_EQ(ordered(), "nothing");
  end("pause");
  EXPECT_EQ(ordered(), "freeze") << "a paused cluster too holds memory";
  change("freeze");
  answer_order(true);
  EXPECT_THAT(lease_events(), ElementsAre("cluster.lease-ending", "cluster.lease-ended"));
}

TEST_F(LeaseTest, AClusterThatIsFrozenAlreadyIsLeftSo) {
  make_running(R"(<lease duration="PT1H"/>)");
  change("freeze");
  world_.advance(2h, 10min);
  EXPECT_EQ(ordered(), "nothing");
  EXPECT_THAT(lease_events(), ElementsAre("cluster.lease-ending", "cluster.lease-ended"));
  EXPECT_THAT(last_text_, HasSubstr("frozen already"));
}

TEST_F(LeaseTest, ABrokenClusterCannotBeFrozenAndIsSaidSoOnce) {
  id_ = plan(R"(<lease duration="PT1H"/>)", "keep");
  end("create", false);
  EXPECT_EQ(cluster().state, api::ClusterState::kBroken);
  world_.advance(5h, 10min);
  EXPECT_EQ(ordered(), "nothing");
  EXPECT_THAT(lease_events(), ElementsAre("cluster.lease-ending", "cluster.lease-ended"));
  EXPECT_THAT(last_text_, HasSubstr("is broken and cannot be frozen"));
}

TEST_F(LeaseTest, ABrokenClusterIsDestroyedWhereTheBlueprintSaysSo) {
  id_ = plan(R"(<lease duration="PT1H" at-end="destroy"/>)", "keep");
  end("create", false);
  world_.advance(1h, 10min);
  EXPECT_EQ(ordered(), "destroy");
}

TEST_F(LeaseTest, AFailureIsRepeatedWithGrowingPausesUntilItSucceeds) {
  make_running(R"(<lease duration="PT1H" notice="PT0S"/>)");
  world_.advance(1h, 10min);
  for (std::int64_t failures = 1; failures <= 9; ++failures) {
    ASSERT_EQ(manager_->orders.size(), static_cast<std::size_t>(failures));
    answer_order(false);
    ASSERT_THAT(lease_events(), ElementsAre("cluster.lease-failed"));
    EXPECT_THAT(last_text_, AllOf(HasSubstr("the disk is full"), HasSubstr("tried again in")));
    const Duration pause = pause_after(failures);
    world_.advance(pause - 1s, 10min);
    EXPECT_EQ(manager_->orders.size(), static_cast<std::size_t>(failures));
    world_.advance(1s, 1s);
  }
  EXPECT_EQ(pause_after(1), 1min);
  EXPECT_EQ(pause_after(2), 2min);
  EXPECT_EQ(pause_after(9), 1h);
  EXPECT_EQ(pause_after(1'000'000), 1h);
  change("freeze");
  answer_order(true);
  EXPECT_THAT(lease_events(), ElementsAre("cluster.lease-ended"));
}

TEST_F(LeaseTest, WhatPassedWhileNuraghedWasAwayIsDoneWhenItIsBack) {
  make_running(R"(<lease duration="PT10H"/>)");
  away(9h + 30min);
  EXPECT_THAT(lease_events(), ElementsAre("cluster.lease-ending"));
  EXPECT_THAT(last_text_, HasSubstr("in 30 min"));
  away(20h);
  EXPECT_EQ(ordered(), "freeze");
  EXPECT_THAT(lease_events(), IsEmpty()) << "there is nothing to announce any more";
  // Killed while the order is at work: it is sent again, under its own id.
  const auto id = manager_->orders.back().message_id;
  away(1min);
  change("freeze");
  world_.post("vcm", [&](exchange::Turn& turn) {
    return turn.reply(id, document(R"(<end_leaseResponse xmlns="urn:nuraghe:vcm:1"/>)"));
  });
  EXPECT_THAT(lease_events(), ElementsAre("cluster.lease-ended"));
}

TEST_F(LeaseTest, AClockThatIsSetBackEndsNothingEarly) {
  make_running(R"(<lease duration="PT10H"/>)");
  const auto end_time = *cluster().lease_end;
  away(-5h);
  world_.advance(14h, 10min);
  EXPECT_EQ(ordered(), "nothing");
  EXPECT_THAT(lease_events(), ElementsAre("cluster.lease-ending"));
  world_.advance(1h, 10min);
  EXPECT_EQ(world_.clock.now(), end_time);
  EXPECT_EQ(ordered(), "freeze");
}

TEST_F(LeaseTest, IsExtended) {
  make_running(R"(<lease duration="PT10H"/>)");
  const auto first = *cluster().lease_end;
  world_.advance(9h, 1h);
  EXPECT_THAT(lease_events(), ElementsAre("cluster.lease-ending"));
  EXPECT_EQ(contracts::vcf::parse_extend_lease_response(extend(2h))->lease_end, first + 2h);
  EXPECT_EQ(contracts::vcf::parse_extend_lease_response(extend({}))->lease_end, first + 12h)
      << "the blueprint's length";
  EXPECT_THAT(lease_events(), ElementsAre("cluster.lease-set", "cluster.lease-set"));
  world_.advance(5h, 1h);
  EXPECT_EQ(ordered(), "nothing");
  world_.advance(7h, 1h);
  EXPECT_THAT(lease_events(), ElementsAre("cluster.lease-ending")) << "announced anew";
  world_.advance(1h, 1h);
  EXPECT_EQ(ordered(), "freeze");
}

TEST_F(LeaseTest, IsSetAndTakenAway) {
  make_running("");
  const auto now = world_.clock.now();
  EXPECT_EQ(World::fault_of(extend({})), "invalid") << "there is no length of the blueprint";
  EXPECT_EQ(World::fault_of(extend(Duration(0))), "invalid");
  EXPECT_EQ(World::fault_of(extend(Duration(-1))), "invalid");
  EXPECT_EQ(World::fault_of(extend(24h * 3651)), "invalid");
  EXPECT_EQ(World::fault_of(set(now)), "invalid");
  EXPECT_EQ(World::fault_of(set(now + 24h * 3651)), "invalid");
  EXPECT_THAT(world_.keys("vcf_lease"), IsEmpty()) << "what is refused changes nothing";
  EXPECT_EQ(World::fault_of(set(now + 3h, api::LeaseEnding::kDestroy)), "");
  EXPECT_EQ(cluster().lease_end, now + 3h);
  EXPECT_EQ(cluster().lease_ending, api::LeaseEnding::kDestroy);
  EXPECT_EQ(World::fault_of(set(now + 4h)), "");
  EXPECT_EQ(cluster().lease_ending, api::LeaseEnding::kDestroy) << "as before";
  EXPECT_EQ(World::fault_of(set({})), "");
  EXPECT_FALSE(cluster().lease_end);
  world_.advance(2000h, 100h);
  EXPECT_EQ(ordered(), "nothing");
}

TEST_F(LeaseTest, WhatIsSetDuringTheCreationGoesBeforeTheBlueprints) {
  id_ = plan(R"(<lease duration="PT10H"/>)");
  EXPECT_EQ(World::fault_of(extend(1h)), "conflict") << "it has not begun";
  const auto end_time = world_.clock.now() + 77h;
  EXPECT_EQ(World::fault_of(set(end_time)), "");
  end("create");
  EXPECT_EQ(cluster().lease_end, end_time);
  EXPECT_EQ(contracts::vcf::parse_extend_lease_response(extend({}))->lease_end, end_time + 10h);
}

TEST_F(LeaseTest, WithoutAnEndTheBlueprintsDoesNotBeginEither) {
  id_ = plan(R"(<lease duration="PT10H"/>)");
  EXPECT_EQ(World::fault_of(set({})), "");
  end("create");
  EXPECT_FALSE(cluster().lease_end);
  EXPECT_EQ(contracts::vcf::parse_extend_lease_response(extend({}))->lease_end, world_.clock.now() + 10h);
}

TEST_F(LeaseTest, AThawNeedsALeaseThatRuns) {
  make_running(R"(<lease duration="PT1H"/>)");
  world_.advance(1h, 10min);
  change("freeze");
  answer_order(true);
  EXPECT_THAT(begin("thaw"), AllOf(HasSubstr("the lease of cluster a ended at"), HasSubstr("nuraghe extend a")));
  EXPECT_EQ(cluster().state, api::ClusterState::kFrozen);
  EXPECT_EQ(World::fault_of(extend(2h)), "");
  EXPECT_EQ(cluster().lease_end, world_.clock.now() + 2h) << "from now on, not from the old end";
  change("thaw");
  world_.advance(2h, 10min);
  EXPECT_EQ(manager_->orders.size(), 2U) << "the new one ends too";
}

TEST_F(LeaseTest, ExtendedWhileItIsFrozenTheNewEndCounts) {
  make_running(R"(<lease duration="PT1H" notice="PT0S"/>)");
  world_.advance(1h, 10min);
  EXPECT_EQ(begin("freeze"), "");
  EXPECT_EQ(World::fault_of(extend(5h)), "");
  end("freeze");
  answer_order(true);
  EXPECT_THAT(lease_events(), ElementsAre("cluster.lease-set"));
  EXPECT_EQ(begin("thaw"), "");
  end("thaw");
  world_.advance(5h, 1h);
  EXPECT_EQ(manager_->orders.size(), 2U);
}

TEST_F(LeaseTest, AnotherOrganisationSeesNoneOfIt) {
  make_running(R"(<lease duration="PT1H"/>)");
  const auto before = cluster().lease_end;
  EXPECT_EQ(World::fault_of(extend(1h, "vo2")), "not-found");
  EXPECT_EQ(World::fault_of(set({}, {}, "vo2")), "not-found");
  EXPECT_EQ(cluster().lease_end, before);
}

}  // namespace
}  // namespace nuraghe::services::vcf
