#include "jwt/jwt.hpp"

#include <gmock/gmock.h>
#include <openssl/bn.h>
#include <openssl/core_names.h>
#include <openssl/ec.h>
#include <openssl/hmac.h>
#include <openssl/rsa.h>

#include "jwt/keys.hpp"

namespace nuraghe::jwt {
namespace {

using ::testing::HasSubstr;

std::string encode(std::string_view text) {
  constexpr std::string_view kDigits = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
  std::string out;
  unsigned bits = 0;
  int count = 0;
  for (const unsigned char c : text) {
    bits = (bits << 8U) | c;
    for (count += 8; count >= 6; count -= 6) out.push_back(kDigits[(bits >> static_cast<unsigned>(count - 6)) & 63U]);
  }
  if (count > 0) out.push_back(kDigits[(bits << static_cast<unsigned>(6 - count)) & 63U]);
  return out;
}

std::string number(EVP_PKEY* key, const char* name, int size) {
  BIGNUM* value = nullptr;
  EXPECT_EQ(EVP_PKEY_get_bn_param(key, name, &value), 1);
  std::string out(static_cast<std::size_t>(size > 0 ? size : BN_num_bytes(value)), '\0');
  BN_bn2binpad(value, reinterpret_cast<unsigned char*>(out.data()), static_cast<int>(out.size()));
  BN_free(value);
  return out;
}

// A key of an issuer, its public half as a JWK.
struct Signer {
  Signer(std::string kind, std::string key_id) : id(std::move(key_id)) {
    if (kind == "RSA") key.reset(EVP_PKEY_Q_keygen(nullptr, nullptr, "RSA", std::size_t{2048}));
    if (kind == "P-256" || kind == "P-384") key.reset(EVP_PKEY_Q_keygen(nullptr, nullptr, "EC", kind.c_str()));
    if (kind == "Ed25519") key.reset(EVP_PKEY_Q_keygen(nullptr, nullptr, "ED25519"));
    const std::string begin = R"({"use":"sig","kid":")" + id + R"(",)";
    if (kind == "RSA")
      jwk = begin + R"("kty":"RSA","n":")" + encode(number(key.get(), OSSL_PKEY_PARAM_RSA_N, 0)) + R"(","e":")" +
            encode(number(key.get(), OSSL_PKEY_PARAM_RSA_E, 0)) + "\"}";
    if (kind == "Ed25519") {
      std::string x(32, '\0');
      std::size_t length = x.size();
      EVP_PKEY_get_raw_public_key(key.get(), reinterpret_cast<unsigned char*>(x.data()), &length);
      jwk = begin + R"("kty":"OKP","crv":"Ed25519","x":")" + encode(x) + "\"}";
    }
    if (kind.starts_with("P-")) {
      size = kind == "P-256" ? 32 : 48;
      jwk = begin + R"("kty":"EC","crv":")" + kind + R"(","x":")" +
            encode(number(key.get(), OSSL_PKEY_PARAM_EC_PUB_X, size)) + R"(","y":")" +
            encode(number(key.get(), OSSL_PKEY_PARAM_EC_PUB_Y, size)) + "\"}";
    }
  }

  std::string sign(const std::string& algorithm, const std::string& claims, const std::string& more = "") const {
    const std::string text =
        encode(R"({"alg":")" + algorithm + R"(","kid":")" + id + "\"" + more + "}") + "." + encode(claims);
    EVP_MD_CTX* context = EVP_MD_CTX_new();
    EVP_PKEY_CTX* options = nullptr;
    const EVP_MD* digest = EVP_sha256();
    if (algorithm.ends_with("384")) digest = EVP_sha384();
    if (algorithm.ends_with("512")) digest = EVP_sha512();
    if (algorithm == "EdDSA") digest = nullptr;
    EXPECT_EQ(EVP_DigestSignInit(context, &options, digest, nullptr, key.get()), 1);
    if (algorithm.starts_with("PS")) {
      EVP_PKEY_CTX_set_rsa_padding(options, RSA_PKCS1_PSS_PADDING);
      EVP_PKEY_CTX_set_rsa_pss_saltlen(options, RSA_PSS_SALTLEN_DIGEST);
    }
    std::string signature(1024, '\0');
    std::size_t length = signature.size();
    EXPECT_EQ(EVP_DigestSign(context, reinterpret_cast<unsigned char*>(signature.data()), &length,
                             reinterpret_cast<const unsigned char*>(text.data()), text.size()),
              1);
    EVP_MD_CTX_free(context);
    signature.resize(length);
    if (size > 0) signature = joined(signature);
    return text + "." + encode(signature);
  }

  std::string joined(const std::string& der) const {
    const auto* at = reinterpret_cast<const unsigned char*>(der.data());
    ECDSA_SIG* both = d2i_ECDSA_SIG(nullptr, &at, static_cast<long>(der.size()));
    std::string out(static_cast<std::size_t>(2 * size), '\0');
    auto* to = reinterpret_cast<unsigned char*>(out.data());
    BN_bn2binpad(ECDSA_SIG_get0_r(both), to, size);
    BN_bn2binpad(ECDSA_SIG_get0_s(both), to + size, size);
    ECDSA_SIG_free(both);
    return out;
  }

  std::string id, jwk;
  KeyPtr key;
  int size = 0;
};

const Signer& rsa() {
  static const Signer kSigner("RSA", "r1");
  return kSigner;
}

constexpr std::int64_t kNow = 1'800'000'000;
const std::string kGood =
    R"({"iss":"https://id.example","aud":"nuraghe","sub":"marie","exp":1800000300,"nbf":1799999990,"iat":1799999990})";

KeySet keys_of(std::initializer_list<const Signer*> signers) {
  std::string text = R"({"keys":[{"kty":"oct","k":"AAAA"},{"kty":"XYZ"},7)";
  for (const auto* signer : signers) text += "," + signer->jwk;
  const auto keys = KeySet::parse(text + "]}");
  EXPECT_TRUE(keys);
  return *keys;
}

Expected expected() {
  Expected result;
  result.issuer = "https://id.example";
  result.audience = "nuraghe";
  result.algorithms = known_algorithms();
  result.now = {kNow * 1'000'000};
  return result;
}

Result<Verified> check(const std::string& token, const KeySet& keys, const Expected& what = expected()) {
  TRY_ASSIGN(const auto parsed, parse(token));
  return verify(parsed, keys, what);
}

std::string replaced(std::string text, const std::string& from, const std::string& to) {
  const auto at = text.find(from);
  EXPECT_NE(at, std::string::npos) << from;
  return text.replace(at, from.size(), to);
}

TEST(Jwt, EveryAlgorithmIsVerified) {
  const Signer p256("P-256", "a"), p384("P-384", "b"), ed("Ed25519", "c");
  const KeySet keys = keys_of({&rsa(), &p256, &p384, &ed});
  EXPECT_EQ(keys.size(), 4U);
  for (const auto& algorithm : known_algorithms()) {
    const Signer* signer = &rsa();
    if (algorithm == "ES256") signer = &p256;
    if (algorithm == "ES384") signer = &p384;
    if (algorithm == "EdDSA") signer = &ed;
    const std::string token = signer->sign(algorithm, kGood);
    const auto verified = check(token, keys);
    ASSERT_TRUE(verified) << algorithm << verified.error().to_string();
    EXPECT_EQ(verified->subject, "marie");
    EXPECT_EQ(verified->expires.micros, 1800000300LL * 1'000'000);
    auto narrow = expected();
    std::erase(narrow.algorithms, algorithm);
    EXPECT_EQ(check(token, keys, narrow).error().code(), ErrorCode::kDenied) << algorithm;
    // Every bit counts.
    const auto dot = token.rfind('.');
    auto forged = token.substr(0, dot) + "." + token.substr(dot + 1);
    forged[dot + 5] = forged[dot + 5] == 'A' ? 'B' : 'A';
    EXPECT_FALSE(check(forged, keys)) << algorithm;
    EXPECT_FALSE(check(token.substr(0, dot + 1), keys)) << algorithm;
  }
}

// RFC 7515, appendix A.3.
TEST(Jwt, TheStandardsExampleIsVerified) {
  const auto token = parse(
      "eyJhbGciOiJFUzI1NiJ9"
      ".eyJpc3MiOiJqb2UiLA0KICJleHAiOjEzMDA4MTkzODAsDQogImh0dHA6Ly9leGFtcGxlLmNvbS9pc19yb290Ijp0cnVlfQ"
      ".DtEhU3ljbEg8L38VWAfUAqOyKAM6-Xx-F4GawxaepmXFCgfTjDxw5djxLa8ISlSApmWQxfKTUJqPP3-Kg6NU1Q");
  ASSERT_TRUE(token);
  const auto keys =
      KeySet::parse(R"({"keys":[{"kty":"EC","crv":"P-256","x":"f83OJ3D2xF1Bg8vub9tLe1gHMzV76e8Tus9uPHvRVEU",)"
                    R"("y":"x_FEzRu9m36HLN_tue659LNpXW6pCyStikYjKIWI5a0"}]})");
  ASSERT_TRUE(keys);
  EXPECT_TRUE(Verifier::verify(*token, *keys));
}

TEST(Jwt, WhatIsNotSignedByTheIssuerIsNotBelieved) {
  const KeySet keys = keys_of({&rsa()});
  const Signer other("RSA", "r1");
  EXPECT_EQ(check(other.sign("RS256", kGood), keys).error().code(), ErrorCode::kDenied);
  const Signer unknown("P-256", "new");
  EXPECT_EQ(check(unknown.sign("ES256", kGood), keys).error().code(), ErrorCode::kNotFound);
  for (const char* none : {"none", "None", "NONE", "nOnE", ""}) {
    const std::string header = encode(std::string(R"({"alg":")") + none + R"(","kid":"r1"})");
    EXPECT_EQ(check(header + "." + encode(kGood) + ".", keys).error().code(), ErrorCode::kInvalid) << none;
  }
  // The public key as a shared secret.
  const std::string text = encode(R"({"alg":"HS256","kid":"r1"})") + "." + encode(kGood);
  unsigned char mac[32];
  unsigned size = 0;
  HMAC(EVP_sha256(), rsa().jwk.data(), static_cast<int>(rsa().jwk.size()),
       reinterpret_cast<const unsigned char*>(text.data()), text.size(), mac, &size);
  const std::string signature(reinterpret_cast<char*>(mac), size);
  EXPECT_EQ(check(text + "." + encode(signature), keys).error().code(), ErrorCode::kInvalid);
  // A key of another kind under the same id.
  const Signer curve("P-256", "r1");
  EXPECT_FALSE(check(curve.sign("ES256", kGood), keys));
  const auto only = KeySet::parse(R"({"keys":[)" + replaced(rsa().jwk, "\"use\"", R"("alg":"RS512","use")") + "]}");
  EXPECT_FALSE(check(rsa().sign("RS256", kGood), *only));
  EXPECT_TRUE(check(rsa().sign("RS512", kGood), *only));
}

TEST(Jwt, EveryClaimIsLookedAt) {
  const KeySet keys = keys_of({&rsa()});
  const std::pair<std::string, const char*> bad[] = {
      {replaced(kGood, "id.example", "id.example.org"), "another issuer"},
      {replaced(kGood, R"("iss":"https://id.example",)", ""), "another issuer"},
      {replaced(kGood, R"("aud":"nuraghe")", R"("aud":"nuraghe2")"), "another audience"},
      {replaced(kGood, R"("aud":"nuraghe",)", ""), "another audience"},
      {replaced(kGood, R"("aud":"nuraghe")", R"("aud":["a",{"nuraghe":1}])"), "another audience"},
      {replaced(kGood, "1800000300", "1799999970"), "expired"},
      {replaced(kGood, "1800000300", R"("1800000300")"), "no time"},
      {replaced(kGood, "1800000300", "1e300"), "no time"},
      {replaced(kGood, "1800000300", "-5"), "no time"},
      {replaced(kGood, R"("nbf":1799999990)", R"("nbf":1800000031)"), "not valid yet"},
      {replaced(kGood, R"("nbf":1799999990)", R"("nbf":"soon")"), "not valid yet"},
      {replaced(kGood, R"("iat":1799999990)", R"("iat":1800000100)"), "not valid yet"},
      {replaced(kGood, R"("sub":"marie")", R"("sub":"")"), "no subject"},
      {replaced(kGood, R"("sub":"marie")", R"("sub":7)"), "no subject"},
  };
  for (const auto& [claims, says] : bad) {
    const auto checked = check(rsa().sign("RS256", claims), keys);
    ASSERT_FALSE(checked) << claims;
    EXPECT_EQ(checked.error().code(), ErrorCode::kDenied);
    EXPECT_THAT(checked.error().message(), HasSubstr(says)) << claims;
  }
  for (const auto& claims :
       {replaced(kGood, R"("aud":"nuraghe")", R"("aud":["x","nuraghe"])"),
        replaced(kGood, "1800000300", "1799999975"),  // within the leeway
        replaced(kGood, "1800000300", "1800000300.5"), replaced(kGood, R"("nbf":1799999990)", R"("nbf":1800000029)")})
    EXPECT_TRUE(check(rsa().sign("RS256", claims), keys)) << claims;
}

TEST(Jwt, WhatIsNoTokenIsRefused) {
  const std::string good = rsa().sign("RS256", kGood);
  EXPECT_TRUE(looks_like_token(good));
  EXPECT_FALSE(looks_like_token("token-of-a-file"));
  EXPECT_EQ(parse(rsa().sign("RS256", kGood, R"(,"crit":["exp"])")).error().code(), ErrorCode::kInvalid);
  for (const std::string& bad :
       {std::string(), std::string("."), std::string(".."), std::string("a.b.c"), good + ".x", good + "=", good + "\n",
        std::string(20'000, 'a') + "..", encode("[]") + "." + encode(kGood) + ".AA",
        encode(R"({"alg":"RS256"})") + "." + encode("[1]") + ".AA",
        encode(R"({"alg":5})") + "." + encode(kGood) + ".AA"})
    EXPECT_EQ(parse(bad).error().code(), ErrorCode::kInvalid) << bad.substr(0, 40);
  for (const char* bad : {"", "[]", "{}", R"({"keys":{}})", "{"}) EXPECT_FALSE(KeySet::parse(bad)) << bad;
  // Weak and broken keys are no keys.
  EXPECT_EQ(KeySet::parse(R"({"keys":[{"kty":"RSA","n":"AQAB","e":"AQAB"},{"kty":"EC","crv":"P-256","x":"AA","y":"AA"},
      {"kty":"OKP","crv":"Ed25519","x":"AA"}]})")
                ->size(),
            0U);
  EXPECT_EQ(KeySet::parse(R"({"keys":[)" + replaced(rsa().jwk, "\"sig\"", "\"enc\"") + "]}")->size(), 0U);
}

}  // namespace
}  // namespace nuraghe::jwt
