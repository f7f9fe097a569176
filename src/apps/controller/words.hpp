// Taking options apart.
#pragma once

#include <charconv>
#include <string>
#include <vector>

#include <fmt/format.h>

#include "base/result.hpp"

namespace nuraghe::controller {

inline std::vector<std::string> split(const std::string& text, char separator) {
  std::vector<std::string> parts;
  std::size_t begin = 0;
  while (true) {
    const auto end = text.find(separator, begin);
    parts.push_back(text.substr(begin, end - begin));
    if (end == std::string::npos) return parts;
    begin = end + 1;
  }
}

inline Result<int> to_int(const std::string& text) {
  int value = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (error != std::errc() || end != text.data() + text.size() || value < 1)
    return invalid(fmt::format("'{}' is not a number above 0", text));
  return value;
}

}  // namespace nuraghe::controller
