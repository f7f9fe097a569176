#include "api/outside_table.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <boost/json.hpp>

#include "api/doors.hpp"
#include "base/log.hpp"
#include "net/http.hpp"
#include "services/registry/registry.hpp"
#include "wsrf/address.hpp"

namespace nuraghe::api {

namespace json = boost::json;
using services::registry::ServiceRow;

namespace {

using Segments = std::vector<std::string>;

// Whether an HTTP client on the way would read more out of it than a name (RFC 3986 §3.5, §5.2.4): what is asked for
// here is then not what the program is asked for.
bool is_ambiguous(std::string_view segment) {
  const auto decoded = net::percent_decode(segment);
  return segment.find_first_of("#\\") != std::string_view::npos || (decoded && (*decoded == "." || *decoded == ".."));
}

// As they stand between the slashes; nullopt when the path is none that an operation has.
std::optional<Segments> segments_of(std::string_view path) {
  Segments out;
  while (!path.empty()) {
    if (path.front() != '/') return std::nullopt;
    path.remove_prefix(1);
    const std::string_view segment = path.substr(0, path.find('/'));
    if (segment.empty() || is_ambiguous(segment)) return std::nullopt;
    out.emplace_back(segment);
    path.remove_prefix(segment.size());
  }
  return out;
}

bool is_parameter(std::string_view segment) {
  return segment.size() > 2 && segment.front() == '{' && segment.back() == '}';
}

// Parameters alike, whatever they are called.
Segments shape_of(const Segments& segments) {
  Segments out = segments;
  for (auto& segment : out) {
    if (is_parameter(segment)) segment.clear();
  }
  return out;
}

// A shape's parameters are empty; what fills one must be readable.
bool fits(const Segments& shape, const Segments& asked) {
  if (shape.size() != asked.size()) return false;
  for (std::size_t i = 0; i < shape.size(); ++i) {
    if (shape[i].empty() ? !net::percent_decode(asked[i]) : shape[i] != asked[i]) return false;
  }
  return true;
}

// The door of the program takes a literal before a parameter, segment by segment. Of shapes of one length: others are
// never asked for the same path, and would leave the order of these open.
bool is_before(const Segments& one, const Segments& other) {
  if (one.size() != other.size()) return one.size() < other.size();
  return std::ranges::lexicographical_compare(
      one, other, {}, [](const auto& segment) { return segment.empty(); },
      [](const auto& segment) { return segment.empty(); });
}

contracts::Access access_of(contracts::registry::Access access) {
  using From = contracts::registry::Access;
  switch (access) {
    case From::kViewer:
      return contracts::Access::kViewer;
    case From::kOperator:
      return contracts::Access::kOperator;
    case From::kOwner:
      return contracts::Access::kOwner;
    case From::kSite:
      return contracts::Access::kSite;
    case From::kController:
      return contracts::Access::kController;
    case From::kInternal:
      return contracts::Access::kInternal;
  }
  return contracts::Access::kInternal;
}

// Adds the members that are missing; what is there already stays.
void add_missing(json::object& to, const json::object& from) {
  for (const auto& [key, value] : from) to.emplace(key, value);
}

const json::object* object_in(const json::object& object, std::string_view key) {
  const auto* value = object.if_contains(key);
  return value != nullptr && value->is_object() ? &value->get_object() : nullptr;
}

// The object at a key, which is made when it is missing.
json::object& object_of(json::object& object, std::string_view key) {
  auto& value = object[key];
  return value.is_object() ? value.get_object() : value.emplace_object();
}

// Tags, components and those paths of a document that the service has. Names are made of services' names: the same name
// is the same thing.
void add_document(json::object& to, const json::object& from, const std::vector<OutsideOperation>& operations) {
  if (const auto* paths = object_in(from, "paths")) {
    for (const auto& [path, item] : *paths) {
      const auto has_path = [&, shape = shape_of(segments_of(path).value_or(Segments{}))](const auto& operation) {
        return !operation.path.empty() && shape_of(segments_of(operation.path).value_or(Segments{})) == shape;
      };
      if (std::ranges::any_of(operations, has_path)) object_of(to, "paths").emplace(path, item);
    }
  }
  if (const auto* components = object_in(from, "components")) {
    for (const auto& [kind, value] : *components) {
      if (value.is_object()) add_missing(object_of(object_of(to, "components"), kind), value.get_object());
    }
  }
  const auto* tags = from.if_contains("tags");
  auto* own_tags = to.if_contains("tags");
  if (tags == nullptr || !tags->is_array() || own_tags == nullptr || !own_tags->is_array()) return;
  for (const auto& tag : tags->get_array()) own_tags->get_array().push_back(tag);
}

constexpr std::string_view kProperties = "http://docs.oasis-open.org/wsrf/rp-2";
constexpr std::string_view kLifetime = "http://docs.oasis-open.org/wsrf/rl-2";

// A WS-Resource of a service, or all of a kind.
struct Place {
  const contracts::registry::Resource* resource;
  bool is_group;
};

// Of "/greeted/Ada".
std::optional<Place> place_of(const std::vector<contracts::registry::Resource>& resources, std::string_view rest) {
  const auto segments = segments_of(rest);
  if (!segments || segments->empty() || segments->size() > 2) return std::nullopt;
  const auto found = std::ranges::find(resources, segments->front(), &contracts::registry::Resource::path);
  if (found == resources.end()) return std::nullopt;
  return Place{&*found, segments->size() == 1};
}

// "-greeted-name-group" of the resource GreetedName: as wsrf::description_of.
std::string description_of(const Place& place) {
  std::string out;
  for (const char c : place.resource->name) {
    const bool is_upper = c >= 'A' && c <= 'Z';
    if (is_upper) out.push_back('-');
    out.push_back(is_upper ? static_cast<char>(c - 'A' + 'a') : c);
  }
  return out + (place.is_group ? "-group" : "");
}

// The methods that set what a change names, however it names it. kInvalid: it names what the program cannot read.
Status add_setters(std::vector<std::string>& methods, const contracts::registry::Resource& resource,
                   std::string_view ns, xml::Node node) {
  const auto by_name = [&](const xml::QName& name) {
    for (const auto& property : resource.property) {
      if (property.set && name.ns == ns && name.local == property.name) methods.push_back(*property.set);
    }
  };
  for (const xml::Node child : node.children()) {
    by_name(child.name());
    if (const auto named = child.attribute("ResourceProperty")) {
      // As the program reads it: blanks around a name are none of it.
      const auto name = child.resolve_qname(*named);
      if (name) by_name(*name);
      // Within a property's value it is the value's own, and names nothing.
      if (!name && child.namespace_uri() == kProperties) return invalid(name.error().message());
    }
    TRY(add_setters(methods, resource, ns, child));
  }
  return {};
}

// The methods that an operation of WSRF, or one on the life of the resource, stands for; empty: there is no such one.
Result<std::vector<std::string>> methods_behind(const Place& place, std::string_view ns, std::string_view operation,
                                                xml::Node body) {
  const auto& resource = *place.resource;
  const auto doing = wsrf::doing_of(operation);
  if (place.is_group) return doing == wsrf::Doing::kReads ? std::vector{resource.list} : std::vector<std::string>{};
  std::vector<std::string> methods;
  switch (doing) {
    case wsrf::Doing::kReads:
      return std::vector{resource.get};
    case wsrf::Doing::kChanges:
      methods = {resource.get};
      if (body) TRY(add_setters(methods, resource, ns, body));
      return methods;
    case wsrf::Doing::kEnds:
      return resource.destroy ? std::vector{resource.get, *resource.destroy} : methods;
    case wsrf::Doing::kOther:
      break;
  }
  if (std::ranges::find(resource.method, operation) != resource.method.end()) methods.emplace_back(operation);
  return methods;
}

}  // namespace

struct OutsideTable::Service {
  struct Route {
    Segments shape;
    const OutsideOperation* operation;
  };
  std::string name, name_space, address, base;
  std::vector<OutsideOperation> operations;
  std::vector<Route> routes;  // in the order in which they are tried
  std::vector<contracts::registry::Resource> resources;
  std::map<std::string, std::string, std::less<>> documents;
  std::string openapi;
};

OutsideTable::OutsideTable() : services_(std::make_shared<const Services>()) {}
OutsideTable::~OutsideTable() = default;

void OutsideTable::set(const std::string& name, const ServiceRow* row) {
  auto made = row == nullptr ? nullptr : std::make_shared<Service>();
  if (made) {
    made->name = row->name;
    made->name_space = row->name_space;
    made->address = row->address;
    if (const auto url = net::parse_url(row->address)) made->base = url->base();
    for (const auto& one : row->operations)
      made->operations.push_back({row->name, one.name, access_of(one.access), one.read_only, one.one_way,
                                  one.rest_verb.value_or(""), one.rest_path.value_or("")});
    for (const auto& operation : made->operations) {
      const auto segments = segments_of(operation.path);
      if (segments && !segments->empty()) made->routes.push_back({shape_of(*segments), &operation});
    }
    std::ranges::stable_sort(made->routes, [](const auto& a, const auto& b) { return is_before(a.shape, b.shape); });
    made->resources = row->resources;
    for (const auto& document : row->documents) made->documents[document.name] = document.text;
    made->openapi = row->openapi;
  }
  const std::lock_guard lock(mutex_);
  auto next = std::make_shared<Services>(*services_);
  if (made) {
    (*next)[name] = std::move(made);
  } else {
    next->erase(name);
  }
  services_ = std::move(next);
  openapi_.clear();
}

std::shared_ptr<const OutsideTable::Services> OutsideTable::services() const {
  const std::lock_guard lock(mutex_);
  return services_;
}

std::shared_ptr<const OutsideTable::Service> OutsideTable::service_at(std::string_view path) const {
  const auto place = service_path(path);
  if (!place) return nullptr;
  const auto all = services();
  const auto found = all->find(place->service);
  return found == all->end() ? nullptr : found->second;
}

bool OutsideTable::has(std::string_view path) const { return service_at(path) != nullptr; }

Result<OutsideOperation> OutsideTable::find(const Service& service, std::string_view rest, std::string_view operation,
                                            xml::Node body) {
  const auto absent = [&] {
    return not_found(fmt::format("there is no operation {} at /services/{}{}", operation, service.name, rest));
  };
  const auto place = place_of(service.resources, rest);
  if (rest.empty() || !place) {
    const auto found = std::ranges::find(service.operations, operation, &OutsideOperation::name);
    if (found == service.operations.end()) return absent();
    return *found;
  }
  TRY_ASSIGN(const auto behind, methods_behind(*place, service.name_space, operation, body));
  if (behind.empty()) return absent();
  OutsideOperation out;
  out.service = service.name;
  out.name = operation;
  out.access = contracts::Access::kViewer;
  out.read_only = wsrf::doing_of(operation) == wsrf::Doing::kReads;
  for (const auto& name : behind) {
    const auto found = std::ranges::find(service.operations, name, &OutsideOperation::name);
    out.access = std::max(out.access, found == service.operations.end() ? contracts::Access::kInternal : found->access);
  }
  return out;
}

std::optional<OutsideOperation> OutsideTable::operation_at(std::string_view path, std::string_view operation) const {
  const auto service = service_at(path);
  if (!service) return std::nullopt;
  auto found = find(*service, service_path(path)->rest, operation, {});
  return found ? std::optional(std::move(*found)) : std::nullopt;
}

Result<OutsideOperation> OutsideTable::operation_at(std::string_view path, std::string_view operation,
                                                    xml::Node body) const {
  const auto service = service_at(path);
  if (!service) return not_found(fmt::format("there is no operation {} at {}", operation, path));
  const std::string rest = service_path(path)->rest;
  TRY_ASSIGN(auto found, find(*service, rest, operation, body));
  const bool is_of_wsrf = place_of(service->resources, rest) && wsrf::doing_of(operation) != wsrf::Doing::kOther;
  const std::string_view ns = body.namespace_uri();
  const bool is_its = is_of_wsrf ? ns == kProperties || ns == kLifetime : ns == service->name_space;
  if (!is_its || body.local_name() != operation)
    return invalid(
        fmt::format("the body of {} is the element {} of another namespace or name", operation, body.local_name()));
  return found;
}

Result<contracts::Access> OutsideTable::access_of_news(std::string_view path) const {
  const auto service = service_at(path);
  if (!service) return not_found(fmt::format("nothing is served at {}", path));
  const std::string rest = service_path(path)->rest;
  if (rest.empty() || rest == "/") return contracts::Access::kViewer;
  // Whatever is behind it is the key, as for who tells of it.
  const std::string_view kind = services::registry::first_segment(rest);
  const auto resource = std::ranges::find(service->resources, kind, &contracts::registry::Resource::path);
  if (resource == service->resources.end()) return not_found(fmt::format("{} is no resource", path));
  const auto get = std::ranges::find(service->operations, resource->get, &OutsideOperation::name);
  return get == service->operations.end() ? contracts::Access::kInternal : get->access;
}

std::optional<std::string> OutsideTable::address_of(std::string_view path) const {
  const auto service = service_at(path);
  if (!service) return std::nullopt;
  return service->address + service_path(path)->rest;
}

std::vector<OutsideOperation> OutsideTable::routes_at(std::string_view path) const {
  const auto asked = segments_of(path);
  if (!asked || asked->empty()) return {};
  const auto all = services();
  for (const auto& [name, service] : *all) {
    const Segments* shape = nullptr;
    std::vector<OutsideOperation> out;
    for (const auto& route : service->routes) {
      if (shape == nullptr && fits(route.shape, *asked)) shape = &route.shape;
      if (shape != nullptr && route.shape == *shape) out.push_back(*route.operation);
    }
    // The first segment of a path is one service's.
    if (!out.empty()) return out;
  }
  return {};
}

std::string OutsideTable::base_of(std::string_view service) const {
  const auto all = services();
  const auto found = all->find(service);
  return found == all->end() ? std::string() : found->second->base;
}

std::string OutsideTable::name_of(std::string_view base) const {
  const auto all = services();
  const auto found = std::ranges::find_if(*all, [&](const auto& one) { return one.second->base == base; });
  return found == all->end() ? std::string() : found->first;
}

Result<std::string> OutsideTable::document(std::string_view service, std::string_view file) const {
  const auto all = services();
  const std::size_t slash = std::min(service.find('/'), service.size());
  if (const auto found = all->find(service.substr(0, slash)); found != all->end()) {
    const std::string rest(service.substr(slash));
    const auto place = place_of(found->second->resources, rest);
    const std::string own = found->first + (place ? description_of(*place) : std::string()) + ".wsdl";
    const std::string wanted = file.empty() ? own : std::string(file);
    const auto text = found->second->documents.find(wanted);
    if (text != found->second->documents.end()) return text->second;
  }
  return not_found("there is no such description");
}

std::string OutsideTable::openapi(std::string_view own) const {
  std::shared_ptr<const Services> all;
  {
    const std::lock_guard lock(mutex_);
    if (!openapi_.empty()) return openapi_;
    all = services_;
  }
  if (all->empty()) return std::string(own);
  // Nobody waits for the lock meanwhile: requests ask for a service under it.
  boost::system::error_code error;
  json::value document = json::parse(own, error);
  if (error || !document.is_object()) return std::string(own);
  for (const auto& [name, service] : *all) {
    const json::value theirs = json::parse(service->openapi, error);
    if (error || !theirs.is_object()) {
      log_warning("openapi", "the OpenAPI document of a service cannot be read", {{"service", name}});
      continue;
    }
    add_document(document.get_object(), theirs.get_object(), service->operations);
  }
  std::string made = json::serialize(document);
  const std::lock_guard lock(mutex_);
  if (services_ == all) openapi_ = made;
  return made;
}

}  // namespace nuraghe::api
