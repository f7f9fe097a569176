#include "hypervisor/qemu/driver.hpp"

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/file.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <charconv>

#include "base/crash_point.hpp"
#include "base/log.hpp"
#include "hypervisor/qemu/frozen_format.hpp"
#include "hypervisor/qemu/guest_clock.hpp"
#include "hypervisor/qemu/memory.hpp"
#include "hypervisor/qemu/qemu_driver.hpp"
#include "hypervisor/qemu/shim_process.hpp"

namespace nuraghe::hypervisor {

Result<std::unique_ptr<Driver>> open_qemu_driver(QemuOptions options) {
  auto driver = std::make_unique<qemu::QemuDriver>(std::move(options));
  TRY(driver->open());
  return std::unique_ptr<Driver>(std::move(driver));
}

namespace qemu {

namespace {

using namespace std::chrono_literals;

// A guest that stands still is in no hurry, but whoever else is watched waits meanwhile.
constexpr Duration kAskFor = 5s, kAskAgain = 2s;

std::string program_folder() {
  std::array<char, 4096> path{};
  const ssize_t length = ::readlink("/proc/self/exe", path.data(), path.size());
  const std::string whole(path.data(), static_cast<std::size_t>(std::max<ssize_t>(0, length)));
  return whole.substr(0, whole.find_last_of('/'));
}

// Private memory of a process; 0 when it is gone.
Bytes private_memory(std::int64_t pid) {
  const auto text = env::read_file(fmt::format("/proc/{}/status", pid));
  const auto at = text ? text->find("RssAnon:") : std::string::npos;
  if (at == std::string::npos) return {};
  const auto digits = text->find_first_of("0123456789", at);
  std::int64_t kilobytes = 0;
  if (digits != std::string::npos) std::from_chars(text->data() + digits, text->data() + text->size(), kilobytes);
  return kib(kilobytes);
}

HostState state_of(const HostRecord& record) {
  switch (record.phase) {
    case Phase::kCreating:
    case Phase::kFailed:
      return HostState::kInitial;
    case Phase::kRunning:
    case Phase::kPausing:
    case Phase::kContinuing:
      return HostState::kRunning;
    case Phase::kPaused:
    case Phase::kResuming:
    case Phase::kFreezing:
      return HostState::kPaused;
    case Phase::kFrozen:
    case Phase::kThawing:
      return HostState::kFrozen;
    case Phase::kLost:
      return record.was_paused ? HostState::kPaused : HostState::kRunning;
  }
  return HostState::kInitial;
}

}  // namespace

QemuDriver::QemuDriver(QemuOptions options)
    : options_(std::move(options)),
      watcher_([this](const std::string& id) { on_shim_end(id); }, [this](const std::string& id) { on_stop(id); },
               [this](const std::string& id) { announce(id); }) {}

Status QemuDriver::open() {
  if (!options_.root.starts_with('/')) return invalid("the root of a qemu driver must be an absolute path");
  if (options_.memory_root.empty()) options_.memory_root = fmt::format("/dev/shm/nuraghe-{}", ::getuid());
  if (options_.shim_program.empty()) options_.shim_program = program_folder() + "/nuraghe-shim";
  if (::access(options_.shim_program.c_str(), X_OK) != 0) return system_error(options_.shim_program, errno);
  for (const char* folder : {"", "/hosts", "/tombstones"}) TRY(env::make_directories(options_.root + folder, 0700));
  TRY(take_root());
  TRY(find_instance());
  const std::string cache =
      options_.accelerator_cache.empty() ? options_.root + "/accelerator" : options_.accelerator_cache;
  TRY_ASSIGN(accelerator_, choose_accelerator(options_.accelerator, options_.qemu_program, cache));
  auto format = find_frozen_format(options_.qemu_program, accelerator_.name);
  if (!format)
    log_warning("qemu", "frozen hosts stay here: QEMU does not say its version",
                {{"program", options_.qemu_program}, {"error", format.error().to_string()}});
  frozen_format_ = format.value_or("");
  find_firmware();
  settings_.qemu_program = options_.qemu_program;
  settings_.default_machine = options_.default_machine;
  settings_.accelerator = accelerator_.name;
  settings_.translation_cache_mib = options_.translation_cache_mib;
  settings_.uefi_code = options_.uefi_code;
  if (settings_.accelerator == "tcg") settings_.clock_khz = guest_clock_khz();
  adopt_hosts();
  return {};
}

Status QemuDriver::take_root() {
  const std::string path = options_.root + "/lock";
  root_lock_ = env::UniqueFd(::open(path.c_str(), O_RDWR | O_CREAT | O_CLOEXEC, 0600));
  if (!root_lock_.valid()) return system_error("open " + path, errno);
  if (::flock(root_lock_.get(), LOCK_EX | LOCK_NB) == 0) return {};
  if (errno != EWOULDBLOCK) return system_error("lock " + path, errno);
  return conflict(fmt::format("another controller works with {}: stop it first", options_.root));
}

Status QemuDriver::find_instance() {
  const std::string path = options_.root + "/instance";
  if (!env::path_exists(path)) {
    TRY(env::write_file_durably(path, env::make_id(env::system_random(), "root"), 0600));
  }
  TRY_ASSIGN(const std::string instance, env::read_file(path));
  TRY(check_host_id(instance));
  memory_folder_ = options_.memory_root + "/" + instance;
  return {};
}

void QemuDriver::find_firmware() {
  if (options_.uefi_code == "none") {
    options_.uefi_code.clear();
    return;
  }
  const std::string code = "/usr/share/OVMF/OVMF_CODE_4M.fd", variables = "/usr/share/OVMF/OVMF_VARS_4M.fd";
  if (!options_.uefi_code.empty() || !env::path_exists(code) || !env::path_exists(variables)) return;
  options_.uefi_code = code;
  options_.uefi_variables = variables;
}

// Nothing here fails the opening: what cannot be settled now is tried again by the next verb on that host.
void QemuDriver::adopt_hosts() {
  const auto ids = list();
  for (const auto& id : ids ? *ids : std::vector<std::string>()) {
    const HostPtr host = entry(id);
    const Deadline deadline(10s);
    const Status settled = [&]() -> Status {
      TRY_ASSIGN(const HostGuard guard, acquire(host, deadline));
      TRY_ASSIGN(auto record, settle(*host, deadline));
      if (record && (record->phase == Phase::kRunning || record->phase == Phase::kPaused)) {
        TRY(watch_shim(*host, *record, deadline));
      }
      return {};
    }();
    if (!settled)
      log_warning("qemu", "a host could not be taken over", {{"host", id}, {"error", settled.error().to_string()}});
  }
  const auto memories = env::list_directory(memory_folder_);
  for (const auto& id : memories ? *memories : std::vector<std::string>()) {
    if (env::path_exists(options_.root + "/hosts/" + id)) continue;
    log_warning("qemu", "removing memory without a host", {{"host", id}});
    if (auto removed = release_memory(memory_folder_ + "/" + id); !removed) {
      log_error("qemu", "cannot remove memory", {{"error", removed.error().to_string()}});
    }
  }
}

HostPtr QemuDriver::entry(const std::string& id) {
  const std::lock_guard lock(mutex_);
  auto& slot = entries_[id];
  HostPtr host = slot.lock();
  if (!host) {
    host = std::make_shared<Host>();
    host->id = id;
    host->files = {options_.root + "/hosts/" + id, memory_folder_ + "/" + id};
    slot = host;
  }
  if (entries_.size() >= sweep_entries_at_) {
    std::erase_if(entries_, [](const auto& item) { return item.second.expired(); });
    sweep_entries_at_ = std::max<std::size_t>(64, entries_.size() * 2);
  }
  return host;
}

Result<HostGuard> QemuDriver::acquire(const HostPtr& host, const Deadline& deadline) {
  TRY(host->lock.acquire(deadline, fmt::format("other work on host {} to end", host->id)));
  return HostGuard(host, watcher_);
}

Result<Subject> QemuDriver::begin(Verb verb, const std::string& id, const Control& control) {
  TRY(check_host_id(id));
  HostPtr host = entry(id);
  const Deadline deadline(control, host->abort.fd());
  TRY_ASSIGN(HostGuard guard, acquire(host, deadline));
  TRY_ASSIGN(const auto record, settle(*host, deadline));
  if (!record) {
    if (env::path_exists(tombstone(id))) return must_act(verb, HostState::kDestroyed, id).error();
    return not_found(fmt::format("there is no host {}", id));
  }
  if (record->phase == Phase::kLost) {
    return conflict(fmt::format("host {} was lost ({}): only destroy is possible", id, record->reason));
  }
  TRY_ASSIGN(const bool act, must_act(verb, state_of(*record), id));
  return Subject{std::move(host), std::move(guard), deadline, *record, act};
}

Status QemuDriver::save(const Host& host, HostRecord& record, Phase phase) {
  const HostState before = state_of(record);
  record.phase = phase;
  if (state_of(record) != before) record.since = env::system_clock().now();
  pass_crash_point(CrashPoint::kBeforeCommit);
  TRY(replace_file(host.files.state(), encode_record(record)));
  pass_crash_point(CrashPoint::kAfterCommit);
  return {};
}

Capabilities QemuDriver::capabilities() const {
  Capabilities capabilities{"qemu", accelerator_.name, accelerator_.reason, {}, {"q35", "pc", "microvm"}, {"bios"}, {}};
  if (!settings_.uefi_code.empty()) capabilities.firmwares.push_back("uefi");
  capabilities.frozen_format = frozen_format_;
  return capabilities;
}

Status QemuDriver::change_run_state(const std::string& id, Verb verb, const Control& control) {
  TRY_ASSIGN(Subject subject, begin(verb, id, control));
  if (!subject.act) return {};
  Host& host = *subject.host;
  const bool pause = verb == Verb::kPause;
  auto qmp = Qmp::open(host.files.folder, subject.deadline);
  if (!qmp) return why_ended(id, std::move(qmp).error());
  subject.record.reason.clear();
  TRY(save(host, subject.record, pause ? Phase::kPausing : Phase::kResuming));
  TRY(pause ? qmp->stop(subject.deadline) : qmp->cont(subject.deadline));
  return save(host, subject.record, pause ? Phase::kPaused : Phase::kRunning);
}

Status QemuDriver::pause(const std::string& id, const Control& control) {
  return change_run_state(id, Verb::kPause, control);
}
Status QemuDriver::resume(const std::string& id, const Control& control) {
  return change_run_state(id, Verb::kResume, control);
}

Status QemuDriver::set_link(const std::string& id, const std::string& nic, bool up, const Control& control) {
  TRY_ASSIGN(Subject subject, begin(Verb::kSetLink, id, control));
  const auto link = subject.record.links.find(nic);
  if (link == subject.record.links.end()) return not_found(fmt::format("host {} has no NIC {}", id, nic));
  link->second = up;
  // Recorded first: a repeat after a crash sets it again, and a thaw plugs what the record says.
  TRY(save(*subject.host, subject.record, subject.record.phase));
  TRY_ASSIGN(Qmp qmp, Qmp::open(subject.host->files.folder, subject.deadline));
  return qmp.set_link(nic_device(nic), up, subject.deadline);
}

HostCondition QemuDriver::condition_of(const Host& host, const HostRecord& record) const {
  HostCondition condition;
  condition.state = state_of(record);
  condition.lost = record.phase == Phase::kLost;
  (record.phase == Phase::kPaused ? condition.pause_reason : condition.exit_reason) = record.reason;
  condition.since = record.since;
  if (const auto spec = read_record<HostSpec>(host.files.spec())) condition.ssh_port = ssh_port_of(*spec);
  const bool has_process =
      !condition.lost && (condition.state == HostState::kRunning || condition.state == HostState::kPaused);
  if (!has_process) return condition;
  if (const auto shim = read_record<ShimRecord>(host.files.shim()); shim && !shim->ended) {
    condition.pid = shim->qemu_pid;
    condition.memory_resident = private_memory(shim->qemu_pid) + allocated_size(host.files.ram);
  }
  return condition;
}

Result<HostCondition> QemuDriver::inspect(const std::string& id) {
  TRY(check_host_id(id));
  const HostPtr host = entry(id);
  const auto answer = [&](const std::optional<HostRecord>& record) -> Result<HostCondition> {
    if (record) return condition_of(*host, *record);
    if (!env::path_exists(tombstone(id))) return not_found(fmt::format("there is no host {}", id));
    TRY_ASSIGN(const auto grave, read_record<TombstoneRecord>(tombstone(id)));
    HostCondition condition;
    condition.state = HostState::kDestroyed;
    condition.exit_reason = grave.reason;
    condition.since = grave.since;
    return condition;
  };
  if (!host->lock.try_acquire()) {  // a verb is at work: the record says what it is about
    const auto record = read_record<HostRecord>(host->files.state());
    return answer(record ? std::optional<HostRecord>(*record) : std::nullopt);
  }
  const HostGuard guard(host, watcher_);
  TRY_ASSIGN(const auto record, settle(*host, Deadline(10s)));
  return answer(record);
}

Result<std::vector<std::string>> QemuDriver::list() { return env::list_directory(options_.root + "/hosts"); }

void QemuDriver::on_lost(std::function<void(const std::string&, const HostCondition&)> observer) {
  const std::lock_guard lock(mutex_);
  lost_observer_ = std::move(observer);
}

void QemuDriver::on_paused(std::function<void(const std::string&, const HostCondition&)> observer) {
  const std::lock_guard lock(mutex_);
  paused_observer_ = std::move(observer);
}

void QemuDriver::on_shim_end(const std::string& id) {
  const HostPtr host = entry(id);
  host->recheck = true;
  if (!host->lock.try_acquire()) return;  // the verb that holds it will ask again when it is done
  host->recheck = false;
  const HostGuard guard(host, watcher_);
  const auto settled = settle(*host, Deadline(10s));
  if (!settled)
    log_error("qemu", "a host that ended cannot be settled", {{"host", id}, {"error", settled.error().to_string()}});
}

void QemuDriver::on_stop(const std::string& id) {
  const HostPtr host = entry(id);
  host->stopped = true;
  if (!host->lock.try_acquire()) return;  // as above; what the verb itself stopped is in its record by then
  host->stopped = false;
  const HostGuard guard(host, watcher_);
  const Deadline deadline(kAskFor);
  const Status noticed = [&]() -> Status {
    auto record = read_record<HostRecord>(host->files.state());
    // Only a host that is meant to run stops by itself.
    if (!record || record->phase != Phase::kRunning) return {};
    return notice_stop(*host, *record, deadline);
  }();
  if (noticed) return;
  log_error("qemu", "a host that stopped cannot be asked why", {{"host", id}, {"error", noticed.error().to_string()}});
  watcher_.check_stop_later(id, kAskAgain);  // somebody else may hold its monitor
}

void QemuDriver::announce(const std::string& id) {
  const HostPtr host = entry(id);
  const auto record = read_record<HostRecord>(host->files.state());
  if (!record) return;  // destroyed meanwhile
  const bool is_lost = record->phase == Phase::kLost;
  if (!is_lost && (record->phase != Phase::kPaused || record->reason.empty())) return;  // it runs again
  if (is_lost) log_warning("qemu", "a host was lost", {{"host", id}, {"reason", record->reason}});
  std::function<void(const std::string&, const HostCondition&)> observer;
  {
    const std::lock_guard lock(mutex_);
    observer = is_lost ? lost_observer_ : paused_observer_;
  }
  if (observer) observer(id, condition_of(*host, *record));
}

}  // namespace qemu

}  // namespace nuraghe::hypervisor
