// Isolated scopes: WS-BPEL 2.0 §12.8.
#include "bpel/runtime/isolation_queue.hpp"

#include <gtest/gtest.h>

#include "bpel/testing.hpp"

namespace nuraghe::bpel {
namespace {

using runtime::Path;
using testing::Answer;
using testing::kReceive;
using testing::kReply;
using testing::process_text;
using testing::round_trip;
using testing::set_reply;
using testing::World;

const std::string kInstance = "wf-1";

const std::string kLog = R"(<variable name="log" type="xsd:string"><from>''</from></variable>
  <variable name="other" type="xsd:string"><from>''</from></variable>)";
std::string append(const std::string& text, const std::string& variable = "log") {
  return "<assign><copy><from>concat($" + variable + ", '" + text + "')</from><to>$" + variable +
         "</to></copy></assign>";
}
std::string look(const std::string& variable = "log") {
  return "<if><condition>string-length($" + variable + ") &gt; 100</condition><empty/></if>";
}
std::string isolated(const std::string& content, const std::string& before = {}, const std::string& inside = {}) {
  return "<scope isolated=\"yes\">" + before + inside + "<sequence>" + content + "</sequence></scope>";
}
Answer defer(const std::string&, const exchange::Message&) { return {Answer::Kind::kDefer, ""}; }
std::string replying_log(const std::string& body) {
  return "<sequence>" + kReceive + body + set_reply("$log") + kReply + "</sequence>";
}

TEST(Isolation, ScopesThatWriteTheSameVariableRunOneAfterTheOther) {
  World world(process_text(replying_log("<flow>" + isolated(append("a") + "@call(A)" + append("b")) +
                                        isolated(append("c") + "@call(B)" + append("d")) + "</flow>"),
                           "", kLog));
  world.script = defer;
  const auto id = world.request("start", "x");
  EXPECT_EQ(world.partner_trace(), "A");
  world.reopen();
  EXPECT_EQ(world.partner_trace(), "A");
  world.answer("A");
  EXPECT_EQ(world.partner_trace(), "A B");
  world.reopen();
  world.answer("B");
  world.send("start", "x", id);
  world.run();
  EXPECT_EQ(world.answer_text(id), "abcd");
  world.expect_clean();
  world.expect_replays();
}

TEST(Isolation, OnlyConflictsWait) {
  const auto both = [](const std::string& first, const std::string& second) {
    World world(process_text(replying_log("<flow>" + isolated(first + "@call(A)") + isolated(second + "@call(B)") +
                                          "<scope>" + append("n") + "</scope></flow>"),
                             "", kLog));
    world.script = defer;
    world.request("start", "x");
    return world.partner_trace();
  };
  EXPECT_EQ(both(append("a"), append("b")), "A");
  EXPECT_EQ(both(append("a"), look()), "A");
  EXPECT_EQ(both(look(), append("b")), "A");
  EXPECT_EQ(both(look(), look()), "A B");
  EXPECT_EQ(both(append("a"), append("b", "other")), "A B");
}

TEST(Isolation, CorrelationSetsAndPartnerLinksAreShared) {
  const std::string to_partner =
      "<assign><copy><from partnerLink=\"partner\" endpointReference=\"partnerRole\"/><to partnerLink=\"partner\"/>"
      "</copy></assign>";
  World world(
      process_text(round_trip("<flow>" + isolated(to_partner + "@call(A)") + isolated("@call(B)") + "</flow>")));
  world.script = defer;
  world.request("start", "x");
  EXPECT_EQ(world.partner_trace(), "A");
  world.answer("A");
  EXPECT_EQ(world.partner_trace(), "A B");
}

TEST(Isolation, BranchesOfAParallelForEachDoNotMixTheirSteps) {
  World world(process_text(
      replying_log("<forEach counterName=\"i\" parallel=\"yes\"><startCounterValue>1</startCounterValue>"
                   "<finalCounterValue>5</finalCounterValue><scope isolated=\"yes\"><variables><variable name=\"seen\" "
                   "type=\"xsd:string\"><from>$log</from></variable></variables><sequence>@call(A)<assign><copy><from>"
                   "concat($seen, $i)</from><to>$log</to></copy></assign></sequence></scope></forEach>"),
      "", kLog));
  EXPECT_EQ(world.answer_text(world.request("start", "x")), "12345");
  world.expect_clean();
  world.expect_replays();
}

TEST(Isolation, FaultHandlersRunUnderTheLocksOfTheirScope) {
  World world(process_text(replying_log("<flow>" +
                                        isolated(append("a") + "<throw faultName=\"t:bad\"/>",
                                                 "<faultHandlers><catchAll><sequence>@call(F)" + append("f") +
                                                     "</sequence></catchAll></faultHandlers>") +
                                        isolated(append("b")) + "</flow>"),
                           "", kLog));
  world.script = defer;
  const auto id = world.request("start", "x");
  world.reopen();
  world.answer("F");
  world.send("start", "x", id);
  world.run();
  EXPECT_EQ(world.answer_text(id), "afb");
  world.expect_clean();
  world.expect_replays();
}

TEST(Isolation, LocksAreFreedWhenTheFaultIsNotHandled) {
  World world(
      process_text(replying_log("<flow><scope><faultHandlers><catchAll>" + append("o") + "</catchAll></faultHandlers>" +
                                isolated(append("a") + "<throw faultName=\"t:bad\"/>") + "</scope>" +
                                isolated(append("b")) + "</flow>"),
                   "", kLog));
  const auto answer = world.answer_text(world.request("start", "x"));
  EXPECT_EQ(answer.size(), 3U) << answer;
  EXPECT_LT(answer.find('a'), answer.find('o'));
  EXPECT_NE(answer.find('b'), std::string::npos);
  world.expect_clean();
  world.expect_replays();
}

TEST(Isolation, LinksOutOfAnIsolatedScopeAreSeenAtItsEnd) {
  World world(process_text(
      round_trip("<flow><links><link name=\"l\"/></links>" +
                 isolated("<empty name=\"S\"><sources><source linkName=\"l\"/></sources></empty>@call(A)@E") +
                 "<empty name=\"T\"><targets><target linkName=\"l\"/></targets></empty></flow>")));
  world.script = defer;
  world.request("start", "x");
  EXPECT_EQ(world.trace(), "S");
  world.reopen();
  world.answer("A");
  EXPECT_EQ(world.trace(), "S E T");
  world.expect_clean();
  world.expect_replays();
}

TEST(Isolation, OneThatWaitsIsEndedWithoutItsTerminationHandler) {
  World world(process_text(
      replying_log("<scope><faultHandlers><catchAll>@F</catchAll></faultHandlers><flow>" +
                   isolated(append("a") + "@call(A)", "<terminationHandler>@TA</terminationHandler>") +
                   isolated(append("b"), "<terminationHandler>@TB</terminationHandler>") +
                   "<sequence>@call(B)<throw faultName=\"t:bad\"/></sequence></flow></scope>" + isolated(append("z"))),
      "", kLog));
  world.script = defer;
  const auto id = world.request("start", "x");
  world.answer("B");
  EXPECT_EQ(world.trace(), "TA F");
  EXPECT_EQ(world.answer_text(id), "az");
  world.expect_clean();
  world.expect_replays();
}

TEST(Isolation, CompensationHandlersOfIsolatedScopesAreIsolated) {
  World world(process_text(
      replying_log("<flow><scope><faultHandlers><catchAll><compensate/></catchAll></faultHandlers><sequence>" +
                   isolated(append("a"), "<compensationHandler><sequence>" + append("u") + "@call(U)" + append("v") +
                                             "</sequence></compensationHandler>") +
                   "@call(A)<throw faultName=\"t:bad\"/></sequence></scope><sequence>@call(B)" +
                   isolated(append("b") + "@call(C)" + append("c")) + "</sequence></flow>"),
      "", kLog));
  world.script = defer;
  const auto id = world.request("start", "x");
  world.answer("B");
  world.answer("A");
  EXPECT_EQ(world.partner_trace(), "B A C");  // the compensation waits for the scope that runs
  world.reopen();
  world.answer("C");
  world.answer("U");
  world.send("start", "x", id);
  world.run();
  EXPECT_EQ(world.answer_text(id), "abcuv");
  world.expect_clean();
  world.expect_replays();
}

TEST(Isolation, ScopesOfEventHandlersMayBeIsolated) {
  World world(process_text(
      replying_log(
          "<scope><eventHandlers><onAlarm><repeatEvery>'PT1S'</repeatEvery><scope isolated=\"yes\"><sequence>" +
          append("e") + "</sequence></scope></onAlarm></eventHandlers>" +
          isolated(append("a") + "@call(A)" + append("b")) + "</scope>"),
      "", kLog));
  world.script = defer;
  const auto id = world.request("start", "x");
  world.advance(std::chrono::seconds(1));
  world.advance(std::chrono::seconds(1));
  world.answer("A");
  EXPECT_EQ(world.answer_text(id), "abee");
  world.expect_clean();
  world.expect_replays();
}

Path path_of(std::uint32_t number) {
  Path path;
  runtime::append_number(path, number);
  return path;
}

TEST(Isolation, NobodyOvertakesAConflictingOneThatCameEarlier) {
  const auto store = store::open_memory(store::make_memory_disk());
  const auto table = store->table("bpel_isolation").value();
  const auto transaction = store->begin().value();
  runtime::IsolationQueue queue(*transaction, table, kInstance);
  const auto enter = [&](std::uint32_t number, std::vector<std::string> reads, std::vector<std::string> writes) {
    return queue.enter({path_of(number), false, std::move(reads), std::move(writes)}).value();
  };
  EXPECT_TRUE(enter(1, {"x"}, {}));
  EXPECT_FALSE(enter(2, {}, {"x"}));
  EXPECT_FALSE(enter(300, {"x"}, {}));
  EXPECT_FALSE(enter(301, {"x"}, {"z"}));
  EXPECT_TRUE(enter(302, {"y"}, {"q"}));
  EXPECT_FALSE(enter(303, {}, {"x", "y"}));
  EXPECT_FALSE(enter(304, {"x"}, {}));
  EXPECT_TRUE(queue.waits(path_of(2)).value());
  EXPECT_FALSE(queue.waits(path_of(1)).value());
  EXPECT_EQ(queue.leave(path_of(1)).value(), std::vector<Path>{path_of(2)});
  EXPECT_EQ(queue.leave(path_of(2)).value(), (std::vector<Path>{path_of(300), path_of(301)}));
  EXPECT_EQ(queue.leave(path_of(302)).value(), std::vector<Path>());
  EXPECT_EQ(queue.leave(path_of(300)).value(), std::vector<Path>());
  // One that waits goes: those behind it need not wait for it any more.
  EXPECT_EQ(queue.leave(path_of(303)).value(), std::vector<Path>{path_of(304)});
  EXPECT_EQ(queue.leave(path_of(303)).value(), std::vector<Path>());
  EXPECT_EQ(queue.leave(path_of(301)).value(), std::vector<Path>());
  EXPECT_EQ(queue.leave(path_of(304)).value(), std::vector<Path>());
  EXPECT_EQ(transaction->scan(table, kInstance).value().size(), 0U);
}

// What is written for each of many isolated scopes does not grow with the number of those that wait.
TEST(Isolation, ManyThatWaitCostTheSameEach) {
  const auto bytes_of = [](int count) {
    World world(process_text(
        replying_log(
            "<forEach counterName=\"i\" parallel=\"yes\"><startCounterValue>1</startCounterValue>"
            "<finalCounterValue>" +
            std::to_string(count) + "</finalCounterValue>" +
            isolated("<wait><for>'PT1S'</for></wait><assign><copy><from>string(number($log) + 1)</from><to>$log"
                     "</to></copy></assign>") +
            "</forEach>"),
        "", R"(<variable name="log" type="xsd:string"><from>'0'</from></variable>)"));
    const auto id = world.request("start", "x");
    const auto before = world.control->statistics().store.bytes_written;
    for (int i = 0; i < count; ++i) world.advance(std::chrono::seconds(1));
    EXPECT_EQ(world.answer_text(id), std::to_string(count));
    world.expect_clean();
    return static_cast<double>(world.control->statistics().store.bytes_written - before) / count;
  };
  EXPECT_LT(bytes_of(400), 1.3 * bytes_of(100));
}

}  // namespace
}  // namespace nuraghe::bpel
