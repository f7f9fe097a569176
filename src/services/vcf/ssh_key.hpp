// An ed25519 key pair in the forms that OpenSSH reads (PROTOCOL.key, RFC 8709).
#pragma once

#include <string>
#include <string_view>

#include "base/result.hpp"
#include "env/env.hpp"

namespace nuraghe::services::vcf {

struct SshKey {
  std::string private_key;  // "-----BEGIN OPENSSH PRIVATE KEY-----…", ends with a newline
  std::string public_key;   // "ssh-ed25519 AAAA… comment", no newline
};

std::string base64(std::string_view bytes);

// The key is made of 32 bytes of `random`: the same bytes give the same key.
Result<SshKey> make_ssh_key(env::Random& random, const std::string& comment);

}  // namespace nuraghe::services::vcf
