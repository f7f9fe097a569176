// Linked into programs that allocate by mimalloc: how they give memory back (base/memory.hpp).
#include <mimalloc.h>

#include "base/memory.hpp"

namespace nuraghe {
namespace {

// mimalloc returns freed pages after a delay, and only when it is called again; so without a delay while it matters.
const long usual_delay = mi_option_get(mi_option_decommit_delay);

const bool registered = [] {
  set_memory_release([] { mi_option_set(mi_option_decommit_delay, 0); },
                     [] {
                       mi_collect(true);
                       mi_option_set(mi_option_decommit_delay, usual_delay);
                     });
  return true;
}();

}  // namespace
}  // namespace nuraghe
