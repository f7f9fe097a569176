#include "apps/controller/site.hpp"

#include "env/posix.hpp"
#include "images/digest.hpp"

namespace nuraghe::controller {

std::vector<api::TokenEntry> Site::as(api::Role role, const std::string& vo) const {
  auto result = entries;
  for (auto& entry : result) {
    entry.identity.role = role;
    entry.identity.vo = vo;
  }
  return result;
}

std::string Site::segment_secret(const std::string& key) const {
  // Hashed twice, as HMAC does: who knows one secret cannot make another one of it.
  return images::digest_of(token() + "\n" + images::digest_of("segment\n" + token() + "\n" + key));
}

Result<Site> open_site(const std::string& token_file) {
  Site site;
  TRY_ASSIGN(site.entries, api::ensure_site_token_file(token_file, env::system_random()));
  return site;
}

}  // namespace nuraghe::controller
