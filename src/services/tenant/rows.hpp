// What the tenant service stores. Its tables stand in one store with those of the VHF, so that a reservation sees
// quotas and books usage within its own transaction.
//
//   tenant_vo          VO                                  a virtual organisation
//   tenant_member      VO '/' NAME                         a person in it
//   tenant_shut_out    VO '/' NAME                         who was a member that may log in to hosts, and is none now
//   tenant_token       TOKEN-ID                            a personal token: its digest and for whom it stands
//   tenant_quota       VO                                  the most that it may hold (quotas.hpp)
//   tenant_holding     VO                                  what it holds
//   tenant_audit       SEQUENCE (16 hex digits)            the audit log (ledger.hpp)
//   tenant_audit_vo    VO '/' SEQUENCE                     the entries of a VO
//   tenant_audit_head  "head"                              the last entry
//   tenant_audit_open  MESSAGE-ID                          a call that is not answered yet
//   tenant_usage       VO '/' MONTH '/' WHO '/' CLUSTER '/' STATE   sums (usage.hpp)
//   tenant_usage_open  VO '/' HOST                         what is in use now
#pragma once

#include <string>
#include <vector>

#include "contracts/tenant.hpp"
#include "services/rows.hpp"

namespace nuraghe::services::tenant {

namespace api = contracts::tenant;

// The VO whose members are the site's administrators. It holds nothing.
inline constexpr std::string_view kSite = "site";

// In the name of a person who is a member by a rule alone ("ab12~3f9c01d2"); no member of a row can be called so.
inline constexpr char kRuleMark = '~';
inline bool is_name_by_rule(std::string_view name) { return name.find(kRuleMark) != name.npos; }

struct VoRow {
  std::string name, title;
  TimePoint created;
  bool is_deleted = false;  // its name is given to nobody else: what is kept of it would be theirs
  template <class V>
  void fields(V& v) {
    v(1, name), v(2, title), v(3, created), v(4, is_deleted);
  }
};

struct MemberRow {
  std::string vo;
  std::string id;  // of this membership: one that is removed and added again is another
  api::Member member;
  template <class V>
  void fields(V& v) {
    v(1, vo), v(2, id), v(3, member);
  }
};

struct ShutOutRow {
  TimePoint since;
  template <class V>
  void fields(V& v) {
    v(1, since);
  }
};

// One of the memberships for which a token stands.
struct StandsFor {
  std::string vo, membership;
  template <class V>
  void fields(V& v) {
    v(1, vo), v(2, membership);
  }
};

struct TokenRow {
  api::Token token;
  std::string vo;      // that issued it, and may revoke it
  std::string digest;  // of the secret
  std::vector<StandsFor> stands_for;
  template <class V>
  void fields(V& v) {
    v(1, token), v(2, vo), v(3, digest), v(4, stands_for);
  }
};

inline std::string member_key(std::string_view vo, std::string_view name) {
  return std::string(vo) + "/" + std::string(name);
}

}  // namespace nuraghe::services::tenant
