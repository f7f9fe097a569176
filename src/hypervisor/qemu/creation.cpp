// create, destroy, forget.
#include <fmt/format.h>
#include <net/if.h>
#include <sys/stat.h>

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

// For cleaning up after an error or a cancellation, which must not be cut short by it.
constexpr Duration kCleaningTime = 30s;

// QEMU with the rights would make a tap that is not there, and the guest would hang in the air.
Status check_taps(const HostSpec& spec) {
  for (const auto& nic : spec.nics) {
    if (nic.kind == NicSpec::Kind::kTap && ::if_nametoindex(nic.tap.c_str()) == 0)
      return not_found(fmt::format("NIC {}: there is no tap device {} on this physical host", nic.name, nic.tap));
  }
  return {};
}

void tell(const Control& control, std::string step) {
  if (control.on_progress) control.on_progress({std::move(step), -1});
}

}  // namespace

Status QemuDriver::create(const HostSpec& spec, const Control& control) {
  TRY(check_spec(spec, settings_));
  const HostPtr host = entry(spec.id);
  const Deadline deadline(control, host->abort.fd());
  TRY_ASSIGN(const HostGuard guard, acquire(host, deadline));
  TRY_ASSIGN(const auto before, settle(*host, deadline));
  if (env::path_exists(tombstone(spec.id))) return must_act(Verb::kCreate, HostState::kDestroyed, spec.id).error();
  if (before && before->phase != Phase::kFailed) {
    const auto condition = condition_of(*host, *before);
    if (condition.lost)
      return conflict(fmt::format("host {} was lost ({}): destroy it first", spec.id, before->reason));
    TRY(must_act(Verb::kCreate, condition.state, spec.id));
    TRY_ASSIGN(const std::string stored, env::read_file(host->files.spec()));
    if (stored == encode_record(spec)) return {};
    return conflict(fmt::format("host {} exists already, with another specification", spec.id));
  }
  TRY(env::remove_tree(host->files.folder));
  HostRecord record;
  record.since = env::system_clock().now();
  record.boot_id = current_boot_id();
  record.generation_id = new_generation_id();
  for (const auto& nic : spec.nics) record.links[nic.name] = nic.link_up;
  Status created = create_host(*host, spec, record, deadline, control);
  return created ? created : abandon(*host, spec, record, std::move(created).error());
}

Status QemuDriver::create_host(Host& host, const HostSpec& spec, HostRecord& record, const Deadline& deadline,
                               const Control& control) {
  TRY(env::make_directories(host.files.folder, 0700));
  TRY(replace_file(host.files.spec(), encode_record(spec)));
  TRY(save(host, record, Phase::kCreating));
  TRY(replace_file(host.files.console_log(), ""));
  tell(control, "reserving memory");
  TRY(reserve_memory(host.files.ram, spec.memory));
  pass_crash_point(CrashPoint::kBeforeSend);
  tell(control, "making disks");
  TRY(make_disks(spec, host.files, options_.qemu_img_program, options_.uefi_variables, deadline));
  tell(control, "starting QEMU");
  TRY_ASSIGN(Qmp qmp, start_qemu(host, spec, record, false, deadline));
  TRY(plug_links(qmp, record, deadline));
  pass_crash_point(CrashPoint::kBeforeSend);
  TRY(qmp.cont(deadline));
  TRY(save(host, record, Phase::kRunning));
  return watch_shim(host, record, deadline);
}

Result<Qmp> QemuDriver::start_qemu(Host& host, const HostSpec& spec, const HostRecord& record, bool load_state,
                                   const Deadline& deadline) {
  TRY(check_taps(spec));
  TRY(start_shim(options_.shim_program, host.files, command_line(spec, host.files, record, settings_, load_state),
                 deadline));
  pass_crash_point(CrashPoint::kBeforeSend);
  auto qmp = Qmp::open(host.files.folder, deadline);
  if (qmp || qmp.error().code() != ErrorCode::kUnavailable) return qmp;
  // Nobody at the other end: QEMU is ending. Its shim writes down how.
  TRY_ASSIGN(const auto shim, find_shim(host.files));
  if (shim) TRY(deadline.at_most(5s).wait_readable(shim->pidfd.get(), "end of QEMU"));
  const auto end = read_record<ShimRecord>(host.files.shim());
  if (!end) return unavailable("QEMU did not start and its shim could not say why");
  const std::string message = fmt::format("QEMU did not start: {}", exit_reason(*end));
  return WIFEXITED(end->exit_status) && end->exit_status != 0 ? invalid(message) : unavailable(message);
}

Status QemuDriver::plug_links(Qmp& qmp, const HostRecord& record, const Deadline& deadline) {
  for (const auto& [nic, up] : record.links) {
    if (!up) TRY(qmp.set_link(nic_device(nic), false, deadline));
  }
  return {};
}

Status QemuDriver::abandon(Host& host, const HostSpec& spec, HostRecord& record, Error error) {
  const Status cleaned = [&]() -> Status {
    if (!env::path_exists(host.files.folder)) return {};
    TRY(release(host, Deadline(kCleaningTime)));
    TRY(remove_disks(spec, host.files));
    for (const std::string& path : {host.files.memory(), host.files.device()}) TRY(env::remove_tree(path));
    record.reason = error.to_string();
    return save(host, record, Phase::kFailed);
  }();
  if (!cleaned) {  // the record still says that it was being created: the next verb or driver cleans
    log_error("qemu", "cannot clean up after a failed creation",
              {{"host", host.id}, {"error", cleaned.error().to_string()}});
  }
  return error;
}

Status QemuDriver::destroy(const std::string& id, const Control& control) {
  TRY(check_host_id(id));
  const HostPtr host = entry(id);
  const Deadline deadline(control);
  host->abort.raise();
  auto guard = acquire(host, deadline);
  host->abort.lower();
  if (!guard) return std::move(guard).error();
  if (!env::path_exists(tombstone(id))) {
    TombstoneRecord grave;
    grave.since = env::system_clock().now();
    if (env::path_exists(host->files.folder)) {
      if (const auto record = read_record<HostRecord>(host->files.state())) grave.reason = record->reason;
      if (auto tail = read_tail(host->files.console_log(), kTombstoneConsole)) grave.console_tail = std::move(*tail);
    }
    pass_crash_point(CrashPoint::kBeforeCommit);
    TRY(env::write_file_durably(tombstone(id), encode_record(grave), 0600));
    pass_crash_point(CrashPoint::kAfterCommit);
  }
  return finish_destroy(*host, deadline);
}

Status QemuDriver::finish_destroy(Host& host, const Deadline& deadline) {
  watcher_.unwatch(host.id);
  if (!env::path_exists(host.files.folder)) return {};
  TRY(release(host, deadline));
  return env::remove_tree(host.files.folder);
}

Status QemuDriver::forget(const std::string& id) {
  TRY(check_host_id(id));
  const HostPtr host = entry(id);
  const Deadline deadline(kCleaningTime);
  TRY_ASSIGN(const HostGuard guard, acquire(host, deadline));
  TRY_ASSIGN(const auto record, settle(*host, deadline));
  if (record && record->phase != Phase::kFailed) {
    return conflict(fmt::format("host {} is {}: destroy it before it is forgotten", id,
                                host_state_name(condition_of(*host, *record).state)));
  }
  TRY(env::remove_tree(host->files.folder));
  return env::remove_tree(tombstone(id));
}

}  // namespace nuraghe::hypervisor::qemu
