#include "xml/xpath_cost.hpp"

#include "xml/tree.hpp"

namespace nuraghe::xml {

unsigned long cost_of_text(const xmlNode* node, unsigned long most) {
  constexpr unsigned long kNodesOfAStep = 4;
  unsigned long nodes = 0;
  std::size_t bytes = 0;
  const xmlNode* at = node;
  while (at != nullptr) {
    ++nodes;
    if (at->type == XML_TEXT_NODE || at->type == XML_CDATA_SECTION_NODE) bytes += view(at->content).size();
    if (nodes / kNodesOfAStep + bytes / kBytesOfAStep > most) break;
    const bool has_children =
        at->type == XML_ELEMENT_NODE || at->type == XML_DOCUMENT_NODE || at->type == XML_ATTRIBUTE_NODE;
    if (has_children && at->children != nullptr) {
      at = at->children;
      continue;
    }
    while (at != node && at->next == nullptr) at = at->parent;
    at = at == node ? nullptr : at->next;
  }
  return nodes / kNodesOfAStep + bytes / kBytesOfAStep;
}

}  // namespace nuraghe::xml
