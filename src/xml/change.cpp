// Changes of nodes. Each keeps the invariant of tree.hpp.
#include <libxml/tree.h>

#include "base/check.hpp"
#include "xml/tree.hpp"
#include "xml/xml.hpp"

namespace nuraghe::xml {

namespace {

xmlNode* element_of(Node node) {
  xmlNode* raw = node.raw();
  CHECK(raw != nullptr);
  if (raw->type == XML_DOCUMENT_NODE) raw = xmlDocGetRootElement(reinterpret_cast<xmlDoc*>(raw));
  CHECK(raw != nullptr && raw->type == XML_ELEMENT_NODE);
  return raw;
}

void free_children(xmlNode* node) {
  xmlNode* children = node->children;
  node->children = node->last = nullptr;
  if (children != nullptr) xmlFreeNodeList(children);
}

void add_text(xmlNode* parent, std::string_view text) {
  if (!text.empty()) xmlAddChild(parent, make_text(parent->doc, text));
}

void remove_redundant_declarations(xmlNode* element) {
  // Nodes below point to these declarations; reconcile_namespaces has pointed them at the nearest one, which is the
  // element's own, so they are pointed at the outer one before the inner one goes.
  xmlNode* above = element->parent;
  if (above == nullptr || above->type != XML_ELEMENT_NODE) return;
  for (xmlNs** link = &element->nsDef; *link != nullptr;) {
    xmlNs* own = *link;
    xmlNs* outer = find_prefix(above, view(own->prefix));
    const bool redundant =
        outer != nullptr ? view(outer->href) == view(own->href) : own->prefix == nullptr && view(own->href).empty();
    if (!redundant) {
      link = &own->next;
      continue;
    }
    for (xmlNode* node = element; node != nullptr; node = next_in_subtree(node, element)) {
      if (node->type != XML_ELEMENT_NODE) continue;
      if (node->ns == own) node->ns = outer;
      for (xmlAttr* attribute = node->properties; attribute != nullptr; attribute = attribute->next)
        if (attribute->ns == own) attribute->ns = outer;
    }
    *link = own->next;
    own->next = nullptr;
    xmlFreeNs(own);
  }
}

void settle(xmlNode* copy) {
  reconcile_namespaces(copy);
  remove_redundant_declarations(copy);
}

// Gives `element` the declarations of `copy`; one whose prefix is taken gets another prefix when it is needed.
void take_declarations(xmlNode* element, xmlNode* copy) {
  xmlNs** end = &element->nsDef;
  while (*end != nullptr) end = &(*end)->next;
  *end = copy->nsDef;
  copy->nsDef = nullptr;
}

void drop_shadowed_declarations(xmlNode* element) {
  // The later declaration of a prefix loses: the nodes that used it are rebound first.
  for (xmlNs* ns = element->nsDef; ns != nullptr; ns = ns->next) {
    for (xmlNs** link = &ns->next; *link != nullptr;) {
      xmlNs* later = *link;
      if (view(later->prefix) != view(ns->prefix)) {
        link = &later->next;
        continue;
      }
      *link = later->next;
      const std::string uri(view(later->href));
      const bool equal = uri == view(ns->href);
      for (xmlNode* node = element; node != nullptr; node = next_in_subtree(node, element)) {
        if (node->type != XML_ELEMENT_NODE) continue;
        if (node->ns == later) node->ns = equal ? ns : bind_namespace(node, uri, false, "");
        for (xmlAttr* attribute = node->properties; attribute != nullptr; attribute = attribute->next)
          if (attribute->ns == later) attribute->ns = equal && ns->prefix ? ns : bind_namespace(node, uri, true);
      }
      later->next = nullptr;
      xmlFreeNs(later);
    }
  }
}

}  // namespace

Node Node::append_element(std::string_view ns, std::string_view local) {
  xmlNode* parent = element_of(*this);
  xmlNode* made = xmlNewDocNode(parent->doc, nullptr, chars(std::string(local)), nullptr);
  CHECK(made != nullptr);
  xmlAddChild(parent, made);
  set_element_namespace(made, ns);
  return Node(made);
}

Node Node::append_text_element(std::string_view ns, std::string_view local, std::string_view text) {
  Node made = append_element(ns, local);
  made.append_text(text);
  return made;
}

Node Node::append_copy(Node other) {
  xmlNode* parent = element_of(*this);
  if (other.kind() == NodeKind::kText || other.kind() == NodeKind::kAttribute) {
    append_text(other.text());
    return Node(parent->last);
  }
  xmlNode* copy = copy_detached(element_of(other), parent->doc);
  xmlAddChild(parent, copy);
  settle(copy);
  return Node(copy);
}

void Node::append_text(std::string_view text) { add_text(element_of(*this), text); }

void Node::set_text(std::string_view text) {
  switch (kind()) {
    case NodeKind::kText:
    case NodeKind::kOther:
      xmlNodeSetContent(raw_, chars(legal_text(text)));
      return;
    case NodeKind::kAttribute: {
      const std::string copy(text);  // may be a view into what is freed now
      free_children(raw_);
      xmlNode* value = make_text(raw_->doc, copy);
      value->parent = raw_;
      raw_->children = raw_->last = value;
      return;
    }
    default: {
      const std::string copy(text);
      xmlNode* element = element_of(*this);
      free_children(element);
      add_text(element, copy);
    }
  }
}

void Node::set_attribute(std::string_view local, std::string_view value, std::string_view ns) {
  xmlNode* element = element_of(*this);
  if (xmlAttr* known = find_attribute(element, local, ns)) {
    Node(as_node(known)).set_text(value);
    return;
  }
  xmlNs* declaration = bind_namespace(element, ns, true);
  xmlAttr* made = xmlNewNsProp(element, declaration, chars(std::string(local)), nullptr);
  CHECK(made != nullptr);
  Node(as_node(made)).set_text(value);
}

void Node::remove_attribute(std::string_view local, std::string_view ns) {
  if (xmlAttr* known = find_attribute(element_of(*this), local, ns)) xmlRemoveProp(known);
}

void Node::declare_namespace(std::string_view prefix, std::string_view uri) {
  xmlNode* element = element_of(*this);
  const xmlNs* in_scope = find_prefix(element, prefix);
  if (in_scope != nullptr && view(in_scope->href) == uri) return;
  for (xmlNs* own = element->nsDef; own != nullptr; own = own->next)
    CHECK(view(own->prefix) != prefix);  // a prefix means one thing at an element
  const std::string prefix_text(prefix);
  CHECK(xmlNewNs(element, chars(std::string(uri)), prefix.empty() ? nullptr : chars(prefix_text)) != nullptr);
  reconcile_namespaces(element);
}

void Node::clear() { free_children(element_of(*this)); }

void Node::clear_all() {
  xmlNode* element = element_of(*this);
  free_children(element);
  xmlFreePropList(element->properties);
  element->properties = nullptr;
}

void Node::remove() {
  CHECK(raw_ != nullptr);
  if (raw_->type == XML_ATTRIBUTE_NODE) {
    xmlRemoveProp(as_attribute(raw_));
  } else {
    xmlUnlinkNode(raw_);
    xmlFreeNode(raw_);
  }
  raw_ = nullptr;
}

Node Node::insert_copy_before(Node other) {
  xmlNode* here = element_of(*this);
  xmlNode* copy = copy_detached(element_of(other), here->doc);
  xmlAddPrevSibling(here, copy);
  settle(copy);
  return Node(copy);
}

Node Node::replace_with_copy(Node other) {
  xmlNode* here = element_of(*this);
  xmlNode* copy = copy_detached(element_of(other), here->doc);
  xmlReplaceNode(here, copy);
  xmlFreeNode(here);
  settle(copy);
  raw_ = nullptr;
  return Node(copy);
}

void Node::rename(const QName& name) {
  xmlNode* element = element_of(*this);
  xmlNodeSetName(element, chars(name.local));
  set_element_namespace(element, name.ns);
  reconcile_namespaces(element);
}

void Node::assign_content_from(Node other) {
  if (kind() != NodeKind::kElement && kind() != NodeKind::kDocument) {
    set_text(other.text());
    return;
  }
  xmlNode* element = element_of(*this);
  if (other.kind() == NodeKind::kText || other.kind() == NodeKind::kAttribute) {
    clear_all();
    set_text(other.text());
    return;
  }
  xmlNode* copy = copy_detached(element_of(other), element->doc);  // first: other may be part of what goes
  clear_all();
  take_declarations(element, copy);
  element->properties = copy->properties;
  for (xmlAttr* attribute = element->properties; attribute != nullptr; attribute = attribute->next)
    attribute->parent = element;
  element->children = copy->children;
  element->last = copy->last;
  for (xmlNode* child = element->children; child != nullptr; child = child->next) child->parent = element;
  copy->properties = nullptr;
  copy->children = copy->last = nullptr;
  xmlFreeNode(copy);
  drop_shadowed_declarations(element);
  settle(element);
}

}  // namespace nuraghe::xml
