// deploy.xml: what a package says about its processes beyond their text (contracts/deploy.xsd, docs/formats/deploy.md).
//
//   <deploy xmlns="urn:nuraghe:deploy:1" invoke-deadline="1h" validate="yes">
//     <partnerLink name="vhf" address="/services/vhf"/>            for every process of the package
//     <process file="create.bpel" invoke-deadline="30m">
//       <partnerLink name="vhf" address="/services/vhf"/>          of this process; goes before the package's
//       <myRole partnerLink="client" path="/services/vcf"/>
//     </process>
//   </deploy>
// Without deploy.xml, or where it is silent: a partner's address is the soap:address of a port of its port type; a
// process serves its own role at the path of that address, else at /processes/PROCESS/PARTNERLINK; the deadline is 1 h.
#pragma once

#include <map>
#include <optional>
#include <string>
#include <vector>

#include "base/units.hpp"
#include "bpel/definition.hpp"

namespace nuraghe::bpel {

inline constexpr std::string_view kDeployFile = "deploy.xml";
inline constexpr std::string_view kDeployNamespace = "urn:nuraghe:deploy:1";

struct ProcessDeployment {
  Duration invoke_deadline = std::chrono::hours(1);
  std::optional<bool> validate;                  // absent: as the engine is set
  std::map<std::string, std::string> addresses;  // partner link → address
  std::map<std::string, std::string> paths;      // partner link → path of the own role
};

struct DeployDescriptor {
  ProcessDeployment defaults;
  std::map<std::string, ProcessDeployment> processes;  // by file; holds the defaults where the process says nothing
  const ProcessDeployment& of(const std::string& file) const;
};

// Reads the package's deploy.xml (an empty descriptor when it has none). What is wrong is added to `diagnostics`.
DeployDescriptor read_descriptor(const Package& package, std::vector<Diagnostic>& diagnostics);

}  // namespace nuraghe::bpel
