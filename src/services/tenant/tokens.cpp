// Personal tokens: made, listed, revoked.
#include <fmt/format.h>

#include <algorithm>

#include "services/tenant/names.hpp"
#include "services/tenant/tenant.hpp"

namespace nuraghe::services::tenant {
namespace {

constexpr Duration kLifetime = std::chrono::hours(24 * 90);
constexpr Duration kLongestLifetime = std::chrono::hours(24 * 366);
constexpr Duration kShortestLifetime = std::chrono::seconds(1);
constexpr std::size_t kMostTokens = 50;  // of one membership

bool stands_for(const TokenRow& row, const std::string& membership) {
  return std::any_of(row.stands_for.begin(), row.stands_for.end(),
                     [&](const StandsFor& one) { return one.membership == membership; });
}

}  // namespace

Result<std::vector<TokenRow>> Service::tokens_of(exchange::Turn& turn, const std::string& vo) const {
  TRY_ASSIGN(const auto rows, tokens_.scan(turn.transaction(), ""));
  std::vector<TokenRow> found;
  for (const auto& [id, row] : rows) {
    if (row.vo == vo && row.token.expires > turn.now()) found.push_back(row);
  }
  return found;
}

Result<TokenRow> Service::make_token(exchange::Turn& turn, const Issue& issue, std::string& secret) {
  const Duration lifetime = issue.lifetime.value_or(kLifetime);
  if (lifetime < kShortestLifetime || lifetime > kLongestLifetime)
    return invalid(fmt::format("a token lives for {} at most", format_duration(kLongestLifetime)));
  TRY(check_text("a label", issue.label));
  TRY_ASSIGN(const auto there, tokens_of(turn, issue.member.vo));
  const auto count =
      std::count_if(there.begin(), there.end(), [&](const TokenRow& row) { return stands_for(row, issue.member.id); });
  if (static_cast<std::size_t>(count) >= kMostTokens)
    return exhausted(fmt::format("{} has {} tokens; revoke one first", issue.member.member.name, count));
  TokenRow row;
  row.vo = issue.member.vo;
  row.stands_for.push_back({issue.member.vo, issue.member.id});
  for (const auto& vo : issue.also) {
    TRY_ASSIGN(const auto other, member_of(turn, vo, issue.member.member.name));
    row.stands_for.push_back({vo, other.id});
  }
  secret = std::string(kTokenPrefix) + env::make_id(turn.random(), "x").substr(2) +
           env::make_id(turn.random(), "x").substr(2);
  row.digest = digest_of_token(secret);
  row.token.id = env::make_id(turn.random(), "token");
  row.token.member = issue.member.member.name;
  row.token.label = issue.label;
  row.token.created = turn.now();
  row.token.expires = turn.now() + lifetime;
  TRY(tokens_.put(turn.transaction(), row.token.id, row));
  TRY(show(turn));
  return row;
}

Status Service::issue_token(exchange::Turn& turn, const exchange::Message& request,
                            const api::IssueTokenRequest& input) {
  TRY_ASSIGN(const auto vo, vo_of(turn, request, input.vo));
  TRY_ASSIGN(auto member, member_of(turn, vo.name, input.member));
  api::IssueTokenResponse response;
  std::string secret;
  TRY_ASSIGN(const auto row,
             make_token(turn, {std::move(member), input.label.value_or(""), input.lifetime, {}}, secret));
  response.token = row.token;
  const auto kept = response;
  response.secret = std::move(secret);
  return answer_once(turn, request.message_id, response, kept);
}

Status Service::issue_wide_token(exchange::Turn& turn, const exchange::Message& request,
                                 const api::IssueWideTokenRequest& input) {
  TRY_ASSIGN(const auto vo, vo_of(turn, request, input.vo));
  TRY_ASSIGN(auto member, member_of(turn, vo.name, input.member));
  api::IssueWideTokenResponse response;
  std::string secret;
  TRY_ASSIGN(const auto row,
             make_token(turn, {std::move(member), input.label.value_or(""), input.lifetime, input.also}, secret));
  response.token = row.token;
  const auto kept = response;
  response.secret = std::move(secret);
  return answer_once(turn, request.message_id, response, kept);
}

Result<MemberRow> Service::asking_member(exchange::Turn& turn, const exchange::Message& request,
                                         const std::string& vo) const {
  constexpr std::string_view kMember = "member:";
  if (!request.caller.starts_with(kMember))
    return invalid("only members of a VO have personal tokens; issue_token makes one for a member");
  return member_of(turn, vo, request.caller.substr(kMember.size()));
}

Status Service::issue_own_token(exchange::Turn& turn, const exchange::Message& request,
                                const api::IssueOwnTokenRequest& input) {
  TRY_ASSIGN(const auto vo, vo_of(turn, request, input.vo));
  TRY_ASSIGN(auto member, asking_member(turn, request, vo.name));
  api::IssueOwnTokenResponse response;
  std::string secret;
  TRY_ASSIGN(const auto row,
             make_token(turn, {std::move(member), input.label.value_or(""), input.lifetime, {}}, secret));
  response.token = row.token;
  const auto kept = response;
  response.secret = std::move(secret);
  return answer_once(turn, request.message_id, response, kept);
}

Status Service::list_own_tokens(exchange::Turn& turn, const exchange::Message& request,
                                const api::ListOwnTokensRequest& input) {
  TRY_ASSIGN(const auto vo, vo_of(turn, request, input.vo));
  TRY_ASSIGN(const auto member, asking_member(turn, request, vo.name));
  TRY_ASSIGN(const auto rows, tokens_of(turn, vo.name));
  api::ListOwnTokensResponse response;
  for (const auto& row : rows) {
    if (stands_for(row, member.id)) response.token.push_back(row.token);
  }
  return answer(turn, request.message_id, response);
}

Status Service::revoke_own_token(exchange::Turn& turn, const exchange::Message& request,
                                 const api::RevokeOwnTokenRequest& input) {
  TRY_ASSIGN(const auto vo, vo_of(turn, request, input.vo));
  TRY_ASSIGN(const auto member, asking_member(turn, request, vo.name));
  TRY_ASSIGN(const auto row, tokens_.find(turn.transaction(), input.id));
  if (!row || row->vo != vo.name || !stands_for(*row, member.id))
    return not_found(fmt::format("{} has no token {} in the VO {}; 'nuraghe token ls --own' lists them",
                                 member.member.name, xml::printable(input.id), vo.name));
  TRY(tokens_.erase(turn.transaction(), input.id));
  TRY(show(turn));
  return answer(turn, request.message_id, api::RevokeOwnTokenResponse{});
}

Status Service::list_tokens(exchange::Turn& turn, const exchange::Message& request,
                            const api::ListTokensRequest& input) {
  TRY_ASSIGN(const auto vo, vo_of(turn, request, input.vo));
  TRY_ASSIGN(const auto rows, tokens_of(turn, vo.name));
  api::ListTokensResponse response;
  for (const auto& row : rows) response.token.push_back(row.token);
  return answer(turn, request.message_id, response);
}

Status Service::revoke_token(exchange::Turn& turn, const exchange::Message& request,
                             const api::RevokeTokenRequest& input) {
  TRY_ASSIGN(const auto vo, vo_of(turn, request, input.vo));
  TRY_ASSIGN(const auto row, tokens_.find(turn.transaction(), input.id));
  if (!row || row->vo != vo.name)
    return not_found(
        fmt::format("the VO {} has no token {}; 'nuraghe token ls' lists them", vo.name, xml::printable(input.id)));
  TRY(tokens_.erase(turn.transaction(), input.id));
  TRY(show(turn));
  return answer(turn, request.message_id, api::RevokeTokenResponse{});
}

Status Service::remove_tokens(exchange::Turn& turn, const std::string& membership) const {
  TRY_ASSIGN(const auto rows, tokens_.scan(turn.transaction(), ""));
  for (auto [id, row] : rows) {
    if (!stands_for(row, membership)) continue;
    std::erase_if(row.stands_for, [&](const StandsFor& one) { return one.membership == membership; });
    if (row.stands_for.empty()) {
      TRY(tokens_.erase(turn.transaction(), id));
    } else {
      TRY(tokens_.put(turn.transaction(), id, row));
    }
  }
  return {};
}

}  // namespace nuraghe::services::tenant
