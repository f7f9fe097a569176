#include "xml/schema.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <thread>

namespace nuraghe::xml {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;

constexpr const char* kMain = R"(<xs:schema xmlns:xs="http://www.w3.org/2001/XMLSchema" xmlns:m="urn:m" xmlns:o="urn:o"
    targetNamespace="urn:m" elementFormDefault="qualified">
  <xs:import namespace="urn:o" schemaLocation="other.xsd"/>
  <xs:complexType name="Base"><xs:attribute name="name" type="xs:NCName" use="required"/></xs:complexType>
  <xs:element name="root"><xs:complexType><xs:sequence>
    <xs:element name="item" maxOccurs="2"><xs:complexType><xs:complexContent><xs:extension base="m:Base">
      <xs:attribute name="cpus" type="xs:positiveInteger"/>
      <xs:attribute name="color"><xs:simpleType><xs:restriction base="xs:string">
        <xs:enumeration value="red"/><xs:enumeration value="green"/></xs:restriction></xs:simpleType></xs:attribute>
      <xs:attribute name="mac"><xs:simpleType>
        <xs:annotation><xs:documentation>two hex digits</xs:documentation></xs:annotation>
        <xs:restriction base="xs:string"><xs:pattern value="[0-9a-f]{2}"/></xs:restriction></xs:simpleType></xs:attribute>
      <xs:attribute name="size"><xs:simpleType><xs:restriction base="xs:int">
        <xs:minInclusive value="1"/><xs:maxInclusive value="9"/></xs:restriction></xs:simpleType></xs:attribute>
    </xs:extension></xs:complexContent></xs:complexType></xs:element>
    <xs:choice><xs:element name="left"/><xs:element name="right"/></xs:choice>
    <xs:element ref="o:extra" minOccurs="0"/>
  </xs:sequence></xs:complexType></xs:element>
</xs:schema>)";
constexpr const char* kOther = R"(<xs:schema xmlns:xs="http://www.w3.org/2001/XMLSchema" targetNamespace="urn:o">
  <xs:element name="extra" type="xs:boolean"/></xs:schema>)";

Schema schema() {
  auto compiled = Schema::compile("dir/main.xsd", {{"dir/main.xsd", kMain}, {"dir/other.xsd", kOther}});
  EXPECT_TRUE(compiled) << (compiled ? "" : compiled.error().to_string());
  return std::move(*compiled);
}

std::vector<std::string> findings(std::string_view text) {
  ParseOptions options;
  options.source = "f.xml";
  const Document document = std::move(*Document::parse(text, options));
  std::vector<std::string> result;
  for (const Finding& finding : schema().validate(document)) result.push_back(finding.to_string());
  return result;
}

TEST(Schema, AcceptsWhatIsValid) {
  EXPECT_THAT(findings("<root xmlns='urn:m'><item name='a' cpus='1' color='red'/><left/>"
                       "<extra xmlns='urn:o'>true</extra></root>"),
              IsEmpty());
}

TEST(Schema, AllFindingsAtOnceInPlainWords) {
  EXPECT_THAT(findings("<root xmlns='urn:m'>\n  <item cpu='1' color='blue'/>\n   <item name='b' size='10' cpus='0'/>\n"
                       "  <itme name='x'/>\n</root>"),
              ElementsAre("f.xml:2:3: item: 'color' is 'blue'; it must be 'red' or 'green'",
                          "f.xml:2:3: item: the attribute 'cpu' is not known; did you mean 'cpus'?",
                          "f.xml:2:3: item: the attribute 'name' is missing; add it",
                          "f.xml:3:4: item: 'size' is '10'; it must be at most 9",
                          "f.xml:3:4: item: 'cpus' is '0'; it must be a whole number, 1 or more",
                          "f.xml:4:3: itme: <itme> may not stand here; expected <left> or <right>"));
}

TEST(Schema, SaysWhatIsMissing) {
  EXPECT_THAT(findings("<root xmlns='urn:m'>\n <item name='a'/></root>"),
              ElementsAre("f.xml:1:1: root: it ends too early; <item> must follow within it"));
  EXPECT_THAT(findings("<other xmlns='urn:m'/>"),
              ElementsAre("f.xml:1:1: other: <other> is not an element that this schema knows as a root"));
  EXPECT_THAT(findings("<root xmlns='urn:m'><item name='a'>x</item><left/></root>"),
              ElementsAre("f.xml:1:21: item: it must be empty"));
  EXPECT_THAT(findings("<root xmlns='urn:m'>x<item name='a' zzz='1'/><left/></root>"),
              ElementsAre("f.xml:1:1: root: text may not stand between its elements; remove it",
                          "f.xml:1:22: item: the attribute 'zzz' is not known; <item> has 'color', 'cpus', "
                          "'mac', 'name' or 'size'"));
}

TEST(Schema, ATypesDocumentationDescribesItsPattern) {
  EXPECT_THAT(findings("<root xmlns='urn:m'><item name='a' mac='zz'/><left/></root>"),
              ElementsAre("f.xml:1:21: item: 'mac' is 'zz'; it must be two hex digits"));
}

TEST(Schema, AnElementAloneIsValidatedAsARoot) {
  const Document document =
      std::move(*Document::parse("<e xmlns:x='urn:m'>\n <x:root><x:item name='a b'/><x:left/></x:root></e>"));
  const auto found = schema().validate(document.root().first_child());
  ASSERT_EQ(found.size(), 1U);
  EXPECT_EQ(found[0].position.line, 2);
  EXPECT_THAT(found[0].message, HasSubstr("'name' is 'a b'"));
}

TEST(Schema, ImportsResolveByFileNameAndByNamespace) {
  EXPECT_TRUE(Schema::compile("main.xsd", {{"main.xsd", kMain}, {"elsewhere/other.xsd", kOther}}));
  EXPECT_TRUE(Schema::compile("main.xsd", {{"main.xsd", kMain}, {"renamed.xsd", kOther}}));
  EXPECT_FALSE(Schema::compile("main.xsd", {{"main.xsd", kMain}}));
  EXPECT_EQ(Schema::compile("main.xsd", {}).error().code(), ErrorCode::kNotFound);
}

TEST(Schema, IncludesResolveRelativeToTheirFile) {
  const std::string include = R"(<schema xmlns="http://www.w3.org/2001/XMLSchema"><include schemaLocation="../x.xsd"/>
      <element name="a" type="int"/></schema>)";
  const std::string deeper =
      R"(<schema xmlns="http://www.w3.org/2001/XMLSchema"><element name="b" type="int"/></schema>)";
  const auto compiled = Schema::compile("p/q/main.xsd", {{"p/q/main.xsd", include}, {"p/x.xsd", deeper}});
  ASSERT_TRUE(compiled) << compiled.error().to_string();
  EXPECT_THAT(compiled->validate(*Document::parse("<b>1</b>")), IsEmpty());
  const auto missing = Schema::compile("main.xsd", {{"main.xsd", include}});
  EXPECT_THAT(missing.error().message(), HasSubstr("../x.xsd"));
}

TEST(Schema, MistakesInSchemasSayWhere) {
  EXPECT_THAT(Schema::compile("m.xsd", {{"m.xsd",
                                         "<schema xmlns='http://www.w3.org/2001/XMLSchema'>\n"
                                         "<element name='a' type='nope'/></schema>"}})
                  .error()
                  .message(),
              HasSubstr("m.xsd:2: "));
  EXPECT_FALSE(Schema::compile("m.xsd", {{"m.xsd", "<a/>"}}));
  EXPECT_FALSE(Schema::compile("m.xsd", {{"m.xsd", "<a"}}));
}

TEST(Schema, ADocumentCannotBringItsOwnSchema) {
  EXPECT_THAT(findings("<root xmlns='urn:m' xmlns:xsi='http://www.w3.org/2001/XMLSchema-instance' "
                       "xsi:schemaLocation='urn:m file:///etc/passwd'><item name='a'/><left/></root>"),
              IsEmpty());
}

TEST(Schema, ValidationLeavesTheDocumentAlone) {
  const std::string ids =
      R"(<schema xmlns="http://www.w3.org/2001/XMLSchema" xmlns:xs="http://www.w3.org/2001/XMLSchema">
      <element name="r"><complexType><sequence><element name="i" maxOccurs="9"><complexType>
      <attribute name="id" type="xs:ID"/></complexType></element></sequence></complexType></element></schema>)";
  const auto compiled = std::move(*Schema::compile("m.xsd", {{"m.xsd", ids}}));
  const Document document = std::move(*Document::parse("<r><i id='a'/><i id='b'/></r>"));
  for (int i = 0; i < 3; ++i) EXPECT_THAT(compiled.validate(document), IsEmpty());
  EXPECT_EQ(compiled.validate(*Document::parse("<r><i id='a'/><i id='a'/></r>")).size(), 1U);
}

TEST(Schema, OneSchemaManyThreads) {
  const Schema shared = schema();
  const DocumentPtr good = std::move(*Document::parse("<root xmlns='urn:m'><item name='a'/><left/></root>")).share();
  const DocumentPtr bad = std::move(*Document::parse("<root xmlns='urn:m'><item/><left/></root>")).share();
  std::vector<std::thread> threads;
  for (int i = 0; i < 4; ++i) {
    threads.emplace_back([&] {
      for (int j = 0; j < 200; ++j) {
        EXPECT_THAT(shared.validate(*good), IsEmpty());
        EXPECT_EQ(shared.validate(*bad).size(), 1U);
        EXPECT_TRUE(j % 50 != 0 || Schema::compile("o.xsd", {{"o.xsd", kOther}}));
      }
    });
  }
  for (std::thread& thread : threads) thread.join();
}

}  // namespace
}  // namespace nuraghe::xml
