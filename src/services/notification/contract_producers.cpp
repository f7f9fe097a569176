#include "services/notification/contract_producers.hpp"

#include "contracts/operation.hpp"

namespace nuraghe::services::notification {

Producers producers_of_contracts() {
  std::vector<TellingService> services;
  for (const contracts::ServiceInfo& info : contracts::all_services()) {
    TellingService& service = services.emplace_back();
    service.name = info.name;
    service.name_space = info.name_space;
    for (const contracts::TopicInfo& topic : info.topics) service.kinds.emplace_back(topic.name);
    for (const contracts::ResourceInfo& resource : info.resources) {
      ResourceKind& kind = service.resources.emplace_back();
      kind.name = resource.name;
      kind.path = resource.path;
      kind.get = resource.get;
      kind.get_input = resource.get_input_field;
      kind.get_output = resource.get_output_field;
      const auto* get = contracts::find_operation(info, resource.get);
      kind.is_site_wide = get != nullptr && get->access == contracts::Access::kSite;
      for (const contracts::PropertyInfo& property : resource.properties)
        kind.properties.push_back({std::string(property.name), std::string(property.field->name)});
    }
  }
  return Producers(std::move(services));
}

}  // namespace nuraghe::services::notification
