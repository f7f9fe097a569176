// Names of WS-BaseNotification 1.3, WS-Topics 1.3 and what they lean on.
#pragma once

#include <string_view>

namespace nuraghe::services::notification {

inline constexpr std::string_view kNotification = "http://docs.oasis-open.org/wsn/b-2";
inline constexpr std::string_view kTopics = "http://docs.oasis-open.org/wsn/t-1";
inline constexpr std::string_view kBaseFaults = "http://docs.oasis-open.org/wsrf/bf-2";
inline constexpr std::string_view kResource = "http://docs.oasis-open.org/wsrf/r-2";
inline constexpr std::string_view kResourceProperties = "http://docs.oasis-open.org/wsrf/rp-2";
inline constexpr std::string_view kAddressing = "http://www.w3.org/2005/08/addressing";
inline constexpr std::string_view kEvent = "urn:nuraghe:event:1";

// WS-Topics 1.3 §8.
inline constexpr std::string_view kSimpleDialect = "http://docs.oasis-open.org/wsn/t-1/TopicExpression/Simple";
inline constexpr std::string_view kConcreteDialect = "http://docs.oasis-open.org/wsn/t-1/TopicExpression/Concrete";
inline constexpr std::string_view kFullDialect = "http://docs.oasis-open.org/wsn/t-1/TopicExpression/Full";
inline constexpr std::string_view kXPathDialect = "http://www.w3.org/TR/1999/REC-xpath-19991116";

// WS-BaseNotification 1.3 §3: the action of what a consumer gets.
inline constexpr std::string_view kNotifyAction = "http://docs.oasis-open.org/wsn/bw-2/NotificationConsumer/Notify";

inline constexpr std::string_view kService = "/services/notification";
inline constexpr std::string_view kSubscriptions = "/services/notification/subscriptions/";
inline constexpr std::string_view kPullPoints = "/services/notification/pull-points/";

}  // namespace nuraghe::services::notification
