// Endpoint references of WS-Addressing: those of the standard and of the submissions before it.
//
// Sources: WS-Addressing 1.0 Core §2 and §3.3, SOAP Binding §4; the submissions of 2003/03, 2004/03 and 2004/08. Pure
// functions, thread safe.
#pragma once

#include <string_view>

#include "xml/xml.hpp"

namespace nuraghe::soap {

inline constexpr std::string_view kAddressing2004 = "http://schemas.xmlsoap.org/ws/2004/08/addressing";

// Whether it is a namespace whose EndpointReference is known.
bool is_addressing(std::string_view ns);

// What a message to the reference (an element of one of those namespaces) has to repeat as header blocks: its
// reference parameters, marked as such where the standard asks for it, and in the submissions its reference properties.
// A document of parts (kParts) that only has header blocks; null: none.
xml::DocumentPtr header_blocks_of(xml::Node reference);

// The body behind these header blocks, a document of parts; the body itself when `blocks` is null.
xml::DocumentPtr with_header_blocks(const xml::DocumentPtr& blocks, const xml::DocumentPtr& body);

// The element as a document of its own that keeps the prefixes in scope: its content may hold QNames.
xml::DocumentPtr detached(xml::Node element);

}  // namespace nuraghe::soap
