#include "services/vcf/ssh_key.hpp"

#include <array>
#include <cstdint>
#include <string_view>

#include "services/vcf/ssh_wire.hpp"

namespace nuraghe::services::vcf {
namespace {

constexpr std::string_view kType = "ssh-ed25519";
constexpr std::size_t kCipherBlock = 8;  // of the cipher "none"
constexpr std::size_t kLineLength = 70;

}  // namespace

std::string base64(std::string_view bytes) {
  std::string text(4 * ((bytes.size() + 2) / 3) + 1, '\0');
  const int length =
      EVP_EncodeBlock(reinterpret_cast<unsigned char*>(text.data()),
                      reinterpret_cast<const unsigned char*>(bytes.data()), static_cast<int>(bytes.size()));
  text.resize(static_cast<std::size_t>(length));
  return text;
}

Result<SshKey> make_ssh_key(env::Random& random, const std::string& comment) {
  std::array<std::uint8_t, 32> seed{};
  random.fill(seed);
  std::array<std::uint8_t, 4> check{};
  random.fill(check);
  const Key key(EVP_PKEY_new_raw_private_key(EVP_PKEY_ED25519, nullptr, seed.data(), seed.size()));
  std::array<unsigned char, 32> raw{};
  std::size_t size = raw.size();
  if (!key || EVP_PKEY_get_raw_public_key(key.get(), raw.data(), &size) != 1 || size != raw.size())
    return internal("an ed25519 key cannot be made by this OpenSSL");
  const std::string public_bytes(raw.begin(), raw.end());
  const std::string private_bytes = std::string(seed.begin(), seed.end()) + public_bytes;

  std::string public_blob;
  put_string(public_blob, kType);
  put_string(public_blob, public_bytes);

  std::string secret(check.begin(), check.end());
  secret.append(check.begin(), check.end());
  secret += public_blob;
  put_string(secret, private_bytes);
  put_string(secret, comment);
  for (char pad = 1; secret.size() % kCipherBlock != 0; ++pad) secret += pad;

  std::string file("openssh-key-v1\0", 15);
  put_string(file, "none");  // cipher
  put_string(file, "none");  // key derivation
  put_string(file, "");
  put_number(file, 1, 4);
  put_string(file, public_blob);
  put_string(file, secret);

  SshKey result;
  result.private_key = "-----BEGIN OPENSSH PRIVATE KEY-----\n";
  const std::string text = base64(file);
  for (std::size_t at = 0; at < text.size(); at += kLineLength)
    result.private_key += text.substr(at, kLineLength) + "\n";
  result.private_key += "-----END OPENSSH PRIVATE KEY-----\n";
  result.public_key = std::string(kType) + " " + base64(public_blob) + " " + comment;
  return result;
}

}  // namespace nuraghe::services::vcf
