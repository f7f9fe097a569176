// POST to a served path: envelope in, engine, envelope out.
#include <fmt/format.h>

#include <algorithm>

#include "bpelhost/doors.hpp"
#include "env/posix.hpp"
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

// "text/xml" of "text/xml; charset=utf-8"; and the action parameter of SOAP 1.2's media type (RFC 3902).
struct MediaType {
  std::string_view name;
  std::string action;
};
MediaType media_type(std::string_view text) {
  MediaType type;
  type.name = text.substr(0, text.find(';'));
  while (!type.name.empty() && type.name.back() == ' ') type.name.remove_suffix(1);
  for (auto at = text.find(';'); at != std::string_view::npos; at = text.find(';', at + 1)) {
    std::string_view parameter = text.substr(at + 1);
    while (!parameter.empty() && parameter.front() == ' ') parameter.remove_prefix(1);
    if (!net::equal_without_case(parameter.substr(0, 7), "action=")) continue;
    parameter.remove_prefix(7);
    if (parameter.starts_with('"'))
      type.action = parameter.substr(1, parameter.find('"', 1) - 1);
    else
      type.action = parameter.substr(0, parameter.find(';'));
  }
  return type;
}

std::string_view trimmed(std::string_view text) {
  while (!text.empty() && (text.front() == ' ' || text.front() == '\t')) text.remove_prefix(1);
  while (!text.empty() && (text.back() == ' ' || text.back() == '\t' || text.back() == '\r')) text.remove_suffix(1);
  return text;
}

// The value of a media type's parameter without quotes; empty: it is not there.
std::string_view parameter_of(std::string_view media, std::string_view name) {
  for (auto at = media.find(';'); at != std::string_view::npos; at = media.find(';', at + 1)) {
    const auto one = trimmed(media.substr(at + 1));
    const auto equals = one.find('=');
    if (equals == std::string_view::npos || !net::equal_without_case(trimmed(one.substr(0, equals)), name)) continue;
    const auto value = trimmed(one.substr(equals + 1));
    if (value.starts_with('"')) return value.substr(1, value.find('"', 1) - 1);
    return trimmed(value.substr(0, value.find(';')));
  }
  return {};
}

// The envelope of a request with attachments (SOAP Messages with Attachments; XOP): the first part of
// multipart/related, which the start parameter names as a rule. Attachments are not handed on.
struct Root {
  std::string_view content_type, text;
};
std::optional<Root> root_of(std::string_view media, std::string_view body) {
  const std::string delimiter = "--" + std::string(parameter_of(media, "boundary"));
  const auto begin = delimiter.size() == 2 ? std::string_view::npos : body.find(delimiter);
  const auto head = begin == std::string_view::npos ? begin : body.find('\n', begin);
  if (head == std::string_view::npos) return std::nullopt;
  auto rest = body.substr(head + 1);
  rest = rest.substr(0, rest.find("\n" + delimiter));
  Root root;
  while (!rest.empty()) {
    const auto line = trimmed(rest.substr(0, rest.find('\n')));
    rest.remove_prefix(
        std::min(rest.size(), rest.find('\n') == std::string_view::npos ? rest.size() : rest.find('\n') + 1));
    if (line.empty()) break;
    const auto colon = line.find(':');
    if (colon != std::string_view::npos && net::equal_without_case(line.substr(0, colon), "Content-Type"))
      root.content_type = trimmed(line.substr(colon + 1));
  }
  root.text = rest;
  return root;
}

Root envelope_of(const net::HttpRequest& request) {
  const Root whole{request.header("Content-Type"), request.body};
  if (!net::equal_without_case(whole.content_type.substr(0, 17), "multipart/related")) return whole;
  auto root = root_of(whole.content_type, whole.text);
  if (!root) return whole;
  // XOP says by a parameter what the envelope is.
  if (net::equal_without_case(root->content_type.substr(0, 19), "application/xop+xml")) root->content_type = "text/xml";
  return *root;
}

}  // namespace

void serve_soap(Host& host, const std::vector<std::shared_ptr<const Service>>& services,
                const net::HttpRequest& request, const net::HttpResponder& responder) {
  const auto [media, text] = envelope_of(request);
  const auto type = media_type(media);
  soap::DecodeOptions decode;
  decode.speaks_11 = std::any_of(services.begin(), services.end(), [](const auto& one) { return one->soap_11; });
  decode.speaks_12 = std::any_of(services.begin(), services.end(), [](const auto& one) { return one->soap_12; });
  decode.max_size = kMessageLimit;
  decode.empty_body = true;
  decode.parts = true;
  decode.any_reply_address = true;
  decode.charset = soap::charset_of(media);
  for (const auto& service : services)
    decode.header_blocks.insert(service->header_blocks.begin(), service->header_blocks.end());
  const bool is_11 = type.name.empty() || net::equal_without_case(type.name, "text/xml") ||
                     net::equal_without_case(type.name, "application/xml");
  const bool is_12 = net::equal_without_case(type.name, "application/soap+xml");
  const Version first = decode.speaks_11 ? Version::k11 : Version::k12;
  if (!is_11 && !is_12) {
    const ProtocolFault fault{
        Code::kClient, "a SOAP request has the content type text/xml or application/soap+xml", {}, {}, first};
    return responder.respond(envelope_response(415, first, soap::encode(fault)));
  }
  decode.soap_action = is_12 ? std::string_view(type.action) : request.header("SOAPAction");
  auto envelope = soap::decode_request(text, decode);
  if (!envelope) {
    auto& fault = envelope.error();
    if (fault.code == Code::kMalformed && !decode.speaks_11) fault.version = Version::k12;
    return responder.respond(envelope_response(status_of(fault), fault.version, soap::encode(fault)));
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
    return responder.respond(envelope_response(status_of(fault), fault.version, soap::encode(fault)));
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
