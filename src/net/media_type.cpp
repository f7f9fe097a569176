#include "net/media_type.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <optional>

namespace nuraghe::net {
namespace {

constexpr std::size_t kLongestBoundary = 70;  // RFC 2046 §5.1.1

bool is_blank(char c) { return c == ' ' || c == '\t'; }

std::string_view trimmed(std::string_view text) {
  while (!text.empty() && is_blank(text.front())) text.remove_prefix(1);
  while (!text.empty() && (is_blank(text.back()) || text.back() == '\r')) text.remove_suffix(1);
  return text;
}

std::string in_small_letters(std::string_view text) {
  std::string small(text);
  for (char& c : small) c = c >= 'A' && c <= 'Z' ? static_cast<char>(c - 'A' + 'a') : c;
  return small;
}

// Takes a parameter's value off the front of `rest`, up to the ';' behind it.
std::string take_value(std::string_view& rest) {
  std::string value;
  if (rest.starts_with('"')) {
    rest.remove_prefix(1);
    while (!rest.empty() && rest.front() != '"') {
      if (rest.front() == '\\' && rest.size() > 1) rest.remove_prefix(1);
      value.push_back(rest.front());
      rest.remove_prefix(1);
    }
    rest.remove_prefix(std::min(rest.size(), rest.find(';')));
    return value;
  }
  const auto end = std::min(rest.size(), rest.find(';'));
  value = trimmed(rest.substr(0, end));
  rest.remove_prefix(end);
  return value;
}

// The next line of `rest` without its end.
std::string_view take_line(std::string_view& rest) {
  const auto end = rest.find('\n');
  std::string_view line = rest.substr(0, end);
  rest.remove_prefix(end == std::string_view::npos ? rest.size() : end + 1);
  if (line.ends_with('\r')) line.remove_suffix(1);
  return line;
}

// A line of dashes and the boundary.
struct Delimiter {
  std::size_t begin = 0;  // of the line; the line's end before it belongs to it
  std::size_t end = 0;    // behind the line
  bool last = false;
};

// The first delimiter at or behind `from`, which is the begin of a line.
std::optional<Delimiter> find_delimiter(std::string_view body, std::string_view boundary, std::size_t from) {
  const std::string dashes = "--" + std::string(boundary);
  for (auto at = body.find(dashes, from); at != std::string_view::npos; at = body.find(dashes, at + 1)) {
    if (at > from && body[at - 1] != '\n') continue;
    std::string_view rest = body.substr(at + dashes.size());
    const std::string_view line = take_line(rest);
    const bool last = line.starts_with("--");
    // A longer boundary begins alike. Behind the last delimiter anything may follow.
    if (!last && !trimmed(line).empty()) continue;
    return Delimiter{at, body.size() - rest.size(), last};
  }
  return std::nullopt;
}

Part read_part(std::string_view text) {
  Part part;
  while (!text.empty()) {
    const std::string_view line = take_line(text);
    if (line.empty()) break;
    // RFC 5322 §2.2.3: a line that begins with a blank goes on with the header before it.
    if (is_blank(line.front()) && !part.headers.empty()) {
      part.headers.back().value.append(" ").append(trimmed(line));
      continue;
    }
    const auto colon = line.find(':');
    if (colon == std::string_view::npos) continue;
    part.headers.push_back({std::string(trimmed(line.substr(0, colon))), std::string(trimmed(line.substr(colon + 1)))});
  }
  part.content = text;
  return part;
}

std::string_view without_brackets(std::string_view id) {
  return id.size() > 1 && id.starts_with('<') && id.ends_with('>') ? id.substr(1, id.size() - 2) : id;
}

std::string_view without_line_end(std::string_view text) {
  if (text.ends_with('\n')) text.remove_suffix(1);
  if (text.ends_with('\r')) text.remove_suffix(1);
  return text;
}

}  // namespace

std::string_view MediaType::parameter(std::string_view wanted) const {
  const auto found =
      std::find_if(parameters.begin(), parameters.end(), [&](const auto& p) { return p.first == wanted; });
  return found == parameters.end() ? std::string_view() : std::string_view(found->second);
}

MediaType parse_media_type(std::string_view text) {
  MediaType type;
  const auto end = std::min(text.size(), text.find(';'));
  type.name = in_small_letters(trimmed(text.substr(0, end)));
  std::string_view rest = text.substr(end);
  while (!rest.empty()) {
    rest.remove_prefix(1);  // the ';'
    const auto equals = rest.find_first_of("=;");
    if (equals == std::string_view::npos) break;
    const std::string name = in_small_letters(trimmed(rest.substr(0, equals)));
    const bool has_value = rest[equals] == '=';
    rest.remove_prefix(has_value ? equals + 1 : equals);
    if (!has_value) continue;
    while (!rest.empty() && is_blank(rest.front())) rest.remove_prefix(1);
    std::string value = take_value(rest);
    if (!name.empty()) type.parameters.emplace_back(name, std::move(value));
  }
  return type;
}

Result<Part> root_part(const MediaType& type, std::string_view body) {
  const std::string_view boundary = type.parameter("boundary");
  if (boundary.empty() || boundary.size() > kLongestBoundary) {
    return invalid(fmt::format("{} needs a parameter boundary of 1 to {} characters", type.name, kLongestBoundary));
  }
  const std::string_view start = without_brackets(trimmed(type.parameter("start")));
  auto before = find_delimiter(body, boundary, 0);
  while (before && !before->last) {
    const auto behind = find_delimiter(body, boundary, before->end);
    if (!behind) break;
    // A part without content has no line end of its own before the delimiter.
    const auto size = behind->begin - before->end;
    Part part = read_part(size == 0 ? std::string_view() : without_line_end(body.substr(before->end, size)));
    if (start.empty() || without_brackets(part.header("Content-ID")) == start) return part;
    before = behind;
  }
  if (!before)
    return invalid(fmt::format("the body has no line --{}, which begins each part of {}", boundary, type.name));
  if (!before->last)
    return invalid(fmt::format("a part of the {} body is not closed by a line --{}", type.name, boundary));
  if (start.empty()) return invalid(fmt::format("the {} body has no part", type.name));
  return invalid(
      fmt::format("no part of the {} body has the Content-ID <{}>, which its start names", type.name, start));
}

}  // namespace nuraghe::net
