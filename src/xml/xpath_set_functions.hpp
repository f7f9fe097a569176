// The functions that with_set_functions() writes (xpath_sets.hpp), for libxml2's evaluator.
#pragma once

#include <libxml/xpath.h>

namespace nuraghe::xml {

// (text, node set, node set): whether a node of the first and one of the second compare so.
void compare_sets(xmlXPathParserContext* parser, int count);
// Of at least two node sets: their union, in document order.
void join_sets(xmlXPathParserContext* parser, int count);

}  // namespace nuraghe::xml
