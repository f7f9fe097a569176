#include "services/tenant/accounts.hpp"

#include "images/digest.hpp"

namespace nuraghe::services::tenant {
namespace {

bool is_same(const Account& a, const Account& b) {
  return a.roles == b.roles && a.expires == b.expires && a.token == b.token;
}

template <class Map>
void take_over(const Map& before, Map& after) {
  for (const auto& [key, account] : before) {
    const auto found = after.find(key);
    if (found != after.end() && is_same(*account, *found->second)) {
      found->second = account;
    } else {
      account->valid->store(false);
    }
  }
}

}  // namespace

std::string digest_of_token(std::string_view secret) { return images::digest_of(secret); }

std::shared_ptr<const Accounts> AccountBoard::now() const {
  const std::lock_guard lock(mutex_);
  return accounts_;
}

void AccountBoard::show(Accounts accounts) {
  const std::lock_guard lock(mutex_);
  take_over(accounts_->by_digest, accounts.by_digest);
  take_over(accounts_->by_subject, accounts.by_subject);
  accounts_ = std::make_shared<const Accounts>(std::move(accounts));
}

}  // namespace nuraghe::services::tenant
