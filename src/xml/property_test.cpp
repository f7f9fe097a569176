// Properties over random trees, random changes and random bytes.
#include <gtest/gtest.h>
#include <rapidcheck.h>

#include "xml/schema.hpp"
#include "xml/xml.hpp"
#include "xml/xpath.hpp"

namespace nuraghe::xml {
namespace {

const std::vector<std::string> kUris = {"", "urn:a", "urn:b", "urn:c"};
const std::vector<std::string> kNames = {"a", "b", "é", "long-name.1"};

rc::Gen<std::string> any_text() {
  return rc::gen::oneOf(
      rc::gen::element<std::string>("", " ", "\n", "x", "<&>'\"", "\r\n\t", "é\xF0\x9F\x98\x80", "]]>", "p:q", "ns1:x"),
      rc::gen::container<std::string>(rc::gen::inRange<char>(1, 127)));
}
std::string any_uri() { return *rc::gen::elementOf(kUris); }
std::string any_name() { return *rc::gen::elementOf(kNames); }

std::vector<Node> elements(const Document& document) {
  std::vector<Node> all = {document.root()};
  for (std::size_t i = 0; i < all.size(); ++i)
    for (const Node child : all[i].children()) all.push_back(child);
  return all;
}
Node any_element(const Document& document) { return *rc::gen::elementOf(elements(document)); }

// One random change; `other` is the source of copies.
void change(Document& document, const Document& other) {
  Node node = any_element(document);
  const bool is_root = node == document.root();
  switch (*rc::gen::inRange(0, 14)) {
    case 0:
    case 1:
    case 2:
      node.append_element(any_uri(), any_name());
      break;
    case 3:
      node.append_text_element(any_uri(), any_name(), *any_text());
      break;
    case 4:
      node.append_text(*any_text());
      break;
    case 5:
      node.set_attribute(any_name(), *any_text(), any_uri());
      break;
    case 6:
      node.rename({any_uri(), any_name()});
      break;
    case 7:
      node.append_copy(any_element(other));
      break;
    case 8:
      node.assign_content_from(any_element(other));
      break;
    case 9:
      node.assign_content_from(any_element(document));
      break;
    case 10:
      node.replace_with_copy(any_element(other));
      break;
    case 11:
      if (!is_root) node.insert_copy_before(any_element(other));
      break;
    case 12:
      if (!is_root) node.remove();
      break;
    default:
      node.set_text(*any_text());
      break;
  }
}

Document any_document(int changes) {
  Document document = Document::create({any_uri(), any_name()});
  const Document seed = std::move(*Document::parse(
      "<p:x xmlns:p='urn:a' xmlns='urn:b' p:k='1'><y/><z xmlns='' xmlns:p='urn:c'><p:w p:k='p:v'/></z></p:x>"));
  for (int i = 0; i < changes; ++i) change(document, seed);
  return document;
}

bool small(const Document& document) { return elements(document).size() < 2000; }

TEST(XmlProperty, EveryChangeLeavesATreeThatSurvivesWriting) {
  EXPECT_TRUE(rc::check([] {
    Document a = any_document(*rc::gen::inRange(0, 12));
    const Document b = any_document(*rc::gen::inRange(0, 6));
    for (int i = *rc::gen::inRange(0, 5); i > 0 && small(a); --i) change(a, b);
    const std::string text = a.to_string();
    const auto back = Document::parse(text);
    RC_ASSERT(back.has_value());
    RC_ASSERT(equivalent(a.root(), back->root()));
    RC_ASSERT(back->to_string() == text);
    RC_ASSERT(back->root().text() == a.root().text());
  }));
}

TEST(XmlProperty, CopiesMeanTheSame) {
  EXPECT_TRUE(rc::check([] {
    const Document from = any_document(*rc::gen::inRange(0, 12));
    Document to = any_document(*rc::gen::inRange(0, 12));
    const Node picked = any_element(from);
    Node place = any_element(to);
    const Document before = to.clone();
    const Node copy = place.append_copy(picked);
    RC_ASSERT(equivalent(copy, picked));
    RC_ASSERT(equivalent(Document::parse(picked.to_string())->root(), picked));
    RC_ASSERT(equivalent(Document::copy_of(picked).root(), picked));
    Node(copy).remove();
    RC_ASSERT(equivalent(to.root(), before.root()));
  }));
}

TEST(XmlProperty, NothingThatIsReadCrashes) {
  const Schema schema = std::move(*Schema::compile(
      "s",
      {{"s",
        "<schema xmlns='http://www.w3.org/2001/XMLSchema' targetNamespace='urn:a'><element name='a'/></schema>"}}));
  EXPECT_TRUE(rc::check([&] {
    std::string text = any_document(*rc::gen::inRange(0, 8)).to_string();
    for (int i = *rc::gen::inRange(0, 6); i > 0; --i) {
      const auto at = *rc::gen::inRange<std::size_t>(0, text.size() + 1);
      const auto piece = *rc::gen::oneOf(
          rc::gen::element<std::string>("<", ">", "\"", "<a", "</", "<!DOCTYPE a [", "<![CDATA[", "]]>", "&lt;", "&#0;",
                                        "xmlns='", "<?xml version='1.0' encoding='UTF-16'?>", "\xFF\xFE", "é"),
          rc::gen::container<std::string>(rc::gen::arbitrary<char>()));
      if (*rc::gen::arbitrary<bool>())
        text.insert(std::min(at, text.size()), piece);
      else
        text.erase(std::min(at, text.size()), piece.size());
    }
    const auto document = Document::parse(text);
    if (!document) {
      RC_ASSERT(!document.error().message().empty());
      return;
    }
    RC_ASSERT(Document::parse(document->to_string()).has_value());
    static_cast<void>(schema.validate(*document));
  }));
}

TEST(XmlProperty, NoExpressionCrashes) {
  const Document document = std::move(*Document::parse("<a k='1'><b>x</b><b>2</b></a>"));
  EXPECT_TRUE(rc::check([&] {
    std::string text;
    for (int i = *rc::gen::inRange(1, 12); i > 0; --i)
      text += *rc::gen::element<std::string>(
          "a", "b", "/", "//", "[", "]", "(", ")", "$v", "@k", "1", "+", "-", "*", "|", "count(", "string(", "f(",
          "p:f(", "'x'", "..", ".", "::", "child::", "namespace::*", " and ", ",", "last()", "position()", "id('a')");
    const auto xpath = XPath::compile(text, {{"p", "urn:p"}});
    if (!xpath) return;
    XPathContext context;
    context.node = document.root();
    context.max_operations = 100'000;
    context.variable = [&](const QName&) -> Result<XPathValue> { return NodeSet{document.root()}; };
    context.function = [&](const QName& name, const std::vector<XPathValue>& arguments) -> Result<XPathValue> {
      if (name.ns.empty()) return not_found("no such function");
      return arguments.empty() ? XPathValue(1.0) : arguments[0];
    };
    const auto value = xpath->evaluate(context);
    if (value) RC_ASSERT(to_string(*value).size() < 1000U);
  }));
}

}  // namespace
}  // namespace nuraghe::xml
