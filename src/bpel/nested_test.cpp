// Instances that work for other instances: terminating one ends what works for it, killed at any place.
#include <gtest/gtest.h>

#include "bpel/testing.hpp"

namespace nuraghe::bpel::testing {
namespace {

const std::string kDown =
    R"(<invoke partnerLink="partner" portType="t:P" operation="start" inputVariable="request" outputVariable="reply"/>)";

// a asks b, b asks c, c asks the partner.
std::map<std::string, std::string> three_deep() {
  const auto asking = [](const std::string& name) {
    // The world's trace knows one process, the first at work: it is the longest here.
    const std::string more = name == "a" ? "<empty/><empty/><empty/><empty/><empty/><empty/>" : "";
    return process_text("<sequence>" + kReceive + kDown + kReply + more + "</sequence>", "", "", "", name);
  };
  return {{"a.bpel", asking("a")},
          {"b.bpel", asking("b")},
          {"c.bpel", process_text(round_trip("@call(C)"), "", "", "", "c")},
          {"deploy.xml", R"(<deploy xmlns="urn:nuraghe:deploy:1"><myRole partnerLink="client" path="/nowhere"/>
             <process file="a.bpel"><partnerLink name="partner" address="/processes/b/client"/></process>
             <process file="b.bpel"><partnerLink name="partner" address="/processes/c/client"/></process>
             <process file="c.bpel"><partnerLink name="partner" address="/partner"/></process></deploy>)"}};
}

std::map<std::string, std::string> states(World& world) {
  std::map<std::string, std::string> found;
  for (const auto& instance : world.instances()) found[instance.process] = instance.state;
  return found;
}

std::string id_of(World& world, const std::string& process) {
  for (const auto& instance : world.instances()) {
    if (instance.process == process) return instance.id;
  }
  return {};
}

const std::map<std::string, std::string> kAllEnded = {{"a", "terminated"}, {"b", "terminated"}, {"c", "terminated"}};
const std::map<std::string, std::string> kAllRun = {{"a", "running"}, {"b", "running"}, {"c", "running"}};

Answer defer(const std::string&, const exchange::Message&) { return {Answer::Kind::kDefer, ""}; }

TEST(Nested, ChildrenAreListed) {
  World world(three_deep());
  world.script = defer;
  world.send("start", "x", "urn:1", "vo1", "/processes/a/client");
  world.run();
  ASSERT_EQ(states(world), kAllRun);
  std::vector<InstanceSummary> children;
  const auto id = id_of(world, "b");
  world.administer([&](exchange::Turn& turn) -> Status {
    TRY_ASSIGN(children, world.engine->children(turn, id, 10));
    return {};
  });
  ASSERT_EQ(children.size(), 1U);
  EXPECT_EQ(children[0].process, "c");
  EXPECT_EQ(children[0].parent, id);
  world.answer("C");
  EXPECT_EQ(world.answer_text("urn:1"), "done");
  world.expect_clean();
  world.expect_replays();
}

TEST(Nested, EndsWithWhoAskedButNotBefore) {
  World world(three_deep());
  world.script = defer;
  world.send("start", "x", "urn:1", "vo1", "/processes/a/client");
  world.run();
  world.administer([&](exchange::Turn& turn) -> Status {
    TRY_ASSIGN(const auto listed, world.engine->list(turn, {}));
    for (const auto& one : listed) {
      if (one.process == "b") return world.engine->terminate(turn, one.id, "enough");
    }
    return internal("b is not there");
  });
  const std::map<std::string, std::string> expected = {{"a", "faulted"}, {"b", "terminated"}, {"c", "terminated"}};
  EXPECT_EQ(states(world), expected) << "who asked gets a fault";
  world.expect_clean();
  world.expect_replays();
}

// The request was on its way when its sender was terminated.
TEST(Nested, ALateRequestOfATerminatedOneMakesNoInstance) {
  World world(three_deep());
  world.script = defer;
  world.send("start", "x", "urn:1", "vo1", "/processes/a/client");
  world.run();
  const auto id = id_of(world, "a");
  world.administer([&](exchange::Turn& turn) { return world.engine->terminate(turn, id, "enough"); });
  ASSERT_EQ(states(world), kAllEnded);
  exchange::Message late;
  late.message_id = "urn:late";
  late.to = "/processes/b/client";
  late.operation = "start";
  late.body = document(in_text("x"));
  late.conversation = id;
  std::optional<exchange::Message> answer;
  world.router->deliver(late, [&](exchange::Message reply) { answer = std::move(reply); });
  world.run();
  ASSERT_TRUE(answer && answer->fault);
  EXPECT_EQ(answer->fault->code, ErrorCode::kCancelled);
  EXPECT_EQ(world.instances().size(), 3U);
}

// Killed at place `at` (0: nowhere), started again, the operator repeating what was not done.
std::map<std::string, std::string> terminate_killed_at(int at, int* places) {
  int passed = 0;
  bool dead = false;
  World world(three_deep());
  world.script = defer;
  world.crash_hook = [&](CrashPoint) {
    if (!dead) dead = ++passed == at;
    return dead;
  };
  world.run();
  passed = 0;
  const auto again = [&](const std::function<void()>& work) {
    work();
    if (!dead) return;
    dead = false;
    at = 0;
    world.close();
    world.open();
    world.run();
    work();
  };
  again([&] {
    world.send("start", "x", "urn:1", "vo1", "/processes/a/client");
    world.run();
  });
  again([&] {
    world.control->post(
        "engine",
        [&](exchange::Turn& turn) -> Status {
          TRY_ASSIGN(const auto listed, world.engine->list(turn, {}));
          for (const auto& one : listed) {
            if (one.process == "a" && one.state == "running") TRY(world.engine->terminate(turn, one.id, "enough"));
          }
          return {};
        },
        [](const Status&) {});
    world.run();
  });
  *places = passed;
  world.reopen();
  world.expect_clean();
  world.expect_replays();
  return states(world);
}

TEST(Nested, ThreeDeepEndTogetherKilledAnywhere) {
  int places = 0;
  ASSERT_EQ(terminate_killed_at(0, &places), kAllEnded);
  ASSERT_GT(places, 6);
  for (int at = 1; at <= places; ++at) {
    int ignored = 0;
    EXPECT_EQ(terminate_killed_at(at, &ignored), kAllEnded) << "killed at place " << at << " of " << places;
  }
}

}  // namespace
}  // namespace nuraghe::bpel::testing
