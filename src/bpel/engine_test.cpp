#include "bpel/engine.hpp"

#include <gtest/gtest.h>

#include <ctime>

#include "bpel/testing.hpp"

namespace nuraghe::bpel {
namespace {

using testing::Answer;
using testing::kReceive;
using testing::kReply;
using testing::process_text;
using testing::round_trip;
using testing::set_reply;
using testing::World;

TEST(Engine, AnswersARequest) {
  World world(
      process_text("<sequence>" + kReceive + set_reply("concat('hello ', $request.p)") + kReply + "</sequence>"));
  const auto id = world.request("start", "you");
  EXPECT_EQ(world.answer_text(id), "hello you");
  const auto all = world.instances();
  ASSERT_EQ(all.size(), 1U);
  EXPECT_EQ(all[0].state, "completed");
  EXPECT_EQ(all[0].vo, "vo1");
  world.expect_clean();
  world.expect_replays();
}

TEST(Engine, InvokesAPartner) {
  World world(process_text("<sequence>" + kReceive + "@call(A)" + set_reply("$out_A") + kReply + "</sequence>"));
  const auto id = world.request("start", "x");
  EXPECT_EQ(world.answer_text(id), "A");
  ASSERT_EQ(world.log->requests.size(), 1U);
  EXPECT_EQ(world.log->requests[0].vo, "vo1");
  EXPECT_EQ(world.log->requests[0].caller, "tester");
  EXPECT_EQ(world.log->requests[0].conversation, world.instances()[0].id);
  world.expect_clean();
  world.expect_replays();
}

TEST(Engine, OperationsThatNobodyServesAreRefused) {
  World world(process_text(round_trip("@A")));
  const auto id = world.request("more", "x");
  ASSERT_TRUE(world.answers[id].fault.has_value());
  EXPECT_EQ(world.answers[id].fault->code, ErrorCode::kNotFound);
}

Answer later(const std::string&, const exchange::Message&) { return {Answer::Kind::kDefer, ""}; }
const std::string kSets = R"(<correlationSets><correlationSet name="c" properties="t:id"/></correlationSets>)";

TEST(Engine, SuspendedInstancesKeepTheirEvents) {
  World world(process_text(round_trip("<flow>@call(A)@call(B)</flow>@Z")));
  world.script = later;
  const auto request = world.request("start", "x");
  const auto id = world.instances()[0].id;
  world.administer([&](exchange::Turn& turn) { return world.engine->suspend(turn, id); });
  EXPECT_EQ(world.instances()[0].state, "suspended");
  world.answer("A");
  world.reopen();
  world.answer("B");
  EXPECT_EQ(world.trace(), "");
  EXPECT_EQ(world.rows("bpel_held"), 2U);
  world.administer([&](exchange::Turn& turn) { return world.engine->resume(turn, id); });
  EXPECT_EQ(world.trace(), "Z");
  EXPECT_EQ(world.instances()[0].state, "completed");
  world.expect_clean();
  world.expect_replays();
  world.administer([&](exchange::Turn& turn) -> Status {
    const auto again = world.engine->suspend(turn, id);
    EXPECT_FALSE(again);
    EXPECT_EQ(again.error().code(), ErrorCode::kConflict);
    EXPECT_EQ(world.engine->resume(turn, "wf-nobody").error().code(), ErrorCode::kNotFound);
    return {};
  });
}

TEST(Engine, TerminatingAnswersAndForgets) {
  World world(
      process_text(round_trip("<scope><terminationHandler>@T</terminationHandler><flow>@call(A)<wait><for>'PT1H'</for>"
                              "</wait></flow></scope>")));
  world.script = later;
  const auto request = world.request("start", "x");
  const auto id = world.instances()[0].id;
  world.administer([&](exchange::Turn& turn) { return world.engine->terminate(turn, id, "by its operator"); });
  ASSERT_TRUE(world.answers[request].fault.has_value());
  EXPECT_EQ(world.answers[request].fault->code, ErrorCode::kCancelled);
  EXPECT_NE(world.answer_text(request).find("by its operator"), std::string::npos);
  EXPECT_EQ(world.instances()[0].state, "terminated");
  EXPECT_EQ(world.trace(), "");
  world.answer("A");
  world.advance(std::chrono::hours(2));
  world.expect_clean();
  world.expect_replays();
}

TEST(Engine, ShowsWhatIsActive) {
  World world(process_text(round_trip("<scope name=\"S\"><sequence>@call(A)</sequence></scope>")));
  world.script = later;
  world.request("start", "x");
  const auto id = world.instances()[0].id;
  world.administer([&](exchange::Turn& turn) -> Status {
    TRY_ASSIGN(const auto details, world.engine->show(turn, id));
    EXPECT_EQ(details.summary.state, "running");
    const auto& last = details.activities.back();
    EXPECT_EQ(last.kind, "invoke");
    EXPECT_EQ(last.name, "A");
    EXPECT_EQ(last.state, "waiting");
    EXPECT_EQ(last.file, "p.bpel");
    EXPECT_EQ(last.line, 1);
    EXPECT_TRUE(std::any_of(details.variables.begin(), details.variables.end(),
                            [](const auto& variable) { return variable.name == "request" && variable.part == "p"; }));
    EXPECT_EQ(details.history.size(), 1U);
    EXPECT_EQ(details.history[0].kind, "create");
    EXPECT_EQ(details.history[0].operation, "start");
    EXPECT_EQ(world.engine->show(turn, id, "vo2").error().code(), ErrorCode::kNotFound);
    return {};
  });
}

TEST(Engine, ListsByOrganisation) {
  World world(process_text(round_trip("@A")));
  world.send("start", "x", "", "vo1");
  world.send("start", "x", "", "vo2");
  world.run();
  world.administer([&](exchange::Turn& turn) -> Status {
    TRY_ASSIGN(const auto all, world.engine->list(turn, {}));
    EXPECT_EQ(all.size(), 2U);
    Engine::Filter filter;
    filter.vo = "vo2";
    TRY_ASSIGN(const auto own, world.engine->list(turn, filter));
    EXPECT_EQ(own.size(), 1U);
    EXPECT_EQ(own[0].vo, "vo2");
    return {};
  });
}

TEST(Engine, TellsWhichConversationsLive) {
  World world(process_text(round_trip("@call(A)")));
  world.script = later;
  world.request("start", "x");
  const auto id = world.instances()[0].id;
  EXPECT_TRUE(world.engine->conversation_probe()(id));
  world.reopen();
  const auto probe = world.engine->conversation_probe();
  EXPECT_TRUE(probe(id));
  EXPECT_FALSE(probe("wf-other"));
  world.answer("A");
  EXPECT_FALSE(probe(id));
}

TEST(Engine, PublishesFaults) {
  World world(process_text(round_trip("<throw faultName=\"t:bad\"/>")));
  world.request("start", "x");
  std::vector<exchange::Event> events;
  world.control->read_events(0, 100, [&](std::vector<exchange::Event> found) { events = std::move(found); });
  world.run();
  ASSERT_EQ(events.size(), 1U);
  EXPECT_EQ(events[0].kind, "workflow.fault");
  EXPECT_EQ(events[0].vo, "vo1");
  EXPECT_EQ(events[0].attributes.at("fault"), "{urn:t}bad");
}

TEST(Engine, OfEndedInstancesTheNewestAreKept) {
  World world(process_text(round_trip("@A")));
  world.options.history_limit = 3;
  for (int i = 0; i < 500; ++i) {
    world.send("start", "x");
    if (i % 50 == 0) world.advance(std::chrono::seconds(1));
  }
  world.run();
  EXPECT_EQ(world.rows("bpel_instance"), 3U);
  EXPECT_EQ(world.rows("bpel_ended"), 3U);
  EXPECT_EQ(world.rows("bpel_history"), 3U);
  world.reopen();
  world.request("start", "x");
  EXPECT_EQ(world.rows("bpel_instance"), 3U);
}

TEST(Engine, AnUndoneTurnKeepsNoEndedInstanceForEver) {
  World world(process_text(round_trip("@A")));
  world.options.history_retention = std::chrono::hours(1);
  world.request("start", "x");
  const auto undo = [&] {
    world.control->post(
        "engine", [](exchange::Turn&) { return Status(conflict("undone")); }, [](Status) {});
    world.run();
  };
  undo();
  world.advance(std::chrono::minutes(30));
  world.request("start", "x");
  undo();
  EXPECT_EQ(world.rows("bpel_instance"), 2U);
  world.advance(std::chrono::minutes(31));
  EXPECT_EQ(world.rows("bpel_instance"), 1U);
  world.advance(std::chrono::minutes(31));
  EXPECT_EQ(world.rows("bpel_instance"), 0U);
}

// The turn that would have set the timer is undone; the next one that ends an instance sets it.
TEST(Engine, TheTimerOfAnUndoneTurnIsSetAgain) {
  World world(process_text(round_trip("@A")));
  world.options.history_retention = std::chrono::hours(1);
  world.open();
  world.run();
  store::set_memory_disk_limit(*world.disk, {1});
  world.send("start", "x");
  world.run();
  store::set_memory_disk_limit(*world.disk, {});
  world.advance(std::chrono::seconds(10));
  world.request("start", "x");
  EXPECT_GE(world.rows("bpel_ended"), 1U);
  world.advance(std::chrono::hours(2));
  EXPECT_EQ(world.rows("bpel_ended"), 0U);
  EXPECT_EQ(world.rows("bpel_instance"), 0U);
}

TEST(Engine, ALoopWithoutEndStarvesNobody) {
  World world(process_text("<sequence>" + kReceive +
                           "<if><condition>$request.p = 'loop'</condition><while><condition>true()</condition>"
                           "<empty/></while></if>" +
                           set_reply("'done'") + kReply + "</sequence>"));
  world.options.limits.activities_per_turn = 100;
  world.open();
  world.send("start", "loop");
  const auto other = world.send("start", "x");
  // The loop goes on by itself for ever: end it from a turn of its own.
  std::string id;
  int turns = 0;
  std::function<void()> next = [&] {
    world.control->post(
        "engine",
        [&](exchange::Turn& turn) -> Status {
          Engine::Filter filter;
          filter.running_only = true;
          TRY_ASSIGN(const auto running, world.engine->list(turn, filter));
          if (++turns < 10 || running.empty()) return {};
          return world.engine->terminate(turn, running[0].id, "enough");
        },
        [&](Status) {
          if (turns < 10) next();
        });
  };
  next();
  world.run();
  EXPECT_EQ(world.answer_text(other), "done");
  EXPECT_GE(turns, 10);
  world.expect_clean();
  world.expect_replays();
}

TEST(Engine, NewVersionsTakeNewInstances) {
  World world(process_text(round_trip("@call(A)" + set_reply("'x'") + "<wait><for>'PT1S'</for></wait>")));
  world.script = later;
  const auto old = world.request("start", "x");
  const auto first = world.engine->processes();
  ASSERT_EQ(first.size(), 1U);
  world.close();
  world.add({{"p.bpel", process_text("<sequence>" + kReceive + set_reply("'second'") + kReply + "</sequence>")}});
  world.open();
  world.run();
  EXPECT_EQ(world.engine->processes().size(), 2U);
  EXPECT_EQ(world.answer_text(world.request("start", "y")), "second");
  world.send("start", "x", old);
  world.answer("A");
  world.advance(std::chrono::seconds(1));
  EXPECT_EQ(world.answer_text(old), "done");
  world.reopen();
  ASSERT_EQ(world.engine->processes().size(), 1U) << "the old version is forgotten when nobody runs it";
  EXPECT_EQ(world.engine->processes()[0].version, 2);
  world.reopen();
  EXPECT_EQ(world.engine->processes()[0].version, 2) << "an equal package is no new version";
}

TEST(Engine, EachPartnerLinkHasAPathOfItsOwn) {
  World world(process_text(round_trip("@A")));
  const auto own = world.send("start", "x", {}, "vo1", "/processes/p/client");
  world.run();
  EXPECT_EQ(world.answer_text(own), "done");
  const auto nobody = world.send("start", "x", {}, "vo1", "/processes/p/partner");
  world.run();
  ASSERT_TRUE(world.answers[nobody].fault.has_value());
  EXPECT_EQ(world.answers[nobody].fault->code, ErrorCode::kNotFound);
}

// By the shared path as by its own one: the instance that waits gets its message.
TEST(Engine, AnOldVersionsInstanceIsReachedByBothPaths) {
  const auto waiting = [](const std::string& answer) {
    return process_text(
        "<sequence>" + kReceive + set_reply("'begun'") + kReply +
            "<receive partnerLink=\"client\" portType=\"t:P\" operation=\"more\" variable=\"request\">"
            "<correlations><correlation set=\"key\"/></correlations></receive>" +
            set_reply("'" + answer + "'") +
            "<reply partnerLink=\"client\" portType=\"t:P\" operation=\"more\" variable=\"reply\"/></sequence>",
        "<correlationSets><correlationSet name=\"key\" properties=\"t:id\"/></correlationSets>");
  };
  auto begin = waiting("first");
  const std::string plain = kReceive;
  auto correlated = plain;
  correlated.replace(correlated.find("/>"), 2,
                     "><correlations><correlation set=\"key\" initiate=\"yes\"/></correlations></receive>");
  const auto with = [&](std::string text) { return text.replace(text.find(plain), plain.size(), correlated); };
  World world(with(begin));
  const std::string a = "<id xmlns='urn:t'>a</id>", b = "<id xmlns='urn:t'>b</id>", c = "<id xmlns='urn:t'>c</id>";
  for (const auto& id : {a, b}) EXPECT_EQ(world.answer_text(world.request("start", id)), "begun");
  world.close();
  world.add({{"p.bpel", with(waiting("second"))}});
  world.open();
  EXPECT_EQ(world.answer_text(world.request("start", c)), "begun");
  EXPECT_EQ(world.answer_text(world.request("more", a)), "first");
  const auto own = world.send("more", b, {}, "vo1", "/processes/p/client");
  world.run();
  EXPECT_EQ(world.answer_text(own), "first");
  EXPECT_EQ(world.answer_text(world.request("more", c)), "second");
}

TEST(Engine, TheNewestOfTwoPackagesTakesNewInstances) {
  const auto answering = [](const std::string& answer) {
    return process_text("<sequence>" + kReceive + set_reply("'" + answer + "'") + kReply + "</sequence>");
  };
  World world(answering("old"));
  EXPECT_EQ(world.answer_text(world.request("start", "x")), "old");
  world.administer([&](exchange::Turn& turn) -> Status {
    const Package files{{{"a.bpel", answering("new")},
                         {"t.wsdl", std::string(testing::kWsdl)},
                         {"fault.xsd", std::string(testing::kFaultSchema)},
                         {"deploy.xml", std::string(testing::kDeploy)}}};
    TRY_ASSIGN(const auto deployed, world.engine->deploy(turn, *Engine::prepare("another", files)));
    EXPECT_TRUE(deployed.accepted);
    return {};
  });
  EXPECT_EQ(world.answer_text(world.request("start", "x")), "new");
  world.administer([&](exchange::Turn& turn) { return world.engine->undeploy(turn, "another"); });
  EXPECT_EQ(world.answer_text(world.request("start", "x")), "old");
}

// What ended is replayed by the version that ran it, as long as it is remembered.
TEST(Engine, AVersionIsStoredWhileAnInstanceOfItIsRemembered) {
  World world(process_text(round_trip("@A")));
  EXPECT_EQ(world.answer_text(world.request("start", "x")), "done");
  world.close();
  world.add({{"p.bpel", process_text(round_trip("@B"))}});
  world.open();
  world.run();
  ASSERT_EQ(world.engine->processes().size(), 1U);
  EXPECT_EQ(world.rows("bpel_process"), 2U);
  world.expect_replays();
  world.advance(std::chrono::hours(24 * 8));
  world.reopen();
  EXPECT_EQ(world.rows("bpel_process"), 1U);
}

TEST(Engine, AProcessWhoseFileIsGoneIsNotStarted) {
  const auto more = process_text(
      "<sequence><receive partnerLink=\"client\" portType=\"t:P\" operation=\"more\" variable=\"request\" "
      "createInstance=\"yes\"/>" +
          set_reply("'more'") +
          "<reply partnerLink=\"client\" portType=\"t:P\" operation=\"more\" variable=\"reply\"/></sequence>",
      "", "", "", "q");
  World world(std::map<std::string, std::string>{{"p.bpel", process_text(round_trip("@A"))}, {"q.bpel", more}});
  EXPECT_EQ(world.answer_text(world.request("start", "x")), "done");
  EXPECT_EQ(world.answer_text(world.request("more", "x")), "more");
  world.close();
  world.add({{"p.bpel", process_text(round_trip("@A"))}});
  world.open();
  EXPECT_EQ(world.answer_text(world.request("start", "x")), "done");
  const auto gone = world.request("more", "x");
  ASSERT_TRUE(world.answers[gone].fault.has_value());
  EXPECT_EQ(world.answers[gone].fault->code, ErrorCode::kNotFound);
}

TEST(Engine, RefusesBrokenPackages) {
  Engine engine;
  const auto deployment = engine.deploy(
      "broken", {{{"p.bpel", "<process/>"}, {"deploy.xml", "<deploy xmlns=\"urn:nuraghe:deploy:1\"><x/></deploy>"}}});
  EXPECT_FALSE(deployment.accepted);
  EXPECT_GE(deployment.diagnostics.size(), 2U);
  EXPECT_FALSE(engine.deploy("empty", {}).accepted);
}

TEST(Engine, WaitingInstancesTakeNoMemory) {
  World world(process_text(
      "<sequence><receive partnerLink=\"client\" portType=\"t:P\" operation=\"start\" variable=\"request\" "
      "createInstance=\"yes\"><correlations><correlation set=\"c\" initiate=\"yes\"/></correlations></receive>" +
          set_reply("'one'") + kReply +
          "<receive partnerLink=\"client\" portType=\"t:P\" operation=\"more\" variable=\"request\"><correlations>"
          "<correlation set=\"c\"/></correlations></receive>" +
          set_reply("concat('more ', $request.p)") +
          "<reply partnerLink=\"client\" portType=\"t:P\" operation=\"more\" variable=\"reply\"/></sequence>",
      kSets));
  world.options.cache = Bytes{20'000};
  for (int i = 0; i < 200; ++i) world.request("start", "<id>" + std::to_string(i) + "</id>");
  EXPECT_LT(world.engine->cached_instances(), 50U);
  EXPECT_EQ(world.answer_text(world.request("more", "<id>3</id>")), "more 3");
  EXPECT_EQ(world.answer_text(world.request("more", "<id>199</id>")), "more 199");
  world.expect_replays();
}

TEST(Engine, HistoryIsKeptForAWhile) {
  World world(process_text(round_trip("@A")));
  world.options.history_retention = std::chrono::hours(1);
  world.request("start", "x");
  EXPECT_EQ(world.rows("bpel_history"), 1U);
  world.advance(std::chrono::minutes(59));
  EXPECT_EQ(world.rows("bpel_instance"), 1U);
  world.advance(std::chrono::minutes(2));
  EXPECT_EQ(world.rows("bpel_instance"), 0U);
  EXPECT_EQ(world.rows("bpel_history"), 0U);
  EXPECT_EQ(world.rows("bpel_ended"), 0U);
}

TEST(Engine, HistoryCanBeOff) {
  World world(process_text(round_trip("@call(A)")));
  world.options.history_retention = Duration(0);
  EXPECT_EQ(world.answer_text(world.request("start", "x")), "done");
  EXPECT_EQ(world.rows("bpel_history"), 0U);
  EXPECT_EQ(world.rows("bpel_instance"), 0U);
}

// The cost of a branch: printed, not judged; `bench/run` judges.
TEST(Engine, CostOfAParallelBranch) {
  const std::string body =
      R"(<forEach counterName="i" parallel="yes"><startCounterValue>1</startCounterValue><finalCounterValue>1000</finalCounterValue>
         <scope><variables><variable name="m" element="t:in"><from><literal><t:in/></literal></from></variable>
         <variable name="o" element="t:out"/></variables><sequence><assign><copy><from>$i</from><to>$m</to></copy></assign>
         <invoke partnerLink="partner" portType="t:P" operation="call" inputVariable="m" outputVariable="o"/></sequence></scope></forEach>)";
  World world(process_text(round_trip(body)));
  world.options.observer = nullptr;
  world.run();
  const auto before = std::clock();
  const auto id = world.request("start", "x");
  const double seconds = static_cast<double>(std::clock() - before) / CLOCKS_PER_SEC;
  EXPECT_EQ(world.answer_text(id), "done");
  std::printf("parallel forEach of 1000 invokes: %.3f ms CPU a branch\n", seconds);
}

}  // namespace
}  // namespace nuraghe::bpel
