// Virtual Cluster Factory: the service half (what it answers from its own database). Its workflows stand in
// workflows/vcf/. Threading: as exchange::Actor.
#pragma once

#include <map>
#include <string>

#include "model/blueprint.hpp"
#include "model/plan.hpp"
#include "services/past.hpp"
#include "services/tenant/quotas.hpp"
#include "services/vcf/member_keys.hpp"
#include "services/vcf/rows.hpp"
#include "services/vcf/ssh_certificate.hpp"

namespace nuraghe::services::vcf {

struct FactoryOptions {
  std::string seed_base;  // where seeds are fetched: "http://127.0.0.1:8470/seeds"
  std::int32_t node_limit = 4096;
  Duration timeout = std::chrono::minutes(30);      // of an operation on a cluster
  model::Capabilities capabilities;                 // what the drivers at hand can honour
  PastLimits past;                                  // what is remembered of clusters that are gone
  Duration identity_lease = std::chrono::hours(1);  // of an identity that no host has taken yet
  MemberKeys* members = nullptr;                    // not owned; null: no VO has members
  std::string manager = "/services/vcm";            // who ends clusters whose lease is over
};

class Factory final : public api::Skeleton {
 public:
  explicit Factory(FactoryOptions options) : Skeleton("vcf"), options_(std::move(options)) {}
  std::string_view name() const override { return "vcf"; }
  Status open(store::Store& store) override;
  Status on_start(exchange::Turn& turn) override;
  Status on_timer(exchange::Turn& turn, std::string_view key) override;
  Status on_reply(exchange::Turn& turn, const exchange::Message& reply, std::string_view token) override;

  // The bytes of a seed or of a file that seeds share; `path` is OWNER/DIGEST. Within a turn of this actor.
  Result<std::string> seed(exchange::Turn& turn, const std::string& path) const;

 protected:
  Status plan(exchange::Turn& turn, const exchange::Message& request, const api::PlanRequest& input) override;
  Status prepare(exchange::Turn& turn, const exchange::Message& request, const api::PrepareRequest& input) override;
  Status begin(exchange::Turn& turn, const exchange::Message& request, const api::BeginRequest& input) override;
  Status end(exchange::Turn& turn, const exchange::Message& request, const api::EndRequest& input) override;
  Status identify_host(exchange::Turn& turn, const exchange::Message& request,
                       const api::IdentifyHostRequest& input) override;
  Status assign_identity(exchange::Turn& turn, const exchange::Message& request,
                         const api::AssignIdentityRequest& input) override;
  Status release_identity(exchange::Turn& turn, const exchange::Message& request,
                          const api::ReleaseIdentityRequest& input) override;
  Status list_clusters(exchange::Turn& turn, const exchange::Message& request,
                       const api::ListClustersRequest& input) override;
  Status get_cluster(exchange::Turn& turn, const exchange::Message& request,
                     const api::GetClusterRequest& input) override;
  Status issue_login_certificate(exchange::Turn& turn, const exchange::Message& request,
                                 const api::IssueLoginCertificateRequest& input) override;
  Status set_lease(exchange::Turn& turn, const exchange::Message& request, const api::SetLeaseRequest& input) override;
  Status extend_lease(exchange::Turn& turn, const exchange::Message& request,
                      const api::ExtendLeaseRequest& input) override;

 private:
  // ---- who may log in: login.cpp ----
  // Made when it is first needed.
  Result<LoginAuthorityRow> login_authority(exchange::Turn& turn, const std::string& vo) const;
  // The lines of a host's authorized_keys besides its cluster's own, when a request named these keys.
  Result<std::vector<std::string>> seed_keys(exchange::Turn& turn, const std::string& vo,
                                             const std::vector<std::string>& named) const;
  Status check_named_keys(exchange::Turn& turn, const exchange::Message& request,
                          const std::vector<std::string>& named) const;
  // The caller as certificates name it: an administrator of the site as such.
  Result<std::string> whose_key(exchange::Turn& turn, const exchange::Message& request, const SshPublicKey& key) const;

  // ---- leases: lease.cpp ----
  Status plan_lease(exchange::Turn& turn, const ClusterRow& row, const model::Lease& wanted) const;
  // Nothing is at work on the cluster any more: its lease begins if it has not, and ends if it is over.
  Status lease_at_rest(exchange::Turn& turn, const ClusterRow& row, bool is_created) const;
  // The lease is such that nothing may begin to run.
  Status check_lease(exchange::Turn& turn, const ClusterRow& row) const;
  Status change_lease(exchange::Turn& turn, const ClusterRow& row, LeaseRow lease, std::optional<TimePoint> end) const;
  Status arm_lease(exchange::Turn& turn, const std::string& cluster, const LeaseRow& lease) const;
  Status lease_due(exchange::Turn& turn, const std::string& cluster) const;
  Status announce_lease_end(exchange::Turn& turn, const ClusterRow& row, LeaseRow lease) const;
  Status end_lease(exchange::Turn& turn, const ClusterRow& row, LeaseRow lease) const;
  Status lease_over(exchange::Turn& turn, const ClusterRow& row, LeaseRow lease, std::string severity,
                    std::string text) const;
  Status lease_failed(exchange::Turn& turn, const ClusterRow& row, LeaseRow lease, const std::string& reason) const;
  Status lease_event(exchange::Turn& turn, const ClusterRow& row, const LeaseRow& lease, std::string kind,
                     std::string severity, std::string text) const;

  // A request whose idempotency key made a cluster before: waits for its creation, and is answered as that was.
  Status join(exchange::Turn& turn, const exchange::Message& request, const api::ClusterRequest& wanted,
              const std::string& cluster);
  // Its hosts are where the grant says.
  Status follow_places(exchange::Turn& turn, const ClusterRow& row, const contracts::vhf::Grant& grant) const;
  // The answer to all who joined the creation of the row.
  Status answer_waiting(exchange::Turn& turn, ClusterRow& row) const;
  Result<api::PlanResponse> existing_plan(exchange::Turn& turn, const ClusterRow& row) const;
  struct StoredSeed {
    std::string digest;    // empty: a copy has that of its source
    std::string host_key;  // public
    std::string source;    // of a copy: the host that it is made of
  };
  // The row of a cluster that is to be made by this blueprint, with its name, its lease and what is asked of the
  // factory of hosts; answers the request for a plan.
  Status plan_new(exchange::Turn& turn, const exchange::Message& request, const api::ClusterRequest& wanted,
                  ClusterRow row, const model::Blueprint& blueprint, const std::vector<model::PlannedNode>& nodes,
                  api::PlanResponse response);

  // ---- copies of frozen clusters ----
  Status plan_copy(exchange::Turn& turn, const exchange::Message& request, const api::PlanRequest& input);
  // The source of a copy that is being made, which has to stay frozen until then.
  Result<ClusterRow> frozen_source(exchange::Turn& turn, const std::string& vo, const std::string& id_or_name) const;
  // The seeds of the source belong to the copy, too.
  Result<std::vector<StoredSeed>> copy_seeds(exchange::Turn& turn, const ClusterRow& row,
                                             const std::vector<model::PlannedNode>& nodes) const;
  Result<std::vector<StoredSeed>> make_seeds(exchange::Turn& turn, const ClusterRow& row,
                                             const std::vector<model::PlannedNode>& nodes,
                                             const std::map<std::string, const contracts::vhf::Placement*>& places);
  Status remove_identity(exchange::Turn& turn, const std::string& id, const IdentityRow& row) const;
  // Removes identities that no host took in time, a bounded number; true when there are more.
  Result<bool> sweep_identities(exchange::Turn& turn) const;
  // By id or name, of this VO; kNotFound otherwise.
  Result<ClusterRow> visible_cluster(exchange::Turn& turn, const std::string& vo, const std::string& id_or_name) const;
  Result<std::vector<api::Member>> members(exchange::Turn& turn, const std::string& cluster) const;
  Result<api::Cluster> describe(exchange::Turn& turn, const ClusterRow& row) const;
  Status put(exchange::Turn& turn, const ClusterRow& row) const;
  // Removes every row of the cluster but its last state.
  Status remove(exchange::Turn& turn, ClusterRow row) const;
  static Status announce(exchange::Turn& turn, const ClusterRow& row, std::string kind, std::string severity,
                         std::string text, const std::string& traceparent = {});

  FactoryOptions options_;
  RowTable<ClusterRow> clusters_;
  RowTable<api::Member> members_;
  RowTable<MarkRow> names_, keys_, identity_of_, new_identities_;
  RowTable<IdentityRow> identities_;
  RowTable<SeedRow> seeds_;
  RowTable<LeaseRow> leases_;
  tenant::Quotas quotas_;
  RowTable<LoginAuthorityRow> authorities_;
  PastTable<api::Cluster> past_;
};

}  // namespace nuraghe::services::vcf
