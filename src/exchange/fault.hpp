// Faults as WS-BaseFaults 1.2 has them: between Nuraghe's Error and the detail element of a SOAP fault.
//
// The detail of Nuraghe's own faults is {urn:nuraghe:fault:1}fault, an extension of wsrf-bf:BaseFaultType
// (WS-BaseFaults 1.2 §3): Timestamp, Originator (who failed), ErrorCode (the word of an ErrorCode, dialect
// urn:nuraghe:fault:1), Description (one sentence), FaultCause (another such fault: what was behind it). An Error with
// context becomes a chain: each link describes all that is behind it, the innermost is the Error's message. Faults of
// the WSRF specifications have the same content under their own names. Pure functions, thread safe.
#pragma once

#include <optional>
#include <string>
#include <string_view>

#include "base/result.hpp"
#include "base/units.hpp"
#include "xml/xml.hpp"

namespace nuraghe::exchange {

inline constexpr std::string_view kFaultNamespace = "urn:nuraghe:fault:1";  // and the dialect of its error codes
inline constexpr std::string_view kBaseFaultNamespace = "http://docs.oasis-open.org/wsrf/bf-2";

// A WSDL fault: its detail element names the declared fault.
struct Fault {
  std::string reason;                     // one sentence for people (SOAP faultstring)
  ErrorCode code = ErrorCode::kInternal;  // of Nuraghe's own detail; kInternal otherwise
  bool from_sender = false;               // SOAP 1.1 Client rather than Server
  xml::DocumentPtr detail;                // the (single) detail element; may be null
};

// A Fault with Nuraghe's own detail element, made at that time. `originator`: an address, or the name of a service
// ("vhf"); empty: not said.
Fault fault_of(const Error& error, std::string_view originator, TimePoint at);
// The same under another name: an element of a type that extends wsrf-bf:BaseFaultType and needs no more.
Fault fault_of(const Error& error, std::string_view originator, TimePoint at, const xml::QName& name);
// The Error that a Fault was made of; of any base fault the descriptions of its chain, of other faults the reason.
Error error_of(const Fault& fault);
// Whether an error of this code is its sender's own mistake, as SOAP 1.1 §4.4.1 tells Client from Server.
bool is_of_sender(ErrorCode code);

// The code that a detail element tells; nullopt when it tells none of Nuraghe's.
std::optional<ErrorCode> code_of(xml::Node detail);
// Its description; empty when there is none.
std::string description_of(xml::Node detail);
// Whether it is a fault of Nuraghe that does not say when it happened, as processes make them: XPath has no clock.
bool lacks_timestamp(xml::Node detail);
// The same fault with its time.
xml::DocumentPtr with_timestamp(xml::Node detail, TimePoint at);

}  // namespace nuraghe::exchange
