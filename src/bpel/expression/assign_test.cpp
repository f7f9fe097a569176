#include "bpel/expression/assign.hpp"

#include <gmock/gmock.h>

#include "bpel/expression/test_context.hpp"

namespace nuraghe::bpel {
namespace {

using test::World;

const std::string kOrder =
    "<t:order xmlns:t=\"urn:test:shop\" kind=\"big\"><t:customer>anna</t:customer><t:amount>7</t:amount></t:order>";

std::string copying(const std::string& from, const std::string& to, const std::string& attributes = "") {
  return "<copy " + attributes + ">" + from + to + "</copy>";
}
std::string assign(const std::string& copies) { return "<assign>" + copies + "</assign>"; }

// Runs the process's first assign; "" or the fault's name.
std::string run(World& world) {
  const auto done = execute_assign(world.first<Assign>(NodeKind::kAssign), world.context);
  return done ? "" : done.error().name.local;
}

void expect_xml(const std::string& actual, const std::string& expected) {
  const auto left = xml::Document::parse(actual), right = xml::Document::parse(expected);
  ASSERT_TRUE(left && right) << actual << "\n" << expected;
  EXPECT_TRUE(xml::equivalent(left->root(), right->root())) << actual << "\nexpected\n" << expected;
}

// §8.4.2: the table of replacements. Source and destination: element, attribute, text.
struct Replacement {
  const char* name;
  const char* from;
  const char* to;
  const char* result;
};
class Replacements : public ::testing::TestWithParam<Replacement> {};

TEST_P(Replacements, FollowTheTable) {
  World world(assign(
      copying(std::string("<from>") + GetParam().from + "</from>", std::string("<to>") + GetParam().to + "</to>")));
  world.set("request",
            "<t:order xmlns:t='urn:test:shop' kind='src'><t:customer>anna</t:customer><t:item>i</t:item></t:order>",
            "body");
  world.set("order", kOrder);
  EXPECT_EQ(run(world), "");
  expect_xml(world.get("order"), std::string("<t:order xmlns:t='urn:test:shop' ") + GetParam().result + "</t:order>");
}

INSTANTIATE_TEST_SUITE_P(
    Table, Replacements,
    ::testing::Values(
        Replacement{"ElementToElement", "$request.body", "$order/t:customer",
                    "kind='big'><t:customer "
                    "kind='src'><t:customer>anna</t:customer><t:item>i</t:item></t:customer><t:amount>7</t:amount>"},
        Replacement{"ElementToAttribute", "$request.body/t:item", "$order/@kind",
                    "kind='i'><t:customer>anna</t:customer><t:amount>7</t:amount>"},
        Replacement{"ElementToText", "$request.body/t:item", "$order/t:customer/text()",
                    "kind='big'><t:customer>i</t:customer><t:amount>7</t:amount>"},
        Replacement{"AttributeToElement", "$request.body/@kind", "$order/t:customer",
                    "kind='big'><t:customer>src</t:customer><t:amount>7</t:amount>"},
        Replacement{"AttributeToAttribute", "$request.body/@kind", "$order/@kind",
                    "kind='src'><t:customer>anna</t:customer><t:amount>7</t:amount>"},
        Replacement{"AttributeToText", "$request.body/@kind", "$order/t:customer/text()",
                    "kind='big'><t:customer>src</t:customer><t:amount>7</t:amount>"},
        Replacement{"TextToElement", "'x'", "$order", "kind='big'>x"},
        Replacement{"TextToAttribute", "1 + 1", "$order/@kind",
                    "kind='2'><t:customer>anna</t:customer><t:amount>7</t:amount>"},
        Replacement{"TextToText", "$request.body/t:item/text()", "$order/t:amount/text()",
                    "kind='big'><t:customer>anna</t:customer><t:amount>i</t:amount>"},
        Replacement{"ManyElementsToText", "$request.body", "$order/t:customer/text()",
                    "kind='big'><t:customer>annai</t:customer><t:amount>7</t:amount>"}),
    [](const auto& replacement) { return std::string(replacement.param.name); });

TEST(Assign, AnElementKeepsTheDestinationsName) {
  World world(assign(copying("<from>$record</from>", "<to variable='order'/>")));
  world.set("record", "<value kind='k'><a/></value>");
  EXPECT_EQ(run(world), "");
  expect_xml(world.get("order"), "<t:order xmlns:t='urn:test:shop' kind='k'><a/></t:order>");
}

TEST(Assign, OrTakesTheSourcesName) {
  World world(
      assign(copying("<from>$request.body/t:customer</from>", "<to>$order/t:amount</to>", "keepSrcElementName='yes'")));
  world.set("request", kOrder, "body");
  world.set("order", kOrder);
  EXPECT_EQ(run(world), "");
  expect_xml(world.get("order"),
             "<t:order xmlns:t='urn:test:shop' "
             "kind='big'><t:customer>anna</t:customer><t:customer>anna</t:customer></t:order>");
}

TEST(Assign, VariablesOfAllSorts) {
  World world(assign(copying("<from variable='request'/>", "<to variable='request'/>") +
                     copying("<from variable='request' part='body'/>", "<to variable='order'/>") +
                     copying("<from variable='order'><query>t:customer</query></from>", "<to variable='id'/>") +
                     copying("<from>2 * 3</from>", "<to variable='n'/>") +
                     copying("<from variable='n'/>", "<to variable='pair' part='b'/>") +
                     copying("<from variable='id'/>", "<to variable='pair' part='a'/>") +
                     copying("<from variable='request' property='t:customer'/>",
                             "<to variable='order'><query>t:amount</query></to>")));
  world.set("request", kOrder, "body");
  EXPECT_EQ(run(world), "");
  expect_xml(world.get("id"), "<value>anna</value>");
  expect_xml(world.get("n"), "<value>6</value>");
  expect_xml(world.get("pair", "b"), "<b>6</b>");
  expect_xml(world.get("pair", "a"), "<t:name xmlns:t='urn:test:shop'>anna</t:name>");
  expect_xml(
      world.get("order"),
      "<t:order xmlns:t='urn:test:shop' kind='big'><t:customer>anna</t:customer><t:amount>anna</t:amount></t:order>");
}

TEST(Assign, PropertiesAsDestination) {
  World world(assign(copying("<from>'bruno'</from>", "<to variable='request' property='t:customer'/>")));
  world.set("request", kOrder, "body");
  EXPECT_EQ(run(world), "");
  EXPECT_THAT(world.get("request", "body"), ::testing::HasSubstr("<t:customer>bruno</t:customer>"));
}

// The alias of a whole part: the part gets its first value by it.
TEST(Assign, APropertyOfAPartWithoutValueIsADestination) {
  test::Pieces pieces;
  pieces.body = assign(copying("<from>'bruno'</from>", "<to variable='pair' property='t:entire'/>"));
  pieces.imports +=
      "<import namespace='urn:test:shop' location='more.wsdl' importType='http://schemas.xmlsoap.org/wsdl/'/>";
  World world(
      pieces,
      {{"more.wsdl",
        "<wsdl:definitions xmlns:wsdl='http://schemas.xmlsoap.org/wsdl/' targetNamespace='urn:test:shop' "
        "xmlns:t='urn:test:shop' xmlns:v='http://docs.oasis-open.org/wsbpel/2.0/varprop'><v:property name='entire' "
        "element='t:name'/><v:propertyAlias propertyName='t:entire' messageType='t:pair' "
        "part='a'/></wsdl:definitions>"}});
  EXPECT_EQ(run(world), "");
  expect_xml(world.get("pair", "a"), "<t:name xmlns:t='urn:test:shop'>bruno</t:name>");
}

TEST(Assign, Literals) {
  World world(assign(copying("<from><literal>\n  <t:order kind='t:a'><t:customer/></t:order>\n</literal></from>",
                             "<to variable='order'/>") +
                     copying("<from><literal>  text </literal></from>", "<to variable='id'/>") +
                     copying("<from><literal/></from>", "<to>$order/@kind</to>")));
  EXPECT_EQ(run(world), "");
  expect_xml(world.get("order"), "<t:order xmlns:t='urn:test:shop' kind=''><t:customer/></t:order>");
  expect_xml(world.get("id"), "<value>  text </value>");
}

TEST(Assign, PrefixesInValuesKeepTheirMeaning) {
  World world(assign(
      copying("<from><literal><t:order kind='x:a'>xsd:int</t:order></literal></from>", "<to variable='order'/>")));
  EXPECT_EQ(run(world), "");
  const auto document = xml::Document::parse(world.get("order"));
  ASSERT_TRUE(document);
  EXPECT_EQ(document->root().namespace_of_prefix("x"), "urn:test:extension");
  EXPECT_EQ(document->root().namespace_of_prefix("xsd"), "http://www.w3.org/2001/XMLSchema");
}

TEST(Assign, SelectionsMustBeOneNode) {
  const std::string none = "<from>$order/t:absent</from>", two = "<from>$order/*</from>";
  const std::string to_id = "<to variable='id'/>";
  for (const auto& [copies, fault] : std::vector<std::pair<std::string, std::string>>{
           {copying(none, to_id), "selectionFailure"},
           {copying(two, to_id), "selectionFailure"},
           {copying(none, to_id, "ignoreMissingFromData='yes'"), ""},
           {copying(two, to_id, "ignoreMissingFromData='yes'"), "selectionFailure"},
           {copying("<from>1</from>", "<to>$order/t:absent</to>"), "selectionFailure"},
           {copying("<from>1</from>", "<to>$order/*</to>"), "selectionFailure"},
           {copying("<from>1</from>", "<to variable='order'><query>t:absent</query></to>"), "selectionFailure"},
           {copying("<from>1</from>", "<to>$answer.body/t:customer</to>"), "uninitializedVariable"},
           {copying("<from variable='answer'/>", "<to variable='answer'/>"), "uninitializedVariable"},
           {copying("<from variable='pair' part='a'/>", to_id), "uninitializedVariable"},
           {copying("<from/>", to_id), "mismatchedAssignmentFailure"}}) {
    World world(assign(copies));
    world.set("order", kOrder);
    EXPECT_EQ(run(world), fault) << copies;
    EXPECT_EQ(world.context.stored, 0) << copies;
  }
}

TEST(Assign, IsAtomicAndSeesItself) {
  World world(assign(copying("<from>'one'</from>", "<to variable='id'/>") +
                     copying("<from>concat($id, $id)</from>", "<to>$order/t:customer</to>") +
                     copying("<from>$order/t:customer</from>", "<to>$order/t:amount</to>") +
                     copying("<from>$order/t:absent</from>", "<to variable='id'/>")));
  world.set("order", kOrder);
  world.set_text("id", "before");
  EXPECT_EQ(run(world), "selectionFailure");
  EXPECT_EQ(text_of(world.context.values[world.ref("id")]), "before");
  EXPECT_EQ(world.get("order"), kOrder);
  World good(assign(copying("<from>'one'</from>", "<to variable='id'/>") +
                    copying("<from>concat($id, $id)</from>", "<to>$order/t:customer</to>") +
                    copying("<from>$order/t:customer</from>", "<to>$order/t:amount</to>")));
  good.set("order", kOrder);
  const xml::DocumentPtr before = good.context.values[good.ref("order")].part();
  EXPECT_EQ(run(good), "");
  EXPECT_EQ(good.context.stored, 2);
  EXPECT_EQ(before->to_string(), kOrder);  // others who hold the old value see no change
  EXPECT_THAT(good.get("order"), ::testing::HasSubstr("<t:amount>oneone</t:amount>"));
}

TEST(Assign, CopiedMessagesArePartedFromTheirSource) {
  test::Pieces pieces;
  pieces.variables = "<variable name='second' messageType='t:order'/>";
  pieces.body = assign(copying("<from>'first'</from>", "<to>$request.body/t:customer</to>") +
                       copying("<from variable='request'/>", "<to variable='second'/>") +
                       copying("<from>'later'</from>", "<to>$request.body/t:customer</to>") +
                       copying("<from>'8'</from>", "<to>$second.body/t:amount</to>"));
  World world(pieces);
  world.set("request", kOrder, "body");
  EXPECT_EQ(run(world), "");
  const auto order = [](const std::string& customer, const std::string& amount) {
    return "<t:order xmlns:t='urn:test:shop' kind='big'><t:customer>" + customer + "</t:customer><t:amount>" + amount +
           "</t:amount></t:order>";
  };
  expect_xml(world.get("request", "body"), order("later", "7"));
  expect_xml(world.get("second", "body"), order("first", "8"));
}

TEST(Assign, ContainedAndContainingNodes) {
  World world(assign(copying("<from>$order/t:customer</from>", "<to>$order</to>")));
  world.set("order", "<t:order xmlns:t='urn:test:shop'><t:customer k='1'><a/></t:customer></t:order>");
  EXPECT_EQ(run(world), "");
  expect_xml(world.get("order"), "<t:order xmlns:t='urn:test:shop' k='1'><a/></t:order>");
  World inward(assign(copying("<from>$order</from>", "<to>$order/t:customer</to>")));
  inward.set("order", "<t:order xmlns:t='urn:test:shop' k='1'><t:customer/></t:order>");
  EXPECT_EQ(run(inward), "");
  expect_xml(inward.get("order"),
             "<t:order xmlns:t='urn:test:shop' k='1'><t:customer k='1'><t:customer/></t:customer></t:order>");
}

// §8.4.2: a document element that keeps its name must stand for the declared one.
TEST(Assign, AKeptNameMustBeInTheSubstitutionGroup) {
  const auto keep = [](const std::string& source, const std::string& to) {
    World world(assign(copying("<from>$record/*</from>", to, "keepSrcElementName='yes'")));
    world.set("record", "<value xmlns:t='urn:test:shop'>" + source + "</value>");
    world.set("order", kOrder);
    world.set("request", kOrder, "body");
    const auto fault = run(world);
    return fault.empty() ? world.get("order") + world.get("request", "body") : fault;
  };
  const std::string big = "<t:bigOrder><t:customer>b</t:customer></t:bigOrder>";
  for (const char* to : {"<to variable='order'/>", "<to>$order</to>", "<to variable='request' part='body'/>",
                         "<to variable='order'><query>.</query></to>"}) {
    EXPECT_THAT(keep(big, to), ::testing::HasSubstr("<t:bigOrder")) << to;
    EXPECT_EQ(keep("<t:receipt/>", to), "mismatchedAssignmentFailure") << to;
    EXPECT_EQ(keep("<other/>", to), "mismatchedAssignmentFailure") << to;
  }
  EXPECT_THAT(keep("<other/>", "<to>$order/t:amount</to>"), ::testing::HasSubstr("<other"));
}

TEST(Assign, AValueByTypeHasNoNameToReplace) {
  World world(assign(copying("<from>$order</from>", "<to variable='record'/>", "keepSrcElementName='yes'") +
                     copying("<from>$record</from>", "<to>$order/t:customer</to>")));
  world.set("order", kOrder);
  EXPECT_EQ(run(world), "");
  EXPECT_THAT(world.get("record"), ::testing::StartsWith("<value"));
  EXPECT_THAT(world.get("order"), ::testing::HasSubstr("<t:customer kind=\"big\"><t:customer>anna"));
}

TEST(Assign, NilHasNoContent) {
  const std::string nil =
      "<t:order xmlns:t='urn:test:shop' xmlns:xsi='http://www.w3.org/2001/XMLSchema-instance' kind='k'><t:customer "
      "xsi:nil='true'/></t:order>";
  for (const auto& [to, fault] :
       std::vector<std::pair<std::string, std::string>>{{"<to>$order/@kind</to>", "selectionFailure"},
                                                        {"<to variable='id'/>", "selectionFailure"},
                                                        {"<to>$id</to>", "selectionFailure"},
                                                        {"<to>$order/t:customer</to>", ""}}) {
    World world(assign(copying("<from>$order/t:customer</from>", to)));
    world.set("order", nil);
    world.set_text("id", "before");
    EXPECT_EQ(run(world), fault) << to;
  }
}

TEST(Assign, PropertiesAreNodes) {
  test::Pieces pieces;
  pieces.body = assign(copying("<from variable='order' property='t:inner'/>", "<to variable='second'/>") +
                       copying("<from>count(bpel:getVariableProperty('order', 't:inner')/*)</from>", "<to>$n</to>"));
  pieces.variables = "<variable name='second' element='t:order'/>";
  pieces.imports +=
      "<import namespace='urn:test:shop' location='more.wsdl' importType='http://schemas.xmlsoap.org/wsdl/'/>";
  World world(
      pieces,
      {{"more.wsdl",
        "<wsdl:definitions xmlns:wsdl='http://schemas.xmlsoap.org/wsdl/' targetNamespace='urn:test:shop' "
        "xmlns:t='urn:test:shop' xmlns:v='http://docs.oasis-open.org/wsbpel/2.0/varprop'><v:property name='inner' "
        "element='t:order'/><v:propertyAlias propertyName='t:inner' element='t:order'><v:query>t:order</v:query>"
        "</v:propertyAlias></wsdl:definitions>"}});
  world.set("order", "<t:order xmlns:t='urn:test:shop'>" + kOrder + "</t:order>");
  EXPECT_EQ(run(world), "");
  expect_xml(world.get("second"), kOrder);
  expect_xml(world.get("n"), "<value>2</value>");
}

TEST(Assign, AMissingPropertyCanBeIgnored) {
  for (const auto& [attribute, fault] : std::vector<std::pair<std::string, std::string>>{
           {"", "selectionFailure"}, {"ignoreMissingFromData='yes'", ""}}) {
    World world(assign(copying("<from variable='order' property='t:customer'/>", "<to variable='id'/>", attribute)));
    world.set("order", "<t:order xmlns:t='urn:test:shop'/>");
    world.set_text("id", "before");
    EXPECT_EQ(run(world), fault);
    EXPECT_EQ(text_of(world.context.values[world.ref("id")]), "before");
  }
  World two(assign(
      copying("<from variable='order' property='t:customer'/>", "<to variable='id'/>", "ignoreMissingFromData='yes'")));
  two.set("order", "<t:order xmlns:t='urn:test:shop'><t:customer/><t:customer/></t:order>");
  EXPECT_EQ(run(two), "selectionFailure");
}

TEST(Assign, SimpleTypesAreXPathValues) {
  World world(assign(copying("<from>$n + 1</from>", "<to>$n</to>") +
                     copying("<from>not($flag)</from>", "<to>$flag</to>") +
                     copying("<from>concat($n, ':', $flag, ':', $pair.b + 1)</from>", "<to>$id</to>") +
                     copying("<from>$n = 8 and $flag</from>", "<to>$order/@kind</to>")));
  world.set_text("n", "7");
  world.set_text("flag", "0");
  world.set("pair", "<b>4</b>", "b");
  world.set("order", kOrder);
  EXPECT_EQ(run(world), "");
  EXPECT_EQ(text_of(world.context.values[world.ref("id")]), "8:true:5");
  EXPECT_THAT(world.get("order"), ::testing::HasSubstr("kind=\"true\""));
}

// §8.4.2: a whole variable or part that has no value yet is made first; inside of one there is nothing to select.
TEST(Assign, DestinationsWithoutValueAreMade) {
  World world(assign(copying("<from>'a'</from>", "<to variable='pair' part='a'/>") +
                     copying("<from>'1'</from>", "<to>$pair.b</to>") +
                     copying("<from>'text'</from>", "<to variable='order'/>") +
                     copying("<from>'text'</from>", "<to variable='record'/>")));
  EXPECT_EQ(run(world), "");
  expect_xml(world.get("pair", "a"), "<t:name xmlns:t='urn:test:shop'>a</t:name>");
  expect_xml(world.get("pair", "b"), "<b>1</b>");
  expect_xml(world.get("order"), "<t:order xmlns:t='urn:test:shop'>text</t:order>");
  expect_xml(world.get("record"), "<value>text</value>");
}

TEST(Assign, ElementsAreNotNestedDeeperThanCanBeRead) {
  World world(assign(copying("<from>$order</from>", "<to>$order//t:customer[not(*)]</to>")));
  std::string text = "<t:customer/>";
  for (int i = 0; i < 150; ++i) text = "<t:customer>" + text + "</t:customer>";
  world.set("order", "<t:order xmlns:t='urn:test:shop'>" + text + "</t:order>");
  EXPECT_EQ(run(world), "subLanguageExecutionFault");
}

TEST(Assign, EndpointReferencesOfSeveralForms) {
  const std::string old =
      "<a:EndpointReference xmlns:a='http://schemas.xmlsoap.org/ws/2004/08/addressing'><a:Address>http://h/</a:Address>"
      "</a:EndpointReference>";
  World world(assign(copying("<from>$record</from>", "<to partnerLink='partner'/>")));
  world.set("record", "<value>" + old + "</value>");
  EXPECT_EQ(run(world), "");
  const PartnerLinkRef partner{0, 1};
  expect_xml(world.context.endpoints[{partner, false}]->to_string(), old);
  World plain(assign(copying("<from>$record/*</from>", "<to partnerLink='partner'/>")));
  plain.set("record", "<value>" + old + "</value>");
  EXPECT_EQ(run(plain), "");
  World element(assign(copying("<from>$order</from>", "<to partnerLink='partner'/>")));
  element.set("order", kOrder);
  EXPECT_EQ(run(element), "mismatchedAssignmentFailure");
}

TEST(Assign, ExtensionOperationsThatNobodyMustUnderstandAreLeftOut) {
  World world(
      "<assign><extensionAssignOperation><x:move xmlns:x='urn:x'><bpel:copy/></x:move></extensionAssignOperation>"
      "<copy><from>'a'</from><to>$id</to></copy></assign>");
  EXPECT_EQ(run(world), "");
  EXPECT_EQ(text_of(world.context.values[world.ref("id")]), "a");
}

TEST(Assign, PartnerLinks) {
  const std::string reference =
      "<a:EndpointReference "
      "xmlns:a='http://www.w3.org/2005/08/addressing'><a:Address>http://h/</a:Address></a:EndpointReference>";
  const auto service_ref = [](const std::string& attributes, const std::string& inside) {
    return copying("<from><literal><s:service-ref xmlns:s='http://docs.oasis-open.org/wsbpel/2.0/serviceref' " +
                       attributes + ">" + inside + "</s:service-ref></literal></from>",
                   "<to partnerLink='partner'/>");
  };
  World world(assign(service_ref("", reference)));
  EXPECT_EQ(run(world), "");
  const PartnerLinkRef partner{0, 1};
  ASSERT_NE((world.context.endpoints[{partner, false}]), nullptr);
  expect_xml(world.context.endpoints[{partner, false}]->to_string(), reference);
  World unknown(assign(service_ref("reference-scheme='urn:x'", reference)));
  EXPECT_EQ(run(unknown), "unsupportedReference");
  World other(assign(service_ref("", "<other/>")));
  EXPECT_EQ(run(other), "unsupportedReference");
  World text(assign(copying("<from>'a'</from>", "<to partnerLink='partner'/>")));
  EXPECT_EQ(run(text), "mismatchedAssignmentFailure");
  World unset(
      assign(copying("<from partnerLink='partner' endpointReference='partnerRole'/>", "<to variable='order'/>")));
  EXPECT_EQ(run(unset), "uninitializedPartnerRole");
  World mine(assign(copying("<from partnerLink='client' endpointReference='myRole'/>", "<to partnerLink='partner'/>")));
  mine.context.endpoints[{PartnerLinkRef{0, 0}, true}] = test::document(reference);
  EXPECT_EQ(run(mine), "");
  expect_xml(mine.context.endpoints[{partner, false}]->to_string(), reference);
}

TEST(Assign, InitialValues) {
  test::Pieces pieces;
  pieces.variables =
      "<variable name='limit' type='xsd:int'><from>2 + 2</from></variable>"
      "<variable name='first' element='t:order'><from><literal><t:order/></literal></from></variable>"
      "<variable name='again' messageType='t:order'><from variable='request'/></variable>";
  World world(pieces);
  const auto value = [&](const std::string& name) {
    return initial_value(world.definition().variable(world.ref(name)), world.context);
  };
  EXPECT_EQ(text_of(*value("limit")), "4");
  expect_xml(value("first")->part()->to_string(), "<t:order xmlns:t='urn:test:shop'/>");
  EXPECT_EQ(value("again").error().name.local, faults::kUninitializedVariable);
  world.set("request", kOrder, "body");
  EXPECT_EQ(value("again")->part("body")->to_string(), kOrder);
}

}  // namespace
}  // namespace nuraghe::bpel
