// POST to a served path: envelope in, engine, envelope out.
#include "soap/door.hpp"

#include <algorithm>

#include "bpelhost/doors.hpp"
#include "env/posix.hpp"
#include "exchange/trace.hpp"
#include "soap/envelope.hpp"

namespace nuraghe::bpelhost {
namespace {

constexpr Bytes kMessageLimit = mib(16);

soap::DecodeOptions decode_options(const std::vector<std::shared_ptr<const Service>>& services) {
  soap::DecodeOptions decode;
  decode.speaks_11 = std::any_of(services.begin(), services.end(), [](const auto& one) { return one->soap_11; });
  decode.speaks_12 = std::any_of(services.begin(), services.end(), [](const auto& one) { return one->soap_12; });
  decode.max_size = kMessageLimit;
  decode.empty_body = true;
  decode.parts = true;
  decode.any_reply_address = true;
  decode.addressing_2004 = true;
  decode.callbacks = true;
  for (const auto& service : services)
    decode.header_blocks.insert(service->header_blocks.begin(), service->header_blocks.end());
  return decode;
}

TimePoint now() { return env::system_clock().now(); }

// W3C Trace Context: what is malformed is taken as absent, and its tracestate with it. Processes keep no spans, so what
// is sound is passed on as it came.
void take_trace(exchange::Message& message, const net::HttpRequest& request) {
  if (message.traceparent.empty()) message.traceparent = std::string(request.header("traceparent"));
  if (!exchange::parse_traceparent(message.traceparent)) message.traceparent.clear();
  if (!message.traceparent.empty()) message.tracestate = exchange::checked_tracestate(request.header("tracestate"));
}

}  // namespace

void serve_soap(Host& host, const std::vector<std::shared_ptr<const Service>>& services,
                const net::HttpRequest& request, const net::HttpResponder& responder) {
  auto envelope = soap::read_request(request, decode_options(services), now());
  if (!envelope) return responder.respond(std::move(envelope.error()));
  exchange::Message& message = envelope->message;
  if (!envelope->had_message_id) message.message_id = env::make_uuid_urn(env::system_random());
  message.to = std::string(request.path());
  message.is_among_many = request.is_among_many;
  take_trace(message, request);
  soap::Asked asked = soap::asked_of(*envelope);
  const auto element = soap::body_element(message.body);
  const auto body = element ? element.name() : xml::QName();
  const auto found = find_operation(services, envelope->action, message.operation, body);
  if (!found) return responder.respond(soap::undelivered(found.error(), asked, now()));
  message.operation = asked.operation = found->operation;
  if (asked.action.empty()) asked.action = soap::default_action(message);
  const soap::HandOn way{[&host](exchange::Message handed, exchange::DeliveryHandler done) {
                           host.accept(std::move(handed), std::move(done));
                         },
                         &host.elsewhere(),
                         {},
                         now};
  soap::hand_on(way, std::move(*envelope), std::move(asked), found->one_way, responder);
}

}  // namespace nuraghe::bpelhost
