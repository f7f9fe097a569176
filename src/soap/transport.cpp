#include "soap/transport.hpp"

#include <fmt/format.h>

#include "soap/attachments.hpp"
#include "soap/envelope.hpp"

namespace nuraghe::soap {

namespace {

using exchange::Message;

// What is known of the request when the answer comes.
struct Sent {
  std::string to;
  std::string message_id;
  bool one_way = false;
  Bytes reply_limit;
  bool parts = false;
};

Error status_error(const Sent& sent, const net::ClientResponse& response) {
  std::string said = response.body.substr(0, 200);
  while (!said.empty() && (said.back() == '\n' || said.back() == '\r')) said.pop_back();
  std::string text = fmt::format("{} answered HTTP {} {}{}{}", sent.to, response.status,
                                 net::reason_phrase(response.status), said.empty() ? "" : ": ", said);
  switch (response.status) {
    case 401:
    case 403:
      return denied(std::move(text));
    case 404:
    case 405:
      return not_found(std::move(text));
    case 400:
    case 413:
    case 415:
      return invalid(std::move(text));
    case 408:
    case 429:
    case 502:
    case 503:
    case 504:
      return unavailable(std::move(text));
    default:
      return corrupt(std::move(text) + " and no SOAP envelope");
  }
}

// What says that it is XML, and what looks like it but for pages that proxies make.
bool is_xml(const EnvelopePart& part) {
  return part.type.name.ends_with("xml") || (part.type.name != "text/html" && part.text.find("Envelope") < 512);
}

Result<Message> read_answer(const Sent& sent, const Result<net::ClientResponse>& outcome) {
  if (!outcome) return outcome.error();
  const net::ClientResponse& response = *outcome;
  const auto part = envelope_part(response.header("Content-Type"), response.body);
  const bool has_envelope = part && is_xml(*part);
  const bool accepted = response.status == 202 || (response.status >= 200 && response.status < 300 && sent.one_way);
  if (accepted && (response.body.empty() || !has_envelope)) {
    Message empty;
    empty.relates_to = sent.message_id;
    return empty;
  }
  // 503 says "not now" whatever stands in its body; the fault in it is for clients that do not repeat.
  if (!part && response.status < 300)
    return corrupt(fmt::format("{} answered no SOAP envelope: {}", sent.to, part.error().message()));
  if (!has_envelope || response.status == 503 || response.status == 401) return status_error(sent, response);
  DecodeOptions options;
  options.max_size = sent.reply_limit;
  options.parts = sent.parts;
  options.charset = charset_of(part->type);
  auto reply = decode_reply(part->text, options);
  if (!reply) return std::move(reply).error().with(fmt::format("reading the answer of {}", sent.to));
  const bool successful = response.status >= 200 && response.status < 300;
  if (!reply->fault && !successful) return status_error(sent, response);
  // The connection tells what is answered; a wsa:RelatesTo that says otherwise is a careless partner's.
  reply->relates_to = sent.message_id;
  return std::move(*reply);
}

}  // namespace

void SoapTransport::send(const Message& request, std::function<void(Result<Message>)> done) {
  std::string action = options_.action ? options_.action(request) : std::string();
  if (action.empty()) action = request.action;
  const std::string soap_action = action.empty() && options_.default_soap_action ? default_action(request) : action;
  if (action.empty()) action = default_action(request);
  const Version version = request.soap_12 ? Version::k12 : Version::k11;
  net::ClientRequest http;
  http.url = request.to;
  http.content_type = std::string(content_type(version));
  if (version == Version::k11)
    http.headers.push_back({"SOAPAction", "\"" + soap_action + "\""});
  else if (!soap_action.empty())
    http.content_type += "; action=\"" + soap_action + "\"";
  if (!request.traceparent.empty()) http.headers.push_back({"traceparent", request.traceparent});
  if (!request.tracestate.empty()) http.headers.push_back({"tracestate", request.tracestate});
  http.body = encode(request, {version, action});
  http.timeout = options_.timeout;
  http.body_limit = options_.reply_limit;
  // An answer goes where its asker wants it: never with a token.
  if (options_.token && !request.is_reply()) {
    if (const auto url = net::parse_url(request.to)) http.bearer = options_.token(url->base());
  }
  Sent sent{request.to, request.message_id, request.one_way, options_.reply_limit, options_.parts};
  client_.send(std::move(http), [sent = std::move(sent), done = std::move(done)](
                                    const Result<net::ClientResponse>& outcome) { done(read_answer(sent, outcome)); });
}

}  // namespace nuraghe::soap
