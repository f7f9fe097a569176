// What the bridge fabric asks of the kernel: links (bridges, VXLAN devices, taps) and the entries by which a VXLAN
// device sends to its peers. Values and single steps; what they are for is in bridge_fabric.cpp.
//
// Threading: none; a Links belongs to the network namespace of the thread that opened it, and so does everything else
// here that has no Links.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "base/result.hpp"
#include "network/netlink.hpp"

namespace nuraghe::network {

constexpr std::size_t kLinkNameMax = 15;    // netdevice(7): IFNAMSIZ with its zero byte
constexpr std::size_t kLinkAliasMax = 255;  // IFALIASZ

struct VxlanSettings {
  std::int64_t id = 0;
  std::string local;  // IP address in binary
  std::uint16_t port = 0;
  bool learning = true;
  bool operator==(const VxlanSettings&) const = default;
};

struct Link {
  int index = 0;
  std::string name, alias;
  std::string kind;  // "bridge", "vxlan", "tun" (also taps), "" for a card
  int master = 0;    // index of the bridge whose port it is
  int mtu = 0;
  bool is_up = false;  // as it was asked to be
  bool is_loopback = false;
  bool is_forwarding = false;  // a port of a bridge that takes part
  VxlanSettings vxlan;         // of a VXLAN device
};

// A place that frames for unknown stations, and for all, go to; or, with a station, where that one was seen.
struct VxlanTarget {
  std::string station;  // MAC address in binary; six zero bytes: every unknown one
  std::string host;     // IP address in binary
  std::uint16_t port = 0;
  auto operator<=>(const VxlanTarget&) const = default;
  bool is_for_all() const { return station == std::string(6, '\0'); }
};

class Links {
 public:
  static Result<Links> open();

  Result<std::vector<Link>> list();
  Result<std::optional<Link>> find(const std::string& name);
  // The MTU of the link that has this IP address (binary); kNotFound when none has.
  Result<int> mtu_of_address(const std::string& host);

  // Nothing happens when a link of the name is there.
  Status make_bridge(const std::string& name);
  Status make_vxlan(const std::string& name, const VxlanSettings& settings, int master, int mtu);
  Status remove(const Link& link);  // also when it is gone

  struct Changes {
    std::optional<std::string> alias;
    std::optional<int> master, mtu;
    bool up = false;  // true: bring it up
  };
  Status change(const Link& link, const Changes& changes);
  Status set_learning(const Link& vxlan, bool on);
  // The host's own network stack takes nothing from the link: no ARP, no IPv6, no packet whose sender's way back would
  // lead elsewhere, nothing to forward. Before it is brought up.
  Status shut_out_host(const Link& link);

  Result<std::vector<VxlanTarget>> targets(const Link& vxlan);
  Status add_target(const Link& vxlan, const VxlanTarget& target);
  Status remove_target(const Link& vxlan, const VxlanTarget& target);

 private:
  Netlink netlink_;
};

// A tap device that is there while this lives, and stays once it was kept: half made ones vanish with their maker.
class NewTap {
 public:
  // kConflict when a link of the name is there. Its owner is this process's user.
  static Result<NewTap> make(const std::string& name);
  Status keep();

 private:
  env::UniqueFd fd_;
};

}  // namespace nuraghe::network
