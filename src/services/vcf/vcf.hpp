// Virtual Cluster Factory: the service half (what it answers from its own database). Its workflows stand in
// workflows/vcf/. Threading: as exchange::Actor.
#pragma once

#include <map>
#include <string>

#include "model/blueprint.hpp"
#include "model/plan.hpp"
#include "services/vcf/rows.hpp"

namespace nuraghe::services::vcf {

struct FactoryOptions {
  std::string seed_base;  // where seeds are fetched: "http://127.0.0.1:8470/seeds"
  std::int32_t node_limit = 4096;
  Duration timeout = std::chrono::minutes(30);  // of an operation on a cluster
  model::Capabilities capabilities;             // what the drivers at hand can honour
};

class Factory final : public api::Skeleton {
 public:
  explicit Factory(FactoryOptions options) : Skeleton("vcf"), options_(std::move(options)) {}
  std::string_view name() const override { return "vcf"; }
  Status open(store::Store& store) override;

  // The bytes of a seed or of a file that seeds share; `path` is CLUSTER-ID/DIGEST. Within a turn of this actor.
  Result<std::string> seed(exchange::Turn& turn, const std::string& path) const;

 protected:
  Status plan(exchange::Turn& turn, const exchange::Message& request, const api::PlanRequest& input) override;
  Status prepare(exchange::Turn& turn, const exchange::Message& request, const api::PrepareRequest& input) override;
  Status begin(exchange::Turn& turn, const exchange::Message& request, const api::BeginRequest& input) override;
  Status end(exchange::Turn& turn, const exchange::Message& request, const api::EndRequest& input) override;
  Status identify_host(exchange::Turn& turn, const exchange::Message& request,
                       const api::IdentifyHostRequest& input) override;
  Status list_clusters(exchange::Turn& turn, const exchange::Message& request,
                       const api::ListClustersRequest& input) override;
  Status get_cluster(exchange::Turn& turn, const exchange::Message& request,
                     const api::GetClusterRequest& input) override;

 private:
  struct StoredSeed {
    std::string digest;
    std::string host_key;  // public
  };
  Result<std::vector<StoredSeed>> make_seeds(exchange::Turn& turn, const ClusterRow& row,
                                             const std::vector<model::PlannedNode>& nodes,
                                             const std::map<std::string, const contracts::vhf::Placement*>& places);
  // By id or name, of this VO; kNotFound otherwise.
  Result<ClusterRow> visible_cluster(exchange::Turn& turn, const std::string& vo, const std::string& id_or_name) const;
  Result<std::vector<api::Member>> members(exchange::Turn& turn, const std::string& cluster) const;
  Result<api::Cluster> describe(exchange::Turn& turn, const ClusterRow& row) const;
  Status put(exchange::Turn& turn, const ClusterRow& row) const;
  // Removes every row of the cluster but its last state.
  Status remove(exchange::Turn& turn, ClusterRow row) const;
  static Status announce(exchange::Turn& turn, const ClusterRow& row, std::string kind, std::string severity,
                         std::string text);

  FactoryOptions options_;
  RowTable<ClusterRow> clusters_;
  RowTable<api::Member> members_;
  RowTable<MarkRow> names_, keys_;
  RowTable<SeedRow> seeds_;
  RowTable<api::Cluster> past_;
};

}  // namespace nuraghe::services::vcf
