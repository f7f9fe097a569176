// The seed disk: a small ISO 9660 image with the volume label `cidata`, as cloud-init's NoCloud source expects it.
#pragma once

#include <map>
#include <string>

#include "base/result.hpp"

namespace nuraghe::images {

// Writes the files (name → content) to an ISO 9660 image with Rock Ridge and Joliet names, mode 0600, replacing what
// was there. The same files give the same bytes.
Status write_seed_disk(const std::string& path, const std::map<std::string, std::string>& files);

}  // namespace nuraghe::images
