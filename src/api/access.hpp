// Who may do what at the doors of a process: the one place where that is decided. Pure.
#pragma once

#include <string>
#include <string_view>

#include "api/tokens.hpp"
#include "contracts/operation.hpp"

namespace nuraghe::api {

// Whether somebody may do what asks for that access. `what` names it in the sentence of the kDenied.
Status may(const Identity& identity, contracts::Access access, std::string_view what);

// Whether somebody may call the operation at "/services/NAME[/…]". What no definition has is open only to who may do
// all that concerns the site; to others it is not there (kNotFound). kDenied as above.
Status may_call(const Identity& identity, std::string_view path, std::string_view operation);

// Whether somebody may use a door that is no operation: seeds, images, consoles, events, descriptions. kDenied as
// above.
Status may_enter(const Identity& identity, std::string_view method, std::string_view path);

}  // namespace nuraghe::api
