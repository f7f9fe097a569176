// XPath 1.0: expressions compiled once, evaluated many times with variables and functions of the caller.
#pragma once

#include <functional>
#include <map>
#include <memory>
#include <string>
#include <variant>
#include <vector>

#include "xml/xml.hpp"

namespace nuraghe::xml {

using NodeSet = std::vector<Node>;  // elements, attributes and text nodes, in document order
// No text that concat() makes is longer.
inline constexpr std::size_t kMaxText = std::size_t{16} << 20U;
// One of XPath's four types.
using XPathValue = std::variant<bool, double, std::string, NodeSet>;

bool to_boolean(const XPathValue& value);
double to_number(const XPathValue& value);
std::string to_string(const XPathValue& value);  // XPath 1.0 §4.2 string(): 3.0 is "3"

struct XPathContext {
  Node node;  // the context node; null: an empty document is the context
  // Answers a variable's value ($ns:name); an error aborts the evaluation and is returned.
  std::function<Result<XPathValue>(const QName& name)> variable;
  // Answers an extension function ({ns}local with evaluated arguments); kNotFound when unknown.
  std::function<Result<XPathValue>(const QName& name, const std::vector<XPathValue>& arguments)> function;
  // Upper bound of evaluation steps; 0 = no bound. Exceeding it is kExhausted.
  std::int64_t max_operations = 10'000'000;
  // The same for an expression with several steps that go through much of a tree ("//", ancestor, descendant,
  // following, preceding): what they find is put together in quadratic time, which libxml2 does not count.
  std::int64_t max_wide_operations = 200'000;
};

class XPath {
 public:
  // Compiles; prefixes are resolved by `namespaces` (prefix → URI). kInvalid with the reason for a syntax error or an
  // unbound prefix.
  static Result<XPath> compile(std::string_view text, const std::map<std::string, std::string>& namespaces);
  // As above with the prefixes in scope at an element.
  static Result<XPath> compile(std::string_view text, Node scope);

  XPath(XPath&&) noexcept;
  XPath& operator=(XPath&&) noexcept;
  ~XPath();

  // Thread safe as long as the documents involved are not changed meanwhile. Nodes of the result belong to the
  // documents of the context and of variables, which must outlive it.
  Result<XPathValue> evaluate(const XPathContext& context) const;
  const std::string& text() const;
  // Names of the variables that the expression mentions, as written ("p:name"), without duplicates.
  const std::vector<std::string>& variables() const;
  // Names of the functions called with a prefix, as written.
  const std::vector<std::string>& prefixed_functions() const;

 private:
  struct Compiled;
  explicit XPath(std::unique_ptr<Compiled> compiled);
  std::unique_ptr<Compiled> compiled_;
};

}  // namespace nuraghe::xml
