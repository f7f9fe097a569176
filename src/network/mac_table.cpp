#include "network/mac_table.hpp"

namespace nuraghe::network {

void MacTable::drop_oldest() {
  index_.erase(entries_.back().mac);
  entries_.pop_back();
}

void MacTable::learn(Mac mac, SwitchLink link, Duration now) {
  while (!entries_.empty() && now - entries_.back().seen >= lifetime_) drop_oldest();
  if (const auto known = index_.find(mac); known != index_.end()) {
    known->second->link = link;
    known->second->seen = now;
    entries_.splice(entries_.begin(), entries_, known->second);
    return;
  }
  if (capacity_ == 0) return;
  if (index_.size() == capacity_) drop_oldest();
  entries_.push_front({mac, link, now});
  index_.emplace(mac, entries_.begin());
}

std::optional<SwitchLink> MacTable::find(Mac mac, Duration now) const {
  const auto known = index_.find(mac);
  if (known == index_.end() || now - known->second->seen >= lifetime_) return std::nullopt;
  return known->second->link;
}

void MacTable::forget(SwitchLink link) {
  for (auto entry = entries_.begin(); entry != entries_.end();) {
    if (entry->link != link) {
      ++entry;
      continue;
    }
    index_.erase(entry->mac);
    entry = entries_.erase(entry);
  }
}

}  // namespace nuraghe::network
