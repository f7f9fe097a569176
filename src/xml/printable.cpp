#include "xml/xml.hpp"

namespace nuraghe::xml {
namespace {

// The length of the UTF-8 sequence at the beginning of `text`, or 0 when it is none that XML 1.0 allows.
std::size_t sequence_length(std::string_view text) {
  const auto byte = [&](std::size_t i) { return static_cast<unsigned char>(text[i]); };
  const unsigned char first = byte(0);
  if (first < 0x80) return first >= 0x20 || first == '\n' || first == '\t' ? 1 : 0;
  const std::size_t length = first >= 0xF0 ? 4 : first >= 0xE0 ? 3 : 2;
  if (first < 0xC2 || first > 0xF4 || text.size() < length) return 0;
  unsigned int code = first & (0xFFU >> (length + 1));
  for (std::size_t i = 1; i < length; ++i) {
    if ((byte(i) & 0xC0U) != 0x80U) return 0;
    code = (code << 6U) | (byte(i) & 0x3FU);
  }
  const bool is_surrogate = code >= 0xD800 && code <= 0xDFFF;
  const bool is_overlong = (length == 3 && code < 0x800) || (length == 4 && code < 0x10000);
  return is_surrogate || is_overlong || code > 0x10FFFF || code == 0xFFFE || code == 0xFFFF ? 0 : length;
}

}  // namespace

std::string printable(std::string_view bytes) {
  std::string text;
  text.reserve(bytes.size());
  while (!bytes.empty()) {
    const std::size_t length = sequence_length(bytes);
    // A carriage return would come back as a line feed; terminals' control characters mean nothing in a document.
    if (length > 0)
      text += bytes.substr(0, length);
    else if (bytes.front() != '\r')
      text += '?';
    bytes.remove_prefix(length > 0 ? length : 1);
  }
  return text;
}

}  // namespace nuraghe::xml
