// The learning table of one segment: on which link a station was seen last.
//
// Invariants: at most `capacity` entries; an entry not seen for `lifetime` is not found; when it is full, the station
// that has been silent longest is forgotten. Time comes in from outside and never goes back.
// Threading: none.
#pragma once

#include <compare>
#include <cstddef>
#include <cstdint>
#include <list>
#include <optional>
#include <unordered_map>

#include "base/units.hpp"

namespace nuraghe::network {

using Mac = std::uint64_t;  // 48 bits, the first byte on the wire is the highest

// Where a segment's frames come from and go to. Links of one kind have unique numbers within a switch.
struct SwitchLink {
  enum class Kind { kPort, kTunnel } kind = Kind::kPort;
  std::uint32_t number = 0;
  auto operator<=>(const SwitchLink&) const = default;
};

class MacTable {
 public:
  MacTable(std::size_t capacity, Duration lifetime) : capacity_(capacity), lifetime_(lifetime) {}
  MacTable(const MacTable&) = delete;
  MacTable& operator=(const MacTable&) = delete;

  // `now`: since any fixed point of a monotonic clock.
  void learn(Mac mac, SwitchLink link, Duration now);
  std::optional<SwitchLink> find(Mac mac, Duration now) const;
  // Forgets every station of a link that is gone.
  void forget(SwitchLink link);
  std::size_t size() const { return index_.size(); }

 private:
  struct Entry {
    Mac mac;
    SwitchLink link;
    Duration seen;
  };
  void drop_oldest();

  std::size_t capacity_;
  Duration lifetime_;
  std::list<Entry> entries_;  // the one seen last first
  std::unordered_map<Mac, std::list<Entry>::iterator> index_;
};

}  // namespace nuraghe::network
