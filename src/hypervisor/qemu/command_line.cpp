#include "hypervisor/qemu/command_line.hpp"

#include <fmt/format.h>
#include <net/if.h>
#include <sys/un.h>

#include <algorithm>
#include <boost/json.hpp>
#include <set>

#include "hypervisor/qemu/shim.hpp"
#include "hypervisor/states.hpp"

namespace nuraghe::hypervisor::qemu {

namespace json = boost::json;

namespace {

constexpr std::size_t kMaxDisks = 16, kMaxNics = 8;
constexpr std::string_view kAgentPort = "org.qemu.guest_agent.0";
// Under TCG: a fixed set of features (x86-64-v2), equal on every physical host, so that a frozen host thaws on any; and
// without AVX, which "max" offers, guests then use, and TCG is slow at. RDRAND lets a first boot have its randomness.
constexpr const char* kTcgProcessor = "qemu64,+ssse3,+sse4.1,+sse4.2,+popcnt,+rdrand";
// microvm has 24 places for devices (QEMU docs/system/i386/microvm.rst); randomness and the ports take two.
constexpr std::size_t kMicrovmDevices = 22;
// The firmware keeps some for itself, and a kernel and its initrd lie in memory twice while it starts them.
constexpr Bytes kUefiMemory = mib(192);

bool is_name(std::string_view text) {
  return !text.empty() && text.size() <= 32 && std::ranges::all_of(text, [](char c) {
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '_' || c == '-';
  });
}

bool is_mac(std::string_view mac) {
  if (mac.size() != 17) return false;
  for (std::size_t i = 0; i < mac.size(); ++i) {
    const char c = mac[i];
    const bool hex = (c >= '0' && c <= '9') || (c >= 'a' && c <= 'f') || (c >= 'A' && c <= 'F');
    if (i % 3 == 2 ? c != ':' : !hex) return false;
  }
  return true;
}

bool is_absolute(std::string_view path) { return path.starts_with('/') && path.find('\n') == std::string_view::npos; }

Status check_disk(const DiskSpec& disk) {
  if (!is_name(disk.name) || disk.name.size() > 20) {  // a virtio disk's serial number has 20 bytes
    return invalid(fmt::format("disk name '{}': 1 to 20 letters, digits, '_' or '-' are possible", disk.name));
  }
  if (!disk.backing.empty() && !is_absolute(disk.backing)) {
    return invalid(fmt::format("disk {}: the image '{}' is no absolute path", disk.name, disk.backing));
  }
  if (!disk.backing.empty() && disk.backing_format != "qcow2" && disk.backing_format != "raw") {
    return invalid(fmt::format("disk {}: the format '{}' is neither qcow2 nor raw", disk.name, disk.backing_format));
  }
  if (disk.backing.empty() && (disk.read_only || disk.size.count <= 0)) {
    return invalid(fmt::format("disk {}: an empty disk needs a size and cannot be read-only", disk.name));
  }
  if (disk.size.count < 0 || disk.size.count % 512 != 0) {
    return invalid(fmt::format("disk {}: {} is no multiple of 512 bytes", disk.name, disk.size.to_string()));
  }
  return {};
}

Status check_nic(const NicSpec& nic) {
  if (!is_name(nic.name)) {
    return invalid(fmt::format("NIC name '{}': 1 to 32 letters, digits, '_' or '-' are possible", nic.name));
  }
  if (!is_mac(nic.mac)) return invalid(fmt::format("NIC {}: '{}' is no MAC address", nic.name, nic.mac));
  if (nic.mtu != 0 && (nic.mtu < 68 || nic.mtu > 65535)) {
    return invalid(fmt::format("NIC {}: an MTU of {} is outside 68 to 65535", nic.name, nic.mtu));
  }
  if (nic.kind == NicSpec::Kind::kUser) {
    if (nic.ssh_port < 0 || nic.ssh_port > 65535) {
      return invalid(fmt::format("NIC {}: {} is no TCP port", nic.name, nic.ssh_port));
    }
    return {};
  }
  if (nic.kind == NicSpec::Kind::kTap) {
    if (is_name(nic.tap) && nic.tap.size() < IFNAMSIZ) return {};
    return invalid(fmt::format("NIC {}: '{}' is no name of a tap device: 1 to {} letters, digits, '_' or '-'", nic.name,
                               nic.tap, IFNAMSIZ - 1));
  }
  for (const std::string& path : {nic.local_socket, nic.remote_socket}) {
    if (!is_absolute(path) || path.size() >= sizeof(sockaddr_un::sun_path)) {
      return invalid(fmt::format("NIC {}: '{}' is no absolute path under {} bytes, which a socket's must be", nic.name,
                                 path, sizeof(sockaddr_un::sun_path)));
    }
  }
  return {};
}

bool has_pci(std::string_view machine) { return machine != "microvm"; }
std::string machine_of(const HostSpec& spec, const MachineSettings& settings) {
  return spec.machine.empty() ? settings.default_machine : spec.machine;
}

Status check_machine(const HostSpec& spec, const MachineSettings& settings) {
  const std::string machine = machine_of(spec, settings);
  if (machine != "q35" && machine != "pc" && machine != "microvm") {
    return unsupported(fmt::format("machine '{}': the driver qemu has q35, pc and microvm", machine));
  }
  if (machine == "microvm" && spec.kernel.empty()) return invalid("machine microvm boots a kernel only: none is given");
  if (machine == "microvm" && spec.disks.size() + spec.nics.size() > kMicrovmDevices) {
    return invalid(fmt::format("machine microvm: {} disks and NICs together are possible, not {}", kMicrovmDevices,
                               spec.disks.size() + spec.nics.size()));
  }
  if (spec.firmware == "uefi") {
    if (machine == "microvm") return unsupported("firmware uefi: the machine microvm has none; choose q35 or pc");
    if (settings.uefi_code.empty()) {
      return unsupported("firmware uefi: no UEFI firmware is installed here (Debian package ovmf)");
    }
    if (spec.memory < kUefiMemory) {
      return invalid(fmt::format("firmware uefi: at least {} of memory are needed, not {}", kUefiMemory.to_string(),
                                 spec.memory.to_string()));
    }
  } else if (!spec.firmware.empty() && spec.firmware != "bios") {
    return unsupported(fmt::format("firmware '{}': the driver qemu has bios and uefi", spec.firmware));
  }
  if (spec.kernel.empty() && spec.disks.empty())
    return invalid("nothing to boot: neither a kernel nor a disk is given");
  if (spec.kernel.empty() && !(spec.initrd.empty() && spec.kernel_parameters.empty())) {
    return invalid("an initrd or kernel parameters need a kernel");
  }
  for (const std::string& path : {spec.kernel, spec.initrd}) {
    if (!path.empty() && !is_absolute(path)) return invalid(fmt::format("'{}' is no absolute path", path));
  }
  return {};
}

template <class Items>
Status check_unique(const Items& items, std::string_view what) {
  std::set<std::string> names;
  for (const auto& item : items) {
    if (!names.insert(item.name).second) return invalid(fmt::format("two {}s have the name {}", what, item.name));
  }
  return {};
}

class Arguments {
 public:
  Arguments(const HostSpec& spec, const HostFiles& files, const HostRecord& record, const MachineSettings& settings)
      : spec_(spec), files_(files), record_(record), settings_(settings), machine_(machine_of(spec, settings)) {}

  std::vector<std::string> make(bool load_state) {
    machine();
    boot();
    sockets();
    for (std::size_t i = 0; i < spec_.disks.size(); ++i) disk(spec_.disks[i], i);
    for (const auto& nic : spec_.nics) this->nic(nic);
    add("-S", {});
    if (load_state) add("-incoming", "defer");
    return std::move(list_);
  }

 private:
  void add(std::string option, std::string value) {
    list_.push_back(std::move(option));
    if (!value.empty()) list_.push_back(std::move(value));
  }
  // virtio devices are on PCI, on microvm on its own bus.
  std::string virtio(std::string_view kind) const {
    return fmt::format("virtio-{}-{}", kind, has_pci(machine_) ? "pci" : "device");
  }
  void machine();
  void boot();
  void sockets();
  void disk(const DiskSpec& disk, std::size_t index);
  void nic(const NicSpec& nic);

  const HostSpec& spec_;
  const HostFiles& files_;
  const HostRecord& record_;
  const MachineSettings& settings_;
  const std::string machine_;
  std::vector<std::string> list_;
};

void Arguments::machine() {
  const bool kvm = settings_.accelerator == "kvm";
  list_.push_back(settings_.qemu_program);
  add("-name", spec_.name.empty() ? spec_.id : spec_.name);
  add("-nodefaults", {});
  add("-no-user-config", {});
  add("-display", "none");
  add("-sandbox", "on,obsolete=deny,elevateprivileges=deny,spawn=deny,resourcecontrol=deny");
  add("-machine", machine_ + ",memory-backend=ram");
  add("-accel", kvm ? std::string("kvm") : fmt::format("tcg,thread=multi,tb-size={}", settings_.translation_cache_mib));
  add("-cpu", kvm ? kKvmProcessor : kTcgProcessor);
  add("-smp", fmt::format("{}", spec_.cpus));
  const std::int64_t memory_mib = spec_.memory.count / mib(1).count;
  add("-m", fmt::format("{}M", memory_mib));
  add("-object",
      fmt::format("memory-backend-file,id=ram,size={}M,share=on,mem-path={}", memory_mib, escape_commas(files_.ram)));
  add("-object", "rng-builtin,id=random");
  add("-device", virtio("rng") + ",rng=random");
  if (has_pci(machine_)) add("-device", "vmgenid,guid=" + record_.generation_id);
}

void Arguments::boot() {
  add("-boot", "strict=on");
  if (spec_.firmware == "uefi") {
    add("-drive", fmt::format("if=pflash,unit=0,format=raw,readonly=on,file={}", escape_commas(settings_.uefi_code)));
    add("-drive", "if=pflash,unit=1,format=raw,file=uefi-vars.fd");
  }
  if (spec_.kernel.empty()) return;
  add("-kernel", spec_.kernel);
  if (!spec_.initrd.empty()) add("-initrd", spec_.initrd);
  std::string parameters = spec_.kernel_parameters;
  // On this machine Linux has nothing by which it could measure the rate of its clock, and would check it against its
  // own ticks, of which a busy physical host loses some; for that reason it must not count them either to find out
  // whether its timer is wired up. With KVM it is told otherwise.
  if (!has_pci(machine_) && settings_.clock_khz != 0)
    parameters += fmt::format("{}tsc=reliable tsc_early_khz={} no_timer_check", parameters.empty() ? "" : " ",
                              settings_.clock_khz);
  if (!parameters.empty()) add("-append", parameters);
}

void Arguments::sockets() {
  add("-chardev", fmt::format("socket,id=qmp,fd={},server=on,wait=off", kQmpFd));
  add("-mon", "chardev=qmp,mode=control");
  add("-chardev", fmt::format("socket,id=events,fd={},server=on,wait=off", kEventsFd));
  add("-mon", "chardev=events,mode=control");
  add("-chardev",
      fmt::format("socket,id=console,fd={},server=on,wait=off,logfile={},logappend=on", kConsoleFd, kConsoleLog));
  add("-serial", "chardev:console");
  add("-chardev", fmt::format("socket,id=agent,fd={},server=on,wait=off", kAgentFd));
  add("-device", virtio("serial") + ",id=ports");
  add("-device", fmt::format("virtserialport,bus=ports.0,chardev=agent,name={}", kAgentPort));
}

void Arguments::disk(const DiskSpec& disk, std::size_t index) {
  const std::string node = disk_node(index);
  const auto file = [](const std::string& path) { return json::object{{"driver", "file"}, {"filename", path}}; };
  json::object top;
  if (disk.read_only) {
    top = {{"driver", disk.backing_format}, {"file", file(disk.backing)}};
  } else {
    json::value backing;  // null: what the overlay's header names is not followed
    if (!disk.backing.empty()) {
      json::object base{{"driver", disk.backing_format}, {"read-only", true}, {"file", file(disk.backing)}};
      if (disk.backing_format == "qcow2") base["backing"] = nullptr;
      backing = std::move(base);
    }
    top = {{"driver", "qcow2"},
           {"discard", "unmap"},
           {"file", file(fmt::format("disk-{}.qcow2", disk.name))},
           {"backing", backing}};
  }
  if (disk.read_only && disk.backing_format == "qcow2") top["backing"] = nullptr;
  top["node-name"] = node;
  top["read-only"] = disk.read_only;
  add("-blockdev", json::serialize(top));
  std::string device = fmt::format("{},drive={},serial={}", virtio("blk"), node, disk.name);
  if (index == 0 && has_pci(machine_)) device += ",bootindex=1";
  add("-device", device);
}

void Arguments::nic(const NicSpec& nic) {
  if (nic.kind == NicSpec::Kind::kSegment) {
    add("-netdev", fmt::format("dgram,id=net-{},local.type=unix,local.path={},remote.type=unix,remote.path={}",
                               nic.name, escape_commas(nic.local_socket), escape_commas(nic.remote_socket)));
  } else if (nic.kind == NicSpec::Kind::kTap) {
    add("-netdev", fmt::format("tap,id=net-{},ifname={},script=no,downscript=no,vhost=off", nic.name, nic.tap));
  } else {
    std::string user = fmt::format("user,id=net-{},ipv6=off,restrict={}", nic.name, nic.outward ? "off" : "on");
    if (nic.ssh_port != 0) user += fmt::format(",hostfwd=tcp:127.0.0.1:{}-:22", nic.ssh_port);
    add("-netdev", user);
  }
  std::string device =
      fmt::format("{},id={},netdev=net-{},mac={}", virtio("net"), nic_device(nic.name), nic.name, nic.mac);
  if (has_pci(machine_)) device += ",romfile=";
  if (nic.mtu != 0) device += fmt::format(",host_mtu={}", nic.mtu);
  add("-device", device);
}

}  // namespace

std::string escape_commas(std::string_view value) {
  std::string escaped;
  for (const char c : value) escaped.append(c == ',' ? 2 : 1, c);
  return escaped;
}

std::string disk_node(std::size_t index) { return fmt::format("disk{}", index); }

std::string nic_device(const std::string& nic_name) { return "nic-" + nic_name; }

Status check_spec(const HostSpec& spec, const MachineSettings& settings) {
  TRY(check_host_id(spec.id));
  if (!spec.name.empty()) {
    if (auto name = check_host_id(spec.name); !name)
      return invalid(fmt::format("host name: {}", name.error().message()));
  }
  if (spec.cpus < 1 || spec.cpus > 255) return invalid(fmt::format("{} processors: 1 to 255 are possible", spec.cpus));
  if (spec.memory < mib(1) || spec.memory.count % mib(1).count != 0) {
    return invalid(fmt::format("memory {}: whole MiB, at least one, are possible", spec.memory.to_string()));
  }
  TRY(check_machine(spec, settings));
  if (spec.disks.size() > kMaxDisks || spec.nics.size() > kMaxNics) {
    return invalid(fmt::format("at most {} disks and {} NICs are possible", kMaxDisks, kMaxNics));
  }
  for (const auto& disk : spec.disks) TRY(check_disk(disk));
  for (const auto& nic : spec.nics) TRY(check_nic(nic));
  TRY(check_unique(spec.disks, "disk"));
  return check_unique(spec.nics, "NIC");
}

std::vector<std::string> command_line(const HostSpec& spec, const HostFiles& files, const HostRecord& record,
                                      const MachineSettings& settings, bool load_state) {
  return Arguments(spec, files, record, settings).make(load_state);
}

}  // namespace nuraghe::hypervisor::qemu
