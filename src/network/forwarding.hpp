// What one segment does with a frame: pure, no sockets. IEEE 802.1D §7.7 (relay of frames) with one rule added: a frame
// that came through a tunnel never leaves through a tunnel (split horizon; every physical host of a segment has a
// tunnel to every other one, so this makes loops impossible). Threading: none.
#pragma once

#include <cstdint>
#include <set>
#include <span>
#include <vector>

#include "network/mac_table.hpp"

namespace nuraghe::network {

constexpr std::size_t kEthernetHeader = 14;
constexpr std::size_t kStationLimit = 4096;                     // learnt in one segment
constexpr Duration kStationLifetime = std::chrono::minutes(5);  // 802.1D's Ageing Time

enum class Verdict {
  kForwarded,  // the destination's link is known
  kFlooded,    // broadcast, multicast or unknown
  kFiltered,   // nothing to do: the destination is where the frame came from, or split horizon
  kInvalid,    // too short, a source that is no station, or addressed to the bridge itself (01:80:c2:00:00:0x)
};

class Forwarding {
 public:
  explicit Forwarding(std::size_t capacity = kStationLimit, Duration lifetime = kStationLifetime)
      : table_(capacity, lifetime) {}

  void add_link(SwitchLink link) { links_.insert(link); }
  // Also forgets the stations seen there.
  void remove_link(SwitchLink link);
  const std::set<SwitchLink>& links() const { return links_; }
  std::size_t stations() const { return table_.size(); }

  // Learns the source, and puts into `targets` (cleared first) the links that the frame leaves through: links of this
  // segment, never `from`. `from` must be one of the links.
  Verdict decide(SwitchLink from, std::span<const std::uint8_t> frame, Duration now, std::vector<SwitchLink>& targets);

 private:
  std::set<SwitchLink> links_;
  MacTable table_;
};

}  // namespace nuraghe::network
