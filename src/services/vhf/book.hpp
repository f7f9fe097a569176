// The Virtual Host Factory's database: physical hosts, virtual hosts, networks, and what is reserved. Every change is
// made within a turn's transaction; nothing here has effects.
//
// Tables (keys → rows):
//   vhf_physical   NAME                    a physical host as registered, with the sum of what is reserved on it
//   vhf_host       HOST-ID                 a virtual host
//   vhf_member     CLUSTER '/' HOST-ID     which hosts belong to a cluster
//   vhf_name       VO '/' NAME             single hosts (of no cluster) by name
//   vhf_network    CLUSTER '/' NAME        a network with its segment and subnet
//   vhf_segment    SEGMENT (8 hex digits)  segments in use
//   vhf_subnet     SUBNET                  automatically chosen subnets in use
//   vhf_past…      (services/past.hpp)     the last states of single hosts that are gone
//   vhf_state      "state"                 the last host used by round-robin, the last segment given
// Invariant: a physical host's `reserved` is the sum of the rows in vhf_host that hold resources on it.
#pragma once

#include <optional>
#include <set>
#include <string>
#include <string_view>
#include <vector>

#include "contracts/vhf.hpp"
#include "placement/placement.hpp"
#include "services/past.hpp"
#include "services/rows.hpp"

namespace nuraghe::services::vhf {

namespace api = contracts::vhf;
using contracts::vhc::HostState;

// After so many intervals without a renewal a physical host counts as gone.
inline constexpr int kMissedRenewals = 3;

struct PhysicalRow {
  api::PhysicalHost host;
  Duration interval{0};
  std::vector<std::string> images;  // names of images that were used there, the newest last
  bool is_silent = false;           // it did not renew in time, left, or was revoked, and that was told
  // Registered with one of the site's, else by the site's token; empty: an older Nuraghe did not say.
  std::optional<bool> by_certificate;
  template <class V>
  void fields(V& v) {
    v(1, host), v(2, interval), v(3, images), v(4, is_silent), v(5, by_certificate);
  }
};
// Where that is not said, it is reached as a member of the site wherever that can be.
inline bool is_by_certificate(const PhysicalRow& row) {
  return row.by_certificate.value_or(row.host.address.starts_with("https://"));
}

struct HostRow {
  api::VirtualHost host;
  bool holds_cpu_and_memory = false;  // frozen hosts hold only disk
  bool holds_disk = false;
  HostState reported = HostState::kInitial;
  std::string image_name;
  bool stopped = false;           // paused by its hypervisor, not by an operation
  bool reported_stopped = false;  // with `reported`
  bool is_lost = false;           // its physical host was forgotten; it holds nothing and counts nowhere
  std::string creator;            // who had it created: its usage is theirs
  Bytes frozen;                   // what its last freeze left on disk; 0: that is not known
  api::NodeRequest request;  // what it asked for when it was placed; without a name: an older Nuraghe did not keep it
  contracts::vhir::ImageReference state;  // of its last freeze in the repository; without a digest: there is none
  std::string state_format;               // PhysicalHost::frozen_format where it was frozen
  bool is_absent = false;                 // frozen, and its physical host does not have it (any more)
  std::string moved_from;                 // the physical host that had it before the thaw at work; empty: it stays
  bool is_uncertain = false;  // its physical host was told to thaw it, and has not said since that it is frozen
  std::string work;           // the conversation in which its last operation began
  template <class V>
  void fields(V& v) {
    v(1, host), v(2, holds_cpu_and_memory), v(3, holds_disk), v(4, reported), v(5, image_name), v(6, stopped),
        v(7, reported_stopped), v(8, is_lost), v(9, creator), v(10, frozen), v(11, request), v(12, state),
        v(13, state_format), v(14, is_absent), v(15, moved_from), v(16, is_uncertain), v(17, work);
  }
};

struct NetworkRow {
  api::Network network;
  std::string uplink;
  std::string vo;
  std::string key;  // names the segment's secret
  bool automatic_subnet = false;
  std::vector<std::string> physical_hosts;  // that take part, also when their virtual hosts are gone already
  template <class V>
  void fields(V& v) {
    v(1, network), v(2, uplink), v(3, vo), v(4, key), v(5, automatic_subnet), v(6, physical_hosts);
  }
};

struct MarkRow {  // of index tables
  std::string value;
  template <class V>
  void fields(V& v) {
    v(1, value);
  }
};

struct StateRow {
  std::string last_used;
  std::int64_t last_segment = 0;
  template <class V>
  void fields(V& v) {
    v(1, last_used), v(2, last_segment);
  }
};

class Book {
 public:
  Status open(store::Store& store);

  // ---- physical hosts ----
  Result<std::vector<PhysicalRow>> physical_hosts(store::Transaction& tx) const;
  Result<std::optional<PhysicalRow>> physical_host(store::Transaction& tx, std::string_view name) const;
  Status put_physical(store::Transaction& tx, const PhysicalRow& row) const;
  Status remove_physical(store::Transaction& tx, std::string_view name) const;

  // ---- virtual hosts ----
  Result<std::optional<HostRow>> host(store::Transaction& tx, std::string_view id) const;
  Status put_host(store::Transaction& tx, const HostRow& row) const;
  // All hosts, or those of one cluster.
  Result<std::vector<HostRow>> hosts(store::Transaction& tx, std::string_view cluster) const;
  // Whether a cluster has any.
  Result<bool> has_hosts(store::Transaction& tx, std::string_view cluster) const;
  Result<std::optional<std::string>> single_host_id(store::Transaction& tx, std::string_view vo,
                                                    std::string_view name) const;
  // Books what a host holds of its physical host: as asked, whatever it held before. kExhausted with the shortage when
  // the physical host has not enough left (giving back always succeeds).
  Status hold(store::Transaction& tx, HostRow& row, bool cpu_and_memory, bool disk) const;
  // Another physical host has it from now on: it holds nothing at the one before, and not yet anything at this one. Its
  // cluster's networks follow.
  Status move_host(store::Transaction& tx, HostRow& row, const std::string& physical_host) const;
  // Gives everything back and removes the host's rows; a single host leaves its last state.
  Status remove_host(store::Transaction& tx, HostRow row, TimePoint now, const PastLimits& limits) const;
  // The newest single host that is gone and had this id or name.
  Result<std::optional<api::VirtualHost>> past_host(store::Transaction& tx, const std::string& vo,
                                                    const std::string& id_or_name) const;
  // Forgets hosts that are gone for long, a bounded number; true when there are more.
  Result<bool> sweep_past(store::Transaction& tx, TimePoint now, const PastLimits& limits) const;

  // ---- a whole cluster ----
  // Writes the rows of placed nodes and books their resources; ids are given by `make_id`.
  struct NewHosts {
    std::string cluster;
    std::string vo;
    const std::vector<api::NodeRequest>* nodes;
    const placement::Decision* decision;
    TimePoint now;
    std::string creator;
  };
  Result<std::vector<api::Placement>> add_hosts(store::Transaction& tx, const NewHosts& add, env::Random& random) const;
  Result<api::Network> add_network(store::Transaction& tx, const std::string& cluster, const std::string& vo,
                                   const api::NetworkRequest& request, const std::set<std::string>& physical_hosts,
                                   env::Random& random) const;
  Result<std::vector<NetworkRow>> networks(store::Transaction& tx, const std::string& cluster) const;
  Status remove_networks(store::Transaction& tx, const std::string& cluster) const;
  // The keys of the networks in which a physical host takes part.
  Result<std::set<std::string>> network_keys(store::Transaction& tx, std::string_view physical_host) const;

  Result<StateRow> state(store::Transaction& tx) const;
  Status put_state(store::Transaction& tx, const StateRow& row) const;

 private:
  // Those physical hosts take part in a cluster's networks that have hosts of it; `moved` is not written yet.
  Status follow_hosts(store::Transaction& tx, const HostRow& moved) const;
  Result<std::string> choose_subnet(store::Transaction& tx, std::int32_t addresses) const;
  RowTable<PhysicalRow> physical_;
  RowTable<HostRow> host_;
  RowTable<MarkRow> member_, name_, segment_, subnet_;
  RowTable<NetworkRow> network_;
  RowTable<StateRow> state_;
  PastTable<api::VirtualHost> past_;
};

placement::Resources resources_of(const contracts::vhc::Capacity& capacity);
contracts::vhc::Capacity capacity_of(const placement::Resources& resources);

}  // namespace nuraghe::services::vhf
