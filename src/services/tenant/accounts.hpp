// Accounts: who may enter as a member, as the doors ask it for every request: an immutable snapshot of the rows, in
// memory. The tenant service shows a new one on the board within the turn that changes the rows, before its answer
// leaves: who was removed is shut out from then on. Should that turn not be committed, the service reads the rows
// again.
//
// Threading: Accounts is immutable, AccountBoard is thread safe.
#pragma once

#include <atomic>
#include <map>
#include <memory>
#include <mutex>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "base/units.hpp"
#include "contracts/tenant.hpp"

namespace nuraghe::services::tenant {

// What a person may do in one VO.
struct AccountRole {
  std::string vo;
  std::string name;  // of the member
  contracts::tenant::Role role = contracts::tenant::Role::kViewer;
  bool operator==(const AccountRole&) const = default;
};

struct Account {
  std::vector<AccountRole> roles;  // at least one, in the order of their VOs
  TimePoint expires{INT64_MAX};    // of the token
  std::string token;               // its id; empty: of a provider's subject
  // Turns false when the account is gone or is not what it was: long answers end then.
  std::shared_ptr<std::atomic<bool>> valid = std::make_shared<std::atomic<bool>>(true);
};

// Who is a member, whether or not they can enter now.
struct Membership {
  contracts::tenant::Role role = contracts::tenant::Role::kViewer;
  TimePoint since;  // who was removed and added again is another
};

struct Accounts {
  std::map<std::string, std::shared_ptr<const Account>, std::less<>> by_digest;                           // of tokens
  std::map<std::pair<std::string, std::string>, std::shared_ptr<const Account>, std::less<>> by_subject;  // issuer, sub
  std::map<std::pair<std::string, std::string>, Membership> members;                                      // VO, name
};

// The digest under which a token is known.
std::string digest_of_token(std::string_view secret);
// What every personal token begins with.
inline constexpr std::string_view kTokenPrefix = "nut-";

class AccountBoard {
 public:
  std::shared_ptr<const Accounts> now() const;
  // Accounts that were shown before and are the same keep their `valid`; those that are not turn false.
  void show(Accounts accounts);

 private:
  mutable std::mutex mutex_;
  std::shared_ptr<const Accounts> accounts_ = std::make_shared<const Accounts>();
};

}  // namespace nuraghe::services::tenant
