// What the tenant service accepts, and how its rows become accounts. Pure.
#pragma once

#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "services/tenant/accounts.hpp"
#include "services/tenant/rows.hpp"

namespace nuraghe::services::tenant {

// 1 to 40 of a-z, 0-9 and '-', a letter first: part of stored keys and of paths.
Status check_vo_name(std::string_view name);
// 1 to 64 of letters, digits and "._@-".
Status check_member_name(std::string_view name);
// At most 200 bytes, without control characters.
Status check_text(std::string_view what, std::string_view text);
// At most 20 public ssh keys of one line each.
Status check_keys(const std::vector<std::string>& keys);
// No limit is negative.
Status check_limits(const api::Quota& quota);
// kConflict when another member has the name or is the same person at the same issuer.
Status check_is_new(const api::Member& member, const std::vector<std::pair<std::string, MemberRow>>& others);

Accounts accounts_of(const std::vector<std::pair<std::string, MemberRow>>& members,
                     const std::vector<std::pair<std::string, TokenRow>>& tokens);

}  // namespace nuraghe::services::tenant
