// The lease of a cluster: until when it may run. docs/clusters.md tells what its users see.
//
//   none ── blueprint ──▶ to begin ── the cluster runs ──▶ running ── notice ──▶ announced ── end ──▶ due ──▶ over
//                             └────────────── set_lease, extend_lease ─────────────▶ running
//
// The end is a point of calendar time: it passes also while nuraghed is away or the clock is set. Due means that the
// Virtual Cluster Manager has to freeze or destroy the cluster as soon as no other operation is at work on it
// (workflows/vcm/end_lease.bpel); a try that fails is repeated, after pauses that grow. Over means that this is done,
// or that there was nothing to do. Timers are named by lease_key.
#pragma once

#include <string>
#include <string_view>

#include "base/units.hpp"

namespace nuraghe::services::vcf {

inline constexpr Duration kFirstLeasePause = std::chrono::minutes(1);
inline constexpr Duration kLongestLeasePause = std::chrono::hours(1);

// The timer's key of a cluster's lease.
std::string lease_key(const std::string& cluster);
// The cluster that such a key (a reply's token too) names; empty when it is none.
std::string_view lease_of_key(std::string_view key);
// How long to wait after so many failures in a row.
Duration pause_after(std::int64_t failures);

}  // namespace nuraghe::services::vcf
