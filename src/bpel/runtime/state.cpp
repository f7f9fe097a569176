#include "bpel/runtime/state.hpp"

#include <charconv>

#include "base/check.hpp"

namespace nuraghe::bpel::runtime {
namespace {

std::optional<std::uint32_t> number_from(std::string_view text) {
  std::uint32_t value = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (error != std::errc() || end != text.data() + text.size()) return std::nullopt;
  return value;
}

// Takes what stands before the next separator.
std::string_view take(std::string_view& text, char separator) {
  const auto at = text.find(separator);
  const auto head = text.substr(0, at);
  text.remove_prefix(at == std::string_view::npos ? text.size() : at + 1);
  return head;
}

}  // namespace

void append_number(Path& path, std::uint32_t number) {
  const int bytes = number < (1U << 8) ? 1 : number < (1U << 16) ? 2 : number < (1U << 24) ? 3 : 4;
  path.push_back(static_cast<char>(bytes));
  for (int i = bytes - 1; i >= 0; --i) path.push_back(static_cast<char>((number >> (8 * i)) & 0xff));
}

Path parent_of(const Path& path) {
  std::size_t last = 0;
  for (std::size_t at = 0; at < path.size(); at += 1 + static_cast<unsigned char>(path[at])) last = at;
  return path.substr(0, last);
}

ScopeRowKind scope_row_kind(std::string_view key) {
  std::size_t at = 0;
  // No number has the length 0.
  while (at < key.size() && key[at] != '\0') at += 1 + static_cast<unsigned char>(key[at]);
  if (at >= key.size()) return ScopeRowKind::kRegion;
  return key.size() - at == 5 ? ScopeRowKind::kVariable : ScopeRowKind::kCompleted;
}

std::string path_text(const Path& path) {
  std::string out;
  for (std::size_t at = 0; at < path.size();) {
    const std::size_t bytes = static_cast<unsigned char>(path[at]);
    std::uint32_t number = 0;
    for (std::size_t i = 1; i <= bytes && at + i < path.size(); ++i) {
      number = (number << 8) | static_cast<unsigned char>(path[at + i]);
    }
    if (!out.empty()) out.push_back('.');
    out += std::to_string(number);
    at += 1 + bytes;
  }
  return out;
}

std::optional<Path> path_from_text(std::string_view text) {
  Path path;
  while (!text.empty()) {
    const auto number = number_from(take(text, '.'));
    if (!number) return std::nullopt;
    append_number(path, *number);
  }
  return path;
}

std::string to_text(const Token& token) {
  return token.instance + "/" + path_text(token.path) + "/" + std::to_string(token.frame) + "/" +
         std::to_string(token.alternative);
}

std::optional<Token> parse_token(std::string_view text) {
  Token token;
  token.instance = take(text, '/');
  auto path = path_from_text(take(text, '/'));
  const auto frame = number_from(take(text, '/'));
  const auto alternative = number_from(take(text, '/'));
  if (!path || !frame || !alternative || !text.empty()) return std::nullopt;
  token.path = std::move(*path);
  token.frame = *frame;
  token.alternative = *alternative;
  return token;
}

std::uint32_t Region::number() const {
  std::uint32_t value = 0;
  for (std::size_t at = parent_of(path).size() + 1; at < path.size(); ++at) {
    value = (value << 8) | static_cast<unsigned char>(path[at]);
  }
  return value;
}

Result<Tables> Tables::open_all(store::Store& store) {
  Tables tables;
  const std::pair<store::Table*, std::string_view> all[] = {{&tables.instance, "bpel_instance"},
                                                            {&tables.scope, "bpel_scope"},
                                                            {&tables.subscription, "bpel_subscription"},
                                                            {&tables.correlation, "bpel_correlation"},
                                                            {&tables.open, "bpel_open"},
                                                            {&tables.early, "bpel_early"},
                                                            {&tables.held, "bpel_held"},
                                                            {&tables.history, "bpel_history"},
                                                            {&tables.process, "bpel_process"},
                                                            {&tables.running, "bpel_running"},
                                                            {&tables.ended, "bpel_ended"},
                                                            {&tables.child, "bpel_child"},
                                                            {&tables.isolation, "bpel_isolation"}};
  for (const auto& [target, name] : all) {
    TRY_ASSIGN(*target, store.table(name));
  }
  return tables;
}

ValueRow to_row(const VariableValue& value) {
  ValueRow row;
  for (const auto& [name, document] : value.parts) {
    if (document) row.parts.push_back({name, document->shared_text()});
  }
  return row;
}

Result<VariableValue> from_row(const ValueRow& row) {
  VariableValue value;
  value.initialised = true;
  for (const auto& part : row.parts) {
    TRY_ASSIGN(auto document, xml::Document::parse(part.xml, {.source = "stored variable"}));
    value.parts.emplace(part.name, std::move(document).share());
  }
  return value;
}

std::string big_endian(std::uint64_t number) {
  std::string out;
  for (int shift = 56; shift >= 0; shift -= 8) out.push_back(static_cast<char>((number >> shift) & 0xff));
  return out;
}

}  // namespace nuraghe::bpel::runtime
