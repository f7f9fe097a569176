// Each standard fault of WS-BPEL 2.0 appendix A is provoked where the text says that it is raised, and caught; and what
// exitOnStandardFault does with it (§12.5).
#include <gtest/gtest.h>

#include <set>

#include "bpel/testing.hpp"

namespace nuraghe::bpel {
namespace {

using testing::Answer;
using testing::kReceive;
using testing::kReply;
using testing::process_text;
using testing::set_reply;
using testing::World;

struct FaultCase {
  std::string fault;
  std::string about;
  std::string body;     // of the scope that catches
  std::string scope;    // declarations of that scope
  std::string request;  // a message of the operation "more" that is sent when the process waits
  std::string content = "<id>1</id>";
};

void PrintTo(const FaultCase& fault, std::ostream* out) { *out << fault.fault << " " << fault.about; }

const std::string kSets =
    R"(<correlationSets><correlationSet name="c" properties="t:id"/><correlationSet name="d" properties="t:code"/>
       <correlationSet name="e" properties="t:id"/></correlationSets>)";
const std::string kVariables = R"(<variable name="n" type="xsd:int"><from>1</from></variable>
  <variable name="unset" element="t:in"/><variable name="list" element="t:in"><from><literal><t:in><t:x/><t:x/></t:in></literal>
  </from></variable><variable name="second" messageType="t:In"/>)";

std::string receive(const std::string& operation, const std::string& sets, const std::string& initiate = "no",
                    const std::string& attributes = "") {
  std::string correlations;
  for (const char set : sets)
    correlations += std::string("<correlation set=\"") + set + "\" initiate=\"" + initiate + "\"/>";
  return "<receive partnerLink=\"client\" portType=\"t:P\" operation=\"" + operation + "\" variable=\"second\" " +
         attributes + "><correlations>" + correlations + "</correlations></receive>";
}
std::string assign(const std::string& from, const std::string& to) {
  return "<assign><copy>" + from + to + "</copy></assign>";
}
std::string each(const std::string& last, const std::string& condition, const std::string& inside = "<empty/>") {
  return "<forEach counterName=\"i\" parallel=\"yes\"><startCounterValue>1</startCounterValue><finalCounterValue>" +
         last + "</finalCounterValue>" + condition +
         "<scope><faultHandlers><catch faultName=\"t:bad\"><empty/></catch>"
         "</faultHandlers>" +
         inside + "</scope></forEach>";
}
std::string branches(const std::string& count) {
  return "<completionCondition><branches successfulBranchesOnly=\"yes\">" + count + "</branches></completionCondition>";
}
std::string service_ref(const std::string& attributes) {
  return "<from><literal><s:service-ref xmlns:s=\"http://docs.oasis-open.org/wsbpel/2.0/serviceref\" " + attributes +
         "><w:EndpointReference xmlns:w=\"http://www.w3.org/2005/08/addressing\"><w:Address>/x</w:Address>"
         "</w:EndpointReference></s:service-ref></literal></from>";
}
const std::string kNoPartner =
    "<partnerLinks><partnerLink name=\"nobody\" partnerLinkType=\"t:L\" partnerRole=\"service\" "
    "initializePartnerRole=\"no\"/></partnerLinks>";
const std::string kToReply = "<to>$reply</to>";

std::vector<FaultCase> fault_cases() {
  const auto waiting = [](const std::string& text) { return "<wait><for>" + text + "</for></wait>"; };
  return {
      {"ambiguousReceive", "two correlation sets", "<flow>" + receive("more", "c") + receive("more", "d") + "</flow>",
       "", "<id>1</id><code>2</code>", "<id>1</id><code>2</code>"},
      {"ambiguousReceive", "two sets of one property",
       "<flow>" + receive("more", "c") + receive("more", "e") + "</flow>", "", "<id>1</id>"},
      {"completionConditionFailure", "too few successful branches",
       each("3", branches("2"), "<throw faultName=\"t:bad\"/>"), "", ""},
      {"conflictingReceive", "same correlation", "<flow>" + receive("more", "c") + receive("more", "c") + "</flow>", "",
       ""},
      {"conflictingReceive", "pick and receive",
       "<flow>" + receive("more", "c") +
           "<pick><onMessage partnerLink=\"client\" operation=\"more\" variable=\"second\"><correlations><correlation "
           "set=\"c\"/></correlations><empty/></onMessage></pick></flow>",
       "", ""},
      {"conflictingRequest", "second open request", receive("start", "c"), "", "start"},
      {"correlationViolation", "set without values",
       "<scope><correlationSets><correlationSet name=\"c\" properties=\"t:id\"/></correlationSets>" +
           receive("more", "c") + "</scope>",
       "", ""},
      {"correlationViolation", "set initiated twice",
       "<invoke partnerLink=\"partner\" operation=\"note\" inputVariable=\"request\"><correlations><correlation "
       "set=\"c\" "
       "initiate=\"yes\"/></correlations></invoke>",
       "", ""},
      {"correlationViolation", "message sent does not fit",
       assign("<from>'9'</from>", "<to>$request.p/*[1]</to>") +
           "<invoke partnerLink=\"partner\" operation=\"note\" inputVariable=\"request\"><correlations><correlation "
           "set=\"c\"/></correlations></invoke>",
       "", ""},
      {"invalidBranchCondition", "more than run", each("$n", branches("$n + 1")), "", ""},
      {"invalidExpressionValue", "duration", waiting("'soon'"), "", ""},
      {"invalidExpressionValue", "deadline", "<wait><until>'tomorrow'</until></wait>", "", ""},
      {"invalidExpressionValue", "counter", each("$n - 2", ""), "", ""},
      {"invalidExpressionValue", "negative counter", each("-3", ""), "", ""},
      {"invalidExpressionValue", "counter too large", each("4294967296", ""), "", ""},
      {"invalidExpressionValue", "negative branches", each("3", branches("-1")), "", ""},
      {"invalidBranchCondition", "a constant of more branches than there are", each("3", branches("4")), "", ""},
      {"invalidExpressionValue", "branches", each("$n", branches("$n div 2")), "", ""},
      {"invalidExpressionValue", "alarm of a pick",
       "<pick><onMessage partnerLink=\"client\" operation=\"note\" "
       "variable=\"second\"><empty/></onMessage><onAlarm><for>'x'"
       "</for><empty/></onAlarm></pick>",
       "", ""},
      {"invalidExpressionValue", "repeatEvery", "<wait><for>'P1D'</for></wait>",
       "<eventHandlers><onAlarm><repeatEvery>'PT0S'</repeatEvery><scope><empty/></scope></onAlarm></eventHandlers>",
       ""},
      {"invalidVariables", "validate", assign("<from>'x'</from>", "<to>$n</to>") + "<validate variables=\"n\"/>", "",
       ""},
      {"invalidVariables", "assign", "<assign validate=\"yes\"><copy><from>'x'</from><to>$n</to></copy></assign>", "",
       ""},
      {"joinFailure", "no incoming link is true",
       "<flow><links><link name=\"l\"/></links><empty><sources><source linkName=\"l\"><transitionCondition>false()"
       "</transitionCondition></source></sources></empty><empty><targets><target "
       "linkName=\"l\"/></targets></empty></flow>",
       "", ""},
      {"mismatchedAssignmentFailure", "text to a partner link",
       assign("<from>'a'</from>", "<to partnerLink=\"partner\"/>"), "", ""},
      {"mismatchedAssignmentFailure", "element that does not substitute",
       "<assign><copy keepSrcElementName=\"yes\"><from>$list/*[1]</from><to variable=\"unset\"/></copy></assign>", "",
       ""},
      {"missingReply", "message exchange of a scope",
       "<scope><messageExchanges><messageExchange name=\"m\"/></messageExchanges>" +
           receive("more", "c", "no", "messageExchange=\"m\"") + "</scope>",
       "", "<id>1</id>"},
      {"missingRequest", "reply to nobody", "<reply partnerLink=\"client\" operation=\"more\" variable=\"reply\"/>", "",
       ""},
      {"scopeInitializationFailure", "variable",
       "<scope><variables><variable name=\"v\" "
       "element=\"t:in\"><from>$unset</from></variable></variables><empty/></scope>",
       "", ""},
      {"selectionFailure", "nothing", assign("<from>$list/t:absent</from>", kToReply), "", ""},
      {"selectionFailure", "two nodes", assign("<from>$list/*</from>", kToReply), "", ""},
      {"selectionFailure", "no destination", assign("<from>1</from>", "<to>$list/t:absent</to>"), "", ""},
      {"selectionFailure", "property",
       "<if><condition>bpel:getVariableProperty('request', 't:code') = '2'</condition><empty/></if>", "", ""},
      {"subLanguageExecutionFault", "type error", "<if><condition>count($n) = 1</condition><empty/></if>", "", ""},
      {"uninitializedPartnerRole", "invoke",
       "<invoke partnerLink=\"nobody\" operation=\"note\" inputVariable=\"request\"/>", kNoPartner, ""},
      {"uninitializedPartnerRole", "copied",
       assign("<from partnerLink=\"nobody\" endpointReference=\"partnerRole\"/>", "<to partnerLink=\"partner\"/>"),
       kNoPartner, ""},
      {"uninitializedVariable", "expression", assign("<from>$unset</from>", kToReply), "", ""},
      {"uninitializedVariable", "invoke",
       "<invoke partnerLink=\"partner\" operation=\"note\" inputVariable=\"unset\"/>", "", ""},
      {"uninitializedVariable", "reply", "<reply partnerLink=\"client\" operation=\"start\" variable=\"reply\"/>", "",
       ""},
      {"uninitializedVariable", "throw", "<throw faultName=\"t:bad\" faultVariable=\"unset\"/>", "", ""},
      {"uninitializedVariable", "condition", "<while><condition>$unset = 1</condition><empty/></while>", "", ""},
      {"unsupportedReference", "scheme",
       assign(service_ref("reference-scheme=\"urn:x\""), "<to partnerLink=\"partner\"/>"), "", ""},
      {"xsltInvalidSource", "two nodes", assign("<from>bpel:doXslTransform('a.xsl', $list/*)</from>", kToReply), "",
       ""},
      {"xsltStylesheetNotFound", "absent", assign("<from>bpel:doXslTransform('a.xsl', $list)</from>", kToReply), "",
       ""},
  };
}

class StandardFaults : public ::testing::TestWithParam<FaultCase> {};

// The process begins with correlation sets c, d, e that have values, and waits for the partner's "A" beside the scope.
World world_of(const FaultCase& fault, const std::string& exit) {
  const std::string start =
      R"(<receive partnerLink="client" portType="t:P" operation="start" variable="request" createInstance="yes"><correlations>
         <correlation set="c" initiate="yes"/><correlation set="e" initiate="yes"/>)" +
      std::string(fault.content.find("code") == std::string::npos ? "" : R"(<correlation set="d" initiate="yes"/>)") +
      "</correlations></receive>";
  return World(process_text(
      "<sequence>" + start + "<scope exitOnStandardFault=\"" + exit + "\">" +
          [&] {
            // Declarations stand before the handlers, event handlers behind them.
            const std::string handlers = exit == "yes" ? "<faultHandlers><catchAll>@F</catchAll></faultHandlers>"
                                                       : "<faultHandlers><catch faultName=\"bpel:" + fault.fault +
                                                             "\">@F</catch></faultHandlers>";
            return fault.scope.starts_with("<eventHandlers") ? handlers + fault.scope : fault.scope + handlers;
          }() +
          "<sequence>" + fault.body + "@N</sequence></scope>" + set_reply("'done'") + kReply + "</sequence>",
      kSets, kVariables));
}

std::string trace_of(const FaultCase& fault, const std::string& exit, std::string* answer, std::string* state) {
  World world = world_of(fault, exit);
  const auto id = world.request("start", fault.content);
  if (fault.request == "start") {
    world.request("start", fault.content);
  } else if (!fault.request.empty()) {
    world.request("more", fault.request);
  }
  *answer = world.answer_text(id);
  *state = world.instances()[0].state;
  if (*state != "running") world.expect_replays();
  return world.trace();
}

TEST_P(StandardFaults, IsRaisedAndCaught) {
  std::string answer, state;
  EXPECT_EQ(trace_of(GetParam(), "no", &answer, &state), "F");
  EXPECT_EQ(answer, "done");
  EXPECT_EQ(state, "completed");
}

TEST_P(StandardFaults, EndsTheProcessWhereAsked) {
  std::string answer, state;
  const auto trace = trace_of(GetParam(), "yes", &answer, &state);
  if (GetParam().fault == "joinFailure") {
    EXPECT_EQ(trace, "F");
    return;
  }
  EXPECT_EQ(trace, "");
  EXPECT_EQ(answer.substr(0, 5), "fault") << answer;
  EXPECT_EQ(state, "faulted");
}

std::string name_of(const ::testing::TestParamInfo<FaultCase>& info) {
  std::string name = info.param.fault + "_" + info.param.about;
  std::replace(name.begin(), name.end(), ' ', '_');
  return name;
}
INSTANTIATE_TEST_SUITE_P(All, StandardFaults, ::testing::ValuesIn(fault_cases()), name_of);

TEST(StandardFaultsOfAppendixA, AreAllProvoked) {
  std::set<std::string> provoked;
  for (const auto& fault : fault_cases()) {
    EXPECT_TRUE(is_standard_fault({std::string(kBpelNamespace), fault.fault})) << fault.fault;
    provoked.insert(fault.fault);
  }
  EXPECT_EQ(provoked.size(), 20U);
}

}  // namespace
}  // namespace nuraghe::bpel
