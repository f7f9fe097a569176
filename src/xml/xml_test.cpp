#include "xml/xml.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <fstream>
#include <thread>

namespace nuraghe::xml {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::Pair;
using ::testing::StartsWith;
using ::testing::UnorderedElementsAre;

Document parsed(std::string_view text) {
  auto document = Document::parse(text);
  EXPECT_TRUE(document) << (document ? "" : document.error().to_string());
  return std::move(*document);
}

Error refused(std::string_view text, ParseOptions options = {}) {
  const auto document = Document::parse(text, options);
  EXPECT_FALSE(document) << text.substr(0, 200);
  return document ? internal("accepted") : document.error();
}

// What a tree means must survive being written and read.
void expect_survives(const Document& document) {
  const std::string text = document.to_string();
  const auto back = Document::parse(text);
  ASSERT_TRUE(back) << text << back.error().to_string();
  EXPECT_TRUE(equivalent(document.root(), back->root())) << text;
}

TEST(Parse, ElementsAttributesAndText) {
  const Document d = parsed("<a:x xmlns:a='urn:a' n='1' a:m='2'>t<b/>u<![CDATA[<&>]]>&lt;&#65;</a:x>");
  const Node root = d.root();
  EXPECT_EQ(root.name(), (QName{"urn:a", "x"}));
  EXPECT_EQ(root.attribute("n"), "1");
  EXPECT_EQ(root.attribute("m", "urn:a"), "2");
  EXPECT_EQ(root.attribute("m"), std::nullopt);
  EXPECT_EQ(root.attribute_or("absent", "f"), "f");
  EXPECT_EQ(root.text(), "tu<&><A");
  EXPECT_TRUE(root.first_child().is("", "b"));
  EXPECT_FALSE(root.first_child().next_sibling());
  EXPECT_FALSE(root.parent());
  EXPECT_EQ(root.first_child().parent(), root);
  EXPECT_EQ(root.attributes().size(), 2U);
}

TEST(Parse, PositionsAreThoseOfTheStartTag) {
  const Document d = parsed("<?xml version='1.0'?>\n<r>\n  <é/><a\n  b='>'\n/>\n\t<c>x</c></r>");
  const auto at = [&](std::string_view name) {
    const Position p = d.root().child("", name).position();
    return std::pair(p.line, p.column);
  };
  EXPECT_THAT(std::pair(d.root().position().line, d.root().position().column), Pair(2, 1));
  EXPECT_THAT(at("é"), Pair(3, 3));
  EXPECT_THAT(at("a"), Pair(3, 7));
  EXPECT_THAT(at("c"), Pair(6, 2));
}

TEST(Parse, PositionsFarDownALongTextAreExact) {
  std::string text = "<r>\n";
  for (int i = 0; i < 100000; ++i) text += " <e n='" + std::to_string(i) + "'>some text</e>\n";
  text += "   <last/></r>";
  const Document d = parsed(text);
  const Position p = d.root().child("", "last").position();
  EXPECT_EQ(p.line, 100002);
  EXPECT_EQ(p.column, 4);
  EXPECT_EQ(d.root().first_child().next_sibling().position().line, 3);
}

TEST(Parse, AByteOrderMarkDoesNotCount) {
  const Document d = parsed("\xEF\xBB\xBF<r><c/></r>");
  EXPECT_EQ(d.root().position().column, 1);
  EXPECT_EQ(d.root().first_child().position().column, 4);
}

TEST(Parse, OtherEncodingsBecomeUtf8) {
  const Document d = parsed("<?xml version='1.0' encoding='ISO-8859-1'?><r>\xE9</r>");
  EXPECT_EQ(d.root().text(), "é");
  EXPECT_EQ(d.to_string(), "<r>é</r>");
}

TEST(Parse, ErrorsSayWhere) {
  ParseOptions options;
  options.source = "a.xml";
  EXPECT_THAT(refused("<a>\n  <b></c>\n</a>", options).message(), StartsWith("a.xml:2:"));
  EXPECT_THAT(refused("<a><p:b/></a>", options).message(), HasSubstr("a.xml:1:"));
  EXPECT_THAT(refused("<a><p:b/></a>", options).message(), HasSubstr("p"));
  EXPECT_EQ(refused("", options).code(), ErrorCode::kInvalid);
  for (const char* text : {"<a", "a", "<a/><b/>", "<a b='1' b='2'/>", "<a>&undefined;</a>", "<a>\x01</a>",
                           "<a>\xff</a>", "<a b=1/>", "<a/>x", " ", "<!DOCTYPE a>"})
    EXPECT_EQ(refused(text).code(), ErrorCode::kInvalid) << text;
}

TEST(Parse, RefusesWhatADtdCanDo) {
  EXPECT_THAT(refused("<!DOCTYPE a [<!ENTITY b 'x'>]><a>&b;</a>").message(), HasSubstr("entities are not accepted"));
  EXPECT_THAT(refused("<!DOCTYPE a [<!ENTITY % b 'x'>]><a/>").message(), HasSubstr("entities are not accepted"));
  EXPECT_THAT(refused("<!DOCTYPE a [<!ENTITY b SYSTEM 'file:///etc/passwd'>]><a>&b;</a>").message(),
              HasSubstr("entities are not accepted"));
  EXPECT_THAT(refused("<!DOCTYPE a [<!NOTATION n SYSTEM 'n'><!ENTITY b SYSTEM 'x' NDATA n>]><a/>").message(),
              HasSubstr("entities are not accepted"));
  EXPECT_THAT(refused("<!DOCTYPE a [<!ATTLIST a b CDATA 'x'>]><a/>").message(), HasSubstr("DTD"));
  EXPECT_EQ(refused("<!DOCTYPE a SYSTEM 'file:///etc/passwd'><a>&b;</a>").code(), ErrorCode::kInvalid);
  // A mere document type says nothing and goes.
  EXPECT_EQ(parsed("<!DOCTYPE a SYSTEM 'http://localhost:1/a.dtd'><a/>").to_string(), "<a/>");
}

TEST(Parse, Limits) {
  const auto nested = [](int depth) {
    std::string text;
    for (int i = 0; i < depth; ++i) text += "<a>";
    for (int i = 0; i < depth; ++i) text += "</a>";
    return text;
  };
  EXPECT_TRUE(Document::parse(nested(256)));
  EXPECT_THAT(refused(nested(257)).message(), HasSubstr("more than 256 deep"));
  EXPECT_THAT(refused(nested(100000)).message(), StartsWith("input:1:769:"));
  ParseOptions small;
  small.max_size = {10};
  EXPECT_EQ(refused("<aaaaaaaaa/>", small).code(), ErrorCode::kExhausted);
  ParseOptions few;
  few.max_elements = 3;
  EXPECT_TRUE(Document::parse("<r><a/><a/></r>", few));
  EXPECT_THAT(refused("<r><a/><a/><a/></r>", few).message(), HasSubstr("too many elements"));
  std::string crowded = "<r>\n<a";
  for (int i = 0; i < 1001; ++i) crowded += " a" + std::to_string(i) + "='>'";
  EXPECT_THAT(refused(crowded + "/></r>").message(), StartsWith("input:2:1: more than 1000 attributes"));
  parsed("<r><![CDATA[" + crowded + "]]><!--" + crowded + "--></r>");
}

TEST(Parse, Files) {
  const std::string path = ::testing::TempDir() + "/xml_test_file.xml";
  std::ofstream(path) << "<a>\n<b></a>";
  const auto broken = Document::parse_file(path);
  ASSERT_FALSE(broken);
  EXPECT_THAT(broken.error().message(), StartsWith(path + ":2:"));
  EXPECT_EQ(Document::parse_file(path + ".absent").error().code(), ErrorCode::kNotFound);
}

TEST(Parse, WhitespaceIsKeptUnlessAskedOtherwise) {
  constexpr std::string_view kText = "<a>\n <b> </b>\n</a>";
  EXPECT_EQ(parsed(kText).to_string(), kText);
  ParseOptions options;
  options.keep_whitespace = false;
  EXPECT_EQ(Document::parse(kText, options)->to_string(), "<a><b> </b></a>");
}

TEST(Read, Namespaces) {
  const Document d = parsed("<a xmlns='urn:d' xmlns:p='urn:p'><b xmlns:p='urn:q' xmlns=''><c/></b></a>");
  const Node c = d.root().first_child().first_child();
  EXPECT_EQ(c.namespace_uri(), "");
  EXPECT_EQ(c.namespace_of_prefix("p"), "urn:q");
  EXPECT_EQ(c.namespace_of_prefix(""), "");
  EXPECT_EQ(c.namespace_of_prefix("z"), std::nullopt);
  EXPECT_EQ(c.namespace_of_prefix("xml"), "http://www.w3.org/XML/1998/namespace");
  EXPECT_THAT(c.namespaces_in_scope(), ElementsAre(Pair("p", "urn:q")));
  EXPECT_THAT(d.root().namespaces_in_scope(), UnorderedElementsAre(Pair("", "urn:d"), Pair("p", "urn:p")));
  EXPECT_EQ(*d.root().resolve_qname(" p:x "), (QName{"urn:p", "x"}));
  EXPECT_EQ(*d.root().resolve_qname("x"), (QName{"urn:d", "x"}));
  EXPECT_EQ(*d.root().resolve_qname("x", false), (QName{"", "x"}));
  for (const char* text : {"", "z:x", ":x", "p:", "p:x:y"}) EXPECT_FALSE(d.root().resolve_qname(text)) << text;
}

TEST(Write, FragmentsStandAlone) {
  const Document d = parsed("<a xmlns='urn:d' xmlns:p='urn:p' xmlns:q='urn:q'><b t='q:name'><p:c/></b></a>");
  const std::string text = d.root().first_child().to_string();
  const Document back = parsed(text);
  EXPECT_TRUE(equivalent(back.root(), d.root().first_child())) << text;
  EXPECT_EQ(back.root().namespace_of_prefix("q"), "urn:q") << text;  // mentioned in an attribute's value
  EXPECT_EQ(d.root().first_child().first_child().to_string(), "<p:c xmlns:p=\"urn:p\"/>");
}

TEST(Write, TextSurvivesExactly) {
  Document d = Document::create({"", "a"});
  const std::string text = " a\r\n\tb <&> \"' é \xF0\x9F\x98\x80 ";
  d.root().set_text(text);
  d.root().set_attribute("x", text);
  const Document back = parsed(d.to_string());
  EXPECT_EQ(back.root().text(), text);
  EXPECT_EQ(back.root().attribute("x"), text);
}

TEST(Write, WhatXmlCannotHoldIsReplaced) {
  Document d = Document::create({"", "a"});
  d.root().set_text(std::string_view("\x01\0 \xFF \xED\xA0\x80 \xEF\xBF\xBE \xC0\x80 \xC3", 17));
  expect_survives(d);
  EXPECT_THAT(d.root().text(), StartsWith("\xEF\xBF\xBD\xEF\xBF\xBD "));
  EXPECT_EQ(escape_text("a<b>&\x02\""), "a&lt;b&gt;&amp;\xEF\xBF\xBD&quot;");
}

TEST(Change, AppendDeclaresWhatItNeeds) {
  Document d = Document::create({"urn:a", "a"}, "p");
  Node b = d.root().append_element("urn:a", "b");
  Node c = b.append_element("urn:c", "c");
  c.append_element("", "none").append_element("urn:c", "back");
  c.append_text_element("urn:c", "text", "<x>");
  c.set_attribute("k", "v", "urn:c");
  c.set_attribute("k", "w");
  EXPECT_EQ(d.to_string(),
            "<p:a xmlns:p=\"urn:a\"><p:b><c xmlns=\"urn:c\" xmlns:ns1=\"urn:c\" ns1:k=\"v\" k=\"w\">"
            "<none xmlns=\"\"><back xmlns=\"urn:c\"/></none><text>&lt;x&gt;</text></c></p:b></p:a>");
  expect_survives(d);
}

TEST(Change, CopiesBringTheirNamespaces) {
  const Document from =
      parsed("<r xmlns='urn:1' xmlns:p='urn:p' xmlns:t='urn:t'><x><p:y p:k='1'>t:q</p:y><z xmlns=''/></x></r>");
  Document to = parsed("<p:s xmlns:p='urn:other' xmlns='urn:default'/>");
  const Node copy = to.root().append_copy(from.root().first_child());
  EXPECT_TRUE(equivalent(copy, from.root().first_child())) << to.to_string();
  EXPECT_EQ(copy.first_child().namespace_of_prefix("t"), "urn:t");
  expect_survives(to);

  Document plain = parsed("<s xmlns='urn:default'><t/></s>");
  const Document none = parsed("<n><m/></n>");
  const Node inserted = plain.root().first_child().insert_copy_before(none.root());
  EXPECT_TRUE(equivalent(inserted, none.root()));
  const Node replaced = plain.root().child("urn:default", "t").replace_with_copy(from.root().first_child());
  EXPECT_TRUE(equivalent(replaced, from.root().first_child()));
  expect_survives(plain);
}

TEST(Change, ACopyNeedsNoDeclarationThatIsThereAlready) {
  Document d = parsed("<a xmlns='urn:a' xmlns:p='urn:p'><p:b><c/></p:b></a>");
  d.root().append_copy(d.root().first_child());
  EXPECT_EQ(d.to_string(), "<a xmlns=\"urn:a\" xmlns:p=\"urn:p\"><p:b><c/></p:b><p:b><c/></p:b></a>");
}

TEST(Change, AssignContentFrom) {
  const Document from = parsed("<p:x xmlns:p='urn:2' k='1' p:l='2'>t<p:y/></p:x>");
  Document to = parsed("<p:s xmlns:p='urn:1'><p:t old='1'><p:u/></p:t></p:s>");
  to.root().first_child().assign_content_from(from.root());
  const Node t = to.root().first_child();
  EXPECT_EQ(t.name(), (QName{"urn:1", "t"}));
  EXPECT_EQ(t.attribute("old"), std::nullopt);
  EXPECT_EQ(t.attribute("l", "urn:2"), "2");
  EXPECT_TRUE(t.first_child().is("urn:2", "y"));
  EXPECT_EQ(t.text(), "t");
  expect_survives(to);

  // Both roots declare the same prefix with another meaning.
  Document clash = parsed("<p:s xmlns:p='urn:1' xmlns='urn:d'><q/></p:s>");
  const Document other = parsed("<p:x xmlns:p='urn:2' xmlns='urn:e'><q p:a='1'><p:r/></q></p:x>");
  clash.root().assign_content_from(other.root());
  EXPECT_EQ(clash.root().name(), (QName{"urn:1", "s"}));
  EXPECT_TRUE(equivalent(clash.root().first_child(), other.root().first_child())) << clash.to_string();
  expect_survives(clash);

  // From a part of itself.
  Document self = parsed("<a><b k='1'><c/></b></a>");
  self.root().assign_content_from(self.root().first_child());
  EXPECT_EQ(self.to_string(), "<a k=\"1\"><c/></a>");
}

TEST(Change, RenameKeepsTheChildrensNames) {
  Document d = parsed("<a xmlns='urn:a' xmlns:p='urn:p'><b p:k='1'><c/></b></a>");
  d.root().first_child().rename({"", "n"});
  EXPECT_TRUE(d.root().first_child().is("", "n"));
  EXPECT_TRUE(d.root().first_child().first_child().is("urn:a", "c"));
  expect_survives(d);
  d.root().rename({"urn:new", "r"});
  EXPECT_TRUE(d.root().first_child().first_child().is("urn:a", "c"));
  expect_survives(d);
  d.root().rename({"", "r"});
  expect_survives(d);
}

TEST(Change, DeclaringAPrefixChangesNoName) {
  Document d = parsed("<p:a xmlns:p='urn:1'><p:b p:k='v'/></p:a>");
  Node b = d.root().first_child();
  b.declare_namespace("p", "urn:2");
  b.declare_namespace("q", "urn:3");
  EXPECT_EQ(b.namespace_of_prefix("p"), "urn:2");
  EXPECT_TRUE(b.is("urn:1", "b"));
  EXPECT_EQ(b.attribute("k", "urn:1"), "v");
  expect_survives(d);
}

TEST(Change, ClearRemoveAndText) {
  Document d = parsed("<a k='1'>x<b/><c/></a>");
  d.root().child("", "b").remove();
  EXPECT_EQ(d.to_string(), "<a k=\"1\">x<c/></a>");
  d.root().clear();
  EXPECT_EQ(d.to_string(), "<a k=\"1\"/>");
  d.root().set_text("t");
  d.root().set_attribute("k", "2");
  d.root().append_text("u");
  EXPECT_EQ(d.to_string(), "<a k=\"2\">tu</a>");
  d.root().remove_attribute("k");
  d.root().remove_attribute("absent");
  d.root().set_attribute("j", "");
  EXPECT_EQ(d.to_string(), "<a j=\"\">tu</a>");
  d.root().clear_all();
  EXPECT_EQ(d.to_string(), "<a/>");
}

TEST(Change, ACloneIsIndependentAndKeepsPositions) {
  ParseOptions options;
  options.source = "f.xml";
  const Document d = std::move(*Document::parse("<a>\n <b/></a>", options));
  Document copy = d.clone();
  EXPECT_EQ(copy.root().first_child().position().line, 2);
  EXPECT_EQ(copy.root().first_child().position().column, 2);
  EXPECT_EQ(copy.source(), "f.xml");
  copy.root().clear();
  EXPECT_TRUE(d.root().first_child());
  EXPECT_EQ(Document::create({"", "x"}).root().position().line, 0);
}

TEST(Equivalent, IgnoresWhatDoesNotMatter) {
  const auto same = [](const char* a, const char* b) { return equivalent(parsed(a).root(), parsed(b).root()); };
  EXPECT_TRUE(same("<a x='1' y='2'/>", "<a y='2' x='1'></a>"));
  EXPECT_TRUE(same("<a>\n <b/> <!-- c --></a>", "<a><b/></a>"));
  EXPECT_TRUE(same("<p:a xmlns:p='u'/>", "<a xmlns='u'/>"));
  EXPECT_TRUE(same("<a>x<!-- c -->y</a>", "<a>xy</a>"));
  EXPECT_FALSE(same("<a> </a>", "<a/>"));
  EXPECT_FALSE(same("<a>x</a>", "<a>y</a>"));
  EXPECT_FALSE(same("<a><b/></a>", "<a><b/><b/></a>"));
  EXPECT_FALSE(same("<a x='1'/>", "<a x='2'/>"));
  EXPECT_FALSE(same("<a/>", "<a xmlns='u'/>"));
  EXPECT_FALSE(same("<a>x<b/></a>", "<a><b/>x</a>"));
}

TEST(Threads, ParseAndReadAtOnce) {
  const DocumentPtr shared = parsed("<a xmlns:p='urn:p'><b k='p:x'>t</b></a>").share();
  std::vector<std::thread> threads;
  for (int i = 0; i < 4; ++i) {
    threads.emplace_back([&] {
      for (int j = 0; j < 500; ++j) {
        EXPECT_EQ(shared->root().first_child().to_string(), "<b xmlns:p=\"urn:p\" k=\"p:x\">t</b>");
        EXPECT_FALSE(Document::parse("<a><b></a>"));
      }
    });
  }
  for (std::thread& thread : threads) thread.join();
}

}  // namespace
}  // namespace nuraghe::xml
