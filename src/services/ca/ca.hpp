// The registry of the site's certificate authority: which join tokens are open, which certificates its members
// (physical hosts, programs of services) have. It signs nothing and sees no secret: whoever owns the keys
// (apps/nuraghed) asks here, within a turn, whether it may.
//
// A certificate counts only while its row stands here and is not revoked. A token lets one key in: the same request
// again (its answer was lost) is answered again, another key is refused.
//
// Tables: ca_token DIGEST-OF-SECRET → TokenRow; ca_certificate NAME '/' SERIAL → api::Certificate, those of services
// under "service:NAME".
// Threading: as exchange::Actor.
#pragma once

#include <functional>
#include <optional>
#include <string>
#include <vector>

#include "contracts/ca.hpp"
#include "services/rows.hpp"

namespace nuraghe::services::ca {

namespace api = contracts::ca;

struct TokenRow {
  api::JoinToken token;
  std::string key;  // digest of the public key that used it
  template <class V>
  void fields(V& v) {
    v(1, token), v(2, key);
  }
};

struct RegistryOptions {
  // The roots that the site trusts now; thread safe, does not block. The one that signs has `signs`.
  std::function<std::vector<api::Root>()> roots;
  // Told of every certificate that counts (when the registry starts, and of new ones), and of each that does not count
  // any more. Within the turn: a certificate whose turn is undone was given to nobody. Must not block.
  std::function<void(const api::Certificate& certificate, bool counts)> on_certificate;
  std::function<void()> on_started;  // all that count were told
};

class Registry final : public api::Skeleton {
 public:
  static constexpr Duration kLongestToken = std::chrono::hours(24 * 30);
  static constexpr std::size_t kMostTokens = 1000;
  static constexpr std::size_t kMostCertificates = 16;  // that one host has at a time

  explicit Registry(RegistryOptions options) : Skeleton("ca"), options_(std::move(options)) {}
  std::string_view name() const override { return "ca"; }
  Status open(store::Store& store) override;
  Status on_start(exchange::Turn& turn) override;
  Status on_timer(exchange::Turn& turn, std::string_view key) override;

  // Uses the token behind the digest for the certificate (its key, issuer, serial and time are given) and records it.
  // Answers it with the token's name and kind. kDenied: no such token, expired, or used by another key.
  Result<api::Certificate> redeem(exchange::Turn& turn, const std::string& secret_digest, api::Certificate certificate);
  // Records another certificate of the member that `serial` is of. kDenied when that one does not count.
  Status renew(exchange::Turn& turn, const std::string& serial, const api::Certificate& certificate);

 protected:
  Status create_join_token(exchange::Turn& turn, const exchange::Message& request,
                           const api::CreateJoinTokenRequest& input) override;
  Status list_join_tokens(exchange::Turn& turn, const exchange::Message& request,
                          const api::ListJoinTokensRequest& input) override;
  Status list_certificates(exchange::Turn& turn, const exchange::Message& request,
                           const api::ListCertificatesRequest& input) override;
  Status list_roots(exchange::Turn& turn, const exchange::Message& request,
                    const api::ListRootsRequest& input) override;
  Status revoke_host(exchange::Turn& turn, const exchange::Message& request,
                     const api::RevokeHostRequest& input) override;

 private:
  Status record(exchange::Turn& turn, const api::Certificate& certificate);
  Status sweep(exchange::Turn& turn);

  RegistryOptions options_;
  RowTable<TokenRow> tokens_;
  RowTable<api::Certificate> certificates_;
};

}  // namespace nuraghe::services::ca
