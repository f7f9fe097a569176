// Every operation of every service as contracts/*.service.xml has it: who may call it, and how it is answered.
// The table is made by tools/generate_service.py; whoever lets requests in asks it (api/access.hpp). Thread safe.
#pragma once

#include <span>
#include <string_view>

namespace nuraghe::contracts {

// Who may call from outside, beside whoever is part of this site's control: its own workflows and processes.
enum class Access {
  kViewer,      // sees what its VO has
  kOperator,    // changes what its VO has
  kOwner,       // decides what its VO keeps
  kSite,        // administrators of the site: it concerns every VO, or the machines themselves
  kController,  // Virtual Host Controllers of the site
  kInternal,    // nobody: a step of Nuraghe's own workflows
};

struct OperationInfo {
  std::string_view service;  // "vhf"
  std::string_view name;     // "reserve"
  Access access;
  bool by_workflow;
  bool one_way;
  bool read_only;
};

struct ServiceInfo {
  std::string_view name;
  std::string_view name_space;
  std::span<const OperationInfo> operations;
};

// In the order of their names; operations in that of the definition.
std::span<const ServiceInfo> all_services();

// The word of the definition: "viewer".
std::string_view access_name(Access access);

// What a request to "/services/NAME[/…]" asks for; a NAME that is no service is a controller, which are all "vhc".
// Null: no definition has it. Points into the table.
const OperationInfo* operation_at(std::string_view path, std::string_view operation);

}  // namespace nuraghe::contracts
