// The site's token as both sides use it: nuraghed and the controllers outside of it read the same file (docs/vhcd.md).
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
  // The secret of a segment's switches, made of the key that names it. The same on every machine of the site; a key
  // travels in messages, a secret does not.
  std::string segment_secret(const std::string& key) const;
};

// Makes the file when it is missing. Errors as api::read_token_file.
Result<Site> open_site(const std::string& token_file);

}  // namespace nuraghe::controller
