// The repository on disk: an OCI image layout (image-spec 1.1, "Image Layout"), content-addressed and verified.
//
//   ROOT/oci-layout                 {"imageLayoutVersion":"1.0.0"}
//   ROOT/index.json                 one manifest per image, named by the annotation org.opencontainers.image.ref.name:
//                                   OWNER/NAME:VERSION, so that the same name of two owners is two images
//   ROOT/blobs/sha256/HEX           manifests, configurations (vhi.xml), kernels, initial RAM disks, disks
//   ROOT/incoming/                  files on their way in; swept when the store is opened
//
// Media types stand in docs/formats/image.md. A blob is written beside its place, fsynced and renamed: it is there
// whole or not at all, and never changes. The index is replaced atomically. Threading: every function is thread safe
// across threads; changes of one ROOT belong to one process at a time.
#pragma once

#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <set>
#include <string>
#include <vector>

#include "base/result.hpp"
#include "base/units.hpp"

namespace nuraghe::images {

inline constexpr const char* kConfigMediaType = "application/vnd.nuraghe.vhi.config.v1+xml";
inline constexpr const char* kKernelMediaType = "application/vnd.nuraghe.vhi.kernel.v1";
inline constexpr const char* kInitrdMediaType = "application/vnd.nuraghe.vhi.initrd.v1";
inline constexpr const char* kDiskQcow2MediaType = "application/vnd.nuraghe.vhi.disk.v1.qcow2";
inline constexpr const char* kDiskRawMediaType = "application/vnd.nuraghe.vhi.disk.v1.raw";
inline constexpr const char* kManifestMediaType = "application/vnd.oci.image.manifest.v1+json";

struct Blob {
  std::string media_type;
  std::string digest;  // sha256:HEX
  Bytes size;
  std::string title;  // file name in the image folder
};

struct Manifest {
  std::string digest;       // of the manifest itself
  std::string reference;    // "physics/mini:1", "mini:1" of no owner (only when read from the index or imported)
  Blob config;              // vhi.xml
  std::vector<Blob> parts;  // kernel, initrd, disk, each at most once
  const Blob* part(std::string_view media_type) const;  // null when there is none
  Bytes stored_size() const;
};

class ImageStore {
 public:
  // Makes the layout when it is not there. kCorrupt when ROOT holds something else.
  static Result<std::unique_ptr<ImageStore>> open(const std::string& root);

  // For readers of a store that another object or process changes: touches nothing. kNotFound when there is none.
  static Result<std::unique_ptr<ImageStore>> open_existing(const std::string& root);

  // Reads FOLDER/vhi.xml and the files that it names (plain names within the folder, no links) into the layout and puts
  // OWNER/NAME:VERSION into the index. The same content again changes nothing. progress: fraction done, may be empty;
  // answering false cancels (kCancelled).
  Result<Manifest> import_folder(const std::string& folder, const std::string& owner,
                                 const std::function<bool(double)>& progress);
  // Every image of the index.
  Result<std::vector<Manifest>> list() const;
  // By manifest digest; kNotFound, or kCorrupt when the manifest does not match its digest.
  Result<Manifest> manifest(const std::string& digest) const;
  // The text of the image's vhi.xml, checked against its digest.
  Result<std::string> config(const Manifest& manifest) const;
  // Absolute path of a blob that is there with its full size; kNotFound or kCorrupt otherwise.
  Result<std::string> blob_path(const Blob& blob) const;
  // The file of a blob by its digest alone. kInvalid when the text is no digest, kNotFound when there is none.
  Result<std::string> blob_file(const std::string& digest) const;
  // Takes a blob in from elsewhere; one that is there already is not asked for. `next` answers the bytes piece by
  // piece,
  // "" at their end. kCorrupt when they do not match the digest, kExhausted beyond the limit; nothing stays then.
  Status take_blob(const std::string& digest, Bytes limit, const std::function<Result<std::string>()>& next);
  // Puts an image whose blobs are all there into the index, in the place of another of that reference.
  Status add(const Manifest& manifest);
  // Reads every part and compares it with its digest: kCorrupt names the part.
  Status verify(const Manifest& manifest, const std::function<bool(double)>& progress) const;
  // As long as it is there, remove() leaves the blobs of this manifest, which are about to be used.
  class Arriving {
   public:
    Arriving(ImageStore& store, const Manifest& manifest);
    ~Arriving();
    Arriving(const Arriving&) = delete;
    Arriving& operator=(const Arriving&) = delete;

   private:
    ImageStore& store_;
    std::vector<std::string> digests_;
  };
  // kExhausted when the parts that are not there yet are larger than the file system has room for.
  Status check_room(const Manifest& manifest) const;
  // Takes the image out of the index and deletes its blobs, but for those that another image of the index or one of
  // `kept` (digests of manifests) uses, or that an import is about to use. One that is not there is no error; a name
  // that has another content meanwhile stays.
  struct Named {
    std::string owner;
    std::string name;  // "mini:1"
    std::string digest;
  };
  Status remove(const Named& image, const std::vector<std::string>& kept);
  // Deletes the blobs of a manifest that no image of the index or of `kept` uses. One that is not there is no error.
  Status discard(const std::string& digest, const std::vector<std::string>& kept);

  const std::string& root() const { return root_; }

 private:
  // Blobs of an import that are not in the index yet: remove() leaves them, whoever had them before.
  class Arrivals;
  explicit ImageStore(std::string root) : root_(std::move(root)) {}
  std::string path_of(std::string_view digest) const;
  Result<Blob> take_file(const std::string& folder, const std::string& name, std::string media_type,
                         const std::function<bool(Bytes)>& advance, Arrivals& arrivals);
  // A file in incoming/ becomes the blob of that digest.
  Status keep_blob(int fd, const std::string& incoming, const std::string& digest);
  Status put_blob(std::string_view content, const std::string& digest);
  Status delete_unused(const Manifest& removed, const std::vector<Manifest>& index,
                       const std::vector<std::string>& kept) const;
  Status write_index(const std::vector<Manifest>& manifests);
  Result<std::vector<Manifest>> read_index() const;
  // As manifest(), from memory where it was read before: content never changes under its digest.
  Result<Manifest> known_manifest(const std::string& digest) const;

  std::string root_;
  mutable std::mutex index_mutex_;
  std::multiset<std::string> arriving_;  // digests; index_mutex_
  mutable std::map<std::string, Manifest>
      known_;  // by digest, those of the index and of who asked to keep; index_mutex_
};

}  // namespace nuraghe::images
