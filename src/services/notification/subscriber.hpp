// Whose subscriptions and pull points are (docs/notification.md): who made one may manage it, and who may change what
// the VO has. Pure.
#pragma once

#include <memory>
#include <optional>
#include <string>
#include <string_view>

#include "exchange/message.hpp"

namespace nuraghe::services::notification {

// The id behind a folder's path, such as "/services/notification/subscriptions/", in a path or a whole address;
// nullopt: the address is of something else.
std::optional<std::string> id_at(std::string_view address, std::string_view folder);

// For a request of somebody who may only see what the VO has: what must hold in the turn that takes it. Null: nothing,
// it manages no subscription and no pull point. kDenied says who made it.
std::shared_ptr<const exchange::Precondition> only_by_subscriber(const exchange::Message& request);

}  // namespace nuraghe::services::notification
