#include "xml/xpath_set_functions.hpp"

#include <libxml/xpathInternals.h>

#include <algorithm>
#include <cmath>
#include <limits>
#include <memory>
#include <string>
#include <unordered_set>
#include <vector>

#include "xml/tree.hpp"
#include "xml/xpath_cost.hpp"
#include "xml/xpath_object.hpp"

namespace nuraghe::xml {
namespace {

// False, with the error set: it costs more than is allowed.
bool charge(xmlXPathParserContext* parser, unsigned long cost) {
  xmlXPathContext& context = *parser->context;
  if (context.opLimit == 0) return true;
  context.opCount += cost;
  if (context.opCount < context.opLimit) return true;
  xmlXPathErr(parser, XPATH_OP_LIMIT_EXCEEDED);
  return false;
}

// Null, with the error set, when it is no node set.
Object pop_set(xmlXPathParserContext* parser) {
  Object object(valuePop(parser));
  if (object && (object->type == XPATH_NODESET || object->type == XPATH_XSLT_TREE)) return object;
  xmlXPathErr(parser, XPATH_INVALID_TYPE);
  return nullptr;
}

int size_of(const Object& set) { return set->nodesetval == nullptr ? 0 : set->nodesetval->nodeNr; }

bool charge_texts_of(xmlXPathParserContext* parser, const Object& set) {
  const unsigned long limit = parser->context->opLimit;
  for (int i = 0; i < size_of(set); ++i) {
    const xmlNode* node = set->nodesetval->nodeTab[i];
    const unsigned long text = node->type == XML_NAMESPACE_DECL ? 0 : cost_of_text(node, limit);
    if (!charge(parser, 1 + text)) return false;
  }
  return true;
}

std::string text_of(xmlNode* node) {
  const std::unique_ptr<xmlChar, void (*)(void*)> text(xmlXPathCastNodeToString(node), xmlFree);
  return std::string(view(text.get()));
}

template <class Take>
void for_each_text(const Object& set, const Take& take) {
  for (int i = 0; i < size_of(set); ++i) {
    if (!take(text_of(set->nodesetval->nodeTab[i]))) return;
  }
}

bool have_equal(const Object& left, const Object& right) {
  const Object& fewer = size_of(left) < size_of(right) ? left : right;
  const Object& more = &fewer == &left ? right : left;
  std::unordered_set<std::string> texts;
  for_each_text(fewer, [&](std::string text) { return texts.insert(std::move(text)), true; });
  bool found = false;
  for_each_text(more, [&](const std::string& text) { return !(found = texts.contains(text)); });
  return found;
}

// Unless all are the same, some two differ across.
bool have_different(const Object& left, const Object& right) {
  const std::string first = text_of(left->nodesetval->nodeTab[0]);
  bool found = false;
  const auto differs = [&](const std::string& text) { return !(found = text != first); };
  for_each_text(left, differs);
  if (!found) for_each_text(right, differs);
  return found;
}

struct Range {
  double least = std::numeric_limits<double>::infinity();
  double most = -std::numeric_limits<double>::infinity();
  bool empty = true;  // no numbers
};
Range range_of(const Object& set) {
  Range range;
  for (int i = 0; i < size_of(set); ++i) {
    const double number = xmlXPathCastNodeToNumber(set->nodesetval->nodeTab[i]);
    if (std::isnan(number)) continue;
    range = {std::min(range.least, number), std::max(range.most, number), false};
  }
  return range;
}

bool compare(std::string_view sign, const Object& left, const Object& right) {
  if (size_of(left) == 0 || size_of(right) == 0) return false;
  if (sign == "=") return have_equal(left, right);
  if (sign == "!=") return have_different(left, right);
  const Range a = range_of(left);
  const Range b = range_of(right);
  if (a.empty || b.empty) return false;
  if (sign == "<") return a.least < b.most;
  if (sign == "<=") return a.least <= b.most;
  return sign == ">" ? a.most > b.least : a.most >= b.least;
}

// Appends the nodes of the tree that are wanted, in document order (XPath 1.0 §5).
void append_in_order(xmlNode* root, const std::unordered_set<const xmlNode*>& wanted, xmlNodeSet* out) {
  const auto take = [&](xmlNode* node) {
    if (wanted.contains(node)) xmlXPathNodeSetAddUnique(out, node);
  };
  for (xmlNode* at = root; at != nullptr;) {
    take(at);
    if (at->type == XML_ELEMENT_NODE) {
      for (xmlAttr* one = at->properties; one != nullptr; one = one->next) take(reinterpret_cast<xmlNode*>(one));
    }
    const bool descends = at->type == XML_ELEMENT_NODE || at->type == XML_DOCUMENT_NODE;
    if (descends && at->children != nullptr) {
      at = at->children;
      continue;
    }
    while (at != root && at->next == nullptr) at = at->parent;
    at = at == root ? nullptr : at->next;
  }
}

xmlNode* root_of(xmlNode* node) {
  while (node->parent != nullptr) node = node->parent;
  return node;
}

}  // namespace

void compare_sets(xmlXPathParserContext* parser, int count) {
  if (count != 3) return xmlXPathErr(parser, XPATH_INVALID_ARITY);
  const Object right = pop_set(parser);
  if (!right) return;
  const Object left = pop_set(parser);
  if (!left) return;
  const Object sign(valuePop(parser));
  if (!sign || sign->type != XPATH_STRING) return xmlXPathErr(parser, XPATH_INVALID_TYPE);
  if (!charge_texts_of(parser, left) || !charge_texts_of(parser, right)) return;
  valuePush(parser, xmlXPathNewBoolean(compare(view(sign->stringval), left, right) ? 1 : 0));
}

void join_sets(xmlXPathParserContext* parser, int count) {
  if (count < 2) return xmlXPathErr(parser, XPATH_INVALID_ARITY);
  std::vector<Object> sets;
  for (int i = 0; i < count; ++i) {
    sets.push_back(pop_set(parser));
    if (!sets.back()) return;
  }
  std::unordered_set<const xmlNode*> wanted;
  std::vector<xmlNode*> roots;  // of the trees, in the order of the operands
  for (auto set = sets.rbegin(); set != sets.rend(); ++set) {
    for (int i = 0; i < size_of(*set); ++i) {
      xmlNode* node = (*set)->nodesetval->nodeTab[i];
      // A namespace node belongs to its set alone; there are few.
      if (node->type == XML_NAMESPACE_DECL || !wanted.insert(node).second) continue;
      xmlNode* root = root_of(node);
      if (std::ranges::find(roots, root) == roots.end()) roots.push_back(root);
    }
  }
  Object joined(xmlXPathNewNodeSet(nullptr));
  for (xmlNode* root : roots) {
    if (!charge(parser, cost_of_text(root, parser->context->opLimit))) return;
    append_in_order(root, wanted, joined->nodesetval);
  }
  valuePush(parser, joined.release());
}

}  // namespace nuraghe::xml
