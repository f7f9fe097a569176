#include "bpel/runtime/program.hpp"

#include <fmt/format.h>

#include <algorithm>

namespace nuraghe::bpel::runtime {
namespace {

std::vector<NodeIndex> subtree_ends(const ProcessDefinition& definition) {
  const auto count = static_cast<NodeIndex>(definition.nodes().size());
  std::vector<NodeIndex> end(count);
  for (NodeIndex index = 0; index < count; ++index) end[index] = index + 1;
  // Children stand after their parents: seen backwards, a node's end is known before its parent asks for it.
  for (NodeIndex index = count; index-- > 0;) {
    const auto parent = definition.node(index).parent;
    if (parent != kNone) end[parent] = std::max(end[parent], end[index]);
  }
  return end;
}

std::string own_path_of(const ProcessDefinition& definition, const PartnerLink& link) {
  return "/processes/" + definition.name().local + "/" + link.name;
}

void add_partner_links(Program& program, const ProgramOptions& options) {
  const auto& definition = *program.definition;
  for (const auto* scope : definition.scopes()) {
    for (std::uint32_t slot = 0; slot < scope->partner_links.size(); ++slot) {
      const auto& link = scope->partner_links[slot];
      const PartnerLinkRef ref{scope->self, slot};
      if (link.my_port_type != nullptr) {
        program.keys[ref] = fmt::format("{}/{}#{}.{}", options.package, definition.file(), ref.scope, link.name);
        const auto given = options.my_paths.find(link.name);
        const auto address = definition.wsdl().address_of_port_type(link.my_port_type->name);
        program.my_paths[ref] = given != options.my_paths.end() ? given->second
                                : !address.empty()              ? path_of_address(address)
                                                                : own_path_of(definition, link);
      }
      // With initializePartnerRole="no" only the process itself may say who the partner is (§6.3).
      if (link.partner_port_type != nullptr && link.initialize_partner_role.value_or(true)) {
        const auto given = options.partner_addresses.find(link.name);
        const auto address = given != options.partner_addresses.end()
                                 ? given->second
                                 : definition.wsdl().address_of_port_type(link.partner_port_type->name);
        if (!address.empty()) program.partner_addresses[ref] = address;
      }
    }
  }
}

void add_receiver(Program& program, const MessageEvent& event, Receiver receiver) {
  const auto path = program.my_paths.find(event.endpoint.partner_link);
  if (path == program.my_paths.end()) return;
  receiver.event = &event;
  receiver.path = path->second;
  receiver.own_path = own_path_of(*program.definition, *event.endpoint.link);
  receiver.key = program.keys.at(event.endpoint.partner_link);
  program.receivers.push_back(std::move(receiver));
  for (const auto& correlation : event.correlations) {
    if (correlation.initiate != Initiate::kYes) program.indexed_sets.insert(correlation.set);
    if (correlation.initiate == Initiate::kJoin) program.joined_sets.insert(correlation.set);
  }
}

void add_receivers(Program& program) {
  for (const auto& node : program.definition->nodes()) {
    switch (node->kind) {
      case NodeKind::kReceive: {
        const auto& receive = as<Receive>(*node);
        add_receiver(program, receive.event,
                     {node->index, nullptr, "", "", "", receive.create_instance ? node->index : kNone, 0});
        break;
      }
      case NodeKind::kPick: {
        const auto& pick = as<Pick>(*node);
        for (std::uint32_t i = 0; i < pick.messages.size(); ++i) {
          add_receiver(program, pick.messages[i]->event,
                       {pick.messages[i]->index, nullptr, "", "", "", pick.create_instance ? node->index : kNone, i});
        }
        break;
      }
      case NodeKind::kOnEvent:
        add_receiver(program, as<OnEvent>(*node).event, {node->index, nullptr, "", "", "", kNone, 0});
        break;
      default:
        break;
    }
  }
}

// What stands immediately inside `outer` around a node: a scope, else the node itself.
NodeIndex unit_around(const ProcessDefinition& definition, NodeIndex node, NodeIndex outer) {
  NodeIndex unit = node;
  for (NodeIndex at = node; at != kNone && at != outer; at = definition.node(at).parent) {
    if (definition.node(at).kind == NodeKind::kScope) unit = at;
  }
  return unit;
}

std::map<NodeIndex, std::set<NodeIndex>> peer_dependents(const ProcessDefinition& definition) {
  std::map<NodeIndex, std::set<NodeIndex>> next;  // within one enclosing scope, by links
  for (const auto& link : definition.links()) {
    // A link's ends are in one flow: the scope around that flow is the one in which both have a place.
    const NodeIndex outer = definition.scope(definition.node(link.flow).scope).index;
    const NodeIndex from = unit_around(definition, link.source, outer);
    const NodeIndex to = unit_around(definition, link.target, outer);
    if (from != to) next[from].insert(to);
  }
  std::map<NodeIndex, std::set<NodeIndex>> dependents;
  for (const auto& [unit, followers] : next) {
    if (definition.node(unit).kind != NodeKind::kScope) continue;
    std::vector<NodeIndex> open{unit};
    std::set<NodeIndex> seen{unit};
    while (!open.empty()) {
      const auto found = next.find(open.back());
      open.pop_back();
      if (found == next.end()) continue;
      for (const NodeIndex follower : found->second) {
        if (!seen.insert(follower).second) continue;
        open.push_back(follower);
        if (definition.node(follower).kind == NodeKind::kScope) dependents[unit].insert(follower);
      }
    }
  }
  return dependents;
}

}  // namespace

std::string Program::where(NodeIndex index) const {
  if (index == kNone) return definition->file();
  return definition->file() + ":" + std::to_string(definition->node(index).where.line);
}

std::string path_of_address(std::string_view address) {
  const auto scheme = address.find("://");
  if (scheme == std::string_view::npos) return std::string(address);
  const auto slash = address.find('/', scheme + 3);
  return slash == std::string_view::npos ? "/" : std::string(address.substr(slash));
}

std::shared_ptr<const Program> make_program(std::shared_ptr<const ProcessDefinition> definition,
                                            const ProgramOptions& options) {
  auto program = std::make_shared<Program>();
  program->id = options.id;
  program->package = options.package;
  program->definition = std::move(definition);
  program->resources = std::make_unique<const Resources>(program->definition);
  program->invoke_deadline = options.invoke_deadline;
  program->validate = options.validate;
  program->subtree_end = subtree_ends(*program->definition);
  program->dependents = peer_dependents(*program->definition);
  program->isolated = isolated_accesses(*program->definition, program->subtree_end);
  const auto& links = program->definition->links();
  for (LinkIndex link = 0; link < links.size(); ++link) program->links_by_source.push_back(link);
  std::stable_sort(program->links_by_source.begin(), program->links_by_source.end(),
                   [&](LinkIndex a, LinkIndex b) { return links[a].source < links[b].source; });
  add_partner_links(*program, options);
  add_receivers(*program);
  return program;
}

}  // namespace nuraghe::bpel::runtime
