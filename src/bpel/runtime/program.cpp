#include "bpel/runtime/program.hpp"

#include <fmt/format.h>

#include <algorithm>

#include "bpel/analysis/control_order.hpp"

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

// The paths of the soap:addresses of a port type; what is no address (a placeholder of a designer) gives none.
std::vector<std::string> paths_of(const wsdl::Definitions& wsdl, const xml::QName& port_type) {
  std::vector<std::string> paths;
  for (const auto& address : wsdl.addresses_of_port_type(port_type)) {
    auto path = path_of_address(address);
    if (path.starts_with('/') && std::find(paths.begin(), paths.end(), path) == paths.end())
      paths.push_back(std::move(path));
  }
  return paths;
}

template <class Test>
bool any_link(const ProcessDefinition& definition, const Test& test) {
  return std::any_of(definition.scopes().begin(), definition.scopes().end(), [&](const Scope* scope) {
    return std::any_of(scope->partner_links.begin(), scope->partner_links.end(), test);
  });
}

void add_own_role(Program& program, const PartnerLinkRef& ref, const PartnerLink& link, const ProgramOptions& options) {
  const auto& definition = *program.definition;
  const auto& port_type = link.my_port_type->name;
  program.keys[ref] = fmt::format("{}/{}#{}.{}", options.package, definition.file(), ref.scope, link.name);
  const auto given = options.my_paths.find(link.name);
  if (given != options.my_paths.end()) {
    program.my_paths[ref] = given->second;
    return;
  }
  auto paths = paths_of(definition.wsdl(), port_type);
  if (paths.empty()) {
    program.my_paths[ref] = own_path_of(definition, link);
    return;
  }
  program.my_paths[ref] = paths.front();
  // Where partners have this port type too, the other addresses may be theirs.
  const bool shared = any_link(definition, [&](const PartnerLink& other) {
    return other.partner_port_type != nullptr && other.partner_port_type->name == port_type;
  });
  if (!shared) program.more_paths[ref].assign(paths.begin() + 1, paths.end());
}

// The address at which the WSDL has a partner: where the process itself serves the same port type, another one than
// its own, if there is one.
std::string address_of_partner(const ProcessDefinition& definition, const PartnerLink& link,
                               const ProgramOptions& options) {
  const auto& port_type = link.partner_port_type->name;
  const auto addresses = definition.wsdl().addresses_of_port_type(port_type);
  if (addresses.empty()) return {};
  const PartnerLink* own = nullptr;
  static_cast<void>(any_link(definition, [&](const PartnerLink& other) {
    if (other.my_port_type != nullptr && other.my_port_type->name == port_type) own = &other;
    return own != nullptr;
  }));
  if (own == nullptr) return addresses.front();
  const auto given = options.my_paths.find(own->name);
  const auto own_path = given == options.my_paths.end() ? path_of_address(addresses.front()) : given->second;
  const auto other = std::find_if(addresses.begin(), addresses.end(),
                                  [&](const std::string& address) { return path_of_address(address) != own_path; });
  return other == addresses.end() ? addresses.front() : *other;
}

void add_partner_links(Program& program, const ProgramOptions& options) {
  const auto& definition = *program.definition;
  for (const auto* scope : definition.scopes()) {
    for (std::uint32_t slot = 0; slot < scope->partner_links.size(); ++slot) {
      const auto& link = scope->partner_links[slot];
      const PartnerLinkRef ref{scope->self, slot};
      if (link.my_port_type != nullptr) add_own_role(program, ref, link, options);
      // With initializePartnerRole="no" only the process itself may say who the partner is (§6.3).
      if (link.partner_port_type != nullptr && link.initialize_partner_role.value_or(true)) {
        const auto given = options.partner_addresses.find(link.name);
        const auto address =
            given != options.partner_addresses.end() ? given->second : address_of_partner(definition, link, options);
        if (!address.empty()) program.partner_addresses[ref] = address;
      }
    }
  }
}

void add_receiver(Program& program, const MessageEvent& event, Receiver receiver) {
  const auto path = program.my_paths.find(event.endpoint.partner_link);
  if (path == program.my_paths.end()) return;
  const NodeIndex receiver_node = receiver.node;
  receiver.event = &event;
  receiver.path = path->second;
  if (const auto more = program.more_paths.find(event.endpoint.partner_link); more != program.more_paths.end())
    receiver.more_paths = more->second;
  receiver.own_path = own_path_of(*program.definition, *event.endpoint.link);
  receiver.key = program.keys.at(event.endpoint.partner_link);
  program.receivers.push_back(std::move(receiver));
  for (const auto& correlation : event.correlations) {
    if (correlation.initiate != Initiate::kYes) program.indexed_sets.insert(correlation.set);
    const bool of_event = program.definition->node(receiver_node).kind == NodeKind::kOnEvent;
    if (correlation.initiate == Initiate::kJoin || (of_event && correlation.initiate == Initiate::kNo))
      program.joined_sets.insert(correlation.set);
  }
}

void add_receivers(Program& program) {
  for (const auto& node : program.definition->nodes()) {
    switch (node->kind) {
      case NodeKind::kReceive: {
        const auto& receive = as<Receive>(*node);
        add_receiver(program, receive.event,
                     {node->index, nullptr, "", {}, "", "", receive.create_instance ? node->index : kNone, 0});
        break;
      }
      case NodeKind::kPick: {
        const auto& pick = as<Pick>(*node);
        for (std::uint32_t i = 0; i < pick.messages.size(); ++i) {
          add_receiver(
              program, pick.messages[i]->event,
              {pick.messages[i]->index, nullptr, "", {}, "", "", pick.create_instance ? node->index : kNone, i});
        }
        break;
      }
      case NodeKind::kOnEvent:
        add_receiver(program, as<OnEvent>(*node).event, {node->index, nullptr, "", {}, "", "", kNone, 0});
        break;
      default:
        break;
    }
  }
}

}  // namespace

std::string Program::where(NodeIndex index) const {
  if (index == kNone) return definition->file();
  return definition->file() + ":" + std::to_string(definition->node(index).where.line);
}

std::string path_of_address(std::string_view address) {
  const auto scheme = address.find("://");
  if (scheme == std::string_view::npos) return std::string(address);
  address = address.substr(0, address.find_first_of("?#"));
  const auto slash = address.find('/', scheme + 3);
  if (slash == std::string_view::npos) return "/";
  // As a request names it.
  std::string path;
  for (const char c : address.substr(slash)) path += c == ' ' ? "%20" : std::string(1, c);
  return path;
}

std::shared_ptr<const Program> make_program(std::shared_ptr<const ProcessDefinition> definition,
                                            const ProgramOptions& options) {
  auto program = std::make_shared<Program>();
  program->id = options.id;
  program->package = options.package;
  program->definition = std::move(definition);
  program->resources = std::make_unique<const Resources>(program->definition);
  program->invoke_deadline = options.invoke_deadline;
  program->unreachable_deadline = options.unreachable_deadline;
  program->validate = options.validate;
  program->subtree_end = subtree_ends(*program->definition);
  program->dependents = overlapping_dependents(*program->definition);
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
