// deploy.xml: what a package says about its processes beyond their text (contracts/deploy.xsd, docs/formats/deploy.md).
//
//   <deploy xmlns="urn:nuraghe:deploy:1" invoke-deadline="1h" validate="yes">
//     <partnerLink name="vhf" address="/services/vhf"/>            for every process of the package
//     <process file="create.bpel" invoke-deadline="30m">
//       <partnerLink name="vhf" address="/services/vhf"/>          of this process; goes before the package's
//       <myRole partnerLink="client" path="/services/vcf"/>
//     </process>
//   </deploy>
// A deploy.xml of Apache ODE is taken too: it names the ports of the partner links. Others are left alone, with a
// warning. Without deploy.xml, or where it is silent: a partner's address is the soap:address of a port of its port
// type; a process serves its own role at the path of that address, else at /processes/PROCESS/PARTNERLINK; the deadline
// is 1 h.
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

inline constexpr std::string_view kOdeDeployNamespace = "http://www.apache.org/ode/schemas/dd/2007/03";

// A port of the package's WSDL files.
struct PortName {
  xml::QName service;
  std::string port;  // empty: the service's first
  xml::Position where;
};

struct ProcessDeployment {
  Duration invoke_deadline = std::chrono::hours(1);
  std::optional<Duration> unreachable_deadline;  // absent: as the engine is set
  std::optional<bool> validate;                  // absent: as the engine is set
  std::map<std::string, std::string> addresses;  // partner link → address
  std::map<std::string, std::string> paths;      // partner link → path of the own role
  // Partner link → the port at whose address its own role is served, or its partner is reached.
  std::map<std::string, PortName> provided, invoked;
};

struct DeployDescriptor {
  std::string source;  // the file that was read; empty: there is none
  ProcessDeployment defaults;
  std::map<std::string, ProcessDeployment> processes;  // by file; holds the defaults where the process says nothing
  const ProcessDeployment& of(const std::string& file) const;
};

// Reads the package's deploy.xml (an empty descriptor when it has none). What is wrong is added to `diagnostics`.
DeployDescriptor read_descriptor(const Package& package, std::vector<Diagnostic>& diagnostics);

// Makes paths and addresses of the ports that the descriptor names; what it says by itself goes before them. A port
// that is unknown or has no address leaves its link as without a descriptor, with a warning in `diagnostics` (may be
// null).
void resolve_ports(const wsdl::Definitions& wsdl, const std::string& descriptor_file, ProcessDeployment& deployment,
                   std::vector<Diagnostic>* diagnostics);

}  // namespace nuraghe::bpel
