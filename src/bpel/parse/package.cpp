// Packages: the files of a folder, and the processes in them.
#include <fmt/format.h>

#include <filesystem>
#include <fstream>
#include <sstream>

#include "bpel/parse/parser.hpp"

namespace nuraghe::bpel {

namespace {

constexpr std::uintmax_t kMaxPackageBytes = 64ULL * 1024 * 1024;

Result<std::string> read_text(const std::filesystem::path& path) {
  std::ifstream stream(path, std::ios::binary);
  std::ostringstream text;
  text << stream.rdbuf();
  if (!stream.good()) return unavailable(fmt::format("the file {} cannot be read", path.string()));
  return std::move(text).str();
}

}  // namespace

Result<Package> Package::from_directory(const std::string& folder) {
  Package package;
  std::uintmax_t total = 0;
  std::error_code error;
  std::filesystem::recursive_directory_iterator entries(folder, error);
  if (error) return not_found(fmt::format("the folder {} cannot be read: {}", folder, error.message()));
  for (; entries != std::filesystem::recursive_directory_iterator(); entries.increment(error)) {
    if (error) return unavailable(fmt::format("the folder {} cannot be read: {}", folder, error.message()));
    if (!entries->is_regular_file(error)) continue;
    // What macOS knows of another file, where the file system cannot hold it.
    if (entries->path().filename().string().starts_with("._")) continue;
    total += entries->file_size(error);
    if (package.files.size() == kMaxFiles)
      return exhausted(fmt::format("{} holds more than {} files", folder, kMaxFiles));
    if (total > kMaxPackageBytes) return exhausted(fmt::format("the files in {} are larger than 64 MiB", folder));
    TRY_ASSIGN(std::string text, read_text(entries->path()));
    package.files.emplace(entries->path().lexically_relative(folder).generic_string(), std::move(text));
  }
  if (error) return unavailable(fmt::format("the folder {} cannot be read: {}", folder, error.message()));
  return package;
}

ParsedProcess parse_process(const Package& package, const std::string& path) {
  Parser::ParsedFiles parsed;
  return Parser(std::make_shared<const Package>(package), parsed, path).run();
}

std::vector<ParsedProcess> parse_package(const Package& package) {
  const auto shared = std::make_shared<const Package>(package);
  Parser::ParsedFiles parsed;
  std::vector<ParsedProcess> processes;
  for (const auto& [path, text] : package.files) {
    if (path.ends_with(".bpel")) processes.push_back(Parser(shared, parsed, path).run());
  }
  return processes;
}

}  // namespace nuraghe::bpel
