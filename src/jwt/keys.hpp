// Public keys and signatures: the part of this room that sees OpenSSL. Not for other rooms.
#pragma once

#include <openssl/evp.h>

#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "jwt/jwt.hpp"

namespace nuraghe::jwt {

// RFC 7515 §2: without padding, nothing else within. kInvalid otherwise.
Result<std::string> decode_base64url(std::string_view text);

struct FreeKey {
  void operator()(EVP_PKEY* key) const { EVP_PKEY_free(key); }
};
using KeyPtr = std::unique_ptr<EVP_PKEY, FreeKey>;

struct Key {
  std::string id;
  std::string algorithm;  // the only one that it is for; empty: any that fits
  std::string family;     // of algorithms: RSA, ES256, ES384, EdDSA
  KeyPtr key;
};
struct KeySet::Keys {
  std::vector<Key> keys;
};

struct Verifier {
  // kNotFound, kDenied as jwt::verify().
  static Status verify(const Parsed& token, const KeySet& keys);
};

}  // namespace nuraghe::jwt
