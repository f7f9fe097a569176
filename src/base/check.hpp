// CHECK: an invariant of Nuraghe itself, on in every build. A failed CHECK is a defect: it prints and aborts.
#pragma once

namespace nuraghe {
[[noreturn]] void check_failed(const char* expression, const char* file, int line);
}  // namespace nuraghe

#define CHECK(expression) \
  ((expression) ? static_cast<void>(0) : ::nuraghe::check_failed(#expression, __FILE__, __LINE__))
