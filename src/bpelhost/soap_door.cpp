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

HttpResponse accepted() {
  HttpResponse response;
  response.status = 202;
  return response;
}

// Why an answer cannot be sent where the request wants it (WS-Addressing 1.0 SOAP binding §6.4).
std::optional<ProtocolFault> refusal(const soap::Envelope& envelope) {
  const auto& id = envelope.message.message_id;
  if (!envelope.had_message_id) {
    return ProtocolFault{Code::kWsAddressing,
                         "an answer that is sent elsewhere relates to a wsa:MessageID: there is none",
                         "MessageAddressingHeaderRequired", "", envelope.version};
  }
  for (const auto* answer : {&envelope.reply_to, &envelope.fault_to}) {
    if (!answer->is_elsewhere() || net::parse_url(answer->address)) continue;
    return ProtocolFault{Code::kWsAddressing,
                         fmt::format("answers cannot be sent to {}: only to an address of HTTP", answer->address),
                         "InvalidAddressingHeader", id, envelope.version};
  }
  return std::nullopt;
}

// An answer that the connection does not get, or not in every case.
void serve_elsewhere(Host& host, soap::Envelope envelope, Asked asked, const net::HttpResponder& responder) {
  if (const auto fault = refusal(envelope)) return responder.respond(refused(status_of(*fault), *fault));
  // §3.4: a fault goes where the reply goes unless wsa:FaultTo says otherwise.
  AnswerPlan plan{envelope.reply_to, envelope.fault_to.address.empty() ? envelope.reply_to : envelope.fault_to,
                  soap::reply_action(asked.action), envelope.version == Version::k12};
  const auto on_connection = [](const soap::AnswerAddress& answer) {
    return answer.address.empty() || answer.address == soap::kAnonymous;
  };
  const auto said = [asked, responder](const Status& status) {
    responder.respond(status ? accepted() : undelivered(status.error(), asked));
  };
  if (!on_connection(plan.reply_to) && !on_connection(plan.fault_to))
    return host.accept_elsewhere(std::move(envelope.message), std::move(plan), said);
  // Which of the two it is, the outcome tells.
  host.accept(std::move(envelope.message), [=, &host](Result<Message> outcome) {
    if (!outcome) return said(outcome.error());
    if (on_connection(outcome->fault ? plan.fault_to : plan.reply_to))
      return responder.respond(answered(std::move(*outcome), asked, 500));
    outcome->operation = asked.operation;
    host.answer_elsewhere(asked.message_id, plan, std::move(*outcome), said);
  });
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
  if (asked.action.empty()) asked.action = soap::default_action(message);
  if (!found->one_way && (envelope->reply_to.is_elsewhere() || envelope->fault_to.is_elsewhere())) {
    message.one_way = false;
    envelope->message = std::move(message);
    return serve_elsewhere(host, std::move(*envelope), std::move(asked), responder);
  }
  const bool one_way = message.one_way;
  host.accept(std::move(message), [asked = std::move(asked), one_way, responder](Result<Message> outcome) {
    auto shared = std::make_shared<Result<Message>>(std::move(outcome));
    // Encoded on the io thread: the exchange's thread is the one that all wait for.
    responder.respond_with([asked, one_way, shared] {
      if (!*shared) return undelivered(shared->error(), asked);
      if (one_way && !(*shared)->fault) return accepted();
      return answered(std::move(**shared), asked, 500);
    });
  });
}

}  // namespace nuraghe::bpelhost
