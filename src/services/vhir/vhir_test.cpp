#include "services/vhir/vhir.hpp"

#include <gmock/gmock.h>
#include <stdlib.h>

#include "env/posix.hpp"
#include "services/testing.hpp"

namespace nuraghe::services::vhir {
namespace {

using ::testing::ElementsAre;
using ::testing::IsEmpty;
using World = services::testing::World;

const std::string kAddress = "/services/vhir";

class RepositoryTest : public ::testing::Test {
 protected:
  RepositoryTest() {
    std::string pattern = ::testing::TempDir() + "/nuraghe-vhir-XXXXXX";
    EXPECT_NE(::mkdtemp(pattern.data()), nullptr);
    folder_ = pattern;
    images_ = std::move(*images::ImageStore::open(folder_ + "/layout"));
    repository_ = std::make_unique<Repository>(*images_);
    world_.open({repository_.get()});
  }
  ~RepositoryTest() override {
    world_.close();
    EXPECT_TRUE(env::remove_tree(folder_));
  }
  // The folder of an image mini:1 with that kernel.
  std::string make_image(const std::string& kernel, const std::string& version = "1") const {
    std::string image = folder_ + "/" + kernel;
    EXPECT_TRUE(env::make_directories(image));
    EXPECT_TRUE(
        env::write_file_durably(image + "/vhi.xml", R"(<vhi xmlns="urn:nuraghe:image:1" name="mini" version=")" +
                                                        version + R"("><system type="none" name="tiny" version="1"
           architecture="x86_64"/><boot kernel="k"/><configuration min-memory="4MiB" ready="start"/>
           <initial-conditions kind="cold"/></vhi>)"));
    EXPECT_TRUE(env::write_file_durably(image + "/k", kernel));
    return image;
  }
  api::Image import(const std::string& folder, const std::string& vo) {
    const auto response = contracts::vhir::parse_import_image_response(
        world_.ask(contracts::vhir::make_import_image(kAddress, {folder}), vo));
    EXPECT_TRUE(response) << response.error().to_string();
    return response ? response->image : api::Image{};
  }
  std::string remove(const std::string& vo) {
    return World::fault_of(world_.ask(contracts::vhir::make_remove_image(kAddress, {"mini:1"}), vo));
  }
  std::string verify(const std::string& vo) {
    return World::fault_of(world_.ask(contracts::vhir::make_verify_image(kAddress, {"mini:1"}), vo));
  }
  std::string resolve(const std::string& host, const std::string& vo) {
    api::ResolveRequest input;
    input.requirement.name = "mini";
    input.host = host;
    return World::fault_of(world_.ask(contracts::vhir::make_resolve(kAddress, input), vo));
  }
  std::string release(const std::string& host, const std::string& vo) {
    return World::fault_of(world_.ask(contracts::vhir::make_release_image(kAddress, {host}), vo));
  }

  std::string folder_;
  std::unique_ptr<images::ImageStore> images_;
  std::unique_ptr<Repository> repository_;
  World world_;
};

TEST_F(RepositoryTest, AVersionIsAskedForByNameAndVersion) {
  for (const std::string version : {"1", "10", "9"}) import(make_image("k" + version, version), "vo1");
  const auto get = [this](const std::string& name) {
    const auto got =
        contracts::vhir::parse_get_image_response(world_.ask(contracts::vhir::make_get_image(kAddress, {name}), "vo1"));
    return got ? got->image.reference : std::string(error_code_name(got.error().code()));
  };
  EXPECT_EQ(get("mini"), "mini:10") << "the newest";
  EXPECT_EQ(get("mini:1"), "mini:1");
  EXPECT_EQ(get("mini:9"), "mini:9");
  for (const char* none : {"mini:2", "mini:", ":1", ":", "mini:1:1", "other", "other:1"})
    EXPECT_EQ(get(none), "not-found") << none;
  EXPECT_EQ(get(""), "invalid") << "not whichever there is";
  EXPECT_EQ(World::fault_of(world_.ask(contracts::vhir::make_remove_image(kAddress, {""}), "vo1")), "invalid");
  EXPECT_EQ(remove("vo1"), "");
  EXPECT_EQ(get("mini:1"), "not-found");
  const auto listed =
      contracts::vhir::parse_list_images_response(world_.ask(contracts::vhir::make_list_images(kAddress, {}), "vo1"));
  ASSERT_TRUE(listed);
  std::vector<std::string> references;
  for (const auto& image : listed->catalogue.image) references.push_back(image.reference);
  EXPECT_THAT(references, ::testing::UnorderedElementsAre("mini:9", "mini:10"));
}

TEST_F(RepositoryTest, WhatIsKeptByAnImagesNameIsForgottenWithIt) {
  std::vector<std::string> told;
  repository_->on_removed([&](store::Transaction&, const std::string& vo, const std::string& reference) {
    told.push_back(vo + " " + reference);
    return Status();
  });
  import(make_image("one"), "vo1");
  import(make_image("two", "2"), "vo2");
  EXPECT_EQ(resolve("vh-1", "vo1"), "");
  EXPECT_EQ(remove("vo1"), "conflict");
  EXPECT_THAT(told, IsEmpty());
  EXPECT_EQ(release("vh-1", "vo1"), "");
  EXPECT_EQ(remove("vo1"), "");
  EXPECT_THAT(told, ElementsAre("vo1 mini:1"));
}

TEST_F(RepositoryTest, TheSameNameOfTwoOrganisationsIsTwoImages) {
  const auto first = import(make_image("one"), "vo1");
  const auto second = import(make_image("two"), "vo2");
  EXPECT_NE(first.digest, second.digest);
  EXPECT_EQ(remove("vo1"), "");
  EXPECT_EQ(remove("vo1"), "not-found");
  EXPECT_FALSE(images_->manifest(first.digest));
  EXPECT_EQ(verify("vo2"), "");
}

TEST_F(RepositoryTest, TheSameContentOfTwoOrganisationsStaysUntilBothRemovedIt) {
  const auto folder = make_image("one");
  const auto first = import(folder, "vo1");
  EXPECT_EQ(import(folder, "vo2").digest, first.digest);
  EXPECT_EQ(remove("vo1"), "");
  EXPECT_EQ(verify("vo2"), "");
  EXPECT_EQ(remove("vo2"), "");
  EXPECT_FALSE(images_->manifest(first.digest));
}

TEST_F(RepositoryTest, WhatAHostIsMadeOfStaysWhenAnotherOrganisationRemovesItsImage) {
  const auto folder = make_image("one");
  const auto first = import(folder, "vo1");
  import(folder, "vo2");
  EXPECT_EQ(resolve("vh-2", "vo2"), "");
  import(make_image("two"), "vo2");  // mini:1 of vo2 has another content from now on
  EXPECT_EQ(remove("vo1"), "") << "another's host is no reason to refuse, nor to tell of it";
  EXPECT_TRUE(images_->manifest(first.digest));
}

TEST_F(RepositoryTest, NobodyTouchesTheHoldOfAnother) {
  const auto folder = make_image("one");
  import(folder, "vo1");
  import(folder, "vo2");
  EXPECT_EQ(resolve("vh-1", "vo1"), "");
  EXPECT_EQ(release("vh-1", "vo2"), release("vh-none", "vo2")) << "nothing tells that it is there";
  EXPECT_EQ(resolve("vh-1", "vo2"), "not-found");
  EXPECT_THAT(world_.keys("vhir_hold"), ElementsAre("vh-1"));
  EXPECT_EQ(remove("vo1"), "conflict");
  EXPECT_EQ(release("vh-1", "vo1"), "");
  EXPECT_THAT(world_.keys("vhir_hold"), IsEmpty());
  EXPECT_EQ(remove("vo1"), "");
}

}  // namespace
}  // namespace nuraghe::services::vhir
