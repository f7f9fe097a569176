// What the doors tell, as JSON texts (docs/bpel-program.md describes the members). Pure functions.
#pragma once

#include <string>

#include "bpelhost/host.hpp"

namespace nuraghe::bpelhost {

// `base`: "http://127.0.0.1:8480", for addresses.
std::string package_json(const DeployedPackage& package, const std::string& base,
                         const std::vector<bpel::Diagnostic>& warnings = {});
std::string packages_json(const Catalogue& catalogue, const std::string& base);
std::string diagnostics_json(const std::vector<bpel::Diagnostic>& diagnostics);
// `more`: there may be others behind the last one.
std::string instances_json(const std::vector<bpel::InstanceSummary>& instances, bool more);
std::string instance_json(const InstanceView& view);
std::string replay_json(const bpel::journal::Replay& replay);
std::string error_json(const Error& error);

}  // namespace nuraghe::bpelhost
