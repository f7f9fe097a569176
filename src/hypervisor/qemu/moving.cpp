// export and import of frozen hosts.
//
// What a frozen host is made of goes elsewhere as the files of its folder: "memory", "device", "state" (its record),
// "console.log", "disk-NAME.qcow2" and "uefi-vars.fd". Its specification stays: the importing side makes its own, with
// its own paths, ports and taps.
#include <fcntl.h>
#include <fmt/format.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>

#include "base/crash_point.hpp"
#include "env/sparse.hpp"
#include "hypervisor/qemu/disks.hpp"
#include "hypervisor/qemu/frozen_format.hpp"
#include "hypervisor/qemu/qemu_driver.hpp"

namespace nuraghe::hypervisor::qemu {

namespace {

constexpr const char *kMemory = "memory", *kDevice = "device", *kState = "state";

// The files of a frozen host, in an order of which its artifact depends.
std::vector<FrozenFile> files_of(const HostSpec& spec, const HostFiles& files) {
  std::vector<FrozenFile> found{{kState, files.state()}, {kDevice, files.device()}, {kMemory, files.memory()}};
  const auto add = [&](const std::string& path) { found.push_back({path.substr(path.find_last_of('/') + 1), path}); };
  for (const auto& disk : spec.disks) {
    if (!disk.read_only) add(files.overlay(disk.name));
  }
  if (spec.firmware == "uefi") add(files.uefi_vars());
  add(files.console_log());
  return found;
}

Result<Bytes> size_of_file(const std::string& path) {
  struct stat info {};
  if (::stat(path.c_str(), &info) != 0) return system_error("stat " + path, errno);
  return Bytes{info.st_size};
}

// The record as it was when the host was frozen, fit for this physical host.
Result<HostRecord> imported_record(const HostSpec& spec, const std::string& path, bool is_copy) {
  TRY_ASSIGN(auto record, read_record<HostRecord>(path));
  const bool has_nics = record.links.size() == spec.nics.size() && std::ranges::all_of(spec.nics, [&](const auto& nic) {
                          return record.links.contains(nic.name);
                        });
  if (record.phase != Phase::kFrozen || !has_nics)
    return corrupt(fmt::format("the frozen state of host {} is that of another machine", spec.id));
  record.boot_id = current_boot_id();
  record.reason.clear();
  if (is_copy) record.generation_id = new_generation_id();
  return record;
}

}  // namespace

Result<FrozenHost> QemuDriver::export_frozen(const std::string& id, const Control& control) {
  TRY_ASSIGN(const Subject subject, begin(Verb::kExport, id, control));
  if (frozen_format_.empty())
    return unsupported(
        fmt::format("host {} stays where it is: {} does not say its version", id, options_.qemu_program));
  const HostFiles& files = subject.host->files;
  TRY_ASSIGN(const HostSpec spec, read_record<HostSpec>(files.spec()));
  return FrozenHost{frozen_format_, files_of(spec, files), spec, false};
}

Status QemuDriver::import_frozen(const HostSpec& spec, const FrozenHost& frozen, const Control& control) {
  TRY(check_spec(spec, settings_));
  TRY(check_frozen_format(spec, frozen, capabilities()));
  const HostPtr host = entry(spec.id);
  const Deadline deadline(control, host->abort.fd());
  TRY_ASSIGN(const HostGuard guard, acquire(host, deadline));
  TRY_ASSIGN(const auto before, settle(*host, deadline));
  if (env::path_exists(tombstone(spec.id))) return must_act(Verb::kImport, HostState::kDestroyed, spec.id).error();
  if (before && before->phase != Phase::kFailed) {
    TRY(must_act(Verb::kImport, condition_of(*host, *before).state, spec.id));
    TRY_ASSIGN(const std::string stored, env::read_file(host->files.spec()));
    if (stored == encode_record(spec)) return {};
    return conflict(fmt::format("host {} is frozen here already, with another specification", spec.id));
  }
  TRY(env::remove_tree(host->files.folder));
  HostRecord record;
  record.since = env::system_clock().now();
  Status imported = import_host(*host, spec, frozen, record, deadline, control);
  return imported ? imported : abandon(*host, spec, record, std::move(imported).error());
}

Status QemuDriver::import_host(Host& host, const HostSpec& spec, const FrozenHost& frozen, HostRecord& record,
                               const Deadline& deadline, const Control& control) {
  const HostFiles& files = host.files;
  TRY(env::make_directories(files.folder, 0700));
  TRY(replace_file(files.spec(), encode_record(spec)));
  TRY(save(host, record, Phase::kCreating));
  HostRecord thawable;
  for (const auto& [name, target] : files_of(spec, files)) {
    if (control.on_progress) control.on_progress({"copying " + name, -1});
    const auto from = std::ranges::find(frozen.files, name, &FrozenFile::name);
    if (from == frozen.files.end())
      return corrupt(fmt::format("the frozen state of host {} lacks its file '{}'", spec.id, name));
    if (name == kState) {  // it becomes the truth when all the others are there
      TRY_ASSIGN(thawable, imported_record(spec, from->path, frozen.is_copy));
      continue;
    }
    TRY(env::copy_sparse(from->path, target, [&deadline] { return deadline.check("copying a frozen host"); }));
    pass_crash_point(CrashPoint::kBeforeCommit);
  }
  TRY_ASSIGN(const Bytes memory, size_of_file(files.memory()));
  if (memory != spec.memory)
    return corrupt(fmt::format("the frozen memory of host {} has {} instead of {}", spec.id, memory.to_string(),
                               spec.memory.to_string()));
  for (const auto& disk : spec.disks) {
    if (!disk.read_only) TRY(check_overlay(files.overlay(disk.name)));
  }
  TRY(env::fsync_path(files.folder));
  TRY(env::write_file_durably(files.state(), encode_record(thawable), 0600));
  pass_crash_point(CrashPoint::kAfterCommit);
  record = thawable;
  return env::fsync_path(options_.root + "/hosts");
}

}  // namespace nuraghe::hypervisor::qemu
