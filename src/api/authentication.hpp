// Who enters: the tokens of the token file, and the members' accounts (services/tenant/accounts.hpp): personal tokens,
// and persons that an OIDC provider vouches for.
//
// Thread safe; never blocks: it is asked by the server's head hook for every request.
#pragma once

#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "api/oidc.hpp"
#include "api/tokens.hpp"
#include "base/result.hpp"
#include "env/env.hpp"
#include "net/http.hpp"
#include "services/tenant/accounts.hpp"

namespace nuraghe::api {

class Authenticator {
 public:
  // `accounts` (no members) and `oidc` (no providers) may be null; none is owned, nor is the clock. `default_vo`: that
  // a site's administrator acts for who names none.
  Authenticator(const std::vector<TokenEntry>& tokens, const services::tenant::AccountBoard* accounts,
                const OidcVerifier* oidc, const env::Clock& clock, std::string default_vo);
  // Of an Authorization header. kDenied when nobody is known by it, with no word about why; kUnavailable when that
  // cannot be said now.
  Result<std::shared_ptr<const Identity>> authenticate(std::string_view authorization) const;

  // What an Authorization header that let nobody in says of who sent it, for the audit log: claims, nothing of which is
  // believed, and never a token or a part of one.
  std::string claim(std::string_view authorization) const;

 private:
  const TokenTable tokens_;
  const services::tenant::AccountBoard* const accounts_;
  const OidcVerifier* const oidc_;
  const env::Clock& clock_;
  const std::string default_vo_;
};

Role role_of(contracts::tenant::Role role);
// The identity of a person with these roles (at least one).
std::shared_ptr<const Identity> identity_of_account(const services::tenant::Account& account,
                                                    const std::string& default_vo);
// Of the answer to a request whose sender is not known: 401, or 503 when that cannot be said now, and the header that
// belongs to it.
int unauthenticated_status(const Error& error);
net::HttpHeader unauthenticated_header(const Error& error, std::string_view authorization);

}  // namespace nuraghe::api
