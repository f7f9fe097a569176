// One valid and one invalid process per rule of static analysis: one table of them all is the reason for its length.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <functional>
#include <map>
#include <ostream>
#include <set>

#include "bpel/test_processes.hpp"
#include "test_folders.hpp"

namespace nuraghe::bpel {
namespace {

using test::Pieces;

struct RuleCase {
  const char* rule;
  const char* about;
  std::string Pieces::*piece;
  std::string valid;
  std::string invalid;
};

void PrintTo(const RuleCase& rule, std::ostream* out) { *out << rule.rule << " " << rule.about; }

class Rules : public ::testing::TestWithParam<RuleCase> {};

std::string scope_with(const std::string& inside) { return "<scope>" + inside + "<empty/></scope>"; }
std::string copy(const std::string& from, const std::string& to) {
  return "<assign><copy>" + from + to + "</copy></assign>";
}
std::string condition(const std::string& text) { return "<if><condition>" + text + "</condition><empty/></if>"; }
std::string flow(const std::string& links, const std::string& inside) {
  return "<flow><links>" + links + "</links>" + inside + "</flow>";
}
std::string source(const std::string& link) { return "<sources><source linkName='" + link + "'/></sources>"; }
std::string target(const std::string& link) { return "<targets><target linkName='" + link + "'/></targets>"; }
std::string each(const std::string& head, const std::string& scope) {
  return "<forEach counterName='i' parallel='no'>" + head + scope + "</forEach>";
}
const std::string kOneToThree = "<startCounterValue>1</startCounterValue><finalCounterValue>3</finalCounterValue>";
const std::string kEmptyScope = "<scope><empty/></scope>";
const std::string kBuy = "partnerLink='partner' operation='buy'";
const std::string kOther =
    "<partnerLinks><partnerLink name='other' partnerLinkType='t:odd' partnerRole='odd'/></partnerLinks>";

std::string invoke(const std::string& attributes, const std::string& inside = "") {
  return "<invoke " + attributes + ">" + inside + "</invoke>";
}
std::string event(const std::string& attributes, const std::string& inside) {
  return "<onEvent partnerLink='client' operation='note' " + attributes + ">" + inside + "</onEvent>";
}
std::string receive(const std::string& operation, const std::string& rest, const std::string& inside = "") {
  return "<receive partnerLink='client' operation='" + operation + "' " + rest + ">" + inside + "</receive>";
}
std::string correlated(const std::string& initiate) {
  return "<correlations><correlation set='customer' initiate='" + initiate + "'/></correlations>";
}
const std::string kImport =
    R"(<import namespace="urn:test:shop" location="shop.wsdl" importType="http://schemas.xmlsoap.org/wsdl/"/>)";

std::vector<RuleCase> language_cases() {
  return {
      {"SA00001", "solicit-response", &Pieces::body, "<empty/>",
       "<scope>" + kOther + "<invoke partnerLink='other' operation='tell' inputVariable='request'/></scope>"},
      {"SA00001", "port type with a solicit-response", &Pieces::partner_links,
       "<partnerLink name='l' partnerLinkType='t:shop' partnerRole='shop'/>",
       "<partnerLink name='l' partnerLinkType='t:odd' partnerRole='odd'/>"},
      {"SA00003", "standard faults that end the process", &Pieces::body,
       "<scope exitOnStandardFault='no'><faultHandlers><catch "
       "faultName='bpel:selectionFailure'><empty/></catch></faultHandlers><empty/></scope>",
       "<scope exitOnStandardFault='yes'><faultHandlers><catch "
       "faultName='bpel:selectionFailure'><empty/></catch></faultHandlers><empty/></scope>"},
      {"SA00003", "joinFailure is a standard fault", &Pieces::body,
       "<scope exitOnStandardFault='yes'><faultHandlers><catchAll><empty/></catchAll></faultHandlers><empty/></scope>",
       "<scope exitOnStandardFault='yes'><faultHandlers><catch "
       "faultName='bpel:joinFailure'><empty/></catch></faultHandlers><empty/></scope>"},
      {"SA00004", "expression language", &Pieces::attributes,
       "expressionLanguage='urn:oasis:names:tc:wsbpel:2.0:sublang:xpath1.0'", "expressionLanguage='urn:test:other'"},
      {"SA00004", "expression language of one", &Pieces::body, condition("true()"),
       "<if><condition expressionLanguage='urn:test:other'>true()</condition><empty/></if>"},
      {"SA00004", "expression language of a from without expression", &Pieces::body,
       copy("<from variable='id' expressionLanguage='urn:oasis:names:tc:wsbpel:2.0:sublang:xpath1.0'/>",
            "<to variable='id'/>"),
       copy("<from variable='id' expressionLanguage='urn:test:other'/>", "<to variable='id'/>")},
      {"SA00004", "expression language of a to without expression", &Pieces::body,
       copy("<from>1</from>", "<to variable='n'/>"),
       copy("<from>1</from>", "<to variable='n' expressionLanguage='urn:test:other'/>")},
      {"SA00005", "portType of the partner link", &Pieces::body,
       invoke(kBuy + " portType='t:Shop' inputVariable='request' outputVariable='answer'"),
       invoke(kBuy + " portType='t:Odd' inputVariable='request' outputVariable='answer'")},
      {"SA00005", "portType of a role that is not there", &Pieces::body,
       receive("note", "portType='t:Shop' variable='request'"),
       "<receive partnerLink='partner' portType='t:Shop' operation='note' variable='request'/>"},
      {"SA00006", "rethrow in a catch", &Pieces::body,
       "<scope><faultHandlers><catchAll><sequence><rethrow/></sequence></catchAll></faultHandlers><empty/></scope>",
       "<rethrow/>"},
      {"SA00007", "compensateScope in a handler", &Pieces::body,
       "<scope><faultHandlers><catchAll><compensateScope target='s'/></catchAll></faultHandlers><scope "
       "name='s'><empty/></scope></scope>",
       "<compensateScope target='s'/>"},
      {"SA00008", "compensate in a handler", &Pieces::body,
       "<scope><terminationHandler><compensate/></terminationHandler><empty/></scope>", "<compensate/>"},
      {"SA00009", "extension to be understood", &Pieces::extensions,
       "<extensions><extension namespace='urn:test:extension' mustUnderstand='no'/></extensions>",
       "<extensions><extension namespace='urn:test:extension' mustUnderstand='yes'/></extensions>"},
      {"SA00010", "message not imported", &Pieces::variables, "<variable name='v' messageType='t:order'/>",
       "<variable name='v' messageType='t:absent'/>"},
      {"SA00010", "element not imported", &Pieces::variables, "<variable name='v' element='t:order'/>",
       "<variable name='v' element='t:absent'/>"},
      {"SA00010", "type not imported", &Pieces::variables, "<variable name='v' type='t:Count'/>",
       "<variable name='v' type='t:Absent'/>"},
      {"SA00010", "property not imported", &Pieces::body,
       condition("bpel:getVariableProperty('order', 't:customer') = 'a'"),
       condition("bpel:getVariableProperty('order', 't:absent') = 'a'")},
      {"SA00010", "property of a from not imported", &Pieces::body,
       copy("<from variable='order' property='t:customer'/>", "<to variable='id'/>"),
       copy("<from variable='order' property='t:absent'/>", "<to variable='id'/>")},
      {"SA00010", "file not in the package", &Pieces::imports, kImport,
       kImport + "<import namespace='urn:a' location='absent.wsdl' importType='http://schemas.xmlsoap.org/wsdl/'/>"},
      {"SA00011", "namespace of an import", &Pieces::imports, kImport,
       "<import namespace='urn:other' location='shop.wsdl' importType='http://schemas.xmlsoap.org/wsdl/'/>"},
      {"SA00012", "import without namespace", &Pieces::imports, kImport,
       "<import location='shop.wsdl' importType='http://schemas.xmlsoap.org/wsdl/'/>"},
      {"SA00013", "type of an import", &Pieces::imports, kImport,
       kImport + "<import namespace='urn:test:shop' location='types.xsd' importType='urn:test:other'/>"},
      {"SA00013", "file is not of the type said", &Pieces::imports,
       kImport +
           "<import namespace='urn:test:shop' location='types.xsd' importType='http://www.w3.org/2001/XMLSchema'/>",
       kImport +
           "<import namespace='urn:test:shop' location='types.xsd' importType='http://schemas.xmlsoap.org/wsdl/'/>"},
  };
}

std::vector<RuleCase> declaration_cases() {
  return {
      {"SA00015", "something starts the process", &Pieces::start, Pieces().start,
       "<receive partnerLink='client' operation='buy' variable='request'/>"},
      {"SA00016", "a role", &Pieces::partner_links, "<partnerLink name='l' partnerLinkType='t:shop' myRole='shop'/>",
       "<partnerLink name='l' partnerLinkType='t:shop'/>"},
      {"SA00017", "initializePartnerRole", &Pieces::partner_links,
       "<partnerLink name='l' partnerLinkType='t:shop' partnerRole='shop' initializePartnerRole='yes'/>",
       "<partnerLink name='l' partnerLinkType='t:shop' myRole='shop' initializePartnerRole='yes'/>"},
      {"SA00018", "two partner links", &Pieces::partner_links,
       "<partnerLink name='l' partnerLinkType='t:shop' myRole='shop'/>",
       "<partnerLink name='client' partnerLinkType='t:shop' myRole='shop'/>"},
      {"SA00021", "no alias", &Pieces::body, condition("bpel:getVariableProperty('request', 't:customer') = 'a'"),
       condition("bpel:getVariableProperty('request', 't:orphan') = 'a'")},
      {"SA00021", "no alias for a correlation", &Pieces::body, receive("note", "variable='request'", correlated("no")),
       "<scope><correlationSets><correlationSet name='c' properties='t:orphan'/></correlationSets>" +
           receive("note", "variable='request'", "<correlations><correlation set='c'/></correlations>") + "</scope>"},
      {"SA00023", "two variables", &Pieces::variables, "<variable name='v' type='xsd:int'/>",
       "<variable name='id' type='xsd:int'/>"},
      {"SA00024", "dot in a name", &Pieces::variables, "<variable name='v-1' type='xsd:int'/>",
       "<variable name='v.1' type='xsd:int'/>"},
      {"SA00024", "dot in the name of an event's part", &Pieces::event_handlers,
       event("", "<fromParts><fromPart part='body' toVariable='v'/></fromParts>" + kEmptyScope),
       event("", "<fromParts><fromPart part='body' toVariable='v.1'/></fromParts>" + kEmptyScope)},
      {"SA00025", "one type", &Pieces::variables, "<variable name='v' type='xsd:int'/>",
       "<variable name='v' type='xsd:int' element='t:order'/>"},
      {"SA00025", "no type", &Pieces::variables, "<variable name='v' type='xsd:int'/>", "<variable name='v'/>"},
      {"SA00026", "idempotent functions", &Pieces::variables,
       "<variable name='v' type='xsd:int'><from>string-length('abc')</from></variable>",
       "<variable name='v' type='xsd:int'><from>x:counter()</from></variable>"},
      {"SA00044", "two correlation sets", &Pieces::correlation_sets,
       "<correlationSet name='c' properties='t:customer'/>",
       "<correlationSet name='customer' properties='t:customer'/>"},
      {"SA00045", "simple properties", &Pieces::correlation_sets, "<correlationSet name='c' properties='t:customer'/>",
       "<correlationSet name='c' properties='t:whole'/>"},
      {"SA00061", "message exchange", &Pieces::body,
       "<scope><messageExchanges><messageExchange name='m'/></messageExchanges>"
       "<receive partnerLink='client' operation='buy' variable='request' messageExchange='m'/></scope>",
       "<receive partnerLink='client' operation='buy' variable='request' messageExchange='m'/>"},
  };
}

std::vector<RuleCase> expression_cases() {
  return {
      {"SA00027", "no context node", &Pieces::body, condition("$order/t:amount > 3"), condition("t:amount > 3")},
      {"SA00027", "no context node in an argument", &Pieces::body, condition("count($order/t:item[. = 'a']) = 1"),
       condition("count(//t:item) = 1")},
      {"SA00028", "functions of WS-BPEL in a join", &Pieces::body,
       flow("<link name='a'/>",
            "<empty>" + source("a") +
                "</empty><empty><targets><joinCondition>$a</joinCondition><target linkName='a'/></targets></empty>"),
       flow(
           "<link name='a'/>",
           "<empty>" + source("a") +
               "</empty><empty><targets><joinCondition>bpel:getVariableProperty('request','t:customer')</joinCondition>"
               "<target linkName='a'/></targets></empty>")},
      {"SA00030", "quoted names", &Pieces::body, condition("bpel:getVariableProperty('order', 't:customer') = 'a'"),
       condition("bpel:getVariableProperty('order', $id) = 'a'")},
      {"SA00031", "a QName", &Pieces::body, condition("bpel:getVariableProperty('order', 't:customer') = 'a'"),
       condition("bpel:getVariableProperty('order', 'zz:customer') = 'a'")},
      {"SA00031", "a name", &Pieces::body, condition("bpel:getVariableProperty('order', ' t:customer ') = 'a'"),
       condition("bpel:getVariableProperty('order', 'no name') = 'a'")},
      {"SA00032", "forms of from", &Pieces::body, copy("<from variable='id'/>", "<to variable='id'/>"),
       copy("<from variable='id' partnerLink='client'/>", "<to variable='id'/>")},
      {"SA00032", "forms of to", &Pieces::body, copy("<from variable='id'/>", "<to>$id</to>"),
       copy("<from variable='id'/>", "<to variable='id'>$id</to>")},
      {"SA00033", "to begins with a variable", &Pieces::body, copy("<from>1</from>", "<to>$order/t:amount</to>"),
       copy("<from>1</from>", "<to>concat($id, 'a')</to>")},
      {"SA00034", "part of no message", &Pieces::body,
       copy("<from variable='request' part='body'/>", "<to variable='order'/>"),
       copy("<from variable='order' part='body'/>", "<to variable='order'/>")},
      {"SA00035", "myRole", &Pieces::body,
       copy("<from partnerLink='client' endpointReference='myRole'/>", "<to partnerLink='partner'/>"),
       copy("<from partnerLink='partner' endpointReference='myRole'/>", "<to partnerLink='partner'/>")},
      {"SA00036", "partnerRole", &Pieces::body,
       copy("<from partnerLink='partner' endpointReference='partnerRole'/>", "<to partnerLink='partner'/>"),
       copy("<from partnerLink='client' endpointReference='partnerRole'/>", "<to partnerLink='partner'/>")},
      {"SA00037", "to a partner", &Pieces::body,
       copy("<from partnerLink='client' endpointReference='myRole'/>", "<to partnerLink='partner'/>"),
       copy("<from partnerLink='client' endpointReference='myRole'/>", "<to partnerLink='client'/>")},
      {"SA00038", "one thing in a literal", &Pieces::body,
       copy("<from><literal><t:order/></literal></from>", "<to variable='order'/>"),
       copy("<from><literal>a<t:order/></literal></from>", "<to variable='order'/>")},
      {"SA00039", "a style sheet's name", &Pieces::body,
       copy("<from>bpel:doXslTransform('a.xsl', $order)</from>", "<to>$order</to>"),
       copy("<from>bpel:doXslTransform($id, $order)</from>", "<to>$order</to>")},
      {"SA00040", "pairs of parameters", &Pieces::body,
       copy("<from>bpel:doXslTransform('a.xsl', $order, 'n', 1)</from>", "<to>$order</to>"),
       copy("<from>bpel:doXslTransform('a.xsl', $order, 'n')</from>", "<to>$order</to>")},
      {"SA00041", "names of parameters", &Pieces::body,
       copy("<from>bpel:doXslTransform('a.xsl', $order, 't:n', 1)</from>", "<to>$order</to>"),
       copy("<from>bpel:doXslTransform('a.xsl', $order, 'zz:n', 1)</from>", "<to>$order</to>")},
      {"SA00041", "names of parameters are quoted", &Pieces::body,
       copy("<from>bpel:doXslTransform('a.xsl', $order, 'n', 1, 'm', 2)</from>", "<to>$order</to>"),
       copy("<from>bpel:doXslTransform('a.xsl', $order, 'n', 1, $id, 2)</from>", "<to>$order</to>")},
      {"SA00041", "names of parameters are names", &Pieces::body,
       copy("<from>bpel:doXslTransform('a.xsl', $order, 'n-1', 1)</from>", "<to>$order</to>"),
       copy("<from>bpel:doXslTransform('a.xsl', $order, '1n', 1)</from>", "<to>$order</to>")},
      {"SA00042", "keepSrcElementName", &Pieces::body,
       "<assign><copy keepSrcElementName='yes'><from variable='order'/><to variable='order'/></copy></assign>",
       "<assign><copy keepSrcElementName='yes'><from>'a'</from><to variable='order'/></copy></assign>"},
      {"SA00042", "explicitly set", &Pieces::body,
       "<assign><copy "
       "keepSrcElementName='no'><from>$order/t:item[1]</from><to>$record/t:item[@k='/@a']</to></copy></assign>",
       "<assign><copy keepSrcElementName='no'><from>$order/t:item[1]</from><to>$order/@kind</to></copy></assign>"},
      {"SA00042", "to a simple type", &Pieces::body,
       "<assign><copy keepSrcElementName='yes'><from>$order/t:item</from><to>$record</to></copy></assign>",
       "<assign><copy keepSrcElementName='yes'><from>$order/t:item</from><to variable='n'/></copy></assign>"},
      {"SA00043", "whole messages", &Pieces::body, copy("<from variable='request'/>", "<to variable='request'/>"),
       copy("<from variable='request'/>", "<to variable='answer'/>")},
      {"SA00043", "message to element", &Pieces::body,
       copy("<from variable='request' part='body'/>", "<to variable='order'/>"),
       copy("<from variable='request'/>", "<to variable='order'/>")},
      {"SA00094", "substitution group", &Pieces::body,
       "<assign><copy keepSrcElementName='yes'><from><literal><t:hugeOrder><t:customer/></t:hugeOrder></literal></from>"
       "<to variable='order'/></copy></assign>",
       "<assign><copy keepSrcElementName='yes'><from><literal><t:receipt><t:customer/></t:receipt></literal></from>"
       "<to variable='order'/></copy></assign>"},
      {"SA00094", "substitution group of a part", &Pieces::body,
       "<assign><copy keepSrcElementName='yes'><from variable='order'/><to>$request.body</to></copy></assign>",
       "<assign><copy keepSrcElementName='yes'><from variable='order'/><to>$answer.body</to></copy></assign>"},
      {"SA00073", "only links in a join", &Pieces::body,
       flow("<link name='a'/>", "<empty>" + source("a") +
                                    "</empty><empty><targets><joinCondition>not($a) or true()</joinCondition><target "
                                    "linkName='a'/></targets></empty>"),
       flow("<link name='a'/>",
            "<empty>" + source("a") +
                "</empty><empty><targets><joinCondition>$id</joinCondition><target linkName='a'/></targets></empty>")},
      {"SA00074", "counter bounds", &Pieces::body, each(kOneToThree, kEmptyScope),
       each("<startCounterValue>1</startCounterValue><finalCounterValue>'three'</finalCounterValue>", kEmptyScope)},
      {"SA00075", "branches", &Pieces::body,
       each(kOneToThree + "<completionCondition><branches>2</branches></completionCondition>", kEmptyScope),
       each(kOneToThree + "<completionCondition><branches>'all'</branches></completionCondition>", kEmptyScope)},
      {"SA00076", "counter declared again", &Pieces::body,
       each(kOneToThree, "<scope><variables><variable name='j' type='xsd:int'/></variables><empty/></scope>"),
       each(kOneToThree, "<scope><variables><variable name='i' type='xsd:int'/></variables><empty/></scope>")},
  };
}

std::vector<RuleCase> message_cases() {
  const std::string two_way = kBuy + " inputVariable='request' outputVariable='answer'";
  const std::string from_body = "<fromParts><fromPart part='body' toVariable='order'/></fromParts>";
  const std::string reply = "<reply partnerLink='client' operation='buy' variable='answer'/>";
  const std::string to_pair =
      "<toParts><toPart part='a' fromVariable='id'/><toPart part='b' fromVariable='n'/></toParts>";
  return {
      {"SA00046", "pattern needed", &Pieces::body,
       invoke(two_way, "<correlations><correlation set='customer' initiate='yes' pattern='request'/></correlations>"),
       invoke(two_way, "<correlations><correlation set='customer' initiate='yes'/></correlations>")},
      {"SA00046", "pattern forbidden", &Pieces::body,
       invoke("partnerLink='partner' operation='note' inputVariable='request'", correlated("yes")),
       invoke("partnerLink='partner' operation='note' inputVariable='request'",
              "<correlations><correlation set='customer' pattern='request'/></correlations>")},
      {"SA00047", "an output is needed", &Pieces::body, invoke(two_way), invoke(kBuy + " inputVariable='request'")},
      {"SA00047", "no output of a one-way", &Pieces::body,
       invoke("partnerLink='partner' operation='note' inputVariable='request'"),
       invoke("partnerLink='partner' operation='note' inputVariable='request' outputVariable='answer'")},
      {"SA00047", "none without parts", &Pieces::body, invoke("partnerLink='partner' operation='ping'"),
       receive("note", "")},
      {"SA00048", "types of an invoke", &Pieces::body, invoke(kBuy + " inputVariable='order' outputVariable='answer'"),
       invoke(kBuy + " inputVariable='answer' outputVariable='answer'")},
      {"SA00050", "every part", &Pieces::body,
       invoke("partnerLink='partner' operation='pair' outputVariable='pair'", to_pair),
       invoke("partnerLink='partner' operation='pair' outputVariable='pair'",
              "<toParts><toPart part='a' fromVariable='id'/></toParts>")},
      {"SA00051", "inputVariable or toParts", &Pieces::body,
       invoke("partnerLink='partner' operation='pair' outputVariable='pair'", to_pair),
       invoke("partnerLink='partner' operation='pair' inputVariable='pair' outputVariable='pair'", to_pair)},
      {"SA00052", "outputVariable or fromParts", &Pieces::body,
       invoke("partnerLink='partner' operation='pair' inputVariable='pair'",
              "<fromParts><fromPart part='a' toVariable='id'/></fromParts>"),
       invoke("partnerLink='partner' operation='pair' inputVariable='pair' outputVariable='pair'",
              "<fromParts><fromPart part='a' toVariable='id'/></fromParts>")},
      {"SA00053", "fromPart", &Pieces::body, receive("note", "", from_body),
       receive("note", "", "<fromParts><fromPart part='absent' toVariable='order'/></fromParts>")},
      {"SA00054", "toPart", &Pieces::body,
       invoke("partnerLink='partner' operation='pair' outputVariable='pair'", to_pair),
       invoke(
           "partnerLink='partner' operation='note'",
           "<toParts><toPart part='body' fromVariable='order'/><toPart part='absent' fromVariable='id'/></toParts>")},
      {"SA00055", "variable or fromParts", &Pieces::body, receive("note", "", from_body),
       receive("note", "variable='request'", from_body)},
      {"SA00058", "types of a receive", &Pieces::body, receive("note", "variable='order'"),
       receive("note", "variable='answer'")},
      {"SA00059", "variable or toParts of a reply", &Pieces::body,
       "<reply partnerLink='client' operation='buy'><toParts><toPart part='body' fromVariable='id'/></toParts></reply>",
       "<reply partnerLink='client' operation='buy' variable='answer'><toParts><toPart part='body' "
       "fromVariable='id'/></toParts></reply>"},
      {"SA00060", "two requests at once", &Pieces::body,
       "<scope><messageExchanges><messageExchange name='m'/></messageExchanges><flow><sequence>" +
           receive("buy", "variable='request'") + reply + "</sequence><sequence>" +
           receive("buy", "variable='request' messageExchange='m'") +
           "<reply partnerLink='client' operation='buy' variable='answer' "
           "messageExchange='m'/></sequence></flow></scope>",
       "<flow><sequence>" + receive("buy", "variable='request'") + reply + "</sequence><sequence>" +
           receive("buy", "variable='request'") + reply + "</sequence></flow>"},
      {"SA00060", "two requests ordered by a link", &Pieces::body,
       flow("<link name='a'/>", "<sequence>" + source("a") + receive("buy", "variable='request'") + reply +
                                    "</sequence><sequence>" + receive("buy", "variable='request'", target("a")) +
                                    reply + "</sequence>"),
       flow("<link name='a'/>", "<sequence>" + receive("buy", "variable='request'", source("a")) + reply +
                                    "</sequence><sequence>" + receive("buy", "variable='request'", target("a")) +
                                    reply + "</sequence>")},
      {"SA00063", "variable or fromParts of an onMessage", &Pieces::body,
       "<pick><onMessage partnerLink='client' operation='note'>" + from_body + "<empty/></onMessage></pick>",
       "<pick><onMessage partnerLink='client' operation='note' variable='request'>" + from_body +
           "<empty/></onMessage></pick>"},
      {"SA00084", "partner link of an event", &Pieces::event_handlers,
       event("variable='v' messageType='t:order'", kEmptyScope),
       "<onEvent partnerLink='absent' operation='note' variable='v' messageType='t:order'>" + kEmptyScope +
           "</onEvent>"},
      {"SA00085", "variable or fromParts of an event", &Pieces::event_handlers,
       event("", "<fromParts><fromPart part='body' toVariable='v'/></fromParts>" + kEmptyScope),
       event("variable='w' messageType='t:order'",
             "<fromParts><fromPart part='body' toVariable='v'/></fromParts>" + kEmptyScope)},
      {"SA00085", "messageType or fromParts of an event", &Pieces::event_handlers,
       event("", "<fromParts><fromPart part='body' toVariable='v'/></fromParts>" + kEmptyScope),
       event("messageType='t:order'", "<fromParts><fromPart part='body' toVariable='v'/></fromParts>" + kEmptyScope)},
      {"SA00086", "event's variable declared again", &Pieces::event_handlers,
       event("variable='v' element='t:order'",
             "<scope><variables><variable name='w' type='xsd:int'/></variables><empty/></scope>"),
       event("variable='v' element='t:order'",
             "<scope><variables><variable name='v' type='xsd:int'/></variables><empty/></scope>")},
      {"SA00087", "type of an event", &Pieces::event_handlers, event("variable='v' messageType='t:order'", kEmptyScope),
       event("variable='v' messageType='t:receipt'", kEmptyScope)},
      {"SA00088", "correlation set of an event", &Pieces::event_handlers,
       event("variable='v' messageType='t:order'",
             "<correlations><correlation set='inner' "
             "initiate='yes'/></correlations><scope><correlationSets><correlationSet name='inner' "
             "properties='t:customer'/></correlationSets><empty/></scope>"),
       event("variable='v' messageType='t:order'",
             "<correlations><correlation set='absent'/></correlations>" + kEmptyScope)},
      {"SA00089", "message exchange of an event", &Pieces::event_handlers,
       event("variable='v' messageType='t:order' messageExchange='m'",
             "<scope><messageExchanges><messageExchange name='m'/></messageExchanges><empty/></scope>"),
       event("variable='v' messageType='t:order' messageExchange='m'", kEmptyScope)},
      {"SA00090", "type of an event's variable", &Pieces::event_handlers,
       event("variable='v' element='t:order'", kEmptyScope), event("variable='v'", kEmptyScope)},
      {"SA00090", "one type of an event's variable", &Pieces::event_handlers,
       event("variable='v' element='t:order'", kEmptyScope),
       event("variable='v' element='t:order' messageType='t:order'", kEmptyScope)},
      {"SA00095", "event's variable is its own", &Pieces::event_handlers,
       event("variable='id' messageType='t:order'",
             "<scope>" + copy("<from variable='id' part='body'/>", "<to variable='order'/>") + "</scope>"),
       event("variable='id'", kEmptyScope)},
  };
}

std::vector<RuleCase> start_cases() {
  const std::string start = Pieces().start;
  const auto starting = [](const std::string& operation, const std::string& inside) {
    return receive(operation, "variable='request' createInstance='yes'", inside);
  };
  return {
      {"SA00056", "nothing before the start", &Pieces::start, start, "<empty/>" + start},
      {"SA00056", "nothing beside the start", &Pieces::start,
       flow("<link name='a'/>", receive("buy", "variable='request' createInstance='yes'", source("a")) + "<empty>" +
                                    target("a") + "</empty>"),
       "<flow>" + start + "<empty/></flow>"},
      {"SA00056", "start in a loop", &Pieces::start, "<scope>" + start + "</scope>",
       "<while><condition>true()</condition>" + start + "</while>"},
      {"SA00057", "several starts", &Pieces::start,
       "<flow>" + starting("buy", correlated("join")) + starting("note", correlated("join")) + "</flow>",
       "<flow>" + starting("buy", correlated("join")) + starting("note", correlated("yes")) + "</flow>"},
      {"SA00062", "pick that starts", &Pieces::start,
       "<pick createInstance='yes'><onMessage partnerLink='client' operation='note' "
       "variable='request'><empty/></onMessage></pick>",
       "<pick createInstance='yes'><onMessage partnerLink='client' operation='note' "
       "variable='request'><empty/></onMessage>"
       "<onAlarm><for>'PT1S'</for><empty/></onAlarm></pick>"},
  };
}

std::vector<RuleCase> link_cases() {
  const std::string a = "<link name='a'/>", ab = "<link name='a'/><link name='b'/>";
  const std::string from_a = "<empty>" + source("a") + "</empty>", to_a = "<empty>" + target("a") + "</empty>";
  return {
      {"SA00064", "two links", &Pieces::body, flow(a, from_a + to_a), flow(a + a, from_a + to_a)},
      {"SA00065", "link declared", &Pieces::body, flow(a, from_a + to_a),
       flow(a, from_a + to_a + "<empty>" + source("b") + "</empty>")},
      {"SA00066", "no target", &Pieces::body, flow(a, from_a + to_a), flow(a, from_a)},
      {"SA00066", "two targets", &Pieces::body, flow(a, from_a + to_a), flow(a, from_a + to_a + to_a)},
      {"SA00067", "same ends", &Pieces::body, flow(a, from_a + to_a),
       flow(ab,
            "<empty><sources><source linkName='a'/><source linkName='b'/></sources></empty>"
            "<empty><targets><target linkName='a'/><target linkName='b'/></targets></empty>")},
      {"SA00068", "source twice", &Pieces::body, flow(a, from_a + to_a),
       flow(a, "<empty><sources><source linkName='a'/><source linkName='a'/></sources></empty>" + to_a)},
      {"SA00069", "target twice", &Pieces::body, flow(a, from_a + to_a),
       flow(a, from_a + "<empty><targets><target linkName='a'/><target linkName='a'/></targets></empty>")},
      {"SA00070", "border of a loop", &Pieces::body,
       flow(a, from_a + "<while>" + target("a") + "<condition>false()</condition><empty/></while>"),
       flow(a, from_a + "<while><condition>false()</condition>" + to_a + "</while>")},
      {"SA00071", "into a handler", &Pieces::body,
       flow(a, "<scope><faultHandlers><catchAll>" + from_a + "</catchAll></faultHandlers><empty/></scope>" + to_a),
       flow(a, "<scope><faultHandlers><catchAll>" + to_a + "</catchAll></faultHandlers><empty/></scope>" + from_a)},
      {"SA00071", "from a handler into its scope", &Pieces::body,
       flow(a, "<scope><faultHandlers><catchAll>" + from_a + "</catchAll></faultHandlers><empty/></scope>" + to_a),
       flow(a,
            "<scope><faultHandlers><catchAll>" + from_a + "</catchAll></faultHandlers>" + to_a + "</scope><empty/>")},
      {"SA00072", "cycle", &Pieces::body, flow(a, "<sequence>" + from_a + to_a + "</sequence>"),
       flow(a, "<sequence>" + to_a + from_a + "</sequence>")},
      {"SA00072", "cycle of two links", &Pieces::body, flow(a, from_a + to_a),
       flow(ab, "<empty>" + target("b") + source("a") + "</empty><empty>" + target("a") + source("b") + "</empty>")},
      {"SA00082", "peers that depend on each other", &Pieces::body,
       flow(ab, "<scope><flow>" + from_a + "<empty>" + source("b") + "</empty></flow></scope><scope><flow>" + to_a +
                    "<empty>" + target("b") + "</empty></flow></scope>"),
       flow(ab, "<scope><flow>" + from_a + "<empty>" + target("b") + "</empty></flow></scope><scope><flow>" + to_a +
                    "<empty>" + source("b") + "</empty></flow></scope>")},
      {"SA00082", "peers that depend on each other through an activity between them", &Pieces::body,
       flow(a + "<link name='b'/><link name='c'/>",
            "<scope><flow>" + from_a + "<empty>" + source("b") + "</empty></flow></scope><sequence>" + to_a +
                "<empty>" + source("c") + "</empty></sequence><scope><flow><empty>" + target("c") + "</empty><empty>" +
                target("b") + "</empty></flow></scope>"),
       flow(a + "<link name='b'/><link name='c'/>",
            "<scope><flow>" + from_a + "<empty>" + target("b") + "</empty></flow></scope><sequence>" + to_a +
                "<empty>" + source("c") + "</empty></sequence><scope><flow><empty>" + target("c") + "</empty><empty>" +
                source("b") + "</empty></flow></scope>")},
  };
}

std::vector<RuleCase> scope_cases() {
  const std::string handler = "<faultHandlers><catchAll><compensateScope target='s'/></catchAll></faultHandlers>";
  const std::string catches = "<catch faultName='t:a'><empty/></catch>";
  return {
      {"SA00077", "scope to compensate", &Pieces::body,
       "<scope>" + handler + "<scope name='s'><empty/></scope></scope>",
       "<scope>" + handler + "<scope name='other'><scope name='s'><empty/></scope></scope></scope>"},
      {"SA00078", "invoke to compensate", &Pieces::body,
       "<scope>" + handler +
           invoke("name='s' partnerLink='partner' operation='ping'", "<catchAll><empty/></catchAll>") + "</scope>",
       "<scope>" + handler + invoke("name='s' partnerLink='partner' operation='ping'") + "</scope>"},
      {"SA00079", "handler's root scope", &Pieces::body,
       scope_with("<faultHandlers><catchAll>" + kEmptyScope + "</catchAll></faultHandlers>"),
       scope_with("<faultHandlers><catchAll><scope><compensationHandler><empty/></compensationHandler><empty/></"
                  "scope></catchAll></faultHandlers>")},
      {"SA00080", "fault handlers", &Pieces::body, scope_with("<faultHandlers>" + catches + "</faultHandlers>"),
       scope_with("<faultHandlers/>")},
      {"SA00081", "fault variable's type", &Pieces::body,
       scope_with("<faultHandlers><catch faultVariable='f' faultElement='t:problem'><empty/></catch></faultHandlers>"),
       scope_with("<faultHandlers><catch faultVariable='f'><empty/></catch></faultHandlers>")},
      {"SA00081", "type without variable", &Pieces::body, scope_with("<faultHandlers>" + catches + "</faultHandlers>"),
       scope_with("<faultHandlers><catch faultElement='t:problem'><empty/></catch></faultHandlers>")},
      {"SA00083", "event handlers", &Pieces::body,
       scope_with("<eventHandlers><onAlarm><for>'PT1S'</for>" + kEmptyScope + "</onAlarm></eventHandlers>"),
       scope_with("<eventHandlers/>")},
      {"SA00091", "isolated", &Pieces::body, "<scope isolated='yes'>" + kEmptyScope + "</scope>",
       "<scope isolated='yes'><scope isolated='yes'><empty/></scope></scope>"},
      {"SA00091", "compensated by an isolated one", &Pieces::body,
       "<scope><faultHandlers><catchAll><scope><compensateScope target='s'/></scope></catchAll></faultHandlers>"
       "<scope name='s' isolated='yes'><empty/></scope></scope>",
       "<scope><faultHandlers><catchAll><scope isolated='yes'><compensateScope target='s'/></scope></catchAll>"
       "</faultHandlers><scope name='s' isolated='yes'><empty/></scope></scope>"},
      {"SA00091", "all compensated by an isolated one", &Pieces::body,
       "<scope><faultHandlers><catchAll><scope><compensate/></scope></catchAll></faultHandlers>"
       "<scope name='s' isolated='yes'><empty/></scope></scope>",
       "<scope><faultHandlers><catchAll><scope isolated='yes'><compensate/></scope></catchAll>"
       "</faultHandlers><scope name='s' isolated='yes'><empty/></scope></scope>"},
      {"SA00092", "names of scopes", &Pieces::body,
       "<sequence><scope name='a'><empty/></scope><scope name='b'><scope name='a'><empty/></scope></scope></sequence>",
       "<sequence><scope name='a'><empty/></scope><scope name='a'><empty/></scope></sequence>"},
      {"SA00093", "same catch twice", &Pieces::body,
       scope_with("<faultHandlers>" + catches + "<catch faultName='t:b'><empty/></catch></faultHandlers>"),
       scope_with("<faultHandlers>" + catches + catches + "</faultHandlers>")},
  };
}

Pieces with(const RuleCase& rule, const std::string& text) {
  Pieces pieces;
  pieces.*rule.piece = text;
  return pieces;
}

TEST_P(Rules, ValidProcessIsAccepted) {
  const ParsedProcess parsed = test::parse_pieces(with(GetParam(), GetParam().valid));
  EXPECT_NE(parsed.definition, nullptr) << test::all_of(parsed.diagnostics);
  EXPECT_EQ(test::all_of(parsed.diagnostics), "");
}

TEST_P(Rules, InvalidProcessIsRefusedByTheRule) {
  const ParsedProcess parsed = test::parse_pieces(with(GetParam(), GetParam().invalid));
  EXPECT_EQ(parsed.definition, nullptr);
  const bool found = std::any_of(parsed.diagnostics.begin(), parsed.diagnostics.end(), [](const Diagnostic& d) {
    return d.rule == GetParam().rule && d.file == "p.bpel" && d.where.line > 0 && !d.sentence.empty();
  });
  EXPECT_TRUE(found) << test::all_of(parsed.diagnostics);
}

// The valid processes keep the standard's own schema; so they test the analysis, not mistakes of their writer.
TEST_P(Rules, ValidProcessKeepsTheStandardsSchema) {
  static const xml::Schema* const schema = [] {
    const auto contracts = Package::from_directory(NURAGHE_SOURCE_DIR "/contracts/standards");
    EXPECT_TRUE(contracts) << contracts.error().to_string();
    auto compiled = xml::Schema::compile("bpel/ws-bpel_executable.xsd", contracts->files);
    EXPECT_TRUE(compiled) << compiled.error().to_string();
    return new xml::Schema(std::move(*compiled));  // lives as long as the program
  }();
  const auto document = xml::Document::parse(test::process_text(with(GetParam(), GetParam().valid)));
  ASSERT_TRUE(document);
  std::string findings;
  for (const xml::Finding& finding : schema->validate(*document)) findings += finding.to_string() + "\n";
  EXPECT_EQ(findings, "");
}

std::vector<RuleCase> all_cases() {
  std::vector<RuleCase> all;
  for (const auto& cases : {language_cases(), declaration_cases(), expression_cases(), message_cases(), start_cases(),
                            link_cases(), scope_cases()}) {
    all.insert(all.end(), cases.begin(), cases.end());
  }
  return all;
}

std::string name_of(const ::testing::TestParamInfo<RuleCase>& info) {
  std::string name = std::string(info.param.rule) + "_" + info.param.about;
  std::replace_if(
      name.begin(), name.end(), [](char c) { return std::isalnum(static_cast<unsigned char>(c)) == 0; }, '_');
  return name;
}

INSTANTIATE_TEST_SUITE_P(All, Rules, ::testing::ValuesIn(all_cases()), name_of);

// Rules on WSDL documents and schemas: something of a file is replaced.
struct WsdlRuleCase {
  const char* rule;
  const char* about;
  const char* file;
  const char* replaced;
  const char* valid;
  const char* invalid;
};
class WsdlRules : public ::testing::TestWithParam<WsdlRuleCase> {
 protected:
  static ParsedProcess parsed(const char* by) {
    Package package = test::shop_package({});
    std::string& text = package.files[GetParam().file];
    const auto at = text.find(GetParam().replaced);
    EXPECT_NE(at, std::string::npos);
    text.replace(at, std::string_view(GetParam().replaced).size(), by);
    return parse_process(package, "p.bpel");
  }
};

TEST_P(WsdlRules, ValidFileIsAccepted) {
  const ParsedProcess process = parsed(GetParam().valid);
  EXPECT_NE(process.definition, nullptr);
  EXPECT_EQ(test::all_of(process.diagnostics), "");
}

TEST_P(WsdlRules, InvalidFileIsRefusedByTheRule) {
  const ParsedProcess process = parsed(GetParam().invalid);
  EXPECT_EQ(process.definition, nullptr);
  const bool found = std::any_of(process.diagnostics.begin(), process.diagnostics.end(), [](const Diagnostic& d) {
    return d.rule == GetParam().rule && d.file == GetParam().file && d.where.line > 0;
  });
  EXPECT_TRUE(found) << test::all_of(process.diagnostics);
}

constexpr const char* kWsdlFile = "shop.wsdl";
constexpr const char* kNote = R"(<wsdl:operation name="note"><wsdl:input message="t:order"/></wsdl:operation>)";
constexpr const char* kOrphan = R"(<vprop:property name="orphan" type="xsd:string"/>)";
const std::vector<WsdlRuleCase>& wsdl_cases() {
  static const std::vector<WsdlRuleCase> kCases = {
      {"SA00002", "overloaded operations", kWsdlFile, kNote,
       R"(<wsdl:operation name="note"><wsdl:input message="t:order"/></wsdl:operation>
          <wsdl:operation name="note2"><wsdl:input message="t:order"/></wsdl:operation>)",
       R"(<wsdl:operation name="note"><wsdl:input message="t:order"/></wsdl:operation>
          <wsdl:operation name="buy"><wsdl:input message="t:order"/></wsdl:operation>)"},
      {"SA00014", "messages", kWsdlFile, R"(<wsdl:message name="nothing"/>)",
       R"(<wsdl:message name="nothing"/><wsdl:message name="order"> <wsdl:documentation>again</wsdl:documentation>
          <wsdl:part name="body" element="t:order"/></wsdl:message>)",
       R"(<wsdl:message name="nothing"/><wsdl:message name="order"><wsdl:part name="b" element="t:order"/></wsdl:message>)"},
      {"SA00014", "elements", "types.xsd", R"(<xsd:element name="problem" type="xsd:string"/>)",
       R"(<xsd:element name="problem" type="xsd:string"/>
          <xsd:element xmlns:q="http://www.w3.org/2001/XMLSchema" type="q:string" name="problem"><xsd:annotation/></xsd:element>)",
       R"(<xsd:element name="problem" type="xsd:string"/><xsd:element name="problem" type="xsd:int"/>)"},
      {"SA00014", "types", "types.xsd", R"(<xsd:simpleType name="Count">)",
       R"(<xsd:simpleType name="Number"><xsd:restriction base="xsd:int"/></xsd:simpleType><xsd:simpleType name="Count">)",
       R"(<xsd:simpleType name="Count"><xsd:restriction base="xsd:int"/></xsd:simpleType><xsd:simpleType name="Count">)"},
      {"SA00019", "a property's type", kWsdlFile, kOrphan, R"(<vprop:property name="orphan" element="t:name"/>)",
       R"(<vprop:property name="orphan"/>)"},
      {"SA00019", "one type only", kWsdlFile, kOrphan, kOrphan,
       R"(<vprop:property name="orphan" type="xsd:string" element="t:name"/>)"},
      {"SA00020", "forms of an alias", kWsdlFile, kOrphan,
       R"(<vprop:property name="orphan" type="xsd:string"/><vprop:propertyAlias propertyName="t:orphan" messageType="t:pair" part="a"/>
          <vprop:propertyAlias propertyName="t:orphan" element="t:name"/><vprop:propertyAlias propertyName="t:orphan" type="t:Name"/>)",
       R"(<vprop:propertyAlias propertyName="t:customer" messageType="t:pair"/>)"},
      {"SA00020", "one form only", kWsdlFile, kOrphan, kOrphan,
       R"(<vprop:propertyAlias propertyName="t:customer" element="t:name" type="t:Name"/>)"},
      {"SA00022", "two aliases", kWsdlFile, kOrphan,
       R"(<vprop:propertyAlias propertyName="t:customer" type="xsd:token"/>)",
       R"(<vprop:propertyAlias propertyName="t:customer" type="xsd:string"/>)"},
      {"SA00022", "two aliases of a message", kWsdlFile, kOrphan,
       R"(<vprop:propertyAlias propertyName="t:customer" messageType="t:pair" part="a"/>)",
       R"(<vprop:propertyAlias propertyName="t:customer" messageType="t:order" part="body"/>)"},
      {"SA00029", "variables in a query", kWsdlFile, kOrphan,
       R"(<vprop:propertyAlias propertyName="t:customer" element="t:receipt"><vprop:query>t:x</vprop:query></vprop:propertyAlias>)",
       R"(<vprop:propertyAlias propertyName="t:customer" element="t:receipt"><vprop:query>$x</vprop:query></vprop:propertyAlias>)"},
      {"SA00029", "functions in a query", kWsdlFile, kOrphan,
       R"(<vprop:propertyAlias propertyName="t:customer" element="t:receipt"><vprop:query>t:x[string(.)]</vprop:query></vprop:propertyAlias>)",
       R"(<vprop:propertyAlias xmlns:b="http://docs.oasis-open.org/wsbpel/2.0/process/executable" propertyName="t:customer"
          element="t:receipt"><vprop:query>b:getVariableProperty('a','b')</vprop:query></vprop:propertyAlias>)"},
  };
  return kCases;
}
INSTANTIATE_TEST_SUITE_P(All, WsdlRules, ::testing::ValuesIn(wsdl_cases()), [](const auto& rule) {
  std::string name = std::string(rule.param.rule) + "_" + rule.param.about;
  std::replace_if(
      name.begin(), name.end(), [](char c) { return std::isalnum(static_cast<unsigned char>(c)) == 0; }, '_');
  return name;
});

// Every rule of appendix B has a valid and an invalid process here, or a reason why there can be none.
TEST(RulesOfAppendixB, AllHaveTheirProcesses) {
  const std::map<int, std::string> reasons = {{49, "the standard has no rule of this number"}};
  std::set<std::string> tested;
  for (const RuleCase& rule : all_cases()) {
    EXPECT_NE(rule.valid, rule.invalid) << rule.rule;
    tested.insert(rule.rule);
  }
  for (const WsdlRuleCase& rule : wsdl_cases()) tested.insert(rule.rule);
  for (int number = 1; number <= 95; ++number) {
    std::string rule = std::to_string(number);
    rule = "SA" + std::string(5 - rule.size(), '0') + rule;
    EXPECT_NE(tested.contains(rule), reasons.contains(number)) << rule;
  }
}

}  // namespace
}  // namespace nuraghe::bpel
