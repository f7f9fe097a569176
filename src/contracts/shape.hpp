// What a value looks like, as a table: for whatever handles values of types that it does not know, such as the JSON
// codec (contracts/json.hpp). Made by tools/generate_service.py for every type and message; constant, thread safe.
#pragma once

#include <span>
#include <string_view>

namespace nuraghe::contracts {

enum class ValueKind {
  kString,
  kBoolean,
  kInt,
  kLong,
  kDouble,
  kBytes,
  kTime,
  kDuration,
  kAny,     // an element of any name
  kEpr,     // an endpoint reference: its address
  kEnum,    // one of words
  kStruct,  // see type
};

struct Shape;

struct FieldShape {
  std::string_view name;
  ValueKind kind;
  bool optional;
  bool list;
  const Shape* type;                        // of kStruct; else null
  std::span<const std::string_view> words;  // of kEnum
};

struct Shape {
  std::string_view name;        // "Cluster"; of a message the local name of its element: "get_clusterResponse"
  std::string_view name_space;  // in which its fields' elements are
  std::span<const FieldShape> fields;
};

}  // namespace nuraghe::contracts
