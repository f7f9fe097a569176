// SiteAuthority: nuraghed's side of the site's certificates (docs/tls.md): its own, which it makes and renews itself,
// and the doors at which machines get theirs.
//
//   GET  /ca.pem   the trusted roots (PEM), for everybody; header Nuraghe-Signer: the digest of the one that signs
//   POST /join     {"secret","request"} → {"certificate","trusted","segment_key"}: a join token's secret, a PKCS #10
//                  request; the programs of services get no segment key
//   POST /renew    {"request"} → {"certificate","trusted"}: for who shows a certificate of the site
//
// The folder of the authority (pki/authority_folder.hpp) is read again when its files change or the process is told to.
// Threading: every function is thread safe but tick(), which one thread calls.
#pragma once

#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <optional>
#include <shared_mutex>
#include <string>
#include <vector>

#include "api/gateway.hpp"
#include "pki/authority_folder.hpp"
#include "services/ca/ca.hpp"

namespace nuraghe::daemon {

struct SiteAuthorityOptions {
  std::string folder;              // of the authority
  std::vector<std::string> names;  // DNS names and addresses of nuraghed, besides those of every machine
  std::string segment_key;         // given to machines that join
  Duration lifetime = std::chrono::hours(24 * 90);  // of certificates
};

class SiteAuthority final : public api::SiteDoors {
 public:
  // Reads the folder; a certificate of nuraghed's own is made when there is none, or none that fits. Errors as
  // pki::AuthorityFolder::signer; kNotFound: there is no authority.
  static Result<std::unique_ptr<SiteAuthority>> open(SiteAuthorityOptions options);

  // ---- what the process shows of itself ----
  std::shared_ptr<const net::TlsCredentials> credentials() const;
  // Called when the credentials have changed, on the thread of tick().
  void on_change(std::function<void()> callback) { on_change_ = std::move(callback); }
  // Before the first request: told of every machine that was not let in.
  void on_stranger(std::function<void(api::Stranger)> callback) { on_stranger_ = std::move(callback); }
  // Once a second: renews what is to be renewed, reads what has changed; at once with `reread`.
  void tick(bool reread);

  // ---- who enters ----
  // As api::GatewayOptions::certificate.
  Result<std::shared_ptr<const api::Identity>> identity_of(const net::PeerCertificate& certificate) const;
  // As services::ca::RegistryOptions.
  void set_certificate(const contracts::ca::Certificate& certificate, bool counts);
  void set_started();  // until then nobody is known: identity_of answers kUnavailable
  std::vector<contracts::ca::Root> roots() const;
  // Whether the host or service has a certificate that counts.
  bool is_member(pki::Kind kind, const std::string& name) const;

  // ---- its doors ----
  // Before the first request: where the registry's turns run. Both outlive this.
  void use(exchange::Exchange& exchange, services::ca::Registry& registry);
  bool has(std::string_view path) const override;
  void serve(net::HttpRequest request, const net::HttpResponder& responder) override;

 private:
  explicit SiteAuthority(SiteAuthorityOptions options) : options_(std::move(options)), folder_(options_.folder) {}
  Status read(TimePoint now);
  Result<std::string> own_certificate(const pki::Authority& signer, TimePoint now) const;
  bool is_fit(const pki::CertificateFacts& facts, const std::string& certificate, const pki::Authority& signer,
              TimePoint now) const;
  void serve_roots(const net::HttpResponder& responder) const;
  void serve_join(const net::HttpRequest& request, const net::HttpResponder& responder);
  void serve_renewal(const net::HttpRequest& request, const net::HttpResponder& responder);
  struct Prepared;
  Result<Prepared> prepare(const std::string& request) const;
  net::HttpResponse handed_out(const Prepared& prepared, bool is_new) const;
  std::optional<contracts::ca::Certificate> member_of(const net::PeerCertificate& certificate) const;

  const SiteAuthorityOptions options_;
  const pki::AuthorityFolder folder_;
  std::function<void()> on_change_;
  std::function<void(api::Stranger)> on_stranger_;
  std::string stamp_;  // of the files when they were read
  exchange::Exchange* exchange_ = nullptr;
  services::ca::Registry* registry_ = nullptr;
  mutable std::mutex mutex_;  // guards the next ones
  std::shared_ptr<const net::TlsCredentials> credentials_;
  pki::Authority signer_;
  std::string signer_digest_;
  pki::CertificateFacts own_;
  std::vector<contracts::ca::Root> roots_;
  mutable std::shared_mutex members_mutex_;  // guards the next ones
  bool is_started_ = false;
  std::map<std::string, contracts::ca::Certificate> members_;  // by serial
};

}  // namespace nuraghe::daemon
