#include "services/vhf/book.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <map>

#include "env/env.hpp"

namespace nuraghe::services::vhf {
namespace {

constexpr std::string_view kStateKey = "state";
constexpr std::size_t kImagesKnown = 200;        // of a physical host
constexpr std::int64_t kSegmentLimit = 1 << 24;  // a VXLAN network identifier has 24 bits
// Subnets are chosen from 10.128.0.0/9; a cluster's network is private, so this only has to avoid confusion.
constexpr std::uint32_t kPoolBegin = 0x0A800000;
constexpr std::uint32_t kPoolEnd = 0x0B000000;

std::string segment_key(std::int64_t segment) { return fmt::format("{:08x}", segment); }

std::string subnet_text(std::uint32_t address, int prefix) {
  return fmt::format("{}.{}.{}.{}/{}", address >> 24U, (address >> 16U) & 255U, (address >> 8U) & 255U, address & 255U,
                     prefix);
}

}  // namespace

placement::Resources resources_of(const contracts::vhc::Capacity& capacity) {
  return {capacity.cpus, capacity.memory, capacity.disk};
}

contracts::vhc::Capacity capacity_of(const placement::Resources& resources) {
  contracts::vhc::Capacity capacity;
  capacity.cpus = static_cast<std::int32_t>(resources.cpus);
  capacity.memory = resources.memory;
  capacity.disk = resources.disk;
  return capacity;
}

Status Book::open(store::Store& store) {
  TRY(physical_.open(store, "vhf_physical"));
  TRY(host_.open(store, "vhf_host"));
  TRY(member_.open(store, "vhf_member"));
  TRY(name_.open(store, "vhf_name"));
  TRY(network_.open(store, "vhf_network"));
  TRY(segment_.open(store, "vhf_segment"));
  TRY(subnet_.open(store, "vhf_subnet"));
  TRY(past_.open(store, "vhf_past"));
  return state_.open(store, "vhf_state");
}

Result<std::vector<PhysicalRow>> Book::physical_hosts(store::Transaction& tx) const {
  TRY_ASSIGN(auto rows, physical_.scan(tx, ""));
  std::vector<PhysicalRow> result;
  result.reserve(rows.size());
  for (auto& [key, row] : rows) result.push_back(std::move(row));
  return result;
}

Result<std::optional<PhysicalRow>> Book::physical_host(store::Transaction& tx, std::string_view name) const {
  return physical_.find(tx, name);
}

Status Book::put_physical(store::Transaction& tx, const PhysicalRow& row) const {
  return physical_.put(tx, row.host.name, row);
}

Result<std::optional<HostRow>> Book::host(store::Transaction& tx, std::string_view id) const {
  return host_.find(tx, id);
}

Status Book::put_host(store::Transaction& tx, const HostRow& row) const { return host_.put(tx, row.host.id, row); }

Result<std::vector<HostRow>> Book::hosts(store::Transaction& tx, std::string_view cluster) const {
  std::vector<HostRow> result;
  if (cluster.empty()) {
    TRY_ASSIGN(auto rows, host_.scan(tx, ""));
    for (auto& [key, row] : rows) result.push_back(std::move(row));
    return result;
  }
  const std::string prefix = std::string(cluster) + "/";
  TRY_ASSIGN(const auto members, member_.scan(tx, prefix));
  for (const auto& [key, mark] : members) {
    TRY_ASSIGN(auto row, host_.find(tx, key.substr(prefix.size())));
    if (row) result.push_back(std::move(*row));
  }
  return result;
}

Result<bool> Book::has_hosts(store::Transaction& tx, std::string_view cluster) const {
  TRY_ASSIGN(const auto first, member_.page(tx, std::string(cluster) + "/", 1));
  return !first.empty();
}

Result<std::optional<std::string>> Book::single_host_id(store::Transaction& tx, std::string_view vo,
                                                        std::string_view name) const {
  TRY_ASSIGN(const auto mark, name_.find(tx, fmt::format("{}/{}", vo, name)));
  if (!mark) return std::optional<std::string>();
  return std::optional<std::string>(mark->value);
}

Status Book::hold(store::Transaction& tx, HostRow& row, bool cpu_and_memory, bool disk) const {
  if (row.holds_cpu_and_memory == cpu_and_memory && row.holds_disk == disk) return {};
  TRY_ASSIGN(auto physical, physical_.find(tx, row.host.physical_host));
  if (!physical) return not_found(fmt::format("the physical host {} is not registered", row.host.physical_host));
  const auto part = [&](bool first, bool second) {
    return placement::Resources{first ? row.host.cpus : 0, first ? row.host.memory : Bytes{},
                                second ? row.host.disk : Bytes{}};
  };
  const auto before = resources_of(physical->host.reserved);
  const auto after = before - part(row.holds_cpu_and_memory, row.holds_disk) + part(cpu_and_memory, disk);
  const auto total = resources_of(physical->host.total);
  const bool takes_more = (cpu_and_memory && !row.holds_cpu_and_memory) || (disk && !row.holds_disk);
  if (takes_more && !after.fits_in(total)) {
    const auto free = total - before;
    return exhausted(fmt::format(
        "virtual host {} needs {} cpus, {} memory; physical host {} has {} cpus, {} memory free", row.host.name,
        row.host.cpus, row.host.memory.to_string(), physical->host.name, free.cpus, free.memory.to_string()));
  }
  physical->host.reserved = capacity_of(after);
  row.holds_cpu_and_memory = cpu_and_memory;
  row.holds_disk = disk;
  return put_physical(tx, *physical);
}

Status Book::move_host(store::Transaction& tx, HostRow& row, const std::string& physical_host) const {
  TRY_ASSIGN(auto before, physical_.find(tx, row.host.physical_host));
  if (before && !row.is_lost) {
    TRY(hold(tx, row, false, false));
    TRY_ASSIGN(before, physical_.find(tx, row.host.physical_host));
    before->host.hosts -= 1;
    TRY(put_physical(tx, *before));
  }
  row.holds_cpu_and_memory = false;
  row.holds_disk = false;
  row.host.physical_host = physical_host;
  TRY_ASSIGN(auto after, physical_.find(tx, physical_host));
  if (after) {
    after->host.hosts += 1;
    TRY(put_physical(tx, *after));
  }
  return row.host.cluster.empty() ? Status() : follow_hosts(tx, row);
}

Status Book::follow_hosts(store::Transaction& tx, const HostRow& moved) const {
  TRY_ASSIGN(const auto members, hosts(tx, moved.host.cluster));
  std::set<std::string> names{moved.host.physical_host};
  for (const auto& member : members) {
    if (member.host.id != moved.host.id) names.insert(member.host.physical_host);
  }
  TRY_ASSIGN(auto rows, network_.scan(tx, moved.host.cluster + "/"));
  for (auto& [key, network] : rows) {
    network.physical_hosts.assign(names.begin(), names.end());
    TRY(network_.put(tx, key, network));
  }
  return {};
}

Status Book::remove_host(store::Transaction& tx, HostRow row, TimePoint now, const PastLimits& limits) const {
  TRY_ASSIGN(auto physical, physical_.find(tx, row.host.physical_host));
  if (physical && !row.is_lost) {
    TRY(hold(tx, row, false, false));
    TRY_ASSIGN(physical, physical_.find(tx, row.host.physical_host));
    physical->host.hosts -= 1;
    TRY(put_physical(tx, *physical));
  }
  if (row.host.cluster.empty()) {
    TRY(name_.erase(tx, fmt::format("{}/{}", row.host.vo, row.host.name)));
    auto last = row.host;
    last.state = HostState::kDestroyed;
    last.operation.clear();
    last.since = now;
    TRY(past_.add(tx, last.vo, last.id, last.name, last, now, limits));
  } else {
    TRY(member_.erase(tx, fmt::format("{}/{}", row.host.cluster, row.host.id)));
  }
  return host_.erase(tx, row.host.id);
}

Result<std::optional<api::VirtualHost>> Book::past_host(store::Transaction& tx, const std::string& vo,
                                                        const std::string& id_or_name) const {
  return past_.find(tx, vo, id_or_name);
}

Status Book::remove_physical(store::Transaction& tx, std::string_view name) const { return physical_.erase(tx, name); }

Result<bool> Book::sweep_past(store::Transaction& tx, TimePoint now, const PastLimits& limits) const {
  return past_.sweep(tx, now, limits);
}

Result<std::vector<api::Placement>> Book::add_hosts(store::Transaction& tx, const NewHosts& add,
                                                    env::Random& random) const {
  std::map<std::string, PhysicalRow> touched;
  std::vector<api::Placement> placements;
  placements.reserve(add.nodes->size());
  for (std::size_t i = 0; i < add.nodes->size(); ++i) {
    const auto& node = (*add.nodes)[i];
    const auto& place = add.decision->placements[i];
    auto found = touched.find(place.host);
    if (found == touched.end()) {
      TRY_ASSIGN(auto physical, physical_.find(tx, place.host));
      if (!physical) return not_found(fmt::format("the physical host {} is not registered", place.host));
      found = touched.emplace(place.host, std::move(*physical)).first;
    }
    auto& physical = found->second;
    HostRow row;
    row.host.id = env::make_id(random, "vh");
    row.host.name = node.name;
    row.host.cluster = add.cluster;
    row.host.vo = add.vo;
    row.host.physical_host = place.host;
    row.host.cpus = node.cpus;
    row.host.memory = node.memory;
    row.host.disk = node.disk;
    row.host.since = add.now;
    row.creator = add.creator;
    row.request = node;
    row.image_name = node.image;
    row.holds_cpu_and_memory = true;
    row.holds_disk = true;
    physical.host.reserved =
        capacity_of(resources_of(physical.host.reserved) + placement::Resources{node.cpus, node.memory, node.disk});
    physical.host.hosts += 1;
    if (!node.image.empty() &&
        std::find(physical.images.begin(), physical.images.end(), node.image) == physical.images.end())
      physical.images.push_back(node.image);
    // Of images that are removed nobody tells.
    if (physical.images.size() > kImagesKnown) physical.images.erase(physical.images.begin());
    TRY(put_host(tx, row));
    if (add.cluster.empty()) {
      TRY(name_.put(tx, fmt::format("{}/{}", add.vo, node.name), {row.host.id}));
    } else {
      TRY(member_.put(tx, fmt::format("{}/{}", add.cluster, row.host.id), {}));
    }
    placements.push_back({node.name, row.host.id, place.host, place.explanation});
  }
  for (const auto& [name, row] : touched) TRY(put_physical(tx, row));
  return placements;
}

Result<std::string> Book::choose_subnet(store::Transaction& tx, std::int32_t addresses) const {
  int prefix = 24;
  // Network, broadcast and gateway addresses come on top.
  while (prefix > 12 && (std::int64_t{1} << (32 - prefix)) < std::int64_t{addresses} + 3) --prefix;
  const std::uint32_t size = 1U << static_cast<unsigned>(32 - prefix);
  TRY_ASSIGN(const auto rows, subnet_.scan(tx, ""));
  std::vector<std::pair<std::uint32_t, std::uint32_t>> used;  // begin, end
  for (const auto& [key, mark] : rows) {
    const auto begin = static_cast<std::uint32_t>(std::stoul(key, nullptr, 16));
    const auto length = static_cast<std::uint32_t>(std::stoul(mark.value, nullptr, 16));
    used.emplace_back(begin, begin + length);
  }
  std::sort(used.begin(), used.end());
  std::uint32_t candidate = kPoolBegin;
  for (const auto& [begin, end] : used) {
    if (candidate + size <= begin) break;
    candidate = std::max(candidate, (end + size - 1) / size * size);
  }
  if (candidate + size > kPoolEnd)
    return exhausted("every subnet of 10.128.0.0/9 is in use; name a subnet in the blueprint");
  TRY(subnet_.put(tx, fmt::format("{:08x}", candidate), {fmt::format("{:08x}", size)}));
  return subnet_text(candidate, prefix);
}

Result<api::Network> Book::add_network(store::Transaction& tx, const std::string& cluster, const std::string& vo,
                                       const api::NetworkRequest& request, const std::set<std::string>& physical_hosts,
                                       env::Random& random) const {
  TRY_ASSIGN(auto counters, state(tx));
  NetworkRow row;
  for (std::int64_t tries = 0;; ++tries) {
    if (tries == kSegmentLimit) return exhausted("all 16777216 network segments are in use");
    counters.last_segment = counters.last_segment % (kSegmentLimit - 1) + 1;
    TRY_ASSIGN(const auto taken, segment_.find(tx, segment_key(counters.last_segment)));
    if (!taken) break;
  }
  TRY(put_state(tx, counters));
  row.network.name = request.name;
  row.network.segment = counters.last_segment;
  row.network.subnet = request.subnet;
  row.automatic_subnet = request.subnet.empty();
  if (row.automatic_subnet) {
    TRY_ASSIGN(row.network.subnet, choose_subnet(tx, request.addresses));
  }
  row.uplink = request.uplink;
  row.vo = vo;
  row.physical_hosts.assign(physical_hosts.begin(), physical_hosts.end());
  row.key = env::make_id(random, "segment");
  TRY(segment_.put(tx, segment_key(row.network.segment), {cluster}));
  TRY(network_.put(tx, fmt::format("{}/{}", cluster, request.name), row));
  return row.network;
}

Result<std::vector<NetworkRow>> Book::networks(store::Transaction& tx, const std::string& cluster) const {
  TRY_ASSIGN(auto rows, network_.scan(tx, cluster + "/"));
  std::vector<NetworkRow> result;
  for (auto& [key, row] : rows) result.push_back(std::move(row));
  return result;
}

Result<std::set<std::string>> Book::network_keys(store::Transaction& tx, std::string_view physical_host) const {
  TRY_ASSIGN(const auto rows, network_.scan(tx, ""));
  std::set<std::string> keys;
  for (const auto& [name, row] : rows) {
    if (std::ranges::find(row.physical_hosts, physical_host) != row.physical_hosts.end()) keys.insert(row.key);
  }
  return keys;
}

Status Book::remove_networks(store::Transaction& tx, const std::string& cluster) const {
  TRY_ASSIGN(const auto rows, network_.scan(tx, cluster + "/"));
  for (const auto& [key, row] : rows) {
    TRY(segment_.erase(tx, segment_key(row.network.segment)));
    if (row.automatic_subnet) {
      unsigned a = 0;
      unsigned b = 0;
      unsigned c = 0;
      unsigned d = 0;
      if (std::sscanf(row.network.subnet.c_str(), "%u.%u.%u.%u", &a, &b, &c, &d) ==
          4)  // NOLINT: written by subnet_text
        TRY(subnet_.erase(tx, fmt::format("{:02x}{:02x}{:02x}{:02x}", a, b, c, d)));
    }
    TRY(network_.erase(tx, key));
  }
  return {};
}

Result<StateRow> Book::state(store::Transaction& tx) const {
  TRY_ASSIGN(auto row, state_.find(tx, kStateKey));
  return row.value_or(StateRow{});
}

Status Book::put_state(store::Transaction& tx, const StateRow& row) const { return state_.put(tx, kStateKey, row); }

}  // namespace nuraghe::services::vhf
