// Logging in to the hosts of a VO: certificates that live for less than a minute, signed by the VO's own authority,
// which its hosts trust from their birth (docs/ssh.md). So whoever is no member any more, or whose key is gone, gets
// none.
#include <fmt/format.h>

#include <algorithm>

#include "services/vcf/ssh_certificate.hpp"
#include "services/vcf/vcf.hpp"

namespace nuraghe::services::vcf {
namespace {

constexpr std::string_view kMember = "member:";
constexpr std::string_view kAdministrator = "administrator:";
constexpr const char* kAccount = "root";
// A guest's clock may be behind.
constexpr Duration kBehind = std::chrono::minutes(5);

bool has_key(const std::vector<std::string>& lines, const SshPublicKey& key) {
  return std::ranges::any_of(lines, [&](const std::string& line) {
    const auto other = parse_ssh_public_key(line);
    return other && other->line() == key.line();
  });
}

}  // namespace

Result<LoginAuthorityRow> Factory::login_authority(exchange::Turn& turn, const std::string& vo) const {
  TRY_ASSIGN(const auto known, authorities_.find(turn.transaction(), vo));
  if (known) return *known;
  LoginAuthorityRow made;
  made.seed = make_signing_seed(turn.random());
  made.made = turn.now();
  TRY_ASSIGN(made.public_key, signing_public_key(made.seed));
  TRY(authorities_.put(turn.transaction(), vo, made));
  return made;
}

Result<std::vector<std::string>> Factory::seed_keys(exchange::Turn& turn, const std::string& vo,
                                                    const std::vector<std::string>& named) const {
  TRY_ASSIGN(const auto authority, login_authority(turn, vo));
  std::vector<std::string> lines{fmt::format("cert-authority {} members of {}", authority.public_key, vo)};
  std::optional<std::vector<std::string>> members;
  if (options_.members != nullptr) {
    TRY_ASSIGN(members, options_.members->of_vo(turn.transaction(), vo));
  }
  // Where there are members a key in a host would open it also when its member is gone.
  if (!members) lines.insert(lines.end(), named.begin(), named.end());
  return lines;
}

Status Factory::check_named_keys(exchange::Turn& turn, const exchange::Message& request,
                                 const std::vector<std::string>& named) const {
  if (options_.members == nullptr || named.empty()) return {};
  const std::string& vo = request.vo;
  const std::string_view caller = request.caller;
  // It would open the host for longer than its provider says so.
  if (caller.starts_with(kMember) && options_.members->is_by_rule(caller.substr(kMember.size())))
    return denied(
        fmt::format("{} is a member of the VO {} by a rule, and logs in by certificates ('nuraghe ssh'): leave the ssh "
                    "key out",
                    caller.substr(kMember.size()), vo));
  TRY_ASSIGN(const auto members, options_.members->of_vo(turn.transaction(), vo));
  if (!members) return {};
  for (const auto& line : named) {
    TRY_ASSIGN(const auto key, parse_ssh_public_key(line));
    if (!has_key(*members, key))
      return denied(
          fmt::format("the ssh key {} is no member's of the VO {}: leave it out, and have an owner add it to "
                      "the member whose it is",
                      key.fingerprint(), vo));
  }
  return {};
}

Result<std::string> Factory::whose_key(exchange::Turn& turn, const exchange::Message& request,
                                       const SshPublicKey& key) const {
  const std::string_view caller = request.caller;
  // A token of the site's own file is no member's: who holds it may use any key.
  if (options_.members == nullptr || !caller.starts_with(kMember)) return request.caller;
  const auto name = caller.substr(kMember.size());
  TRY_ASSIGN(const auto keys, options_.members->of_member(turn.transaction(), request.vo, name));
  // There is no row that could name its keys, and what it may was judged by its provider's word of just now.
  if (!keys && options_.members->is_by_rule(name)) return request.caller;
  if (keys && has_key(*keys, key)) return request.caller;
  // One of the site's, who may be called as a member of the VO is, goes when it goes itself.
  TRY_ASSIGN(const auto administrators, options_.members->of_administrator(turn.transaction(), name));
  if (administrators && has_key(*administrators, key)) return fmt::format("{}{}", kAdministrator, name);
  if (!keys && !administrators) return denied(fmt::format("{} is not a member of the VO {}", name, request.vo));
  return denied(fmt::format("the ssh key {} is none of {}'s in the VO {}; an owner adds it to the member: {}",
                            key.fingerprint(), name, request.vo, key.line()));
}

Status Factory::issue_login_certificate(exchange::Turn& turn, const exchange::Message& request,
                                        const api::IssueLoginCertificateRequest& input) {
  TRY_ASSIGN(auto key, parse_ssh_public_key(input.public_key));
  TRY_ASSIGN(const auto holder, whose_key(turn, request, key));
  TRY_ASSIGN(const auto authority, login_authority(turn, request.vo));
  UserCertificate certificate;
  certificate.subject = std::move(key);
  certificate.serial = static_cast<std::uint64_t>(turn.now().micros);
  certificate.key_id = fmt::format("{}@{}", holder, request.vo);
  certificate.principals = {kAccount};
  certificate.valid_after = turn.now() - kBehind;
  certificate.valid_before = turn.now() + kLoginValid;
  api::IssueLoginCertificateResponse response;
  TRY_ASSIGN(response.certificate, sign_certificate(certificate, authority.seed, turn.random()));
  response.account = kAccount;
  response.valid_until = certificate.valid_before;
  response.authority = authority.public_key;
  return answer(turn, request.message_id, response);
}

}  // namespace nuraghe::services::vcf
