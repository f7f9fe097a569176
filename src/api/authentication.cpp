#include "api/authentication.hpp"

#include <fmt/format.h>

#include <boost/json/object.hpp>

#include "jwt/jwt.hpp"
#include "xml/xml.hpp"

namespace nuraghe::api {

using services::tenant::Account;

Role role_of(contracts::tenant::Role role) {
  switch (role) {
    case contracts::tenant::Role::kViewer:
      return Role::kViewer;
    case contracts::tenant::Role::kOperator:
      return Role::kOperator;
    case contracts::tenant::Role::kOwner:
      return Role::kOwner;
    case contracts::tenant::Role::kAdministrator:
      return Role::kAdministrator;
  }
  return Role::kViewer;
}

namespace {

Error nobody() { return denied("a bearer token is needed (Authorization: Bearer TOKEN)"); }

}  // namespace

Authenticator::Authenticator(const std::vector<TokenEntry>& tokens, const services::tenant::AccountBoard* accounts,
                             const OidcVerifier* oidc, const env::Clock& clock, std::string default_vo)
    : tokens_(tokens), accounts_(accounts), oidc_(oidc), clock_(clock), default_vo_(std::move(default_vo)) {}

Result<std::shared_ptr<const Identity>> Authenticator::authenticate(std::string_view authorization) const {
  if (auto identity = tokens_.authenticate(authorization)) return identity;
  const auto token = bearer_token(authorization);
  if (!token || accounts_ == nullptr) return nobody();
  const auto accounts = accounts_->now();
  if (token->starts_with(services::tenant::kTokenPrefix)) {
    const auto found = accounts->by_digest.find(services::tenant::digest_of_token(*token));
    if (found == accounts->by_digest.end() || found->second->expires <= clock_.now()) return nobody();
    return identity_of_account(*found->second, default_vo_);
  }
  if (oidc_ == nullptr || !jwt::looks_like_token(*token)) return nobody();
  const auto account = oidc_->account_of(*token, *accounts);
  if (!account && account.error().is_transient()) return account.error();
  if (!account) return nobody();
  return identity_of_account(**account, default_vo_);
}

std::string Authenticator::claim(std::string_view authorization) const {
  constexpr std::size_t kLongest = 100;
  const auto token = bearer_token(authorization);
  if (!token) return authorization.empty() ? "no token" : "no bearer token";
  if (token->starts_with(services::tenant::kTokenPrefix)) {
    const auto accounts = accounts_ == nullptr ? nullptr : accounts_->now();
    if (accounts == nullptr) return "a personal token";
    const auto found = accounts->by_digest.find(services::tenant::digest_of_token(*token));
    if (found == accounts->by_digest.end()) return "a personal token that is unknown, or was revoked";
    return "a personal token of " + found->second->roles.front().name + " that has expired";
  }
  if (!jwt::looks_like_token(*token)) return "an unknown token";
  const auto parsed = jwt::parse(*token);
  if (!parsed) return "a token that cannot be read";
  const auto* subject = parsed->claims.if_contains("sub");
  const std::string name = subject != nullptr && subject->is_string() ? std::string(subject->get_string()) : "nobody";
  return fmt::format("a token that says to be of {} at {}", xml::printable(name.substr(0, kLongest)),
                     xml::printable(parsed->issuer.substr(0, kLongest)));
}

std::shared_ptr<const Identity> identity_of_account(const Account& account, const std::string& default_vo) {
  auto identity = std::make_shared<Identity>();
  const services::tenant::AccountRole* administrator = nullptr;
  for (const auto& role : account.roles) {
    identity->memberships.push_back({role.vo, role.name, role_of(role.role)});
    if (identity->memberships.back().role == Role::kAdministrator) administrator = &role;
  }
  const auto& first = administrator != nullptr ? *administrator : account.roles.front();
  identity->name = first.name;
  identity->expires = account.expires;
  identity->valid = account.valid;
  if (administrator != nullptr) {
    identity->role = Role::kAdministrator;
    identity->vo = default_vo;
  } else if (account.roles.size() == 1) {
    identity->role = identity->memberships.front().role;
    identity->vo = first.vo;
  }
  return identity;
}

int unauthenticated_status(const Error& error) { return error.is_transient() ? 503 : 401; }

net::HttpHeader unauthenticated_header(const Error& error, std::string_view authorization) {
  if (error.is_transient()) return {"Retry-After", "1"};
  const bool is_nobody = authorization.empty();
  return {"WWW-Authenticate",
          is_nobody ? "Bearer realm=\"nuraghe\"" : "Bearer realm=\"nuraghe\", error=\"invalid_token\""};
}

}  // namespace nuraghe::api
