// JSON Web Tokens: signed ones are verified, nothing is made. Pure: no clock, no network.
//
// Sources: RFC 7515 (JWS, compact form), RFC 7517 (JWK), RFC 7518 (algorithms), RFC 7519 (claims), RFC 8037 (Ed25519),
// RFC 8725 (best practice: the algorithm is of a list and fits the key, the issuer and the audience are compared).
// Threading: values; a KeySet is immutable and thread safe.
#pragma once

#include <boost/json/object.hpp>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.hpp"
#include "base/units.hpp"

namespace nuraghe::jwt {

// What a provider may sign with: RS256, RS384, RS512, PS256, PS384, PS512, ES256, ES384, EdDSA (Ed25519). Never `none`,
// never a shared secret.
bool is_known_algorithm(std::string_view name);
const std::vector<std::string>& known_algorithms();

// A token taken apart. Nothing in it is to be believed before verify().
struct Parsed {
  std::string algorithm, key_id;
  std::string issuer;  // as it says itself: tells which keys to try
  boost::json::object claims;
  std::string signed_text, signature;
};
// kInvalid for what is no compact JWS of JSON, is longer than 12 KiB, has `crit`, or is not signed by a known
// algorithm.
Result<Parsed> parse(std::string_view token);
// Whether a bearer token looks like one: three parts between dots.
bool looks_like_token(std::string_view token);

// Public keys of an issuer.
class KeySet {
 public:
  // Of a JWK Set. Keys that are for something else, or of kinds that are not known, are left out. kInvalid when it is
  // no JWK Set; at most 100 keys are taken.
  static Result<KeySet> parse(std::string_view json);
  std::size_t size() const;

 private:
  friend struct Verifier;
  struct Keys;
  std::shared_ptr<const Keys> keys_;
};

struct Expected {
  std::string issuer, audience;
  std::vector<std::string> algorithms;  // that this issuer may use
  TimePoint now;
  Duration leeway = std::chrono::seconds(30);
};
struct Verified {
  std::string subject;
  TimePoint expires;
};
// kNotFound: none of the keys has the token's id (the issuer may have a new one). kDenied: it is not to be believed,
// and why, for the log.
Result<Verified> verify(const Parsed& token, const KeySet& keys, const Expected& expected);

}  // namespace nuraghe::jwt
