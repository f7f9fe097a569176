// Membership: what makes a vhcd, or the program of a service, a member of a site: its key, its certificate, whom it
// trusts (docs/tls.md).
//
//   STATE/pki/own.pem        0600  certificate (with the root that signed it) and key
//   STATE/pki/trusted.pem    0644  the site's roots
//   STATE/pki/token-digest   0600  of the join token that it used: another one lets it join anew
//   STATE/segment-key        0600  what the secrets of clusters' networks are made of; a vhcd's alone
//
// A join token is NAME.SECRET.ROOT: whom it lets in, the proof, and the digest by which the site is known at the first
// contact, before anything secret is said. Threading: every function is thread safe but tick(), which one thread calls.
#pragma once

#include <functional>
#include <memory>
#include <mutex>
#include <string>

#include "api/tokens.hpp"
#include "net/http_client.hpp"
#include "pki/authority_folder.hpp"

namespace nuraghe::controller {

// Who joins a site.
struct Member {
  pki::Kind kind = pki::Kind::kHost;
  std::string name;
  std::string program;  // "vhcd"
};

class Membership {
 public:
  // Of one that joined before. kNotFound when it did not.
  static Result<std::unique_ptr<Membership>> open(const std::string& state, const Member& member,
                                                  const std::string& nuraghed);
  // Makes a key, asks for a certificate with the token, stores both; then as open(). Done again after a failure it asks
  // with the same key. kDenied: the token is no good, or another site answers; kUnavailable: nobody answers.
  static Result<std::unique_ptr<Membership>> join(const std::string& state, const Member& member,
                                                  const std::string& nuraghed, const std::string& token);
  static bool exists(const std::string& state);
  // Whether it joined with this token: to join is done once, though the token stays where it is.
  static bool has_used(const std::string& state, const std::string& token);

  std::shared_ptr<const net::TlsCredentials> credentials() const;
  // As open() or, with a token that was not used yet, as join(); null when it did not join and has no token.
  static Result<std::unique_ptr<Membership>> open_or_join(const std::string& state, const Member& member,
                                                          const std::string& nuraghed, const std::string& token);

  // How nuraghed is met.
  net::TlsPeer nuraghed_peer() const;
  void on_change(std::function<void()> callback) { on_change_ = std::move(callback); }
  // Once a second: asks for another certificate when it is time, or when the site signs with another root; looks from
  // time to time whom the site trusts; reads the files again when they have changed, or with `reread`. Blocks for at
  // most some seconds.
  void tick(net::HttpClient& http, bool reread);

 private:
  Membership(std::string state, Member member, std::string nuraghed)
      : state_(std::move(state)), member_(std::move(member)), nuraghed_(std::move(nuraghed)) {}
  Status read();
  Status renew(net::HttpClient& http);
  // The root that signs now, after the site's list of roots was stored.
  Result<std::string> follow_roots(net::HttpClient& http);

  const std::string state_;
  const Member member_;
  const std::string nuraghed_;  // base
  std::function<void()> on_change_;
  std::string stamp_;
  TimePoint next_look_;
  TimePoint next_try_;
  mutable std::mutex mutex_;  // guards the next ones
  std::shared_ptr<const net::TlsCredentials> credentials_;
  pki::CertificateFacts own_;
  std::string issuer_;  // digest of the root that signed it
};

// Whose a certificate is at a member's door: nobody's but nuraghed's, which may do everything. kDenied for any other.
Result<std::shared_ptr<const api::Identity>> nuraghed_of(const net::PeerCertificate& certificate);

// The join token of an option --join: that in a file (mode 0600), "-": in standard input; empty: $NURAGHE_JOIN_TOKEN,
// which is taken out of the environment. Empty: there is none. Before threads.
Result<std::string> read_join_token(const std::string& option);

}  // namespace nuraghe::controller
