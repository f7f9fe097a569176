// The seam to libxml2's tree for the files of this room: casts, text, namespaces, positions. Included by no other room.
//
// Invariant that every change keeps: the prefix of each element and attribute resolves, where the node stands, to the
// node's own namespace, and an element without namespace stands where no default namespace is in scope. So a tree can
// be serialised at any time without repair.
#pragma once

#include <libxml/tree.h>

#include <string>
#include <string_view>

#include "xml/xml.hpp"

namespace nuraghe::xml {

inline const xmlChar* chars(const char* text) { return reinterpret_cast<const xmlChar*>(text); }
inline const xmlChar* chars(const std::string& text) { return reinterpret_cast<const xmlChar*>(text.c_str()); }
inline std::string_view view(const xmlChar* text) {
  return text == nullptr ? std::string_view() : std::string_view(reinterpret_cast<const char*>(text));
}
inline xmlNode* as_node(xmlAttr* attribute) { return reinterpret_cast<xmlNode*>(attribute); }
inline xmlNode* as_node(xmlDoc* document) { return reinterpret_cast<xmlNode*>(document); }
inline xmlAttr* as_attribute(xmlNode* node) { return reinterpret_cast<xmlAttr*>(node); }
inline bool is_text(const xmlNode* node) {
  return node->type == XML_TEXT_NODE || node->type == XML_CDATA_SECTION_NODE || node->type == XML_ENTITY_REF_NODE;
}
inline bool is_blank(std::string_view text) { return text.find_first_not_of(" \t\r\n") == std::string_view::npos; }

// Null when it has none, or is no element. `ns` "": in no namespace.
xmlAttr* find_attribute(const xmlNode* element, std::string_view local, std::string_view ns);

// The next node of a walk in document order over the subtree of `root`, without recursion; null at its end.
xmlNode* next_in_subtree(xmlNode* node, const xmlNode* root);
// As above, but not below `node`.
xmlNode* next_after_subtree(xmlNode* node, const xmlNode* root);

void set_position(xmlNode* node, Position position);
Position position_of(const xmlNode* node);
// Copies the positions of a subtree to its structurally equal copy.
void copy_positions(xmlNode* from, xmlNode* to);

// `text` with every character that XML 1.0 §2.2 does not allow (and every byte that is no UTF-8) replaced by U+FFFD.
std::string legal_text(std::string_view text);
xmlNode* make_text(xmlDoc* document, std::string_view text);

// The declaration that `prefix` (empty: the default namespace) resolves to at `element`, or null.
xmlNs* find_prefix(xmlNode* element, std::string_view prefix);
// A declaration for `uri` usable at `element`, made there when there is none (then whoever calls this for an element
// that has children reconciles them). `needs_prefix` for attributes. Null for the empty URI.
xmlNs* bind_namespace(xmlNode* element, std::string_view uri, bool needs_prefix, std::string_view wanted_prefix = {});
void set_element_namespace(xmlNode* element, std::string_view uri);
// Restores the invariant in the subtree of `root` after it came to a new place or a declaration was added.
void reconcile_namespaces(xmlNode* root);
// A deep, unlinked copy that carries the declarations which it uses, in names or as "prefix:" in its texts.
xmlNode* copy_detached(xmlNode* element, xmlDoc* into);

}  // namespace nuraghe::xml
