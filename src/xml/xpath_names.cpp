#include "xml/xpath_names.hpp"

#include <algorithm>
#include <optional>

#include "xml/xpath_scanner.hpp"

namespace nuraghe::xml {

namespace {

void add(std::vector<std::string>& list, std::string_view name) {
  if (std::find(list.begin(), list.end(), name) == list.end()) list.emplace_back(name);
}

void scan_name(Scanner& scanner, bool variable, XPathNames& names) {
  const std::size_t begin = scanner.at;
  const std::string_view first = scanner.name();
  const bool prefixed = scanner.peek() == ':' && (starts_name(scanner.peek(1)) || scanner.peek(1) == '*');
  if (prefixed) {
    add(names.prefixes, first);
    ++scanner.at;
    if (scanner.peek() == '*')
      ++scanner.at;
    else
      scanner.name();
  }
  const std::string_view whole = scanner.text.substr(begin, scanner.at - begin);
  if (variable) {
    add(names.variables, whole);
    return;
  }
  scanner.skip_space();
  if (scanner.peek() == ':' && scanner.peek(1) == ':') {
    constexpr std::string_view kWide[] = {"ancestor", "descendant", "following", "preceding"};
    const auto begins = [&](std::string_view axis) { return whole.starts_with(axis); };
    if (std::any_of(std::begin(kWide), std::end(kWide), begins)) ++names.wide_steps;
  }
  if (prefixed && scanner.peek() == '(') add(names.prefixed_functions, whole);
}

// At a '[': "[number($v)]" and nothing else between the brackets.
std::optional<PositionByVariable> position_at(Scanner scanner) {
  ++scanner.at;
  PositionByVariable position{scanner.at, 0, {}};
  const auto takes = [&scanner](char c) {
    scanner.skip_space();
    if (scanner.peek() != c) return false;
    ++scanner.at;
    scanner.skip_space();
    return true;
  };
  scanner.skip_space();
  if (scanner.name() != "number" || !takes('(') || !takes('$') || !starts_name(scanner.peek())) return std::nullopt;
  position.variable = scanner.name();
  if (!takes(')') || scanner.peek() != ']') return std::nullopt;
  position.end = scanner.at;
  return position;
}

}  // namespace

XPathNames scan_xpath_names(std::string_view text) {
  XPathNames names;
  Scanner scanner{text};
  std::string open;
  while (!scanner.done()) {
    const char c = scanner.peek();
    if (c == '"' || c == '\'') {
      const std::size_t end = text.find(c, scanner.at + 1);
      if (end == std::string_view::npos) break;
      scanner.at = end + 1;
    } else if (c == '$') {
      ++scanner.at;
      scanner.skip_space();
      if (starts_name(scanner.peek())) scan_name(scanner, true, names);
    } else if (starts_name(c)) {
      scan_name(scanner, false, names);
    } else if (is_digit(c)) {
      while (is_digit(scanner.peek()) || scanner.peek() == '.') ++scanner.at;
    } else {
      if (c == '[') {
        if (auto position = position_at(scanner)) names.positions.push_back(*std::move(position));
      }
      if (c == '/' && scanner.peek(1) == '/') {
        ++names.wide_steps;
        ++scanner.at;
      }
      if (c == '(' || c == '[') open += c;
      if (c == ')' || c == ']') {
        names.balanced = names.balanced && !open.empty() && open.back() == (c == ')' ? '(' : '[');
        if (!open.empty()) open.pop_back();
      }
      ++scanner.at;
    }
  }
  names.balanced = names.balanced && open.empty();
  return names;
}

}  // namespace nuraghe::xml
