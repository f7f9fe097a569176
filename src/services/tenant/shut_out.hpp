// Who was a member that may log in to hosts, and is none now, or has other keys: open sessions of theirs are ended
// (docs/ssh.md). Written in the turn that changes the member, read by the VHF, which tells the controllers.
//
// Threading: as a store's transaction.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "services/tenant/rows.hpp"

namespace nuraghe::services::tenant {

class ShutOut {
 public:
  Status open(store::Store& store) { return rows_.open(store, "tenant_shut_out"); }
  // It stays when the member is back: what was opened before with another key, or role, is to be ended all the same. Of
  // a VO the newest ones are kept.
  Status add(store::Transaction& tx, std::string_view vo, std::string_view name, TimePoint now) const;
  Status forget_vo(store::Transaction& tx, std::string_view vo) const;
  struct Entry {
    std::string login;  // the key id of its certificates
    TimePoint since;
  };
  // Of a VO, with administrators of the site, who act in every one. What is older than 30 days is dropped.
  Result<std::vector<Entry>> of_vo(store::Transaction& tx, std::string_view vo, TimePoint now) const;

 private:
  RowTable<ShutOutRow> rows_;
};

}  // namespace nuraghe::services::tenant
