#include "wsrf/producer.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <array>

#include "wsrf/names.hpp"

namespace nuraghe::wsrf {
namespace {

constexpr std::string_view kTopicExpression = "TopicExpression";
constexpr std::string_view kFixedTopicSet = "FixedTopicSet";
constexpr std::string_view kDialect = "TopicExpressionDialect";
constexpr std::string_view kTopicSet = "TopicSet";
// WS-Topics 1.3 §8.
constexpr std::string_view kConcrete = "http://docs.oasis-open.org/wsn/t-1/TopicExpression/Concrete";
constexpr std::array<std::string_view, 3> kDialects{"http://docs.oasis-open.org/wsn/t-1/TopicExpression/Simple",
                                                    kConcrete,
                                                    "http://docs.oasis-open.org/wsn/t-1/TopicExpression/Full"};

void append_expression(xml::Node document, std::string_view topic) {
  document.append_text_element(kNotification, kTopicExpression, fmt::format("topic:{}", topic))
      .set_attribute("Dialect", kConcrete);
}

}  // namespace

void append_producer(const Address& address, xml::Node document) {
  const std::string_view ns = address.service->name_space;
  document.declare_namespace("topic", ns);
  std::vector<std::string_view> names;
  for (const auto& topic : address.service->topics) names.push_back(topic.name);
  for (const auto& property : address.resource->properties) names.push_back(property.name);
  std::ranges::sort(names);
  for (const auto name : names) append_expression(document, name);
  document.append_text_element(kNotification, kFixedTopicSet, "true");
  for (const auto dialect : kDialects) document.append_text_element(kNotification, kDialect, dialect);
  xml::Node set = document.append_element(kTopics, kTopicSet);
  // A property's element is declared in the service's schema, and there without the attribute of a topic.
  for (const auto& topic : address.service->topics)
    set.append_element(ns, topic.name).set_attribute("topic", "true", kTopics);
}

bool is_of_producer(const xml::QName& name) {
  if (name.ns == kTopics) return name.local == kTopicSet;
  if (name.ns != kNotification) return false;
  return name.local == kTopicExpression || name.local == kFixedTopicSet || name.local == kDialect;
}

}  // namespace nuraghe::wsrf
