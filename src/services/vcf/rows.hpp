// The Virtual Cluster Factory's database.
//
//   vcf_cluster      CLUSTER-ID              a cluster, from its plan until it is gone
//   vcf_member       CLUSTER-ID '/' NUMBER   a host of it (6 digits)
//   vcf_name         VO '/' NAME             the cluster of that name
//   vcf_idempotency  VO '/' KEY              the cluster that the key made
//   vcf_seed         OWNER '/' DIGEST        a seed bundle, or a file that bundles share: holds private keys. The owner
//   is
//                                            a cluster or the identity of a single host
//   vcf_identity     IDENTITY-ID             the identity of a single host
//   vcf_identity_of  HOST-ID                 the identity that the host has
//   vcf_identity_new TIME (16 hex) '/' ID    identities that no host has yet, in the order in which they were made
//   vcf_login        VO                      the authority whose certificates its hosts take: holds a private key
//   vcf_lease        CLUSTER-ID              until when it may run; clusters without a lease have none
//   vcf_past…        (services/past.hpp)     the last states of clusters that are gone, for `show` and `events`
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "contracts/vcf.hpp"
#include "services/rows.hpp"

namespace nuraghe::services::vcf {

namespace api = contracts::vcf;

struct ClusterRow {
  std::string id, name, vo;
  std::string state;      // name of a model::ClusterState
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
  std::string before;                // the state in which the operation at work began
  std::string policy;                // that was asked for instead of the blueprint's; empty: none
  std::vector<std::string> waiting;  // message ids of requests that joined the creation at work
  std::string failure;               // the fault (XML) with which the creation of a cluster that is kept ended
  std::string source;                // id of the frozen cluster of which it is a copy; empty: it is none
  std::string source_name;           // as that was asked for
  template <class V>
  void fields(V& v) {
    v(1, id), v(2, name), v(3, vo), v(4, state), v(5, operation), v(6, condition), v(7, on_failure),
        v(8, idempotency_key), v(9, blueprint), v(10, authorized_keys), v(11, networks), v(12, created), v(13, since),
        v(14, timeout), v(15, member_count), v(16, before), v(17, policy), v(18, waiting), v(19, failure),
        v(20, source), v(21, source_name);
  }
};

struct LeaseRow {
  std::optional<TimePoint> end;  // absent: it begins when the cluster runs or, begun, nothing ends it
  bool destroys = false;         // at the end; else the cluster is frozen
  Duration duration{0};          // of the blueprint; 0: it has none
  Duration notice{0};            // how long before the end it is announced; 0: not at all
  bool is_announced = false;
  bool is_over = false;  // the end came, and what it asks for is done
  std::int64_t failures = 0;
  std::optional<TimePoint> next_try;  // after a failure
  std::string trying;                 // message id of the order to the Virtual Cluster Manager that is at work
  bool is_begun = false;              // the blueprint's, or by what was set instead
  template <class V>
  void fields(V& v) {
    v(1, end), v(2, destroys), v(3, duration), v(4, notice), v(5, is_announced), v(6, is_over), v(7, failures),
        v(8, next_try), v(9, trying), v(10, is_begun);
  }
};

struct LoginAuthorityRow {
  std::string seed;        // 32 bytes: the private key
  std::string public_key;  // one line
  TimePoint made;
  template <class V>
  void fields(V& v) {
    v(1, seed), v(2, public_key), v(3, made);
  }
};

struct IdentityRow {
  std::string vo;
  std::string host;  // empty: none has it yet
  TimePoint made;
  template <class V>
  void fields(V& v) {
    v(1, vo), v(2, host), v(3, made);
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

}  // namespace nuraghe::services::vcf
