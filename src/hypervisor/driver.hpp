// The hypervisor contract: what a Virtual Host Controller can ask of the hypervisor of its physical host.
//
// Every verb is idempotent by host id: repeating a verb whose effect is there already succeeds and does nothing. Each
// names the states in which it is legal; any other is kConflict and changes nothing. A verb that a driver lacks answers
// kUnsupported with the driver's and the verb's name, before anything was started; capabilities() declares them.
// Every driver folder (qemu/, sim/) holds the same set of files: driver.cpp, driver.hpp, states and its tests;
// driver_contract_test.cpp runs over all of them.
//
// Virtual hosts outlive the driver object: a new one over the same directory finds them again (list, inspect).
// Threading: every function is thread safe; verbs on one host are serialised by the driver. They block up to
// Control::deadline and end early with kCancelled when the control says so.
#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "base/result.hpp"
#include "base/units.hpp"

namespace nuraghe::hypervisor {

enum class HostState { kInitial, kRunning, kPaused, kFrozen, kDestroyed };  // as far as ONE hypervisor can tell
std::string_view host_state_name(HostState state);

struct DiskSpec {
  std::string name;     // "root", "scratch": unique within the host; the guest sees it as the disk's serial number
  std::string backing;  // path of the image that the writable overlay stands on; empty: an empty disk of `size`
  std::string backing_format;  // qcow2 or raw
  Bytes size;                  // virtual size; 0 with a backing: the backing's
  bool read_only = false;      // attached as it is, without overlay (the seed)
  template <class Visitor>
  void fields(Visitor& v) {
    v(1, name), v(2, backing), v(3, backing_format), v(4, size), v(5, read_only);
  }
};

struct NicSpec {
  std::string name;  // "cluster", "management"
  std::string mac;   // "52:54:00:12:34:56"
  enum class Kind { kSegment, kUser, kTap } kind = Kind::kSegment;
  // kSegment: one port of a layer-2 switch, reached by datagrams over two UNIX sockets.
  std::string local_socket;   // QEMU's end
  std::string remote_socket;  // the switch's end
  // kUser: user-mode network of the hypervisor's own; outward only when `outward`; ssh_port of 127.0.0.1 leads to the
  // guest's port 22 (0: none).
  bool outward = false;
  int ssh_port = 0;
  // kTap: a persistent tap device that is there already and that the driver's user may open.
  std::string tap;
  bool link_up = true;  // false: the cable is not plugged in at first
  int mtu = 0;          // 0: the driver's default
  template <class Visitor>
  void fields(Visitor& v) {
    v(1, name), v(2, mac), v(3, kind), v(4, local_socket), v(5, remote_socket), v(6, outward), v(7, ssh_port);
    v(8, link_up), v(9, mtu), v(10, tap);
  }
};

struct HostSpec {
  std::string id;
  std::string name;  // for process titles and messages
  int cpus = 1;
  Bytes memory;
  std::string machine;   // "" = the driver's default; q35, pc or microvm for qemu
  std::string firmware;  // "" or "bios", "uefi"
  std::string kernel;    // path; empty: boot from the first disk
  std::string initrd;
  std::string kernel_parameters;
  std::vector<DiskSpec> disks;
  std::vector<NicSpec> nics;
  bool agent = true;  // a guest agent is expected on its virtio-serial port (the port is always there)
  std::map<std::string, std::string> reserved;  // for drivers' own settings in tests (sim: "fail"="create")
  template <class Visitor>
  void fields(Visitor& v) {
    v(1, id), v(2, name), v(3, cpus), v(4, memory), v(5, machine), v(6, firmware), v(7, kernel), v(8, initrd);
    v(9, kernel_parameters), v(10, disks), v(11, nics), v(12, agent), v(13, reserved);
  }
};

struct HostCondition {
  HostState state = HostState::kInitial;
  bool lost = false;         // it should be running and is not: see exit_reason
  std::string exit_reason;   // "QEMU exited with status 1: <its last words>"; empty while it runs
  std::string pause_reason;  // why the hypervisor paused it by itself: "no space left for its disk root"; else empty
  std::int64_t pid = 0;      // of the hypervisor process, 0 when there is none
  Bytes memory_resident;     // what it takes of the physical host now
  int ssh_port = 0;          // of 127.0.0.1, that leads to its ssh; 0: none
  TimePoint since;           // when it entered the state
};

struct FreezeReport {
  Bytes memory_saved, device_state, disk_overlay;
  Duration guest_pause;  // from pause to released
};

// A frozen host as files that stand still while it is frozen, in formats of its driver's own.
struct FrozenFile {
  std::string name;  // "memory", "device", "disk-root.qcow2": unique within the host, no path
  std::string path;
};
struct FrozenHost {
  std::string format;  // drivers whose formats are equal can go on with it
  std::vector<FrozenFile> files;
  HostSpec spec{};  // as it was frozen: paths, ports and taps are those of that physical host
  // Import: another host than the one that was frozen, which may go on beside it: its guest is told so where it can be
  // (VMGenID).
  bool is_copy = false;
};

struct Progress {
  std::string step;      // "reserving memory", "saving memory"
  double fraction = -1;  // 0 to 1, or -1 when unknown
};

struct Control {
  Duration timeout = std::chrono::seconds(60);
  int cancel_fd = -1;                                // readable = cancel; -1: cannot be cancelled
  std::function<void(const Progress&)> on_progress;  // may be empty
};

struct Capabilities {
  std::string name;                    // "qemu", "sim"
  std::string accelerator;             // "kvm", "tcg", "none"
  std::string accelerator_reason;      // why not KVM: "KVM is there but its guest did not answer within 5 s"
  std::vector<std::string> missing;    // verbs that this driver lacks
  std::vector<std::string> machines;   // that HostSpec::machine may name
  std::vector<std::string> firmwares;  // that HostSpec::firmware may name, with one of these machines at least
  std::string frozen_format;           // of the hosts that it freezes: FrozenHost::format; empty: it exports none
};

enum class ReadyCondition { kStarted, kConsoleText, kAgent };

class Driver {
 public:
  virtual ~Driver() = default;
  virtual Capabilities capabilities() const = 0;

  // initial → running. Memory is reserved first (kExhausted says how much is missing). A hypervisor that dies at start:
  // kInvalid or kUnavailable with its own message; nothing is left but the console log and the message.
  virtual Status create(const HostSpec& spec, const Control& control) = 0;
  virtual Status pause(const std::string& id, const Control& control) = 0;   // running → paused
  virtual Status resume(const std::string& id, const Control& control) = 0;  // paused → running
  // running or paused → frozen: non-zero pages, device state and disk overlay in fsynced files below the host's folder,
  // then every other resource released. A failure (disk full) leaves the host running or paused as it was, and no file.
  virtual Result<FreezeReport> freeze(const std::string& id, const Control& control) = 0;
  // frozen → running (start_paused: paused). A failure leaves it frozen.
  virtual Status thaw(const std::string& id, bool start_paused, const Control& control) = 0;
  // frozen: what a driver elsewhere needs, besides the specification, to go on with the host. The files are the
  // driver's and stay as they are until the host is thawed or destroyed.
  virtual Result<FrozenHost> export_frozen(const std::string& id, const Control& control);
  // initial → frozen: `spec` describes the same machine as where it was frozen, while its paths, ports and taps may be
  // others. The files are copied and fsynced; the sizes of disks are those of the files. kUnsupported for another
  // format, kCorrupt for files that do not fit the specification. A failure leaves what a failed creation leaves.
  virtual Status import_frozen(const HostSpec& spec, const FrozenHost& frozen, const Control& control);
  // frozen: another port of 127.0.0.1 will lead to the guest's ssh from the next thaw on, for somebody took the old one
  // meanwhile. kNotFound when no NIC has such a port.
  virtual Status move_ssh(const std::string& id, int port, const Control& control) = 0;
  // any → destroyed: nothing remains but a tombstone that refuses a later create of the same id, until forget().
  virtual Status destroy(const std::string& id, const Control& control) = 0;
  virtual Status forget(const std::string& id) = 0;

  virtual Result<HostCondition> inspect(const std::string& id) = 0;  // kNotFound: never heard of it
  virtual Result<std::vector<std::string>> list() = 0;               // every id with anything on this physical host
  // The last bytes of the serial console; also after the host was lost or its creation failed, until forget().
  virtual Result<std::string> console_tail(const std::string& id, Bytes limit) = 0;
  // A connected stream socket to the live serial console (the log goes on); the caller owns and closes it.
  virtual Result<int> open_console(const std::string& id) = 0;
  // Waits until the guest is ready: kStarted at once, kConsoleText until `text` stands in the console log, kAgent until
  // the guest agent answers. kTimeout, kCancelled, or kUnavailable when the host dies meanwhile (with its reason).
  virtual Status wait_ready(const std::string& id, ReadyCondition condition, const std::string& text,
                            const Control& control) = 0;
  // One command of the guest agent (QEMU guest agent protocol: JSON in, the JSON "return" value out).
  virtual Result<std::string> agent_command(const std::string& id, const std::string& json, const Control& control) = 0;
  // Cuts or plugs a NIC's cable. running or paused.
  virtual Status set_link(const std::string& id, const std::string& nic, bool up, const Control& control) = 0;
  // Called from another thread when the hypervisor pauses a running host by itself: the condition has pause_reason.
  // It is paused then as by pause(); resume() lets it try again.
  virtual void on_paused(std::function<void(const std::string& id, const HostCondition&)> observer) = 0;
  // Called from another thread when a running host ends by itself.
  virtual void on_lost(std::function<void(const std::string& id, const HostCondition&)> observer) = 0;
};

}  // namespace nuraghe::hypervisor
