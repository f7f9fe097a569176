#include "hypervisor/qemu/memory.hpp"

#include <fcntl.h>
#include <gtest/gtest.h>
#include <sys/stat.h>
#include <unistd.h>

#include <filesystem>
#include <fstream>

#include "hypervisor/qemu/disks.hpp"
#include "hypervisor/qemu/host_files.hpp"

namespace nuraghe::hypervisor::qemu {
namespace {

using namespace std::chrono_literals;

class Memory : public testing::Test {
 protected:
  void SetUp() override {
    ASSERT_NE(::mkdtemp(shared_.data()), nullptr);
    ASSERT_NE(::mkdtemp(disk_.data()), nullptr);
    ram_ = shared_ + "/instance/host";
  }
  void TearDown() override {
    std::filesystem::remove_all(shared_);
    std::filesystem::remove_all(disk_);
  }
  void write(const std::string& text, off_t offset) const {
    const env::UniqueFd fd(::open(ram_.c_str(), O_RDWR | O_CLOEXEC));
    ASSERT_EQ(::pwrite(fd.get(), text.data(), text.size(), offset), static_cast<ssize_t>(text.size()));
  }
  std::string shared_ = "/dev/shm/nuraghe-memory-XXXXXX", disk_ = "/tmp/nuraghe-memory-XXXXXX", ram_;
};

TEST_F(Memory, SavesPagesThatAreNotZeroAndBringsAllBack) {
  ASSERT_TRUE(reserve_memory(ram_, mib(16)));
  EXPECT_EQ(allocated_size(ram_), mib(16));
  write("first", 0);
  write("across two pages", 3 * 4096 - 5);
  write(std::string(6 * 1024 * 1024, 'x'), 8 * 1024 * 1024 + 100);  // longer than a step, not aligned
  write(std::string(64 * 4096, '\0'), 20 * 4096);                   // touched, but zero
  write("last", 16 * 1024 * 1024 - 4);
  const std::string before = env::read_file(ram_).value();
  // 1 + 2 + (6 MiB that begin within a page) + 1 pages.
  const Bytes expected{(1 + 2 + 1537 + 1) * 4096};
  EXPECT_EQ(memory_in_use(ram_, Bytes{}, Deadline(60s)).value(), expected);
  double last_progress = 0;
  const auto saved = save_memory(ram_, disk_ + "/memory", Deadline(60s), [&](double done) { last_progress = done; });
  ASSERT_TRUE(saved) << saved.error().to_string();
  EXPECT_EQ(*saved, expected);
  EXPECT_EQ(last_progress, 1);
  EXPECT_LE(allocated_size(disk_ + "/memory"), expected + kib(64));
  ASSERT_TRUE(release_memory(ram_));
  EXPECT_FALSE(env::path_exists(shared_));  // the empty folders went with it
  ASSERT_TRUE(reserve_memory(ram_, mib(16)));
  const Status restored = restore_memory(disk_ + "/memory", ram_, Deadline(60s), {});
  ASSERT_TRUE(restored) << restored.error().to_string();
  EXPECT_EQ(env::read_file(ram_).value(), before);
}

TEST_F(Memory, ASavedFileOfAnotherSizeIsRefused) {
  ASSERT_TRUE(reserve_memory(ram_, mib(2)));
  ASSERT_TRUE(save_memory(ram_, disk_ + "/memory", Deadline(60s), {}));
  ASSERT_TRUE(release_memory(ram_));
  ASSERT_TRUE(reserve_memory(ram_, mib(3)));
  EXPECT_EQ(restore_memory(disk_ + "/memory", ram_, Deadline(60s), {}).error().code(), ErrorCode::kCorrupt);
}

TEST_F(Memory, ACancelledCopyLeavesNoFile) {
  ASSERT_TRUE(reserve_memory(ram_, mib(2)));
  write("x", 0);
  EventFlag cancel;
  cancel.raise();
  EXPECT_EQ(save_memory(ram_, disk_ + "/memory", Deadline(60s, cancel.fd()), {}).error().code(), ErrorCode::kCancelled);
  EXPECT_FALSE(env::path_exists(disk_ + "/memory"));
}

TEST_F(Memory, MoreThanThereIsLeavesNothing) {
  const Status reserved = reserve_memory(ram_, gib(1024 * 1024));
  ASSERT_FALSE(reserved);
  EXPECT_EQ(reserved.error().code(), ErrorCode::kExhausted);
  EXPECT_FALSE(env::path_exists(shared_));
}

TEST_F(Memory, TheOldPartOfAConsoleLogIsFreed) {
  const std::string log = disk_ + "/console.log";
  std::ofstream(log) << std::string(3 * 1024 * 1024, 'a') << "the end\n";
  free_old_part(log, mib(1));
  struct stat info {};
  ASSERT_EQ(::stat(log.c_str(), &info), 0);
  EXPECT_EQ(info.st_size, 3 * 1024 * 1024 + 8);
  EXPECT_LE(allocated_size(log), mib(1) + kib(64));
  EXPECT_EQ(read_tail(log, Bytes{8}).value(), "the end\n");
  EXPECT_EQ(read_tail(log, mib(4)).value().size(), 1024U * 1024U + 8U);  // without the zeros
}

TEST_F(Memory, SizesOfImages) {
  EXPECT_EQ(image_size("/nowhere", "raw").error().code(), ErrorCode::kNotFound);
  std::ofstream(disk_ + "/image") << std::string(1536, 'x');
  EXPECT_EQ(image_size(disk_ + "/image", "raw").value(), Bytes{1536});
  EXPECT_EQ(image_size(disk_ + "/image", "qcow2").error().code(), ErrorCode::kCorrupt);
  ASSERT_TRUE(env::run_command_ok({"qemu-img", "create", "-q", "-f", "qcow2", disk_ + "/base", "10M"}));
  EXPECT_EQ(image_size(disk_ + "/base", "qcow2").value(), mib(10));
  ASSERT_TRUE(
      env::run_command_ok({"qemu-img", "create", "-q", "-f", "qcow2", "-b", "base", "-F", "qcow2", disk_ + "/top"}));
  EXPECT_NE(image_size(disk_ + "/top", "qcow2").error().message().find("refers to another image"), std::string::npos);
  ASSERT_TRUE(env::run_command_ok(
      {"qemu-img", "create", "-q", "-f", "qcow2", "-o", "data_file=" + disk_ + "/data", disk_ + "/outside", "1M"}));
  EXPECT_NE(image_size(disk_ + "/outside", "qcow2").error().message().find("in another file"), std::string::npos);
}

}  // namespace
}  // namespace nuraghe::hypervisor::qemu
