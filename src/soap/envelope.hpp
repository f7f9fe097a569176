// SOAP envelopes: exchange::Message to XML text and back, with WS-Addressing 1.0 and Nuraghe's context headers.
//
// Sources: SOAP 1.1 §4 (envelope, header, body, fault) and §6 (HTTP binding), SOAP 1.2 part 1 §5 and part 2 §7,
// WS-Addressing 1.0 Core §3 and SOAP Binding §5–6. Invariants: what decode accepts is one
// well-formed envelope whose body is at most one element; every header block that it does not understand and must is a
// fault; nothing of a header is believed but what the caller allows by TrustContext. Pure functions, thread safe.
#pragma once

#include <optional>
#include <set>
#include <string>
#include <string_view>
#include <vector>

#include "base/units.hpp"
#include "exchange/message.hpp"
#include "net/media_type.hpp"

namespace nuraghe::soap {

inline constexpr std::string_view kEnvelope11 = "http://schemas.xmlsoap.org/soap/envelope/";
inline constexpr std::string_view kEnvelope12 = "http://www.w3.org/2003/05/soap-envelope";
inline constexpr std::string_view kAddressing = "http://www.w3.org/2005/08/addressing";
inline constexpr std::string_view kAnonymous = "http://www.w3.org/2005/08/addressing/anonymous";
inline constexpr std::string_view kAnonymous2004 = "http://schemas.xmlsoap.org/ws/2004/08/addressing/role/anonymous";
inline constexpr std::string_view kNone = "http://www.w3.org/2005/08/addressing/none";
inline constexpr std::string_view kContext = "urn:nuraghe:context:1";
inline constexpr std::string_view kFault = "urn:nuraghe:fault:1";

// The body of a message whose envelope holds several body elements, or header blocks that belong to it:
//   <parts xmlns="urn:nuraghe:parts:1"><header>BLOCK...</header><body>ELEMENT...</body></parts>
// encode() takes it apart; it is made by decoding where DecodeOptions asks for it.
inline constexpr std::string_view kParts = "urn:nuraghe:parts:1";
// The first element in the SOAP body that a message's body stands for; null: none.
xml::Node body_element(const xml::DocumentPtr& body);

enum class Version { k11, k12 };
// "text/xml; charset=utf-8" for 1.1, "application/soap+xml; charset=utf-8" for 1.2.
std::string_view content_type(Version version);

// A media type's charset parameter; empty: none.
std::string charset_of(const net::MediaType& type);

// Why something is not an acceptable envelope: the fault that its sender gets.
struct ProtocolFault {
  enum class Code {
    kMalformed,        // not XML, not an envelope: Client, HTTP 400
    kClient,           // an envelope, but not one that can be served
    kVersionMismatch,  // SOAP 1.1 §4.4.1
    kMustUnderstand,   // SOAP 1.1 §4.2.3
    kWsAddressing,     // WS-Addressing SOAP Binding §6.4; `subcode` and `detail_code` are its local names
    kServer,           // this side's own trouble
  };
  Code code = Code::kClient;
  std::string reason;
  std::string subcode;             // "InvalidAddressingHeader", "MessageAddressingHeaderRequired", ...
  std::string relates_to;          // the request's wsa:MessageID as far as it was read
  Version version = Version::k11;  // in which it is answered
  std::string detail_code = {};    // the subsubcode, such as "InvalidCardinality"; empty: none
  // What it is about (§6.4): the local name of the header, for DestinationUnreachable and EndpointUnavailable the
  // address, for ActionNotSupported the action; empty: not said.
  std::string problem = {};
  // kUnsupported for kMustUnderstand, kVersionMismatch and ActionNotSupported, kNotFound for DestinationUnreachable,
  // kUnavailable for EndpointUnavailable, kInternal for kServer, else kInvalid.
  Error to_error() const;
};

// Where an answer is wanted: the address of wsa:ReplyTo or wsa:FaultTo, empty when the header is not there, and what
// the answer's header has to repeat (WS-Addressing Core §3.4).
struct AnswerAddress {
  std::string address;
  xml::DocumentPtr parameters;  // a document of parts that only has header blocks; null: none
  bool is_elsewhere() const { return !address.empty() && address != kAnonymous && address != kNone; }
};

struct Envelope {
  Version version = Version::k11;
  // one_way is set when wsa:ReplyTo is the "none" address.
  exchange::Message message;    // `to` is wsa:To; the receiver decides whether it believes it
  std::string action;           // wsa:Action, else the SOAPAction header without quotes; may be empty
  bool had_message_id = false;  // false: requests only; message.message_id is empty then
  bool wants_no_reply = false;  // wsa:ReplyTo is the "none" address
  std::string claimed_vo;       // requests only: the vo that the headers name, whether it is believed or not
  bool addressed = false;       // some header of WS-Addressing stood there
  AnswerAddress reply_to, fault_to;
};

struct DecodeOptions {
  std::string_view soap_action;  // the HTTP header's value, with or without quotes
  Bytes max_size = mib(8);
  int max_depth = 256;
  // What the receiver speaks: another version is a kVersionMismatch.
  bool speaks_11 = true;
  bool speaks_12 = false;
  bool empty_body = false;  // true: a Body without element is a request without operation and body
  bool parts = false;       // true: several body elements and header blocks make a document of parts (kParts)
  // Header blocks that belong to the messages, and so are understood; of replies all others too.
  std::set<xml::QName> header_blocks = {};
  // The charset that the transport says, tried when the text is not what it says by itself; empty: none.
  std::string charset = {};
  bool any_reply_address = false;  // true: another wsa:ReplyTo than anonymous and none is no fault here
  bool addressing_2004 = false;    // true: headers of WS-Addressing 2004/08 are taken as those of the standard
  bool callbacks = false;          // true: a wsa:ReplyTo with an address is kept in message.reply_to
  // True: who uses WS-Addressing says an action (Core §3.1), the same as the SOAPAction header if both are there.
  bool strict_addressing = false;
  bool trust_context = false;  // true: vo and caller are taken from the headers, too (from a peer process)
};

// A request. `message.operation` is the local name of the body's element, unless the action is "NAMESPACE:name" or
// "NAMESPACE/name" in the body's namespace, which names another operation.
tl::expected<Envelope, ProtocolFault> decode_request(std::string_view text, const DecodeOptions& options = {});
// A reply, perhaps a fault. kCorrupt when it is no envelope.
Result<exchange::Message> decode_reply(std::string_view text, const DecodeOptions& options = {});

struct EncodeOptions {
  Version version = Version::k11;
  std::string action;      // wsa:Action; empty: default_action(message)
  bool addressing = true;  // false: no headers, for who did not send any
};
// The envelope of a request or, when relates_to is set, of a reply or fault, without XML declaration. The body of a
// fault may be a document of parts, whose header blocks it gets.
std::string encode(const exchange::Message& message, const EncodeOptions& options = {});
// In its version; `at` is when it happened.
std::string encode(const ProtocolFault& fault, TimePoint at);

// "NAMESPACE-OF-THE-BODY:operation" (urn:…) or "NAMESPACE/operation" (others).
std::string default_action(const exchange::Message& message);
// What answers `action`: "…Request" becomes "…Response", else "Response" is appended; kFaultAction for a fault.
std::string reply_action(std::string_view action);
inline constexpr std::string_view kFaultAction = "http://www.w3.org/2005/08/addressing/soap/fault";

}  // namespace nuraghe::soap
