// The Virtual Cluster Factory's database.
//
//   vcf_cluster      CLUSTER-ID              a cluster, from its plan until it is gone
//   vcf_member       CLUSTER-ID '/' NUMBER   a host of it (6 digits)
//   vcf_name         VO '/' NAME             the cluster of that name
//   vcf_idempotency  VO '/' KEY              the cluster that the key made
//   vcf_seed         CLUSTER-ID '/' DIGEST   a seed bundle, or a file that bundles share: holds private keys
//   vcf_past         VO '/' CLUSTER-ID       the last state of a cluster that is gone, for `show` and `events`
#pragma once

#include <string>
#include <vector>

#include "contracts/vcf.hpp"
#include "services/rows.hpp"

namespace nuraghe::services::vcf {

namespace api = contracts::vcf;

struct ClusterRow {
  std::string id, name, vo;
  std::string state;      // as api::Cluster::state
  std::string operation;  // at work; empty: none
  std::string condition;
  std::string on_failure;
  std::string idempotency_key;
  std::string blueprint;  // as it was planned
  std::vector<std::string> authorized_keys;
  std::vector<contracts::vhf::Network> networks;
  TimePoint created, since;
  Duration timeout{0};
  std::int64_t member_count = 0;
  template <class V>
  void fields(V& v) {
    v(1, id), v(2, name), v(3, vo), v(4, state), v(5, operation), v(6, condition), v(7, on_failure),
        v(8, idempotency_key), v(9, blueprint), v(10, authorized_keys), v(11, networks), v(12, created), v(13, since),
        v(14, timeout), v(15, member_count);
  }
};

struct MarkRow {
  std::string value;
  template <class V>
  void fields(V& v) {
    v(1, value);
  }
};

struct SeedRow {
  std::string bytes;
  template <class V>
  void fields(V& v) {
    v(1, bytes);
  }
};

// An operation on a cluster: where it is legal, what the cluster is called meanwhile and afterwards.
struct ClusterOperation {
  std::string_view name;
  std::string_view source;  // the state it needs; empty: any
  std::string_view during;
  std::string_view target;             // empty: the cluster is gone
  std::string_view other_source = {};  // another state in which it is legal
};
inline constexpr ClusterOperation kClusterOperations[] = {
    {"create", "", "creating", "running"},       {"pause", "running", "pausing", "paused"},
    {"resume", "paused", "resuming", "running"}, {"freeze", "running", "freezing", "frozen", "paused"},
    {"thaw", "frozen", "thawing", "running"},    {"destroy", "", "destroying", ""},
};
constexpr const ClusterOperation* find_cluster_operation(std::string_view name) {
  for (const auto& operation : kClusterOperations) {
    if (operation.name == name) return &operation;
  }
  return nullptr;
}

}  // namespace nuraghe::services::vcf
