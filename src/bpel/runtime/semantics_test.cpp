// What the text of WS-BPEL 2.0 says in passing: message exchanges (§10.4.1), events (§12.7), order of compensation
// (§12.5.2), termination (§12.6), links through structured activities (§11.6), completion conditions (§11.7).
#include <gmock/gmock.h>
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

const std::string kThrow = "<throw faultName=\"t:bad\"/>";
const std::string kSets = R"(<correlationSets><correlationSet name="c" properties="t:id"/></correlationSets>)";
const std::string kCreate =
    R"(<receive partnerLink="client" portType="t:P" operation="start" variable="request" createInstance="yes">
       <correlations><correlation set="c" initiate="yes"/></correlations></receive>)";
std::string correlated(const std::string& set = "c", const std::string& initiate = "no") {
  return "<correlations><correlation set=\"" + set + "\" initiate=\"" + initiate + "\"/></correlations>";
}
std::string receive(const std::string& operation, const std::string& exchange,
                    const std::string& variable = "request") {
  return "<receive partnerLink=\"client\" portType=\"t:P\" operation=\"" + operation + "\" variable=\"" + variable +
         "\" messageExchange=\"" + exchange + "\">" + correlated() + "</receive>";
}
std::string reply(const std::string& operation, const std::string& exchange, const std::string& text) {
  return set_reply("'" + text + "'") + "<reply partnerLink=\"client\" portType=\"t:P\" operation=\"" + operation +
         "\" variable=\"reply\" messageExchange=\"" + exchange + "\"/>";
}
std::string scope(const std::string& content, const std::string& name = {}) {
  return name.empty() ? "<scope>" + content + "</scope>" : "<scope name=\"" + name + "\">" + content + "</scope>";
}
std::string catch_all(const std::string& content) {
  return "<faultHandlers><catchAll>" + content + "</catchAll></faultHandlers>";
}
std::string undo(const std::string& content) { return "<compensationHandler>" + content + "</compensationHandler>"; }
std::string from(const std::string& link, const std::string& condition = {}) {
  return "<sources><source linkName=\"" + link + "\">" +
         (condition.empty() ? "" : "<transitionCondition>" + condition + "</transitionCondition>") +
         "</source></sources>";
}
std::string to(const std::string& link, const std::string& join = {}) {
  return "<targets>" + (join.empty() ? "" : "<joinCondition>" + join + "</joinCondition>") + "<target linkName=\"" +
         link + "\"/></targets>";
}
std::string empty(const std::string& name, const std::string& inside = {}) {
  return "<empty name=\"" + name + "\">" + inside + "</empty>";
}
Answer defer(const std::string&, const exchange::Message&) { return {Answer::Kind::kDefer, ""}; }

std::string trace_of(const std::string& body, const std::string& attributes = {}, const std::string& answer = "done") {
  World world(process_text(round_trip(body), "", "", attributes));
  const auto id = world.request("start", "x");
  EXPECT_NE(world.answer_text(id).find(answer), std::string::npos) << world.answer_text(id);
  world.expect_clean();
  world.expect_replays();
  return world.trace();
}

// ---- message exchanges ----

TEST(MessageExchanges, TellReplyApartFromReply) {
  World world(process_text("<sequence>" + kCreate +
                               scope("<messageExchanges><messageExchange name=\"one\"/><messageExchange name=\"two\"/>"
                                     "</messageExchanges><sequence>" +
                                     receive("more", "one") + receive("more", "two") + reply("more", "two", "second") +
                                     reply("more", "one", "first") + "</sequence>") +
                               set_reply("'done'") + kReply + "</sequence>",
                           kSets));
  const auto id = world.request("start", "<id>1</id>");
  const auto first = world.request("more", "<id>1</id>");
  const auto second = world.request("more", "<id>1</id>");
  EXPECT_EQ(world.answer_text(first), "first");
  EXPECT_EQ(world.answer_text(second), "second");
  EXPECT_EQ(world.answer_text(id), "done");
  world.expect_clean();
  world.expect_replays();
}

TEST(MessageExchanges, OfAScopeAreItsOwn) {
  const std::string exchange = "<messageExchanges><messageExchange name=\"m\"/></messageExchanges>";
  World world(process_text(
      "<sequence>" + kCreate +
          scope(exchange + "<sequence>" + receive("more", "m") +
                scope(exchange + "<sequence>" + receive("more", "m") + reply("more", "m", "inner") + "</sequence>") +
                reply("more", "m", "outer") + "</sequence>") +
          set_reply("'done'") + kReply + "</sequence>",
      kSets));
  const auto id = world.request("start", "<id>1</id>");
  const auto outer = world.request("more", "<id>1</id>");
  const auto inner = world.request("more", "<id>1</id>");
  EXPECT_EQ(world.answer_text(inner), "inner");
  EXPECT_EQ(world.answer_text(outer), "outer");
  EXPECT_EQ(world.answer_text(id), "done");
  world.expect_clean();
  world.expect_replays();
}

TEST(MessageExchanges, BranchesOfAParallelForEachHaveTheirOwn) {
  World world(process_text(
      "<sequence>" + kCreate +
          "<forEach counterName=\"i\" parallel=\"yes\"><startCounterValue>1</startCounterValue><finalCounterValue>2"
          "</finalCounterValue><scope><variables><variable name=\"m\" messageType=\"t:In\"/><variable name=\"r\" "
          "element=\"t:out\"><from><literal><t:out/></literal></from></variable></variables><correlationSets>"
          "<correlationSet name=\"own\" "
          "properties=\"t:code\"/></correlationSets><sequence><assign><copy><from><literal>"
          "<t:in><t:id/><t:code/></t:in></literal></from><to variable=\"m\" "
          "part=\"p\"/></copy><copy><from>$i</from><to>"
          "$m.p/t:code</to></copy></assign><invoke partnerLink=\"partner\" operation=\"note\" inputVariable=\"m\">" +
          correlated("own", "yes") +
          "</invoke><receive partnerLink=\"client\" operation=\"more\" variable=\"m\"><correlations><correlation "
          "set=\"own\"/></correlations></receive><assign><copy><from>concat('branch ', $i)</from><to>$r</to></copy>"
          "</assign><wait><for>'PT1S'</for></wait><reply partnerLink=\"client\" operation=\"more\" variable=\"r\"/>"
          "</sequence></scope></forEach>" +
          set_reply("'done'") + kReply + "</sequence>",
      kSets));
  const auto id = world.request("start", "<id>1</id>");
  const auto two = world.request("more", "<id>1</id><code>2</code>");
  const auto one = world.request("more", "<id>1</id><code>1</code>");
  world.advance(std::chrono::seconds(1));
  EXPECT_EQ(world.answer_text(one), "branch 1");
  EXPECT_EQ(world.answer_text(two), "branch 2");
  EXPECT_EQ(world.answer_text(id), "done");
  world.expect_clean();
  world.expect_replays();
}

// ---- parts and patterns ----

// toParts and fromParts are copies: names of parts and variables stay (§10.3.1, §10.4).
TEST(Parts, AreCopiedAsAnAssignWould) {
  World world(process_text(
      "<sequence><receive partnerLink=\"client\" operation=\"start\" createInstance=\"yes\"><fromParts><fromPart "
      "part=\"p\" toVariable=\"text\"/></fromParts></receive><invoke partnerLink=\"partner\" "
      "operation=\"call\"><toParts>"
      "<toPart part=\"p\" fromVariable=\"text\"/></toParts><fromParts><fromPart part=\"p\" toVariable=\"other\"/>"
      "</fromParts></invoke><reply partnerLink=\"client\" operation=\"start\"><toParts><toPart part=\"p\" "
      "fromVariable=\"other\"/></toParts></reply></sequence>",
      "", "<variable name=\"text\" type=\"xsd:string\"/><variable name=\"other\" element=\"t:other\"/>"));
  const auto id = world.request("start", "<b>bold</b>");
  EXPECT_EQ(world.answer_text(id), "bold");
  ASSERT_EQ(world.log->requests.size(), 1U);
  EXPECT_TRUE(world.log->requests[0].body->root().is("urn:t", "in"));
  EXPECT_FALSE(world.log->requests[0].body->root().has_element_children());
  EXPECT_TRUE(world.answers[id].body->root().is("urn:t", "out"));
  world.expect_clean();
  world.expect_replays();
}

TEST(Patterns, ARequestsValuesMustComeBackInTheResponse) {
  for (const auto& [answer, expected] :
       std::vector<std::pair<std::string, std::string>>{{"<id>5</id>", "N"}, {"<id>6</id>", "V"}}) {
    World world(process_text(
        "<sequence>" + kReceive +
            scope(
                "<faultHandlers><catch faultName=\"bpel:correlationViolation\">@V</catch></faultHandlers><sequence>"
                "<assign><copy><from>'5'</from><to>$request.p/t:id</to></copy></assign><invoke partnerLink=\"partner\" "
                "operation=\"call\" inputVariable=\"request\" outputVariable=\"reply\"><correlations><correlation "
                "set=\"c\" initiate=\"yes\" pattern=\"request-response\"/></correlations></invoke>@N</sequence>") +
            set_reply("'done'") + kReply + "</sequence>",
        kSets));
    world.script = [answer = answer](const std::string&, const exchange::Message&) {
      return Answer{Answer::Kind::kOut, answer};
    };
    EXPECT_EQ(world.answer_text(world.request("start", "<id>1</id>")), "done");
    EXPECT_EQ(world.trace(), expected);
  }
}

// ---- event handlers ----

std::string on_event(const std::string& operation, const std::string& correlations, const std::string& scope_inside) {
  return "<onEvent partnerLink=\"client\" portType=\"t:P\" operation=\"" + operation +
         "\" messageType=\"t:In\" variable=\"e\">" + correlations + "<scope>" + scope_inside + "</scope></onEvent>";
}
const std::string kOwnReply =
    "<variables><variable name=\"r\" element=\"t:out\"><from><literal><t:out/></literal></from></variable></variables>";
const std::string kAnswerEvent =
    "<assign><copy><from>concat('event ', $e.p)</from><to>$r</to></copy></assign><reply partnerLink=\"client\" "
    "portType=\"t:P\" operation=\"more\" variable=\"r\"/>";

TEST(Events, SeveralMessagesAreWorkedOnAtOnceEachWithItsOwnVariables) {
  World world(
      process_text("<sequence>" + kCreate + "@call(A)" + set_reply("'done'") + kReply + "</sequence>",
                   kSets + "<eventHandlers>" +
                       on_event("more", correlated(),
                                kOwnReply + "<sequence><wait><for>'PT5S'</for></wait>" + kAnswerEvent + "</sequence>") +
                       "</eventHandlers>"));
  world.script = defer;
  const auto id = world.request("start", "<id>1</id>");
  const auto first = world.request("more", "<id>1</id><n>a</n>");
  world.advance(std::chrono::seconds(1));
  const auto second = world.request("more", "<id>1</id><n>b</n>");
  world.answer("A");
  EXPECT_EQ(world.answer_text(id), "done");  // the body is done; the scope waits for its handlers
  EXPECT_EQ(world.instances()[0].state, "running");
  world.advance(std::chrono::seconds(4));
  EXPECT_EQ(world.answer_text(first), "event 1a");
  EXPECT_EQ(world.answer_text(second), "none");
  const auto late = world.request("more", "<id>1</id><n>c</n>");
  EXPECT_EQ(world.answer_text(late), "none");  // the handlers are disabled; it is refused when the process ends
  world.advance(std::chrono::seconds(1));
  EXPECT_EQ(world.answer_text(second), "event 1b");
  EXPECT_EQ(world.instances()[0].state, "completed");
  EXPECT_TRUE(world.answers[late].fault.has_value());
  world.expect_clean();
  world.expect_replays();
}

TEST(Events, ACorrelationSetOfTheAssociatedScopeIsEachOnesOwn) {
  const std::string sets = "<correlationSets><correlationSet name=\"own\" properties=\"t:code\"/></correlationSets>";
  const std::string inside =
      "<sequence><receive partnerLink=\"client\" operation=\"note\" variable=\"e\"><correlations><correlation "
      "set=\"own\"/>"
      "</correlations></receive><assign><copy><from>concat('got ', $e.p/t:n)</from><to>$r</to></copy></assign><reply "
      "partnerLink=\"client\" portType=\"t:P\" operation=\"more\" variable=\"r\"/></sequence>";
  World world(process_text(
      "<sequence>" + kCreate + "@call(A)" + set_reply("'done'") + kReply + "</sequence>",
      kSets + "<eventHandlers>" +
          on_event("more",
                   "<correlations><correlation set=\"c\"/><correlation set=\"own\" initiate=\"yes\"/></correlations>",
                   kOwnReply + sets + inside) +
          "</eventHandlers>"));
  world.script = defer;
  world.request("start", "<id>1</id>");
  const auto one = world.request("more", "<id>1</id><code>1</code>");
  const auto two = world.request("more", "<id>1</id><code>2</code>");
  world.request("note", "<id>1</id><code>2</code><n>second</n>");
  EXPECT_EQ(world.answer_text(one), "none");
  EXPECT_EQ(world.answer_text(two), "got second");
  world.request("note", "<id>1</id><code>1</code><n>first</n>");
  EXPECT_EQ(world.answer_text(one), "got first");
  world.answer("A");
  world.expect_clean();
  world.expect_replays();
}

TEST(Events, FromPartsAndElements) {
  World world(process_text(
      "<sequence>" + kCreate + "@call(A)" + set_reply("'done'") + kReply + "</sequence>",
      kSets + "<eventHandlers><onEvent partnerLink=\"client\" operation=\"more\">" + correlated() +
          "<fromParts><fromPart part=\"p\" toVariable=\"v\"/></fromParts><scope>" + kOwnReply +
          "<sequence><assign><copy><from>concat('parts ', $v)</from><to>$r</to></copy></assign><reply "
          "partnerLink=\"client\" "
          "operation=\"more\" variable=\"r\"/></sequence></scope></onEvent><onEvent partnerLink=\"client\" "
          "operation=\"abort\" element=\"t:in\" variable=\"v\">" +
          correlated() + "<scope>" + kOwnReply +
          "<sequence><assign><copy><from>concat('element ', $v)</from><to>$r</to></copy></assign><reply "
          "partnerLink=\"client\" operation=\"abort\" variable=\"r\"/></sequence></scope></onEvent></eventHandlers>"));
  world.script = defer;
  world.request("start", "<id>1</id>");
  EXPECT_EQ(world.answer_text(world.request("more", "<id>1</id>")), "parts 1");
  EXPECT_EQ(world.answer_text(world.request("abort", "<id>1</id>")), "element 1");
}

TEST(Events, RunningHandlersAreEndedWithTheirScope) {
  World world(process_text(
      round_trip(scope(catch_all("@F") +
                       "<eventHandlers><onAlarm><for>'PT1S'</for><scope><terminationHandler>@T</terminationHandler>"
                       "@call(E)</scope></onAlarm></eventHandlers><sequence>@call(A)" +
                       kThrow + "</sequence>"))));
  world.script = defer;
  const auto id = world.request("start", "x");
  world.advance(std::chrono::seconds(1));
  world.answer("A");
  EXPECT_EQ(world.trace(), "T F");
  EXPECT_EQ(world.answer_text(id), "done");
  world.expect_clean();
  world.expect_replays();
}

TEST(Events, UntilAndRepeatEvery) {
  World world(process_text(round_trip(
      scope("<eventHandlers><onAlarm><until>'1970-01-01T00:00:00Z'</until><repeatEvery>'PT2S'</repeatEvery><scope>@Tick"
            "</scope></onAlarm></eventHandlers>@call(A)"))));
  world.script = defer;
  world.request("start", "x");
  EXPECT_EQ(world.trace(), "Tick");  // a time that is over is due at once
  world.advance(std::chrono::seconds(2));
  EXPECT_EQ(world.trace(), "Tick Tick");
  world.answer("A");
  world.expect_clean();
  world.expect_replays();
}

// ---- event handlers whose correlation sets get their values later ----

TEST(EventHandlers, WaitForTheValuesOfTheirCorrelationSets) {
  const std::string handler =
      "<eventHandlers><onEvent partnerLink=\"client\" portType=\"t:P\" operation=\"note\" variable=\"v\" "
      "messageType=\"t:In\">" +
      correlated("k") + scope("@E") + "</onEvent></eventHandlers>";
  const std::string initiate =
      "<invoke partnerLink=\"partner\" portType=\"t:P\" operation=\"note\" inputVariable=\"request\">" +
      correlated("k", "yes") + "</invoke>";
  World world(process_text(
      round_trip(scope("<correlationSets><correlationSet name=\"k\" properties=\"t:code\"/></correlationSets>" +
                       handler + "<sequence>@call(First)" + initiate + "@call(Second)</sequence>"))));
  world.script = defer;
  const auto id = world.request("start", "<code>7</code>");
  world.answer("First");
  world.request("note", "<code>8</code>");
  EXPECT_EQ(world.trace(), "");
  world.request("note", "<code>7</code>");
  world.request("note", "<code>7</code>");
  EXPECT_EQ(world.trace(), "E E");
  world.answer("Second");
  EXPECT_EQ(world.answer_text(id), "done");
  world.expect_replays();
}

// ---- links ----

// The links of an activity may be declared by flows in different scopes.
TEST(Links, OfSeveralScopesAreAllAwaited) {
  for (const bool outer_first : {true, false}) {
    const std::string targets = outer_first ? "<target linkName=\"out\"/><target linkName=\"in\"/>"
                                            : "<target linkName=\"in\"/><target linkName=\"out\"/>";
    World world(process_text(
        round_trip("<flow><links><link name=\"out\"/></links>" +
                   scope("<flow><links><link name=\"in\"/></links>" +
                         empty("T", "<targets><joinCondition>$out and $in</joinCondition>" + targets + "</targets>") +
                         "<sequence>" + from("in") + "@call(I)</sequence></flow>") +
                   "<sequence>" + from("out") + "@call(O)</sequence></flow>")));
    world.script = defer;
    world.request("start", "x");
    world.answer("O");
    world.reopen();
    world.answer("I");
    EXPECT_EQ(world.trace(), "T");
    world.expect_clean();
    world.expect_replays();
  }
}

// ---- the order of compensation ----

TEST(CompensationOrder, FollowsLinksBetweenPeersNotOnlyCompletion) {
  // B depends on A by a link out of A's middle, but is completed before A.
  const std::string a =
      "<scope name=\"A\">" + undo("@UA") + "<sequence>" + empty("A", from("l")) + "@call(Slow)</sequence></scope>";
  const std::string b = "<scope name=\"B\">" + undo("@UB") + empty("B", to("l")) + "</scope>";
  const auto run = [](const std::string& flow) {
    World world(
        process_text(round_trip(scope(catch_all("<compensate/>") + "<sequence>" + flow + kThrow + "</sequence>"))));
    world.script = defer;
    world.request("start", "x");
    world.reopen();
    world.answer("Slow");
    world.expect_clean();
    world.expect_replays();
    return world.trace();
  };
  EXPECT_EQ(run("<flow><links><link name=\"l\"/></links>" + a + b + "</flow>"), "A B UB UA");
  EXPECT_EQ(run("<flow><links><link name=\"l\"/></links>" + b + a + "</flow>"), "A B UB UA");
  // Without the link the order is the reverse of completion.
  EXPECT_EQ(run("<flow><scope>" + undo("@UA") + "<sequence>@A@call(Slow)</sequence></scope><scope>" + undo("@UB") +
                "@B</scope></flow>"),
            "B A UA UB");
  // Through an activity between them.
  const std::string b2 = "<scope name=\"B\">" + undo("@UB") + empty("B", to("m")) + "</scope>";
  EXPECT_EQ(run("<flow><links><link name=\"l\"/><link name=\"m\"/></links>" + a + empty("X", to("l") + from("m")) + b2 +
                "</flow>"),
            "A X B UB UA");
  // Through a sequence between them.
  EXPECT_EQ(run("<flow><links><link name=\"l\"/><link name=\"m\"/></links>" + a + "<sequence>" + empty("X", to("l")) +
                empty("Y", from("m")) + "</sequence>" + b2 + "</flow>"),
            "A X Y B UB UA");
}

TEST(CompensationOrder, RepeatedScopesAreCompensatedFromTheLastBack) {
  const std::string flow = "<flow><links><link name=\"l\"/></links><scope>" +
                           undo("<assign><copy><from>concat($log, 'a', $k)</from><to>$log</to></copy></assign>") +
                           empty("A", from("l")) + "</scope><scope>" +
                           undo("<assign><copy><from>concat($log, 'b', $k)</from><to>$log</to></copy></assign>") +
                           empty("B", to("l")) + "</scope></flow>";
  World world(process_text(
      "<sequence>" + kReceive +
          scope(catch_all("<compensate/>") + "<sequence><while><condition>$k &lt; 3</condition><sequence>" + flow +
                "<assign><copy><from>$k + 1</from><to>$k</to></copy></assign></sequence></while>" + kThrow +
                "</sequence>") +
          set_reply("$log") + kReply + "</sequence>",
      "",
      R"(<variable name="k" type="xsd:int"><from>1</from></variable><variable name="log" type="xsd:string"><from>''</from></variable>)"));
  EXPECT_EQ(world.answer_text(world.request("start", "x")), "b3a3b3a3");
  world.expect_replays();
}

TEST(CompensationOrder, WhatIsKeptForItIsBounded) {
  World world(
      process_text("<sequence>" + kReceive + "<while><condition>$k &lt; 5</condition>" +
                       scope(undo("<empty/>") + "<assign><copy><from>$k + 1</from><to>$k</to></copy></assign>") +
                       "</while>" + set_reply("'done'") + kReply + "</sequence>",
                   "", R"(<variable name="k" type="xsd:int"><from>1</from></variable>)"));
  world.options.limits.completed = 4;
  EXPECT_EQ(world.answer_text(world.request("start", "x")), "done");
  world.options.limits.completed = 3;
  world.reopen();
  EXPECT_THAT(world.answer_text(world.request("start", "x")), ::testing::HasSubstr("more than 3 completed scopes"));
}

TEST(CompensationOrder, BranchesOfForEach) {
  for (const char* parallel : {"no", "yes"}) {
    World world(process_text(
        "<sequence>" + kReceive +
            scope(catch_all("<compensateScope target=\"S\"/>") + "<sequence><forEach counterName=\"i\" parallel=\"" +
                  parallel +
                  "\"><startCounterValue>1</startCounterValue><finalCounterValue>3</finalCounterValue><scope "
                  "name=\"S\">" +
                  undo("<assign><copy><from>concat($log, $i)</from><to>$log</to></copy></assign>") +
                  "<empty/></scope></forEach>" + scope(undo("@N") + "@O", "Other") + kThrow + "</sequence>") +
            set_reply("$log") + kReply + "</sequence>",
        "", R"(<variable name="log" type="xsd:string"><from>''</from></variable>)"));
    EXPECT_EQ(world.answer_text(world.request("start", "x")), "321");
    EXPECT_EQ(world.trace(), "O");
    world.expect_clean();
    world.expect_replays();
  }
}

TEST(CompensationOrder, AnInvokeWithAHandlerIsAScope) {
  World world(process_text(
      round_trip(scope(catch_all("<sequence><compensateScope target=\"I\"/>@F</sequence>") +
                       "<sequence><invoke name=\"I\" partnerLink=\"partner\" operation=\"call\" inputVariable=\"in_A\" "
                       "outputVariable=\"out_A\"><compensationHandler>@call(U)</compensationHandler></invoke>" +
                       kThrow + "<if><condition>false()</condition>@call(A)</if></sequence>"))));
  world.request("start", "x");
  EXPECT_EQ(world.partner_trace(), "A U");
  EXPECT_EQ(world.trace(), "F");
  world.expect_clean();
  world.expect_replays();
}

TEST(CompensationOrder, ASnapshotKeepsWhatTheScopeKnew) {
  World world(process_text(
      "<sequence>" + kReceive +
          scope(catch_all("<compensate/>") +
                "<sequence><while><condition>$k &lt; 3</condition><sequence><scope><variables><variable name=\"mine\" "
                "type=\"xsd:int\"><from>$k</from></variable></variables>" +
                undo("<assign><copy><from>concat($log, $mine, $k)</from><to>$log</to></copy></assign>") +
                "<empty/></scope><assign><copy><from>$k + 1</from><to>$k</to></copy></assign></sequence></while>" +
                kThrow + "</sequence>") +
          set_reply("$log") + kReply + "</sequence>",
      "",
      R"(<variable name="k" type="xsd:int"><from>1</from></variable><variable name="log" type="xsd:string"><from>''</from></variable>)"));
  EXPECT_EQ(world.answer_text(world.request("start", "x")), "2313");
}

TEST(CompensationOrder, AHandlersOwnScopesAreCompensatedInItOnly) {
  EXPECT_EQ(trace_of(scope(catch_all("<sequence>" +
                                     scope(catch_all("<sequence><compensate/>@G</sequence>") + "<sequence>" +
                                           scope(undo("@UH") + "@H") + kThrow + "</sequence>") +
                                     "<compensate/></sequence>") +
                           "<sequence>" + scope(undo("@UA") + "@A") + kThrow + "</sequence>")),
            "A H UH G UA");
}

// ---- termination ----

TEST(TerminationOrder, AHandlerMayCompensateWhatItsScopeCompleted) {
  World world(process_text(
      round_trip(scope(catch_all("@F") +
                       "<flow><scope><terminationHandler><sequence>@T<compensate/></sequence></terminationHandler>"
                       "<sequence>" +
                       scope(undo("@U1") + "@A1") + scope(undo("@U2") + "@A2") +
                       "@call(A)</sequence></scope><sequence>@call(B)" + kThrow + "</sequence></flow>"))));
  world.script = defer;
  world.request("start", "x");
  world.answer("B");
  EXPECT_EQ(world.trace(), "A1 A2 T U2 U1 F");
  world.expect_clean();
  world.expect_replays();
}

TEST(TerminationOrder, ACompletedScopeIsNotEnded) {
  World world(process_text(round_trip(scope(catch_all("<sequence>@F<compensate/></sequence>") +
                                            "<flow><scope><compensationHandler>@U</compensationHandler>"
                                            "<terminationHandler>@T</terminationHandler>@A</scope><sequence>"
                                            "@call(B)" +
                                            kThrow + "</sequence></flow>"))));
  world.request("start", "x");
  EXPECT_EQ(world.trace(), "A F U");
  world.expect_clean();
}

TEST(TerminationOrder, ForEachThatHasEnoughEndsTheOthersByTheirHandlers) {
  World world(process_text(round_trip(
      "<forEach counterName=\"i\" parallel=\"yes\"><startCounterValue>1</startCounterValue><finalCounterValue>3"
      "</finalCounterValue><completionCondition><branches>1</branches></completionCondition><scope><terminationHandler>"
      "@T</terminationHandler><if><condition>$i = "
      "2</condition>@call(B)<else>@call(A)</else></if></scope></forEach>@E")));
  world.script = defer;
  world.request("start", "x");
  world.reopen();
  world.answer("B");
  EXPECT_EQ(world.trace(), "T T E");
  world.expect_clean();
  world.expect_replays();
}

TEST(CompletionCondition, CountsSuccessfulBranchesOnlyWhereAsked) {
  const auto run = [](const std::string& only) {
    return trace_of(scope(
        "<faultHandlers><catch faultName=\"bpel:completionConditionFailure\">@C</catch></faultHandlers>"
        "<sequence><forEach counterName=\"i\" parallel=\"no\"><startCounterValue>1</startCounterValue>"
        "<finalCounterValue>4</finalCounterValue><completionCondition><branches "
        "successfulBranchesOnly=\"" +
        only + "\">2</branches></completionCondition><scope>" + catch_all("@H") +
        "<sequence>@B<if><condition>$i != 2</condition>" + kThrow + "</if></sequence></scope></forEach>@E</sequence>"));
  };
  EXPECT_EQ(run("no"), "B H B E");
  EXPECT_EQ(run("yes"), "B H B B H B H C");
}

// ---- links ----

TEST(LinksAndPaths, ADeadPathGoesThroughWholeStructures) {
  const std::string yes = "suppressJoinFailure=\"yes\"";
  EXPECT_EQ(trace_of("<flow><links><link name=\"a\"/><link name=\"b\"/><link name=\"c\"/></links>" +
                         empty("S", from("a", "false()")) + "<sequence>" + to("a") + "@I<scope>" +
                         empty("J", from("b")) + "</scope></sequence><if>" + to("b") + "<condition>true()</condition>" +
                         empty("K", from("c")) + "</if>" + empty("L", to("c", "not($c)")) + "</flow>@E",
                     yes),
            "S L E");
}

TEST(LinksAndPaths, BranchesOfIfPickAndHandlersThatAreNotTaken) {
  EXPECT_EQ(
      trace_of("<flow suppressJoinFailure=\"yes\"><links><link name=\"a\"/><link name=\"b\"/></links><if><condition>"
               "false()</condition>" +
               empty("X", from("a")) + "<else>" + empty("Y", from("b")) + "</else></if>" + empty("A", to("a")) +
               empty("B", to("b")) + "</flow>"),
      "Y B");
  EXPECT_EQ(trace_of("<flow suppressJoinFailure=\"yes\"><links><link name=\"a\"/></links><scope>" +
                     catch_all(empty("H", from("a"))) + "@S</scope>" + empty("A", to("a", "not($a)")) + "</flow>"),
            "S A");
  EXPECT_EQ(trace_of("<flow suppressJoinFailure=\"yes\"><links><link name=\"a\"/></links><scope>" +
                     catch_all(empty("H", from("a"))) + kThrow + "</scope>" + empty("A", to("a")) + "</flow>"),
            "H A");
}

TEST(LinksAndPaths, AJoinWaitsForAllLinksEvenWhenOneWouldDo) {
  World world(process_text(
      round_trip("<flow><links><link name=\"a\"/><link name=\"b\"/></links>" + empty("A", from("a")) +
                 "<sequence>@call(B)" + empty("B", from("b", "false()")) +
                 "</sequence><empty name=\"T\"><targets><joinCondition>$a or "
                 "$b</joinCondition><target linkName=\"a\"/><target linkName=\"b\"/></targets></empty></flow>")));
  world.script = defer;
  world.request("start", "x");
  EXPECT_EQ(world.trace(), "A");
  world.reopen();
  world.answer("B");
  EXPECT_EQ(world.trace(), "A B T");
  world.expect_clean();
  world.expect_replays();
}

TEST(LinksAndPaths, AFaultInATransitionConditionIsOfTheActivitysScope) {
  EXPECT_EQ(
      trace_of(scope(catch_all("@F") + "<flow><links><link name=\"a\"/></links>" +
                     empty("S", from("a", "$request.p/t:none/text() = $missing")) + empty("T", to("a")) + "</flow>")
                   .replace(0, 7, "<scope><variables><variable name=\"missing\" type=\"xsd:int\"/></variables>"),
               "suppressJoinFailure=\"yes\""),
      "S F");
}

TEST(LinksAndPaths, AScopeThatWaitsForItsLinkDoesNotListen) {
  // An activity with incoming links begins, with its event handlers and variables, when they are determined.
  World world(process_text(round_trip("<flow><links><link name=\"a\"/></links><sequence>@call(A)" +
                                      empty("S", from("a")) + "</sequence><scope>" + to("a") +
                                      "<eventHandlers><onAlarm><for>'PT1S'</for><scope>@Alarm</scope></onAlarm></"
                                      "eventHandlers>@call(B)</scope></flow>")));
  world.script = defer;
  world.request("start", "x");
  world.advance(std::chrono::seconds(10));
  EXPECT_EQ(world.trace(), "");
  world.answer("A");
  world.advance(std::chrono::seconds(1));
  EXPECT_EQ(world.trace(), "S Alarm");
  world.answer("B");
  world.expect_clean();
  world.expect_replays();
}

}  // namespace
}  // namespace nuraghe::bpel
