#include "images/packed_file.hpp"

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstdint>
#include <string_view>
#include <utility>
#include <vector>

#include "env/posix.hpp"
#include "env/sparse.hpp"
#include "images/digest.hpp"

namespace nuraghe::images {
namespace {

constexpr std::string_view kMagic = "NURPACK1";
constexpr std::size_t kWord = 8;
constexpr std::size_t kFixed = kMagic.size() + 2 * kWord;
constexpr std::size_t kPerExtent = 2 * kWord;
constexpr std::int64_t kMostExtents = 1 << 24;
constexpr Bytes kPiece = mib(1);

void append_word(std::string& out, std::int64_t value) {
  for (std::size_t i = 0; i < kWord; ++i)
    out.push_back(static_cast<char>(static_cast<std::uint64_t>(value) >> (8 * i)));
}

std::int64_t word_at(std::string_view bytes, std::size_t at) {
  std::uint64_t value = 0;
  for (std::size_t i = 0; i < kWord; ++i)
    value |= static_cast<std::uint64_t>(static_cast<std::uint8_t>(bytes[at + i])) << (8 * i);
  return static_cast<std::int64_t>(value);
}

class TextSource final : public ByteSource {
 public:
  explicit TextSource(std::string text) : text_(std::move(text)) {}
  Bytes size() const override { return {static_cast<std::int64_t>(text_.size())}; }
  Result<std::string> read(Bytes offset, Bytes limit) override {
    const auto at = std::min(static_cast<std::size_t>(std::max<std::int64_t>(0, offset.count)), text_.size());
    return text_.substr(at, static_cast<std::size_t>(limit.count));
  }

 private:
  const std::string text_;
};

class PackedSource final : public ByteSource {
 public:
  PackedSource(env::UniqueFd fd, std::string path, std::string head, std::vector<env::Extent> extents)
      : fd_(std::move(fd)), path_(std::move(path)), extents_(std::move(extents)), head_(std::move(head)) {
    auto at = static_cast<std::int64_t>(head_.size());
    for (const auto& extent : extents_) {
      begins_.push_back(at);
      at += extent.length;
    }
    size_ = {at};
  }
  Bytes size() const override { return size_; }
  Result<std::string> read(Bytes offset, Bytes limit) override {
    if (offset.count < static_cast<std::int64_t>(head_.size()))
      return head_.substr(static_cast<std::size_t>(offset.count), static_cast<std::size_t>(limit.count));
    if (offset >= size_) return std::string();
    const auto after = std::ranges::upper_bound(begins_, offset.count);
    const auto index = static_cast<std::size_t>(after - begins_.begin()) - 1;
    const std::int64_t within = offset.count - begins_[index];
    std::string piece(static_cast<std::size_t>(std::min(limit.count, extents_[index].length - within)), '\0');
    const auto count = read_at(piece, extents_[index].offset + within);
    if (count < 0) return system_error("read " + path_, errno);
    if (count == 0) return corrupt(path_ + " became shorter while it was read");
    piece.resize(static_cast<std::size_t>(count));
    return piece;
  }

 private:
  ssize_t read_at(std::string& piece, std::int64_t offset) const {
    ssize_t count = 0;
    do count = ::pread(fd_.get(), piece.data(), piece.size(), offset);
    while (count < 0 && errno == EINTR);
    return count;
  }

  const env::UniqueFd fd_;
  const std::string path_;
  const std::vector<env::Extent> extents_;
  std::vector<std::int64_t> begins_;  // of each extent's data, in the packed file
  std::string head_;
  Bytes size_;
};

// What stands before the data.
struct Layout {
  std::int64_t size = 0;  // of the file
  std::vector<env::Extent> extents;
};

// How long it is; 0: not known yet.
Result<std::size_t> layout_length(std::string_view head, const std::string& path) {
  const auto seen = std::min(head.size(), kMagic.size());
  if (head.substr(0, seen) != kMagic.substr(0, seen)) return corrupt(path + ": this is no packed file");
  if (head.size() < kFixed) return std::size_t{0};
  const std::int64_t count = word_at(head, kMagic.size() + kWord);
  if (count < 0 || count > kMostExtents) return corrupt(path + ": its packed form has no sensible number of extents");
  return kFixed + static_cast<std::size_t>(count) * kPerExtent;
}

// Requires the whole of it.
Result<Layout> read_layout(std::string_view head, const std::string& path) {
  Layout layout;
  layout.size = word_at(head, kMagic.size());
  if (layout.size < 0) return corrupt(path + ": its packed form has no sensible size");
  const std::int64_t count = word_at(head, kMagic.size() + kWord);
  std::int64_t end = 0;
  for (std::int64_t i = 0; i < count; ++i) {
    const auto at = kFixed + static_cast<std::size_t>(i) * kPerExtent;
    const env::Extent extent{word_at(head, at), word_at(head, at + kWord)};
    const bool is_inside = extent.offset >= end && extent.length > 0 && extent.offset <= layout.size &&
                           extent.length <= layout.size - extent.offset;
    if (!is_inside) return corrupt(path + ": the extents of its packed form overlap, or lie outside of it");
    end = extent.offset + extent.length;
    layout.extents.push_back(extent);
  }
  return layout;
}

// Takes a packed file apart as it comes.
class Unpacker {
 public:
  Unpacker(int fd, const std::string& path, Bytes limit) : fd_(fd), path_(path), limit_(limit) {}

  Status take(std::string_view piece) {
    if (!has_head_) {
      head_.append(piece);
      TRY_ASSIGN(const std::size_t length, layout_length(head_, path_));
      if (length == 0 || head_.size() < length) return {};
      TRY_ASSIGN(layout_, read_layout(head_, path_));
      if (Bytes{layout_.size} > limit_)
        return exhausted(fmt::format("{} would have {}; the limit is {}", path_, Bytes{layout_.size}.to_string(),
                                     limit_.to_string()));
      has_head_ = true;
      const std::string rest = head_.substr(length);
      head_.clear();
      return write(rest);
    }
    return write(piece);
  }
  Status finish() {
    if (!has_head_ || at_ != layout_.extents.size()) return corrupt(path_ + ": its packed form ends too early");
    if (::ftruncate(fd_, layout_.size) != 0) return system_error("write " + path_, errno);
    return ::fsync(fd_) == 0 ? Status() : Status(system_error("fsync " + path_, errno));
  }

 private:
  Status write(std::string_view piece) {
    while (!piece.empty()) {
      if (at_ == layout_.extents.size()) return corrupt(path_ + ": its packed form is too long");
      const auto& extent = layout_.extents[at_];
      const auto room = static_cast<std::size_t>(extent.length - done_);
      const auto count = ::pwrite(fd_, piece.data(), std::min(piece.size(), room), extent.offset + done_);
      if (count < 0 && errno == EINTR) continue;
      if (count < 0) return system_error("write " + path_, errno);
      piece.remove_prefix(static_cast<std::size_t>(count));
      done_ += count;
      if (done_ < extent.length) continue;
      ++at_;
      done_ = 0;
    }
    return {};
  }

  const int fd_;
  const std::string& path_;
  const Bytes limit_;
  bool has_head_ = false;
  std::string head_;
  Layout layout_;
  std::size_t at_ = 0;     // the extent that is being written
  std::int64_t done_ = 0;  // bytes of it
};

}  // namespace

std::unique_ptr<ByteSource> text_source(std::string text) { return std::make_unique<TextSource>(std::move(text)); }

Result<std::string> digest_of(ByteSource& source, const std::function<Status()>& go_on) {
  Sha256 hash;
  for (Bytes at; at < source.size();) {
    TRY(go_on());
    TRY_ASSIGN(const auto piece, source.read(at, kPiece));
    hash.update(piece);
    at.count += static_cast<std::int64_t>(piece.size());
  }
  return hash.finish();
}

Result<std::string> layout_of(const std::string& path) {
  const env::UniqueFd fd(::open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NOFOLLOW));
  struct stat info {};
  if (!fd.valid() || ::fstat(fd.get(), &info) != 0) return system_error("open " + path, errno);
  if (!S_ISREG(info.st_mode)) return invalid(path + " is no plain file");
  TRY_ASSIGN(const auto extents, env::data_extents(fd.get(), path));
  if (static_cast<std::int64_t>(extents.size()) > kMostExtents)
    return unsupported(fmt::format("{} consists of more than {} pieces", path, kMostExtents));
  std::string head(kMagic);
  append_word(head, info.st_size);
  append_word(head, static_cast<std::int64_t>(extents.size()));
  for (const auto& extent : extents) {
    append_word(head, extent.offset);
    append_word(head, extent.length);
  }
  return head;
}

Result<std::unique_ptr<ByteSource>> pack_file(const std::string& path, const std::string& layout) {
  env::UniqueFd fd(::open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NOFOLLOW));
  struct stat info {};
  if (!fd.valid() || ::fstat(fd.get(), &info) != 0) return system_error("open " + path, errno);
  TRY_ASSIGN(const auto length, layout_length(layout, path));
  if (length == 0 || layout.size() != length) return corrupt(path + ": its layout is none");
  TRY_ASSIGN(auto read, read_layout(layout, path));
  if (read.size != info.st_size) return corrupt(path + ": its layout is that of a file of another size");
  return std::unique_ptr<ByteSource>(
      std::make_unique<PackedSource>(std::move(fd), path, layout, std::move(read.extents)));
}

Status unpack_file(const std::string& path, Bytes limit, const std::function<Result<std::string>()>& next) {
  const env::UniqueFd fd(::open(path.c_str(), O_RDWR | O_CREAT | O_TRUNC | O_CLOEXEC | O_NOFOLLOW, 0600));
  if (!fd.valid()) return system_error("create " + path, errno);
  Unpacker unpacker(fd.get(), path, limit);
  Status done = [&]() -> Status {
    while (true) {
      TRY_ASSIGN(const auto piece, next());
      if (piece.empty()) return unpacker.finish();
      TRY(unpacker.take(piece));
    }
  }();
  if (!done) ::unlink(path.c_str());
  return done;
}

}  // namespace nuraghe::images
