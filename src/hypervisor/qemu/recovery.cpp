// What a record becomes that says that something was in the middle, or whose QEMU is gone: see Phase in host_files.hpp.
#include <fmt/format.h>
#include <unistd.h>

#include <cerrno>

#include "base/crash_point.hpp"
#include "base/log.hpp"
#include "hypervisor/qemu/disks.hpp"
#include "hypervisor/qemu/memory.hpp"
#include "hypervisor/qemu/qemu_driver.hpp"
#include "hypervisor/qemu/shim_process.hpp"

namespace nuraghe::hypervisor::qemu {

namespace {

// Phases in which a QEMU must be there.
bool needs_process(Phase phase) {
  switch (phase) {
    case Phase::kRunning:
    case Phase::kPaused:
    case Phase::kPausing:
    case Phase::kResuming:
    case Phase::kFreezing:
    case Phase::kContinuing:
      return true;
    default:
      return false;
  }
}

// Of the run states of QEMU 7.2 (qapi/run-state.json, RunState) those in which a guest was stopped.
std::string why_stopped(const std::string& status) {
  if (status == "io-error") return "a transfer of one of its disks failed";
  if (status == "guest-panicked") return "its system panicked";
  if (status == "internal-error") return "QEMU met an internal error";
  if (status == "shutdown") return "its system shut down";
  if (status == "watchdog") return "its watchdog expired";
  if (status == "paused") return "somebody else told QEMU to";
  return fmt::format("QEMU is in the state '{}'", status);
}

std::string disk_reason(const DiskFailure& failure, const HostSpec& spec) {
  std::string name = failure.node;
  for (std::size_t i = 0; i < spec.disks.size(); ++i) {
    if (disk_node(i) == failure.node) name = spec.disks[i].name;
  }
  return failure.is_full ? fmt::format("no space left for its disk {}", name)
                         : fmt::format("a transfer of its disk {} failed", name);
}

Status remove_file(const std::string& path) {
  if (::unlink(path.c_str()) != 0 && errno != ENOENT) return system_error("remove " + path, errno);
  return {};
}

}  // namespace

Result<std::optional<HostRecord>> QemuDriver::settle(Host& host, const Deadline& deadline) {
  if (!env::path_exists(host.files.folder)) return std::optional<HostRecord>();
  if (env::path_exists(tombstone(host.id))) {  // killed in the middle of destroy
    TRY(finish_destroy(host, deadline));
    return std::optional<HostRecord>();
  }
  HostRecord record;
  if (!env::path_exists(host.files.state())) {  // killed at the very beginning of create
    TRY(settle_phase(host, record, deadline));
    return std::optional<HostRecord>(record);
  }
  auto read = read_record<HostRecord>(host.files.state());
  if (read) {
    record = std::move(*read);
    if (needs_process(record.phase) && record.boot_id != current_boot_id()) {
      TRY(become_lost(host, record, "the physical host was started anew", deadline));
    } else {
      TRY(settle_phase(host, record, deadline));
    }
  } else {
    TRY(become_lost(host, record, "its record cannot be read: " + read.error().to_string(), deadline));
  }
  return std::optional<HostRecord>(std::move(record));
}

Status QemuDriver::settle_phase(Host& host, HostRecord& record, const Deadline& deadline) {
  if (needs_process(record.phase)) {
    TRY_ASSIGN(const auto shim, find_shim(host.files));
    if (!shim) return become_lost(host, record, end_of_qemu(host.files), deadline);
  }
  switch (record.phase) {
    case Phase::kCreating: {
      TRY(release(host, deadline));
      if (const auto spec = read_record<HostSpec>(host.files.spec())) TRY(remove_disks(*spec, host.files));
      for (const std::string& path : {host.files.memory(), host.files.device()}) TRY(env::remove_tree(path));
      record.reason = "its creation was interrupted";
      return save(host, record, Phase::kFailed);
    }
    case Phase::kRunning:
    case Phase::kPaused:
      // Left behind by a thaw that was killed after it had changed the record.
      TRY(remove_file(host.files.memory()));
      return remove_file(host.files.device());
    case Phase::kPausing:
    case Phase::kResuming:
    case Phase::kContinuing:
      return settle_run_state(host, record, deadline);
    case Phase::kFreezing:
      return revive(host, record, deadline);
    case Phase::kFrozen:
      return release(host, deadline);
    case Phase::kThawing:
      TRY(release(host, deadline));
      return save(host, record, Phase::kFrozen);
    case Phase::kFailed:
    case Phase::kLost:
      return {};
  }
  return corrupt(fmt::format("the record of host {} has an unknown phase", host.id));
}

Status QemuDriver::settle_run_state(Host& host, HostRecord& record, const Deadline& deadline) {
  auto qmp = Qmp::open(host.files.folder, deadline);
  if (!qmp) return std::move(qmp).error().with("asking QEMU for its state");
  if (record.phase == Phase::kContinuing) {
    TRY(qmp->cont(deadline));
    TRY(save(host, record, Phase::kRunning));
  } else {
    TRY_ASSIGN(const std::string status, qmp->status(deadline));
    TRY(save(host, record, status == "running" ? Phase::kRunning : Phase::kPaused));
  }
  return watch_shim(host, record, deadline);
}

Status QemuDriver::watch_shim(Host& host, HostRecord& record, const Deadline& deadline) {
  TRY_ASSIGN(auto shim, find_shim(host.files));
  if (!shim) return become_lost(host, record, end_of_qemu(host.files), deadline);
  TRY(watcher_.watch(host.id, std::move(shim->pidfd)));
  auto monitor = connect_in(host.files.folder, kEventsSocket);
  if (monitor) return watcher_.watch_events(host.id, std::move(*monitor));
  // Its end is seen without, and a host that was started when there was no second monitor has none.
  log_warning("qemu", "nobody will tell when a host stops by itself",
              {{"host", host.id}, {"error", monitor.error().to_string()}});
  return {};
}

Status QemuDriver::notice_stop(Host& host, HostRecord& record, const Deadline& deadline) {
  TRY_ASSIGN(Qmp qmp, Qmp::open(host.files.folder, deadline));
  TRY_ASSIGN(const std::string status, qmp.status(deadline));
  if (status == "running") return {};  // stopped and continued meanwhile
  record.reason = why_stopped(status);
  if (status == "io-error") {
    TRY_ASSIGN(const auto failure, qmp.disk_failure(deadline));
    const auto spec = read_record<HostSpec>(host.files.spec());
    if (failure && spec) record.reason = disk_reason(*failure, *spec);
  }
  log_warning("qemu", "a host was stopped by its hypervisor", {{"host", host.id}, {"reason", record.reason}});
  TRY(save(host, record, Phase::kPaused));
  watcher_.announce(host.id);
  return {};
}

Status QemuDriver::become_lost(Host& host, HostRecord& record, const std::string& reason, const Deadline& deadline) {
  // RAM that was half saved is of no use any more.
  TRY(remove_file(host.files.memory()));
  TRY(remove_file(host.files.device()));
  TRY(release(host, deadline));
  record.was_paused = record.phase == Phase::kPaused || (record.phase == Phase::kFreezing && record.was_paused);
  record.reason = reason;
  record.phase = Phase::kLost;
  record.since = env::system_clock().now();
  TRY(replace_file(host.files.state(), encode_record(record)));
  watcher_.announce(host.id);
  return {};
}

Status QemuDriver::release(Host& host, const Deadline& deadline) {
  watcher_.unwatch(host.id);
  TRY(end_shim(host.files, deadline));
  pass_crash_point(CrashPoint::kBeforeSend);
  TRY(release_memory(host.files.ram));
  pass_crash_point(CrashPoint::kBeforeSend);
  for (const char* name : {kQmpSocket, kAgentSocket, kConsoleSocket, kEventsSocket, "shim", "shim.new", "shim.lock"}) {
    TRY(remove_file(host.files.folder + "/" + name));
  }
  const auto spec = read_record<HostSpec>(host.files.spec());
  if (!spec) return {};
  for (const auto& nic : spec->nics) {
    if (nic.kind == NicSpec::Kind::kSegment) TRY(remove_file(nic.local_socket));
  }
  return {};
}

}  // namespace nuraghe::hypervisor::qemu
