#include "images/image_store.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <stdlib.h>

#include <utility>

#include "env/posix.hpp"
#include "images/digest.hpp"

namespace nuraghe::images {
namespace {

using ::testing::HasSubstr;

constexpr const char* kOwner = "vo1";

class ImageStoreTest : public ::testing::Test {
 protected:
  void SetUp() override {
    std::string pattern = ::testing::TempDir() + "/nuraghe-images-XXXXXX";
    ASSERT_NE(::mkdtemp(pattern.data()), nullptr);
    folder_ = pattern;
    auto store = ImageStore::open(folder_ + "/layout");
    ASSERT_TRUE(store) << store.error().to_string();
    store_ = std::move(*store);
  }
  void TearDown() override { EXPECT_TRUE(env::remove_tree(folder_)); }

  std::string make_image(const std::string& name, const std::string& kernel) {
    const std::string image = folder_ + "/" + name;
    EXPECT_TRUE(env::make_directories(image));
    EXPECT_TRUE(env::write_file_durably(image + "/vhi.xml", "<vhi xmlns=\"urn:nuraghe:image:1\" name=\"" + name +
                                                                "\" version=\"2\"><boot kernel=\"k\"/><disk file=\"d\" "
                                                                "format=\"raw\"/></vhi>"));
    EXPECT_TRUE(env::write_file_durably(image + "/k", kernel));
    EXPECT_TRUE(env::write_file_durably(image + "/d", std::string(3'000'000, 'd')));
    return image;
  }

  std::string folder_;
  std::unique_ptr<ImageStore> store_;
};

TEST_F(ImageStoreTest, ImportedImageIsListedVerifiedAndFoundAgain) {
  const auto manifest = store_->import_folder(make_image("a", "kernel"), kOwner, {});
  ASSERT_TRUE(manifest) << manifest.error().to_string();
  EXPECT_EQ(manifest->reference, "vo1/a:2");
  ASSERT_NE(manifest->part(kKernelMediaType), nullptr);
  EXPECT_EQ(manifest->part(kKernelMediaType)->digest, digest_of("kernel"));
  EXPECT_TRUE(store_->verify(*manifest, {}));
  store_.reset();
  auto again = ImageStore::open(folder_ + "/layout");
  ASSERT_TRUE(again);
  const auto list = (*again)->list();
  ASSERT_TRUE(list);
  ASSERT_EQ(list->size(), 1U);
  EXPECT_EQ((*list)[0].digest, manifest->digest);
  EXPECT_EQ((*list)[0].reference, "vo1/a:2");
  const auto path = (*again)->blob_path(*(*list)[0].part(kDiskRawMediaType));
  ASSERT_TRUE(path);
  EXPECT_EQ(env::read_file(*path)->size(), 3'000'000U);
}

TEST_F(ImageStoreTest, ImportingTwiceKeepsOneManifest) {
  const auto image = make_image("a", "kernel");
  const auto first = store_->import_folder(image, kOwner, {});
  const auto second = store_->import_folder(image, kOwner, {});
  ASSERT_TRUE(first && second);
  EXPECT_EQ(first->digest, second->digest);
  EXPECT_EQ(store_->list()->size(), 1U);
}

TEST_F(ImageStoreTest, RemoveDeletesOnlyWhatNobodyElseUses) {
  const auto a = store_->import_folder(make_image("a", "kernel a"), kOwner, {});
  const auto b = store_->import_folder(make_image("b", "kernel b"), kOwner, {});
  ASSERT_TRUE(a && b);
  ASSERT_TRUE(store_->remove({kOwner, "a:2", a->digest}, {}));
  EXPECT_FALSE(store_->blob_path(*a->part(kKernelMediaType)));
  EXPECT_TRUE(store_->blob_path(*b->part(kKernelMediaType)));
  EXPECT_TRUE(store_->blob_path(*b->part(kDiskRawMediaType)));  // shared by both
  EXPECT_TRUE(store_->remove({kOwner, "a:2", a->digest}, {}));
}

TEST_F(ImageStoreTest, TheSameNameOfTwoOwnersIsTwoImages) {
  const auto first = store_->import_folder(make_image("a", "kernel of vo1"), "vo1", {});
  const auto second = store_->import_folder(make_image("a", "kernel of vo2"), "vo2", {});
  ASSERT_TRUE(first && second);
  EXPECT_EQ(store_->list()->size(), 2U);
  // A name that has another content meanwhile stays.
  EXPECT_TRUE(store_->remove({"vo2", "a:2", first->digest}, {}));
  ASSERT_TRUE(store_->remove({"vo1", "a:2", first->digest}, {}));
  EXPECT_FALSE(store_->manifest(first->digest));
  EXPECT_FALSE(store_->blob_path(*first->part(kKernelMediaType)));
  EXPECT_TRUE(store_->verify(*second, {}));
}

TEST_F(ImageStoreTest, WhatAnotherNeedsStaysWhenAnImageIsRemoved) {
  const auto image = make_image("a", "kernel");
  const auto first = store_->import_folder(image, "vo1", {});
  const auto second = store_->import_folder(image, "vo2", {});
  const auto third = store_->import_folder(make_image("b", "kernel b"), "vo1", {});
  ASSERT_TRUE(first && second && third);
  ASSERT_EQ(first->digest, second->digest);
  ASSERT_TRUE(store_->remove({"vo1", "a:2", first->digest}, {}));
  EXPECT_TRUE(store_->verify(*second, {}));
  // Whom the index does not know has it too.
  ASSERT_TRUE(store_->remove({"vo2", "a:2", first->digest}, {first->digest, "sha256:" + std::string(64, '0')}));
  EXPECT_TRUE(store_->verify(*second, {}));
  EXPECT_EQ(store_->list()->size(), 1U);
  // An import is at it: its parts are there already, its name is not.
  const auto again = store_->import_folder(image, "vo2", [&, asked = false](double) mutable {
    if (std::exchange(asked, true)) {
      // The first part, which "b" does not share, is in.
      EXPECT_TRUE(store_->import_folder(image, "vo3", {}));
      EXPECT_TRUE(store_->remove({"vo3", "a:2", first->digest}, {}));
    }
    return true;
  });
  ASSERT_TRUE(again);
  EXPECT_TRUE(store_->blob_path(*again->part(kKernelMediaType)));
  EXPECT_TRUE(store_->verify(*again, {}));
}

TEST_F(ImageStoreTest, ALayoutWithoutOwnersIsReadAndCleared) {
  auto manifest = store_->import_folder(make_image("a", "kernel"), "", {});
  ASSERT_TRUE(manifest);
  EXPECT_EQ(manifest->reference, "a:2");
  ASSERT_TRUE(store_->remove({"vo1", "a:2", manifest->digest}, {manifest->digest}));  // vo2 has it too
  EXPECT_TRUE(store_->verify(*manifest, {}));
  ASSERT_TRUE(store_->remove({"vo2", "a:2", manifest->digest}, {}));
  EXPECT_TRUE(store_->list()->empty());
  EXPECT_FALSE(store_->manifest(manifest->digest));
}

TEST_F(ImageStoreTest, DamageIsFoundAndNamed) {
  const auto manifest = store_->import_folder(make_image("a", "kernel"), kOwner, {});
  ASSERT_TRUE(manifest);
  const auto path = store_->blob_path(*manifest->part(kKernelMediaType));
  ASSERT_TRUE(path);
  ASSERT_TRUE(env::write_file_durably(*path, "kernex"));
  const auto verified = store_->verify(*manifest, {});
  ASSERT_FALSE(verified);
  EXPECT_EQ(verified.error().code(), ErrorCode::kCorrupt);
  EXPECT_THAT(verified.error().message(), HasSubstr("part k "));
  ASSERT_TRUE(env::write_file_durably(*path, "short"));
  EXPECT_EQ(store_->blob_path(*manifest->part(kKernelMediaType)).error().code(), ErrorCode::kCorrupt);
}

TEST_F(ImageStoreTest, PathsOutOfTheFolderAndMissingFilesAreRefused) {
  const auto image = make_image("a", "kernel");
  ASSERT_TRUE(env::write_file_durably(
      image + "/vhi.xml", "<vhi xmlns=\"urn:nuraghe:image:1\" name=\"a\"><boot kernel=\"../../etc/passwd\"/></vhi>"));
  EXPECT_EQ(store_->import_folder(image, kOwner, {}).error().code(), ErrorCode::kInvalid);
  ASSERT_TRUE(env::write_file_durably(image + "/vhi.xml",
                                      "<vhi xmlns=\"urn:nuraghe:image:1\" name=\"a\"><boot kernel=\"none\"/></vhi>"));
  EXPECT_EQ(store_->import_folder(image, kOwner, {}).error().code(), ErrorCode::kNotFound);
  EXPECT_TRUE(store_->list()->empty());
}

TEST_F(ImageStoreTest, CancelledImportLeavesNothing) {
  const auto result = store_->import_folder(make_image("a", "kernel"), kOwner, [](double) { return false; });
  ASSERT_FALSE(result);
  EXPECT_EQ(result.error().code(), ErrorCode::kCancelled);
  EXPECT_TRUE(env::list_directory(folder_ + "/layout/incoming")->empty());
  EXPECT_TRUE(store_->list()->empty());
}

TEST_F(ImageStoreTest, BlobsOfAnotherStoreAreTakenInWholeOrNotAtAll) {
  const auto manifest = store_->import_folder(make_image("a", "kernel"), kOwner, {});
  ASSERT_TRUE(manifest);
  auto other = ImageStore::open(folder_ + "/other");
  ASSERT_TRUE(other);
  const auto take = [&](const std::string& digest, Bytes limit, std::string bytes, int* asked) {
    return (*other)->take_blob(digest, limit, [&bytes, asked]() -> Result<std::string> {
      ++*asked;
      return std::exchange(bytes, std::string());
    });
  };
  const auto& part = *manifest->part(kKernelMediaType);
  int asked = 0;
  EXPECT_EQ(take(part.digest, kib(1), "kernex", &asked).error().code(), ErrorCode::kCorrupt);
  EXPECT_EQ(take(part.digest, Bytes{5}, "kernel", &asked).error().code(), ErrorCode::kExhausted);
  EXPECT_EQ(take("sha256:../../x", kib(1), "kernel", &asked).error().code(), ErrorCode::kInvalid);
  EXPECT_EQ((*other)->blob_file(part.digest).error().code(), ErrorCode::kNotFound);
  EXPECT_TRUE(env::list_directory(folder_ + "/other/incoming")->empty());
  ASSERT_TRUE(take(part.digest, kib(1), "kernel", &asked));
  const auto path = (*other)->blob_path(part);
  ASSERT_TRUE(path);
  EXPECT_EQ(*env::read_file(*path), "kernel");
  asked = 0;
  EXPECT_TRUE(take(part.digest, kib(1), "kernel", &asked));
  EXPECT_EQ(asked, 0);  // it is there
}

TEST(Digest, KnownValueAndForm) {
  EXPECT_EQ(digest_of("abc"), "sha256:ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
  EXPECT_TRUE(is_digest(digest_of("")));
  EXPECT_FALSE(is_digest("sha256:../../x"));
  EXPECT_FALSE(is_digest("md5:00"));
}

}  // namespace
}  // namespace nuraghe::images
