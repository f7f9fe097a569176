#include "bpel/runtime/names.hpp"

#include <algorithm>
#include <bit>
#include <cstring>

namespace nuraghe::bpel::runtime {
namespace {

// SHA-1 (FIPS 180-4 §6.1).
class Sha1 {
 public:
  void update(std::string_view bytes) {
    while (!bytes.empty()) {
      const std::size_t filled = length_ % 64;
      const std::size_t count = std::min(bytes.size(), 64 - filled);
      std::memcpy(block_.data() + filled, bytes.data(), count);
      bytes.remove_prefix(count);
      length_ += count;
      if (filled + count == 64) compress();
    }
  }
  std::array<std::uint8_t, 20> finish() {
    const std::uint64_t bits = length_ * 8;
    // A one, zeros up to the last eight bytes of a block, the length.
    std::array<char, 72> tail{'\x80'};
    const std::size_t zeros = (119 - length_ % 64) % 64;
    for (std::size_t i = 0; i < 8; ++i) tail[1 + zeros + i] = static_cast<char>((bits >> (56 - 8 * i)) & 0xff);
    update({tail.data(), 1 + zeros + 8});
    std::array<std::uint8_t, 20> out{};
    for (std::size_t i = 0; i < 20; ++i) out[i] = static_cast<std::uint8_t>(hash_[i / 4] >> (24 - 8 * (i % 4)));
    return out;
  }

 private:
  void compress() {
    std::array<std::uint32_t, 80> w{};
    for (std::size_t i = 0; i < 16; ++i) {
      w[i] = std::uint32_t{block_[4 * i]} << 24 | std::uint32_t{block_[4 * i + 1]} << 16 |
             std::uint32_t{block_[4 * i + 2]} << 8 | std::uint32_t{block_[4 * i + 3]};
    }
    for (std::size_t i = 16; i < 80; ++i) w[i] = std::rotl(w[i - 3] ^ w[i - 8] ^ w[i - 14] ^ w[i - 16], 1);
    auto [a, b, c, d, e] = hash_;
    for (std::size_t i = 0; i < 80; ++i) {
      std::uint32_t f = 0;
      std::uint32_t k = 0;
      if (i < 20)
        f = (b & c) | (~b & d), k = 0x5A827999;
      else if (i < 40)
        f = b ^ c ^ d, k = 0x6ED9EBA1;
      else if (i < 60)
        f = (b & c) | (b & d) | (c & d), k = 0x8F1BBCDC;
      else
        f = b ^ c ^ d, k = 0xCA62C1D6;
      const std::uint32_t next = std::rotl(a, 5) + f + e + k + w[i];
      e = d, d = c, c = std::rotl(b, 30), b = a, a = next;
    }
    hash_[0] += a, hash_[1] += b, hash_[2] += c, hash_[3] += d, hash_[4] += e;
  }

  std::array<std::uint32_t, 5> hash_{0x67452301, 0xEFCDAB89, 0x98BADCFE, 0x10325476, 0xC3D2E1F0};
  std::array<std::uint8_t, 64> block_{};
  std::uint64_t length_ = 0;
};

std::array<std::uint8_t, 20> hash_fields(std::initializer_list<std::string_view> fields) {
  Sha1 sha;
  for (const auto field : fields) {
    std::array<char, 4> size{};
    for (std::size_t i = 0; i < 4; ++i) size[i] = static_cast<char>((field.size() >> (24 - 8 * i)) & 0xff);
    sha.update({size.data(), size.size()});
    sha.update(field);
  }
  return sha.finish();
}

// Six bytes of time, then the hash of the fields.
std::array<std::uint8_t, 20> timed_hash(TimePoint now, std::initializer_list<std::string_view> fields) {
  const auto hash = hash_fields(fields);
  const auto milliseconds = static_cast<std::uint64_t>(now.micros) / 1000;
  std::array<std::uint8_t, 20> out{};
  for (std::size_t i = 0; i < 6; ++i) out[i] = static_cast<std::uint8_t>(milliseconds >> (40 - 8 * i));
  std::copy(hash.begin(), hash.begin() + 14, out.begin() + 6);
  return out;
}

}  // namespace

std::string key16(std::initializer_list<std::string_view> fields) {
  const auto hash = hash_fields(fields);
  return {hash.begin(), hash.begin() + 16};
}

std::string name_uuid(TimePoint now, std::initializer_list<std::string_view> fields) {
  auto bytes = timed_hash(now, fields);
  bytes[6] = static_cast<std::uint8_t>((bytes[6] & 0x0f) | 0x80);
  bytes[8] = static_cast<std::uint8_t>((bytes[8] & 0x3f) | 0x80);
  constexpr std::string_view kHex = "0123456789abcdef";
  std::string out = "urn:uuid:";
  for (std::size_t i = 0; i < 16; ++i) {
    if (i == 4 || i == 6 || i == 8 || i == 10) out.push_back('-');
    out.push_back(kHex[bytes[i] >> 4]);
    out.push_back(kHex[bytes[i] & 15]);
  }
  return out;
}

std::string instance_id(TimePoint now, std::initializer_list<std::string_view> fields) {
  const auto bytes = timed_hash(now, fields);
  // In the order of the characters' codes: ids sort by time.
  constexpr std::string_view kAlphabet = "234567abcdefghijklmnopqrstuvwxyz";
  std::string out = "wf-";
  std::uint32_t buffer = 0;
  int bits = 0;
  for (std::size_t i = 0; out.size() < 29; ++i) {
    buffer = (buffer << 8) | bytes[i];
    for (bits += 8; bits >= 5 && out.size() < 29; bits -= 5) out.push_back(kAlphabet[(buffer >> (bits - 5)) & 31]);
  }
  return out;
}

void Digest::add(std::string_view field) {
  add(static_cast<std::int64_t>(field.size()));
  for (const char c : field) state_ = (state_ ^ static_cast<std::uint8_t>(c)) * 1099511628211ULL;
}

void Digest::add(std::int64_t number) {
  auto bits = static_cast<std::uint64_t>(number);
  for (int i = 0; i < 8; ++i, bits >>= 8) state_ = (state_ ^ (bits & 0xff)) * 1099511628211ULL;
}

}  // namespace nuraghe::bpel::runtime
