// The ssh keys of members, for the service whose hosts they open: read from the rows of the tenant service.
#pragma once

#include "services/rows.hpp"
#include "services/tenant/rows.hpp"
#include "services/vcf/member_keys.hpp"

namespace nuraghe::services::tenant {

class StoredMemberKeys final : public vcf::MemberKeys {
 public:
  Status open(store::Store& store) override { return members_.open(store, "tenant_member"); }
  Result<std::optional<std::vector<std::string>>> of_member(store::Transaction& tx, std::string_view vo,
                                                            std::string_view name) const override;
  Result<std::optional<std::vector<std::string>>> of_administrator(store::Transaction& tx,
                                                                   std::string_view name) const override {
    return of_member(tx, kSite, name);
  }
  bool is_by_rule(std::string_view name) const override { return is_name_by_rule(name); }
  Result<std::optional<std::vector<std::string>>> of_vo(store::Transaction& tx, std::string_view vo) const override;

 private:
  RowTable<MemberRow> members_;
};

}  // namespace nuraghe::services::tenant
