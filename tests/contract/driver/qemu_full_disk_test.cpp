// The qemu driver where its disk is full: freezes that do not fit, guests whose disks cannot grow.
#include <fcntl.h>
#include <fmt/format.h>
#include <gtest/gtest.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <condition_variable>
#include <cstring>
#include <iterator>
#include <mutex>
#include <thread>
#include <utility>

#include "env/posix.hpp"
#include "hypervisor/qemu/host_files.hpp"
#include "qemu_fixture.hpp"

namespace nuraghe::hypervisor {
namespace {

using namespace std::chrono_literals;

// A root on a small file system of its own, which only root may make.
class QemuFullDisk : public Qemu {
 protected:
  void SetUp() override {
    root_ = "/tmp/nuraghe-small-XXXXXX";
    ASSERT_NE(::mkdtemp(root_.data()), nullptr);
    if (::mount("none", root_.c_str(), "tmpfs", MS_NOSUID | MS_NODEV, "size=6m,mode=0700") != 0) {
      const int error = errno;
      ::rmdir(root_.c_str());
      root_.clear();
      GTEST_SKIP() << "a small file system cannot be mounted here: " << std::strerror(error);
    }
    open(root_);
    create_ready(world_->tiny("h"));
    ASSERT_OK(await_beat(*driver_, "h", 1));
  }
  void TearDown() override {
    Qemu::TearDown();
    world_.reset();
    if (root_.empty()) return;
    EXPECT_EQ(::umount(root_.c_str()), 0);
    ::rmdir(root_.c_str());
  }
  void fill_disk() const {
    const env::UniqueFd fd(::open((root_ + "/filler").c_str(), O_RDWR | O_CREAT | O_CLOEXEC, 0600));
    struct stat info {};
    ASSERT_EQ(::fstat(fd.get(), &info), 0);
    off_t end = info.st_size;
    while (::posix_fallocate(fd.get(), end, 4096) == 0) end += 4096;
  }
  void expect_refused_and_running(const Result<FreezeReport>& frozen) {
    ASSERT_FALSE(frozen);
    EXPECT_EQ(frozen.error().code(), ErrorCode::kExhausted) << frozen.error().to_string();
    const std::string text = frozen.error().to_string();
    EXPECT_NE(text.find("disk full: needs "), std::string::npos) << text;
    EXPECT_NE(text.find(root_), std::string::npos) << text;
    EXPECT_NE(text.find("; the host goes on running"), std::string::npos) << text;
    EXPECT_EQ(driver_->inspect("h")->state, HostState::kRunning);
    EXPECT_FALSE(env::path_exists(folder("h") + "/memory"));
    EXPECT_FALSE(env::path_exists(folder("h") + "/device"));
    // The console's log is on the full disk as well: what shows that the guest goes on is the live console.
    ASSERT_OK(env::remove_tree(root_ + "/filler"));
    ASSERT_OK(await_beat(*driver_, "h", last_beat(*driver_, "h") + 2));
    ASSERT_OK(driver_->freeze("h", kPatient));
    ASSERT_OK(driver_->thaw("h", false, kPatient));
  }

  std::string root_;
};

// A boot sector that writes 32 KiB after 32 KiB to the disk that it came from, from 1 MiB on, for ever: the real mode
// code of
//     xor ax, ax; mov ds, ax; mov es, ax; mov ss, ax; mov sp, 0x7c00; mov [drive], dl
//   more: mov si, packet; mov ah, 0x43; mov al, 0; mov dl, [drive]; int 0x13; add dword [packet + 8], 64; jmp more
// with `drive` at 0x7c24 and the packet of the BIOS's extended write at 0x7c28.
std::string writing_disk() {
  constexpr unsigned char kCode[] = {
      0x31, 0xc0, 0x8e, 0xd8, 0x8e, 0xc0, 0x8e, 0xd0, 0xbc, 0x00, 0x7c, 0x88, 0x16, 0x24, 0x7c,  //
      0xbe, 0x28, 0x7c, 0xb4, 0x43, 0xb0, 0x00, 0x8a, 0x16, 0x24, 0x7c, 0xcd, 0x13,              //
      0x66, 0x83, 0x06, 0x30, 0x7c, 0x40, 0xeb, 0xeb, 0x00, 0x00, 0x00, 0x00,                    //
      0x10, 0x00, 0x40, 0x00, 0x00, 0x80, 0x00, 0x00, 0x00, 0x08, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00};
  std::string disk(1024 * 1024, '\0');
  std::copy(std::begin(kCode), std::end(kCode), disk.begin());
  disk[510] = '\x55';
  disk[511] = '\xaa';
  return disk;
}

TEST_F(QemuFullDisk, AGuestWhoseDiskCannotGrowIsPausedAndSaysWhy) {
  ASSERT_OK(driver_->destroy("h", kPatient));
  std::string image = "/tmp/nuraghe-image-XXXXXX";
  const env::UniqueFd fd(::mkstemp(image.data()));
  const std::string content = writing_disk();
  ASSERT_EQ(::write(fd.get(), content.data(), content.size()), static_cast<ssize_t>(content.size()));
  HostSpec spec = world_->tiny("w");
  spec.kernel.clear();
  spec.memory = mib(16);
  spec.disks.push_back({"data", image, "raw", gib(1), false});
  std::mutex mutex;
  std::condition_variable changed;
  std::string reason;
  const auto observe = [&](const std::string& id, const HostCondition& condition) {
    const std::lock_guard lock(mutex);
    EXPECT_EQ(id, "w");
    EXPECT_EQ(condition.state, HostState::kPaused);
    reason = condition.pause_reason;
    changed.notify_all();
  };
  const auto await = [&] {
    std::unique_lock lock(mutex);
    const bool told = changed.wait_for(lock, 60s, [&] { return !reason.empty(); });
    return told ? std::exchange(reason, {}) : "nothing was told";
  };
  driver_->on_paused(observe);
  ASSERT_OK(driver_->create(spec, kPatient));
  EXPECT_EQ(await(), "no space left for its disk data");
  EXPECT_EQ(driver_->inspect("w")->state, HostState::kPaused);
  EXPECT_EQ(driver_->inspect("w")->pause_reason, "no space left for its disk data");
  // It goes on where it was when there is room, and until there is none again: also while no driver looks.
  ASSERT_EQ(::mount("none", root_.c_str(), nullptr, MS_REMOUNT | MS_NOSUID | MS_NODEV, "size=12m,mode=0700"), 0);
  ASSERT_OK(driver_->resume("w", kPatient));
  driver_.reset();
  const auto overlay = [&] { return qemu::allocated_size(folder("w") + "/disk-data.qcow2"); };
  for (int i = 0; i < 3000 && overlay() < mib(10); ++i) std::this_thread::sleep_for(20ms);  // nobody tells of growth
  ASSERT_GE(overlay(), mib(10));
  driver_ = world_->open();
  ASSERT_NE(driver_, nullptr);
  driver_->on_paused(observe);
  // Told, or found by who opened it: whichever was first.
  const auto condition = driver_->inspect("w");
  ASSERT_OK(condition);
  if (condition->state == HostState::kRunning) {
    EXPECT_EQ(await(), "no space left for its disk data");
  } else {
    EXPECT_EQ(condition->pause_reason, "no space left for its disk data");
  }
  ASSERT_OK(driver_->destroy("w", kPatient));
  ASSERT_EQ(::unlink(image.c_str()), 0);
}

TEST_F(QemuFullDisk, AFreezeThatCannotFitIsRefusedBeforeThePause) {
  fill_disk();
  expect_refused_and_running(driver_->freeze("h", kPatient));
}

TEST_F(QemuFullDisk, AFreezeThatMeetsTheEndOfTheDiskIsUndone) {
  Control control = kPatient;
  bool filled = false;
  control.on_progress = [&](const Progress& progress) {
    if (progress.step != "saving memory" || filled) return;
    filled = true;
    fill_disk();
  };
  expect_refused_and_running(driver_->freeze("h", control));
  EXPECT_TRUE(filled);
}

}  // namespace
}  // namespace nuraghe::hypervisor
