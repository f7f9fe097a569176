// The fabric: one physical host's part in the clusters' private layer-2 networks.
//
// A segment is one private Ethernet; only ports of the same segment see one another, on whichever physical host they
// are. A port is where a virtual host's NIC is plugged in. Between physical hosts frames travel through tunnels. There
// are two fabrics (docs/networks.md):
//   switch  a process without privileges; a port is two UNIX datagram sockets, one of the hypervisor's, one of the
//           switch's, each datagram one Ethernet frame; tunnels as in docs/formats/tunnel.md
//   bridge  the kernel's: per segment a bridge and a VXLAN device, a port is a tap device; needs CAP_NET_ADMIN
//
// Every function is idempotent, and blocks at most a few seconds. Ports and segments may come in any order: a port of a
// segment that is not there yet is made and carries local traffic. What was made outlives this object and its process;
// a new object over the same folder finds it, and a switch that died is started again from its saved
// configuration.
// Threading: every function is thread safe.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <variant>
#include <vector>

#include "base/result.hpp"
#include "base/units.hpp"

namespace nuraghe::network {

struct Peer {
  std::string name;     // the other physical host
  std::string address;  // its tunnel_address()
};

struct PortSockets {
  std::string hypervisor;  // path that the hypervisor binds
  std::string fabric;      // path that the switch has bound
};

// A persistent tap device of the network namespace in which the fabric was opened; the fabric's user may open it
// without privileges.
struct PortTap {
  std::string device;
};

struct Port {
  std::variant<PortSockets, PortTap> plug;
  int mtu = 0;        // for a NIC that asks for none; 0: the hypervisor's default fits
  int mtu_limit = 0;  // the largest that every way out of the port carries
};

class Fabric {
 public:
  virtual ~Fabric() = default;
  // Where other physical hosts send this one's frames: "unix:/path" (the same machine), "udp:ADDRESS:PORT" or
  // "vxlan:ADDRESS:PORT".
  virtual std::string tunnel_address() const = 0;
  // Makes this physical host part of a segment with these peers; replaces the peers of before. `secret` authenticates
  // tunnelled frames over udp; VXLAN has no place for it.
  virtual Status set_segment(std::int64_t segment, const std::vector<Peer>& peers, const std::string& secret) = 0;
  virtual Status remove_segment(std::int64_t segment) = 0;
  // Makes a port; the same id answers the same plug. kConflict: it is in another segment.
  virtual Result<Port> add_port(const std::string& id, std::int64_t segment) = 0;
  virtual Status remove_port(const std::string& id) = 0;
  virtual Result<std::vector<std::string>> ports() = 0;
  virtual Result<std::vector<std::int64_t>> segments() = 0;
  // When no port and no segment is left: ends the switch process. Removes what a killed process left half made.
  virtual Status release_if_idle() = 0;
};

// Frames go nowhere: for the simulated hypervisor.
std::unique_ptr<Fabric> make_simulated_fabric(std::string name);

struct SwitchOptions {
  std::string folder;   // the switch's own: sockets, saved configuration, log; made with mode 0700
  std::string program;  // path of nuraghe-switch
  std::string listen;   // "" = a UNIX tunnel in the folder; "udp:127.0.0.1:0" = UDP on a free port
  Duration timeout = std::chrono::seconds(10);
};
Result<std::unique_ptr<Fabric>> open_switch_fabric(const SwitchOptions& options);

struct BridgeOptions {
  std::string folder;  // of the controller; holds the file `bridges`, and its path tells these links from others'
  std::string tunnel;  // "vxlan:ADDRESS:PORT": an address of this machine that the other physical hosts reach
};
// Works in the network namespace of the calling thread; the fabric's functions are to be called there. What was there
// before the machine was started anew is made again. kDenied without CAP_NET_ADMIN, kUnsupported with the name of what
// the kernel lacks, kNotFound when no interface has the address, kConflict when segments that are there listen
// elsewhere.
Result<std::unique_ptr<Fabric>> open_bridge_fabric(const BridgeOptions& options);
// The first two of these, for nuraghe doctor.
Status check_bridge_support();

}  // namespace nuraghe::network
