#include "bpelhost/catalogue.hpp"

#include <fmt/format.h>

#include <algorithm>

namespace nuraghe::bpelhost {
namespace {

using bpel::runtime::Program;

// Which SOAP versions the ports of a port type speak; without any port both.
void set_versions(Service& service, const wsdl::Definitions& wsdl) {
  const auto& name = service.link->my_port_type->name;
  bool has_11 = false, has_12 = false;
  const auto note = [&](const wsdl::Binding* binding) {
    if (binding == nullptr || binding->port_type != name) return;
    has_11 = has_11 || binding->soap_version == 11;
    has_12 = has_12 || binding->soap_version == 12;
  };
  for (const auto& [service_name, one] : wsdl.services()) {
    for (const auto& port : one.ports) note(wsdl.binding(port.binding));
  }
  if (!has_11 && !has_12) {
    for (const auto& [binding_name, binding] : wsdl.bindings()) note(&binding);
  }
  service.soap_11 = has_11 || !has_12;
  service.soap_12 = has_12 || !has_11;
}

std::string action_of(const wsdl::Definitions& wsdl, const xml::QName& port_type, const std::string& operation) {
  for (const auto& [name, binding] : wsdl.bindings()) {
    if (binding.port_type != port_type) continue;
    const auto* bound = binding.operation(operation);
    if (bound != nullptr && !bound->soap_action.empty()) return bound->soap_action;
  }
  return {};
}

std::set<xml::QName> header_blocks_of(const wsdl::Definitions& wsdl, const xml::QName& port_type) {
  std::set<xml::QName> blocks;
  for (const auto& [name, binding] : wsdl.bindings()) {
    if (binding.port_type != port_type) continue;
    for (const auto& operation : binding.operations) {
      for (const auto& header : operation.input.headers) {
        const auto* message = wsdl.message(header.message);
        const auto* part = message == nullptr ? nullptr : message->part(header.part);
        if (part != nullptr && !part->element.empty()) blocks.insert(part->element);
      }
    }
  }
  return blocks;
}

std::shared_ptr<const Service> make_service(const std::shared_ptr<const Program>& program,
                                            const bpel::DeployedProcess& process, const bpel::PartnerLink& link,
                                            const std::string& shared_path) {
  auto service = std::make_shared<Service>();
  const auto& wsdl = program->definition->wsdl();
  service->program = program;
  service->link = &link;
  service->active = process.active;
  service->order = process.order;
  service->own_path = fmt::format("/processes/{}/{}", process.name.local, link.name);
  service->shared_path = shared_path;
  for (const auto& address : wsdl.addresses_of_port_type(link.my_port_type->name)) {
    const bool of_path = bpel::runtime::path_of_address(address) == shared_path;
    if (service->address.empty() || of_path) service->address = address;
    if (of_path) break;
  }
  set_versions(*service, wsdl);
  service->header_blocks = header_blocks_of(wsdl, link.my_port_type->name);
  for (const auto& operation : link.my_port_type->operations) {
    service->operations.push_back(
        {&operation, wsdl.message(operation.input), action_of(wsdl, link.my_port_type->name, operation.name)});
  }
  return service;
}

bool is_bare(const wsdl::Message& message) {
  return message.parts.size() == 1 && !message.parts.front().element.empty();
}

// Whether a body with this element can be meant.
bool fits(const ServedOperation& served, const xml::QName& body) {
  if (served.input == nullptr) return false;
  if (is_bare(*served.input)) return served.input->parts.front().element == body;
  if (served.input->parts.empty() && body.empty()) return true;
  const bool of_part = std::any_of(served.input->parts.begin(), served.input->parts.end(),
                                   [&](const wsdl::Part& part) { return part.element == body; });
  if (of_part && !body.empty()) return true;
  return served.operation->name == body.local || served.input->name.local == body.local;
}

std::string names_of(const std::vector<std::shared_ptr<const Service>>& services) {
  std::string names;
  for (const auto& service : services) {
    for (const auto& served : service->operations) {
      if (names.find(served.operation->name) != std::string::npos) continue;
      names += (names.empty() ? "" : ", ") + served.operation->name;
    }
  }
  return names;
}

}  // namespace

std::shared_ptr<const Catalogue> Catalogue::of(const bpel::Engine& engine) {
  auto catalogue = std::make_shared<Catalogue>();
  for (const auto& process : engine.processes()) {
    const auto program = engine.deployed_program(process.id);
    if (!program) continue;
    auto& package = catalogue->packages_[fmt::format("{}-{}", process.package, process.version)];
    package.id = fmt::format("{}-{}", process.package, process.version);
    package.name = process.package;
    package.version = process.version;
    package.active = process.active;
    package.order = process.order;
    package.programs.push_back(program);
    for (const auto& [ref, path] : program->my_paths) {
      const auto service = make_service(program, process, program->definition->partner_link(ref), path);
      package.services.push_back(service);
      catalogue->paths_[service->own_path].push_back(service);
      if (service->shared_path != service->own_path) catalogue->paths_[service->shared_path].push_back(service);
      // deploy.xml may serve the role elsewhere: then somebody else is at the address.
      if (!service->address.empty() && bpel::runtime::path_of_address(service->address) == service->shared_path)
        catalogue->addresses_[service->address] = service->shared_path;
      catalogue->add_more_paths(program, ref, service);
    }
  }
  for (auto& [path, services] : catalogue->paths_) {
    std::stable_sort(services.begin(), services.end(), [](const auto& a, const auto& b) {
      return a->active != b->active ? a->active : a->order > b->order;
    });
  }
  return catalogue;
}

void Catalogue::add_more_paths(const std::shared_ptr<const Program>& program, const bpel::PartnerLinkRef& ref,
                               const std::shared_ptr<const Service>& service) {
  const auto more = program->more_paths.find(ref);
  if (more == program->more_paths.end()) return;
  for (const auto& path : more->second) {
    if (path != service->own_path) paths_[path].push_back(service);
  }
  for (const auto& address : program->definition->wsdl().addresses_of_port_type(service->link->my_port_type->name)) {
    const auto path = bpel::runtime::path_of_address(address);
    if (std::find(more->second.begin(), more->second.end(), path) != more->second.end()) addresses_[address] = path;
  }
}

const DeployedPackage* Catalogue::package(const std::string& id) const {
  const auto found = packages_.find(id);
  return found == packages_.end() ? nullptr : &found->second;
}

const std::vector<std::shared_ptr<const Service>>* Catalogue::at(std::string_view path) const {
  const auto found = paths_.find(path);
  return found == paths_.end() ? nullptr : &found->second;
}

std::string Catalogue::path_of_address(std::string_view address) const {
  const auto found = addresses_.find(address);
  return found == addresses_.end() ? std::string() : found->second;
}

Result<FoundOperation> find_operation(const std::vector<std::shared_ptr<const Service>>& services,
                                      std::string_view action, std::string_view named, const xml::QName& body) {
  const ServedOperation *by_body = nullptr, *by_action = nullptr, *by_name = nullptr, *only = nullptr;
  std::size_t count = 0;
  for (const auto& service : services) {
    for (const auto& served : service->operations) {
      ++count;
      only = &served;
      const bool same_action = !action.empty() && served.action == action;
      const bool same_name = served.operation->name == named;
      if (same_action && by_action == nullptr) by_action = &served;
      if (same_name && by_name == nullptr) by_name = &served;
      if (!fits(served, body)) continue;
      // Of those with this body the action tells, then the name, then the order.
      const int rank = same_action ? 2 : same_name ? 1 : 0;
      const int known = by_body == nullptr                             ? -1
                        : !action.empty() && by_body->action == action ? 2
                        : by_body->operation->name == named            ? 1
                                                                       : 0;
      if (rank > known) by_body = &served;
    }
  }
  const ServedOperation* found = by_body != nullptr     ? by_body
                                 : by_action != nullptr ? by_action
                                 : by_name != nullptr   ? by_name
                                 : count == 1           ? only
                                                        : nullptr;
  if (found == nullptr) {
    return unsupported(fmt::format("no operation takes {}; served here: {}",
                                   body.empty() ? "an empty body" : body.to_string(), names_of(services)));
  }
  return FoundOperation{found->operation->name, found->operation->one_way()};
}

}  // namespace nuraghe::bpelhost
