#include "images/packed_file.hpp"

#include <fcntl.h>
#include <gtest/gtest.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cstdlib>
#include <filesystem>

#include "env/posix.hpp"
#include "images/digest.hpp"

namespace nuraghe::images {
namespace {

constexpr std::int64_t kPage = 4096;

class PackedFile : public testing::Test {
 protected:
  void SetUp() override { ASSERT_NE(::mkdtemp(folder_.data()), nullptr); }
  void TearDown() override { std::filesystem::remove_all(folder_); }
  std::string path(const std::string& name) const { return folder_ + "/" + name; }

  // A file of 64 pages that holds pages 3, 4 and 40.
  std::string make_sparse() {
    std::string whole(64 * kPage, '\0');
    const std::string file = path("sparse");
    const env::UniqueFd fd(::open(file.c_str(), O_RDWR | O_CREAT | O_CLOEXEC, 0600));
    EXPECT_EQ(::ftruncate(fd.get(), 64 * kPage), 0);
    for (const std::int64_t page : {3, 4, 40}) {
      const std::string text(kPage, static_cast<char>('a' + page % 26));
      EXPECT_EQ(::pwrite(fd.get(), text.data(), text.size(), page * kPage), kPage);
      whole.replace(static_cast<std::size_t>(page * kPage), text.size(), text);
    }
    content_ = whole;
    return file;
  }
  static std::string all(ByteSource& source, std::int64_t piece) {
    std::string bytes;
    while (static_cast<std::int64_t>(bytes.size()) < source.size().count) {
      const auto more = source.read({static_cast<std::int64_t>(bytes.size())}, {piece});
      if (!more || more->empty()) {
        ADD_FAILURE() << (more ? "nothing" : more.error().to_string());
        break;
      }
      bytes += *more;
    }
    return bytes;
  }
  static Result<std::unique_ptr<ByteSource>> pack(const std::string& file) {
    TRY_ASSIGN(const auto layout, layout_of(file));
    return pack_file(file, layout);
  }
  Status unpack(const std::string& packed, std::size_t piece, const std::string& to, Bytes limit = mib(1)) {
    std::size_t at = 0;
    return unpack_file(to, limit, [&]() -> Result<std::string> {
      const std::string next = packed.substr(std::min(at, packed.size()), piece);
      at += next.size();
      return next;
    });
  }

  std::string folder_ = "/tmp/nuraghe-packed-XXXXXX";
  std::string content_;
};

TEST_F(PackedFile, HolesCostNothingAndComeBack) {
  const std::string file = make_sparse();
  const auto source = pack(file);
  ASSERT_TRUE(source) << source.error().to_string();
  EXPECT_LE((*source)->size().count, 3 * kPage + 200);
  for (const std::int64_t piece : {1000000L, 4096L, 777L, 13L}) {
    const std::string packed = all(**source, piece);
    const std::string copy = path("copy");
    ASSERT_TRUE(unpack(packed, static_cast<std::size_t>(piece), copy));
    EXPECT_EQ(env::read_file(copy).value(), content_) << piece;
    struct stat info {};
    ASSERT_EQ(::stat(copy.c_str(), &info), 0);
    EXPECT_LE(info.st_blocks * 512, 8 * kPage) << "holes stay holes";
    EXPECT_EQ(digest_of(**source, [] { return Status(); }).value(), digest_of(packed));
  }
}

TEST_F(PackedFile, AnEmptyFileAndOneHole) {
  for (const std::int64_t size : {std::int64_t{0}, 16 * kPage}) {
    const std::string file = path("hole");
    const env::UniqueFd fd(::open(file.c_str(), O_RDWR | O_CREAT | O_TRUNC | O_CLOEXEC, 0600));
    ASSERT_EQ(::ftruncate(fd.get(), size), 0);
    const auto source = pack(file);
    ASSERT_TRUE(source);
    ASSERT_TRUE(unpack(all(**source, 100), 5, path("copy")));
    EXPECT_EQ(env::read_file(path("copy")).value(), std::string(static_cast<std::size_t>(size), '\0'));
  }
}

TEST_F(PackedFile, RefusesWhatIsNone) {
  const auto source = pack(make_sparse());
  const std::string packed = all(**source, 4096);
  const auto refused = [&](const std::string& text) {
    const Status done = unpack(text, 100, path("bad"));
    EXPECT_FALSE(env::path_exists(path("bad")));
    return done ? ErrorCode::kInternal : done.error().code();
  };
  EXPECT_EQ(refused(""), ErrorCode::kCorrupt);
  EXPECT_EQ(refused("NURPACK2" + packed.substr(8)), ErrorCode::kCorrupt);
  EXPECT_EQ(refused(packed.substr(0, packed.size() - 1)), ErrorCode::kCorrupt);
  EXPECT_EQ(refused(packed + "x"), ErrorCode::kCorrupt);
  for (std::size_t at = 8; at < 24 + 32; ++at) {  // every byte of sizes and extents, turned over
    std::string changed = packed;
    changed[at] = static_cast<char>(~changed[at]);
    const Status done = unpack(changed, 100, path("bad"));
    if (done) {
      EXPECT_NE(env::read_file(path("bad")).value(), content_) << at;
      std::filesystem::remove(path("bad"));
      continue;
    }
    EXPECT_TRUE(done.error().code() == ErrorCode::kCorrupt || done.error().code() == ErrorCode::kExhausted) << at;
  }
  EXPECT_EQ(unpack(packed, 100, path("bad"), {63 * kPage}).error().code(), ErrorCode::kExhausted);
}

// File systems call other parts of a file data when they have written back what was dirty.
TEST_F(PackedFile, TheSameLayoutGivesTheSameBytesWhateverBecomesOfTheHoles) {
  const std::string file = make_sparse();
  const std::string layout = layout_of(file).value();
  auto source = pack_file(file, layout);
  const std::string before = all(**source, 4096);
  const env::UniqueFd fd(::open(file.c_str(), O_RDWR | O_CLOEXEC));
  const std::string zeros(kPage, '\0');
  ASSERT_EQ(::pwrite(fd.get(), zeros.data(), zeros.size(), 20 * kPage), kPage);
  ASSERT_NE(layout_of(file).value(), layout);
  source = pack_file(file, layout);
  EXPECT_EQ(all(**source, 4096), before);
}

TEST_F(PackedFile, SaysWhatItDoesNotRead) {
  EXPECT_EQ(layout_of(path("none")).error().code(), ErrorCode::kNotFound);
  EXPECT_EQ(layout_of(folder_).error().code(), ErrorCode::kInvalid);
  const std::string file = make_sparse();
  const std::string layout = layout_of(file).value();
  for (const std::string& wrong : {std::string(), layout.substr(1), layout + "x", layout.substr(0, 20)})
    EXPECT_EQ(pack_file(file, wrong).error().code(), ErrorCode::kCorrupt);
  ASSERT_EQ(::truncate(file.c_str(), 10), 0);
  EXPECT_EQ(pack_file(file, layout).error().code(), ErrorCode::kCorrupt);
}

}  // namespace
}  // namespace nuraghe::images
