// The frozen state of a virtual host as an OCI artifact (docs/formats/frozen-state.md): a manifest, a configuration
// that says what the host is, and its parts. Pure: text in, text out.
#pragma once

#include <cstdint>
#include <map>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.hpp"
#include "contracts/vhc.hpp"
#include "images/image_store.hpp"

namespace nuraghe::services::vhc {

inline constexpr const char* kStateConfigMediaType = "application/vnd.nuraghe.host.state.config.v1+json";
// A packed file (images/packed_file.hpp); its title says which.
inline constexpr const char* kStatePartMediaType = "application/vnd.nuraghe.host.state.part.v1+packed";
// Titles of the hypervisor driver's own files begin so, and those of disks below the host's overlays.
inline constexpr std::string_view kDriverFile = "driver/";
inline constexpr std::string_view kBaseDisk = "base/";

// All that another controller needs to make the same machine around the parts.
struct FrozenState {
  std::string format;    // hypervisor::FrozenHost::format
  std::string fragment;  // the node configuration as it came
  contracts::vhir::ImageReference image;
  contracts::vhc::Seed seed;
  std::map<std::string, std::int64_t> mtu;  // of each NIC, as the guest sees it
  std::map<std::string, std::string> mac;   // likewise
  bool booted = false, ready = false;
  template <class V>
  void fields(V& v) {
    v(1, format), v(2, fragment), v(3, image), v(4, seed), v(5, mtu), v(6, booted), v(7, ready), v(8, mac);
  }
};

std::string write_frozen_state(const FrozenState& state);
// kCorrupt for what is none.
Result<FrozenState> read_frozen_state(std::string_view text);

// What a controller serves of a frozen host, by digest.
struct ExportedPart {
  std::string digest;
  std::string path;    // of the file whose packed form it is
  std::string layout;  // of that form
  template <class V>
  void fields(V& v) {
    v(1, digest), v(2, path), v(3, layout);
  }
};
struct Exported {
  std::string manifest, config;  // texts
  std::string manifest_digest, config_digest;
  std::vector<ExportedPart> parts;
  std::int64_t size = 0;  // of all of it
  template <class V>
  void fields(V& v) {
    v(1, manifest), v(2, config), v(3, manifest_digest), v(4, config_digest), v(5, parts), v(6, size);
  }
};

}  // namespace nuraghe::services::vhc
