// The Virtual Host Controller's database and the orders of its jobs.
//
// Tables: vhc_host HOST-ID → HostRow; a destroyed host's row stays as a tombstone that refuses a late creation.
//         vhc_network KEY → NetworkRow; so does that of a network.
#pragma once

#include <string>
#include <vector>

#include "contracts/vhc.hpp"
#include "services/rows.hpp"
#include "services/vhc/frozen_state.hpp"

namespace nuraghe::services::vhc {

namespace api = contracts::vhc;
using api::HostState;

struct HostRow {
  api::Host host;        // operation: the one at work; condition: why it is not well
  std::string fragment;  // the node configuration as it came
  contracts::vhir::ImageReference image;
  api::Seed seed;
  std::int64_t disk = 0;                      // bytes that its disks may take
  std::vector<std::string> ports;             // of the fabric
  std::string ready;                          // agent, console:TEXT, start
  bool abort_requested = false;               // the operation at work is being ended
  std::string operation_request;              // message id that the operation at work answers
  std::vector<std::string> destroy_requests;  // message ids that wait until it is destroyed
  std::vector<std::string> abort_requests;    // message ids that wait until nothing is at work
  std::vector<std::string> ready_requests;    // message ids that wait until it is ready
  TimePoint operation_started;
  TimePoint started;  // of the guest: creation ended
  bool booted = false;
  std::string ready_failure;         // why it did not become ready, once that is known
  std::string stop_reason;           // its hypervisor paused it while an operation was at work
  TimePoint logins_ended;            // by the factory's clock: sessions of who was shut out before then are ended
  std::string logins_failure;        // why that failed the last time
  bool logins_at_work = false;       // a job is at it
  std::int64_t logins_failures = 0;  // since it succeeded
  TimePoint logins_retry;            // by this machine's clock: not before, after a failure
  std::string imported;              // digest of the frozen state that it came with; empty: it was created here
  std::string ended_work;            // the conversation whose orders come too late
  template <class V>
  void fields(V& v) {
    v(1, host), v(2, fragment), v(3, image), v(4, seed), v(5, disk), v(6, ports), v(7, ready), v(8, abort_requested),
        v(9, operation_request), v(10, destroy_requests), v(11, abort_requests), v(12, ready_requests),
        v(13, operation_started), v(14, started), v(15, booted), v(16, ready_failure), v(17, stop_reason),
        v(18, logins_ended), v(19, logins_failure), v(20, logins_at_work), v(21, logins_failures), v(22, logins_retry),
        v(23, imported), v(24, ended_work);
  }
  bool is_tombstone() const { return host.state == HostState::kDestroyed && host.operation.empty(); }
};

// This physical host's part in a network, by the key that names it: segment numbers are used again.
struct NetworkRow {
  std::int64_t segment = 0;
  bool is_destroyed = false;
  TimePoint since;
  std::vector<std::string> links;    // message ids of creations at work
  std::vector<std::string> waiting;  // message ids of destructions that wait
  bool is_left = false;              // only here: hosts of it may come back
  template <class V>
  void fields(V& v) {
    v(1, segment), v(2, is_destroyed), v(3, since), v(4, links), v(5, waiting), v(6, is_left);
  }
};

// What a job has to do.
struct Order {
  // create, pause, resume, freeze, thaw, destroy, export, import, boot, join, adopt, link, unlink, end-logins
  std::string verb;
  std::string id;  // host id, or the segment
  std::string name;
  std::string request;  // message id to be answered
  std::string fragment;
  contracts::vhir::ImageReference image;  // import: the frozen state
  api::Seed seed;
  std::vector<std::string> ports;
  std::string ready;
  bool paused = false;  // thaw
  api::Segment network;
  std::vector<std::string> known;         // adopt: ids that have rows
  std::int32_t ssh_port = 0;              // thaw: as it was
  std::vector<std::string> logins;        // end-logins: key ids
  TimePoint at;                           // end-logins: who was shut out until then, by the factory's clock
  bool booted = false, is_ready = false;  // export: of the guest
  std::string key() const { return verb + "/" + id; }
  template <class V>
  void fields(V& v) {
    v(1, verb), v(2, id), v(3, name), v(4, request), v(5, fragment), v(6, image), v(7, seed), v(8, ports), v(9, ready),
        v(10, paused), v(11, network), v(12, known), v(13, ssh_port), v(14, logins), v(15, at), v(16, booted),
        v(17, is_ready);
  }
};

// What a job found out.
struct Outcome {
  std::int32_t ssh_port = 0;
  std::vector<std::string> ports;
  std::string ready;
  Bytes memory_saved, device_state, disk_state;
  Duration guest_pause{0};
  struct Found {  // adopt: one per host that the hypervisor knows
    std::string id;
    std::int64_t state = 0;    // hypervisor::HostState
    std::string exit_reason;   // not empty: lost
    std::string pause_reason;  // not empty: paused by its hypervisor
    template <class V>
    void fields(V& v) {
      v(1, id), v(2, state), v(3, exit_reason), v(4, pause_reason);
    }
  };
  std::vector<Found> found;
  std::string state;   // export: digest of the manifest
  Bytes state_size;    // export: of all parts
  FrozenState frozen;  // import: what the host is
  template <class V>
  void fields(V& v) {
    v(1, ssh_port), v(2, ports), v(3, ready), v(4, memory_saved), v(5, device_state), v(6, guest_pause), v(7, found),
        v(8, disk_state), v(9, state), v(10, state_size), v(11, frozen);
  }
};

}  // namespace nuraghe::services::vhc
