// Giving freed memory back to the operating system.
#pragma once

namespace nuraghe {

// While one lives, memory that the calling thread frees goes back at once; at its end what was free before goes too.
// May take some milliseconds. One at a time per process is meant: with two, the first end ends both.
class MemoryRelease {
 public:
  MemoryRelease();
  ~MemoryRelease();
  MemoryRelease(const MemoryRelease&) = delete;
  MemoryRelease& operator=(const MemoryRelease&) = delete;
};

// How a program's own allocator does it; without this glibc's malloc_trim is called at the end. Before threads start.
void set_memory_release(void (*begin)(), void (*end)());

}  // namespace nuraghe
