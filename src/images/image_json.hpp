// The JSON documents of an OCI image layout. The only place of this room that sees a JSON library. Internal.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "images/image_store.hpp"

namespace nuraghe::images {

std::string write_manifest(const Manifest& manifest);
Result<Manifest> read_manifest(std::string_view text);

struct IndexEntry {
  std::string digest;
  Bytes size;  // of the manifest
  std::string reference;
};
std::string write_index_json(const std::vector<IndexEntry>& entries);
Result<std::vector<IndexEntry>> read_index_json(std::string_view text);

}  // namespace nuraghe::images
