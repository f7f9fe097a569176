// The fabric of the kernel's own parts: per segment a bridge and a VXLAN device that is one of its ports, per port a
// tap that is another.
//
// The links are made first and then written down in the folder's file `bridges`, so that they can be made again when
// the machine was started anew and frozen hosts come back. Their names are made of the folder, the segment and the
// port's id, and their aliases hold what does not fit into a name, so whoever comes after a crash finds them again.
// Every step may be repeated; a tap that was not finished vanishes with its maker, a bridge that was not is completed
// by the next call or swept by release_if_idle.
//
//   nbFFFFFSSSSSS    bridge; F: five digits made of the folder, S: the segment, in hexadecimal; alias "nuraghe FOLDER"
//   nxFFFFFSSSSSS    VXLAN device; same alias
//   ntFFFFFPPPPPPPP  tap; P: made of the port's id; alias "nuraghe port ID"
#include <fmt/format.h>

#include <algorithm>
#include <mutex>
#include <set>
#include <string_view>

#include "base/crash_point.hpp"
#include "base/record.hpp"
#include "env/posix.hpp"
#include "network/address.hpp"
#include "network/configuration.hpp"
#include "network/fabric.hpp"
#include "network/links.hpp"

namespace nuraghe::network {

namespace {

constexpr std::string_view kOwnerAlias = "nuraghe ", kPortAlias = "nuraghe port ";
constexpr std::size_t kPortIdMax = kLinkAliasMax - kPortAlias.size();
constexpr int kOrdinaryMtu = 1500;  // of guests that ask for none
constexpr int kTapMtuMax = 65521;   // 65535 without the Ethernet header
// Outer IPv4 or IPv6 header, UDP, VXLAN, inner Ethernet header (RFC 7348 §5).
constexpr int kOverhead4 = 20 + 8 + 8 + 14, kOverhead6 = 40 + 8 + 8 + 14;

// FNV-1a: the same on every machine and in every release, for names must be.
std::uint64_t digest_of(std::string_view text) {
  std::uint64_t digest = 0xcbf29ce484222325;
  for (const char c : text) digest = (digest ^ static_cast<std::uint8_t>(c)) * 0x100000001b3;
  return digest ^ (digest >> 32U);
}

class BridgeFabric : public Fabric {
 public:
  BridgeFabric(BridgeOptions options, TunnelAddress tunnel)
      : folder_(std::move(options.folder)),
        tunnel_(std::move(tunnel)),
        tag_(fmt::format("{:05x}", digest_of(folder_) & 0xfffffU)) {
    owner_alias_ = std::string(kOwnerAlias) + folder_;
    if (owner_alias_.size() > kLinkAliasMax)
      owner_alias_.erase(kOwnerAlias.size(), owner_alias_.size() - kLinkAliasMax);
  }
  Status open();

  std::string tunnel_address() const override { return tunnel_.text; }
  Status set_segment(std::int64_t segment, const std::vector<Peer>& peers, const std::string& secret) override;
  Status remove_segment(std::int64_t segment) override;
  Result<Port> add_port(const std::string& id, std::int64_t segment) override;
  Status remove_port(const std::string& id) override;
  Result<std::vector<std::string>> ports() override;
  Result<std::vector<std::int64_t>> segments() override;
  Status release_if_idle() override;

 private:
  std::string bridge_name(std::int64_t segment) const { return fmt::format("nb{}{:06x}", tag_, segment); }
  std::string vxlan_name(std::int64_t segment) const { return fmt::format("nx{}{:06x}", tag_, segment); }
  std::string tap_name(const std::string& id) const {
    return fmt::format("nt{}{:08x}", tag_, digest_of(id) & 0xffffffffU);
  }
  bool is_ours(const Link& link, std::string_view prefix) const {
    return link.name.starts_with(std::string(prefix) + tag_);
  }
  VxlanSettings settings_of(std::int64_t segment) const { return {segment, tunnel_.host(), tunnel_.port(), true}; }
  std::string file() const { return folder_ + "/bridges"; }
  Port port_of(const std::string& device) const { return {PortTap{device}, std::min(kOrdinaryMtu, mtu_), mtu_}; }

  // Everything below requires mutex_.
  Status load();
  Status save(Configuration configuration);
  Status find_mtu(Links& links);
  Status check_alias(const Link& link) const;
  Status check_families(const std::vector<Peer>& peers) const;
  Result<Link> found(Links& links, const std::string& name) const;
  Result<Link> ensure_bridge(Links& links, std::int64_t segment) const;
  Result<Link> ensure_vxlan(Links& links, std::int64_t segment, const Link& bridge) const;
  Status set_targets(Links& links, const Link& vxlan, const std::set<VxlanTarget>& wanted) const;
  Status make_tap(Links& links, const std::string& name, const std::string& id, const Link& bridge) const;
  Status make_segment(Links& links, const SegmentConfiguration& segment) const;
  Status make_port(Links& links, const PortConfiguration& port) const;
  Status drop_unused_bridges(Links& links) const;

  const std::string folder_;
  const TunnelAddress tunnel_;
  const std::string tag_;
  std::string owner_alias_;
  std::mutex mutex_;
  Configuration configuration_;  // as written down
  int mtu_ = 0;                  // what a VXLAN device carries of guests' packets
};

Status BridgeFabric::load() {
  const auto bytes = env::read_file(file());
  if (bytes) {
    auto read = decode_record<Configuration>(*bytes);
    if (!read) return std::move(read).error().with("reading " + file());
    configuration_ = std::move(*read);
  } else if (bytes.error().code() != ErrorCode::kNotFound) {
    return bytes.error();
  }
  if (configuration_.listen != tunnel_.text && !configuration_.idle()) {
    return conflict(fmt::format("the networks of {} listen on {}, not on {}: end their clusters first", folder_,
                                configuration_.listen, tunnel_.text));
  }
  configuration_.listen = tunnel_.text;
  return {};
}

Status BridgeFabric::save(Configuration configuration) {
  pass_crash_point(CrashPoint::kBeforeCommit);
  TRY(env::write_file_durably(file(), encode_record(configuration), 0600));
  pass_crash_point(CrashPoint::kAfterCommit);
  configuration_ = std::move(configuration);
  return {};
}

Status BridgeFabric::open() {
  TRY(check_bridge_support());
  const std::lock_guard guard(mutex_);
  TRY(load());
  TRY_ASSIGN(Links links, Links::open());
  TRY(find_mtu(links));
  for (const auto& segment : configuration_.segments) TRY(make_segment(links, segment));
  for (const auto& port : configuration_.ports) TRY(make_port(links, port));
  return {};
}

Status BridgeFabric::find_mtu(Links& links) {
  const std::string host = tunnel_.host();
  const bool is_ipv6 = host.size() == 16;
  if (is_ipv6 && host[0] == '\xfe' && (host[1] & '\xc0') == '\x80')
    return invalid(fmt::format("the tunnel address {} is valid on one link only: choose another", tunnel_.text));
  auto mtu = links.mtu_of_address(host);
  if (!mtu) return std::move(mtu).error().with("the tunnel address " + tunnel_.text);
  mtu_ = std::min(std::min(*mtu, 65535) - (is_ipv6 ? kOverhead6 : kOverhead4), kTapMtuMax);
  if (mtu_ >= 68) return {};
  return invalid(fmt::format("the link of {} has an MTU of {}, too little for a tunnel", tunnel_.text, *mtu));
}

Status BridgeFabric::check_alias(const Link& link) const {
  if (link.alias.empty() || link.alias == owner_alias_) return {};
  return conflict(fmt::format("the link {} is another's ('{}')", link.name, link.alias));
}

Result<Link> BridgeFabric::found(Links& links, const std::string& name) const {
  TRY_ASSIGN(auto link, links.find(name));
  if (!link) return unavailable(fmt::format("the link {} was removed while it was set up", name));
  TRY(check_alias(*link));
  return std::move(*link);
}

Result<Link> BridgeFabric::ensure_bridge(Links& links, std::int64_t segment) const {
  const std::string name = bridge_name(segment);
  TRY(links.make_bridge(name));
  TRY_ASSIGN(Link bridge, found(links, name));
  if (bridge.is_up && bridge.alias == owner_alias_) return bridge;
  TRY(links.shut_out_host(bridge));
  TRY(links.change(bridge, {owner_alias_, std::nullopt, std::nullopt, true}));
  return bridge;
}

Result<Link> BridgeFabric::ensure_vxlan(Links& links, std::int64_t segment, const Link& bridge) const {
  const std::string name = vxlan_name(segment);
  TRY_ASSIGN(const auto before, links.find(name));
  if (!before) TRY(links.make_vxlan(name, settings_of(segment), bridge.index, mtu_));
  TRY_ASSIGN(Link vxlan, found(links, name));
  if (vxlan.vxlan.local != tunnel_.host() || vxlan.vxlan.port != tunnel_.port()) {
    return conflict(fmt::format("the VXLAN device {} of segment {} listens on {}:{}, not on {}: end its cluster first",
                                name, segment, host_text(vxlan.vxlan.local), vxlan.vxlan.port, tunnel_.text));
  }
  if (!vxlan.is_up) TRY(links.shut_out_host(vxlan));
  const bool fits = vxlan.alias == owner_alias_ && vxlan.master == bridge.index && vxlan.mtu == mtu_;
  if (!fits) TRY(links.change(vxlan, {owner_alias_, bridge.index, mtu_, false}));
  return vxlan;
}

// Kernels before 6.7 cannot tell apart two VXLAN devices of one port and id: physical hosts that are one machine have
// ports of their own. But what a VXLAN device learns is an address, to which it adds its own port. So where a port
// differs nothing is learned, and every frame for another physical host goes to all of them.
Status BridgeFabric::set_targets(Links& links, const Link& vxlan, const std::set<VxlanTarget>& wanted) const {
  const bool learning =
      std::all_of(wanted.begin(), wanted.end(), [&](const VxlanTarget& one) { return one.port == tunnel_.port(); });
  if (vxlan.vxlan.learning != learning) TRY(links.set_learning(vxlan, learning));
  std::set<VxlanTarget> missing = wanted;
  TRY_ASSIGN(const auto present, links.targets(vxlan));
  for (const VxlanTarget& one : present) {
    VxlanTarget host = one;
    host.station = std::string(6, '\0');
    const bool stays = wanted.contains(host) && (one.is_for_all() || learning);
    if (!stays) TRY(links.remove_target(vxlan, one));
    if (one.is_for_all()) missing.erase(one);
  }
  for (const VxlanTarget& one : missing) TRY(links.add_target(vxlan, one));
  return {};
}

Status BridgeFabric::check_families(const std::vector<Peer>& peers) const {
  for (const Peer& peer : peers) {
    auto address = parse_tunnel_address(peer.address);
    if (!address) return std::move(address).error().with("peer " + peer.name);
    if (address->kind != TunnelAddress::Kind::kVxlan || address->host().size() == tunnel_.host().size()) continue;
    return invalid(fmt::format("the peer {} at {} cannot be reached from {}: both must be IPv4 or both IPv6", peer.name,
                               peer.address, tunnel_.text));
  }
  return {};
}

Status BridgeFabric::make_segment(Links& links, const SegmentConfiguration& segment) const {
  std::set<VxlanTarget> targets;
  for (const std::string& peer : segment.peers) {
    TRY_ASSIGN(const TunnelAddress address, parse_tunnel_address(peer));
    targets.insert({std::string(6, '\0'), address.host(), address.port()});
  }
  TRY_ASSIGN(const Link bridge, ensure_bridge(links, segment.number));
  TRY_ASSIGN(const Link vxlan, ensure_vxlan(links, segment.number, bridge));
  TRY(set_targets(links, vxlan, targets));
  return vxlan.is_up ? Status() : links.change(vxlan, {std::nullopt, std::nullopt, std::nullopt, true});
}

Status BridgeFabric::set_segment(std::int64_t segment, const std::vector<Peer>& peers, const std::string&) {
  TRY(check_families(peers));
  const std::lock_guard guard(mutex_);
  Configuration next = configuration_;
  TRY(next.set_segment(segment, peers, ""));
  const auto made = std::find_if(next.segments.begin(), next.segments.end(),
                                 [&](const SegmentConfiguration& one) { return one.number == segment; });
  TRY_ASSIGN(Links links, Links::open());
  TRY(find_mtu(links));
  TRY(make_segment(links, *made));
  return save(std::move(next));
}

Status BridgeFabric::remove_segment(std::int64_t segment) {
  const std::lock_guard guard(mutex_);
  TRY_ASSIGN(Links links, Links::open());
  TRY_ASSIGN(const auto vxlan, links.find(vxlan_name(segment)));
  if (vxlan) {
    TRY(check_alias(*vxlan));
    TRY(links.remove(*vxlan));
  }
  TRY(drop_unused_bridges(links));
  Configuration next = configuration_;
  next.remove_segment(segment);
  return next.segments.size() == configuration_.segments.size() ? Status() : save(std::move(next));
}

Status BridgeFabric::make_tap(Links& links, const std::string& name, const std::string& id, const Link& bridge) const {
  TRY_ASSIGN(NewTap tap, NewTap::make(name));
  TRY_ASSIGN(const auto link, links.find(name));
  if (!link) return unavailable(fmt::format("the tap {} was removed while it was set up", name));
  TRY(links.shut_out_host(*link));
  TRY(links.change(*link, {std::string(kPortAlias) + id, bridge.index, mtu_, true}));
  return tap.keep();
}

Status BridgeFabric::make_port(Links& links, const PortConfiguration& port) const {
  const std::string name = tap_name(port.id);
  TRY_ASSIGN(const auto tap, links.find(name));
  if (tap && tap->alias != std::string(kPortAlias) + port.id)
    return conflict(fmt::format("the link {} is of another port ('{}'), not of {}", name, tap->alias, port.id));
  TRY_ASSIGN(const Link bridge, ensure_bridge(links, port.segment));
  if (!tap) return make_tap(links, name, port.id, bridge);
  if (tap->master == bridge.index && tap->mtu == mtu_ && tap->is_up) return {};
  TRY(links.shut_out_host(*tap));
  return links.change(*tap, {std::nullopt, bridge.index, mtu_, true});
}

Result<Port> BridgeFabric::add_port(const std::string& id, std::int64_t segment) {
  if (id.size() > kPortIdMax)
    return invalid(fmt::format("a port's id has 1 to {} characters, not {}", kPortIdMax, id.size()));
  const std::lock_guard guard(mutex_);
  Configuration next = configuration_;
  TRY_ASSIGN(const PortConfiguration port, next.add_port(id, segment));
  TRY_ASSIGN(Links links, Links::open());
  TRY(make_port(links, port));
  if (next.ports.size() != configuration_.ports.size()) TRY(save(std::move(next)));
  return port_of(tap_name(id));
}

Status BridgeFabric::remove_port(const std::string& id) {
  const std::lock_guard guard(mutex_);
  TRY_ASSIGN(Links links, Links::open());
  TRY_ASSIGN(const auto tap, links.find(tap_name(id)));
  if (tap && tap->alias == std::string(kPortAlias) + id) {
    TRY(links.remove(*tap));
    TRY(drop_unused_bridges(links));
  }
  Configuration next = configuration_;
  return next.remove_port(id) == 0 ? Status() : save(std::move(next));
}

Status BridgeFabric::drop_unused_bridges(Links& links) const {
  TRY_ASSIGN(const auto all, links.list());
  for (const Link& bridge : all) {
    if (!is_ours(bridge, "nb") || bridge.kind != "bridge" || !check_alias(bridge)) continue;
    const bool is_used =
        std::any_of(all.begin(), all.end(), [&](const Link& link) { return link.master == bridge.index; });
    if (!is_used) TRY(links.remove(bridge));
  }
  return {};
}

// What is there and what is written down: after a crash, or when somebody removed a link, they differ.
Result<std::vector<std::string>> BridgeFabric::ports() {
  const std::lock_guard guard(mutex_);
  TRY_ASSIGN(Links links, Links::open());
  TRY_ASSIGN(const auto all, links.list());
  std::set<std::string> ids;
  for (const Link& link : all) {
    if (is_ours(link, "nt") && link.alias.starts_with(kPortAlias)) ids.insert(link.alias.substr(kPortAlias.size()));
  }
  for (const auto& port : configuration_.ports) ids.insert(port.id);
  return std::vector<std::string>(ids.begin(), ids.end());
}

Result<std::vector<std::int64_t>> BridgeFabric::segments() {
  const std::lock_guard guard(mutex_);
  TRY_ASSIGN(Links links, Links::open());
  TRY_ASSIGN(const auto all, links.list());
  std::set<std::int64_t> numbers;
  for (const Link& link : all) {
    if (is_ours(link, "nx") && link.kind == "vxlan" && check_alias(link)) numbers.insert(link.vxlan.id);
  }
  for (const auto& segment : configuration_.segments) numbers.insert(segment.number);
  return std::vector<std::int64_t>(numbers.begin(), numbers.end());
}

Status BridgeFabric::release_if_idle() {
  const std::lock_guard guard(mutex_);
  TRY_ASSIGN(Links links, Links::open());
  TRY(drop_unused_bridges(links));
  return configuration_.idle() ? env::remove_tree(file()) : Status();
}

}  // namespace

Result<std::unique_ptr<Fabric>> open_bridge_fabric(const BridgeOptions& options) {
  TRY_ASSIGN(TunnelAddress tunnel, parse_tunnel_address(options.tunnel));
  if (tunnel.kind != TunnelAddress::Kind::kVxlan)
    return invalid(fmt::format("networks of bridges have tunnels 'vxlan:ADDRESS:PORT', not '{}'", options.tunnel));
  if (!options.folder.starts_with('/') || !env::path_exists(options.folder))
    return invalid(fmt::format("'{}' is no folder with an absolute path", options.folder));
  auto fabric = std::make_unique<BridgeFabric>(options, std::move(tunnel));
  TRY(fabric->open());
  return std::unique_ptr<Fabric>(std::move(fabric));
}

}  // namespace nuraghe::network
