// Program: a deployed version of a process, with what the runtime derives from its definition and deployment.
// Immutable; shared by its instances.
#pragma once

#include <map>
#include <memory>
#include <set>
#include <string>
#include <vector>

#include "base/units.hpp"
#include "bpel/definition.hpp"
#include "bpel/resources.hpp"
#include "bpel/runtime/isolation.hpp"

namespace nuraghe::bpel::runtime {

// A place in the process that takes messages of one (path, operation).
struct Receiver {
  NodeIndex node = kNone;  // receive, onMessage or onEvent
  const MessageEvent* event = nullptr;
  std::string path;                     // where its partner link is served: the shared path
  std::vector<std::string> more_paths;  // Program::more_paths
  std::string own_path;                 // and where no other process is: "/processes/PROCESS/PARTNERLINK"
  std::string key;                      // what subscription keys are made with (Program::keys)
  NodeIndex start_node = kNone;         // the receive or pick with createInstance="yes"; kNone: it starts nothing
  std::uint32_t alternative = 0;        // the number of the onMessage in its pick
};

struct Program {
  std::string id;  // "PACKAGE/FILE@VERSION"
  std::string package;
  std::shared_ptr<const ProcessDefinition> definition;
  std::unique_ptr<const Resources> resources;
  Duration invoke_deadline = std::chrono::hours(1);
  Duration unreachable_deadline = Duration::max();
  std::map<PartnerLinkRef, std::string> my_paths;                 // "/services/vcf"
  std::map<PartnerLinkRef, std::vector<std::string>> more_paths;  // of the WSDL's other addresses of the port type
  std::map<PartnerLinkRef, std::string> partner_addresses;        // absent: none known
  // What stands for an own role in subscription keys: a message is looked for where its partner link waits, by whatever
  // path it came.
  std::map<PartnerLinkRef, std::string> keys;
  bool validate = false;  // requests from outside are checked against the schemas
  // The nodes below node n (and n itself) are n to subtree_end[n] - 1.
  std::vector<NodeIndex> subtree_end;
  std::vector<LinkIndex> links_by_source;    // ordered by the source's index
  std::set<CorrelationSetRef> indexed_sets;  // looked up by messages that come before their receive
  // Those whose first values make receivers wait anew: of initiate="join", and of event handlers that were enabled
  // before there were values.
  std::set<CorrelationSetRef> joined_sets;
  std::vector<Receiver> receivers;
  std::map<ScopeIndex, SharedAccess> isolated;  // the isolated scopes
  // Scope → the peers that are compensated before it although they may have ended first (§12.5.2).
  std::map<NodeIndex, std::set<NodeIndex>> dependents;

  const Node& node(NodeIndex index) const { return definition->node(index); }
  // "create.bpel:34"
  std::string where(NodeIndex index) const;
};

struct ProgramOptions {
  std::string id, package;
  Duration invoke_deadline = std::chrono::hours(1);
  Duration unreachable_deadline = Duration::max();
  bool validate = false;
  // By partner link name: what deploy.xml says.
  std::map<std::string, std::string> my_paths, partner_addresses;
};
std::shared_ptr<const Program> make_program(std::shared_ptr<const ProcessDefinition> definition,
                                            const ProgramOptions& options);

// The path of an address: "http://host:1/services/vcf" → "/services/vcf".
std::string path_of_address(std::string_view address);

}  // namespace nuraghe::bpel::runtime
