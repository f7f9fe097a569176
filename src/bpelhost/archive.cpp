// Reading zips: the only file of this room that sees libarchive.
#include <archive.h>
#include <archive_entry.h>
#include <fmt/format.h>
#include <locale.h>

#include <algorithm>
#include <memory>

#include "bpelhost/packages.hpp"

namespace nuraghe::bpelhost {
namespace {

constexpr std::size_t kMaxBytes = 64ULL * 1024 * 1024;
constexpr int kMaxEntries = 4096;  // folders and what is left out too

// Names of zips are in UTF-8, and libarchive gives them in the locale of the thread.
class Utf8Names {
 public:
  Utf8Names() : locale_(newlocale(LC_CTYPE_MASK, "C.UTF-8", nullptr)) {
    if (locale_ != nullptr) before_ = uselocale(locale_);
  }
  ~Utf8Names() {
    if (locale_ == nullptr) return;
    uselocale(before_);
    freelocale(locale_);
  }
  Utf8Names(const Utf8Names&) = delete;
  Utf8Names& operator=(const Utf8Names&) = delete;

 private:
  locale_t locale_ = nullptr, before_ = nullptr;
};

struct Closer {
  void operator()(archive* a) const { archive_read_free(a); }
};

std::string said_by(archive* a) {
  const char* text = archive_error_string(a);
  return text == nullptr ? "unknown error" : text;
}

// The path within the package; empty for what does not belong to it.
Result<std::string> entry_path(archive_entry* entry) {
  const char* raw = archive_entry_pathname_utf8(entry);
  if (raw == nullptr) raw = archive_entry_pathname(entry);
  if (raw == nullptr) return invalid("the zip has an entry whose name cannot be read");
  std::string path(raw);
  std::replace(path.begin(), path.end(), '\\', '/');
  while (path.starts_with("./")) path.erase(0, 2);
  if (path.starts_with('/') || (path.size() > 1 && path[1] == ':'))
    return invalid(fmt::format("the zip has the absolute path '{}'", path));
  std::size_t begin = 0;
  while (begin <= path.size()) {
    const auto end = std::min(path.find('/', begin), path.size());
    if (path.substr(begin, end - begin) == "..") return invalid(fmt::format("the path '{}' leaves the zip", path));
    begin = end + 1;
  }
  // What some packers add for themselves; "._NAME" holds what macOS knows of NAME.
  const auto name = path.substr(path.rfind('/') + 1);
  if (path.starts_with("__MACOSX/") || name == ".DS_Store" || name.starts_with("._")) return std::string();
  return path;
}

Result<std::string> read_data(archive* a, const std::string& path, std::size_t room) {
  std::string text;
  char buffer[65536];
  for (;;) {
    const auto got = archive_read_data(a, buffer, sizeof buffer);
    if (got < 0) return invalid(fmt::format("'{}' of the zip cannot be read: {}", path, said_by(a)));
    if (got == 0) return text;
    if (text.size() + static_cast<std::size_t>(got) > room)
      return exhausted("the files of the zip are larger than 64 MiB");
    text.append(buffer, static_cast<std::size_t>(got));
  }
}

// A zip of a folder is the folder.
void strip_common_folder(bpel::Package& package) {
  if (package.files.empty()) return;
  const auto& first = package.files.begin()->first;
  const auto slash = first.find('/');
  if (slash == std::string::npos) return;
  const std::string folder = first.substr(0, slash + 1);
  for (const auto& [path, text] : package.files) {
    if (!path.starts_with(folder)) return;
  }
  std::map<std::string, std::string> stripped;
  for (auto& [path, text] : package.files) stripped.emplace(path.substr(folder.size()), std::move(text));
  package.files = std::move(stripped);
}

}  // namespace

Result<bpel::Package> read_zip(std::string_view bytes) {
  const Utf8Names names;
  const std::unique_ptr<archive, Closer> reader(archive_read_new());
  archive* const a = reader.get();
  if (archive_read_support_format_zip(a) != ARCHIVE_OK ||
      archive_read_open_memory(a, bytes.data(), bytes.size()) != ARCHIVE_OK)
    return invalid("this is no zip: " + said_by(a));
  bpel::Package package;
  std::size_t total = 0;
  for (int entries = 0;; ++entries) {
    archive_entry* entry = nullptr;
    const int outcome = archive_read_next_header(a, &entry);
    if (outcome == ARCHIVE_EOF) break;
    if (outcome != ARCHIVE_OK && outcome != ARCHIVE_WARN) return invalid("this is no zip: " + said_by(a));
    if (entries == kMaxEntries) return exhausted(fmt::format("the zip has more than {} entries", kMaxEntries));
    TRY_ASSIGN(const auto path, entry_path(entry));
    if (archive_entry_filetype(entry) == AE_IFDIR || path.empty() || path.back() == '/') continue;
    if (archive_entry_filetype(entry) != AE_IFREG || archive_entry_hardlink(entry) != nullptr)
      return invalid(fmt::format("'{}' of the zip is no regular file", path));
    if (archive_entry_is_encrypted(entry) != 0) return invalid(fmt::format("'{}' of the zip is encrypted", path));
    if (package.files.size() == bpel::kMaxFiles)
      return exhausted(fmt::format("the zip holds more than {} files", bpel::kMaxFiles));
    TRY_ASSIGN(auto text, read_data(a, path, kMaxBytes - total));
    total += text.size();
    if (!package.files.emplace(path, std::move(text)).second)
      return invalid(fmt::format("the zip has the file '{}' twice", path));
  }
  if (package.files.empty()) return invalid("the zip holds no file");
  strip_common_folder(package);
  return package;
}

}  // namespace nuraghe::bpelhost
