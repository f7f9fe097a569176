#include "services/notification/filter.hpp"

#include <fmt/format.h>

#include <algorithm>

#include "services/notification/names.hpp"

namespace nuraghe::services::notification {

namespace {

constexpr std::size_t kLongestCondition = 4096;  // bytes
constexpr std::size_t kMostTopics = 16;
// An event has some twenty nodes, a property document some hundreds.
constexpr std::int64_t kMostOperations = 20'000;
constexpr std::int64_t kMostWideOperations = 5'000;

Answer<xml::XPath> read_condition(xml::Node element, std::string_view fault) {
  const std::string dialect = element.attribute_or("Dialect", "");
  if (dialect != kXPathDialect)
    return refuse(fault, fmt::format("the dialect '{}' of {} is not known; known is {}", dialect, element.local_name(),
                                     kXPathDialect));
  const std::string text = element.text();
  if (element.has_element_children() || text.size() > kLongestCondition)
    return refuse(fault, fmt::format("{} is an XPath expression of at most {} characters", element.local_name(),
                                     kLongestCondition));
  auto compiled = xml::XPath::compile(text, element);
  if (!compiled) return refuse(fault, fmt::format("{}: {}", element.local_name(), compiled.error().to_string()));
  if (!compiled->variables().empty() || !compiled->prefixed_functions().empty())
    return refuse(fault,
                  fmt::format("{} may use no variables and no functions but those of XPath 1.0", element.local_name()));
  return std::move(*compiled);
}

Result<bool> holds(const std::optional<xml::XPath>& condition, xml::Node node) {
  if (!condition) return true;
  xml::XPathContext context;
  context.node = node;
  context.max_operations = kMostOperations;
  context.max_wide_operations = kMostWideOperations;
  TRY_ASSIGN(const auto value, condition->evaluate(context));
  return xml::to_boolean(value);
}

}  // namespace

xml::DocumentPtr self_contained(xml::Node element) {
  xml::Document document = xml::Document::copy_of(element);
  xml::Node root = document.root();
  for (const auto& [prefix, uri] : element.namespaces_in_scope()) {
    if (prefix == "xml" || prefix.empty() || root.namespace_of_prefix(prefix)) continue;
    root.declare_namespace(prefix, uri);
  }
  return std::move(document).share();
}

Answer<Filter> Filter::read(xml::Node element) {
  Filter filter;
  if (!element) return filter;
  std::vector<xml::QName> unknown;
  for (const xml::Node child : element.children()) {
    if (child.is(kNotification, "TopicExpression")) {
      if (filter.topics_.size() == kMostTopics)
        return refuse("SubscribeCreationFailedFault",
                      fmt::format("a filter has at most {} topic expressions", kMostTopics));
      TRY_ASSIGN(auto topic, TopicExpression::read(child));
      filter.topics_.push_back(std::move(topic));
    } else if (child.is(kNotification, "MessageContent") && !filter.content_) {
      TRY_ASSIGN(filter.content_, read_condition(child, "InvalidMessageContentExpressionFault"));
    } else if (child.is(kNotification, "ProducerProperties") && !filter.properties_) {
      TRY_ASSIGN(filter.properties_, read_condition(child, "InvalidProducerPropertiesExpressionFault"));
    } else {
      unknown.push_back(child.name());
    }
  }
  if (unknown.empty()) return filter;
  Refusal refusal = refuse("InvalidFilterFault", fmt::format("the filter {} is not known, or stands there twice",
                                                             unknown.front().to_string()));
  refusal.list = "UnknownFilter";
  refusal.names = std::move(unknown);
  return refusal;
}

bool Filter::matches_topic(const xml::QName& topic) const {
  return std::all_of(topics_.begin(), topics_.end(),
                     [&](const TopicExpression& expression) { return expression.matches(topic); });
}

Result<bool> Filter::matches_content(xml::Node content) const { return holds(content_, content); }

Result<bool> Filter::matches_properties(xml::Node document) const { return holds(properties_, document); }

}  // namespace nuraghe::services::notification
