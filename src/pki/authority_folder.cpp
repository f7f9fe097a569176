#include "pki/authority_folder.hpp"

#include <fmt/format.h>
#include <sys/stat.h>

#include <cerrno>

#include "env/posix.hpp"

namespace nuraghe::pki {

namespace {

constexpr std::string_view kKeyBegin = "-----BEGIN PRIVATE KEY-----";
constexpr Bytes kLimit = kib(256);
constexpr mode_t kSecret = 0600;
constexpr mode_t kPublic = 0644;

std::string signer_file(const std::string& path) { return path + "/authority.pem"; }
std::string next_file(const std::string& path) { return path + "/next.pem"; }

}  // namespace

std::string joined(const std::string& certificates, const std::string& key) { return certificates + key; }

Result<Authority> parted(const std::string& pem) {
  const auto at = pem.find(kKeyBegin);
  if (at == std::string::npos) return invalid("it holds no private key");
  Authority out{pem.substr(0, at), pem.substr(at)};
  TRY(facts_of(out.certificate));
  return out;
}

Result<std::string> read_secret_file(const std::string& path) {
  struct stat info {};
  if (::stat(path.c_str(), &info) != 0) return system_error("open " + path, errno);
  if ((info.st_mode & 077) != 0)
    return denied(fmt::format("{} may be read by others (mode {:04o}): chmod 600 it, and replace what it holds", path,
                              info.st_mode & 07777));
  return env::read_file(path, kLimit);
}

bool AuthorityFolder::exists() const { return env::path_exists(signer_file(path_)); }

Status AuthorityFolder::init(const std::string& site, TimePoint now, Duration lifetime) const {
  if (exists())
    return conflict(fmt::format("there is a CA in {} already; 'nuraghe ca rotate' changes it to another", path_));
  TRY(env::make_directories(path_, 0700));
  TRY_ASSIGN(const Authority made, make_authority(site, now, lifetime));
  // The root that signs comes last: without it there is no authority.
  TRY(env::write_file_durably(trusted_file(), made.certificate, kPublic));
  return env::write_file_durably(signer_file(path_), joined(made.certificate, made.key), kSecret);
}

Result<Authority> AuthorityFolder::signer() const {
  if (!exists())
    return not_found(fmt::format("there is no CA in {}: make one with 'nuraghe ca init' on this machine", path_));
  TRY_ASSIGN(const std::string text, read_secret_file(signer_file(path_)));
  auto out = parted(text);
  if (!out) return std::move(out).error().with(signer_file(path_));
  return out;
}

Result<std::string> AuthorityFolder::trusted() const { return env::read_file(trusted_file(), kLimit); }

Result<std::optional<Authority>> AuthorityFolder::next() const {
  if (!env::path_exists(next_file(path_))) return std::optional<Authority>();
  TRY_ASSIGN(const std::string text, read_secret_file(next_file(path_)));
  auto out = parted(text);
  if (!out) return std::move(out).error().with(next_file(path_));
  return std::optional<Authority>(std::move(*out));
}

Status AuthorityFolder::prepare(const std::string& site, TimePoint now, Duration lifetime) const {
  TRY_ASSIGN(const auto current, signer());
  TRY_ASSIGN(const std::string roots, trusted());
  TRY_ASSIGN(const auto all, split(roots));
  if (env::path_exists(next_file(path_)))
    return conflict("the next root is made already; go on with 'nuraghe ca rotate --change-over'");
  if (all.size() > 1)
    return conflict("the root of before is still trusted; end that with 'nuraghe ca rotate --finish'");
  TRY_ASSIGN(const Authority made, make_authority(site, now, lifetime));
  TRY(env::write_file_durably(next_file(path_), joined(made.certificate, made.key), kSecret));
  return env::write_file_durably(trusted_file(), roots + made.certificate, kPublic);
}

Status AuthorityFolder::change_over() const {
  TRY_ASSIGN(const auto made, next());
  if (!made) return conflict("there is no next root; make it with 'nuraghe ca rotate'");
  TRY_ASSIGN(const std::string roots, trusted());
  // A crash in the middle of prepare() left it untrusted.
  if (roots.find(made->certificate) == std::string::npos)
    TRY(env::write_file_durably(trusted_file(), roots + made->certificate, kPublic));
  TRY(env::write_file_durably(signer_file(path_), joined(made->certificate, made->key), kSecret));
  return env::remove_tree(next_file(path_));
}

Status AuthorityFolder::finish() const {
  TRY_ASSIGN(const auto made, next());
  if (made) return conflict("the next root does not sign yet; that begins with 'nuraghe ca rotate --change-over'");
  TRY_ASSIGN(const auto current, signer());
  return env::write_file_durably(trusted_file(), current.certificate, kPublic);
}

}  // namespace nuraghe::pki
