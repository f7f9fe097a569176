#include "bpelhost/packages.hpp"

#include <gtest/gtest.h>

#include <cstdlib>
#include <filesystem>
#include <set>

#include "env/posix.hpp"

namespace nuraghe::bpelhost {
namespace {

namespace fs = std::filesystem;

class Packages : public ::testing::Test {
 protected:
  Packages() {
    std::string pattern = ::testing::TempDir() + "bpelhost-XXXXXX";
    root_ = ::mkdtemp(pattern.data());
  }
  ~Packages() override { fs::remove_all(root_); }
  void write(const std::string& path, const std::string& text) {
    fs::create_directories((root_ / path).parent_path());
    EXPECT_TRUE(env::write_file_durably((root_ / path).string(), text, 0600));
  }
  std::string at(const std::string& path) const { return (root_ / path).string(); }
  fs::path root_;
};

// What a process imports is found, also above its folder; what is beside it and not imported is not taken.
TEST_F(Packages, AProcessBringsWhatItImports) {
  write("p/a.bpel", "<process><import location='../shared/a.wsdl'/><import location='gone.wsdl'/></process>");
  write("p/other.bpel", "<process/>");
  write("p/deploy.xml", "<deploy/>");
  write("p/style.xsl", "<x/>");
  write("shared/a.wsdl",
        "<definitions><types><schema><include schemaLocation='deep/t.xsd'/></schema></types></definitions>");
  write("shared/deep/t.xsd", "<schema><import schemaLocation='http://elsewhere/x.xsd'/></schema>");
  const auto loaded = load_package(at("p/a.bpel"));
  ASSERT_TRUE(loaded) << loaded.error().to_string();
  std::set<std::string> paths;
  for (const auto& [path, text] : loaded->files.files) paths.insert(path);
  const std::set<std::string> expected = {"p/a.bpel", "p/deploy.xml", "p/style.xsl", "shared/a.wsdl",
                                          "shared/deep/t.xsd"};
  EXPECT_EQ(paths, expected);
  EXPECT_EQ(fs::path(loaded->prefix + "p/a.bpel").lexically_normal(), fs::path(at("p/a.bpel")).lexically_normal());
  EXPECT_EQ(loaded->name, "a");
}

TEST_F(Packages, FoldersAndZipsOfAFolderAreFound) {
  write("all/one/a.bpel", "<process/>");
  write("all/two/b.bpel", "<process/>");
  write("all/three.zip", "this is none");
  const auto found = find_packages(at("all"));
  ASSERT_TRUE(found);
  ASSERT_EQ(found->size(), 3U);
  EXPECT_EQ((*found)[0].package->name, "one");
  EXPECT_FALSE((*found)[1].package);
  EXPECT_NE((*found)[1].package.error().to_string().find("no zip"), std::string::npos);
  EXPECT_EQ((*found)[2].package->name, "two");
  const auto itself = find_packages(at("all/one"));
  ASSERT_TRUE(itself);
  ASSERT_EQ(itself->size(), 1U);
  EXPECT_EQ((*itself)[0].package->name, "one");
  EXPECT_EQ(find_packages(at("none")).error().code(), ErrorCode::kNotFound);
  EXPECT_EQ(load_package(at("none")).error().code(), ErrorCode::kNotFound);
}

TEST(DeploymentNames, AreFitForPaths) {
  EXPECT_EQ(deployment_name("Order-1.2+x_y"), "Order-1.2+x_y");
  EXPECT_EQ(deployment_name("a b/../ü"), "a_b_..___");
  EXPECT_EQ(deployment_name(""), "package");
  EXPECT_EQ(deployment_name(std::string(500, 'x')).size(), 100U);
}

}  // namespace
}  // namespace nuraghe::bpelhost
