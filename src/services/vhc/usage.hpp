// What the virtual hosts of one physical host take of its capacity, kept up as their rows change: asking costs nothing,
// however many there are.
#pragma once

#include <string>
#include <unordered_map>

#include "services/vhc/rows.hpp"

namespace nuraghe::services::vhc {

class Usage {
 public:
  // The row as it is now replaces what this host took before.
  void set(const HostRow& row) {
    api::Capacity& taken = hosts_[row.host.id];
    sum_.cpus -= taken.cpus, sum_.memory.count -= taken.memory.count, sum_.disk.count -= taken.disk.count;
    if (row.is_tombstone()) {
      hosts_.erase(row.host.id);
      return;
    }
    taken = {};
    if (row.host.state != HostState::kFrozen || row.host.operation == "thaw") {
      taken.cpus = row.host.cpus;
      taken.memory = row.host.memory;
    }
    taken.disk = Bytes{row.disk};
    sum_.cpus += taken.cpus, sum_.memory.count += taken.memory.count, sum_.disk.count += taken.disk.count;
  }
  const api::Capacity& sum() const { return sum_; }

 private:
  api::Capacity sum_;
  std::unordered_map<std::string, api::Capacity> hosts_;  // by host id
};

}  // namespace nuraghe::services::vhc
