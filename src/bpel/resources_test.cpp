// doXslTransform (WS-BPEL 2.0 §8.3.7), validate and assign validate="yes" (§8.1, §8.4).
#include "bpel/resources.hpp"

#include <gmock/gmock.h>

#include "bpel/expression/test_context.hpp"
#include "bpel/testing.hpp"

namespace nuraghe::bpel {
namespace {

using test::Pieces;
using test::World;

const std::string kOrder =
    "<t:order xmlns:t=\"urn:test:shop\"><t:customer>anna</t:customer><t:amount>7</t:amount></t:order>";

std::string sheet(const std::string& inside) {
  return "<xsl:stylesheet version='1.0' xmlns:xsl='http://www.w3.org/1999/XSL/Transform' "
         "xmlns:s='urn:test:shop' exclude-result-prefixes='s'>" +
         inside + "</xsl:stylesheet>";
}
const std::map<std::string, std::string> kFiles = {
    {"receipt.xsl", sheet("<xsl:param name='s:who' select=\"'nobody'\"/><xsl:param name='n' select='0'/>"
                          "<xsl:template match='/s:order'><s:receipt><s:customer><xsl:value-of "
                          "select='concat(s:customer, $s:who, $n + 1)'/></s:customer></s:receipt></xsl:template>")},
    {"text.xsl", sheet("<xsl:output method='text'/><xsl:template match='/'><xsl:value-of "
                       "select='concat(\"[\", ., \"]\")'/></xsl:template>")},
    {"wrong.xsl", sheet("<xsl:template match='/'><xsl:value-of/></xsl:template>")},
    {"stops.xsl", sheet("<xsl:template match='/'><xsl:message terminate='yes'>no</xsl:message></xsl:template>")},
    {"reads.xsl", sheet("<xsl:template match='/'><xsl:copy-of select=\"document('types.xsd')\"/></xsl:template>")},
    {"endless.xsl", sheet("<xsl:template match='/' name='r'><xsl:call-template name='r'/></xsl:template>")}};

// Runs an assign of one copy; the fault's name, or what the destination holds then.
std::string copied(const std::string& from, const std::string& to, const std::string& variable) {
  Pieces pieces;
  pieces.body = "<assign><copy><from>" + from + "</from><to>" + to + "</to></copy></assign>";
  World world(pieces, kFiles);
  world.set("order", kOrder);
  world.set_text("id", "before");
  const auto done = execute_assign(world.first<Assign>(NodeKind::kAssign), world.context);
  if (!done) return done.error().name.local;
  return world.get(variable);
}

TEST(Transform, GivesAnElement) {
  const std::string receipt = "<t:receipt xmlns:t=\"urn:test:shop\"><t:customer>annanobody1</t:customer></t:receipt>";
  const auto made = xml::Document::parse(copied("bpel:doXslTransform('receipt.xsl', $order)", "$order", "order"));
  ASSERT_TRUE(made);
  EXPECT_EQ(made->root().local_name(), "order");  // the destination keeps its name
  EXPECT_EQ(made->root().child("urn:test:shop", "customer").text(), "annanobody1");
}

TEST(Transform, TakesParameters) {
  EXPECT_THAT(
      copied("string(bpel:doXslTransform('receipt.xsl', $order, 't:who', ' of X', 'n', $order/t:amount))", "$id", "id"),
      ::testing::HasSubstr("anna of X8"));
}

TEST(Transform, GivesAText) {
  EXPECT_EQ(copied("bpel:doXslTransform('text.xsl', $order/t:customer)", "$id", "id"), "<value>[anna]</value>");
  EXPECT_THAT(copied("bpel:doXslTransform('text.xsl', bpel:doXslTransform('receipt.xsl', $order))", "$id", "id"),
              ::testing::HasSubstr("[annanobody1]"));
  EXPECT_THAT(copied("bpel:doXslTransform('receipt.xsl', $order)/t:customer", "$order/t:customer", "order"),
              ::testing::HasSubstr("annanobody1"));
}

TEST(Transform, Faults) {
  for (const auto& [from, fault] : std::vector<std::pair<std::string, std::string>>{
           {"bpel:doXslTransform('absent.xsl', $order)", "xsltStylesheetNotFound"},
           {"bpel:doXslTransform('receipt.xsl', $order/t:absent)", "xsltInvalidSource"},
           {"bpel:doXslTransform('receipt.xsl', $order/*)", "xsltInvalidSource"},
           {"bpel:doXslTransform('receipt.xsl', $order/t:customer/text())", "xsltInvalidSource"},
           {"bpel:doXslTransform('receipt.xsl', 'text')", "xsltInvalidSource"},
           {"bpel:doXslTransform('receipt.xsl', $answer.body)", "uninitializedVariable"},
           {"bpel:doXslTransform('wrong.xsl', $order)", "subLanguageExecutionFault"},
           {"bpel:doXslTransform('stops.xsl', $order)", "subLanguageExecutionFault"},
           {"bpel:doXslTransform('reads.xsl', $order)", "subLanguageExecutionFault"},
           {"bpel:doXslTransform('endless.xsl', $order)", "subLanguageExecutionFault"}}) {
    EXPECT_EQ(copied(from, "$id", "id"), fault) << from;
  }
}

TEST(Transform, WorksInAProcess) {
  const std::string out =
      "<xsl:stylesheet version='1.0' xmlns:xsl='http://www.w3.org/1999/XSL/Transform'><xsl:param "
      "name='p'/><xsl:template match='/*'><out xmlns='urn:t'><xsl:value-of select='concat(., "
      "$p)'/></out></xsl:template></xsl:stylesheet>";
  testing::World world({{"p.bpel", testing::process_text("<sequence>" + testing::kReceive +
                                                         "<assign><copy><from>bpel:doXslTransform('lib/out.xsl', "
                                                         "$request.p, 'p', '!')</from><to>$reply</to></copy></assign>" +
                                                         testing::kReply + "</sequence>")},
                        {"lib/out.xsl", out}});
  EXPECT_EQ(world.answer_text(world.request("start", "hello")), "hello!");
  world.expect_clean();
  world.expect_replays();
}

// ---- validation ----

// Validates one variable with a value; "" or the fault's name.
std::string validated(const std::string& variable, const std::string& xml, const std::string& part = "",
                      const std::string& more = "", const std::map<std::string, std::string>& files = {}) {
  Pieces pieces;
  pieces.variables = more;
  World world(pieces, files);
  world.set(variable, xml, part);
  const VariableRef ref = world.ref(variable);
  const auto valid = world.context.resources->validate(world.definition().variable(ref), world.context.values[ref]);
  return valid ? "" : valid.error().name.local;
}

TEST(Validate, Elements) {
  EXPECT_EQ(validated("order", kOrder), "");
  EXPECT_EQ(validated("order", "<t:order xmlns:t='urn:test:shop'><t:amount>7</t:amount></t:order>"),
            "invalidVariables");
  EXPECT_EQ(validated("order", "<t:order xmlns:t='urn:test:shop'><t:customer/><t:amount>x</t:amount></t:order>"),
            "invalidVariables");
  EXPECT_EQ(validated("order", "<t:receipt xmlns:t='urn:test:shop'><t:customer/></t:receipt>"), "invalidVariables");
}

TEST(Validate, Types) {
  EXPECT_EQ(validated("n", "<value>12</value>"), "");
  EXPECT_EQ(validated("n", "<value>twelve</value>"), "invalidVariables");
  EXPECT_EQ(validated("flag", "<value>true</value>"), "");
  EXPECT_EQ(validated("flag", "<value>maybe</value>"), "invalidVariables");
  EXPECT_EQ(validated("record", "<value xmlns:t='urn:test:shop' kind='k'><t:customer>a</t:customer></value>"), "");
  EXPECT_EQ(validated("record", "<value xmlns:t='urn:test:shop'><t:absent/></value>"), "invalidVariables");
  const std::string count = "<variable name='count' type='t:Count'/>";
  EXPECT_EQ(validated("count", "<value>3</value>", "", count), "");
  EXPECT_EQ(validated("count", "<value>0</value>", "", count), "invalidVariables");
}

TEST(Validate, Messages) {
  EXPECT_EQ(validated("request", kOrder, "body"), "");
  EXPECT_EQ(validated("request", "<t:order xmlns:t='urn:test:shop'/>", "body"), "invalidVariables");
  Pieces pieces;
  World world(pieces);
  const auto check = [&] {
    const VariableRef ref = world.ref("pair");
    const auto valid = world.context.resources->validate(world.definition().variable(ref), world.context.values[ref]);
    return valid ? "" : valid.error().name.local;
  };
  world.set("pair", "<t:name xmlns:t='urn:test:shop'>n</t:name>", "a");
  EXPECT_EQ(check(), "uninitializedVariable");
  world.set("pair", "<b>12</b>", "b");
  EXPECT_EQ(check(), "");
  world.set("pair", "<b>x</b>", "b");
  EXPECT_EQ(check(), "invalidVariables");
}

// Two schemas of one namespace, one inside the WSDL, and an import that says no location: libxml2 alone reads only the
// first file of a namespace.
TEST(Validate, SchemasOfOneNamespaceInSeveralFiles) {
  const std::string import_of =
      "<import namespace='urn:two' location='NAME' "
      "importType='http://www.w3.org/2001/XMLSchema'/>";
  Pieces pieces;
  for (const char* name : {"a.xsd", "b.xsd"})
    pieces.imports += std::string(import_of).replace(import_of.find("NAME"), 4, name);
  const std::string head =
      "<xsd:schema xmlns:xsd='http://www.w3.org/2001/XMLSchema' xmlns:w='urn:two' "
      "xmlns:t='urn:test:shop' targetNamespace='urn:two' elementFormDefault='qualified'>";
  pieces.variables =
      "<variable name='a' element='w:a' xmlns:w='urn:two'/><variable name='b' element='w:b' "
      "xmlns:w='urn:two'/>";
  World world(pieces,
              {{"a.xsd", head + "<xsd:element name='a' type='xsd:int'/></xsd:schema>"},
               {"b.xsd", head + "<xsd:import namespace='urn:test:shop'/><xsd:element name='b'><xsd:complexType>"
                                "<xsd:sequence><xsd:element ref='w:a'/><xsd:element ref='t:order'/></xsd:sequence>"
                                "</xsd:complexType></xsd:element></xsd:schema>"}});
  const auto check = [&](const std::string& name, const std::string& xml) {
    world.set(name, xml);
    const auto valid = world.context.resources->validate(world.definition().variable(world.ref(name)),
                                                         world.context.values[world.ref(name)]);
    return valid ? "" : valid.error().message;
  };
  EXPECT_EQ(check("a", "<a xmlns='urn:two'>1</a>"), "");
  EXPECT_NE(check("a", "<a xmlns='urn:two'>x</a>"), "");
  EXPECT_EQ(check("b", "<b xmlns='urn:two'><a>1</a>" + kOrder + "</b>"), "");
  EXPECT_NE(check("b", "<b xmlns='urn:two'><a>1</a></b>"), "");
}

// Files that include others, whatever the order of their names; that include each other.
TEST(Validate, SchemasThatIncludeOthers) {
  const auto schema = [](const std::string& inside, const std::string& ns = "urn:two") {
    return "<xsd:schema xmlns:xsd='http://www.w3.org/2001/XMLSchema' elementFormDefault='qualified'" +
           (ns.empty() ? "" : " xmlns:w='" + ns + "' targetNamespace='" + ns + "'") + ">" + inside + "</xsd:schema>";
  };
  const auto include = [](const std::string& file) { return "<xsd:include schemaLocation='" + file + "'/>"; };
  const std::string type = "<xsd:simpleType name='Small'><xsd:restriction base='xsd:int'/></xsd:simpleType>";
  const std::string element = "<xsd:element name='e' type='w:Small'/>";
  const std::map<std::string, std::map<std::string, std::string>> cases = {
      {"before", {{"main.xsd", schema(include("a/b.xsd") + element)}, {"a/b.xsd", schema(type)}}},
      {"behind", {{"main.xsd", schema(include("z.xsd") + element)}, {"z.xsd", schema(type)}}},
      {"each other", {{"main.xsd", schema(include("a.xsd") + element)}, {"a.xsd", schema(include("main.xsd") + type)}}},
      {"itself", {{"main.xsd", schema(include("main.xsd") + type + element)}}},
      {"redefined",
       {{"main.xsd", schema("<xsd:redefine schemaLocation='a.xsd'><xsd:simpleType name='Small'><xsd:restriction "
                            "base='w:Small'><xsd:maxInclusive value='9'/></xsd:restriction></xsd:simpleType>"
                            "</xsd:redefine>" +
                            element)},
        {"a.xsd", schema(type)}}}};
  for (const auto& [name, files] : cases) {
    Pieces pieces;
    pieces.imports += "<import namespace='urn:two' location='main.xsd' importType='http://www.w3.org/2001/XMLSchema'/>";
    pieces.variables = "<variable name='e' element='w:e' xmlns:w='urn:two'/>";
    World world(pieces, files);
    const auto check = [&](const std::string& xml) {
      world.set("e", xml);
      const auto valid = world.context.resources->validate(world.definition().variable(world.ref("e")),
                                                           world.context.values[world.ref("e")]);
      return valid ? "" : valid.error().message;
    };
    EXPECT_EQ(check("<e xmlns='urn:two'>7</e>"), "") << name;
    EXPECT_NE(check("<e xmlns='urn:two'>x</e>"), "") << name;
  }
}

TEST(Validate, AnAssignThatWouldMakeAVariableInvalidChangesNothing) {
  const auto run = [](const std::string& attribute) {
    World world(
        "<assign " + attribute +
        "><copy><from>'ok'</from><to>$id</to></copy><copy><from>'x'</from><to>$order/t:amount</to></copy></assign>");
    world.set("order", kOrder);
    world.set_text("id", "before");
    const auto done = execute_assign(world.first<Assign>(NodeKind::kAssign), world.context);
    return (done ? std::string("done") : done.error().name.local) + " " +
           text_of(world.context.values[world.ref("id")]);
  };
  EXPECT_EQ(run("validate='yes'"), "invalidVariables before");
  EXPECT_EQ(run("validate='no'"), "done ok");
}

TEST(Validate, TheActivityRaisesTheFault) {
  const std::string number = "<variable name=\"n\" type=\"xsd:int\"><from>'12'</from></variable>";
  const auto trace = [&](const std::string& value) {
    testing::World world(testing::process_text(
        testing::round_trip("<assign><copy><from>" + value +
                            "</from><to>$n</to></copy></assign><scope><faultHandlers><catch "
                            "faultName=\"bpel:invalidVariables\">@I</catch></faultHandlers><sequence>"
                            "<validate variables=\"n request\"/>@V</sequence></scope>"),
        "", number));
    EXPECT_EQ(world.answer_text(world.request("start", "x")), "done");
    world.expect_replays();
    return world.trace();
  };
  EXPECT_EQ(trace("'13'"), "V");
  EXPECT_EQ(trace("'thirteen'"), "I");
}

}  // namespace
}  // namespace nuraghe::bpel
