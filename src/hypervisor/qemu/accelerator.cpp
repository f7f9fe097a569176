#include "hypervisor/qemu/accelerator.hpp"

#include <fmt/format.h>
#include <sys/stat.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <cstring>
#include <string_view>

#include "base/record.hpp"
#include "env/posix.hpp"
#include "hypervisor/qemu/host_files.hpp"

namespace nuraghe::hypervisor::qemu {

namespace {

using namespace std::chrono_literals;

constexpr Duration kProbeTime = 5s;
// The exit device makes (value << 1) | 1 of what is written to it.
constexpr int kExitPort = 0xf4, kExitValue = 0x2a, kExitStatus = (kExitValue << 1) | 1;

// 16-bit code at 0000:7c00. The BIOS counts timer interrupts in the double word at 0040:006c.
constexpr std::array<std::uint8_t, 34> kBootCode = {
    0xfb,                                // sti
    0xb8, 0x40,       0x00,              // mov  ax, 0x40
    0x8e, 0xd8,                          // mov  ds, ax
    0x66, 0x8b,       0x0e, 0x6c, 0x00,  // mov  ecx, [0x6c]
    0xf4,                                // wait: hlt
    0x66, 0xa1,       0x6c, 0x00,        // mov  eax, [0x6c]
    0x66, 0x29,       0xc8,              // sub  eax, ecx
    0x66, 0x83,       0xf8, 0x02,        // cmp  eax, 2
    0x72, 0xf2,                          // jb   wait
    0xba, kExitPort,  0x00,              // mov  dx, 0xf4
    0xb0, kExitValue,                    // mov  al, 0x2a
    0xee,                                // out  dx, al
    0xf4,                                // end: hlt
    0xeb, 0xfd,                          // jmp  end
};

std::string boot_sector() {
  std::string sector(512, '\0');
  std::memcpy(sector.data(), kBootCode.data(), kBootCode.size());
  sector[510] = '\x55';
  sector[511] = '\xaa';
  return sector;
}

struct CachedAccelerator {
  std::string boot_id, program;
  Accelerator accelerator;
  template <class Visitor>
  void fields(Visitor& v) {
    v(1, boot_id), v(2, program), v(3, accelerator);
  }
};

// Runs the boot sector; empty when it answered, else why not.
std::string probe(const std::string& qemu_program, const std::string& sector_file) {
  env::CommandOptions options;
  options.timeout = kProbeTime;
  options.directory = sector_file.substr(0, sector_file.find_last_of('/'));  // no path, no commas in an option's value
  const std::string name = sector_file.substr(sector_file.find_last_of('/') + 1);
  const auto run = env::run_command(
      {qemu_program, "-accel", "kvm", "-M", "pc", "-m", "2", "-nodefaults", "-no-user-config", "-display", "none",
       "-drive", fmt::format("file.filename={},file.driver=file,driver=raw,if=floppy,readonly=on", name), "-device",
       fmt::format("isa-debug-exit,iobase={},iosize=1", kExitPort)},
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
  TRY(replace_file(sector_file, boot_sector()));
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
  if (cached && cached->boot_id == current_boot_id() && cached->program == qemu_program) return cached->accelerator;
  TRY_ASSIGN(Accelerator found, find_out(qemu_program, cache_file));
  TRY(replace_file(cache_file, encode_record(CachedAccelerator{current_boot_id(), qemu_program, found})));
  return found;
}

}  // namespace nuraghe::hypervisor::qemu
