// What the SOAP doors of all programs have in common: an HTTP request to an envelope, an outcome to an HTTP response,
// and answers that go elsewhere.
//
// Sources: SOAP 1.1 §6, SOAP 1.2 part 2 §7, WS-I Basic Profile 1.1 §3.4, RFC 3902 (media type of SOAP 1.2),
// WS-Addressing 1.0 Core §3.4 and SOAP Binding §6. Threading: called on io threads, never blocks; answers come from any
// thread and are encoded on the connection's own.
#pragma once

#include <functional>
#include <string>

#include "net/http_server.hpp"
#include "soap/addresses.hpp"
#include "soap/elsewhere.hpp"
#include "soap/envelope.hpp"

namespace nuraghe::soap {

// What is known of a request when its answer comes.
struct Asked {
  std::string message_id;
  std::string action;
  std::string operation;
  std::string to;
  Version version = Version::k11;
  bool addressed = false;
  bool addressing_2004 = false;
  // With what addresses of this process are told over the connection (soap/addresses.hpp), and where the answer goes
  // elsewhere; empty: as they are.
  std::string base = {};
  std::string lasting_base = {};
  SharedPathOf own_paths = {};
};
Asked asked_of(const Envelope& envelope);

// The envelope of an HTTP request: content type, attachments, charset and SOAPAction are taken from its headers, the
// rest of `options` is the caller's. Otherwise the response that refuses it.
tl::expected<Envelope, net::HttpResponse> read_request(const net::HttpRequest& request, DecodeOptions options,
                                                       TimePoint now);

// The response of a reply, which may be a fault: 200, or 500 (in SOAP 1.2 400 for its sender's fault).
net::HttpResponse answered(exchange::Message reply, const Asked& asked);
// The response when nobody took the request: 404 (nothing is served there), 403, 503 with Retry-After, else as a fault.
// Who uses WS-Addressing gets its faults: DestinationUnreachable, ActionNotSupported, EndpointUnavailable.
net::HttpResponse undelivered(const Error& error, const Asked& asked, TimePoint now);
// The response that refuses a message: 500, 400 for what is no envelope (and in SOAP 1.2 for a Sender's fault).
net::HttpResponse refused(const ProtocolFault& fault, TimePoint now);
net::HttpResponse refused(int status, const ProtocolFault& fault, TimePoint now);

// How requests go on, and where answers may go.
struct HandOn {
  std::function<void(exchange::Message, exchange::DeliveryHandler)> accept;
  AnswersElsewhere* elsewhere = nullptr;  // not owned; null: answers go to the connection only
  std::function<Status(const std::string& address)> may_call_back;  // empty: every http address may be called
  std::function<TimePoint()> now;
  // Asks what a request's precondition looks at, and tells whether it holds; empty: a request that has one and is
  // answered elsewhere is refused. Its turn comes later, maybe after a restart, and knows the precondition no more.
  std::function<void(const exchange::Message& request, std::function<void(const Status& holds)> done)> ask_first = {};
};
// Hands the message to its receiver and answers: over the connection, or with 202 when the answer goes elsewhere.
void hand_on(const HandOn& way, Envelope envelope, Asked asked, bool one_way, const net::HttpResponder& responder);

}  // namespace nuraghe::soap
