// The filter of a subscription (WS-BaseNotification 1.3 §4.2): topic expressions, an XPath 1.0 condition on what is
// told and one on the producer's resource properties. A notification is told when all of them hold. Pure; the work of
// the conditions is bounded.
#pragma once

#include <optional>
#include <vector>

#include "services/notification/topics.hpp"
#include "xml/xpath.hpp"

namespace nuraghe::services::notification {

class Filter {
 public:
  // Of an element wsnt:Filter; null: one that lets everything pass. InvalidFilterFault and the faults of its parts.
  static Answer<Filter> read(xml::Node element);

  const std::vector<TopicExpression>& topics() const { return topics_; }
  bool matches_topic(const xml::QName& topic) const;
  // What the message's root element says. kExhausted: the condition takes more work than is allowed.
  Result<bool> matches_content(xml::Node content) const;
  bool asks_properties() const { return properties_.has_value(); }
  // Of the producer's resource properties document. Errors as above.
  Result<bool> matches_properties(xml::Node document) const;

 private:
  std::vector<TopicExpression> topics_;
  std::optional<xml::XPath> content_, properties_;
};

// The element as a document of its own, with the prefixes in scope: its texts may hold names.
xml::DocumentPtr self_contained(xml::Node element);

}  // namespace nuraghe::services::notification
