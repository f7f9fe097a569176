// Reading of nodes.
#include <fmt/format.h>
#include <libxml/tree.h>

#include <algorithm>

#include "base/check.hpp"
#include "xml/tree.hpp"
#include "xml/xml.hpp"

namespace nuraghe::xml {

namespace {

constexpr std::string_view kXmlNamespace = "http://www.w3.org/XML/1998/namespace";

std::string_view uri_of(const xmlNs* ns) { return ns == nullptr ? std::string_view() : view(ns->href); }

xmlNode* skip_to_element(xmlNode* node) {
  while (node != nullptr && node->type != XML_ELEMENT_NODE) node = node->next;
  return node;
}

xmlNode* children_of(const xmlNode* node) {
  switch (node->type) {
    case XML_ELEMENT_NODE:
    case XML_ATTRIBUTE_NODE:
    case XML_DOCUMENT_NODE:
      return node->children;
    default:
      return nullptr;
  }
}

bool has_name(const xmlNode* node, std::string_view ns, std::string_view local) {
  return node->type == XML_ELEMENT_NODE && view(node->name) == local && uri_of(node->ns) == ns;
}

std::string value_of(const xmlAttr* attribute) {
  std::string value;
  for (const xmlNode* part = attribute->children; part != nullptr; part = part->next) value += view(part->content);
  return value;
}

xmlNode* element_at(xmlNode* node) {
  while (node != nullptr && node->type != XML_ELEMENT_NODE) node = node->parent;
  return node;
}

}  // namespace

NodeKind Node::kind() const {
  CHECK(raw_ != nullptr);
  switch (raw_->type) {
    case XML_ELEMENT_NODE:
      return NodeKind::kElement;
    case XML_ATTRIBUTE_NODE:
      return NodeKind::kAttribute;
    case XML_TEXT_NODE:
    case XML_CDATA_SECTION_NODE:
      return NodeKind::kText;
    case XML_DOCUMENT_NODE:
      return NodeKind::kDocument;
    default:
      return NodeKind::kOther;
  }
}

std::string_view Node::local_name() const {
  const NodeKind what = kind();
  return what == NodeKind::kElement || what == NodeKind::kAttribute ? view(raw_->name) : std::string_view();
}

std::string_view Node::namespace_uri() const {
  switch (kind()) {
    case NodeKind::kElement:
      return uri_of(raw_->ns);
    case NodeKind::kAttribute:
      return uri_of(as_attribute(raw_)->ns);
    default:
      return {};
  }
}

QName Node::name() const { return {std::string(namespace_uri()), std::string(local_name())}; }
bool Node::is(std::string_view ns, std::string_view local) const {
  return raw_ != nullptr && has_name(raw_, ns, local);
}

Position Node::position() const {
  const xmlNode* element = element_at(raw_);
  return element == nullptr ? Position{} : position_of(element);
}

Node Node::parent() const {
  CHECK(raw_ != nullptr);
  xmlNode* above = raw_->parent;
  return Node(above != nullptr && above->type == XML_ELEMENT_NODE ? above : nullptr);
}

Node Node::first_child() const {
  CHECK(raw_ != nullptr);
  return Node(skip_to_element(children_of(raw_)));
}

Node Node::next_sibling() const {
  CHECK(raw_ != nullptr);
  return Node(raw_->type == XML_ATTRIBUTE_NODE ? nullptr : skip_to_element(raw_->next));
}

Node Node::child(std::string_view ns, std::string_view local) const {
  CHECK(raw_ != nullptr);
  for (xmlNode* node = children_of(raw_); node != nullptr; node = node->next)
    if (has_name(node, ns, local)) return Node(node);
  return {};
}

std::vector<Node> Node::children() const {
  std::vector<Node> result;
  for (Node node = first_child(); node; node = node.next_sibling()) result.push_back(node);
  return result;
}

std::vector<Node> Node::children(std::string_view ns, std::string_view local) const {
  std::vector<Node> result;
  for (Node node = first_child(); node; node = node.next_sibling())
    if (node.is(ns, local)) result.push_back(node);
  return result;
}

std::string Node::text() const {
  switch (kind()) {
    case NodeKind::kAttribute:
      return value_of(as_attribute(raw_));
    case NodeKind::kText:
    case NodeKind::kOther:
      return std::string(view(raw_->content));
    default:
      break;
  }
  std::string result;
  const xmlNode* root = raw_;
  for (xmlNode* node = raw_->children; node != nullptr; node = next_in_subtree(node, root))
    if (is_text(node)) result += view(node->content);
  return result;
}

bool Node::has_element_children() const { return static_cast<bool>(first_child()); }

std::optional<std::string> Node::attribute(std::string_view local, std::string_view ns) const {
  CHECK(raw_ != nullptr);
  const xmlAttr* found = find_attribute(raw_, local, ns);
  if (found == nullptr) return std::nullopt;
  return value_of(found);
}

std::string Node::attribute_or(std::string_view local, std::string_view fallback, std::string_view ns) const {
  return attribute(local, ns).value_or(std::string(fallback));
}

std::vector<Node::Attribute> Node::attributes() const {
  std::vector<Attribute> result;
  if (kind() != NodeKind::kElement) return result;
  for (const xmlAttr* attribute = raw_->properties; attribute != nullptr; attribute = attribute->next)
    result.push_back({{std::string(uri_of(attribute->ns)), std::string(view(attribute->name))}, value_of(attribute)});
  return result;
}

std::optional<std::string> Node::namespace_of_prefix(std::string_view prefix) const {
  CHECK(raw_ != nullptr);
  if (prefix == "xml") return std::string(kXmlNamespace);
  xmlNode* element = element_at(raw_);
  const xmlNs* found = element == nullptr ? nullptr : find_prefix(element, prefix);
  if (found != nullptr && (prefix.empty() || !view(found->href).empty())) return std::string(view(found->href));
  return prefix.empty() ? std::optional<std::string>("") : std::nullopt;
}

std::vector<std::pair<std::string, std::string>> Node::namespaces_in_scope() const {
  std::vector<std::pair<std::string, std::string>> result;
  for (xmlNode* node = element_at(raw_); node != nullptr && node->type == XML_ELEMENT_NODE; node = node->parent) {
    for (const xmlNs* ns = node->nsDef; ns != nullptr; ns = ns->next) {
      const auto hides = [&](const auto& known) { return known.first == view(ns->prefix); };
      if (std::none_of(result.begin(), result.end(), hides)) result.emplace_back(view(ns->prefix), view(ns->href));
    }
  }
  std::erase_if(result, [](const auto& entry) { return entry.second.empty(); });
  return result;
}

Result<QName> Node::resolve_qname(std::string_view text, bool use_default) const {
  const auto first = text.find_first_not_of(" \t\r\n");
  if (first == std::string_view::npos) return invalid("an empty text is no name");
  text = text.substr(first, text.find_last_not_of(" \t\r\n") - first + 1);
  const std::size_t colon = text.find(':');
  if (colon == std::string_view::npos)
    return QName{use_default ? namespace_of_prefix("").value_or("") : "", std::string(text)};
  const std::string_view prefix = text.substr(0, colon);
  const std::string_view local = text.substr(colon + 1);
  if (prefix.empty() || local.empty() || local.find(':') != std::string_view::npos)
    return invalid(fmt::format("'{}' is no qualified name; expected prefix:name", text));
  const auto uri = namespace_of_prefix(prefix);
  if (!uri) return invalid(fmt::format("the prefix '{}' of '{}' is not bound to a namespace here", prefix, text));
  return QName{*uri, std::string(local)};
}

int depth(Node element) {
  xmlNode* const root = element.raw();
  int deepest = 0;
  int level = 1;
  for (xmlNode* node = root; node != nullptr;) {
    if (node->type == XML_ELEMENT_NODE) deepest = std::max(deepest, level);
    if (node->type == XML_ELEMENT_NODE && node->children != nullptr) {
      node = node->children;
      ++level;
      continue;
    }
    while (node != root && node->next == nullptr) {
      node = node->parent;
      --level;
    }
    if (node == root) break;
    node = node->next;
  }
  return deepest;
}

}  // namespace nuraghe::xml
