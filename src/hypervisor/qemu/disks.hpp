// The writable overlays of a host's disks: qcow2 files in its folder that stand on images which are never written.
#pragma once

#include "base/result.hpp"
#include "hypervisor/driver.hpp"
#include "hypervisor/qemu/host_files.hpp"
#include "hypervisor/wait.hpp"

namespace nuraghe::hypervisor::qemu {

// The virtual size of an image; kNotFound, kCorrupt when it is no qcow2 image or one that refers to other files.
Result<Bytes> image_size(const std::string& path, const std::string& format);

// Makes the overlays of all writable disks, and the firmware's variables. kInvalid when a disk would be smaller than
// its image. On failure some may be there: remove_disks.
Status make_disks(const HostSpec& spec, const HostFiles& files, const std::string& qemu_img_program,
                  const std::string& uefi_variables, const Deadline& deadline);
// An overlay that came from elsewhere: kCorrupt unless it is qcow2 that keeps its data in itself. The image below it is
// told to QEMU, whatever its header says.
Status check_overlay(const std::string& path);
Status remove_disks(const HostSpec& spec, const HostFiles& files);
// Makes what QEMU wrote durable; QEMU has let go of the files.
Status sync_disks(const HostSpec& spec, const HostFiles& files);
// What the overlays take on the file system.
Bytes size_of_disks(const HostSpec& spec, const HostFiles& files);

}  // namespace nuraghe::hypervisor::qemu
