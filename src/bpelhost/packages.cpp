#include "bpelhost/packages.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <deque>
#include <filesystem>
#include <set>

#include "bpel/deployment.hpp"
#include "env/posix.hpp"
#include "xml/xml.hpp"

namespace nuraghe::bpelhost {
namespace {

namespace fs = std::filesystem;
constexpr Bytes kFileLimit = mib(64);

// What the document's imports and includes name, as paths beside it. Nothing for what is not well-formed: parsing the
// package says that.
std::vector<fs::path> references(const fs::path& file, const std::string& text) {
  std::vector<fs::path> found;
  const auto document = xml::Document::parse(text, {.source = file.string()});
  if (!document) return found;
  std::deque<xml::Node> open{document->root()};
  while (!open.empty()) {
    const xml::Node node = open.front();
    open.pop_front();
    const std::string_view local = node.local_name();
    if (local == "import" || local == "include" || local == "redefine") {
      for (const char* attribute : {"location", "schemaLocation"}) {
        const auto location = node.attribute(attribute);
        if (!location || location->empty() || location->find(':') != std::string::npos) continue;
        found.push_back((file.parent_path() / *location).lexically_normal());
      }
    }
    // Imports stand at the top, but for the schemas within a WSDL.
    if (local == "process" || local == "definitions" || local == "types" || local == "schema")
      for (const xml::Node child : node.children()) open.push_back(child);
  }
  return found;
}

bool belongs_beside(const fs::path& path) {
  return path.extension() == ".xsl" || path.extension() == ".xslt" || path.filename() == bpel::kDeployFile;
}

std::string relative_to(const fs::path& path, const fs::path& root) {
  return path.lexically_relative(root).generic_string();
}

Result<LoadedPackage> load_process(const fs::path& given) {
  std::error_code error;
  const fs::path start = fs::absolute(given, error).lexically_normal();
  std::map<fs::path, std::string> texts;
  std::deque<fs::path> open{start};
  for (const auto& entry : fs::directory_iterator(start.parent_path(), error)) {
    if (belongs_beside(entry.path())) open.push_back(entry.path());
  }
  while (!open.empty()) {
    const fs::path path = open.front();
    open.pop_front();
    if (texts.contains(path)) continue;
    auto text = env::read_file(path.string(), kFileLimit);
    if (!text && path == start) return text.error();
    if (!text) continue;  // the import that is not there is a finding of the process
    if (texts.size() == bpel::kMaxFiles) return exhausted(fmt::format("{} imports too many files", given.string()));
    for (auto& reference : references(path, *text)) open.push_back(std::move(reference));
    texts.emplace(path, std::move(*text));
  }
  fs::path root = start.parent_path();
  for (const auto& [path, text] : texts) {
    while (relative_to(path, root).starts_with("..")) root = root.parent_path();
  }
  LoadedPackage loaded;
  loaded.name = deployment_name(start.stem().string());
  const auto shown = fs::path(given).parent_path() / relative_to(root, start.parent_path());
  loaded.prefix = shown.lexically_normal().generic_string();
  if (loaded.prefix == "." || loaded.prefix == "./") loaded.prefix.clear();
  if (!loaded.prefix.empty() && loaded.prefix.back() != '/') loaded.prefix += '/';
  for (auto& [path, text] : texts) loaded.files.files.emplace(relative_to(path, root), std::move(text));
  return loaded;
}

std::string slashed(std::string path) {
  while (path.size() > 1 && path.back() == '/') path.pop_back();
  return path + "/";
}

// Of a folder's path, which ends in '/'.
std::string folder_name(const fs::path& path) { return deployment_name(path.parent_path().filename().string()); }

}  // namespace

Result<LoadedPackage> load_package(const std::string& path) {
  std::error_code error;
  const auto status = fs::status(path, error);
  if (!fs::exists(status)) return not_found(fmt::format("there is no file or folder {}", path));
  LoadedPackage loaded;
  if (fs::is_directory(status)) {
    loaded.prefix = slashed(path);
    loaded.name = folder_name(loaded.prefix);
    TRY_ASSIGN(loaded.files, bpel::Package::from_directory(path));
    return loaded;
  }
  if (path.ends_with(".bpel")) return load_process(path);
  loaded.prefix = slashed(path);
  loaded.name = deployment_name(fs::path(path).stem().string());
  TRY_ASSIGN(const auto bytes, env::read_file(path, kFileLimit));
  auto files = read_zip(bytes);
  if (!files) return std::move(files).error().with("reading " + path);
  loaded.files = std::move(*files);
  return loaded;
}

Result<std::vector<FoundPackage>> find_packages(const std::string& folder) {
  std::error_code error;
  std::set<fs::path> paths;
  for (const auto& entry : fs::directory_iterator(folder, error)) {
    const auto& path = entry.path();
    if (path.extension() == ".bpel")
      return std::vector<FoundPackage>{{folder, folder_name(slashed(folder)), load_package(folder)}};
    if (entry.is_directory(error) || path.extension() == ".zip") paths.insert(path);
  }
  if (error) return not_found(fmt::format("the folder {} cannot be read: {}", folder, error.message()));
  std::vector<FoundPackage> found;
  for (const auto& path : paths) {
    const auto name = path.extension() == ".zip" ? deployment_name(path.stem().string()) : folder_name(path / "");
    found.push_back({path.string(), name, load_package(path.string())});
  }
  return found;
}

std::string deployment_name(std::string_view text) {
  std::string name;
  for (const char c : text) {
    const bool plain = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '.' ||
                       c == '_' || c == '+' || c == '-';
    name.push_back(plain ? c : '_');
    if (name.size() == 100) break;
  }
  return name.empty() ? "package" : name;
}

std::string default_name(const std::vector<std::shared_ptr<const bpel::ProcessDefinition>>& processes,
                         const std::vector<bpel::DeployedProcess>& deployed) {
  std::set<xml::QName> own;
  std::set<std::string> names;
  for (const auto& process : processes) own.insert(process->name()), names.insert(process->name().local);
  std::string joined;
  for (const auto& name : names) joined += (joined.empty() ? "" : "+") + name;
  joined = deployment_name(joined);
  for (int number = 1;; ++number) {
    const auto name = number == 1 ? joined : fmt::format("{}.{}", joined, number);
    std::set<xml::QName> there;
    for (const auto& process : deployed) {
      if (process.active && process.package == name) there.insert(process.name);
    }
    if (there.empty() || there == own) return name;
  }
}

}  // namespace nuraghe::bpelhost
