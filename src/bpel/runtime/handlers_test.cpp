// Fault, compensation, termination and event handlers: WS-BPEL 2.0 §12.
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

std::string trace_of(const std::string& body, const std::string& before = {}, const std::string& variables = {},
                     const std::string& attributes = {}, const std::string& answer = "done") {
  World world(process_text(round_trip(body), before, variables, attributes));
  const auto id = world.request("start", "x");
  EXPECT_NE(world.answer_text(id).find(answer), std::string::npos) << world.answer_text(id);
  world.expect_clean();
  world.expect_replays();
  return world.trace();
}
std::string scope(const std::string& content, const std::string& name = {}) {
  return name.empty() ? "<scope>" + content + "</scope>" : "<scope name=\"" + name + "\">" + content + "</scope>";
}
std::string catch_all(const std::string& content) {
  return "<faultHandlers><catchAll>" + content + "</catchAll></faultHandlers>";
}
std::string caught(const std::string& attributes, const std::string& content) {
  return "<faultHandlers><catch " + attributes + ">" + content + "</catch></faultHandlers>";
}
std::string undo(const std::string& content) { return "<compensationHandler>" + content + "</compensationHandler>"; }
const std::string kThrow = "<throw faultName=\"t:bad\"/>";
const std::string kData =
    R"(<variable name="problem" element="t:problem"><from><literal><t:problem>why</t:problem></literal></from></variable>
       <variable name="message" messageType="t:Problem"/>)";

// ---- choosing a handler (§12.5) ----

TEST(Faults, TheHandlerOfTheNearestScopeRuns) {
  EXPECT_EQ(trace_of(scope(catch_all("@F") + "<sequence>@A" + kThrow + "@B</sequence>") + "@C"), "A F C");
  EXPECT_EQ(trace_of(scope(catch_all("@O") + scope(caught("faultName=\"t:other\"", "@I") + kThrow)) + "@C"), "O C");
}

TEST(Faults, HandlersAreChosenByNameThenData) {
  const std::string thrown = R"(<throw faultName="t:bad" faultVariable="problem"/>)";
  const auto with = [&](const std::string& handlers, const std::string& fault) {
    return trace_of(scope("<faultHandlers>" + handlers + "</faultHandlers>" + fault), "", kData);
  };
  const std::string all = "<catchAll>@All</catchAll>";
  const std::string named = "<catch faultName=\"t:bad\">@Named</catch>";
  const std::string typed = "<catch faultName=\"t:bad\" faultVariable=\"f\" faultElement=\"t:problem\">@Typed</catch>";
  const std::string data = "<catch faultVariable=\"f\" faultElement=\"t:problem\">@Data</catch>";
  const std::string other = "<catch faultVariable=\"f\" faultElement=\"t:other\">@Other</catch>";
  EXPECT_EQ(with(named + typed + data + all, thrown), "Typed");
  EXPECT_EQ(with(named + data + all, thrown), "Named");
  EXPECT_EQ(with(data + other + all, thrown), "Data");
  EXPECT_EQ(with(other + all, thrown), "All");
  EXPECT_EQ(with(typed + named + data + all, kThrow), "Named");
  EXPECT_EQ(with(typed + data + all, kThrow), "All");
}

TEST(Faults, AnElementFitsTheHandlerOfItsSubstitutionGroupsHead) {
  const std::string worse =
      R"(<variable name="worse" element="t:worse"><from><literal><t:worse>why</t:worse></literal></from></variable>)";
  const std::string thrown = R"(<throw faultName="t:bad" faultVariable="worse"/>)";
  const std::string head = "<catch faultName=\"t:bad\" faultVariable=\"f\" faultElement=\"t:problem\">@Head</catch>";
  const std::string exact = "<catch faultName=\"t:bad\" faultVariable=\"f\" faultElement=\"t:worse\">@Exact</catch>";
  const std::string named = "<catch faultName=\"t:bad\">@Named</catch>";
  const auto with = [&](const std::string& handlers) {
    return trace_of(scope("<faultHandlers>" + handlers + "</faultHandlers>" + thrown), "", worse);
  };
  EXPECT_EQ(with(head + exact + named), "Exact");
  EXPECT_EQ(with(head + named), "Head");
  EXPECT_EQ(with("<catch faultVariable=\"f\" faultElement=\"t:problem\">@Data</catch><catchAll>@All</catchAll>"),
            "Data");
  EXPECT_EQ(with("<catch faultName=\"t:bad\" faultVariable=\"f\" "
                 "faultElement=\"t:other\">@Other</catch><catchAll>@All</catchAll>"),
            "All");
}

TEST(Faults, RethrowGivesTheDataAsTheyWereThrown) {
  EXPECT_EQ(
      trace_of(
          scope("<faultHandlers><catch faultName=\"t:bad\" faultVariable=\"g\" faultElement=\"t:problem\"><if>"
                "<condition>$g = 'why'</condition>@Why</if></catch></faultHandlers>" +
                scope("<faultHandlers><catch faultName=\"t:bad\" faultVariable=\"f\" faultElement=\"t:problem\">"
                      "<sequence><assign><copy><from>'changed'</from><to>$f</to></copy></assign><rethrow/></sequence>"
                      "</catch></faultHandlers><throw faultName=\"t:bad\" faultVariable=\"problem\"/>")),
          "", kData),
      "Why");
}

TEST(Faults, AFaultOfAHandlersOwnExpressionGoesOutwards) {
  EXPECT_EQ(trace_of(scope(caught("faultName=\"bpel:uninitializedVariable\"", "@O") +
                           scope(catch_all("<sequence>@F<assign><copy><from>$message.p</from><to>$problem</to></copy>"
                                           "</assign>@G</sequence>") +
                                 kThrow)),
                     "", kData),
            "F O");
}

TEST(Faults, AMessageWithOneElementPartFitsAnElementHandler) {
  EXPECT_EQ(
      trace_of("<assign><copy><from variable=\"problem\"/><to variable=\"message\" part=\"p\"/></copy></assign>" +
                   scope("<faultHandlers><catch faultVariable=\"f\" faultElement=\"t:problem\"><if><condition>$f = "
                         "'why'</condition>@Why</if></catch></faultHandlers><throw faultName=\"t:bad\" "
                         "faultVariable=\"message\"/>"),
               "", kData),
      "Why");
}

TEST(Faults, RethrowGivesTheFaultToTheScopeAround) {
  EXPECT_EQ(trace_of(scope(caught("faultName=\"t:bad\"", "@O") +
                           scope(catch_all("<sequence>@F<rethrow/></sequence>") + kThrow)) +
                     "@C"),
            "F O C");
}

TEST(Faults, AFaultInAHandlerGoesOutwards) {
  EXPECT_EQ(trace_of(scope(caught("faultName=\"t:second\"", "@O") +
                           scope(catch_all("<sequence>@F<throw faultName=\"t:second\"/>@G</sequence>") + kThrow)) +
                     "@C"),
            "F O C");
}

TEST(Faults, AnUnhandledFaultAnswersTheOpenRequests) {
  EXPECT_EQ(trace_of("@A" + kThrow + "@B", "", "", "", "fault p.bpel:"), "A");
}

TEST(Faults, StandardFaultsCanEndTheProcess) {
  EXPECT_EQ(trace_of(scope(catch_all("@F") + "<throw faultName=\"bpel:selectionFailure\"/>"), "", "",
                     "exitOnStandardFault=\"yes\"", "selectionFailure"),
            "");
  EXPECT_EQ(trace_of(scope(catch_all("@F") + kThrow), "", "", "exitOnStandardFault=\"yes\""), "F");
}

TEST(Faults, UninitialisedVariablesAreFaults) {
  EXPECT_EQ(trace_of(scope(caught("faultName=\"bpel:uninitializedVariable\"", "@U") +
                           "<assign><copy><from>$problem2</from><to>$problem</to></copy></assign>"),
                     "", kData + R"(<variable name="problem2" element="t:problem"/>)"),
            "U");
}

TEST(Faults, AScopeThatCannotBeInitialisedFaultsInTheScopeAround) {
  EXPECT_EQ(
      trace_of(
          scope(
              caught("faultName=\"bpel:scopeInitializationFailure\"", "@O") +
              scope(
                  R"(<variables><variable name="v" element="t:problem"><from>$problem2</from></variable></variables>)" +
                  catch_all("@I") + "@B")),
          "", R"(<variable name="problem2" element="t:problem"/>)"),
      "O");
}

// ---- services that fail ----

TEST(Faults, ADeclaredFaultOfAServiceHasItsName) {
  World world(
      process_text(round_trip(scope(caught("faultName=\"t:bad\" faultVariable=\"f\" faultMessageType=\"t:Problem\"",
                                           "<if><condition>$f.p = 'A'</condition>@F</if>") +
                                    "<sequence>@call(A)@B</sequence>"))));
  world.script = [](const std::string& content, const auto&) { return Answer{Answer::Kind::kProblem, content}; };
  const auto id = world.request("start", "x");
  EXPECT_EQ(world.trace(), "F");
  EXPECT_EQ(world.answer_text(id), "done");
  world.expect_clean();
  world.expect_replays();
}

TEST(Faults, InlineHandlersOfAnInvoke) {
  World world(process_text(round_trip(
      R"(<invoke partnerLink="partner" portType="t:P" operation="call" inputVariable="in_A" outputVariable="out_A">
                 <catch faultName="t:bad">@F</catch></invoke>@call(A))")));
  int calls = 0;
  world.script = [&](const std::string& content, const auto&) {
    return Answer{calls++ == 0 ? Answer::Kind::kProblem : Answer::Kind::kOut, content};
  };
  const auto id = world.request("start", "x");
  EXPECT_EQ(world.trace(), "F");
  EXPECT_EQ(world.answer_text(id), "done");
  EXPECT_EQ(calls, 2);
}

TEST(Faults, WhatAServiceSaidReachesTheCallerWhole) {
  for (const std::string& handlers :
       std::vector<std::string>{"", "<faultHandlers><catchAll><rethrow/></catchAll></faultHandlers>",
                                "<faultHandlers><catch faultVariable=\"f\" faultElement=\"flt:fault\" "
                                "xmlns:flt=\"urn:nuraghe:fault:1\"><throw "
                                "faultName=\"t:mine\" faultVariable=\"f\"/></catch></faultHandlers>"}) {
    World world(process_text(round_trip(scope(handlers + "<sequence>@call(A)@B</sequence>"))));
    world.script = [](const std::string& content, const auto&) { return Answer{Answer::Kind::kFault, content}; };
    const auto id = world.request("start", "x");
    const auto& answer = world.answers[id];
    ASSERT_TRUE(answer.fault.has_value());
    EXPECT_EQ(answer.fault->code, ErrorCode::kExhausted);
    EXPECT_EQ(answer.fault->reason, "placing: no room for A");
    ASSERT_TRUE(answer.fault->detail);
    const auto detail = answer.fault->detail->root();
    EXPECT_EQ(detail.child(exchange::kBaseFaultNamespace, "Originator").text(), "/services/vhf");
    EXPECT_EQ(exchange::error_of(*answer.fault).context(), std::vector<std::string>{"placing"});
    EXPECT_EQ(world.instances()[0].state, "faulted");
    world.expect_clean();
    world.expect_replays();
  }
}

// ---- termination (§12.6) ----

TEST(Termination, InnerScopesEndByTheirHandlersFirst) {
  const std::string inner = scope("<terminationHandler>@T1</terminationHandler>" +
                                  scope("<terminationHandler>@T2</terminationHandler>@call(A)"));
  World world(process_text(round_trip(
      scope(catch_all("@F") + "<flow>" + inner + "<sequence>@call(B)" + kThrow + "</sequence></flow>") + "@E")));
  world.script = [](const std::string& content, const auto&) {
    return Answer{content == "A" ? Answer::Kind::kDefer : Answer::Kind::kOut, content};
  };
  const auto id = world.request("start", "x");
  EXPECT_EQ(world.trace(), "T2 T1 F E");
  EXPECT_EQ(world.answer_text(id), "done");
  world.expect_clean();
  world.expect_replays();
}

TEST(Termination, AFaultInATerminationHandlerIsLost) {
  World world(process_text(round_trip(
      scope(catch_all("@F") + "<flow>" +
            scope("<terminationHandler><sequence>@T" + kThrow + "@U</sequence></terminationHandler>@call(A)") +
            "<sequence>@call(B)<throw faultName=\"t:first\"/></sequence></flow>") +
      "@E")));
  world.script = [](const std::string& content, const auto&) {
    return Answer{content == "A" ? Answer::Kind::kDefer : Answer::Kind::kOut, content};
  };
  world.request("start", "x");
  EXPECT_EQ(world.trace(), "T F E");
  world.expect_clean();
}

TEST(Termination, ARunningFaultHandlerIsLeftAlone) {
  World world(process_text(round_trip(scope(catch_all("@O") + "<flow>" +
                                            scope(catch_all("<sequence>@call(A)@F</sequence>") +
                                                  "<terminationHandler>@T</terminationHandler>" + kThrow) +
                                            "<sequence>@call(B)<throw faultName=\"t:second\"/></sequence></flow>") +
                                      "@E")));
  world.script = [](const std::string& content, const auto&) {
    return Answer{content == "A" ? Answer::Kind::kDefer : Answer::Kind::kOut, content};
  };
  world.request("start", "x");
  EXPECT_EQ(world.trace(), "");
  world.answer("A");
  EXPECT_EQ(world.trace(), "F O E");
  world.expect_clean();
  world.expect_replays();
}

TEST(Termination, TheDefaultHandlerCompensates) {
  World world(process_text(round_trip(
      scope(catch_all("@F") + "<flow>" +
            scope("<sequence>" + scope(undo("@U1") + "@A1") + scope(undo("@U2") + "@A2") + "@call(A)</sequence>") +
            "<sequence>@call(B)" + kThrow + "</sequence></flow>"))));
  world.script = [](const std::string& content, const auto&) {
    return Answer{content == "A" ? Answer::Kind::kDefer : Answer::Kind::kOut, content};
  };
  world.request("start", "x");
  EXPECT_EQ(world.trace(), "A1 A2 U2 U1 F");
  world.expect_clean();
  world.expect_replays();
}

// ---- compensation (§12.4) ----

TEST(Compensation, DefaultOrderIsTheReverseOfCompletion) {
  EXPECT_EQ(trace_of(scope(catch_all("@O") + scope("<sequence>" + scope(undo("@U1") + "@A1") +
                                                   scope(undo("@U2") + "@A2") + kThrow + "</sequence>"))),
            "A1 A2 U2 U1 O");
}

TEST(Compensation, CompensateInAHandler) {
  EXPECT_EQ(trace_of(scope(catch_all("<sequence>@F<compensate/>@G<compensate/>@H</sequence>") + "<sequence>" +
                           scope(undo("@U1") + "@A1") + scope(undo("@U2") + "@A2") + kThrow + "</sequence>")),
            "A1 A2 F U2 U1 G H");
}

TEST(Compensation, CompensateScopeNamesOne) {
  EXPECT_EQ(
      trace_of(scope(catch_all("<sequence><compensateScope target=\"S1\"/>@G<compensate/></sequence>") + "<sequence>" +
                     scope(undo("@U1") + "@A1", "S1") + scope(undo("@U2") + "@A2", "S2") + kThrow + "</sequence>")),
      "A1 A2 U1 G U2");
}

TEST(Compensation, ReachesInnerScopesByDefault) {
  EXPECT_EQ(
      trace_of(scope(catch_all("<compensate/>") + "<sequence>" +
                     scope("<sequence>" + scope(undo("@U1") + "@A1") + scope(undo("@U2") + "@A2") + "</sequence>") +
                     scope(undo("@U3") + scope(undo("@U4") + "@A4")) + kThrow + "</sequence>")),
      "A1 A2 A4 U3 U2 U1");
}

TEST(Compensation, SeesTheVariablesOfItsScopeAsTheyWere) {
  const std::string loop =
      R"(<forEach counterName="i" parallel="no"><startCounterValue>1</startCounterValue><finalCounterValue>3</finalCounterValue>
         <scope name="S"><compensationHandler><assign><copy><from>concat($log, $i)</from><to>$log</to></copy></assign></compensationHandler>
         <empty/></scope></forEach>)";
  const std::string log = R"(<variable name="log" type="xsd:string"><from>''</from></variable>)";
  World world(process_text("<sequence>" + kReceive +
                               scope(catch_all("<compensate/>") + "<sequence>" + loop + kThrow + "</sequence>") +
                               set_reply("$log") + kReply + "</sequence>",
                           "", log));
  EXPECT_EQ(world.answer_text(world.request("start", "x")), "321");
  world.expect_clean();
  world.expect_replays();
}

TEST(Compensation, SurvivesARestartBetweenSteps) {
  World world(process_text(round_trip(scope(catch_all("<sequence><compensate/>@F</sequence>") + "<sequence>" +
                                            scope(undo("<sequence>@call(X)@U1</sequence>") + "@A1") +
                                            scope(undo("<sequence>@call(Y)@U2</sequence>") + "@A2") + "@call(B)" +
                                            kThrow + "</sequence>"))));
  world.script = [](const std::string&, const auto&) { return Answer{Answer::Kind::kDefer, ""}; };
  world.request("start", "x");
  for (const char* name : {"B", "Y", "X"}) {
    world.reopen();
    world.answer(name);
  }
  EXPECT_EQ(world.trace(), "A1 A2 U2 U1 F");
  EXPECT_EQ(world.partner_trace(), "B Y X");
  world.expect_clean();
  world.expect_replays();
}

TEST(Compensation, AFaultInACompensationHandlerReachesItsCaller) {
  EXPECT_EQ(trace_of(scope(caught("faultName=\"t:undo\"", "@O") +
                           scope(catch_all("<sequence><compensate/>@G</sequence>") + "<sequence>" +
                                 scope(undo("@U1") + "@A1") +
                                 scope(undo("<sequence>@U2<throw faultName=\"t:undo\"/></sequence>") + "@A2") + kThrow +
                                 "</sequence>"))),
            "A1 A2 U2 O");
}

TEST(Compensation, HandledScopesHaveNone) {
  EXPECT_EQ(trace_of(scope(catch_all("<sequence><compensate/>@G</sequence>") + "<sequence>" +
                           scope(catch_all("@F") + undo("@U") + kThrow) + kThrow + "</sequence>")),
            "F G");
}

// ---- event handlers (§12.7) ----

const std::string kSets = R"(<correlationSets><correlationSet name="c" properties="t:id"/></correlationSets>)";
const std::string kReceiveSet =
    R"(<receive partnerLink="client" portType="t:P" operation="start" variable="request" createInstance="yes">
       <correlations><correlation set="c" initiate="yes"/></correlations></receive>)";
std::string on_event(const std::string& operation, const std::string& body) {
  return R"(<onEvent partnerLink="client" portType="t:P" operation=")" + operation +
         R"(" messageType="t:In" variable="e"><correlations><correlation set="c"/></correlations><scope>)" + body +
         "</scope></onEvent>";
}

TEST(EventHandlers, TakeMessagesByCorrelation) {
  const std::string answer =
      R"(<variables><variable name="r" element="t:out"><from><literal><t:out/></literal></from></variable></variables>
         <sequence><assign><copy><from>concat('more ', $e.p)</from><to>$r</to></copy></assign>@M
         <reply partnerLink="client" portType="t:P" operation="more" variable="r"/></sequence>)";
  World world(process_text("<sequence>" + kReceiveSet + "@call(A)" + set_reply("'done'") + kReply + "</sequence>",
                           kSets + "<eventHandlers>" + on_event("more", answer) + "</eventHandlers>"));
  world.script = [](const std::string&, const auto&) { return Answer{Answer::Kind::kDefer, ""}; };
  const auto id = world.request("start", "<id>7</id>");
  const auto wrong = world.request("more", "<id>8</id>");
  EXPECT_TRUE(world.answers[wrong].fault.has_value());
  EXPECT_EQ(world.answer_text(world.request("more", "<id>7</id>")), "more 7");
  world.reopen();
  EXPECT_EQ(world.answer_text(world.request("more", "<id>7</id>")), "more 7");
  world.answer("A");
  world.send("start", "<id>7</id>", id);
  world.run();
  EXPECT_EQ(world.answer_text(id), "done");
  const auto late = world.request("more", "<id>7</id>");
  EXPECT_TRUE(world.answers[late].fault.has_value());
  world.expect_clean();
  world.expect_replays();
}

TEST(EventHandlers, AFaultInOneEndsTheScope) {
  World world(
      process_text("<sequence>" + kReceiveSet +
                       scope(catch_all("<sequence>@F<compensate/></sequence>") + "<eventHandlers>" +
                             on_event("note", "<sequence>@N" + kThrow + "</sequence>") + "</eventHandlers><sequence>" +
                             scope(undo("@U") + "@A") + "@call(A)@B</sequence>") +
                       set_reply("'aborted'") + kReply + "</sequence>",
                   kSets));
  world.script = [](const std::string&, const auto&) { return Answer{Answer::Kind::kDefer, ""}; };
  const auto id = world.request("start", "<id>7</id>");
  world.request("note", "<id>7</id>");
  EXPECT_EQ(world.trace(), "A N F U");
  EXPECT_EQ(world.answer_text(id), "aborted");
  world.expect_clean();
  world.expect_replays();
}

TEST(EventHandlers, AlarmsFireOnceOrRepeatedly) {
  World world(
      process_text(round_trip(scope("<eventHandlers><onAlarm><for>'PT3S'</for><scope>@Once</scope></"
                                    "onAlarm><onAlarm><repeatEvery>'PT2S'</repeatEvery>"
                                    "<scope>@Again</scope></onAlarm><onAlarm><for>'PT1S'</for><repeatEvery>'PT5S'</"
                                    "repeatEvery><scope>@Both</scope></onAlarm>"
                                    "</eventHandlers>@call(A)"))));
  world.script = [](const std::string&, const auto&) { return Answer{Answer::Kind::kDefer, ""}; };
  world.request("start", "x");
  for (int second = 0; second < 6; ++second) world.advance(std::chrono::seconds(1));
  EXPECT_EQ(world.trace(), "Both Again Once Again Again Both");
  world.answer("A");
  EXPECT_EQ(world.instances()[0].state, "completed");
  world.advance(std::chrono::minutes(1));
  EXPECT_EQ(world.trace(), "Both Again Once Again Again Both");
  world.expect_clean();
  world.expect_replays();
}

TEST(EventHandlers, TheScopeWaitsForThoseThatRun) {
  World world(process_text(
      round_trip(scope("<eventHandlers><onAlarm><for>'PT1S'</for><scope><sequence>@call(E)@E</sequence></scope>"
                       "</onAlarm></eventHandlers><sequence>@call(A)@A</sequence>") +
                 "@Z")));
  world.script = [](const std::string&, const auto&) { return Answer{Answer::Kind::kDefer, ""}; };
  world.request("start", "x");
  world.advance(std::chrono::seconds(1));
  world.answer("A");
  EXPECT_EQ(world.trace(), "A");
  world.answer("E");
  EXPECT_EQ(world.trace(), "A E Z");
  world.expect_clean();
}

}  // namespace
}  // namespace nuraghe::bpel
