#include "soap/attachments.hpp"

#include <fmt/format.h>

namespace nuraghe::soap {
namespace {

constexpr std::string_view kRelated = "multipart/related";
constexpr std::string_view kXop = "application/xop+xml";

// The type that stands behind XOP's.
net::MediaType packaged_type(const net::MediaType& xop) {
  net::MediaType type = net::parse_media_type(xop.parameter("type"));
  for (const char* name : {"charset", "action"}) {
    if (type.parameter(name).empty() && !xop.parameter(name).empty()) {
      type.parameters.emplace_back(name, xop.parameter(name));
    }
  }
  return type;
}

}  // namespace

Result<EnvelopePart> envelope_part(std::string_view content_type, std::string_view body) {
  net::MediaType whole = net::parse_media_type(content_type);
  if (whole.name != kRelated) return EnvelopePart{std::move(whole), body};
  TRY_ASSIGN(const net::Part root, net::root_part(whole, body));
  const std::string_view encoding = root.header("Content-Transfer-Encoding");
  for (const std::string_view unreadable : {"base64", "quoted-printable"}) {
    if (!net::equal_without_case(encoding, unreadable)) continue;
    return unsupported(fmt::format("the {} body's root is in {}: send it as binary", kRelated, unreadable));
  }
  // RFC 2387 §3.1: the type parameter says the root's type, too.
  const std::string_view said = root.header("Content-Type");
  net::MediaType type = net::parse_media_type(said.empty() ? whole.parameter("type") : said);
  if (type.name == kXop) type = packaged_type(type);
  return EnvelopePart{std::move(type), root.content};
}

}  // namespace nuraghe::soap
