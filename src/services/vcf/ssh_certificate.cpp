#include "services/vcf/ssh_certificate.hpp"

#include <fmt/format.h>
#include <array>
#include <memory>
#include <optional>

#include "base/check.hpp"
#include "services/vcf/ssh_key.hpp"
#include "services/vcf/ssh_wire.hpp"

namespace nuraghe::services::vcf {
namespace {

constexpr std::string_view kEd25519 = "ssh-ed25519";
constexpr std::string_view kAlphabet = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
constexpr std::size_t kSeed = 32;
constexpr std::size_t kLongestText = 8192;  // of a public key
constexpr std::size_t kLeastRsa = 256;      // bytes of the modulus
constexpr std::uint32_t kUserType = 1;      // SSH_CERT_TYPE_USER

struct ContextCloser {
  void operator()(EVP_MD_CTX* context) const { EVP_MD_CTX_free(context); }
};

// How a type's certificate is called, and how many fields follow the type in its blob.
struct KeyType {
  std::string_view name;
  std::string_view certificate;
  std::size_t fields;
  std::size_t first_size;  // of the first field, when that is always the same; else 0
};
constexpr std::array<KeyType, 7> kTypes = {{
    {"ssh-ed25519", "ssh-ed25519-cert-v01@openssh.com", 1, 32},
    {"ecdsa-sha2-nistp256", "ecdsa-sha2-nistp256-cert-v01@openssh.com", 2, 8},
    {"ecdsa-sha2-nistp384", "ecdsa-sha2-nistp384-cert-v01@openssh.com", 2, 8},
    {"ecdsa-sha2-nistp521", "ecdsa-sha2-nistp521-cert-v01@openssh.com", 2, 8},
    {"ssh-rsa", "ssh-rsa-cert-v01@openssh.com", 2, 0},
    {"sk-ssh-ed25519@openssh.com", "sk-ssh-ed25519-cert-v01@openssh.com", 2, 32},
    {"sk-ecdsa-sha2-nistp256@openssh.com", "sk-ecdsa-sha2-nistp256-cert-v01@openssh.com", 3, 8},
}};
const KeyType* find_type(std::string_view name) {
  for (const auto& type : kTypes)
    if (type.name == name) return &type;
  return nullptr;
}

// Takes the next string (RFC 4251 §5) off; nullopt when there is none.
std::optional<std::string_view> take_string(std::string_view& rest) {
  if (rest.size() < 4) return std::nullopt;
  std::size_t size = 0;
  for (int i = 0; i < 4; ++i) size = size << 8U | static_cast<unsigned char>(rest[static_cast<std::size_t>(i)]);
  if (rest.size() - 4 < size) return std::nullopt;
  const auto text = rest.substr(4, size);
  rest.remove_prefix(4 + size);
  return text;
}

// Canonical base64 alone: one key has one text.
std::optional<std::string> decode_base64(std::string_view text) {
  std::string bytes;
  std::uint32_t held = 0;
  int bits = 0;
  const auto data = text.substr(0, text.find('='));
  for (const char c : data) {
    const auto digit = kAlphabet.find(c);
    if (digit == std::string_view::npos) return std::nullopt;
    held = held << 6U | static_cast<std::uint32_t>(digit);
    bits += 6;
    if (bits >= 8) bytes += static_cast<char>(held >> (bits -= 8) & 0xffU);
  }
  if (base64(bytes) != text) return std::nullopt;
  return bytes;
}

Status check_blob(const KeyType& type, std::string_view blob) {
  const auto bad = [&] { return invalid(fmt::format("the bytes of the {} key are not one", type.name)); };
  std::string_view rest = blob;
  if (take_string(rest) != type.name) return bad();
  for (std::size_t i = 0; i < type.fields; ++i) {
    const auto field = take_string(rest);
    if (!field || field->empty()) return bad();
    if (i == 0 && type.first_size != 0 && field->size() != type.first_size) return bad();
    // The modulus has a zero byte before it.
    if (type.name == "ssh-rsa" && i == 1 && field->size() <= kLeastRsa)
      return invalid("RSA keys have 2048 bits or more; make another one: ssh-keygen -t ed25519");
  }
  return rest.empty() ? Status() : bad();
}

Key load(std::string_view seed) {
  if (seed.size() != kSeed) return nullptr;
  return Key(EVP_PKEY_new_raw_private_key(EVP_PKEY_ED25519, nullptr,
                                          reinterpret_cast<const unsigned char*>(seed.data()), seed.size()));
}

Result<std::string> public_blob(std::string_view seed) {
  const Key key = load(seed);
  std::array<unsigned char, kSeed> raw{};
  std::size_t size = raw.size();
  if (!key || EVP_PKEY_get_raw_public_key(key.get(), raw.data(), &size) != 1 || size != raw.size())
    return internal("the key that signs certificates cannot be used by this OpenSSL");
  std::string blob;
  put_string(blob, kEd25519);
  put_string(blob, {reinterpret_cast<const char*>(raw.data()), raw.size()});
  return blob;
}

Result<std::string> sign(std::string_view seed, std::string_view text) {
  const Key key = load(seed);
  const std::unique_ptr<EVP_MD_CTX, ContextCloser> context(EVP_MD_CTX_new());
  std::array<unsigned char, 64> raw{};
  std::size_t size = raw.size();
  if (!key || !context || EVP_DigestSignInit(context.get(), nullptr, nullptr, nullptr, key.get()) != 1 ||
      EVP_DigestSign(context.get(), raw.data(), &size, reinterpret_cast<const unsigned char*>(text.data()),
                     text.size()) != 1 ||
      size != raw.size())
    return internal("a certificate cannot be signed by this OpenSSL");
  std::string signature;
  put_string(signature, kEd25519);
  put_string(signature, {reinterpret_cast<const char*>(raw.data()), raw.size()});
  return signature;
}

std::string extensions() {
  std::string text;
  for (const std::string_view name :
       {"permit-X11-forwarding", "permit-agent-forwarding", "permit-port-forwarding", "permit-pty", "permit-user-rc"}) {
    put_string(text, name);
    put_string(text, "");
  }
  return text;
}

std::uint64_t seconds(TimePoint time) { return static_cast<std::uint64_t>(time.micros / 1'000'000); }

}  // namespace

std::string SshPublicKey::line() const { return type + " " + base64(blob); }

std::string SshPublicKey::fingerprint() const {
  std::array<unsigned char, EVP_MAX_MD_SIZE> digest{};
  unsigned int size = 0;
  CHECK(EVP_Digest(blob.data(), blob.size(), digest.data(), &size, EVP_sha256(), nullptr) == 1);
  std::string text = base64({reinterpret_cast<const char*>(digest.data()), size});
  return "SHA256:" + text.substr(0, text.find('='));
}

Result<SshPublicKey> parse_ssh_public_key(std::string_view text) {
  constexpr std::string_view kExpected = "a public ssh key is one line: TYPE BASE64 COMMENT, as in id_ed25519.pub";
  while (!text.empty() && (text.back() == '\n' || text.back() == '\r' || text.back() == ' ')) text.remove_suffix(1);
  while (!text.empty() && text.front() == ' ') text.remove_prefix(1);
  if (text.find("PRIVATE KEY") != std::string_view::npos)
    return invalid("this is a private key: keep it to yourself, and name the file that ends with .pub");
  if (text.size() > kLongestText || text.find_first_of("\n\r") != std::string_view::npos)
    return invalid(std::string(kExpected));
  const auto space = text.find(' ');
  if (space == std::string_view::npos) return invalid(std::string(kExpected));
  SshPublicKey key;
  key.type = text.substr(0, space);
  const auto* type = find_type(key.type);
  if (type == nullptr)
    return invalid(fmt::format("'{}' is not a type of ssh key that is taken here; make one: ssh-keygen -t ed25519",
                               key.type.substr(0, 64)));
  text.remove_prefix(space + 1);
  auto blob = decode_base64(text.substr(0, text.find(' ')));
  if (!blob) return invalid(fmt::format("the {} key is not in base64", key.type));
  TRY(check_blob(*type, *blob));
  key.blob = std::move(*blob);
  return key;
}

std::string make_signing_seed(env::Random& random) {
  std::array<std::uint8_t, kSeed> bytes{};
  random.fill(bytes);
  return {bytes.begin(), bytes.end()};
}

Result<std::string> signing_public_key(std::string_view seed) {
  TRY_ASSIGN(const auto blob, public_blob(seed));
  return std::string(kEd25519) + " " + base64(blob);
}

Result<std::string> sign_certificate(const UserCertificate& certificate, std::string_view seed, env::Random& random) {
  const auto* type = find_type(certificate.subject.type);
  if (type == nullptr || certificate.principals.empty()) return internal("a certificate needs a key and an account");
  std::array<std::uint8_t, kSeed> nonce{};
  random.fill(nonce);
  std::string_view fields = certificate.subject.blob;
  take_string(fields);
  std::string text;
  put_string(text, type->certificate);
  put_string(text, {reinterpret_cast<const char*>(nonce.data()), nonce.size()});
  text += fields;
  put_number(text, certificate.serial, 8);
  put_number(text, kUserType, 4);
  put_string(text, certificate.key_id);
  std::string principals;
  for (const auto& principal : certificate.principals) put_string(principals, principal);
  put_string(text, principals);
  put_number(text, seconds(certificate.valid_after), 8);
  put_number(text, seconds(certificate.valid_before), 8);
  put_string(text, "");  // critical options
  put_string(text, extensions());
  put_string(text, "");  // reserved
  TRY_ASSIGN(const auto signer, public_blob(seed));
  put_string(text, signer);
  TRY_ASSIGN(const auto signature, sign(seed, text));
  put_string(text, signature);
  return fmt::format("{} {} {}", type->certificate, base64(text), certificate.key_id);
}

}  // namespace nuraghe::services::vcf
