// The fabric: one physical host's part in the clusters' private layer-2 networks.
//
// A segment is one private Ethernet; only ports of the same segment see one another, on whichever physical host they
// are. A port is where a virtual host's NIC is plugged in: two UNIX datagram sockets, one of the hypervisor's, one of
// the switch's, each datagram one Ethernet frame. Between physical hosts frames travel through tunnels
// (docs/formats/tunnel.md).
//
// Every function is idempotent, and blocks at most a few seconds. Ports and segments may come in any order: a port of a
// segment that is not there yet is made and carries local traffic. The switch outlives this object and its process; a
// new object over the same folder finds it, and starts it again from its saved configuration when it died.
// Threading: every function is thread safe.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
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

class Fabric {
 public:
  virtual ~Fabric() = default;
  // Where other physical hosts send this one's frames: "unix:/path" (the same machine) or "udp:ADDRESS:PORT".
  virtual std::string tunnel_address() const = 0;
  // Makes this physical host part of a segment with these peers; replaces the peers of before. `secret` authenticates
  // tunnelled frames over udp.
  virtual Status set_segment(std::int64_t segment, const std::vector<Peer>& peers, const std::string& secret) = 0;
  virtual Status remove_segment(std::int64_t segment) = 0;
  // Plugs a port in; the same id answers the same sockets.
  virtual Result<PortSockets> add_port(const std::string& id, std::int64_t segment) = 0;
  virtual Status remove_port(const std::string& id) = 0;
  virtual Result<std::vector<std::string>> ports() = 0;
  virtual Result<std::vector<std::int64_t>> segments() = 0;
  // Ends the switch process when no port and no segment is left; otherwise nothing happens.
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

}  // namespace nuraghe::network
