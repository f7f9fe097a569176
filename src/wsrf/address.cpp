#include "wsrf/address.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <array>

#include "net/http.hpp"
#include "wsrf/names.hpp"

namespace nuraghe::wsrf {
namespace {

constexpr std::array<Membership, 1> kMemberships{
    {{"vhf", "PhysicalHost", "register_physical_host", "renew_physical_host", "interval", "alive", "alive_until", 3}}};

// Resources that end by themselves, and the field with the time.
struct OwnTermination {
  std::string_view service, resource, field;
};
constexpr std::array<OwnTermination, 1> kOwnTerminations{{{"notification", "Subscription", "ends"}}};

constexpr std::array<std::string_view, 4> kReads{"GetResourceProperty", "GetMultipleResourceProperties",
                                                 "QueryResourceProperties", "GetResourcePropertyDocument"};
constexpr std::array<std::string_view, 5> kChanges{"SetResourceProperties", "InsertResourceProperties",
                                                   "UpdateResourceProperties", "DeleteResourceProperties",
                                                   "PutResourcePropertyDocument"};
constexpr std::array<std::string_view, 2> kEnds{"Destroy", "SetTerminationTime"};

template <class Words>
bool contains(const Words& words, std::string_view word) {
  return !word.empty() && std::ranges::find(words, word) != words.end();
}

const Membership* membership_of(std::string_view service, std::string_view resource) {
  const auto found = std::ranges::find_if(
      kMemberships, [&](const Membership& one) { return one.service == service && one.resource == resource; });
  return found == kMemberships.end() ? nullptr : &*found;
}

// "/services/…" of a path or an address.
std::string_view services_path(std::string_view text) {
  if (!text.starts_with('/')) {
    const auto scheme = text.find("://");
    if (scheme == std::string_view::npos) return {};
    const auto slash = text.find('/', scheme + 3);
    if (slash == std::string_view::npos) return {};
    text = text.substr(slash);
  }
  text = text.substr(0, text.find_first_of("?#"));
  constexpr std::string_view kServices = "/services/";
  if (!text.starts_with(kServices)) return {};
  return text.substr(kServices.size());
}

// The word up to the next '/', which is taken off.
std::string_view next(std::string_view& rest) {
  const auto slash = rest.find('/');
  const std::string_view word = rest.substr(0, slash);
  rest = slash == std::string_view::npos ? std::string_view() : rest.substr(slash + 1);
  return word;
}

void add_method(std::vector<const contracts::OperationInfo*>& methods, const contracts::ServiceInfo* service,
                std::string_view name) {
  const auto* method = service == nullptr || name.empty() ? nullptr : contracts::find_operation(*service, name);
  if (method != nullptr) methods.push_back(method);
}

// Every property that a change names; those that nobody can set add nothing, for they end in a fault.
void add_setters(std::vector<const contracts::OperationInfo*>& methods, const Address& address, xml::Node node) {
  const auto by_name = [&](const xml::QName& name) {
    for (const auto& property : address.resource->properties) {
      if (property.set.empty() || name != name_of(address.service->name_space, property.name)) continue;
      add_method(methods, contracts::find_service(property.set_service), property.set);
    }
  };
  for (const xml::Node child : node.children()) {
    by_name(child.name());
    if (const auto named = child.attribute("ResourceProperty")) {
      if (const auto name = child.resolve_qname(*named)) by_name(*name);
    }
    if (child.namespace_uri() == kProperties || child.local_name().ends_with("Properties"))
      add_setters(methods, address, child);
  }
}

}  // namespace

std::string Address::service_path() const { return fmt::format("/services/{}", service->name); }
std::string Address::group_path() const { return fmt::format("{}/{}", service_path(), resource->path); }
std::string Address::path_of(std::string_view id) const {
  return fmt::format("{}/{}", group_path(), net::percent_encode(id));
}
std::string Address::entry_of(std::string_view id) const { return path_of(id) + "/entry"; }
std::string Address::path() const {
  if (part == Part::kGroup) return group_path();
  return part == Part::kEntry ? entry_of(key) : path_of(key);
}

std::optional<Address> find_address(std::string_view path) {
  std::string_view rest = services_path(path);
  Address address;
  address.service = contracts::find_service(next(rest));
  if (address.service == nullptr) return std::nullopt;
  const std::string_view kind = next(rest);
  for (const auto& resource : address.service->resources) {
    if (resource.path == kind) address.resource = &resource;
  }
  if (address.resource == nullptr) return std::nullopt;
  address.membership = membership_of(address.service->name, address.resource->name);
  if (rest.empty()) {
    address.part = Part::kGroup;
    return address;
  }
  auto key = net::percent_decode(next(rest));
  if (!key || key->empty()) return std::nullopt;
  address.key = std::move(*key);
  if (rest.empty()) return address;
  if (rest != "entry" || address.membership == nullptr) return std::nullopt;
  address.part = Part::kEntry;
  return address;
}

std::string description_of(const Address& address) {
  std::string name(address.service->name);
  for (const char c : address.resource->name) {
    const bool is_upper = c >= 'A' && c <= 'Z';
    if (is_upper) name.push_back('-');
    name.push_back(is_upper ? static_cast<char>(c - 'A' + 'a') : c);
  }
  if (address.part == Part::kResource) return name;
  return name + (address.part == Part::kGroup ? "-group" : "-entry");
}

const contracts::PropertyInfo* own_termination(const Address& address) {
  if (address.part != Part::kResource) return nullptr;
  for (const auto& own : kOwnTerminations) {
    if (own.service != address.service->name || own.resource != address.resource->name) continue;
    for (const auto& property : address.resource->properties) {
      if (property.field->name == own.field) return &property;
    }
  }
  return nullptr;
}

Doing doing_of(std::string_view operation) {
  if (contains(kReads, operation)) return Doing::kReads;
  if (contains(kChanges, operation)) return Doing::kChanges;
  return contains(kEnds, operation) ? Doing::kEnds : Doing::kOther;
}

std::vector<const contracts::OperationInfo*> lifecycle_of(const contracts::ResourceInfo& resource) {
  std::vector<const contracts::OperationInfo*> methods;
  const auto* service = contracts::find_service(resource.destroy_service);
  if (service == nullptr) return methods;
  for (const auto& method : service->operations) {
    if (method.read_only || method.one_way) continue;
    if (method.access == contracts::Access::kInternal || method.access == contracts::Access::kController) continue;
    const auto fields = method.request->fields;
    if (fields.empty() || fields.front().name != resource.destroy_input_field) continue;
    if (fields.front().kind == contracts::ValueKind::kString && !fields.front().list) methods.push_back(&method);
  }
  return methods;
}

std::vector<std::string> operations_of(const contracts::ResourceInfo& resource) {
  std::vector<std::string> names;
  for (const auto& words : {std::span<const std::string_view>(kReads), std::span<const std::string_view>(kChanges),
                            std::span<const std::string_view>(kEnds)}) {
    for (const auto word : words) {
      if (!word.empty()) names.emplace_back(word);
    }
  }
  names.emplace_back("Add");
  for (const auto* method : lifecycle_of(resource)) names.emplace_back(method->name);
  return names;
}

std::vector<const contracts::OperationInfo*> methods_behind(const Address& address, std::string_view operation,
                                                            xml::Node body) {
  std::vector<const contracts::OperationInfo*> methods;
  const auto& resource = *address.resource;
  const bool is_read = contains(kReads, operation);
  if (address.part == Part::kGroup) {
    if (is_read) add_method(methods, address.service, resource.list);
    if (operation == "Add" && address.membership != nullptr)
      add_method(methods, address.service, address.membership->add);
    return methods;
  }
  const bool is_change = contains(kChanges, operation);
  const bool is_end = contains(kEnds, operation);
  if (is_read || is_change || is_end) add_method(methods, address.service, resource.get);
  if (address.part == Part::kEntry) {
    if (is_end) add_method(methods, address.service, address.membership->renew);
    return methods;
  }
  if (is_change && body) add_setters(methods, address, body);
  const auto* own = operation == "SetTerminationTime" ? own_termination(address) : nullptr;
  if (own != nullptr) add_method(methods, contracts::find_service(own->set_service), own->set);
  if (is_end && own == nullptr)
    add_method(methods, contracts::find_service(resource.destroy_service), resource.destroy);
  for (const auto* method : lifecycle_of(resource)) {
    if (method->name == operation) methods.push_back(method);
  }
  // What cannot be destroyed has no operation that would.
  if (is_end && resource.destroy.empty()) methods.clear();
  return methods;
}

}  // namespace nuraghe::wsrf
