// Process packages as people hand them over: a folder, a zip, or one .bpel file with what it imports.
//
// A zip is untrusted: at most kMaxFiles files and 64 MiB unpacked, only regular files and folders, no path that leaves
// the archive. Where all files stand below one folder, that folder is the package. Pure functions but for the reading
// of files; thread safe.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "bpel/engine.hpp"

namespace nuraghe::bpelhost {

// kInvalid for what is no zip or has a path that is not allowed, kExhausted beyond the limits; names the entry.
Result<bpel::Package> read_zip(std::string_view bytes);

struct LoadedPackage {
  bpel::Package files;
  std::string name;    // of the folder or file, without ".zip" or ".bpel"
  std::string prefix;  // what the package's paths are prefixed with, for people: "orders/" or "orders.zip/"
};
// A folder, a .zip or a .bpel file; for the latter what it imports, directly or not, what stands beside it and may
// belong to it (.xsl, deploy.xml). kNotFound, or as read_zip.
Result<LoadedPackage> load_package(const std::string& path);

// The packages of a folder: each subfolder and each .zip in it, in the order of their names; the folder itself when
// .bpel files stand in it. kNotFound when it cannot be read. What cannot be loaded is said with its name.
struct FoundPackage {
  std::string path;
  std::string name;  // as LoadedPackage::name, also when it cannot be loaded
  Result<LoadedPackage> package;
};
Result<std::vector<FoundPackage>> find_packages(const std::string& folder);

// Letters, digits, '.', '_', '+', '-' of a name, everything else as '_': what may stand in a URL's path.
std::string deployment_name(std::string_view text);
// The local names of the package's processes joined by '+'; "package" when it has none. Where a package of this name
// that takes instances holds other processes than these, it gets ".2" behind it, then ".3" and so on: processes whose
// names differ in their namespaces only are no versions of each other.
std::string default_name(const std::vector<std::shared_ptr<const bpel::ProcessDefinition>>& processes,
                         const std::vector<bpel::DeployedProcess>& deployed);

}  // namespace nuraghe::bpelhost
