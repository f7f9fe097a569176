#include "env/env.hpp"

#include <array>

namespace nuraghe::env {

std::string make_id(Random& random, std::string_view prefix) {
  constexpr std::string_view kAlphabet = "abcdefghijklmnopqrstuvwxyz234567";
  constexpr std::size_t kCharacters = 26;
  std::array<std::uint8_t, (kCharacters * 5 + 7) / 8> bytes{};
  random.fill(bytes);
  std::string id(prefix);
  id.reserve(id.size() + 1 + kCharacters);
  id.push_back('-');
  std::uint32_t window = 0;
  int bits = 0;
  std::size_t next = 0;
  for (std::size_t i = 0; i < kCharacters; ++i) {
    if (bits < 5) {
      window = (window << 8) | bytes[next++];
      bits += 8;
    }
    bits -= 5;
    id.push_back(kAlphabet[(window >> bits) & 31]);
  }
  return id;
}

std::string make_uuid_urn(Random& random) {
  std::array<std::uint8_t, 16> bytes{};
  random.fill(bytes);
  bytes[6] = static_cast<std::uint8_t>((bytes[6] & 0x0f) | 0x40);  // version 4, RFC 4122 §4.4
  bytes[8] = static_cast<std::uint8_t>((bytes[8] & 0x3f) | 0x80);
  constexpr std::string_view kHex = "0123456789abcdef";
  std::string urn = "urn:uuid:";
  urn.reserve(urn.size() + 36);
  for (std::size_t i = 0; i < bytes.size(); ++i) {
    if (i == 4 || i == 6 || i == 8 || i == 10) urn.push_back('-');
    urn.push_back(kHex[bytes[i] >> 4]);
    urn.push_back(kHex[bytes[i] & 15]);
  }
  return urn;
}

}  // namespace nuraghe::env
