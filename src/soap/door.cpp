#include "soap/door.hpp"

#include <fmt/format.h>

#include <optional>

#include "net/content_coding.hpp"
#include "soap/attachments.hpp"

namespace nuraghe::soap {
namespace {

using exchange::Message;
using net::HttpResponse;
using Code = ProtocolFault::Code;

HttpResponse envelope_response(int status, Version version, std::string text) {
  HttpResponse response;
  response.status = status;
  response.content_type = std::string(content_type(version));
  response.body = std::move(text);
  return response;
}

HttpResponse accepted() {
  HttpResponse response;
  response.status = 202;
  return response;
}

int status_of(const ProtocolFault& fault) {
  if (fault.code == Code::kMalformed) return 400;
  const bool of_sender = fault.code == Code::kClient || fault.code == Code::kWsAddressing;
  return fault.version == Version::k12 && of_sender ? 400 : 500;
}

// The fault of WS-Addressing that says what an error says; nullopt: none does.
std::optional<ProtocolFault> addressing_fault(const Error& error, const Asked& asked) {
  if (!asked.addressed) return std::nullopt;
  ProtocolFault fault{Code::kWsAddressing, error.to_string(), {}, asked.message_id, asked.version};
  fault.problem = asked.to;
  switch (error.code()) {
    case ErrorCode::kNotFound:
      fault.subcode = "DestinationUnreachable";
      return fault;
    case ErrorCode::kUnavailable:
      fault.subcode = "EndpointUnavailable";
      return fault;
    case ErrorCode::kUnsupported:
      fault.subcode = "ActionNotSupported";
      fault.problem = asked.action;
      return fault;
    default:
      return std::nullopt;
  }
}

bool is_on_connection(const AnswerAddress& answer) { return answer.address.empty() || answer.address == kAnonymous; }

// Why an answer cannot be sent where the request wants it (WS-Addressing 1.0 SOAP Binding §6.4); nullopt: it can.
std::optional<ProtocolFault> refusal(const HandOn& way, const Envelope& envelope) {
  ProtocolFault fault{
      Code::kWsAddressing, {}, "InvalidAddressingHeader", envelope.message.message_id, envelope.version};
  if (!envelope.had_message_id) {
    fault.relates_to.clear();
    fault.reason = "an answer that is sent elsewhere relates to a wsa:MessageID: there is none";
    fault.subcode = "MessageAddressingHeaderRequired";
    fault.problem = "MessageID";
    return fault;
  }
  for (const auto& [answer, name] :
       {std::pair(&envelope.reply_to, "ReplyTo"), std::pair(&envelope.fault_to, "FaultTo")}) {
    if (!answer->is_elsewhere()) continue;
    fault.problem = name;
    if (way.elsewhere == nullptr) {
      fault.reason = fmt::format("replies to {} are not sent: only the anonymous address", answer->address);
      fault.detail_code = "OnlyAnonymousAddressSupported";
      return fault;
    }
    fault.detail_code = "InvalidAddress";
    const Status may = way.may_call_back ? way.may_call_back(answer->address) : Status();
    if (!may) {
      fault.reason = may.error().to_string();
      return fault;
    }
    if (net::parse_url(answer->address)) continue;
    fault.reason = fmt::format("answers cannot be sent to {}: only to an address of HTTP", answer->address);
    return fault;
  }
  return std::nullopt;
}

// Its precondition has to hold when it is taken.
void take(const HandOn& way, Message request, AnswerPlan plan, std::function<void(Status)> done) {
  if (!request.precondition) return way.elsewhere->take(std::move(request), std::move(plan), std::move(done));
  if (!way.ask_first) {
    return done(
        unsupported(fmt::format("{} is answered over the connection only: leave its wsa:ReplyTo and wsa:FaultTo "
                                "out",
                                request.operation)));
  }
  const auto shared = std::make_shared<Message>(std::move(request));
  way.ask_first(*shared, [elsewhere = way.elsewhere, shared, plan = std::move(plan),
                          done = std::move(done)](const Status& holds) mutable {
    if (!holds) return done(holds);
    shared->precondition.reset();
    elsewhere->take(std::move(*shared), std::move(plan), std::move(done));
  });
}

// An answer that the connection does not get, or not in every case.
void answer_elsewhere(const HandOn& way, Envelope envelope, Asked asked, const net::HttpResponder& responder) {
  // §3.4: a fault goes where the reply goes unless wsa:FaultTo says otherwise.
  AnswerPlan plan{envelope.reply_to,          envelope.fault_to.address.empty() ? envelope.reply_to : envelope.fault_to,
                  reply_action(asked.action), envelope.version == Version::k12,
                  asked.addressing_2004,      asked.lasting_base};
  const auto said = [asked, responder, now = way.now](const Status& status) {
    responder.respond(status ? accepted() : undelivered(status.error(), asked, now()));
  };
  if (!is_on_connection(plan.reply_to) && !is_on_connection(plan.fault_to))
    return take(way, std::move(envelope.message), std::move(plan), said);
  // Which of the two it is, the outcome tells.
  way.accept(std::move(envelope.message), [=, elsewhere = way.elsewhere](Result<Message> outcome) {
    if (!outcome) return said(outcome.error());
    if (is_on_connection(outcome->fault ? plan.fault_to : plan.reply_to))
      return responder.respond(answered(std::move(*outcome), asked));
    outcome->operation = asked.operation;
    elsewhere->answer(asked.message_id, plan, std::move(*outcome), said);
  });
}

}  // namespace

Asked asked_of(const Envelope& envelope) {
  return {envelope.message.message_id,
          envelope.action,
          envelope.message.operation,
          envelope.message.to,
          envelope.version,
          envelope.addressed,
          envelope.message.addressing_2004,
          {},
          {},
          {}};
}

tl::expected<Envelope, HttpResponse> read_request(const net::HttpRequest& request, DecodeOptions options,
                                                  TimePoint now) {
  const Version first = options.speaks_11 ? Version::k11 : Version::k12;
  std::string unpacked;
  if (const auto codings = request.header("Content-Encoding"); !codings.empty()) {
    auto plain = net::without_codings(codings, request.body, options.max_size);
    if (!plain) {
      const auto code = plain.error().code();
      const int status = code == ErrorCode::kUnsupported ? 415 : code == ErrorCode::kExhausted ? 413 : 400;
      auto response = refused(status, {Code::kClient, plain.error().message(), {}, {}, first}, now);
      if (status == 415) response.headers.push_back({"Accept-Encoding", "gzip, deflate"});
      return tl::unexpected(std::move(response));
    }
    unpacked = std::move(*plain);
  }
  const auto part =
      envelope_part(request.header("Content-Type"),
                    request.header("Content-Encoding").empty() ? std::string_view(request.body) : unpacked);
  if (!part) {
    const bool unsupported = part.error().code() == ErrorCode::kUnsupported;
    return tl::unexpected(
        refused(unsupported ? 415 : 400, {Code::kClient, part.error().message(), {}, {}, first}, now));
  }
  const std::string& type = part->type.name;
  const bool is_12 = type == "application/soap+xml";
  if (!is_12 && !type.empty() && type != "text/xml" && type != "application/xml") {
    return tl::unexpected(refused(
        415, {Code::kClient, "a SOAP request has the content type text/xml or application/soap+xml", {}, {}, first},
        now));
  }
  options.charset = charset_of(part->type);
  const std::string action = is_12 ? std::string(part->type.parameter("action")) : std::string();
  options.soap_action = is_12 ? std::string_view(action) : request.header("SOAPAction");
  auto envelope = decode_request(part->text, options);
  if (envelope) return std::move(*envelope);
  ProtocolFault& fault = envelope.error();
  if (fault.code == Code::kMalformed && !options.speaks_11) fault.version = Version::k12;
  return tl::unexpected(refused(fault, now));
}

HttpResponse answered(Message reply, const Asked& asked) {
  if (reply.relates_to.empty()) reply.relates_to = asked.message_id;
  reply.operation = asked.operation;
  reply.addressing_2004 = asked.addressing_2004;
  // Who asked needs no telling who it is.
  reply.caller.clear();
  reply.to.clear();
  reply.conversation.clear();
  reply.body = told_with(reply.body, asked.own_paths, asked.base);
  if (reply.fault) reply.fault->detail = told_with(reply.fault->detail, asked.own_paths, asked.base);
  int status = 200;
  if (reply.fault) status = asked.version == Version::k12 && reply.fault->from_sender ? 400 : 500;
  return envelope_response(status, asked.version,
                           encode(reply, {asked.version, reply_action(asked.action), asked.addressed}));
}

HttpResponse undelivered(const Error& error, const Asked& asked, TimePoint now) {
  int status = asked.version == Version::k12 && exchange::is_of_sender(error.code()) ? 400 : 500;
  if (error.code() == ErrorCode::kNotFound) status = 404;
  if (error.code() == ErrorCode::kDenied) status = 403;
  if (error.code() == ErrorCode::kExhausted || error.code() == ErrorCode::kUnavailable) status = 503;
  HttpResponse response;
  if (const auto fault = addressing_fault(error, asked)) {
    response = refused(status, *fault, now);
  } else {
    Message reply;
    reply.fault = exchange::fault_of(error, asked.to, now);
    response = answered(std::move(reply), asked);
    response.status = status;
  }
  if (status == 503) response.headers.push_back({"Retry-After", "1"});
  return response;
}

HttpResponse refused(const ProtocolFault& fault, TimePoint now) { return refused(status_of(fault), fault, now); }

HttpResponse refused(int status, const ProtocolFault& fault, TimePoint now) {
  return envelope_response(status, fault.version, encode(fault, now));
}

void hand_on(const HandOn& way, Envelope envelope, Asked asked, bool one_way, const net::HttpResponder& responder) {
  if (!one_way && (envelope.reply_to.is_elsewhere() || envelope.fault_to.is_elsewhere())) {
    if (const auto fault = refusal(way, envelope)) return responder.respond(refused(*fault, way.now()));
    envelope.message.one_way = false;
    envelope.message.reply_to.reset();
    return answer_elsewhere(way, std::move(envelope), std::move(asked), responder);
  }
  one_way = one_way || envelope.message.one_way;
  envelope.message.one_way = one_way;
  way.accept(std::move(envelope.message),
             [asked = std::move(asked), one_way, responder, now = way.now](Result<Message> outcome) {
               auto shared = std::make_shared<Result<Message>>(std::move(outcome));
               // Encoded on the io thread: the exchange's thread is the one that all wait for.
               responder.respond_with([asked, one_way, shared, now] {
                 if (!*shared) return undelivered(shared->error(), asked, now());
                 if (one_way && !(*shared)->fault) return accepted();
                 return answered(std::move(**shared), asked);
               });
             });
}

}  // namespace nuraghe::soap
