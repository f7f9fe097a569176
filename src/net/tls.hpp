// TLS 1.3 and 1.2 of this room's server and client (RFC 8446, RFC 5246): what a process shows of itself, whom it
// trusts.
//
// Protocol and ciphers are fixed: no older version, AEAD with ephemeral keys only, no renegotiation, no compression, no
// resumption (a certificate that was withdrawn would live on in a ticket), ALPN "http/1.1" (RFC 7301).
// Threading: values; a context is immutable and may be shared by any number of connections.
#pragma once

#include <memory>
#include <string>

#include "base/result.hpp"

namespace nuraghe::net {

// PEM texts. Whoever holds one of these holds the private key: it is never logged.
struct TlsCredentials {
  std::string certificates;  // one's own first, then those that lead to a root; empty: shows none
  std::string key;           // of the first certificate
  std::string trusted;       // roots of the other side; empty: those of the operating system for a client, none for a
                             // server, which then asks nobody for a certificate
  friend bool operator==(const TlsCredentials&, const TlsCredentials&) = default;
};

class TlsServerContext {
 public:
  struct State;
  explicit TlsServerContext(std::unique_ptr<State> state);
  ~TlsServerContext();
  TlsServerContext(const TlsServerContext&) = delete;
  TlsServerContext& operator=(const TlsServerContext&) = delete;
  // kInvalid when a text is no PEM, holds nothing, or key and certificate do not belong together. With `trusted`
  // clients may show a certificate; one that does not lead to those roots, or is out of date, ends the handshake. Who
  // shows none gets in without one: what it may do is the handler's decision (HttpRequest::certificate).
  static Result<std::shared_ptr<const TlsServerContext>> make(const TlsCredentials& credentials);
  // As above, with a second identity, `others` (its `trusted` is not used): that is shown to everybody but those who
  // say in their first message that they trust the issuer of `credentials` (the extension certificate_authorities of
  // TLS 1.3, RFC 8446 §4.2.4), as HttpClient does with TlsPeer::credentials. kInvalid as above.
  static Result<std::shared_ptr<const TlsServerContext>> make(const TlsCredentials& credentials,
                                                              const TlsCredentials& others);
  State& state() const { return *state_; }

 private:
  std::unique_ptr<State> state_;
};

// How a request to an https address is made.
struct TlsPeer {
  std::shared_ptr<const TlsCredentials> credentials;  // null: no certificate of one's own, the system's roots
  // The DNS name that the other side's certificate must have (RFC 6125), whatever the address says; empty: that of the
  // address.
  std::string expected_name;
  // Nothing is checked: to fetch what is compared with a known digest, and for nothing else.
  bool is_unchecked = false;
  // What to do when the other side's CA is not trusted, for the error; empty: what is right for servers of a site.
  std::string remedy{};
  // Not empty: why nothing may be sent there. No connection is made, none is used again; the request is kDenied.
  std::string refusal{};
};

}  // namespace nuraghe::net
