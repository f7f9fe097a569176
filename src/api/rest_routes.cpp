#include "api/rest_routes.hpp"

#include <algorithm>
#include <map>

#include "base/check.hpp"
#include "net/http.hpp"

namespace nuraghe::api {

using contracts::FieldShape;
using contracts::OperationInfo;
using contracts::ServiceInfo;
using contracts::Shape;
using contracts::ValueKind;

struct RestRoutes::Node {
  std::map<std::string_view, std::unique_ptr<Node>> literals;
  std::unique_ptr<Node> parameter;
  Node* parent = nullptr;
  std::vector<std::pair<std::string_view, const RestRoute*>> verbs;

  const RestRoute* find(std::string_view verb) const {
    for (const auto& [name, route] : verbs) {
      if (name == verb) return route;
    }
    return nullptr;
  }
  // Whoever goes the whole way; `values` are those of the way's parameters.
  const Node* walk(std::string_view rest, std::vector<std::string>& values) const;
};

namespace {

bool is_parameter(std::string_view segment) {
  return segment.size() > 2 && segment.front() == '{' && segment.back() == '}';
}

const FieldShape* field_of(const Shape& shape, std::string_view name) {
  const auto found = std::ranges::find(shape.fields, name, &FieldShape::name);
  return found == shape.fields.end() ? nullptr : &*found;
}

// An order that stays while others come and go: by what names an item.
std::string_view order_of(const FieldShape& items) {
  if (items.kind != ValueKind::kStruct) return {};
  for (const ServiceInfo& service : contracts::all_services()) {
    for (const auto& resource : service.resources) {
      if (resource.type == items.type) return resource.key_field;
    }
  }
  for (const std::string_view name : {"id", "name", "sequence", "month", "fingerprint"}) {
    if (field_of(*items.type, name) != nullptr) return name;
  }
  return {};
}

const Shape* answer_shape(const OperationInfo& operation) {
  if (operation.response == nullptr || operation.response->fields.empty()) return nullptr;
  if (operation.rest_answer_field.empty()) return operation.response;
  const FieldShape* field = field_of(*operation.response, operation.rest_answer_field);
  CHECK(field != nullptr && field->kind == ValueKind::kStruct);
  return field->type;
}

}  // namespace

const RestRoute* RestPlace::find(std::string_view verb) const {
  if (verb == "HEAD") verb = "GET";
  for (const auto& [name, route] : verbs) {
    if (name == verb) return route;
  }
  return nullptr;
}

std::string RestPlace::allow() const {
  std::string text;
  for (const auto& [verb, route] : verbs) {
    text += std::string(verb) + ", ";
    if (verb == "GET") text += "HEAD, ";
  }
  return text + "OPTIONS";
}

const RestRoutes::Node* RestRoutes::Node::walk(std::string_view rest, std::vector<std::string>& values) const {
  if (rest.empty()) return verbs.empty() ? nullptr : this;
  rest.remove_prefix(1);
  const std::string_view segment = rest.substr(0, rest.find('/'));
  rest.remove_prefix(segment.size());
  if (segment.empty()) return nullptr;
  if (const auto at = literals.find(segment); at != literals.end()) {
    if (const Node* end = at->second->walk(rest, values)) return end;
  }
  if (!parameter) return nullptr;
  auto value = net::percent_decode(segment);
  if (!value) return nullptr;
  values.push_back(std::move(*value));
  const Node* end = parameter->walk(rest, values);
  if (end == nullptr) values.pop_back();
  return end;
}

RestRoutes::RestRoutes(std::span<const ServiceInfo> services) : root_(std::make_unique<Node>()) {
  for (const ServiceInfo& service : services) {
    for (const OperationInfo& operation : service.operations) {
      if (!operation.rest_path.empty()) add(service, operation);
    }
  }
}

RestRoutes::~RestRoutes() = default;

const RestRoutes& RestRoutes::all() {
  static const RestRoutes routes(contracts::all_services());
  return routes;
}

void RestRoutes::add(const ServiceInfo& service, const OperationInfo& operation) {
  auto route = std::make_unique<RestRoute>();
  route->service = &service;
  route->operation = &operation;
  route->answer = answer_shape(operation);
  if (route->answer != nullptr && route->answer->fields.size() == 1 && route->answer->fields[0].list) {
    route->items = &route->answer->fields[0];
    route->order = order_of(*route->items);
  }
  Node* node = root_.get();
  std::string_view rest = operation.rest_path;
  while (!rest.empty()) {
    CHECK(rest.front() == '/');
    rest.remove_prefix(1);
    const std::string_view segment = rest.substr(0, rest.find('/'));
    rest.remove_prefix(segment.size());
    if (is_parameter(segment)) route->parameters.push_back(segment.substr(1, segment.size() - 2));
    auto& next = is_parameter(segment) ? node->parameter : node->literals[segment];
    if (!next) {
      next = std::make_unique<Node>();
      next->parent = node;
    }
    node = next.get();
  }
  CHECK(node->find(operation.rest_verb) == nullptr);  // the generator refuses two routes of one shape
  node->verbs.emplace_back(operation.rest_verb, route.get());
  routes_.push_back(std::move(route));
}

std::optional<RestPlace> RestRoutes::at(std::string_view path) const {
  if (path.empty() || path.front() != '/') return std::nullopt;
  RestPlace place;
  const Node* node = root_->walk(path, place.values);
  if (node == nullptr) return std::nullopt;
  place.verbs = node->verbs;
  for (const Node* above = node; above != nullptr && place.resource == nullptr; above = above->parent) {
    place.resource = above->find("GET");
  }
  return place;
}

}  // namespace nuraghe::api
