// Checks of a whole blueprint beyond the schemas: names, networks, placement.
#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <map>
#include <set>

#include "base/nearest.hpp"
#include "model/blueprint_reader.hpp"
#include "model/plan.hpp"
#include "model/read.hpp"

namespace nuraghe::model {

namespace {

constexpr std::size_t kMaxNetworks = 64;
constexpr std::size_t kMaxWishes = 256;
constexpr std::size_t kLongestName = 63;

std::string with_nearest(std::string text, const std::string& name, const std::set<std::string>& candidates) {
  const std::string nearest = nearest_name(name, candidates);
  if (!nearest.empty()) return fmt::format("{}; did you mean '{}'?", text, nearest);
  if (!candidates.empty() && candidates.size() <= 10)
    return fmt::format("{}; there are {}", text, fmt::join(candidates, ", "));
  return text;
}

class Checker {
 public:
  Checker(BlueprintSource& source, const ParseContext& context, Findings& findings)
      : source_(source), blueprint_(source.blueprint), context_(context), findings_(findings) {}

  void run() {
    check_networks();
    check_nodes();
    for (const NodeGroup& group : blueprint_.groups) {
      if (findings_.full()) return;
      check_configuration(group, context_, findings_);
      check_interfaces(group);
    }
    check_capacities();
    resolve_wishes();
    resolve_pins();
    check_wishes_agree();
    resolve_links();
    check_lease();
  }

 private:
  void check_networks() {
    if (blueprint_.networks.empty())
      findings_.add(source_.where, "the cluster has no network; add <network name=\"private\"/>");
    if (blueprint_.networks.size() > kMaxNetworks) {
      findings_.add(blueprint_.networks[kMaxNetworks].where,
                    fmt::format("a cluster has {} networks at most", kMaxNetworks));
      blueprint_.networks.resize(kMaxNetworks);
    }
    for (const Network& network : blueprint_.networks) {
      if (!network.name.empty() && !networks_.emplace(network.name, &network).second)
        findings_.add(network.where, fmt::format("the network '{}' is there already, in line {}; choose another name",
                                                 network.name, networks_.at(network.name)->where.position.line));
      if (!network.subnet) continue;
      for (const Network& other : blueprint_.networks) {
        if (&other == &network) break;
        if (other.subnet && other.subnet->overlaps(*network.subnet))
          findings_.add(network.where, fmt::format("its subnet {} overlaps {} of the network '{}'; choose another one",
                                                   network.subnet->to_string(), other.subnet->to_string(), other.name));
      }
      for (const Subnet& taken : context_.capabilities.taken_subnets)
        if (taken.overlaps(*network.subnet))
          findings_.add(network.where,
                        fmt::format("its subnet {} overlaps {}, which the hosts' management network has; "
                                    "choose another one",
                                    network.subnet->to_string(), taken.to_string()));
    }
  }

  void check_nodes() {
    if (blueprint_.groups.empty()) findings_.add(source_.where, "the cluster has no node; add <node name=\"head\"/>");
    std::int64_t total = 0;
    for (const NodeGroup& group : blueprint_.groups) {
      group_names_.insert(group.name);
      groups_.emplace(group.name, &group);
      if (context_.sites && !group.site.empty() && !context_.sites->contains(group.site))
        findings_.add(group.where,
                      with_nearest(fmt::format("the site '{}' is not known", group.site), group.site, *context_.sites));
      const std::int64_t count = group.count.value_or(1);
      const bool was_within = total <= context_.node_limit;
      total =
          count > context_.node_limit - std::min(total, context_.node_limit) ? context_.node_limit + 1 : total + count;
      if (was_within && total > context_.node_limit) {
        findings_.add(group.where,
                      fmt::format("with its {} the cluster has more than the {} nodes that are allowed",
                                  count == 1 ? "one node" : fmt::format("{} nodes", count), context_.node_limit));
        within_limit_ = false;
      }
    }
    note_nodes();
  }

  // Of a cluster over the limit, groups that are too large by themselves are noted without their nodes' names.
  void note_nodes() {
    std::int64_t expanded = 0;
    for (const NodeGroup& group : blueprint_.groups) {
      if (group.name.empty()) continue;
      const std::int64_t count = group.count.value_or(1);
      if (group.count && count > context_.node_limit - expanded) {
        note_large_group(group);
        continue;
      }
      if (group.count) expanded += count;
      for (const std::string& name : group.node_names()) note_node(name, group);
    }
  }

  void note_node(const std::string& name, const NodeGroup& group) {
    check_length(name, group);
    const auto [entry, is_new] = nodes_.emplace(name, &group);
    const NodeGroup* owner = is_new ? large_group_of(name) : entry->second;
    if (owner != nullptr) add_taken(name, group, *owner);
  }

  void note_large_group(const NodeGroup& group) {
    check_length(fmt::format("{}-{}", group.name, *group.count), group);
    const auto [entry, is_new] = large_groups_.emplace(group.name, &group);
    if (!is_new) add_taken(group.name + "-1", group, *entry->second);
    for (auto node = nodes_.lower_bound(group.name + "-"); node != nodes_.end(); ++node) {
      if (!node->first.starts_with(group.name + "-")) break;
      if (is_of(node->first, group)) return add_taken(node->first, group, *node->second);
    }
  }

  void check_length(const std::string& name, const NodeGroup& group) {
    if (name.size() > kLongestName)
      findings_.add(group.where, fmt::format("the node name '{}' is longer than {} characters", name, kLongestName));
  }

  void add_taken(const std::string& name, const NodeGroup& group, const NodeGroup& owner) {
    findings_.add(group.where, fmt::format("the node name '{}' is taken, by line {}; choose another name", name,
                                           owner.where.position.line));
  }

  // Whether it is one of the names NAME-1 to NAME-COUNT of the group.
  static bool is_of(const std::string& node, const NodeGroup& group) {
    const std::string digits = node.substr(group.name.size() + 1);
    if (digits.empty() || digits.front() == '0' || digits.find_first_not_of("0123456789") != std::string::npos)
      return false;
    const auto number = read_number(digits);
    return number && *number <= group.count.value_or(0);
  }

  // The group over the limit that has a node of this name; null when there is none.
  const NodeGroup* large_group_of(const std::string& node) const {
    const auto hyphen = node.rfind('-');
    if (hyphen == std::string::npos) return nullptr;
    const auto group = large_groups_.find(node.substr(0, hyphen));
    return group != large_groups_.end() && is_of(node, *group->second) ? group->second : nullptr;
  }

  void check_interfaces(const NodeGroup& group) {
    const auto& wishes = group.configuration.networks;
    std::set<std::string> seen;
    const std::size_t count = wishes.empty() ? blueprint_.networks.size() : wishes.size();
    if (std::cmp_greater(count, context_.capabilities.max_networks))
      findings_.add(group.where, fmt::format("it is on {} networks; at most {} are possible", count,
                                             context_.capabilities.max_networks));
    for (const NetworkWish& wish : wishes) {
      if (wish.network.empty()) continue;  // the schema's finding
      const auto network = networks_.find(wish.network);
      if (network == networks_.end()) {
        findings_.add(wish.where, with_nearest(fmt::format("the network '{}' is not in this blueprint", wish.network),
                                               wish.network, network_names()));
        continue;
      }
      if (!seen.insert(wish.network).second)
        findings_.add(wish.where, fmt::format("the node is on the network '{}' already; remove one", wish.network));
      const bool fixed = !wish.address.empty() || !wish.mac.empty();
      if (fixed && group.count.value_or(1) > 1) {
        findings_.add(
            wish.where,
            fmt::format("an address of its own cannot be given to the {} nodes of a group; remove it", *group.count));
        continue;
      }
      check_address(wish, *network->second);
      check_mac(wish);
    }
  }

  void check_address(const NetworkWish& wish, const Network& network) {
    if (wish.address.empty()) return;
    const auto address = parse_ipv4(wish.address);
    if (!address) {
      findings_.add_unless_reported(wish.where, address.error().message());
      return;
    }
    if (!network.subnet) {
      findings_.add_unless_reported(
          wish.where, fmt::format("an address needs a subnet that is known; give the network '{}' one", network.name));
      return;
    }
    const Subnet& subnet = *network.subnet;
    if (!subnet.is_host(*address))
      findings_.add(wish.where, fmt::format("the address {} is not for a host of the subnet {}; take one from {} to {}",
                                            wish.address, subnet.to_string(), subnet.host(0).to_string(),
                                            subnet.host(subnet.host_capacity() - 1).to_string()));
    const auto [entry, is_new] = addresses_.emplace(std::pair(network.name, *address), wish.where);
    if (!is_new && is_other(entry->second, wish.where))
      findings_.add(wish.where, fmt::format("the address {} is taken, by line {}; choose another one", wish.address,
                                            entry->second.position.line));
    if (!is_new && !is_other(entry->second, wish.where))
      findings_.add(wish.where, fmt::format("the address {} would be given to several nodes; remove it", wish.address));
  }

  void check_mac(const NetworkWish& wish) {
    if (wish.mac.size() != 17) return;  // none, or the schema's finding
    const bool multicast = std::string_view("13579bdf").find(wish.mac[1]) != std::string_view::npos;
    if (multicast || wish.mac == "00:00:00:00:00:00")
      findings_.add(
          wish.where,
          fmt::format("'{}' is not the address of one interface; take one such as 52:54:00:12:34:56", wish.mac));
    const auto [entry, is_new] = macs_.emplace(wish.mac, wish.where);
    if (!is_new)
      findings_.add(wish.where,
                    is_other(entry->second, wish.where)
                        ? fmt::format("the MAC address {} is taken, by line {}; choose another one", wish.mac,
                                      entry->second.position.line)
                        : fmt::format("the MAC address {} would be given to several nodes; remove it", wish.mac));
  }

  // Two nodes may share one written configuration: in <defaults> or in a file.
  static bool is_other(const Where& a, const Where& b) {
    return a.source != b.source || a.position.line != b.position.line || a.position.column != b.position.column;
  }

  void check_capacities() {
    if (!within_limit_) return;
    const auto sizes = network_sizes(blueprint_);
    for (const Network& network : blueprint_.networks) {
      const auto size = sizes.find(network.name);
      if (network.subnet && size != sizes.end() && size->second > network.subnet->host_capacity())
        findings_.add(network.where,
                      fmt::format("its subnet {} holds {} hosts, and {} are on it; take a wider one",
                                  network.subnet->to_string(), network.subnet->host_capacity(), size->second));
    }
  }

  std::set<std::string> network_names() const {
    std::set<std::string> names;
    for (const auto& [name, network] : networks_) names.insert(name);
    return names;
  }

  // The nodes that a name in a wish means, a group over the limit by its own name; a finding when there are none.
  std::vector<std::string> nodes_of(const std::string& name, const Where& where) {
    const auto group = groups_.find(name);
    if (group != groups_.end()) return large_groups_.contains(name) ? std::vector{name} : group->second->node_names();
    if (nodes_.contains(name) || large_group_of(name) != nullptr) return {name};
    if (!findings_.full())
      findings_.add(where, with_nearest(fmt::format("there is no node or group named '{}'", name), name, group_names_));
    return {};
  }

  std::vector<std::string> nodes_of(const std::vector<std::string>& names, const Where& where) {
    std::set<std::string> nodes;
    for (const std::string& name : names) {
      const auto meant = nodes_of(name, where);
      nodes.insert(meant.begin(), meant.end());
    }
    return {nodes.begin(), nodes.end()};
  }

  void resolve_wishes() {
    if (source_.wishes.size() > kMaxWishes) {
      findings_.add(source_.wishes[kMaxWishes].where, fmt::format("{} wishes are allowed at most", kMaxWishes));
      source_.wishes.resize(kMaxWishes);
    }
    for (const WishSource& written : source_.wishes) {
      PlacementWish wish{written.kind, nodes_of(written.names, written.where)};
      if (wish.nodes.size() == 1 && !large_groups_.contains(wish.nodes.front()))
        findings_.add(written.where,
                      fmt::format("it names one node only, '{}'; name two or a group", wish.nodes.front()));
      const bool apart = wish.kind == PlacementWish::Kind::kApart;
      if (apart && context_.physical_hosts && wish.nodes.size() > context_.physical_hosts->size())
        findings_.add(written.where, fmt::format("{} nodes must be on different physical hosts, and there are {}",
                                                 wish.nodes.size(), context_.physical_hosts->size()));
      blueprint_.wishes.push_back(std::move(wish));
    }
  }

  void resolve_pins() {
    std::map<std::string, std::string> pinned;
    for (const PinSource& written : source_.pins) {
      if (findings_.full()) return;
      if (context_.physical_hosts && !written.host.empty() && !context_.physical_hosts->contains(written.host))
        findings_.add(written.where, with_nearest(fmt::format("there is no physical host named '{}'", written.host),
                                                  written.host, *context_.physical_hosts));
      for (std::string& node : nodes_of(written.names, written.where)) {
        const auto [entry, is_new] = pinned.emplace(node, written.host);
        if (!is_new && entry->second != written.host)
          findings_.add(written.where,
                        fmt::format("the node '{}' is pinned to '{}' already; keep one", node, entry->second));
        if (is_new) blueprint_.pins.push_back({std::move(node), written.host});
      }
    }
  }

  void check_wishes_agree() {
    std::map<std::string, std::string> pins;
    for (const Pin& pin : blueprint_.pins) pins.emplace(pin.node, pin.host);
    for (std::size_t i = 0; i < blueprint_.wishes.size(); ++i) {
      const PlacementWish& wish = blueprint_.wishes[i];
      check_pins_agree(wish, source_.wishes[i].where, pins);
      if (wish.kind != PlacementWish::Kind::kApart) continue;
      for (const PlacementWish& other : blueprint_.wishes) {
        if (other.kind != PlacementWish::Kind::kTogether) continue;
        std::vector<std::string> both;
        std::set_intersection(wish.nodes.begin(), wish.nodes.end(), other.nodes.begin(), other.nodes.end(),
                              std::back_inserter(both));
        if (both.size() > 1)
          findings_.add(source_.wishes[i].where, fmt::format("the nodes '{}' and '{}' are to be together and apart; "
                                                             "remove one of the wishes",
                                                             both[0], both[1]));
      }
    }
  }

  void check_pins_agree(const PlacementWish& wish, const Where& where, const std::map<std::string, std::string>& pins) {
    std::map<std::string, std::string> hosts;  // physical host → the node that is pinned to it
    const bool apart = wish.kind == PlacementWish::Kind::kApart;
    for (const std::string& node : wish.nodes) {
      const auto pin = pins.find(node);
      if (pin == pins.end()) continue;
      const auto [entry, is_new] = hosts.emplace(pin->second, node);
      if (apart && !is_new)
        findings_.add(where, fmt::format("the nodes '{}' and '{}' are to be apart, and both are pinned to '{}'",
                                         entry->second, node, pin->second));
    }
    if (!apart && hosts.size() > 1)
      findings_.add(where, fmt::format("the nodes '{}' and '{}' are to be together, and are pinned to different hosts",
                                       hosts.begin()->second, std::next(hosts.begin())->second));
  }

  void resolve_links() {
    for (const LinkSource& written : source_.links) {
      if (findings_.full()) return;
      const Link& link = written.link;
      for (const std::string& end : {link.from, link.to})
        if (!end.empty()) static_cast<void>(nodes_of(end, written.where));
      if (!link.from.empty() && link.from == link.to)
        findings_.add(written.where, fmt::format("both its ends are '{}'; name two", link.from));
      if (!written.asks) findings_.add(written.where, "it asks nothing; add 'min-mbps' or 'max-ms'");
      if (link.min_mbps && !context_.capabilities.link_bandwidth)
        findings_.add(written.where, "'min-mbps' cannot be guaranteed by the drivers at hand; remove it");
      if (link.max_ms && !context_.capabilities.link_latency)
        findings_.add(written.where, "'max-ms' cannot be guaranteed by the drivers at hand; remove it");
      blueprint_.links.push_back(link);
    }
  }

  void check_lease() {
    if (!blueprint_.lease) return;
    const Lease& lease = *blueprint_.lease;
    if (lease.duration <= Duration(0))
      findings_.add_unless_reported(lease.where, "its 'duration' is no time at all; write for example P7D or PT12H");
    else if (lease.duration > Lease::kLongest)
      findings_.add_unless_reported(lease.where,
                                    "its 'duration' is longer than ten years (P3650D); leave <lease> out "
                                    "when nothing shall end the cluster");
    else if (lease.notice >= lease.duration)
      findings_.add_unless_reported(lease.where, "its 'notice' is as long as the lease or longer; take a shorter one");
  }

  BlueprintSource& source_;
  Blueprint& blueprint_;
  const ParseContext& context_;
  Findings& findings_;
  bool within_limit_ = true;
  std::map<std::string, const Network*> networks_;
  std::map<std::string, const NodeGroup*> nodes_;
  std::map<std::string, const NodeGroup*> groups_;        // the first of each name
  std::map<std::string, const NodeGroup*> large_groups_;  // those whose nodes are not in nodes_
  std::set<std::string> group_names_;
  std::map<std::pair<std::string, Ipv4>, Where> addresses_;
  std::map<std::string, Where> macs_;
};

}  // namespace

void check_blueprint(BlueprintSource& source, const ParseContext& context, Findings& findings) {
  Checker(source, context, findings).run();
}

}  // namespace nuraghe::model
