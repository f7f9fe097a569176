// The folder of a site's certificate authority, beside nuraghed's state:
//
//   authority.pem   0600  certificate and key of the root that signs
//   next.pem        0600  those of the root that will sign, while the site changes from one to the other
//   trusted.pem     0644  the roots that the site trusts; what people give to their clients
//   control.pem     0600  certificate and key of nuraghed itself
//
// Every file is replaced as a whole, so whoever reads while another writes sees the old or the new. To change the root:
// prepare() makes the next one trusted, change_over() signs with it, finish() drops the one of before; in between every
// member of the site gets to know what is trusted.
#pragma once

#include <optional>
#include <string>

#include "pki/pki.hpp"

namespace nuraghe::pki {

class AuthorityFolder {
 public:
  explicit AuthorityFolder(std::string path) : path_(std::move(path)) {}
  bool exists() const;
  // kConflict when there is an authority already.
  Status init(const std::string& site, TimePoint now, Duration lifetime) const;
  // kNotFound with what to do when there is none; kDenied when others than its owner may read it.
  Result<Authority> signer() const;
  Result<std::string> trusted() const;
  Result<std::optional<Authority>> next() const;

  Status prepare(const std::string& site, TimePoint now, Duration lifetime) const;
  Status change_over() const;
  Status finish() const;

  std::string control_file() const { return path_ + "/control.pem"; }
  std::string trusted_file() const { return path_ + "/trusted.pem"; }
  const std::string& path() const { return path_; }

 private:
  std::string path_;
};

// A certificate (or several) and a key in one text, and back.
std::string joined(const std::string& certificates, const std::string& key);
Result<Authority> parted(const std::string& pem);
// Reads a file that must be its owner's alone: kDenied otherwise.
Result<std::string> read_secret_file(const std::string& path);

}  // namespace nuraghe::pki
