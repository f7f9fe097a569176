// Instances that work for other instances: terminating one ends what works for it, killed at any place.
#include <gtest/gtest.h>

#include "bpel/crash_scenarios.hpp"

namespace nuraghe::bpel::testing {
namespace {

const std::string kDown =
    R"(<invoke partnerLink="partner" portType="t:P" operation="start" inputVariable="request" outputVariable="reply"/>)";

// a asks b, b asks c, c asks the partner.
std::map<std::string, std::string> three_deep() {
  const auto asking = [](const std::string& name) {
    return process_text("<sequence>" + kReceive + kDown + kReply + "</sequence>", "", "", "", name);
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

// What a forced end does to c and b: their completed scopes are undone, b's own at once, c's when it is told.
TEST(Nested, AFaultBesideAnInvokeCompensatesWhoIsAsked) {
  const auto all = crash_scenarios();
  const auto found = std::ranges::find(all, "nested_fault", &Scenario::name);
  ASSERT_NE(found, all.end());
  World world(found->files());
  world.send("start", "x", "urn:1");
  world.run();
  ASSERT_EQ(world.partner_trace(), "B C D");
  world.advance(std::chrono::seconds(1));
  const auto trace = world.partner_trace();
  EXPECT_NE(trace.find("UndoB"), std::string::npos) << trace;
  const auto last = trace.find("UndoD");
  ASSERT_NE(last, std::string::npos) << trace;
  EXPECT_LT(last, trace.find("UndoC")) << trace;
  EXPECT_EQ(world.answer_text("urn:1"), "done");
  const std::map<std::string, std::string> expected = {{"p", "completed"}, {"b", "terminated"}, {"c", "terminated"}};
  EXPECT_EQ(states(world), expected);
  world.expect_clean();
  world.expect_replays();
}

TEST(Nested, ExitEndsWhoIsAskedWithoutHandlers) {
  const auto all = crash_scenarios();
  const auto found = std::ranges::find(all, "nested_exit", &Scenario::name);
  ASSERT_NE(found, all.end());
  World world(found->files());
  world.send("start", "x", "urn:1");
  world.run();
  world.advance(std::chrono::seconds(1));
  EXPECT_EQ(world.partner_trace(), "B C D");
  const std::map<std::string, std::string> expected = {{"p", "terminated"}, {"b", "terminated"}, {"c", "terminated"}};
  EXPECT_EQ(states(world), expected);
  world.expect_clean();
  world.expect_replays();
}

// `asking` asks b, whose process is `asked`.
std::map<std::string, std::string> two(const std::string& asking, const std::string& asked) {
  return {{"p.bpel", process_text(asking)},
          {"b.bpel", process_text(asked, "", "", "", "b")},
          {"deploy.xml", R"(<deploy xmlns="urn:nuraghe:deploy:1"><process file="p.bpel">
             <myRole partnerLink="client" path="/svc"/><partnerLink name="partner" address="/processes/b/client"/></process>
             <process file="b.bpel"><myRole partnerLink="client" path="/nowhere"/>
             <partnerLink name="partner" address="/partner"/></process></deploy>)"}};
}
std::string within_a_second(const std::string& end) {
  return "<sequence>" + kReceive + "<scope><faultHandlers><catchAll><empty/></catchAll></faultHandlers><flow>" + kDown +
         "<sequence>" + end + "</sequence></flow></scope>" + set_reply("'done'") + kReply + "</sequence>";
}
const std::string kSecond = "<wait><for>'PT1S'</for></wait>";
const std::string kBad = "<throw faultName=\"t:bad\"/>";

// The step that asks is the one that ceases to wait.
TEST(Nested, ARequestGivenUpBeforeItArrivesMakesNoInstance) {
  World world(two(within_a_second(kBad), round_trip("@call(B)")));
  world.send("start", "x", "urn:1");
  world.run();
  EXPECT_EQ(world.answer_text("urn:1"), "done");
  EXPECT_EQ(world.partner_trace(), "");
  EXPECT_EQ(states(world), (std::map<std::string, std::string>{{"p", "completed"}}));
  world.expect_clean();
  world.expect_replays();
}

// It was on its way when its sender, which goes on, ceased to wait.
TEST(Nested, ALateRequestOfALivingOneMakesNoInstance) {
  const auto asking = "<sequence>" + kReceive +
                      "<scope><faultHandlers><catchAll><empty/></catchAll></faultHandlers><flow>" + kDown +
                      "<sequence>" + kSecond + kBad + "</sequence></flow></scope>" + kSecond + "</sequence>";
  auto files = two(asking, round_trip("@call(B)"));
  auto& deploy = files["deploy.xml"];
  const std::string address = "/processes/b/client";
  deploy.replace(deploy.find(address), address.size(), "http://elsewhere.example.org/b");
  World world(files);
  world.send("start", "x", "urn:1");
  world.run();
  world.advance(std::chrono::seconds(1));
  std::string key;
  {
    auto store = world.open_store(true);
    const auto table = store->table("bpel_child").value();
    const auto rows = store->begin().value()->scan(table, "", "").value();
    ASSERT_EQ(rows.size(), 1U);
    key = rows.front().key;
  }
  exchange::Message late;
  late.conversation = key.substr(0, key.find('\0'));
  late.message_id = key.substr(late.conversation.size() + 1);
  late.to = address;
  late.operation = "start";
  late.body = document(in_text("x"));
  ASSERT_EQ(late.conversation, id_of(world, "p"));
  std::optional<exchange::Message> answer;
  world.router->deliver(late, [&](exchange::Message reply) { answer = std::move(reply); });
  world.run();
  ASSERT_TRUE(answer && answer->fault);
  EXPECT_EQ(answer->fault->code, ErrorCode::kCancelled);
  EXPECT_EQ(world.instances().size(), 1U);
  world.advance(std::chrono::seconds(1));
  EXPECT_EQ(states(world).at("p"), "faulted") << "it has not replied";
  world.expect_clean();
}

// Asked by HTTP through an address that is not known to be this engine's: the tries fail, who was asked is at work.
TEST(Nested, AnInvokeThatGivesUpEndsWhoIsAsked) {
  const auto asking = "<sequence>" + kReceive + "<scope><faultHandlers><catchAll><empty/></catchAll></faultHandlers>" +
                      kDown + "</scope>" + set_reply("'done'") + kReply + kSecond + "</sequence>";
  auto files = two(asking, "<sequence>" + kReceive + "<scope><compensationHandler>@call(Undo)</compensationHandler>" +
                               "@call(Done)</scope><wait><for>'PT1H'</for></wait></sequence>");
  auto& deploy = files["deploy.xml"];
  const std::string address = "/processes/b/client";
  deploy.replace(deploy.find(address), address.size(), "http://elsewhere.example.org/b");
  deploy.replace(deploy.find("<deploy"), 7, "<deploy invoke-deadline=\"3s\"");
  World world(files);
  world.send("start", "x", "urn:1");
  world.run();
  exchange::Message request;
  {
    auto store = world.open_store(true);
    const auto table = store->table("exchange_outbox").value();
    const auto rows = store->begin().value()->scan(table, "", "").value();
    ASSERT_EQ(rows.size(), 1U);
    request.message_id = rows.front().key;
  }
  request.conversation = id_of(world, "p");
  request.to = address;
  request.operation = "start";
  request.body = document(in_text("x"));
  world.router->deliver(request, [](const exchange::Message&) {});
  world.run();
  ASSERT_EQ(world.partner_trace(), "Done");
  for (int i = 0; i < 5; ++i) world.advance(std::chrono::seconds(1));
  EXPECT_EQ(world.answer_text("urn:1"), "done");
  EXPECT_EQ(world.partner_trace(), "Done Undo");
  EXPECT_EQ(states(world), (std::map<std::string, std::string>{{"p", "completed"}, {"b", "terminated"}}));
  EXPECT_EQ(world.rows("bpel_child"), 0U);
  world.expect_clean();
}

TEST(Nested, AHandlerOfAFaultAtWorkIsLeftAlone) {
  World world(two(within_a_second(kSecond + kBad),
                  "<sequence>" + kReceive + "<scope><faultHandlers><catchAll><sequence>" + kSecond + kSecond +
                      "@call(H)</sequence></catchAll></faultHandlers>" + kBad + "</scope>@call(Never)</sequence>"));
  world.send("start", "x", "urn:1");
  world.run();
  for (int i = 0; i < 3; ++i) world.advance(std::chrono::seconds(1));
  EXPECT_EQ(world.partner_trace(), "H");
  const std::map<std::string, std::string> expected = {{"p", "completed"}, {"b", "terminated"}};
  EXPECT_EQ(states(world), expected);
  world.expect_clean();
  world.expect_replays();
}

// It works for nobody any more, but for itself.
TEST(Nested, WhoHasAnsweredGoesOn) {
  const auto asked = "<sequence>" + kReceive + set_reply("'b'") + kReply + kSecond + kSecond + "@call(B)</sequence>";
  World world(two("<sequence>" + kReceive + kDown + kSecond + "<exit/></sequence>", asked));
  world.send("start", "x", "urn:1");
  world.run();
  EXPECT_EQ(world.rows("bpel_child"), 0U);
  for (int i = 0; i < 3; ++i) world.advance(std::chrono::seconds(1));
  EXPECT_EQ(world.partner_trace(), "B");
  const std::map<std::string, std::string> expected = {{"p", "terminated"}, {"b", "completed"}};
  EXPECT_EQ(states(world), expected);
  world.expect_clean();
}

TEST(Nested, ASuspendedOneEndsWhenItIsResumed) {
  World world(two(within_a_second(kSecond + kBad), round_trip("@call(B)")));
  world.script = defer;
  world.send("start", "x", "urn:1");
  world.run();
  const auto id = id_of(world, "b");
  world.administer([&](exchange::Turn& turn) { return world.engine->suspend(turn, id); });
  world.advance(std::chrono::seconds(1));
  EXPECT_EQ(world.answer_text("urn:1"), "done");
  EXPECT_EQ(states(world).at("b"), "suspended");
  world.administer([&](exchange::Turn& turn) { return world.engine->resume(turn, id); });
  EXPECT_EQ(states(world).at("b"), "terminated");
  world.expect_clean();
  world.expect_replays();
}

// Nothing of it is in memory.
TEST(Nested, TerminatingAfterARestartLeavesNothing) {
  World world(process_text(
      "<sequence>" + kReceive + "<flow><wait><for>'PT1H'</for></wait>" +
      R"(<receive partnerLink="client" portType="t:P" operation="more" variable="request"/></flow></sequence>)"));
  world.send("start", "x", "urn:1");
  world.run();
  world.reopen();
  ASSERT_EQ(world.rows("bpel_subscription"), 1U);
  const auto id = id_of(world, "p");
  world.administer([&](exchange::Turn& turn) { return world.engine->terminate(turn, id, "enough"); });
  EXPECT_EQ(world.rows("exchange_timers"), 1U) << "that of the removal of ended instances";
  world.expect_clean();
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
