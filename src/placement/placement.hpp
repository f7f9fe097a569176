// Placement: which physical host each node of a cluster goes to. A pure function: state in, decision out; no I/O, no
// clock; chance comes in as a seed. All nodes are placed at once, or none.
//
// To add a policy: give it a name in `Policy`, a Cost in policies.cpp and a row in kPolicies there; the property test
// runs over every row.
#pragma once

#include <cstdint>
#include <set>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.hpp"
#include "base/units.hpp"

namespace nuraghe::placement {

struct Resources {
  std::int64_t cpus = 0;  // virtual CPUs
  Bytes memory;
  Bytes disk;
  bool fits_in(const Resources& free) const { return cpus <= free.cpus && memory <= free.memory && disk <= free.disk; }
  Resources operator+(const Resources& other) const {
    return {cpus + other.cpus, memory + other.memory, disk + other.disk};
  }
  Resources operator-(const Resources& other) const {
    return {cpus - other.cpus, memory - other.memory, disk - other.disk};
  }
  bool operator==(const Resources&) const = default;
};

struct PhysicalHost {
  std::string name;
  std::string site;
  Resources total;
  Resources reserved;
  std::set<std::string> images;       // names of images that it has used already
  std::set<std::string> offers = {};  // what not every host has: "machine microvm", "firmware uefi"
  Resources free() const { return total - reserved; }
};

struct NodeDemand {
  std::string name;
  Resources needs;
  std::string site;  // empty: any
  std::string pin;   // name of the physical host; empty: any
  std::string image;
  std::set<std::string> asks = {};  // all of it must be among its host's offers
};

// Nodes that must share a physical host, or must all be on different ones.
struct Wish {
  enum class Kind { kTogether, kApart } kind = Kind::kTogether;
  std::vector<std::string> nodes;
};

enum class Policy {
  kRandom,      // any host that fits, by the seed
  kRoundRobin,  // the next host in order of names, beginning after the last one used
  kPack,        // the fullest host that fits: few hosts are used
  kSpread,      // the emptiest host: load is even
  kOptimise,    // the lowest sum of weighted terms
};
Result<Policy> policy_from_name(std::string_view name);  // "random", "round-robin", "pack", "spread", "optimise"
std::string_view policy_name(Policy policy);

// Weights of kOptimise's terms; each term is between 0 (good) and 1 (bad).
struct Weights {
  double load = 1.0;           // share of the host's scarcest resource in use afterwards
  double image = 0.5;          // 1 when the host has not used the image yet
  double distance = 1.0;       // share of the cluster's placed nodes that are at another site
  double fragmentation = 0.5;  // how unevenly cpus and memory would be used afterwards
};

// "load=1,image=0.5": numbers from 0 to 1000 by the terms' names; the others keep what they have in `weights`. Not all
// may be 0. kInvalid says which words there are.
Result<Weights> parse_weights(std::string_view text, const Weights& weights = {});

struct Options {
  Policy policy = Policy::kSpread;
  Weights weights;
  std::uint64_t seed = 0;  // of kRandom
  std::string last_used;   // of kRoundRobin: name of the host chosen last
  bool explain = false;    // fill Placement::explanation
};

struct Placement {
  std::string node;
  std::string host;
  std::string explanation;  // "load 0.50 x 1 + image 0.00 x 0.5 + ... = 0.75"; of policies without terms: their reason
};

struct Decision {
  std::vector<Placement> placements;  // in the order of the demands
  std::string last_used;              // for the next round-robin
};

// kExhausted with what is missing and by how much; kInvalid when a pin, site or wish names what does not exist or
// wishes contradict; kUnsupported with the node and what it asks when no host offers that. A node with a pin, a site,
// asks or wishes keeps them under every policy. The policy's own order is tried
// first; when it leaves a node without a place, the largest nodes are placed first, tightest fit first.
Result<Decision> place(const std::vector<PhysicalHost>& hosts, const std::vector<NodeDemand>& demands,
                       const std::vector<Wish>& wishes, const Options& options);

}  // namespace nuraghe::placement
