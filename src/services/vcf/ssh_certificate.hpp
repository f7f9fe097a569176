// User certificates of OpenSSH (PROTOCOL.certkeys), signed by an ed25519 key of our own. Pure.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.hpp"
#include "base/units.hpp"
#include "env/env.hpp"

namespace nuraghe::services::vcf {

// A public key as it stands in an OpenSSH file: "TYPE BASE64 COMMENT".
struct SshPublicKey {
  std::string type;  // "ssh-ed25519"
  std::string blob;  // RFC 4253 §6.6, binary: begins with the type
  // TYPE BASE64, without a comment: what tells one key from another.
  std::string line() const;
  // "SHA256:…", as ssh-keygen -l shows it.
  std::string fingerprint() const;
};
// Ed25519, ECDSA over the NIST curves, RSA of at least 2048 bits, and both kinds of security keys (sk-…). kInvalid says
// what is wrong: options before it, a certificate, a private key, a type that is not taken, bytes that are no such key.
Result<SshPublicKey> parse_ssh_public_key(std::string_view text);

struct UserCertificate {
  SshPublicKey subject;
  std::uint64_t serial = 0;
  std::string key_id;                   // for the host's log
  std::vector<std::string> principals;  // accounts; never empty: none would mean any
  TimePoint valid_after, valid_before;  // whole seconds count, both within the years 1970 to 2500
};
// One line for a file that ssh reads beside the private key: "TYPE-cert-v01@openssh.com BASE64 KEY-ID". `seed`: the 32
// bytes of the signing key. It permits a terminal and forwarding, as without a certificate.
Result<std::string> sign_certificate(const UserCertificate& certificate, std::string_view seed, env::Random& random);

// A new signing key: its 32 bytes.
std::string make_signing_seed(env::Random& random);
// Its public half as one line without a comment.
Result<std::string> signing_public_key(std::string_view seed);

}  // namespace nuraghe::services::vcf
