#include "schemas.hpp"

#include <fmt/format.h>

#include <cstdlib>
#include <filesystem>
#include <map>

#include "env/posix.hpp"

namespace nuraghe::contracts::tests {

xml::Schema compile_schema(const std::string& folder, const std::string& main) {
  std::map<std::string, std::string> files;
  for (const auto& entry : std::filesystem::recursive_directory_iterator(folder)) {
    if (entry.path().extension() != ".xsd") continue;
    auto text = env::read_file(entry.path().string());
    if (text) files[std::filesystem::relative(entry.path(), folder).generic_string()] = *text;
  }
  auto schema = xml::Schema::compile(main, files);
  if (!schema) {
    fmt::print(stderr, "{} of {} does not compile: {}\n", main, folder, schema.error().to_string());
    std::abort();
  }
  return std::move(*schema);
}

std::string findings_of(const xml::Schema& schema, xml::Node element) {
  std::string text;
  for (const auto& finding : schema.validate(element)) text += finding.to_string() + "\n";
  return text;
}

}  // namespace nuraghe::contracts::tests
