#include "services/tenant/names.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <map>

namespace nuraghe::services::tenant {
namespace {

constexpr std::size_t kLongestVoName = 40;
constexpr std::size_t kLongestMemberName = 64;
constexpr std::size_t kLongestText = 200;
constexpr std::size_t kMostKeys = 20;
constexpr std::size_t kLongestKey = 8000;

bool is_lower(char c) { return c >= 'a' && c <= 'z'; }
bool is_digit(char c) { return c >= '0' && c <= '9'; }
bool is_letter(char c) { return is_lower(c) || (c >= 'A' && c <= 'Z'); }
bool has_controls(std::string_view text) {
  return std::any_of(text.begin(), text.end(), [](unsigned char c) { return c < ' ' || c == 0x7F; });
}

}  // namespace

Status check_vo_name(std::string_view name) {
  const bool is_good =
      !name.empty() && name.size() <= kLongestVoName && is_lower(name.front()) &&
      std::all_of(name.begin(), name.end(), [](char c) { return is_lower(c) || is_digit(c) || c == '-'; });
  if (is_good) return {};
  return invalid(fmt::format("'{}' is no name of a VO: a-z, 0-9 and '-', a letter first, at most {}",
                             xml::printable(name), kLongestVoName));
}

Status check_member_name(std::string_view name) {
  const bool is_good =
      !name.empty() && name.size() <= kLongestMemberName && std::all_of(name.begin(), name.end(), [](char c) {
        return is_letter(c) || is_digit(c) || c == '.' || c == '_' || c == '@' || c == '-';
      });
  if (is_good) return {};
  return invalid(fmt::format("'{}' is no name of a member: letters, digits and '._@-', at most {}",
                             xml::printable(name), kLongestMemberName));
}

Status check_text(std::string_view what, std::string_view text) {
  if (text.size() <= kLongestText && !has_controls(text)) return {};
  return invalid(fmt::format("{} is one line of at most {} bytes", what, kLongestText));
}

Status check_keys(const std::vector<std::string>& keys) {
  if (keys.size() > kMostKeys) return invalid(fmt::format("a member has at most {} ssh keys", kMostKeys));
  for (const auto& key : keys) {
    const bool is_key = key.starts_with("ssh-") || key.starts_with("ecdsa-") || key.starts_with("sk-");
    const bool has_body = key.find(' ') != std::string::npos;
    if (!is_key || !has_body || key.size() > kLongestKey || has_controls(key))
      return invalid(fmt::format("'{}' is no public ssh key, such as 'ssh-ed25519 AAAA… name'",
                                 xml::printable(key.substr(0, 40))));
  }
  return {};
}

Status check_limits(const api::Quota& quota) {
  const auto is_bad = [](const auto& limit) { return limit && *limit < std::remove_cvref_t<decltype(*limit)>{}; };
  if (is_bad(quota.hosts) || is_bad(quota.cpus) || is_bad(quota.memory) || is_bad(quota.disk) || is_bad(quota.frozen) ||
      is_bad(quota.clusters) || is_bad(quota.longest_lease) || is_bad(quota.images))
    return invalid("a limit is not negative");
  return {};
}

Status check_is_new(const api::Member& member, const std::vector<std::pair<std::string, MemberRow>>& others) {
  for (const auto& [key, other] : others) {
    if (other.member.name == member.name)
      return conflict(fmt::format("there is a member {} already; 'nuraghe member set' changes it", member.name));
    if (!member.issuer.empty() && other.member.issuer == member.issuer && other.member.subject == member.subject)
      return conflict(fmt::format("{} is the same person at {} already", other.member.name, member.issuer));
  }
  return {};
}

Accounts accounts_of(const std::vector<std::pair<std::string, MemberRow>>& members,
                     const std::vector<std::pair<std::string, TokenRow>>& tokens) {
  std::map<std::string, const MemberRow*> by_id;
  std::map<std::pair<std::string, std::string>, Account> persons;
  for (const auto& [key, row] : members) {
    by_id.emplace(row.id, &row);
    if (row.member.issuer.empty()) continue;
    persons[{row.member.issuer, row.member.subject}].roles.push_back({row.vo, row.member.name, row.member.role});
  }
  Accounts accounts;
  for (const auto& [key, row] : members)
    accounts.members[{row.vo, row.member.name}] = {row.member.role, row.member.since};
  for (auto& [person, account] : persons)
    accounts.by_subject.emplace(person, std::make_shared<const Account>(std::move(account)));
  for (const auto& [id, row] : tokens) {
    Account account;
    account.token = id;
    account.expires = row.token.expires;
    for (const auto& stands : row.stands_for) {
      const auto member = by_id.find(stands.membership);
      if (member == by_id.end()) continue;
      account.roles.push_back({stands.vo, member->second->member.name, member->second->member.role});
    }
    if (!account.roles.empty())
      accounts.by_digest.emplace(row.digest, std::make_shared<const Account>(std::move(account)));
  }
  return accounts;
}

}  // namespace nuraghe::services::tenant
