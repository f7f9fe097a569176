// From a blueprint to concrete nodes: groups expanded, then, when the factory granted segments and subnets, every NIC
// with its address. Pure and deterministic: the same blueprint and grants give the same nodes.
#pragma once

#include <map>
#include <string>
#include <vector>

#include "model/blueprint.hpp"
#include "model/node.hpp"

namespace nuraghe::model {

struct PlannedNode {
  Node node;  // its NICs know network, uplink and mtu, and what the blueprint fixed
  std::string group;
  std::string role;
  std::string site;  // empty: any
  std::string pin;   // physical host; empty: any
};

// The nodes of a blueprint without findings, in its order. With a catalogue the size of each root disk is filled in.
std::vector<PlannedNode> expand(const Blueprint& blueprint, const ImageCatalogue* images = nullptr);

// How many hosts each network must hold.
std::map<std::string, std::int64_t> network_sizes(const Blueprint& blueprint);

struct NetworkGrant {
  std::int64_t segment = 0;
  Subnet subnet;
};
// Gives each NIC its segment, prefix, address and MAC: those of the blueprint stay, the others get the lowest free
// address in the order of the nodes and a locally administered MAC made of segment and address, unique within the
// segment. kInvalid when a network has no grant, kExhausted when a subnet is too small.
Status assign_addresses(std::vector<PlannedNode>& nodes, const std::map<std::string, NetworkGrant>& grants);

}  // namespace nuraghe::model
