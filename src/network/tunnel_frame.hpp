// The datagrams between physical hosts (docs/formats/tunnel.md): a VXLAN header (RFC 7348 §5), the Ethernet frame and,
// over udp, a tag that proves that the sender knows the segment's secret.
// Threading: none; a FrameSeal belongs to one thread.
#pragma once

#include <array>
#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>

namespace nuraghe::network {

constexpr std::size_t kTunnelHeader = 8;
constexpr std::size_t kTunnelTag = 16;
constexpr std::int64_t kSegmentMax = (1 << 24) - 1;  // 24-bit VXLAN network identifier

void write_tunnel_header(std::span<std::uint8_t, kTunnelHeader> header, std::uint32_t segment);
// The segment; nothing when the datagram is too short or its I flag is not set. Reserved bits are ignored (RFC 7348
// §5).
std::optional<std::uint32_t> read_tunnel_header(std::span<const std::uint8_t> datagram);

// HMAC-SHA256 truncated to 16 bytes (RFC 2104 §5) over the sender's tunnel address, a zero byte, header and frame.
class FrameSeal {
 public:
  explicit FrameSeal(std::string_view secret);
  FrameSeal(FrameSeal&&) noexcept;
  FrameSeal& operator=(FrameSeal&&) noexcept;
  ~FrameSeal();

  using Tag = std::array<std::uint8_t, kTunnelTag>;
  Tag tag(std::string_view sender, std::span<const std::uint8_t> header_and_frame);
  // In constant time.
  bool verify(std::string_view sender, std::span<const std::uint8_t> header_and_frame,
              std::span<const std::uint8_t> tag);

 private:
  struct State;
  std::unique_ptr<State> state_;
};

}  // namespace nuraghe::network
