// The texts of the contracts folder as they were when this was built. Use contracts/texts.hpp.
#pragma once

#include <span>
#include <string_view>

namespace nuraghe::contracts::detail {

struct EmbeddedFile {
  std::string_view path;  // relative to the contracts folder, "standards/wsa/ws-addr.xsd"
  std::string_view text;
};
// Sorted by path.
std::span<const EmbeddedFile> embedded_files();

}  // namespace nuraghe::contracts::detail
