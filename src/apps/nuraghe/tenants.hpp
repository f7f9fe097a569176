// The commands about virtual organisations: nuraghe vo, member, token, quota, usage, audit. They act for the VO of
// --vo, else for the token's own.
#pragma once

#include <string>
#include <vector>

#include "apps/nuraghe/context.hpp"

namespace nuraghe::cli {

Status list_vos(Context& context);
Status create_vo(Context& context, const std::string& name, const std::string& title);
Status delete_vo(Context& context, const std::string& name);

struct MemberOptions {
  std::string name, role, issuer, subject;
  std::vector<std::string> key_files;
};
Status list_members(Context& context);
Status add_member(Context& context, const MemberOptions& options);
Status change_member(Context& context, const MemberOptions& options);
Status remove_member(Context& context, const std::string& name);

struct TokenOptions {
  std::string member;  // empty: one's own
  std::string label, lifetime;
  std::vector<std::string> also;  // further VOs
  bool own = false;               // to list or revoke: one's own
};
// `own`: of the member that asks, which any member may; else of the whole VO, for owners.
Status list_tokens(Context& context, bool own);
Status issue_token(Context& context, const TokenOptions& options);
Status revoke_token(Context& context, const std::string& id, bool own);

struct QuotaOptions {  // empty: as before; "none": no limit
  std::string hosts, cpus, memory, disk, frozen, clusters, longest_lease, images;
};
Status show_quota(Context& context);
Status set_quota(Context& context, const QuotaOptions& options);

Status show_usage(Context& context, const std::string& month, bool csv);

struct AuditOptions {
  std::int64_t after = 0;
  bool all = false;  // of every VO
  bool csv = false;
};
Status show_audit(Context& context, const AuditOptions& options);
Status verify_audit(Context& context);

}  // namespace nuraghe::cli
