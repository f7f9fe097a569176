#include "images/seed_disk.hpp"

#include <gtest/gtest.h>

#include "env/posix.hpp"

namespace nuraghe::images {
namespace {

TEST(SeedDisk, IsAnIsoWithTheLabelAndTheFiles) {
  const std::string path = ::testing::TempDir() + "/seed-" + std::to_string(::getpid()) + ".iso";
  const std::map<std::string, std::string> files{
      {"meta-data", "instance-id: a"}, {"user-data", "#cloud-config\n{}"}, {"network-config", "{}"}};
  ASSERT_TRUE(write_seed_disk(path, files));
  const auto bytes = env::read_file(path);
  ASSERT_TRUE(bytes);
  // ISO 9660 §8.4: the primary volume descriptor stands in sector 16, its volume identifier at offset 40.
  ASSERT_GT(bytes->size(), 17U * 2048);
  EXPECT_EQ(bytes->substr(16 * 2048 + 1, 5), "CD001");
  EXPECT_EQ(bytes->substr(16 * 2048 + 40, 6), "CIDATA");
  EXPECT_NE(bytes->find("instance-id: a"), std::string::npos);
  EXPECT_NE(bytes->find("network-config"), std::string::npos);
  RecordProperty("size", static_cast<int>(bytes->size()));
  EXPECT_TRUE(env::remove_tree(path));
}

}  // namespace
}  // namespace nuraghe::images
