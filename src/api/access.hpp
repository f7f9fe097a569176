// Who may do what at the doors of a process: the one place where that is decided. Pure.
#pragma once

#include <string>
#include <string_view>

#include "api/tokens.hpp"
#include "contracts/operation.hpp"
#include "exchange/message.hpp"
#include "xml/xml.hpp"

namespace nuraghe::api {

// Whether somebody may do what asks for that access. `what` names it in the sentence of the kDenied.
Status may(const Identity& identity, contracts::Access access, std::string_view what);

// Whether somebody may call the operation at "/services/NAME[/…]". What no definition has is open only to who may do
// all that concerns the site; to others it is not there (kNotFound). kDenied as above.
Status may_call(const Identity& identity, std::string_view path, std::string_view operation);

// As above, for a request with this body. Messages of WS-BaseNotification are understood at every address: who may see
// what a VO has may hear of it.
Status may_send(const Identity& identity, std::string_view path, std::string_view operation, const xml::QName& body);

// The identity as which a request acts: for the VO that it names (as acting_for); a request to the tenant service for
// the VO that it is about, which is not there (kNotFound) for who may not act for it.
Result<std::shared_ptr<const Identity>> acting_in(const std::shared_ptr<const Identity>& identity,
                                                  std::string_view claimed_vo, const exchange::Message& request);

// As which a request about a VO acts; kNotFound for who may not act for it, with the words for what is not there.
Result<std::shared_ptr<const Identity>> acting_about(const std::shared_ptr<const Identity>& identity,
                                                     std::string_view vo);

// Where a request came in, for the audit log: "soap 127.0.0.1". Empty for other processes of the site, whose requests
// are steps of what was recorded elsewhere.
std::string origin_of(const Identity& identity, std::string_view door, std::string_view peer);

// Whether somebody may use a door that is no operation: seeds, images, consoles, events, descriptions. kDenied as
// above.
Status may_enter(const Identity& identity, std::string_view method, std::string_view path);

}  // namespace nuraghe::api
