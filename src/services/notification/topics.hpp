// Topic expressions of WS-Topics 1.3 §8 in its three dialects: Simple (one root topic), Concrete (a path of names) and
// Full (paths with wildcards, and alternatives). Pure.
//
// Nuraghe's topics all have a namespace. So a name without a prefix means the topic of that name in whichever one: "no
// namespace", as the standard reads it, would match nothing.
#pragma once

#include <span>
#include <string>
#include <vector>

#include "services/notification/refusal.hpp"

namespace nuraghe::services::notification {

// Without blanks of XML at its ends.
std::string trimmed(const std::string& text);

class TopicExpression {
 public:
  // Of an element of the type wsnt:TopicExpressionType: its attribute Dialect and its text, whose prefixes are resolved
  // where it stands. TopicExpressionDialectUnknownFault, InvalidTopicExpressionFault.
  static Answer<TopicExpression> read(xml::Node element);
  // Whether it means the topic with this path from its root: names, each within its namespace.
  bool matches(std::span<const xml::QName> path) const;
  bool matches(const xml::QName& root_topic) const { return matches(std::span(&root_topic, 1)); }

 private:
  enum class Kind { kName, kAny, kSelf };
  struct Step {
    Kind kind = Kind::kName;
    bool descends = false;  // "//" stands before it
    std::string ns;         // empty: any
    std::string local;
  };
  using Path = std::vector<Step>;
  class Reader;
  static bool matches(const Path& steps, std::size_t step, std::span<const xml::QName> path, std::size_t at);

  std::vector<Path> alternatives_;
};

}  // namespace nuraghe::services::notification
