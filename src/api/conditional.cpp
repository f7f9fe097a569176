#include "api/conditional.hpp"

#include <fmt/format.h>

#include "images/digest.hpp"

namespace nuraghe::api {

namespace {

// §8.8.3: what may stand between the quotes.
bool is_tag_character(char c) {
  const auto byte = static_cast<unsigned char>(c);
  return byte == 0x21 || (byte >= 0x23 && byte != 0x7f);
}

struct Tag {
  bool weak = false;
  std::string_view quoted;  // quotes included
};

void skip(std::string_view& text, std::string_view characters) {
  text.remove_prefix(std::min(text.find_first_not_of(characters), text.size()));
}

// Takes the next tag off the list; nullopt: there is none where one must be.
std::optional<Tag> take_tag(std::string_view& text) {
  Tag tag;
  if (text.starts_with("W/")) {
    tag.weak = true;
    text.remove_prefix(2);
  }
  if (text.empty() || text.front() != '"') return std::nullopt;
  std::size_t end = 1;
  while (end < text.size() && is_tag_character(text[end])) ++end;
  if (end >= text.size() || text[end] != '"') return std::nullopt;
  tag.quoted = text.substr(0, end + 1);
  text.remove_prefix(end + 1);
  skip(text, " \t");
  if (!text.empty() && text.front() != ',') return std::nullopt;
  skip(text, " \t,");
  return tag;
}

}  // namespace

std::string entity_tag(std::string_view representation) {
  constexpr std::size_t kPrefix = 7;   // "sha256:"
  constexpr std::size_t kDigits = 32;  // 128 bits: no two representations of one resource share them
  return fmt::format("\"{}\"", images::digest_of(representation).substr(kPrefix, kDigits));
}

Result<TagCondition> TagCondition::parse(std::string_view header) {
  TagCondition condition;
  condition.list_ = std::string(header);
  std::string_view rest = header;
  skip(rest, " \t,");
  if (rest == "*") {
    condition.any_ = true;
    return condition;
  }
  bool found = false;
  while (!rest.empty()) {
    if (!take_tag(rest)) return invalid(fmt::format("'{}' is no list of entity tags such as \"abc\"", header));
    found = true;
  }
  if (!found) return invalid("a condition names no entity tag");
  return condition;
}

bool TagCondition::matches(std::string_view tag, bool strongly) const {
  if (any_) return true;
  std::string_view rest = list_;
  skip(rest, " \t,");
  while (!rest.empty()) {
    const auto one = take_tag(rest);
    if (!one) return false;
    if (one->quoted == tag && !(strongly && one->weak)) return true;
  }
  return false;
}

Status Conditions::allow_change(const std::optional<std::string>& tag) const {
  if (if_match && (!tag || !if_match->matches_strongly(*tag))) {
    if (!tag) return conflict("If-Match: there is nothing there to be changed");
    return conflict(fmt::format("If-Match: it was changed meanwhile, its entity tag is now {}; read it again", *tag));
  }
  if (if_none_match && tag && if_none_match->matches_weakly(*tag)) {
    return conflict(fmt::format("If-None-Match: it is there already, with the entity tag {}", *tag));
  }
  return {};
}

}  // namespace nuraghe::api
