// The description of a virtual host image: vhi.xml, urn:nuraghe:image:1, contracts/vhi.xsd. Values; no I/O.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "base/result.hpp"
#include "base/units.hpp"
#include "xml/schema.hpp"

namespace nuraghe::model {

inline constexpr const char* kImageNamespace = "urn:nuraghe:image:1";

struct ImageDescription {
  std::string name;
  std::string version;
  std::string type;            // family of operating systems
  std::string system;          // distribution
  std::string system_version;  // its version
  std::string architecture;
  std::string kernel;  // file names within the image's folder; empty: none
  std::string initrd;
  std::string parameters;   // of the kernel
  std::string disk_file;    // empty: the image has no disk
  std::string disk_format;  // "qcow2" or "raw"
  Bytes disk_size;          // virtual
  Bytes minimum_memory;
  std::string seed;                // "nocloud" or "none"
  std::string ready;               // "agent", "console:TEXT" or "start"
  std::string initial_conditions;  // "cold"
};

// Everything that is wrong with a description; empty when it is fine.
std::vector<xml::Finding> check_image_description(std::string_view text, const std::string& source);
// kInvalid lists everything that is wrong, a line each.
Result<ImageDescription> parse_image_description(std::string_view text, const std::string& source);

}  // namespace nuraghe::model
