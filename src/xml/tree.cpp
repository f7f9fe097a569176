#include "xml/tree.hpp"

#include <libxml/parserInternals.h>

#include "base/check.hpp"

namespace nuraghe::xml {

xmlAttr* find_attribute(const xmlNode* element, std::string_view local, std::string_view ns) {
  if (element->type != XML_ELEMENT_NODE) return nullptr;
  for (xmlAttr* attribute = element->properties; attribute != nullptr; attribute = attribute->next)
    if (view(attribute->name) == local && (attribute->ns == nullptr ? "" : view(attribute->ns->href)) == ns)
      return attribute;
  return nullptr;
}

namespace {

constexpr int kColumnBits = 24;
constexpr std::uintptr_t kColumnMask = (std::uintptr_t{1} << kColumnBits) - 1;
constexpr std::string_view kReplacement = "\xEF\xBF\xBD";

// Length of the UTF-8 sequence at the start of `text` if it is one legal XML character, else 0.
std::size_t legal_length(std::string_view text) {
  const auto byte = [&](std::size_t i) { return static_cast<unsigned char>(text[i]); };
  const unsigned char first = byte(0);
  if (first < 0x80) return first >= 0x20 || first == '\t' || first == '\n' || first == '\r' ? 1 : 0;
  const std::size_t length = first >= 0xF0 ? 4 : first >= 0xE0 ? 3 : first >= 0xC2 ? 2 : 0;
  if (length == 0 || first > 0xF4 || text.size() < length) return 0;
  std::uint32_t code = first & (0x7FU >> length);
  for (std::size_t i = 1; i < length; ++i) {
    if ((byte(i) & 0xC0) != 0x80) return 0;
    code = (code << 6) | (byte(i) & 0x3FU);
  }
  const bool overlong = (length == 3 && code < 0x800) || (length == 4 && code < 0x10000);
  const bool illegal = (code >= 0xD800 && code <= 0xDFFF) || code == 0xFFFE || code == 0xFFFF || code > 0x10FFFF;
  return overlong || illegal ? 0 : length;
}

bool same(const xmlNs* declaration, std::string_view prefix) { return view(declaration->prefix) == prefix; }

xmlNs* own_declaration(xmlNode* element, std::string_view prefix) {
  for (xmlNs* ns = element->nsDef; ns != nullptr; ns = ns->next)
    if (same(ns, prefix)) return ns;
  return nullptr;
}

xmlNs* declare(xmlNode* element, std::string_view prefix, std::string_view uri) {
  const std::string prefix_text(prefix);
  xmlNs* made = xmlNewNs(element, chars(std::string(uri)), prefix.empty() ? nullptr : chars(prefix_text));
  CHECK(made != nullptr);
  return made;
}

// A prefix that means nothing at `element` yet nor is declared anywhere below it.
std::string fresh_prefix(xmlNode* element) {
  for (int number = 1;; ++number) {
    std::string candidate = "ns" + std::to_string(number);
    if (find_prefix(element, candidate) != nullptr) continue;
    bool used = false;
    for (xmlNode* node = element; node != nullptr && !used; node = next_in_subtree(node, element))
      used = node->type == XML_ELEMENT_NODE && own_declaration(node, candidate) != nullptr;
    if (!used) return candidate;
  }
}

// Gives an own declaration another prefix; the nodes that use it follow, as they point to it.
void change_prefix(xmlNode* element, xmlNs* declaration) {
  const std::string fresh = fresh_prefix(element);
  xmlChar* copy = xmlStrdup(chars(fresh));
  CHECK(copy != nullptr);
  xmlFree(const_cast<xmlChar*>(declaration->prefix));
  declaration->prefix = copy;
}

// Switches a default namespace in scope off for this element and what it holds.
void leave_default_namespace(xmlNode* element) {
  const xmlNs* in_scope = find_prefix(element, "");
  if (in_scope == nullptr || view(in_scope->href).empty()) return;
  if (xmlNs* own = own_declaration(element, "")) change_prefix(element, own);
  const xmlNs* inherited = find_prefix(element, "");
  if (inherited != nullptr && !view(inherited->href).empty()) declare(element, "", "");
}

bool resolves(xmlNode* element, const xmlNs* ns) {
  const xmlNs* found = find_prefix(element, view(ns->prefix));
  return found != nullptr && view(found->href) == view(ns->href);
}

// Points `ns` of an element or attribute at the declaration that is in scope.
void repair(xmlNode* element, xmlNs*& ns, bool attribute) {
  if (ns == nullptr || view(ns->href).empty()) {
    ns = nullptr;
    if (!attribute) leave_default_namespace(element);
    return;
  }
  if (view(ns->prefix) == "xml") return;
  const bool unusable = attribute && ns->prefix == nullptr;
  if (!unusable && resolves(element, ns)) {
    ns = find_prefix(element, view(ns->prefix));
    return;
  }
  // A copy: binding may free or move nothing, but the declaration's owner may be another document.
  const std::string uri(view(ns->href));
  const std::string prefix(view(ns->prefix));
  ns = bind_namespace(element, uri, attribute, prefix);
}

bool mentions(std::string_view text, std::string_view prefix) {
  const std::string needle = std::string(prefix) + ":";
  for (std::size_t at = text.find(needle); at != std::string_view::npos; at = text.find(needle, at + 1)) {
    if (at == 0) return true;
    const char before = text[at - 1];
    const bool name_character = (before >= 'a' && before <= 'z') || (before >= 'A' && before <= 'Z') ||
                                (before >= '0' && before <= '9') || before == '_' || before == '-' || before == '.';
    if (!name_character) return true;
  }
  return false;
}

bool subtree_mentions(xmlNode* root, std::string_view prefix) {
  for (xmlNode* node = root; node != nullptr; node = next_in_subtree(node, root)) {
    if (is_text(node) && mentions(view(node->content), prefix)) return true;
    if (node->type != XML_ELEMENT_NODE) continue;
    for (xmlAttr* attribute = node->properties; attribute != nullptr; attribute = attribute->next)
      for (xmlNode* part = attribute->children; part != nullptr; part = part->next)
        if (mentions(view(part->content), prefix)) return true;
  }
  return false;
}

}  // namespace

xmlNode* next_after_subtree(xmlNode* node, const xmlNode* root) {
  while (node != root) {
    if (node->next != nullptr) return node->next;
    node = node->parent;
    if (node == nullptr) return nullptr;
  }
  return nullptr;
}

xmlNode* next_in_subtree(xmlNode* node, const xmlNode* root) {
  if (node->type == XML_ELEMENT_NODE && node->children != nullptr) return node->children;
  return next_after_subtree(node, root);
}

void set_position(xmlNode* node, Position position) {
  const auto line = static_cast<std::uintptr_t>(position.line);
  const auto column = static_cast<std::uintptr_t>(position.column);
  node->_private = reinterpret_cast<void*>((line << kColumnBits) | (column < kColumnMask ? column : kColumnMask));
}

Position position_of(const xmlNode* node) {
  const auto packed = reinterpret_cast<std::uintptr_t>(node->_private);
  return {static_cast<int>(packed >> kColumnBits), static_cast<int>(packed & kColumnMask)};
}

void copy_positions(xmlNode* from, xmlNode* to) {
  const xmlNode* from_root = from;
  const xmlNode* to_root = to;
  while (from != nullptr && to != nullptr) {
    if (from->type == XML_ELEMENT_NODE) to->_private = from->_private;
    from = next_in_subtree(from, from_root);
    to = next_in_subtree(to, to_root);
  }
}

std::string legal_text(std::string_view text) {
  std::string result;
  result.reserve(text.size());
  while (!text.empty()) {
    const std::size_t length = legal_length(text);
    result.append(length == 0 ? kReplacement : text.substr(0, length));
    text.remove_prefix(length == 0 ? 1 : length);
  }
  return result;
}

xmlNode* make_text(xmlDoc* document, std::string_view text) {
  const std::string legal = legal_text(text);
  xmlNode* node = xmlNewDocTextLen(document, chars(legal), static_cast<int>(legal.size()));
  CHECK(node != nullptr);
  return node;
}

xmlNs* find_prefix(xmlNode* element, std::string_view prefix) {
  for (xmlNode* node = element; node != nullptr && node->type == XML_ELEMENT_NODE; node = node->parent)
    if (xmlNs* found = own_declaration(node, prefix)) return found;
  return nullptr;
}

xmlNs* bind_namespace(xmlNode* element, std::string_view uri, bool needs_prefix, std::string_view wanted_prefix) {
  if (uri.empty()) return nullptr;
  if (uri == view(XML_XML_NAMESPACE)) return xmlSearchNs(element->doc, element, chars("xml"));
  for (xmlNode* node = element; node != nullptr && node->type == XML_ELEMENT_NODE; node = node->parent) {
    for (xmlNs* ns = node->nsDef; ns != nullptr; ns = ns->next) {
      if (view(ns->href) != uri || (needs_prefix && ns->prefix == nullptr)) continue;
      if (find_prefix(element, view(ns->prefix)) == ns) return ns;
    }
  }
  if (!needs_prefix && wanted_prefix.empty() && own_declaration(element, "") == nullptr)
    return declare(element, "", uri);
  if (!wanted_prefix.empty() && find_prefix(element, wanted_prefix) == nullptr)
    return declare(element, wanted_prefix, uri);
  return declare(element, fresh_prefix(element), uri);
}

void set_element_namespace(xmlNode* element, std::string_view uri) {
  element->ns = bind_namespace(element, uri, false);
  if (element->ns == nullptr) leave_default_namespace(element);
}

void reconcile_namespaces(xmlNode* root) {
  for (xmlNode* node = root; node != nullptr; node = next_in_subtree(node, root)) {
    if (node->type != XML_ELEMENT_NODE) continue;
    repair(node, node->ns, false);
    for (xmlAttr* attribute = node->properties; attribute != nullptr; attribute = attribute->next)
      if (attribute->ns != nullptr) repair(node, attribute->ns, true);
  }
}

xmlNode* copy_detached(xmlNode* element, xmlDoc* into) {
  xmlNode* copy = xmlDocCopyNode(element, into, 1);
  CHECK(copy != nullptr);
  for (xmlNode* above = element->parent; above != nullptr && above->type == XML_ELEMENT_NODE; above = above->parent) {
    for (const xmlNs* ns = above->nsDef; ns != nullptr; ns = ns->next) {
      if (ns->prefix == nullptr || own_declaration(copy, view(ns->prefix)) != nullptr) continue;
      if (subtree_mentions(copy, view(ns->prefix))) declare(copy, view(ns->prefix), view(ns->href));
    }
  }
  return copy;
}

}  // namespace nuraghe::xml
