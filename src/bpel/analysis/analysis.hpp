// Static analysis of a whole process: the rules of WS-BPEL 2.0 that need the finished tree. Rules on single elements
// are checked where they are parsed. docs/bpel-static-analysis.md lists all rules and where each is checked.
#pragma once

#include <vector>

#include "bpel/definition.hpp"

namespace nuraghe::bpel {

// Adds a diagnostic for each broken rule. The tree may come from a process with other findings.
void analyse(const ProcessDefinition& definition, std::vector<Diagnostic>& diagnostics);

// start_activities.cpp: SA00015, SA00056, SA00057, SA00062.
void check_start_activities(const ProcessDefinition& definition, std::vector<Diagnostic>& diagnostics);
// links.cpp: SA00066, SA00067, SA00070, SA00071, SA00072, SA00082.
void check_links(const ProcessDefinition& definition, std::vector<Diagnostic>& diagnostics);
// exchanges.cpp: SA00060.
void check_message_exchanges(const ProcessDefinition& definition, std::vector<Diagnostic>& diagnostics);
// scopes.cpp: SA00003, SA00079, SA00091, SA00092, SA00093.
void check_scopes(const ProcessDefinition& definition, std::vector<Diagnostic>& diagnostics);

}  // namespace nuraghe::bpel
