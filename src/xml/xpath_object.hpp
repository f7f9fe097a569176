// libxml2's XPath objects, owned.
#pragma once

#include <libxml/xpath.h>

#include <memory>

namespace nuraghe::xml {

struct FreeObject {
  void operator()(xmlXPathObject* object) const { xmlXPathFreeObject(object); }
};
using Object = std::unique_ptr<xmlXPathObject, FreeObject>;

}  // namespace nuraghe::xml
