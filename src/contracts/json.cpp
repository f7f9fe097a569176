#include "contracts/json.hpp"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <limits>
#include <optional>
#include <vector>

#include "contracts/wire.hpp"
#include "json/strict.hpp"

namespace nuraghe::contracts {
namespace {

namespace json = boost::json;

// ---- XML to JSON ----

std::string quoted_json(std::string_view text) { return json::serialize(json::string_view(text)); }

Status append_fields(const Shape& shape, xml::Node element, std::string& out);

template <class T>
Result<T> read(xml::Node element) {
  T value{};
  TRY(wire::read_xml(element, value));
  return value;
}

Result<std::string> double_text(xml::Node element) {
  TRY_ASSIGN(const double value, read<double>(element));
  if (std::isnan(value)) return std::string("\"NaN\"");
  if (std::isinf(value)) return std::string(value > 0 ? "\"INF\"" : "\"-INF\"");
  // JSON's "-0" is a whole number, which has no sign when it is zero.
  if (value == 0 && std::signbit(value)) return std::string("-0.0");
  return fmt::to_string(value);
}

// The JSON text of one simple value.
Result<std::string> value_text(const FieldShape& field, xml::Node element) {
  switch (field.kind) {
    case ValueKind::kBoolean: {
      TRY_ASSIGN(const bool value, read<bool>(element));
      return std::string(value ? "true" : "false");
    }
    case ValueKind::kInt: {
      TRY_ASSIGN(const auto value, read<std::int32_t>(element));
      return fmt::to_string(value);
    }
    case ValueKind::kLong:
    case ValueKind::kBytes: {
      TRY_ASSIGN(const auto value, read<std::int64_t>(element));
      return fmt::to_string(value);
    }
    case ValueKind::kDouble:
      return double_text(element);
    case ValueKind::kTime: {
      TRY_ASSIGN(const auto value, read<TimePoint>(element));
      return quoted_json(value.to_string());
    }
    case ValueKind::kDuration: {
      TRY_ASSIGN(const auto value, read<Duration>(element));
      return quoted_json(wire::duration_text(value));
    }
    case ValueKind::kEnum: {
      TRY_ASSIGN(const auto index, wire::read_word(element, field.words));
      return quoted_json(field.words[index]);
    }
    case ValueKind::kAny: {
      TRY_ASSIGN(const auto value, read<xml::DocumentPtr>(element));
      return quoted_json(value->to_string());
    }
    case ValueKind::kEpr: {
      TRY_ASSIGN(const auto value, read<Epr>(element));
      return fmt::format("{{\"address\":{}}}", quoted_json(value.address));
    }
    case ValueKind::kString:
    case ValueKind::kStruct:
      break;
  }
  TRY_ASSIGN(const auto value, read<std::string>(element));
  return quoted_json(value);
}

Status append_value(const FieldShape& field, xml::Node element, std::string& out) {
  if (field.kind == ValueKind::kStruct) return append_fields(*field.type, element, out);
  TRY_ASSIGN(const auto text, value_text(field, element));
  out += text;
  return {};
}

// The children of an element, each with the number of its field, in the order of the fields.
using Children = std::vector<std::pair<std::size_t, xml::Node>>;
Result<Children> sorted_children(const Shape& shape, xml::Node element) {
  Children children;
  wire::FieldReader in(element, shape.name_space, shape.fields);
  while (in.next()) children.emplace_back(in.index(), in.child());
  TRY(in.finish());
  const auto by_field = [](const auto& a, const auto& b) { return a.first < b.first; };
  if (!std::ranges::is_sorted(children, by_field)) std::ranges::stable_sort(children, by_field);
  return children;
}

Status append_fields(const Shape& shape, xml::Node element, std::string& out) {
  TRY_ASSIGN(const Children children, sorted_children(shape, element));
  out += '{';
  std::string_view comma = "";
  auto at = children.begin();
  for (std::size_t i = 0; i < shape.fields.size(); ++i) {
    const FieldShape& field = shape.fields[i];
    const bool is_there = at != children.end() && at->first == i;
    if (!is_there && !field.list) continue;
    out += fmt::format("{}\"{}\":{}", comma, field.name, field.list ? "[" : "");
    comma = ",";
    for (std::string_view separator = ""; at != children.end() && at->first == i; ++at, separator = ",") {
      out += separator;
      TRY(append_value(field, at->second, out));
    }
    if (field.list) out += ']';
  }
  out += '}';
  return {};
}

// ---- JSON to XML ----

std::string join(std::string_view path, std::string_view name) {
  return path.empty() ? std::string(name) : fmt::format("{}.{}", path, name);
}

std::string_view what_is_meant(ValueKind kind) {
  switch (kind) {
    case ValueKind::kString:
      return "a string";
    case ValueKind::kBoolean:
      return "true or false";
    case ValueKind::kInt:
      return "a whole number of 32 bits";
    case ValueKind::kLong:
      return "a whole number of 64 bits";
    case ValueKind::kDouble:
      return "a number";
    case ValueKind::kBytes:
      return "a whole number of bytes";
    case ValueKind::kTime:
      return "a time such as \"2026-01-31T12:00:00Z\"";
    case ValueKind::kDuration:
      return "a duration such as \"PT90S\"";
    case ValueKind::kAny:
      return "a string that holds one XML element";
    case ValueKind::kEpr:
      return "an object {\"address\": \"…\"}";
    case ValueKind::kEnum:
      return "a word";
    case ValueKind::kStruct:
      return "an object";
  }
  return "something else";
}

std::string shortened(const json::value& value) {
  constexpr std::size_t kLimit = 60;
  std::string text = json::serialize(value);
  if (text.size() <= kLimit) return text;
  std::size_t end = kLimit;
  while (end > 0 && (static_cast<unsigned char>(text[end]) & 0xC0U) == 0x80U) --end;
  return text.substr(0, end) + "…";
}

Error wrong_type(const std::string& path, const FieldShape& field, const json::value& value) {
  if (value.is_null())
    return invalid(fmt::format("{} is null; leave it out, or write {}", path, what_is_meant(field.kind)));
  if (field.kind == ValueKind::kEnum)
    return invalid(fmt::format("{} must be one of {}, not {}", path, fmt::join(field.words, ", "), shortened(value)));
  return invalid(fmt::format("{} must be {}, not {}", path, what_is_meant(field.kind), shortened(value)));
}

// RFC 3339 §5.6 asks for a zone, which xsd:dateTime does not.
bool has_zone(std::string_view text) {
  if (text.ends_with('Z')) return true;
  if (text.size() < 6) return false;
  const std::string_view zone = text.substr(text.size() - 6);
  return (zone[0] == '+' || zone[0] == '-') && zone[3] == ':';
}

// The text that XML has for a simple value other than any; nullopt: it is not of that type.
std::optional<std::string> simple_text(const FieldShape& field, const json::value& value) {
  const auto* string = value.if_string();
  const std::string_view text = string != nullptr ? std::string_view(*string) : std::string_view();
  switch (field.kind) {
    case ValueKind::kString:
      if (string == nullptr) return std::nullopt;
      return std::string(text);
    case ValueKind::kBoolean:
      if (!value.is_bool()) return std::nullopt;
      return std::string(value.get_bool() ? "true" : "false");
    case ValueKind::kInt:
    case ValueKind::kLong:
    case ValueKind::kBytes: {
      if (!value.is_int64()) return std::nullopt;
      const std::int64_t number = value.get_int64();
      const bool fits =
          number >= std::numeric_limits<std::int32_t>::min() && number <= std::numeric_limits<std::int32_t>::max();
      if (field.kind == ValueKind::kInt && !fits) return std::nullopt;
      return fmt::to_string(number);
    }
    case ValueKind::kDouble:
      if (value.is_number()) return fmt::to_string(value.to_number<double>());
      if (text == "INF" || text == "-INF" || text == "NaN") return std::string(text);
      return std::nullopt;
    case ValueKind::kTime:
      if (!has_zone(text) || !parse_time(text)) return std::nullopt;
      return std::string(text);
    case ValueKind::kDuration:
      if ((!text.starts_with('P') && !text.starts_with("-P")) || !parse_duration(text)) return std::nullopt;
      return std::string(text);
    case ValueKind::kEnum:
      if (std::ranges::find(field.words, text) == field.words.end()) return std::nullopt;
      return std::string(text);
    default:
      return std::nullopt;
  }
}

Status append_members(const Shape& shape, const json::object& object, const std::string& path, xml::Node element);

Status append_any(std::string_view ns, const FieldShape& field, const json::value& value, const std::string& path,
                  xml::Node parent) {
  if (!value.is_string()) return wrong_type(path, field, value);
  xml::ParseOptions options;
  options.source = path;
  auto document = xml::Document::parse(std::string_view(value.get_string()), options);
  if (!document) return invalid(fmt::format("{} is no XML: {}", path, document.error().message()));
  parent.append_element(ns, field.name).append_copy(document->root());
  return {};
}

Status append_epr(std::string_view ns, const FieldShape& field, const json::value& value, const std::string& path,
                  xml::Node parent) {
  static constexpr FieldShape kAddress[] = {{"address", ValueKind::kString, false, false, nullptr, {}}};
  static constexpr Shape kEpr = {"EndpointReference", "", kAddress};
  if (!value.is_object()) return wrong_type(path, field, value);
  // As a value of its own: the address element has another name in XML.
  auto checked = xml::Document::create({"", "epr"});
  TRY(append_members(kEpr, value.get_object(), path, checked.root()));
  wire::write(parent, ns, field.name, Epr{checked.root().first_child().text()});
  return {};
}

Status append_one(std::string_view ns, const FieldShape& field, const json::value& value, const std::string& path,
                  xml::Node parent) {
  switch (field.kind) {
    case ValueKind::kStruct:
      if (!value.is_object()) return wrong_type(path, field, value);
      return append_members(*field.type, value.get_object(), path, parent.append_element(ns, field.name));
    case ValueKind::kAny:
      return append_any(ns, field, value, path, parent);
    case ValueKind::kEpr:
      return append_epr(ns, field, value, path, parent);
    default:
      break;
  }
  const auto text = simple_text(field, value);
  if (!text) return wrong_type(path, field, value);
  if (!wire::is_xml_text(*text))
    return invalid(fmt::format("{} holds a character that XML 1.0 cannot carry, such as a control character", path));
  parent.append_text_element(ns, field.name, *text);
  return {};
}

Status append_field(std::string_view ns, const FieldShape& field, const json::value& value, const std::string& path,
                    xml::Node parent) {
  if (!field.list) return append_one(ns, field, value, path, parent);
  if (!value.is_array()) return invalid(fmt::format("{} must be an array, not {}", path, shortened(value)));
  std::size_t index = 0;
  for (const auto& item : value.get_array())
    TRY(append_one(ns, field, item, fmt::format("{}[{}]", path, index++), parent));
  return {};
}

std::string names_of(const Shape& shape) {
  std::string names;
  for (const auto& field : shape.fields) names += (names.empty() ? "" : ", ") + std::string(field.name);
  return names.empty() ? "nothing" : names;
}

bool has_field(const Shape& shape, std::string_view name) {
  return std::ranges::find(shape.fields, name, &FieldShape::name) != shape.fields.end();
}

Status append_members(const Shape& shape, const json::object& object, const std::string& path, xml::Node element) {
  std::size_t known = 0;
  for (const auto& field : shape.fields) {
    const json::value* value = object.if_contains(json::string_view(field.name));
    if (value == nullptr) {
      if (field.list || field.optional) continue;
      return invalid(fmt::format("{} is missing", join(path, field.name)));
    }
    ++known;
    TRY(append_field(shape.name_space, field, *value, join(path, field.name), element));
  }
  if (known == object.size()) return {};
  for (const auto& member : object)
    if (!has_field(shape, std::string_view(member.key())))
      return invalid(fmt::format("{} is unknown; {} may hold {}", join(path, std::string_view(member.key())),
                                 path.empty() ? "the object" : path, names_of(shape)));
  return internal("a member was counted twice");
}

// ---- requests ----

const FieldShape* field_of(const Shape& shape, std::string_view name) {
  const auto found = std::ranges::find(shape.fields, name, &FieldShape::name);
  return found == shape.fields.end() ? nullptr : &*found;
}

Result<json::value> body_value(std::string_view body) {
  if (body.find_first_not_of(" \t\r\n") == std::string_view::npos) return json::value(json::object());
  TRY_ASSIGN(auto value, jsontext::parse(body));
  if (!value.is_object()) return invalid(fmt::format("the body must be a JSON object, not {}", shortened(value)));
  return value;
}

Status append_parameter(std::string_view ns, const FieldShape& field, std::string_view text, xml::Node root) {
  const auto wrong = [&] {
    std::string meant(what_is_meant(field.kind));
    std::erase(meant, '"');
    if (field.kind == ValueKind::kEnum) meant = fmt::format("one of {}", fmt::join(field.words, ", "));
    return invalid(
        fmt::format("the parameter {} must be {}, not {}", field.name, meant, shortened(json::string(text))));
  };
  if (field.kind == ValueKind::kStruct || field.kind == ValueKind::kAny || field.kind == ValueKind::kEpr)
    return invalid(fmt::format("{} cannot be a parameter; write it into the body", field.name));
  if (!wire::is_xml_text(text)) return wrong();
  if (field.kind == ValueKind::kTime && !has_zone(text)) return wrong();
  root.append_text_element(ns, field.name, text);
  if (field.kind == ValueKind::kString) return {};
  // Its text is the same in a parameter and in XML, and there its type is read.
  const auto children = root.children(ns, field.name);
  return value_text(field, children.back()) ? Status() : wrong();
}

Status check_parameters(const OperationInfo& operation, std::span<const Parameter> parameters) {
  for (const auto& parameter : parameters)
    if (!has_field(*operation.request, parameter.name))
      return invalid(fmt::format("there is no parameter {}; {} {} has {}", shortened(json::string(parameter.name)),
                                 operation.rest_verb, operation.rest_path, names_of(*operation.request)));
  return {};
}

}  // namespace

Result<std::string> json_of(const Shape& shape, xml::Node element) {
  std::string out;
  TRY(append_fields(shape, element, out));
  return out;
}

Status xml_of(const Shape& shape, std::string_view text, xml::Node element) {
  TRY_ASSIGN(const auto value, jsontext::parse(text));
  if (!value.is_object()) return invalid(fmt::format("the value must be a JSON object, not {}", shortened(value)));
  return append_members(shape, value.get_object(), "", element);
}

Result<xml::DocumentPtr> json_request(const OperationInfo& operation, std::string_view body,
                                      std::span<const Parameter> parameters) {
  const Shape& shape = *operation.request;
  TRY(check_parameters(operation, parameters));
  TRY_ASSIGN(json::value value, body_value(body));
  if (!operation.rest_body_field.empty()) {
    json::object whole;
    whole.emplace(json::string_view(operation.rest_body_field), std::move(value));
    value = std::move(whole);
  }
  const json::object& members = value.get_object();
  auto document = wire::make_document(shape.name_space, shape.name);
  xml::Node root = document.root();
  std::size_t known = 0;
  for (const auto& field : shape.fields) {
    std::size_t given = 0;
    for (const auto& parameter : parameters) {
      if (parameter.name != field.name) continue;
      if (++given > 1 && !field.list) return invalid(fmt::format("the parameter {} stands twice", field.name));
      TRY(append_parameter(shape.name_space, field, parameter.text, root));
    }
    const json::value* member = members.if_contains(json::string_view(field.name));
    if (member != nullptr && given > 0)
      return invalid(fmt::format("{} stands twice: as a parameter and in the body", field.name));
    if (member == nullptr && given == 0 && !field.list && !field.optional)
      return invalid(fmt::format("{} is missing", field.name));
    if (member == nullptr) continue;
    ++known;
    // How the caller wrote it: the body is the field's content itself.
    const bool is_body = field.name == operation.rest_body_field;
    if (is_body)
      TRY(append_members(*field.type, member->get_object(), "", root.append_element(shape.name_space, field.name)));
    else
      TRY(append_field(shape.name_space, field, *member, std::string(field.name), root));
  }
  if (known == members.size()) return std::move(document).share();
  for (const auto& member : members)
    if (!has_field(shape, std::string_view(member.key())))
      return invalid(
          fmt::format("{} is unknown; the body may hold {}", std::string_view(member.key()), names_of(shape)));
  return internal("a member was counted twice");
}

Result<std::string> json_response(const OperationInfo& operation, const xml::DocumentPtr& payload) {
  if (operation.response == nullptr) return std::string("{}");
  const Shape& shape = *operation.response;
  const auto as_corrupt = [&](const Error& error) {
    return corrupt(error.message()).with(fmt::format("reading the reply {}", shape.name));
  };
  if (!payload || !payload->root().is(shape.name_space, shape.name))
    return corrupt(fmt::format("the reply is {} and must be {{{}}}{}",
                               payload ? payload->root().name().to_string() : "empty", shape.name_space, shape.name));
  xml::Node element = payload->root();
  const Shape* of = &shape;
  if (!operation.rest_answer_field.empty()) {
    // Its only field: whatever else stands there is found first.
    const auto whole = sorted_children(shape, element);
    if (!whole) return as_corrupt(whole.error());
    element = whole->front().second;
    of = field_of(shape, operation.rest_answer_field)->type;
  }
  auto text = json_of(*of, element);
  if (!text) return as_corrupt(text.error());
  return text;
}

}  // namespace nuraghe::contracts
