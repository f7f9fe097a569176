#include "services/notification/messages.hpp"

#include <fmt/format.h>

#include <charconv>
#include <iterator>

#include "services/notification/names.hpp"
#include "services/notification/topics.hpp"
#include "soap/envelope.hpp"

namespace nuraghe::services::notification {

namespace {

constexpr std::size_t kLongestReference = 16 * 1024;  // bytes of a consumer reference
constexpr std::size_t kLongestFilter = 32 * 1024;

Refusal failed(std::string reason) { return refuse("SubscribeCreationFailedFault", std::move(reason)); }

xml::Document response(std::string_view local) {
  return xml::Document::create({std::string(kNotification), std::string(local)}, "wsnt");
}

void append_reference(xml::Node parent, std::string_view local, const std::string& address) {
  parent.append_element(kNotification, local).append_text_element(kAddressing, "Address", address);
}

void append_termination(xml::Node parent, const std::optional<TimePoint>& termination) {
  if (termination) {
    parent.append_text_element(kNotification, "TerminationTime", termination->to_string());
    return;
  }
  xml::Node never = parent.append_element(kNotification, "TerminationTime");
  never.set_attribute("nil", "true", "http://www.w3.org/2001/XMLSchema-instance");
}

// Header blocks that are not a consumer's to ask for: they would speak in the name of the envelope itself.
bool may_be_parameter(std::string_view ns) {
  return !ns.empty() && ns != soap::kEnvelope11 && ns != soap::kEnvelope12 && ns != soap::kAddressing &&
         ns != soap::kContext;
}

Answer<bool> read_reference(xml::Node reference, SubscribeRequest& out) {
  const xml::Node address = reference.child(kAddressing, "Address");
  if (!address) return failed("the consumer reference has no wsa:Address");
  out.consumer = trimmed(address.text());
  if (const xml::Node parameters = reference.child(kAddressing, "ReferenceParameters")) {
    for (const xml::Node parameter : parameters.children()) {
      if (!may_be_parameter(parameter.namespace_uri()))
        return failed(fmt::format("the reference parameter {} would be a header of the envelope itself",
                                  parameter.name().to_string()));
    }
  }
  out.reference = self_contained(reference)->to_string();
  if (out.reference.size() > kLongestReference)
    return failed(fmt::format("a consumer reference has at most {} bytes", kLongestReference));
  return true;
}

Answer<bool> read_policy(xml::Node policy, SubscribeRequest& out) {
  std::vector<xml::QName> unknown;
  for (const xml::Node child : policy.children()) {
    if (child.is(kNotification, "UseRaw"))
      out.use_raw = true;
    else
      unknown.push_back(child.name());
  }
  if (unknown.empty()) return true;
  Refusal refusal =
      refuse("UnrecognizedPolicyRequestFault",
             fmt::format("the policy {} is not known; known is wsnt:UseRaw", unknown.front().to_string()));
  refusal.list = "UnrecognizedPolicy";
  refusal.names = std::move(unknown);
  return refusal;
}

}  // namespace

Answer<SubscribeRequest> read_subscribe(xml::Node body) {
  SubscribeRequest out;
  const xml::Node reference = body.child(kNotification, "ConsumerReference");
  if (!reference) return failed("wsnt:Subscribe has no wsnt:ConsumerReference");
  TRY(read_reference(reference, out));
  if (const xml::Node filter = body.child(kNotification, "Filter")) {
    out.filter = self_contained(filter)->to_string();
    if (out.filter.size() > kLongestFilter) return failed(fmt::format("a filter has at most {} bytes", kLongestFilter));
  }
  if (const xml::Node time = body.child(kNotification, "InitialTerminationTime"))
    out.termination = termination_text(time);
  if (const xml::Node policy = body.child(kNotification, "SubscriptionPolicy")) TRY(read_policy(policy, out));
  return out;
}

std::string termination_text(xml::Node element) {
  const std::string nil = element.attribute_or("nil", "false", "http://www.w3.org/2001/XMLSchema-instance");
  if (nil == "true" || nil == "1") return {};
  const std::string text = trimmed(element.text());
  return text.empty() ? "(nothing)" : text;
}

Result<std::optional<TimePoint>> read_termination(const std::string& text, TimePoint now) {
  if (text.empty()) return std::optional<TimePoint>();
  if (text.starts_with('P') || text.starts_with("-P")) {
    TRY_ASSIGN(const Duration span, parse_duration(text));
    return std::optional<TimePoint>(now + span);
  }
  TRY_ASSIGN(const TimePoint at, parse_time(text));
  return std::optional<TimePoint>(at);
}

Result<std::optional<std::int64_t>> read_maximum(xml::Node body) {
  const xml::Node element = body.child(kNotification, "MaximumNumber");
  if (!element) return std::optional<std::int64_t>();
  const std::string text = trimmed(element.text());
  std::int64_t number = 0;
  const auto parsed = std::from_chars(text.data(), text.data() + text.size(), number);
  if (parsed.ec != std::errc() || parsed.ptr != text.data() + text.size() || number < 0)
    return invalid(fmt::format("MaximumNumber '{}' is no number of messages", text));
  return std::optional<std::int64_t>(number);
}

xml::DocumentPtr write_subscribe_response(const std::string& subscription, TimePoint now,
                                          const std::optional<TimePoint>& termination) {
  xml::Document document = response("SubscribeResponse");
  append_reference(document.root(), "SubscriptionReference", subscription);
  document.root().append_text_element(kNotification, "CurrentTime", now.to_string());
  append_termination(document.root(), termination);
  return std::move(document).share();
}

xml::DocumentPtr write_renew_response(TimePoint now, const std::optional<TimePoint>& termination) {
  xml::Document document = response("RenewResponse");
  append_termination(document.root(), termination);
  document.root().append_text_element(kNotification, "CurrentTime", now.to_string());
  return std::move(document).share();
}

xml::DocumentPtr write_create_pull_point_response(const std::string& address) {
  xml::Document document = response("CreatePullPointResponse");
  append_reference(document.root(), "PullPoint", address);
  return std::move(document).share();
}

xml::DocumentPtr write_empty(std::string_view local) { return response(local).share(); }

Result<xml::DocumentPtr> write_current_message(const std::string& content) {
  TRY_ASSIGN(const xml::Document message, xml::Document::parse(content));
  xml::Document document = response("GetCurrentMessageResponse");
  document.root().append_copy(message.root());
  return std::move(document).share();
}

std::string event_xml(const exchange::Event& event) {
  std::string out = fmt::format("<event xmlns=\"{}\"><sequence>{}</sequence><time>{}</time>", kEvent, event.sequence,
                                event.time.to_string());
  const auto put = [&out](std::string_view name, const std::string& value) {
    if (value.empty()) return;
    fmt::format_to(std::back_inserter(out), "<{}>{}</{}>", name, xml::escape_text(value), name);
  };
  put("vo", event.vo);
  put("cluster", event.cluster);
  put("host", event.host);
  put("kind", event.kind);
  put("severity", event.severity);
  put("text", event.text);
  for (const auto& [name, value] : event.attributes)
    fmt::format_to(std::back_inserter(out), "<attribute name=\"{}\">{}</attribute>", xml::escape_text(name),
                   xml::escape_text(value));
  return out + "</event>";
}

std::string notification_message(const QueueRow& row, const std::string& base) {
  if (row.subscription.empty()) return row.content;
  return fmt::format(
      "<wsnt:NotificationMessage xmlns:wsnt=\"{}\" xmlns:wsa=\"{}\">"
      "<wsnt:SubscriptionReference><wsa:Address>{}{}{}</wsa:Address></wsnt:SubscriptionReference>"
      "<wsnt:Topic xmlns:topic=\"{}\" Dialect=\"{}\">topic:{}</wsnt:Topic>"
      "<wsnt:ProducerReference><wsa:Address>{}{}</wsa:Address></wsnt:ProducerReference>"
      "<wsnt:Message>{}</wsnt:Message></wsnt:NotificationMessage>",
      kNotification, kAddressing, base, kSubscriptions, row.subscription, xml::escape_text(row.topic_ns),
      kConcreteDialect, row.topic, base, xml::escape_text(row.producer), row.content);
}

Result<xml::DocumentPtr> write_messages(std::string_view local, const std::vector<std::string>& messages) {
  std::string text = fmt::format("<wsnt:{} xmlns:wsnt=\"{}\">", local, kNotification);
  for (const std::string& message : messages) text += message;
  fmt::format_to(std::back_inserter(text), "</wsnt:{}>", local);
  TRY_ASSIGN(xml::Document document, xml::Document::parse(text));
  return std::move(document).share();
}

Result<xml::DocumentPtr> for_consumer(const xml::DocumentPtr& body, const std::string& reference) {
  TRY_ASSIGN(const xml::Document consumer, xml::Document::parse(reference));
  const xml::Node parameters = consumer.root().child(kAddressing, "ReferenceParameters");
  if (!parameters || !parameters.first_child()) return body;
  xml::Document parts = xml::Document::create({std::string(soap::kParts), "parts"});
  xml::Node header = parts.root().append_element(soap::kParts, "header");
  for (const xml::Node parameter : parameters.children())
    header.append_copy(parameter).set_attribute("IsReferenceParameter", "true", kAddressing);
  parts.root().append_element(soap::kParts, "body").append_copy(body->root());
  return std::move(parts).share();
}

}  // namespace nuraghe::services::notification
