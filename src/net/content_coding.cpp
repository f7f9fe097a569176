#include "net/content_coding.hpp"

#include <fmt/format.h>
#include <zlib.h>

#include <algorithm>
#include <optional>
#include <vector>

#include "base/check.hpp"
#include "net/http.hpp"

namespace nuraghe::net {
namespace {

constexpr int kWindow = 15;         // of gzip and zlib: the largest
constexpr Bytef kGzipMagic = 0x1f;  // the first byte of a member
constexpr int kAnyFrame = 32;       // zlib finds out whether it is its own frame or gzip's
constexpr std::size_t kStep = 64 * 1024;
// Of one body: each may be as long as the limit when it is unpacked, and a long chain of them is nobody's but who wants
// to keep us busy.
constexpr std::size_t kMostCodings = 2;

Error not_coded() { return invalid("the body is not in the coding that its Content-Encoding says"); }

// Ends what inflateInit2 began.
struct Unpacking {
  z_stream stream{};
  explicit Unpacking(int window) { CHECK(inflateInit2(&stream, window) == Z_OK); }
  ~Unpacking() { inflateEnd(&stream); }
  Unpacking(const Unpacking&) = delete;
  Unpacking& operator=(const Unpacking&) = delete;
};

Result<std::string> unpacked(std::string_view body, int window, Bytes limit) {
  Unpacking unpacking(window);
  z_stream& stream = unpacking.stream;
  // zlib does not change its input.
  stream.next_in = reinterpret_cast<Bytef*>(const_cast<char*>(body.data()));
  stream.avail_in = static_cast<uInt>(body.size());
  std::string out;
  for (int state = Z_OK; state != Z_STREAM_END;) {
    const std::size_t before = out.size();
    out.resize(before + kStep);
    stream.next_out = reinterpret_cast<Bytef*>(out.data() + before);
    stream.avail_out = kStep;
    state = inflate(&stream, Z_NO_FLUSH);
    out.resize(before + kStep - stream.avail_out);
    if (out.size() > static_cast<std::size_t>(limit.count))
      return exhausted(fmt::format("the body is longer than {} bytes when it is unpacked", limit.count));
    const bool goes_on = state == Z_OK && (stream.avail_in > 0 || out.size() > before);
    if (state != Z_STREAM_END && !goes_on) return not_coded();
    // RFC 1952 §2.2: members of gzip may follow one another.
    if (state == Z_STREAM_END && stream.avail_in > 0) {
      if (*stream.next_in != kGzipMagic || inflateReset(&stream) != Z_OK) return not_coded();
      state = Z_OK;
    }
  }
  return out;
}

std::vector<std::string_view> names_in(std::string_view list) {
  std::vector<std::string_view> names;
  while (!list.empty()) {
    const std::size_t comma = std::min(list.find(','), list.size());
    std::string_view name = list.substr(0, comma);
    list.remove_prefix(std::min(comma + 1, list.size()));
    const std::size_t first = name.find_first_not_of(" \t");
    if (first == std::string_view::npos) continue;
    name = name.substr(first, name.find_last_not_of(" \t") - first + 1);
    if (!equal_without_case(name, "identity")) names.push_back(name);
  }
  return names;
}

}  // namespace

Result<std::string> without_codings(std::string_view codings, std::string_view body, Bytes limit) {
  std::string text(body);
  const auto names = names_in(codings);
  if (names.size() > kMostCodings) {
    return unsupported(fmt::format("the body has {} content codings, one over the other: {} are taken at most",
                                   names.size(), kMostCodings));
  }
  // The one that was applied last comes last.
  for (auto name = names.rbegin(); name != names.rend(); ++name) {
    const bool deflate = equal_without_case(*name, "deflate");
    if (!deflate && !equal_without_case(*name, "gzip") && !equal_without_case(*name, "x-gzip"))
      return unsupported(fmt::format("the content coding {} is not known: use gzip, deflate or none", *name));
    auto plain = unpacked(text, kWindow + kAnyFrame, limit);
    if (!plain && deflate && plain.error().code() == ErrorCode::kInvalid) plain = unpacked(text, -kWindow, limit);
    if (!plain) return plain.error();
    text = std::move(*plain);
  }
  return text;
}

}  // namespace nuraghe::net
