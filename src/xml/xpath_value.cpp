// Conversions between XPath's four types (XPath 1.0 §4.2 to §4.4).
#include <charconv>
#include <cmath>
#include <limits>

#include "xml/xpath.hpp"

namespace nuraghe::xml {

namespace {

// Number ::= '-'? Digits ('.' Digits?)? | '-'? '.' Digits, with white space around it.
double parse_number(std::string_view text) {
  constexpr double kNaN = std::numeric_limits<double>::quiet_NaN();
  const std::size_t first = text.find_first_not_of(" \t\r\n");
  if (first == std::string_view::npos) return kNaN;
  text = text.substr(first, text.find_last_not_of(" \t\r\n") - first + 1);
  const std::string_view unsigned_part = text.starts_with('-') ? text.substr(1) : text;
  if (unsigned_part.find_first_not_of("0123456789.") != std::string_view::npos || unsigned_part.empty() ||
      unsigned_part == ".")
    return kNaN;
  double value = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value, std::chars_format::fixed);
  if (error == std::errc::result_out_of_range) return text.starts_with('-') ? -HUGE_VAL : HUGE_VAL;
  return error == std::errc() && end == text.data() + text.size() ? value : kNaN;
}

std::string number_to_string(double value) {
  if (std::isnan(value)) return "NaN";
  if (std::isinf(value)) return value > 0 ? "Infinity" : "-Infinity";
  if (value == 0) return "0";
  char buffer[512];  // the longest fixed form of a double has 309 digits before or 1074 after the point
  const auto [end, error] = std::to_chars(buffer, buffer + sizeof buffer, value, std::chars_format::fixed);
  return error == std::errc() ? std::string(buffer, end) : "0";
}

template <class... Cases>
struct Overload : Cases... {
  using Cases::operator()...;
};
template <class... Cases>
Overload(Cases...) -> Overload<Cases...>;

}  // namespace

bool to_boolean(const XPathValue& value) {
  return std::visit(
      Overload{[](bool b) { return b; }, [](double d) { return d != 0 && !std::isnan(d); },
               [](const std::string& s) { return !s.empty(); }, [](const NodeSet& nodes) { return !nodes.empty(); }},
      value);
}

std::string to_string(const XPathValue& value) {
  return std::visit(Overload{[](bool b) { return std::string(b ? "true" : "false"); },
                             [](double d) { return number_to_string(d); }, [](const std::string& s) { return s; },
                             [](const NodeSet& nodes) { return nodes.empty() ? std::string() : nodes.front().text(); }},
                    value);
}

double to_number(const XPathValue& value) {
  if (const auto* flag = std::get_if<bool>(&value)) return *flag ? 1 : 0;
  if (const auto* number = std::get_if<double>(&value)) return *number;
  return parse_number(to_string(value));
}

}  // namespace nuraghe::xml
