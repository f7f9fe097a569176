// Numbers and strings as SSH writes them (RFC 4251 §5), and OpenSSL keys, owned.
#pragma once

#include <openssl/evp.h>

#include <cstdint>
#include <memory>
#include <string>
#include <string_view>

namespace nuraghe::services::vcf {

struct KeyCloser {
  void operator()(EVP_PKEY* key) const { EVP_PKEY_free(key); }
};
using Key = std::unique_ptr<EVP_PKEY, KeyCloser>;

// The last `bytes` bytes of `value`, the highest first.
inline void put_number(std::string& out, std::uint64_t value, int bytes) {
  for (int shift = 8 * (bytes - 1); shift >= 0; shift -= 8) out += static_cast<char>(value >> shift & 0xffU);
}
inline void put_string(std::string& out, std::string_view text) {
  put_number(out, text.size(), 4);
  out += text;
}

}  // namespace nuraghe::services::vcf
