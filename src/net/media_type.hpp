// Media types as HTTP and MIME headers say them, and the parts of a multipart body.
//
// Sources: RFC 9110 §8.3.1 and §5.6.6 (media types and their parameters), RFC 2046 §5.1 (multipart), RFC 2387
// (multipart/related). Pure functions over the caller's text, thread safe.
#pragma once

#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "base/result.hpp"
#include "net/http.hpp"

namespace nuraghe::net {

struct MediaType {
  std::string name;                                               // "text/xml", in small letters
  std::vector<std::pair<std::string, std::string>> parameters{};  // in their order; names in small letters, values bare
  // The value of the first parameter of that name (small letters); empty when there is none.
  std::string_view parameter(std::string_view name) const;
};
// Reads what a Content-Type header says. Never fails: what is no parameter is left out, an empty text is a type without
// name.
MediaType parse_media_type(std::string_view text);

// One part of a multipart body; views into that body.
struct Part {
  HttpHeaders headers;
  std::string_view content;
  std::string_view header(std::string_view name) const { return find_header(headers, name); }
};
// The root of a multipart/related body (RFC 2387 §3): the part whose Content-ID the start parameter names, with or
// without angle brackets; the first one where there is no start. Lines may end with LF alone. kInvalid, with the
// reason, when the type has no boundary or one that is longer than 70 characters, when no part is closed by a
// delimiter, and when none is the one that start names. Parts behind the root are not read.
Result<Part> root_part(const MediaType& type, std::string_view body);

}  // namespace nuraghe::net
