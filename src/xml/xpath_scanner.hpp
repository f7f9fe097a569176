// The characters and names of XPath expressions, for scans that need no tree (XPath 1.0 §3.7).
#pragma once

#include <string_view>

namespace nuraghe::xml {

inline bool starts_name(char c) {
  return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '_' || static_cast<unsigned char>(c) >= 0x80;
}
inline bool is_digit(char c) { return c >= '0' && c <= '9'; }
inline bool continues_name(char c) { return starts_name(c) || is_digit(c) || c == '-' || c == '.'; }
inline bool is_space(char c) { return c == ' ' || c == '\t' || c == '\n' || c == '\r'; }

struct Scanner {
  std::string_view text;
  std::size_t at = 0;

  char peek(std::size_t ahead = 0) const { return at + ahead < text.size() ? text[at + ahead] : '\0'; }
  bool done() const { return at >= text.size(); }
  void skip_space() {
    while (is_space(peek())) ++at;
  }
  std::string_view name() {
    const std::size_t begin = at;
    while (continues_name(peek())) ++at;
    return text.substr(begin, at - begin);
  }
};

}  // namespace nuraghe::xml
