#include "network/tunnel_frame.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <numeric>
#include <vector>

namespace nuraghe::network {
namespace {

using testing::ElementsAre;

TEST(TunnelHeader, IsVxlan) {
  std::array<std::uint8_t, 8> header{};
  header.fill(0xff);
  write_tunnel_header(header, 0x123456);
  EXPECT_THAT(header, ElementsAre(0x08, 0, 0, 0, 0x12, 0x34, 0x56, 0));
  EXPECT_EQ(read_tunnel_header(header), 0x123456U);
  header = {0xff, 1, 2, 3, 0, 0, 9, 4};
  EXPECT_EQ(read_tunnel_header(header), 9U) << "reserved bits are ignored";
  header[0] = 0xf7;
  EXPECT_FALSE(read_tunnel_header(header)) << "without the I flag";
  EXPECT_FALSE(read_tunnel_header(std::span(header).first(7)));
}

std::vector<std::uint8_t> sample() {
  std::vector<std::uint8_t> bytes(100);
  std::iota(bytes.begin(), bytes.end(), std::uint8_t{0});
  return bytes;
}

TEST(FrameSeal, IsTruncatedHmacSha256) {
  // printf '\0' and the bytes 0 to 99 after the sender, through: openssl dgst -sha256 -mac HMAC -macopt key:secret
  FrameSeal seal("secret");
  const auto expected =
      FrameSeal::Tag{0x65, 0xf3, 0x4c, 0x86, 0x93, 0xda, 0x7d, 0xa3, 0xab, 0x34, 0x1e, 0x83, 0x32, 0xe8, 0xde, 0xc0};
  EXPECT_EQ(seal.tag("udp:192.0.2.1:4789", sample()), expected);
  EXPECT_EQ(seal.tag("udp:192.0.2.1:4789", sample()), expected) << "the second time too";
}

TEST(FrameSeal, NoticesEveryChange) {
  FrameSeal seal("secret"), other("Secret"), empty("");
  auto bytes = sample();
  auto tag = seal.tag("udp:192.0.2.1:1", bytes);
  EXPECT_TRUE(seal.verify("udp:192.0.2.1:1", bytes, tag));
  EXPECT_FALSE(seal.verify("udp:192.0.2.2:1", bytes, tag));
  EXPECT_FALSE(other.verify("udp:192.0.2.1:1", bytes, tag));
  EXPECT_FALSE(empty.verify("udp:192.0.2.1:1", bytes, tag));
  EXPECT_FALSE(seal.verify("udp:192.0.2.1:1", bytes, std::span(tag).first(15)));
  for (std::size_t bit = 0; bit < bytes.size() * 8; ++bit) {
    bytes[bit / 8] ^= static_cast<std::uint8_t>(1U << (bit % 8));
    EXPECT_FALSE(seal.verify("udp:192.0.2.1:1", bytes, tag)) << bit;
    bytes[bit / 8] ^= static_cast<std::uint8_t>(1U << (bit % 8));
  }
  for (std::size_t bit = 0; bit < tag.size() * 8; ++bit) {
    tag[bit / 8] ^= static_cast<std::uint8_t>(1U << (bit % 8));
    EXPECT_FALSE(seal.verify("udp:192.0.2.1:1", bytes, tag)) << bit;
    tag[bit / 8] ^= static_cast<std::uint8_t>(1U << (bit % 8));
  }
}

}  // namespace
}  // namespace nuraghe::network
