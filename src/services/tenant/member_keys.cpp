#include "services/tenant/member_keys.hpp"

namespace nuraghe::services::tenant {

Result<std::optional<std::vector<std::string>>> StoredMemberKeys::of_member(store::Transaction& tx, std::string_view vo,
                                                                            std::string_view name) const {
  TRY_ASSIGN(auto row, members_.find(tx, member_key(vo, name)));
  if (!row) return std::optional<std::vector<std::string>>();
  return std::optional(std::move(row->member.authorized_key));
}

Result<std::optional<std::vector<std::string>>> StoredMemberKeys::of_vo(store::Transaction& tx,
                                                                        std::string_view vo) const {
  TRY_ASSIGN(const auto rows, members_.scan(tx, std::string(vo) + "/"));
  if (rows.empty()) return std::optional<std::vector<std::string>>();
  std::vector<std::string> keys;
  for (const auto& [key, row] : rows)
    keys.insert(keys.end(), row.member.authorized_key.begin(), row.member.authorized_key.end());
  return std::optional(std::move(keys));
}

}  // namespace nuraghe::services::tenant
