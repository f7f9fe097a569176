#include "hypervisor/qemu/command_line.hpp"

#include <fmt/format.h>
#include <gmock/gmock.h>

namespace nuraghe::hypervisor::qemu {
namespace {

using testing::Contains;
using testing::HasSubstr;
using testing::Not;

HostSpec full_spec() {
  HostSpec spec;
  spec.id = "vh-1";
  spec.name = "head";
  spec.cpus = 2;
  spec.memory = mib(256);
  spec.kernel = "/images/a,b/vmlinuz";
  spec.initrd = "/images/initrd";
  spec.kernel_parameters = "console=ttyS0 root=/dev/vda,x";
  spec.disks.push_back({"root", "/images/root,1.qcow2", "qcow2", gib(2), false});
  spec.disks.push_back({"scratch", "", "", gib(1), false});
  spec.disks.push_back({"seed", "/images/seed.iso", "raw", {}, true});
  NicSpec cluster;
  cluster.name = "cluster";
  cluster.mac = "52:54:00:12:34:56";
  cluster.local_socket = "/run/q,1";
  cluster.remote_socket = "/run/s1";
  cluster.mtu = 1400;
  NicSpec management;
  management.name = "management";
  management.mac = "52:54:00:12:34:57";
  management.kind = NicSpec::Kind::kUser;
  management.ssh_port = 40022;
  NicSpec storage;
  storage.name = "storage";
  storage.mac = "52:54:00:12:34:58";
  storage.kind = NicSpec::Kind::kTap;
  storage.tap = "nt0123456789abc";
  spec.nics = {cluster, management, storage};
  return spec;
}

std::string joined(const HostSpec& spec, const MachineSettings& settings = {}, bool load_state = false) {
  HostRecord record;
  record.generation_id = "11111111-2222-3333-4444-555555555555";
  std::string text;
  for (const auto& argument :
       command_line(spec, {"/root/hosts/vh-1", "/dev/shm/n,1/vh-1"}, record, settings, load_state)) {
    text += argument + "\n";
  }
  return text;
}

TEST(CommandLine, HasEveryDeviceOfTheSpecification) {
  const HostSpec spec = full_spec();
  ASSERT_TRUE(check_spec(spec, {}));
  const std::string text = joined(spec);
  for (const char* part :
       {"-name\nhead\n",
        "-smp\n2\n",
        "-m\n256M\n",
        "-S\n",
        "-nodefaults\n",
        "-no-user-config\n",
        "-machine\nq35,memory-backend=ram\n",
        "-accel\ntcg,thread=multi,tb-size=64\n",
        "memory-backend-file,id=ram,size=256M,share=on,mem-path=/dev/shm/n,,1/vh-1\n",
        "vmgenid,guid=11111111-2222-3333-4444-555555555555\n",
        "-kernel\n/images/a,b/vmlinuz\n",
        "-append\nconsole=ttyS0 root=/dev/vda,x\n",
        "name=org.qemu.guest_agent.0\n",
        R"("file":{"driver":"file","filename":"/images/root,1.qcow2"})",
        "virtio-blk-pci,drive=disk0,serial=root,bootindex=1\n",
        "virtio-blk-pci,drive=disk1,serial=scratch\n",
        "virtio-blk-pci,drive=disk2,serial=seed\n",
        "dgram,id=net-cluster,local.type=unix,local.path=/run/q,,1,remote.type=unix,remote.path=/run/s1\n",
        "virtio-net-pci,id=nic-cluster,netdev=net-cluster,mac=52:54:00:12:34:56,romfile=,host_mtu=1400\n",
        "tap,id=net-storage,ifname=nt0123456789abc,script=no,downscript=no,vhost=off\n",
        "user,id=net-management,ipv6=off,restrict=on,hostfwd=tcp:127.0.0.1:40022-:22\n"}) {
    EXPECT_THAT(text, HasSubstr(part));
  }
  EXPECT_THAT(text, Not(HasSubstr("-incoming")));
  EXPECT_THAT(joined(spec, {}, true), HasSubstr("-incoming\ndefer\n"));
}

TEST(CommandLine, AnImageNeverLeadsToAnotherFile) {
  const std::string text = joined(full_spec());
  // The base of the overlay, and a seed, are opened without following what their headers name.
  EXPECT_THAT(text, HasSubstr(R"("filename":"/images/root,1.qcow2"},"backing":null})"));
}

TEST(CommandLine, MachinesAndAccelerators) {
  HostSpec spec = full_spec();
  spec.machine = "microvm";
  ASSERT_TRUE(check_spec(spec, {}));
  const std::string text = joined(spec);
  EXPECT_THAT(text, HasSubstr("virtio-net-device,"));
  EXPECT_THAT(text, Not(HasSubstr("-pci")));
  EXPECT_THAT(text, Not(HasSubstr("vmgenid")));
  EXPECT_THAT(text, HasSubstr("root=/dev/vda,x\n"));
  MachineSettings tcg;
  tcg.clock_khz = 2596132;
  EXPECT_THAT(joined(spec, tcg), HasSubstr("root=/dev/vda,x tsc=reliable tsc_early_khz=2596132 no_timer_check\n"));
  spec.kernel_parameters.clear();
  EXPECT_THAT(joined(spec, tcg), HasSubstr("-append\ntsc=reliable tsc_early_khz=2596132 no_timer_check\n"));
  EXPECT_THAT(joined(full_spec(), tcg), Not(HasSubstr("tsc")));
  MachineSettings kvm;
  kvm.accelerator = "kvm";
  EXPECT_THAT(joined(full_spec(), kvm), HasSubstr("-accel\nkvm\n-cpu\nhost\n"));
}

struct BadSpec {
  const char* expected;
  void (*spoil)(HostSpec&);
};
class BadSpecs : public testing::TestWithParam<BadSpec> {};

TEST_P(BadSpecs, AreRefusedByName) {
  HostSpec spec = full_spec();
  GetParam().spoil(spec);
  const Status checked = check_spec(spec, {});
  ASSERT_FALSE(checked) << GetParam().expected;
  EXPECT_THAT(checked.error().message(), HasSubstr(GetParam().expected));
}

INSTANTIATE_TEST_SUITE_P(
    All, BadSpecs,
    testing::Values(
        BadSpec{"no host id", [](HostSpec& s) { s.id = "../x"; }},
        BadSpec{"host name", [](HostSpec& s) { s.name = "a,debug-threads=on"; }},
        BadSpec{"0 processors", [](HostSpec& s) { s.cpus = 0; }},
        BadSpec{"memory 1000B", [](HostSpec& s) { s.memory = {1000}; }},
        BadSpec{"machine 'none'", [](HostSpec& s) { s.machine = "none"; }},
        BadSpec{"firmware 'coreboot'", [](HostSpec& s) { s.firmware = "coreboot"; }},
        BadSpec{"no UEFI firmware is installed", [](HostSpec& s) { s.firmware = "uefi"; }},
        BadSpec{"the machine microvm has none",
                [](HostSpec& s) {
                  s.firmware = "uefi";
                  s.machine = "microvm";
                }},
        BadSpec{"need a kernel", [](HostSpec& s) { s.kernel.clear(); }},
        BadSpec{"'vmlinuz' is no absolute path", [](HostSpec& s) { s.kernel = "vmlinuz"; }},
        BadSpec{"boots a kernel only",
                [](HostSpec& s) {
                  s.machine = "microvm";
                  s.kernel.clear();
                }},
        BadSpec{"disk name 'a,b'", [](HostSpec& s) { s.disks[0].name = "a,b"; }},
        BadSpec{"neither qcow2 nor raw", [](HostSpec& s) { s.disks[0].backing_format = "vmdk"; }},
        BadSpec{"two disks have the name root", [](HostSpec& s) { s.disks[1].name = "root"; }},
        BadSpec{"an empty disk needs a size", [](HostSpec& s) { s.disks[1].size = {}; }},
        BadSpec{"multiple of 512", [](HostSpec& s) { s.disks[1].size = {1000}; }},
        BadSpec{"is no MAC address", [](HostSpec& s) { s.nics[0].mac = "52:54:00:12:34:56,romfile=/etc/passwd"; }},
        BadSpec{"two NICs have the name cluster", [](HostSpec& s) { s.nics[1].name = "cluster"; }},
        BadSpec{"which a socket's must be", [](HostSpec& s) { s.nics[0].local_socket = "/" + std::string(108, 'x'); }},
        BadSpec{"no name of a tap device", [](HostSpec& s) { s.nics[2].tap = "a,script=/bin/sh"; }},
        BadSpec{"no name of a tap device", [](HostSpec& s) { s.nics[2].tap = "nt0123456789abcd"; }},
        BadSpec{"no name of a tap device", [](HostSpec& s) { s.nics[2].tap.clear(); }},
        BadSpec{"is no TCP port", [](HostSpec& s) { s.nics[1].ssh_port = 70000; }},
        BadSpec{"MTU of 20", [](HostSpec& s) { s.nics[0].mtu = 20; }},
        BadSpec{"at most 16 disks", [](HostSpec& s) { s.disks.resize(17); }}));

}  // namespace
}  // namespace nuraghe::hypervisor::qemu
