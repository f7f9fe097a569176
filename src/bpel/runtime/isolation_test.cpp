// Isolated scopes: WS-BPEL 2.0 §12.8.
#include "bpel/runtime/isolation.hpp"

#include <gtest/gtest.h>

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

TEST(Isolation, NobodyOvertakesAConflictingOneThatCameEarlier) {
  using runtime::IsolationRow;
  std::vector<IsolationRow> rows = {
      {"1", true, {"x"}, {}}, {"2", false, {}, {"x"}}, {"3", false, {"x"}, {}}, {"4", false, {"y"}, {"z"}}};
  EXPECT_EQ(runtime::grant_isolation(rows), std::vector<std::string>{"4"});
  rows.erase(rows.begin());
  EXPECT_EQ(runtime::grant_isolation(rows), std::vector<std::string>{"2"});
  rows.erase(rows.begin());
  EXPECT_EQ(runtime::grant_isolation(rows), std::vector<std::string>{"3"});
}

}  // namespace
}  // namespace nuraghe::bpel
