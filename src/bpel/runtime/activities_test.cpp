// Structured and basic activities: WS-BPEL 2.0 §10 and §11.
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

// Runs a process that replies to one request; the trace of its named activities.
std::string trace_of(const std::string& body, const std::string& before = {}, const std::string& variables = {},
                     const std::string& attributes = {}) {
  World world(process_text(round_trip(body), before, variables, attributes));
  const auto id = world.request("start", "x");
  EXPECT_EQ(world.answer_text(id), "done");
  world.expect_clean();
  world.expect_replays();
  return world.trace();
}

const std::string kNumber = R"(<variable name="n" type="xsd:int"><from>0</from></variable>)";
const std::string kIncrease = R"(<assign><copy><from>$n + 1</from><to>$n</to></copy></assign>)";

TEST(Activities, Sequence) { EXPECT_EQ(trace_of("@A@B<sequence>@C@D</sequence>@E"), "A B C D E"); }

TEST(Activities, IfTakesTheFirstBranchThatHolds) {
  EXPECT_EQ(trace_of("<if><condition>1=2</condition>@A<elseif><condition>1=1</condition>@B</elseif><elseif>"
                     "<condition>1=1</condition>@C</elseif><else>@D</else></if>@E"),
            "B E");
  EXPECT_EQ(trace_of("<if><condition>1=2</condition>@A<else>@D</else></if>"), "D");
  EXPECT_EQ(trace_of("<if><condition>1=2</condition>@A</if>@E"), "E");
}

TEST(Activities, WhileAndRepeatUntil) {
  EXPECT_EQ(trace_of("<while><condition>$n &lt; 3</condition><sequence>@A" + kIncrease + "</sequence></while>@B", "",
                     kNumber),
            "A A A B");
  EXPECT_EQ(trace_of("<while><condition>$n &gt; 3</condition>@A</while>@B", "", kNumber), "B");
  EXPECT_EQ(
      trace_of("<repeatUntil><sequence>@A" + kIncrease + "</sequence><condition>$n &gt;= 1</condition></repeatUntil>@B",
               "", kNumber),
      "A B");
}

TEST(Activities, WaitForAndUntil) {
  World world(
      process_text(round_trip("<wait><for>'PT10S'</for></wait>@A<wait><until>'2026-01-01T01:00:00Z'</until></wait>@B"
                              "<wait><until>'2000-01-01'</until></wait>@C")));
  const auto id = world.request("start", "x");
  EXPECT_EQ(world.trace(), "");
  ASSERT_TRUE(world.next_timer.has_value());
  EXPECT_EQ((*world.next_timer - env::SimClock::kStart), Duration(std::chrono::seconds(10)));
  world.advance(std::chrono::seconds(9));
  EXPECT_EQ(world.trace(), "");
  world.advance(std::chrono::seconds(1));
  EXPECT_EQ(world.trace(), "A");
  world.reopen();
  world.advance(std::chrono::hours(1));
  EXPECT_EQ(world.trace(), "A B C");
  world.send("start", "x", id);
  world.run();
  EXPECT_EQ(world.answer_text(id), "done");
  world.expect_clean();
  world.expect_replays();
}

TEST(Activities, ExitEndsAtOnce) {
  World world(process_text("<sequence>" + kReceive +
                               "<flow><sequence>@call(A)@A</sequence><sequence>@B<exit/></sequence></flow>" +
                               set_reply("'done'") + kReply + "</sequence>",
                           "<faultHandlers><catchAll>@F</catchAll></faultHandlers>"));
  world.script = [](const std::string&, const auto&) { return Answer{Answer::Kind::kDefer, ""}; };
  const auto id = world.request("start", "x");
  EXPECT_EQ(world.trace(), "B");
  EXPECT_NE(world.answer_text(id).find("ended without a reply"), std::string::npos) << world.answer_text(id);
  EXPECT_EQ(world.instances()[0].state, "terminated");
  world.expect_clean();
  world.expect_replays();
}

// ---- forEach ----

std::string for_each(const std::string& parallel, const std::string& from, const std::string& to,
                     const std::string& body, const std::string& condition = {}) {
  return "<forEach counterName=\"i\" parallel=\"" + parallel + "\"><startCounterValue>" + from +
         "</startCounterValue><finalCounterValue>" + to + "</finalCounterValue>" + condition + "<scope name=\"S\">" +
         body + "</scope></forEach>";
}
std::string enough(const std::string& count, bool successful = false) {
  return std::string("<completionCondition><branches") + (successful ? " successfulBranchesOnly=\"yes\"" : "") + ">" +
         count + "</branches></completionCondition>";
}
const std::string kLog = R"(<variable name="log" type="xsd:string"><from>''</from></variable>)";
const std::string kAppend = R"(<assign><copy><from>concat($log, $i)</from><to>$log</to></copy></assign>)";

std::string logged(const std::string& body, const std::string& before = {}) {
  World world(process_text("<sequence>" + kReceive + body + set_reply("$log") + kReply + "</sequence>", before, kLog));
  const auto id = world.request("start", "x");
  world.expect_clean();
  world.expect_replays();
  return world.answer_text(id);
}

TEST(ForEach, CountsInSequenceAndInParallel) {
  EXPECT_EQ(logged(for_each("no", "2", "5", kAppend)), "2345");
  EXPECT_EQ(logged(for_each("yes", "2", "5", kAppend)), "2345");
  EXPECT_EQ(logged(for_each("yes", "5", "2", kAppend)), "");
}

TEST(ForEach, RefusesCountersThatAreNoNumbers) {
  EXPECT_NE(logged(for_each("no", "$request.p", "5", kAppend)).find("invalidExpressionValue"), std::string::npos);
  EXPECT_NE(logged(for_each("no", "0 - string-length($request.p)", "5", kAppend)).find("invalidExpressionValue"),
            std::string::npos);
}

TEST(ForEach, CompletesWhenEnoughBranchesDid) {
  EXPECT_EQ(logged(for_each("no", "1", "9", kAppend, enough("3"))), "123");
  EXPECT_NE(
      logged(for_each("no", "1", "string-length($request.p)", kAppend, enough("3"))).find("invalidBranchCondition"),
      std::string::npos);
}

TEST(ForEach, EndsTheBranchesThatAreNotNeeded) {
  const std::string body =
      R"(<variables><variable name="m" element="t:in"><from><literal><t:in/></literal></from></variable>
      <variable name="o" element="t:out"/></variables><faultHandlers><catchAll>@F</catchAll></faultHandlers>
      <terminationHandler>@T</terminationHandler>
      <sequence><assign><copy><from>$i</from><to>$m</to></copy></assign>
      <invoke partnerLink="partner" portType="t:P" operation="call" inputVariable="m" outputVariable="o"/>@A</sequence>)";
  World world(process_text(round_trip(for_each("yes", "1", "4", body, enough("2")))));
  world.script = [](const std::string&, const auto&) { return Answer{Answer::Kind::kDefer, ""}; };
  const auto id = world.request("start", "x");
  EXPECT_EQ(world.log->requests.size(), 4U);
  world.answer("3");
  EXPECT_EQ(world.trace(), "A");
  world.answer("1");
  EXPECT_EQ(world.trace(), "A A T T");
  EXPECT_EQ(world.answer_text(id), "done");
  world.answer("2");  // comes too late and means nothing
  world.expect_clean();
  world.expect_replays();
}

TEST(ForEach, CompletionThatCannotBeReachedIsAFault) {
  const std::string body = R"(<faultHandlers><catchAll>@F</catchAll></faultHandlers><throw faultName="t:bad"/>)";
  World world(process_text(round_trip(for_each("no", "1", "3", body, enough("2", true))),
                           "<faultHandlers><catch faultName=\"bpel:completionConditionFailure\">" + std::string("@C") +
                               "</catch></faultHandlers>"));
  world.request("start", "x");
  EXPECT_EQ(world.trace(), "F F C");
  world.expect_clean();
  world.expect_replays();
}

TEST(ForEach, ManyBranchesTouchOnlyTheirOwnRows) {
  const std::string body =
      R"(<variables><variable name="m" element="t:in"><from><literal><t:in/></literal></from></variable>
      <variable name="o" element="t:out"/></variables>
      <sequence><assign><copy><from>$i</from><to>$m</to></copy></assign>
      <invoke partnerLink="partner" portType="t:P" operation="call" inputVariable="m" outputVariable="o"/></sequence>)";
  double per_branch[2] = {0, 0};
  const int sizes[2] = {50, 400};
  for (int k = 0; k < 2; ++k) {
    World world(process_text(round_trip(for_each("yes", "1", std::to_string(sizes[k]), body))));
    const auto id = world.request("start", "x");
    EXPECT_EQ(world.answer_text(id), "done");
    const auto statistics = world.control->statistics();
    per_branch[k] = static_cast<double>(statistics.store.bytes_written) / sizes[k];
    world.expect_clean();
  }
  EXPECT_LT(per_branch[1], per_branch[0] * 1.5) << "bytes written per branch must not grow with the number of branches";
}

// ---- flow and links (§11.6) ----

TEST(Flow, RunsBranchesAndWaitsForAll) {
  World world(
      process_text(round_trip("<flow><sequence>@call(A)@A</sequence><sequence>@call(B)@B</sequence></flow>@E")));
  world.script = [](const std::string&, const auto&) { return Answer{Answer::Kind::kDefer, ""}; };
  const auto id = world.request("start", "x");
  world.answer("B");
  EXPECT_EQ(world.trace(), "B");
  world.reopen();
  world.answer("A");
  EXPECT_EQ(world.trace(), "B A E");
  world.send("start", "x", id);
  world.run();
  EXPECT_EQ(world.answer_text(id), "done");
  world.expect_clean();
  world.expect_replays();
}

std::string linked(const std::string& name, const std::string& targets, const std::string& sources) {
  return "<empty name=\"" + name + "\">" + (targets.empty() ? "" : "<targets>" + targets + "</targets>") +
         (sources.empty() ? "" : "<sources>" + sources + "</sources>") + "</empty>";
}
std::string target(const std::string& link) { return "<target linkName=\"" + link + "\"/>"; }
std::string source(const std::string& link, const std::string& condition = {}) {
  return "<source linkName=\"" + link + "\">" +
         (condition.empty() ? "" : "<transitionCondition>" + condition + "</transitionCondition>") + "</source>";
}
std::string links(const std::string& names) {
  std::string out = "<links>";
  for (const char c : names) out += std::string("<link name=\"") + c + "\"/>";
  return out + "</links>";
}

TEST(Flow, LinksOrderActivities) {
  EXPECT_EQ(trace_of("<flow>" + links("ab") + linked("Z", target("b"), "") + linked("Y", target("a"), source("b")) +
                     linked("X", "", source("a")) + "</flow>"),
            "X Y Z");
}

TEST(Flow, JoinConditionsDecide) {
  const auto flow = [](const std::string& join, const std::string& a, const std::string& b) {
    return "<flow suppressJoinFailure=\"yes\">" + links("ab") + linked("X", "", source("a", a)) +
           linked("Y", "", source("b", b)) +
           linked("Z", (join.empty() ? "" : "<joinCondition>" + join + "</joinCondition>") + target("a") + target("b"),
                  "") +
           "</flow>@E";
  };
  EXPECT_EQ(trace_of(flow("", "true()", "false()")), "X Y Z E");
  EXPECT_EQ(trace_of(flow("", "false()", "false()")), "X Y E");
  EXPECT_EQ(trace_of(flow("$a and $b", "true()", "false()")), "X Y E");
  EXPECT_EQ(trace_of(flow("$a and not($b)", "true()", "false()")), "X Y Z E");
}

TEST(Flow, DeadPathsAreEliminated) {
  // Y is skipped, so its link b is false and Z is skipped too; W hears of both.
  EXPECT_EQ(trace_of("<flow suppressJoinFailure=\"yes\">" + links("abcd") +
                     linked("X", "", source("a", "false()") + source("d")) + linked("Y", target("a"), source("b")) +
                     linked("Z", target("b"), source("c")) + linked("W", target("c") + target("d"), "") + "</flow>@E"),
            "X W E");
}

TEST(Flow, BranchesNotTakenSetTheirLinksFalse) {
  EXPECT_EQ(trace_of("<flow suppressJoinFailure=\"yes\">" + links("ab") + "<if><condition>1=1</condition>" +
                     linked("X", "", source("a")) + "<else>" + linked("Y", "", source("b")) + "</else></if>" +
                     linked("P", target("a"), "") + linked("Q", target("b"), "") + "</flow>@E"),
            "X P E");
}

TEST(Flow, AFalseJoinIsAFaultUnlessSuppressed) {
  const std::string flow =
      "<flow>" + links("a") + linked("X", "", source("a", "false()")) + linked("Y", target("a"), "") + "</flow>";
  EXPECT_EQ(trace_of("<scope><faultHandlers><catch faultName=\"bpel:joinFailure\">@J</catch></faultHandlers>" + flow +
                     "</scope>@E"),
            "X J E");
}

TEST(Flow, LinksCrossScopes) {
  EXPECT_EQ(
      trace_of("<flow suppressJoinFailure=\"yes\">" + links("ab") + "<scope><sequence>" + linked("X", "", source("a")) +
               "@M</sequence></scope><scope><sequence>" + linked("Y", target("a"), source("b")) +
               "</sequence></scope>" + linked("Z", target("b"), "") + "</flow>@E"),
      "X Y M Z E");
}

TEST(Flow, AScopeThatFaultsSetsItsLinksFalse) {
  EXPECT_EQ(
      trace_of("<flow suppressJoinFailure=\"yes\">" + links("ab") +
               "<scope><faultHandlers><catchAll>@F</catchAll></faultHandlers><sequence><throw faultName=\"t:bad\"/>" +
               linked("X", "", source("a")) + "</sequence></scope>" + linked("Y", target("a"), source("b")) +
               linked("Z", "<joinCondition>not($b)</joinCondition>" + target("b"), "") + "</flow>@E"),
      "F Z E");
}

// ---- pick (§11.5) ----

const std::string kSets = R"(<correlationSets><correlationSet name="c" properties="t:id"/></correlationSets>)";
const std::string kReceiveSet =
    R"(<receive partnerLink="client" portType="t:P" operation="start" variable="request" createInstance="yes">
       <correlations><correlation set="c" initiate="yes"/></correlations></receive>)";
const std::string kPick =
    R"(<pick><onMessage partnerLink="client" portType="t:P" operation="more" variable="request">
         <correlations><correlation set="c"/></correlations><sequence>@M
         <reply partnerLink="client" portType="t:P" operation="more" variable="reply"/></sequence></onMessage>
       <onAlarm><for>'PT5S'</for>@T</onAlarm></pick>)";

TEST(Pick, TakesTheMessageOrTheAlarm) {
  const auto process =
      process_text("<sequence>" + kReceiveSet + set_reply("'done'") + kPick + kReply + "</sequence>", kSets);
  World world(process);
  const auto first = world.request("start", "<id>1</id>");
  const auto second = world.request("start", "<id>2</id>");
  const auto more = world.request("more", "<id>2</id>");
  EXPECT_EQ(world.trace(), "M");
  EXPECT_EQ(world.answer_text(more), "done");
  EXPECT_EQ(world.answer_text(second), "done");
  EXPECT_EQ(world.answer_text(first), "none");
  world.advance(std::chrono::seconds(5));
  EXPECT_EQ(world.trace(), "M T");
  EXPECT_EQ(world.answer_text(first), "done");
  EXPECT_FALSE(world.next_timer && *world.next_timer < world.clock.now() + std::chrono::hours(1));
  world.expect_clean();
  world.expect_replays();
}

TEST(Pick, CreatesInstances) {
  World world(process_text(
      R"(<pick createInstance="yes"><onMessage partnerLink="client" portType="t:P" operation="start" variable="request">@S</onMessage>
         <onMessage partnerLink="client" portType="t:P" operation="note" variable="request">@N</onMessage></pick>)"));
  world.request("note", "x");
  EXPECT_EQ(world.trace(), "N");
  EXPECT_EQ(world.instances()[0].state, "completed");
  world.expect_clean();
}

TEST(Extensions, AnActivityThatNobodyMustUnderstandIsEmpty) {
  std::string text =
      process_text(round_trip("<flow><links><link name=\"l\"/></links><extensionActivity><x:think "
                              "xmlns:x=\"urn:x\" name=\"T\" x:hard=\"yes\">"
                              "<sources><source linkName=\"l\"/></sources><x:more/><receive "
                              "partnerLink=\"none\" operation=\"none\"/></x:think>"
                              "</extensionActivity><empty name=\"A\" xmlns:y=\"urn:y\" "
                              "y:z=\"1\"><targets><target linkName=\"l\"/></targets>"
                              "<y:note/></empty></flow>"));
  text.insert(text.find("<import"), "<extensions><extension namespace=\"urn:x\" mustUnderstand=\"no\"/></extensions>");
  World world(text);
  EXPECT_EQ(world.answer_text(world.request("start", "x")), "done");
  EXPECT_EQ(world.trace(), "A");
  world.expect_clean();
}

}  // namespace
}  // namespace nuraghe::bpel
