// What reading texts costs, in the steps by which the evaluation of an XPath expression is bounded.
#pragma once

#include <libxml/tree.h>

#include <cstddef>

namespace nuraghe::xml {

constexpr std::size_t kBytesOfAStep = 256;
// The text of a node; it stops counting beyond `most`.
unsigned long cost_of_text(const xmlNode* node, unsigned long most);

}  // namespace nuraghe::xml
