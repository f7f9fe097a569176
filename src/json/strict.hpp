// Strict reading of JSON (RFC 8259): as Boost.JSON reads it, but a member that stands twice in an object is refused
// (§4 leaves open which of both counts), and so are what is deeper than a limit, comments and trailing commas.
#pragma once

#include <boost/json.hpp>
#include <cstddef>
#include <string_view>

#include "base/result.hpp"

namespace nuraghe::jsontext {

inline constexpr std::size_t kMaxDepth = 64;

// kInvalid says what is wrong and at which byte, or which member stands twice and where: "request.node[2].cpus".
Result<boost::json::value> parse(std::string_view text);

}  // namespace nuraghe::jsontext
