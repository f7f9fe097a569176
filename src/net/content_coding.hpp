// Content codings of HTTP bodies (RFC 9110 §8.4.1): gzip and deflate. Pure functions, thread safe.
#pragma once

#include <string>
#include <string_view>

#include "base/result.hpp"
#include "base/units.hpp"

namespace nuraghe::net {

// The body without what a Content-Encoding header says was done to it, several codings included; two at most;
// "identity" and an empty header are none. "deflate" may be without the frame of zlib, as some send it. kUnsupported:
// another coding, or more of them; kInvalid: not in that coding; kExhausted: more than `limit` when it is unpacked.
Result<std::string> without_codings(std::string_view codings, std::string_view body, Bytes limit);

}  // namespace nuraghe::net
