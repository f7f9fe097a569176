#include <libxml/tree.h>

#include <algorithm>
#include <vector>

#include "xml/tree.hpp"
#include "xml/xml.hpp"

namespace nuraghe::xml {

namespace {

// One item of an element's content: a child element, or the text between two of them.
struct Item {
  Node element;
  std::string text;
};

std::vector<Item> content(Node parent) {
  std::vector<Item> items;
  const bool skip_blank = parent.has_element_children();
  std::string text;
  const auto flush = [&] {
    if (!text.empty() && !(skip_blank && is_blank(text))) items.push_back({Node(), text});
    text.clear();
  };
  for (xmlNode* node = parent.raw()->children; node != nullptr; node = node->next) {
    if (is_text(node)) text += view(node->content);
    if (node->type != XML_ELEMENT_NODE) continue;
    flush();
    items.push_back({Node(node), {}});
  }
  flush();
  return items;
}

std::vector<std::pair<QName, std::string>> sorted_attributes(Node element) {
  std::vector<std::pair<QName, std::string>> result;
  for (auto& attribute : element.attributes())
    result.emplace_back(std::move(attribute.name), std::move(attribute.value));
  std::sort(result.begin(), result.end());
  return result;
}

}  // namespace

bool equivalent(Node a, Node b) {
  if (a.name() != b.name() || sorted_attributes(a) != sorted_attributes(b)) return false;
  const std::vector<Item> left = content(a);
  const std::vector<Item> right = content(b);
  return std::equal(left.begin(), left.end(), right.begin(), right.end(), [](const Item& x, const Item& y) {
    if (!x.element || !y.element) return !x.element && !y.element && x.text == y.text;
    return equivalent(x.element, y.element);
  });
}

}  // namespace nuraghe::xml
