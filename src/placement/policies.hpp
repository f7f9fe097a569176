// The policies of placement: each ranks the physical hosts that a node fits on. Internal to this room.
#pragma once

#include <string>
#include <vector>

#include "placement/placement.hpp"

namespace nuraghe::placement {

// What a policy may look at when it ranks one candidate for one node.
struct Candidate {
  const PhysicalHost* host;  // reserved includes the nodes of this cluster that are placed already
  const NodeDemand* node;
  std::size_t rank;  // position of the host in the order of names
  std::size_t host_count;
  std::size_t last_rank;             // position of the host that was chosen last; host_count: none
  std::uint64_t chance;              // a random number of this (node, host)
  std::size_t placed = 0;            // nodes of this cluster that have a place
  std::size_t placed_elsewhere = 0;  // of those, at another site than this host's
  const Weights* weights;
};

struct Cost {
  double value = 0;         // the lowest wins; equal: the first by name
  std::string explanation;  // filled when asked for
};

Cost cost_of(Policy policy, const Candidate& candidate, bool explain);

}  // namespace nuraghe::placement
