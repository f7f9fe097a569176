#include "placement/policies.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <charconv>
#include <cmath>
#include <functional>
#include <map>
#include <set>

namespace nuraghe::placement {
namespace {

double share(double used, double total) { return total <= 0 ? 1.0 : used / total; }

struct Usage {
  double cpus, memory, disk;
  double highest() const { return std::max({cpus, memory, disk}); }
};

Usage usage_after(const Candidate& c) {
  const Resources used = c.host->reserved + c.node->needs;
  const auto& total = c.host->total;
  return {
      share(static_cast<double>(used.cpus), static_cast<double>(total.cpus)),
      share(static_cast<double>(used.memory.count), static_cast<double>(total.memory.count)),
      total.disk.count == 0 ? 0 : share(static_cast<double>(used.disk.count), static_cast<double>(total.disk.count))};
}

Cost random_cost(const Candidate& c, bool explain) {
  return {static_cast<double>(c.chance >> 11), explain ? "drawn by chance" : std::string()};
}

Cost round_robin_cost(const Candidate& c, bool explain) {
  const std::size_t first = c.last_rank >= c.host_count ? 0 : c.last_rank + 1;
  const std::size_t distance = (c.rank + c.host_count - first) % c.host_count;
  return {static_cast<double>(distance), explain ? fmt::format("{} further in turn", distance) : std::string()};
}

Cost pack_cost(const Candidate& c, bool explain) {
  const double load = usage_after(c).highest();
  return {-load, explain ? fmt::format("load {:.2f} afterwards, the fullest is best", load) : std::string()};
}

Cost spread_cost(const Candidate& c, bool explain) {
  const double load = usage_after(c).highest();
  return {load, explain ? fmt::format("load {:.2f} afterwards, the emptiest is best", load) : std::string()};
}

Cost optimise_cost(const Candidate& c, bool explain) {
  const Usage usage = usage_after(c);
  const auto& w = *c.weights;
  const double load = usage.highest();
  const double image = c.node->image.empty() || c.host->images.contains(c.node->image) ? 0.0 : 1.0;
  const double distance = c.placed == 0 ? 0.0 : static_cast<double>(c.placed_elsewhere) / static_cast<double>(c.placed);
  const double fragmentation = std::min(1.0, std::abs(usage.cpus - usage.memory));
  const double sum = load * w.load + image * w.image + distance * w.distance + fragmentation * w.fragmentation;
  if (!explain) return {sum, {}};
  return {sum, fmt::format("load {:.2f} x {:g} + image {:.2f} x {:g} + distance {:.2f} x {:g} + fragmentation {:.2f} x "
                           "{:g} = {:.3f}",
                           load, w.load, image, w.image, distance, w.distance, fragmentation, w.fragmentation, sum)};
}

struct PolicyRow {
  Policy policy;
  std::string_view name;
  Cost (*cost)(const Candidate&, bool);
};
constexpr std::array<PolicyRow, 5> kPolicies{{
    {Policy::kRandom, "random", random_cost},
    {Policy::kRoundRobin, "round-robin", round_robin_cost},
    {Policy::kPack, "pack", pack_cost},
    {Policy::kSpread, "spread", spread_cost},
    {Policy::kOptimise, "optimise", optimise_cost},
}};

}  // namespace

Result<Weights> parse_weights(std::string_view text, const Weights& weights) {
  constexpr double kMost = 1000;
  Weights result = weights;
  std::map<std::string, double*, std::less<>> terms{{"load", &result.load},
                                                    {"image", &result.image},
                                                    {"distance", &result.distance},
                                                    {"fragmentation", &result.fragmentation}};
  const std::string known = "load, image, distance, fragmentation";
  std::set<std::string, std::less<>> seen;
  while (true) {
    const auto comma = text.find(',');
    const auto entry = text.substr(0, comma);
    const auto equals = entry.find('=');
    const auto name = entry.substr(0, equals);
    const auto term = terms.find(name);
    if (term == terms.end())
      return invalid(fmt::format("'{}' is no term of the policy optimise; the terms are {}", name, known));
    if (!seen.emplace(name).second) return invalid(fmt::format("the weight of {} is given twice", name));
    const auto digits = equals == std::string_view::npos ? std::string_view() : entry.substr(equals + 1);
    double value = 0;
    const auto [end, error] = std::from_chars(digits.data(), digits.data() + digits.size(), value);
    if (error != std::errc() || end != digits.data() + digits.size() || !(value >= 0 && value <= kMost))
      return invalid(
          fmt::format("the weight of {} is '{}'; give a number from 0 to {}, as in {}=0.5", name, digits, kMost, name));
    *term->second = value;
    if (comma == std::string_view::npos) break;
    text.remove_prefix(comma + 1);
  }
  if (result.load + result.image + result.distance + result.fragmentation <= 0)
    return invalid(fmt::format("every weight is 0, so nothing would be chosen; give one of {} a larger one", known));
  return result;
}

Cost cost_of(Policy policy, const Candidate& candidate, bool explain) {
  for (const auto& row : kPolicies) {
    if (row.policy == policy) return row.cost(candidate, explain);
  }
  return {};
}

Result<Policy> policy_from_name(std::string_view name) {
  std::string known;
  for (const auto& row : kPolicies) {
    if (row.name == name) return row.policy;
    known += (known.empty() ? "" : ", ") + std::string(row.name);
  }
  return invalid(fmt::format("'{}' is not a placement policy; there are {}", name, known));
}

std::string_view policy_name(Policy policy) {
  for (const auto& row : kPolicies) {
    if (row.policy == policy) return row.name;
  }
  return {};
}

}  // namespace nuraghe::placement
