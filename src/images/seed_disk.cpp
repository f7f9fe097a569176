#include "images/seed_disk.hpp"

#include <archive.h>
#include <archive_entry.h>
#include <fcntl.h>
#include <fmt/format.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <memory>

#include "env/posix.hpp"

namespace nuraghe::images {
namespace {

struct ArchiveCloser {
  void operator()(archive* a) const { archive_write_free(a); }
};
struct EntryCloser {
  void operator()(archive_entry* e) const { archive_entry_free(e); }
};

Error archive_error(archive* a, const std::string& path) {
  const char* text = archive_error_string(a);
  return unavailable(fmt::format("writing the seed disk {}: {}", path, text == nullptr ? "unknown error" : text));
}

}  // namespace

Status write_seed_disk(const std::string& path, const std::map<std::string, std::string>& files) {
  const env::UniqueFd fd(::open(path.c_str(), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC | O_NOFOLLOW, 0600));
  if (!fd.valid()) return system_error(fmt::format("open {}", path), errno);
  const std::unique_ptr<archive, ArchiveCloser> writer(archive_write_new());
  archive* const a = writer.get();
  if (archive_write_set_format_iso9660(a) != ARCHIVE_OK ||
      archive_write_set_options(a, "volume-id=cidata,joliet,rockridge=useful,pad=0") != ARCHIVE_OK ||
      archive_write_open_fd(a, fd.get()) != ARCHIVE_OK)
    return archive_error(a, path);
  for (const auto& [name, content] : files) {
    const std::unique_ptr<archive_entry, EntryCloser> entry(archive_entry_new());
    archive_entry_set_pathname(entry.get(), name.c_str());
    archive_entry_set_filetype(entry.get(), AE_IFREG);
    archive_entry_set_perm(entry.get(), 0600);
    archive_entry_set_size(entry.get(), static_cast<la_int64_t>(content.size()));
    archive_entry_set_mtime(entry.get(), 0, 0);
    if (archive_write_header(a, entry.get()) != ARCHIVE_OK ||
        archive_write_data(a, content.data(), content.size()) != static_cast<la_ssize_t>(content.size()))
      return archive_error(a, path);
  }
  if (archive_write_close(a) != ARCHIVE_OK) return archive_error(a, path);
  if (::fsync(fd.get()) != 0) return system_error(fmt::format("fsync {}", path), errno);
  return {};
}

}  // namespace nuraghe::images
