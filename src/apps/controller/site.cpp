#include "apps/controller/site.hpp"

#include "env/posix.hpp"
#include "images/digest.hpp"
#include "pki/authority_folder.hpp"

namespace nuraghe::controller {

std::vector<api::TokenEntry> Site::as(api::Role role, const std::string& vo) const {
  auto result = entries;
  for (auto& entry : result) {
    entry.identity.role = role;
    entry.identity.vo = vo;
  }
  return result;
}

std::string Site::segment_secret(const std::string& key) const { return controller::segment_secret(segment_key, key); }

std::string segment_secret(const std::string& segment_key, const std::string& key) {
  // Hashed twice, as HMAC does: who knows one secret cannot make another one of it.
  return images::digest_of(segment_key + "\n" + images::digest_of("segment\n" + segment_key + "\n" + key));
}

Result<Site> open_site(const std::string& token_file, const std::string& key_file) {
  Site site;
  TRY_ASSIGN(site.entries, api::ensure_site_token_file(token_file, env::system_random()));
  if (!env::path_exists(key_file))
    TRY(env::write_file_durably(key_file, images::digest_of("segment key\n" + site.token()) + "\n", 0600));
  TRY_ASSIGN(site.segment_key, read_segment_key(key_file));
  return site;
}

Result<std::string> read_segment_key(const std::string& file) {
  TRY_ASSIGN(std::string key, pki::read_secret_file(file));
  while (!key.empty() && key.back() == '\n') key.pop_back();
  if (key.empty()) return invalid(file + " holds no key");
  return key;
}

}  // namespace nuraghe::controller
