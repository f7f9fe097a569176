#include "services/vcf/seed.hpp"

#include <fmt/format.h>

#include <array>
#include <boost/json.hpp>

#include "images/digest.hpp"
#include "services/partition_label.hpp"
#include "services/vcf/ssh_key.hpp"

namespace nuraghe::services::vcf {
namespace {

namespace json = boost::json;

std::string address_only(const std::string& address) { return address.substr(0, address.find('/')); }

json::object file(std::string path, std::string content, std::string_view permissions) {
  return {
      {"path", std::move(path)}, {"content", std::move(content)}, {"permissions", permissions}, {"owner", "root:root"}};
}

std::string hosts_file(const std::string& cluster, const std::vector<SeedHost>& hosts) {
  std::string text = "127.0.0.1 localhost\n::1 localhost ip6-localhost\n";
  for (const auto& host : hosts) {
    bool is_first = true;
    for (const auto& address : host.addresses) {
      if (address.address.empty()) continue;
      // A host's plain name leads to its first network; NAME.NETWORK to each.
      text += fmt::format("{} {}{}.{}\n", address_only(address.address),
                          is_first ? fmt::format("{} {}.{} ", host.name, host.name, cluster) : "", host.name,
                          address.network);
      is_first = false;
    }
  }
  return text;
}

std::string known_hosts(const std::vector<SeedHost>& hosts, const std::vector<std::string>& host_keys) {
  std::string text;
  for (std::size_t i = 0; i < hosts.size(); ++i) {
    std::string names = hosts[i].name;
    for (const auto& address : hosts[i].addresses) {
      if (!address.address.empty())
        names += "," + hosts[i].name + "." + address.network + "," + address_only(address.address);
    }
    text += names + " " + host_keys[i] + "\n";
  }
  return text;
}

json::object network_config(const SeedHost& host) {
  json::object ethernets;
  int number = 0;
  for (const auto& address : host.addresses) {
    json::object entry{{"match", json::object{{"macaddress", address.mac}}},
                       {"set-name", address.network.empty() ? "mgmt0" : fmt::format("net{}", number)}};
    if (!address.network.empty()) ++number;
    if (address.address.empty()) {
      entry["dhcp4"] = true;
      // Without an uplink the management network must not become the way out.
      if (!address.is_uplink) entry["dhcp4-overrides"] = json::object{{"use-routes", false}, {"use-dns", false}};
    } else {
      entry["dhcp4"] = false;
      entry["addresses"] = json::array{address.address};
    }
    if (address.mtu > 0) entry["mtu"] = address.mtu;
    ethernets[address.network.empty() ? "management" : address.network] = std::move(entry);
  }
  return {{"version", 2}, {"ethernets", std::move(ethernets)}};
}

// cloud-init "Mounts": partitions and file systems are there already, found by their labels.
void add_mounts(const SeedHost& host, json::object& user) {
  json::array mounts;
  for (const auto& partition : host.disks) {
    if (partition.mount.empty()) continue;
    mounts.push_back(
        json::array{json::value("LABEL=" + partition_label(partition.disk, static_cast<std::size_t>(partition.number))),
                    json::value(partition.mount), json::value(partition.filesystem), json::value("defaults,nofail")});
  }
  if (!mounts.empty()) user["mounts"] = std::move(mounts);
}

}  // namespace

Result<SharedSeed> make_shared_seed(const std::string& cluster, const std::vector<SeedHost>& hosts,
                                    const std::vector<std::string>& host_keys,
                                    const std::vector<std::string>& authorized_keys, env::Random& random) {
  TRY_ASSIGN(const auto cluster_key, make_ssh_key(random, "cluster " + cluster));
  std::string hostfile;
  for (const auto& host : hosts) hostfile += host.name + "\n";
  json::array keys{json::value(cluster_key.public_key)};
  for (const auto& key : authorized_keys) keys.emplace_back(key);
  json::array files;
  files.push_back(file("/etc/hosts", hosts_file(cluster, hosts), "0644"));
  files.push_back(file("/etc/nuraghe/hostfile", hostfile, "0644"));
  files.push_back(file("/etc/nuraghe/cluster", cluster + "\n", "0644"));
  files.push_back(file("/root/.ssh/id_ed25519", cluster_key.private_key, "0600"));
  files.push_back(file("/etc/ssh/ssh_known_hosts", known_hosts(hosts, host_keys), "0644"));
  // Sessions then tell whose they are: those of who may not log in any more are ended (services/vhc/logins.hpp).
  files.push_back(file("/etc/ssh/sshd_config.d/50-nuraghe.conf", "ExposeAuthInfo yes\n", "0644"));
  const json::object data{
      {"ssh_authorized_keys", std::move(keys)}, {"disable_root", false}, {"write_files", std::move(files)}};
  SharedSeed shared;
  shared.vendor_data = "#cloud-config\n" + json::serialize(data) + "\n";
  shared.digest = images::digest_of(shared.vendor_data);
  return shared;
}

Result<HostSeed> make_host_seed(const std::string& cluster, const SeedHost& host, env::Random& random) {
  TRY_ASSIGN(auto key, make_ssh_key(random, "host " + host.name));
  std::array<std::uint8_t, 32> entropy{};
  random.fill(entropy);
  json::object user{
      {"hostname", host.name},
      {"fqdn", host.name + "." + cluster},
      {"manage_etc_hosts", false},
      {"disable_root", false},
      {"ssh_pwauth", false},
      {"ssh_keys", json::object{{"ed25519_private", key.private_key}, {"ed25519_public", key.public_key}}},
      {"random_seed", json::object{{"data", base64({reinterpret_cast<const char*>(entropy.data()), entropy.size()})},
                                   {"encoding", "b64"}}}};
  add_mounts(host, user);
  HostSeed seed;
  seed.host_key = key.public_key;
  seed.bundle.files["meta-data"] =
      json::serialize(
          json::object{{"instance-id", host.id}, {"local-hostname", host.name}, {"nuraghe-role", host.role}}) +
      "\n";
  seed.bundle.files["user-data"] = "#cloud-config\n" + json::serialize(user) + "\n";
  seed.bundle.files["network-config"] = json::serialize(network_config(host)) + "\n";
  return seed;
}

}  // namespace nuraghe::services::vcf
