#include "bpel/expression/xpath_syntax.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <optional>

namespace nuraghe::bpel {

namespace {

constexpr int kMaxSyntaxDepth = 64;

enum class TokenKind { kName, kVariable, kLiteral, kNumber, kSymbol, kOperator, kEnd };
struct Token {
  TokenKind kind = TokenKind::kEnd;
  std::string text;
};

bool is_name_start(char c) {
  return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '_' || (static_cast<unsigned char>(c) & 0x80U) != 0;
}
bool is_digit(char c) { return c >= '0' && c <= '9'; }
bool is_name_char(char c) { return is_name_start(c) || is_digit(c) || c == '-' || c == '.'; }
bool is_space(char c) { return c == ' ' || c == '\t' || c == '\r' || c == '\n'; }

class Lexer {
 public:
  explicit Lexer(std::string_view text) : text_(text) {}

  Result<std::vector<Token>> run() {
    while (true) {
      while (at_ < text_.size() && is_space(text_[at_])) ++at_;
      if (at_ == text_.size()) break;
      TRY(next());
    }
    tokens_.push_back({});
    return std::move(tokens_);
  }

 private:
  // XPath 1.0 §3.7: after these a '*' or a name is no operator.
  bool operator_may_follow() const {
    if (tokens_.empty()) return false;
    const Token& last = tokens_.back();
    if (last.kind == TokenKind::kOperator) return false;
    if (last.kind != TokenKind::kSymbol) return true;
    return last.text == ")" || last.text == "]" || last.text == "." || last.text == ".." || last.text == "*";
  }

  Status next() {
    const char c = text_[at_];
    if (c == '"' || c == '\'') return literal(c);
    if (is_digit(c) || (c == '.' && at_ + 1 < text_.size() && is_digit(text_[at_ + 1]))) return number();
    if (c == '$') {
      ++at_;
      if (at_ == text_.size() || !is_name_start(text_[at_])) return invalid("a name is missing after '$'");
      tokens_.push_back({TokenKind::kVariable, qualified_name()});
      return {};
    }
    if (is_name_start(c)) {
      const bool may_be_operator = operator_may_follow();
      std::string name = qualified_name();
      const bool word = name == "and" || name == "or" || name == "div" || name == "mod";
      if (may_be_operator && !word) return invalid(fmt::format("'{}' is no operator", name));
      tokens_.push_back({may_be_operator ? TokenKind::kOperator : TokenKind::kName, std::move(name)});
      return {};
    }
    return symbol();
  }

  Status literal(char quote) {
    const auto end = text_.find(quote, at_ + 1);
    if (end == std::string_view::npos) return invalid("a string is not closed");
    tokens_.push_back({TokenKind::kLiteral, std::string(text_.substr(at_ + 1, end - at_ - 1))});
    at_ = end + 1;
    return {};
  }

  Status number() {
    const std::size_t from = at_;
    while (at_ < text_.size() && (is_digit(text_[at_]) || text_[at_] == '.')) ++at_;
    tokens_.push_back({TokenKind::kNumber, std::string(text_.substr(from, at_ - from))});
    return {};
  }

  std::string qualified_name() {
    const std::size_t from = at_;
    while (at_ < text_.size() && is_name_char(text_[at_])) ++at_;
    const bool colon = at_ + 1 < text_.size() && text_[at_] == ':' && text_[at_ + 1] != ':';
    if (colon && is_name_start(text_[at_ + 1])) {
      ++at_;
      while (at_ < text_.size() && is_name_char(text_[at_])) ++at_;
    } else if (colon && text_[at_ + 1] == '*') {
      at_ += 2;
    }
    return std::string(text_.substr(from, at_ - from));
  }

  Status symbol() {
    static constexpr std::array<std::string_view, 6> kTwo = {"::", "..", "//", "!=", "<=", ">="};
    for (const std::string_view two : kTwo) {
      if (text_.substr(at_, 2) != two) continue;
      at_ += 2;
      const bool is_operator = two == "!=" || two == "<=" || two == ">=";
      tokens_.push_back({is_operator ? TokenKind::kOperator : TokenKind::kSymbol, std::string(two)});
      return {};
    }
    const char c = text_[at_];
    const bool is_operator =
        std::string_view("=<>+-|").find(c) != std::string_view::npos || (c == '*' && operator_may_follow());
    if (!is_operator && std::string_view("()[].@,/*").find(c) == std::string_view::npos)
      return invalid(fmt::format("unexpected character '{}'", c));
    ++at_;
    tokens_.push_back({is_operator ? TokenKind::kOperator : TokenKind::kSymbol, std::string(1, c)});
    return {};
  }

  std::string_view text_;
  std::size_t at_ = 0;
  std::vector<Token> tokens_;
};

class SyntaxParser {
 public:
  explicit SyntaxParser(std::vector<Token> tokens) : tokens_(std::move(tokens)) {}

  Result<XPathSyntax> run() {
    TRY_ASSIGN(XPathSyntax result, expression(0));
    if (peek().kind != TokenKind::kEnd) return unexpected();
    return result;
  }

 private:
  const Token& peek(std::size_t ahead = 0) const { return tokens_[std::min(at_ + ahead, tokens_.size() - 1)]; }
  bool is_symbol(std::string_view text, std::size_t ahead = 0) const {
    return peek(ahead).kind == TokenKind::kSymbol && peek(ahead).text == text;
  }
  bool is_operator(std::string_view text) const { return peek().kind == TokenKind::kOperator && peek().text == text; }
  bool accept_symbol(std::string_view text) {
    if (!is_symbol(text)) return false;
    ++at_;
    return true;
  }
  Error unexpected() const {
    if (peek().kind == TokenKind::kEnd) return invalid("the expression ends too early");
    return invalid(fmt::format("unexpected '{}'", peek().text));
  }

  struct Level {
    SyntaxKind kind;
    std::array<std::string_view, 4> operators;
  };
  static constexpr std::array<Level, 6> kLevels = {{{SyntaxKind::kOr, {"or", "", "", ""}},
                                                    {SyntaxKind::kAnd, {"and", "", "", ""}},
                                                    {SyntaxKind::kEquality, {"=", "!=", "", ""}},
                                                    {SyntaxKind::kRelational, {"<", ">", "<=", ">="}},
                                                    {SyntaxKind::kAdditive, {"+", "-", "", ""}},
                                                    {SyntaxKind::kMultiplicative, {"*", "div", "mod", ""}}}};

  Result<XPathSyntax> expression(int depth) { return binary(0, depth); }

  Result<XPathSyntax> binary(std::size_t level, int depth) {
    if (depth > kMaxSyntaxDepth) return invalid("the expression is nested too deeply");
    if (level == kLevels.size()) return unary(depth);
    TRY_ASSIGN(XPathSyntax left, binary(level + 1, depth));
    const auto& operators = kLevels[level].operators;
    while (peek().kind == TokenKind::kOperator && !peek().text.empty() &&
           std::find(operators.begin(), operators.end(), peek().text) != operators.end()) {
      XPathSyntax both{kLevels[level].kind, peek().text, {}, false};
      ++at_;
      TRY_ASSIGN(XPathSyntax right, binary(level + 1, depth));
      both.children.push_back(std::move(left));
      both.children.push_back(std::move(right));
      left = std::move(both);
    }
    return left;
  }

  Result<XPathSyntax> unary(int depth) {
    if (depth > kMaxSyntaxDepth) return invalid("the expression is nested too deeply");
    if (is_operator("-")) {
      ++at_;
      TRY_ASSIGN(XPathSyntax operand, unary(depth + 1));
      XPathSyntax negated{SyntaxKind::kNegate, "-", {}, false};
      negated.children.push_back(std::move(operand));
      return negated;
    }
    TRY_ASSIGN(XPathSyntax left, path(depth));
    while (is_operator("|")) {
      ++at_;
      TRY_ASSIGN(XPathSyntax right, path(depth));
      XPathSyntax both{SyntaxKind::kUnion, "|", {}, false};
      both.children.push_back(std::move(left));
      both.children.push_back(std::move(right));
      left = std::move(both);
    }
    return left;
  }

  bool begins_function() const {
    if (peek().kind != TokenKind::kName || !is_symbol("(", 1)) return false;
    const std::string& name = peek().text;
    return name != "comment" && name != "text" && name != "processing-instruction" && name != "node";
  }

  Result<XPathSyntax> path(int depth) {
    const TokenKind kind = peek().kind;
    if (kind != TokenKind::kVariable && kind != TokenKind::kLiteral && kind != TokenKind::kNumber && !is_symbol("(") &&
        !begins_function()) {
      XPathSyntax location{SyntaxKind::kLocationPath, "", {}, false};
      TRY(location_path(location, depth));
      return location;
    }
    TRY_ASSIGN(XPathSyntax primary_expression, primary(depth));
    if (!is_symbol("[") && !is_symbol("/") && !is_symbol("//")) return primary_expression;
    XPathSyntax filter{SyntaxKind::kFilterPath, "", {}, false};
    filter.children.push_back(std::move(primary_expression));
    TRY(predicates(filter, depth));
    if (accept_symbol("/") || accept_symbol("//")) TRY(steps(filter, depth));
    return filter;
  }

  Result<XPathSyntax> primary(int depth) {
    XPathSyntax result;
    const Token token = peek();
    ++at_;
    if (token.kind == TokenKind::kVariable) return XPathSyntax{SyntaxKind::kVariable, token.text, {}, false};
    if (token.kind == TokenKind::kLiteral) return XPathSyntax{SyntaxKind::kLiteral, token.text, {}, false};
    if (token.kind == TokenKind::kNumber) return XPathSyntax{SyntaxKind::kNumber, token.text, {}, false};
    if (token.kind == TokenKind::kSymbol) {  // "("
      TRY_ASSIGN(XPathSyntax inner, expression(depth + 1));
      if (!accept_symbol(")")) return unexpected();
      return inner;
    }
    XPathSyntax function{SyntaxKind::kFunction, token.text, {}, false};
    ++at_;  // "("
    if (accept_symbol(")")) return function;
    do {
      TRY_ASSIGN(XPathSyntax argument, expression(depth + 1));
      function.children.push_back(std::move(argument));
    } while (accept_symbol(","));
    if (!accept_symbol(")")) return unexpected();
    return function;
  }

  Status location_path(XPathSyntax& into, int depth) {
    if (accept_symbol("/")) {
      const bool more =
          peek().kind == TokenKind::kName || is_symbol("@") || is_symbol(".") || is_symbol("..") || is_symbol("*");
      return more ? steps(into, depth) : Status();
    }
    accept_symbol("//");
    return steps(into, depth);
  }

  Status steps(XPathSyntax& into, int depth) {
    do {
      TRY(step(into, depth));
    } while (accept_symbol("/") || accept_symbol("//"));
    return {};
  }

  Status step(XPathSyntax& into, int depth) {
    if (accept_symbol(".") || accept_symbol("..")) return {};
    if (!accept_symbol("@") && peek().kind == TokenKind::kName && is_symbol("::", 1)) at_ += 2;
    if (accept_symbol("*")) return predicates(into, depth);
    if (peek().kind != TokenKind::kName) return unexpected();
    ++at_;
    if (accept_symbol("(")) {  // node(), text(), processing-instruction('x')
      if (peek().kind == TokenKind::kLiteral) ++at_;
      if (!accept_symbol(")")) return unexpected();
    }
    return predicates(into, depth);
  }

  Status predicates(XPathSyntax& into, int depth) {
    while (accept_symbol("[")) {
      TRY_ASSIGN(XPathSyntax predicate, expression(depth + 1));
      if (!accept_symbol("]")) return unexpected();
      predicate.in_predicate = true;
      into.children.push_back(std::move(predicate));
    }
    return {};
  }

  std::vector<Token> tokens_;
  std::size_t at_ = 0;
};

}  // namespace

Result<XPathSyntax> parse_xpath_syntax(std::string_view text) {
  TRY_ASSIGN(std::vector<Token> tokens, Lexer(text).run());
  return SyntaxParser(std::move(tokens)).run();
}

}  // namespace nuraghe::bpel
