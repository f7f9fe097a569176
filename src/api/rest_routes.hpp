// RestRoutes: which operation a method and a path of the REST door mean, by the table of all operations alone.
//
// A path is looked up segment by segment, a literal before a parameter. Immutable, thread safe.
#pragma once

#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "contracts/operation.hpp"

namespace nuraghe::api {

struct RestRoute {
  const contracts::ServiceInfo* service = nullptr;
  const contracts::OperationInfo* operation = nullptr;
  std::vector<std::string_view> parameters;  // names, in the order of the path
  // The shape of the JSON answer; null: it says nothing.
  const contracts::Shape* answer = nullptr;
  // Not null: the answer is this list alone, and is given in pages.
  const contracts::FieldShape* items = nullptr;
  std::string_view order;  // the field by which items are in order; empty: as the service gives them
};

// What stands at a path.
struct RestPlace {
  std::vector<std::pair<std::string_view, const RestRoute*>> verbs;
  std::vector<std::string> values;  // of the path's parameters, decoded
  // What a precondition is about: the GET of this path or, where it has none, of the nearest above it; null: nothing.
  const RestRoute* resource = nullptr;

  const RestRoute* find(std::string_view verb) const;  // HEAD is GET; null: 405
  std::string allow() const;                           // "GET, HEAD, POST, OPTIONS"
};

class RestRoutes {
 public:
  explicit RestRoutes(std::span<const contracts::ServiceInfo> services);
  ~RestRoutes();
  // Of contracts::all_services().
  static const RestRoutes& all();
  // nullopt: no operation is there.
  std::optional<RestPlace> at(std::string_view path) const;
  const std::vector<std::unique_ptr<RestRoute>>& routes() const { return routes_; }

 private:
  struct Node;
  void add(const contracts::ServiceInfo& service, const contracts::OperationInfo& operation);
  std::unique_ptr<Node> root_;
  std::vector<std::unique_ptr<RestRoute>> routes_;
};

}  // namespace nuraghe::api
