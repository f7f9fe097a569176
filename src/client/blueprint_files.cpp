#include "client/blueprint_files.hpp"

#include <fmt/format.h>

#include <filesystem>

#include "env/posix.hpp"

namespace nuraghe::client {
namespace {

constexpr Bytes kFileLimit = {4 << 20};

std::string folder_of(const std::string& file) {
  const auto slash = file.rfind('/');
  return slash == std::string::npos ? std::string(".") : file.substr(0, slash);
}

std::function<Result<std::string>(const std::string&)> files_beside(const std::string& folder) {
  return [folder](const std::string& reference) -> Result<std::string> {
    const bool leaves = reference.starts_with('/') || ("/" + reference + "/").find("/../") != std::string::npos;
    if (leaves) return denied(fmt::format("'{}' is not below the blueprint's folder", reference));
    return env::read_file(folder + "/" + reference, kFileLimit);
  };
}

Result<std::string> read_text(const std::string& file) {
  std::error_code ignored;  // what cannot be looked at cannot be read either
  if (std::filesystem::is_directory(file, ignored))
    return invalid(fmt::format("{} is a directory; the name of a file is needed", file));
  return env::read_file(file, kFileLimit);
}

}  // namespace

Result<model::ParsedBlueprint> read_blueprint(const std::string& file, model::ParseContext context) {
  TRY_ASSIGN(const auto text, read_text(file));
  context.files = files_beside(folder_of(file));
  return model::parse_blueprint(text, file, context);
}

Result<xml::DocumentPtr> load_blueprint(const std::string& file, const std::string& name) {
  TRY_ASSIGN(auto parsed, read_blueprint(file));
  TRY(parsed.status());
  if (!parsed.inlined) return internal("a blueprint without findings was not made self-contained");
  if (!name.empty()) parsed.inlined->root().set_attribute("name", name);
  model::write_places(parsed.inlined->root(), parsed.places);
  return std::move(*parsed.inlined).share();
}

Result<xml::DocumentPtr> load_node_configuration(const std::string& file, const std::string& name) {
  if (!name.empty() && !model::is_host_name(name))
    return invalid(fmt::format("a host cannot be named '{}'; a name is {}", name, model::kNameRule));
  const auto hash = file.find('#');
  const std::string path = file.substr(0, hash);
  TRY_ASSIGN(const auto text, read_text(path));
  const std::string base = path.substr(path.rfind('/') + 1);
  const model::ConfigurationSource source{text, path, hash == std::string::npos ? "" : file.substr(hash + 1), name,
                                          base.substr(0, base.find('.'))};
  const auto parsed = model::parse_configuration(source, {});
  TRY(parsed.status());
  return model::node_fragment(parsed.node).share();
}

}  // namespace nuraghe::client
