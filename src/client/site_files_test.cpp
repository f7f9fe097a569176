#include "client/site_files.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <stdlib.h>

#include <atomic>
#include <map>
#include <thread>

#include "env/posix.hpp"
#include "images/digest.hpp"
#include "net/http_server.hpp"
#include "net/testing.hpp"

namespace nuraghe::client {
namespace {

using net::testing::kPatience;
using ::testing::HasSubstr;

constexpr const char* kToken = "token-of-the-whole-site";

// A nuraghed that has only files: path to status and body.
class SiteFilesTest : public ::testing::Test {
 protected:
  void SetUp() override {
    std::string pattern = ::testing::TempDir() + "/nuraghe-site-XXXXXX";
    ASSERT_NE(::mkdtemp(pattern.data()), nullptr);
    folder_ = pattern;
    serve("127.0.0.1:0");
    options_.factory = server_->bases()[0];
    options_.token = kToken;
  }
  void TearDown() override {
    server_.reset();
    EXPECT_TRUE(env::remove_tree(folder_));
  }
  void serve(const std::string& listen) {
    net::HttpServerOptions options;
    options.listen = {listen};
    auto server =
        net::HttpServer::start(options, [this](net::HttpRequest request, const net::HttpResponder& responder) {
          ++requests_;
          if (request.header("Authorization") != std::string("Bearer ") + kToken)
            return responder.respond(net::text_response(401, "who are you"));
          const auto found = files_.find(std::string(request.path()));
          if (found == files_.end()) return responder.respond(net::text_response(404, "there is no such file"));
          if (found->second.empty()) return silent_.push_back(responder);
          net::HttpResponse response;
          response.body = found->second;
          responder.respond(std::move(response));
        });
    ASSERT_TRUE(server) << server.error().to_string();
    server_ = std::move(*server);
  }
  std::string add_seed(const std::string& cluster, const std::string& bytes) {
    files_["/seeds/" + cluster + "/" + images::digest_of(bytes)] = bytes;
    return images::digest_of(bytes);
  }

  std::string folder_;
  std::map<std::string, std::string> files_;
  std::vector<net::HttpResponder> silent_;  // requests that get no answer
  std::atomic<int> requests_{0};
  std::unique_ptr<net::HttpServer> server_;
  std::unique_ptr<net::HttpClient> http_ = net::HttpClient::make();
  SiteFilesOptions options_;
};

TEST_F(SiteFilesTest, ASeedIsFetchedOnceFromTheSiteAlone) {
  const auto digest = add_seed("vc-1", "private keys");
  RemoteSeeds seeds(*http_, options_);
  // Whatever host a message names: its path is asked for at the site's nuraghed.
  const auto bytes = seeds.fetch("http://192.0.2.1:99/seeds/vc-1", digest, kPatience);
  ASSERT_TRUE(bytes) << bytes.error().to_string();
  EXPECT_EQ(*bytes, "private keys");
  EXPECT_TRUE(seeds.fetch("http://192.0.2.1:99/seeds/vc-1", digest, kPatience));
  EXPECT_EQ(requests_, 1);
}

TEST_F(SiteFilesTest, WhatIsNotTheSeedIsRefused) {
  const auto digest = add_seed("vc-1", "private keys");
  RemoteSeeds seeds(*http_, options_);
  files_["/seeds/vc-1/" + digest] = "other keys";
  EXPECT_EQ(seeds.fetch("/seeds/vc-1", digest, kPatience).error().code(), ErrorCode::kCorrupt);
  EXPECT_EQ(seeds.fetch("/seeds/vc-2", digest, kPatience).error().code(), ErrorCode::kNotFound);
  EXPECT_EQ(seeds.fetch("/seeds/vc-1", "sha256:../x", kPatience).error().code(), ErrorCode::kInvalid);
  EXPECT_EQ(seeds.fetch("http://elsewhere/", digest, kPatience).error().code(), ErrorCode::kInvalid);
  options_.seed_limit = Bytes{5};
  EXPECT_EQ(RemoteSeeds(*http_, options_).fetch("/seeds/vc-1", digest, kPatience).error().code(),
            ErrorCode::kExhausted);
  options_.seed_limit = mib(16);
  options_.token = "another-token-of-anybody";
  const auto refused = RemoteSeeds(*http_, options_).fetch("/seeds/vc-1", digest, kPatience);
  EXPECT_EQ(refused.error().code(), ErrorCode::kDenied);
  EXPECT_THAT(refused.error().to_string(), HasSubstr("the token"));
}

TEST_F(SiteFilesTest, ASilentSiteIsWaitedForNoLongerThanTheTime) {
  const std::string digest = images::digest_of("x");
  files_["/seeds/vc-1/" + digest] = "";
  RemoteSeeds seeds(*http_, options_);
  EXPECT_EQ(seeds.fetch("/seeds/vc-1", digest, std::chrono::milliseconds(200)).error().code(), ErrorCode::kTimeout);
}

TEST_F(SiteFilesTest, ASiteThatIsAwayIsAskedAgainUntilItIsBack) {
  const auto digest = add_seed("vc-1", "private keys");
  const std::string address = options_.factory.substr(std::string("http://").size());
  server_.reset();
  RemoteSeeds seeds(*http_, options_);
  std::thread back([&] { serve(address); });
  const auto bytes = seeds.fetch("/seeds/vc-1", digest, kPatience);
  back.join();
  ASSERT_TRUE(bytes) << bytes.error().to_string();
  EXPECT_EQ(*bytes, "private keys");
  server_.reset();
  seeds.stop();
  EXPECT_EQ(seeds.fetch("/seeds/vc-1", images::digest_of("y"), kPatience).error().code(), ErrorCode::kCancelled);
}

TEST_F(SiteFilesTest, AnImageIsCopiedPartByPartAndVerified) {
  const std::string image = folder_ + "/image";
  ASSERT_TRUE(env::make_directories(image));
  ASSERT_TRUE(env::write_file_durably(
      image + "/vhi.xml",
      "<vhi xmlns=\"urn:nuraghe:image:1\" name=\"a\" version=\"2\"><boot kernel=\"k\" initrd=\"i\"/></vhi>"));
  ASSERT_TRUE(env::write_file_durably(image + "/k", std::string(2'000'000, 'k')));
  ASSERT_TRUE(env::write_file_durably(image + "/i", "initrd"));
  auto there = images::ImageStore::open(folder_ + "/there");
  ASSERT_TRUE(there);
  const auto manifest = (*there)->import_folder(image, "vo1", {});
  ASSERT_TRUE(manifest) << manifest.error().to_string();
  for (const auto& digest :
       {manifest->digest, manifest->config.digest, manifest->parts[0].digest, manifest->parts[1].digest})
    files_["/images/" + digest] = *env::read_file(*(*there)->blob_file(digest));
  auto here = images::ImageStore::open(folder_ + "/here");
  ASSERT_TRUE(here);
  RemoteImages images(*http_, **here, options_);
  contracts::vhir::ImageReference reference{"a", "2", manifest->digest, "/not/on/this/machine"};
  const auto wanted = [] { return false; };

  const std::string initrd = std::exchange(files_["/images/" + manifest->parts[1].digest], "initre");
  const auto damaged = images.folder_of(reference, wanted);
  EXPECT_EQ(damaged.error().code(), ErrorCode::kCorrupt);
  EXPECT_THAT(damaged.error().to_string(), HasSubstr("a:2"));
  EXPECT_FALSE((*here)->blob_file(manifest->parts[1].digest));
  files_["/images/" + manifest->parts[1].digest] = "";  // silent
  EXPECT_EQ(images.folder_of(reference, [] { return true; }).error().code(), ErrorCode::kCancelled);
  files_["/images/" + manifest->parts[1].digest] = initrd;

  const auto folder = images.folder_of(reference, wanted);
  ASSERT_TRUE(folder) << folder.error().to_string();
  EXPECT_EQ(*folder, folder_ + "/here");
  EXPECT_TRUE((*here)->verify(*manifest, {}));
  EXPECT_EQ((*here)->list()->size(), 1U);
  const int requests = requests_;
  EXPECT_TRUE(images.folder_of(reference, wanted));
  EXPECT_EQ(requests_, requests);  // nothing is copied twice
}

}  // namespace
}  // namespace nuraghe::client
