#include "services/vcf/ssh_key.hpp"

#include <gtest/gtest.h>
#include <unistd.h>

#include "env/posix.hpp"

namespace nuraghe::services::vcf {
namespace {

TEST(SshKey, OpenSshReadsThePrivateKeyAndDerivesTheSamePublicKey) {
  const auto key = make_ssh_key(env::system_random(), "a comment");
  ASSERT_TRUE(key);
  const std::string path = ::testing::TempDir() + "/key-" + std::to_string(::getpid());
  ASSERT_TRUE(env::write_file_durably(path, key->private_key, 0600));
  const auto derived = env::run_command_ok({"ssh-keygen", "-y", "-f", path});
  EXPECT_TRUE(env::remove_tree(path));
  ASSERT_TRUE(derived) << derived.error().to_string();
  EXPECT_EQ(*derived, key->public_key + "\n");
}

TEST(SshKey, TwoKeysDiffer) {
  EXPECT_NE(make_ssh_key(env::system_random(), "")->public_key, make_ssh_key(env::system_random(), "")->public_key);
}

}  // namespace
}  // namespace nuraghe::services::vcf
