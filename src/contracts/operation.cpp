#include "contracts/operation.hpp"

#include <algorithm>

namespace nuraghe::contracts {

const ServiceInfo* find_service(std::string_view name) {
  const auto services = all_services();
  const auto found = std::ranges::find(services, name, &ServiceInfo::name);
  return found == services.end() ? nullptr : &*found;
}

const OperationInfo* find_operation(const ServiceInfo& service, std::string_view name) {
  const auto found = std::ranges::find(service.operations, name, &OperationInfo::name);
  return found == service.operations.end() ? nullptr : &*found;
}

std::string_view access_name(Access access) {
  switch (access) {
    case Access::kViewer:
      return "viewer";
    case Access::kOperator:
      return "operator";
    case Access::kOwner:
      return "owner";
    case Access::kSite:
      return "site";
    case Access::kController:
      return "controller";
    case Access::kInternal:
      return "internal";
  }
  return "internal";
}

const OperationInfo* operation_at(std::string_view path, std::string_view operation) {
  constexpr std::string_view kServices = "/services/";
  if (!path.starts_with(kServices)) return nullptr;
  path.remove_prefix(kServices.size());
  const ServiceInfo* service = find_service(path.substr(0, path.find('/')));
  if (service == nullptr) service = find_service("vhc");
  return service == nullptr ? nullptr : find_operation(*service, operation);
}

}  // namespace nuraghe::contracts
