// Certificates of a site: keys (EC P-256), requests (PKCS #10), a small certificate authority (X.509, RFC 5280).
//
// A site has two kinds of members: the control plane (nuraghed) and physical hosts (vhcd). A certificate names its
// member twice: as DNS name below nuraghe.internal, which TLS clients compare, and as URI, which servers read. What a
// request asks for besides its key is not looked at: the authority alone says what stands in a certificate.
//
// Threading: functions of values; no clock: whoever calls says what time it is. Keys are PEM texts (PKCS #8): never
// logged, only ever written with mode 0600.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "base/result.hpp"
#include "base/units.hpp"

namespace nuraghe::pki {

// ---- who a certificate is of ----
enum class Kind { kControl, kHost, kService };

struct Subject {
  Kind kind = Kind::kHost;
  std::string name;                     // of a host or service; "control" otherwise
  std::vector<std::string> more_names;  // DNS names and addresses by which people reach it; of the control plane alone
};
// "control.nuraghe.internal", "host-2.host.nuraghe.internal", "greeting.service.nuraghe.internal"
std::string dns_name(Kind kind, std::string_view name);
// "urn:nuraghe:control", "urn:nuraghe:host:host-2", "urn:nuraghe:service:greeting"
std::string uri(Kind kind, std::string_view name);
// "host-2" of "urn:nuraghe:host:host-2"; empty for any other text.
std::string host_of_uri(std::string_view uri);

// ---- keys and requests ----
Result<std::string> make_key();                            // PEM
Result<std::string> make_request(const std::string& key);  // a PKCS #10 request that proves that one has it
// The digest ("sha256:HEX") of the public key of a request whose signature is right; kInvalid otherwise, and when the
// key is none that the site uses.
Result<std::string> key_of_request(const std::string& request);

// ---- certificates ----
struct Authority {
  std::string certificate;  // PEM
  std::string key;          // PEM
};
// A root of its own, named after the site.
Result<Authority> make_authority(const std::string& site, TimePoint now, Duration lifetime);

struct Validity {
  TimePoint from;
  TimePoint until;
};
// A certificate's time begins this much before it is made: clocks of two machines differ.
constexpr Duration kClockSlack = std::chrono::minutes(5);
// When two thirds of its time are over: then it is replaced, while it still counts for who learns of it late.
TimePoint renewal_due(Validity validity);
// Random: 128 bits as hex digits (RFC 5280 §4.1.2.2).
Result<std::string> make_serial();
// A certificate for the key of the request. Its end is not after the authority's own.
Result<std::string> issue(const Authority& authority, const std::string& request, const Subject& subject,
                          const std::string& serial, Validity validity);

struct CertificateFacts {
  std::string serial;       // hex digits, lower case
  std::string fingerprint;  // "sha256:HEX" of the whole certificate
  std::string subject;      // common name
  Validity validity;
  std::vector<std::string> uris;
  std::string key;  // digest of the public key
};
// Of the first certificate of a PEM text.
Result<CertificateFacts> facts_of(const std::string& certificate);
// The certificates of a PEM text, one text each.
Result<std::vector<std::string>> split(const std::string& pem);
// kDenied unless the certificate was signed by one of the roots.
Status check_signed_by(const std::string& certificate, const std::string& roots);

}  // namespace nuraghe::pki
