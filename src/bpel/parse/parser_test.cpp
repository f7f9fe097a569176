#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>

#include "bpel/test_processes.hpp"

namespace nuraghe::bpel {
namespace {

using test::Pieces;
using ::testing::HasSubstr;

std::shared_ptr<const ProcessDefinition> parsed(const Pieces& pieces) {
  const ParsedProcess result = test::parse_pieces(pieces);
  EXPECT_NE(result.definition, nullptr) << test::all_of(result.diagnostics);
  return result.definition;
}

std::shared_ptr<const ProcessDefinition> parsed_body(const std::string& body) {
  Pieces pieces;
  pieces.body = body;
  return parsed(pieces);
}

std::string findings_of_body(const std::string& body) {
  Pieces pieces;
  pieces.body = body;
  return test::all_of(test::parse_pieces(pieces).diagnostics);
}

template <class T>
const T& first(const ProcessDefinition& definition, NodeKind kind) {
  for (const auto& node : definition.nodes()) {
    if (node->kind == kind) return as<T>(*node);
  }
  ADD_FAILURE() << "no " << node_kind_name(kind);
  std::abort();
}

// Every node once, parents before children, each child within its parent's run: what stored rows rely on.
void expect_document_order(const ProcessDefinition& definition) {
  for (NodeIndex index = 0; index < definition.nodes().size(); ++index) {
    const Node& node = definition.node(index);
    EXPECT_EQ(node.index, index);
    if (index == 0) {
      EXPECT_EQ(node.parent, kNone);
    } else {
      EXPECT_LT(node.parent, index);
    }
    if (index == 0) continue;
    const Node& parent = definition.node(node.parent);
    EXPECT_FALSE(std::pair(node.where.line, node.where.column) < std::pair(parent.where.line, parent.where.column))
        << definition.path_of(index);
  }
}

constexpr const char* kEverything = R"(
<flow name="all" suppressJoinFailure="yes"><links><link name="l"/></links>
  <sequence><targets><target linkName="l"/></targets>
    <if><condition>$n = 1</condition><empty/><elseif><condition>$n = 2</condition><exit/></elseif><else><throw faultName="t:x" faultVariable="order"/></else></if>
    <while suppressJoinFailure="no"><condition>false()</condition><wait><for>'PT1S'</for></wait></while>
    <repeatUntil><validate variables="order id"/><condition>true()</condition></repeatUntil>
  </sequence>
  <forEach counterName="i" parallel="yes" name="each"><sources><source linkName="l"><transitionCondition>$n = 1</transitionCondition></source></sources>
    <startCounterValue>1</startCounterValue><finalCounterValue>$n</finalCounterValue>
    <completionCondition><branches successfulBranchesOnly="yes">2</branches></completionCondition>
    <scope name="s" isolated="yes">
      <variables><variable name="inner" type="xsd:int"><from>$i</from></variable></variables>
      <faultHandlers><catch faultName="t:x" faultVariable="f" faultElement="t:problem"><assign><copy><from variable="f"/><to variable="id"/></copy></assign></catch>
        <catchAll><compensateScope target="one"/></catchAll></faultHandlers>
      <compensationHandler><compensate/></compensationHandler>
      <terminationHandler><empty/></terminationHandler>
      <eventHandlers>
        <onEvent partnerLink="client" operation="buy" variable="bought" messageType="t:order"><scope><reply partnerLink="client" operation="buy" variable="answer"/></scope></onEvent>
        <onAlarm><repeatEvery>'PT1S'</repeatEvery><scope><empty/></scope></onAlarm>
      </eventHandlers>
      <sequence>
        <invoke name="one" partnerLink="partner" operation="buy" inputVariable="order" outputVariable="answer">
          <catch faultName="t:problem" faultVariable="p" faultMessageType="t:problem"><rethrow/></catch>
          <compensationHandler><invoke partnerLink="partner" operation="note" inputVariable="request"/></compensationHandler>
        </invoke>
        <pick><onMessage partnerLink="client" operation="note" variable="request"><empty/></onMessage><onAlarm><until>'2026-01-31'</until><empty/></onAlarm></pick>
        <extensionActivity><x:unknown name="u"><t:inside/></x:unknown></extensionActivity>
      </sequence>
    </scope>
  </forEach>
</flow>
<reply partnerLink="client" operation="buy" variable="answer"/>)";

TEST(Parser, EveryActivity) {
  const auto definition = parsed_body(kEverything);
  ASSERT_NE(definition, nullptr);
  expect_document_order(*definition);
  EXPECT_EQ(definition->name(), (xml::QName{"urn:test:process", "shopping"}));
  for (int kind = 0; kind <= static_cast<int>(NodeKind::kOnEvent); ++kind) {
    const bool present = std::any_of(definition->nodes().begin(), definition->nodes().end(),
                                     [&](const auto& node) { return static_cast<int>(node->kind) == kind; });
    EXPECT_TRUE(present) << node_kind_name(static_cast<NodeKind>(kind));
  }
  EXPECT_EQ(definition->start_activities(), std::vector<NodeIndex>{2});
  EXPECT_EQ(definition->path_of(2), "/process/sequence/receive");
  EXPECT_EQ(definition->path_of(0), "/process");
}

TEST(Parser, SuppressJoinFailureIsInherited) {
  const auto definition = parsed_body(kEverything);
  EXPECT_FALSE(first<Activity>(*definition, NodeKind::kReply).name.size());
  EXPECT_TRUE(first<Activity>(*definition, NodeKind::kFlow).suppress_join_failure);
  EXPECT_TRUE(first<Activity>(*definition, NodeKind::kIf).suppress_join_failure);
  EXPECT_FALSE(first<Activity>(*definition, NodeKind::kWait).suppress_join_failure);
  EXPECT_TRUE(first<Activity>(*definition, NodeKind::kRepeatUntil).suppress_join_failure);
  EXPECT_TRUE(first<Activity>(*definition, NodeKind::kPick).suppress_join_failure);
  EXPECT_FALSE(first<Activity>(*definition, NodeKind::kReceive).suppress_join_failure);
  EXPECT_FALSE(as<Activity>(definition->node(1)).suppress_join_failure);
}

TEST(Parser, NamesAreResolvedToSlots) {
  const auto definition = parsed_body(kEverything);
  const ForEach& each = first<ForEach>(*definition, NodeKind::kForEach);
  ASSERT_NE(each.body, nullptr);
  const Scope& scope = *each.body;
  EXPECT_EQ(definition->variable(each.counter).name, "i");
  EXPECT_EQ(each.counter.scope, scope.self);
  EXPECT_EQ(each.final.variables.front().variable, (VariableRef{0, 6}));
  EXPECT_TRUE(each.successful_branches_only);
  // The inline initialisation reads the counter, a catch its own variable.
  ASSERT_EQ(scope.variables[1].name, "inner");
  EXPECT_EQ(scope.variables[1].initial->variable, each.counter);
  const Catch& handler = *scope.catches.front();
  EXPECT_TRUE(definition->variable(handler.variable).hidden);
  EXPECT_EQ(as<Assign>(*handler.activity).copies.front().from.variable, handler.variable);
  EXPECT_TRUE(scope.catches.back()->all);
  const OnEvent& event = *scope.on_events.front();
  EXPECT_EQ(event.event.into.variable, (VariableRef{event.body->self, 0}));
  // The default message exchange is that of the event's own scope; of the parallel forEach's scope for what is in it.
  EXPECT_EQ(event.event.exchange, (MessageExchangeRef{event.body->self, 0}));
  EXPECT_EQ(as<Reply>(*event.body->body).exchange, (MessageExchangeRef{event.body->self, 0}));
  EXPECT_EQ(first<Pick>(*definition, NodeKind::kPick).messages.front()->event.exchange,
            (MessageExchangeRef{scope.self, 0}));
  EXPECT_EQ(first<Receive>(*definition, NodeKind::kReceive).event.exchange, (MessageExchangeRef{0, 0}));
  EXPECT_FALSE(first<Throw>(*definition, NodeKind::kThrow).variable.slot == kNone);
}

TEST(Parser, AnInvokeWithHandlersIsAScope) {
  const auto definition = parsed_body(kEverything);
  const Scope& outer = *first<ForEach>(*definition, NodeKind::kForEach).body;
  const CompensateScope& compensate = first<CompensateScope>(*definition, NodeKind::kCompensateScope);
  const Scope& made = as<Scope>(definition->node(compensate.target));
  EXPECT_TRUE(made.of_invoke);
  EXPECT_EQ(made.name, "one");
  EXPECT_EQ(made.scope, outer.self);
  ASSERT_EQ(made.body->kind, NodeKind::kInvoke);
  EXPECT_EQ(made.body->scope, made.self);
  EXPECT_NE(made.compensation_handler, nullptr);
  const Invoke& invoke = as<Invoke>(*made.body);
  ASSERT_EQ(invoke.input.parts.size(), 1U);  // an element variable stands for the message's only part
  EXPECT_EQ(invoke.input.parts.front().part, "body");
  EXPECT_FALSE(invoke.input.variable);
  EXPECT_EQ(definition->variable(invoke.output.variable).name, "answer");
  EXPECT_EQ(first<Compensate>(*definition, NodeKind::kCompensate).scope_to_compensate, outer.index);
}

TEST(Parser, LinksKnowBothEnds) {
  const auto definition = parsed_body(kEverything);
  ASSERT_EQ(definition->links().size(), 1U);
  const Link& link = definition->link(0);
  EXPECT_EQ(definition->node(link.source).kind, NodeKind::kForEach);
  EXPECT_EQ(definition->node(link.target).kind, NodeKind::kSequence);
  EXPECT_TRUE(as<Activity>(definition->node(link.source)).sources.front().transition_condition.has_value());
  EXPECT_EQ(as<Activity>(definition->node(link.target)).targets, std::vector<LinkIndex>{0});
}

TEST(Parser, AllFindingsAtOnceInTheirOrder) {
  Pieces pieces;
  pieces.variables = "<variable name='id' type='xsd:int'/>";
  pieces.body = "<rethrow/><empty colour='red'/><unknown/><invoke partnerLink='absent' operation='x'/>";
  const ParsedProcess result = test::parse_pieces(pieces);
  EXPECT_EQ(result.definition, nullptr);
  const std::string all = test::all_of(result.diagnostics);
  for (const char* expected :
       {"SA00023", "SA00006", "no attribute 'colour'", "no element <unknown>", "no partner link 'absent'"})
    EXPECT_THAT(all, HasSubstr(expected));
  EXPECT_TRUE(std::is_sorted(result.diagnostics.begin(), result.diagnostics.end(), [](const auto& a, const auto& b) {
    return std::pair(a.where.line, a.where.column) < std::pair(b.where.line, b.where.column);
  })) << all;
}

TEST(Parser, ShapeOfTheProcess) {
  EXPECT_THAT(findings_of_body("<sequence/>"), HasSubstr("<sequence> lacks an activity"));
  EXPECT_THAT(findings_of_body("<wait/>"), HasSubstr("<wait> lacks <for> or <until>"));
  EXPECT_THAT(findings_of_body("<receive operation='note'/>"), HasSubstr("lacks the attribute 'partnerLink'"));
  EXPECT_THAT(findings_of_body("<while><empty/><condition>true()</condition></while>"),
              HasSubstr("<while> lacks <condition>"));
  EXPECT_THAT(findings_of_body("<scope><empty/><empty/></scope>"), HasSubstr("<empty> may not stand here in <scope>"));
  EXPECT_THAT(findings_of_body("<pick><onAlarm><for>'PT1S'</for><empty/></onAlarm></pick>"),
              HasSubstr("lacks <onMessage>"));
  EXPECT_THAT(findings_of_body("<empty suppressJoinFailure='maybe'/>"), HasSubstr("yes or no"));
  EXPECT_THAT(findings_of_body("<sequence>text<empty/></sequence>"), HasSubstr("<sequence> may not hold text"));
  EXPECT_THAT(findings_of_body("<extensionActivity>text<x:any/></extensionActivity>"), HasSubstr("may not hold text"));
  EXPECT_THAT(findings_of_body("<assign><extensionAssignOperation><empty/></extensionAssignOperation></assign>"),
              HasSubstr("<empty> may not stand here in <extensionAssignOperation>"));
  EXPECT_EQ(
      findings_of_body("<assign><extensionAssignOperation><x:any>text</x:any></extensionAssignOperation></assign>"),
      "");
  EXPECT_THAT(findings_of_body("<empty name='two words'/>"), HasSubstr("name=\"two words\" is no name"));
  EXPECT_THAT(findings_of_body("<throw faultName='t:x y'/>"), HasSubstr("faultName=\"t:x y\" is no name"));
  EXPECT_THAT(findings_of_body("<validate variables=''/>"), HasSubstr("variables=\"\" is no name"));
  EXPECT_THAT(findings_of_body("<extensionActivity name='n'><x:any/></extensionActivity>"),
              HasSubstr("<extensionActivity> has no attribute 'name'"));
  EXPECT_EQ(findings_of_body("<validate variables=' order\n id '/><empty name='\u00e0-1.b'/>"), "");
  EXPECT_EQ(findings_of_body("<empty x:note='1'><documentation>said</documentation><x:any/></empty>"), "");
}

TEST(Parser, DocumentationIsNoPartOfAnExpression) {
  const auto definition = parsed_body(
      "<assign><copy><from><documentation>one</documentation>$n + "
      "1</from><to><documentation>two</documentation>$id</to></"
      "copy></assign>");
  const Copy& copy = first<Assign>(*definition, NodeKind::kAssign).copies.front();
  EXPECT_EQ(copy.from.expression->text(), "$n + 1");
  EXPECT_TRUE(copy.to.whole);
}

TEST(Parser, ExpressionsAreChecked) {
  const auto condition = [](const std::string& text) {
    return findings_of_body("<if><condition>" + text + "</condition><empty/></if>");
  };
  EXPECT_THAT(condition("1 +"), HasSubstr("no XPath 1.0 expression"));
  EXPECT_THAT(condition(""), HasSubstr("the expression is empty"));
  EXPECT_THAT(condition("$absent"), HasSubstr("no variable 'absent'"));
  EXPECT_THAT(condition("$request"), HasSubstr("say which part"));
  EXPECT_THAT(condition("$request.absent"), HasSubstr("has no part 'absent'"));
  EXPECT_THAT(condition("$order.body"), HasSubstr("has no parts"));
  EXPECT_THAT(condition("absent()"), HasSubstr("no function absent()"));
  EXPECT_THAT(condition("not()"), HasSubstr("does not take 0 arguments"));
  EXPECT_THAT(condition("x:f()"), HasSubstr("unknown"));
  EXPECT_THAT(condition("zz:f()"), HasSubstr("no XPath 1.0 expression"));
}

TEST(Parser, WhatIsNoProcess) {
  const auto findings = [](const std::string& text) {
    Package package;
    package.files["p.bpel"] = text;
    const ParsedProcess result = parse_process(package, "p.bpel");
    EXPECT_EQ(result.definition, nullptr);
    return test::all_of(result.diagnostics);
  };
  EXPECT_THAT(findings("<process"), HasSubstr("p.bpel"));
  EXPECT_THAT(findings("<process/>"), HasSubstr("not the <process> of WS-BPEL 2.0"));
  EXPECT_THAT(findings("<process xmlns='http://docs.oasis-open.org/wsbpel/2.0/process/abstract'/>"),
              HasSubstr("abstract"));
  EXPECT_THAT(findings("<process xmlns='http://docs.oasis-open.org/wsbpel/2.0/process/executable'/>"),
              HasSubstr("lacks"));
  EXPECT_THAT(test::all_of(parse_process({}, "absent.bpel").diagnostics), HasSubstr("not in the package"));
}

TEST(Parser, TooManyNodesAreRefusedNotRun) {
  std::string body;
  for (std::size_t i = 0; i < kMaxNodes; ++i) body += "<empty/>";
  EXPECT_THAT(findings_of_body(body), HasSubstr("more than 100000"));
}

TEST(Parser, PackagesOfSeveralProcesses) {
  Package package = test::shop_package({});
  package.files["sub/q.bpel"] = package.files["p.bpel"];
  const auto at = package.files["sub/q.bpel"].find("shop.wsdl");
  package.files["sub/q.bpel"].insert(at, "../");
  const auto processes = parse_package(package);
  ASSERT_EQ(processes.size(), 2U);
  for (const ParsedProcess& process : processes)
    EXPECT_NE(process.definition, nullptr) << test::all_of(process.diagnostics);
  EXPECT_EQ(processes.back().definition->files().size(), 4U);
}

}  // namespace
}  // namespace nuraghe::bpel
