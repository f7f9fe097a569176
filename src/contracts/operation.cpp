#include "contracts/operation.hpp"

#include <algorithm>

namespace nuraghe::contracts {
namespace {

const ServiceInfo* find_service(std::string_view name) {
  const auto services = all_services();
  const auto found = std::find_if(services.begin(), services.end(), [&](const auto& one) { return one.name == name; });
  return found == services.end() ? nullptr : &*found;
}

}  // namespace

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
  if (service == nullptr) return nullptr;
  const auto& operations = service->operations;
  const auto found =
      std::find_if(operations.begin(), operations.end(), [&](const auto& one) { return one.name == operation; });
  return found == operations.end() ? nullptr : &*found;
}

}  // namespace nuraghe::contracts
