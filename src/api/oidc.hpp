// OIDC providers: access tokens (JWT) of the providers that the site trusts are verified with the keys that these
// publish (OpenID Connect Discovery 1.0: ISSUER/.well-known/openid-configuration, jwks_uri), and become accounts: by
// members that have the issuer and the subject, and by rules over claims.
//
// Keys are fetched in the background and kept: asked again every hour, or when a token names a key that is not known,
// but at most every ten seconds; after a day without an answer they are not believed any more. A token that has to wait
// for keys is refused as kUnavailable: its sender tries again.
//
// Threading: thread safe; account_of never blocks.
#pragma once

#include <functional>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.hpp"
#include "env/env.hpp"
#include "net/http_client.hpp"
#include "services/tenant/accounts.hpp"

namespace nuraghe::api {

struct OidcRule {
  std::string claim;  // whose value, or one of whose values, is `value`
  std::string value;
  std::string vo;
  contracts::tenant::Role role = contracts::tenant::Role::kViewer;
};

struct OidcProvider {
  std::string issuer;    // exactly as the tokens say it
  std::string audience;  // that the tokens are for
  std::vector<std::string> algorithms;
  std::vector<OidcRule> rules;
  // File with the certificates (PEM) of the CA that the provider is known by; empty: those of the operating system.
  std::string ca;
  std::string ca_file{};  // where that is
  std::string trusted{};  // its content
};

// {"providers": [{"issuer": "https://id.example", "audience": "nuraghe", "algorithms": ["RS256"], "rules":
// [{"claim": "groups", "value": "physics", "vo": "physics", "role": "operator"}]}]}. Without algorithms: RS256, ES256,
// EdDSA. "ca": a file name. kInvalid says what is wrong; an issuer has https, but on loopback.
Result<std::vector<OidcProvider>> parse_oidc(std::string_view json);
// As above, of a file, and reads the files that it names, relative to its folder. Errors name the file.
Result<std::vector<OidcProvider>> read_oidc_file(const std::string& path);

class OidcVerifier {
 public:
  // Begins to fetch the keys. Client and clock are not owned and outlive it.
  OidcVerifier(std::vector<OidcProvider> providers, net::HttpClient& http, const env::Clock& clock);
  ~OidcVerifier();
  // Reads the files of the providers' CAs that have changed, all of them with `reread`; of one that cannot be read what
  // was read before stays, and the log says so. One thread calls it.
  void refresh(bool reread);
  // The account behind a token. kDenied when it is not to be believed or stands for nobody here; kUnavailable when that
  // cannot be said now.
  Result<std::shared_ptr<const services::tenant::Account>> account_of(std::string_view token,
                                                                      const services::tenant::Accounts& accounts) const;

 private:
  struct Issuer;
  std::vector<std::shared_ptr<Issuer>> issuers_;
  const env::Clock& clock_;
};

}  // namespace nuraghe::api
