// Message: one SOAP message while it is inside a process: addressing headers as fields, the body as an XML tree that
// nobody changes any more. src/soap turns it into an envelope and back; a direct call hands it over as it is.
#pragma once

#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "base/result.hpp"
#include "exchange/fault.hpp"
#include "xml/xml.hpp"

namespace nuraghe::exchange {

struct Precondition;

// Whether who asks is an administrator of the site: for a VO that they chose, or for the site as a whole.
enum class Administrator { kNo, kForVo, kForSite };

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
  bool addressing_2004 = false;  // requests: their headers are those of WS-Addressing 2004/08; answers: likewise
  // One-way requests from outside: the wsa:EndpointReference where something is wanted in return; null: none.
  xml::DocumentPtr reply_to{};
  bool is_first_try = false;     // by an exchange of this process: no receiver has seen the message_id. Not stored, not
                                 // sent to other processes
  bool is_from_outside = false;  // no exchange of this process sent it. Not stored, not sent to other processes
  // To Turn::send: the sender has sent nothing in this conversation before this turn, so the message overtakes nothing
  // when it is handled at once. Not stored, not sent to other processes.
  bool starts_conversation = false;
  bool is_passed_on = false;  // to Turn::send: the message_id may have been sent before. Not stored
  // Requests from outside: a digest of what makes a repeat a repeat (who asks, what it says). Kept with the request:
  // the same message_id with another fingerprint is refused. Not sent to other processes.
  std::string fingerprint{};
  // Requests from outside: what must hold in the turn that takes it. Not stored, not sent to other processes.
  std::shared_ptr<const Precondition> precondition{};
  bool to_stranger = false;  // requests: who is outside named `to`. It goes to another process alone, without a token,
                             // and only where the transport lets strangers' addresses lead
  bool wants_receipt = false;  // to Turn::send, one-way requests: on_reply hears, by an empty reply, that it was taken,
                               // or by a fault that it was not
  // Requests from outside, of callers whose calls are recorded: door and address ("soap 127.0.0.1"). Not sent to
  // other processes.
  std::string origin{};
  // Requests from outside: the base by which this process is reached from where they came, for addresses that are told
  // later ("https://10.0.0.1:8470"); empty: the process's own. Not sent to other processes.
  std::string reached_at{};
  Administrator administrator = Administrator::kNo;  // requests from outside. Not stored, not sent to other processes
  // Requests from outside: others come at the same time, so that turns are better done together than each by who
  // brings it. Not stored, not sent to other processes.
  bool is_among_many = false;

  // What travels through every hop: unchanged but for the span in the traceparent.
  std::string vo;            // the virtual organisation on whose behalf
  std::string caller;        // the authenticated identity, as "token:admin"
  std::string conversation;  // the workflow instance (or client) whose repeats first answers are kept for
  std::string traceparent;   // W3C trace context; a request's: of who sends it, and within its turn of itself
  std::string tracestate{};  // what goes with it

  bool is_reply() const { return !relates_to.empty(); }
};

// A request is taken only when the answer of a read-only request is as it should be. Where the same exchange serves
// both, question and request are one turn: nothing changes in between. Else the question is asked before. A repeat of a
// request that was taken gets its first answer and is not asked again.
struct Precondition {
  Message question;     // `to`, operation, body, vo, caller
  std::string actor{};  // who answers it in the request's own exchange; set by the router
  // Pure. An error is the request's answer, and nothing is done. The argument: the answer's body, or its error.
  std::function<Status(const Result<xml::DocumentPtr>& answer)> check;
};

// A stored message is a record that holds the body as XML text.
std::string encode_message(const Message& message);
Result<Message> decode_message(std::string_view bytes);

}  // namespace nuraghe::exchange
