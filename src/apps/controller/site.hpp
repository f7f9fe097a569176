// The site's token, which nuraghed and the controllers beside it on the same machine read (docs/vhcd.md), and the key
// that all machines of a site share.
#pragma once

#include <string>
#include <vector>

#include "api/tokens.hpp"

namespace nuraghe::controller {

struct Site {
  // Every line of the file lets in, so that a token can be changed one machine after the other.
  std::vector<api::TokenEntry> entries;
  const std::string& token() const { return entries.front().token; }  // the one that is sent
  // The entries with the role that their bearer has at this door.
  std::vector<api::TokenEntry> as(api::Role role, const std::string& vo) const;
  // What segments' secrets are made of: kept when the token changes.
  std::string segment_key;
  // As below, of this site.
  std::string segment_secret(const std::string& key) const;
};

// Makes the token's file when it is missing. The segment key is that of `key_file` (mode 0600), which is made of the
// first token when it is missing: all that start with one token have one key. Errors as api::read_token_file.
Result<Site> open_site(const std::string& token_file, const std::string& key_file);

// The key in a file of mode 0600.
Result<std::string> read_segment_key(const std::string& file);

// The secret of the segment that `key` names; a key travels in messages, a secret does not.
std::string segment_secret(const std::string& segment_key, const std::string& key);

}  // namespace nuraghe::controller
