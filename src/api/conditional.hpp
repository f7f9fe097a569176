// Conditional requests (RFC 9110 §8.8.3, §13): entity tags and what If-Match and If-None-Match say of one. Pure.
#pragma once

#include <optional>
#include <string>
#include <string_view>

#include "base/result.hpp"

namespace nuraghe::api {

// The strong entity tag of a representation, quotes included: a digest of its bytes.
std::string entity_tag(std::string_view representation);
// What an If-Match or If-None-Match header asks for.
class TagCondition {
 public:
  // kInvalid when the text is neither * nor a list of entity tags.
  static Result<TagCondition> parse(std::string_view header);
  // §8.8.3.2: strongly (If-Match: weak tags match nothing), weakly (If-None-Match).
  bool matches_strongly(std::string_view tag) const { return matches(tag, true); }
  bool matches_weakly(std::string_view tag) const { return matches(tag, false); }
  bool is_any() const { return any_; }

 private:
  bool matches(std::string_view tag, bool strongly) const;
  bool any_ = false;
  std::string list_;
};

// The two headers of a request; nullopt: it has none of that name.
struct Conditions {
  std::optional<TagCondition> if_match, if_none_match;
  bool any() const { return if_match || if_none_match; }
  // Whether a change may be made of what has the tag; nullopt: there is nothing there. §13.2.2: kConflict, to be
  // answered with 412.
  Status allow_change(const std::optional<std::string>& tag) const;
};

}  // namespace nuraghe::api
