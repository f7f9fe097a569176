#include "jwt/keys.hpp"

#include <openssl/bn.h>
#include <openssl/core_names.h>
#include <openssl/ec.h>
#include <openssl/err.h>
#include <openssl/param_build.h>
#include <openssl/rsa.h>

#include <algorithm>
#include <boost/json/array.hpp>
#include <boost/json/parse.hpp>
#include <boost/json/value.hpp>

namespace nuraghe::jwt {
namespace {

namespace json = boost::json;

constexpr std::size_t kMostKeys = 100;
constexpr int kShortestRsa = 2048;  // bits; RFC 7518 §3.3
constexpr int kLongestRsa = 8192;

template <auto kFree>
struct Free {
  template <class T>
  void operator()(T* object) const {
    kFree(object);
  }
};
using Number = std::unique_ptr<BIGNUM, Free<BN_free>>;
using Builder = std::unique_ptr<OSSL_PARAM_BLD, Free<OSSL_PARAM_BLD_free>>;
using Parameters = std::unique_ptr<OSSL_PARAM, Free<OSSL_PARAM_free>>;
using KeyContext = std::unique_ptr<EVP_PKEY_CTX, Free<EVP_PKEY_CTX_free>>;
using DigestContext = std::unique_ptr<EVP_MD_CTX, Free<EVP_MD_CTX_free>>;
using Signature = std::unique_ptr<ECDSA_SIG, Free<ECDSA_SIG_free>>;

const unsigned char* bytes(std::string_view text) { return reinterpret_cast<const unsigned char*>(text.data()); }

std::string text_of(const json::object& object, std::string_view name) {
  const auto* value = object.if_contains(name);
  return value != nullptr && value->is_string() ? std::string(value->get_string()) : std::string();
}

Number number_of(const std::string& big_endian) {
  return Number(BN_bin2bn(bytes(big_endian), static_cast<int>(big_endian.size()), nullptr));
}

KeyPtr make_key(const char* kind, OSSL_PARAM_BLD* builder) {
  const Parameters parameters(OSSL_PARAM_BLD_to_param(builder));
  const KeyContext context(EVP_PKEY_CTX_new_from_name(nullptr, kind, nullptr));
  EVP_PKEY* key = nullptr;
  if (!parameters || !context || EVP_PKEY_fromdata_init(context.get()) != 1 ||
      EVP_PKEY_fromdata(context.get(), &key, EVP_PKEY_PUBLIC_KEY, parameters.get()) != 1)
    return nullptr;
  KeyPtr made(key);
  const KeyContext check(EVP_PKEY_CTX_new_from_pkey(nullptr, made.get(), nullptr));
  if (!check || EVP_PKEY_public_check(check.get()) != 1) return nullptr;
  return made;
}

KeyPtr rsa_key(const json::object& jwk) {
  const auto modulus = decode_base64url(text_of(jwk, "n"));
  const auto exponent = decode_base64url(text_of(jwk, "e"));
  if (!modulus || !exponent || modulus->size() * 8 > kLongestRsa || exponent->size() > 8) return nullptr;
  const Number n = number_of(*modulus);
  const Number e = number_of(*exponent);
  const Builder builder(OSSL_PARAM_BLD_new());
  if (!n || !e || !builder || BN_num_bits(n.get()) < kShortestRsa) return nullptr;
  OSSL_PARAM_BLD_push_BN(builder.get(), OSSL_PKEY_PARAM_RSA_N, n.get());
  OSSL_PARAM_BLD_push_BN(builder.get(), OSSL_PKEY_PARAM_RSA_E, e.get());
  return make_key("RSA", builder.get());
}

KeyPtr curve_key(const json::object& jwk, const char* group, std::size_t size) {
  const auto x = decode_base64url(text_of(jwk, "x"));
  const auto y = decode_base64url(text_of(jwk, "y"));
  if (!x || !y || x->size() != size || y->size() != size) return nullptr;
  const std::string point = "\x04" + *x + *y;  // SEC 1 §2.3.4: uncompressed
  const Builder builder(OSSL_PARAM_BLD_new());
  if (!builder) return nullptr;
  OSSL_PARAM_BLD_push_utf8_string(builder.get(), OSSL_PKEY_PARAM_GROUP_NAME, group, 0);
  OSSL_PARAM_BLD_push_octet_string(builder.get(), OSSL_PKEY_PARAM_PUB_KEY, point.data(), point.size());
  return make_key("EC", builder.get());
}

KeyPtr edwards_key(const json::object& jwk) {
  const auto x = decode_base64url(text_of(jwk, "x"));
  if (!x || x->size() != 32) return nullptr;
  return KeyPtr(EVP_PKEY_new_raw_public_key(EVP_PKEY_ED25519, nullptr, bytes(*x), x->size()));
}

std::string family_of(const json::object& jwk) {
  const std::string kind = text_of(jwk, "kty");
  const std::string curve = text_of(jwk, "crv");
  if (kind == "RSA") return "RSA";
  if (kind == "EC" && curve == "P-256") return "ES256";
  if (kind == "EC" && curve == "P-384") return "ES384";
  if (kind == "OKP" && curve == "Ed25519") return "EdDSA";
  return "";
}

KeyPtr key_of(const json::object& jwk, const std::string& family) {
  if (family == "RSA") return rsa_key(jwk);
  if (family == "ES256") return curve_key(jwk, "P-256", 32);
  if (family == "ES384") return curve_key(jwk, "P-384", 48);
  if (family == "EdDSA") return edwards_key(jwk);
  return nullptr;
}

bool fits(const Key& key, const std::string& algorithm) {
  if (!key.algorithm.empty() && key.algorithm != algorithm) return false;
  if (key.family == "RSA") return algorithm.starts_with("RS") || algorithm.starts_with("PS");
  return key.family == algorithm;
}

const EVP_MD* digest_of(const std::string& algorithm) {
  if (algorithm == "EdDSA") return nullptr;
  if (algorithm.ends_with("256")) return EVP_sha256();
  return algorithm.ends_with("384") ? EVP_sha384() : EVP_sha512();
}

// RFC 7518 §3.4: both numbers in their full length, one behind the other; OpenSSL takes DER.
std::string der_of(const std::string& signature, std::size_t size) {
  if (signature.size() != 2 * size) return "";
  const Signature both(ECDSA_SIG_new());
  Number r = number_of(signature.substr(0, size));
  Number s = number_of(signature.substr(size));
  if (!both || !r || !s || ECDSA_SIG_set0(both.get(), r.get(), s.get()) != 1) return "";
  (void)r.release();
  (void)s.release();
  unsigned char* out = nullptr;
  const int length = i2d_ECDSA_SIG(both.get(), &out);
  if (length <= 0) return "";
  std::string der(reinterpret_cast<char*>(out), static_cast<std::size_t>(length));
  OPENSSL_free(out);
  return der;
}

bool is_signed_by(const Parsed& token, const Key& key) {
  const DigestContext context(EVP_MD_CTX_new());
  EVP_PKEY_CTX* options = nullptr;
  if (!context ||
      EVP_DigestVerifyInit(context.get(), &options, digest_of(token.algorithm), nullptr, key.key.get()) != 1)
    return false;
  if (token.algorithm.starts_with("PS") && (EVP_PKEY_CTX_set_rsa_padding(options, RSA_PKCS1_PSS_PADDING) != 1 ||
                                            EVP_PKEY_CTX_set_rsa_pss_saltlen(options, RSA_PSS_SALTLEN_DIGEST) != 1))
    return false;
  std::string signature = token.signature;
  if (token.algorithm.starts_with("ES")) signature = der_of(signature, token.algorithm == "ES256" ? 32 : 48);
  if (signature.empty()) return false;
  return EVP_DigestVerify(context.get(), bytes(signature), signature.size(), bytes(token.signed_text),
                          token.signed_text.size()) == 1;
}

}  // namespace

Result<std::string> decode_base64url(std::string_view text) {
  std::string out;
  out.reserve(text.size() * 3 / 4);
  std::uint32_t bits = 0;
  int count = 0;
  for (const char c : text) {
    std::uint32_t value = 0;
    if (c >= 'A' && c <= 'Z')
      value = static_cast<std::uint32_t>(c - 'A');
    else if (c >= 'a' && c <= 'z')
      value = static_cast<std::uint32_t>(c - 'a') + 26;
    else if (c >= '0' && c <= '9')
      value = static_cast<std::uint32_t>(c - '0') + 52;
    else if (c == '-' || c == '_')
      value = c == '-' ? 62 : 63;
    else
      return invalid("a part of the token is not base64url");
    bits = (bits << 6U) | value;
    count += 6;
    if (count < 8) continue;
    count -= 8;
    out.push_back(static_cast<char>((bits >> static_cast<unsigned>(count)) & 0xFFU));
    bits &= (1U << static_cast<unsigned>(count)) - 1;
  }
  // What is left over says nothing: one text for one value.
  if (count >= 6 || bits != 0) return invalid("a part of the token is not base64url");
  return out;
}

Result<KeySet> KeySet::parse(std::string_view text) {
  boost::system::error_code error;
  const auto value = json::parse(text, error);
  const auto* set = error ? nullptr : value.if_object();
  const auto* list = set != nullptr && set->if_contains("keys") != nullptr ? set->at("keys").if_array() : nullptr;
  if (list == nullptr) return invalid("that is no JWK Set (RFC 7517 §5): a JSON object with the array keys");
  auto keys = std::make_shared<Keys>();
  for (const json::value& one : *list) {
    const auto* jwk = one.if_object();
    if (jwk == nullptr || keys->keys.size() >= kMostKeys) continue;
    const std::string use = text_of(*jwk, "use");
    if (!use.empty() && use != "sig") continue;
    Key key;
    key.id = text_of(*jwk, "kid");
    key.algorithm = text_of(*jwk, "alg");
    key.family = family_of(*jwk);
    key.key = key_of(*jwk, key.family);
    if (key.key) keys->keys.push_back(std::move(key));
  }
  ERR_clear_error();
  KeySet result;
  result.keys_ = std::move(keys);
  return result;
}

std::size_t KeySet::size() const { return keys_ ? keys_->keys.size() : 0; }

Status Verifier::verify(const Parsed& token, const KeySet& keys) {
  bool has_key = false;
  bool is_good = false;
  if (!keys.keys_) return not_found("the issuer has no keys");
  for (const Key& key : keys.keys_->keys) {
    // A token without a key's id may be of any key of its kind.
    if (!token.key_id.empty() && key.id != token.key_id) continue;
    has_key = true;
    if (!fits(key, token.algorithm)) continue;
    is_good = is_good || is_signed_by(token, key);
  }
  ERR_clear_error();
  if (!has_key) return not_found("the issuer has no key of this id");
  if (!is_good) return denied("the token is not believed: its signature is not the issuer's");
  return {};
}

}  // namespace nuraghe::jwt
