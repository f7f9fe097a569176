#include "hypervisor/qemu/disks.hpp"

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/stat.h>
#include <unistd.h>

#include <array>
#include <cerrno>

namespace nuraghe::hypervisor::qemu {

namespace {

using namespace std::chrono_literals;

template <std::size_t kSize>
std::uint64_t big_endian(const std::array<std::uint8_t, kSize>& bytes, std::size_t at, std::size_t length) {
  std::uint64_t value = 0;
  for (std::size_t i = 0; i < length; ++i) value = value << 8 | bytes.at(at + i);
  return value;
}

// The header of qcow2 (QEMU docs/interop/qcow2.txt): magic, version, backing file offset (8 bytes at 8), size (8 at
// 24), incompatible features (8 at 72, from version 3).
struct Qcow2Header {
  bool has_backing = false;
  bool has_external_data = false;
  Bytes size;
};

Result<Qcow2Header> read_header(int fd, const std::string& path) {
  constexpr std::uint64_t kMagic = 0x514649fb, kExternalData = 4;
  std::array<std::uint8_t, 104> header{};
  const ssize_t count = ::pread(fd, header.data(), header.size(), 0);
  if (count < 72 || big_endian(header, 0, 4) != kMagic) return corrupt(path + " is no qcow2 image");
  Qcow2Header read;
  read.has_backing = big_endian(header, 8, 8) != 0;
  read.has_external_data = big_endian(header, 4, 4) >= 3 && (big_endian(header, 72, 8) & kExternalData) != 0;
  read.size = {static_cast<std::int64_t>(big_endian(header, 24, 8))};
  return read;
}

}  // namespace

Result<Bytes> image_size(const std::string& path, const std::string& format) {
  const env::UniqueFd fd(::open(path.c_str(), O_RDONLY | O_CLOEXEC));
  struct stat info {};
  if (!fd.valid() || ::fstat(fd.get(), &info) != 0) return system_error("open " + path, errno);
  if (!S_ISREG(info.st_mode)) return invalid(path + " is no ordinary file");
  if (format == "raw") return Bytes{info.st_size};
  TRY_ASSIGN(const auto header, read_header(fd.get(), path));
  if (header.has_backing) return corrupt(path + " refers to another image, which an image must not");
  if (header.has_external_data) return corrupt(path + " keeps its data in another file, which an image must not");
  return header.size;
}

Status check_overlay(const std::string& path) {
  const env::UniqueFd fd(::open(path.c_str(), O_RDONLY | O_CLOEXEC));
  if (!fd.valid()) return system_error("open " + path, errno);
  TRY_ASSIGN(const auto header, read_header(fd.get(), path));
  return header.has_external_data ? Status(corrupt(path + " keeps its data in another file, which an overlay must not"))
                                  : Status();
}

Status make_disks(const HostSpec& spec, const HostFiles& files, const std::string& qemu_img_program,
                  const std::string& uefi_variables, const Deadline& deadline) {
  for (const auto& disk : spec.disks) {
    TRY(deadline.check("making the disks"));
    Bytes size = disk.size;
    std::vector<std::string> argv{qemu_img_program, "create", "-q", "-f", "qcow2"};
    if (!disk.backing.empty()) {
      TRY_ASSIGN(const Bytes least, image_size(disk.backing, disk.backing_format));
      if (size.count == 0) size = least;
      if (size < least) {
        return invalid(fmt::format("disk {}: {} is smaller than its image, which has {}", disk.name, size.to_string(),
                                   least.to_string()));
      }
      // -u: QEMU is told the image on its command line; what the header says is for people and tools.
      argv.insert(argv.end(), {"-u", "-b", disk.backing, "-F", disk.backing_format});
    }
    if (disk.read_only) continue;
    argv.insert(argv.end(), {files.overlay(disk.name), fmt::format("{}", size.count)});
    env::CommandOptions options;
    options.timeout = 60s;
    auto made = env::run_command_ok(argv, options);
    if (!made) return std::move(made).error().with("making disk " + disk.name);
  }
  if (spec.firmware != "uefi") return {};
  TRY_ASSIGN(const std::string variables, env::read_file(uefi_variables));
  return replace_file(files.uefi_vars(), variables);
}

Status remove_disks(const HostSpec& spec, const HostFiles& files) {
  for (const auto& disk : spec.disks) TRY(env::remove_tree(files.overlay(disk.name)));
  return env::remove_tree(files.uefi_vars());
}

Status sync_disks(const HostSpec& spec, const HostFiles& files) {
  for (const auto& disk : spec.disks) {
    if (!disk.read_only) TRY(env::fsync_path(files.overlay(disk.name)));
  }
  return spec.firmware == "uefi" ? env::fsync_path(files.uefi_vars()) : Status();
}

Bytes size_of_disks(const HostSpec& spec, const HostFiles& files) {
  Bytes size;
  for (const auto& disk : spec.disks) size = size + allocated_size(files.overlay(disk.name));
  return size;
}

}  // namespace nuraghe::hypervisor::qemu
