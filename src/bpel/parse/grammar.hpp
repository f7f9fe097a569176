// The shape of a WS-BPEL 2.0 process: which elements and attributes may stand where (the standard's schema for
// executable processes, as a table). Names and types are the parser's business.
#pragma once

#include <vector>

#include "bpel/definition.hpp"

namespace nuraghe::bpel {

// Reports every element and attribute that may not stand where it stands, and each that is missing. Elements and
// attributes of other namespaces are left alone (extensions).
void check_shape(xml::Node process, const std::string& file, std::vector<Diagnostic>& diagnostics);

// True for the local name of an activity in the BPEL namespace.
bool is_activity_name(std::string_view local);

}  // namespace nuraghe::bpel
