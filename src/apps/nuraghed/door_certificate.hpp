// The certificate that an operator has for the name of this machine, such as one of a CA that everybody's programs
// know: shown at the doors with TLS to people, beside that of the site's own CA, by which the site's machines know
// nuraghed.
//
// Threading: one thread at a time.
#pragma once

#include <memory>
#include <string>

#include "base/result.hpp"
#include "net/tls.hpp"

namespace nuraghe::daemon {

class DoorCertificate {
 public:
  // Files (PEM): the certificate with those that lead to a root after it, and its key. Reads them; errors name the
  // file: kInvalid when one holds no such thing, or they do not belong together, kDenied when others may read the key.
  static Result<std::unique_ptr<DoorCertificate>> open(std::string certificate_file, std::string key_file);
  // What a server shows; `site`: its own certificate and roots, null without a CA.
  Result<std::shared_ptr<const net::TlsServerContext>> context(const net::TlsCredentials* site) const;
  // Reads the files again when one was replaced, or `reread`. True: what is shown is another now. What cannot be used
  // is logged, and that of before stays.
  bool refresh(bool reread);

 private:
  DoorCertificate(std::string certificate_file, std::string key_file)
      : certificate_file_(std::move(certificate_file)), key_file_(std::move(key_file)) {}
  Result<net::TlsCredentials> read() const;
  std::string stamp() const;

  const std::string certificate_file_, key_file_;
  std::string stamp_;  // of the files when they were read
  net::TlsCredentials credentials_;
};

}  // namespace nuraghe::daemon
