// Operators on sets of nodes give what libxml2 gives, without its quadratic time.
#include "xml/xpath_sets.hpp"

#include <fmt/format.h>
#include <gtest/gtest.h>
#include <libxml/parser.h>
#include <libxml/xpath.h>
#include <libxml/xpathInternals.h>

#include <memory>
#include <random>

#include "xml/xpath.hpp"

namespace nuraghe::xml {
namespace {

std::string compared(const std::string& sign, const std::string& left, const std::string& right) {
  return fmt::format("nuraghe-compare-sets('{}',{},{})", sign, left, right);
}

TEST(XPathSets, PathsAreComparedAndJoinedByFunctions) {
  EXPECT_EQ(with_set_functions("a=b"), compared("=", "a", "b"));
  EXPECT_EQ(with_set_functions("$v/a != //b[1]"), compared("!=", "$v/a ", " //b[1]"));
  EXPECT_EQ(with_set_functions("x and a <= b or y"), "x and" + compared("<=", " a ", " b ") + "or y");
  EXPECT_EQ(with_set_functions("count(p[a=b])"), "count(p[" + compared("=", "a", "b") + "])");
  EXPECT_EQ(with_set_functions("a|b|c"), "nuraghe-join-sets(a,b,c)");
  EXPECT_EQ(with_set_functions("(a|b)/c > d"), compared(">", "(nuraghe-join-sets(a,b))/c ", " d"));
  EXPECT_EQ(with_set_functions("a|b = c"), compared("=", "nuraghe-join-sets(a,b )", " c"));
  EXPECT_EQ(with_set_functions("a[b=c] = d"), compared("=", "a[" + compared("=", "b", "c") + "] ", " d"));
  EXPECT_EQ(with_set_functions("div/and = or"), compared("=", "div/and ", " or"));
  EXPECT_EQ(with_set_functions("a = b != c"), compared("=", "a ", " b ") + "!= c");
  EXPECT_EQ(with_set_functions("a<b=c"), compared("<", "a", "b") + "=c");
  EXPECT_EQ(with_set_functions("a < b <= c = d > e"),
            compared("<", "a ", " b ") + "<= c =" + compared(">", " d ", " e"));
}

TEST(XPathSets, WhatIsNoPairOfSetsStays) {
  for (const char* text : {"a = 1",         "a = 'x'",   "$v = $w",         "@id = $v/@id",
                           ". = b",         "a + 1 = b", "a = b * 2",       "count(a) = count(b)",
                           "-a = b",        "a = b < c", "a = 1 = c",       "(a = b) = c",
                           "a = string(b)", "$v | a",    "self::a = b",     "../@x = a",
                           "a = (b = 2)",   "f(a, b)",   "a = 2 and b = 3", "(a + 1) = b"}) {
    const bool has_pair = std::string(text) == "(a = b) = c" || std::string(text) == "a = b < c";
    EXPECT_EQ(with_set_functions(text).find("nuraghe-compare-sets(") != std::string::npos, has_pair)
        << with_set_functions(text);
    EXPECT_EQ(with_set_functions(text).find(kJoinSets), std::string::npos) << text;
  }
}

// ---- the same as libxml2 ----

class Expressions {
 public:
  explicit Expressions(unsigned seed) : chance_(seed) {}
  std::string any(int depth = 3) {
    switch (depth <= 0 ? 0 : pick(9)) {
      case 0:
      case 1:
        return path(depth);
      case 2:
        return any(depth - 1) + sign() + (pick(3) == 0 ? paths(depth - 1) + sign() : "") + any(depth - 1);
      case 3:
        return any(depth - 1) + one_of({" and ", " or "}) + any(depth - 1);
      case 4:
        return "(" + any(depth - 1) + ")";
      case 5:
        return any(depth - 1) + one_of({" + ", " * ", " div ", " - ", " mod "}) + any(depth - 1);
      case 6:
        return "count(" + paths(depth - 1) + ")";
      case 7:
        return one_of({"string(", "boolean(", "sum(", "not("}) + paths(depth - 1) + ")";
      default:
        return paths(depth - 1);
    }
  }

 private:
  std::size_t pick(std::size_t count) { return chance_() % count; }
  std::string one_of(std::vector<std::string> list) { return list[pick(list.size())]; }
  std::string sign() { return one_of({" = ", "!=", " < ", "<=", " > ", ">="}); }
  std::string paths(int depth) {
    std::string text = path(depth);
    while (pick(3) == 0) text += one_of({"|", " | "}) + path(depth);
    if (pick(4) == 0) text = "(" + text + ")" + one_of({"", "/a", "[1]", "//b"});
    return text;
  }
  std::string path(int depth) {
    std::string text = one_of({"", "", "", "/r/", "//", "../", "./"});
    for (std::size_t i = 0, steps = 1 + pick(3); i < steps; ++i) {
      if (i > 0) text += one_of({"/", "/", "//"});
      text += one_of(
          {"a", "b", "c", "*", "div", "child::a", "descendant::b", "text()", "node()", "self::a", ".", "..", "@x"});
      if (depth > 0 && pick(4) == 0) text += "[" + any(depth - 2) + "]";
    }
    return pick(8) == 0 ? one_of({"1", "2.5", "'1'", "\"a\"", "true()", ".5", "last()"}) : text;
  }
  std::mt19937 chance_;
};

constexpr std::string_view kDocument =
    "<r><a x='1'>1</a><b x='2'>2</b><a>2<b>3</b></a><c>x<a>1</a><c x='3'><b>1</b></c></c><div "
    "x='1'>7<and>1</and></div><b/></r>";

// As text: nodes in document order.
std::string described(xmlXPathObject* object) {
  if (object == nullptr) return "error";
  if (object->type != XPATH_NODESET) {
    const std::unique_ptr<xmlChar, void (*)(void*)> text(xmlXPathCastToString(object), xmlFree);
    return fmt::format("{} {}", static_cast<int>(object->type), reinterpret_cast<const char*>(text.get()));
  }
  std::string out = "nodes";
  for (int i = 0; object->nodesetval != nullptr && i < object->nodesetval->nodeNr; ++i) {
    out += fmt::format(" {}", static_cast<const void*>(object->nodesetval->nodeTab[i]));
  }
  return out;
}

TEST(XPathSets, GiveWhatLibxmlGives) {
  Document document = Document::parse(kDocument).value();
  Expressions expressions(20261123);
  int rewritten = 0;
  int evaluated = 0;
  for (int i = 0; i < 20'000; ++i) {
    const std::string text = expressions.any();
    SCOPED_TRACE(text + "\n" + with_set_functions(text));
    const auto compiled = XPath::compile(text, std::map<std::string, std::string>{});
    // Of libxml2 itself, over the same tree.
    auto* node = static_cast<xmlNode*>(document.root().child("", "a").raw());
    const std::unique_ptr<xmlXPathContext, void (*)(xmlXPathContext*)> context(xmlXPathNewContext(node->doc),
                                                                               xmlXPathFreeContext);
    context->node = node;
    xmlSetStructuredErrorFunc(nullptr, [](void*, xmlError*) {});
    const std::unique_ptr<xmlXPathObject, void (*)(xmlXPathObject*)> theirs(
        xmlXPathEval(reinterpret_cast<const xmlChar*>(text.c_str()), context.get()), xmlXPathFreeObject);
    xmlSetStructuredErrorFunc(nullptr, nullptr);
    ASSERT_EQ(bool(compiled), theirs != nullptr || !compiled == false)
        << (compiled ? "" : compiled.error().to_string());
    if (!compiled) continue;
    XPathContext caller;
    caller.node = document.root().child("", "a");
    const auto ours = compiled->evaluate(caller);
    ASSERT_EQ(bool(ours), theirs != nullptr) << (ours ? "" : ours.error().to_string());
    if (!ours) continue;
    ++evaluated;
    rewritten += with_set_functions(text) == text ? 0 : 1;
    std::string mine;
    if (const auto* nodes = std::get_if<NodeSet>(&*ours)) {
      mine = "nodes";
      for (const Node one : *nodes) mine += fmt::format(" {}", static_cast<const void*>(one.raw()));
    } else {
      const std::unique_ptr<xmlXPathObject, void (*)(xmlXPathObject*)> object(
          std::holds_alternative<bool>(*ours)     ? xmlXPathNewBoolean(std::get<bool>(*ours) ? 1 : 0)
          : std::holds_alternative<double>(*ours) ? xmlXPathNewFloat(std::get<double>(*ours))
                                                  : xmlXPathNewCString(std::get<std::string>(*ours).c_str()),
          xmlXPathFreeObject);
      mine = described(object.get());
    }
    ASSERT_EQ(mine, described(theirs.get()));
  }
  EXPECT_GT(evaluated, 15'000);
  EXPECT_GT(rewritten, 2'000);
}

// Each with each would be 10^11 comparisons.
TEST(XPathSets, LargeSetsTakeNoLongerThanTheirNodes) {
  constexpr int kNodes = 300'000;
  std::string text = "<r>";
  for (int i = 0; i < kNodes; ++i) text += fmt::format("<a>same beginning {}</a>", i);
  for (int i = 0; i < kNodes; ++i) text += fmt::format("<b>same beginning {}</b>", i + kNodes);
  ParseOptions options;
  const Document document = Document::parse(text + "</r>", options).value();
  XPathContext caller;
  caller.node = document.root();
  const auto value = [&](const char* expression) {
    return XPath::compile(expression, std::map<std::string, std::string>{}).value().evaluate(caller).value();
  };
  EXPECT_FALSE(std::get<bool>(value("a = b")));
  EXPECT_TRUE(std::get<bool>(value("a != b")));
  EXPECT_FALSE(std::get<bool>(value("a < b")));
  EXPECT_TRUE(std::get<bool>(value("a = b = c")));
  EXPECT_EQ(std::get<double>(value("count(b | a)")), 2.0 * kNodes);
  EXPECT_TRUE(std::get<bool>(value("(b | a)[2] = a[2]")));
  caller.max_operations = 100'000;
  EXPECT_EQ(XPath::compile("a = b", std::map<std::string, std::string>{}).value().evaluate(caller).error().code(),
            ErrorCode::kExhausted);
}

}  // namespace
}  // namespace nuraghe::xml
