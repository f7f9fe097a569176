// SiteFiles: how a controller outside of nuraghed gets what it needs besides messages: seeds and images, from the doors
// /seeds and /images of its nuraghed.
//
// The address in a message only says which seed is meant: bytes are asked for at this site's nuraghed alone, so that a
// message cannot lead the site's token elsewhere. What comes is checked against its digest by whoever asked for it.
// Threading: every function is thread safe, and blocks.
#pragma once

#include <condition_variable>
#include <list>
#include <memory>
#include <mutex>
#include <string>
#include <utility>

#include "images/image_store.hpp"
#include "net/http_client.hpp"
#include "services/vhc/work.hpp"

namespace nuraghe::client {

struct SiteFilesOptions {
  std::string factory;                          // nuraghed's base: "http://127.0.0.1:8470"
  std::string token;                            // the site's
  Bytes seed_limit = mib(16);                   // of one seed, or of what the seeds of a cluster share
  Bytes seed_memory = mib(32);                  // seeds that are kept, the least lately used go first
  Bytes part_limit = gib(1024);                 // of one part of an image
  Duration silence = std::chrono::seconds(60);  // of nuraghed while it sends a part
};

class RemoteSeeds final : public services::vhc::SeedSource {
 public:
  // The client outlives this.
  RemoteSeeds(net::HttpClient& http, SiteFilesOptions options) : http_(http), options_(std::move(options)) {}
  // Tries again, with growing pauses, while nuraghed cannot be reached and the time is not over. kDenied: the token is
  // not the site's; kNotFound: there is no such seed (any more); kExhausted: over the limit; kCorrupt: not its digest.
  Result<std::string> fetch(const std::string& address, const std::string& digest, Duration timeout) override;
  // Ends pauses; fetch then answers kCancelled.
  void stop();

 private:
  Result<std::string> get(const std::string& path, Duration timeout);
  Result<std::string> get_patiently(const std::string& path, Duration timeout);
  std::string kept(const std::string& digest);
  void keep(const std::string& digest, const std::string& bytes);

  net::HttpClient& http_;
  const SiteFilesOptions options_;
  std::mutex mutex_;
  std::condition_variable changed_;
  bool stopping_ = false;
  std::list<std::pair<std::string, std::string>> kept_;  // digest and bytes, the last used first
  Bytes kept_size_;
};

class RemoteImages final : public services::vhc::ImageSource {
 public:
  // Client and store outlive this.
  RemoteImages(net::HttpClient& http, images::ImageStore& store, SiteFilesOptions options)
      : http_(http), store_(store), options_(std::move(options)) {}
  // Copies the parts that are not there yet, one image at a time. Errors as RemoteSeeds::fetch.
  Result<std::string> folder_of(const contracts::vhir::ImageReference& image,
                                const std::function<bool()>& cancelled) override;
  // Deletes the copies that no other image needs.
  Status drop(const contracts::vhir::ImageReference& image) override;

 private:
  Status take(const std::string& digest, Bytes limit, const std::function<bool()>& cancelled);

  net::HttpClient& http_;
  images::ImageStore& store_;
  const SiteFilesOptions options_;
  std::timed_mutex mutex_;
};

// Images in a folder that nuraghed and this controller share.
class SharedImages final : public services::vhc::ImageSource {
 public:
  explicit SharedImages(std::string folder) : folder_(std::move(folder)) {}
  Result<std::string> folder_of(const contracts::vhir::ImageReference&, const std::function<bool()>&) override {
    return folder_;
  }
  // They are the repository's.
  Status drop(const contracts::vhir::ImageReference&) override { return {}; }

 private:
  const std::string folder_;
};

}  // namespace nuraghe::client
