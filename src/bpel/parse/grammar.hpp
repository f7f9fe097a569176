// The shape of a WS-BPEL 2.0 process: which elements and attributes may stand where (the standard's schema for
// executable processes, as a table). Names and types are the parser's business.
#pragma once

#include <string_view>
#include <vector>

#include "bpel/definition.hpp"

namespace nuraghe::bpel {

// Reports every element and attribute that may not stand where it stands, and each that is missing. Elements and
// attributes of other namespaces are left alone (extensions).
void check_shape(xml::Node process, const std::string& file, std::vector<Diagnostic>& diagnostics);

// True for the local name of an activity in the BPEL namespace.
bool is_activity_name(std::string_view local);

// Whether the text is an xsd:QName without blanks around it, as far as ASCII goes.
bool is_qname(std::string_view text);

// Nothing but white space of XML.
inline bool is_blank(std::string_view text) { return text.find_first_not_of(" \t\r\n") == std::string_view::npos; }

}  // namespace nuraghe::bpel
