// POST to a served path: envelope in, engine, envelope out.
#include <fmt/format.h>

#include <algorithm>

#include "bpelhost/doors.hpp"
#include "env/posix.hpp"
#include "soap/attachments.hpp"
#include "soap/envelope.hpp"

namespace nuraghe::bpelhost {
namespace {

using exchange::Message;
using net::HttpResponse;
using soap::ProtocolFault;
using soap::Version;
using Code = ProtocolFault::Code;

constexpr Bytes kMessageLimit = mib(16);

HttpResponse envelope_response(int status, Version version, std::string text) {
  HttpResponse response;
  response.status = status;
  response.content_type = std::string(soap::content_type(version));
  response.body = std::move(text);
  return response;
}

// SOAP 1.1 §6.2: 500, but 400 for what is no envelope (WS-I Basic Profile 1.1 R1113). SOAP 1.2 part 2 table 20: 400
// for a Sender's fault.
int status_of(const ProtocolFault& fault) {
  if (fault.code == Code::kMalformed) return 400;
  const bool of_sender = fault.code == Code::kClient || fault.code == Code::kWsAddressing;
  return fault.version == Version::k12 && of_sender ? 400 : 500;
}

// What is known of the request when the answer comes.
struct Asked {
  std::string message_id;
  std::string action;
  std::string operation;
  Version version = Version::k11;
  bool addressed = false;
};

HttpResponse answered(Message reply, const Asked& asked, int fault_status) {
  if (reply.relates_to.empty()) reply.relates_to = asked.message_id;
  reply.operation = asked.operation;
  reply.caller.clear();
  reply.to.clear();
  reply.conversation.clear();
  int status = 200;
  if (reply.fault) status = asked.version == Version::k12 && reply.fault->from_sender ? 400 : fault_status;
  return envelope_response(status, asked.version,
                           soap::encode(reply, {asked.version, soap::reply_action(asked.action), asked.addressed}));
}

HttpResponse undelivered(const Error& error, const Asked& asked) {
  Message reply;
  reply.fault = exchange::fault_of(error, "");
  const bool busy = error.code() == ErrorCode::kExhausted || error.code() == ErrorCode::kUnavailable;
  HttpResponse response = answered(std::move(reply), asked, busy ? 503 : 500);
  if (busy) response.headers.push_back({"Retry-After", "1"});
  return response;
}

HttpResponse refused(int status, const ProtocolFault& fault) {
  return envelope_response(status, fault.version, soap::encode(fault));
}

soap::DecodeOptions decode_options(const std::vector<std::shared_ptr<const Service>>& services) {
  soap::DecodeOptions decode;
  decode.speaks_11 = std::any_of(services.begin(), services.end(), [](const auto& one) { return one->soap_11; });
  decode.speaks_12 = std::any_of(services.begin(), services.end(), [](const auto& one) { return one->soap_12; });
  decode.max_size = kMessageLimit;
  decode.empty_body = true;
  decode.parts = true;
  decode.any_reply_address = true;
  for (const auto& service : services)
    decode.header_blocks.insert(service->header_blocks.begin(), service->header_blocks.end());
  return decode;
}

}  // namespace

void serve_soap(Host& host, const std::vector<std::shared_ptr<const Service>>& services,
                const net::HttpRequest& request, const net::HttpResponder& responder) {
  soap::DecodeOptions decode = decode_options(services);
  const Version first = decode.speaks_11 ? Version::k11 : Version::k12;
  const auto part = soap::envelope_part(request.header("Content-Type"), request.body);
  if (!part) {
    const bool unsupported = part.error().code() == ErrorCode::kUnsupported;
    return responder.respond(refused(unsupported ? 415 : 400, {Code::kClient, part.error().message(), {}, {}, first}));
  }
  const std::string& type = part->type.name;
  const bool is_12 = type == "application/soap+xml";
  if (!is_12 && !type.empty() && type != "text/xml" && type != "application/xml") {
    return responder.respond(refused(
        415, {Code::kClient, "a SOAP request has the content type text/xml or application/soap+xml", {}, {}, first}));
  }
  decode.charset = soap::charset_of(part->type);
  // SOAP 1.2's media type has it as a parameter (RFC 3902).
  decode.soap_action = is_12 ? part->type.parameter("action") : request.header("SOAPAction");
  auto envelope = soap::decode_request(part->text, decode);
  if (!envelope) {
    auto& fault = envelope.error();
    if (fault.code == Code::kMalformed && !decode.speaks_11) fault.version = Version::k12;
    return responder.respond(refused(status_of(fault), fault));
  }
  Message message = std::move(envelope->message);
  if (!envelope->had_message_id) message.message_id = env::make_uuid_urn(env::system_random());
  message.to = std::string(request.path());
  if (message.traceparent.empty()) message.traceparent = std::string(request.header("traceparent"));
  Asked asked{message.message_id, envelope->action, message.operation, envelope->version, envelope->addressed};
  const auto element = soap::body_element(message.body);
  const auto body = element ? element.name() : xml::QName();
  const auto found = find_operation(services, envelope->action, message.operation, body);
  if (!found) return responder.respond(undelivered(found.error(), asked));
  message.operation = asked.operation = found->operation;
  message.one_way = message.one_way || found->one_way;
  if (!message.one_way && !envelope->reply_address.empty()) {
    const ProtocolFault fault{
        Code::kWsAddressing,
        fmt::format("replies to {} are not sent: only the anonymous address", envelope->reply_address),
        "OnlyAnonymousAddressSupported", message.message_id, envelope->version};
    return responder.respond(refused(status_of(fault), fault));
  }
  if (asked.action.empty()) asked.action = soap::default_action(message);
  const bool one_way = message.one_way;
  host.accept(std::move(message), [asked = std::move(asked), one_way, responder](Result<Message> outcome) {
    auto shared = std::make_shared<Result<Message>>(std::move(outcome));
    // Encoded on the io thread: the exchange's thread is the one that all wait for.
    responder.respond_with([asked, one_way, shared] {
      if (!*shared) return undelivered(shared->error(), asked);
      if (one_way && !(*shared)->fault) {
        HttpResponse accepted;
        accepted.status = 202;
        return accepted;
      }
      return answered(std::move(**shared), asked, 500);
    });
  });
}

}  // namespace nuraghe::bpelhost
