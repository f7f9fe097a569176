#include "hypervisor/qemu/accelerator.hpp"

#include <fmt/format.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>

#include "base/record.hpp"
#include "env/posix.hpp"
#include "hypervisor/qemu/command_line.hpp"
#include "hypervisor/qemu/host_files.hpp"

// The boot sector in probe_guest.S.
extern "C" const char probe_guest, probe_guest_end;

namespace nuraghe::hypervisor::qemu {

namespace {

using namespace std::chrono_literals;

constexpr Duration kProbeTime = 5s;
// The exit device makes (value << 1) | 1 of what is written to it.
constexpr int kExitPort = 0xf4, kExitValue = 0x2a, kExitStatus = (kExitValue << 1) | 1;

// Another number when the probe asks for more: what an earlier one found out is not believed.
constexpr std::int64_t kProbeVersion = 2;

// The firmware boots no disk of a single sector.
std::string probe_disk() {
  std::string disk(&probe_guest, &probe_guest_end);
  disk.resize(1024 * 1024);
  return disk;
}

struct CachedAccelerator {
  std::string boot_id, program;
  Accelerator accelerator;
  std::int64_t probe_version = 0;
  template <class Visitor>
  void fields(Visitor& v) {
    v(1, boot_id), v(2, program), v(3, accelerator), v(4, probe_version);
  }
};

// Runs the boot sector; empty when it answered, else why not.
std::string probe(const std::string& qemu_program, const std::string& sector_file) {
  env::CommandOptions options;
  options.timeout = kProbeTime;
  options.directory = sector_file.substr(0, sector_file.find_last_of('/'));  // no path, no commas in an option's value
  const std::string name = sector_file.substr(sector_file.find_last_of('/') + 1);
  const auto run = env::run_command(
      {qemu_program, "-accel", "kvm", "-cpu", kKvmProcessor, "-M", "q35", "-m", "16", "-nodefaults", "-no-user-config",
       "-display", "none", "-drive",
       fmt::format("if=none,id=disk,file.filename={},file.driver=file,driver=raw,readonly=on", name), "-device",
       "virtio-blk-pci,drive=disk", "-device", fmt::format("isa-debug-exit,iobase={},iosize=1", kExitPort)},
      options);
  if (!run && run.error().code() == ErrorCode::kTimeout) {
    return fmt::format("KVM is there but its guest did not answer within {}", format_duration(kProbeTime));
  }
  if (!run) return run.error().to_string();
  if (run->exit_code == kExitStatus) return {};
  const auto end = run->errors.find_last_not_of('\n');
  const std::string words = end == std::string::npos ? "no message" : run->errors.substr(0, end + 1);
  return fmt::format("KVM is there but its guest ended with status {}: {}", run->exit_code,
                     words.substr(words.find_last_of('\n') + 1));
}

Result<Accelerator> find_out(const std::string& qemu_program, const std::string& cache_file) {
  if (::access("/dev/kvm", R_OK | W_OK) != 0) {
    const char* why = errno == ENOENT ? "there is no /dev/kvm" : "/dev/kvm may not be used by this user";
    return Accelerator{"tcg", why};
  }
  const std::string sector_file = fmt::format("{}.probe-{}", cache_file, ::getpid());
  TRY(replace_file(sector_file, probe_disk()));
  const std::string why_not = probe(qemu_program, sector_file);
  ::unlink(sector_file.c_str());
  if (!why_not.empty()) return Accelerator{"tcg", why_not};
  return Accelerator{"kvm", "a guest ran under KVM"};
}

}  // namespace

Result<Accelerator> choose_accelerator(const std::string& wish, const std::string& qemu_program,
                                       const std::string& cache_file) {
  if (wish == "tcg" || wish == "kvm") return Accelerator{wish, "asked for by the configuration"};
  if (wish != "auto") return invalid(fmt::format("'{}' is no accelerator: auto, kvm or tcg", wish));
  const auto cached = read_record<CachedAccelerator>(cache_file);
  if (cached && cached->boot_id == current_boot_id() && cached->program == qemu_program &&
      cached->probe_version == kProbeVersion)
    return cached->accelerator;
  TRY_ASSIGN(Accelerator found, find_out(qemu_program, cache_file));
  TRY(replace_file(cache_file,
                   encode_record(CachedAccelerator{current_boot_id(), qemu_program, found, kProbeVersion})));
  return found;
}

}  // namespace nuraghe::hypervisor::qemu
