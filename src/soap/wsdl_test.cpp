#include "soap/wsdl.hpp"
#include "test_folders.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <filesystem>
#include <fstream>
#include <sstream>

namespace nuraghe::wsdl {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;

constexpr const char* kMain =
    R"(<definitions xmlns="http://schemas.xmlsoap.org/wsdl/" targetNamespace="urn:m" xmlns:m="urn:m" xmlns:s="urn:s"
    xmlns:soap="http://schemas.xmlsoap.org/wsdl/soap/" xmlns:soap12="http://schemas.xmlsoap.org/wsdl/soap12/"
    xmlns:xsd="http://www.w3.org/2001/XMLSchema" xmlns:plnk="http://docs.oasis-open.org/wsbpel/2.0/plnktype"
    xmlns:vprop="http://docs.oasis-open.org/wsbpel/2.0/varprop">
  <import namespace="urn:n" location="../other/nested.wsdl"/>
  <types><xsd:schema targetNamespace="urn:s" elementFormDefault="qualified">
    <xsd:include schemaLocation="chameleon.xsd"/>
    <xsd:element name="text" type="xsd:normalizedString"/>
    <xsd:element name="yes"><xsd:simpleType><xsd:restriction base="xsd:boolean"/></xsd:simpleType></xsd:element>
    <xsd:element name="deep" type="s:C"/>
    <xsd:simpleType name="C"><xsd:restriction base="s:B"/></xsd:simpleType>
    <xsd:simpleType name="B"><xsd:restriction base="xsd:decimal"/></xsd:simpleType>
    <xsd:simpleType name="Loop"><xsd:restriction base="s:Loop"/></xsd:simpleType>
  </xsd:schema></types>
  <message name="in"><part name="a" element="s:text"/><part name="b" type="xsd:int"/></message>
  <message name="out"/>
  <portType name="P">
    <operation name="both"><input message="m:in"/><output message="m:out"/><fault name="f" message="m:in"/></operation>
    <operation name="one"><input message="m:in"/></operation>
    <operation name="solicit"><output message="m:out"/><input message="m:in"/></operation>
  </portType>
  <binding name="B" type="m:P">
    <soap12:binding style="rpc" transport="http://schemas.xmlsoap.org/soap/http"/>
    <operation name="both"><soap12:operation soapAction="urn:act" style="document"/>
      <input><soap12:body use="literal" namespace="urn:body"/></input></operation>
  </binding>
  <service name="S"><port name="p" binding="m:B"><soap12:address location="http://h/p"/></port></service>
  <plnk:partnerLinkType name="L"><plnk:role name="r" portType="m:P"/><plnk:role name="q" portType="m:P"/></plnk:partnerLinkType>
  <vprop:property name="id" type="xsd:string"/>
  <vprop:propertyAlias propertyName="m:id" messageType="m:in" part="a"><vprop:query>s:x/s:y</vprop:query></vprop:propertyAlias>
  <vprop:propertyAlias propertyName="m:id" element="s:text"/>
  <vprop:propertyAlias propertyName="m:id" type="s:B"/>
</definitions>)";
constexpr const char* kNested =
    R"(<definitions xmlns="http://schemas.xmlsoap.org/wsdl/" targetNamespace="urn:n" xmlns:m="urn:m">
  <import namespace="urn:m" location="../main/main.wsdl"/><message name="far"/></definitions>)";
constexpr const char* kChameleon = R"(<xsd:schema xmlns:xsd="http://www.w3.org/2001/XMLSchema">
  <xsd:element name="adopted" type="Own"/><xsd:complexType name="Own"/></xsd:schema>)";

Files files() {
  return {{"main/main.wsdl", kMain}, {"other/nested.wsdl", kNested}, {"main/chameleon.xsd", kChameleon}};
}

std::shared_ptr<const Definitions> read(const Files& given, std::string* findings = nullptr) {
  std::vector<xml::Finding> found;
  auto definitions = Definitions::read({"main/main.wsdl"}, given, found);
  std::string text;
  for (const xml::Finding& finding : found) text += finding.to_string() + "\n";
  if (findings == nullptr) {
    EXPECT_EQ(text, "");
  } else {
    *findings = text;
  }
  return definitions;
}

TEST(Wsdl, LocationsAreRelativeToTheImportingFile) {
  EXPECT_EQ(resolve_location("a/b.wsdl", "c.xsd"), "a/c.xsd");
  EXPECT_EQ(resolve_location("a/b.wsdl", "../c.xsd"), "c.xsd");
  EXPECT_EQ(resolve_location("a/b.wsdl", "../../c.xsd"), "c.xsd");
  EXPECT_EQ(resolve_location("b.wsdl", "./x//y.xsd"), "x/y.xsd");
  EXPECT_EQ(resolve_location("a/b.wsdl", "/c.xsd"), "c.xsd");
  EXPECT_EQ(resolve_location("a/b.wsdl", "http://h/c.xsd"), "http://h/c.xsd");
}

TEST(Wsdl, FindsTheFileThatALocationMeans) {
  const Files given = {{"a/c d.xsd", ""}, {"a/e%20f.xsd", ""}, {"x/y/m.xsd", ""}, {"z/y/m.xsd", ""}, {"u/v.xsd", ""}};
  EXPECT_EQ(find_file(given, "a/b.wsdl", "c%20d.xsd"), "a/c d.xsd");
  EXPECT_EQ(find_file(given, "b.wsdl", ".\\a\\c d.xsd"), "a/c d.xsd");
  EXPECT_EQ(find_file(given, "a/b.wsdl", "e%20f.xsd"), "a/e%20f.xsd");  // as it is goes first
  EXPECT_EQ(find_file(given, "a/b.wsdl", "http://host/w/u/v.xsd"), "u/v.xsd");
  EXPECT_EQ(find_file(given, "a/b.wsdl", "project:/v.xsd"), "u/v.xsd");
  EXPECT_EQ(find_file(given, "a/b.wsdl", "http://host/x/y/m.xsd"), "x/y/m.xsd");
  EXPECT_EQ(find_file(given, "a/b.wsdl", "http://host/y/m.xsd"), "");  // two would fit
  EXPECT_EQ(find_file(given, "a/b.wsdl", "v.xsd"), "");
  EXPECT_EQ(find_file(given, "A/b.wsdl", "C%20d.XSD"), "a/c d.xsd") << "the only one but for capital letters";
  EXPECT_EQ(find_file({{"t.xsd", ""}, {"T.xsd", ""}}, "b.wsdl", "T.XSD"), "");
  EXPECT_EQ(find_file(given, "a/b.wsdl", ""), "");
}

TEST(Wsdl, MessagesAndPortTypes) {
  const auto wsdl = read(files());
  const Message* in = wsdl->message({"urn:m", "in"});
  ASSERT_NE(in, nullptr);
  EXPECT_EQ(in->where.file, "main/main.wsdl");
  EXPECT_EQ(in->part("a")->element, (QName{"urn:s", "text"}));
  EXPECT_EQ(in->part("b")->type, (QName{"http://www.w3.org/2001/XMLSchema", "int"}));
  EXPECT_EQ(in->part("c"), nullptr);
  const PortType* port_type = wsdl->port_type({"urn:m", "P"});
  ASSERT_NE(port_type, nullptr);
  EXPECT_TRUE(port_type->operation("both")->request_response());
  EXPECT_EQ(port_type->operation("both")->fault("f")->message, (QName{"urn:m", "in"}));
  EXPECT_EQ(port_type->operation("both")->fault("g"), nullptr);
  EXPECT_TRUE(port_type->operation("one")->one_way());
  EXPECT_FALSE(port_type->operation("solicit")->request_response());
  EXPECT_FALSE(port_type->operation("solicit")->one_way());
  EXPECT_EQ(port_type->count("one"), 1U);
}

TEST(Wsdl, ImportsMayBeNestedAndGoInCircles) {
  EXPECT_NE(read(files())->message({"urn:n", "far"}), nullptr);
  Files without = files();
  without.erase("other/nested.wsdl");
  std::string findings;
  EXPECT_NE(read(without, &findings)->message({"urn:m", "in"}), nullptr);
  EXPECT_THAT(findings, HasSubstr("other/nested.wsdl"));
}

TEST(Wsdl, BindingsAndAddresses) {
  const auto wsdl = read(files());
  const Binding* binding = wsdl->binding_of_port_type({"urn:m", "P"});
  ASSERT_NE(binding, nullptr);
  EXPECT_EQ(binding->soap_version, 12);
  EXPECT_EQ(binding->style, "rpc");
  EXPECT_EQ(binding->operation("both")->style, "document");
  EXPECT_EQ(binding->operation("both")->soap_action, "urn:act");
  EXPECT_EQ(binding->operation("both")->body_namespace, "urn:body");
  EXPECT_EQ(wsdl->address_of_port_type({"urn:m", "P"}), "http://h/p");
  EXPECT_EQ(wsdl->address_of_port_type({"urn:m", "Q"}), "");
}

TEST(Wsdl, PartnerLinkTypesPropertiesAndAliases) {
  const auto wsdl = read(files());
  const PartnerLinkType* type = wsdl->partner_link_type({"urn:m", "L"});
  ASSERT_NE(type, nullptr);
  EXPECT_EQ(type->role("q")->port_type, (QName{"urn:m", "P"}));
  EXPECT_EQ(type->role("x"), nullptr);
  const QName id{"urn:m", "id"};
  EXPECT_EQ(wsdl->property(id)->type.local, "string");
  const PropertyAlias* alias = wsdl->alias_for_message(id, {"urn:m", "in"});
  ASSERT_NE(alias, nullptr);
  EXPECT_EQ(alias->part, "a");
  const auto value = xml::Document::parse("<t xmlns='urn:s'><x><y>found</y></x></t>");
  const auto selected = alias->query->evaluate({value->root(), {}, {}});
  ASSERT_TRUE(selected) << selected.error().to_string();
  EXPECT_EQ(xml::to_string(*selected), "found");
  EXPECT_EQ(wsdl->alias_for_element(id, {"urn:s", "text"})->query, nullptr);
  EXPECT_NE(wsdl->alias_for_type(id, {"urn:s", "B"}), nullptr);
  EXPECT_EQ(wsdl->alias_for_message(id, {"urn:m", "out"}), nullptr);
}

TEST(Wsdl, ClassesOfSchemaTypes) {
  const auto wsdl = read(files());
  const auto element = [&](const char* local) { return wsdl->schema_element({"urn:s", local})->type_class; };
  EXPECT_EQ(element("text"), TypeClass::kString);
  EXPECT_EQ(element("yes"), TypeClass::kBoolean);
  EXPECT_EQ(element("deep"), TypeClass::kNumber);
  EXPECT_EQ(element("adopted"), TypeClass::kComplex);
  EXPECT_EQ(wsdl->schema_element({"urn:s", "adopted"})->type, (QName{"urn:s", "Own"}));
  EXPECT_EQ(wsdl->type_class({"urn:s", "Own"}), TypeClass::kComplex);
  EXPECT_TRUE(wsdl->type_class({"urn:s", "Loop"}).has_value());
  EXPECT_EQ(wsdl->type_class({"http://www.w3.org/2001/XMLSchema", "unsignedByte"}), TypeClass::kNumber);
  EXPECT_EQ(wsdl->type_class({"http://www.w3.org/2001/XMLSchema", "absent"}), std::nullopt);
  EXPECT_EQ(wsdl->type_class({"urn:s", "Absent"}), std::nullopt);
  EXPECT_TRUE(wsdl->is_known_namespace("urn:s"));
}

TEST(Wsdl, SchemasInsideAreUsableAlone) {
  const auto wsdl = read(files());
  std::vector<std::string> locations;
  for (const auto& [location, text] : wsdl->schemas()) locations.push_back(location);
  EXPECT_THAT(locations, ElementsAre("main/chameleon.xsd", "main/main.wsdl#schema1"));
  const auto copy = xml::Document::parse(wsdl->schemas().at("main/main.wsdl#schema1"));
  ASSERT_TRUE(copy);
  EXPECT_EQ(copy->root().namespace_of_prefix("s"), "urn:s");  // declared by the WSDL's root, used in QName values
}

TEST(Wsdl, FindingsSayWhere) {
  Files broken = files();
  std::string& text = broken["main/main.wsdl"];
  text.replace(text.find("element=\"s:text\"/><part"), 16, "element=\"s:text\" type=\"xsd:int\"");
  std::string findings;
  read(broken, &findings);
  EXPECT_THAT(findings, HasSubstr("main/main.wsdl:15:"));
  EXPECT_THAT(findings, HasSubstr("element or a type, not both"));
  broken["main/main.wsdl"] = "<definitions";
  read(broken, &findings);
  EXPECT_THAT(findings, HasSubstr("main/main.wsdl"));
}

// Partner link types and properties as WSDL files for drafts of WS-BPEL 2.0 have them.
TEST(Wsdl, ReadsExtensionsOfDrafts) {
  const Files given = {
      {"d.wsdl", R"(<definitions xmlns="http://schemas.xmlsoap.org/wsdl/" targetNamespace="urn:d" xmlns:d="urn:d"
      xmlns:xsd="http://www.w3.org/2001/XMLSchema" xmlns:p="http://schemas.xmlsoap.org/ws/2003/05/partner-link/"
      xmlns:b="http://schemas.xmlsoap.org/ws/2003/03/business-process/">
    <message name="m"><part name="a" type="xsd:string"/></message>
    <portType name="P"><operation name="o"><input message="d:m"/></operation></portType>
    <p:partnerLinkType name="L"><p:role name="r"><p:portType name="d:P"/></p:role></p:partnerLinkType>
    <b:property name="id" type="xsd:string"/>
    <b:propertyAlias propertyName="d:id" messageType="d:m" part="a" query="/a/x"/></definitions>)"}};
  std::vector<xml::Finding> findings;
  const auto wsdl = Definitions::read({"d.wsdl"}, given, findings);
  EXPECT_TRUE(findings.empty());
  const PartnerLinkType* type = wsdl->partner_link_type({"urn:d", "L"});
  ASSERT_NE(type, nullptr);
  EXPECT_EQ(type->role("r")->port_type, (QName{"urn:d", "P"}));
  ASSERT_NE(wsdl->property({"urn:d", "id"}), nullptr);
  const PropertyAlias* alias = wsdl->alias_for_message({"urn:d", "id"}, {"urn:d", "m"});
  ASSERT_NE(alias, nullptr);
  EXPECT_EQ(alias->query->text(), "/a/x");
}

// The standards' own WSDL files: nested imports, several schemas, many messages.
TEST(Wsdl, SchemasOfTheStandardsAreRead) {
  Files standards;
  const std::filesystem::path root = NURAGHE_SOURCE_DIR "/contracts/standards";
  for (const auto& entry : std::filesystem::recursive_directory_iterator(root)) {
    if (entry.path().extension() != ".xsd") continue;
    std::ostringstream text;
    text << std::ifstream(entry.path()).rdbuf();
    standards[entry.path().lexically_relative(root).generic_string()] = text.str();
  }
  std::vector<xml::Finding> findings;
  const auto wsdl = Definitions::read({}, standards, findings, {{"bpel/ws-bpel_executable.xsd"}});
  EXPECT_TRUE(findings.empty()) << findings.front().to_string();
  EXPECT_NE(wsdl->schema_element({"http://docs.oasis-open.org/wsbpel/2.0/process/executable", "process"}), nullptr);
}

}  // namespace
}  // namespace nuraghe::wsdl
