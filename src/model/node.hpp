// One node: what a person writes of it (NodeConfiguration) and what its Virtual Host Controller gets (Node, written as
// a fragment of urn:nuraghe:node:1 that names no other node and validates against contracts/node.xsd alone).
// docs/formats/blueprint.md lists every element and attribute with its effect. Values; no I/O, no clock.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.hpp"
#include "base/units.hpp"
#include "xml/xml.hpp"

namespace nuraghe::model {

inline constexpr const char* kNodeNamespace = "urn:nuraghe:node:1";
// The disk of this name is the image's own, made larger where a size is given.
inline constexpr const char* kRootDisk = "root";

// Where something was written.
struct Where {
  std::string source;
  xml::Position position;
  std::string element;
};

// Which image a node asks for: by name ("mini", "mini:1") or by what it must be. An empty field asks nothing.
struct ImageRequirement {
  std::string name;
  std::string type;          // family of operating systems: "linux"
  std::string system;        // distribution: "debian"
  std::string version;       // of the system: "12", or bounds such as ">=12" or ">=11,<13"
  std::string architecture;  // "x86_64"
  Where where;
  bool empty() const { return (name + type + system + version + architecture).empty(); }
  std::string to_string() const;  // "name mini", "system debian, version >=12"
};

struct Partition {
  Bytes size;              // 0: the rest of the disk
  std::string filesystem;  // empty: none is made
  std::string mount;       // absolute path in the guest; empty: not mounted
};

struct Disk {
  std::string name;  // the guest sees it as the disk's serial number
  Bytes size;        // 0 (root only): the image's
  std::vector<Partition> partitions;
  Where where;
};

// What is written about a node's part in a network.
struct NetworkWish {
  std::string network;
  std::string address;  // empty: one is chosen
  std::string mac;      // empty: one is made
  Where where;
};

struct Boot {
  std::string firmware;    // "bios", "uefi"; empty: the driver's default
  std::string machine;     // "q35", "pc", "microvm"; empty: the driver's default
  std::string parameters;  // appended to the image's kernel parameters
  std::string ready;       // "agent", "console:TEXT", "start"; empty: as the image says
  Where where;
};

// As written; what is absent comes from <defaults> or has a default of its own.
struct NodeConfiguration {
  ImageRequirement image;
  std::optional<int> cpus;
  std::optional<Bytes> memory;
  std::vector<Disk> disks;
  std::vector<NetworkWish> networks;
  Boot boot;
  std::string initial_conditions;  // "cold"
  Where cpus_where, memory_where, initial_conditions_where;
  bool is_unread = false;  // a file that it is in could not be read: what seems to be missing may stand there
};

// A NIC of one node, everything decided.
struct Nic {
  std::string network;       // its name in the cluster; the NIC's own name
  std::int64_t segment = 0;  // the layer-2 network that it is plugged in to; 0: not decided yet
  std::string mac;
  std::string address;  // "10.128.0.2"
  int prefix = 0;
  int mtu = 0;          // 0: the driver's default
  bool uplink = false;  // the host may open connections to the outside
};

// One node, everything decided.
struct Node {
  std::string name;
  ImageRequirement image;
  int cpus = 1;
  Bytes memory;
  std::vector<Disk> disks;
  std::vector<Nic> nics;
  Boot boot;
  std::string initial_conditions = "cold";
  std::string seed_digest;  // sha256:HEX; empty: no seed
  // The address by which the seed knows the NIC on the management network; empty: one that is made of the host's id.
  std::string management_mac;
};

// Whether a host may be named so: kNameRule, which contracts/node.xsd says as a pattern (HostName).
inline constexpr const char* kNameRule =
    "lower-case letters, digits and hyphens, beginning and ending with a letter or digit, 63 at most";
bool is_host_name(std::string_view name);

// The bytes that the node's disks may take: the sum of their sizes.
Bytes disk_demand(const Node& node);

// The fragment; its root is {urn:nuraghe:node:1}node.
xml::Document node_fragment(const Node& node);
// The inverse. Validates against node.xsd first; kInvalid lists everything that is wrong.
Result<Node> parse_node_fragment(xml::Node element);

}  // namespace nuraghe::model
