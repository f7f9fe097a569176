#include "xml/xpath.hpp"

#include <fmt/format.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>
#include <thread>

namespace nuraghe::xml {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;

Document parsed(std::string_view text) { return std::move(*Document::parse(text)); }

struct Fixture {
  Document document = parsed("<r xmlns='urn:r'><a k='1'>x</a><a k='2'>y</a><b>3</b></r>");
  std::map<std::string, std::string> namespaces = {{"r", "urn:r"}, {"f", "urn:f"}};
  XPathContext context;

  Fixture() { context.node = document.root(); }
  Result<XPathValue> evaluate(std::string_view text) {
    TRY_ASSIGN(const XPath xpath, XPath::compile(text, namespaces));
    return xpath.evaluate(context);
  }
  std::string string(std::string_view text) {
    const auto value = evaluate(text);
    return value ? to_string(*value) : "error: " + value.error().to_string();
  }
};

TEST(XPath, TheFourTypes) {
  Fixture f;
  EXPECT_EQ(std::get<double>(*f.evaluate("1 + 1")), 2);
  EXPECT_EQ(std::get<bool>(*f.evaluate("r:b > 2")), true);
  EXPECT_EQ(std::get<std::string>(*f.evaluate("concat('a', r:b)")), "a3");
  const auto nodes = std::get<NodeSet>(*f.evaluate("r:a"));
  ASSERT_EQ(nodes.size(), 2U);
  EXPECT_EQ(nodes[1].text(), "y");
}

TEST(XPath, AttributesTextAndDocuments) {
  Fixture f;
  const auto attributes = std::get<NodeSet>(*f.evaluate("r:a/@k"));
  ASSERT_EQ(attributes.size(), 2U);
  EXPECT_EQ(attributes[0].kind(), NodeKind::kAttribute);
  EXPECT_EQ(attributes[0].local_name(), "k");
  EXPECT_EQ(attributes[0].parent(), f.document.root().first_child());
  EXPECT_EQ(std::get<NodeSet>(*f.evaluate("r:a[1]/text()"))[0].kind(), NodeKind::kText);
  EXPECT_EQ(std::get<NodeSet>(*f.evaluate("/"))[0].kind(), NodeKind::kDocument);
  EXPECT_TRUE(std::get<NodeSet>(*f.evaluate("namespace::*")).empty());
  f.context.node = attributes[1];
  EXPECT_EQ(f.string("."), "2");
  EXPECT_EQ(f.string("../r:missing"), "");
}

TEST(XPath, UnionsComeInDocumentOrder) {
  Fixture f;
  const auto nodes = std::get<NodeSet>(*f.evaluate("r:b | r:a[2] | r:a[1]"));
  ASSERT_EQ(nodes.size(), 3U);
  EXPECT_EQ(nodes[0].text() + nodes[1].text() + nodes[2].text(), "xy3");
}

TEST(XPath, VariablesOfEveryType) {
  Fixture f;
  const Document other = parsed("<o><i n='7'><j/></i><i n='8'/></o>");
  f.context.variable = [&](const QName& name) -> Result<XPathValue> {
    if (name == QName{"", "doc.part"}) return NodeSet{other.root()};
    if (name == QName{"urn:r", "n"}) return 5.0;
    if (name.local == "yes") return true;
    if (name.local == "text") return std::string("t");
    return not_found("the variable " + name.to_string() + " has no value");
  };
  EXPECT_EQ(f.string("$doc.part/i[2]/@n"), "8");
  EXPECT_EQ(f.string("count($doc.part//*)"), "3");
  EXPECT_EQ(f.string("count($doc.part/i[/o/i[2]/@n = 8])"), "2");
  EXPECT_EQ(f.string("$doc.part/i[@n = $r:n + 2]/@n"), "7");
  EXPECT_EQ(f.string("$r:n * 2"), "10");
  EXPECT_EQ(f.string("$yes and $text = 't'"), "true");
  EXPECT_EQ(f.string("r:b"), "3");
  const auto missing = f.evaluate("1 + $missing");
  ASSERT_FALSE(missing);
  EXPECT_EQ(missing.error().message(), "the variable missing has no value");
  f.context.variable = nullptr;
  EXPECT_EQ(f.evaluate("$v").error().code(), ErrorCode::kNotFound);
}

TEST(XPath, FunctionsOfTheCaller) {
  Fixture f;
  const Document other = parsed("<o><i/></o>");
  f.context.function = [&](const QName& name, const std::vector<XPathValue>& arguments) -> Result<XPathValue> {
    if (name == QName{"urn:f", "sum"}) return to_number(arguments.at(0)) + to_number(arguments.at(1));
    if (name == QName{"urn:f", "doc"}) return NodeSet{other.root()};
    if (name == QName{"", "own"}) return std::string("own");
    if (name == QName{"urn:f", "nested"}) return Fixture().evaluate("count(r:a)");
    return not_found("no function " + name.to_string());
  };
  EXPECT_EQ(f.string("f:sum(r:b, '4') + 1"), "8");
  EXPECT_EQ(f.string("count(f:doc()/i)"), "1");
  EXPECT_EQ(f.string("own()"), "own");
  EXPECT_EQ(f.string("f:nested() + count(r:b) + f:nested()"), "5");
  EXPECT_EQ(f.evaluate("f:other(1)").error().message(), "no function {urn:f}other");
  f.context.function = nullptr;
  EXPECT_EQ(f.evaluate("other(1)").error().code(), ErrorCode::kNotFound);
}

TEST(XPath, MistakesAreFoundWhenCompiling) {
  const std::map<std::string, std::string> none;
  for (const char* text : {"", " ", "1 +", "a[", "'x", "$", "a b", "..a", "f(", "@@a"})
    EXPECT_EQ(XPath::compile(text, none).error().code(), ErrorCode::kInvalid) << text;
  EXPECT_THAT(XPath::compile("p:a", none).error().message(), HasSubstr("'p'"));
  EXPECT_THAT(XPath::compile("$p:a", none).error().message(), HasSubstr("'p'"));
  EXPECT_THAT(XPath::compile("p:f(1)", none).error().message(), HasSubstr("'p'"));
  EXPECT_TRUE(XPath::compile("'p:a' = \"q:b\"", none));
  EXPECT_TRUE(XPath::compile("child::a/self::node()", none));
  EXPECT_TRUE(XPath::compile("@xml:lang", none));
}

TEST(XPath, WrongCallsAreErrors) {
  Fixture f;
  EXPECT_EQ(f.evaluate("count('a')").error().code(), ErrorCode::kInvalid);
  EXPECT_EQ(f.evaluate("concat('a')").error().code(), ErrorCode::kInvalid);
  EXPECT_EQ(f.evaluate("string(1, 2)").error().code(), ErrorCode::kInvalid);
  EXPECT_EQ(f.evaluate("'a'/b").error().code(), ErrorCode::kInvalid);
  EXPECT_EQ(f.string("1 + 1"), "2");  // the context of the thread is whole again
}

TEST(XPath, NamesMentioned) {
  const XPath xpath =
      std::move(*XPath::compile("$a + $p:b.c[$a] + f:g($d, 'f:no()') * f:h () + p:e", {{"p", "u"}, {"f", "v"}}));
  EXPECT_THAT(xpath.variables(), ElementsAre("a", "p:b.c", "d"));
  EXPECT_THAT(xpath.prefixed_functions(), ElementsAre("f:g", "f:h"));
}

TEST(XPath, CompilesInTheScopeOfAnElement) {
  const Document d = parsed("<a xmlns:q='urn:r'><b/></a>");
  Fixture f;
  const auto xpath = XPath::compile("q:b", d.root().first_child());
  ASSERT_TRUE(xpath);
  EXPECT_EQ(to_string(*xpath->evaluate(f.context)), "3");
}

TEST(XPath, NumbersAreWrittenAsTheStandardSays) {
  Fixture f;
  EXPECT_EQ(to_string(3.0), "3");
  EXPECT_EQ(to_string(-0.0), "0");
  EXPECT_EQ(to_string(0.1), "0.1");
  EXPECT_EQ(to_string(1e21), "1000000000000000000000");
  EXPECT_EQ(to_string(1e-7), "0.0000001");
  EXPECT_EQ(to_string(std::nan("")), "NaN");
  EXPECT_EQ(to_string(-HUGE_VAL), "-Infinity");
  EXPECT_EQ(f.string("17179869184 * 2"), "34359738368");
  EXPECT_EQ(f.string("concat(17179869184 * 2, '')"), "34359738368");
  EXPECT_EQ(f.string("string(17179869184 * 2)"), "34359738368");
  EXPECT_EQ(f.string("string()"), "xy3");
}

TEST(XPath, Conversions) {
  EXPECT_EQ(to_number(std::string(" -12.5 ")), -12.5);
  EXPECT_EQ(to_number(std::string(".5")), 0.5);
  EXPECT_EQ(to_number(std::string("5.")), 5);
  for (const char* text : {"", "1e3", "+1", "0x10", ".", "-", "inf", "nan", "1 2"})
    EXPECT_TRUE(std::isnan(to_number(std::string(text)))) << text;
  EXPECT_EQ(to_number(true), 1);
  EXPECT_FALSE(to_boolean(0.0));
  EXPECT_FALSE(to_boolean(std::nan("")));
  EXPECT_FALSE(to_boolean(std::string()));
  EXPECT_TRUE(to_boolean(std::string("false")));
  EXPECT_FALSE(to_boolean(NodeSet{}));
  EXPECT_EQ(to_string(NodeSet{}), "");
}

TEST(XPath, StepsAreBounded) {
  std::string text = "<r>";
  for (int i = 0; i < 2000; ++i) text += "<a/>";
  const Document d = parsed(text + "</r>");
  Fixture f;
  f.context.node = d.root();
  f.context.max_operations = 100'000;
  EXPECT_EQ(f.evaluate("count(//a[count(//a[count(//a) > 1]) > 1])").error().code(), ErrorCode::kExhausted);
  EXPECT_EQ(f.string("count(//a)"), "2000");
}

TEST(XPath, SeveralStepsThroughWholeTreesAreBounded) {
  std::string text = "<r>";
  for (int i = 0; i < 30'000; ++i) text += "<a><b/></a>";
  const Document d = parsed(text + "</r>");
  Fixture f;
  f.context.node = d.root();
  for (const char* expression : {"count(//*/ancestor::*/descendant::*)", "count(//*//*//*)",
                                 "count(//*/following::*//*)", "count(/descendant :: */preceding::*)"}) {
    EXPECT_EQ(f.evaluate(expression).error().code(), ErrorCode::kExhausted) << expression;
  }
  EXPECT_EQ(f.string("count(//a/b)"), "30000");
  EXPECT_EQ(f.string("count(//a[b]) + count(a)"), "60000");
  EXPECT_EQ(f.string("count(a[1]//b) + count(//b)"), "30001");
}

// A function that reads the text of a whole tree takes as many steps as that tree is large.
TEST(XPath, TextsOfWholeTreesAreBounded) {
  std::string text = "<r>";
  for (int i = 0; i < 2000; ++i) text += "<a>text</a>";
  const Document d = parsed(text + "</r>");
  Fixture f;
  f.context.node = d.root();
  f.context.max_operations = 100'000;
  for (const char* test : {"string(/)", "string-length(/)", "concat(/, 'x')", "contains(/, 'x')", "starts-with(/, 'x')",
                           "substring(/, 2)", "substring-before(/, 'x')", "substring-after(/, 'x')",
                           "normalize-space(/)", "translate(/, 'x', 'y')", "number(/)", "sum(/r/a)", "id(/)"}) {
    EXPECT_EQ(f.evaluate(std::string("count(a[") + test + "])").error().code(), ErrorCode::kExhausted) << test;
    EXPECT_TRUE(f.evaluate(test)) << test;
  }
  EXPECT_EQ(f.string("string-length(/)"), "8000");
  EXPECT_EQ(f.string("count(a[string() = 'text'])"), "2000");
}

TEST(XPath, PositionByVariable) {
  std::string text = "<r>";
  for (int i = 1; i <= 2000; ++i) text += fmt::format("<a>{}</a>", i);
  const Document d = parsed(text + "<b><a>x</a><a>y</a></b></r>");
  Fixture f;
  f.context.node = d.root();
  int asked = 0;
  XPathValue position = 7.0;
  f.context.variable = [&](const QName& name) -> Result<XPathValue> {
    if (name.local != "i") return not_found("there is no $" + name.local);
    ++asked;
    return position;
  };
  EXPECT_EQ(f.string("string(a[number($i)])"), "7");
  EXPECT_EQ(asked, 1);  // not of each of the 2000
  EXPECT_EQ(f.string("concat(a[ number( $i ) ], '[number($i)]', count(a[number($i)]/following-sibling::a))"),
            "7[number($i)]1993");
  position = std::string("2");
  EXPECT_EQ(f.string("concat(a[number($i)], b/a[number($i)])"), "2y");
  // No position: nothing has it.
  for (const XPathValue& none : {XPathValue(0.0), XPathValue(2.5), XPathValue(-1.0), XPathValue(std::string("x"))}) {
    position = none;
    EXPECT_EQ(f.string("count(a[number($i)])"), "0");
  }
  EXPECT_EQ(f.string("count(a[number($i) or true()])"), "2000");
  EXPECT_FALSE(f.evaluate("a[number($other)]"));
}

TEST(XPath, WithoutContextNode) {
  Fixture f;
  f.context.node = Node();
  EXPECT_EQ(f.string("count(/*)"), "0");
  EXPECT_EQ(f.string("1 = 1"), "true");
}

TEST(XPath, OneExpressionManyThreads) {
  Fixture f;
  const XPath xpath = std::move(*XPath::compile("f:twice(count(//r:a)) + string-length(string(r:b))", f.namespaces));
  f.context.function = [](const QName& name, const std::vector<XPathValue>& arguments) -> Result<XPathValue> {
    if (name.ns != "urn:f") return internal("lost the namespace");
    return 2 * to_number(arguments[0]);
  };
  std::vector<std::thread> threads;
  for (int i = 0; i < 4; ++i) {
    threads.emplace_back([&] {
      for (int j = 0; j < 2000; ++j) {
        const auto value = xpath.evaluate(f.context);
        ASSERT_TRUE(value) << value.error().to_string();
        ASSERT_EQ(to_number(*value), 5);
      }
    });
  }
  for (std::thread& thread : threads) thread.join();
}

}  // namespace
}  // namespace nuraghe::xml
