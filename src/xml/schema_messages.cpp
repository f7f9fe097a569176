#include "xml/schema_messages.hpp"

#include <fmt/format.h>
#include <fmt/ranges.h>
#include <libxml/xmlerror.h>

#include <algorithm>
#include <vector>

#include "base/nearest.hpp"

namespace nuraghe::xml {

namespace {

std::string local_part(std::string_view name) {
  const std::size_t colon = name.rfind(':');
  return std::string(colon == std::string_view::npos ? name : name.substr(colon + 1));
}

// Removes every "{namespace}" that stands before a name.
std::string without_namespaces(std::string_view text) {
  std::string result;
  while (!text.empty()) {
    const std::size_t open = text.find('{');
    const std::size_t close = open == std::string_view::npos ? open : text.find('}', open);
    const std::string_view inside = close == open ? "" : text.substr(open + 1, close - open - 1);
    const bool is_namespace = inside.find(':') != std::string_view::npos && inside.find_first_of(" '") == inside.npos;
    if (close == std::string_view::npos) {
      result += text;
      break;
    }
    result += text.substr(0, open);
    if (!is_namespace) result += text.substr(open, close - open + 1);
    text.remove_prefix(close + 1);
  }
  return result;
}

// The text between `before` and `after`, or empty.
std::string between(std::string_view text, std::string_view before, std::string_view after) {
  const std::size_t begin = text.find(before);
  if (begin == std::string_view::npos) return {};
  const std::size_t from = begin + before.size();
  const std::size_t end = text.find(after, from);
  return end == std::string_view::npos ? std::string() : std::string(text.substr(from, end - from));
}
// As above up to the last `after`: for values that may contain it.
std::string between_last(std::string_view text, std::string_view before, std::string_view after) {
  const std::size_t begin = text.find(before);
  const std::size_t end = text.rfind(after);
  if (begin == std::string_view::npos || end == std::string_view::npos || end < begin + before.size()) return {};
  return std::string(text.substr(begin + before.size(), end - begin - before.size()));
}

// "a, b, c" → "<a>, <b> or <c>" (with the brackets given).
std::string alternatives(const std::vector<std::string>& names, std::string_view open, std::string_view close) {
  std::string result;
  for (std::size_t i = 0; i < names.size(); ++i) {
    if (i > 0) result += i + 1 == names.size() ? " or " : ", ";
    result += fmt::format("{}{}{}", open, names[i], close);
  }
  return result;
}

std::vector<std::string> split(std::string_view list, std::string_view separator) {
  std::vector<std::string> parts;
  while (!list.empty()) {
    const std::size_t at = list.find(separator);
    std::string_view part = list.substr(0, at);
    while (part.starts_with(' ')) part.remove_prefix(1);
    while (part.ends_with(' ')) part.remove_suffix(1);
    if (!part.empty()) parts.emplace_back(part);
    if (at == std::string_view::npos) break;
    list.remove_prefix(at + separator.size());
  }
  return parts;
}

// `siblings`: what may stand beside it at all. libxml2 does not always say what it expects here.
std::string unexpected_element(std::string_view text, std::string_view element, const std::set<std::string>& siblings) {
  std::vector<std::string> expected = split(between_last(text, "( ", " )"), ",");
  for (std::string& name : expected)
    if (name.starts_with("##other") || name.starts_with("##any")) name = "any element of another namespace";
  if (text.starts_with("Missing child")) {
    const std::string names = alternatives(expected, "<", ">");
    return names.empty() ? std::string("something is missing within")
                         : fmt::format("it ends too early; {} must follow within it", names);
  }
  if (expected.empty() && siblings.contains(std::string(element)))
    return fmt::format("<{}> may not stand here (any more); remove it", element);
  if (expected.empty()) expected.assign(siblings.begin(), siblings.end());
  const std::string names = alternatives(expected, "<", ">");
  if (names.empty()) return fmt::format("<{}> may not stand here; remove it", element);
  const std::string nearest = nearest_name(element, {expected.begin(), expected.end()});
  if (!nearest.empty() && nearest != element)
    return fmt::format("<{}> is not known here; did you mean <{}>?", element, nearest);
  return fmt::format("<{}> may not stand here; expected {}", element, names);
}

std::string unknown_attribute(std::string_view attribute, std::string_view element, const SchemaCatalogue& catalogue) {
  const std::set<std::string> allowed = catalogue.attributes_of(element);
  const std::string nearest = nearest_name(attribute, allowed);
  if (!nearest.empty()) return fmt::format("the attribute '{}' is not known; did you mean '{}'?", attribute, nearest);
  if (allowed.empty()) return fmt::format("the attribute '{}' is not known; <{}> has none", attribute, element);
  return fmt::format("the attribute '{}' is not known; <{}> has {}", attribute, element,
                     alternatives({allowed.begin(), allowed.end()}, "'", "'"));
}

std::string type_in_words(std::string_view type) {
  static const std::map<std::string_view, std::string_view> kWords = {
      {"boolean", "'true' or 'false'"},
      {"nonNegativeInteger", "a whole number, 0 or more"},
      {"positiveInteger", "a whole number, 1 or more"},
      {"unsignedInt", "a whole number, 0 or more"},
      {"unsignedLong", "a whole number, 0 or more"},
      {"int", "a whole number"},
      {"integer", "a whole number"},
      {"long", "a whole number"},
      {"double", "a number"},
      {"decimal", "a number"},
      {"dateTime", "a time such as 2026-01-31T12:00:00Z"},
      {"duration", "a duration such as PT30S"},
      {"NCName", "a name without ':' or spaces"},
      {"QName", "a name with a bound prefix"},
      {"anyURI", "a URI"}};
  const auto found = kWords.find(type);
  return found == kWords.end() ? fmt::format("a value of the type '{}'", type) : std::string(found->second);
}

std::string bad_value(int code, std::string_view subject, std::string_view text, const SchemaCatalogue& catalogue) {
  const std::string limit = between_last(text, "value ('", "')");
  switch (code) {
    case XML_SCHEMAV_CVC_ENUMERATION_VALID: {
      std::vector<std::string> allowed = split(between_last(text, "{", "}"), ",");
      for (std::string& value : allowed)
        if (value.size() > 1) value = value.substr(1, value.size() - 2);
      const std::string value = between(text, "The value '", "' is not an element of the set");
      const std::string nearest = nearest_name(value, {allowed.begin(), allowed.end()});
      if (!nearest.empty() && allowed.size() > 4)
        return fmt::format("{} is '{}'; did you mean '{}'?", subject, value, nearest);
      return fmt::format("{} is '{}'; it must be {}", subject, value, alternatives(allowed, "'", "'"));
    }
    case XML_SCHEMAV_CVC_PATTERN_VALID: {
      const std::string value = between(text, "The value '", "' is not accepted by the pattern");
      const std::string pattern = between_last(text, "by the pattern '", "'");
      const std::string words = catalogue.words_of_pattern(pattern);
      return fmt::format("{} is '{}'; it must be {}", subject, value, words.empty() ? "of the form " + pattern : words);
    }
    case XML_SCHEMAV_CVC_MINLENGTH_VALID:
    case XML_SCHEMAV_CVC_MAXLENGTH_VALID:
    case XML_SCHEMAV_CVC_LENGTH_VALID: {
      const std::string bound = between_last(text, "length of '", "'");
      const std::string_view relation = code == XML_SCHEMAV_CVC_MINLENGTH_VALID   ? "at least"
                                        : code == XML_SCHEMAV_CVC_MAXLENGTH_VALID ? "at most"
                                                                                  : "exactly";
      return fmt::format("{} must be {} {} characters long", subject, relation, bound);
    }
    case XML_SCHEMAV_CVC_MININCLUSIVE_VALID:
    case XML_SCHEMAV_CVC_MAXINCLUSIVE_VALID:
    case XML_SCHEMAV_CVC_MINEXCLUSIVE_VALID:
    case XML_SCHEMAV_CVC_MAXEXCLUSIVE_VALID: {
      const std::string value = between(text, "The value '", "' ");
      const std::string bound = between(text, "value allowed ('", "')");
      const std::string other = between(text, "than '", "'");
      const std::string_view relation = code == XML_SCHEMAV_CVC_MININCLUSIVE_VALID   ? "at least"
                                        : code == XML_SCHEMAV_CVC_MAXINCLUSIVE_VALID ? "at most"
                                        : code == XML_SCHEMAV_CVC_MINEXCLUSIVE_VALID ? "more than"
                                                                                     : "less than";
      return fmt::format("{} is '{}'; it must be {} {}", subject, value, relation, bound.empty() ? other : bound);
    }
    default: {
      const std::string value = between(text, "'", "' is not a valid value");
      std::string type = local_part(between_last(text, "type '", "'"));
      return fmt::format("{} is '{}'; it must be {}", subject, value, type_in_words(type));
    }
  }
}

}  // namespace

void SchemaCatalogue::collect(Node definition, Group& group) {
  for (Node child = definition.first_child(); child; child = child.next_sibling()) {
    if (child.is(kSchemaNamespace, "attribute")) {
      group.attributes.insert(local_part(child.attribute_or("name", child.attribute_or("ref", ""))));
    } else if (child.is(kSchemaNamespace, "attributeGroup") || child.is(kSchemaNamespace, "group")) {
      group.uses.insert(local_part(child.attribute_or("ref", "")));
    } else if (child.is(kSchemaNamespace, "extension") || child.is(kSchemaNamespace, "restriction")) {
      group.uses.insert(local_part(child.attribute_or("base", "")));
      collect(child, group);
    } else if (child.is(kSchemaNamespace, "element")) {
      group.children.insert(local_part(child.attribute_or("name", child.attribute_or("ref", ""))));
    } else {
      collect(child, group);
    }
  }
}

void SchemaCatalogue::add(Node schema_root) {
  const xml::Node root = schema_root;
  std::vector<Node> todo = root.children();
  while (!todo.empty()) {
    const Node node = todo.back();
    todo.pop_back();
    const auto name = node.attribute("name");
    if (name && (node.is(kSchemaNamespace, "complexType") || node.is(kSchemaNamespace, "attributeGroup") ||
                 node.is(kSchemaNamespace, "group")))
      collect(node, types_[*name]);
    if (name && node.is(kSchemaNamespace, "element")) {
      Group& group = elements_[*name];
      if (const auto type = node.attribute("type")) group.uses.insert(local_part(*type));
      for (const Node type : node.children(kSchemaNamespace, "complexType")) collect(type, group);
    }
    if (node.is(kSchemaNamespace, "simpleType")) note_patterns(node);
    for (const Node child : node.children()) todo.push_back(child);
  }
}

void SchemaCatalogue::note_patterns(Node simple_type) {
  const Node annotation = simple_type.child(kSchemaNamespace, "annotation");
  const Node words = annotation ? annotation.child(kSchemaNamespace, "documentation") : Node();
  const Node restriction = simple_type.child(kSchemaNamespace, "restriction");
  if (!words || !restriction) return;
  for (const Node pattern : restriction.children(kSchemaNamespace, "pattern"))
    patterns_[pattern.attribute_or("value", "")] = words.text();
}

std::string SchemaCatalogue::words_of_pattern(const std::string& pattern) const {
  const auto found = patterns_.find(pattern);
  return found == patterns_.end() ? std::string() : found->second;
}

std::set<std::string> SchemaCatalogue::attributes_of(std::string_view element) const {
  return gather(element, &Group::attributes);
}
std::set<std::string> SchemaCatalogue::children_of(std::string_view element) const {
  return gather(element, &Group::children);
}

std::set<std::string> SchemaCatalogue::gather(std::string_view element, std::set<std::string> Group::*what) const {
  std::set<std::string> result;
  const auto start = elements_.find(element);
  if (start == elements_.end()) return result;
  std::set<std::string> seen;
  std::vector<const Group*> todo = {&start->second};
  while (!todo.empty()) {
    const Group& group = *todo.back();
    todo.pop_back();
    result.insert((group.*what).begin(), (group.*what).end());
    for (const std::string& used : group.uses) {
      const auto found = types_.find(used);
      if (found != types_.end() && seen.insert(used).second) todo.push_back(&found->second);
    }
  }
  return result;
}

std::string plain_message(int code, std::string_view message, std::string_view element, std::string_view parent,
                          const SchemaCatalogue& catalogue) {
  std::string text = without_namespaces(message);
  while (!text.empty() && (text.back() == '\n' || text.back() == ' ')) text.pop_back();
  const std::size_t head_end = text.find("': ");
  const std::string head =
      text.starts_with("Element '") && head_end != std::string::npos ? text.substr(0, head_end + 1) : std::string();
  if (!head.empty()) text = text.substr(head_end + 3);
  const std::string attribute = between_last(head, ", attribute '", "'");
  if (text.starts_with("[facet '")) text = text.substr(std::min(text.find(']') + 2, text.size()));
  const std::string subject = attribute.empty() ? std::string("the content") : fmt::format("'{}'", attribute);

  switch (code) {
    case XML_SCHEMAV_ELEMENT_CONTENT:
      return unexpected_element(text, element, catalogue.children_of(parent));
    case XML_SCHEMAV_CVC_ELT_1:
      return fmt::format("<{}> is not an element that this schema knows as a root", element);
    case XML_SCHEMAV_CVC_COMPLEX_TYPE_3_2_1:
    case XML_SCHEMAV_CVC_COMPLEX_TYPE_3_2_2:
      return unknown_attribute(attribute, element, catalogue);
    case XML_SCHEMAV_CVC_COMPLEX_TYPE_4:
      return fmt::format("the attribute '{}' is missing; add it", between(text, "The attribute '", "'"));
    case XML_SCHEMAV_CVC_COMPLEX_TYPE_2_1:
      return "it must be empty";
    case XML_SCHEMAV_CVC_COMPLEX_TYPE_2_3:
      return "text may not stand between its elements; remove it";
    case XML_SCHEMAV_CVC_TYPE_3_1_2:
      return "it holds text only; no element may stand in it";
    default:
      break;
  }
  const bool value = (code >= XML_SCHEMAV_CVC_DATATYPE_VALID_1_2_1 && code <= XML_SCHEMAV_CVC_DATATYPE_VALID_1_2_3) ||
                     (code >= XML_SCHEMAV_CVC_FACET_VALID && code <= XML_SCHEMAV_CVC_ENUMERATION_VALID);
  return value ? bad_value(code, subject, text, catalogue) : text;
}

}  // namespace nuraghe::xml
