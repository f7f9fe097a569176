// The JSON form of every message and value, by their shapes (contracts/shape.hpp). docs/contracts.md has the mapping:
// fields under their own names; bytes, int and long as whole numbers; double as a number, or "INF", "-INF", "NaN"; time
// as an RFC 3339 string; duration as an ISO 8601 string; an enum as its word; an endpoint reference as
// {"address": "…"}; an element of any name as its XML text; a list as an array.
//
// Reading is strict: what is missing, unknown, twice or of another type is kInvalid and is named by its path in the
// JSON text ("request.node[2].cpus"). A list that is missing is empty; null stands for nothing. Writing leaves out
// optional fields that have no value and writes every list. Thread safe.
#pragma once

#include <span>
#include <string>
#include <string_view>

#include "base/result.hpp"
#include "contracts/operation.hpp"
#include "contracts/shape.hpp"
#include "xml/xml.hpp"

namespace nuraghe::contracts {

// A parameter of a route's path or query, decoded. A list has one for each of its values.
struct Parameter {
  std::string_view name;
  std::string_view text;
};

// A REST request as the operation's payload, its fields in the order of the schema. Each field comes from a parameter
// (also the body's fields may: nothing is asked but that every field comes once) or from the body, a JSON object; an
// empty body has no fields. The parameter of a service's instances is left out by the caller.
Result<xml::DocumentPtr> json_request(const OperationInfo& operation, std::string_view body,
                                      std::span<const Parameter> parameters);
// The operation's response (not a fault) as a JSON object, "{}" without fields. kCorrupt: it is not that response.
Result<std::string> json_response(const OperationInfo& operation, const xml::DocumentPtr& payload);

// One value: the fields of `element` as a JSON object, and back. `path` is how errors name the object, before its
// members; it may be empty. xml_of appends to `element`, which is unspecified after an error.
Result<std::string> json_of(const Shape& shape, xml::Node element);
Status xml_of(const Shape& shape, std::string_view json, xml::Node element);

}  // namespace nuraghe::contracts
