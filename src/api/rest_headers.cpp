#include "api/rest_headers.hpp"

#include <algorithm>
#include <charconv>

#include "net/media_type.hpp"

namespace nuraghe::api {

namespace {

// The first of what commas part; quotes hide commas.
std::string_view take_element(std::string_view& list) {
  bool quoted = false;
  std::size_t end = 0;
  for (; end < list.size() && (quoted || list[end] != ','); ++end) {
    if (list[end] == '"') quoted = !quoted;
    if (quoted && list[end] == '\\' && end + 1 < list.size()) ++end;
  }
  std::string_view element = list.substr(0, end);
  list.remove_prefix(std::min(end + 1, list.size()));
  while (!element.empty() && (element.front() == ' ' || element.front() == '\t')) element.remove_prefix(1);
  while (!element.empty() && (element.back() == ' ' || element.back() == '\t')) element.remove_suffix(1);
  return element;
}

// §12.4.2: 0, 0.0, 0.00 and 0.000 mean "not acceptable".
bool is_refusal(std::string_view quality) {
  return !quality.empty() && quality.front() == '0' && quality.find_first_not_of("0.") == std::string_view::npos;
}

// How exactly a media range names the type: 0 not at all, 3 by its name.
int exactness(std::string_view range, std::string_view type) {
  if (range == type) return 3;
  if (range == "*/*") return 1;
  const std::string_view family = type.substr(0, type.find('/') + 1);
  return range.size() == family.size() + 1 && range.starts_with(family) && range.back() == '*' ? 2 : 0;
}

Result<std::string> decoded(std::string_view text) {
  std::string plain(text);
  std::replace(plain.begin(), plain.end(), '+', ' ');
  return net::percent_decode(plain);
}

}  // namespace

Result<QueryParameters> query_of(std::string_view target) {
  QueryParameters parameters;
  const std::size_t mark = target.find('?');
  if (mark == std::string_view::npos) return parameters;
  std::string_view rest = target.substr(mark + 1);
  while (!rest.empty()) {
    const std::string_view pair = rest.substr(0, rest.find('&'));
    rest.remove_prefix(std::min(pair.size() + 1, rest.size()));
    if (pair.empty()) continue;
    const std::size_t equals = pair.find('=');
    TRY_ASSIGN(std::string name, decoded(pair.substr(0, equals)));
    TRY_ASSIGN(std::string value, decoded(equals == std::string_view::npos ? "" : pair.substr(equals + 1)));
    parameters.emplace_back(std::move(name), std::move(value));
  }
  return parameters;
}

bool accepts(std::string_view header, std::string_view type) {
  bool any = false;
  int best = 0;
  bool taken = false;
  while (!header.empty()) {
    const std::string_view element = take_element(header);
    if (element.empty()) continue;
    any = true;
    const net::MediaType range = net::parse_media_type(element);
    const int exact = exactness(range.name, type);
    if (exact <= best) continue;
    best = exact;
    taken = !is_refusal(range.parameter("q"));
  }
  return !any || taken;
}

bool is_json(std::string_view content_type) {
  const net::MediaType type = net::parse_media_type(content_type);
  if (type.name != "application/json" && !(type.name.starts_with("application/") && type.name.ends_with("+json"))) {
    return false;
  }
  const std::string_view charset = type.parameter("charset");
  return charset.empty() || net::equal_without_case(charset, "utf-8");
}

Preferences preferences_of(std::string_view header) {
  Preferences preferences;
  while (!header.empty()) {
    std::string_view element = take_element(header);
    element = element.substr(0, element.find(';'));
    const std::size_t equals = element.find('=');
    std::string_view name = element.substr(0, equals);
    while (!name.empty() && name.back() == ' ') name.remove_suffix(1);
    if (net::equal_without_case(name, "respond-async")) preferences.respond_async = true;
    if (!net::equal_without_case(name, "wait") || equals == std::string_view::npos) continue;
    std::int64_t seconds = 0;
    const std::string_view text = element.substr(equals + 1);
    const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), seconds);
    constexpr std::int64_t kMostSeconds = 600;
    if (error != std::errc() || end != text.data() + text.size() || seconds < 0) continue;
    preferences.wait = std::chrono::seconds(std::min(seconds, kMostSeconds));
  }
  return preferences;
}

Result<std::optional<std::string>> idempotency_key(const net::HttpRequest& request) {
  std::string_view text = request.header("Idempotency-Key");
  const bool there = std::ranges::any_of(request.headers, [](const net::HttpHeader& header) {
    return net::equal_without_case(header.name, "Idempotency-Key");
  });
  if (!there) return std::optional<std::string>();
  if (text.size() >= 2 && text.front() == '"' && text.back() == '"') text = text.substr(1, text.size() - 2);
  constexpr std::size_t kLongest = 255;
  const bool visible = std::ranges::all_of(text, [](char c) { return c > ' ' && c < 0x7f && c != '"' && c != '\\'; });
  if (text.empty() || text.size() > kLongest || !visible) {
    return invalid("an Idempotency-Key is a text of 1 to 255 visible characters, such as a UUID");
  }
  return std::optional<std::string>(text);
}

}  // namespace nuraghe::api
