#include "bpel/expression/expression.hpp"

#include <gmock/gmock.h>

#include <algorithm>

#include "bpel/expression/test_context.hpp"
#include "bpel/expression/xpath_syntax.hpp"

namespace nuraghe::bpel {
namespace {

using test::World;
using ::testing::HasSubstr;

const std::string kOrder =
    "<o:order xmlns:o='urn:test:shop' kind='big'><o:customer>anna</o:customer><o:amount>7</o:amount>"
    "<o:item>a</o:item><o:item>b</o:item></o:order>";

// A process with the expression as a condition, and values for the variables.
class Evaluating {
 public:
  explicit Evaluating(const std::string& expression)
      : world_("<if><condition>" + expression + "</condition><empty/></if>") {
    world_.set("order", kOrder);
    world_.set("request", kOrder, "body");
    world_.set("record", "<value xmlns:t='urn:test:shop'><t:customer>bruno</t:customer></value>");
    world_.set_text("id", "seven");
    world_.set_text("n", " 5 ");
    world_.set_text("flag", "false");
    world_.set("pair", "<b>12</b>", "b");
  }
  const Expression& expression() const { return *world_.first<If>(NodeKind::kIf).branches.front().condition; }
  std::string text() {
    auto result = evaluate_string(expression(), world_.context);
    return result ? *result : "fault " + result.error().name.local;
  }
  std::string truth() {
    auto result = evaluate_boolean(expression(), world_.context);
    return result ? (*result ? "true" : "false") : "fault " + result.error().name.local;
  }
  World& world() { return world_; }

 private:
  World world_;
};

std::string text(const std::string& expression) { return Evaluating(expression).text(); }
std::string truth(const std::string& expression) { return Evaluating(expression).truth(); }

TEST(Expression, ElementVariablesAreTheElement) {
  EXPECT_EQ(text("$order/t:customer"), "anna");
  EXPECT_EQ(text("count($order/t:item)"), "2");
  EXPECT_EQ(text("$order/@kind"), "big");
  EXPECT_EQ(text("$order/t:item[2]"), "b");
  EXPECT_EQ(text("$order/t:item[. = 'a']"), "a");
  EXPECT_EQ(text("local-name($order)"), "order");
  EXPECT_EQ(text("$record/t:customer"), "bruno");
}

TEST(Expression, PartsOfMessages) {
  EXPECT_EQ(text("$request.body/t:amount"), "7");
  EXPECT_EQ(text("$pair.b + 1"), "13");
  EXPECT_EQ(text("$pair.a"), "fault uninitializedVariable");
}

TEST(Expression, SimpleVariablesAreXPathValues) {
  EXPECT_EQ(text("concat($id, '!')"), "seven!");
  EXPECT_EQ(text("$n + 1"), "6");
  EXPECT_EQ(truth("$flag"), "false");  // as a string it would be true
  EXPECT_EQ(truth("$flag = false()"), "true");
  EXPECT_EQ(truth("$order/t:absent"), "false");
}

TEST(Expression, AVariableWithoutValueIsAFault) {
  EXPECT_EQ(text("$answer.body"), "fault uninitializedVariable");
  EXPECT_EQ(truth("true() or $answer.body"), "true");  // never asked
}

TEST(Expression, PropertiesOfVariables) {
  EXPECT_EQ(text("bpel:getVariableProperty('request', 't:customer')"), "anna");
  EXPECT_EQ(text("bpel:getVariableProperty('order', 't:customer')"), "anna");
  EXPECT_EQ(text("bpel:getVariableProperty('id', 't:customer')"), "seven");
  Evaluating twice("bpel:getVariableProperty('order', 't:customer')");
  twice.world().set("order", "<t:order xmlns:t='urn:test:shop'><t:customer/><t:customer/></t:order>");
  EXPECT_EQ(twice.text(), "fault selectionFailure");
  EXPECT_EQ(text("bpel:getVariableProperty('answer', 't:customer')"), "fault uninitializedVariable");
}

TEST(Expression, ErrorsOfXPathAreFaults) { EXPECT_EQ(text("sum('a')"), "fault subLanguageExecutionFault"); }

TEST(Expression, JoinConditionsReadLinks) {
  World world(
      "<flow><links><link name='a'/><link name='b'/></links>"
      "<empty><sources><source linkName='a'/></sources></empty><empty><sources><source linkName='b'/></sources></empty>"
      "<sequence><empty><targets><joinCondition>$a and not($b)</joinCondition><target linkName='a'/><target "
      "linkName='b'/></targets></empty></sequence></flow>");
  const auto& nodes = world.definition().nodes();
  const auto joining = std::find_if(nodes.begin(), nodes.end(), [](const auto& node) {
    return is_activity(node->kind) && as<Activity>(*node).join_condition.has_value();
  });
  ASSERT_NE(joining, nodes.end());
  const Activity& activity = as<Activity>(**joining);
  ASSERT_EQ(activity.targets.size(), 2U);
  const auto joined = [&](bool a, bool b) {
    world.context.links = {{activity.targets[0], a}, {activity.targets[1], b}};
    return *evaluate_boolean(*activity.join_condition, world.context);
  };
  EXPECT_TRUE(joined(true, false));
  EXPECT_FALSE(joined(true, true));
  EXPECT_FALSE(joined(false, false));
}

std::string unsigned_of(const std::string& expression) {
  Evaluating evaluating(expression);
  auto result = evaluate_unsigned(evaluating.expression(), evaluating.world().context);
  return result ? std::to_string(*result) : result.error().name.local;
}

TEST(Expression, UnsignedIntegers) {
  EXPECT_EQ(unsigned_of("3"), "3");
  EXPECT_EQ(unsigned_of("' 3 '"), "3");
  EXPECT_EQ(unsigned_of("count($order/t:item)"), "2");
  EXPECT_EQ(unsigned_of("'+4294967295'"), "4294967295");
  EXPECT_EQ(unsigned_of("4294967295"), "4294967295");
  for (const char* wrong : {"3.5", "-1", "'4294967296'", "''", "'a'", "'3x'", "1 div 0"})
    EXPECT_EQ(unsigned_of(wrong), "invalidExpressionValue") << wrong;
}

// 2026-01-31T12:00:00Z.
constexpr TimePoint kNow{1'769'860'800'000'000};

std::string after(const std::string& duration) {
  const auto due = add_duration(kNow, duration);
  return due ? due->to_string() : "no duration";
}

TEST(Expression, Durations) {
  EXPECT_EQ(after("PT30S"), "2026-01-31T12:00:30.000000Z");
  EXPECT_EQ(after("PT0.25S"), "2026-01-31T12:00:00.250000Z");
  EXPECT_EQ(after("P1DT1H1M"), "2026-02-01T13:01:00.000000Z");
  EXPECT_EQ(after("P1M"), "2026-02-28T12:00:00.000000Z");  // the last day, as February has no 31st
  EXPECT_EQ(after("P1Y1M"), "2027-02-28T12:00:00.000000Z");
  EXPECT_EQ(after("P25M"), "2028-02-29T12:00:00.000000Z");
  EXPECT_EQ(after("-P2M"), "2025-11-30T12:00:00.000000Z");
  EXPECT_EQ(after("-PT1S"), "2026-01-31T11:59:59.000000Z");
  EXPECT_EQ(after("P0D"), "2026-01-31T12:00:00.000000Z");
  for (const char* wrong :
       {"", "P", "PT", "P1", "1D", "PT1D", "P1S", "P1DT", "P-1D", "PT1.S", "PT.5S", "P1.5D", "PT1S1M", "PT1S1S",
        " PT1S", "P99999999999999999999D", "P400000000Y", "PT9223372036854775807S"})
    EXPECT_EQ(after(wrong), "no duration") << wrong;
}

TEST(Expression, Deadlines) {
  const auto deadline = [](const char* text) {
    const auto due = parse_deadline(text);
    return due ? due->to_string() : "none";
  };
  EXPECT_EQ(deadline("2026-01-31T12:00:00Z"), "2026-01-31T12:00:00.000000Z");
  EXPECT_EQ(deadline("2026-01-31T12:00:00+02:00"), "2026-01-31T10:00:00.000000Z");
  EXPECT_EQ(deadline("2026-01-31"), "2026-01-31T00:00:00.000000Z");
  EXPECT_EQ(deadline("2026-01-31+01:00"), "2026-01-30T23:00:00.000000Z");
  EXPECT_EQ(deadline("tomorrow"), "none");
  EXPECT_EQ(deadline("2026-01-31T24:00:00Z"), "2026-02-01T00:00:00.000000Z");
  for (const char* wrong :
       {"2026-13-31", "2026-02-30", "2026-02-29T12:00:00Z", "2026-01-31T24:00:01Z", "2026-01-31T12:00:00+0a:00"})
    EXPECT_EQ(deadline(wrong), "none") << wrong;
}

TEST(Expression, TimesOfWaits) {
  World world("<wait><for>concat('PT', $n, 'S')</for></wait>");
  world.set_text("n", "5");
  const Wait& wait = world.first<Wait>(NodeKind::kWait);
  const auto due = evaluate_for(*wait.for_duration, world.context, kNow);
  ASSERT_TRUE(due) << due.error().message;
  EXPECT_EQ(due->micros, kNow.micros + 5'000'000);
  world.set_text("n", "x");
  const auto wrong = evaluate_for(*wait.for_duration, world.context, kNow);
  ASSERT_FALSE(wrong);
  EXPECT_EQ(wrong.error().name.local, faults::kInvalidExpressionValue);
  World until("<wait><until>$id</until></wait>");
  until.set_text("id", " 2026-01-31T12:00:00Z ");
  EXPECT_EQ(*evaluate_until(*until.first<Wait>(NodeKind::kWait).until, until.context), kNow);
}

TEST(Expression, PropertiesOfMessagesOnTheirWay) {
  const World world("<empty/>");
  const wsdl::Definitions& wsdl = world.definition().wsdl();
  VariableValue message;
  message.initialised = true;
  message.parts["body"] = test::document(kOrder);
  const xml::QName customer{"urn:test:shop", "customer"};
  EXPECT_EQ(*message_property_value(wsdl, customer, {"urn:test:shop", "order"}, message), "anna");
  const auto absent = message_property_value(wsdl, {"urn:test:shop", "orphan"}, {"urn:test:shop", "order"}, message);
  ASSERT_FALSE(absent);
  EXPECT_EQ(absent.error().name.local, faults::kSelectionFailure);
}

TEST(Expression, StandardFaults) {
  EXPECT_TRUE(is_standard_fault({std::string(kBpelNamespace), "joinFailure"}));
  EXPECT_FALSE(is_standard_fault({std::string(kBpelNamespace), "other"}));
  EXPECT_FALSE(is_standard_fault({"urn:x", "joinFailure"}));
}

SyntaxKind kind_of(const std::string& expression) {
  const auto syntax = parse_xpath_syntax(expression);
  EXPECT_TRUE(syntax) << expression << ": " << (syntax ? "" : syntax.error().message());
  return syntax ? syntax->kind : SyntaxKind::kNumber;
}

TEST(XPathSyntax, KindsOfExpressions) {
  EXPECT_EQ(kind_of("$a"), SyntaxKind::kVariable);
  EXPECT_EQ(kind_of("$a.b-c"), SyntaxKind::kVariable);
  EXPECT_EQ(kind_of("$a/b[1]//c/@d"), SyntaxKind::kFilterPath);
  EXPECT_EQ(kind_of("(//a)[1]"), SyntaxKind::kFilterPath);
  EXPECT_EQ(kind_of("/"), SyntaxKind::kLocationPath);
  EXPECT_EQ(kind_of("/a"), SyntaxKind::kLocationPath);
  EXPECT_EQ(kind_of(".."), SyntaxKind::kLocationPath);
  EXPECT_EQ(kind_of("*"), SyntaxKind::kLocationPath);
  EXPECT_EQ(kind_of("* * *"), SyntaxKind::kMultiplicative);
  EXPECT_EQ(kind_of("div div div"), SyntaxKind::kMultiplicative);
  EXPECT_EQ(kind_of("child::p:*"), SyntaxKind::kLocationPath);
  EXPECT_EQ(kind_of("ancestor-or-self::node()"), SyntaxKind::kLocationPath);
  EXPECT_EQ(kind_of("processing-instruction('x')"), SyntaxKind::kLocationPath);
  EXPECT_EQ(kind_of("text()"), SyntaxKind::kLocationPath);
  EXPECT_EQ(kind_of("p:f(1, 'a')"), SyntaxKind::kFunction);
  EXPECT_EQ(kind_of("- - 1"), SyntaxKind::kNegate);
  EXPECT_EQ(kind_of("a or b and c"), SyntaxKind::kOr);
  EXPECT_EQ(kind_of("1 < 2 = true()"), SyntaxKind::kEquality);
  EXPECT_EQ(kind_of("a | b"), SyntaxKind::kUnion);
  EXPECT_EQ(kind_of(".5"), SyntaxKind::kNumber);
  EXPECT_EQ(kind_of("\"it's\""), SyntaxKind::kLiteral);
}

TEST(XPathSyntax, WhatIsNoExpression) {
  for (const char* wrong :
       {"", "$", "1 +", "(1", "f(1", "a b", "'a", "a[", "a[]", "@", "1 2", "a//", "f(,)", "!", "a::b::"})
    EXPECT_FALSE(parse_xpath_syntax(wrong)) << wrong;
  EXPECT_FALSE(parse_xpath_syntax(std::string(100'000, '(')));
  EXPECT_FALSE(parse_xpath_syntax(std::string(100'000, '-') + "1"));
}

}  // namespace
}  // namespace nuraghe::bpel
