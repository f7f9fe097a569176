#include "services/notification/topics.hpp"

#include <gtest/gtest.h>

#include "services/notification/names.hpp"
#include "services/notification/testing.hpp"

namespace nuraghe::services::notification {
namespace {

Answer<TopicExpression> read(const std::string& text, std::string_view dialect) {
  const auto parsed = testing::document(
      fmt::format("<t xmlns:a='urn:a' xmlns:b='urn:b' Dialect='{}'>{}</t>", dialect, xml::escape_text(text)));
  return TopicExpression::read(parsed->root());
}

const xml::QName kA{"urn:a", "cluster.frozen"};
const xml::QName kB{"urn:b", "cluster.frozen"};
const xml::QName kRoot{"urn:a", "root"};
const xml::QName kChild{"urn:a", "child"};
const xml::QName kLeaf{"urn:b", "leaf"};

struct Case {
  std::string_view dialect;
  const char* text;
  std::vector<xml::QName> path;
  bool matches;
};

TEST(TopicExpression, MeansWhatItsDialectSays) {
  const Case cases[] = {
      {kSimpleDialect, "a:cluster.frozen", {kA}, true},
      {kSimpleDialect, " a:cluster.frozen\n", {kA}, true},
      {kSimpleDialect, "a:cluster.frozen", {kB}, false},
      {kSimpleDialect, "cluster.frozen", {kB}, true},
      {kSimpleDialect, "a:root", {kRoot, kChild}, false},
      {kConcreteDialect, "a:root/child", {kRoot, kChild}, true},
      {kConcreteDialect, "a:root/child", {kRoot}, false},
      {kConcreteDialect, "a:root/child/b:leaf", {kRoot, kChild, kLeaf}, true},
      {kFullDialect, "a:*", {kA}, true},
      {kFullDialect, "a:*", {kB}, false},
      {kFullDialect, "*", {kB}, true},
      {kFullDialect, "a:*", {kRoot, kChild}, false},
      {kFullDialect, "a:root//.", {kRoot}, true},
      {kFullDialect, "a:root//.", {kRoot, kChild, kLeaf}, true},
      {kFullDialect, "a:root//b:leaf", {kRoot, kChild, kLeaf}, true},
      {kFullDialect, "a:root//b:leaf", {kRoot, kChild}, false},
      {kFullDialect, "a:root/*", {kRoot, kChild}, true},
      {kFullDialect, "a:root/.", {kRoot}, true},
      {kFullDialect, "a:root/.", {kRoot, kChild}, false},
      {kFullDialect, "//*", {kRoot, kChild, kLeaf}, true},
      {kFullDialect, "//leaf", {kRoot, kChild, kLeaf}, true},
      {kFullDialect, "b://leaf", {kRoot, kChild, kLeaf}, true},
      {kFullDialect, "b:none|a:cluster.frozen", {kA}, true},
      {kFullDialect, "b:none|b:other", {kA}, false},
  };
  for (const Case& one : cases) {
    const auto expression = read(one.text, one.dialect);
    ASSERT_TRUE(expression) << one.text << ": " << expression.error().error.message();
    EXPECT_EQ(expression->matches(one.path), one.matches) << one.text;
  }
}

TEST(TopicExpression, SaysWhatIsWrong) {
  const std::pair<std::string_view, std::string> cases[] = {
      {kSimpleDialect, ""},        {kSimpleDialect, "a:b/c"},    {kSimpleDialect, "c:x"},
      {kSimpleDialect, "a:"},      {kSimpleDialect, "*"},        {kSimpleDialect, "a:b|a:c"},
      {kConcreteDialect, "a:*"},   {kConcreteDialect, "a:b//c"}, {kConcreteDialect, "a:b/"},
      {kConcreteDialect, "a:b/."}, {kFullDialect, "a:b|"},       {kFullDialect, "a:b c"},
      {kFullDialect, "/a:b"},      {kFullDialect, "a:b/..."},    {kFullDialect, "//a:b"},
      {kFullDialect, "1"},         {kFullDialect, "a:b///c"},    {kFullDialect, std::string(5000, 'x')},
  };
  for (const auto& [dialect, text] : cases) {
    const auto expression = read(text, dialect);
    ASSERT_FALSE(expression) << text;
    EXPECT_EQ(expression.error().fault, "InvalidTopicExpressionFault") << text;
  }
  std::string deep = "a:b";
  for (int i = 0; i < 100; ++i) deep += "//.";
  EXPECT_FALSE(read(deep, kFullDialect));
  const auto unknown = read("a:b", "urn:dialect");
  ASSERT_FALSE(unknown);
  EXPECT_EQ(unknown.error().fault, "TopicExpressionDialectUnknownFault");
}

}  // namespace
}  // namespace nuraghe::services::notification
