// POST /services/...: envelope in, router, envelope out.
#include <fmt/format.h>

#include "api/access.hpp"
#include "api/doors.hpp"
#include "soap/envelope.hpp"

namespace nuraghe::api {

namespace {

using exchange::Message;
using soap::ProtocolFault;
using Code = ProtocolFault::Code;

HttpResponse envelope_response(int status, std::string text) {
  HttpResponse response;
  response.status = status;
  response.content_type = std::string(soap::content_type(soap::Version::k11));
  response.body = std::move(text);
  return response;
}

// SOAP 1.1 §6.2: faults travel with 500; what is not even an envelope with 400 (WS-I Basic Profile 1.1 R1113).
HttpResponse fault_response(const ProtocolFault& fault) {
  return envelope_response(fault.code == Code::kMalformed ? 400 : 500, soap::encode(fault));
}

// What is known of the request when the answer comes.
struct Asked {
  std::string message_id;
  std::string action;
  std::string operation;
};

// The exchange did not take the request, or nobody serves it.
HttpResponse undelivered(const Error& error, const Asked& asked) {
  Message reply;
  reply.relates_to = asked.message_id;
  reply.fault = exchange::fault_of(error, "");
  int status = 500;
  if (error.code() == ErrorCode::kNotFound) status = 404;
  if (error.code() == ErrorCode::kDenied) status = 403;
  if (error.code() == ErrorCode::kExhausted || error.code() == ErrorCode::kUnavailable) status = 503;
  HttpResponse response = envelope_response(status, soap::encode(reply));
  if (status == 503) response.headers.push_back({"Retry-After", "1"});
  return response;
}

HttpResponse answered(Message reply, const Asked& asked) {
  if (reply.relates_to.empty()) reply.relates_to = asked.message_id;
  reply.operation = asked.operation;
  // Who asked needs no telling who it is.
  reply.caller.clear();
  reply.to.clear();
  const int status = reply.fault ? 500 : 200;
  return envelope_response(status, soap::encode(reply, {soap::Version::k11, soap::reply_action(asked.action), true}));
}

bool is_text_xml(const HttpRequest& request) {
  std::string_view type = request.header("Content-Type");
  type = type.substr(0, type.find(';'));
  while (!type.empty() && type.back() == ' ') type.remove_suffix(1);
  return net::equal_without_case(type, "text/xml");
}

void set_context(Message& message, const Identity& identity, const HttpRequest& request) {
  if (identity.role == Role::kMember || message.vo.empty()) message.vo = identity.vo;
  const bool is_believed = identity.role == Role::kPeer || identity.role == Role::kController;
  if (!is_believed || message.caller.empty()) message.caller = identity.caller();
  if (message.traceparent.empty()) message.traceparent = std::string(request.header("traceparent"));
}

}  // namespace

HttpResponse soap_refusal(int status, const std::string& reason) {
  const Code code = status >= 500 ? Code::kServer : Code::kClient;
  return envelope_response(status, soap::encode(ProtocolFault{code, reason, {}, {}, soap::Version::k11}));
}

void serve_soap(const GatewayOptions& options, HttpRequest request, const HttpResponder& responder) {
  if (!is_text_xml(request)) {
    return responder.respond(soap_refusal(415, "SOAP 1.1 requests have the content type text/xml"));
  }
  const Identity& identity = identity_of(request);
  soap::DecodeOptions decode;
  decode.soap_action = request.header("SOAPAction");
  decode.trust_context = identity.role != Role::kMember;
  auto envelope = soap::decode_request(request.body, decode);
  if (!envelope) return responder.respond(fault_response(envelope.error()));
  Message message = std::move(envelope->message);
  set_context(message, identity, request);
  // The address that counts is the one that the request came to.
  message.to = std::string(request.path());
  if (!envelope->had_message_id) message.message_id = env::make_uuid_urn(*options.random);
  Asked asked{message.message_id, envelope->action, message.operation};
  if (asked.action.empty()) asked.action = soap::default_action(message);
  if (const Status may = may_act_for(identity, envelope->claimed_vo); !may)
    return responder.respond(undelivered(may.error(), asked));
  if (options.lookup) {
    auto known = options.lookup(message.to, envelope->action, message.body->root().name());
    if (!known) return responder.respond(undelivered(known.error(), asked));
    message.operation = asked.operation = std::move(known->operation);
    message.one_way = message.one_way || known->one_way;
  }
  if (const Status may = may_call(identity, message.to, message.operation); !may)
    return responder.respond(undelivered(may.error(), asked));
  const bool one_way = message.one_way;
  request = {};  // the text is not needed while the operation takes its minutes
  options.router->accept(std::move(message), [asked = std::move(asked), one_way, responder](Result<Message> outcome) {
    auto shared = std::make_shared<Result<Message>>(std::move(outcome));
    // Encoded on the io thread: the exchange's thread is the one that all wait for.
    responder.respond_with([asked, one_way, shared] {
      if (!*shared) return undelivered(shared->error(), asked);
      if (one_way && !(*shared)->fault) {
        HttpResponse accepted;
        accepted.status = 202;
        return accepted;
      }
      return answered(std::move(**shared), asked);
    });
  });
}

}  // namespace nuraghe::api
