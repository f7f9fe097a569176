// Where the envelope stands in an HTTP body: it is the body, or the root of a message with attachments.
//
// Sources: SOAP Messages with Attachments (W3C Note, 11 December 2000) §3; XOP §4.1 and MTOM §3.2, whose root is
// application/xop+xml and says by its type parameter what it stands for. Attachments are not handed on. Pure, thread
// safe.
#pragma once

#include <string_view>

#include "base/result.hpp"
#include "net/media_type.hpp"

namespace nuraghe::soap {

struct EnvelopePart {
  net::MediaType type;    // of the envelope; the charset parameter too where it is said
  std::string_view text;  // a view into the body
};
// The envelope of a body with that Content-Type. kInvalid for a multipart/related body without its root
// (net::root_part), kUnsupported for a root in base64 or quoted-printable: over HTTP it is sent as it is.
Result<EnvelopePart> envelope_part(std::string_view content_type, std::string_view body);

}  // namespace nuraghe::soap
