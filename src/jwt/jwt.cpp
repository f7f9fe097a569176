#include "jwt/jwt.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <boost/json/parse.hpp>
#include <boost/json/value.hpp>
#include <cmath>
#include <optional>

#include "jwt/keys.hpp"

namespace nuraghe::jwt {
namespace {

namespace json = boost::json;

constexpr std::size_t kLongestToken = 12 << 10;

Error not_believed(std::string why) { return denied("the token is not believed: " + std::move(why)); }

std::string claim_of(const json::object& object, std::string_view name) {
  const auto* value = object.if_contains(name);
  return value != nullptr && value->is_string() ? std::string(value->get_string()) : std::string();
}

Result<json::object> object_of(std::string_view base64) {
  TRY_ASSIGN(const std::string text, decode_base64url(base64));
  boost::system::error_code error;
  auto value = json::parse(text, error);
  if (error || !value.is_object()) return invalid("a part of the token is no JSON object");
  return std::move(value.get_object());
}

// RFC 7519 §2, NumericDate: seconds, perhaps with a fraction.
std::optional<TimePoint> time_of(const json::object& claims, std::string_view name) {
  constexpr double kLatest = 9'000'000'000'000.0;  // in microseconds it fits 64 bits
  const auto* value = claims.if_contains(name);
  if (value == nullptr || !value->is_number()) return std::nullopt;
  const double seconds = value->to_number<double>();
  if (!std::isfinite(seconds) || seconds < 0 || seconds > kLatest) return std::nullopt;
  return TimePoint{static_cast<std::int64_t>(seconds * 1e6)};
}

bool is_for(const json::object& claims, const std::string& audience) {
  const auto* value = claims.if_contains("aud");
  if (value == nullptr) return false;
  if (value->is_string()) return std::string_view(value->get_string()) == audience;
  if (!value->is_array()) return false;
  return std::any_of(value->get_array().begin(), value->get_array().end(), [&](const json::value& one) {
    return one.is_string() && std::string_view(one.get_string()) == audience;
  });
}

Status check_claims(const Parsed& token, const Expected& expected) {
  if (token.issuer != expected.issuer) return not_believed("another issuer");
  if (!is_for(token.claims, expected.audience)) return not_believed("it is for another audience");
  const auto expires = time_of(token.claims, "exp");
  if (!expires) return not_believed("it has no time at which it expires");
  if (*expires + expected.leeway <= expected.now) return not_believed("it has expired");
  for (const char* name : {"nbf", "iat"}) {
    if (token.claims.if_contains(name) == nullptr) continue;
    const auto begins = time_of(token.claims, name);
    if (!begins || *begins > expected.now + expected.leeway) return not_believed("it is not valid yet");
  }
  const std::string subject = claim_of(token.claims, "sub");
  if (subject.empty() || subject.size() > 255) return not_believed("it has no subject");
  return {};
}

}  // namespace

const std::vector<std::string>& known_algorithms() {
  static const std::vector<std::string> kNames = {"RS256", "RS384", "RS512", "PS256", "PS384",
                                                  "PS512", "ES256", "ES384", "EdDSA"};
  return kNames;
}

bool is_known_algorithm(std::string_view name) {
  return std::any_of(known_algorithms().begin(), known_algorithms().end(),
                     [&](const std::string& known) { return known == name; });
}

bool looks_like_token(std::string_view token) { return std::count(token.begin(), token.end(), '.') == 2; }

Result<Parsed> parse(std::string_view token) {
  if (token.size() > kLongestToken) return invalid("the token is too long");
  const std::size_t first = token.find('.');
  const std::size_t second = first == std::string_view::npos ? first : token.find('.', first + 1);
  if (second == std::string_view::npos || token.find('.', second + 1) != std::string_view::npos)
    return invalid("a signed token has three parts");
  TRY_ASSIGN(const json::object header, object_of(token.substr(0, first)));
  Parsed parsed;
  parsed.algorithm = claim_of(header, "alg");
  parsed.key_id = claim_of(header, "kid");
  if (!is_known_algorithm(parsed.algorithm)) return invalid("the token is not signed by an algorithm that is allowed");
  // RFC 7515 §4.1.11: what must be understood is not.
  if (header.if_contains("crit") != nullptr) return invalid("the token has headers that are not understood");
  TRY_ASSIGN(parsed.claims, object_of(token.substr(first + 1, second - first - 1)));
  TRY_ASSIGN(parsed.signature, decode_base64url(token.substr(second + 1)));
  parsed.issuer = claim_of(parsed.claims, "iss");
  parsed.signed_text = token.substr(0, second);
  return parsed;
}

Result<Verified> verify(const Parsed& token, const KeySet& keys, const Expected& expected) {
  const auto& allowed = expected.algorithms;
  if (!is_known_algorithm(token.algorithm) ||
      std::find(allowed.begin(), allowed.end(), token.algorithm) == allowed.end())
    return not_believed("its algorithm is not one of this issuer's");
  TRY(Verifier::verify(token, keys));
  TRY(check_claims(token, expected));
  return Verified{claim_of(token.claims, "sub"), *time_of(token.claims, "exp")};
}

}  // namespace nuraghe::jwt
