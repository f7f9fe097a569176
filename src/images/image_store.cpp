#include "images/image_store.hpp"

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <set>

#include "env/posix.hpp"
#include "images/digest.hpp"
#include "images/image_json.hpp"
#include "xml/xml.hpp"

namespace nuraghe::images {
namespace {

constexpr const char* kLayoutText = "{\"imageLayoutVersion\":\"1.0.0\"}";
constexpr std::string_view kImageNamespace = "urn:nuraghe:image:1";
constexpr std::size_t kChunk = 1 << 20;
constexpr std::size_t kMostKnown = 20'000;  // manifests that are kept in memory, about 1 KiB each

// Reads a whole file in pieces; `take` answers an error to stop.
Status read_in_chunks(const std::string& path, const std::function<Status(std::string_view)>& take) {
  const env::UniqueFd fd(::open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NOFOLLOW));
  if (!fd.valid()) return system_error(fmt::format("open {}", path), errno);
  std::string buffer(kChunk, '\0');
  while (true) {
    const auto count = ::read(fd.get(), buffer.data(), buffer.size());
    if (count < 0 && errno == EINTR) continue;
    if (count < 0) return system_error(fmt::format("read {}", path), errno);
    if (count == 0) return {};
    TRY(take(std::string_view(buffer).substr(0, static_cast<std::size_t>(count))));
  }
}

Status write_all(int fd, std::string_view bytes, const std::string& path) {
  while (!bytes.empty()) {
    const auto count = ::write(fd, bytes.data(), bytes.size());
    if (count < 0 && errno == EINTR) continue;
    if (count < 0) return system_error(fmt::format("write {}", path), errno);
    bytes.remove_prefix(static_cast<std::size_t>(count));
  }
  return {};
}

Result<Bytes> size_of(const std::string& path) {
  struct stat status {};
  if (::lstat(path.c_str(), &status) != 0) return system_error(fmt::format("stat {}", path), errno);
  if (!S_ISREG(status.st_mode)) return invalid(fmt::format("{} is not a plain file", path));
  return Bytes{status.st_size};
}

// A file that vhi.xml names: its role in the manifest.
struct NamedFile {
  std::string name;
  std::string media_type;
};

Result<std::vector<NamedFile>> files_of(const xml::Document& description, const std::string& path) {
  const auto root = description.root();
  if (!root.is(kImageNamespace, "vhi"))
    return invalid(fmt::format("{} is no image description: its root is <{}>, not <vhi xmlns=\"{}\">", path,
                               root.local_name(), kImageNamespace));
  std::vector<NamedFile> files;
  const auto add = [&](const std::optional<std::string>& name, std::string media_type) {
    if (name && !name->empty()) files.push_back({*name, std::move(media_type)});
  };
  if (const auto boot = root.child(kImageNamespace, "boot")) {
    add(boot.attribute("kernel"), kKernelMediaType);
    add(boot.attribute("initrd"), kInitrdMediaType);
  }
  if (const auto disk = root.child(kImageNamespace, "disk"))
    add(disk.attribute("file"),
        disk.attribute_or("format", "qcow2") == "raw" ? kDiskRawMediaType : kDiskQcow2MediaType);
  for (const auto& file : files) {
    if (file.name.find('/') != std::string::npos || file.name.starts_with('.'))
      return invalid(
          fmt::format("{} names the file '{}'; only plain names within its folder are allowed", path, file.name));
  }
  return files;
}

std::string reference_of(const std::string& owner, const std::string& name) {
  return owner.empty() ? name : owner + "/" + name;
}

}  // namespace

class ImageStore::Arrivals {
 public:
  explicit Arrivals(ImageStore& store) : store_(store) {}
  ~Arrivals() {
    const std::lock_guard lock(store_.index_mutex_);
    for (const auto& digest : digests_) store_.arriving_.erase(store_.arriving_.find(digest));
  }
  Arrivals(const Arrivals&) = delete;
  Arrivals& operator=(const Arrivals&) = delete;
  // Before it is looked whether the blob is there.
  void add(const std::string& digest) {
    const std::lock_guard lock(store_.index_mutex_);
    store_.arriving_.insert(digest);
    digests_.push_back(digest);
  }

 private:
  ImageStore& store_;
  std::vector<std::string> digests_;
};

ImageStore::Arriving::Arriving(ImageStore& store, const Manifest& manifest) : store_(store) {
  digests_ = {manifest.digest, manifest.config.digest};
  for (const auto& part : manifest.parts) digests_.push_back(part.digest);
  const std::lock_guard lock(store_.index_mutex_);
  store_.arriving_.insert(digests_.begin(), digests_.end());
}

ImageStore::Arriving::~Arriving() {
  const std::lock_guard lock(store_.index_mutex_);
  for (const auto& digest : digests_) store_.arriving_.erase(store_.arriving_.find(digest));
}

const Blob* Manifest::part(std::string_view media_type) const {
  const auto found =
      std::find_if(parts.begin(), parts.end(), [&](const Blob& blob) { return blob.media_type == media_type; });
  return found == parts.end() ? nullptr : &*found;
}

Bytes Manifest::stored_size() const {
  Bytes sum = config.size;
  for (const auto& blob : parts) sum = sum + blob.size;
  return sum;
}

Result<std::unique_ptr<ImageStore>> ImageStore::open(const std::string& root) {
  TRY(env::make_directories(root + "/blobs/sha256", 0700));
  // What a killed import left behind is nobody's.
  TRY(env::remove_tree(root + "/incoming"));
  TRY(env::make_directories(root + "/incoming", 0700));
  const std::string layout = root + "/oci-layout";
  if (!env::path_exists(layout)) {
    TRY(env::write_file_durably(root + "/index.json", write_index_json({})));
    TRY(env::write_file_durably(layout, kLayoutText));
  }
  TRY_ASSIGN(const auto text, env::read_file(layout));
  if (text.find("imageLayoutVersion") == std::string::npos)
    return corrupt(fmt::format("{} is not an OCI image layout: its oci-layout file has another content", root));
  return std::unique_ptr<ImageStore>(new ImageStore(root));
}

Result<std::unique_ptr<ImageStore>> ImageStore::open_existing(const std::string& root) {
  if (!env::path_exists(root + "/oci-layout"))
    return not_found(fmt::format("there is no image repository at {}", root));
  return std::unique_ptr<ImageStore>(new ImageStore(root));
}

std::string ImageStore::path_of(std::string_view digest) const {
  return fmt::format("{}/blobs/sha256/{}", root_, digest.substr(digest.find(':') + 1));
}

Status ImageStore::put_blob(std::string_view content, const std::string& digest) {
  const std::string path = path_of(digest);
  if (env::path_exists(path)) return {};
  return env::write_file_durably(path, content);
}

Result<Blob> ImageStore::take_file(const std::string& folder, const std::string& name, std::string media_type,
                                   const std::function<bool(Bytes)>& advance, Arrivals& arrivals) {
  const std::string source = folder + "/" + name;
  std::string incoming = root_ + "/incoming/XXXXXX";
  const env::UniqueFd fd(::mkostemp(incoming.data(), O_CLOEXEC));
  if (!fd.valid()) return system_error(fmt::format("create a file in {}/incoming", root_), errno);
  Sha256 hash;
  Bytes size;
  const auto copied = read_in_chunks(source, [&](std::string_view piece) -> Status {
    hash.update(piece);
    size = size + Bytes{static_cast<std::int64_t>(piece.size())};
    if (!advance(Bytes{static_cast<std::int64_t>(piece.size())}))
      return Error(ErrorCode::kCancelled, "the import was aborted");
    return write_all(fd.get(), piece, incoming);
  });
  if (!copied) {
    TRY(env::remove_tree(incoming));
    return copied.error();
  }
  Blob blob{std::move(media_type), hash.finish(), size, name};
  arrivals.add(blob.digest);
  TRY(keep_blob(fd.get(), incoming, blob.digest));
  return blob;
}

Status ImageStore::keep_blob(int fd, const std::string& incoming, const std::string& digest) {
  if (::fchmod(fd, 0444) != 0 || ::fsync(fd) != 0) {
    const int saved = errno;
    TRY(env::remove_tree(incoming));
    return system_error(fmt::format("fsync {}", incoming), saved);
  }
  if (::rename(incoming.c_str(), path_of(digest).c_str()) != 0)
    return system_error(fmt::format("rename {}", incoming), errno);
  return env::fsync_path(root_ + "/blobs/sha256");
}

Result<std::string> ImageStore::blob_file(const std::string& digest) const {
  if (!is_digest(digest)) return invalid(fmt::format("'{}' is not a sha256 digest", digest));
  std::string path = path_of(digest);
  if (!env::path_exists(path)) return not_found(fmt::format("the repository has no part {}", digest));
  return path;
}

Status ImageStore::take_blob(const std::string& digest, Bytes limit, const std::function<Result<std::string>()>& next) {
  const auto there = blob_file(digest);
  if (there) return {};
  if (there.error().code() != ErrorCode::kNotFound) return there.error();
  std::string incoming = root_ + "/incoming/XXXXXX";
  const env::UniqueFd fd(::mkostemp(incoming.data(), O_CLOEXEC));
  if (!fd.valid()) return system_error(fmt::format("create a file in {}/incoming", root_), errno);
  Sha256 hash;
  const auto taken = [&]() -> Status {
    for (Bytes size;;) {
      TRY_ASSIGN(const auto piece, next());
      if (piece.empty()) break;
      size = size + Bytes{static_cast<std::int64_t>(piece.size())};
      if (size > limit) return exhausted(fmt::format("the part {} is larger than {}", digest, limit.to_string()));
      hash.update(piece);
      TRY(write_all(fd.get(), piece, incoming));
    }
    if (hash.finish() != digest) return corrupt(fmt::format("the bytes of the part {} do not match it", digest));
    return {};
  }();
  if (!taken) {
    TRY(env::remove_tree(incoming));
    return taken;
  }
  return keep_blob(fd.get(), incoming, digest);
}

Result<Manifest> ImageStore::import_folder(const std::string& folder, const std::string& owner,
                                           const std::function<bool(double)>& progress) {
  const std::string path = folder + "/vhi.xml";
  TRY_ASSIGN(const auto text, env::read_file(path, mib(1)));
  xml::ParseOptions options;
  options.source = path;
  TRY_ASSIGN(const auto description, xml::Document::parse(text, options));
  TRY_ASSIGN(const auto files, files_of(description, path));
  Bytes total;
  for (const auto& file : files) {
    TRY_ASSIGN(const auto size, size_of(folder + "/" + file.name));
    total = total + size;
  }
  TRY_ASSIGN(const auto free, env::free_space(root_));
  if (free < total)
    return exhausted(fmt::format("importing {} needs {} in {}, which has {} free", folder, total.to_string(), root_,
                                 free.to_string()));
  Manifest manifest;
  Arrivals arrivals(*this);
  Bytes done;
  const auto advance = [&](Bytes piece) {
    done = done + piece;
    return !progress ||
           progress(total.count == 0 ? 1.0 : static_cast<double>(done.count) / static_cast<double>(total.count));
  };
  for (const auto& file : files) {
    TRY_ASSIGN(auto blob, take_file(folder, file.name, file.media_type, advance, arrivals));
    manifest.parts.push_back(std::move(blob));
  }
  manifest.config = {kConfigMediaType, digest_of(text), {static_cast<std::int64_t>(text.size())}, "vhi.xml"};
  arrivals.add(manifest.config.digest);
  TRY(put_blob(text, manifest.config.digest));
  const auto root = description.root();
  manifest.reference = reference_of(owner, root.attribute_or("name", "") + ":" + root.attribute_or("version", "1"));
  const std::string manifest_text = write_manifest(manifest);
  manifest.digest = digest_of(manifest_text);
  arrivals.add(manifest.digest);
  TRY(put_blob(manifest_text, manifest.digest));
  TRY(add(manifest));
  return manifest;
}

Status ImageStore::check_room(const Manifest& manifest) const {
  Bytes needed;
  for (const auto& part : manifest.parts) {
    if (!env::path_exists(path_of(part.digest))) needed = needed + part.size;
  }
  TRY_ASSIGN(const auto free, env::free_space(root_));
  if (needed <= free) return {};
  return exhausted(
      fmt::format("{} more are needed in {}, which has {} free", needed.to_string(), root_, free.to_string()));
}

Status ImageStore::add(const Manifest& manifest) {
  const std::lock_guard lock(index_mutex_);
  TRY_ASSIGN(auto index, read_index());
  std::erase_if(index, [&](const Manifest& other) { return other.reference == manifest.reference; });
  index.push_back(manifest);
  return write_index(index);
}

Status ImageStore::write_index(const std::vector<Manifest>& manifests) {
  std::vector<IndexEntry> entries;
  for (const auto& manifest : manifests) {
    TRY_ASSIGN(const auto size, size_of(path_of(manifest.digest)));
    entries.push_back({manifest.digest, size, manifest.reference});
  }
  return env::write_file_durably(root_ + "/index.json", write_index_json(entries));
}

Result<std::vector<Manifest>> ImageStore::read_index() const {
  TRY_ASSIGN(const auto text, env::read_file(root_ + "/index.json"));
  TRY_ASSIGN(const auto entries, read_index_json(text));
  std::vector<Manifest> manifests;
  for (const auto& entry : entries) {
    TRY_ASSIGN(auto one, known_manifest(entry.digest));
    one.reference = entry.reference;
    manifests.push_back(std::move(one));
  }
  return manifests;
}

Result<std::vector<Manifest>> ImageStore::list() const {
  const std::lock_guard lock(index_mutex_);
  return read_index();
}

Result<Manifest> ImageStore::known_manifest(const std::string& digest) const {
  if (const auto found = known_.find(digest); found != known_.end()) return found->second;
  TRY_ASSIGN(auto read, manifest(digest));
  if (known_.size() >= kMostKnown) known_.clear();
  known_.emplace(digest, read);
  return read;
}

Result<Manifest> ImageStore::manifest(const std::string& digest) const {
  if (!is_digest(digest)) return invalid(fmt::format("'{}' is not a sha256 digest", digest));
  TRY_ASSIGN(const auto text, env::read_file(path_of(digest), mib(4)));
  if (digest_of(text) != digest) return corrupt(fmt::format("the image manifest {} does not match its digest", digest));
  TRY_ASSIGN(auto result, read_manifest(text));
  result.digest = digest;
  return result;
}

Result<std::string> ImageStore::config(const Manifest& manifest) const {
  TRY_ASSIGN(auto text, env::read_file(path_of(manifest.config.digest), mib(4)));
  if (digest_of(text) != manifest.config.digest)
    return corrupt(fmt::format("the description {} of an image does not match its digest", manifest.config.digest));
  return text;
}

Result<std::string> ImageStore::blob_path(const Blob& blob) const {
  if (!is_digest(blob.digest)) return invalid(fmt::format("'{}' is not a sha256 digest", blob.digest));
  std::string path = path_of(blob.digest);
  auto size = size_of(path);
  if (!size) return std::move(size).error().with(fmt::format("the part {} of an image is missing", blob.title));
  if (*size != blob.size)
    return corrupt(fmt::format("the part {} of an image has {} instead of {}: import the image again", blob.title,
                               size->to_string(), blob.size.to_string()));
  return path;
}

Status ImageStore::verify(const Manifest& manifest, const std::function<bool(double)>& progress) const {
  TRY(config(manifest));
  const double total = static_cast<double>(std::max<std::int64_t>(1, manifest.stored_size().count));
  double done = 0;
  for (const auto& part : manifest.parts) {
    TRY_ASSIGN(const auto path, blob_path(part));
    Sha256 hash;
    TRY(read_in_chunks(path, [&](std::string_view piece) -> Status {
      hash.update(piece);
      done += static_cast<double>(piece.size());
      if (progress && !progress(done / total)) return Error(ErrorCode::kCancelled, "the check was aborted");
      return {};
    }));
    if (hash.finish() != part.digest)
      return corrupt(fmt::format("the part {} of the image does not match its digest {}: import the image again",
                                 part.title, part.digest));
  }
  return {};
}

Status ImageStore::remove(const Named& image, const std::vector<std::string>& kept) {
  const std::lock_guard lock(index_mutex_);
  TRY_ASSIGN(auto index, read_index());
  const auto find = [&](const std::string& reference) {
    return std::find_if(index.begin(), index.end(),
                        [&](const Manifest& one) { return one.reference == reference && one.digest == image.digest; });
  };
  auto found = find(reference_of(image.owner, image.name));
  // Layouts of before had names without an owner.
  if (found == index.end() && std::find(kept.begin(), kept.end(), image.digest) == kept.end()) found = find(image.name);
  if (found == index.end()) return {};
  const Manifest removed = *found;
  index.erase(found);
  TRY(write_index(index));
  return delete_unused(removed, index, kept);
}

Status ImageStore::discard(const std::string& digest, const std::vector<std::string>& kept) {
  const std::lock_guard lock(index_mutex_);
  const auto one = known_manifest(digest);
  if (!one && one.error().code() == ErrorCode::kNotFound) return {};
  if (!one) return one.error();
  TRY_ASSIGN(const auto index, read_index());
  return delete_unused(*one, index, kept);
}

Status ImageStore::delete_unused(const Manifest& removed, const std::vector<Manifest>& index,
                                 const std::vector<std::string>& kept) const {
  std::set<std::string> used(arriving_.begin(), arriving_.end());
  const auto use = [&used](const Manifest& one) {
    used.insert(one.digest);
    used.insert(one.config.digest);
    for (const auto& part : one.parts) used.insert(part.digest);
  };
  for (const auto& one : index) use(one);
  for (const auto& digest : kept) {
    const auto one = known_manifest(digest);
    // Of what is gone nothing can be kept; where it cannot be told what belongs to it, nothing is deleted.
    if (!one && one.error().code() != ErrorCode::kNotFound) return one.error();
    if (one) use(*one);
  }
  std::vector<std::string> candidates{removed.digest, removed.config.digest};
  for (const auto& part : removed.parts) candidates.push_back(part.digest);
  for (const auto& digest : candidates) {
    if (used.contains(digest)) continue;
    known_.erase(digest);
    TRY(env::remove_tree(path_of(digest)));
  }
  return {};
}

}  // namespace nuraghe::images
