// For tests: a shop's WSDL and XSD, and processes about it made of pieces.
#pragma once

#include <string>
#include <vector>

#include "bpel/definition.hpp"

namespace nuraghe::bpel::test {

// Namespace urn:test:shop, prefix t. Operations of the port type Shop: buy (two-way, fault problem), note (one-way),
// pair (two-way, parts a and b), ping (two-way, no parts); of Odd: tell (solicit-response).
inline constexpr std::string_view kShopWsdl = R"(<wsdl:definitions xmlns:wsdl="http://schemas.xmlsoap.org/wsdl/"
    xmlns:plnk="http://docs.oasis-open.org/wsbpel/2.0/plnktype" xmlns:vprop="http://docs.oasis-open.org/wsbpel/2.0/varprop"
    xmlns:soap="http://schemas.xmlsoap.org/wsdl/soap/" xmlns:xsd="http://www.w3.org/2001/XMLSchema"
    xmlns:t="urn:test:shop" targetNamespace="urn:test:shop">
  <wsdl:types>
    <xsd:schema targetNamespace="urn:test:shop" elementFormDefault="qualified"><xsd:include schemaLocation="types.xsd"/></xsd:schema>
  </wsdl:types>
  <wsdl:message name="order"><wsdl:part name="body" element="t:order"/></wsdl:message>
  <wsdl:message name="receipt"><wsdl:part name="body" element="t:receipt"/></wsdl:message>
  <wsdl:message name="problem"><wsdl:part name="detail" element="t:problem"/></wsdl:message>
  <wsdl:message name="pair"><wsdl:part name="a" element="t:name"/><wsdl:part name="b" type="xsd:int"/></wsdl:message>
  <wsdl:message name="nothing"/>
  <wsdl:portType name="Shop">
    <wsdl:operation name="buy">
      <wsdl:input message="t:order"/><wsdl:output message="t:receipt"/><wsdl:fault name="problem" message="t:problem"/>
    </wsdl:operation>
    <wsdl:operation name="note"><wsdl:input message="t:order"/></wsdl:operation>
    <wsdl:operation name="pair"><wsdl:input message="t:pair"/><wsdl:output message="t:pair"/></wsdl:operation>
    <wsdl:operation name="ping"><wsdl:input message="t:nothing"/><wsdl:output message="t:nothing"/></wsdl:operation>
  </wsdl:portType>
  <wsdl:portType name="Odd">
    <wsdl:operation name="tell"><wsdl:output message="t:receipt"/><wsdl:input message="t:order"/></wsdl:operation>
  </wsdl:portType>
  <wsdl:binding name="ShopSoap" type="t:Shop">
    <soap:binding style="document" transport="http://schemas.xmlsoap.org/soap/http"/>
    <wsdl:operation name="buy"><soap:operation soapAction="urn:test:buy"/>
      <wsdl:input><soap:body use="literal"/></wsdl:input><wsdl:output><soap:body use="literal"/></wsdl:output>
    </wsdl:operation>
  </wsdl:binding>
  <wsdl:service name="Shop"><wsdl:port name="soap" binding="t:ShopSoap"><soap:address location="http://shop.test/buy"/></wsdl:port></wsdl:service>
  <plnk:partnerLinkType name="shop"><plnk:role name="shop" portType="t:Shop"/></plnk:partnerLinkType>
  <plnk:partnerLinkType name="odd"><plnk:role name="odd" portType="t:Odd"/></plnk:partnerLinkType>
  <vprop:property name="customer" type="xsd:string"/>
  <vprop:property name="whole" element="t:order"/>
  <vprop:property name="orphan" type="xsd:string"/>
  <vprop:propertyAlias propertyName="t:customer" messageType="t:order" part="body"><vprop:query>t:customer</vprop:query></vprop:propertyAlias>
  <vprop:propertyAlias propertyName="t:customer" messageType="t:receipt" part="body"><vprop:query>t:customer</vprop:query></vprop:propertyAlias>
  <vprop:propertyAlias propertyName="t:customer" element="t:order"><vprop:query>t:customer</vprop:query></vprop:propertyAlias>
  <vprop:propertyAlias propertyName="t:customer" type="xsd:string"/>
</wsdl:definitions>)";

inline constexpr std::string_view kShopSchema =
    R"(<xsd:schema xmlns:xsd="http://www.w3.org/2001/XMLSchema" xmlns:t="urn:test:shop"
    targetNamespace="urn:test:shop" elementFormDefault="qualified">
  <xsd:element name="order" type="t:Order"/>
  <xsd:complexType name="Order"><xsd:sequence>
    <xsd:element name="customer" type="xsd:string"/>
    <xsd:element name="amount" type="xsd:int" minOccurs="0"/>
    <xsd:element name="item" type="xsd:string" minOccurs="0" maxOccurs="unbounded"/>
  </xsd:sequence><xsd:attribute name="kind" type="xsd:string"/></xsd:complexType>
  <xsd:element name="receipt"><xsd:complexType><xsd:sequence>
    <xsd:element name="customer" type="xsd:string"/>
  </xsd:sequence></xsd:complexType></xsd:element>
  <xsd:element name="problem" type="xsd:string"/>
  <xsd:element name="bigOrder" type="t:Order" substitutionGroup="t:order"/>
  <xsd:element name="hugeOrder" type="t:Order" substitutionGroup="t:bigOrder"/>
  <xsd:element name="name" type="t:Name"/>
  <xsd:simpleType name="Name"><xsd:restriction base="xsd:token"/></xsd:simpleType>
  <xsd:simpleType name="Count"><xsd:restriction base="xsd:positiveInteger"/></xsd:simpleType>
</xsd:schema>)";

// The pieces of a process. What is not given stands as here.
struct Pieces {
  std::string attributes;  // of <process>
  std::string extensions;
  std::string imports =
      R"(<import namespace="urn:test:shop" location="shop.wsdl" importType="http://schemas.xmlsoap.org/wsdl/"/>)";
  std::string partner_links;      // besides client (myRole) and partner (partnerRole)
  std::string message_exchanges;  // <messageExchange>s
  std::string variables;          // besides request, answer, order, pair, id, n, flag
  std::string correlation_sets;   // besides customer
  std::string fault_handlers;     // what <faultHandlers> holds
  std::string event_handlers;
  std::string start = R"(<receive partnerLink="client" operation="buy" variable="request" createInstance="yes"/>)";
  std::string body = "<empty/>";  // after the start
};

inline std::string process_text(const Pieces& pieces) {
  const auto wrapped = [](const std::string& element, const std::string& inside) {
    return inside.empty() ? std::string() : "<" + element + ">" + inside + "</" + element + ">\n";
  };
  return R"(<process xmlns="http://docs.oasis-open.org/wsbpel/2.0/process/executable" name="shopping"
    targetNamespace="urn:test:process" xmlns:t="urn:test:shop" xmlns:xsd="http://www.w3.org/2001/XMLSchema"
    xmlns:bpel="http://docs.oasis-open.org/wsbpel/2.0/process/executable" xmlns:x="urn:test:extension" )" +
         pieces.attributes + ">\n" + pieces.extensions + pieces.imports + R"(
<partnerLinks>
  <partnerLink name="client" partnerLinkType="t:shop" myRole="shop"/>
  <partnerLink name="partner" partnerLinkType="t:shop" partnerRole="shop"/>)" +
         pieces.partner_links + "</partnerLinks>\n" + wrapped("messageExchanges", pieces.message_exchanges) +
         R"(<variables>
  <variable name="request" messageType="t:order"/>
  <variable name="answer" messageType="t:receipt"/>
  <variable name="pair" messageType="t:pair"/>
  <variable name="order" element="t:order"/>
  <variable name="record" type="t:Order"/>
  <variable name="id" type="xsd:string"/>
  <variable name="n" type="xsd:int"/>
  <variable name="flag" type="xsd:boolean"/>)" +
         pieces.variables + R"(</variables>
<correlationSets><correlationSet name="customer" properties="t:customer"/>)" +
         pieces.correlation_sets + "</correlationSets>\n" + wrapped("faultHandlers", pieces.fault_handlers) +
         wrapped("eventHandlers", pieces.event_handlers) + "<sequence>\n" + pieces.start + "\n" + pieces.body +
         "\n</sequence></process>";
}

inline Package shop_package(const Pieces& pieces) {
  Package package;
  package.files["shop.wsdl"] = kShopWsdl;
  package.files["types.xsd"] = kShopSchema;
  package.files["p.bpel"] = process_text(pieces);
  return package;
}

inline ParsedProcess parse_pieces(const Pieces& pieces) { return parse_process(shop_package(pieces), "p.bpel"); }

// All findings in one text, for messages of failed tests.
inline std::string all_of(const std::vector<Diagnostic>& diagnostics) {
  std::string text;
  for (const Diagnostic& diagnostic : diagnostics) text += diagnostic.to_string() + "\n";
  return text;
}

}  // namespace nuraghe::bpel::test
