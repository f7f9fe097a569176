#include "bpel/input_check.hpp"

#include <gmock/gmock.h>

#include "bpel/testing.hpp"

namespace nuraghe::bpel::testing {
namespace {

using ::testing::AllOf;
using ::testing::HasSubstr;

// An order needs a customer; what else it holds is anybody's.
constexpr std::string_view kOrders = R"(<wsdl:definitions targetNamespace="urn:u" xmlns:u="urn:u"
  xmlns:wsdl="http://schemas.xmlsoap.org/wsdl/" xmlns:xsd="http://www.w3.org/2001/XMLSchema"
  xmlns:plnk="http://docs.oasis-open.org/wsbpel/2.0/plnktype">
  <wsdl:types><xsd:schema targetNamespace="urn:u" elementFormDefault="qualified">
    <xsd:element name="order"><xsd:complexType><xsd:sequence>
      <xsd:element name="customer" type="xsd:string"/><xsd:element name="amount" type="xsd:int"/>
      <xsd:any minOccurs="0" processContents="lax" namespace="##other"/>
    </xsd:sequence></xsd:complexType></xsd:element>
    <xsd:element name="receipt" type="xsd:anyType"/>
  </xsd:schema></wsdl:types>
  <wsdl:message name="Order"><wsdl:part name="p" element="u:order"/></wsdl:message>
  <wsdl:message name="Receipt"><wsdl:part name="p" element="u:receipt"/></wsdl:message>
  <wsdl:message name="Pair"><wsdl:part name="a" element="u:receipt"/><wsdl:part name="b" type="xsd:int"/></wsdl:message>
  <wsdl:portType name="P"><wsdl:operation name="order">
    <wsdl:input message="u:Order"/><wsdl:output message="u:Receipt"/></wsdl:operation>
    <wsdl:operation name="pair"><wsdl:input message="u:Pair"/><wsdl:output message="u:Receipt"/></wsdl:operation>
    </wsdl:portType>
  <plnk:partnerLinkType name="L"><plnk:role name="service" portType="u:P"/></plnk:partnerLinkType>
</wsdl:definitions>)";

std::string process(const std::string& operation, const std::string& message) {
  return R"(<process name=")" + operation + R"(" targetNamespace="urn:p" xmlns:u="urn:u"
    xmlns="http://docs.oasis-open.org/wsbpel/2.0/process/executable">
    <import namespace="urn:u" location="u.wsdl" importType="http://schemas.xmlsoap.org/wsdl/"/>
    <partnerLinks><partnerLink name="client" partnerLinkType="u:L" myRole="service"/></partnerLinks>
    <variables><variable name="request" messageType="u:)" +
         message + R"("/><variable name="answer" messageType="u:Receipt"/></variables>
    <sequence>
      <receive partnerLink="client" portType="u:P" operation=")" +
         operation + R"(" variable="request" createInstance="yes"/>
      <assign><copy><from><literal><u:receipt>done</u:receipt></literal></from><to variable="answer" part="p"/></copy></assign>
      <reply partnerLink="client" portType="u:P" operation=")" +
         operation + R"(" variable="answer"/>
    </sequence></process>)";
}

class InputCheckTest : public ::testing::Test {
 protected:
  InputCheckTest()
      : world_({{"order.bpel", process("order", "Order")},
                {"pair.bpel", process("pair", "Pair")},
                {"u.wsdl", std::string(kOrders)}}) {
    world_.options.validate_messages = true;
    world_.open();
  }
  // The answer to a body: its text, or the fault's code and reason.
  std::string ask(const std::string& operation, const std::string& body, const std::string& conversation = {}) {
    exchange::Message message;
    message.message_id = "urn:test:" + std::to_string(++sent_);
    message.to = "/svc";
    message.operation = operation;
    if (!body.empty()) message.body = document(body);
    message.vo = "vo1";
    message.conversation = conversation;
    std::string answer = "none";
    world_.router->deliver(message, [&](exchange::Message reply) {
      if (!reply.fault) {
        answer = reply.body->root().text();
        return;
      }
      EXPECT_TRUE(reply.fault->from_sender);
      EXPECT_TRUE(reply.fault->detail && reply.fault->detail->root().is("urn:nuraghe:fault:1", "fault"));
      answer = std::string(error_code_name(reply.fault->code)) + ": " + reply.fault->reason;
    });
    world_.run();
    return answer;
  }
  World world_;
  int sent_ = 0;
};

TEST_F(InputCheckTest, TakesWhatIsDeclared) {
  EXPECT_EQ(ask("order", "<order xmlns='urn:u'><customer>c</customer><amount>1</amount><x xmlns='urn:x'/></order>"),
            "done");
  EXPECT_EQ(ask("pair", "<pair xmlns:u='urn:u'><u:receipt/><b>1</b></pair>"), "done");
}

TEST_F(InputCheckTest, RefusesAnotherElementBeforeAnInstanceIsMade) {
  const std::string content = "<customer>c</customer><amount>1</amount>";
  EXPECT_THAT(ask("order", "<order xmlns='urn:other'>" + content + "</order>"),
              AllOf(HasSubstr("invalid: "), HasSubstr("{urn:other}order"), HasSubstr("expected {urn:u}order")));
  EXPECT_THAT(ask("order", "<order>" + content + "</order>"), HasSubstr("is order; expected {urn:u}order"));
  EXPECT_THAT(ask("order", "<orders xmlns='urn:u'>" + content + "</orders>"), HasSubstr("{urn:u}orders"));
  EXPECT_THAT(ask("order", ""), HasSubstr("no body"));
  EXPECT_THAT(ask("pair", "<pair xmlns:u='urn:u'><u:receipt/></pair>"), HasSubstr("lacks the part b"));
  EXPECT_TRUE(world_.instances().empty());
}

TEST_F(InputCheckTest, RefusesWhatItsSchemaDoesNotAllow) {
  EXPECT_THAT(ask("order", "<order xmlns='urn:u'><amount>1</amount></order>"),
              AllOf(HasSubstr("invalid: "), HasSubstr("request order"), HasSubstr("customer")));
  EXPECT_THAT(ask("order", "<order xmlns='urn:u'><customer>c</customer><amount>many</amount></order>"),
              AllOf(HasSubstr("amount"), HasSubstr("many")));
  EXPECT_THAT(ask("order", "<order xmlns='urn:u'/>"), HasSubstr("customer"));
  EXPECT_TRUE(world_.instances().empty());
}

TEST_F(InputCheckTest, ADeploymentSaysWhetherContentIsChecked) {
  std::string deploy(kDeploy);
  deploy.insert(deploy.find('>'), " validate=\"no\"");
  world_.administer([&](exchange::Turn& turn) -> Status {
    TRY_ASSIGN(
        const auto deployed,
        world_.engine->deploy(
            turn, "package",
            {{{"order.bpel", process("order", "Order")}, {"u.wsdl", std::string(kOrders)}, {"deploy.xml", deploy}}}));
    EXPECT_TRUE(deployed.accepted) << (deployed.diagnostics.empty() ? "" : deployed.diagnostics[0].to_string());
    return {};
  });
  EXPECT_EQ(ask("order", "<order xmlns='urn:u'/>"), "done");
  EXPECT_THAT(ask("order", "<orders xmlns='urn:u'/>"), HasSubstr("expected {urn:u}order"));
}

TEST_F(InputCheckTest, ANewVersionIsCheckedByItsOwnSchema) {
  const std::string body = "<order xmlns='urn:u'><customer>c</customer></order>";
  EXPECT_THAT(ask("order", body), HasSubstr("amount"));
  std::string changed(kOrders);
  const std::string amount = "<xsd:element name=\"amount\" type=\"xsd:int\"/>";
  changed.erase(changed.find(amount), amount.size());
  world_.administer([&](exchange::Turn& turn) -> Status {
    TRY_ASSIGN(
        const auto deployed,
        world_.engine->deploy(
            turn, "package",
            {{{"order.bpel", process("order", "Order")}, {"u.wsdl", changed}, {"deploy.xml", std::string(kDeploy)}}}));
    EXPECT_TRUE(deployed.accepted);
    return {};
  });
  EXPECT_EQ(ask("order", body), "done");
}

}  // namespace
}  // namespace nuraghe::bpel::testing
