// Identity: the cloud-init NoCloud seeds of a cluster's hosts (cloud-init 23, "NoCloud"; network configuration version
// 2). Every file is JSON, which is YAML. What all hosts share (who is who, the cluster's own key) stands in
// vendor-data, what belongs to one host in meta-data, user-data and network-config.
//
// Pure but for the random bytes of keys. Private keys stand in seeds only: never in messages, workflows or events.
#pragma once

#include <string>
#include <vector>

#include "base/result.hpp"
#include "base/units.hpp"
#include "env/env.hpp"
#include "services/seed_bundle.hpp"

namespace nuraghe::services::vcf {

struct SeedAddress {
  std::string network;  // name of the network; empty: the management network
  std::string mac;
  std::string address;     // "10.128.0.2/24"; empty: by DHCP
  int mtu = 0;             // 0: the system's default
  bool is_uplink = false;  // by DHCP, with a default route
};

// A partition of a node's disk, its file system and where it is mounted.
struct SeedPartition {
  std::string disk;  // its name: the guest sees it as the serial number
  int number = 1;
  std::string filesystem;
  std::string mount;
};

struct SeedHost {
  std::string id;
  std::string name;
  std::string role;
  std::vector<SeedAddress> addresses;  // in the order of the NICs
  std::vector<SeedPartition> disks;    // partitions of one disk in order
};

struct SharedSeed {
  std::string vendor_data;  // file content
  std::string digest;       // of it
};

// The part that all hosts of a cluster share. `host_keys`: name → public host key line.
Result<SharedSeed> make_shared_seed(const std::string& cluster, const std::vector<SeedHost>& hosts,
                                    const std::vector<std::string>& host_keys,
                                    const std::vector<std::string>& authorized_keys, env::Random& random);

struct HostSeed {
  SeedBundle bundle;
  std::string host_key;  // public, one line
};
// Step one of a host: its key and its files; bundle.shared is filled by the caller when the shared part is known.
Result<HostSeed> make_host_seed(const std::string& cluster, const SeedHost& host, env::Random& random);

}  // namespace nuraghe::services::vcf
