#include "services/tenant/tenant.hpp"

#include <fmt/format.h>

#include <algorithm>

#include "services/tenant/names.hpp"

namespace nuraghe::services::tenant {
namespace {

constexpr std::string_view kSweepTimer = "sweep";
constexpr Duration kSweepInterval = std::chrono::hours(1);
constexpr std::int32_t kAuditPage = 100;
constexpr std::int32_t kMostAuditPage = 1000;
constexpr std::size_t kMostMembers = 10'000;  // of one VO

Error no_such_vo(std::string_view vo) {
  return not_found(fmt::format("there is no VO {}; 'nuraghe vo ls' lists what there is", xml::printable(vo)));
}

Error no_such_member(std::string_view vo, std::string_view name) {
  return not_found(fmt::format("the VO {} has no member {}; 'nuraghe member ls' lists them", vo, xml::printable(name)));
}

exchange::Event event_of(const std::string& vo, std::string kind, std::string text) {
  exchange::Event event;
  event.vo = vo;
  event.kind = std::move(kind);
  event.text = std::move(text);
  return event;
}

std::size_t page_limit(const std::optional<std::int32_t>& asked) {
  return static_cast<std::size_t>(std::clamp(asked.value_or(kAuditPage), 1, kMostAuditPage));
}

// A person enters by the pair of both, or by neither.
Status check_subject(const api::Member& member) {
  if (member.issuer.empty() == member.subject.empty()) return {};
  return invalid("an OIDC issuer and the person's subject there belong together: give both, or none");
}

// Administrators belong to the site, and to nothing else.
Status check_role(const std::string& vo, api::Role role) {
  if ((vo == kSite) == (role == api::Role::kAdministrator)) return {};
  if (vo == kSite) return invalid("the members of the VO site are its administrators: the role is administrator");
  return invalid("an administrator is a member of the VO site (nuraghe --vo site member add)");
}

// Some session that the member may have open could not be opened any more.
bool loses_logins(const api::Member& before, const api::Member& now) {
  if (now.role == api::Role::kViewer) return before.role != api::Role::kViewer;
  return !std::ranges::all_of(before.authorized_key, [&](const std::string& key) {
    return std::ranges::find(now.authorized_key, key) != now.authorized_key.end();
  });
}

}  // namespace

Status Service::open(store::Store& store) {
  TRY(vos_.open(store, "tenant_vo"));
  TRY(members_.open(store, "tenant_member"));
  TRY(tokens_.open(store, "tenant_token"));
  TRY(shut_out_.open(store));
  TRY(quotas_.open(store));
  TRY(ledger_.open(store));
  TRY(open_calls_.open(store, "tenant_audit_open"));
  return usage_.open(store);
}

Status Service::on_start(exchange::Turn& turn) {
  auto& tx = turn.transaction();
  TRY_ASSIGN(const auto some, vos_.page(tx, "", 1));
  if (some.empty()) {
    TRY(vos_.put(tx, kSite, {std::string(kSite), "Administrators of the site", turn.now(), false}));
    if (!options_.first_vo.empty() && options_.first_vo != kSite)
      TRY(vos_.put(tx, options_.first_vo, {options_.first_vo, "", turn.now(), false}));
  }
  TRY(show(turn));
  return turn.set_timer(kSweepTimer, turn.now() + kSweepInterval);
}

Status Service::on_timer(exchange::Turn& turn, std::string_view key) {
  if (key != kSweepTimer) return Skeleton::on_timer(turn, key);
  TRY(sweep(turn));
  TRY_ASSIGN(const bool is_more, ledger_.sweep(turn.transaction(), turn.now() - options_.audit_retention));
  return turn.set_timer(kSweepTimer, is_more ? turn.now() : turn.now() + kSweepInterval);
}

void Service::on_rollback() {
  if (std::exchange(may_differ_, false) && options_.on_stale) options_.on_stale();
}

Status Service::show(exchange::Turn& turn) {
  may_differ_ = true;
  return reload(turn);
}

Status Service::reload(exchange::Turn& turn) const {
  TRY_ASSIGN(const auto members, members_.scan(turn.transaction(), ""));
  TRY_ASSIGN(const auto tokens, tokens_.scan(turn.transaction(), ""));
  options_.board->show(accounts_of(members, tokens));
  return {};
}

Status Service::sweep(exchange::Turn& turn) {
  TRY_ASSIGN(const auto tokens, tokens_.scan(turn.transaction(), ""));
  for (const auto& [id, row] : tokens) {
    if (row.token.expires < turn.now()) TRY(tokens_.erase(turn.transaction(), id));
  }
  return show(turn);
}

// ---- virtual organisations ----

Result<bool> Service::has_vo(store::Transaction& tx, std::string_view name) const {
  TRY_ASSIGN(const auto row, vos_.find(tx, name));
  return row && !row->is_deleted;
}

Result<VoRow> Service::vo_of(exchange::Turn& turn, const exchange::Message& request, const std::string& vo) const {
  // The doors let a request act for the VO that it is about, if its caller may. Who names none means its own.
  if (!vo.empty() && vo != request.vo) return no_such_vo(vo);
  TRY_ASSIGN(auto row, vos_.find(turn.transaction(), request.vo));
  if (!row || row->is_deleted) return no_such_vo(request.vo);
  return std::move(*row);
}

Result<api::Vo> Service::describe(exchange::Turn& turn, const VoRow& row) const {
  TRY_ASSIGN(const auto members, members_.scan(turn.transaction(), member_key(row.name, "")));
  api::Vo vo;
  vo.name = row.name;
  vo.title = row.title;
  vo.created = row.created;
  vo.members = static_cast<std::int32_t>(members.size());
  return vo;
}

Status Service::create_vo(exchange::Turn& turn, const exchange::Message& request, const api::CreateVoRequest& input) {
  TRY(check_vo_name(input.name));
  TRY(check_text("a title", input.title.value_or("")));
  TRY_ASSIGN(const auto there, vos_.find(turn.transaction(), input.name));
  if (there && there->is_deleted)
    return conflict(fmt::format("there was a VO {}, whose entries are kept: choose another name", input.name));
  if (there) return conflict(fmt::format("there is a VO {} already", input.name));
  const VoRow row{input.name, input.title.value_or(""), turn.now(), false};
  TRY(vos_.put(turn.transaction(), row.name, row));
  TRY(turn.publish(event_of(row.name, "vo.created", fmt::format("the VO {} is created", row.name))));
  api::CreateVoResponse response;
  TRY_ASSIGN(response.vo, describe(turn, row));
  return answer(turn, request.message_id, response);
}

Status Service::check_no_machines(store::Transaction& tx, const std::string& vo) const {
  if (!options_.machines_of) return {};
  TRY_ASSIGN(const auto machines, options_.machines_of(tx, vo));
  if (machines.empty()) return {};
  std::string names;
  for (const auto& machine : machines) names += (names.empty() ? "" : ", ") + machine;
  return conflict(
      fmt::format("the VO {} has physical machines: {}; release them with a full wipe first (nuraghe --vo {} machine "
                  "release NAME --wipe full), or remove them by force",
                  vo, names, vo));
}

Status Service::delete_vo(exchange::Turn& turn, const exchange::Message& request, const api::DeleteVoRequest& input) {
  auto& tx = turn.transaction();
  TRY_ASSIGN(auto row, vo_of(turn, request, input.vo));
  if (row.name == kSite) return invalid("the VO site stays: its members are the site's administrators");
  TRY_ASSIGN(const auto holds, quotas_.holding(tx, row.name));
  if (!holds.is_nothing())
    return conflict(fmt::format("the VO {} holds {} virtual hosts; destroy them first", row.name, holds.hosts));
  TRY(check_no_machines(tx, row.name));
  TRY_ASSIGN(const auto members, members_.scan(tx, member_key(row.name, "")));
  for (const auto& [key, member] : members) {
    TRY(remove_tokens(turn, member.id));
    TRY(members_.erase(tx, key));
  }
  TRY(quotas_.forget(tx, row.name));
  TRY(shut_out_.forget_vo(tx, row.name));
  row.is_deleted = true;
  TRY(vos_.put(tx, row.name, row));
  TRY(turn.publish(event_of(row.name, "vo.deleted", fmt::format("the VO {} is deleted", row.name))));
  TRY(show(turn));
  return answer(turn, request.message_id, api::DeleteVoResponse{});
}

Status Service::list_vos(exchange::Turn& turn, const exchange::Message& request, const api::ListVosRequest&) {
  TRY_ASSIGN(const auto rows, vos_.scan(turn.transaction(), ""));
  api::ListVosResponse response;
  for (const auto& [name, row] : rows) {
    if (row.is_deleted) continue;
    TRY_ASSIGN(auto vo, describe(turn, row));
    response.vo.push_back(std::move(vo));
  }
  return answer(turn, request.message_id, response);
}

Status Service::get_vo(exchange::Turn& turn, const exchange::Message& request, const api::GetVoRequest& input) {
  TRY_ASSIGN(const auto row, vo_of(turn, request, input.vo));
  api::GetVoResponse response;
  TRY_ASSIGN(response.vo, describe(turn, row));
  return answer(turn, request.message_id, response);
}

// ---- members ----

Result<MemberRow> Service::member_of(exchange::Turn& turn, const std::string& vo, const std::string& name) const {
  TRY_ASSIGN(auto row, members_.find(turn.transaction(), member_key(vo, name)));
  if (!row) return no_such_member(vo, name);
  return std::move(*row);
}

Status Service::list_members(exchange::Turn& turn, const exchange::Message& request,
                             const api::ListMembersRequest& input) {
  TRY_ASSIGN(const auto vo, vo_of(turn, request, input.vo));
  TRY_ASSIGN(const auto rows, members_.scan(turn.transaction(), member_key(vo.name, "")));
  api::ListMembersResponse response;
  for (const auto& [key, row] : rows) response.member.push_back(row.member);
  return answer(turn, request.message_id, response);
}

Status Service::add_member(exchange::Turn& turn, const exchange::Message& request, const api::AddMemberRequest& input) {
  auto& tx = turn.transaction();
  TRY_ASSIGN(const auto vo, vo_of(turn, request, input.vo));
  TRY(check_member_name(input.name));
  TRY(check_role(vo.name, input.role));
  MemberRow row;
  row.vo = vo.name;
  row.member.name = input.name;
  row.member.role = input.role;
  row.member.issuer = input.issuer.value_or("");
  row.member.subject = input.subject.value_or("");
  row.member.authorized_key = input.authorized_key;
  row.member.since = turn.now();
  TRY(check_subject(row.member));
  TRY(check_keys(row.member.authorized_key));
  TRY_ASSIGN(const auto members, members_.scan(tx, member_key(vo.name, "")));
  if (members.size() >= kMostMembers)
    return exhausted(fmt::format("the VO {} has {} members", vo.name, members.size()));
  TRY(check_is_new(row.member, members));
  row.id = env::make_id(turn.random(), "member");
  TRY(members_.put(tx, member_key(vo.name, input.name), row));
  TRY(turn.publish(event_of(vo.name, "member.added",
                            fmt::format("{} is a member of {}: {}", input.name, vo.name, to_string(input.role)))));
  TRY(show(turn));
  api::AddMemberResponse response;
  response.member = row.member;
  return answer(turn, request.message_id, response);
}

Status Service::change_member(exchange::Turn& turn, const exchange::Message& request,
                              const api::ChangeMemberRequest& input) {
  auto& tx = turn.transaction();
  TRY_ASSIGN(const auto vo, vo_of(turn, request, input.vo));
  TRY_ASSIGN(auto row, member_of(turn, vo.name, input.name));
  const api::Member before = row.member;
  row.member.role = input.role.value_or(row.member.role);
  row.member.issuer = input.issuer.value_or(row.member.issuer);
  row.member.subject = input.subject.value_or(row.member.subject);
  if (!input.authorized_key.empty()) row.member.authorized_key = input.authorized_key;
  TRY(check_role(vo.name, row.member.role));
  TRY(check_subject(row.member));
  TRY(check_keys(row.member.authorized_key));
  TRY_ASSIGN(auto members, members_.scan(tx, member_key(vo.name, "")));
  std::erase_if(members, [&](const auto& other) { return other.second.id == row.id; });
  TRY(check_is_new(row.member, members));
  TRY(members_.put(tx, member_key(vo.name, input.name), row));
  if (loses_logins(before, row.member)) TRY(shut_out_.add(tx, vo.name, input.name, turn.now()));
  TRY(turn.publish(event_of(vo.name, "member.changed",
                            fmt::format("{} of {} is {} now", input.name, vo.name, to_string(row.member.role)))));
  TRY(show(turn));
  api::ChangeMemberResponse response;
  response.member = row.member;
  return answer(turn, request.message_id, response);
}

Status Service::remove_member(exchange::Turn& turn, const exchange::Message& request,
                              const api::RemoveMemberRequest& input) {
  TRY_ASSIGN(const auto vo, vo_of(turn, request, input.vo));
  TRY_ASSIGN(const auto row, member_of(turn, vo.name, input.name));
  TRY(remove_tokens(turn, row.id));
  TRY(members_.erase(turn.transaction(), member_key(vo.name, input.name)));
  TRY(shut_out_.add(turn.transaction(), vo.name, input.name, turn.now()));
  TRY(turn.publish(
      event_of(vo.name, "member.removed", fmt::format("{} is no member of {} any more", input.name, vo.name))));
  TRY(show(turn));
  return answer(turn, request.message_id, api::RemoveMemberResponse{});
}

// ---- quotas, usage, audit ----

Status Service::set_quota(exchange::Turn& turn, const exchange::Message& request, const api::SetQuotaRequest& input) {
  TRY_ASSIGN(const auto vo, vo_of(turn, request, input.vo));
  TRY(check_limits(input.quota));
  TRY(quotas_.set_quota(turn.transaction(), vo.name, input.quota));
  TRY(turn.publish(event_of(vo.name, "vo.quota", fmt::format("the quota of the VO {} is changed", vo.name))));
  return answer(turn, request.message_id, api::SetQuotaResponse{});
}

Status Service::get_quota(exchange::Turn& turn, const exchange::Message& request, const api::GetQuotaRequest& input) {
  TRY_ASSIGN(const auto vo, vo_of(turn, request, input.vo));
  api::GetQuotaResponse response;
  TRY_ASSIGN(response.quota, quotas_.quota(turn.transaction(), vo.name));
  TRY_ASSIGN(const auto holding, quotas_.holding(turn.transaction(), vo.name));
  response.used = contract_of(holding);
  return answer(turn, request.message_id, response);
}

Status Service::get_usage(exchange::Turn& turn, const exchange::Message& request, const api::GetUsageRequest& input) {
  TRY_ASSIGN(const auto vo, vo_of(turn, request, input.vo));
  api::GetUsageResponse response;
  TRY_ASSIGN(response.line, usage_.lines(turn.transaction(), vo.name, input.month.value_or(""), turn.now()));
  return answer(turn, request.message_id, response);
}

Status Service::export_usage(exchange::Turn& turn, const exchange::Message& request,
                             const api::ExportUsageRequest& input) {
  TRY_ASSIGN(const auto vo, vo_of(turn, request, input.vo));
  TRY_ASSIGN(const auto lines, usage_.lines(turn.transaction(), vo.name, input.month.value_or(""), turn.now()));
  api::ExportUsageResponse response;
  response.csv = csv_of(lines);
  return answer(turn, request.message_id, response);
}

Status Service::list_audit(exchange::Turn& turn, const exchange::Message& request, const api::ListAuditRequest& input) {
  TRY_ASSIGN(const auto vo, vo_of(turn, request, input.vo));
  api::ListAuditResponse response;
  TRY_ASSIGN(response.record,
             ledger_.page(turn.transaction(), vo.name, input.after.value_or(0), page_limit(input.limit)));
  return answer(turn, request.message_id, response);
}

Status Service::list_site_audit(exchange::Turn& turn, const exchange::Message& request,
                                const api::ListSiteAuditRequest& input) {
  api::ListSiteAuditResponse response;
  TRY_ASSIGN(response.record, ledger_.page(turn.transaction(), "", input.after.value_or(0), page_limit(input.limit)));
  return answer(turn, request.message_id, response);
}

Status Service::verify_audit(exchange::Turn& turn, const exchange::Message& request,
                             const api::VerifyAuditRequest& input) {
  TRY_ASSIGN(const auto verified, ledger_.verify(turn.transaction(), input.after.value_or(0), kMostAuditPage));
  api::VerifyAuditResponse response;
  response.last = verified.last;
  response.more = verified.more;
  response.broken = verified.broken;
  return answer(turn, request.message_id, response);
}

}  // namespace nuraghe::services::tenant
