#include "client/site_files.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <chrono>

#include "images/digest.hpp"

namespace nuraghe::client {
namespace {

constexpr Duration kFirstPause = std::chrono::milliseconds(100);
constexpr Duration kLongestPause = std::chrono::seconds(2);
constexpr Bytes kManifestLimit = mib(4);
constexpr Duration kBeginTimeout = std::chrono::seconds(15);
constexpr Duration kLook = std::chrono::milliseconds(500);  // how often a copy asks whether it is still wanted

Error status_error(const std::string& url, int status, std::string_view said) {
  std::string text = fmt::format("{} answered HTTP {}: {}", url, status, said.substr(0, 200));
  switch (status) {
    case 401:
    case 403:
      return denied(std::move(text) + " (is the token that of the site?)");
    case 404:
      return not_found(std::move(text));
    case 429:
    case 502:
    case 503:
    case 504:
      return unavailable(std::move(text));
    default:
      return internal(std::move(text));
  }
}

net::ClientRequest get_request(const SiteFilesOptions& options, const std::string& path) {
  net::ClientRequest request;
  request.method = "GET";
  request.url = options.factory + path;
  request.bearer = options.token;
  return request;
}

}  // namespace

Result<std::string> RemoteSeeds::fetch(const std::string& address, const std::string& digest, Duration timeout) {
  constexpr std::string_view kFolder = "/seeds/";
  const auto at = address.find(kFolder);
  if (at == std::string::npos) return invalid(fmt::format("'{}' is not the address of a seed", address));
  if (!images::is_digest(digest)) return invalid(fmt::format("'{}' is not the digest of a seed", digest));
  const std::string cluster = address.substr(at + kFolder.size());
  if (auto bytes = kept(digest); !bytes.empty()) return bytes;
  TRY_ASSIGN(auto bytes, get_patiently(fmt::format("/seeds/{}/{}", net::percent_encode(cluster), digest), timeout));
  if (images::digest_of(bytes) != digest)
    return corrupt(fmt::format("the seed that {} sent does not match its digest {}", options_.factory, digest));
  keep(digest, bytes);
  return bytes;
}

Result<std::string> RemoteSeeds::get_patiently(const std::string& path, Duration timeout) {
  const auto deadline = std::chrono::steady_clock::now() + timeout;
  for (Duration pause = kFirstPause;; pause = std::min(pause * 2, kLongestPause)) {
    const auto left = std::chrono::duration_cast<Duration>(deadline - std::chrono::steady_clock::now());
    auto bytes = get(path, std::max<Duration>(left, std::chrono::milliseconds(1)));
    if (bytes || bytes.error().code() != ErrorCode::kUnavailable || left <= pause) return bytes;
    std::unique_lock lock(mutex_);
    if (changed_.wait_for(lock, pause, [this] { return stopping_; }))
      return Error(ErrorCode::kCancelled, "fetching a seed was ended");
  }
}

Result<std::string> RemoteSeeds::get(const std::string& path, Duration timeout) {
  auto request = get_request(options_, path);
  request.timeout = timeout;
  request.body_limit = options_.seed_limit;
  const std::string url = request.url;
  TRY_ASSIGN(auto response, http_.call(std::move(request)));
  if (response.status != 200) return status_error(url, response.status, response.body);
  return std::move(response.body);
}

void RemoteSeeds::stop() {
  const std::lock_guard lock(mutex_);
  stopping_ = true;
  changed_.notify_all();
}

std::string RemoteSeeds::kept(const std::string& digest) {
  const std::lock_guard lock(mutex_);
  const auto found = std::find_if(kept_.begin(), kept_.end(), [&](const auto& one) { return one.first == digest; });
  if (found == kept_.end()) return {};
  kept_.splice(kept_.begin(), kept_, found);
  return found->second;
}

void RemoteSeeds::keep(const std::string& digest, const std::string& bytes) {
  const std::lock_guard lock(mutex_);
  if (std::any_of(kept_.begin(), kept_.end(), [&](const auto& one) { return one.first == digest; })) return;
  kept_.emplace_front(digest, bytes);
  kept_size_ = kept_size_ + Bytes{static_cast<std::int64_t>(bytes.size())};
  while (kept_size_ > options_.seed_memory && kept_.size() > 1) {
    kept_size_ = kept_size_ - Bytes{static_cast<std::int64_t>(kept_.back().second.size())};
    kept_.pop_back();
  }
}

Result<std::string> RemoteImages::folder_of(const contracts::vhir::ImageReference& image,
                                            const std::function<bool()>& cancelled) {
  std::unique_lock lock(mutex_, std::defer_lock);
  while (!lock.try_lock_for(kLook)) {
    if (cancelled()) return Error(ErrorCode::kCancelled, "waiting for another copy was ended");
  }
  const auto copied = [&]() -> Status {
    TRY(take(image.digest, kManifestLimit, cancelled));
    TRY_ASSIGN(auto manifest, store_.manifest(image.digest));
    // What another image that is dropped meanwhile shares with this one stays.
    const images::ImageStore::Arriving arriving(store_, manifest);
    TRY(take(image.digest, kManifestLimit, cancelled));
    TRY(take(manifest.config.digest, kManifestLimit, cancelled));
    for (const auto& part : manifest.parts) {
      if (part.size > options_.part_limit)
        return exhausted(fmt::format("{} has {}, the limit is {}", part.title, part.size.to_string(),
                                     options_.part_limit.to_string()));
      TRY(take(part.digest, part.size, cancelled));
    }
    manifest.reference = image.name + ":" + image.version;
    return store_.add(manifest);
  }();
  if (!copied) return copied.error().with(fmt::format("copying image {}:{}", image.name, image.version));
  return store_.root();
}

Status RemoteImages::drop(const contracts::vhir::ImageReference& image) {
  return store_.remove({"", image.name + ":" + image.version, image.digest}, {});
}

Status RemoteImages::take(const std::string& digest, Bytes limit, const std::function<bool()>& cancelled) {
  if (store_.blob_file(digest)) return {};
  std::unique_ptr<net::ClientStream> stream;
  const std::string path = "/images/" + digest;
  const auto next = [&]() -> Result<std::string> {
    if (!stream) {
      if (cancelled()) return Error(ErrorCode::kCancelled, "the copy was ended");
      auto request = get_request(options_, path);
      request.timeout = kBeginTimeout;
      TRY_ASSIGN(stream, http_.open_stream(std::move(request)));
      if (stream->status() != 200) {
        const auto said = stream->read(std::chrono::seconds(5));
        return status_error(options_.factory + path, stream->status(), said ? *said : std::string());
      }
    }
    for (Duration silent{0}; silent < options_.silence; silent += kLook) {
      if (cancelled()) return Error(ErrorCode::kCancelled, "the copy was ended");
      auto piece = stream->read(kLook);
      if (piece || piece.error().code() != ErrorCode::kTimeout) return piece;
    }
    return timed_out(fmt::format("{}{} was silent for {}", options_.factory, path, format_duration(options_.silence)));
  };
  return store_.take_blob(digest, limit, next);
}

}  // namespace nuraghe::client
