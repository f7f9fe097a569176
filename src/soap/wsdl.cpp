#include "soap/wsdl.hpp"

#include <algorithm>
#include <array>

namespace nuraghe::wsdl {

namespace {

template <class Map>
const typename Map::mapped_type* find_in(const Map& map, const QName& name) {
  const auto found = map.find(name);
  return found == map.end() ? nullptr : &found->second;
}

template <class Items>
auto* find_named(const Items& items, std::string_view name) {
  const auto found = std::find_if(items.begin(), items.end(), [name](const auto& item) { return item.name == name; });
  return found == items.end() ? nullptr : &*found;
}

bool has_scheme(std::string_view location) {
  const auto colon = location.find(':');
  return colon != std::string_view::npos && location.substr(0, colon).find('/') == std::string_view::npos;
}

}  // namespace

std::string resolve_location(std::string_view base, std::string_view location) {
  if (has_scheme(location)) return std::string(location);
  std::string joined;
  if (!location.starts_with('/')) {
    const auto slash = base.rfind('/');
    if (slash != std::string_view::npos) joined = base.substr(0, slash + 1);
  }
  joined += location;
  std::vector<std::string_view> steps;
  std::string_view rest = joined;
  while (!rest.empty()) {
    const auto slash = rest.find('/');
    const std::string_view step = rest.substr(0, slash);
    rest = slash == std::string_view::npos ? std::string_view() : rest.substr(slash + 1);
    if (step.empty() || step == ".") continue;
    if (step == "..") {
      if (!steps.empty()) steps.pop_back();
      continue;
    }
    steps.push_back(step);
  }
  std::string path;
  for (const std::string_view step : steps) {
    if (!path.empty()) path += '/';
    path += step;
  }
  return path;
}

namespace {

// Percent escapes and backslashes undone, the rest as it is.
std::string plain_location(std::string_view location) {
  const auto digit = [](char c) {
    return c >= '0' && c <= '9'   ? c - '0'
           : c >= 'a' && c <= 'f' ? c - 'a' + 10
           : c >= 'A' && c <= 'F' ? c - 'A' + 10
                                  : -1;
  };
  std::string plain;
  for (std::size_t i = 0; i < location.size(); ++i) {
    const bool escape =
        location[i] == '%' && i + 2 < location.size() && digit(location[i + 1]) >= 0 && digit(location[i + 2]) >= 0;
    if (escape) {
      plain.push_back(static_cast<char>(digit(location[i + 1]) * 16 + digit(location[i + 2])));
      i += 2;
    } else {
      plain.push_back(location[i] == '\\' ? '/' : location[i]);
    }
  }
  return plain;
}

// How many steps at the end of both paths are equal.
std::size_t common_tail(std::string_view left, std::string_view right) {
  std::size_t steps = 0;
  while (!left.empty() && !right.empty()) {
    const auto from_left = left.rfind('/') + 1, from_right = right.rfind('/') + 1;
    if (left.substr(from_left) != right.substr(from_right)) break;
    ++steps;
    left = left.substr(0, from_left == 0 ? 0 : from_left - 1);
    right = right.substr(0, from_right == 0 ? 0 : from_right - 1);
  }
  return steps;
}

// The only file whose path differs in capital letters alone, as on systems where these do not count.
std::string only_file_like(const Files& files, std::string_view path) {
  const auto small = [](char c) { return c >= 'A' && c <= 'Z' ? static_cast<char>(c - 'A' + 'a') : c; };
  const auto same = [&](char a, char b) { return small(a) == small(b); };
  std::string found;
  for (const auto& [candidate, text] : files) {
    if (!std::ranges::equal(candidate, path, same)) continue;
    if (!found.empty()) return {};
    found = candidate;
  }
  return found;
}

}  // namespace

std::string find_file(const Files& files, std::string_view base, std::string_view location) {
  if (location.empty()) return {};
  std::string path = resolve_location(base, location);
  if (files.contains(path)) return path;
  const std::string plain = plain_location(location);
  path = resolve_location(base, plain);
  if (files.contains(path)) return path;
  if (!has_scheme(plain)) return only_file_like(files, path);
  std::string best;
  std::size_t most = 0;
  for (const auto& [candidate, text] : files) {
    const std::size_t steps = common_tail(plain.substr(plain.find(':') + 1), candidate);
    if (steps > most) {
      most = steps;
      best = candidate;
    } else if (steps == most) {
      best.clear();
    }
  }
  return best;
}

std::optional<TypeClass> builtin_type_class(std::string_view local) {
  static constexpr std::array<std::string_view, 16> kNumbers = {
      "decimal",     "float",         "double",       "integer",        "nonPositiveInteger", "negativeInteger",
      "long",        "int",           "short",        "byte",           "nonNegativeInteger", "unsignedLong",
      "unsignedInt", "unsignedShort", "unsignedByte", "positiveInteger"};
  static constexpr std::array<std::string_view, 28> kStrings = {"string",    "normalizedString",
                                                                "token",     "language",
                                                                "Name",      "NCName",
                                                                "ID",        "IDREF",
                                                                "IDREFS",    "ENTITY",
                                                                "ENTITIES",  "NMTOKEN",
                                                                "NMTOKENS",  "duration",
                                                                "dateTime",  "time",
                                                                "date",      "gYearMonth",
                                                                "gYear",     "gMonthDay",
                                                                "gDay",      "gMonth",
                                                                "hexBinary", "base64Binary",
                                                                "anyURI",    "QName",
                                                                "NOTATION",  "anySimpleType"};
  if (local == "boolean") return TypeClass::kBoolean;
  if (local == "anyType") return TypeClass::kComplex;
  if (std::find(kNumbers.begin(), kNumbers.end(), local) != kNumbers.end()) return TypeClass::kNumber;
  if (std::find(kStrings.begin(), kStrings.end(), local) != kStrings.end()) return TypeClass::kString;
  return std::nullopt;
}

const Part* Message::part(std::string_view part_name) const { return find_named(parts, part_name); }

const OperationFault* Operation::fault(std::string_view fault_name) const { return find_named(faults, fault_name); }

const Operation* PortType::operation(std::string_view operation_name) const {
  return find_named(operations, operation_name);
}

std::size_t PortType::count(std::string_view operation_name) const {
  return static_cast<std::size_t>(std::count_if(operations.begin(), operations.end(), [&](const Operation& operation) {
    return operation.name == operation_name;
  }));
}

const BindingOperation* Binding::operation(std::string_view operation_name) const {
  return find_named(operations, operation_name);
}

const Port* Service::port(std::string_view port_name) const {
  if (port_name.empty()) return ports.empty() ? nullptr : &ports.front();
  return find_named(ports, port_name);
}

const Role* PartnerLinkType::role(std::string_view role_name) const { return find_named(roles, role_name); }

const Message* Definitions::message(const QName& name) const { return find_in(messages_, name); }
const PortType* Definitions::port_type(const QName& name) const { return find_in(port_types_, name); }
const Binding* Definitions::binding(const QName& name) const { return find_in(bindings_, name); }
const Service* Definitions::service(const QName& name) const { return find_in(services_, name); }
const PartnerLinkType* Definitions::partner_link_type(const QName& name) const {
  return find_in(partner_link_types_, name);
}
const Property* Definitions::property(const QName& name) const { return find_in(properties_, name); }

const PropertyAlias* Definitions::alias_for_message(const QName& property, const QName& message) const {
  for (const PropertyAlias& alias : aliases_) {
    if (alias.property == property && alias.message_type == message) return &alias;
  }
  return nullptr;
}

const PropertyAlias* Definitions::alias_for_element(const QName& property, const QName& element) const {
  for (const PropertyAlias& alias : aliases_) {
    if (alias.property == property && alias.element == element) return &alias;
  }
  return nullptr;
}

const PropertyAlias* Definitions::alias_for_type(const QName& property, const QName& type) const {
  for (const PropertyAlias& alias : aliases_) {
    if (alias.property == property && alias.type == type) return &alias;
  }
  return nullptr;
}

std::string Definitions::address_of_port_type(const QName& port_type) const {
  const auto addresses = addresses_of_port_type(port_type);
  return addresses.empty() ? std::string() : addresses.front();
}

std::vector<std::string> Definitions::addresses_of_port_type(const QName& port_type) const {
  std::vector<std::string> addresses;
  for (const bool imported : {true, false}) {
    for (const auto& [name, service] : services_) {
      if (service.imported != imported) continue;
      for (const Port& port : service.ports) {
        const Binding* of_port = binding(port.binding);
        const bool fits = of_port != nullptr && of_port->port_type == port_type && of_port->soap_version != 0;
        if (fits && !port.address.empty() &&
            std::find(addresses.begin(), addresses.end(), port.address) == addresses.end())
          addresses.push_back(port.address);
      }
    }
  }
  return addresses;
}

const Binding* Definitions::binding_of_port_type(const QName& port_type) const {
  for (const bool imported : {true, false}) {
    for (const auto& [name, service] : services_) {
      if (service.imported != imported) continue;
      for (const Port& port : service.ports) {
        const Binding* of_port = binding(port.binding);
        if (of_port != nullptr && of_port->port_type == port_type && of_port->soap_version != 0) return of_port;
      }
    }
  }
  for (const auto& [name, candidate] : bindings_) {
    if (candidate.port_type == port_type) return &candidate;
  }
  return nullptr;
}

bool Definitions::substitutes(const QName& element, const QName& head) const {
  QName at = element;
  // A circle of groups is no schema; the bound keeps it from being walked for ever.
  for (std::size_t step = 0; step <= elements_.size(); ++step) {
    if (at == head) return true;
    const SchemaElement* const known = schema_element(at);
    if (known == nullptr || known->substitution_group.empty()) return false;
    at = known->substitution_group;
  }
  return false;
}

const Binding* Definitions::binding_at(const QName& port_type, std::string_view address) const {
  for (const auto& [name, service] : services_) {
    for (const Port& port : service.ports) {
      if (port.address != address) continue;
      const Binding* of_port = binding(port.binding);
      if (of_port != nullptr && of_port->port_type == port_type && of_port->soap_version != 0) return of_port;
    }
  }
  return binding_of_port_type(port_type);
}

const Binding* Definitions::binding_at_path(const QName& port_type, std::string_view path) const {
  for (const auto& [name, service] : services_) {
    for (const Port& port : service.ports) {
      const Binding* of_port = binding(port.binding);
      if (of_port == nullptr || of_port->port_type != port_type || of_port->soap_version == 0) continue;
      std::string_view address = port.address;
      address = address.substr(0, address.find_first_of("?#"));
      const auto scheme = address.find("://");
      const auto slash = scheme == std::string_view::npos ? 0 : address.find('/', scheme + 3);
      if (slash != std::string_view::npos && address.substr(slash) == path) return of_port;
    }
  }
  return nullptr;
}

std::size_t Definitions::bindings_of_port_type(const QName& port_type) const {
  return static_cast<std::size_t>(std::count_if(bindings_.begin(), bindings_.end(), [&](const auto& entry) {
    return entry.second.port_type == port_type && entry.second.soap_version != 0;
  }));
}

const SchemaElement* Definitions::schema_element(const QName& name) const { return find_in(elements_, name); }

std::optional<TypeClass> Definitions::type_class(const QName& type) const {
  if (type.ns == kSchemaNamespace) return builtin_type_class(type.local);
  const TypeClass* known = find_in(types_, type);
  return known == nullptr ? std::nullopt : std::optional(*known);
}

bool Definitions::is_known_namespace(std::string_view ns) const { return namespaces_.contains(ns); }

}  // namespace nuraghe::wsdl
