#include "apps/nuraghed/door_certificate.hpp"

#include <fmt/format.h>
#include <sys/stat.h>

#include "base/log.hpp"
#include "env/posix.hpp"
#include "pki/authority_folder.hpp"

namespace nuraghe::daemon {
namespace {

constexpr Bytes kMostOfAFile = mib(1);

}  // namespace

std::string DoorCertificate::stamp() const {
  std::string out;
  for (const auto& path : {certificate_file_, key_file_}) {
    struct stat info {};
    if (::stat(path.c_str(), &info) != 0) continue;
    out += fmt::format("{}:{}.{};", info.st_ino, info.st_mtim.tv_sec, info.st_mtim.tv_nsec);
  }
  return out;
}

Result<net::TlsCredentials> DoorCertificate::read() const {
  net::TlsCredentials out;
  auto certificates = env::read_file(certificate_file_, kMostOfAFile);
  if (!certificates) return std::move(certificates).error().with("--tls-certificate");
  auto key = pki::read_secret_file(key_file_);
  if (!key) return std::move(key).error().with("--tls-key");
  out.certificates = std::move(*certificates);
  out.key = std::move(*key);
  // Whether they can be used at all, before anything of this process begins.
  if (auto usable = net::TlsServerContext::make(out); !usable)
    return std::move(usable).error().with(
        fmt::format("--tls-certificate {} with --tls-key {}", certificate_file_, key_file_));
  return out;
}

Result<std::unique_ptr<DoorCertificate>> DoorCertificate::open(std::string certificate_file, std::string key_file) {
  if (certificate_file.empty() || key_file.empty())
    return invalid("--tls-certificate and --tls-key belong together: give both, or none");
  std::unique_ptr<DoorCertificate> door(new DoorCertificate(std::move(certificate_file), std::move(key_file)));
  door->stamp_ = door->stamp();
  TRY_ASSIGN(door->credentials_, door->read());
  return door;
}

Result<std::shared_ptr<const net::TlsServerContext>> DoorCertificate::context(const net::TlsCredentials* site) const {
  if (site == nullptr) return net::TlsServerContext::make(credentials_);
  return net::TlsServerContext::make(*site, credentials_);
}

bool DoorCertificate::refresh(bool reread) {
  auto now = stamp();
  if (!reread && now == stamp_) return false;
  stamp_ = std::move(now);
  auto credentials = read();
  if (!credentials) {
    log_error("tls", "the certificate of the doors cannot be read; that of before stays",
              {{"error", credentials.error().to_string()}});
    return false;
  }
  if (*credentials == credentials_) return false;
  credentials_ = std::move(*credentials);
  log_info("tls", "the doors show another certificate", {{"file", certificate_file_}});
  return true;
}

}  // namespace nuraghe::daemon
