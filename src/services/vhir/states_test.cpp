// Frozen states in the repository.
#include <gmock/gmock.h>
#include <stdlib.h>

#include <map>

#include "env/posix.hpp"
#include "images/digest.hpp"
#include "images/image_json.hpp"
#include "services/testing.hpp"
#include "services/vhir/vhir.hpp"

namespace nuraghe::services::vhir {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using World = services::testing::World;

const std::string kRepository = "/services/vhir";

// A controller that serves what it is given.
class FakeController final : public StateSource {
 public:
  std::map<std::string, std::string> parts;  // by digest
  int asked = 0;
  Result<Next> open(const std::string& controller, const std::string& host, const std::string& digest,
                    const std::function<bool()>&) override {
    ++asked;
    EXPECT_EQ(controller, "http://a:1/services/a");
    EXPECT_EQ(host, "vh-1");
    const auto part = parts.find(digest);
    if (part == parts.end()) return not_found("there is no part " + digest);
    return Next([text = part->second, sent = false]() mutable -> Result<std::string> {
      return std::exchange(sent, true) ? std::string() : text;
    });
  }
  std::string add(const std::string& text) {
    const auto digest = images::digest_of(text);
    parts[digest] = text;
    return digest;
  }
  // A state with these parts; its digest.
  std::string add_state(const std::vector<std::string>& texts) {
    const auto length = [](const std::string& text) { return Bytes{static_cast<std::int64_t>(text.size())}; };
    images::Manifest manifest;
    for (const auto& text : texts) manifest.parts.push_back({"part", add(text), length(text), "driver/" + text});
    const std::string config = "{\"of\":\"" + texts.front() + "\"}";
    manifest.config = {"config", add(config), length(config), ""};
    return add(images::write_manifest(manifest));
  }
};

class FrozenStatesTest : public ::testing::Test {
 protected:
  FrozenStatesTest() {
    std::string pattern = ::testing::TempDir() + "/nuraghe-states-XXXXXX";
    EXPECT_NE(::mkdtemp(pattern.data()), nullptr);
    folder_ = pattern;
    images_ = std::move(*images::ImageStore::open(folder_ + "/layout"));
    repository_ = std::make_unique<Repository>(*images_, &controller_);
    world_.open({repository_.get()});
  }
  ~FrozenStatesTest() override {
    world_.close();
    EXPECT_TRUE(env::remove_tree(folder_));
  }
  exchange::Message store(const std::string& digest, const std::string& vo = "vo1") {
    api::StoreStateRequest input;
    input.host = "vh-1";
    input.controller = "http://a:1/services/a";
    input.state = digest;
    return world_.ask(contracts::vhir::make_store_state(kRepository, input), vo);
  }
  std::string drop(const std::string& vo = "vo1") {
    return World::fault_of(world_.ask(contracts::vhir::make_drop_state(kRepository, {"vh-1"}), vo));
  }
  std::vector<std::string> blobs() const { return *env::list_directory(folder_ + "/layout/blobs/sha256"); }

  std::string folder_;
  FakeController controller_;
  std::unique_ptr<images::ImageStore> images_;
  std::unique_ptr<Repository> repository_;
  World world_;
};

TEST_F(FrozenStatesTest, AreFetchedOnceAndDroppedWhole) {
  const auto digest = controller_.add_state({"memory", "device"});
  const auto stored = contracts::vhir::parse_store_state_response(store(digest));
  ASSERT_TRUE(stored) << stored.error().to_string();
  EXPECT_EQ(stored->reference.digest, digest);
  EXPECT_EQ(stored->reference.location, images_->root());
  EXPECT_EQ(blobs().size(), 4U);
  EXPECT_TRUE(images_->verify(*images_->manifest(digest), {}));
  const int asked = controller_.asked;
  ASSERT_TRUE(contracts::vhir::parse_store_state_response(store(digest)));
  EXPECT_EQ(controller_.asked, asked) << "a repeat fetches nothing";
  const auto listed = contracts::vhir::parse_list_images_response(
      world_.ask(contracts::vhir::make_list_images(kRepository, {}), "vo1"));
  EXPECT_THAT(listed->catalogue.image, IsEmpty()) << "a state is no image";
  EXPECT_EQ(drop(), "");
  EXPECT_EQ(drop(), "");
  world_.run();
  EXPECT_THAT(blobs(), IsEmpty());
  EXPECT_THAT(world_.keys("vhir_state"), IsEmpty());
}

TEST_F(FrozenStatesTest, ALaterFreezeTakesThePlaceOfTheOneBefore) {
  ASSERT_EQ(World::fault_of(store(controller_.add_state({"shared", "old"}))), "");
  const auto later = controller_.add_state({"new", "shared"});
  ASSERT_EQ(World::fault_of(store(later)), "");
  world_.run();
  EXPECT_EQ(blobs().size(), 4U);
  EXPECT_TRUE(images_->verify(*images_->manifest(later), {})) << "what both have stays";
}

TEST_F(FrozenStatesTest, AWrongByteIsRefused) {
  const auto digest = controller_.add_state({"memory", "device"});
  controller_.parts[images::digest_of(std::string("device"))] = "devicf";
  const auto refused = store(digest);
  EXPECT_EQ(World::fault_of(refused), "corrupt");
  EXPECT_THAT(refused.fault->reason, HasSubstr("fetching the frozen state of vh-1"));
  EXPECT_THAT(world_.keys("vhir_state"), IsEmpty());
  // Mended, what is there already is not fetched again.
  controller_.parts[images::digest_of(std::string("device"))] = "device";
  const int asked = controller_.asked;
  EXPECT_EQ(World::fault_of(store(digest)), "");
  EXPECT_EQ(controller_.asked, asked + 1);
}

TEST_F(FrozenStatesTest, BelongToTheirOrganisation) {
  const auto digest = controller_.add_state({"memory"});
  ASSERT_EQ(World::fault_of(store(digest)), "");
  EXPECT_EQ(World::fault_of(store(digest, "vo2")), "not-found");
  EXPECT_EQ(drop("vo2"), "");
  EXPECT_THAT(world_.keys("vhir_state"), ElementsAre("vh-1")) << "another's is left alone";
}

TEST_F(FrozenStatesTest, GoWithTheirHost) {
  ASSERT_EQ(World::fault_of(store(controller_.add_state({"memory"}))), "");
  EXPECT_EQ(World::fault_of(world_.ask(contracts::vhir::make_release_image(kRepository, {"vh-1"}), "vo1")), "");
  world_.run();
  EXPECT_THAT(blobs(), IsEmpty());
}

TEST_F(FrozenStatesTest, AreAskedForByDigest) {
  EXPECT_EQ(World::fault_of(store("latest")), "invalid");
  EXPECT_EQ(World::fault_of(store("sha256:" + std::string(64, '0'))), "not-found");
}

}  // namespace
}  // namespace nuraghe::services::vhir
