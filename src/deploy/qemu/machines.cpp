#include "deploy/qemu/machines.hpp"

#include <fcntl.h>
#include <fmt/format.h>
#include <unistd.h>

#include <cerrno>
#include <map>
#include <mutex>
#include <optional>
#include <utility>
#include <vector>

#include "deploy/description.hpp"
#include "env/posix.hpp"
#include "hypervisor/files.hpp"
#include "hypervisor/qemu/qmp.hpp"
#include "hypervisor/states.hpp"
#include "hypervisor/wait.hpp"

namespace nuraghe::deploy {
namespace {

using hypervisor::Deadline;
using hypervisor::qemu::Qmp;

constexpr Bytes kLeastMemory = mib(16);
constexpr std::size_t kMostCards = 8;
constexpr std::size_t kMostDisks = 8;
constexpr Duration kEndPause = std::chrono::milliseconds(20);

Result<Hardware> describe(const Target& target) {
  TRY_ASSIGN(auto hardware, parse_description(target));
  if (hardware.firmware == "uefi")
    return unsupported(fmt::format("machine {}: the driver qemu has machines with a BIOS only", target.name));
  if (!hardware.devices.empty())
    return unsupported(
        fmt::format("machine {}: the driver qemu has no device {}", target.name, hardware.devices.front()));
  if (hardware.cpus == 0) hardware.cpus = 1;
  if (hardware.memory.count == 0) hardware.memory = mib(256);
  if (hardware.memory < kLeastMemory)
    return invalid(fmt::format("machine {}: {} of memory are less than {}", target.name, hardware.memory.to_string(),
                               kLeastMemory.to_string()));
  if (hardware.disks.empty()) hardware.disks.push_back({"", "", gib(1)});
  hardware.firmware = "bios";
  hardware.architecture = "x86_64";
  name_parts(hardware, target, hash_of(0, target.name), "QEMU");
  if (hardware.disks.size() > kMostDisks || hardware.network_cards.size() > kMostCards)
    return invalid(
        fmt::format("machine {}: more than {} disks or {} network cards", target.name, kMostDisks, kMostCards));
  return hardware;
}

// Sparse; one that is there stays as it is.
Status make_disk(const std::string& path, Bytes size) {
  const env::UniqueFd fd(::open(path.c_str(), O_CREAT | O_EXCL | O_WRONLY | O_CLOEXEC, 0600));
  if (!fd.valid()) return errno == EEXIST ? Status() : Status(system_error("make " + path, errno));
  if (::ftruncate(fd.get(), size.count) != 0) return system_error("make " + path, errno);
  return {};
}

// Names are relative to the machine's folder: a socket's name must be short, and a path may hold any character.
std::vector<std::string> command_line(const std::string& program, const Target& target, const Hardware& hardware,
                                      BootDevice boot) {
  std::vector<std::string> line = {program,
                                   "-name",
                                   "machine-" + target.name,
                                   "-machine",
                                   "q35,accel=tcg",
                                   "-smp",
                                   fmt::format("{}", hardware.cpus),
                                   "-m",
                                   fmt::format("{}", hardware.memory.count / mib(1).count),
                                   "-nodefaults",
                                   "-no-user-config",
                                   "-display",
                                   "none",
                                   "-serial",
                                   "file:console.log",
                                   "-qmp",
                                   "unix:qmp.sock,server=on,wait=off",
                                   "-boot",
                                   boot == BootDevice::kNetwork ? "order=n" : "order=c",
                                   "-daemonize"};
  for (std::size_t i = 0; i < hardware.disks.size(); ++i) {
    line.insert(
        line.end(),
        {"-blockdev", fmt::format("driver=raw,node-name=d{0},file.driver=file,file.filename=disk{0}.raw", i + 1),
         "-device", fmt::format("virtio-blk-pci,drive=d{},serial={}", i + 1, hardware.disks[i].serial)});
  }
  for (std::size_t i = 0; i < hardware.network_cards.size(); ++i) {
    line.insert(line.end(), {"-netdev", fmt::format("user,id=n{},restrict=on", i), "-device",
                             fmt::format("virtio-net-pci,netdev=n{},mac={}", i, hardware.network_cards[i].mac)});
  }
  return line;
}

class Machines final : public PowerDriver {
 public:
  explicit Machines(QemuMachinesOptions options) : options_(std::move(options)) {}

  Status check(const Target& target) const override {
    TRY(hypervisor::check_host_id(target.name));
    TRY(describe(target));
    return {};
  }
  Result<PowerState> status(const Target& target, const Control& control) override;
  Status command(const Target& target, PowerCommand command, const Control& control) override;
  Status set_boot_device(const Target& target, BootDevice device, const Control& control) override;
  Result<std::vector<Sensor>> read_sensors(const Target& target, const Control&) override {
    return unsupported(fmt::format("machine {} is of the driver qemu: it has no sensors", target.name));
  }
  Result<Hardware> inventory(const Target& target, const Control& control) override {
    TRY(Deadline(control).check("inventory of machine " + target.name));
    return describe(target);
  }

 private:
  // Gives the machine's turn back when it goes.
  using Held = std::shared_ptr<void>;
  Result<Held> hold(const Target& target, const Deadline& deadline);
  Status start(const Target& target, const Deadline& deadline);
  // Its monitor; nullopt: nobody answers, the machine is off.
  Result<std::optional<Qmp>> monitor(const Target& target, const Deadline& deadline) const;
  Status cut(const Target& target, Qmp qmp, const Deadline& deadline) const;
  BootDevice boot_device(const Target& target) const;
  std::string folder(const Target& target) const { return options_.root + "/" + target.name; }

  QemuMachinesOptions options_;
  std::mutex mutex_;
  std::map<std::string, std::shared_ptr<hypervisor::EventLock>> locks_;  // one per machine that was ever asked for
};

Result<Machines::Held> Machines::hold(const Target& target, const Deadline& deadline) {
  TRY(check(target));
  std::shared_ptr<hypervisor::EventLock> lock;
  {
    const std::lock_guard guard(mutex_);
    auto& slot = locks_[target.name];
    if (!slot) slot = std::make_shared<hypervisor::EventLock>();
    lock = slot;
  }
  TRY(lock->acquire(deadline, "other work on machine " + target.name + " to end"));
  return Held(nullptr, [lock](void*) { lock->release(); });
}

Result<std::optional<Qmp>> Machines::monitor(const Target& target, const Deadline& deadline) const {
  auto qmp = Qmp::open(folder(target), deadline);
  if (qmp) return std::optional<Qmp>(std::move(*qmp));
  const auto code = qmp.error().code();
  if (code == ErrorCode::kUnavailable || code == ErrorCode::kNotFound) return std::optional<Qmp>();
  return qmp.error();
}

BootDevice Machines::boot_device(const Target& target) const {
  const auto text = env::read_file(folder(target) + "/boot");
  return text && *text == name_of(BootDevice::kNetwork) ? BootDevice::kNetwork : BootDevice::kDisk;
}

Status Machines::start(const Target& target, const Deadline& deadline) {
  TRY_ASSIGN(const auto hardware, describe(target));
  TRY(env::make_directories(folder(target), 0700));
  for (std::size_t i = 0; i < hardware.disks.size(); ++i)
    TRY(make_disk(fmt::format("{}/disk{}.raw", folder(target), i + 1), hardware.disks[i].size));
  TRY(env::remove_tree(folder(target) + "/qmp.sock"));
  TRY(deadline.check("start of machine " + target.name));
  env::CommandOptions options;
  options.directory = folder(target);
  // A second QEMU cannot come of a repeat: it does not get the lock of the disks.
  auto started = env::run_command_ok(command_line(options_.program, target, hardware, boot_device(target)), options);
  if (!started) return std::move(started).error().with("starting machine " + target.name);
  return {};
}

Status Machines::cut(const Target& target, Qmp qmp, const Deadline& deadline) const {
  TRY(qmp.execute("quit", "", deadline));
  const std::string what = "end of machine " + target.name;
  for (;;) {
    TRY_ASSIGN(const auto still, monitor(target, deadline));
    if (!still) return {};
    const auto paused = deadline.at_most(kEndPause).wait({}, what);
    if (!paused && paused.error().code() != ErrorCode::kTimeout) return paused;
    TRY(deadline.check(what));
  }
}

Result<PowerState> Machines::status(const Target& target, const Control& control) {
  const Deadline deadline(control);
  TRY(deadline.check("power of machine " + target.name));
  TRY_ASSIGN(const auto held, hold(target, deadline));
  TRY_ASSIGN(const auto qmp, monitor(target, deadline));
  return qmp ? PowerState::kOn : PowerState::kOff;
}

Status Machines::command(const Target& target, PowerCommand command, const Control& control) {
  const Deadline deadline(control);
  TRY(deadline.check(fmt::format("{} of machine {}", name_of(command), target.name)));
  TRY_ASSIGN(const auto held, hold(target, deadline));
  TRY_ASSIGN(auto qmp, monitor(target, deadline));
  switch (command) {
    case PowerCommand::kOn:
      return qmp ? Status() : start(target, deadline);
    case PowerCommand::kSoftOff:
      if (qmp) TRY(qmp->execute("system_powerdown", "", deadline));
      return {};
    case PowerCommand::kHardOff:
      return qmp ? cut(target, std::move(*qmp), deadline) : Status();
    case PowerCommand::kCycle:
      if (qmp) TRY(cut(target, std::move(*qmp), deadline));
      return start(target, deadline);
  }
  return internal("a command without effect");
}

Status Machines::set_boot_device(const Target& target, BootDevice device, const Control& control) {
  const Deadline deadline(control);
  TRY_ASSIGN(const auto held, hold(target, deadline));
  TRY(env::make_directories(folder(target), 0700));
  return hypervisor::replace_file(folder(target) + "/boot", name_of(device));
}

}  // namespace

Result<std::unique_ptr<PowerDriver>> open_qemu_machines(QemuMachinesOptions options) {
  if (options.root.empty()) return invalid("machines of the driver qemu need a root folder");
  TRY(env::make_directories(options.root, 0700));
  return std::unique_ptr<PowerDriver>(std::make_unique<Machines>(std::move(options)));
}

}  // namespace nuraghe::deploy
