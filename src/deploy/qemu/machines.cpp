#include "deploy/qemu/machines.hpp"

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <cerrno>
#include <csignal>
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
// A QEMU that does not answer at its monitor for so long has lost it.
constexpr Duration kAnswer = std::chrono::seconds(3);
// A QEMU that is told to end has so long before it is killed.
constexpr Duration kGrace = std::chrono::seconds(5);

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
                                   "-pidfile",
                                   "qemu.pid",
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

// Who holds a lock of the file that would keep a lock of ours away, of this kind (F_GETLK, F_OFD_GETLK); nullopt:
// nobody, or there is no such file.
Result<std::optional<pid_t>> holder_of(const std::string& path, int command) {
  const env::UniqueFd fd(::open(path.c_str(), O_RDWR | O_CLOEXEC));
  if (!fd.valid()) {
    if (errno == ENOENT) return std::optional<pid_t>();
    return system_error("open " + path, errno);
  }
  struct flock lock = {};
  lock.l_type = F_WRLCK;
  lock.l_whence = SEEK_SET;
  if (::fcntl(fd.get(), command, &lock) != 0) return system_error("ask for the lock of " + path, errno);
  return lock.l_type == F_UNLCK ? std::optional<pid_t>() : std::optional<pid_t>(lock.l_pid);
}

// A machine that is on. One of them may be missing: the monitor when it was lost, the process when it was started
// without qemu.pid.
struct Running {
  std::optional<Qmp> monitor;
  env::UniqueFd process;  // a pidfd: readable when it ended
};

// The process that holds the lock of qemu.pid; invalid: nobody does.
Result<env::UniqueFd> process_of(const std::string& pid_file) {
  TRY_ASSIGN(const auto pid, holder_of(pid_file, F_GETLK));
  if (!pid || *pid <= 0) return env::UniqueFd();
  env::UniqueFd process(static_cast<int>(::syscall(SYS_pidfd_open, *pid, 0U)));
  if (!process.valid()) {
    if (errno == ESRCH) return env::UniqueFd();
    return system_error(fmt::format("watch the process {}", *pid), errno);
  }
  // It still holds the lock, so it is the one that was watched, and no later one of the same number.
  TRY_ASSIGN(const auto still, holder_of(pid_file, F_GETLK));
  return still == pid ? std::move(process) : env::UniqueFd();
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
  bool sees_cycles() const override { return true; }
  Result<Hardware> inventory(const Target& target, const Control& control) override {
    TRY(Deadline(control).check("inventory of machine " + target.name));
    return describe(target);
  }

 private:
  // Gives the machine's turn back when it goes.
  using Held = std::shared_ptr<void>;
  Result<Held> hold(const Target& target, const Deadline& deadline);
  Status start(const Target& target, const Deadline& deadline);
  // Its monitor; nullopt: nobody answers there.
  Result<std::optional<Qmp>> monitor(const Target& target, const Deadline& deadline) const;
  // The process that is the machine; nullopt: it is off. kUnavailable: somebody uses its disk, nobody knows who.
  Result<std::optional<Running>> running(const Target& target, const Deadline& deadline) const;
  Status cut(const Target& target, Running machine, const Deadline& deadline) const;
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

Result<std::optional<Running>> Machines::running(const Target& target, const Deadline& deadline) const {
  Running machine;
  TRY_ASSIGN(machine.process, process_of(folder(target) + "/qemu.pid"));
  const bool is_known = machine.process.valid();
  auto found = monitor(target, is_known ? deadline.at_most(kAnswer) : deadline);
  if (!found && (!is_known || found.error().code() == ErrorCode::kCancelled)) return found.error();
  if (found) machine.monitor = std::move(*found);
  if (is_known || machine.monitor) return std::optional<Running>(std::move(machine));
  TRY_ASSIGN(const auto other, holder_of(folder(target) + "/disk1.raw", F_OFD_GETLK));
  if (!other) return std::optional<Running>();
  return unavailable(fmt::format(
      "machine {}: a process uses its disk {}/disk1.raw, but neither answers at qmp.sock nor holds qemu.pid, so nobody "
      "knows which; end it (fuser {}/disk1.raw)",
      target.name, folder(target), folder(target)));
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
  // A second QEMU cannot come of a repeat: it gets the lock neither of qemu.pid nor of the disks.
  auto started = env::run_command_ok(command_line(options_.program, target, hardware, boot_device(target)), options);
  if (!started) return std::move(started).error().with("starting machine " + target.name);
  return {};
}

Status Machines::cut(const Target& target, Running machine, const Deadline& deadline) const {
  const std::string what = "end of machine " + target.name;
  const auto told = machine.monitor ? machine.monitor->execute("quit", "", deadline.at_most(kGrace))
                                    : Result<std::string>(unavailable("its monitor is lost"));
  if (!machine.process.valid()) {
    // Started without qemu.pid: the monitor is all there is, and it goes when QEMU does.
    TRY(told);
    for (;;) {
      TRY_ASSIGN(const auto still, monitor(target, deadline));
      if (!still) return {};
      const auto paused = deadline.at_most(kEndPause).wait({}, what);
      if (!paused && paused.error().code() != ErrorCode::kTimeout) return paused;
      TRY(deadline.check(what));
    }
  }
  if (told) {
    const Status ended = deadline.at_most(kGrace).wait_readable(machine.process.get(), what);
    if (ended || ended.error().code() != ErrorCode::kTimeout) return ended;
  }
  TRY(deadline.check(what));
  if (::syscall(SYS_pidfd_send_signal, machine.process.get(), SIGKILL, nullptr, 0U) != 0 && errno != ESRCH)
    return system_error("kill machine " + target.name, errno);
  return deadline.wait_readable(machine.process.get(), what);
}

Result<PowerState> Machines::status(const Target& target, const Control& control) {
  const Deadline deadline(control);
  TRY(deadline.check("power of machine " + target.name));
  TRY_ASSIGN(const auto held, hold(target, deadline));
  TRY_ASSIGN(const auto machine, running(target, deadline));
  return machine ? PowerState::kOn : PowerState::kOff;
}

Status Machines::command(const Target& target, PowerCommand command, const Control& control) {
  const Deadline deadline(control);
  TRY(deadline.check(fmt::format("{} of machine {}", name_of(command), target.name)));
  TRY_ASSIGN(const auto held, hold(target, deadline));
  TRY_ASSIGN(auto machine, running(target, deadline));
  switch (command) {
    case PowerCommand::kOn:
      return machine ? Status() : start(target, deadline);
    case PowerCommand::kSoftOff:
      if (!machine) return {};
      if (!machine->monitor)
        return unavailable(fmt::format("machine {} cannot be asked to end: its monitor is lost", target.name));
      TRY(machine->monitor->execute("system_powerdown", "", deadline));
      return {};
    case PowerCommand::kHardOff:
      return machine ? cut(target, std::move(*machine), deadline) : Status();
    case PowerCommand::kCycle:
      if (machine) TRY(cut(target, std::move(*machine), deadline));
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
