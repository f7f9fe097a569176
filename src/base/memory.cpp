#include "base/memory.hpp"

#include <malloc.h>

namespace nuraghe {
namespace {

struct Release {
  void (*begin)() = [] {};
  void (*end)() = [] { ::malloc_trim(0); };
};
Release& release() {
  static Release own;
  return own;
}

}  // namespace

MemoryRelease::MemoryRelease() { release().begin(); }
MemoryRelease::~MemoryRelease() { release().end(); }

void set_memory_release(void (*begin)(), void (*end)()) { release() = {begin, end}; }

}  // namespace nuraghe
