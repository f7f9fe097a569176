#include "bpel/analysis/analysis.hpp"

namespace nuraghe::bpel {

void analyse(const ProcessDefinition& definition, std::vector<Diagnostic>& diagnostics) {
  check_start_activities(definition, diagnostics);
  check_links(definition, diagnostics);
  check_message_exchanges(definition, diagnostics);
  check_scopes(definition, diagnostics);
}

}  // namespace nuraghe::bpel
