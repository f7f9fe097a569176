// What a switch should be: its segments and ports. Pure values; the switch saves them before it acts on them, so that a
// switch that died comes back the same.
//
// Invariants: segments and ports in order and unique; segment numbers are 1 to 2^24-1; a port's number, of which its
// socket paths are made, is given once as long as any port exists.
// Threading: none.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "base/result.hpp"
#include "network/fabric.hpp"

namespace nuraghe::network {

constexpr std::size_t kSegmentLimit = 4096;
constexpr std::size_t kPortLimit = 8192;
constexpr std::size_t kPeerLimit = 4096;  // of one segment
constexpr int kSwitchMtu = 1500;          // of the frames that a switch carries: kFrameMax without headers

// kInvalid when it has not the 24 bits of a segment's number, or is 0.
Status check_segment(std::int64_t segment);

struct SegmentConfiguration {
  std::int64_t number = 0;
  std::vector<std::string> peers;  // canonical tunnel addresses, sorted, without this switch's own
  std::string secret;
  template <class Visitor>
  void fields(Visitor& v) {
    v(1, number), v(2, peers), v(3, secret);
  }
};

struct PortConfiguration {
  std::string id;
  std::int64_t number = 0;
  std::int64_t segment = 0;
  template <class Visitor>
  void fields(Visitor& v) {
    v(1, id), v(2, number), v(3, segment);
  }
};

struct Configuration {
  std::string listen;  // the tunnel's own address, a port chosen by the system included
  std::int64_t next_port = 1;
  std::vector<SegmentConfiguration> segments;
  std::vector<PortConfiguration> ports;
  template <class Visitor>
  void fields(Visitor& v) {
    v(1, listen), v(2, next_port), v(3, segments), v(4, ports);
  }

  bool idle() const { return segments.empty() && ports.empty(); }
  // Peers of this switch's own address are left out. kInvalid: a number out of range, an address that does not parse or
  // is of another kind than `listen`, no secret over udp. kExhausted: a limit.
  Status set_segment(std::int64_t segment, const std::vector<Peer>& peers, const std::string& secret);
  void remove_segment(std::int64_t segment);
  // The port, new or as it is. kConflict: it is in another segment. kInvalid, kExhausted as above.
  Result<PortConfiguration> add_port(const std::string& id, std::int64_t segment);
  // The port's number; 0 when there was none.
  std::int64_t remove_port(const std::string& id);
};

// Paths of a switch's folder; the names are short, for socket paths have 107 characters.
struct SwitchFiles {
  std::string folder;                                   // absolute
  std::string tunnel() const { return folder + "/t"; }  // and t.N, one for each peer
  std::string control() const { return folder + "/c"; }
  std::string saved() const { return folder + "/saved"; }  // Configuration
  std::string lock() const { return folder + "/lock"; }    // locked by the running switch
  std::string process() const { return folder + "/process"; }
  std::string log() const { return folder + "/log"; }
  std::string old_log() const { return folder + "/log.1"; }
  PortSockets port(std::int64_t number) const;
};
// The longest folder for which every socket path fits.
constexpr std::size_t kFolderMax = 94;

// Who runs in a folder (the file `process`).
struct SwitchProcess {
  std::int64_t pid = 0;
  std::int64_t start_ticks = 0;
  template <class Visitor>
  void fields(Visitor& v) {
    v(1, pid), v(2, start_ticks);
  }
};

// Removes every file that a switch makes, and the folder when nothing else is in it. Only while no switch runs there.
Status remove_switch_files(const SwitchFiles& files);

}  // namespace nuraghe::network
