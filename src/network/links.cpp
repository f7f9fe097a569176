#include "network/links.hpp"

#include <arpa/inet.h>
#include <fcntl.h>
#include <fmt/format.h>
#include <linux/if_bridge.h>
#include <linux/if_link.h>
#include <linux/if_tun.h>
#include <linux/ip.h>
#include <linux/neighbour.h>
#include <linux/rtnetlink.h>
#include <net/if.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>

#include "base/crash_point.hpp"
#include "network/address.hpp"
#include "network/fabric.hpp"

namespace nuraghe::network {

namespace {

constexpr const char* kTunDevice = "/dev/net/tun";
constexpr std::uint8_t kPortForwards = 3;  // BR_STATE_FORWARDING

ifinfomsg link_body(int index = 0) {
  ifinfomsg body{};
  body.ifi_family = AF_UNSPEC;
  body.ifi_index = index;
  return body;
}

ndmsg target_body(const Link& vxlan) {
  ndmsg body{};
  body.ndm_family = PF_BRIDGE;
  body.ndm_ifindex = vxlan.index;
  body.ndm_state = NUD_PERMANENT;
  body.ndm_flags = NTF_SELF;
  return body;
}

VxlanSettings vxlan_of(const NetlinkAttributes& data) {
  VxlanSettings settings;
  settings.id = data.get_number<std::uint32_t>(IFLA_VXLAN_ID);
  settings.local = data.get(data.has(IFLA_VXLAN_LOCAL6) ? IFLA_VXLAN_LOCAL6 : IFLA_VXLAN_LOCAL);
  settings.port = ntohs(data.get_number<std::uint16_t>(IFLA_VXLAN_PORT));
  settings.learning = data.get_number<std::uint8_t>(IFLA_VXLAN_LEARNING) != 0;
  return settings;
}

Link link_of(const std::string& object) {
  const auto body = netlink_body<ifinfomsg>(object);
  const auto attributes = netlink_attributes<ifinfomsg>(object);
  const auto info = attributes.nested(IFLA_LINKINFO);
  Link link;
  link.index = body.ifi_index;
  link.name = attributes.get_text(IFLA_IFNAME);
  link.alias = attributes.get_text(IFLA_IFALIAS);
  link.kind = info.get_text(IFLA_INFO_KIND);
  link.master = attributes.get_number<int>(IFLA_MASTER);
  link.mtu = attributes.get_number<int>(IFLA_MTU);
  link.is_up = (body.ifi_flags & IFF_UP) != 0;
  link.is_loopback = (body.ifi_flags & IFF_LOOPBACK) != 0;
  link.is_forwarding = info.get_text(IFLA_INFO_SLAVE_KIND) == "bridge" &&
                       info.nested(IFLA_INFO_SLAVE_DATA).get_number<std::uint8_t>(IFLA_BRPORT_STATE) == kPortForwards;
  if (link.kind == "vxlan") link.vxlan = vxlan_of(info.nested(IFLA_INFO_DATA));
  return link;
}

NetlinkMessage target_message(std::uint16_t type, std::uint16_t flags, const Link& vxlan, const VxlanTarget& target) {
  NetlinkMessage message(type, flags, target_body(vxlan));
  message.put(NDA_LLADDR, target.station).put(NDA_DST, target.host).put_number(NDA_PORT, htons(target.port));
  return message;
}

std::string target_text(const Link& vxlan, const VxlanTarget& target) {
  return fmt::format("the way from {} to {}:{}", vxlan.name, host_text(target.host), target.port);
}

// What rtnetlink has no word for. A kernel without IPv6 has no such file, and nothing to shut off.
Status disable_ipv6(const std::string& name) {
  const std::string path = fmt::format("/proc/sys/net/ipv6/conf/{}/disable_ipv6", name);
  const env::UniqueFd fd(::open(path.c_str(), O_WRONLY | O_CLOEXEC));
  if (!fd.valid()) return errno == ENOENT ? Status() : Status(system_error("open " + path, errno));
  if (::write(fd.get(), "1", 1) != 1) return system_error("write " + path, errno);
  return {};
}

ifreq tap_request(const std::string& name) {
  ifreq request{};
  name.copy(request.ifr_name, IFNAMSIZ - 1);
  return request;
}

// Requests that no kernel fulfils, but that each refuses otherwise when it has not what they are about.
Status check_kind(Netlink& netlink, const char* kind, const std::string& what, std::uint16_t attribute,
                  const std::string& impossible) {
  NetlinkMessage message(RTM_NEWLINK, NLM_F_CREATE | NLM_F_EXCL, link_body());
  const bool is_vxlan = std::string_view(kind) == "vxlan";
  if (!is_vxlan) message.put(attribute, impossible);
  message.nest(IFLA_LINKINFO, [&](NetlinkMessage& info) {
    info.put_text(IFLA_INFO_KIND, kind);
    if (is_vxlan) info.nest(IFLA_INFO_DATA, [&](NetlinkMessage& data) { data.put(attribute, impossible); });
  });
  const Status answer = netlink.change(message, "try " + what, {ERANGE, EADDRNOTAVAIL, EINVAL});
  if (answer) return {};
  if (answer.error().code() == ErrorCode::kUnsupported)
    return unsupported(fmt::format("this kernel has no {} (kernel module {})", what, kind));
  if (answer.error().code() == ErrorCode::kDenied)
    return denied("networks of bridges need the right to change the network (root, or CAP_NET_ADMIN)");
  return answer;
}

}  // namespace

Result<Links> Links::open() {
  Links made;
  TRY_ASSIGN(made.netlink_, Netlink::open());
  return made;
}

Result<std::vector<Link>> Links::list() {
  TRY_ASSIGN(const auto objects, netlink_.ask({RTM_GETLINK, NLM_F_DUMP, link_body()}, "list the links"));
  std::vector<Link> links;
  for (const auto& object : objects) links.push_back(link_of(object));
  return links;
}

Result<std::optional<Link>> Links::find(const std::string& name) {
  NetlinkMessage message(RTM_GETLINK, 0, link_body());
  message.put_text(IFLA_IFNAME, name);
  auto objects = netlink_.ask(message, "look for " + name);
  if (!objects && objects.error().code() == ErrorCode::kNotFound) return std::optional<Link>();
  if (!objects) return std::move(objects).error();
  if (objects->empty()) return std::optional<Link>();
  return std::optional<Link>(link_of(objects->front()));
}

Result<int> Links::mtu_of_address(const std::string& host) {
  TRY_ASSIGN(const auto objects, netlink_.ask({RTM_GETADDR, NLM_F_DUMP, ifaddrmsg{}}, "list the addresses"));
  TRY_ASSIGN(const auto links, list());
  // 127.0.0.2 and its like are the loopback's without being listed.
  const bool is_loopback = (host.size() == 4 && host[0] == 127) || host == std::string(15, '\0') + '\1';
  int smallest = 0;
  const auto take = [&](const Link& link) {
    // An address that is kept on the loopback, for routing to announce it, is reached through some card.
    const int mtu = link.is_loopback && !is_loopback ? 1500 : link.mtu;
    smallest = smallest == 0 ? mtu : std::min(smallest, mtu);
  };
  for (const auto& link : links) {
    if (is_loopback && link.is_loopback) take(link);
    for (const auto& object : objects) {
      const auto attributes = netlink_attributes<ifaddrmsg>(object);
      const auto address = attributes.get(attributes.has(IFA_LOCAL) ? IFA_LOCAL : IFA_ADDRESS);
      if (static_cast<int>(netlink_body<ifaddrmsg>(object).ifa_index) == link.index && address == host) take(link);
    }
  }
  if (smallest == 0) return not_found(fmt::format("no interface of this machine has the address {}", host_text(host)));
  return smallest;
}

Status Links::make_bridge(const std::string& name) {
  NetlinkMessage message(RTM_NEWLINK, NLM_F_CREATE | NLM_F_EXCL, link_body());
  message.put_text(IFLA_IFNAME, name).nest(IFLA_LINKINFO, [](NetlinkMessage& info) {
    info.put_text(IFLA_INFO_KIND, "bridge").nest(IFLA_INFO_DATA, [](NetlinkMessage& data) {
      // Nobody asks for memberships on a private network, so that snooping would forget them.
      data.put_number(IFLA_BR_MCAST_SNOOPING, std::uint8_t{0}).put_number(IFLA_BR_STP_STATE, std::uint32_t{0});
    });
  });
  return netlink_.change(message, "make the bridge " + name, {EEXIST});
}

Status Links::make_vxlan(const std::string& name, const VxlanSettings& settings, int master, int mtu) {
  NetlinkMessage message(RTM_NEWLINK, NLM_F_CREATE | NLM_F_EXCL, link_body());
  message.put_text(IFLA_IFNAME, name).put_number(IFLA_MASTER, master).put_number(IFLA_MTU, mtu);
  message.nest(IFLA_LINKINFO, [&](NetlinkMessage& info) {
    info.put_text(IFLA_INFO_KIND, "vxlan").nest(IFLA_INFO_DATA, [&](NetlinkMessage& data) {
      data.put_number(IFLA_VXLAN_ID, static_cast<std::uint32_t>(settings.id));
      data.put(settings.local.size() == sizeof(in6_addr) ? IFLA_VXLAN_LOCAL6 : IFLA_VXLAN_LOCAL, settings.local);
      data.put_number(IFLA_VXLAN_PORT, htons(settings.port));
      data.put_number(IFLA_VXLAN_LEARNING, static_cast<std::uint8_t>(settings.learning ? 1 : 0));
    });
  });
  return netlink_.change(message, fmt::format("make the VXLAN device {} of segment {} at {}:{}", name, settings.id,
                                              host_text(settings.local), settings.port));
}

Status Links::remove(const Link& link) {
  return netlink_.change({RTM_DELLINK, 0, link_body(link.index)}, "remove " + link.name, {ENODEV});
}

Status Links::change(const Link& link, const Changes& changes) {
  ifinfomsg body = link_body(link.index);
  if (changes.up) body.ifi_flags = body.ifi_change = IFF_UP;
  NetlinkMessage message(RTM_NEWLINK, 0, body);
  if (changes.alias) message.put(IFLA_IFALIAS, *changes.alias);
  if (changes.master) message.put_number(IFLA_MASTER, *changes.master);
  if (changes.mtu) message.put_number(IFLA_MTU, *changes.mtu);
  return netlink_.change(message, "set up " + link.name);
}

Status Links::set_learning(const Link& vxlan, bool on) {
  NetlinkMessage message(RTM_NEWLINK, 0, link_body(vxlan.index));
  message.nest(IFLA_LINKINFO, [&](NetlinkMessage& info) {
    info.put_text(IFLA_INFO_KIND, "vxlan").nest(IFLA_INFO_DATA, [&](NetlinkMessage& data) {
      data.put_number(IFLA_VXLAN_LEARNING, static_cast<std::uint8_t>(on ? 1 : 0));
    });
  });
  return netlink_.change(message, "set whether " + vxlan.name + " learns");
}

Status Links::shut_out_host(const Link& link) {
  TRY(disable_ipv6(link.name));
  ifinfomsg body = link_body(link.index);
  body.ifi_flags = body.ifi_change = IFF_NOARP;
  NetlinkMessage message(RTM_SETLINK, 0, body);
  message.nest(IFLA_AF_SPEC, [](NetlinkMessage& families) {
    families.nest(AF_INET, [](NetlinkMessage& inet) {
      inet.nest(IFLA_INET_CONF, [](NetlinkMessage& settings) {
        settings.put_number(IPV4_DEVCONF_FORWARDING, std::uint32_t{0});
        settings.put_number(IPV4_DEVCONF_RP_FILTER, std::uint32_t{1});
        settings.put_number(IPV4_DEVCONF_ARP_IGNORE, std::uint32_t{8});
        settings.put_number(IPV4_DEVCONF_DROP_UNICAST_IN_L2_MULTICAST, std::uint32_t{1});
      });
    });
  });
  return netlink_.change(message, "keep this machine's own network off " + link.name);
}

Result<std::vector<VxlanTarget>> Links::targets(const Link& vxlan) {
  ifinfomsg body = link_body(vxlan.index);
  body.ifi_family = PF_BRIDGE;
  TRY_ASSIGN(const auto objects, netlink_.ask({RTM_GETNEIGH, NLM_F_DUMP, body}, "list the ways of " + vxlan.name));
  std::vector<VxlanTarget> targets;
  for (const auto& object : objects) {
    const auto entry = netlink_body<ndmsg>(object);
    const auto attributes = netlink_attributes<ndmsg>(object);
    if (entry.ndm_ifindex != vxlan.index || (entry.ndm_flags & NTF_SELF) == 0 || !attributes.has(NDA_DST)) continue;
    VxlanTarget target;
    target.station = attributes.get(NDA_LLADDR);
    target.host = attributes.get(NDA_DST);
    target.port = attributes.has(NDA_PORT) ? ntohs(attributes.get_number<std::uint16_t>(NDA_PORT)) : vxlan.vxlan.port;
    targets.push_back(std::move(target));
  }
  return targets;
}

Status Links::add_target(const Link& vxlan, const VxlanTarget& target) {
  return netlink_.change(target_message(RTM_NEWNEIGH, NLM_F_CREATE | NLM_F_APPEND, vxlan, target),
                         "add " + target_text(vxlan, target), {EEXIST});
}

Status Links::remove_target(const Link& vxlan, const VxlanTarget& target) {
  return netlink_.change(target_message(RTM_DELNEIGH, 0, vxlan, target), "remove " + target_text(vxlan, target),
                         {ENOENT});
}

Result<NewTap> NewTap::make(const std::string& name) {
  NewTap made;
  made.fd_ = env::UniqueFd(::open(kTunDevice, O_RDWR | O_CLOEXEC));
  if (!made.fd_.valid()) return system_error(fmt::format("open {}", kTunDevice), errno);
  ifreq request = tap_request(name);
  request.ifr_flags = static_cast<short>(IFF_TAP | IFF_NO_PI | IFF_VNET_HDR | IFF_TUN_EXCL);
  if (::ioctl(made.fd_.get(), TUNSETIFF, &request) != 0 ||
      ::ioctl(made.fd_.get(), TUNSETOWNER, static_cast<unsigned long>(::geteuid())) != 0) {
    return system_error("make the tap " + name, errno);
  }
  return made;
}

Status NewTap::keep() {
  pass_crash_point(CrashPoint::kBeforeSend);
  if (::ioctl(fd_.get(), TUNSETPERSIST, 1UL) != 0) return system_error("keep a tap", errno);
  fd_.reset();
  return {};
}

Status check_bridge_support() {
  TRY_ASSIGN(Netlink netlink, Netlink::open());
  // A group's address is no bridge's own; a VXLAN id has 24 bits.
  TRY(check_kind(netlink, "bridge", "bridges", IFLA_ADDRESS, std::string("\x01\x00\x00\x00\x00\x00", 6)));
  TRY(check_kind(netlink, "vxlan", "VXLAN devices", IFLA_VXLAN_ID, std::string(4, '\xff')));
  const env::UniqueFd fd(::open(kTunDevice, O_RDWR | O_CLOEXEC));
  const int why = errno;
  unsigned features = 0;
  if (fd.valid() && ::ioctl(fd.get(), TUNGETFEATURES, &features) == 0) return {};
  if (!fd.valid() && (why == EACCES || why == EPERM)) return system_error(fmt::format("open {}", kTunDevice), why);
  return unsupported(fmt::format("this kernel has no tap devices (kernel module tun, {})", kTunDevice));
}

}  // namespace nuraghe::network
