// Processes damaged at random, from a seed: the parser answers with findings or a definition, it never falls over.
#include <gtest/gtest.h>

#include <array>
#include <random>

#include "bpel/test_processes.hpp"

namespace nuraghe::bpel {
namespace {

constexpr std::array<const char*, 44> kNames = {"assign",
                                                "compensate",
                                                "compensateScope",
                                                "empty",
                                                "exit",
                                                "extensionActivity",
                                                "flow",
                                                "forEach",
                                                "if",
                                                "invoke",
                                                "pick",
                                                "receive",
                                                "repeatUntil",
                                                "reply",
                                                "rethrow",
                                                "scope",
                                                "sequence",
                                                "throw",
                                                "validate",
                                                "wait",
                                                "while",
                                                "copy",
                                                "from",
                                                "to",
                                                "literal",
                                                "query",
                                                "condition",
                                                "else",
                                                "elseif",
                                                "faultHandlers",
                                                "catch",
                                                "catchAll",
                                                "eventHandlers",
                                                "onEvent",
                                                "onAlarm",
                                                "onMessage",
                                                "sources",
                                                "targets",
                                                "source",
                                                "target",
                                                "compensationHandler",
                                                "terminationHandler",
                                                "correlations",
                                                "documentation"};

const char* const kBody = R"(
<flow name="all"><links><link name="l"/><link name="m"/></links>
  <sequence><targets><joinCondition>$l</joinCondition><target linkName="l"/></targets><sources><source linkName="m"/></sources>
    <if><condition>$n = 1</condition><empty/><elseif><condition>$n = 2</condition><exit/></elseif><else><throw faultName="t:x" faultVariable="order"/></else></if>
    <while><condition>false()</condition><wait><for>'PT1S'</for></wait></while>
    <assign><copy><from variable="order"/><to variable="record"/></copy><copy><from><literal><t:order/></literal></from><to>$order</to></copy></assign>
  </sequence>
  <forEach counterName="i" parallel="yes"><sources><source linkName="l"><transitionCondition>$n = 1</transitionCondition></source></sources>
    <startCounterValue>1</startCounterValue><finalCounterValue>$n</finalCounterValue>
    <completionCondition><branches>2</branches></completionCondition>
    <scope name="s"><variables><variable name="inner" type="xsd:int"><from>$i</from></variable></variables>
      <correlationSets><correlationSet name="c" properties="t:customer"/></correlationSets>
      <faultHandlers><catch faultName="t:x" faultVariable="f" faultElement="t:problem"><empty/></catch><catchAll><compensateScope target="one"/></catchAll></faultHandlers>
      <compensationHandler><compensate/></compensationHandler>
      <eventHandlers>
        <onEvent partnerLink="client" operation="buy" variable="bought" messageType="t:order"><correlations><correlation set="c"/></correlations><scope><reply partnerLink="client" operation="buy" variable="answer"/></scope></onEvent>
        <onAlarm><repeatEvery>'PT1S'</repeatEvery><scope><empty/></scope></onAlarm>
      </eventHandlers>
      <invoke name="one" partnerLink="partner" operation="buy" inputVariable="order" outputVariable="answer"><catchAll><rethrow/></catchAll></invoke>
    </scope>
  </forEach>
  <pick><targets><target linkName="m"/></targets><onMessage partnerLink="client" operation="note" variable="request"><empty/></onMessage><onAlarm><until>'2026-01-31'</until><empty/></onAlarm></pick>
</flow>)";

std::vector<xml::Node> elements_of(xml::Node root) {
  std::vector<xml::Node> all{root};
  for (std::size_t i = 0; i < all.size(); ++i) {
    for (const xml::Node child : all[i].children()) all.push_back(child);
  }
  return all;
}

class Damage {
 public:
  Damage(xml::Document& document, std::uint32_t seed) : document_(document), random_(seed) {}

  void once() {
    const auto elements = elements_of(document_.root());
    xml::Node element = elements[1 + pick(elements.size() - 1)];  // never the process itself
    switch (pick(6)) {
      case 0:
        element.remove();
        break;
      case 1:
        element.rename({std::string(kBpelNamespace), kNames[pick(kNames.size())]});
        break;
      case 2:
        element.insert_copy_before(elements[1 + pick(elements.size() - 1)]);
        break;
      case 3:
        element.clear();
        break;
      default:
        change_attribute(element, elements[pick(elements.size())]);
    }
  }

 private:
  std::size_t pick(std::size_t count) { return std::uniform_int_distribution<std::size_t>(0, count - 1)(random_); }

  void change_attribute(xml::Node element, xml::Node other) {
    const auto own = element.attributes(), others = other.attributes();
    if (own.empty()) {
      element.set_text("$zz.a[");
    } else if (others.empty()) {
      element.remove_attribute(own[pick(own.size())].name.local);
    } else {
      element.set_attribute(own[pick(own.size())].name.local, others[pick(others.size())].value);
    }
  }

  xml::Document& document_;
  std::mt19937 random_;
};

TEST(Mutation, DamagedProcessesGiveFindings) {
  test::Pieces pieces;
  pieces.body = kBody;
  Package package = test::shop_package(pieces);
  const auto whole = xml::Document::parse(package.files["p.bpel"]);
  ASSERT_TRUE(whole);
  const ParsedProcess sound = parse_process(package, "p.bpel");
  ASSERT_NE(sound.definition, nullptr) << test::all_of(sound.diagnostics);
  int refused = 0;
  constexpr std::uint32_t kRounds = 1'500;
  for (std::uint32_t seed = 0; seed < kRounds; ++seed) {
    xml::Document damaged = whole->clone();
    Damage damage(damaged, seed);
    for (std::uint32_t i = 0; i <= seed % 4; ++i) damage.once();
    package.files["p.bpel"] = damaged.to_string();
    const ParsedProcess result = parse_process(package, "p.bpel");
    EXPECT_TRUE(result.definition != nullptr || !result.diagnostics.empty()) << "seed " << seed;
    if (result.definition == nullptr) ++refused;
  }
  EXPECT_GT(refused, static_cast<int>(kRounds / 2));
}

TEST(Mutation, DamagedWsdlGivesFindings) {
  Package package = test::shop_package({});
  const auto whole = xml::Document::parse(package.files["shop.wsdl"]);
  ASSERT_TRUE(whole);
  for (std::uint32_t seed = 0; seed < 500; ++seed) {
    xml::Document damaged = whole->clone();
    Damage damage(damaged, seed);
    for (std::uint32_t i = 0; i <= seed % 4; ++i) damage.once();
    package.files["shop.wsdl"] = damaged.to_string();
    const ParsedProcess result = parse_process(package, "p.bpel");
    EXPECT_TRUE(result.definition != nullptr || !result.diagnostics.empty()) << "seed " << seed;
  }
}

}  // namespace
}  // namespace nuraghe::bpel
