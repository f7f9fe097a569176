#include "apps/nuraghed/package_files.hpp"

#include "env/posix.hpp"

namespace nuraghe::daemon {
namespace {

constexpr Bytes kPackageFileLimit = {4 << 20};

}  // namespace

Status add_files(bpel::Package& package, const std::string& folder, const std::string& prefix) {
  TRY_ASSIGN(const auto names, env::list_directory(folder));
  for (const auto& name : names) {
    const std::string path = folder + "/" + name;
    if (const auto below = env::list_directory(path)) {
      TRY(add_files(package, path, prefix + name + "/"));
      continue;
    }
    TRY_ASSIGN(package.files[prefix + name], env::read_file(path, kPackageFileLimit));
  }
  return {};
}

}  // namespace nuraghe::daemon
