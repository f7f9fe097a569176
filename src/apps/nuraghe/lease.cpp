#include <fmt/format.h>

#include <boost/json.hpp>

#include "apps/nuraghe/commands.hpp"
#include "env/posix.hpp"

namespace nuraghe::cli {
namespace {

using contracts::vcf::LeaseEnding;

constexpr Duration kDay = std::chrono::hours(24);

std::string_view participle(LeaseEnding ending) { return ending == LeaseEnding::kDestroy ? "destroyed" : "frozen"; }

struct Lease {
  std::optional<TimePoint> end;
  LeaseEnding ending = LeaseEnding::kFreeze;
};

Result<Lease> set(contracts::vcf::Client& factory, const std::string& cluster, const LeaseOptions& options) {
  contracts::vcf::SetLeaseRequest request;
  request.cluster = cluster;
  if (!options.until.empty()) {
    TRY_ASSIGN(request.lease_end, parse_time(options.until));
  }
  if (!options.then.empty()) {
    LeaseEnding ending{};
    TRY(contracts::vcf::from_string(options.then, ending));
    request.lease_ending = ending;
  }
  TRY_ASSIGN(const auto response, factory.set_lease(request));
  return Lease{response.lease_end, response.lease_ending};
}

Result<Lease> extend(contracts::vcf::Client& factory, const std::string& cluster, const LeaseOptions& options) {
  contracts::vcf::ExtendLeaseRequest request;
  request.cluster = cluster;
  if (!options.by.empty()) {
    TRY_ASSIGN(request.by, parse_duration(options.by));
  }
  TRY_ASSIGN(const auto response, factory.extend_lease(request));
  return Lease{response.lease_end, response.lease_ending};
}

}  // namespace

std::string lease_left(const contracts::vcf::Cluster& cluster) {
  if (!cluster.lease_end) return "-";
  const Duration left = *cluster.lease_end - env::system_clock().now();
  if (left <= Duration(0)) return "ended";
  if (left < kDay) return format_duration(left);
  return fmt::format("{} d {} h", left / kDay, left % kDay / std::chrono::hours(1));
}

std::string lease_line(const contracts::vcf::Cluster& cluster) {
  if (!cluster.lease_end) return {};
  const auto ending = cluster.lease_ending.value_or(LeaseEnding::kFreeze);
  const std::string left = lease_left(cluster);
  if (left == "ended")
    return fmt::format("lease: ended at {}; 'nuraghe extend {}' begins another", cluster.lease_end->to_string(),
                       cluster.name);
  return fmt::format("lease: until {} (in {}), then it is {}", cluster.lease_end->to_string(), left,
                     participle(ending));
}

Status extend_lease(Context& context, const LeaseOptions& options) {
  TRY_ASSIGN(const auto cluster, find_cluster(context, options.cluster));
  TRY_ASSIGN(auto* connection, context.connection());
  contracts::vcf::Client factory(connection->caller(), connection->service("vcf"));
  const bool is_set = options.is_endless || !options.until.empty();
  TRY_ASSIGN(const auto lease, is_set ? set(factory, cluster.id, options) : extend(factory, cluster.id, options));
  if (context.json()) {
    context.print_json(boost::json::object{
        {"cluster", cluster.id},
        {"lease_end", lease.end ? boost::json::value(lease.end->to_string()) : boost::json::value()},
        {"lease_ending", contracts::vcf::to_string(lease.ending)}});
    return {};
  }
  context.print_line(lease.end ? fmt::format("the lease of cluster {} ends at {}; then it is {}", cluster.name,
                                             lease.end->to_string(), participle(lease.ending))
                               : fmt::format("the lease of cluster {} has no end", cluster.name));
  return {};
}

}  // namespace nuraghe::cli
