#include "hypervisor/qemu/frozen_format.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <cstdint>
#include <string_view>

#include "env/posix.hpp"

namespace nuraghe::hypervisor::qemu {
namespace {

constexpr Duration kAnswerTime = std::chrono::seconds(10);

// The value of the first line "KEY : VALUE".
std::string_view value_of(std::string_view text, std::string_view key) {
  for (std::size_t at = 0; at < text.size();) {
    const auto end = std::min(text.find('\n', at), text.size());
    const auto line = text.substr(at, end - at);
    const auto colon = line.find(':');
    if (line.starts_with(key) && colon != std::string_view::npos) return line.substr(std::min(colon + 2, line.size()));
    at = end + 1;
  }
  return {};
}

}  // namespace

Result<std::string> qemu_version(const std::string& text) {
  constexpr std::string_view kBefore = "version ";
  const auto at = text.find(kBefore);
  const auto begin = at == std::string::npos ? text.size() : at + kBefore.size();
  const auto end = std::min(text.find_first_not_of("0123456789.", begin), text.size());
  const std::string version = text.substr(begin, end - begin);
  const auto dot = version.find('.');
  if (dot == std::string::npos || dot == 0)
    return unsupported(fmt::format("QEMU does not say its version: '{}'", text.substr(0, text.find('\n'))));
  return version.substr(0, version.find('.', dot + 1));
}

// FNV-1a, 64 bits: another word for another processor, no secret.
std::string processor_word(const std::string& cpuinfo) {
  std::uint64_t hash = 0xcbf29ce484222325;
  for (const std::string_view key : {"vendor_id", "model name", "flags"}) {
    for (const char c : value_of(cpuinfo, key)) hash = (hash ^ static_cast<std::uint8_t>(c)) * 0x100000001b3;
    hash = (hash ^ '\n') * 0x100000001b3;
  }
  return fmt::format("{:016x}", hash);
}

Result<std::string> find_frozen_format(const std::string& qemu_program, const std::string& accelerator) {
  env::CommandOptions options;
  options.timeout = kAnswerTime;
  TRY_ASSIGN(const auto text, env::run_command_ok({qemu_program, "--version"}, options));
  TRY_ASSIGN(const auto version, qemu_version(text));
  if (accelerator != "kvm") return fmt::format("qemu {} {}", version, accelerator);
  TRY_ASSIGN(const auto cpuinfo, env::read_file("/proc/cpuinfo"));
  return fmt::format("qemu {} {} {}", version, accelerator, processor_word(cpuinfo));
}

}  // namespace nuraghe::hypervisor::qemu
