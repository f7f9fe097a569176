// freeze and thaw.
//
// Freezing changes nothing for good before the record says frozen: until then every error, and every kill, ends with
// the guest going on as before. From then on the rest (QEMU, RAM, sockets) is only removed.
#include <fcntl.h>
#include <fmt/format.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include <array>
#include <cerrno>

#include "base/crash_point.hpp"
#include "base/log.hpp"
#include "hypervisor/qemu/disks.hpp"
#include "hypervisor/qemu/memory.hpp"
#include "hypervisor/qemu/qemu_driver.hpp"
#include "hypervisor/qemu/shim_process.hpp"

namespace nuraghe::hypervisor::qemu {

namespace {

using namespace std::chrono_literals;

constexpr Duration kRevivalTime = 30s;
// Device state, records and the qcow2 metadata that QEMU still writes.
constexpr Bytes kSmallFiles = mib(1);

ReportProgress step_of(const Control& control, const char* step) {
  if (!control.on_progress) return {};
  return [&control, step](double fraction) { control.on_progress({step, fraction}); };
}

// QEMU writes its device state to memory, so that a full disk is met here, where it can be told from other failures.
Result<Bytes> save_device_state(Qmp& qmp, const std::string& path, const Deadline& deadline) {
  const env::UniqueFd state(::memfd_create("nuraghe-device-state", MFD_CLOEXEC));
  if (!state.valid()) return system_error("memfd_create", errno);
  TRY(qmp.save_devices(state.get(), deadline));
  struct stat info {};
  if (::fstat(state.get(), &info) != 0) return system_error("stat of the device state", errno);
  std::string bytes(static_cast<std::size_t>(info.st_size), '\0');
  if (::pread(state.get(), bytes.data(), bytes.size(), 0) != info.st_size)
    return system_error("read the device state", errno);
  TRY(env::write_file_durably(path, bytes, 0600));
  return Bytes{info.st_size};
}

FreezeReport report_of(const HostRecord& record) {
  return {record.memory_saved, record.device_state, record.disk_overlay, record.guest_pause};
}

}  // namespace

Result<FreezeReport> QemuDriver::freeze(const std::string& id, const Control& control) {
  TRY_ASSIGN(Subject subject, begin(Verb::kFreeze, id, control));
  HostRecord& record = subject.record;
  if (!subject.act) return report_of(record);
  Host& host = *subject.host;
  record.was_paused = record.phase == Phase::kPaused;
  TRY(check_room(host, record.was_paused, subject.deadline));
  const auto begin_time = Deadline::Clock::now();
  Status saved = [&]() -> Status {
    TRY_ASSIGN(Qmp qmp, Qmp::open(host.files.folder, subject.deadline));
    TRY(save(host, record, Phase::kFreezing));
    if (!record.was_paused) TRY(qmp.stop(subject.deadline));
    pass_crash_point(CrashPoint::kBeforeSend);
    TRY(save_host(host, qmp, record, subject.deadline, control));
    record.guest_pause = std::chrono::duration_cast<Duration>(Deadline::Clock::now() - begin_time);
    HostRecord frozen = record;
    frozen.phase = Phase::kFrozen;
    frozen.reason.clear();
    frozen.since = env::system_clock().now();
    pass_crash_point(CrashPoint::kBeforeCommit);
    TRY(env::write_file_durably(host.files.state(), encode_record(frozen), 0600));
    pass_crash_point(CrashPoint::kAfterCommit);
    record = frozen;
    return env::fsync_path(options_.root + "/hosts");
  }();
  if (!saved && record.phase != Phase::kFrozen) return return_to_life(host, record, std::move(saved).error());
  // It is frozen now. What cannot be released at once is released by the next verb on it.
  TRY(release(host, Deadline(kRevivalTime)));
  FreezeReport report = report_of(record);
  report.guest_pause = std::chrono::duration_cast<Duration>(Deadline::Clock::now() - begin_time);
  return report;
}

Status QemuDriver::check_room(const Host& host, bool was_paused, const Deadline& deadline) {
  TRY_ASSIGN(const Bytes free, env::free_space(host.files.folder));
  TRY_ASSIGN(const Bytes used, memory_in_use(host.files.ram, free - kSmallFiles, deadline));
  if (used + kSmallFiles <= free) return {};
  return Error(ErrorCode::kExhausted, disk_full(used + kSmallFiles, host.files.folder).message() +
                                          (was_paused ? "; the host stays paused" : "; the host goes on running"));
}

Status QemuDriver::save_host(Host& host, Qmp& qmp, HostRecord& record, const Deadline& deadline,
                             const Control& control) {
  // Devices first: their last transfers may still write to the RAM.
  const auto device_state = save_device_state(qmp, host.files.device(), deadline);
  if (!device_state) return device_state.error();
  record.device_state = *device_state;
  pass_crash_point(CrashPoint::kBeforeCommit);
  TRY_ASSIGN(record.memory_saved,
             save_memory(host.files.ram, host.files.memory(), deadline, step_of(control, "saving memory")));
  TRY_ASSIGN(const HostSpec spec, read_record<HostSpec>(host.files.spec()));
  TRY(sync_disks(spec, host.files));
  record.disk_overlay = size_of_disks(spec, host.files);
  return env::fsync_path(host.files.spec());
}

Error QemuDriver::return_to_life(Host& host, HostRecord& record, Error error) {
  const Deadline deadline(kRevivalTime);
  if (error.code() == ErrorCode::kExhausted) {
    const auto used = memory_in_use(host.files.ram, Bytes{}, deadline);
    error = disk_full((used ? *used : allocated_size(host.files.ram)) + kSmallFiles, host.files.folder);
  }
  const bool was_paused = record.was_paused;
  const Status revived = revive(host, record, deadline);
  if (!revived) return Error(error).with(fmt::format("(and it could not go on: {})", revived.error().to_string()));
  if (record.phase == Phase::kLost) return conflict(fmt::format("host {} was lost ({})", host.id, record.reason));
  return Error(error.code(),
               error.to_string() + (was_paused ? "; the host stays paused" : "; the host goes on running"));
}

// From kFreezing back to what was before.
Status QemuDriver::revive(Host& host, HostRecord& record, const Deadline& deadline) {
  for (const std::string& path : {host.files.memory(), host.files.device()}) TRY(env::remove_tree(path));
  auto qmp = Qmp::open(host.files.folder, deadline);
  if (!qmp) {
    TRY_ASSIGN(const auto shim, find_shim(host.files));
    if (!shim) return become_lost(host, record, end_of_qemu(host.files), deadline);
    return std::move(qmp).error();
  }
  if (record.was_paused) {
    TRY(save(host, record, Phase::kPaused));
  } else {
    TRY(qmp->cont(deadline));
    TRY(save(host, record, Phase::kRunning));
  }
  return watch_shim(host, record, deadline);
}

Status QemuDriver::thaw(const std::string& id, bool start_paused, const Control& control) {
  TRY_ASSIGN(Subject subject, begin(start_paused ? Verb::kThawPaused : Verb::kThaw, id, control));
  if (!subject.act) return {};
  Host& host = *subject.host;
  HostRecord& record = subject.record;
  record.boot_id = current_boot_id();
  record.reason.clear();
  TRY(save(host, record, Phase::kThawing));
  Status thawed = thaw_host(host, record, start_paused, subject.deadline, control);
  if (thawed) return thawed;
  if (record.phase != Phase::kThawing) return thawed;  // it has left the frozen state: the next verb completes it
  const Status back = [&]() -> Status {
    TRY(release(host, Deadline(kRevivalTime)));
    return save(host, record, Phase::kFrozen);
  }();
  if (!back)
    log_error("qemu", "cannot clean up after a failed thaw", {{"host", id}, {"error", back.error().to_string()}});
  return std::move(thawed).error().with("thawing; the host stays frozen");
}

Status QemuDriver::thaw_host(Host& host, HostRecord& record, bool start_paused, const Deadline& deadline,
                             const Control& control) {
  TRY_ASSIGN(const HostSpec spec, read_record<HostSpec>(host.files.spec()));
  if (control.on_progress) control.on_progress({"reserving memory", -1});
  TRY(reserve_memory(host.files.ram, spec.memory));
  TRY(restore_memory(host.files.memory(), host.files.ram, deadline, step_of(control, "restoring memory")));
  TRY_ASSIGN(Qmp qmp, start_qemu(host, spec, record, true, deadline));
  const env::UniqueFd state(::open(host.files.device().c_str(), O_RDONLY | O_CLOEXEC));
  if (!state.valid()) return system_error("open " + host.files.device(), errno);
  TRY(qmp.load_devices(state.get(), deadline));
  TRY(plug_links(qmp, record, deadline));
  // From here on the guest may write to its disks, and the saved memory would no longer fit them.
  TRY(save(host, record, start_paused ? Phase::kPaused : Phase::kContinuing));
  if (!start_paused) {
    pass_crash_point(CrashPoint::kBeforeSend);
    TRY(qmp.cont(deadline));
    TRY(save(host, record, Phase::kRunning));
  }
  TRY(watch_shim(host, record, deadline));
  for (const std::string& path : {host.files.memory(), host.files.device()}) TRY(env::remove_tree(path));
  return {};
}

Status QemuDriver::move_ssh(const std::string& id, int port, const Control& control) {
  TRY(check_host_id(id));
  const HostPtr host = entry(id);
  const Deadline deadline(control, host->abort.fd());
  TRY_ASSIGN(const HostGuard guard, acquire(host, deadline));
  TRY_ASSIGN(const auto record, settle(*host, deadline));
  if (!record) return not_found(fmt::format("there is no host {}", id));
  if (record->phase != Phase::kFrozen)
    return conflict(fmt::format("host {} is {}: only that of a frozen one can be moved", id,
                                host_state_name(condition_of(*host, *record).state)));
  TRY_ASSIGN(HostSpec spec, read_record<HostSpec>(host->files.spec()));
  TRY(hypervisor::move_ssh(spec, port));
  return env::write_file_durably(host->files.spec(), encode_record(spec), 0600);
}

}  // namespace nuraghe::hypervisor::qemu
