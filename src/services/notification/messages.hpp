// The messages of WS-BaseNotification 1.3: what is asked, read and checked; what is answered and told, written. Pure.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "exchange/exchange.hpp"
#include "services/notification/filter.hpp"
#include "services/notification/rows.hpp"

namespace nuraghe::services::notification {

// wsnt:Subscribe §4.2.
struct SubscribeRequest {
  std::string consumer;                    // address
  std::string reference;                   // the whole reference, as XML text
  std::string filter;                      // as XML text; empty: none
  std::optional<std::string> termination;  // InitialTerminationTime; "": nil; nullopt: absent
  bool use_raw = false;
};
Answer<SubscribeRequest> read_subscribe(xml::Node body);

// An absolute time or a duration from now (wsnt:AbsoluteOrRelativeTimeType); nullopt for "" (nil): never. kInvalid.
Result<std::optional<TimePoint>> read_termination(const std::string& text, TimePoint now);
// The text of an element of that type, "" when it is nil.
std::string termination_text(xml::Node element);
// MaximumNumber of wsnt:GetMessages §5.1.1; nullopt: absent. kInvalid.
Result<std::optional<std::int64_t>> read_maximum(xml::Node body);

xml::DocumentPtr write_subscribe_response(const std::string& subscription, TimePoint now,
                                          const std::optional<TimePoint>& termination);
xml::DocumentPtr write_renew_response(TimePoint now, const std::optional<TimePoint>& termination);
xml::DocumentPtr write_create_pull_point_response(const std::string& address);
// "UnsubscribeResponse" and the like: without content.
xml::DocumentPtr write_empty(std::string_view response);
// wsnt:GetCurrentMessageResponse around the message's root element.
Result<xml::DocumentPtr> write_current_message(const std::string& content);

// {urn:nuraghe:event:1}event (contracts/event.xsd).
std::string event_xml(const exchange::Event& event);

// wsnt:NotificationMessage as XML text. `base` stands before the paths.
std::string notification_message(const QueueRow& row, const std::string& base);
// `local` is "Notify" or "GetMessagesResponse": an element of that name around notification messages.
Result<xml::DocumentPtr> write_messages(std::string_view local, const std::vector<std::string>& messages);
// What a consumer gets: the body, and the reference parameters as header blocks (WS-Addressing 1.0 SOAP Binding §3.4).
Result<xml::DocumentPtr> for_consumer(const xml::DocumentPtr& body, const std::string& reference);

}  // namespace nuraghe::services::notification
