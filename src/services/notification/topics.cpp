#include "services/notification/topics.hpp"

#include <fmt/format.h>

#include <algorithm>

#include "services/notification/names.hpp"

namespace nuraghe::services::notification {

namespace {

constexpr std::size_t kLongest = 4096;  // bytes of an expression
constexpr std::size_t kMostSteps = 32;

bool starts_name(char c) {
  return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '_' || static_cast<unsigned char>(c) >= 0x80;
}
bool continues_name(char c) { return starts_name(c) || (c >= '0' && c <= '9') || c == '-' || c == '.'; }

}  // namespace

std::string trimmed(const std::string& text) {
  constexpr std::string_view kBlank = " \t\r\n";
  const auto first = text.find_first_not_of(kBlank);
  if (first == std::string::npos) return {};
  return text.substr(first, text.find_last_not_of(kBlank) - first + 1);
}

// WS-Topics 1.3 §8.1 to §8.3; the grammars stand in its schema (t-1.xsd), too.
class TopicExpression::Reader {
 public:
  Reader(xml::Node scope, std::string_view dialect, std::string_view text)
      : scope_(scope), dialect_(dialect), text_(text) {}

  Answer<std::vector<Path>> read() {
    std::vector<Path> alternatives;
    do {
      Path path;
      TRY(read_path(path));
      alternatives.push_back(std::move(path));
    } while (is_full() && take('|'));
    if (at_ != text_.size()) return wrong("what follows is no part of it");
    return alternatives;
  }

 private:
  bool is_full() const { return dialect_ == kFullDialect; }
  char peek() const { return at_ < text_.size() ? text_[at_] : '\0'; }
  bool take(char c) {
    if (peek() != c) return false;
    ++at_;
    return true;
  }
  bool take_descent() {
    if (!is_full() || !text_.substr(at_).starts_with("//")) return false;
    at_ += 2;
    return true;
  }
  std::string name() {
    const std::size_t begin = at_;
    if (starts_name(peek())) {
      while (continues_name(peek())) ++at_;
    }
    return std::string(text_.substr(begin, at_ - begin));
  }
  Refusal wrong(std::string_view why) const {
    return refuse("InvalidTopicExpressionFault",
                  fmt::format("the topic expression '{}' is wrong at character {}: {}", text_, at_ + 1, why));
  }

  Answer<std::string> namespace_of(const std::string& prefix) const {
    if (auto uri = scope_.namespace_of_prefix(prefix); uri && !uri->empty()) return std::move(*uri);
    return wrong(fmt::format("the prefix '{}' is bound to no namespace", prefix));
  }

  // RootTopic ::= NamespacePrefix? ('//')? (NCName | '*')
  Answer<Step> read_root() {
    Step step;
    step.descends = take_descent();
    if (is_full() && take('*')) {
      step.kind = Kind::kAny;
      return step;
    }
    step.local = name();
    if (step.local.empty()) return wrong("a name is missing");
    if (!take(':')) return step;
    if (step.descends) return wrong("a prefix stands before '//'");
    TRY_ASSIGN(step.ns, namespace_of(step.local));
    step.descends = take_descent();
    if (is_full() && take('*')) {
      step.kind = Kind::kAny;
      return step;
    }
    step.local = name();
    if (step.local.empty()) return wrong("a name is missing after the prefix");
    return step;
  }

  // ChildTopicExpression ::= '/' '/'? (QName | NCName | '*' | '.')
  Answer<Step> read_child(const std::string& parent) {
    Step step;
    step.descends = take_descent();
    if (!step.descends) ++at_;
    step.ns = parent;
    if (is_full() && take('*')) {
      step.kind = Kind::kAny;
      step.ns.clear();
      return step;
    }
    if (is_full() && take('.')) {
      step.kind = Kind::kSelf;
      return step;
    }
    step.local = name();
    if (step.local.empty()) return wrong("a name is missing");
    if (!take(':')) return step;
    TRY_ASSIGN(step.ns, namespace_of(step.local));
    step.local = name();
    if (step.local.empty()) return wrong("a name is missing after the prefix");
    return step;
  }

  Answer<bool> read_path(Path& path) {
    TRY_ASSIGN(Step root, read_root());
    path.push_back(std::move(root));
    while (peek() == '/' && dialect_ != kSimpleDialect) {
      if (path.size() == kMostSteps) return wrong(fmt::format("it has more than {} steps", kMostSteps));
      TRY_ASSIGN(Step child, read_child(path.back().ns));
      path.push_back(std::move(child));
    }
    return true;
  }

  const xml::Node scope_;
  const std::string_view dialect_, text_;
  std::size_t at_ = 0;
};

Answer<TopicExpression> TopicExpression::read(xml::Node element) {
  const std::string dialect = trimmed(element.attribute_or("Dialect", ""));
  if (dialect != kSimpleDialect && dialect != kConcreteDialect && dialect != kFullDialect) {
    return refuse("TopicExpressionDialectUnknownFault",
                  fmt::format("the dialect '{}' of a topic expression is not known; known are {}, {} and {}", dialect,
                              kSimpleDialect, kConcreteDialect, kFullDialect));
  }
  const std::string text = trimmed(element.text());
  if (element.has_element_children() || text.size() > kLongest) {
    return refuse("InvalidTopicExpressionFault",
                  fmt::format("a topic expression is a text of at most {} characters", kLongest));
  }
  TopicExpression expression;
  TRY_ASSIGN(expression.alternatives_, Reader(element, dialect, text).read());
  return expression;
}

bool TopicExpression::matches(const Path& steps, std::size_t step, std::span<const xml::QName> path, std::size_t at) {
  if (step == steps.size()) return at == path.size();
  const Step& wanted = steps[step];
  if (wanted.kind == Kind::kSelf) {
    // "/." is where one is; "//." that and everything below.
    for (std::size_t next = at; next <= path.size(); ++next) {
      if (matches(steps, step + 1, path, next)) return true;
      if (!wanted.descends) return false;
    }
    return false;
  }
  for (std::size_t next = at; next < path.size(); ++next) {
    const bool fits = (wanted.ns.empty() || wanted.ns == path[next].ns) &&
                      (wanted.kind == Kind::kAny || wanted.local == path[next].local);
    if (fits && matches(steps, step + 1, path, next + 1)) return true;
    if (!wanted.descends) return false;
  }
  return false;
}

bool TopicExpression::matches(std::span<const xml::QName> path) const {
  return std::any_of(alternatives_.begin(), alternatives_.end(),
                     [&](const Path& steps) { return matches(steps, 0, path, 0); });
}

}  // namespace nuraghe::services::notification
