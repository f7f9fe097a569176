#include "placement/placement.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <map>
#include <numeric>
#include <optional>
#include <unordered_map>

#include "placement/policies.hpp"

namespace nuraghe::placement {
namespace {

// A number from the seed, the node and the host: the same inputs give the same placement on every machine (splitmix64).
std::uint64_t mix(std::uint64_t seed, std::uint64_t a, std::uint64_t b) {
  std::uint64_t x = seed + 0x9E3779B97F4A7C15ULL * (a * 0x10001 + b + 1);
  x = (x ^ (x >> 30)) * 0xBF58476D1CE4E5B9ULL;
  x = (x ^ (x >> 27)) * 0x94D049BB133111EBULL;
  return x ^ (x >> 31);
}

// Nodes that are placed as one: a single node, or all that a chain of "together" wishes joins.
struct Block {
  std::vector<std::size_t> nodes;  // indices of demands
  NodeDemand joint;                // the sum of needs and asks, the common pin and site
};

struct Problem {
  std::vector<PhysicalHost> hosts;  // in order of names
  const std::vector<NodeDemand>* demands = nullptr;
  std::vector<Block> blocks;
  std::vector<std::vector<std::size_t>> apart;  // per block: indices of blocks that must be elsewhere
};

std::string describe(const Resources& r) {
  return fmt::format("{} cpus, {} memory, {} disk", r.cpus, r.memory.to_string(), r.disk.to_string());
}

std::string shortage(const Resources& needs, const Resources& free) {
  std::string text;
  const auto add = [&](bool missing, const std::string& part) {
    if (missing) text += (text.empty() ? "" : " and ") + part;
  };
  add(needs.cpus > free.cpus, fmt::format("{} cpus", needs.cpus - free.cpus));
  add(needs.memory > free.memory, fmt::format("{} of memory", (needs.memory - free.memory).to_string()));
  add(needs.disk > free.disk, fmt::format("{} of disk", (needs.disk - free.disk).to_string()));
  return text;
}

Status join_blocks(Problem& problem, const std::vector<Wish>& wishes) {
  const auto& demands = *problem.demands;
  std::unordered_map<std::string, std::size_t> index;
  for (std::size_t i = 0; i < demands.size(); ++i) index.emplace(demands[i].name, i);
  std::vector<std::size_t> leader(demands.size());
  std::iota(leader.begin(), leader.end(), 0);
  const auto find = [&](std::size_t i) {
    while (leader[i] != i) i = leader[i] = leader[leader[i]];
    return i;
  };
  for (const auto& wish : wishes) {
    for (const auto& name : wish.nodes) {
      if (!index.contains(name))
        return invalid(fmt::format("a placement wish names '{}', which is no node of the cluster", name));
    }
    if (wish.kind != Wish::Kind::kTogether) continue;
    for (std::size_t i = 1; i < wish.nodes.size(); ++i) leader[find(index[wish.nodes[i]])] = find(index[wish.nodes[0]]);
  }
  std::map<std::size_t, std::size_t> block_of_leader;
  std::vector<std::size_t> block_of(demands.size());
  for (std::size_t i = 0; i < demands.size(); ++i) {
    const auto [found, is_new] = block_of_leader.emplace(find(i), problem.blocks.size());
    if (is_new)
      problem.blocks.push_back({{}, {demands[i].name, {}, demands[i].site, demands[i].pin, demands[i].image, {}}});
    block_of[i] = found->second;
    auto& block = problem.blocks[found->second];
    block.nodes.push_back(i);
    block.joint.needs = block.joint.needs + demands[i].needs;
    block.joint.asks.insert(demands[i].asks.begin(), demands[i].asks.end());
    const auto merge = [](std::string& joint, const std::string& own) {
      if (joint.empty()) joint = own;
      return own.empty() || joint == own;
    };
    if (!merge(block.joint.pin, demands[i].pin) || !merge(block.joint.site, demands[i].site))
      return invalid(fmt::format("the nodes {} and {} must be together but ask for different places", block.joint.name,
                                 demands[i].name));
  }
  problem.apart.resize(problem.blocks.size());
  for (const auto& wish : wishes) {
    if (wish.kind != Wish::Kind::kApart) continue;
    for (std::size_t i = 0; i < wish.nodes.size(); ++i) {
      for (std::size_t j = 0; j < i; ++j) {
        const auto a = block_of[index[wish.nodes[i]]];
        const auto b = block_of[index[wish.nodes[j]]];
        if (a == b)
          return invalid(
              fmt::format("the nodes {} and {} must be both together and apart", wish.nodes[j], wish.nodes[i]));
        problem.apart[a].push_back(b);
        problem.apart[b].push_back(a);
      }
    }
  }
  return {};
}

// Whether the node may be on the host at all, however free that is.
bool suits(const PhysicalHost& host, const NodeDemand& node) {
  if (!node.pin.empty() && host.name != node.pin) return false;
  if (!node.site.empty() && host.site != node.site) return false;
  return node.asks.empty() || std::includes(host.offers.begin(), host.offers.end(), node.asks.begin(), node.asks.end());
}

// Every block has a host that offers what it asks.
Status check_offers(const Problem& problem) {
  for (const auto& block : problem.blocks) {
    const auto& joint = block.joint;
    if (joint.asks.empty() || std::any_of(problem.hosts.begin(), problem.hosts.end(),
                                          [&](const PhysicalHost& host) { return suits(host, joint); }))
      continue;
    const std::string where = !joint.pin.empty()    ? fmt::format("the physical host {} does not offer", joint.pin)
                              : !joint.site.empty() ? fmt::format("no physical host at site {} offers", joint.site)
                                                    : std::string("no physical host that is alive offers");
    return unsupported(fmt::format("node {} asks for {}, which {}", joint.name, fmt::join(joint.asks, " and "), where));
  }
  return {};
}

class Attempt {
 public:
  Attempt(const Problem& problem, const Options& options)
      : problem_(problem), options_(options), hosts_(problem.hosts), place_of_(problem.blocks.size()) {
    last_rank_ = hosts_.size();
    for (std::size_t i = 0; i < hosts_.size(); ++i) {
      if (hosts_[i].name == options.last_used) last_rank_ = i;
    }
    explanations_.resize(problem.blocks.size());
  }

  // Places the blocks in this order; the first that finds no place, or nullopt.
  std::optional<std::size_t> run(const std::vector<std::size_t>& order, Policy policy) {
    for (const std::size_t block : order) {
      if (!place_block(block, policy)) return block;
    }
    return std::nullopt;
  }

  Decision decision() const {
    Decision result;
    result.placements.resize(problem_.demands->size());
    for (std::size_t b = 0; b < problem_.blocks.size(); ++b) {
      for (const std::size_t node : problem_.blocks[b].nodes)
        result.placements[node] = {(*problem_.demands)[node].name, hosts_[*place_of_[b]].name, explanations_[b]};
    }
    result.last_used = last_rank_ < hosts_.size() ? hosts_[last_rank_].name : options_.last_used;
    return result;
  }

  // Why this block has no place, after the others had theirs.
  Error refusal(std::size_t block_index) const {
    const auto& joint = problem_.blocks[block_index].joint;
    const PhysicalHost* best = nullptr;
    for (std::size_t h = 0; h < hosts_.size(); ++h) {
      if (!eligible(block_index, h)) continue;
      if (best == nullptr || hosts_[h].free().memory > best->free().memory) best = &hosts_[h];
    }
    if (best == nullptr) {
      const std::string where = !joint.site.empty() ? fmt::format(" at site {}", joint.site) : std::string();
      return exhausted(
          fmt::format("node {} must be apart from nodes that hold every physical host{}", joint.name, where));
    }
    return exhausted(fmt::format("node {} needs {}; the best free physical host, {}, has {} free: {} missing",
                                 joint.name, describe(joint.needs), best->name, describe(best->free()),
                                 shortage(joint.needs, best->free())));
  }

 private:
  bool eligible(std::size_t block, std::size_t host) const {
    const auto& joint = problem_.blocks[block].joint;
    if (!suits(hosts_[host], joint)) return false;
    return std::none_of(problem_.apart[block].begin(), problem_.apart[block].end(),
                        [&](std::size_t other) { return place_of_[other] == host; });
  }

  bool place_block(std::size_t block, Policy policy) {
    const auto& joint = problem_.blocks[block].joint;
    std::optional<std::size_t> best;
    Cost best_cost;
    for (std::size_t h = 0; h < hosts_.size(); ++h) {
      if (!eligible(block, h) || !joint.needs.fits_in(hosts_[h].free())) continue;
      const auto here = nodes_at_site_[hosts_[h].site];
      const Candidate candidate{&hosts_[h],    &joint,         h,
                                hosts_.size(), last_rank_,     mix(options_.seed, block, h),
                                placed_,       placed_ - here, &options_.weights};
      Cost cost = cost_of(policy, candidate, options_.explain);
      if (!best || cost.value < best_cost.value) {
        best = h;
        best_cost = std::move(cost);
      }
    }
    if (!best) return false;
    hosts_[*best].reserved = hosts_[*best].reserved + joint.needs;
    if (!joint.image.empty()) hosts_[*best].images.insert(joint.image);
    place_of_[block] = *best;
    explanations_[block] = std::move(best_cost.explanation);
    last_rank_ = *best;
    placed_ += problem_.blocks[block].nodes.size();
    nodes_at_site_[hosts_[*best].site] += problem_.blocks[block].nodes.size();
    return true;
  }

  const Problem& problem_;
  const Options& options_;
  std::vector<PhysicalHost> hosts_;
  std::vector<std::optional<std::size_t>> place_of_;
  std::vector<std::string> explanations_;
  std::map<std::string, std::size_t> nodes_at_site_;
  std::size_t placed_ = 0;
  std::size_t last_rank_ = 0;
};

Status check_places(const Problem& problem) {
  for (const auto& node : *problem.demands) {
    const auto known = [&](auto matches) { return std::any_of(problem.hosts.begin(), problem.hosts.end(), matches); };
    if (!node.pin.empty() && !known([&](const PhysicalHost& h) { return h.name == node.pin; }))
      return invalid(fmt::format("node {} is pinned to physical host '{}', which is not registered or not alive",
                                 node.name, node.pin));
    if (!node.site.empty() && !known([&](const PhysicalHost& h) { return h.site == node.site; }))
      return invalid(fmt::format("node {} asks for site '{}', where no physical host is alive", node.name, node.site));
  }
  return {};
}

Status check_sum(const Problem& problem) {
  Resources needs;
  Resources free;
  for (const auto& node : *problem.demands) needs = needs + node.needs;
  for (const auto& host : problem.hosts) free = free + host.free();
  if (needs.fits_in(free)) return {};
  return exhausted(fmt::format("the {} nodes need {} in all; {} physical hosts have {} free: {} missing",
                               problem.demands->size(), describe(needs), problem.hosts.size(), describe(free),
                               shortage(needs, free)));
}

}  // namespace

Result<Decision> place(const std::vector<PhysicalHost>& hosts, const std::vector<NodeDemand>& demands,
                       const std::vector<Wish>& wishes, const Options& options) {
  Problem problem;
  problem.hosts = hosts;
  problem.demands = &demands;
  std::sort(problem.hosts.begin(), problem.hosts.end(), [](const auto& a, const auto& b) { return a.name < b.name; });
  TRY(check_places(problem));
  TRY(join_blocks(problem, wishes));
  TRY(check_offers(problem));
  TRY(check_sum(problem));

  std::vector<std::size_t> order(problem.blocks.size());
  std::iota(order.begin(), order.end(), 0);
  Attempt first(problem, options);
  if (!first.run(order, options.policy)) return first.decision();

  // The largest first, tightest fit: finds room where the policy's own order wasted it.
  std::stable_sort(order.begin(), order.end(), [&](std::size_t a, std::size_t b) {
    const auto& x = problem.blocks[a].joint;
    const auto& y = problem.blocks[b].joint;
    if (x.pin.empty() != y.pin.empty()) return !x.pin.empty();
    if (x.site.empty() != y.site.empty()) return !x.site.empty();
    if (x.asks.empty() != y.asks.empty()) return !x.asks.empty();
    if (problem.apart[a].size() != problem.apart[b].size()) return problem.apart[a].size() > problem.apart[b].size();
    return x.needs.memory > y.needs.memory;
  });
  Attempt second(problem, options);
  const auto without = second.run(order, Policy::kPack);
  if (!without) return second.decision();
  return second.refusal(*without);
}

}  // namespace nuraghe::placement
