// Whether who once subscribed may still hear: as the doors would decide it now. Thread safe.
#pragma once

#include <string>
#include <vector>

#include "api/outside_table.hpp"
#include "api/tokens.hpp"
#include "services/notification/notification.hpp"
#include "services/tenant/accounts.hpp"

namespace nuraghe::api {

struct HearingOptions {
  std::vector<TokenEntry> tokens;                            // of the token file
  const services::tenant::AccountBoard* accounts = nullptr;  // required; not owned
  const OutsideTable* outside = nullptr;                     // not owned; null: no services of other programs
};

// A token that is in the file no more, a member that was removed, and one whose role in the VO no longer shows the
// resource (the access of the method that reads it) hear nothing more. Members that a provider's rule makes are known
// to the doors alone, when they come; their subscriptions end within
// NotificationOptions::longest_lifetime_by_rule. Callers that are no people are not asked after.
bool may_hear(const HearingOptions& options, const services::notification::Subscriber& subscriber);

}  // namespace nuraghe::api
