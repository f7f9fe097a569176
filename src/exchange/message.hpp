// Message: one SOAP message while it is inside a process: addressing headers as fields, the body as an XML tree that
// nobody changes any more. src/soap turns it into an envelope and back; a direct call hands it over as it is.
#pragma once

#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "base/result.hpp"
#include "xml/xml.hpp"

namespace nuraghe::exchange {

// A WSDL fault: its detail element names the declared fault. Faults of Nuraghe's services carry the detail
// <fault xmlns="urn:nuraghe:fault:1" code="exhausted"> with <message>, one <context> per level and <originator>.
struct Fault {
  std::string reason;                     // one sentence for people (SOAP faultstring)
  ErrorCode code = ErrorCode::kInternal;  // of Nuraghe's own detail; kInternal otherwise
  bool from_sender = false;               // SOAP 1.1 Client rather than Server
  xml::DocumentPtr detail;                // the (single) detail element; may be null
};
// Between Nuraghe's Error and a Fault with Nuraghe's own detail element. `originator`: the service that failed.
Fault fault_of(const Error& error, const std::string& originator);
Error error_of(const Fault& fault);
// Whether an error of this code is its sender's own mistake, as SOAP 1.1 §4.4.1 tells Client from Server.
bool is_of_sender(ErrorCode code);

struct Message {
  std::string message_id;      // wsa:MessageID, unique for ever; repeats carry the same
  std::string to;              // an address: "/services/vhf" within this process, or http://host:port/services/vhf, or
                               // http+unix://SOCKET-PATH-WITH-%2F/services/vhf
  std::string operation;       // the WSDL operation's local name (SOAPAction is derived from it)
  std::string relates_to;      // replies: the request's message_id
  xml::DocumentPtr body;       // the payload element as document; null in an empty reply
  std::optional<Fault> fault;  // replies only; then body is null
  bool one_way = false;        // no reply is expected
  std::string action{};        // requests: the SOAPAction of the binding; empty: none, or none is known
  bool soap_12 = false;        // requests that leave the process: SOAP 1.2 rather than 1.1
  bool is_first_try = false;   // by an exchange of this process: no receiver has seen the message_id. Not stored, not
                               // sent to other processes
  bool is_passed_on = false;   // to Turn::send: the message_id may have been sent before. Not stored

  // What travels through every hop unchanged.
  std::string vo;            // the virtual organisation on whose behalf
  std::string caller;        // the authenticated identity, as "token:admin"
  std::string conversation;  // the workflow instance (or client) whose repeats first answers are kept for
  std::string traceparent;   // W3C trace context

  bool is_reply() const { return !relates_to.empty(); }
};

// A stored message is a record that holds the body as XML text.
std::string encode_message(const Message& message);
Result<Message> decode_message(std::string_view bytes);

}  // namespace nuraghe::exchange
