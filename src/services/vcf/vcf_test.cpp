#include "services/vcf/vcf.hpp"

#include <gmock/gmock.h>

#include "model/blueprint.hpp"
#include "services/testing.hpp"

namespace nuraghe::services::vcf {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::SizeIs;
using World = services::testing::World;
using namespace std::chrono_literals;

const std::string kAddress = "/services/vcf";

xml::DocumentPtr document(const std::string& text) {
  auto parsed = xml::Document::parse(text);
  EXPECT_TRUE(parsed) << text;
  return std::move(*parsed).share();
}

std::string blueprint(const std::string& name, const std::string& on_failure = "undo") {
  return R"(<cluster xmlns="urn:nuraghe:cluster:1" name=")" + name + R"(" on-failure=")" + on_failure +
         R"("><network name="private"/><node name="head"><configuration xmlns="urn:nuraghe:node:1">
         <image name="tiny"/><memory>8MiB</memory></configuration></node></cluster>)";
}

class FactoryTest : public ::testing::Test {
 protected:
  FactoryTest() {
    options_.seed_base = "http://127.0.0.1:1/seeds";
    open();
  }
  void open() {
    factory_ = std::make_unique<Factory>(options_);
    world_.open({factory_.get()});
  }
  void reopen() {
    world_.close();
    open();
  }

  exchange::Message plan(const std::string& text, const std::string& key,
                         const std::string& ssh_key = "ssh-ed25519 A") {
    api::PlanRequest input;
    input.request.blueprint = document(text);
    input.request.authorized_key = {ssh_key};
    if (!key.empty()) input.request.idempotency_key = key;
    contracts::vhir::Image image;
    image.name = "tiny";
    image.version = "1";
    input.catalogue.image = {image};
    return contracts::vcf::make_plan(kAddress, input);
  }
  exchange::Message end(const std::string& cluster, const std::string& operation, bool succeeded) {
    api::EndRequest input;
    input.cluster = cluster;
    input.operation = operation;
    input.succeeded = succeeded;
    if (!succeeded) {
      input.reason = "no room";
      input.fault = exchange::fault_of(exhausted("no room").with("creating host head"), "vhc a", {}).detail;
    }
    return contracts::vcf::make_end(kAddress, input);
  }
  // A cluster that runs; its id.
  std::string make_cluster(const std::string& name, const std::string& key = "") {
    const auto planned = contracts::vcf::parse_plan_response(world_.ask(plan(blueprint(name), key)));
    EXPECT_TRUE(planned);
    EXPECT_EQ(World::fault_of(world_.ask(end(planned->cluster, "create", true))), "");
    return planned->cluster;
  }
  void destroy_cluster(const std::string& id) {
    EXPECT_EQ(World::fault_of(world_.ask(contracts::vcf::make_begin(kAddress, {id, "destroy"}))), "");
    EXPECT_EQ(World::fault_of(world_.ask(end(id, "destroy", true))), "");
  }
  std::string state_of(const std::string& id_or_name) {
    const auto got = contracts::vcf::parse_get_cluster_response(
        world_.ask(contracts::vcf::make_get_cluster(kAddress, {id_or_name})));
    return got ? std::string(api::to_string(got->cluster.state)) : std::string(error_code_name(got.error().code()));
  }

  FactoryOptions options_;
  World world_;
  std::unique_ptr<Factory> factory_;
};

// ---- joining a creation ----

TEST_F(FactoryTest, ARepeatedPlanWaitsForTheCreation) {
  const auto first = contracts::vcf::parse_plan_response(world_.ask(plan(blueprint("a"), "k")));
  ASSERT_TRUE(first);
  EXPECT_FALSE(first->existing);
  const auto second = world_.send(plan(blueprint("a"), "k"));
  EXPECT_FALSE(world_.answers.contains(second));
  reopen();  // who waits is remembered, also when nobody is there to be answered
  EXPECT_EQ(World::fault_of(world_.ask(end(first->cluster, "create", true))), "");
  world_.send(plan(blueprint("a"), "k"), "vo1", second);
  const auto joined = contracts::vcf::parse_plan_response(world_.answers[second]);
  ASSERT_TRUE(joined);
  EXPECT_TRUE(joined->existing);
  EXPECT_EQ(joined->cluster, first->cluster);
  EXPECT_TRUE(joined->grant);
  const auto late = contracts::vcf::parse_plan_response(world_.ask(plan(blueprint("a"), "k")));
  ASSERT_TRUE(late);
  EXPECT_EQ(late->cluster, first->cluster);
}

TEST_F(FactoryTest, WhoWaitsGetsTheFaultOfACreationThatFails) {
  for (const std::string on_failure : {"undo", "keep"}) {
    const auto first = contracts::vcf::parse_plan_response(world_.ask(plan(blueprint("a", on_failure), "k")));
    ASSERT_TRUE(first);
    const auto second = world_.send(plan(blueprint("a", on_failure), "k"));
    world_.ask(end(first->cluster, "create", false));
    ASSERT_TRUE(world_.answers.contains(second));
    const auto& fault = world_.answers[second].fault;
    ASSERT_TRUE(fault);
    EXPECT_EQ(fault->code, ErrorCode::kExhausted);
    EXPECT_THAT(exchange::error_of(*fault).to_string(), HasSubstr("creating host head: no room"));
    EXPECT_THAT(fault->detail->to_string(), HasSubstr("/services/a"));
    // One that is kept still holds the key, and its outcome.
    const auto third = world_.ask(plan(blueprint("a", on_failure), "k"));
    EXPECT_EQ(World::fault_of(third), on_failure == "keep" ? "exhausted" : "");
    if (on_failure == "undo")
      world_.ask(end(contracts::vcf::parse_plan_response(third)->cluster, "create", false));
    else
      EXPECT_EQ(state_of("a"), "broken");
  }
}

TEST_F(FactoryTest, AnotherRequestWithTheKeyIsRefused) {
  make_cluster("a", "k");
  EXPECT_EQ(World::fault_of(world_.ask(plan(blueprint("b"), "k"))), "conflict");
  EXPECT_EQ(World::fault_of(world_.ask(plan(blueprint("a", "keep"), "k"))), "conflict");
  EXPECT_EQ(World::fault_of(world_.ask(plan(blueprint("a"), "k", "ssh-ed25519 B"))), "conflict");
  // Blanks between elements are no difference, and another organisation has keys of its own.
  std::string spaced = blueprint("a");
  spaced.insert(spaced.find("<network"), "\n  ");
  EXPECT_EQ(World::fault_of(world_.ask(plan(spaced, "k"))), "");
  EXPECT_EQ(World::fault_of(world_.ask(plan(blueprint("b"), "k"), "vo2")), "");
}

// ---- findings and the VO ----

TEST_F(FactoryTest, FindingsNameThePlaceThatTheAuthorKnows) {
  const std::string text = "<!-- a blueprint -->\n" + blueprint("a");
  const auto reason = [&](const std::string& sent) {
    const auto reply = world_.ask(plan(sent, ""));
    return reply.fault ? exchange::error_of(*reply.fault).message() : std::string("no fault");
  };
  auto wrong = text;
  wrong.replace(wrong.find("tiny"), 4, "none");
  // The third line of the text, the second of the blueprint as it is sent.
  EXPECT_THAT(reason(wrong), ::testing::StartsWith("blueprint:2:10: image: "));
  const auto parsed = model::parse_blueprint(wrong, "dir/my.xml", {});
  ASSERT_TRUE(parsed.inlined);
  auto sent = parsed.inlined->clone();
  model::write_places(sent.root(), parsed.places);
  EXPECT_THAT(reason(sent.to_string()), ::testing::StartsWith("dir/my.xml:3:10: image: "));
}

TEST_F(FactoryTest, PlacesAreNoPartOfABlueprint) {
  const auto parsed = model::parse_blueprint("\n" + blueprint("a"), "my.xml", {});
  ASSERT_TRUE(parsed.inlined);
  auto sent = parsed.inlined->clone();
  model::write_places(sent.root(), parsed.places);
  EXPECT_EQ(World::fault_of(world_.ask(plan(sent.to_string(), "k"))), "");
  EXPECT_EQ(World::fault_of(world_.ask(plan(blueprint("b"), "k"))), "conflict");
  const auto again = world_.send(plan(blueprint("a"), "k"));
  EXPECT_FALSE(world_.answers.contains(again)) << "it waits for the creation: the request is the same";
}

TEST_F(FactoryTest, ABlueprintIsForTheVoThatTheRequestIsMadeFor) {
  auto text = blueprint("a");
  text.insert(text.find(" name="), " vo=\"vo2\"");
  const auto refused = world_.ask(plan(text, ""));
  ASSERT_EQ(World::fault_of(refused), "denied");
  EXPECT_THAT(refused.fault->reason, HasSubstr("for the VO vo2, and the request is made for vo1"));
  EXPECT_EQ(World::fault_of(world_.ask(plan(text, ""), "vo2")), "");
}

// ---- what is gone ----

TEST_F(FactoryTest, DestroyingWhatIsGoneIsNoError) {
  const auto id = make_cluster("a");
  destroy_cluster(id);
  for (const auto& name : {id, std::string("a")}) {
    EXPECT_EQ(state_of(name), "destroyed");
    const auto begun =
        contracts::vcf::parse_begin_response(world_.ask(contracts::vcf::make_begin(kAddress, {name, "destroy"})));
    ASSERT_TRUE(begun);
    EXPECT_EQ(begun->cluster, id);
    EXPECT_THAT(begun->host, IsEmpty());
    EXPECT_EQ(World::fault_of(world_.ask(contracts::vcf::make_begin(kAddress, {name, "pause"}))), "not-found");
  }
  EXPECT_EQ(World::fault_of(world_.ask(end(id, "destroy", true))), "");
  EXPECT_EQ(World::fault_of(world_.ask(contracts::vcf::make_begin(kAddress, {"nobody", "destroy"}))), "not-found");
  EXPECT_EQ(World::fault_of(world_.ask(contracts::vcf::make_begin(kAddress, {id, "destroy"}), "vo2")), "not-found");
}

TEST_F(FactoryTest, WhatIsGoneIsForgottenInTime) {
  options_.past.count = 3;
  options_.past.age = 48h;
  reopen();
  for (const std::string name : {"a", "b", "c", "d", "e"}) {
    destroy_cluster(make_cluster(name));
    world_.clock.advance(1s);
  }
  EXPECT_EQ(state_of("b"), "not-found");
  EXPECT_EQ(state_of("c"), "destroyed");
  EXPECT_THAT(world_.keys("vcf_past"), SizeIs(3));
  world_.advance(49h, 30min);
  EXPECT_EQ(state_of("e"), "not-found");
  for (const char* table : {"vcf_past", "vcf_past_name", "vcf_past_order", "vcf_past_vo"})
    EXPECT_THAT(world_.keys(table), IsEmpty()) << table;
}

// ---- identities of single hosts ----

class IdentityTest : public FactoryTest {
 protected:
  contracts::vhc::Seed identify() {
    api::IdentifyHostRequest input;
    input.fragment = document(
        R"(<node xmlns="urn:nuraghe:node:1" name="one"><image name="tiny"/><cpus>1</cpus><memory>8MiB</memory></node>)");
    const auto identified =
        contracts::vcf::parse_identify_host_response(world_.ask(contracts::vcf::make_identify_host(kAddress, input)));
    EXPECT_TRUE(identified) << identified.error().to_string();
    fragment_ = identified->fragment;
    return identified->seed;
  }
  std::string assign(const contracts::vhc::Seed& seed, const std::string& host, const std::string& vo = "vo1") {
    return World::fault_of(world_.ask(contracts::vcf::make_assign_identity(kAddress, {seed, host}), vo));
  }
  void release(std::optional<std::string> host, std::optional<contracts::vhc::Seed> seed,
               const std::string& vo = "vo1") {
    EXPECT_EQ(World::fault_of(
                  world_.ask(contracts::vcf::make_release_identity(kAddress, {std::move(host), std::move(seed)}), vo)),
              "");
  }
  void expect_nothing_left() {
    for (const char* table : {"vcf_seed", "vcf_identity", "vcf_identity_of", "vcf_identity_new"})
      EXPECT_THAT(world_.keys(table), IsEmpty()) << table;
  }
  xml::DocumentPtr fragment_;  // as it was identified last
};

TEST_F(IdentityTest, TheSeedKnowsTheManagementNetworkByTheAddressInTheFragment) {
  const auto seed = identify();
  const auto node = model::parse_node_fragment(fragment_->root());
  ASSERT_TRUE(node) << node.error().to_string();
  EXPECT_EQ(node->seed_digest, seed.digest);
  ASSERT_NE(node->management_mac, "");
  std::string all;
  for (const auto& bundle : world_.values("vcf_seed")) all += bundle;
  EXPECT_THAT(all, HasSubstr(node->management_mac)) << "in the network-config";
}

TEST_F(IdentityTest, GoesWithItsHost) {
  const auto seed = identify();
  EXPECT_THAT(world_.keys("vcf_seed"), SizeIs(2));
  EXPECT_EQ(assign(seed, "vh-1"), "");
  EXPECT_EQ(assign(seed, "vh-1"), "") << "repeating is no error";
  EXPECT_EQ(assign(seed, "vh-2"), "conflict");
  release("vh-2", seed);
  release("vh-1", seed, "vo2");
  world_.advance(5h, 30min);
  EXPECT_THAT(world_.keys("vcf_seed"), SizeIs(2)) << "the host has it still";
  release("vh-1", {});
  expect_nothing_left();
  release("vh-1", seed);
}

TEST_F(IdentityTest, IsDiscardedWithoutAHost) {
  const auto seed = identify();
  release({}, seed);
  expect_nothing_left();
  EXPECT_EQ(assign(seed, "vh-1"), "not-found");
}

TEST_F(IdentityTest, IsRemovedWhenNoHostTakesIt) {
  const auto taken = identify();
  identify();
  EXPECT_EQ(assign(taken, "vh-1"), "");
  world_.advance(30min, 30min);
  EXPECT_THAT(world_.keys("vcf_identity"), SizeIs(2));
  reopen();
  world_.advance(2h, 30min);
  EXPECT_THAT(world_.keys("vcf_identity"), SizeIs(1));
  EXPECT_THAT(world_.keys("vcf_identity_of"), ElementsAre("vh-1"));
  EXPECT_THAT(world_.keys("vcf_seed"), SizeIs(2));
}

TEST_F(IdentityTest, SeedsOfOthersAreNoneOfItsBusiness) {
  EXPECT_EQ(assign({"", ""}, "vh-1"), "");
  EXPECT_EQ(assign({"sha256:00", "http://elsewhere/seeds/mine"}, "vh-1"), "");
  expect_nothing_left();
}

// ---- copies of frozen clusters ----

class CopyTest : public FactoryTest {
 protected:
  // A frozen cluster with one host `vh-NAME`, prepared; its id.
  std::string make_frozen(const std::string& name) {
    const auto planned = contracts::vcf::parse_plan_response(world_.ask(plan(blueprint(name), "")));
    EXPECT_TRUE(planned);
    EXPECT_EQ(prepare(planned->cluster, "vh-" + name, 7)->node.size(), 1U);
    EXPECT_EQ(World::fault_of(world_.ask(end(planned->cluster, "create", true))), "");
    EXPECT_EQ(World::fault_of(world_.ask(contracts::vcf::make_begin(kAddress, {planned->cluster, "freeze"}))), "");
    EXPECT_EQ(World::fault_of(world_.ask(end(planned->cluster, "freeze", true))), "");
    return planned->cluster;
  }
  Result<api::PrepareResponse> prepare(const std::string& cluster, const std::string& host, std::int64_t segment) {
    api::PrepareRequest input;
    input.cluster = cluster;
    input.grant.placement = {{"head", host, "a", ""}};
    input.grant.network = {{"private", segment, "10.128.0.0/24"}};
    return contracts::vcf::parse_prepare_response(world_.ask(contracts::vcf::make_prepare(kAddress, input)));
  }
  exchange::Message ask_copy(const std::string& from, const std::string& name, const std::string& key = "",
                             const std::string& vo = "vo1") {
    api::PlanRequest input;
    input.request.from = from;
    input.request.name = name;
    if (!key.empty()) input.request.idempotency_key = key;
    return world_.ask(contracts::vcf::make_plan(kAddress, input), vo);
  }
};

TEST_F(CopyTest, ACopyAsksForTheHostsAndSubnetsOfItsSource) {
  const auto source = make_frozen("a");
  const auto planned = contracts::vcf::parse_plan_response(ask_copy("a", "b"));
  ASSERT_TRUE(planned) << planned.error().to_string();
  ASSERT_THAT(planned->demand.node, SizeIs(1));
  EXPECT_EQ(planned->demand.node.front().from.value_or(""), "vh-a");
  ASSERT_THAT(planned->demand.network, SizeIs(1));
  EXPECT_EQ(planned->demand.network.front().subnet, "10.128.0.0/24");
  const auto prepared = prepare(planned->cluster, "vh-b", 8);
  ASSERT_TRUE(prepared) << prepared.error().to_string();
  const auto& request = prepared->node.front().request;
  EXPECT_EQ(request.from.value_or(""), "vh-a");
  EXPECT_EQ(request.host, "vh-b");
  EXPECT_EQ(request.seed.digest, "") << "that of its source";
  EXPECT_EQ(request.seed.address, options_.seed_base + "/" + planned->cluster);
  // The seeds of the source are the copy's, too, and stay when that is gone.
  EXPECT_THAT(world_.keys("vcf_seed"), SizeIs(4));
  EXPECT_EQ(World::fault_of(world_.ask(end(planned->cluster, "create", true))), "");
  destroy_cluster(source);
  EXPECT_THAT(world_.keys("vcf_seed"), SizeIs(2));
  const auto copy =
      contracts::vcf::parse_get_cluster_response(world_.ask(contracts::vcf::make_get_cluster(kAddress, {"b"})));
  ASSERT_TRUE(copy);
  EXPECT_THAT(copy->cluster.member.front().address, ElementsAre("private=10.128.0.2/24"));
  EXPECT_THAT(copy->cluster.member.front().host_key, HasSubstr("ssh-ed25519"));
}

TEST_F(CopyTest, OnlyOfWhatIsFrozenAndByItsOwners) {
  make_cluster("running");
  make_frozen("a");
  EXPECT_EQ(World::fault_of(ask_copy("running", "b")), "conflict");
  EXPECT_EQ(World::fault_of(ask_copy("nobody", "b")), "not-found");
  EXPECT_EQ(World::fault_of(ask_copy("a", "b", "", "vo2")), "not-found");
  EXPECT_EQ(World::fault_of(ask_copy("a", "No Name")), "invalid");
  EXPECT_EQ(World::fault_of(ask_copy("a", "")), "invalid");
  EXPECT_EQ(World::fault_of(ask_copy("a", "a")), "conflict") << "the name is taken";
  api::PlanRequest both;
  both.request.from = "a";
  both.request.name = "b";
  both.request.blueprint = document(blueprint("b"));
  EXPECT_EQ(World::fault_of(world_.ask(contracts::vcf::make_plan(kAddress, both))), "invalid");
  EXPECT_EQ(World::fault_of(world_.ask(contracts::vcf::make_plan(kAddress, {}))), "invalid") << "neither";
}

TEST_F(CopyTest, ASourceThatIsThawedMeanwhileIsNoSourceAnyMore) {
  const auto source = make_frozen("a");
  const auto planned = contracts::vcf::parse_plan_response(ask_copy("a", "b"));
  ASSERT_TRUE(planned);
  EXPECT_EQ(World::fault_of(world_.ask(contracts::vcf::make_begin(kAddress, {source, "thaw"}))), "");
  EXPECT_EQ(prepare(planned->cluster, "vh-b", 8).error().code(), ErrorCode::kConflict);
}

TEST_F(CopyTest, TheSameKeyAsksForTheSameCopy) {
  make_frozen("a");
  const auto planned = contracts::vcf::parse_plan_response(ask_copy("a", "b", "k"));
  ASSERT_TRUE(planned);
  EXPECT_EQ(World::fault_of(world_.ask(end(planned->cluster, "create", true))), "");
  const auto again = contracts::vcf::parse_plan_response(ask_copy("a", "b", "k"));
  ASSERT_TRUE(again);
  EXPECT_TRUE(again->existing);
  EXPECT_EQ(again->cluster, planned->cluster);
  EXPECT_EQ(World::fault_of(ask_copy("a", "c", "k")), "conflict");
  EXPECT_EQ(World::fault_of(world_.ask(plan(blueprint("b"), "k"))), "conflict") << "another request";
}

TEST_F(CopyTest, AThawTellsWhereTheHostsAreNow) {
  const auto source = make_frozen("a");
  EXPECT_EQ(World::fault_of(world_.ask(contracts::vcf::make_begin(kAddress, {source, "thaw"}))), "");
  api::EndRequest input;
  input.cluster = source;
  input.operation = "thaw";
  input.succeeded = true;
  input.grant.emplace().placement = {{"head", "vh-a", "elsewhere", ""}};
  EXPECT_EQ(World::fault_of(world_.ask(contracts::vcf::make_end(kAddress, input))), "");
  const auto got =
      contracts::vcf::parse_get_cluster_response(world_.ask(contracts::vcf::make_get_cluster(kAddress, {source})));
  ASSERT_TRUE(got);
  EXPECT_EQ(got->cluster.member.front().physical_host, "elsewhere");
}

}  // namespace
}  // namespace nuraghe::services::vcf
