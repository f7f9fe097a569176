// A seed while it is on its way: the files of the seed disk, those of one host by content, those that all hosts of a
// cluster share by digest. Controllers fetch bundle and shared files as opaque bytes and check their digests.
#pragma once

#include <map>
#include <string>

namespace nuraghe::services {

struct SeedBundle {
  std::map<std::string, std::string> files;   // file name → content
  std::map<std::string, std::string> shared;  // file name → digest (sha256:HEX)
  template <class V>
  void fields(V& v) {
    v(1, files), v(2, shared);
  }
};

}  // namespace nuraghe::services
