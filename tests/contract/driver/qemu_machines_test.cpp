// Machine types, firmwares and ways of booting of the qemu driver, each with a guest that counts: its memory goes on
// over freeze and thaw, and so do the variables of its firmware.
#include <fmt/format.h>
#include <gmock/gmock.h>

#include <algorithm>

#include "driver_world.hpp"
#include "env/posix.hpp"
#include "hypervisor/qemu/guest_clock.hpp"
#include "test_folders.hpp"

namespace nuraghe::hypervisor {
namespace {

using namespace std::chrono_literals;
using testing::ElementsAre;
using testing::HasSubstr;
using testing::Not;

#define ASSERT_OK(expression)                                  \
  do {                                                         \
    const auto& ok_status_ = (expression);                     \
    ASSERT_TRUE(ok_status_) << ok_status_.error().to_string(); \
  } while (false)

// UEFI takes 5 s on a quiet machine, and ten times that on a busy one.
const Control kVeryPatient = within(200s);

struct Machine {
  const char* name;
  const char* machine;
  const char* firmware;
  bool from_disk;
};

class QemuMachines : public testing::TestWithParam<Machine> {
 protected:
  void SetUp() override {
    driver_ = world_.open();
    ASSERT_NE(driver_, nullptr);
    const auto firmwares = driver_->capabilities().firmwares;
    if (std::find(firmwares.begin(), firmwares.end(), GetParam().firmware) == firmwares.end())
      GTEST_SKIP() << "there is no firmware " << GetParam().firmware << " here: install the package ovmf";
  }
  void TearDown() override {
    if (!driver_) return;
    const auto ids = driver_->list();
    for (const auto& id : ids ? *ids : std::vector<std::string>()) EXPECT_TRUE(driver_->destroy(id, kPatient));
    EXPECT_EQ(world_.leftovers(), std::vector<std::string>());
  }
  bool is_uefi() const { return GetParam().firmware == std::string("uefi"); }
  HostSpec spec(const std::string& id) const {
    HostSpec spec = world_.tiny(id);
    spec.machine = GetParam().machine;
    spec.firmware = GetParam().firmware;
    const std::string guests = NURAGHE_BUILD_DIR "/guests/";
    if (is_uefi()) spec.memory = mib(192);
    if (GetParam().from_disk) {
      spec.memory = std::max(spec.memory, mib(16));  // the BIOS looks for disks with less, and finds none
      spec.kernel.clear();
      spec.disks.push_back({"root", guests + (is_uefi() ? "tiny-efi.img" : "tiny-boot.img"), "raw", {}, false});
    } else if (is_uefi()) {
      spec.kernel = guests + "tiny-efi/tiny.efi";
    }
    return spec;
  }
  std::string console(const std::string& id) { return driver_->console_tail(id, kib(64)).value(); }
  Status await(const std::string& id, const std::string& text) {
    return driver_->wait_ready(id, ReadyCondition::kConsoleText, text, kVeryPatient);
  }

  QemuWorld world_;
  std::unique_ptr<Driver> driver_;
};

TEST_P(QemuMachines, BootsAndGoesOnOverFreezeAndThaw) {
  const int rounds = is_uefi() && GetParam().machine == std::string("q35") ? 2 : 1;
  for (int round = 0; round < rounds; ++round) {
    const std::string id = fmt::format("h{}", round);
    ASSERT_OK(driver_->create(spec(id), kVeryPatient));
    ASSERT_OK(await(id, "beat 2"));
    // A host's firmware is its own: nothing of the one before is in it.
    EXPECT_TRUE(!is_uefi() || console(id).find("start 1\n") != std::string::npos) << console(id);
    ASSERT_OK(driver_->freeze(id, kVeryPatient));
    const int frozen_at = last_beat(*driver_, id);
    driver_.reset();
    driver_ = world_.open();
    ASSERT_OK(driver_->thaw(id, false, kVeryPatient));
    ASSERT_OK(await(id, fmt::format("beat {}", frozen_at + 2)));
    const std::string text = console(id);
    EXPECT_EQ(text.find("READY"), text.rfind("READY")) << "the guest was booted anew: " << text;
    // The newest may still be being written.
    for (int beat = 1; beat < frozen_at + 2; ++beat) EXPECT_THAT(text, HasSubstr(fmt::format("beat {}\n", beat)));
    EXPECT_THAT(text, Not(HasSubstr("lost")));
    ASSERT_OK(driver_->destroy(id, kPatient));
  }
}

INSTANTIATE_TEST_SUITE_P(
    All, QemuMachines,
    testing::Values(Machine{"q35_bios_kernel", "q35", "bios", false}, Machine{"q35_bios_disk", "q35", "bios", true},
                    Machine{"pc_bios_kernel", "pc", "bios", false}, Machine{"pc_bios_disk", "pc", "bios", true},
                    Machine{"microvm_bios_kernel", "microvm", "bios", false},
                    Machine{"q35_uefi_kernel", "q35", "uefi", false}, Machine{"q35_uefi_disk", "q35", "uefi", true},
                    Machine{"pc_uefi_kernel", "pc", "uefi", false}, Machine{"pc_uefi_disk", "pc", "uefi", true}),
    [](const testing::TestParamInfo<Machine>& machine) { return machine.param.name; });

class QemuMachineLimits : public testing::Test {
 protected:
  void SetUp() override {
    driver_ = world_.open();
    ASSERT_NE(driver_, nullptr);
  }
  void TearDown() override {
    EXPECT_TRUE(driver_->destroy("h", kPatient));
    EXPECT_EQ(world_.leftovers(), std::vector<std::string>());
  }
  QemuWorld world_;
  std::unique_ptr<Driver> driver_;
};

TEST_F(QemuMachineLimits, WhatIsMissingIsNotOffered) {
  EXPECT_THAT(driver_->capabilities().machines, ElementsAre("q35", "pc", "microvm"));
  driver_.reset();
  QemuOptions options = world_.options();
  options.uefi_code = "none";
  auto driver = open_qemu_driver(options);
  ASSERT_OK(driver);
  driver_ = std::move(*driver);
  EXPECT_THAT(driver_->capabilities().firmwares, ElementsAre("bios"));
  HostSpec spec = world_.tiny("h");
  spec.firmware = "uefi";
  spec.memory = mib(192);
  const Status refused = driver_->create(spec, kPatient);
  ASSERT_FALSE(refused);
  EXPECT_EQ(refused.error().code(), ErrorCode::kUnsupported);
  EXPECT_THAT(refused.error().message(), HasSubstr("package ovmf"));
}

TEST_F(QemuMachineLimits, MicrovmHasRoomForAsManyDevicesAsItSays) {
  HostSpec spec = world_.tiny("h");
  spec.machine = "microvm";
  for (int i = 0; i < 15; ++i) spec.disks.push_back({fmt::format("d{}", i), "", "", mib(1), false});
  for (int i = 1; i < 8; ++i) {
    spec.nics.push_back(spec.nics[0]);
    spec.nics.back().name = fmt::format("n{}", i);
  }
  HostSpec more = spec;
  more.disks.push_back({"more", "", "", mib(1), false});
  const Status refused = driver_->create(more, kPatient);
  ASSERT_FALSE(refused);
  EXPECT_THAT(refused.error().message(), HasSubstr("22 disks and NICs together are possible, not 24"));
  spec.disks.pop_back();
  ASSERT_OK(driver_->create(spec, kPatient));
  ASSERT_OK(driver_->wait_ready("h", ReadyCondition::kConsoleText, "beat 1", kPatient));
}

TEST_F(QemuMachineLimits, TheClockThatGuestsAreToldIsThatOfThisMachine) {
  const auto text = env::read_file("/proc/cpuinfo");
  ASSERT_OK(text);
  const auto at = text->find("cpu MHz");
  if (at == std::string::npos) GTEST_SKIP() << "this machine does not say how fast it is";
  const double megahertz = std::strtod(text->c_str() + text->find(':', at) + 1, nullptr);
  // That one may change with the load; this one does not.
  EXPECT_GT(static_cast<double>(qemu::guest_clock_khz()), megahertz * 300);
  EXPECT_LT(static_cast<double>(qemu::guest_clock_khz()), megahertz * 3000);
}

}  // namespace
}  // namespace nuraghe::hypervisor
