// Store in memory, for tests and simulation: keeps what was committed apart from what was not, so that a simulated
// crash (drop the Store, open another over the same MemoryDisk) sees exactly the committed state.
#pragma once

#include "store/store.hpp"

namespace nuraghe::store {

class MemoryDisk;
std::shared_ptr<MemoryDisk> make_memory_disk();
// The number of bytes after which commits fail with kExhausted ("disk full"); 0 = unlimited.
void set_memory_disk_limit(MemoryDisk& disk, Bytes limit);
std::unique_ptr<Store> open_memory(std::shared_ptr<MemoryDisk> disk);

}  // namespace nuraghe::store
