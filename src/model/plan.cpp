#include "model/plan.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <set>

namespace nuraghe::model {

namespace {

constexpr Bytes kNoSize{};

const Network* find_network(const Blueprint& blueprint, std::string_view name) {
  const auto found = std::find_if(blueprint.networks.begin(), blueprint.networks.end(),
                                  [&](const Network& network) { return network.name == name; });
  return found == blueprint.networks.end() ? nullptr : &*found;
}

// A node that names no network is on all of them.
std::vector<NetworkWish> networks_of(const Blueprint& blueprint, const NodeGroup& group) {
  if (!group.configuration.networks.empty()) return group.configuration.networks;
  std::vector<NetworkWish> all;
  for (const Network& network : blueprint.networks) all.push_back({network.name, {}, {}, {}});
  return all;
}

std::vector<Disk> disks_of(const NodeConfiguration& configuration, const ImageCatalogue* images) {
  std::vector<Disk> disks = configuration.disks;
  if (images == nullptr) return disks;
  const auto image = images->find(configuration.image);
  if (!image || image->disk_size == kNoSize) return disks;
  const auto root = std::find_if(disks.begin(), disks.end(), [](const Disk& disk) { return disk.name == kRootDisk; });
  if (root == disks.end())
    disks.insert(disks.begin(), Disk{kRootDisk, image->disk_size, {}, {}});
  else if (root->size == kNoSize)
    root->size = image->disk_size;
  return disks;
}

PlannedNode plan_node(const Blueprint& blueprint, const NodeGroup& group, const std::vector<Disk>& disks) {
  PlannedNode planned;
  planned.group = group.name;
  planned.role = group.role;
  planned.site = group.site;
  const NodeConfiguration& configuration = group.configuration;
  Node& node = planned.node;
  node.image = configuration.image;
  node.cpus = configuration.cpus.value_or(1);
  node.memory = configuration.memory.value_or(Bytes{});
  node.disks = disks;
  node.boot = configuration.boot;
  if (!configuration.initial_conditions.empty()) node.initial_conditions = configuration.initial_conditions;
  for (const NetworkWish& wish : networks_of(blueprint, group)) {
    const Network* network = find_network(blueprint, wish.network);
    if (network == nullptr) continue;
    Nic nic;
    nic.network = wish.network;
    nic.mac = wish.mac;
    nic.address = wish.address;
    nic.mtu = network->mtu;
    nic.uplink = network->uplink;
    if (network->subnet) nic.prefix = network->subnet->prefix;
    node.nics.push_back(std::move(nic));
  }
  return planned;
}

// Unique within the segment: the last two bytes tell the hosts of a subnet (/16 at the widest) apart.
std::string make_mac(std::int64_t segment, Ipv4 address) {
  const auto byte = [](std::int64_t value, int shift) { return static_cast<unsigned>((value >> shift) & 255); };
  return fmt::format("02:{:02x}:{:02x}:{:02x}:{:02x}:{:02x}", byte(segment, 16), byte(segment, 8), byte(segment, 0),
                     byte(address.value, 8), byte(address.value, 0));
}

struct SubnetBook {
  std::set<Ipv4> addresses;
  std::set<std::string> macs;
  std::int64_t next = 0;
};

std::map<std::string, SubnetBook> book_fixed(const std::vector<PlannedNode>& nodes) {
  std::map<std::string, SubnetBook> books;
  for (const PlannedNode& planned : nodes) {
    for (const Nic& nic : planned.node.nics) {
      SubnetBook& book = books[nic.network];
      if (const auto address = parse_ipv4(nic.address)) book.addresses.insert(*address);
      if (!nic.mac.empty()) book.macs.insert(nic.mac);
    }
  }
  return books;
}

Status assign(Nic& nic, const NetworkGrant& grant, SubnetBook& book) {
  nic.segment = grant.segment;
  nic.prefix = grant.subnet.prefix;
  while (nic.address.empty()) {
    if (book.next >= grant.subnet.host_capacity())
      return exhausted(fmt::format("the subnet {} of network {} holds {} hosts, which is too few",
                                   grant.subnet.to_string(), nic.network, grant.subnet.host_capacity()));
    const Ipv4 candidate = grant.subnet.host(book.next++);
    if (book.addresses.insert(candidate).second) nic.address = candidate.to_string();
  }
  TRY_ASSIGN(const Ipv4 address, parse_ipv4(nic.address));
  if (!grant.subnet.is_host(address))
    return invalid(fmt::format("the address {} is not one of the subnet {} of network {}", nic.address,
                               grant.subnet.to_string(), nic.network));
  if (nic.mac.empty()) {
    nic.mac = make_mac(grant.segment, address);
    // Somebody may have chosen just this one by hand.
    for (int variant = 1; !book.macs.insert(nic.mac).second; ++variant)
      nic.mac = make_mac(grant.segment ^ (std::int64_t{variant} << 8), address);
  }
  return {};
}

}  // namespace

std::vector<PlannedNode> expand(const Blueprint& blueprint, const ImageCatalogue* images) {
  std::map<std::string, std::string> pins;
  for (const Pin& pin : blueprint.pins) pins[pin.node] = pin.host;
  std::vector<PlannedNode> nodes;
  for (const NodeGroup& group : blueprint.groups) {
    const std::vector<Disk> disks = disks_of(group.configuration, images);
    const PlannedNode prototype = plan_node(blueprint, group, disks);
    for (std::string& name : group.node_names()) {
      PlannedNode planned = prototype;
      if (const auto pin = pins.find(name); pin != pins.end()) planned.pin = pin->second;
      planned.node.name = std::move(name);
      nodes.push_back(std::move(planned));
    }
  }
  return nodes;
}

std::map<std::string, std::int64_t> network_sizes(const Blueprint& blueprint) {
  std::map<std::string, std::int64_t> sizes;
  for (const Network& network : blueprint.networks) sizes[network.name] = 0;
  for (const NodeGroup& group : blueprint.groups)
    for (const NetworkWish& wish : networks_of(blueprint, group)) sizes[wish.network] += group.count.value_or(1);
  return sizes;
}

Status assign_addresses(std::vector<PlannedNode>& nodes, const std::map<std::string, NetworkGrant>& grants) {
  std::map<std::string, SubnetBook> books = book_fixed(nodes);
  for (PlannedNode& planned : nodes) {
    for (Nic& nic : planned.node.nics) {
      const auto grant = grants.find(nic.network);
      if (grant == grants.end())
        return invalid(fmt::format("network {} of node {} was not granted", nic.network, planned.node.name));
      TRY(assign(nic, grant->second, books[nic.network]));
    }
  }
  return {};
}

}  // namespace nuraghe::model
