#include "network/tunnel_frame.hpp"

#include <openssl/core_names.h>
#include <openssl/crypto.h>
#include <openssl/evp.h>

#include <algorithm>

#include "base/check.hpp"

namespace nuraghe::network {

namespace {
constexpr std::uint8_t kValidSegment = 0x08;  // the I flag
}

void write_tunnel_header(std::span<std::uint8_t, kTunnelHeader> header, std::uint32_t segment) {
  std::fill(header.begin(), header.end(), std::uint8_t{0});
  header[0] = kValidSegment;
  header[4] = static_cast<std::uint8_t>(segment >> 16U);
  header[5] = static_cast<std::uint8_t>(segment >> 8U);
  header[6] = static_cast<std::uint8_t>(segment);
}

std::optional<std::uint32_t> read_tunnel_header(std::span<const std::uint8_t> datagram) {
  if (datagram.size() < kTunnelHeader || (datagram[0] & kValidSegment) == 0) return std::nullopt;
  return std::uint32_t{datagram[4]} << 16U | std::uint32_t{datagram[5]} << 8U | datagram[6];
}

struct FrameSeal::State {
  EVP_MAC* method = EVP_MAC_fetch(nullptr, "HMAC", nullptr);
  EVP_MAC_CTX* context = method == nullptr ? nullptr : EVP_MAC_CTX_new(method);
  State() = default;
  State(const State&) = delete;
  State& operator=(const State&) = delete;
  ~State() {
    EVP_MAC_CTX_free(context);
    EVP_MAC_free(method);
  }
};

FrameSeal::FrameSeal(std::string_view secret) : state_(std::make_unique<State>()) {
  std::string digest = "SHA256";
  const std::array<OSSL_PARAM, 2> parameters{OSSL_PARAM_construct_utf8_string(OSSL_MAC_PARAM_DIGEST, digest.data(), 0),
                                             OSSL_PARAM_construct_end()};
  // An empty key is a key: a null pointer would mean 'the key of before'.
  const auto* key = reinterpret_cast<const unsigned char*>(secret.empty() ? "" : secret.data());
  CHECK(state_->context != nullptr && EVP_MAC_init(state_->context, key, secret.size(), parameters.data()) == 1);
}
FrameSeal::FrameSeal(FrameSeal&&) noexcept = default;
FrameSeal& FrameSeal::operator=(FrameSeal&&) noexcept = default;
FrameSeal::~FrameSeal() = default;

FrameSeal::Tag FrameSeal::tag(std::string_view sender, std::span<const std::uint8_t> header_and_frame) {
  EVP_MAC_CTX* context = state_->context;
  std::array<std::uint8_t, EVP_MAX_MD_SIZE> whole{};
  std::size_t size = 0;
  const std::uint8_t zero = 0;
  CHECK(EVP_MAC_init(context, nullptr, 0, nullptr) == 1 &&
        EVP_MAC_update(context, reinterpret_cast<const unsigned char*>(sender.data()), sender.size()) == 1 &&
        EVP_MAC_update(context, &zero, 1) == 1 &&
        EVP_MAC_update(context, header_and_frame.data(), header_and_frame.size()) == 1 &&
        EVP_MAC_final(context, whole.data(), &size, whole.size()) == 1 && size >= kTunnelTag);
  Tag tag{};
  std::copy_n(whole.begin(), kTunnelTag, tag.begin());
  return tag;
}

bool FrameSeal::verify(std::string_view sender, std::span<const std::uint8_t> header_and_frame,
                       std::span<const std::uint8_t> tag_bytes) {
  if (tag_bytes.size() != kTunnelTag) return false;
  const Tag expected = tag(sender, header_and_frame);
  return CRYPTO_memcmp(expected.data(), tag_bytes.data(), kTunnelTag) == 0;
}

}  // namespace nuraghe::network
