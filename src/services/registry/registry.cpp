#include "services/registry/registry.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <set>

#include "base/check.hpp"
#include "base/log.hpp"
#include "contracts/operation.hpp"
#include "services/entered.hpp"

namespace nuraghe::services::registry {
namespace {

// Of nuraghed's other doors.
constexpr std::array kDoors{"services", "events", "seeds",   "images", "openapi.json", "healthz",
                            "readyz",   "join",   "metrics", "renew",  "ca.pem"};
constexpr std::array kVerbs{"GET", "POST", "PUT", "PATCH", "DELETE"};

constexpr std::size_t kLongestName = 63;
constexpr std::size_t kLongestText = 1000;

// Only a program of the site speaks for its service, and only for its own.
Status check_is_program(const exchange::Message& request, const std::string& name) {
  if (request.caller == "service:" + name) return {};
  return denied(fmt::format("{} is not the program of the service {}",
                            request.caller.empty() ? "the caller" : request.caller, xml::printable(name)));
}

Status check_name(const std::string& name) {
  const bool is_good = !name.empty() && name.size() <= kLongestName && name.front() >= 'a' && name.front() <= 'z' &&
                       name.find_first_not_of("abcdefghijklmnopqrstuvwxyz0123456789_") == std::string::npos;
  if (is_good) return {};
  return invalid(fmt::format("'{}' is no service's name; use at most {} lower-case letters, digits and '_'",
                             xml::printable(name), kLongestName));
}

bool is_path(std::string_view path) {
  return path.size() > 1 && path.size() <= kLongestText && path.front() == '/' && path.back() != '/' &&
         path.find("//") == std::string_view::npos &&
         std::all_of(path.begin(), path.end(), [](char c) { return c > ' ' && c < 127 && c != '?' && c != '#'; });
}

Status check_operation(const api::Operation& operation) {
  const bool is_named = !operation.name.empty() && operation.name.size() <= kLongestText;
  if (!is_named) return invalid("an operation has no name");
  if (!operation.rest_path && !operation.rest_verb) return {};
  const bool is_verb =
      operation.rest_verb && std::find(kVerbs.begin(), kVerbs.end(), *operation.rest_verb) != kVerbs.end();
  const bool begins_well = operation.rest_path && is_path(*operation.rest_path) &&
                           first_segment(*operation.rest_path).find('{') == std::string_view::npos;
  if (is_verb && begins_well) return {};
  return invalid(fmt::format("'{} {}' of {} is no REST route: a verb, and a path whose first segment is a word",
                             xml::printable(operation.rest_verb.value_or("")),
                             xml::printable(operation.rest_path.value_or("")), xml::printable(operation.name)));
}

// What it calls a file must be one of its own definition's.
Status check_document(const std::string& service, const api::Document& document) {
  const std::string& name = document.name;
  const bool is_own = name == service + ".wsdl" || name == service + ".xsd" ||
                      (name.starts_with(service + "-") && name.ends_with(".wsdl") &&
                       name.find_first_of("/\\?#:") == std::string::npos && name.find("..") == std::string::npos);
  if (is_own) return {};
  return invalid(fmt::format("'{}' is no description of the service {}", xml::printable(name), service));
}

Status check_resource(const api::RegisterServiceRequest& input, const api::Resource& resource) {
  const auto refuse = [&](std::string_view why) {
    return invalid(fmt::format("the resource {} of {} {}", xml::printable(resource.name), input.name, why));
  };
  const bool is_named = !resource.name.empty() && resource.name.size() <= kLongestName && !resource.path.empty() &&
                        resource.path.size() <= kLongestName &&
                        resource.path.find_first_not_of("abcdefghijklmnopqrstuvwxyz0123456789-_") == std::string::npos;
  if (!is_named) return refuse("has no name, or a path that is no word of lower-case letters, digits, '-' and '_'");
  const auto operation = [&](const std::string& name) {
    const auto found = std::ranges::find(input.operation, name, &api::Operation::name);
    return found == input.operation.end() ? nullptr : &*found;
  };
  for (const auto& name : {resource.get, resource.list}) {
    if (const auto* found = operation(name); found == nullptr || !found->read_only)
      return refuse(fmt::format("is read by '{}', which is no operation that only reads", xml::printable(name)));
  }
  std::vector<std::string> changing = resource.method;
  if (resource.destroy) changing.push_back(*resource.destroy);
  if (resource.property.size() > Registry::kMostResources) return refuse("has too many properties");
  for (const auto& property : resource.property) {
    if (property.name.empty() || property.name.size() > kLongestName) return refuse("has a property without a name");
    if (property.set) changing.push_back(*property.set);
  }
  for (const auto& name : changing) {
    if (operation(name) == nullptr)
      return refuse(fmt::format("has the method '{}', which is no operation of it", xml::printable(name)));
  }
  return {};
}

// Kinds of events are known by their names alone, wherever they come from.
Status check_topic(const std::string& service, const std::string& topic) {
  const bool is_own = topic.starts_with(service + ".") && topic.size() > service.size() + 1 &&
                      topic.size() <= 2 * kLongestName &&
                      topic.find_first_not_of("abcdefghijklmnopqrstuvwxyz0123456789._-") == std::string::npos;
  if (is_own) return {};
  return invalid(fmt::format("'{}' is no topic of the service {}: its topics are called {}.SOMETHING",
                             xml::printable(topic), service, service));
}

Status check_event(const ServiceRow& row, const api::Event& event) {
  const bool is_topic = std::ranges::find(row.topics, event.kind) != row.topics.end();
  // Its program may have learned of it since: once that has registered anew it is told.
  if (!is_topic)
    return not_found(fmt::format("'{}' is no topic that {} has registered: it has to register anew",
                                 xml::printable(event.kind), row.name));
  const bool is_severity = event.severity == "info" || event.severity == "warning" || event.severity == "error";
  std::size_t size = event.text.size() + event.vo.size();
  for (const auto& attribute : event.attribute) size += attribute.name.size() + attribute.value.size();
  constexpr std::size_t kLargest = 16384;
  if (is_severity && !event.vo.empty() && size <= kLargest) return {};
  return invalid(fmt::format("the event {} of {} has no VO, an unknown severity, or more than {} bytes", event.sequence,
                             row.name, kLargest));
}

Status check_form(const api::RegisterServiceRequest& input) {
  TRY(check_name(input.name));
  if (input.program.empty() || input.program.size() > kLongestText) return invalid("the program's id is missing");
  if (input.interval < Registry::kShortestInterval || input.interval > Registry::kLongestInterval)
    return invalid("a service renews every second at the soonest and every hour at the latest");
  if (input.operation.size() > Registry::kMostOperations) return invalid("the service has too many operations");
  for (const auto& operation : input.operation) TRY(check_operation(operation));
  if (input.resource.size() > Registry::kMostResources || input.topic.size() > Registry::kMostResources)
    return invalid("the service has too many kinds of resources, or topics");
  for (const auto& resource : input.resource) TRY(check_resource(input, resource));
  for (const auto& topic : input.topic) TRY(check_topic(input.name, topic));
  std::size_t size = input.openapi.size();
  for (const auto& document : input.document) {
    TRY(check_document(input.name, document));
    size += document.text.size();
  }
  if (size > Registry::kMostText)
    return invalid(fmt::format("the descriptions of the service {} have more than 4 MiB", input.name));
  return {};
}

std::set<std::string, std::less<>> segments_of(const std::vector<api::Operation>& operations) {
  std::set<std::string, std::less<>> out;
  for (const auto& operation : operations) {
    if (operation.rest_path) out.emplace(first_segment(*operation.rest_path));
  }
  return out;
}

// Whose a first segment is that Nuraghe needs itself; empty: nobody's.
std::string owner_of(std::string_view segment) {
  if (std::find(kDoors.begin(), kDoors.end(), segment) != kDoors.end()) return "nuraghed";
  for (const auto& service : contracts::all_services()) {
    for (const auto& operation : service.operations) {
      if (!operation.rest_path.empty() && first_segment(operation.rest_path) == segment)
        return std::string(service.name);
    }
  }
  return {};
}

// One of Nuraghe's topics that begins with a service's name, as the service's own would; empty: there is none.
std::string_view own_topic_of(std::string_view service) {
  for (const auto& info : contracts::all_services()) {
    for (const auto& topic : info.topics) {
      const std::string_view name = topic.name;
      if (name.substr(0, name.find('.')) == service) return name;
    }
  }
  return {};
}

std::string expiry_timer(const std::string& name) { return "expiry/" + name; }

exchange::Event event_of(std::string kind, const std::string& name, std::string text) {
  exchange::Event event;
  event.kind = std::move(kind);
  event.text = std::move(text);
  event.attributes["service"] = name;
  return event;
}

Error no_such_service(const std::string& name) {
  return not_found(
      fmt::format("there is no service '{}'; 'nuraghe service ls' lists what there is", xml::printable(name)));
}

}  // namespace

std::string_view first_segment(std::string_view path) {
  if (path.starts_with('/')) path.remove_prefix(1);
  return path.substr(0, path.find('/'));
}

Status Registry::open(store::Store& store) {
  TRY(services_.open(store, "registry_service"));
  TRY(texts_.open(store, "registry_text"));
  return leases_.open(store, "registry_lease");
}

Result<std::vector<ServiceRow>> Registry::all(exchange::Turn& turn) const {
  TRY_ASSIGN(auto rows, services_.scan(turn.transaction(), ""));
  std::vector<ServiceRow> out;
  out.reserve(rows.size());
  for (auto& [name, row] : rows) {
    TRY_ASSIGN(const auto lease, leases_.find(turn.transaction(), name));
    if (lease) row.last_seen = lease->last_seen;
    out.push_back(std::move(row));
  }
  return out;
}

Result<std::optional<ServiceRow>> Registry::find(exchange::Turn& turn, const std::string& name) const {
  TRY_ASSIGN(auto row, services_.find(turn.transaction(), name));
  TRY_ASSIGN(const auto lease, leases_.find(turn.transaction(), name));
  if (row && lease) row->last_seen = lease->last_seen;
  return row;
}

Status Registry::put(exchange::Turn& turn, const ServiceRow& row) const {
  TRY(services_.put(turn.transaction(), row.name, row));
  TRY(texts_.put(turn.transaction(), row.name, {row.documents, row.openapi}));
  TRY_ASSIGN(const auto before, leases_.find(turn.transaction(), row.name));
  const std::int64_t told = before && before->program == row.program ? before->told : 0;
  return leases_.put(turn.transaction(), row.name, {row.program, row.interval, row.last_seen, told});
}

Status Registry::erase(exchange::Turn& turn, const std::string& name) const {
  TRY(services_.erase(turn.transaction(), name));
  TRY(texts_.erase(turn.transaction(), name));
  return leases_.erase(turn.transaction(), name);
}

Status Registry::on_start(exchange::Turn& turn) {
  started_ = turn.now();
  TRY_ASSIGN(auto rows, all(turn));
  for (auto& row : rows) {
    const std::string& name = row.name;
    // The operator gave the name to a controller, or another Nuraghe to a service of its own.
    const bool is_taken = contracts::find_service(name) != nullptr || !own_topic_of(name).empty() ||
                          (options_.is_controller && options_.is_controller(name));
    TRY_ASSIGN(auto texts, texts_.find(turn.transaction(), name));
    // Without a word on how it came in nothing can be sent to it, and an older Nuraghe kept its texts elsewhere: its
    // program registers anew when it renews.
    if (is_taken || !row.by_certificate || !texts) {
      TRY(erase(turn, name));
      continue;
    }
    row.documents = std::move(texts->documents);
    row.openapi = std::move(texts->openapi);
    if (options_.on_service) options_.on_service(name, &row);
    TRY(turn.set_timer(expiry_timer(name), alive_until(row)));
  }
  return {};
}

TimePoint Registry::alive_until(TimePoint last_seen, Duration interval) const {
  return std::max(last_seen, started_) + interval * kMissedRenewals;
}

Status Registry::on_timer(exchange::Turn& turn, std::string_view key) {
  constexpr std::string_view kExpiry = "expiry/";
  if (!key.starts_with(kExpiry)) return Skeleton::on_timer(turn, key);
  const std::string name(key.substr(kExpiry.size()));
  TRY_ASSIGN(const auto row, find(turn, name));
  if (!row) return {};
  if (turn.now() < alive_until(*row)) return turn.set_timer(key, alive_until(*row));
  return end(turn, *row, fmt::format("it was last seen at {}", row->last_seen.to_string()));
}

Status Registry::end(exchange::Turn& turn, const ServiceRow& row, const std::string& why) {
  TRY(erase(turn, row.name));
  if (options_.on_service) options_.on_service(row.name, nullptr);
  log_warning("registry", "a service is gone", {{"service", row.name}, {"address", row.address}, {"why", why}});
  return turn.publish(event_of("service.gone", row.name, fmt::format("the service {} is gone: {}", row.name, why)));
}

bool Registry::is_revoked(const ServiceRow& row) const {
  return row.by_certificate.value_or(false) && !(options_.is_member && options_.is_member(row.name));
}

Status Registry::end_revoked(exchange::Turn& turn) {
  TRY_ASSIGN(const auto rows, all(turn));
  for (const auto& row : rows) {
    if (is_revoked(row)) TRY(end(turn, row, "its certificates were withdrawn"));
  }
  return {};
}

Status Registry::check_free(exchange::Turn& turn, const api::RegisterServiceRequest& input) const {
  if (contracts::find_service(input.name) != nullptr)
    return conflict(fmt::format("{} is one of Nuraghe's own services: call yours otherwise", input.name));
  if (const auto topic = own_topic_of(input.name); !topic.empty())
    return conflict(
        fmt::format("Nuraghe's own topics begin with {}, such as {}: call the service otherwise", input.name, topic));
  if (options_.is_controller && options_.is_controller(input.name))
    return conflict(fmt::format("{} is a controller of the site: call the service otherwise", input.name));
  const auto segments = segments_of(input.operation);
  for (const auto& segment : segments) {
    if (const auto owner = owner_of(segment); !owner.empty())
      return conflict(
          fmt::format("REST paths that begin with /{} belong to {}: choose another beginning", segment, owner));
  }
  TRY_ASSIGN(const auto rows, all(turn));
  for (const auto& row : rows) {
    const std::string& name = row.name;
    if (name == input.name) {
      if (row.program == input.program || turn.now() >= alive_until(row)) continue;
      return conflict(
          fmt::format("the service {} is served by another program already, at {}: stop that one, or call this one "
                      "otherwise",
                      name, row.address));
    }
    for (const auto& segment : segments_of(row.operations)) {
      if (segments.contains(segment))
        return conflict(fmt::format("REST paths that begin with /{} belong to the service {}: choose another beginning",
                                    segment, name));
    }
  }
  const bool is_known = std::any_of(rows.begin(), rows.end(), [&](const auto& one) { return one.name == input.name; });
  if (!is_known && rows.size() >= kMostServices)
    return exhausted(fmt::format("{} services have registered already", rows.size()));
  return {};
}

Status Registry::register_service(exchange::Turn& turn, const exchange::Message& request,
                                  const api::RegisterServiceRequest& input) {
  TRY(check_is_program(request, input.name));
  TRY(check_form(input));
  const bool by_certificate = came_by_certificate(request);
  if (options_.check_address) TRY(options_.check_address(input.name, input.address, by_certificate));
  TRY(check_free(turn, input));
  TRY_ASSIGN(const auto before, find(turn, input.name));
  const bool is_new = !before || before->program != input.program;
  ServiceRow row;
  row.name = input.name;
  row.title = input.title;
  row.name_space = input.namespace_;
  row.version = input.version;
  row.address = input.address;
  row.program = input.program;
  row.interval = input.interval;
  row.registered = is_new ? turn.now() : before->registered;
  row.last_seen = turn.now();
  row.operations = input.operation;
  row.documents = input.document;
  row.openapi = input.openapi;
  row.by_certificate = by_certificate;
  row.resources = input.resource;
  row.topics = input.topic;
  // Withdrawn after the door let this request in.
  if (is_revoked(row)) return denied(fmt::format("the certificates of {} were withdrawn: join anew", row.name));
  TRY(put(turn, row));
  TRY(turn.set_timer(expiry_timer(row.name), alive_until(row)));
  if (options_.on_service) options_.on_service(row.name, &row);
  if (is_new)
    TRY(turn.publish(event_of("service.registered", row.name,
                              fmt::format("the service {} has registered: {}", row.name, row.title))));
  return answer(turn, request.message_id, api::RegisterServiceResponse{.alive_until = alive_until(row)});
}

Status Registry::renew_service(exchange::Turn& turn, const exchange::Message& request,
                               const api::RenewServiceRequest& input) {
  TRY(check_is_program(request, input.name));
  TRY_ASSIGN(auto lease, leases_.find(turn.transaction(), input.name));
  if (!lease) return not_found(fmt::format("the service {} is not registered: it has to register first", input.name));
  if (lease->program != input.program) {
    TRY_ASSIGN(const auto row, services_.find(turn.transaction(), input.name));
    return conflict(fmt::format("the service {} is served by another program, at {}", input.name,
                                row ? row->address : std::string("an unknown address")));
  }
  lease->last_seen = turn.now();
  TRY(leases_.put(turn.transaction(), input.name, *lease));
  return answer(turn, request.message_id,
                api::RenewServiceResponse{.alive_until = alive_until(lease->last_seen, lease->interval)});
}

Status Registry::publish_events(exchange::Turn& turn, const exchange::Message& request,
                                const api::PublishEventsRequest& input) {
  TRY(check_is_program(request, input.name));
  TRY_ASSIGN(const auto row, find(turn, input.name));
  TRY_ASSIGN(auto lease, leases_.find(turn.transaction(), input.name));
  if (!row || !lease)
    return not_found(fmt::format("the service {} is not registered: it has to register first", input.name));
  if (row->program != input.program)
    return conflict(fmt::format("the service {} is served by another program, at {}", input.name, row->address));
  if (input.event.size() > kMostEvents) return invalid(fmt::format("at most {} events are told at once", kMostEvents));
  for (const auto& event : input.event) TRY(check_event(*row, event));
  for (const auto& event : input.event) {
    if (event.sequence <= lease->told) continue;
    lease->told = event.sequence;
    auto told = event_of(event.kind, input.name, event.text);
    told.vo = event.vo;
    told.severity = event.severity;
    for (const auto& attribute : event.attribute) told.attributes.emplace(attribute.name, attribute.value);
    TRY(turn.publish(std::move(told)));
  }
  TRY(leases_.put(turn.transaction(), input.name, *lease));
  return answer(turn, request.message_id, api::PublishEventsResponse{});
}

api::Service Registry::seen(const ServiceRow& row) const {
  api::Service service;
  service.name = row.name;
  service.title = row.title;
  service.namespace_ = row.name_space;
  service.version = row.version;
  service.address = fmt::format("{}/services/{}", options_.base, row.name);
  service.wsdl = service.address + "?wsdl";
  service.program = row.address;
  service.registered = row.registered;
  service.alive_until = alive_until(row);
  service.operation = row.operations;
  return service;
}

api::Service Registry::own(std::string_view name) const {
  const contracts::ServiceInfo& info = *contracts::find_service(name);
  api::Service service;
  service.name = name;
  service.title = info.title;
  service.namespace_ = info.name_space;
  service.version = options_.version;
  service.own = true;
  const std::string place =
      info.instance_parameter.empty() ? std::string(name) : fmt::format("{{{}}}", info.instance_parameter);
  service.address = fmt::format("{}/services/{}", options_.base, place);
  service.wsdl = fmt::format("{}/services/{}?wsdl", options_.base, name);
  for (const auto& operation : info.operations) {
    api::Operation one;
    one.name = operation.name;
    CHECK(api::from_string(contracts::access_name(operation.access), one.access).has_value());
    one.read_only = operation.read_only;
    one.one_way = operation.one_way;
    if (!operation.rest_path.empty()) {
      one.rest_verb = std::string(operation.rest_verb);
      one.rest_path = std::string(operation.rest_path);
    }
    service.operation.push_back(std::move(one));
  }
  return service;
}

Status Registry::list_services(exchange::Turn& turn, const exchange::Message& request,
                               const api::ListServicesRequest& /*input*/) {
  api::ListServicesResponse response;
  for (const auto& info : contracts::all_services()) response.service.push_back(own(info.name));
  TRY_ASSIGN(const auto rows, all(turn));
  for (const auto& row : rows) response.service.push_back(seen(row));
  std::ranges::sort(response.service, {}, &api::Service::name);
  return answer(turn, request.message_id, response);
}

Status Registry::get_service(exchange::Turn& turn, const exchange::Message& request,
                             const api::GetServiceRequest& input) {
  if (contracts::find_service(input.name) != nullptr)
    return answer(turn, request.message_id, api::GetServiceResponse{.service = own(input.name)});
  TRY_ASSIGN(const auto row, find(turn, input.name));
  if (!row) return no_such_service(input.name);
  return answer(turn, request.message_id, api::GetServiceResponse{.service = seen(*row)});
}

}  // namespace nuraghe::services::registry
